//! Probes whose two sides meet through an object of the caller's.

use std::borrow::Cow;
use std::path::PathBuf;

use efa_fabric as fabric;
use pyo3::exceptions::PyFileExistsError;
use pyo3::prelude::*;

use crate::argument::{Given, Refusal, Taken};
use crate::convert::seconds;
use crate::errors;
use crate::fabric::{Library, Probe, library, run};
use crate::fabric_report::ProbeReport;
use crate::runtime::twins;

/// A folder, or an object with `put` and `take`.
pub(crate) enum Exchange {
    Folder(PathBuf),
    Object(Py<PyAny>),
}

impl<'a, 'py> Given<'a, 'py> for Exchange {
    fn wanted() -> Cow<'static, str> {
        "a folder's path, or an object with put and take".into()
    }

    fn take(given: &'a Bound<'py, PyAny>) -> Taken<Self> {
        if let Ok(folder) = given.extract() {
            return Ok(Self::Folder(folder));
        }
        let has = |name| given.hasattr(name).unwrap_or(false);
        if has("put") && has("take") {
            Ok(Self::Object(given.clone().unbind()))
        } else {
            Err(Refusal::Type)
        }
    }
}

impl Exchange {
    pub(crate) fn open(self) -> PyResult<Box<dyn fabric::probe::Exchange + Send>> {
        Ok(match self {
            Self::Folder(path) => {
                Box::new(fabric::probe::Folder::open(path).map_err(errors::exception)?)
            }
            Self::Object(object) => Box::new(Object(object)),
        })
    }
}

struct Object(Py<PyAny>);

impl fabric::probe::Exchange for Object {
    fn put(&mut self, key: &str, value: &[u8]) -> Result<(), fabric::probe::ExchangeError> {
        Python::attach(|py| {
            let left = self.0.call_method1(py, "put", (key, value));
            match left {
                Ok(_) => Ok(()),
                Err(error) if error.is_instance_of::<PyFileExistsError>(py) => {
                    Err(fabric::probe::KeyInUse.into())
                }
                Err(error) => Err(error.into()),
            }
        })
    }

    fn take(&mut self, key: &str) -> Result<Option<Vec<u8>>, fabric::probe::ExchangeError> {
        let taken = Python::attach(|py| self.0.call_method1(py, "take", (key,))?.extract(py))?;
        Ok(taken)
    }
}

fn measuring(
    exchange: Exchange,
    name: String,
    probe: Probe,
    given: Option<&Library>,
) -> PyResult<impl Future<Output = PyResult<ProbeReport>> + Send + use<>> {
    let (options, library) = (probe.into_options()?, library(given)?);
    let mut exchange = exchange.open()?;
    Ok(run(move |interrupt| {
        fabric::probe::measure_through(&library, exchange.as_mut(), &name, &options, interrupt)
    }))
}

fn answering(
    exchange: Exchange,
    name: String,
    probe: Option<Probe>,
    (accept_timeout_s, deadline_s, max_size): (f64, f64, usize),
    given: Option<&Library>,
) -> PyResult<impl Future<Output = PyResult<ProbeReport>> + Send + use<>> {
    let mut options = fabric::ServeOptions::default();
    if let Some(probe) = probe {
        options.endpoint = probe.into_options()?.endpoint;
    }
    options.accept_timeout = seconds("accept_timeout_s", accept_timeout_s)?;
    options.deadline = seconds("deadline_s", deadline_s)?;
    options.max_size = max_size;
    let (mut exchange, library) = (exchange.open()?, library(given)?);
    Ok(run(move |interrupt| {
        fabric::probe::answer_through(&library, exchange.as_mut(), &name, &options, interrupt)
    }))
}

twins! {
    /// Measures to a side that calls `answer_through` with the same exchange and name.
    ///
    /// exchange: a folder that both sides see, or an object with `put(key, value)` and `take(key)`,
    /// which gives what lies there and removes it, or None. name: of this pair, new each time.
    ///
    /// probe: a provider's name, such as `efa`, or ProbeOptions.
    /// library: the libfabric to use; the first that `fabric.Library()` finds when None.
    measure_through, measure_through_async(
        exchange: Exchange,
        name: String,
        probe: Probe,
        library: Option<&Library>,
    ) -> ProbeReport, "collections.abc.Awaitable[ProbeReport]";
    signature (
        exchange: "str | os.PathLike[str] | efa_sdk.fabric.Exchange", name: "str",
        probe: "str | ProbeOptions", *, library: "Library | None" = None
    );
    |py| measuring(exchange, name, probe, library)?
}

twins! {
    /// Answers one side that calls `measure_through` with the same exchange and name.
    ///
    /// probe: only its provider, fabric, domain, source address and memory count. max_size: the
    /// largest message in bytes that the other side may ask for. exchange, name: as there.
    /// accept_timeout_s: how many seconds to wait for the other side; deadline_s: seconds for the
    /// whole probe. library: the libfabric to use; the first that `fabric.Library()` finds when
    /// None.
    answer_through, answer_through_async(
        exchange: Exchange,
        name: String,
        probe: Option<Probe>,
        accept_timeout_s: f64,
        deadline_s: f64,
        max_size: usize,
        library: Option<&Library>,
    ) -> ProbeReport, "collections.abc.Awaitable[ProbeReport]";
    signature (
        exchange: "str | os.PathLike[str] | efa_sdk.fabric.Exchange", name: "str", *,
        probe: "str | ProbeOptions | None" = None, accept_timeout_s: "float" = 60.0,
        deadline_s: "float" = 600.0, max_size: "int" = 67_108_864,
        library: "Library | None" = None
    );
    |py| {
        let limits = (accept_timeout_s, deadline_s, max_size);
        answering(exchange, name, probe, limits, library)?
    }
}
