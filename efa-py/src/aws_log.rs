//! Calls to AWS, which `efa_core` reports through `tracing`, in Python's logger `efa_sdk.aws`.

use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use efa_core::aws::LOG_TARGET;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber, span};

use crate::ending::{Call, Stop};
use crate::errors;

/// `logging.DEBUG`.
const DEBUG: u32 = 10;

/// Whether the logger took DEBUG records when a verb last began. Threads that carry calls read
/// this, not the logger: while it is off they do not take the GIL.
static IS_ON: AtomicBool = AtomicBool::new(false);

/// Looks whether the logger takes DEBUG records, for the verb that begins and those under way.
pub(crate) fn look(py: Python<'_>) -> PyResult<()> {
    static TO_LOGGING: Once = Once::new();
    let is_on = logger(py)?
        .call_method1("isEnabledFor", (DEBUG,))?
        .is_truthy()?;
    IS_ON.store(is_on, Ordering::Relaxed);
    if is_on {
        // Another subscriber in this library would be this one, too.
        TO_LOGGING.call_once(|| drop(tracing::subscriber::set_global_default(ToLogging)));
    }
    Ok(())
}

fn logger(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    static LOGGER: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let get = || {
        let logging = py.import("logging")?;
        Ok::<_, PyErr>(
            logging
                .call_method1("getLogger", ("efa_sdk.aws",))?
                .unbind(),
        )
    };
    Ok(LOGGER.get_or_try_init(py, get)?.bind(py))
}

/// Takes the events of calls to AWS, and nothing else that the AWS SDK reports.
struct ToLogging;

impl Subscriber for ToLogging {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if metadata.target() == LOG_TARGET {
            Interest::sometimes()
        } else {
            Interest::never()
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == LOG_TARGET && IS_ON.load(Ordering::Relaxed)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::DEBUG)
    }

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        // None begins once the interpreter ends, and its end waits for those that have begun.
        let Ok(call) = Call::begin(Stop::Not) else {
            return;
        };
        Python::attach(|py| {
            if let Err(error) = fields.log(py) {
                errors::report(py, error, None);
            }
        });
        drop(call);
    }

    // There are no spans of our target.
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

/// What an event states.
#[derive(Default)]
struct Fields {
    service: String,
    action: String,
    attempt: u64,
    outcome: String,
    ms: u64,
    request_id: Option<String>,
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "service" => self.service = value.to_owned(),
            "action" => self.action = value.to_owned(),
            "outcome" => self.outcome = value.to_owned(),
            "request_id" => self.request_id = Some(value.to_owned()),
            _ => {}
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        match field.name() {
            "attempt" => self.attempt = value,
            "ms" => self.ms = value,
            _ => {}
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}

impl Fields {
    /// One record: its message, and each part as an attribute of the record.
    fn log(&self, py: Python<'_>) -> PyResult<()> {
        let parts = PyDict::new(py);
        parts.set_item("aws_service", &self.service)?;
        parts.set_item("aws_action", &self.action)?;
        parts.set_item("aws_attempt", self.attempt)?;
        parts.set_item("aws_outcome", &self.outcome)?;
        parts.set_item("aws_ms", self.ms)?;
        parts.set_item("aws_request_id", &self.request_id)?;
        let options = PyDict::new(py);
        options.set_item("extra", parts)?;
        let arguments = (
            "%s %s, attempt %d: %s after %d ms, request %s",
            &self.service,
            &self.action,
            self.attempt,
            &self.outcome,
            self.ms,
            self.request_id.as_deref().unwrap_or("unknown"),
        );
        logger(py)?.call_method("debug", arguments, Some(&options))?;
        Ok(())
    }
}
