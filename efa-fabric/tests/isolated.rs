//! libfabric asked in a child process: environments and libraries that end it, programs that
//! are no child, and callers in unusual states.
//!
//! The child is this binary with [`the_child`] alone; callers that need a process of their own
//! are this binary with one `role_*` test and `EFA_TEST_ROLE` set. Timing decides nothing:
//! deadlines are either never reached, or the child would never end by itself.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use efa_fabric::{
    Answer, ChildCommand, Code, FingerprintKind, Library, Outcome, Question, Relaxation, Step,
    Version, answer_if_child, ask,
};

const LIMIT: Duration = Duration::from_secs(120);
const ROLE: &str = "EFA_TEST_ROLE";
const NOISE: &str = "EFA_TEST_NOISE_MIB";

// ---------------------------------------------------------------- the child and the callers

/// Does nothing, except in a process that `ask` started.
#[test]
fn the_child() {
    if let Some(mib) = std::env::var_os(NOISE) {
        let mib: usize = mib.to_str().unwrap().parse().unwrap();
        let line = [b'x'; 1024];
        let mut out = std::io::stderr().lock();
        for _ in 0..mib * 1024 {
            out.write_all(&line).unwrap();
        }
        out.write_all(b"\n").unwrap();
    }
    answer_if_child();
}

fn child() -> ChildCommand {
    this_test("the_child")
}

fn this_test(name: &str) -> ChildCommand {
    let arguments = ["--exact", name, "--nocapture", "--test-threads=1"];
    ChildCommand::new(std::env::current_exe().unwrap(), arguments)
}

fn shell(script: &str) -> ChildCommand {
    ChildCommand::new("/bin/sh", ["-c", script])
}

/// Runs a `role_*` test in a process of its own and fails with what it wrote if it failed.
fn run_role(name: &str, change: impl FnOnce(&mut Command)) {
    let command = this_test(name);
    let mut command_line = Command::new(command.program());
    command_line
        .args(command.arguments())
        .env(ROLE, name)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    change(&mut command_line);
    let output: Output = command_line.output().unwrap();
    assert!(
        output.status.success(),
        "{name}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed") || name == "role_closed");
}

fn is_role(name: &str) -> bool {
    std::env::var_os(ROLE).is_some_and(|role| role == name)
}

// ---------------------------------------------------------------- what there is to test with

fn system(test: &str) -> Option<PathBuf> {
    match Library::find() {
        Ok(library) => Some(library.path().to_path_buf()),
        Err(error) => {
            eprintln!("SKIPPED {test} on the system's libfabric: {error}");
            None
        }
    }
}

/// A libfabric that lists efa without hardware: 2.2 or later.
fn second(test: &str) -> Option<PathBuf> {
    let path = std::env::var_os("EFA_TEST_LIBFABRIC_2");
    if path.is_none() {
        eprintln!("SKIPPED {test} on libfabric 2.x: EFA_TEST_LIBFABRIC_2 is not set");
    }
    path.map(|path| Path::new(&path).canonicalize().unwrap())
}

fn has_verbs_devices(test: &str) -> bool {
    let has = fs::read_dir("/sys/class/infiniband").is_ok_and(|mut found| found.next().is_some());
    if has {
        eprintln!("SKIPPED part of {test}: this machine has verbs devices");
    }
    has
}

fn about(library: &Path) -> Question {
    let mut question = Question::default();
    question.library = Some(library.to_path_buf());
    question.deadline = LIMIT;
    question
}

fn with(mut question: Question, environment: &[(&str, Option<&str>)]) -> Question {
    question.environment = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.map(str::to_owned)))
        .collect::<BTreeMap<_, _>>();
    question
}

fn answer(question: &Question) -> Answer {
    ask(&child(), question).unwrap_or_else(|error| panic!("{error} {:?}", error.context()))
}

fn provider_names(answer: &Answer) -> Vec<&str> {
    let providers = answer.providers.as_ref().expect("providers are known");
    providers.iter().map(|p| p.name.as_str()).collect()
}

fn count(answer: &Answer, relaxed: &Relaxation) -> (u32, Option<i32>) {
    let trial = answer.trials.iter().find(|trial| trial.relaxed == *relaxed);
    let trial = trial.unwrap_or_else(|| panic!("no trial {relaxed:?} in {:?}", answer.trials));
    (trial.found, trial.errno)
}

// ---------------------------------------------------------------- answers

#[test]
fn a_library_answers() {
    const TEST: &str = "a_library_answers";
    for library in system(TEST).into_iter().chain(second(TEST)) {
        let mut question = with(about(&library), &[("FI_LOG_LEVEL", Some("warn"))]);
        question.provider = "tcp".to_owned();
        let answer = answer(&question);
        assert_eq!(answer.outcome, Outcome::Answered, "{answer:?}");
        let loaded = answer.library.as_ref().unwrap();
        assert_eq!(loaded.path, library);
        assert_eq!(loaded.version, Library::load(&library).unwrap().version());
        assert!(loaded.requested_api <= loaded.version);
        assert_eq!(answer.mapped_libraries, [library.clone()]);
        assert!(provider_names(&answer).contains(&"tcp"));
        assert_eq!(answer.has_provider("TCP"), Some(true));
        assert!(answer.infos.as_ref().unwrap().len() >= 2);
        let infos = answer.efa_infos.as_ref().unwrap();
        assert!(!infos.is_empty());
        assert!(infos.iter().all(|info| info.provider.starts_with("tcp")));
        assert_eq!(answer.efa_errno, None);
        assert_eq!(answer.trials[0].relaxed, Relaxation::Nothing);
        assert!(
            answer.trials.iter().all(|trial| trial.found > 0),
            "{answer:?}"
        );
        assert_eq!(answer.first_help(), None);
        assert!(answer.log.has_info && answer.log.lines > 100);
        assert!(
            answer
                .log
                .registered
                .iter()
                .any(|name| name.starts_with("tcp ("))
        );
        assert_eq!(answer.user_log_level.as_deref(), Some("warn"));
        let json = serde_json::to_string(&answer).unwrap();
        assert_eq!(serde_json::from_str::<Answer>(&json).unwrap(), answer);
    }
}

#[test]
fn without_hardware_efa_is_absent_in_the_way_of_the_version() {
    const TEST: &str = "without_hardware_efa_is_absent_in_the_way_of_the_version";
    if has_verbs_devices(TEST) {
        return;
    }
    if let Some(library) = system(TEST) {
        let answer = answer(&about(&library));
        assert_eq!(answer.outcome, Outcome::Answered);
        assert_eq!(answer.efa_errno, Some(libc::ENODATA));
        assert_eq!(answer.efa_infos.as_deref(), Some(&[][..]));
        if answer.library.unwrap().version < (Version { major: 2, minor: 1 }) {
            assert!(!answer.log.has(FingerprintKind::EmptyList));
            assert!(!answer.log.has(FingerprintKind::NoVerbsDevices));
        }
    }
    if let Some(library) = second(TEST) {
        // Filters that would keep the log from us do not.
        let question = with(
            about(&library),
            &[
                ("FI_LOG_PROV", Some("tcp")),
                ("FI_LOG_SUBSYS", Some("cq")),
                ("FI_LOG_LOCATION", Some("/nowhere")),
            ],
        );
        let answer = answer(&question);
        assert_eq!(answer.has_provider("efa"), Some(true));
        assert_eq!(answer.efa_errno, Some(libc::ENODATA));
        let empty = answer.log.first(FingerprintKind::EmptyList).unwrap();
        assert_eq!(empty.subject.as_deref(), Some("efa"));
        assert!(empty.evidence.starts_with("libfabric:"), "{empty}");
        assert!(
            answer.log.has(FingerprintKind::NoVerbsDevices),
            "{}",
            answer.log
        );
        assert_eq!(answer.first_help(), None);
        assert!(answer.trials.len() >= 5);
    }
}

#[test]
fn filters_of_providers_show() {
    const TEST: &str = "filters_of_providers_show";
    for library in system(TEST).into_iter().chain(second(TEST)) {
        let typo = answer(&with(about(&library), &[("FI_PROVIDER", Some("efaa"))]));
        let unknown = typo.log.first(FingerprintKind::UnknownProvider).unwrap();
        assert_eq!(unknown.subject.as_deref(), Some("efaa"));
        assert_eq!(typo.infos.as_deref(), Some(&[][..]));

        let only_tcp = answer(&with(about(&library), &[("FI_PROVIDER", Some("tcp"))]));
        assert!(!only_tcp.log.has(FingerprintKind::UnknownProvider));
        let filtered: Vec<_> = only_tcp
            .log
            .fingerprints
            .iter()
            .filter(|found| found.kind == FingerprintKind::FilteredProvider)
            .filter_map(|found| found.subject.as_deref())
            .collect();
        assert!(
            filtered.contains(&"udp") && !filtered.contains(&"tcp"),
            "{filtered:?}"
        );
        assert!(
            provider_names(&only_tcp).contains(&"udp"),
            "filtered ones are listed"
        );
        let infos = only_tcp.infos.as_ref().unwrap();
        assert!(
            infos.iter().all(|info| info.provider.starts_with("tcp")),
            "{infos:?}"
        );
        if Some(&library) == second(TEST).as_ref() {
            assert!(filtered.contains(&"efa"));
            assert_eq!(only_tcp.has_provider("efa"), Some(true));
        }
    }
}

#[test]
fn a_hint_that_stands_in_the_way_is_found() {
    const TEST: &str = "a_hint_that_stands_in_the_way_is_found";
    for library in system(TEST).into_iter().chain(second(TEST)) {
        type Change = fn(&mut Question);
        let cases: [(Change, Relaxation, i32); 7] = [
            (
                |q| q.hints.fabric = Some("nowhere".into()),
                Relaxation::Fabric,
                61,
            ),
            (
                |q| q.hints.domain = Some("none-rdm".into()),
                Relaxation::Domain,
                61,
            ),
            (
                |q| q.hints.capabilities.push("FI_MULTICAST".into()),
                Relaxation::Capability("FI_MULTICAST".into()),
                61,
            ),
            (
                |q| q.hints.address_format = Some("FI_ADDR_EFA".into()),
                Relaxation::AddressFormat,
                61,
            ),
            (
                |q| q.hints.max_message_size = Some(1 << 62),
                Relaxation::MaxMessageSize,
                61,
            ),
            (
                |q| q.hints.api_version = Some(Version { major: 9, minor: 0 }),
                Relaxation::ApiVersion,
                libc::ENOSYS,
            ),
            (
                |q| q.hints.endpoint_type = Some("FI_EP_DGRAM".into()),
                Relaxation::EndpointType,
                61,
            ),
        ];
        for (change, relaxed, errno) in cases {
            let mut question = about(&library);
            question.provider = "tcp".to_owned();
            change(&mut question);
            let answer = answer(&question);
            assert_eq!(
                count(&answer, &Relaxation::Nothing),
                (0, Some(errno)),
                "{relaxed:?}"
            );
            assert!(
                count(&answer, &relaxed).0 > 0,
                "{relaxed:?}: {:?}",
                answer.trials
            );
            assert_eq!(answer.first_help().unwrap().relaxed, relaxed);
            assert!(count(&answer, &Relaxation::All).0 > 0);
        }
    }
}

#[test]
fn what_trials_log_stays_with_the_trial() {
    const TEST: &str = "what_trials_log_stays_with_the_trial";
    let Some(library) = second(TEST) else { return };
    let mut question = about(&library);
    question.hints.endpoint_type = Some("FI_EP_MSG".into());
    let answer = answer(&question);
    let has = |relaxed: &Relaxation| {
        let trial = answer.trials.iter().find(|trial| trial.relaxed == *relaxed);
        trial.unwrap().fingerprints.iter().any(|found| {
            found.kind == FingerprintKind::UnsupportedEndpointType && found.number == Some(1)
        })
    };
    assert!(has(&Relaxation::Nothing));
    assert!(has(&Relaxation::Mode));
    assert!(!has(&Relaxation::EndpointType));
    assert!(!answer.log.has(FingerprintKind::UnsupportedEndpointType));
    assert!(answer.trials[0].asked.contains("FI_EP_MSG"));
}

#[test]
fn unknown_names_are_refused() {
    for change in [
        (|q| q.hints.capabilities = vec!["FI_FLY".into()]) as fn(&mut Question),
        |q| q.hints.endpoint_type = Some("rdm".into()),
        |q| q.hints.mr_mode = vec!["LOCAL".into()],
        |q| q.hints.mode = vec![String::new()],
        |q| q.hints.address_format = Some("EFA".into()),
        |q| q.hints.fabric = Some("a\0b".into()),
        |q| q.provider = "a\0b".into(),
        |q| q.provider = "e".repeat(100_000),
        |q| drop(q.environment.insert("A=B".into(), None)),
        |q| drop(q.environment.insert("A".into(), Some("a\0b".into()))),
    ] {
        let mut question = Question::default();
        change(&mut question);
        let error = ask(&child(), &question).unwrap_err();
        assert_eq!(error.code(), Code::InvalidOption, "{question:?}");
    }
}

// ---------------------------------------------------------------- what ends the child

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
            assert_eq!(answer.mapped_libraries, [library.clone()]);
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

// ---------------------------------------------------------------- programs that are no child

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
fn a_loud_child_is_heard_and_bounded() {
    const TEST: &str = "a_loud_child_is_heard_and_bounded";
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

// ---------------------------------------------------------------- callers in unusual states

#[test]
fn many_threads_ask_at_once() {
    const TEST: &str = "many_threads_ask_at_once";
    let Some(library) = system(TEST) else { return };
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| assert_eq!(answer(&about(&library)).outcome, Outcome::Answered));
        }
    });
}

#[test]
fn the_callers_environment_is_the_patient() {
    const TEST: &str = "the_callers_environment_is_the_patient";
    let Some(_) = second(TEST) else { return };
    run_role("role_patient", |command| {
        command
            .env("FI_EFA_MTU_SIZE", "9000")
            .env("FI_LOG_LEVEL", "debug");
    });
}

#[test]
fn role_patient() {
    if !is_role("role_patient") {
        return;
    }
    let library = second("role_patient").unwrap();
    let sick = answer(&about(&library));
    assert!(matches!(sick.outcome, Outcome::Aborted { .. }), "{sick:?}");
    assert_eq!(sick.user_log_level.as_deref(), Some("debug"));
    let cured = answer(&with(about(&library), &[("FI_EFA_MTU_SIZE", None)]));
    assert_eq!(cured.outcome, Outcome::Answered);
}

#[test]
fn ignored_child_signals_do_not_hide_the_end() {
    run_role("role_sigchld", |_| {});
}

#[test]
fn role_sigchld() {
    if !is_role("role_sigchld") {
        return;
    }
    // SAFETY: SIG_IGN is a valid action; this process has no children yet.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
    if let Some(library) = second("role_sigchld") {
        let answer = answer(&with(about(&library), &[("FI_EFA_IFACE", Some(""))]));
        let aborted = Outcome::Aborted {
            signal: 6,
            last_step: Step::Providers,
        };
        assert_eq!(answer.outcome, aborted);
        assert!(answer.log.has(FingerprintKind::EmptyIface));
    }
    if let Some(library) = system("role_sigchld") {
        assert_eq!(answer(&about(&library)).outcome, Outcome::Answered);
    }
    let mut question = Question::default();
    question.deadline = Duration::from_secs(1);
    let hung = ask(&shell("sleep 1000"), &question).unwrap();
    assert_eq!(
        hung.outcome,
        Outcome::TimedOut {
            last_step: Step::Start
        }
    );
    question.deadline = LIMIT;
    let error = ask(&shell("exit 3"), &question).unwrap_err();
    assert_eq!(error.code(), Code::ChildUnusable);
}

#[test]
fn closed_standard_descriptors_do_not_matter() {
    let Some(_) = system("closed_standard_descriptors_do_not_matter") else {
        return;
    };
    run_role("role_closed", |_| {});
}

#[test]
fn role_closed() {
    if !is_role("role_closed") {
        return;
    }
    let library = system("role_closed").unwrap();
    // All combinations: sockets of ours then get the numbers 0, 1 and 2.
    for closed in 1..8 {
        for descriptor in 0..3 {
            if closed & (1 << descriptor) != 0 {
                // SAFETY: nobody here uses the descriptor; output that goes nowhere is fine.
                unsafe { libc::close(descriptor) };
            }
        }
        let answered = ask(&child(), &about(&library));
        if !answered.is_ok_and(|answer| answer.outcome == Outcome::Answered) {
            std::process::exit(40 + closed);
        }
        // Back to /dev/null, lowest first.
        while fs::File::open("/dev/null")
            .map(std::os::fd::OwnedFd::from)
            .is_ok_and(|file| {
                let is_standard = std::os::fd::AsRawFd::as_raw_fd(&file) < 3;
                if is_standard {
                    std::mem::forget(file);
                }
                is_standard
            })
        {}
    }
    std::process::exit(0);
}

#[test]
fn nothing_stays_behind() {
    run_role("role_clean", |_| {});
}

#[test]
fn role_clean() {
    if !is_role("role_clean") {
        return;
    }
    let descriptors = || fs::read_dir("/proc/self/fd").unwrap().count();
    let threads = || fs::read_dir("/proc/self/task").unwrap().count();
    let before = (descriptors(), threads());
    let mut quick = Question::default();
    quick.library = Some(PathBuf::from("/no/such/file"));
    quick.deadline = LIMIT;
    for _ in 0..20 {
        assert!(matches!(answer(&quick).outcome, Outcome::NoLibrary { .. }));
        ask(&shell("exit 1"), &quick).unwrap_err();
        ask(&ChildCommand::new("/no/such/program", [""]), &quick).unwrap_err();
    }
    quick.deadline = Duration::from_millis(200);
    for _ in 0..5 {
        let hung = ask(&shell("sleep 1000"), &quick).unwrap();
        assert!(matches!(hung.outcome, Outcome::TimedOut { .. }));
    }
    assert_eq!((descriptors(), threads()), before);
    // SAFETY: waitpid with a null status only asks.
    let any = unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG) };
    assert_eq!(any, -1, "a child was not waited for");
}

static FORKED: AtomicBool = AtomicBool::new(false);

extern "C" fn forked() {
    FORKED.store(true, Ordering::SeqCst);
}

/// The fork handler of an open libfabric may end the process: ours must never run.
#[test]
fn fork_handlers_do_not_run() {
    run_role("role_fork_handler", |_| {});
}

#[test]
fn role_fork_handler() {
    if !is_role("role_fork_handler") {
        return;
    }
    // SAFETY: the handler only stores to an atomic.
    assert_eq!(unsafe { libc::pthread_atfork(Some(forked), None, None) }, 0);
    let mut question = about(Path::new("/no/such/file"));
    question
        .environment
        .insert("A".to_owned(), Some("b".to_owned()));
    assert!(matches!(
        answer(&question).outcome,
        Outcome::NoLibrary { .. }
    ));
    assert!(!FORKED.load(Ordering::SeqCst));
}

#[test]
fn two_libfabrics_show() {
    const TEST: &str = "two_libfabrics_show";
    let (Some(_), Some(_)) = (system(TEST), second(TEST)) else {
        return;
    };
    run_role("role_two", |_| {});
}

#[test]
fn role_two() {
    if !is_role("role_two") {
        return;
    }
    let second = second("role_two").unwrap();
    assert_eq!(answer(&about(&second)).caller_libraries, [] as [PathBuf; 0]);
    let first = system("role_two").unwrap();
    let answer = answer(&about(&second));
    assert_eq!(answer.caller_libraries, [first.clone()]);
    assert_eq!(answer.mapped_libraries, [second.clone()]);
    assert_eq!(answer.all_libraries(), [second, first]);
}

/// A program that does not call `answer_if_child` first must not start itself without end.
#[test]
fn a_child_never_asks() {
    run_role("role_nested", |command| {
        command.env("EFA_FABRIC_CHILD", "1");
    });
}

#[test]
fn role_nested() {
    if !is_role("role_nested") {
        return;
    }
    let error = ask(&child(), &Question::default()).unwrap_err();
    assert_eq!(error.code(), Code::ChildUnusable);
    assert!(error.cure().unwrap().contains("answer_if_child"));
    // Standard input is not a channel: the variable is left over, and the program goes on.
    answer_if_child();
}
