//! The child, callers in a process of their own, and what there is to test with.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use efa_fabric::Library;
use efa_fabric::isolated::{Answer, ChildCommand, Question, Relaxation, ask};

pub(crate) const LIMIT: Duration = Duration::from_secs(120);
pub(crate) const NOISE: &str = "EFA_TEST_NOISE_MIB";
const ROLE: &str = "EFA_TEST_ROLE";

pub(crate) fn child() -> ChildCommand {
    this_test("the_child")
}

pub(crate) fn this_test(name: &str) -> ChildCommand {
    let arguments = ["--exact", name, "--nocapture", "--test-threads=1"];
    ChildCommand::new(std::env::current_exe().unwrap(), arguments)
}

pub(crate) fn shell(script: &str) -> ChildCommand {
    ChildCommand::new("/bin/sh", ["-c", script])
}

/// Runs a `role_*` test in a process of its own and fails with what it wrote if it failed.
pub(crate) fn run_role(name: &str, change: impl FnOnce(&mut Command)) {
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
    assert!(
        String::from_utf8_lossy(&output.stdout).contains("1 passed")
            || name == "callers::role_closed"
    );
}

pub(crate) fn is_role(name: &str) -> bool {
    std::env::var_os(ROLE).is_some_and(|role| role == name)
}

pub(crate) fn system(test: &str) -> Option<PathBuf> {
    match Library::find() {
        Ok(library) => Some(library.path().to_path_buf()),
        Err(error) => {
            eprintln!("SKIPPED {test} on the system's libfabric: {error}");
            None
        }
    }
}

/// A libfabric that lists efa without hardware: 2.2 or later.
pub(crate) fn second(test: &str) -> Option<PathBuf> {
    let path = std::env::var_os("EFA_TEST_LIBFABRIC_2");
    if path.is_none() {
        eprintln!("SKIPPED {test} on libfabric 2.x: EFA_TEST_LIBFABRIC_2 is not set");
    }
    path.map(|path| Path::new(&path).canonicalize().unwrap())
}

pub(crate) fn has_verbs_devices(test: &str) -> bool {
    let has = fs::read_dir("/sys/class/infiniband").is_ok_and(|mut found| found.next().is_some());
    if has {
        eprintln!("SKIPPED part of {test}: this machine has verbs devices");
    }
    has
}

pub(crate) fn about(library: &Path) -> Question {
    let mut question = Question::default();
    question.library = Some(library.to_path_buf());
    question.deadline = LIMIT;
    question
}

pub(crate) fn with(mut question: Question, environment: &[(&str, Option<&str>)]) -> Question {
    question.environment = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.map(str::to_owned)))
        .collect::<BTreeMap<_, _>>();
    question
}

pub(crate) fn answer(question: &Question) -> Answer {
    ask(&child(), question).unwrap_or_else(|error| panic!("{error} {:?}", error.context()))
}

pub(crate) fn provider_names(answer: &Answer) -> Vec<&str> {
    let providers = answer.providers.as_ref().expect("providers are known");
    providers.iter().map(|p| p.name.as_str()).collect()
}

pub(crate) fn count(answer: &Answer, relaxed: &Relaxation) -> (u32, Option<i32>) {
    let trial = answer.trials.iter().find(|trial| trial.relaxed == *relaxed);
    let trial = trial.unwrap_or_else(|| panic!("no trial {relaxed:?} in {:?}", answer.trials));
    (trial.found, trial.errno)
}
