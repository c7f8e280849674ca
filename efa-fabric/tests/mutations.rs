//! Mutated frames of an honest client, and of what every parser reads: thousands of them, from a
//! seed.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use efa_fabric::Code;
use serde_json::{Value, json};

#[path = "support/processes.rs"]
mod processes;
#[path = "support/rendezvous.rs"]
mod rendezvous;
#[path = "support/secret.rs"]
mod secret;
#[path = "support/targets.rs"]
mod targets;
use processes::libraries;
use rendezvous::{MEMORY_KIB, Recording, Target, Then, after_knocking};

/// Not a test: the server, in the process that a test starts.
#[test]
fn child() {
    rendezvous::serve_if_child();
}

/// Small, repeatable, and good enough to choose with (Steele, Lea and Flood's splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}

/// Bytes changed, cut, doubled or put in.
fn mutate_bytes(bytes: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len());
        match random.below(5) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = random.next() as u8,
            2 => bytes.truncate(at.max(1)),
            3 => bytes.insert(at, random.next() as u8),
            _ => {
                let part = bytes[at..].to_vec();
                bytes.extend(part);
            }
        }
    }
}

/// One value somewhere in a frame becomes another, or goes.
fn mutate_json(value: &mut Value, random: &mut Random) {
    let go_in = random.below(5) > 0;
    match value {
        Value::Object(map) if go_in && !map.is_empty() => {
            let keys: Vec<String> = map.keys().cloned().collect();
            let key = random.pick(&keys);
            if random.below(20) == 0 {
                map.remove(key);
            } else {
                mutate_json(map.get_mut(key).unwrap(), random);
            }
        }
        Value::Array(list) if go_in && !list.is_empty() => {
            let at = random.below(list.len());
            mutate_json(&mut list[at], random);
        }
        _ => {
            let others = [
                Value::Null,
                json!(true),
                json!(0),
                json!(-1),
                json!(1),
                json!(random.next()),
                json!(u64::MAX),
                json!(i64::MIN),
                json!(1e300),
                json!(0.5),
                json!(""),
                json!("\0"),
                json!("tcp"),
                json!("é".repeat(random.below(300))),
                json!(format!("{:016x}{:016x}", random.next(), random.next())),
                json!([]),
                json!([[[[{}]]]]),
                json!({}),
                json!({"secs": random.next(), "nanos": 1}),
            ];
            *value = random.pick(&others).clone();
        }
    }
}

/// Frames of an honest client, one of them changed.
fn mutated(good: &Recording, random: &mut Random) -> Vec<u8> {
    // The first two are sent already: the nonce and the proof.
    let frames = &good.frames[2..];
    let length = 1 + random.below(frames.len().min(4));
    let changed = random.below(length);
    let mut bytes = Vec::new();
    for (index, frame) in frames[..length].iter().enumerate() {
        let mut frame = frame.clone();
        let by_bytes = random.below(2) == 0;
        if index == changed && !by_bytes {
            mutate_json(&mut frame, random);
        }
        let mut encoded = good.encode(frame.to_string().as_bytes());
        if index == changed && by_bytes {
            mutate_bytes(&mut encoded, random);
        }
        bytes.extend(encoded);
    }
    bytes
}

/// A number of the environment: `EFA_TEST_SEED` and `EFA_TEST_FUZZ_RUNS` choose another seed, and
/// another number of runs.
fn number(name: &str, or: u64) -> u64 {
    std::env::var(name).map_or(or, |value| value.parse().expect("a number"))
}

/// The fuzz targets, without a fuzzer: inputs from the seeds, one, two and more mutations away.
#[test]
fn mutated_inputs_of_parsers_keep_what_holds() {
    let seed = number("EFA_TEST_SEED", 20_261_121);
    for (name, target, seeds) in targets::TARGETS {
        let mut random = Random(seed);
        let mut pool: Vec<Vec<u8>> = seeds.iter().map(|bytes| bytes.to_vec()).collect();
        for input in pool
            .iter()
            .map(Vec::as_slice)
            .chain([&b""[..], b"\xff\xfe\0"])
        {
            target(input);
        }
        for run in 0..number("EFA_TEST_FUZZ_RUNS", 1000) {
            let mut input = random.pick(&pool).clone();
            mutate_bytes(&mut input, &mut random);
            if let Err(panic) = std::panic::catch_unwind(|| target(&input)) {
                eprintln!(
                    "{name}, seed {seed}, run {run}: {:?}",
                    String::from_utf8_lossy(&input)
                );
                std::panic::resume_unwind(panic);
            }
            // Some go on from where others ended.
            if pool.len() < 64 && input.len() < 100_000 {
                pool.push(input);
            }
        }
    }
}

/// Every target has its file in `fuzz/`, and none is left over.
#[test]
fn every_target_is_one_of_libfuzzers() {
    let fuzz = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz");
    let manifest = std::fs::read_to_string(fuzz.join("Cargo.toml")).unwrap();
    let files = std::fs::read_dir(fuzz.join("fuzz_targets")).unwrap();
    let mut names: Vec<String> = files
        .map(|file| {
            file.unwrap()
                .file_name()
                .to_string_lossy()
                .replace(".rs", "")
        })
        .collect();
    names.sort();
    let mut targets = targets::TARGETS.map(|(name, ..)| name);
    targets.sort_unstable();
    assert_eq!(names, targets);
    for name in targets {
        let file = std::fs::read_to_string(fuzz.join(format!("fuzz_targets/{name}.rs"))).unwrap();
        assert!(file.contains(&format!("targets::{name}(bytes)")), "{name}");
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
    }
}

#[test]
fn mutated_frames_are_typed_errors() {
    let seed = number("EFA_TEST_SEED", 20_261_121);
    for library in libraries("mutated_frames_are_typed_errors") {
        let target = Target::start(&library, 5);
        let good = Recording::take(&target, "tcp");
        let descriptors = target.process.descriptors();
        let before_kib = target.process.status_kib("VmHWM");
        let mut random = Random(seed);
        // Every run that gets as far as an endpoint takes 25 ms with 1.17.
        let runs = match library.version().major {
            1 => number("EFA_TEST_FUZZ_RUNS", 300),
            _ => number("EFA_TEST_FUZZ_RUNS", 3000),
        };
        let known: Vec<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        let mut seen = std::collections::BTreeMap::new();
        for run in 0..runs {
            let bytes = mutated(&good, &mut random);
            after_knocking(&target, &good, &bytes, &Then::Close);
            let outcome = target.outcome();
            assert!(
                known.contains(&outcome.as_str()),
                "seed {seed}, run {run}: {outcome} after {:?}",
                String::from_utf8_lossy(&bytes)
            );
            *seen.entry(outcome).or_insert(0) += 1;
        }
        eprintln!("libfabric {}: {runs} runs, {seen:?}", library.version());
        // Mutations went deeper than the first check of a frame.
        assert!(seen.len() >= 3, "{seen:?}");
        target.still_serves("all mutations");
        assert_eq!(target.process.descriptors(), descriptors);
        let grown = target.process.status_kib("VmHWM") - before_kib;
        assert!(grown < MEMORY_KIB, "took {grown} KiB");
    }
}
