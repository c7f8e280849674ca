//! The commands with which a scheduler takes nodes out, with the reason of each.
//!
//! What Slurm makes of names was tried on 2026-11-30 with its 22.05.8 (Debian's `slurmctld` and
//! `scontrol`): `ALL`, in any case, is reserved and drains every node; `DEFAULT` is no node; names
//! are distinguished by case; brackets and commas are lists; the name of a `NodeSet` drains the
//! whole set, which nobody can see from here.

use std::collections::BTreeMap;
use std::fmt;

use efa_core::shell::quote;
use efa_core::text::plain;
use serde::{Deserialize, Serialize};

use super::report::Report;
use super::text::shortened;
use crate::survey::Severity;

/// Characters of a reason: what was found, for people who read a list of nodes.
const MOST_OF_REASON: usize = 240;
/// Characters of the hexadecimal id of a Ray node: 28 bytes (`kUniqueIDSize` of Ray).
const RAY_NODE_ID: usize = 56;

/// The scheduler of jobs on the nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Scheduler {
    /// `scontrol update`: running jobs end, no new ones start.
    Slurm,
    /// `kubectl cordon`: running pods stay, no new ones start.
    Kubernetes,
    /// `ray drain-node`, which Ray itself uses before it ends a node.
    Ray,
}

/// Commands for a POSIX shell that take the nodes of [`Report::drain`] out.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DrainCommands {
    /// What they are for.
    pub scheduler: Scheduler,
    /// One line each, in order.
    pub commands: Vec<String>,
    /// Nodes to take out whose name the scheduler cannot have, and why. Nothing is sent for them.
    pub left_out: BTreeMap<String, String>,
}

impl Report {
    /// Returns the commands of this scheduler for the nodes to take out. Their names are taken for
    /// those of the scheduler, up to a `/` or `#`, after which a survey distinguishes processes of one host
    /// apart; for Ray their [`ray_node_id`](super::Node::ray_node_id) is needed.
    #[must_use]
    pub fn drain_commands(&self, scheduler: Scheduler) -> DrainCommands {
        let mut drain = DrainCommands {
            scheduler,
            commands: Vec::new(),
            left_out: BTreeMap::new(),
        };
        for node in self.drained() {
            let said = scheduler.id_of(self, node).and_then(|id| {
                let reason = quote(&self.reason(node)).ok_or("its reason has a NUL character")?;
                Ok((id, reason))
            });
            match said {
                Ok((id, reason)) => scheduler.commands(&id, &reason, &mut drain.commands),
                Err(why) => {
                    drain.left_out.insert(self.label(node), why.to_owned());
                }
            }
        }
        let mut seen = std::collections::BTreeSet::new();
        drain
            .commands
            .retain(|command| seen.insert(command.clone()));
        drain
    }

    /// Why a node is to be taken out, in one line that drives no terminal.
    pub(super) fn reason(&self, node: usize) -> String {
        let names = self.names();
        let verdict = (self.conclusion.faults())
            .find(|verdict| verdict.nodes() == [node])
            .map(|verdict| verdict.statement_with(&names));
        let difference = || {
            let found = self.differences();
            let of_node = found.iter().find(|d| {
                let mut nodes = d.others.values().flatten();
                d.severity == Severity::Fault && nodes.any(|&other| other == node)
            });
            of_node.map(|d| d.statement_with(|node| self.name(node).to_owned()))
        };
        let why = verdict.or_else(difference);
        let why = why.unwrap_or_else(|| "to be taken out".to_owned());
        let when = self
            .finished_at()
            .map_or(String::new(), |at| format!(" {at}"));
        shortened(
            &plain(&format!("efa-sdk survey{when}: {why}")),
            MOST_OF_REASON,
        )
    }
}

impl Scheduler {
    /// What the scheduler calls a node.
    fn id_of(self, report: &Report, node: usize) -> Result<String, &'static str> {
        if self == Self::Ray {
            let id = report.nodes[node].ray_node_id.clone();
            let id = id.ok_or("the survey was not made on Ray, whose commands take its node id")?;
            let is_hex = |c: char| matches!(c, '0'..='9' | 'a'..='f');
            let is_id = id.len() == RAY_NODE_ID && id.chars().all(is_hex);
            return is_id
                .then_some(id)
                .ok_or("that is not the id of a Ray node");
        }
        let name = report.name(node);
        let name = name.split(['/', '#']).next().unwrap_or_default();
        let allowed = match self {
            Self::Slurm if name.eq_ignore_ascii_case("all") => {
                return Err("scontrol takes that for every node");
            }
            Self::Slurm if name.eq_ignore_ascii_case("default") => {
                return Err("slurm.conf keeps that name for the values of other nodes");
            }
            // Slurm allows almost any name. These are those of hosts; scontrol reads brackets and
            // commas, as in n[1-9],m, as lists of nodes.
            Self::Slurm => {
                let is_first = |c: char| c.is_ascii_alphanumeric() || c == '_';
                let is_further = |c: char| is_first(c) || matches!(c, '-' | '.');
                name.starts_with(is_first) && name.chars().all(is_further)
            }
            // A DNS subdomain of RFC 1123.
            _ => is_subdomain(name),
        };
        match (allowed, self) {
            (true, _) => Ok(name.to_owned()),
            (false, Self::Slurm) => Err(
                "only letters, digits, '-', '_' and '.' are sent: scontrol reads others as lists",
            ),
            (false, _) => Err("a Kubernetes node has lower-case letters, digits, '-' and '.'"),
        }
    }

    fn commands(self, id: &str, reason: &str, commands: &mut Vec<String>) {
        match self {
            Self::Slurm => commands.push(format!(
                "scontrol update NodeName={id} State=DRAIN Reason={reason}"
            )),
            Self::Kubernetes => {
                commands.push(format!("kubectl cordon {id}"));
                commands.push(format!(
                    "kubectl annotate node {id} --overwrite efa-sdk-survey={reason}"
                ));
            }
            // Of the two reasons that Ray has, the other is that a node is idle.
            Self::Ray => commands.push(format!(
                "ray drain-node --node-id {id} --reason DRAIN_NODE_REASON_PREEMPTION --reason-message {reason}"
            )),
        }
    }
}

fn is_subdomain(name: &str) -> bool {
    let is_inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let is_label = |label: &str| {
        !label.is_empty()
            && label.chars().all(is_inner)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= 253 && name.split('.').all(is_label)
}

impl fmt::Display for DrainCommands {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.commands.is_empty() && self.left_out.is_empty() {
            return writeln!(f, "# nothing to take out");
        }
        for command in &self.commands {
            writeln!(f, "{command}")?;
        }
        for (node, why) in &self.left_out {
            writeln!(f, "# not sent for {}: {why}", plain(node))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{bad_cluster, unmeasured};
    use super::*;

    /// A cluster whose bad node has this name.
    fn named(name: &str) -> Report {
        let mut report = bad_cluster(8);
        report.nodes[5].name = name.to_owned();
        report.nodes[5].ray_node_id = Some("0a".repeat(28));
        report
    }

    /// What a shell would run, by word: each line a command.
    fn words(script: &str) -> Vec<Vec<String>> {
        let tell = "tell() { printf '%s\\0' \"$@\"; printf '\\n\\0'; }\n\
                    scontrol() { tell scontrol \"$@\"; }\nkubectl() { tell kubectl \"$@\"; }\n\
                    ray() { tell ray \"$@\"; }\n";
        let output = std::process::Command::new("bash")
            .args(["-c", &format!("{tell}{script}")])
            .output()
            .unwrap();
        assert!(
            output.status.success() && output.stderr.is_empty(),
            "{output:?}"
        );
        let text = String::from_utf8(output.stdout).unwrap();
        let mut commands = vec![Vec::new()];
        for word in text.split_terminator('\0') {
            match word {
                "\n" => commands.push(Vec::new()),
                word => commands.last_mut().unwrap().push(word.to_owned()),
            }
        }
        commands.pop();
        commands
    }

    #[test]
    fn each_scheduler_has_its_own_commands_with_the_reason() {
        let report = named("node-5/3").finished(1_796_004_000);
        let id = "0a".repeat(28);
        for (scheduler, starts) in [
            (
                Scheduler::Slurm,
                vec!["scontrol update NodeName=node-5 State=DRAIN Reason="],
            ),
            (
                Scheduler::Kubernetes,
                vec![
                    "kubectl cordon node-5",
                    "kubectl annotate node node-5 --overwrite efa-sdk-survey=",
                ],
            ),
            (
                Scheduler::Ray,
                vec![&*format!("ray drain-node --node-id {id} --reason ")],
            ),
        ] {
            let commands = words(&report.drain_commands(scheduler).to_string());
            assert_eq!(commands.len(), starts.len());
            for (command, start) in commands.iter().zip(&starts) {
                assert!(command.join(" ").starts_with(start), "{command:?}");
            }
            let last = commands.last().unwrap().last().unwrap();
            let why = "efa-sdk survey 2026-11-30T02:00:00Z: node-5/3 has ";
            assert!(
                last.contains(why) && last.contains("less bandwidth"),
                "{last}"
            );
        }
    }

    #[test]
    fn names_that_a_scheduler_cannot_have_are_said_and_not_sent() {
        let hostile = [
            "",
            "ALL",
            "aLl",
            "DEFAULT",
            "n[1-9]",
            "a,b",
            "-x",
            "a b",
            "$(reboot)",
            "'; reboot; '",
            "a\nreboot",
            "\u{1b}[2J",
            "ü",
            "`x`",
        ];
        for name in hostile {
            for scheduler in [Scheduler::Slurm, Scheduler::Kubernetes] {
                let drain = named(name).drain_commands(scheduler);
                assert_eq!(drain.commands, Vec::<String>::new(), "{name:?}");
                assert_eq!(drain.left_out.len(), 1);
                let script = drain.to_string();
                assert!(script.starts_with("# not sent for ") && script.lines().count() == 1);
                assert!(words(&script).is_empty());
            }
        }
        for name in ["_x", "5", "ip-10-0-0-7.ec2.internal"] {
            let drain = named(name).drain_commands(Scheduler::Slurm);
            assert_eq!(
                (drain.commands.len(), drain.left_out.len()),
                (1, 0),
                "{name}"
            );
        }
        let big = named("Node_5").drain_commands(Scheduler::Kubernetes);
        assert_eq!((big.commands.len(), big.left_out.len()), (0, 1));
        let mut elsewhere = named("n");
        for id in [None, Some("0A".repeat(28)), Some("--help".into())] {
            elsewhere.nodes[5].ray_node_id = id;
            let drain = elsewhere.drain_commands(Scheduler::Ray);
            assert_eq!((drain.commands.len(), drain.left_out.len()), (0, 1));
        }
    }

    #[test]
    fn a_reason_with_names_of_others_is_one_word() {
        let mut report = named("node-5");
        for verdict in &mut report.conclusion.verdicts {
            verdict.evidence.code = Some("'; reboot #\n\u{1b}".into());
            verdict.kind = crate::survey::VerdictKind::Unreachable;
        }
        let commands = words(&report.drain_commands(Scheduler::Slurm).to_string());
        assert_eq!(commands.len(), 1);
        let reason = &commands[0][4];
        assert!(reason.contains("'; reboot #\\u{a}\\u{1b}"), "{reason}");
        assert_eq!(
            unmeasured(3).drain_commands(Scheduler::Slurm).to_string(),
            "# nothing to take out\n"
        );
    }
}
