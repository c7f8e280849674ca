//! The TCP store where ranks of a survey meet.

use std::sync::Mutex;
use std::time::Duration;

use efa_fabric as fabric;
use fabric::token::Token;
use pyo3::exceptions::{PyFileExistsError, PyOSError};
use pyo3::prelude::*;

use crate::argument::{given, secret};
use crate::convert::{self, seconds};
use crate::ending;
use crate::errors;
use crate::fabric::on_thread;
use crate::runtime::block_on;

/// A store over TCP where ranks meet. Answers until it is closed or its deadline passes.
///
/// token: what every rank must have, 16 to 1,024 bytes; a random one if left out. It is never sent.
/// address: `ip:port` to listen on. deadline_s: seconds until it closes by itself, 86,400
/// by default.
#[pyclass(frozen, module = "efa_sdk._efa_sdk")]
pub(crate) struct StoreServer {
    server: Mutex<Option<fabric::store::Server>>,
    address: String,
    token: Token,
}

#[pymethods]
impl StoreServer {
    #[new]
    #[pyo3(signature = (
        token: "str | None" = None, *, address: "str" = "127.0.0.1:0",
        deadline_s: "float" = 86_400.0
    ))]
    fn new(
        #[pyo3(from_py_with = secret)] token: Option<String>,
        #[pyo3(from_py_with = given)] address: &str,
        #[pyo3(from_py_with = given)] deadline_s: f64,
    ) -> PyResult<Self> {
        crate::runtime::refuse_after_fork()?;
        let token = convert::token(token)?;
        let address = convert::address(address)?;
        let mut options = fabric::store::Options::default();
        options.deadline = seconds("deadline_s", deadline_s)?;
        let server =
            fabric::store::Server::start(address, &token, &options).map_err(errors::exception)?;
        let address = server.address().to_string();
        Ok(Self {
            server: Mutex::new(Some(server)),
            address,
            token,
        })
    }

    /// The secret that ranks need. Bring it to them as one.
    #[getter]
    fn token(&self) -> &str {
        self.token.reveal()
    }

    /// What ranks connect to, as `ip:port`.
    #[getter]
    fn address(&self) -> String {
        self.address.clone()
    }

    /// Ends it; more than once does nothing.
    fn close(&self, py: Python<'_>) {
        ending::detach(py, || drop(lock(&self.server).take()));
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __exit__(
        &self,
        py: Python<'_>,
        _kind: &Bound<'_, PyAny>,
        _value: &Bound<'_, PyAny>,
        _traceback: &Bound<'_, PyAny>,
    ) {
        self.close(py);
    }

    fn __repr__(&self) -> String {
        format!("<StoreServer on {}>", self.address)
    }
}

/// A connection to a `StoreServer`; an exchange for probes and surveys.
///
/// address: the store's `host:port`. token: the store's. timeout_s: to reach it, in seconds.
/// request_timeout_s: for each answer; a store whose host is gone sends nothing, and `put` and
/// `take` raise OSError then.
#[pyclass(frozen, module = "efa_sdk._efa_sdk")]
pub(crate) struct StoreClient(Mutex<fabric::store::Client>);

#[pymethods]
impl StoreClient {
    #[new]
    #[pyo3(signature = (address: "str", token: "str", *, timeout_s: "float" = 60.0,
        request_timeout_s: "float" = 60.0))]
    fn new(
        py: Python<'_>,
        #[pyo3(from_py_with = given)] address: String,
        #[pyo3(from_py_with = secret)] token: String,
        #[pyo3(from_py_with = given)] timeout_s: f64,
        #[pyo3(from_py_with = given)] request_timeout_s: f64,
    ) -> PyResult<Self> {
        let timeout: Duration = seconds("timeout_s", timeout_s)?;
        let request_timeout: Duration = seconds("request_timeout_s", request_timeout_s)?;
        let token = Token::parse(token).map_err(errors::exception)?;
        let connecting = async move {
            on_thread(move |interrupt| {
                fabric::store::Client::connect(&address, &token, timeout, interrupt)
            })
            .await
        };
        let client = block_on(py, connecting)?;
        Ok(Self(Mutex::new(
            client.with_request_timeout(request_timeout),
        )))
    }

    /// Leaves the bytes (value) under a key that was not used before.
    ///
    /// Raises FileExistsError when something lies there already, OSError when the store refuses or
    /// is gone. Ctrl-C ends it, and the connection with it.
    #[pyo3(signature = (key: "str", value: "bytes"))]
    fn put(
        &self,
        py: Python<'_>,
        #[pyo3(from_py_with = given)] key: &str,
        #[pyo3(from_py_with = given)] value: &[u8],
    ) -> PyResult<()> {
        self.ask(py, |client, stop| client.put_until(key, value, stop))
    }

    /// Takes away what lies under the key; None while nothing does.
    ///
    /// Raises OSError when the store refuses or is gone. Ctrl-C ends it, and the connection with
    /// it.
    #[pyo3(signature = (key: "str"))]
    fn take(
        &self,
        py: Python<'_>,
        #[pyo3(from_py_with = given)] key: &str,
    ) -> PyResult<Option<Vec<u8>>> {
        self.ask(py, |client, stop| client.take_until(key, stop))
    }
}

impl StoreClient {
    /// One request, without the GIL. Ctrl-C is asked for while the answer has not come.
    fn ask<T: Send>(
        &self,
        py: Python<'_>,
        request: impl FnOnce(
            &mut fabric::store::Client,
            &dyn Fn() -> bool,
        ) -> Result<T, fabric::probe::ExchangeError>
        + Send,
    ) -> PyResult<T> {
        ending::detach(py, || {
            let raised = Mutex::new(None);
            let stop = || {
                let signal = Python::attach(|py| py.check_signals());
                let is_raised = signal.is_err();
                if let Err(signal) = signal {
                    *lock(&raised) = Some(signal);
                }
                is_raised
            };
            let answer = request(&mut lock(&self.0), &stop);
            match (answer, lock(&raised).take()) {
                (_, Some(signal)) => Err(signal),
                (answer, None) => answer.map_err(|error| store_failed(error.as_ref())),
            }
        })
    }
}

fn store_failed(error: &(dyn std::error::Error + Send + Sync + 'static)) -> PyErr {
    match error.is::<fabric::probe::KeyInUse>() {
        true => PyFileExistsError::new_err(error.to_string()),
        false => PyOSError::new_err(error.to_string()),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
