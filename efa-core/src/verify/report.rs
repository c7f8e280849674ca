//! What differs between a cluster and what it should be, and its text form.

use std::fmt;

use serde::{Deserialize, Serialize};

pub(super) const RELAUNCH: &str =
    "EFA interfaces cannot be changed on a running instance: destroy and apply again";

/// One difference between a cluster and what it should be.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Finding {
    /// What was compared, such as `interface`, `placement_group` or `security_group_rule`.
    pub check: String,
    /// The resource, such as an instance id with card and device.
    pub subject: String,
    /// What it should be.
    pub expected: String,
    /// What it is.
    pub actual: String,
    /// What to do about it.
    pub cure: String,
}

/// The result of comparing a cluster with what it should be.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Report {
    /// Name of the cluster.
    pub name: String,
    /// The fingerprint of the plan that it was compared with.
    pub fingerprint: String,
    /// How many instances were looked at.
    pub instances: usize,
    /// How many interfaces were looked at.
    pub interfaces: usize,
    /// How many comparisons were made.
    pub checks: usize,
    /// The differences; empty when the cluster is as planned.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Returns whether nothing differs.
    #[must_use]
    pub fn is_as_planned(&self) -> bool {
        self.findings.is_empty()
    }

    pub(super) fn compare<T: PartialEq + fmt::Display>(
        &mut self,
        check: &str,
        subject: &str,
        expected: T,
        actual: T,
        cure: &str,
    ) {
        self.checks += 1;
        if expected != actual {
            self.findings.push(Finding {
                check: check.to_owned(),
                subject: subject.to_owned(),
                expected: expected.to_string(),
                actual: actual.to_string(),
                cure: cure.to_owned(),
            });
        }
    }
}

impl Report {
    /// Returns the text form as HTML, for notebooks.
    #[must_use]
    pub fn to_html(&self) -> String {
        crate::html::preformatted(&self.to_string())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "cluster '{}' against plan {}: {} instances, {} interfaces, {} checks, ",
            self.name, self.fingerprint, self.instances, self.interfaces, self.checks
        )?;
        if self.is_as_planned() {
            return writeln!(f, "as planned");
        }
        writeln!(f, "{} findings", self.findings.len())?;
        for finding in &self.findings {
            writeln!(
                f,
                "  {} of {}: expected {}, is {}; {}",
                finding.check, finding.subject, finding.expected, finding.actual, finding.cure
            )?;
        }
        Ok(())
    }
}
