//! libfabric: what there is, what it offers, and probes of it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use efa_fabric as fabric;
use fabric::token::Token;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use crate::argument::{extracted, given, secret};
use crate::choices;
use crate::convert::{self, list, parse, seconds, word};
use crate::ending::{self, Call, Stop};
use crate::errors;
use crate::fabric_report::{Nic, ProbeReport, ProviderInfo};
use crate::gpu;
use crate::runtime::{Halt, awaitable, block_on, refuse_after_fork, twins};
use crate::value::value_class;

/// A loaded libfabric.
///
/// path: of the library; None takes `$EFA_FABRIC_LIB`, /opt/amazon/efa or the system's, in this
/// order. Raises FabricError where none can be loaded.
#[pyclass(frozen, module = "efa_sdk._efa_sdk")]
pub(crate) struct Library(Arc<fabric::Library>);

#[pymethods]
impl Library {
    /// Finds and loads libfabric, or loads the one at `path`.
    ///
    /// Searched are `$EFA_FABRIC_LIB`, /opt/amazon/efa, then the system's. It stays loaded.
    /// Raises FabricError when there is none, or it cannot be used.
    #[new]
    #[pyo3(signature = (path: "str | None" = None))]
    fn new(py: Python<'_>, #[pyo3(from_py_with = given)] path: Option<String>) -> PyResult<Self> {
        refuse_after_fork()?;
        ending::detach(py, || match path {
            Some(path) => fabric::Library::load(Path::new(&path)),
            None => fabric::Library::find(),
        })
        .map(Self)
        .map_err(errors::exception)
    }

    /// The file that was loaded.
    #[getter]
    fn path(&self) -> String {
        self.0.path().display().to_string()
    }

    /// Its version, such as `1.17`.
    #[getter]
    fn version(&self) -> String {
        self.0.version().to_string()
    }

    /// The interface version that is asked of it.
    #[getter]
    fn requested_api(&self) -> String {
        self.0.requested_api().to_string()
    }

    /// Returns everything that it offers on this machine, in its order of preference.
    fn providers(&self, py: Python<'_>) -> PyResult<Vec<ProviderInfo>> {
        let offered =
            ending::detach(py, || fabric::providers(&self.0)).map_err(errors::exception)?;
        Ok(list(&offered))
    }

    /// Returns the network devices that it can use, each once.
    fn nics(&self, py: Python<'_>) -> PyResult<Vec<Nic>> {
        let found = ending::detach(py, || fabric::nics(&self.0)).map_err(errors::exception)?;
        Ok(list(&found))
    }

    fn __repr__(&self) -> String {
        format!(
            "<libfabric {} at {}>",
            self.0.version(),
            self.0.path().display()
        )
    }
}

pub(crate) fn library(given: Option<&Library>) -> PyResult<Arc<fabric::Library>> {
    match given {
        Some(library) => Ok(library.0.clone()),
        None => fabric::Library::find().map_err(errors::exception),
    }
}

value_class! {
    /// Options of a probe: what to measure, and for how long.
    ///
    /// provider: such as `efa`, `tcp` or `shm`. sizes: of messages, in bytes. size_budget_s:
    /// seconds for each size and each of latency and bandwidth. window: messages in flight for
    /// bandwidth, at most 64. buffers: `reused` or `distinct`. operation: `message`, `tagged`,
    /// `write`, `write_data` or `read`. direction: `one_way`, or `bidirectional` to have both sides
    /// send while bandwidth is measured. wait: `adaptive`, which sleeps where nothing happens, or
    /// `spin`. deadline_s: seconds for the whole probe. source_address: a numeric local address,
    /// for providers with IP addresses. memory: where this side's buffers lie, `host`, or `cuda:0`
    /// for the memory of a GPU, which is never replaced by host memory: FabricError
    /// `fabric.gpu_unavailable` states in its context (`missing`) what it lacks. dmabuf: whether that
    /// is registered as a DMA-BUF. forbid_cuda_calls: whether libfabric must call no CUDA.
    /// domain, fabric: of libfabric, any of the provider when None. min_iterations, max_iterations:
    /// of each size. connect_timeout_s: seconds to reach the other side.
    ///
    /// Raises FabricError that names the option.
    ProbeOptions(fabric::ProbeOptions) {
        /// The provider.
        provider: String = |o| o.endpoint.provider.clone();
        /// The fabric by name.
        fabric: Option<String> = |o| o.endpoint.fabric.clone();
        /// The domain by name.
        domain: Option<String> = |o| o.endpoint.domain.clone();
        /// The local address.
        source_address: Option<String> = |o| o.endpoint.source_address.clone();
        /// Message sizes in bytes.
        sizes: Vec<usize> = |o| o.sizes.clone();
        /// Whether latency is measured.
        latency: bool = |o| o.latency;
        /// Whether bandwidth is measured.
        bandwidth: bool = |o| o.bandwidth;
        /// Seconds for each size and kind.
        size_budget_s: f64 = |o| o.size_budget.as_secs_f64();
        /// Round trips or messages that are measured at least.
        min_iterations: u32 = |o| o.min_iterations;
        /// Round trips or messages that are measured at most.
        max_iterations: u32 = |o| o.max_iterations;
        /// Messages in flight for bandwidth.
        window: u32 = |o| o.window;
        /// `reused` or `distinct`.
        buffers: PyResult<choices::Buffers> = |o| word(&o.buffers).map(Into::into);
        /// `message`, `tagged`, `write`, `write_data` or `read`.
        operation: PyResult<choices::Operation> = |o| word(&o.operation).map(Into::into);
        /// `one_way` or `bidirectional`.
        direction: PyResult<choices::Direction> = |o| word(&o.direction).map(Into::into);
        /// `adaptive` or `spin`.
        wait: PyResult<choices::Wait> = |o| word(&o.wait).map(Into::into);
        /// `host`, or `cuda:0`.
        memory: String = |o| o.endpoint.memory.to_string();
        /// Whether GPU memory is registered as a DMA-BUF.
        dmabuf: bool = |o| gpu::cuda(o.endpoint.memory).is_some_and(|cuda| cuda.dmabuf);
        /// Whether libfabric must call no CUDA.
        forbid_cuda_calls: bool =
            |o| gpu::cuda(o.endpoint.memory).is_some_and(|cuda| cuda.forbid_cuda_calls);
        /// Seconds for the whole probe.
        deadline_s: f64 = |o| o.deadline.as_secs_f64();
        /// Seconds to reach the peer.
        connect_timeout_s: f64 = |o| o.connect_timeout.as_secs_f64();
    }
    repr = |o| format!("ProbeOptions('{}', sizes={:?})", o.endpoint.provider, o.sizes);
}

#[pymethods]
impl ProbeOptions {
    #[new]
    #[pyo3(signature = (
        provider: "str", *, fabric: "str | None" = None, domain: "str | None" = None,
        source_address: "str | None" = None, sizes: "Sequence[int] | None" = None,
        latency: "bool" = true, bandwidth: "bool" = true, size_budget_s: "float" = 0.25,
        min_iterations: "int" = 10, max_iterations: "int" = 1_000_000, window: "int" = 64,
        buffers: "choices.Buffers" = "reused",
        operation: "choices.Operation" = "message",
        direction: "choices.Direction" = "one_way",
        wait: "choices.Wait" = "adaptive", deadline_s: "float" = 60.0,
        connect_timeout_s: "float" = 10.0, memory: "str" = "host", dmabuf: "bool" = false,
        forbid_cuda_calls: "bool" = false
    ))]
    #[allow(clippy::too_many_arguments)] // each is a keyword of its own
    fn new(
        #[pyo3(from_py_with = given)] provider: String,
        #[pyo3(from_py_with = given)] fabric: Option<String>,
        #[pyo3(from_py_with = given)] domain: Option<String>,
        #[pyo3(from_py_with = given)] source_address: Option<String>,
        #[pyo3(from_py_with = given)] sizes: Option<Vec<usize>>,
        #[pyo3(from_py_with = given)] latency: bool,
        #[pyo3(from_py_with = given)] bandwidth: bool,
        #[pyo3(from_py_with = given)] size_budget_s: f64,
        #[pyo3(from_py_with = given)] min_iterations: u32,
        #[pyo3(from_py_with = given)] max_iterations: u32,
        #[pyo3(from_py_with = given)] window: u32,
        #[pyo3(from_py_with = given)] buffers: &str,
        #[pyo3(from_py_with = given)] operation: &str,
        #[pyo3(from_py_with = given)] direction: &str,
        #[pyo3(from_py_with = given)] wait: &str,
        #[pyo3(from_py_with = given)] deadline_s: f64,
        #[pyo3(from_py_with = given)] connect_timeout_s: f64,
        #[pyo3(from_py_with = given)] memory: &str,
        #[pyo3(from_py_with = given)] dmabuf: bool,
        #[pyo3(from_py_with = given)] forbid_cuda_calls: bool,
    ) -> PyResult<Self> {
        let mut options = fabric::ProbeOptions::new(provider);
        options.endpoint.fabric = fabric;
        options.endpoint.domain = domain;
        options.endpoint.source_address = source_address;
        options.endpoint.memory = gpu::parse_memory(memory, dmabuf, forbid_cuda_calls)?;
        if let Some(sizes) = sizes {
            options.sizes = sizes;
        }
        options.latency = latency;
        options.bandwidth = bandwidth;
        options.size_budget = seconds("size_budget_s", size_budget_s)?;
        options.min_iterations = min_iterations;
        options.max_iterations = max_iterations;
        options.window = window;
        options.buffers = parse("buffers", buffers)?;
        options.operation = parse("operation", operation)?;
        options.direction = parse("direction", direction)?;
        options.wait = parse("wait", wait)?;
        options.deadline = seconds("deadline_s", deadline_s)?;
        options.connect_timeout = seconds("connect_timeout_s", connect_timeout_s)?;
        options.check().map_err(errors::exception)?;
        Ok(Self(options))
    }
}

/// A provider's name, or options.
#[derive(FromPyObject)]
#[allow(clippy::large_enum_variant)] // lives for one call
pub(crate) enum Probe {
    Provider(String),
    #[pyo3(transparent)]
    Options(ProbeOptions),
}

extracted! {
    Probe: "a provider's name or ProbeOptions";
}

impl Probe {
    pub(crate) fn into_options(self) -> PyResult<fabric::ProbeOptions> {
        match self {
            Self::Provider(provider) => {
                let options = fabric::ProbeOptions::new(provider);
                options.check().map_err(errors::exception)?;
                Ok(options)
            }
            Self::Options(options) => Ok(options.0),
        }
    }
}

/// Stops a probe when the future that waits for it is dropped: by Ctrl-C, or by cancellation.
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs a probe on a thread of its own.
pub(crate) async fn run(
    probe: impl FnOnce(fabric::Interrupt<'_>) -> fabric::Result<fabric::ProbeReport> + Send + 'static,
) -> PyResult<ProbeReport> {
    on_thread(probe).await.map(ProbeReport)
}

/// Runs what can be interrupted on a thread of its own.
pub(crate) async fn on_thread<T: Send + 'static>(
    probe: impl FnOnce(fabric::Interrupt<'_>) -> fabric::Result<T> + Send + 'static,
) -> PyResult<T> {
    on_thread_until(Arc::default(), probe).await
}

/// Does the same, until it is asked to end.
pub(crate) async fn on_thread_until<T: Send + 'static>(
    halt: Arc<Halt>,
    probe: impl FnOnce(fabric::Interrupt<'_>) -> fabric::Result<T> + Send + 'static,
) -> PyResult<T> {
    let _stop_on_drop = StopOnDrop(halt.flag.clone());
    let call = Call::begin(Stop::Flag(halt.flag.clone()))?;
    let thread = tokio::task::spawn_blocking(move || {
        call.carry(|| {
            let hook = || halt.flag.load(Ordering::Relaxed);
            probe(fabric::Interrupt::new(&hook).by(&halt.signal))
        })
    });
    match thread.await {
        Ok(result) => result.map_err(errors::exception),
        Err(error) => Err(PyRuntimeError::new_err(format!(
            "the probe's thread ended: {error}"
        ))),
    }
}

async fn run_loopback(
    library: Arc<fabric::Library>,
    options: fabric::ProbeOptions,
) -> PyResult<ProbeReport> {
    run(move |interrupt| fabric::probe::loopback_with(&library, &options, interrupt)).await
}

async fn run_connect(
    library: Arc<fabric::Library>,
    address: String,
    token: Token,
    options: fabric::ProbeOptions,
) -> PyResult<ProbeReport> {
    run(move |interrupt| fabric::connect(&library, &address, &token, &options, interrupt)).await
}

twins! {
    /// Measures between two endpoints of this process.
    ///
    /// probe: a provider's name, such as `tcp` or `shm`, or ProbeOptions.
    /// library: the libfabric to use; the first that `fabric.Library()` finds when None.
    loopback, loopback_async(probe: Probe, library: Option<&Library>)

        -> ProbeReport, "collections.abc.Awaitable[ProbeReport]";
    signature (probe: "str | ProbeOptions", *, library: "Library | None" = None);
    |py| {
        let options = probe.into_options()?;
        run_loopback(self::library(library)?, options)
    }
}

twins! {
    /// Measures to a `Server` at an address (`host:port`), which must have the same token.
    ///
    /// probe: a provider's name, such as `efa`, or ProbeOptions.
    /// library: the libfabric to use; the first that `fabric.Library()` finds when None.
    connect, connect_async(address: String, token: String, probe: Probe, library: Option<&Library>)

        -> ProbeReport, "collections.abc.Awaitable[ProbeReport]";
    signature (
        address: "str", token: "str", probe: "str | ProbeOptions", *,
        library: "Library | None" = None
    );
    |py| {
        let options = probe.into_options()?;
        let token = Token::parse(token).map_err(errors::exception)?;
        run_connect(self::library(library)?, address, token, options)
    }
}

/// The answering side of a probe between two processes.
///
/// token: what a peer must have, 16 to 1,024 bytes; a random one if left out. It is never sent.
/// address: `host:port` to listen on; any free port of this machine only by default. Raises
/// FabricError when it cannot be listened on.
#[pyclass(frozen, module = "efa_sdk._efa_sdk")]
pub(crate) struct Server {
    server: Arc<fabric::Server>,
    token: Token,
}

impl Server {
    fn answer(
        &self,
        accept_timeout_s: f64,
        deadline_s: f64,
        max_size: usize,
        wait: &str,
        (memory, dmabuf): (&str, bool),
        library: Option<&Library>,
    ) -> PyResult<impl Future<Output = PyResult<ProbeReport>> + Send + use<>> {
        let mut options = fabric::ServeOptions::default();
        options.accept_timeout = seconds("accept_timeout_s", accept_timeout_s)?;
        options.deadline = seconds("deadline_s", deadline_s)?;
        options.max_size = max_size;
        options.wait = parse("wait", wait)?;
        options.endpoint.memory = gpu::parse_memory(memory, dmabuf, false)?;
        let (server, library) = (self.server.clone(), self::library(library)?);
        Ok(run(move |interrupt| {
            server.serve_one(&library, &options, interrupt)
        }))
    }
}

#[pymethods]
impl Server {
    #[new]
    #[pyo3(signature = (token: "str | None" = None, *, address: "str" = "127.0.0.1:0"))]
    fn new(
        #[pyo3(from_py_with = secret)] token: Option<String>,
        #[pyo3(from_py_with = given)] address: &str,
    ) -> PyResult<Self> {
        refuse_after_fork()?;
        let token = convert::token(token)?;
        let server = fabric::Server::bind(convert::address(address)?, token.clone())
            .map_err(errors::exception)?;
        Ok(Self {
            server: Arc::new(server),
            token,
        })
    }

    /// The secret that peers need. Bring it to them as one.
    #[getter]
    fn token(&self) -> &str {
        self.token.reveal()
    }

    /// What peers connect to, as `ip:port`.
    #[getter]
    fn address(&self) -> String {
        self.server.address().to_string()
    }

    /// Answers the next peer that has the token; the report has what it measured. max_size: the
    /// largest message in bytes that the peer may ask for, which decides how much memory is taken.
    /// wait: `adaptive` or `spin`. memory, dmabuf: of this side, as for `ProbeOptions`.
    /// accept_timeout_s: how many seconds to wait for a peer; deadline_s: seconds for the whole
    /// probe. library: the libfabric to use; the first that `fabric.Library()` finds when None.
    #[pyo3(signature = (
        *, accept_timeout_s: "float" = 60.0, deadline_s: "float" = 600.0,
        max_size: "int" = 67_108_864, wait: "choices.Wait" = "adaptive",
        memory: "str" = "host", dmabuf: "bool" = false, library: "Library | None" = None
    ))]
    #[allow(clippy::too_many_arguments)] // each is a keyword of its own
    fn serve_one(
        &self,
        py: Python<'_>,
        #[pyo3(from_py_with = given)] accept_timeout_s: f64,
        #[pyo3(from_py_with = given)] deadline_s: f64,
        #[pyo3(from_py_with = given)] max_size: usize,
        #[pyo3(from_py_with = given)] wait: &str,
        #[pyo3(from_py_with = given)] memory: &str,
        #[pyo3(from_py_with = given)] dmabuf: bool,
        #[pyo3(from_py_with = given)] library: Option<&Library>,
    ) -> PyResult<ProbeReport> {
        let memory = (memory, dmabuf);
        block_on(
            py,
            self.answer(
                accept_timeout_s,
                deadline_s,
                max_size,
                wait,
                memory,
                library,
            )?,
        )
    }

    /// Does the same as `serve_one`, as an awaitable.
    #[pyo3(signature = (
        *, accept_timeout_s: "float" = 60.0, deadline_s: "float" = 600.0,
        max_size: "int" = 67_108_864, wait: "choices.Wait" = "adaptive",
        memory: "str" = "host", dmabuf: "bool" = false, library: "Library | None" = None
    ) -> "collections.abc.Awaitable[ProbeReport]")]
    #[allow(clippy::too_many_arguments)] // each is a keyword of its own
    fn serve_one_async<'py>(
        &self,
        py: Python<'py>,
        #[pyo3(from_py_with = given)] accept_timeout_s: f64,
        #[pyo3(from_py_with = given)] deadline_s: f64,
        #[pyo3(from_py_with = given)] max_size: usize,
        #[pyo3(from_py_with = given)] wait: &str,
        #[pyo3(from_py_with = given)] memory: &str,
        #[pyo3(from_py_with = given)] dmabuf: bool,
        #[pyo3(from_py_with = given)] library: Option<&Library>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let memory = (memory, dmabuf);
        awaitable(
            py,
            self.answer(
                accept_timeout_s,
                deadline_s,
                max_size,
                wait,
                memory,
                library,
            )?,
        )
    }

    fn __repr__(&self) -> String {
        format!("<Server on {}>", self.server.address())
    }
}
