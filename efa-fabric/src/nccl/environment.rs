//! Which environment variables NCCL and PyTorch need on a node with EFA, and which must go.
//!
//! [`advise_environment`] is a function of what is known of the node and of the environment
//! that the processes would have. With the plugin and libfabric of a current EFA installer hardly
//! anything has to be set; most of what recipes set is obsolete, and some of it aborts the process.

mod node;
mod rules;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;

use serde::{Deserialize, Serialize};

pub use node::Node;

use super::log::is_plugin_of_efa;
use crate::environment;
use rules::{CHEAT_SHEET, NCCL_ENV, PLATFORM_AWS, UNSET, needs_device_rdma};

/// An action on a variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Action {
    /// Give it this value.
    Set,
    /// Remove it.
    Unset,
    /// Nothing; to know.
    Note,
}

impl Action {
    /// Returns the word, as in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Set => "set",
            Self::Unset => "unset",
            Self::Note => "note",
        }
    }
}

/// The reason to set or remove a variable.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Note {
    /// The variable.
    pub variable: String,
    /// What to do with it.
    pub action: Action,
    /// Why.
    pub why: String,
    /// Where that comes from: a repository's file or issue, or a page.
    pub reference: String,
}

/// Advice on an environment; `Display` is the text form.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Advice {
    /// Variables that must have these values, those that already have them included.
    pub set: BTreeMap<String, String>,
    /// Variables that are there and must go, by name.
    pub unset: Vec<String>,
    /// Variables of NCCL, its plugin and libfabric that are there and may stay, by name.
    pub keep: Vec<String>,
    /// Why, for each variable that is set or must go, and what else is worth knowing.
    pub notes: Vec<Note>,
}

impl Advice {
    /// Returns what to give as `env_vars` of Ray's `runtime_env`, or to a launcher's environment.
    ///
    /// It cannot remove a variable: see [`unset_hint`](Self::unset_hint).
    #[must_use]
    pub const fn env_vars(&self) -> &BTreeMap<String, String> {
        &self.set
    }

    /// Returns where variables have to be removed; `None` where none has to.
    #[must_use]
    pub fn unset_hint(&self) -> Option<&'static str> {
        (!self.unset.is_empty()).then_some(
            "Ray's runtime_env and most launchers only add and change variables, and an empty \
             value is not the same as none: remove these before Ray or the launcher starts, in \
             the image, the pod's or job's definition, or the shell",
        )
    }

    /// Returns the environment that follows when the advice is taken.
    #[must_use]
    pub fn applied_to(&self, environment: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        let mut after = environment.clone();
        after.retain(|name, _| !self.unset.contains(name));
        after.extend(self.set.clone());
        after
    }

    /// Returns the text form as HTML, for notebooks: escaped, without scripts.
    #[must_use]
    pub fn to_html(&self) -> String {
        efa_core::html::preformatted(&self.to_string())
    }

    fn note(&mut self, variable: &str, action: Action, why: &str, reference: &str) {
        self.notes.retain(|note| note.variable != variable);
        self.notes.push(Note {
            variable: variable.to_owned(),
            action,
            why: why.to_owned(),
            reference: reference.to_owned(),
        });
    }

    fn set(&mut self, name: &str, value: impl Into<String>, why: &str, reference: &str) {
        self.unset.retain(|unset| unset != name);
        self.set.insert(name.to_owned(), value.into());
        self.note(name, Action::Set, why, reference);
    }

    fn unset(&mut self, name: &str, why: &str, reference: &str) {
        self.set.remove(name);
        self.unset.push(name.to_owned());
        self.note(name, Action::Unset, why, reference);
    }
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.set.is_empty() && self.unset.is_empty() {
            writeln!(f, "nothing to set, nothing to unset")?;
        }
        for note in &self.notes {
            match self.set.get(&note.variable) {
                Some(value) if note.action == Action::Set => {
                    writeln!(f, "set   {}={value}", note.variable)?;
                }
                _ => writeln!(f, "{:<5} {}", note.action.as_str(), note.variable)?,
            }
            writeln!(f, "        {} ({})", note.why, note.reference)?;
        }
        if !self.keep.is_empty() {
            writeln!(f, "keep  {}", self.keep.join(", "))?;
        }
        if let Some(hint) = self.unset_hint() {
            writeln!(f, "{hint}")?;
        }
        Ok(())
    }
}

/// Returns what to set and what to unset for NCCL over EFA on a node, whose processes would have
/// this environment. Taking the advice twice is the same as taking it once.
///
/// ```
/// use std::collections::BTreeMap;
/// use efa_fabric::nccl::{Node, advise_environment};
///
/// let environment = BTreeMap::from([("NCCL_PROTO".to_owned(), "simple".to_owned())]);
/// let advice = advise_environment(&Node::default(), &environment);
/// assert_eq!(advice.unset, ["NCCL_PROTO"]);
/// assert_eq!(advice.env_vars().get("FI_PROVIDER").map(String::as_str), Some("efa"));
/// ```
#[must_use]
pub fn advise_environment(node: &Node, environment: &BTreeMap<String, String>) -> Advice {
    let mut advice = Advice::default();
    for (name, value) in environment {
        let rule = UNSET
            .iter()
            .find(|rule| rule.is_about(name) && (rule.applies)(value, node));
        if let Some(rule) = rule {
            advice.unset(name, rule.why, rule.reference);
        }
    }
    bootstrap_interface(environment, &mut advice);
    forced_rails(environment, &mut advice);
    if node.efa_count == Some(0) {
        advice.note(
            "FI_PROVIDER",
            Action::Note,
            "this node has no EFA device: NCCL will use TCP whatever is set",
            PLATFORM_AWS,
        );
    } else {
        provider(node, &mut advice);
        plugin(node, environment, &mut advice);
        older_software(node, &mut advice);
    }
    if node.fork_is_safe == Some(false) {
        advice.set(
            "FI_EFA_FORK_SAFE",
            "1",
            "kernels before 5.13 or rdma-core before 35 need help to fork; the plugin sets it for NCCL, not for what else uses EFA",
            CHEAT_SHEET,
        );
    }
    killers(environment, &mut advice);
    advice.unset.sort_unstable();
    advice
        .notes
        .sort_by(|a, b| (a.action, &a.variable).cmp(&(b.action, &b.variable)));
    advice.keep = environment
        .keys()
        .filter(|name| is_ours(name) && !advice.unset.contains(name))
        .filter(|name| {
            advice
                .set
                .get(*name)
                .is_none_or(|value| environment.get(*name) == Some(value))
        })
        .cloned()
        .collect();
    advice
}

fn provider(node: &Node, advice: &mut Advice) {
    let why = if node.plugin_at_least(1, 6) {
        "keeps libfabric from offering another provider; only in this spelling does the plugin still use its settings for the instance type"
    } else {
        "aws-ofi-nccl up to 1.5 takes whatever provider libfabric offers first"
    };
    advice.set("FI_PROVIDER", "efa", why, PLATFORM_AWS);
    if node.require_efa {
        advice.set(
            "NCCL_NET",
            "AWS Libfabric",
            "NCCL then fails instead of falling back to TCP; every version of the plugin takes \
             this name",
            "aws/aws-ofi-nccl src/nccl_ofi_interface_nvidia.cpp",
        );
    }
}

/// The number of rails is forced where nodes differ; anywhere else it costs speed.
fn forced_rails(environment: &BTreeMap<String, String>, advice: &mut Advice) {
    const NAME: &str = "OFI_NCCL_FORCE_NUM_RAILS";
    if environment.get(NAME).is_some_and(|value| value != "0") {
        advice.note(
            NAME,
            Action::Note,
            "needed only where nodes have different numbers of EFA devices, and then with one value on all ranks; anywhere else it leaves devices unused",
            "aws/aws-ofi-nccl issue 990, issue 1061",
        );
    }
}

/// NVIDIA's base images name their own plugin.
fn other_plugin(environment: &BTreeMap<String, String>, advice: &mut Advice) {
    const NAME: &str = "NCCL_NET_PLUGIN";
    let Some(value) = environment.get(NAME) else {
        return;
    };
    if !is_plugin_of_efa(value) && !value.eq_ignore_ascii_case("none") {
        advice.set(
            NAME,
            "ofi",
            "it names another plugin than aws-ofi-nccl, so that NCCL does not look for the one that uses EFA; NVIDIA's base images set it",
            NCCL_ENV,
        );
    }
}

/// A build of rdma-core of its own, as HPC-X's images have it, hides the one of libefa.
fn shadowed_rdma_core(environment: &BTreeMap<String, String>, advice: &mut Advice) {
    const NAME: &str = "LD_LIBRARY_PATH";
    let Some(value) = environment.get(NAME) else {
        return;
    };
    let is_other = |entry: &&str| entry.contains("/rdma-core") && !entry.contains("/amazon/");
    let kept: Vec<_> = value.split(':').filter(|entry| !is_other(entry)).collect();
    if kept.len() < value.split(':').count() {
        advice.set(
            NAME,
            kept.join(":"),
            "another rdma-core, such as HPC-X's, is found before the one that libefa and libfabric were built with, and the plugin then does not load",
            "NVIDIA-NeMo/Megatron-Bridge issue 2824",
        );
    }
}

/// The loader must find the plugin, and NCCL must know it by name.
fn plugin(node: &Node, environment: &BTreeMap<String, String>, advice: &mut Advice) {
    other_plugin(environment, advice);
    shadowed_rdma_core(environment, advice);
    let Some(path) = node.plugin_path.as_deref().filter(|path| !path.is_empty()) else {
        return;
    };
    let (directory, file) = match path.rsplit_once('/') {
        Some((directory, file)) if file.contains(".so") => {
            (directory.trim_end_matches('/'), Some(file))
        }
        None if path.contains(".so") => ("", Some(path)),
        _ => (path.trim_end_matches('/'), None),
    };
    let current = advice
        .set
        .get("LD_LIBRARY_PATH")
        .or_else(|| environment.get("LD_LIBRARY_PATH"))
        .cloned()
        .unwrap_or_default();
    let current = current.as_str();
    let is_there = current
        .split(':')
        .any(|entry| entry.trim_end_matches('/') == directory);
    if directory.starts_with('/') && !directory.contains(':') && !is_there {
        let value = match current {
            "" => directory.to_owned(),
            current => format!("{directory}:{current}"),
        };
        advice.set(
            "LD_LIBRARY_PATH",
            value,
            "NCCL loads its plugin by name from here; the loader reads it when a process starts, so that a running process cannot change it",
            "NVIDIA/nccl src/plugin/plugin_open.cc; NVIDIA-NeMo/RL issue 2359",
        );
    }
    let name = file
        .and_then(|file| file.strip_prefix("libnccl-net-"))
        .and_then(|rest| rest.split(".so").next())
        .filter(|name| !name.is_empty());
    if let Some(name) = name {
        advice.set(
            "NCCL_NET_PLUGIN",
            name,
            "NCCL looks for libnccl-net.so unless this names the plugin's file",
            NCCL_ENV,
        );
    }
}

/// What only older plugins need.
fn older_software(node: &Node, advice: &mut Advice) {
    if needs_device_rdma(node) {
        advice.set(
            "FI_EFA_USE_DEVICE_RDMA",
            "1",
            "aws-ofi-nccl before 1.7 or libfabric before 1.18 use RDMA only when it is requested",
            CHEAT_SHEET,
        );
    }
    if !node.plugin_at_least(1, 6) {
        advice.set(
            "NCCL_PROTO",
            "simple",
            "aws-ofi-nccl up to 1.5 does not protect the other protocols from data out of order",
            CHEAT_SHEET,
        );
    }
}

/// Interfaces over which no other node can be reached, by prefix.
const UNREACHABLE: [&str; 5] = ["docker", "veth", "br-", "cni", "virbr"];

/// NCCL makes its first contact over TCP, on EFA too. Without the variable it leaves lo and
/// docker out; with a list that only excludes, it takes lo unless that is excluded.
fn bootstrap_interface(environment: &BTreeMap<String, String>, advice: &mut Advice) {
    const NAME: &str = "NCCL_SOCKET_IFNAME";
    const SOCKET: &str = "NVIDIA/nccl src/misc/socket.cc";
    let Some(value) = environment.get(NAME) else {
        return;
    };
    if let Some(excluded) = value.strip_prefix('^') {
        let is_exact = excluded.starts_with('=');
        let leaves_lo_out = excluded
            .trim_start_matches('=')
            .split(',')
            .any(|name| name == "lo" || (!is_exact && !name.is_empty() && "lo".starts_with(name)));
        if !leaves_lo_out {
            let why = "with a list of interfaces to leave out NCCL takes lo, unless lo is in it";
            let separator = if excluded.is_empty() || excluded == "=" {
                ""
            } else {
                ","
            };
            advice.set(NAME, format!("{value}{separator}lo"), why, SOCKET);
        }
        return;
    }
    let exact = if value.starts_with('=') { "=" } else { "" };
    let (bad, good): (Vec<_>, Vec<_>) = value
        .trim_start_matches('=')
        .split(',')
        .filter(|name| !name.is_empty())
        .partition(|name| *name == "lo" || UNREACHABLE.iter().any(|bad| name.starts_with(bad)));
    if bad.is_empty() && !good.is_empty() {
        return;
    }
    let value = if good.is_empty() {
        "^lo,docker,veth".to_owned()
    } else {
        format!("{exact}{}", good.join(","))
    };
    advice.set(
        NAME,
        value,
        "other nodes cannot be reached over lo, docker or veth",
        SOCKET,
    );
}

/// Variables with which libfabric would abort the process, in what the environment then is.
fn killers(environment: &BTreeMap<String, String>, advice: &mut Advice) {
    // Each round removes a variable, so that there are no more rounds than variables.
    for _ in 0..environment.len() + advice.set.len() {
        let after = advice.applied_to(environment);
        let get = |name: &str| after.get(name).map(OsString::from);
        let Err(error) = environment::refuse_killers_in(&get) else {
            return;
        };
        let Some(name) = error.context_value("variable") else {
            return;
        };
        advice.unset(
            name,
            error.message(),
            "ofiwg/libfabric prov/efa/src/efa_env.c",
        );
    }
}

/// Whether NCCL, its plugin, libfabric or the loader reads a variable.
fn is_ours(name: &str) -> bool {
    ["NCCL_", "OFI_NCCL_", "FI_", "RDMAV_", "IBV_"]
        .iter()
        .any(|start| name.starts_with(start))
        || name == "LD_LIBRARY_PATH"
}
