//! What a long call reports to its caller while it works.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The action on a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Action {
    /// It exists already and is used.
    Found,
    /// It was made.
    Created,
    /// It was changed.
    Changed,
    /// It is being waited for.
    Waiting,
    /// It was removed.
    Removed,
    /// EC2 had no room there; the next is tried.
    Refused,
}

impl Action {
    /// Returns the word that is printed.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Found => "found",
            Self::Created => "created",
            Self::Changed => "changed",
            Self::Waiting => "waiting for",
            Self::Removed => "removed",
            Self::Refused => "refused by",
        }
    }
}

/// One step of `apply` or `destroy`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Event {
    /// What happened.
    pub action: Action,
    /// EC2's resource type, such as `security-group`.
    pub resource_type: String,
    /// The resource's id or name.
    pub id: String,
    /// More, such as `1 of 2 running`.
    pub detail: String,
    /// How many of `total` are there, of what is waited for; `None` for a single step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done: Option<u32>,
    /// How many there will be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u32>,
}

impl Event {
    pub(crate) fn new(
        action: Action,
        resource_type: &str,
        id: impl Into<String>,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            action,
            resource_type: resource_type.to_owned(),
            id: id.into(),
            detail: detail.into(),
            done: None,
            total: None,
        }
    }

    pub(crate) fn counted(mut self, done: usize, total: usize) -> Self {
        self.done = u32::try_from(done).ok();
        self.total = u32::try_from(total).ok();
        self
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} {}",
            self.action.as_str(),
            self.resource_type,
            self.id
        )?;
        if !self.detail.is_empty() {
            write!(f, " ({})", self.detail)?;
        }
        Ok(())
    }
}
