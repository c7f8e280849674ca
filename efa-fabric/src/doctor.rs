//! Why EFA does not work on this node: checks of the machine, the environment and libfabric,
//! and a decision over them that names one cause.
//!
//! [`examine`] reads the machine (or a recorded tree of one), has a child process ask libfabric,
//! and calls [`diagnose`], which is a function of values. The checks are in files by subject;
//! `decision` has their order. What is checked stands in docs/doctor.md.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use crate::isolated::{Answer, ChildCommand, HintSet, Question, ask};
use crate::node::{Expected, Node, NodeRoot};

mod decision;
mod environment;
mod finding;
mod hardware;
mod libfabric;
mod machine;
mod nccl_plugin;
mod report;
mod scene;
mod verbs;

pub use decision::diagnose;
use decision::diagnose_unasked;
pub use environment::Environment;
pub use finding::{Evidence, Finding, Status, checks};
pub use report::{LibfabricSeen, NodeSummary, Report, Verdict};

/// How often, and how long apart, devices that are missing are looked for again: those of p5en
/// come up some seconds after boot (aws-samples/awsome-distributed-training,
/// 2-efa-enumeration.sh).
const LOOK_AGAIN: u32 = 3;
const BETWEEN_LOOKS: Duration = Duration::from_secs(5);

/// The subject of the doctor's examination.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    /// The machine: `/`, or a directory with a recorded tree of one.
    pub root: PathBuf,
    /// The command that asks libfabric; `None` does not ask, and leaves the verdict open where
    /// the files show nothing wrong. It is not asked for a recorded tree either.
    pub child: Option<ChildCommand>,
    /// The libfabric to ask; `None` searches as [`Library::find`](crate::Library::find) does.
    pub library: Option<PathBuf>,
    /// The instance type, such as `p5.48xlarge`; `None` takes what DMI reports.
    pub instance_type: Option<String>,
    /// The variables of the process that is to use EFA. Empty for a recorded tree takes those that
    /// it has in `/proc/self/environ`; where it has none, what depends on them is not known.
    pub environment: Environment,
    /// What libfabric is asked for. Default: messages over reliable datagrams.
    pub hints: HintSet,
    /// How long asking libfabric may take. Default 30 s.
    pub deadline: Duration,
    /// Whether to look again, 3 times after 5 s, while devices are missing. Default no.
    pub wait_for_devices: bool,
}

impl Options {
    /// Returns [`live`](Self::live) for `/`, else [`recorded`](Self::recorded).
    #[must_use]
    pub fn at(root: impl Into<PathBuf>) -> Self {
        let root = root.into();
        match NodeRoot::new(&root).is_live() {
            true => Self::live(),
            false => Self::recorded(root),
        }
    }

    /// Returns this machine, with the environment of this process, and this program as the child:
    /// that works if its `main` begins with [`answer_if_child`](crate::isolated::answer_if_child);
    /// else libfabric is not asked.
    #[must_use]
    pub fn live() -> Self {
        Self {
            child: ChildCommand::current_executable().ok(),
            environment: own_environment(),
            ..Self::recorded("/")
        }
    }

    /// Creates a recorded tree, with the environment that it has; libfabric is not asked.
    #[must_use]
    pub fn recorded(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            child: None,
            library: None,
            instance_type: None,
            environment: Environment::new(),
            hints: HintSet::default(),
            deadline: Duration::from_secs(30),
            wait_for_devices: false,
        }
    }
}

/// Looks at a machine and states whether EFA can be used there, and if not, why.
///
/// It never fails: what is not known is a finding. libfabric runs in a child process only, so
/// that what ends that one leaves the caller alone.
///
/// ```
/// use efa_fabric::doctor::{self, Options};
///
/// // In a program whose `main` begins with `answer_if_child`, `Options::live()`.
/// let report = doctor::examine(&Options::recorded("/"));
/// println!("{report}");
/// assert_ne!(report.exit_code(), 0, "libfabric was not asked");
/// ```
#[must_use]
pub fn examine(options: &Options) -> Report {
    let root = NodeRoot::new(&options.root);
    let environment = match options.environment.is_empty() && !root.is_live() {
        true => root.recorded_environment(),
        false => Some(options.environment.clone()),
    };
    let environment = environment.as_ref();
    let variable = |name: &str| environment?.get(name).cloned();
    let root = root.with_kubernetes_service_host(variable("KUBERNETES_SERVICE_HOST"));
    let looks = match options.wait_for_devices && root.is_live() {
        true => LOOK_AGAIN,
        false => 0,
    };
    let node = look(|| read(&root, environment, options), looks, thread::sleep);
    let expected = node.expected.as_ref();
    match answer(&root, environment, options) {
        Ok(answer) => diagnose(&node, environment, Some(&answer), expected),
        Err(reason) => diagnose_unasked(&node, environment, expected, &reason),
    }
}

/// Looks once, and again while devices are missing.
fn look(mut read: impl FnMut() -> Node, again: u32, mut wait: impl FnMut(Duration)) -> Node {
    let mut node = read();
    for _ in 0..again {
        if !misses_devices(&node) {
            break;
        }
        wait(BETWEEN_LOOKS);
        node = read();
    }
    node
}

fn read(root: &NodeRoot, environment: Option<&Environment>, options: &Options) -> Node {
    let mut node = Node::read_for(root, environment.unwrap_or(&Environment::new()));
    if let Some(name) = &options.instance_type {
        node.expected = Expected::for_type(name);
        node.instance_type = Some(name.clone());
    }
    node
}

fn misses_devices(node: &Node) -> bool {
    node.expected
        .as_ref()
        .is_some_and(|expected| node.efa_devices.len() < expected.efa_count as usize)
}

/// What libfabric reports, or why it was not asked.
fn answer(
    root: &NodeRoot,
    environment: Option<&Environment>,
    options: &Options,
) -> Result<Answer, String> {
    if !root.is_live() {
        return Err("libfabric is not asked for a recorded tree".to_owned());
    }
    let Some(child) = &options.child else {
        return Err("libfabric was not asked: no command for a child process".to_owned());
    };
    let mut question = Question::default();
    question.library.clone_from(&options.library);
    question.hints = options.hints.clone();
    question.deadline = options.deadline;
    if let Some(environment) = environment {
        question.environment = changes(&own_environment(), environment);
    }
    ask(child, &question).map_err(|error| format!("libfabric was not asked: {error}"))
}

/// What to set and unset to get from one environment to another.
fn changes(from: &Environment, to: &Environment) -> BTreeMap<String, Option<String>> {
    let unset = from
        .keys()
        .filter(|name| !to.contains_key(*name))
        .map(|name| (name.clone(), None));
    let set = to
        .iter()
        .filter(|(name, value)| from.get(*name) != Some(value))
        .map(|(name, value)| (name.clone(), Some(value.clone())));
    unset.chain(set).collect()
}

/// The environment of this process; what is no UTF-8 is kept as well as it can be.
fn own_environment() -> Environment {
    std::env::vars_os()
        .map(|(name, value)| {
            (
                name.to_string_lossy().into_owned(),
                value.to_string_lossy().into_owned(),
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_that_are_late_are_waited_for() {
        let nothing = std::env::temp_dir().join("efa-doctor-no-such-machine");
        let mut options = Options::recorded(nothing);
        let look_at = |options: &Options, again| {
            let (mut looks, mut waits) = (0, Vec::new());
            let root = NodeRoot::new(&options.root);
            look(
                || {
                    looks += 1;
                    read(&root, None, options)
                },
                again,
                |time| waits.push(time.as_secs()),
            );
            (looks, waits)
        };
        // Nothing is expected of a machine without a type.
        assert_eq!(look_at(&options, LOOK_AGAIN), (1, vec![]));
        options.instance_type = Some("p5en.48xlarge".into());
        assert_eq!(look_at(&options, LOOK_AGAIN), (4, vec![5, 5, 5]));
        assert_eq!(look_at(&options, 0), (1, vec![]));
    }

    #[test]
    fn an_environment_is_reached_by_changes() {
        let environment = |pairs: &[(&str, &str)]| -> Environment {
            pairs
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect()
        };
        let from = environment(&[("KEPT", "1"), ("CHANGED", "1"), ("LOST", "1")]);
        let to = environment(&[("KEPT", "1"), ("CHANGED", "2"), ("NEW", "")]);
        let expected: Vec<_> = changes(&from, &to).into_iter().collect();
        assert_eq!(
            expected,
            [
                ("CHANGED".to_owned(), Some("2".to_owned())),
                ("LOST".to_owned(), None),
                ("NEW".to_owned(), Some(String::new())),
            ]
        );
        assert!(changes(&from, &from).is_empty());
    }
}
