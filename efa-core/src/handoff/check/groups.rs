//! Security groups that a text makes: the self-referencing rules that EFA needs, and port 22.

use std::collections::{HashMap, HashSet};

use super::document::Findings;
use super::report::{DocumentFinding, DocumentFormat, Severity};

/// One way that rules point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Direction {
    Ingress,
    Egress,
}

impl Direction {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Ingress => "ingress",
            Self::Egress => "egress",
        }
    }

    /// The id of the finding where a group lacks the self-referencing rule.
    pub(super) const fn missing(self, format: DocumentFormat) -> &'static str {
        match (self, format) {
            (Self::Ingress, DocumentFormat::CloudFormation) => "cloudformation.no_self_ingress",
            (Self::Egress, DocumentFormat::CloudFormation) => "cloudformation.no_self_egress",
            (Self::Ingress, _) => "launch.no_self_ingress",
            (Self::Egress, _) => "launch.no_self_egress",
        }
    }
}

/// The id of the finding for an open port 22.
pub(super) const fn ssh_open(format: DocumentFormat) -> &'static str {
    match format {
        DocumentFormat::CloudFormation => "cloudformation.ssh_open",
        _ => "launch.ssh_open",
    }
}

/// A rule of a group.
#[derive(Debug, Clone)]
pub(super) struct GroupRule {
    /// The group that it is of, as `Group::key`.
    pub(super) group: String,
    pub(super) direction: Direction,
    /// All protocols.
    pub(super) all: bool,
    /// Whether it is with the group itself.
    pub(super) with_itself: bool,
    /// Refused by CloudFormation: it stands inside the group, which cannot name itself there.
    pub(super) circular: bool,
    /// A range of the whole Internet.
    pub(super) open_range: Option<String>,
    /// TCP with port 22 in its range.
    pub(super) ssh: bool,
    pub(super) path: String,
}

/// The groups of a text.
#[derive(Debug, Default)]
pub(super) struct Groups {
    /// Key and path of each group that the text makes.
    pub(super) made: Vec<(String, String)>,
    pub(super) rules: Vec<GroupRule>,
    /// For each interface that takes an EFA its groups: keys of groups made here, or `None` for
    /// one that is only named.
    pub(super) of_efa: Vec<Vec<Option<String>>>,
}

impl Groups {
    pub(super) fn check(
        &self,
        format: DocumentFormat,
        add: impl Fn(&str, Direction) -> (String, String),
        found: &mut Findings,
    ) {
        self.check_self_rules(format, add, found);
        for rule in &self.rules {
            if let Some(range) = &rule.open_range
                && rule.direction == Direction::Ingress
                && (rule.all || rule.ssh)
            {
                found.push(DocumentFinding::new(
                    Severity::Warning,
                    ssh_open(format),
                    rule.path.clone(),
                    format!("{range} lets the whole Internet reach port 22"),
                    "name your own ranges, or use SSM Session Manager, which needs no open port",
                ));
            }
        }
    }

    /// One group of each EFA interface must have self-referencing ingress and egress rules for all
    /// protocols: reports what the first of its groups lacks where none does.
    fn check_self_rules(
        &self,
        format: DocumentFormat,
        add: impl Fn(&str, Direction) -> (String, String),
        found: &mut Findings,
    ) {
        let allowed: HashSet<(&str, Direction)> = self.allowed().collect();
        let lacking = |group: &str| -> Vec<Direction> {
            let both = [Direction::Ingress, Direction::Egress].into_iter();
            both.filter(|direction| !allowed.contains(&(group, *direction)))
                .collect()
        };
        let paths: HashMap<&str, &str> = self
            .made
            .iter()
            .map(|(key, path)| (key.as_str(), path.as_str()))
            .collect();
        let mut circular: HashMap<(&str, Direction), &GroupRule> = HashMap::new();
        for rule in self.rules.iter().filter(|rule| rule.circular) {
            let key = (rule.group.as_str(), rule.direction);
            circular.entry(key).or_insert(rule);
        }
        let mut judged: HashSet<&str> = HashSet::new();
        let mut lists: Vec<&Vec<Option<String>>> = self.of_efa.iter().collect();
        lists.sort();
        lists.dedup();
        lists.sort_by_key(|groups| groups.len());
        for groups in lists {
            let made: Vec<&str> = groups.iter().flatten().map(String::as_str).collect();
            if made.iter().any(|group| lacking(group).is_empty()) {
                continue;
            }
            if made.len() < groups.len() || made.is_empty() {
                found.out_of_sight(
                    "whether the security groups that the template does not create have \
                     self-referencing ingress and egress rules for all protocols: \
                     Client.verify_instance reads them",
                );
                continue;
            }
            let first = made[0];
            if !judged.insert(first) {
                continue;
            }
            for direction in lacking(first) {
                let circular = made
                    .iter()
                    .find_map(|group| circular.get(&(*group, direction)));
                let (kind, corrected) = add(first, direction);
                found.push(match circular {
                    Some(rule) => DocumentFinding::new(
                        Severity::Error,
                        "cloudformation.circular_self_rule",
                        rule.path.clone(),
                        "the group names itself inside itself, which CloudFormation refuses as \
                         circular",
                        format!("make the rule a resource of its own, {kind}"),
                    ),
                    None => missing(format, paths.get(first).unwrap_or(&first), direction, &kind)
                        .corrected(corrected),
                });
            }
        }
    }

    /// The directions in which a rule lets a group exchange everything with its own members.
    fn allowed(&self) -> impl Iterator<Item = (&str, Direction)> {
        self.rules
            .iter()
            .filter(|rule| rule.all && rule.with_itself && !rule.circular)
            .map(|rule| (rule.group.as_str(), rule.direction))
    }
}

/// A group without a self-referencing rule.
fn missing(
    format: DocumentFormat,
    path: &str,
    direction: Direction,
    kind: &str,
) -> DocumentFinding {
    let message = match direction {
        Direction::Egress => {
            "no all-protocol egress rule to the group itself: EFA traffic is not IP, \
                 0.0.0.0/0 does not let it pass (CDK drops such a rule while allowAllOutbound is \
                 true)"
        }
        Direction::Ingress => {
            "no all-protocol ingress rule from the group itself, so no EFA packet passes"
        }
    };
    DocumentFinding::new(
        Severity::Error,
        direction.missing(format),
        path,
        message,
        format!("add a resource of type {kind}"),
    )
}
