//! Surveys as values: nodes, inspections, the report.

use std::collections::BTreeMap;
use std::path::PathBuf;

use efa_fabric::survey as core;
use efa_fabric::survey::collective;
use efa_fabric::survey_run as runs;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::argument::given;
use crate::choices;
use crate::convert::{list, parse, word};
use crate::doctor::DoctorReport;
use crate::errors;
use crate::node::Node;
use crate::rows::{Rows, rows};
use crate::survey_options::SurveyOptions;
use crate::value::value_class;

value_class! {
    /// The result of a pattern, in which nodes send and receive at the same time, against what the
    /// pairs promise.
    SurveyCollective(collective::Collective) {
        /// The name of the pattern, as `SurveyOptions.collectives` has it.
        pattern: PyResult<choices::SurveyPattern> = |c| word(&c.carried.pattern).map(Into::into);
        /// The nodes that took part, by number, in the order of the pattern.
        nodes: Vec<usize> = |c| c.carried.nodes.clone();
        /// Nodes that were lost in it, by number, which ended it.
        lost: Vec<usize> = |c| c.carried.lost.clone();
        /// Bus bandwidth of a ring or all-to-all, and of an incast what a receiver gets in all, in
        /// Gbit/s. None unless every flow was measured.
        measured_gbps: Option<f64> = |c| c.measured_gbps;
        /// The same as the pairs promise it. None unless all pairs were measured.
        expected_gbps: Option<f64> = |c| c.expected_gbps;
        /// Different flows, each of which was to be measured three times.
        flows: usize = |c| c.flows;
        /// Those that were measured at least once.
        measured: usize = |c| c.measured;
        /// Those of which the pair was measured too.
        compared: usize = |c| c.compared;
        /// Times that a flow failed.
        failed: usize = |c| c.failed;
        /// The least loss of a flow that counts, as a share of what its pair promises; None where
        /// the noise is unknown.
        least_loss: Option<f64> = |c| c.least_loss;
        /// Flows that lost that much or more.
        slow: usize = |c| c.slow;
        /// Whether every flow was measured and compared, and all keep what the pairs promise.
        scales: bool = |c| c.scales();
        /// What breaks it: `everywhere`, `across_groups`, `within_groups`, `node`, `group`,
        /// `group_flows`, `between_sets`, `receivers` or `flows`; None where nothing does, as far
        /// as it was compared.
        breaks: PyResult<Option<choices::SurveyBreaks>> = |c| {
            c.breaks.as_ref().map(|b| word(b).map(Into::into)).transpose()
        };
    }
    repr = |c| format!(
        "<SurveyCollective {} of {} nodes>",
        c.carried.pattern.as_str(),
        c.carried.nodes.len()
    );
}

fn lost(state: &runs::NodeState) -> Option<(usize, f64, Option<usize>)> {
    match state {
        runs::NodeState::Lost {
            round,
            after_ms,
            partner,
            ..
        } => Some((*round, *after_ms as f64 / 1e3, *partner)),
        _ => None,
    }
}

fn absent(state: &runs::NodeState) -> Option<(String, String)> {
    match state {
        runs::NodeState::Absent { code, why } => Some((code.clone(), why.clone())),
        _ => None,
    }
}

value_class! {
    /// The fate of a node in a survey.
    ///
    /// kind: `measured`; `joined`, and nothing could be measured with it; `lost`, when it joined
    /// and then gave no answer although it was asked again; `absent`, when it never joined or its
    /// set-up keeps it from measuring, which is no evidence against it.
    SurveyNodeState(runs::NodeState) {
        /// `joined`, `measured`, `lost` or `absent`.
        kind: choices::NodeStateKind = |state| state.as_str().into();
        /// The round in which it was lost, from 0; steps of patterns are counted on.
        lost_in_round: Option<usize> = |state| lost(state).map(|(round, ..)| round);
        /// Seconds from the start of that round to when it was given up.
        lost_after_s: Option<f64> = |state| lost(state).map(|(_, after_s, _)| after_s);
        /// The number of the node that it was measured with then.
        lost_with: Option<usize> = |state| lost(state).and_then(|(.., partner)| partner);
        /// The pattern in which it was lost, such as `ring`; None of others.
        lost_in_pattern: Option<choices::SurveyPattern> = |state| match state {
            runs::NodeState::Lost { pattern, .. } => pattern.map(|of| of.as_str().into()),
            _ => None,
        };
        /// The code of the error that kept it from taking part.
        absent_code: Option<String> = |state| absent(state).map(|(code, _)| code);
        /// Why it took no part, with what to do about it.
        absent_because: Option<String> = |state| absent(state).map(|(_, why)| why);
    }
    repr = |state| format!("<SurveyNodeState {}>", state.as_str());
}

value_class! {
    /// A node of a survey: its name, its address where known, what an inspection of it gave as JSON
    /// (a `NodeInspection`, or anything else), how many rails it has, and its network nodes from
    /// the top level down, as EC2 lists them.
    ///
    /// network_nodes: their ids; none by default. instance_id, ray_node_id: of EC2 and Ray, where
    /// known.
    SurveyNode(runs::Node) {
        /// The name, which no other node of the survey has.
        name: String = |node| node.name.clone();
        /// The address, where known.
        address: Option<String> = |node| node.address.clone();
        /// What an inspection gave, as JSON.
        inspection: Option<String> = |node| node.inspection.clone();
        /// The EC2 instance id, where it is known: as given, or as the inspection found it.
        instance_id: Option<String> = |node| node.known_instance_id();
        /// The id in a Ray cluster, which Ray's own commands take.
        ray_node_id: Option<String> = |node| node.ray_node_id.clone();
        /// Rails that it offers for measuring; 0 where they are not distinguished.
        rails: usize = |node| node.rails;
        /// Its network nodes from the top level down.
        network_nodes: Vec<String> = |node| node.network_nodes.clone();
        /// What became of it; `joined` until there is a report.
        state: SurveyNodeState = |node| SurveyNodeState(node.state.clone());
    }
    repr = |node| format!("SurveyNode({:?})", node.name);
}

#[pymethods]
impl SurveyNode {
    #[new]
    #[pyo3(signature = (
        name: "str", *, address: "str | None" = None, inspection: "str | None" = None,
        rails: "int" = 0, network_nodes: "Sequence[str]" = vec![],
        instance_id: "str | None" = None, ray_node_id: "str | None" = None
    ))]
    fn new(
        #[pyo3(from_py_with = given)] name: String,
        #[pyo3(from_py_with = given)] address: Option<String>,
        #[pyo3(from_py_with = given)] inspection: Option<String>,
        #[pyo3(from_py_with = given)] rails: usize,
        #[pyo3(from_py_with = given)] network_nodes: Vec<String>,
        #[pyo3(from_py_with = given)] instance_id: Option<String>,
        #[pyo3(from_py_with = given)] ray_node_id: Option<String>,
    ) -> Self {
        let mut node = runs::Node::new(name);
        node.address = address;
        node.inspection = inspection;
        node.rails = rails;
        node.network_nodes = network_nodes;
        node.instance_id = instance_id;
        node.ray_node_id = ray_node_id;
        Self(node)
    }
}

value_class! {
    /// The facts about a node that should be the same on all of a cluster, and its doctor's report.
    NodeInspection(runs::Inspection) {
        /// The EC2 instance id.
        instance_id: Option<String> = |i| i.instance_id.clone();
        /// Such as `p5.48xlarge`.
        instance_type: Option<String> = |i| i.instance_type.clone();
        /// EFA devices that the kernel's driver made usable.
        efa_devices: usize = |i| i.efa_devices;
        /// Version of the kernel module `efa`.
        efa_driver: Option<String> = |i| i.efa_driver.clone();
        /// Version of the libfabric that answered.
        libfabric: Option<String> = |i| i.libfabric.clone();
        /// Version of the EFA installer that was run.
        efa_installer: Option<String> = |i| i.efa_installer.clone();
        /// Version of rdma-core.
        rdma_core: Option<String> = |i| i.rdma_core.clone();
        /// Release of the kernel.
        kernel: Option<String> = |i| i.kernel.clone();
        /// The doctor's verdict: `usable`, `not_usable`, `no_efa_by_design` or `unknown`.
        verdict: String = |i| i.verdict.clone();
        /// Why EFA cannot be used, in one line, where it cannot.
        failed: Option<String> = |i| i.failed.clone();
        /// The sentences of the doctor's checks that warn.
        warnings: Vec<String> = |i| i.warnings.clone();
    }
    repr = |i| format!("<NodeInspection {} EFA devices, {}>", i.efa_devices, i.verdict);
}

#[pymethods]
impl NodeInspection {
    /// Returns what counts of a machine (`efa_sdk.fabric.node()`) and of its doctor's report.
    #[staticmethod]
    #[pyo3(signature = (node: "Node", doctor: "DoctorReport"))]
    fn of(
        #[pyo3(from_py_with = given)] node: &Node,
        #[pyo3(from_py_with = given)] doctor: &DoctorReport,
    ) -> Self {
        Self(runs::Inspection::new(&node.0, &doctor.0))
    }
}

value_class! {
    /// A difference between nodes of one survey that should be the same.
    SurveyDifference(runs::Difference) {
        /// What it is, such as `EFA devices`.
        what: String = |d| d.what.clone();
        /// `fault` where jobs lose bandwidth or fail, else `warning`.
        severity: PyResult<String> = |d| word(&d.severity);
        /// What more than half of the nodes have; None where no value has that many.
        most_have: Option<String> = |d| d.most_have.clone();
        /// Other values, each with the numbers of its nodes.
        others: BTreeMap<String, Vec<usize>> = |d| d.others.clone();
    }
    repr = |d| format!("<SurveyDifference in {}>", d.what);
}

value_class! {
    /// Commands for a POSIX shell that take the nodes of `drain` out: `str()` is a script.
    DrainCommands(runs::DrainCommands) {
        /// One line each, in order.
        commands: Vec<String> = |d| d.commands.clone();
        /// Nodes to take out whose name the scheduler cannot have, and why: nothing is sent.
        left_out: BTreeMap<String, String> = |d| d.left_out.clone();
    }
    repr = |d| format!("<DrainCommands: {}, {} left out>", d.commands.len(), d.left_out.len());
    str = ToString::to_string;
}

value_class! {
    /// A median rate that moved by more than noise explains.
    MovedRate(runs::MovedRate) {
        /// The node; None for the median of the cluster.
        node: Option<String> = |m| m.node.clone();
        /// `sends`, `receives`, or `all` of the cluster.
        direction: String = |m| m.direction.clone();
        /// What it was, in Gbit/s.
        earlier_gbps: f64 = |m| m.earlier_gbps;
        /// What it is, in Gbit/s.
        gbps: f64 = |m| m.gbps;
        /// The change, in percent.
        change_percent: f64 = |m| m.change_percent;
        /// The least change that either survey could distinguish from noise, in percent.
        detectable_percent: f64 = |m| m.detectable_percent;
    }
    repr = |m| format!("<MovedRate: {m}>");
    str = ToString::to_string;
}

value_class! {
    /// The changes since an earlier report: `str()` is one line each.
    SurveyComparison(runs::Comparison) {
        /// Whether nothing changed, and rates were compared.
        same: bool = |c| c.is_same();
        /// Findings that the earlier report has not, as sentences.
        new_findings: Vec<String> = |c| c.new_findings.clone();
        /// Findings that the later report has not, as sentences of the earlier one.
        gone_findings: Vec<String> = |c| c.gone_findings.clone();
        /// Nodes of the later report only; a node with another instance id is another one.
        new_nodes: Vec<String> = |c| c.new_nodes.clone();
        /// Nodes of the earlier report only.
        gone_nodes: Vec<String> = |c| c.gone_nodes.clone();
        /// Rates that moved by more than noise explains.
        moved: Vec<MovedRate> = |c| list(&c.moved);
        /// Why rates were not compared, where they were not.
        rates_not_compared: Option<String> = |c| c.rates_not_compared.clone();
    }
    repr = |c| format!("<SurveyComparison: {}>", if c.is_same() { "same" } else { "changed" });
    str = ToString::to_string;
    html = crate::value::text_as_html;
}

value_class! {
    /// The result of a survey for one node: what ranks other than rank 0 get. Its size does not
    /// depend on the number of nodes: of many names and sentences it has the first 8, and long ones
    /// end with `…`.
    SurveySummary(runs::Summary) {
        /// Whether the survey came to its end and found no fault: `problems` may have warnings.
        healthy: bool = |s| s.status == runs::Status::Healthy;
        /// `healthy`, `findings` or `not_surveyed`, as of the report.
        status: String = |s| s.status.as_str().to_owned();
        /// The exit status of a program that surveys: 0 healthy, 1 findings, 2 not surveyed.
        exit_status: u8 = |s| s.status.exit_status();
        /// Whether it was stopped before its end.
        partial: bool = |s| s.partial;
        /// What to do, in one line, for the whole cluster.
        action: String = |s| s.action.clone();
        /// The first findings that are worse than remarks, the worst first.
        problems: Vec<String> = |s| s.problems.clone();
        /// How many of them the report has.
        problem_count: usize = |s| s.problem_count;
        /// How many nodes the survey has.
        node_count: usize = |s| s.node_count;
        /// How many nodes are to be taken out.
        drain_count: usize = |s| s.drain_count;
        /// How many nodes took no part.
        absent_count: usize = |s| s.absent_count;
        /// The name of the node that this is for.
        node: String = |s| s.node.clone();
        /// What became of that node.
        node_state: SurveyNodeState = |s| SurveyNodeState(s.state.clone());
        /// Why that node is to be taken out; None where it is not.
        drain_because: Option<String> = |s| s.drain_because.clone();
    }
    repr = |s| format!("<SurveySummary of {} nodes: {}>", s.node_count, s.status.as_str());
    str = ToString::to_string;
    html = crate::value::text_as_html;
}

#[pymethods]
impl SurveySummary {
    /// Raises UnhealthyError (`fabric.unhealthy`) or NotSurveyedError (`fabric.not_surveyed`) where
    /// the report's does, on every rank alike. Both are FabricErrors.
    fn raise_for_health(&self) -> PyResult<()> {
        self.0.require_healthy().map_err(errors::exception)
    }
}

value_class! {
    /// The result of a survey: `str()` is a table, and notebooks show a heatmap.
    SurveyReport(runs::Report) {
        /// Whether the survey came to its end, measured every node and found no fault. There may be
        /// warnings, such as a node with up to half more latency: `problems` has them, and
        /// `action` names them.
        healthy: bool = |report| report.is_healthy();
        /// `healthy`; `findings`, with evidence against a node, a link or the network; or
        /// `not_surveyed`, when nothing was found and not everything was measured.
        status: choices::SurveyStatus = |report| report.status().as_str().into();
        /// The exit status of a program that surveys: 0 healthy, 1 findings, 2 not surveyed.
        exit_status: u8 = |report| report.status().exit_status();
        /// Whether it was stopped before its end.
        partial: bool = |report| report.partial;
        /// Nodes to take out, by name: those with evidence against them.
        drain: Vec<String> = |report| report.drain();
        /// Nodes that took no part, by name: they never joined, or their set-up kept them from
        /// measuring. `nodes[i].state` states why.
        absent: Vec<String> = |report| report.absent();
        /// Nodes with the fault that they are slow themselves, or one of their rails is, by name:
        /// none in a healthy report. Warnings are in `problems`, remarks in `findings`.
        slow_nodes: Vec<String> = |report| report.slow_nodes();
        /// Links with the fault that they are slow while both nodes are not, by names: none in a
        /// healthy report. Warnings are in `problems`, remarks in `findings`.
        slow_links: Vec<(String, String)> = |report| report.slow_links();
        /// Nodes that joined and that nobody reached, or that stopped answering, by name.
        unreachable_nodes: Vec<String> = |report| report.unreachable_nodes();
        /// Pairs that did not reach each other while both reach others, by names.
        unreachable_links: Vec<(String, String)> = |report| report.unreachable_links();
        /// What to do, in one line: the first of `str()`.
        action: String = |report| report.action();
        /// What the survey did not judge, whatever its status: each a sentence. JSON has it too.
        unknown: Vec<String> = |report| report.unknown();
        /// All findings as sentences, worst first; many of one kind are one.
        findings: Vec<String> = |report| report.findings();
        /// Findings that are worse than remarks: faults, and warnings, which a healthy report may
        /// have.
        problems: Vec<String> = |report| report.problems();
        /// The nodes, by number.
        nodes: Rows<SurveyNode> = |report| rows(&report.nodes);
        /// The provider that was measured.
        provider: String = |report| report.provider.clone();
        /// Names of the nodes in an order in which neighbours are near by measured latency.
        rank_order: Vec<String> = |report| report.rank_order();
        /// Names of the nodes in an order in which those below the same network nodes are
        /// together; None unless the network nodes of all are known.
        topology_order: Option<Vec<String>> = |report| report.topology_order();
        /// Where the inspected nodes differ, and what their doctors report.
        differences: Vec<SurveyDifference> = |report| {
            report.differences().into_iter().map(SurveyDifference).collect()
        };
        /// Patterns that were carried out after the pairs, and what they come to.
        collectives: Vec<SurveyCollective> = |report| list(&report.collectives);
        /// Rounds that were measured.
        rounds: usize = |report| report.rounds;
        /// Pairs of nodes that were tried.
        pairs: usize = |report| report.pairs();
        /// Share of all pairs of nodes that were tried, 0 to 1: nothing is known of the others.
        links_seen: f64 = |report| report.conclusion.links_seen;
        /// How much single measurements of bandwidth vary (standard deviation), in percent; None
        /// where too few nodes were measured to estimate it.
        noise_percent: Option<f64> = |report| report.conclusion.noise_percent;
        /// The least loss of a node that could be distinguished from that noise, in percent.
        detectable_percent: Option<f64> = |report| report.conclusion.detectable_percent;
        /// How many of 100 nodes that are bad in 30 % of their measurements a survey of this many
        /// measurements names at best: computed, not measured.
        unstable_named_percent: Option<f64> = |report| report.conclusion.unstable_named_percent;
        /// The median rate with all rails in one direction, in Gbit/s; None where none was measured.
        typical_gbps: Option<f64> = |report| report.conclusion.typical_gbps;
        /// The median rate between nodes with one label, in Gbit/s, without groups and paths that are
        /// slow themselves; None without labels, or where none was measured.
        inside_gbps: Option<f64> = |report| {
            report.conclusion.group_rates.and_then(|rates| rates.inside_gbps)
        };
        /// The median rate between nodes with different labels, in Gbit/s, as `inside_gbps` is.
        across_gbps: Option<f64> = |report| {
            report.conclusion.group_rates.and_then(|rates| rates.across_gbps)
        };
        /// The median latency, in µs; None where none was measured.
        typical_latency_us: Option<f64> = |report| report.conclusion.typical_latency_us;
        /// How it was surveyed: mode, seed, expected rates, thresholds; None in older reports.
        options: Option<SurveyOptions> = |report| report.options.clone().map(SurveyOptions);
        /// The version of efa-sdk that surveyed; None in older reports.
        version: Option<String> = |report| report.version.clone();
        /// When it ended, such as `2026-11-30T02:00:00Z`; None where it was not given.
        finished_at: Option<String> = |report| report.finished_at();
        /// Measurements and failures, those of single rails too: as many as `rows()`.
        measurements: usize = |report| report.observations.len();
        /// Seconds that it took.
        elapsed_s: f64 = |report| report.elapsed_s;
    }
    repr = |report| format!("<SurveyReport: {}>", report.headline());
    str = ToString::to_string;
    html = runs::Report::to_html;
}

#[pymethods]
impl SurveyReport {
    /// Raises UnhealthyError (`fabric.unhealthy`) with the problems where something was found, and
    /// NotSurveyedError (`fabric.not_surveyed`) where nothing was found and not everything was
    /// measured. Both are FabricErrors.
    fn raise_for_health(&self) -> PyResult<()> {
        self.0.require_healthy().map_err(errors::exception)
    }

    /// Returns what the report comes to, for each node by number: to tell other processes, each in
    /// a size that does not depend on the number of nodes.
    fn summaries(&self) -> Vec<SurveySummary> {
        let summaries = self.0.summaries_by_node().into_iter();
        summaries.map(SurveySummary).collect()
    }

    /// Returns rates in Gbit/s by sending node, then receiving node; None where there is none.
    fn matrix(&self) -> Vec<Vec<Option<f64>>> {
        let rate = |cell: runs::Cell| match cell {
            runs::Cell::Gbps(gbps) => Some(gbps),
            _ => None,
        };
        let rows = self.0.matrix().into_iter();
        rows.map(|row| row.into_iter().map(rate).collect())
            .collect()
    }

    /// Returns every measurement and failure as a dict: `a`, `b`, `rail`, `round`, `concurrency`,
    /// `latency_us`, `gbps_a_to_b`, `gbps_b_to_a`, `phase`, `code`, `after_s`.
    #[pyo3(signature = () -> "list[dict[str, typing.Any]]")]
    fn rows<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        for o in self.0.observations.as_slice() {
            let (m, f) = match &o.outcome {
                core::Outcome::Measured(m) => (*m, None),
                core::Outcome::Failed(f) => (core::Measured::default(), Some(f)),
            };
            let row = PyDict::new(py);
            row.set_item("a", self.0.name(o.a))?;
            row.set_item("b", self.0.name(o.b))?;
            row.set_item("rail", o.rail)?;
            row.set_item("round", o.round)?;
            row.set_item("concurrency", word(&o.concurrency)?)?;
            row.set_item("latency_us", m.latency_us)?;
            row.set_item("gbps_a_to_b", m.gbps_a_to_b)?;
            row.set_item("gbps_b_to_a", m.gbps_b_to_a)?;
            row.set_item("phase", f.map(|f| word(&f.phase)).transpose()?)?;
            row.set_item("code", f.map(|f| f.code.as_str()))?;
            row.set_item("after_s", f.map(|f| f.after_s))?;
            list.append(row)?;
        }
        Ok(list)
    }

    /// Returns `rows()` as a pandas.DataFrame; numbers that were not measured are NaN. Raises
    /// MissingExtraError without pandas.
    #[pyo3(signature = () -> "typing.Any")]
    fn to_pandas<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let rows = py.import("efa_sdk.rows")?;
        let table = rows.call_method1("frame", (self.rows(py)?,))?;
        if self.0.observations.is_empty() {
            return Ok(table);
        }
        // Without this a column in which nothing was measured is one of objects.
        let types = PyDict::new(py);
        for number in ["latency_us", "gbps_a_to_b", "gbps_b_to_a", "after_s"] {
            types.set_item(number, "float64")?;
        }
        table.call_method1("astype", (types,))
    }

    /// Returns what changed since an earlier report: findings, nodes, and median rates that moved
    /// by more than either survey could distinguish from its noise.
    #[pyo3(signature = (earlier: "SurveyReport"))]
    fn compare(&self, #[pyo3(from_py_with = given)] earlier: &Self) -> SurveyComparison {
        SurveyComparison(self.0.compare(&earlier.0))
    }

    /// Returns the commands with which a scheduler takes out the nodes in `drain`, each with its
    /// reason: `print()` them, or pass them to a shell. scheduler: `slurm`, `kubernetes` or `ray`.
    /// Names of nodes are taken for those of the scheduler, up to a `/` or `#`; on Ray the survey
    /// knows Ray's own ids. Names that the scheduler cannot have are in `left_out`.
    #[pyo3(signature = (scheduler: "choices.Scheduler"))]
    fn drain_commands(
        &self,
        #[pyo3(from_py_with = given)] scheduler: &str,
    ) -> PyResult<DrainCommands> {
        let scheduler = parse("scheduler", scheduler)?;
        Ok(DrainCommands(self.0.drain_commands(scheduler)))
    }

    /// Returns the report as OpenMetrics text, which Prometheus's textfile collector takes too.
    /// What was not measured has no sample.
    fn to_openmetrics(&self) -> String {
        self.0.to_openmetrics()
    }

    /// Writes the report as JSON: to the file `path`, which is replaced as a whole, or, where it is
    /// a folder, to a new file there that is named by the report's time. Returns the file. Raises
    /// FabricError where it cannot be written.
    #[pyo3(signature = (path: "str | os.PathLike[str]"))]
    fn save(&self, #[pyo3(from_py_with = given)] path: PathBuf) -> PyResult<PathBuf> {
        self.0.save(path).map_err(errors::exception)
    }

    /// Returns the report that `save` wrote to `path`. Raises FabricError for what is none.
    #[staticmethod]
    #[pyo3(signature = (path: "str | os.PathLike[str]"))]
    fn load(#[pyo3(from_py_with = given)] path: PathBuf) -> PyResult<Self> {
        runs::Report::load(path)
            .map(Self)
            .map_err(errors::exception)
    }

    /// Returns the reports in a folder (its files `*.json`), the oldest first. Raises FabricError
    /// for the first file that is no report.
    #[staticmethod]
    #[pyo3(signature = (folder: "str | os.PathLike[str]"))]
    fn history(#[pyo3(from_py_with = given)] folder: PathBuf) -> PyResult<Vec<Self>> {
        let reports = runs::Report::history(folder).map_err(errors::exception)?;
        Ok(reports.into_iter().map(Self).collect())
    }

    /// Returns the heatmap as a picture: an SVG document.
    fn to_svg(&self) -> String {
        self.0.to_svg()
    }
}
