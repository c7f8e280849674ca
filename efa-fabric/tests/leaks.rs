//! Opening and closing endpoints leaks no descriptor and no memory, on both libfabrics.
//!
//! Counted are the bytes that Rust holds (exactly, by this binary's allocator), the bytes that
//! malloc holds for everyone, resident memory and descriptors: after a warm-up, at half and at
//! the end, because what is taken once shows in the first half only. What libfabric itself keeps
//! is measured apart, by a C program that opens and closes in the same order, and taken off.
//!
//! Every case is a process of its own, so that no other test's memory is counted. A normal run
//! makes 10,000 cycles with libfabric 2.x, and fewer with 1.17, where one takes 5 ms on `shm` and
//! 25 ms on `tcp` (its layer over tcp clears 64 MiB for each endpoint); all 10,000 of each with
//! `EFA_TEST_CYCLES=10000 cargo test -p efa-fabric --test leaks -- --nocapture`.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use efa_fabric::Library;
use efa_fabric::endpoint::{Endpoint, EndpointOptions};

/// What the two halves may differ by for each cycle, in bytes of malloc, beyond what C's do.
const BYTES_PER_CYCLE: i64 = 16;
/// Bytes by which the allocator's own bookkeeping may move.
const SLACK: i64 = 64 << 10;

struct Counting;

static RUST_BYTES: AtomicI64 = AtomicI64::new(0);

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        RUST_BYTES.fetch_add(layout.size() as i64, Ordering::Relaxed);
        // SAFETY: by this function's contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        RUST_BYTES.fetch_sub(layout.size() as i64, Ordering::Relaxed);
        // SAFETY: by this function's contract.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What a process holds at one time.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Held {
    descriptors: i64,
    malloc: i64,
    resident_kib: i64,
}

impl Held {
    fn now() -> Self {
        let descriptors = std::fs::read_dir("/proc/self/fd").unwrap().count() as i64;
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let resident = line.unwrap().split_whitespace().nth(1).unwrap();
        let resident_kib = resident.parse().unwrap();
        drop(status);
        // SAFETY: takes no argument, and only reads the allocator's counters.
        let heap = unsafe { libc::mallinfo2() };
        Self {
            descriptors,
            malloc: (heap.uordblks + heap.hblkhd) as i64,
            resident_kib,
        }
    }

    fn parse(line: &str) -> Self {
        let mut numbers = line.split_whitespace().map(|word| word.parse().unwrap());
        let mut next = || numbers.next().unwrap();
        Self {
            descriptors: next(),
            malloc: next(),
            resident_kib: next(),
        }
    }
}

/// Not a test: one case, in the process that [`ours`] starts.
#[test]
fn child() {
    let Ok(provider) = std::env::var("EFA_TEST_PROVIDER") else {
        return;
    };
    let number = |name: &str| std::env::var(name).unwrap().parse::<usize>().unwrap();
    let (warm_up, half) = (
        number("EFA_TEST_WARM_UP"),
        number("EFA_TEST_CHILD_CYCLES") / 2,
    );
    let library = Library::find().unwrap();
    let options = EndpointOptions::new(provider);
    let run = |count: usize| {
        for _ in 0..count {
            let endpoint = Endpoint::open(&library, &options).unwrap();
            assert!(!endpoint.address().is_empty());
        }
    };
    run(warm_up);
    let rust_bytes = || RUST_BYTES.load(Ordering::Relaxed);
    let (before, start) = (rust_bytes(), Held::now());
    run(half);
    let middle = Held::now();
    run(half);
    let (after, end) = (rust_bytes(), Held::now());
    println!("\n@rust {}", after - before);
    for held in [start, middle, end] {
        println!(
            "@held {} {} {}",
            held.descriptors, held.malloc, held.resident_kib
        );
    }
}

struct Case<'a> {
    library: &'a Arc<Library>,
    provider: &'static str,
    cycles: usize,
}

impl Case<'_> {
    fn warm_up(&self) -> usize {
        (self.cycles / 10).clamp(10, 200)
    }

    /// Growth of Rust's own bytes, and what was held at start, half and end.
    fn ours(&self) -> (i64, [Held; 3]) {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["child", "--exact", "--nocapture"])
            .env("EFA_FABRIC_LIB", self.library.path())
            .env("EFA_TEST_PROVIDER", self.provider)
            .env("EFA_TEST_WARM_UP", self.warm_up().to_string())
            .env("EFA_TEST_CHILD_CYCLES", self.cycles.to_string())
            .env("FI_TCP_IFACE", "lo")
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        let lines = |word: &'static str| text.lines().filter_map(move |l| l.strip_prefix(word));
        let rust = lines("@rust ").next().unwrap().parse().unwrap();
        let held: Vec<_> = lines("@held ").map(Held::parse).collect();
        (rust, held.try_into().unwrap())
    }

    /// The same by C, where it was built.
    fn c(&self, program: &Path) -> [Held; 3] {
        let output = Command::new(program)
            .args([
                self.provider,
                &self.warm_up().to_string(),
                &self.cycles.to_string(),
            ])
            .env("LD_LIBRARY_PATH", self.library.path().parent().unwrap())
            .env("FI_TCP_IFACE", "lo")
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        let held: Vec<_> = text.lines().map(Held::parse).collect();
        held.try_into().unwrap()
    }

    fn check(&self, c_program: Option<&Path>) {
        let name = format!("libfabric {} {}", self.library.version(), self.provider);
        let (rust, [start, middle, end]) = self.ours();
        eprintln!(
            "{name}: {} cycles, Rust {rust:+} B, {start:?} {middle:?} {end:?}",
            self.cycles
        );
        assert_eq!(rust, 0, "{name}: bytes that Rust holds");
        assert_eq!(start.descriptors, end.descriptors, "{name}: descriptors");

        let half = (self.cycles / 2) as i64;
        let mut allowed = SLACK + BYTES_PER_CYCLE * half;
        let mut resident_allowed = 1024;
        if let Some(program) = c_program {
            let [c_start, c_middle, c_end] = self.c(program);
            eprintln!("{name}: in C {c_start:?} {c_middle:?} {c_end:?}");
            assert_eq!(c_start.descriptors, c_end.descriptors, "{name}: in C");
            allowed += (c_end.malloc - c_middle.malloc).max(0);
            resident_allowed += 2 * (c_end.resident_kib - c_middle.resident_kib).max(0);
        }
        let grown = end.malloc - middle.malloc;
        assert!(
            grown <= allowed,
            "{name}: malloc grew by {grown} bytes in {half} cycles, more than {allowed}"
        );
        let grown = end.resident_kib - middle.resident_kib;
        assert!(
            grown <= resident_allowed,
            "{name}: memory grew by {grown} KiB in {half} cycles, more than {resident_allowed}"
        );
    }
}

/// The C program, linked with the system's libfabric by its soname: either version runs it.
fn c_program() -> Option<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/open_close.c");
    let program = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("open_close");
    let built = Command::new("cc")
        .args(["-O1", "-o"])
        .arg(&program)
        .arg(source)
        .arg("-lfabric")
        .output();
    match built {
        Ok(output) if output.status.success() => Some(program),
        outcome => {
            eprintln!(
                "SKIPPED what libfabric itself keeps: no C compiler or headers ({outcome:?})"
            );
            None
        }
    }
}

fn check_all(library: &Arc<Library>) {
    let asked = std::env::var("EFA_TEST_CYCLES").ok();
    let asked = asked.map(|value| value.parse::<usize>().unwrap());
    let program = c_program();
    for (provider, fewer) in [("tcp", 100), ("shm", 600)] {
        let normal = match library.version().major {
            1 => fewer,
            _ => 10_000,
        };
        let cycles = asked.unwrap_or(normal);
        let case = Case {
            library,
            provider,
            cycles,
        };
        case.check(program.as_deref());
    }
}

#[test]
fn cycles_leak_nothing_with_the_systems_libfabric() {
    match Library::find() {
        Ok(library) => check_all(&library),
        Err(error) => eprintln!("SKIPPED cycles on the system's libfabric: {error}"),
    }
}

#[test]
fn cycles_leak_nothing_with_a_second_libfabric() {
    let Some(path) = std::env::var_os("EFA_TEST_LIBFABRIC_2") else {
        eprintln!("SKIPPED cycles on libfabric 2.x: EFA_TEST_LIBFABRIC_2 is not set");
        return;
    };
    check_all(&Library::load(Path::new(&path)).unwrap());
}
