//! One check of a preflight, and how it ended.

use serde::{Deserialize, Serialize};

/// The outcome of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Status {
    /// Nothing is in the way.
    Passed,
    /// The launch would fail.
    Failed,
    /// There is nothing to check; the detail gives the reason.
    Skipped,
    /// It could not be checked; the detail gives the reason.
    Unknown,
}

impl Status {
    /// Returns the word that is printed.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::Unknown => "unknown",
        }
    }
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Check {
    /// What was looked at, such as `free_addresses` or `dry_run`.
    pub name: String,
    /// How it ended.
    pub status: Status,
    /// What was seen.
    pub detail: String,
    /// What to do about a failed check.
    pub cure: Option<String>,
}

pub(super) fn new_check(name: &str, status: Status, detail: String, cure: Option<&str>) -> Check {
    Check {
        name: name.to_owned(),
        status,
        detail,
        cure: cure.map(str::to_owned),
    }
}

pub(super) fn unknown(name: &str, why: String) -> Check {
    new_check(name, Status::Unknown, why, None)
}

pub(super) fn passed_if(passed: bool, name: &str, detail: String, cure: &str) -> Check {
    if passed {
        new_check(name, Status::Passed, detail, None)
    } else {
        new_check(name, Status::Failed, detail, Some(cure))
    }
}
