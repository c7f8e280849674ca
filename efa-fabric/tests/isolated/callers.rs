//! Callers in unusual states.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use efa_fabric::Code;
use efa_fabric::fabric_log::FingerprintKind;
use efa_fabric::isolated::{ChildCommand, Outcome, Question, Step, answer_if_child, ask};

use crate::support::{LIMIT, about, answer, child, is_role, run_role, second, shell, system, with};

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
    run_role("callers::role_patient", |command| {
        command
            .env("FI_EFA_MTU_SIZE", "9000")
            .env("FI_LOG_LEVEL", "debug");
    });
}

#[test]
fn role_patient() {
    if !is_role("callers::role_patient") {
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
    run_role("callers::role_sigchld", |_| {});
}

#[test]
fn role_sigchld() {
    if !is_role("callers::role_sigchld") {
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
    run_role("callers::role_closed", |_| {});
}

#[test]
fn role_closed() {
    if !is_role("callers::role_closed") {
        return;
    }
    let library = system("role_closed").unwrap();
    // All combinations: sockets of this process then get the numbers 0, 1 and 2.
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
    run_role("callers::role_clean", |_| {});
}

#[test]
fn role_clean() {
    if !is_role("callers::role_clean") {
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

/// The fork handler of an open libfabric may abort the process: it must never run.
#[test]
fn fork_handlers_do_not_run() {
    run_role("callers::role_fork_handler", |_| {});
}

#[test]
fn role_fork_handler() {
    if !is_role("callers::role_fork_handler") {
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
    run_role("callers::role_two", |_| {});
}

#[test]
fn role_two() {
    if !is_role("callers::role_two") {
        return;
    }
    let second = second("role_two").unwrap();
    assert_eq!(answer(&about(&second)).caller_libraries, [] as [PathBuf; 0]);
    let first = system("role_two").unwrap();
    let answer = answer(&about(&second));
    assert_eq!(answer.caller_libraries, std::slice::from_ref(&first));
    assert_eq!(answer.mapped_libraries, std::slice::from_ref(&second));
    assert_eq!(answer.all_libraries(), [second, first]);
}

/// A program that does not call `answer_if_child` first must not start itself without end.
#[test]
fn a_child_never_asks() {
    run_role("callers::role_nested", |command| {
        command.env("EFA_FABRIC_CHILD", "1");
    });
}

#[test]
fn role_nested() {
    if !is_role("callers::role_nested") {
        return;
    }
    let error = ask(&child(), &Question::default()).unwrap_err();
    assert_eq!(error.code(), Code::ChildUnusable);
    assert!(error.cure().unwrap().contains("answer_if_child"));
    // Standard input is not a channel: the variable is left over, and the program goes on.
    answer_if_child();
}
