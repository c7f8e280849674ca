//! Acceptance of clusters as values.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use efa_fabric::acceptance as core;
use pyo3::prelude::*;

use crate::argument::given;
use crate::client::Client;
use crate::cluster::{Cluster, VerifyReport};
use crate::convert::list;
use crate::errors;
use crate::survey_report::SurveyReport;
use crate::value::value_class;

value_class! {
    /// A finding of an acceptance.
    AcceptanceFinding(core::Finding) {
        /// The part that found it: `ec2`, `doctor` or `survey`.
        source: &'static str = |finding| finding.source.as_str();
        /// A sentence, in which nodes have their instance ids.
        statement: String = |finding| finding.statement.clone();
    }
    repr = |finding| format!("<AcceptanceFinding of {}: {}>", finding.source.as_str(), finding.statement);
    str = |finding| finding.statement.clone();
}

value_class! {
    /// The verdict on whether training may start: EC2's side against the plan, the doctor on every
    /// node, and the survey, under instance ids. `str()` is for people; notebooks show the survey's
    /// heatmap too.
    AcceptanceReport(core::Report) {
        /// `accepted`; `accepted_with_warnings`; `refused`, with evidence against an instance, a
        /// link or the cluster; or `could_not_be_judged`, when there is none and not everything
        /// was looked at.
        verdict: &'static str = |report| report.judgement.verdict.as_str();
        /// Whether it is accepted, with warnings or without.
        accepted: bool = core::Report::is_accepted;
        /// The exit status of a program that accepts: 0 accepted, 1 refused, 2 could not be judged.
        exit_status: u8 = |report| report.judgement.verdict.exit_status();
        /// The verdict and what to do, in one line: the first of `str()`.
        action: String = core::Report::action;
        /// What speaks against the cluster.
        against: Vec<AcceptanceFinding> = |report| list(&report.judgement.against);
        /// What costs speed or safety, or what a measurement was too short or too small to show.
        warnings: Vec<AcceptanceFinding> = |report| list(&report.judgement.warnings);
        /// What was not looked at although it belongs to an acceptance: none is accepted with it.
        not_looked_at: Vec<String> = |report| report.judgement.not_looked_at.clone();
        /// Ids of the instances to replace: those with evidence against them.
        to_replace: Vec<String> = |report| report.judgement.replace.clone();
        /// Name of the cluster.
        name: String = |report| report.evidence.cluster.clone();
        /// Ids of the cluster's instances, by launch index.
        instance_ids: Vec<String> = |report| {
            report.evidence.instances.iter().map(|one| one.instance_id.clone()).collect()
        };
        /// The cluster compared with its plan; None where it was not.
        verify: Option<VerifyReport> = |report| report.evidence.ec2.seen().cloned().map(VerifyReport);
        /// The survey, with the names that the nodes gave; None where none was made.
        survey: Option<SurveyReport> = |report| {
            report.evidence.survey.seen().cloned().map(SurveyReport)
        };
        /// When it was judged, such as `2026-11-30T02:00:00Z`; None where it was not given.
        finished_at: Option<String> = |report| report.finished_at();
        /// The version of efa-sdk that judged.
        version: String = |report| report.version.clone();
    }
    repr = |report| format!("<AcceptanceReport of '{}': {}>", report.evidence.cluster, report.action());
    str = ToString::to_string;
    html = core::Report::to_html;
}

#[pymethods]
impl AcceptanceReport {
    /// Judges what was seen of a cluster. Pure, but for the time of the report.
    ///
    /// cluster: as `Client.describe` gave it. verify: what `Client.verify` gave, survey: what a
    /// survey of its nodes gave; each may be the reason, as text, why there is none, and then the
    /// cluster is not accepted.
    #[staticmethod]
    fn judge(cluster: &Cluster, verify: Seen<VerifyReport>, survey: Seen<SurveyReport>) -> Self {
        let evidence = core::Evidence::new(
            &cluster.0,
            verify.part(|report| report.0),
            survey.part(|report| report.0),
        );
        let report = core::Report::judge(evidence);
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        Self(match now {
            Ok(now) => report.finished(now.as_secs()),
            Err(_) => report,
        })
    }

    /// Replaces the instances with evidence against them: `client.replace(name, to_replace)`, which
    /// is safe to call again. With an `aio.Client` give both to its `replace`.
    ///
    /// Raises FabricError (`fabric.nothing_to_replace`) where there is evidence against no
    /// instance, and what `Client.replace` raises.
    fn replace(&self, client: &Bound<'_, Client>) -> PyResult<Cluster> {
        let instances = self.0.require_replaceable().map_err(errors::exception)?;
        let arguments = (&self.0.evidence.cluster, instances);
        Ok(client.call_method1("replace", arguments)?.extract()?)
    }

    /// Raises UnhealthyError (`fabric.unhealthy`) where the cluster is refused, and
    /// NotSurveyedError (`fabric.not_surveyed`) where it could not be judged. Both are
    /// FabricErrors.
    fn raise_for_verdict(&self) -> PyResult<()> {
        self.0.require_accepted().map_err(errors::exception)
    }

    /// Writes the report as JSON: to the file `path`, which is replaced as a whole, or, where it is
    /// a folder, to a new file there that is named by the report's time. Returns the file. Raises
    /// FabricError where it cannot be written.
    #[pyo3(signature = (path: "str | os.PathLike[str]"))]
    fn save(&self, #[pyo3(from_py_with = given)] path: PathBuf) -> PyResult<PathBuf> {
        self.0.save(path).map_err(errors::exception)
    }

    /// Returns the report that `save` wrote to `path`; what was seen is judged again. Raises
    /// FabricError for what is none.
    #[staticmethod]
    #[pyo3(signature = (path: "str | os.PathLike[str]"))]
    fn load(#[pyo3(from_py_with = given)] path: PathBuf) -> PyResult<Self> {
        let report = core::Report::load(path).map_err(errors::exception)?;
        Ok(Self(report))
    }
}

/// A report, or why there is none.
#[derive(FromPyObject)]
#[allow(clippy::large_enum_variant)] // lives for one call
enum Seen<T> {
    #[pyo3(transparent)]
    Report(T),
    Why(String),
}

impl<T> Seen<T> {
    fn part<U>(self, inner: impl FnOnce(T) -> U) -> core::Part<U> {
        match self {
            Self::Report(report) => core::Part::Seen(inner(report)),
            Self::Why(why) => core::Part::NotSeen { why },
        }
    }
}
