//! The core client of both classes, connected at the first call.

use std::sync::Arc;

use efa_core as core;
use pyo3::prelude::*;
use tokio::sync::OnceCell;

use crate::aws_log;
use crate::cluster::Event;
use crate::convert::seconds;
use crate::errors;

/// A core client that is connected at the first call.
pub(super) struct Connection {
    options: core::ConnectOptions,
    wait: core::provision::Wait,
    progress: Option<Py<PyAny>>,
    client: OnceCell<core::Client>,
}

impl Connection {
    pub(super) fn new(
        options: core::ConnectOptions,
        wait_timeout_s: f64,
        poll_interval_s: f64,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Arc<Self>> {
        let mut wait = core::provision::Wait::default();
        wait.timeout = seconds("wait_timeout_s", wait_timeout_s)?;
        wait.first_poll = seconds("poll_interval_s", poll_interval_s)?;
        Ok(Arc::new(Self {
            options,
            wait,
            progress,
            client: OnceCell::new(),
        }))
    }

    /// Region, profile and endpoint, where given, and nothing of the credentials.
    pub(super) fn shown(&self) -> String {
        let options = &self.options;
        let given = [
            ("region", &options.region),
            ("profile", &options.profile),
            ("endpoint_url", &options.endpoint_url),
        ];
        let shown: Vec<String> = given
            .into_iter()
            .filter_map(|(name, value)| Some((name, value.as_deref()?)))
            .filter(|(_, value)| !value.contains('@')) // a password may be before it
            .map(|(name, value)| format!("{name}='{value}'"))
            .collect();
        format!("Client({})", shown.join(", "))
    }

    /// For a verb that begins now.
    pub(super) fn begin(self: &Arc<Self>, py: Python<'_>) -> PyResult<Arc<Self>> {
        aws_log::look(py)?;
        Ok(self.clone())
    }

    pub(super) async fn client(&self) -> PyResult<&core::Client> {
        self.client
            .get_or_try_init(|| self.connect())
            .await
            .map_err(errors::exception)
    }

    async fn connect(&self) -> core::Result<core::Client> {
        let client = core::Client::connect(&self.options)
            .await?
            .with_wait(self.wait);
        let progress = Python::attach(|py| {
            self.progress
                .as_ref()
                .map(|callback| callback.clone_ref(py))
        });
        Ok(match progress {
            Some(callback) => client.with_progress(move |event| notify(&callback, event)),
            None => client,
        })
    }
}

/// Calls the progress callback; what it raises is reported, and does not stop the call.
fn notify(callback: &Py<PyAny>, event: &core::provision::Event) {
    Python::attach(|py| {
        if let Err(error) = callback.call1(py, (Event(event.clone()),)) {
            errors::report(py, error, Some(callback.bind(py)));
        }
    });
}
