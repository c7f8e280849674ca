//! libfabric's own log, read.

use std::path::PathBuf;

use efa_fabric as fabric;
use pyo3::prelude::*;

use crate::argument::given;
use crate::convert::list;
use crate::ending;
use crate::nccl::Piece;
use crate::value::value_class;

value_class! {
    /// One line of libfabric's log, taken apart.
    FabricLogLine(fabric::fabric_log::Line) {
        /// The process that wrote it.
        pid: u32 = |line| line.pid;
        /// When, in seconds since 1970; None before libfabric 1.13.
        time_s: Option<u64> = |line| line.time_s;
        /// The provider, or `core` for libfabric itself.
        provider: String = |line| line.provider.clone();
        /// The part of the provider, such as `fabric` or `ep_ctrl`.
        subsystem: String = |line| line.subsystem.clone();
        /// The C function, without parentheses.
        function: String = |line| line.function.clone();
        /// The line of the C file.
        line: u32 = |line| line.line;
        /// What it reports.
        text: String = |line| line.text.clone();
    }
    repr = |line| format!("<FabricLogLine {line}>");
    str = ToString::to_string;
}

value_class! {
    /// A line of libfabric's log that means something for EFA.
    FabricFingerprint(fabric::fabric_log::Fingerprint) {
        /// What it means, such as `empty_list`.
        kind: &'static str = |found| found.kind.as_str();
        /// Whether the provider aborts the process there.
        is_fatal: bool = |found| found.kind.is_fatal();
        /// The provider that wrote the line, `core` for libfabric itself; None for bare text.
        provider: Option<String> = |found| found.provider.clone();
        /// The provider, device, variable or value that the line names.
        subject: Option<String> = |found| found.subject.clone();
        /// The count or the error number that the line names, as written.
        number: Option<i64> = |found| found.number;
        /// The whole line, at most 2048 bytes.
        evidence: String = |found| found.evidence.clone();
    }
    repr = |found| format!("<FabricFingerprint {}>", found.kind.as_str());
    str = ToString::to_string;
}

value_class! {
    /// The evidence in a log of libfabric; `str()` is the text form.
    FabricLog(fabric::fabric_log::Log) {
        /// What the log shows of EFA, in order of first appearance, each once.
        fingerprints: Vec<FabricFingerprint> = |log| list(&log.fingerprints);
        /// The warnings of libfabric, each text once; at most 256.
        warnings: Vec<FabricLogLine> = |log| list(&log.warnings);
        /// Providers that registered themselves, such as `efa (205.10)`; empty below level info.
        registered: Vec<String> = |log| log.registered.clone();
        /// Lines of libfabric in the text.
        lines: u64 = |log| log.lines;
        /// Whether the text has lines of level info, so that what is absent means something.
        has_info: bool = |log| log.has_info;
        /// Whether something was left out.
        is_cut: bool = |log| log.is_cut;
    }
    repr = |log| format!(
        "<FabricLog: {} lines, {} fingerprints>", log.lines, log.fingerprints.len()
    );
    str = ToString::to_string;
    html = crate::value::text_as_html;
}

/// A reader of a log of libfabric: what is no line of libfabric is passed over, except the messages that
/// the efa provider prints bare before it aborts the process.
///
/// log: the text or its bytes. Raises nothing for any text.
#[pyfunction]
#[allow(clippy::needless_pass_by_value)] // pyo3 extracts it
#[pyo3(signature = (
    log: "str | bytes"
))]
pub(crate) fn read_fabric_log(
    py: Python<'_>,
    #[pyo3(from_py_with = given)] log: Piece<'_>,
) -> FabricLog {
    let bytes = log.into_bytes();
    ending::detach(py, || {
        let text = String::from_utf8_lossy(&bytes);
        FabricLog(fabric::fabric_log::Log::parse(&text))
    })
}

/// Reads a log of libfabric from the file at `path`. Raises OSError when it cannot be read.
#[pyfunction]
#[pyo3(signature = (
    path: "str | os.PathLike[str]"
))]
pub(crate) fn read_fabric_log_file(
    py: Python<'_>,
    #[pyo3(from_py_with = given)] path: PathBuf,
) -> PyResult<FabricLog> {
    ending::detach(py, || {
        let bytes = crate::errors::read(&path)?;
        let text = String::from_utf8_lossy(&bytes);
        Ok(FabricLog(fabric::fabric_log::Log::parse(&text)))
    })
}
