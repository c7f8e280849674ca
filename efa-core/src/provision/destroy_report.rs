//! What `destroy` removed.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::progress::Action;
use super::steps::{Steps, answered};
use crate::error::{Error, Leftover, Result};

/// The resources that `destroy` removed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DestroyReport {
    /// Name of the cluster.
    pub name: String,
    /// What was removed, in order; empty when nothing carried the cluster's tag.
    pub removed: Vec<Leftover>,
    /// What could not be looked at, such as IAM without the permission to.
    pub notes: Vec<String>,
}

impl std::fmt::Display for DestroyReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for note in &self.notes {
            writeln!(f, "note: {note}")?;
        }
        if self.removed.is_empty() {
            return writeln!(f, "nothing is tagged efa-sdk:cluster={}", self.name);
        }
        writeln!(
            f,
            "cluster '{}': removed {} resources",
            self.name,
            self.removed.len()
        )?;
        for resource in &self.removed {
            writeln!(f, "  {} {}", resource.resource_type, resource.id)?;
        }
        Ok(())
    }
}

/// EC2's codes that a deletion answers.
pub(super) struct DeletionCodes {
    /// It is still used, which EC2 may report for minutes after the last user is gone.
    pub(super) in_use: &'static str,
    /// It is gone, by another call or by one whose reply was lost; or EC2 does not see it yet.
    pub(super) gone: &'static str,
}

/// A removal under way: what is removed, and what EC2 listed and did not know a moment later.
/// Only a further poll shows whether that is gone.
pub(super) struct Removal {
    pub(super) report: DestroyReport,
    /// Whether a further poll is needed.
    pub(super) doubtful: bool,
    /// What the report has.
    reported: HashSet<Leftover>,
}

impl Removal {
    pub(super) fn new(name: &str) -> Self {
        Self {
            report: DestroyReport {
                name: name.to_owned(),
                removed: Vec::new(),
                notes: Vec::new(),
            },
            doubtful: false,
            reported: HashSet::new(),
        }
    }

    /// Notes the result of deleting one resource; the error when it is still used.
    pub(super) fn deleted(
        &mut self,
        steps: &Steps<'_>,
        (resource_type, id): (&str, &str),
        codes: &DeletionCodes,
        result: Result<()>,
    ) -> Result<Option<Error>> {
        match result {
            Ok(()) => self.removed(steps, resource_type, id),
            Err(error) if answered(&error, &[codes.gone]) => {
                self.doubtful = true;
                self.removed(steps, resource_type, id);
            }
            Err(error) if answered(&error, &[codes.in_use]) => {
                steps.tell(Action::Waiting, resource_type, id, "in use");
                return Ok(Some(error));
            }
            Err(error) => return Err(error),
        }
        Ok(None)
    }

    /// Takes "it does not exist" for done, and asks for a further poll.
    pub(super) fn unless_gone(&mut self, gone: &[&str], result: Result<()>) -> Result<()> {
        match result {
            Err(error) if answered(&error, gone) => {
                self.doubtful = true;
                Ok(())
            }
            result => result,
        }
    }

    pub(super) fn removed(&mut self, steps: &Steps<'_>, resource_type: &str, id: &str) {
        let removed = Leftover {
            resource_type: resource_type.to_owned(),
            id: id.to_owned(),
        };
        if self.reported.insert(removed.clone()) {
            steps.tell(Action::Removed, resource_type, id, "");
            self.report.removed.push(removed);
        }
    }
}
