//! `Client`, which blocks, and `AsyncClient`, which `efa_sdk.aio.Client` awaits.

use std::sync::Arc;
use std::time::Duration;

use efa_core as core;
use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::prelude::*;
use tokio::sync::OnceCell;

use crate::catalog::Catalog;
use crate::cluster::{
    CapacityBlockOffering, Cluster, DestroyReport, Event, InstanceReport, PreflightReport,
    VerifyReport,
};
use crate::errors;
use crate::nodes::{self, ClusterSummary, CommandReport, Topology};
use crate::plan::{ClusterSpec, Plan};
use crate::runtime::{awaitable, block_on, stoppable};

/// A core client that is connected at the first call.
struct Connection {
    options: core::ConnectOptions,
    wait: core::provision::Wait,
    progress: Option<Py<PyAny>>,
    client: OnceCell<core::Client>,
}

impl Connection {
    fn new(
        region: Option<String>,
        endpoint_url: Option<String>,
        profile: Option<String>,
        wait_timeout_s: f64,
        poll_interval_s: f64,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Arc<Self>> {
        let mut options = core::ConnectOptions::default();
        options.region = region;
        options.endpoint_url = endpoint_url;
        options.profile = profile;
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

    async fn client(&self) -> PyResult<&core::Client> {
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
            Some(callback) => client.with_progress(move |event| tell(&callback, event)),
            None => client,
        })
    }
}

fn seconds(name: &str, value: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(value).map_err(|error| {
        pyo3::exceptions::PyValueError::new_err(format!("{name} is {value}: {error}"))
    })
}

/// Calls the progress callback; what it raises is reported, and does not stop the call.
fn tell(callback: &Py<PyAny>, event: &core::provision::Event) {
    Python::attach(|py| {
        let Err(error) = callback.call1(py, (Event(event.clone()),)) else {
            return;
        };
        if error.is_instance_of::<PyKeyboardInterrupt>(py) {
            // Ctrl-C is for the call, not for the callback that it happened to meet.
            let again = py
                .import("_thread")
                .and_then(|t| t.call_method0("interrupt_main"));
            if again.is_ok() {
                return;
            }
        }
        error.write_unraisable(py, Some(callback.bind(py)));
    });
}

/// What `verify` takes: a cluster's name, or the plan itself.
#[derive(FromPyObject)]
#[allow(clippy::large_enum_variant)] // lives for one call
enum NameOrPlan {
    Name(String),
    #[pyo3(transparent)]
    Plan(Plan),
}

/// A request to stop `apply`, `grow` or `destroy` at the next safe point.
#[pyclass(frozen, module = "efa_sdk._efa_sdk")]
pub(crate) struct Cancel(core::provision::Cancel);

#[pymethods]
impl Cancel {
    #[new]
    fn new() -> Self {
        Self(core::provision::Cancel::new())
    }

    /// Makes the request.
    fn cancel(&self) {
        self.0.cancel();
    }
}

/// One future per verb, shared by both classes.
mod verbs {
    use super::*;

    macro_rules! verb {
        ($name:ident($($argument:ident: $type:ty),*) -> $result:ty, $convert:expr, |$client:ident| $call:expr) => {
            pub(super) async fn $name(
                connection: Arc<Connection>,
                $($argument: $type),*
            ) -> PyResult<$result> {
                let $client = connection.client().await?;
                $call.await.map($convert).map_err(errors::exception)
            }
        };
        (stoppable $name:ident($argument:ident: $type:ty) -> $result:ty, $convert:expr, |$client:ident| $call:expr) => {
            pub(super) async fn $name(
                connection: Arc<Connection>,
                cancel: core::provision::Cancel,
                $argument: $type,
            ) -> PyResult<$result> {
                let $client = connection.client().await?.clone().with_cancel(cancel);
                $call.await.map($convert).map_err(errors::exception)
            }
        };
    }

    verb!(catalog() -> Catalog, Catalog, |client| client.catalog());
    verb!(plan(spec: ClusterSpec) -> Plan, Plan, |client| client.plan(&spec.0));
    verb!(preflight(plan: Plan) -> PreflightReport, PreflightReport, |client| client.preflight(&plan.0));
    verb!(
        clusters() -> Vec<ClusterSummary>,
        |found| found.into_iter().map(ClusterSummary).collect(),
        |client| client.clusters()
    );
    verb!(
        verify_instance(instance_id: String) -> InstanceReport,
        InstanceReport,
        |client| client.verify_instance(&instance_id)
    );
    verb!(topology(name: String) -> Topology, Topology, |client| client.topology(&name));
    verb!(
        run_command(name: String, script: String, options: core::run_command::Options) -> CommandReport,
        CommandReport,
        |client| client.run_command(&name, &script, &options)
    );
    verb!(describe(name: String) -> Cluster, Cluster, |client| client.describe(&name));
    verb!(
        capacity_block_offerings(search: core::ec2::CapacityBlockSearch) -> Vec<CapacityBlockOffering>,
        |found| found.into_iter().map(CapacityBlockOffering).collect(),
        |client| client.capacity_block_offerings(&search)
    );
    verb!(stoppable prepare(plan: Plan) -> Plan, Plan, |client| client.prepare(&plan.0));
    verb!(stoppable apply(plan: Plan) -> Cluster, Cluster, |client| client.apply(&plan.0));
    verb!(stoppable grow(plan: Plan) -> Cluster, Cluster, |client| client.grow(&plan.0));
    verb!(stoppable destroy(name: String) -> DestroyReport, DestroyReport, |client| client.destroy(&name));

    pub(super) async fn verify(
        connection: Arc<Connection>,
        cluster: NameOrPlan,
    ) -> PyResult<VerifyReport> {
        let client = connection.client().await?;
        let report = match &cluster {
            NameOrPlan::Name(name) => client.verify(name).await,
            NameOrPlan::Plan(plan) => client.verify_plan(&plan.0).await,
        };
        report.map(VerifyReport).map_err(errors::exception)
    }
}

fn command_options(deadline_s: f64, wait_online_s: f64) -> PyResult<core::run_command::Options> {
    let deadline = seconds("deadline_s", deadline_s)?;
    Ok(nodes::options(
        deadline,
        seconds("wait_online_s", wait_online_s)?,
    ))
}

fn search(
    instance_type: String,
    instance_count: u32,
    duration_hours: u32,
) -> core::ec2::CapacityBlockSearch {
    core::ec2::CapacityBlockSearch {
        instance_type,
        instance_count,
        duration_hours,
    }
}

/// Plans, applies, verifies and destroys clusters in one region. Every call blocks, with the
/// GIL released; Ctrl-C stops it.
///
/// Region and credentials that are not given come from where the AWS CLI takes them.
/// endpoint_url: another endpoint, such as a stand-in's. profile: of the AWS CLI's
/// configuration. wait_timeout_s: limit in seconds of each wait of `apply` and `destroy`;
/// poll_interval_s: time between the first two looks, growing up to 10 s. progress: called with an `Event` at every step of them.
///
/// The first call connects; it raises Ec2Error without a region or credentials.
#[pyclass(frozen, module = "efa_sdk._efa_sdk")]
pub(crate) struct Client(Arc<Connection>);

#[pymethods]
impl Client {
    #[new]
    #[pyo3(signature = (*, region=None, endpoint_url=None, profile=None, wait_timeout_s=900.0, poll_interval_s=0.5, progress: "collections.abc.Callable[[Event], object] | None" = None))]
    fn new(
        region: Option<String>,
        endpoint_url: Option<String>,
        profile: Option<String>,
        wait_timeout_s: f64,
        poll_interval_s: f64,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        let (timeout, poll) = (wait_timeout_s, poll_interval_s);
        Connection::new(region, endpoint_url, profile, timeout, poll, progress).map(Self)
    }

    /// Every instance type of the region that supports EFA, with the zones that offer it.
    fn catalog(&self, py: Python<'_>) -> PyResult<Catalog> {
        block_on(py, verbs::catalog(self.0.clone()))
    }

    /// What `apply` would use and make. Changes nothing.
    fn plan(&self, py: Python<'_>, spec: ClusterSpec) -> PyResult<Plan> {
        block_on(py, verbs::plan(self.0.clone(), spec))
    }

    /// Checks what can change between plan and launch: addresses, quotas, the reservation, and
    /// EC2's own check of the launch request. Changes nothing.
    fn preflight(&self, py: Python<'_>, plan: Plan) -> PyResult<PreflightReport> {
        block_on(py, verbs::preflight(self.0.clone(), plan))
    }

    /// Capacity Blocks that can be bought, earliest first. duration_hours: a multiple of 24.
    /// Nothing is bought.
    fn capacity_block_offerings(
        &self,
        py: Python<'_>,
        instance_type: String,
        instance_count: u32,
        duration_hours: u32,
    ) -> PyResult<Vec<CapacityBlockOffering>> {
        let search = search(instance_type, instance_count, duration_hours);
        block_on(py, verbs::capacity_block_offerings(self.0.clone(), search))
    }

    /// Makes what the plan needs beside the instances (groups, instance profile) and no instance,
    /// for launchers other than this client. The plan as it is then: its `to_*` methods write the
    /// documents. Calling it again is safe; `destroy` removes what was made.
    ///
    /// Raises ProvisionError or Ec2Error, as `apply`.
    fn prepare(&self, py: Python<'_>, plan: Plan) -> PyResult<Plan> {
        stoppable(py, |cancel| verbs::prepare(self.0.clone(), cancel, plan))
    }

    /// Makes what the plan says and waits until all instances run. Calling it again is safe.
    ///
    /// Raises ProvisionError or Ec2Error; `leftovers` lists what exists, which `destroy` removes.
    /// Ctrl-C stops between two calls: the cause of the KeyboardInterrupt says what exists.
    fn apply(&self, py: Python<'_>, plan: Plan) -> PyResult<Cluster> {
        stoppable(py, |cancel| verbs::apply(self.0.clone(), cancel, plan))
    }

    /// As `apply`, and a cluster of the same plan with fewer instances gets the missing ones in
    /// a second launch, which in a cluster placement group often finds no capacity.
    fn grow(&self, py: Python<'_>, plan: Plan) -> PyResult<Cluster> {
        stoppable(py, |cancel| verbs::grow(self.0.clone(), cancel, plan))
    }

    /// The cluster of this name as it stands. Raises VerifyError when there is none.
    fn describe(&self, py: Python<'_>, name: String) -> PyResult<Cluster> {
        block_on(py, verbs::describe(self.0.clone(), name))
    }

    /// Every cluster of ours in the region, half-made ones too, by name.
    fn clusters(&self, py: Python<'_>) -> PyResult<Vec<ClusterSummary>> {
        block_on(py, verbs::clusters(self.0.clone()))
    }

    /// Where the cluster's running instances hang in the network, ranked by nearness.
    fn topology(&self, py: Python<'_>, name: String) -> PyResult<Topology> {
        block_on(py, verbs::topology(self.0.clone(), name))
    }

    /// Runs a shell script as root on every instance of the cluster through SSM, and collects
    /// what it prints. deadline_s: from sending until it is cancelled; wait_online_s: how long
    /// the agents may take to come online.
    #[pyo3(signature = (name, script, *, deadline_s=600.0, wait_online_s=300.0))]
    fn run_command(
        &self,
        py: Python<'_>,
        name: String,
        script: String,
        deadline_s: f64,
        wait_online_s: f64,
    ) -> PyResult<CommandReport> {
        let options = command_options(deadline_s, wait_online_s)?;
        block_on(
            py,
            verbs::run_command(self.0.clone(), name, script, options),
        )
    }

    /// Compares a cluster with the plan that its tags record, or with the plan that is given.
    fn verify(&self, py: Python<'_>, cluster: NameOrPlan) -> PyResult<VerifyReport> {
        block_on(py, verbs::verify(self.0.clone(), cluster))
    }

    /// Checks one instance, whoever launched it: its EFA interfaces, their security groups, and
    /// the zone and placement group of the instances that share these.
    fn verify_instance(&self, py: Python<'_>, instance_id: String) -> PyResult<InstanceReport> {
        block_on(py, verbs::verify_instance(self.0.clone(), instance_id))
    }

    /// Removes everything that was made for the cluster of this name, and only that.
    fn destroy(&self, py: Python<'_>, name: String) -> PyResult<DestroyReport> {
        stoppable(py, |cancel| verbs::destroy(self.0.clone(), cancel, name))
    }
}

/// The verbs of `Client` as awaitables; use `efa_sdk.aio.Client`.
#[pyclass(frozen, module = "efa_sdk._efa_sdk")]
pub(crate) struct AsyncClient(Arc<Connection>);

#[pymethods]
impl AsyncClient {
    #[new]
    #[pyo3(signature = (*, region=None, endpoint_url=None, profile=None, wait_timeout_s=900.0, poll_interval_s=0.5, progress: "collections.abc.Callable[[Event], object] | None" = None))]
    fn new(
        region: Option<String>,
        endpoint_url: Option<String>,
        profile: Option<String>,
        wait_timeout_s: f64,
        poll_interval_s: f64,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        let (timeout, poll) = (wait_timeout_s, poll_interval_s);
        Connection::new(region, endpoint_url, profile, timeout, poll, progress).map(Self)
    }

    /// As `Client.catalog`.
    #[pyo3(signature = () -> "collections.abc.Awaitable[Catalog]")]
    fn catalog<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        awaitable(py, verbs::catalog(self.0.clone()))
    }

    /// As `Client.plan`.
    #[pyo3(signature = (spec) -> "collections.abc.Awaitable[Plan]")]
    fn plan<'py>(&self, py: Python<'py>, spec: ClusterSpec) -> PyResult<Bound<'py, PyAny>> {
        awaitable(py, verbs::plan(self.0.clone(), spec))
    }

    /// As `Client.preflight`.
    #[pyo3(signature = (plan) -> "collections.abc.Awaitable[PreflightReport]")]
    fn preflight<'py>(&self, py: Python<'py>, plan: Plan) -> PyResult<Bound<'py, PyAny>> {
        awaitable(py, verbs::preflight(self.0.clone(), plan))
    }

    /// As `Client.capacity_block_offerings`.
    #[pyo3(signature = (instance_type, instance_count, duration_hours) -> "collections.abc.Awaitable[list[CapacityBlockOffering]]")]
    fn capacity_block_offerings<'py>(
        &self,
        py: Python<'py>,
        instance_type: String,
        instance_count: u32,
        duration_hours: u32,
    ) -> PyResult<Bound<'py, PyAny>> {
        let search = search(instance_type, instance_count, duration_hours);
        awaitable(py, verbs::capacity_block_offerings(self.0.clone(), search))
    }

    /// As `Client.prepare`, until `cancel`.
    #[pyo3(signature = (plan, cancel) -> "collections.abc.Awaitable[Plan]")]
    fn prepare<'py>(
        &self,
        py: Python<'py>,
        plan: Plan,
        cancel: &Cancel,
    ) -> PyResult<Bound<'py, PyAny>> {
        awaitable(py, verbs::prepare(self.0.clone(), cancel.0.clone(), plan))
    }

    /// As `Client.apply`, until `cancel`.
    #[pyo3(signature = (plan, cancel) -> "collections.abc.Awaitable[Cluster]")]
    fn apply<'py>(
        &self,
        py: Python<'py>,
        plan: Plan,
        cancel: &Cancel,
    ) -> PyResult<Bound<'py, PyAny>> {
        awaitable(py, verbs::apply(self.0.clone(), cancel.0.clone(), plan))
    }

    /// As `Client.grow`, until `cancel`.
    #[pyo3(signature = (plan, cancel) -> "collections.abc.Awaitable[Cluster]")]
    fn grow<'py>(
        &self,
        py: Python<'py>,
        plan: Plan,
        cancel: &Cancel,
    ) -> PyResult<Bound<'py, PyAny>> {
        awaitable(py, verbs::grow(self.0.clone(), cancel.0.clone(), plan))
    }

    /// As `Client.describe`.
    #[pyo3(signature = (name) -> "collections.abc.Awaitable[Cluster]")]
    fn describe<'py>(&self, py: Python<'py>, name: String) -> PyResult<Bound<'py, PyAny>> {
        awaitable(py, verbs::describe(self.0.clone(), name))
    }

    /// As `Client.clusters`.
    #[pyo3(signature = () -> "collections.abc.Awaitable[list[ClusterSummary]]")]
    fn clusters<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        awaitable(py, verbs::clusters(self.0.clone()))
    }

    /// As `Client.topology`.
    #[pyo3(signature = (name) -> "collections.abc.Awaitable[Topology]")]
    fn topology<'py>(&self, py: Python<'py>, name: String) -> PyResult<Bound<'py, PyAny>> {
        awaitable(py, verbs::topology(self.0.clone(), name))
    }

    /// As `Client.run_command`.
    #[pyo3(signature = (name, script, *, deadline_s=600.0, wait_online_s=300.0) -> "collections.abc.Awaitable[CommandReport]")]
    fn run_command<'py>(
        &self,
        py: Python<'py>,
        name: String,
        script: String,
        deadline_s: f64,
        wait_online_s: f64,
    ) -> PyResult<Bound<'py, PyAny>> {
        let options = command_options(deadline_s, wait_online_s)?;
        awaitable(
            py,
            verbs::run_command(self.0.clone(), name, script, options),
        )
    }

    /// As `Client.verify`.
    #[pyo3(signature = (cluster) -> "collections.abc.Awaitable[VerifyReport]")]
    fn verify<'py>(&self, py: Python<'py>, cluster: NameOrPlan) -> PyResult<Bound<'py, PyAny>> {
        awaitable(py, verbs::verify(self.0.clone(), cluster))
    }

    /// As `Client.verify_instance`.
    #[pyo3(signature = (instance_id) -> "collections.abc.Awaitable[InstanceReport]")]
    fn verify_instance<'py>(
        &self,
        py: Python<'py>,
        instance_id: String,
    ) -> PyResult<Bound<'py, PyAny>> {
        awaitable(py, verbs::verify_instance(self.0.clone(), instance_id))
    }

    /// As `Client.destroy`, until `cancel`.
    #[pyo3(signature = (name, cancel) -> "collections.abc.Awaitable[DestroyReport]")]
    fn destroy<'py>(
        &self,
        py: Python<'py>,
        name: String,
        cancel: &Cancel,
    ) -> PyResult<Bound<'py, PyAny>> {
        awaitable(py, verbs::destroy(self.0.clone(), cancel.0.clone(), name))
    }
}
