//! NCCL over EFA: what its log shows, and what its environment should be.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use efa_fabric as fabric;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::argument::{Given, Refusal, Taken, given};
use crate::choices;
use crate::convert::list;
use crate::ending;
use crate::errors::exception;
use crate::rows::{Rows, rows};
use crate::value::value_class;

value_class! {
    /// A line of a log.
    NcclEvidence(fabric::nccl::Evidence) {
        /// Its number, from 1.
        line: u64 = |e| e.line;
        /// The message in it, at most 300 bytes.
        text: String = |e| e.text.clone();
    }
    repr = |e| format!("<NcclEvidence line {}: {}>", e.line, e.text);
}

value_class! {
    /// The reason why a process is not on EFA.
    NcclReason(fabric::nccl::Reason) {
        /// The stable id of the cause, such as `plugin_not_found`.
        cause: &'static str = |r| r.cause.as_str();
        /// What that is, in one sentence.
        explanation: &'static str = |r| r.cause.explanation();
        /// What to do about it.
        cure: &'static str = |r| r.cause.cure();
        /// Where that comes from.
        reference: &'static str = |r| r.cause.reference();
        /// The line that states this; None where the cause is that no line states anything.
        evidence: Option<NcclEvidence> = |r| r.evidence.clone().map(NcclEvidence);
    }
    repr = |r| format!("<NcclReason {}>", r.cause);
}

value_class! {
    /// A finding to act on, or to know.
    NcclFinding(fabric::nccl::Finding) {
        /// The stable id of the cause.
        cause: &'static str = |f| f.cause.as_str();
        /// `failed`, `warning` or `note`.
        severity: choices::NcclSeverity = |f| f.severity.as_str().into();
        /// What it is, in one line, with the numbers of this log.
        message: String = |f| f.message.clone();
        /// What to do.
        cure: String = |f| f.cure.clone();
        /// Where that comes from.
        reference: String = |f| f.reference.clone();
        /// The first line that shows it.
        evidence: Option<NcclEvidence> = |f| f.evidence.clone().map(NcclEvidence);
        /// The first 8 processes that it concerns.
        ranks: Vec<String> = |f| f.ranks.clone();
        /// How many processes it concerns.
        rank_count: u32 = |f| f.rank_count;
    }
    repr = |f| format!("<NcclFinding {}: {}>", f.severity, f.cause);
}

value_class! {
    /// Channels by what they run over. Each direction, each peer and each communicator counts.
    NcclChannels(fabric::nccl::Channels) {
        /// Over a network, with GPUDirect RDMA.
        gpudirect: u64 = |c| c.gpudirect;
        /// Over a network, staged through host memory.
        staged: u64 = |c| c.staged;
        /// GPU to GPU in one node.
        peer_to_peer: u64 = |c| c.peer_to_peer;
        /// Through host memory in one node.
        shared_memory: u64 = |c| c.shared_memory;
        /// Numbers of the channels that were seen with GPUDirect RDMA, up to 255.
        gpudirect_channels: Vec<u32> = |c| c.gpudirect_channels.to_vec();
        /// Numbers of the channels that were seen staged, up to 255.
        staged_channels: Vec<u32> = |c| c.staged_channels.to_vec();
        /// Network devices that channels use, up to 255.
        devices: Vec<u32> = |c| c.devices.to_vec();
    }
    repr = |c| format!("<NcclChannels: {} with GPUDirect, {} staged>", c.gpudirect, c.staged);
}

value_class! {
    /// A network as a log shows it; None where no line shows it.
    NcclNetwork(fabric::nccl::Network) {
        /// NCCL's name: `Libfabric`, `AWS Libfabric`, `Socket`, `IB`.
        name: Option<String> = |n| n.name.clone();
        /// libfabric's provider, such as `efa` or `tcp;ofi_rxm`.
        provider: Option<String> = |n| n.provider.clone();
        /// libfabric's fabric: `efa` or `efa-direct`; from aws-ofi-nccl 1.14.
        fabric: Option<String> = |n| n.fabric.clone();
        /// Devices that the plugin found; from aws-ofi-nccl 1.7.
        nics_found: Option<u32> = |n| n.nics_found;
        /// `RDMA` or `SENDRECV`; from aws-ofi-nccl 1.7.
        protocol: Option<String> = |n| n.protocol.clone();
        /// Whether memory is registered as DMA-BUF; from aws-ofi-nccl 1.13.
        dmabuf: Option<bool> = |n| n.dmabuf;
        /// Rails of a device of the plugin; from aws-ofi-nccl 1.14.
        rails: Option<u32> = |n| n.rails;
        /// Groups of devices, one for each GPU or PCIe switch; 0 where no line states it.
        nic_groups: u32 = |n| n.nic_groups;
        /// Version of aws-ofi-nccl.
        plugin_version: Option<String> = |n| n.plugin_version.clone();
        /// Version of libfabric.
        libfabric_version: Option<String> = |n| n.libfabric_version.clone();
        /// Version of NCCL.
        nccl_version: Option<String> = |n| n.nccl_version.clone();
    }
    repr = |n| format!(
        "<NcclNetwork {}, provider {}>",
        n.name.as_deref().unwrap_or("unknown"),
        n.provider.as_deref().unwrap_or("unknown")
    );
}

value_class! {
    /// One process of a job.
    NcclRank(fabric::nccl::Rank) {
        /// Its rank: the launcher's, else the one in the largest communicator.
        rank: Option<u32> = |r| r.rank;
        /// Its host, pod or address.
        host: Option<String> = |r| r.host.clone();
        /// Its process id.
        pid: Option<u32> = |r| r.pid;
        /// Its first CUDA device.
        gpu: Option<u32> = |r| r.gpu;
        /// What it runs over.
        verdict: choices::NcclVerdict = |r| r.verdict.as_str().into();
        /// Why it is not on EFA.
        reason: Option<NcclReason> = |r| r.reason.clone().map(NcclReason);
        /// What it reports of its network.
        network: NcclNetwork = |r| NcclNetwork(r.network.clone());
        /// Its channels.
        channels: NcclChannels = |r| NcclChannels(r.channels.clone());
    }
    repr = |r| format!("<NcclRank {}: {}>", r.label(), r.verdict);
    str = |r| r.label();
}

value_class! {
    /// The processes of one host.
    NcclHost(fabric::nccl::Host) {
        /// Its name, or address.
        host: String = |h| h.host.clone();
        /// How many processes wrote to the log.
        ranks: u32 = |h| h.ranks;
        /// What they run over.
        verdict: choices::NcclVerdict = |h| h.verdict.as_str().into();
    }
    repr = |h| format!("<NcclHost {}: {}>", h.host, h.verdict);
}

value_class! {
    /// Lines of one program in the log.
    NcclSource(fabric::nccl::Seen) {
        /// Whose lines, such as `nccl`, `nixl` or `fi_info`.
        source: &'static str = |s| s.source.as_str();
        /// Its name as people write it.
        title: &'static str = |s| s.source.title();
        /// How many.
        lines: u64 = |s| s.lines;
        /// Whether the verdict takes what they report of the network into account.
        is_judged: bool = |s| s.is_judged;
        /// What they report, in a few words.
        summary: String = |s| s.summary.clone();
    }
    repr = |s| format!("<NcclSource {}: {} lines>", s.source, s.lines);
}

value_class! {
    /// The findings of an NCCL log about the network; `str()` is the text form.
    NcclReport(fabric::nccl::Report) {
        /// `on_efa`, `on_efa_degraded`, `tcp_sockets`, `infiniband`, `other_network`,
        /// `shared_memory_only`, `not_initialised`, `no_nccl_lines` or `mixed`.
        verdict: choices::NcclVerdict = |r| r.verdict.as_str().into();
        /// Whether data goes over EFA, degraded or not.
        is_on_efa: bool = |r| r.verdict.is_on_efa();
        /// 0 on EFA, 1 on EFA with warnings, 2 not on EFA, 3 the log does not state it.
        exit_code: u8 = |r| r.exit_code();
        /// Why it is not on EFA.
        reason: Option<NcclReason> = |r| r.reason.clone().map(NcclReason);
        /// What most processes report; `nics_found` is the smallest.
        network: NcclNetwork = |r| NcclNetwork(r.network.clone());
        /// Devices that the caller expects.
        nics_expected: Option<u32> = |r| r.nics_expected;
        /// Channels of all processes.
        channels: NcclChannels = |r| NcclChannels(r.channels.clone());
        /// Worst first.
        findings: Rows<NcclFinding> = |r| rows(&r.findings);
        /// Every process, by rank.
        ranks: Vec<NcclRank> = |r| list(&r.ranks);
        /// Every host, by name.
        hosts: Vec<NcclHost> = |r| list(&r.hosts);
        /// Whose lines the log has, and whether they are judged.
        sources: Vec<NcclSource> = |r| list(&r.sources);
        /// How the job ended, according to the log: `not_seen`, `orderly` or `failed`.
        end: choices::JobEnd = |r| r.end.as_str().into();
        /// Lines of the log.
        lines: u64 = |r| r.lines;
        /// Messages of NCCL and its plugin in it.
        messages: u64 = |r| r.messages;
    }
    repr = |r| format!("<NcclReport {}: {} processes>", r.verdict, r.ranks.len());
    str = ToString::to_string;
    html = fabric::nccl::Report::to_html;
}

/// A piece of a log.
#[derive(FromPyObject)]
pub(crate) enum Piece<'py> {
    #[pyo3(transparent)]
    Text(Bound<'py, PyString>),
    #[pyo3(transparent)]
    Bytes(Vec<u8>),
}

impl<'a, 'py> Given<'a, 'py> for Piece<'py> {
    fn wanted() -> Cow<'static, str> {
        "a str or bytes".into()
    }

    fn take(given: &'a Bound<'py, PyAny>) -> Taken<Self> {
        given.extract().map_err(|_| Refusal::Type)
    }
}

impl Piece<'_> {
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        match self {
            Self::Text(text) => text.to_string_lossy().into_owned().into_bytes(),
            Self::Bytes(bytes) => bytes,
        }
    }
}

/// A reader of a log as it comes, in pieces of any size; memory does not grow with its length.
///
/// instance_type: what is expected of a node, from the bundled catalog; of a type that the catalog
/// does not have, nothing is, and the report states this. expected_nics: EFA devices that each node
/// must have. expect_gpudirect: whether the instance type has GPUDirect RDMA. Both go before the
/// type. Raises CatalogError for a misspelt instance_type.
#[pyclass(frozen, module = "efa_sdk._efa_sdk")]
pub(crate) struct NcclLog(Mutex<fabric::nccl::Log>);

impl NcclLog {
    fn log(&self) -> PyResult<MutexGuard<'_, fabric::nccl::Log>> {
        self.0
            .lock()
            .map_err(|_| PyValueError::new_err("an earlier call on this log failed"))
    }
}

#[pymethods]
impl NcclLog {
    #[new]
    #[pyo3(signature = (
        *, expected_nics: "int | None" = None, expect_gpudirect: "bool | None" = None,
        instance_type: "str | None" = None
    ))]
    fn new(
        #[pyo3(from_py_with = given)] expected_nics: Option<u32>,
        #[pyo3(from_py_with = given)] expect_gpudirect: Option<bool>,
        #[pyo3(from_py_with = given)] instance_type: Option<&str>,
    ) -> PyResult<Self> {
        let mut expectation = match instance_type {
            Some(name) => fabric::nccl::Expectation::of_instance_type(name).map_err(exception)?,
            None => fabric::nccl::Expectation::new(),
        };
        expectation.nics = expected_nics.or(expectation.nics);
        expectation.gpudirect = expect_gpudirect.or(expectation.gpudirect);
        Ok(Self(Mutex::new(fabric::nccl::Log::new(expectation))))
    }

    /// Takes the next piece of a stream; where it is cut makes no difference.
    #[pyo3(signature = (piece: "str | bytes"))]
    fn feed(&self, py: Python<'_>, #[pyo3(from_py_with = given)] piece: Piece<'_>) -> PyResult<()> {
        let bytes = piece.into_bytes();
        ending::detach(py, || {
            self.log()?.push_bytes(&bytes);
            Ok(())
        })
    }

    /// Takes one line, with or without its newline.
    #[pyo3(signature = (line: "str | bytes"))]
    fn feed_line(
        &self,
        py: Python<'_>,
        #[pyo3(from_py_with = given)] line: Piece<'_>,
    ) -> PyResult<()> {
        let bytes = line.into_bytes();
        ending::detach(py, || {
            self.log()?.push_line(&String::from_utf8_lossy(&bytes));
            Ok(())
        })
    }

    /// Returns what the log states this far, an unfinished last line included.
    fn report(&self, py: Python<'_>) -> PyResult<NcclReport> {
        ending::detach(py, || Ok(NcclReport(self.log()?.report())))
    }

    fn __repr__(&self) -> String {
        "<NcclLog>".to_owned()
    }
}

value_class! {
    /// The reason to set or remove a variable.
    NcclNote(fabric::nccl::Note) {
        /// The variable.
        variable: String = |n| n.variable.clone();
        /// `set`, `unset` or `note`.
        action: &'static str = |n| n.action.as_str();
        /// Why.
        why: String = |n| n.why.clone();
        /// Where that comes from: a repository's file or issue, or a page.
        reference: String = |n| n.reference.clone();
    }
    repr = |n| format!("<NcclNote {} {}>", n.action.as_str(), n.variable);
}

value_class! {
    /// Advice on an environment; `str()` is the text form.
    NcclAdvice(fabric::nccl::Advice) {
        /// Variables that must have these values, for `env_vars` of Ray's `runtime_env`.
        env_vars: BTreeMap<String, String> = |a| a.env_vars().clone();
        /// Variables that are there and must go. A runtime_env cannot remove them: `unset_hint`.
        unset: Vec<String> = |a| a.unset.clone();
        /// Variables of NCCL, its plugin and libfabric that are there and may stay.
        keep: Vec<String> = |a| a.keep.clone();
        /// Why, for each variable that is set or must go, and what else is worth knowing.
        notes: Vec<NcclNote> = |a| list(&a.notes);
        /// Where variables have to be removed; None where none has to.
        unset_hint: Option<&'static str> = fabric::nccl::Advice::unset_hint;
    }
    repr = |a| format!("<NcclAdvice: {} to set, {} to unset>", a.set.len(), a.unset.len());
    str = ToString::to_string;
    html = fabric::nccl::Advice::to_html;
}

#[pymethods]
impl NcclAdvice {
    /// Returns the environment that follows when the advice is taken.
    #[pyo3(signature = (environment: "dict[str, str]"))]
    fn applied_to(
        &self,
        #[pyo3(from_py_with = given)] environment: BTreeMap<String, String>,
    ) -> BTreeMap<String, String> {
        self.0.applied_to(&environment)
    }
}

/// Returns what to set and what to unset for NCCL over EFA, for processes with this environment.
///
/// environment: the variables, by name. What is known of the machine, each None where it is not:
/// instance_type; efa_count, gpu_count: how many EFA interfaces and GPUs; has_rdma: whether its
/// EFA reads and writes remote memory; libfabric_version, plugin_version, plugin_path: of
/// libfabric and of the aws-ofi-nccl plugin; fork_is_safe: whether the kernel lets registered
/// memory be forked. require_efa: whether NCCL is to fail rather than use TCP.
///
/// Raises CatalogError for a misspelt instance_type, FabricError for a version without a number.
#[pyfunction]
#[pyo3(signature = (
    environment: "dict[str, str]", *, instance_type: "str | None" = None,
    efa_count: "int | None" = None, gpu_count: "int | None" = None, has_rdma: "bool | None" = None,
    libfabric_version: "str | None" = None, plugin_version: "str | None" = None,
    plugin_path: "str | None" = None, fork_is_safe: "bool | None" = None,
    require_efa: "bool" = false
))]
#[allow(clippy::too_many_arguments)] // each is a keyword of its own
pub(crate) fn advise_nccl_environment(
    #[pyo3(from_py_with = given)] environment: BTreeMap<String, String>,
    #[pyo3(from_py_with = given)] instance_type: Option<String>,
    #[pyo3(from_py_with = given)] efa_count: Option<u32>,
    #[pyo3(from_py_with = given)] gpu_count: Option<u32>,
    #[pyo3(from_py_with = given)] has_rdma: Option<bool>,
    #[pyo3(from_py_with = given)] libfabric_version: Option<String>,
    #[pyo3(from_py_with = given)] plugin_version: Option<String>,
    #[pyo3(from_py_with = given)] plugin_path: Option<String>,
    #[pyo3(from_py_with = given)] fork_is_safe: Option<bool>,
    #[pyo3(from_py_with = given)] require_efa: bool,
) -> PyResult<NcclAdvice> {
    let mut node = match instance_type {
        Some(name) => fabric::nccl::Node::of_instance_type(name).map_err(exception)?,
        None => fabric::nccl::Node::default(),
    };
    node.efa_count = efa_count.or(node.efa_count);
    node.gpu_count = gpu_count.or(node.gpu_count);
    node.has_rdma = has_rdma.or(node.has_rdma);
    node.libfabric_version = libfabric_version;
    node.plugin_version = plugin_version;
    node.plugin_path = plugin_path;
    node.fork_is_safe = fork_is_safe;
    node.require_efa = require_efa;
    node.check().map_err(exception)?;
    let advice = fabric::nccl::advise_environment(&node, &environment);
    Ok(NcclAdvice(advice))
}
