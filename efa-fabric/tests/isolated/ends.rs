//! Environments and libraries that end the child, and programs that are no child.

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use efa_fabric::fabric_log::FingerprintKind;
use efa_fabric::isolated::{ChildCommand, Outcome, Question, Step, ask, ask_with};
use efa_fabric::library::Version;
use efa_fabric::{Code, Interrupt};

use crate::support::{LIMIT, NOISE, about, answer, has_verbs_devices, second, shell, system, with};

#[test]
fn killer_environments_end_the_child_alone() {
    const TEST: &str = "killer_environments_end_the_child_alone";
    use FingerprintKind as Kind;
    let second = second(TEST);
    for (environment, kind, variable) in [
        (
            &[("FI_EFA_MTU_SIZE", "9000")][..],
            Kind::DeprecatedVariable,
            "FI_EFA_MTU_SIZE",
        ),
        (
            &[("FI_EFA_TX_IOV_LIMIT", "")],
            Kind::DeprecatedVariable,
            "FI_EFA_TX_IOV_LIMIT",
        ),
        (
            &[("FI_EFA_RX_IOV_LIMIT", "1")],
            Kind::DeprecatedVariable,
            "FI_EFA_RX_IOV_LIMIT",
        ),
        (&[("FI_EFA_IFACE", "")], Kind::EmptyIface, "FI_EFA_IFACE"),
        (
            &[("FI_EFA_TX_MIN_CREDITS", "0")],
            Kind::BadMinCredits,
            "FI_EFA_TX_MIN_CREDITS",
        ),
        (
            &[("FI_EFA_USE_HUGE_PAGE", "1"), ("FI_EFA_FORK_SAFE", "1")],
            Kind::HugePageWithForkSupport,
            "FI_EFA_USE_HUGE_PAGE",
        ),
        (
            &[("FI_EFA_USE_HUGE_PAGE", "1"), ("RDMAV_FORK_SAFE", "1")],
            Kind::HugePageWithForkSupport,
            "FI_EFA_USE_HUGE_PAGE",
        ),
        (
            &[("FI_EFA_USE_HUGE_PAGE", "1"), ("IBV_FORK_SAFE", "1")],
            Kind::HugePageWithForkSupport,
            "FI_EFA_USE_HUGE_PAGE",
        ),
        // The checks run whatever provider is asked for.
        (
            &[("FI_EFA_MTU_SIZE", "9000"), ("FI_PROVIDER", "tcp")],
            Kind::DeprecatedVariable,
            "FI_EFA_MTU_SIZE",
        ),
    ] {
        let environment: Vec<_> = environment.iter().map(|(n, v)| (*n, Some(*v))).collect();
        // libfabric 2.5: with no device, at the first call.
        if let Some(library) = &second {
            let answer = answer(&with(about(library), &environment));
            let at_set_up = Outcome::Aborted {
                signal: libc::SIGABRT,
                last_step: Step::Providers,
            };
            assert_eq!(answer.outcome, at_set_up, "{environment:?}");
            let found = answer
                .log
                .first(kind)
                .unwrap_or_else(|| panic!("{environment:?}: {answer:?}"));
            assert_eq!(found.subject.as_deref(), Some(variable));
            assert_eq!(answer.library.as_ref().unwrap().path, *library);
            assert_eq!(answer.mapped_libraries, std::slice::from_ref(library));
            assert_eq!(
                (answer.providers, answer.infos, answer.efa_infos),
                (None, None, None)
            );
            assert!(!answer.log.has(Kind::NoVerbsDevices));
        }
        // libfabric 1.17: only where there is a device.
        if let Some(library) = system(TEST).filter(|_| !has_verbs_devices(TEST)) {
            let answer = answer(&with(about(&library), &environment));
            let version = answer.library.as_ref().unwrap().version;
            if version < (Version { major: 2, minor: 2 }) {
                assert_eq!(
                    answer.outcome,
                    Outcome::Answered,
                    "{environment:?} on {version}"
                );
            }
        }
    }
}

#[test]
fn no_library_says_what_was_tried() {
    let libc = fs::read_to_string("/proc/self/maps")
        .unwrap()
        .lines()
        .filter_map(|line| line.split_once('/'))
        .map(|(_, path)| PathBuf::from(format!("/{path}")))
        .find(|path| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with("libc.so"))
        })
        .expect("the C library is mapped");
    for (path, expected) in [
        (libc.as_path(), "fabric.library_invalid"),
        (Path::new("/proc/self/status"), "fabric.library_invalid"),
        (
            Path::new("/no/such/libfabric.so.1"),
            "fabric.library_not_found",
        ),
    ] {
        let answer = answer(&about(path));
        let Outcome::NoLibrary {
            code,
            message,
            searched,
        } = &answer.outcome
        else {
            panic!("{answer:?}");
        };
        assert_eq!(code, expected);
        assert!(
            message.contains(path.file_name().unwrap().to_str().unwrap()),
            "{message}"
        );
        assert!(!searched.is_empty());
        assert_eq!((answer.library, answer.providers), (None, None));
    }
    let mut question = with(
        Question::default(),
        &[("EFA_FABRIC_LIB", Some("/no/such/file"))],
    );
    question.deadline = LIMIT;
    let Outcome::NoLibrary { searched, .. } = answer(&question).outcome else {
        panic!("EFA_FABRIC_LIB was not followed");
    };
    assert_eq!(searched, [Path::new("/no/such/file")]);
}

/// A library whose constructor runs `body`; `None` without a C compiler.
fn library_that(test: &str, body: &str) -> Option<PathBuf> {
    let directory = std::env::temp_dir().join(format!("efa-isolated-{}", std::process::id()));
    fs::create_dir_all(&directory).unwrap();
    let name = body
        .bytes()
        .filter(u8::is_ascii_alphabetic)
        .map(char::from)
        .collect::<String>();
    let (source, library) = (
        directory.join(format!("{name}.c")),
        directory.join(format!("{name}.so")),
    );
    let code = format!(
        "#include <stdio.h>\n#include <stdlib.h>\n#include <unistd.h>\n#include <signal.h>\n__attribute__((constructor)) static void run(void) {{ {body} }}\n"
    );
    fs::write(&source, code).unwrap();
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .args([&library, &source])
        .status();
    if !compiled.is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED {test}: no C compiler");
        return None;
    }
    Some(library)
}

#[test]
fn libraries_that_end_or_stop_the_child() {
    const TEST: &str = "libraries_that_end_or_stop_the_child";
    let aborted = |signal| Outcome::Aborted {
        signal,
        last_step: Step::Load,
    };
    for (body, expected) in [
        ("abort();", aborted(libc::SIGABRT)),
        ("*(volatile int *)0 = 1;", aborted(libc::SIGSEGV)),
        ("raise(SIGKILL);", aborted(libc::SIGKILL)),
        (
            "_exit(7);",
            Outcome::Exited {
                status: Some(7),
                last_step: Step::Load,
            },
        ),
        (
            "printf(\"bye\\n\"); exit(0);",
            Outcome::Exited {
                status: Some(0),
                last_step: Step::Load,
            },
        ),
        (
            "for (;;) pause();",
            Outcome::TimedOut {
                last_step: Step::Load,
            },
        ),
        (
            "raise(SIGSTOP);",
            Outcome::TimedOut {
                last_step: Step::Load,
            },
        ),
    ] {
        let Some(library) = library_that(TEST, body) else {
            return;
        };
        let mut question = about(&library);
        if matches!(expected, Outcome::TimedOut { .. }) {
            question.deadline = Duration::from_secs(2);
        }
        let answer = answer(&question);
        assert_eq!(answer.outcome, expected, "{body}");
        assert_eq!(answer.library, None);
        if body.contains("bye") {
            assert!(answer.output_tail.contains("bye"), "{}", answer.output_tail);
        }
    }
}

#[test]
fn a_child_that_hangs_is_killed_with_its_group() {
    let file = std::env::temp_dir().join(format!("efa-hang-{}", std::process::id()));
    let script = format!(
        "trap '' TERM INT; sleep 1000 & echo $$ $! > {}; wait",
        file.display()
    );
    let mut question = Question::default();
    question.deadline = Duration::from_secs(1);
    let started = Instant::now();
    let answer = ask(&shell(&script), &question).unwrap();
    assert_eq!(
        answer.outcome,
        Outcome::TimedOut {
            last_step: Step::Start
        }
    );
    assert!(started.elapsed() < Duration::from_secs(500));
    let pids = fs::read_to_string(&file).unwrap();
    fs::remove_file(&file).unwrap();
    for pid in pids.split_whitespace() {
        // A killed orphan may wait for init a moment; then its state is Z.
        let gone = || {
            fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| {
                stat.rsplit(')').next().unwrap().trim().starts_with('Z')
            })
        };
        let limit = Instant::now() + LIMIT;
        while !gone() && Instant::now() < limit {
            std::thread::sleep(Duration::from_millis(10));
        }
        assert!(gone(), "{pid} of {pids} lives");
    }
}

#[test]
fn a_process_that_is_left_behind_does_not_hold_us() {
    let mut question = Question::default();
    question.deadline = LIMIT;
    let started = Instant::now();
    let error = ask(&shell("sleep 1000 & exit 5"), &question).unwrap_err();
    assert_eq!(error.code(), Code::ChildUnusable);
    assert_eq!(error.context_value("status"), Some("5"));
    assert!(started.elapsed() < LIMIT / 2);
}

#[test]
fn programs_that_are_no_child_are_refused() {
    let mut question = Question::default();
    question.deadline = LIMIT;
    for (script, status, output) in [
        ("echo hello; exit 3", Some("3"), "hello"),
        ("exit 0", Some("0"), ""),
        (
            "head -c 100000000 /dev/zero | tr '\\0' x; echo end >&2; exit 4",
            Some("4"),
            "end",
        ),
        ("echo no json >&0", None, ""),
        ("echo '{\"hello\":99}' >&0", None, ""),
        ("head -c 100000000 /dev/zero >&0", None, ""),
    ] {
        let error = ask(&shell(script), &question).unwrap_err();
        assert_eq!(error.code(), Code::ChildUnusable, "{script}");
        assert!(error.cure().unwrap().contains("answer_if_child"), "{error}");
        assert_eq!(error.context_value("status"), status, "{script}");
        let tail = error.context_value("output").unwrap();
        assert!(tail.contains(output) && tail.len() <= 4096, "{script}");
    }
    let killed = ask(&shell("kill -9 $$"), &question).unwrap();
    assert_eq!(
        killed.outcome,
        Outcome::Aborted {
            signal: 9,
            last_step: Step::Start
        }
    );
    let missing = ask(&ChildCommand::new("/no/such/program", [""]), &question).unwrap_err();
    assert_eq!(missing.code(), Code::ChildUnusable);
    assert!(missing.message().contains("/no/such/program"));
}

#[test]
fn a_loud_child_is_read_and_bounded() {
    const TEST: &str = "a_loud_child_is_read_and_bounded";
    let Some(library) = second(TEST).or_else(|| system(TEST)) else {
        return;
    };
    let answer = answer(&with(about(&library), &[(NOISE, Some("100"))]));
    assert_eq!(answer.outcome, Outcome::Answered);
    assert!(answer.log.is_cut && answer.log.lines > 100);
    assert!(
        !answer.log.has(FingerprintKind::NoVerbsDevices),
        "absence proves nothing here"
    );
}

#[test]
fn a_caller_that_wishes_to_stop_does_not_wait() {
    let mut question = Question::default();
    question.deadline = Duration::MAX;
    let asked = Cell::new(0);
    let hook = || {
        asked.set(asked.get() + 1);
        asked.get() > 3
    };
    let started = Instant::now();
    let stopped = ask_with(&shell("sleep 1000"), &question, Interrupt::new(&hook));
    assert_eq!(stopped.unwrap_err().code(), Code::Interrupted);
    assert!(started.elapsed() < Duration::from_secs(500));
}
