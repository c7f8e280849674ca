//! Two endpoints of one process.

use super::*;

#[test]
fn loopback_measures_tcp_and_shm() {
    for library in libraries("loopback_measures_tcp_and_shm") {
        for provider in ["tcp", "shm"] {
            let options = quick(provider);
            let report = loopback(&library, &options).unwrap();
            assert_eq!(report.role, Role::Loopback);
            check_report(&report, provider, &options);
            if provider == "tcp" {
                assert_eq!(report.domain, "lo");
                // A native tcp is preferred where there is one.
                assert_eq!(
                    report.provider.contains(';'),
                    library.version().major == 1,
                    "{}",
                    report.provider
                );
            }
        }
    }
}

#[test]
fn options_change_what_is_measured() {
    for library in libraries("options_change_what_is_measured") {
        for provider in ["tcp", "shm"] {
            let mut options = quick(provider);
            options.sizes = vec![8192, 3, 300_000];
            options.buffers = Buffers::Distinct;
            options.window = 5;
            options.bandwidth = true;
            options.max_iterations = 20;
            let report = loopback(&library, &options).unwrap();
            check_report(&report, provider, &options);
            for row in &report.rows {
                let (latency, bandwidth) = (
                    row.latency.as_ref().unwrap(),
                    row.bandwidth.as_ref().unwrap(),
                );
                assert!(latency.iterations <= 20);
                assert_eq!((bandwidth.window, bandwidth.buffers), (5, 5));
                assert!(bandwidth.messages <= 21);
            }
            (options.latency, options.window) = (false, 1);
            let report = loopback(&library, &options).unwrap();
            assert!(
                report
                    .rows
                    .iter()
                    .all(|row| row.latency.is_none() && row.bandwidth.is_some())
            );
            assert!(report.to_string().contains('-'));
        }
    }
}

#[test]
fn bad_sizes_are_typed_before_anything_opens() {
    for library in libraries("bad_sizes") {
        for sizes in [vec![0], vec![64, MAX_SIZE + 1]] {
            let mut options = quick("nosuch");
            options.sizes = sizes;
            assert_eq!(
                loopback(&library, &options).unwrap_err().code(),
                Code::BadSize
            );
            let error = connect(
                &library,
                "127.0.0.1:1",
                &secret(),
                &options,
                Interrupt::never(),
            )
            .unwrap_err();
            assert_eq!(error.code(), Code::BadSize);
        }
    }
}

#[test]
fn loopback_ends_at_its_deadline() {
    for library in libraries("loopback_ends_at_its_deadline") {
        for provider in ["tcp", "shm"] {
            let mut options = endless(provider);
            options.deadline = Duration::from_millis(300);
            let start = Instant::now();
            assert_eq!(
                loopback(&library, &options).unwrap_err().code(),
                Code::Deadline
            );
            assert!(start.elapsed() < LIMIT);
        }
    }
}

/// libfabric 1.17 ended the process when large messages were under way at the end.
#[test]
fn probes_of_large_messages_can_be_interrupted() {
    for library in libraries("probes_of_large_messages_can_be_interrupted") {
        for round in 0..5 {
            let mut options = endless("tcp");
            options.sizes = vec![1 << 20];
            options.latency = false;
            let start = Instant::now();
            let hook = || start.elapsed() > Duration::from_millis(200 + 20 * round);
            let error = loopback_with(&library, &options, Interrupt::new(&hook)).unwrap_err();
            assert_eq!(error.code(), Code::Interrupted, "{error}");
        }
    }
}

#[test]
fn loopback_ends_when_the_caller_wants() {
    for library in libraries("loopback_ends_when_the_caller_wants") {
        for provider in ["tcp", "shm"] {
            for (latency, bandwidth) in [(true, false), (false, true)] {
                let mut options = endless(provider);
                (options.latency, options.bandwidth) = (latency, bandwidth);
                let start = Instant::now();
                let hook = || start.elapsed() > Duration::from_millis(200);
                let error = loopback_with(&library, &options, Interrupt::new(&hook)).unwrap_err();
                assert_eq!(error.code(), Code::Interrupted, "{error}");
                assert!(start.elapsed() < LIMIT);
            }
        }
    }
}

/// By hand: `cargo test -p efa-fabric --test fabric -- --ignored --nocapture`.
#[test]
#[ignore = "takes a minute"]
fn many_loopbacks_leak_nothing() {
    let descriptors = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let resident_kib = || -> i64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("VmRSS:"))
            .unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    for library in libraries("many_loopbacks_leak_nothing") {
        for provider in ["tcp", "shm"] {
            let mut options = quick(provider);
            options.sizes = vec![64, 65_536];
            options.size_budget = Duration::from_millis(1);
            let mut run = |count: usize| {
                for turn in 0..count {
                    // Every third ends early, in the middle of traffic.
                    let start = Instant::now();
                    let hook = || turn % 3 == 0 && start.elapsed() > Duration::from_millis(15);
                    options.size_budget =
                        Duration::from_millis(if turn % 3 == 0 { 1000 } else { 1 });
                    match loopback_with(&library, &options, Interrupt::new(&hook)) {
                        Ok(_) => {}
                        Err(error) => assert_eq!(error.code(), Code::Interrupted, "{error}"),
                    }
                }
            };
            run(20);
            let before = (descriptors(), resident_kib());
            run(200);
            let after = (descriptors(), resident_kib());
            eprintln!(
                "{} {provider}: fds, KiB before {before:?}, after {after:?}",
                library.version()
            );
            assert_eq!(before.0, after.0, "descriptors");
            assert!(after.1 - before.1 < 16 << 10, "memory");
        }
    }
}
