//! What `destroy` removed.

use serde::{Deserialize, Serialize};

use super::progress::Action;
use super::steps::{Steps, answered};
use crate::error::{Error, Leftover, Result};

/// What `destroy` removed.
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
    /// It is still used, which EC2 may say for minutes after the last user went.
    pub(super) in_use: &'static str,
    /// It is gone, by another call or by one whose reply was lost.
    pub(super) gone: &'static str,
}

impl DestroyReport {
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
            // It was listed a moment ago: an earlier sending of this call took effect.
            Err(error) if answered(&error, &[codes.gone]) => {
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
}

impl DestroyReport {
    pub(super) fn removed(&mut self, steps: &Steps<'_>, resource_type: &str, id: &str) {
        steps.tell(Action::Removed, resource_type, id, "");
        self.removed.push(Leftover {
            resource_type: resource_type.to_owned(),
            id: id.to_owned(),
        });
    }
}
