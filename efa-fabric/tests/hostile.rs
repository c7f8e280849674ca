//! Hostile input at the rendezvous: whatever comes, the server goes on or ends with a typed
//! error within its deadline, without a panic and without taking memory that was not agreed on.
//!
//! The server is a child process. What an honest client sends is recorded on the way between
//! two real sides, so that the frames below are those of this version.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use efa_fabric::{Code, Interrupt, Library, ServeOptions, Server, connect};
use serde_json::{Value, json};

#[path = "support/processes.rs"]
mod processes;
use processes::{LIMIT, Process, argument, libraries, quick};

/// Bytes before the JSON of a frame: magic, version, length.
const HEADER: usize = 10;
/// Largest message that the servers here take.
const MAX_SIZE: usize = 1 << 20;
/// What a server may take beyond its own start: two endpoints of libfabric 1.17 over tcp are
/// 64 MiB each, buffers for the largest message a few.
const MEMORY_KIB: u64 = 400 << 10;

// -------------------------------------------------------------------------------- the child

/// Not a test: serves one peer after another, and says how each ended.
#[test]
fn child() {
    if std::env::var_os("EFA_TEST_ROLE").is_none() {
        return;
    }
    let library = Library::find().unwrap();
    let server = Server::bind(Server::LOOPBACK, "secret").unwrap();
    let mut options = ServeOptions::default();
    options.max_size = MAX_SIZE;
    options.deadline = Duration::from_secs(argument("DEADLINE").parse().unwrap());
    println!("\n@address {}", server.address());
    loop {
        match server.serve_one(&library, &options, Interrupt::never()) {
            Ok(_) => println!("\n@served ok"),
            Err(error) => println!("\n@served {} {error}", error.code().as_str()),
        }
    }
}

struct Target {
    library: Arc<Library>,
    process: Process,
    address: String,
}

impl Target {
    fn start(library: &Arc<Library>, deadline_s: u32) -> Self {
        let deadline = deadline_s.to_string();
        let process = Process::start(
            "serve",
            library.path(),
            &[("EFA_TEST_DEADLINE", &deadline), ("FI_TCP_IFACE", "lo")],
        );
        let address = process.line("@address");
        Self {
            library: Arc::clone(library),
            process,
            address,
        }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream
    }

    fn outcome(&self) -> String {
        let line = self.process.line("@served");
        line.split(' ').next().unwrap().to_owned()
    }

    /// The server still does its job.
    fn still_serves(&self, after: &str) {
        let mut options = quick("tcp");
        options.connect_timeout = LIMIT;
        let never = Interrupt::never();
        connect(&self.library, &self.address, "secret", &options, never)
            .unwrap_or_else(|error| panic!("after {after}: {error}"));
        assert_eq!(self.outcome(), "ok", "after {after}");
    }
}

// ------------------------------------------------------------------------------- recording

/// What an honest client sends, frame by frame.
#[derive(Clone)]
struct Recording {
    /// Magic and version.
    prefix: Vec<u8>,
    frames: Vec<Value>,
}

impl Recording {
    /// Of a probe over this provider, taken between both sides.
    fn take(target: &Target, provider: &str) -> Self {
        let between = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = between.local_addr().unwrap().to_string();
        let onward = target.address.clone();
        let recording = std::thread::spawn(move || {
            let (client, _) = between.accept().unwrap();
            let server = TcpStream::connect(onward).unwrap();
            for stream in [&client, &server] {
                stream.set_nodelay(true).unwrap();
            }
            let (mut from_server, mut to_client) =
                (server.try_clone().unwrap(), client.try_clone().unwrap());
            let back = std::thread::spawn(move || {
                std::io::copy(&mut from_server, &mut to_client).ok();
                to_client.shutdown(Shutdown::Both).ok();
            });
            let (mut from_client, mut to_server) = (client, server);
            let (mut bytes, mut chunk) = (Vec::new(), [0; 4096]);
            loop {
                match from_client.read(&mut chunk) {
                    Ok(0) | Err(_) => break,
                    Ok(count) => {
                        bytes.extend_from_slice(&chunk[..count]);
                        to_server.write_all(&chunk[..count]).unwrap();
                    }
                }
            }
            to_server.shutdown(Shutdown::Both).ok();
            back.join().unwrap();
            bytes
        });
        let options = quick(provider);
        connect(
            &target.library,
            &address,
            "secret",
            &options,
            Interrupt::never(),
        )
        .unwrap();
        assert_eq!(target.outcome(), "ok");
        Self::parse(&recording.join().unwrap())
    }

    fn parse(mut bytes: &[u8]) -> Self {
        let prefix = bytes[..6].to_vec();
        let mut frames = Vec::new();
        while !bytes.is_empty() {
            assert_eq!(bytes[..6], prefix);
            let length = u32::from_be_bytes(bytes[6..HEADER].try_into().unwrap()) as usize;
            frames.push(serde_json::from_slice(&bytes[HEADER..HEADER + length]).unwrap());
            bytes = &bytes[HEADER + length..];
        }
        Self { prefix, frames }
    }

    fn frame(&self, name: &str) -> Value {
        let found = self.frames.iter().find(|frame| frame.get(name).is_some());
        found
            .unwrap_or_else(|| panic!("no {name} was recorded"))
            .clone()
    }

    /// A recorded frame with one value changed, by JSON pointer.
    fn changed(&self, name: &str, pointer: &str, value: Value) -> Vec<u8> {
        let mut frame = self.frame(name);
        *frame
            .pointer_mut(&format!("/{name}{pointer}"))
            .unwrap_or_else(|| panic!("no {pointer} in {name}")) = value;
        self.encode(frame.to_string().as_bytes())
    }

    fn encode(&self, body: &[u8]) -> Vec<u8> {
        self.with_length(body.len() as u32, body)
    }

    fn with_length(&self, length: u32, body: &[u8]) -> Vec<u8> {
        [&self.prefix, length.to_be_bytes().as_slice(), body].concat()
    }

    fn knock(&self, token: Value) -> Vec<u8> {
        self.changed("Knock", "/token", token)
    }
}

// --------------------------------------------------------------------------- without a token

enum Then {
    Close,
    Reset,
    /// Waits until the server gives up.
    Wait,
    /// Sends a byte now and then until the server gives up.
    Drip,
}

fn reset(stream: TcpStream) {
    use std::os::fd::AsRawFd;
    let linger = libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    // SAFETY: the descriptor is open, the option's value is of the type that it takes.
    let code = unsafe {
        libc::setsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_LINGER,
            (&raw const linger).cast(),
            size_of_val(&linger) as libc::socklen_t,
        )
    };
    assert_eq!(code, 0);
    drop(stream);
}

/// Reads until the server closes, within [`LIMIT`].
fn until_closed(stream: &mut TcpStream) {
    let end = Instant::now() + LIMIT;
    let mut chunk = [0; 4096];
    loop {
        assert!(Instant::now() < end, "the server keeps the connection");
        match stream.read(&mut chunk) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => {
                assert_ne!(
                    error.kind(),
                    ErrorKind::WouldBlock,
                    "the connection was kept"
                );
                return;
            }
        }
    }
}

fn without_a_token(good: &Recording) -> Vec<(&'static str, Vec<u8>, Then)> {
    let (magic, version) = good.prefix.split_at(4);
    let other_version = [magic, &[version[0], version[1] + 1], &[0, 0, 0, 2], b"{}"].concat();
    let knock = good.knock(json!("secret"));
    let twice = br#"{"Knock":{"token":"guess","token":"secret"}}"#;
    let more = br#"{"Knock":{"token":"guess"}}{"Knock":{"token":"secret"}}"#;
    let deep = [b"{\"Knock\":".as_slice(), &b"[".repeat(200_000)].concat();
    let wide = format!("{{\"Knock\":[{}0]}}", "0,".repeat(100_000));
    vec![
        ("nothing, closed", vec![], Then::Close),
        ("nothing, reset", vec![], Then::Reset),
        ("nothing, and waits", vec![], Then::Wait),
        ("half of the magic", magic[..2].to_vec(), Then::Wait),
        ("half of the header", good.prefix.clone(), Then::Wait),
        (
            "half of a frame, closed",
            knock[..knock.len() - 3].to_vec(),
            Then::Close,
        ),
        (
            "half of a frame, and waits",
            knock[..knock.len() - 3].to_vec(),
            Then::Wait,
        ),
        ("a frame, slowly", good.encode(&[b' '; 200_000]), Then::Drip),
        ("http", b"GET / HTTP/1.1\r\n\r\n".to_vec(), Then::Wait),
        (
            "tls",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
            Then::Wait,
        ),
        ("zeros", vec![0; 100_000], Then::Close),
        ("another version", other_version, Then::Wait),
        (
            "the longest length",
            good.with_length(u32::MAX, b"{"),
            Then::Wait,
        ),
        (
            "a length of 16 MiB",
            good.with_length(16 << 20, b"{"),
            Then::Wait,
        ),
        ("an empty frame", good.encode(b""), Then::Wait),
        (
            "no utf-8",
            good.encode(b"{\"Knock\":{\"token\":\"\xff\xfe\"}}"),
            Then::Wait,
        ),
        (
            "half a surrogate",
            good.encode(br#"{"Knock":{"token":"\ud800"}}"#),
            Then::Wait,
        ),
        ("deep json", good.encode(&deep), Then::Wait),
        ("wide json", good.encode(wide.as_bytes()), Then::Wait),
        (
            "a number of 200,000 digits",
            good.encode(&b"9".repeat(200_000)),
            Then::Wait,
        ),
        ("another token", good.knock(json!("guess")), Then::Wait),
        ("no token", good.knock(json!("")), Then::Wait),
        (
            "a token and a NUL",
            good.knock(json!("secret\0")),
            Then::Wait,
        ),
        (
            "a long token",
            good.knock(json!("s".repeat(200_000))),
            Then::Wait,
        ),
        ("a token that is a number", good.knock(json!(7)), Then::Wait),
        (
            "a token that is a list",
            good.knock(json!(["secret"])),
            Then::Wait,
        ),
        ("two tokens", good.encode(twice), Then::Wait),
        ("two values in a frame", good.encode(more), Then::Wait),
        (
            "hello before knocking",
            good.encode(good.frame("Hello").to_string().as_bytes()),
            Then::Wait,
        ),
        (
            "an unknown frame",
            good.encode(br#"{"Open":{}}"#),
            Then::Wait,
        ),
    ]
}

#[test]
fn strangers_do_not_end_the_wait() {
    for library in libraries("strangers_do_not_end_the_wait") {
        let target = Target::start(&library, 30);
        let good = Recording::take(&target, "tcp");
        let descriptors = target.process.descriptors();
        let before_kib = target.process.status_kib("VmHWM");
        for (name, bytes, then) in without_a_token(&good) {
            let mut stream = target.connect();
            match then {
                Then::Drip => {
                    let end = Instant::now() + LIMIT;
                    for byte in &bytes {
                        if stream.write_all(&[*byte]).is_err() {
                            break;
                        }
                        assert!(Instant::now() < end, "{name}: still listened to");
                        std::thread::sleep(Duration::from_millis(50));
                    }
                }
                _ => drop(stream.write_all(&bytes)),
            }
            match then {
                Then::Close => drop(stream),
                Then::Reset => reset(stream),
                Then::Wait | Then::Drip => until_closed(&mut stream),
            }
        }
        // None of them ended `serve_one`: its first word is about the honest one.
        target.still_serves("all strangers");
        assert_eq!(target.process.descriptors(), descriptors);
        let grown = target.process.status_kib("VmHWM") - before_kib;
        assert!(grown < MEMORY_KIB, "took {grown} KiB");
    }
}

// ------------------------------------------------------------------------- with the token

struct Case {
    name: String,
    /// Sent after knocking with the right token.
    bytes: Vec<u8>,
    then: Then,
    codes: &'static [Code],
}

const REFUSED: &[Code] = &[Code::RendezvousRefused];
const GONE: &[Code] = &[Code::Unreachable];
const INVALID: &[Code] = &[Code::InvalidOption];
const SIZE: &[Code] = &[Code::BadSize];
const ABSENT: &[Code] = &[Code::ProviderNotFound];
/// An address that leads nowhere: the provider may say so at once or the peer's end comes first.
const NOWHERE: &[Code] = &[Code::RendezvousRefused, Code::Unreachable, Code::CallFailed];

fn with_the_token(good: &Recording, address_digits: usize) -> Vec<Case> {
    let case = |name: &str, bytes: Vec<u8>, then, codes| Case {
        name: name.to_owned(),
        bytes,
        then,
        codes,
    };
    let hello = good.encode(good.frame("Hello").to_string().as_bytes());
    let begin = good.encode(good.frame("Begin").to_string().as_bytes());
    let knock = good.knock(json!("secret"));
    let end = good.encode(br#"{"End":{"count":1}}"#);
    let mut cases = vec![
        case("closes", vec![], Then::Close, GONE),
        case("resets", vec![], Then::Reset, GONE),
        case("is silent", vec![], Then::Wait, &[Code::Deadline]),
        case("garbage", vec![0xff; 5000], Then::Wait, REFUSED),
        case(
            "garbage, then closes",
            vec![0xff; 5000],
            Then::Close,
            REFUSED,
        ),
        case(
            "the longest length",
            good.with_length(u32::MAX, b"{"),
            Then::Wait,
            REFUSED,
        ),
        case(
            "half of hello",
            hello[..hello.len() / 2].to_vec(),
            Then::Close,
            GONE,
        ),
        case(
            "deep json",
            good.encode(&b"{\"Hello\":".repeat(20_000)),
            Then::Wait,
            REFUSED,
        ),
        case("knocks again", knock, Then::Wait, REFUSED),
        case("begins before hello", begin.clone(), Then::Wait, REFUSED),
        case(
            "hello twice",
            [hello.clone(), hello.clone()].concat(),
            Then::Wait,
            REFUSED,
        ),
        case("hello, then closes", hello.clone(), Then::Close, GONE),
        case(
            "hello, then garbage",
            [hello.as_slice(), &[7; 99]].concat(),
            Then::Wait,
            REFUSED,
        ),
        case(
            "ends what never began",
            [hello.clone(), end].concat(),
            Then::Wait,
            REFUSED,
        ),
        case(
            "begins, then closes",
            [hello.clone(), begin].concat(),
            Then::Close,
            GONE,
        ),
    ];
    for (pointer, value, codes) in [
        ("/side/address", json!(""), REFUSED),
        ("/side/address", json!("0"), REFUSED),
        (
            "/side/address",
            json!("zz".repeat(address_digits / 2)),
            REFUSED,
        ),
        (
            "/side/address",
            json!("00".repeat(address_digits / 2 - 1)),
            REFUSED,
        ),
        (
            "/side/address",
            json!("00".repeat(address_digits / 2 + 1)),
            REFUSED,
        ),
        ("/side/address", json!("00".repeat(100_000)), REFUSED),
        (
            "/side/address",
            json!("é".repeat(address_digits / 2)),
            REFUSED,
        ),
        (
            "/side/address",
            json!("00".repeat(address_digits / 2)),
            NOWHERE,
        ),
        (
            "/side/address",
            json!("ff".repeat(address_digits / 2)),
            NOWHERE,
        ),
        ("/side/address_format", json!("FI_ADDR_STR"), ABSENT),
        ("/side/address_format", json!("FI_NOTHING"), ABSENT),
        ("/side/protocol", json!("FI_PROTO_NOTHING"), ABSENT),
        ("/side/tx_size", json!(0), GONE),
        ("/side/rx_size", json!(0), GONE),
        ("/side/tx_size", json!(u64::MAX), GONE),
        ("/side/tx_size", json!(-1), REFUSED),
        ("/side/peer/provider", json!("nosuch"), ABSENT),
        ("/side/peer/provider", json!("p".repeat(100_000)), ABSENT),
        (
            "/side/peer/provider",
            json!("tcp\0;ofi_rxm"),
            &[Code::InvalidOption, Code::ProviderNotFound],
        ),
        ("/side/peer/domain", json!("d".repeat(100_000)), GONE),
        ("/options/window", json!(0), INVALID),
        ("/options/window", json!(u32::MAX), INVALID),
        ("/options/min_iterations", json!(0), INVALID),
        ("/options/max_iterations", json!(u32::MAX), INVALID),
        ("/options/sizes", json!([]), INVALID),
        ("/options/sizes", json!(vec![1; 300]), INVALID),
        ("/options/sizes", json!([0]), SIZE),
        ("/options/sizes", json!([MAX_SIZE + 1]), SIZE),
        ("/options/sizes", json!([u64::MAX]), SIZE),
        ("/options/sizes", json!([1.5]), REFUSED),
        ("/options/deadline", json!({"secs": 0, "nanos": 0}), INVALID),
        (
            "/options/deadline",
            json!({"secs": u64::MAX, "nanos": 999_999_999}),
            GONE,
        ),
        (
            "/options/deadline",
            json!({"secs": u64::MAX, "nanos": u32::MAX}),
            REFUSED,
        ),
        ("/options/buffers", json!("none"), REFUSED),
        ("/options/endpoint/provider", json!(""), INVALID),
    ] {
        let shown: String = value.to_string().chars().take(30).collect();
        cases.push(case(
            &format!("hello with {pointer} {shown}"),
            good.changed("Hello", pointer, value),
            Then::Close,
            codes,
        ));
    }
    for (pointer, value, codes) in [
        ("/size", json!(0), SIZE),
        ("/size", json!(MAX_SIZE), SIZE),
        ("/size", json!(u64::MAX), SIZE),
        ("/quantum", json!(0), SIZE),
        ("/quantum", json!(-1), REFUSED),
        ("/kind", json!("Nothing"), REFUSED),
    ] {
        cases.push(case(
            &format!("begin with {pointer} {value}"),
            [hello.clone(), good.changed("Begin", pointer, value)].concat(),
            Then::Wait,
            codes,
        ));
    }
    cases
}

/// Knocks, waits to be let in, sends the bytes and does what then is to be done.
fn after_knocking(target: &Target, good: &Recording, bytes: &[u8], then: &Then) {
    let mut stream = target.connect();
    stream.write_all(&good.knock(json!("secret"))).unwrap();
    let mut header = [0; HEADER];
    stream.read_exact(&mut header).unwrap();
    let length = u32::from_be_bytes(header[6..].try_into().unwrap()) as usize;
    stream.read_exact(&mut vec![0; length]).unwrap();
    // The server may close before it has read everything.
    stream.write_all(bytes).ok();
    match then {
        Then::Close => {
            // What the server still says is left unread: half of the connection goes on.
            stream.shutdown(Shutdown::Write).ok();
            until_closed(&mut stream);
        }
        Then::Reset => reset(stream),
        Then::Wait | Then::Drip => until_closed(&mut stream),
    }
}

#[test]
fn who_has_the_token_and_sends_nonsense_is_a_typed_error() {
    for library in libraries("who_has_the_token_and_sends_nonsense") {
        let target = Target::start(&library, 5);
        let good = Recording::take(&target, "tcp");
        let digits = good.frame("Hello")["Hello"]["side"]["address"]
            .as_str()
            .unwrap()
            .len();
        let descriptors = target.process.descriptors();
        let before_kib = target.process.status_kib("VmHWM");
        for case in with_the_token(&good, digits) {
            let start = Instant::now();
            after_knocking(&target, &good, &case.bytes, &case.then);
            let outcome = target.outcome();
            assert!(start.elapsed() < LIMIT, "{}", case.name);
            assert!(
                case.codes.iter().any(|code| code.as_str() == outcome),
                "{}: {outcome}, not one of {:?}",
                case.name,
                case.codes
            );
        }
        target.still_serves("all nonsense");
        assert_eq!(target.process.descriptors(), descriptors);
        let grown = target.process.status_kib("VmHWM") - before_kib;
        assert!(grown < MEMORY_KIB, "took {grown} KiB");
    }
}

// --------------------------------------------------------------------------------- mutation

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
    let frames = &good.frames[1..];
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

/// `EFA_TEST_SEED` and `EFA_TEST_FUZZ_RUNS` choose another seed and number.
#[test]
fn mutated_frames_are_typed_errors() {
    let number = |name: &str, or: u64| {
        std::env::var(name).map_or(or, |value| value.parse().expect("a number"))
    };
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
        // Mutations went deeper than the first look at a frame.
        assert!(seen.len() >= 3, "{seen:?}");
        target.still_serves("all mutations");
        assert_eq!(target.process.descriptors(), descriptors);
        let grown = target.process.status_kib("VmHWM") - before_kib;
        assert!(grown < MEMORY_KIB, "took {grown} KiB");
    }
}
