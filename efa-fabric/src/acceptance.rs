//! Acceptance of a cluster: may training start on it? Pure: what was seen becomes one verdict.
//!
//! The parts are seen elsewhere: EC2's side by `Client::verify` of efa-core, the fabric by a survey,
//! and each node by its doctor, whose [`Inspection`](crate::survey_run::Inspection) the survey
//! carries. [`Report::judge`] makes one report of them, under instance ids.
//!
//! | module | job |
//! |---|---|
//! | `evidence` | what was seen, and which node of the survey is which instance |
//! | `judge` | what speaks against the cluster, what was not looked at, the verdict |
//! | `text` | the report for people: text and HTML |

mod evidence;
mod judge;
mod text;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Code, Error, Result};
use crate::report_file;
use crate::survey_run::time::{LAST_UNIX_S, utc};

pub use evidence::{Evidence, Instance, Part};
pub use judge::{Finding, Judgement, Source, Verdict};

/// The verdict on a cluster's acceptance, with its evidence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written")]
#[non_exhaustive]
pub struct Report {
    /// What was seen.
    pub evidence: Evidence,
    /// What follows from it.
    pub judgement: Judgement,
    /// The version of efa-sdk that judged.
    pub version: String,
    /// When it was judged, in s since 1970-01-01T00:00:00Z; `None` where it was not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_unix_s: Option<u64>,
}

/// What another process wrote: its evidence is judged again.
#[derive(Deserialize)]
struct Written {
    evidence: Evidence,
    finished_unix_s: Option<u64>,
}

impl TryFrom<Written> for Report {
    type Error = Error;

    fn try_from(written: Written) -> Result<Self> {
        let report = Self::judge(written.evidence);
        match written.finished_unix_s {
            Some(at) if at > LAST_UNIX_S => Err(Error::new(
                Code::InvalidOption,
                "the report ended after the year 9999",
            )
            .with_cure("give a report as `to_json` wrote it")),
            Some(at) => Ok(report.finished(at)),
            None => Ok(report),
        }
    }
}

impl Report {
    /// Judges what was seen.
    #[must_use]
    pub fn judge(evidence: Evidence) -> Self {
        Self {
            judgement: judge::judge(&evidence),
            evidence,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            finished_unix_s: None,
        }
    }

    /// Returns the same, judged this many seconds after 1970-01-01T00:00:00Z, until the year 9999.
    #[must_use]
    pub fn finished(mut self, unix_s: u64) -> Self {
        self.finished_unix_s = Some(unix_s.min(LAST_UNIX_S));
        self
    }

    /// Returns when it was judged, such as `2026-11-30T02:00:00Z`; `None` where it was not given.
    #[must_use]
    pub fn finished_at(&self) -> Option<String> {
        self.finished_unix_s.map(utc)
    }

    /// Returns whether the cluster is accepted, with warnings or without.
    #[must_use]
    pub fn is_accepted(&self) -> bool {
        self.judgement.verdict.is_accepted()
    }

    /// Checks that the cluster is accepted, with warnings or without.
    ///
    /// # Errors
    /// `fabric.unhealthy` where it is refused, with the instances to replace as context `replace`;
    /// `fabric.not_surveyed` where it could not be judged.
    pub fn require_accepted(&self) -> Result<()> {
        let j = &self.judgement;
        let (code, statement) = match j.verdict {
            Verdict::Accepted | Verdict::AcceptedWithWarnings => return Ok(()),
            Verdict::Refused => {
                let against = j.against.iter().map(|finding| finding.statement.clone());
                (Code::Unhealthy, against.collect::<Vec<_>>())
            }
            Verdict::CouldNotBeJudged => (Code::NotSurveyed, j.not_looked_at.clone()),
        };
        let error = Error::new(
            code,
            format!("{}: {}", self.evidence.cluster, statement.join("; ")),
        );
        let error = error.with_cure(self.action());
        Err(match j.replace.is_empty() {
            true => error,
            false => error.with_context("replace", j.replace.join(" ")),
        })
    }

    /// Returns the instances to replace, for `Client::replace` of efa-core.
    ///
    /// # Errors
    /// `fabric.nothing_to_replace` where the report has evidence against no instance.
    pub fn require_replaceable(&self) -> Result<&[String]> {
        match self.judgement.replace.as_slice() {
            [] => Err(Error::new(
                Code::NothingToReplace,
                format!(
                    "the report has evidence against no instance of '{}'",
                    self.evidence.cluster
                ),
            )
            .with_cure(self.action())),
            instances => Ok(instances),
        }
    }

    /// Writes the report as JSON: to this file, which is replaced as a whole, or, where it is a
    /// folder, to a new file there that is named by the report's time. Returns the file.
    ///
    /// # Errors
    /// `fabric.invalid_option` with the path, where it cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<PathBuf> {
        let when = self.finished_at();
        report_file::save(path.as_ref(), self, "acceptance", when.as_deref())
    }

    /// Returns the report that [`save`](Self::save) wrote; its evidence is judged again.
    ///
    /// # Errors
    /// `fabric.invalid_option` with the path: no such file, not a regular one, or not a report.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        report_file::load(path.as_ref())
    }
}

#[cfg(test)]
mod tests;
