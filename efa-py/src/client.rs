//! `Client`, which blocks, and `AsyncClient`, which `efa_sdk.aio.Client` awaits.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use efa_core as core;
use pyo3::prelude::*;

use crate::argument::{Callback, Name, extracted, given, invalid, secret};
use crate::catalog::Catalog;
use crate::cluster::{
    CapacityBlockOffering, CapacityReservation, Cluster, DestroyReport, InstanceReport,
    PreflightReport, VerifyReport,
};
use crate::credentials::Caller;
use crate::errors;
use crate::nodes::{ClusterSummary, CommandReport, Topology, command_options};
use crate::plan::Plan;
use crate::rows::{Rows, rows};
use crate::runtime::{awaitable, block_on, stoppable};
use crate::spec::ClusterSpec;

mod connection;

use connection::Connection;

/// What `verify` takes: a cluster's name, or the plan itself.
#[derive(FromPyObject)]
#[allow(clippy::large_enum_variant)] // lives for one call
enum NameOrPlan {
    Name(String),
    #[pyo3(transparent)]
    Plan(Plan),
}

extracted! {
    NameOrPlan: "a cluster's name or a Plan";
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

/// A client's class and its constructor.
macro_rules! client_class {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[pyclass(frozen, module = "efa_sdk._efa_sdk")]
        pub(crate) struct $name(Arc<Connection>);

        #[pymethods]
        impl $name {
            #[new]
            #[pyo3(signature = (
                *, region: "str | None" = None, endpoint_url: "str | None" = None,
                profile: "str | None" = None, session: "object | None" = None,
                credentials: "object | None" = None, access_key_id: "str | None" = None,
                secret_access_key: "str | None" = None, session_token: "str | None" = None,
                role_arn: "str | None" = None, role_session_name: "str | None" = None,
                external_id: "str | None" = None, wait_timeout_s: "float" = 900.0,
                poll_interval_s: "float" = 0.5,
                progress: "collections.abc.Callable[[Event], object] | None" = None
            ))]
            #[allow(clippy::too_many_arguments)] // each is an argument of its own in Python
            fn new(
                py: Python<'_>,
                #[pyo3(from_py_with = given)] region: Option<String>,
                #[pyo3(from_py_with = given)] endpoint_url: Option<String>,
                #[pyo3(from_py_with = given)] profile: Option<String>,
                #[pyo3(from_py_with = given)] session: Option<Py<PyAny>>,
                #[pyo3(from_py_with = given)] credentials: Option<Py<PyAny>>,
                #[pyo3(from_py_with = given)] access_key_id: Option<String>,
                #[pyo3(from_py_with = secret)] secret_access_key: Option<String>,
                #[pyo3(from_py_with = secret)] session_token: Option<String>,
                #[pyo3(from_py_with = given)] role_arn: Option<String>,
                #[pyo3(from_py_with = given)] role_session_name: Option<String>,
                #[pyo3(from_py_with = given)] external_id: Option<String>,
                #[pyo3(from_py_with = given)] wait_timeout_s: f64,
                #[pyo3(from_py_with = given)] poll_interval_s: f64,
                #[pyo3(from_py_with = given)] progress: Option<Callback>,
            ) -> PyResult<Self> {
                let mut options = core::ConnectOptions::default();
                options.region = region;
                options.endpoint_url = endpoint_url;
                options.profile = profile;
                let caller = Caller {
                    session,
                    credentials,
                    access_key_id,
                    secret_access_key,
                    session_token,
                    role_arn,
                    role_session_name,
                    external_id,
                };
                caller.put_into(py, &mut options)?;
                let progress = progress.map(|callback| callback.0);
                Connection::new(options, wait_timeout_s, poll_interval_s, progress).map(Self)
            }

            fn __repr__(&self) -> String {
                self.0.shown()
            }
        }
    };
}

client_class! {
    /// A client for clusters in one region: plan, apply, verify, destroy. Every call blocks, with the
    /// GIL released; Ctrl-C stops it.
    ///
    /// Region and credentials that are not given come from where the AWS CLI takes them.
    /// endpoint_url: another endpoint, such as a stand-in's. profile: of the AWS CLI's
    /// configuration. session: a Session of boto3 or botocore, whose region is taken too where none
    /// is given; credentials: botocore's Credentials. Either is asked at every call, in a thread,
    /// and refreshes itself. access_key_id, secret_access_key, session_token: plain keys. role_arn:
    /// a role to call as, assumed with the credentials that the others report, and again before it
    /// expires; role_session_name (`efa-sdk`) and external_id go with it. wait_timeout_s: limit in
    /// seconds of each wait of `apply` and `destroy`; poll_interval_s: time between the first two
    /// looks, growing up to 10 s. progress: called with an `Event` at every step of them; None
    /// calls nothing.
    ///
    /// A client is a context manager, with nothing to close; `cluster` destroys a cluster at the
    /// end of a block.
    ///
    /// >>> import efa_sdk as efa
    /// >>> with efa.Client(region="us-east-1") as client:
    /// ...     print(client)
    /// Client(region='us-east-1')
    ///
    /// The first call connects; it raises Ec2Error without a region or credentials, and PlanError
    /// for credentials from two places. The logger `efa_sdk.aws` logs each call at level DEBUG.
    Client
}

client_class! {
    /// The verbs of `Client` as awaitables; use `efa_sdk.aio.Client`.
    AsyncClient
}

/// A verb: its future, the method of `Client` that waits for it, and the method of `AsyncClient`
/// that returns it. The future of a `droppable` verb is dropped to end it early; a `stoppable`
/// one is asked to stop, and does so between two calls to AWS.
macro_rules! verb {
    (
        $(#[$doc:meta])*
        droppable $name:ident($($argument:ident: $type:ty),*) -> $result:ty, $awaitable:tt;
        signature ($($signature:tt)*);
        $(let $bound:ident = $value:expr;)?
        |$client:ident| $call:expr
    ) => {
        impl Connection {
            async fn $name(self: Arc<Self>, $($argument: $type),*) -> PyResult<$result> {
                $(let $bound = $value;)?
                let $client = self.client().await?;
                $call.map_err(errors::exception)
            }
        }

        #[pymethods]
        impl Client {
            $(#[$doc])*
            #[pyo3(signature = ($($signature)*))]
            fn $name(
                &self,
                py: Python<'_>,
                $(#[pyo3(from_py_with = given)] $argument: $type),*
            ) -> PyResult<$result> {
                block_on(py, self.0.begin(py)?.$name($($argument),*))
            }
        }

        #[pymethods]
        impl AsyncClient {
            #[doc = concat!("Does the same as `Client.", stringify!($name), "`.")]
            #[pyo3(signature = ($($signature)*) -> $awaitable)]
            fn $name<'py>(
                &self,
                py: Python<'py>,
                $(#[pyo3(from_py_with = given)] $argument: $type),*
            ) -> PyResult<Bound<'py, PyAny>> {
                awaitable(py, self.0.begin(py)?.$name($($argument),*))
            }
        }
    };
    (
        $(#[$doc:meta])*
        droppable $name:ident() -> $result:ty, $awaitable:tt;
        |$client:ident| $call:expr
    ) => {
        verb! {
            $(#[$doc])*
            droppable $name() -> $result, $awaitable;
            signature ();
            |$client| $call
        }
    };
    (
        $(#[$doc:meta])*
        stoppable $name:ident($($argument:ident: $type:ty),*) -> $result:ty, $awaitable:tt;
        signature ($($signature:tt)*), ($($cancellable:tt)*);
        $(let $bound:ident = $value:expr;)?
        |$client:ident| $call:expr
    ) => {
        impl Connection {
            async fn $name(
                self: Arc<Self>,
                cancel: core::provision::Cancel,
                $($argument: $type),*
            ) -> PyResult<$result> {
                $(let $bound = $value;)?
                let $client = self.client().await?.clone().with_cancel(cancel);
                $call.map_err(errors::exception)
            }
        }

        #[pymethods]
        impl Client {
            $(#[$doc])*
            #[pyo3(signature = ($($signature)*))]
            fn $name(
                &self,
                py: Python<'_>,
                $(#[pyo3(from_py_with = given)] $argument: $type),*
            ) -> PyResult<$result> {
                let connection = self.0.begin(py)?;
                stoppable(py, |cancel| connection.$name(cancel, $($argument),*))
            }
        }

        #[pymethods]
        impl AsyncClient {
            #[doc = concat!("Does the same as `Client.", stringify!($name), "`, until `cancel`.")]
            #[pyo3(signature = ($($cancellable)*) -> $awaitable)]
            fn $name<'py>(
                &self,
                py: Python<'py>,
                $(#[pyo3(from_py_with = given)] $argument: $type,)*
                cancel: &Cancel,
            ) -> PyResult<Bound<'py, PyAny>> {
                awaitable(py, self.0.begin(py)?.$name(cancel.0.clone(), $($argument),*))
            }
        }
    };
}

verb! {
    /// Returns every instance type of the region that supports EFA, with the zones that offer it.
    droppable catalog() -> Catalog, "collections.abc.Awaitable[Catalog]";
    |client| client.catalog().await.map(Catalog)
}

verb! {
    /// Returns what `apply` would use and make. Changes nothing.
    ///
    /// spec: what you ask for. Raises PlanError, LayoutError or CatalogError for what cannot
    /// work, Ec2Error for failed calls.
    droppable plan(spec: ClusterSpec) -> Plan, "collections.abc.Awaitable[Plan]";
    signature (spec: "ClusterSpec");
    |client| client.plan(&spec.0).await.map(Plan)
}

verb! {
    /// Checks what can change between plan and launch: addresses, quotas, the reservation, and
    /// EC2's own check of the launch request. Changes nothing.
    droppable preflight(plan: Plan) -> PreflightReport, "collections.abc.Awaitable[PreflightReport]";
    signature (plan: "Plan");
    |client| client.preflight(&plan.0).await.map(PreflightReport)
}

verb! {
    /// Returns the Capacity Blocks that can be bought, earliest first. Nothing is bought.
    ///
    /// instance_type: such as `p5.48xlarge`. instance_count: how many instances. duration_hours:
    /// how long, in hours, a multiple of 24. All three are needed.
    droppable capacity_block_offerings(
        instance_type: String,
        instance_count: u32,
        duration_hours: u32
    ) -> Rows<CapacityBlockOffering>, "collections.abc.Awaitable[efa_sdk.rows.Rows[CapacityBlockOffering]]";
    signature (instance_type: "str", instance_count: "int", duration_hours: "int");
    let search = core::ec2::CapacityBlockSearch::new(instance_type, instance_count, duration_hours);
    |client| client.capacity_block_offerings(&search).await.map(|found| rows(&found))
}

verb! {
    /// Buys a Capacity Block that `capacity_block_offerings` listed, if EC2 sells it for exactly
    /// `confirm_price` at this moment: its `upfront_fee`, such as `"1234.56"` or `"1234.56 USD"`.
    /// The money is spent: a block cannot be cancelled or paid back. The reservation's id is what
    /// `ClusterSpec(capacity=…)` takes. instance_platform: what the images that will run there are
    /// billed as, `Linux/UNIX` when None. tags: of the reservation.
    ///
    /// A purchase whose answer was lost is looked up; calling this again with the same offering
    /// gives the block that it bought.
    ///
    /// Raises PlanError where the price is another or the offering is gone; Ec2Error, with the
    /// context `took_effect` `unknown` where nobody knows whether it was bought.
    stoppable purchase_capacity_block(
        offering: CapacityBlockOffering,
        confirm_price: String,
        instance_platform: Option<String>,
        tags: Option<BTreeMap<String, String>>
    ) -> CapacityReservation, "collections.abc.Awaitable[CapacityReservation]";
    signature (
        offering: "CapacityBlockOffering", *, confirm_price: "str",
        instance_platform: "str | None" = None, tags: "dict[str, str] | None" = None
    ), (
        offering: "CapacityBlockOffering", confirm_price: "str", instance_platform: "str | None",
        tags: "dict[str, str] | None", cancel: "Cancel"
    );
    let bought = purchase(&offering, &confirm_price, instance_platform, tags)?;
    |client| client
        .purchase_capacity_block(&offering.0, &bought.0, &bought.1)
        .await
        .map(CapacityReservation)
}

fn purchase(
    offering: &CapacityBlockOffering,
    confirm_price: &str,
    instance_platform: Option<String>,
    tags: Option<BTreeMap<String, String>>,
) -> PyResult<(core::prices::Money, core::provision::PurchaseOptions)> {
    let mut options = core::provision::PurchaseOptions::default();
    if let Some(platform) = instance_platform {
        options.instance_platform = platform;
    }
    options.tags = tags.unwrap_or_default();
    let confirmed = offering.0.confirmed_price(confirm_price);
    Ok((confirmed.map_err(errors::exception)?, options))
}

verb! {
    /// Makes what the plan needs besides the instances (groups, instance profile) and no instance,
    /// for launchers other than this client. The plan as it is then: its `to_*` methods write the
    /// documents. Calling it again is safe; `destroy` removes what was made.
    ///
    /// Raises ProvisionError or Ec2Error, as `apply`.
    stoppable prepare(plan: Plan) -> Plan, "collections.abc.Awaitable[Plan]";
    signature (plan: "Plan"), (plan: "Plan", cancel: "Cancel");
    |client| client.prepare(&plan.0).await.map(Plan)
}

verb! {
    /// Makes what the plan lists and waits until all instances run. Calling it again is safe.
    ///
    /// Raises ProvisionError or Ec2Error; `leftovers` lists what exists, which `destroy` removes.
    /// Ctrl-C stops between two calls: the cause of the KeyboardInterrupt states what exists.
    stoppable apply(plan: Plan) -> Cluster, "collections.abc.Awaitable[Cluster]";
    signature (plan: "Plan"), (plan: "Plan", cancel: "Cancel");
    |client| client.apply(&plan.0).await.map(Cluster)
}

verb! {
    /// Applies as `apply` does; a cluster of the same plan with fewer instances gets the missing ones in
    /// a second launch, which in a cluster placement group often finds no capacity.
    stoppable grow(plan: Plan) -> Cluster, "collections.abc.Awaitable[Cluster]";
    signature (plan: "Plan"), (plan: "Plan", cancel: "Cancel");
    |client| client.grow(&plan.0).await.map(Cluster)
}

verb! {
    /// Replaces these nodes of the cluster of this `name`, by instance id, by as many new ones with
    /// the same placement, interfaces, image, volume and user data, such as those that a survey
    /// states to drain. The new nodes run before the old ones end; in a capacity reservation the old
    /// ones end first, since they hold its places. Calling it again with the same nodes is safe.
    ///
    /// Raises PlanError for a node that is not in the cluster, or when all nodes are named;
    /// ProvisionError or Ec2Error, as `apply`.
    stoppable replace(name: Name, nodes: Vec<String>) -> Cluster, "collections.abc.Awaitable[Cluster]";
    signature (name: "str", nodes: "Sequence[str]"), (name: "str", nodes: "Sequence[str]", cancel: "Cancel");
    |client| client.replace(&name.0, &nodes).await.map(Cluster)
}

verb! {
    /// Takes nodes out of the cluster of this `name` for good: the last ones, down to `count`, or
    /// those of `nodes`, by instance id. Calling it again is safe.
    ///
    /// Raises PlanError, ProvisionError or Ec2Error, as `replace`.
    stoppable shrink(
        name: Name,
        count: Option<u32>,
        nodes: Option<Vec<String>>
    ) -> Cluster, "collections.abc.Awaitable[Cluster]";
    signature (
        name: "str", count: "int | None" = None, *,
        nodes: "Sequence[str] | None" = None
    ), (
        name: "str", count: "int | None", nodes: "Sequence[str] | None",
        cancel: "Cancel"
    );
    let to = shrink_to(count, nodes)?;
    |client| client.shrink(&name.0, &to).await.map(Cluster)
}

verb! {
    /// Lets the cluster of this `name`, launched with `expires_after`, live for `expires_after`
    /// from now. Its nodes read the new time from their tags, within a minute of EC2 showing it to
    /// them. Calling it again is safe.
    ///
    /// Raises PlanError for a cluster that was launched without, or whose Capacity Block ends
    /// before; VerifyError, ProvisionError or Ec2Error.
    stoppable extend(name: Name, expires_after: Duration) -> Cluster, "collections.abc.Awaitable[Cluster]";
    signature (name: "str", expires_after: "datetime.timedelta"), (name: "str", expires_after: "datetime.timedelta", cancel: "Cancel");
    |client| client.extend(&name.0, expires_after).await.map(Cluster)
}

verb! {
    /// Returns the cluster of this `name` as it stands. Raises VerifyError when there is none.
    droppable describe(name: Name) -> Cluster, "collections.abc.Awaitable[Cluster]";
    signature (name: "str");
    |client| client.describe(&name.0).await.map(Cluster)
}

verb! {
    /// Returns every cluster of efa-sdk in the region, half-made ones too, by name.
    droppable clusters() -> Rows<ClusterSummary>, "collections.abc.Awaitable[efa_sdk.rows.Rows[ClusterSummary]]";
    |client| client.clusters().await.map(|found| rows(&found))
}

verb! {
    /// Returns where the running instances of the cluster of this `name` are in the network,
    /// ranked by nearness.
    droppable topology(name: Name) -> Topology, "collections.abc.Awaitable[Topology]";
    signature (name: "str");
    |client| client.topology(&name.0).await.map(Topology)
}

verb! {
    /// Runs a shell script as root on every instance of the cluster through SSM, and collects
    /// what it prints.
    ///
    /// name: of the cluster. script: for `sh`, at most what SSM takes. deadline_s: seconds from
    /// sending until it is cancelled, 600 by default; wait_online_s: how many seconds the agents
    /// may take to come online, 300 by default.
    droppable run_command(
        name: Name,
        script: String,
        deadline_s: f64,
        wait_online_s: f64
    ) -> CommandReport, "collections.abc.Awaitable[CommandReport]";
    signature (
        name: "str", script: "str", *, deadline_s: "float" = 600.0, wait_online_s: "float" = 300.0
    );
    let options = command_options(deadline_s, wait_online_s)?;
    |client| client.run_command(&name.0, &script, &options).await.map(CommandReport)
}

verb! {
    /// Compares a cluster with the plan that its tags record, or with the plan that is given.
    ///
    /// cluster: a name, or the plan. Raises VerifyError where there is no such cluster.
    droppable verify(cluster: NameOrPlan) -> VerifyReport, "collections.abc.Awaitable[VerifyReport]";
    signature (cluster: "str | Plan");
    |client| match &cluster {
        NameOrPlan::Name(name) => client.verify(name).await,
        NameOrPlan::Plan(plan) => client.verify_plan(&plan.0).await,
    }
    .map(VerifyReport)
}

verb! {
    /// Checks one instance, whoever launched it: its EFA interfaces, their security groups, and
    /// the zone and placement group of the instances that share these.
    ///
    /// instance_id: such as `i-0123456789abcdef0`. Raises VerifyError where there is none.
    droppable verify_instance(instance_id: String) -> InstanceReport, "collections.abc.Awaitable[InstanceReport]";
    signature (instance_id: "str");
    |client| client.verify_instance(&instance_id).await.map(InstanceReport)
}

verb! {
    /// Removes everything that was made for the cluster of this `name`, and only that. Finding
    /// nothing is no error: the report is then empty.
    ///
    /// Raises ProvisionError or Ec2Error: call it again to finish. Raises VerifyError where nothing
    /// is named so, and a cluster has the name in another case.
    stoppable destroy(name: Name) -> DestroyReport, "collections.abc.Awaitable[DestroyReport]";
    signature (name: "str"), (name: "str", cancel: "Cancel");
    |client| client.destroy(&name.0).await.map(DestroyReport)
}

#[pymethods]
impl Client {
    /// Returns the client itself: a `with` block states where it is used.
    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    /// Closes nothing: clusters stay. `cluster` is what destroys at the end of a block.
    fn __exit__(
        &self,
        _kind: &Bound<'_, PyAny>,
        _value: &Bound<'_, PyAny>,
        _traceback: &Bound<'_, PyAny>,
    ) {
    }

    /// Returns a context manager: `with client.cluster(plan) as cluster:` applies the plan, gives
    /// the cluster, and destroys it at the end of the block, however it ends: by its last line, an
    /// exception, or Ctrl-C. A cluster of this plan that exists already is used, and destroyed too.
    ///
    /// Raises what `apply` and `destroy` raise; `leftovers` lists what is left, and `__context__`
    /// is the block's own exception.
    #[pyo3(signature = (plan: "Plan") -> "efa_sdk.lifetime.ClusterLifetime")]
    fn cluster<'py>(
        this: &Bound<'py, Self>,
        #[pyo3(from_py_with = given)] plan: Plan,
    ) -> PyResult<Bound<'py, PyAny>> {
        this.py()
            .import("efa_sdk.lifetime")?
            .getattr("ClusterLifetime")?
            .call1((this, plan))
    }
}

/// Either of the two ways to state the size that a cluster shrinks to.
fn shrink_to(count: Option<u32>, nodes: Option<Vec<String>>) -> PyResult<core::provision::Shrink> {
    use core::provision::Shrink;
    match (count, nodes) {
        (Some(count), None) => Ok(Shrink::To(count)),
        (None, Some(nodes)) => Ok(Shrink::Without(nodes)),
        (Some(count), Some(_)) => Err(invalid(
            "count",
            &count,
            "must be None where nodes is given",
        )),
        (None, None) => Err(invalid("count", &"None", "must be given, or nodes")),
    }
}
