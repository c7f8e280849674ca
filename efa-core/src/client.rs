//! The verbs, on one region of EC2.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::catalog::Catalog;
use crate::clock::{Clock, TokioClock};
use crate::cluster::{self, Cluster, Expected};
use crate::ec2::{CapacityBlockOffering, CapacityBlockSearch, CapacityReservation, Filter};
use crate::error::{Code, Error, Result};
use crate::plan::{self, Plan};
use crate::preflight;
use crate::prices::Money;
use crate::provision::{self, Cancel, DestroyReport, Event, PurchaseOptions, Shrink, Steps, Wait};
use crate::run_command;
use crate::services::Aws;
use crate::spec::{CheckedSpec, ClusterSpec};
use crate::tags;
use crate::topology::{self, Topology};
use crate::types::ClusterName;
use crate::verify::{self, InstanceReport};

/// The most values that one filter takes ("List and filter your resources", EC2 user guide).
const FILTER_VALUES: usize = 200;

type Progress = Arc<dyn Fn(&Event) + Send + Sync>;

/// A client that plans, applies, verifies and destroys clusters in one region.
///
/// Cheap to clone. Nothing is cached: every verb reads the current state from EC2.
///
/// ```no_run
/// # #[cfg(feature = "aws")]
/// # async fn run() -> efa_core::Result<()> {
/// use efa_core::{Client, ClusterSpec, ConnectOptions};
///
/// let client = Client::connect(&ConnectOptions::default()).await?;
/// let spec = ClusterSpec::new("train", "p5.48xlarge", 2, "subnet-0123456789abcdef0", "ami-0123456789abcdef0");
/// let plan = client.plan(&spec).await?;
/// println!("{plan}");
/// client.apply(&plan).await?;
/// assert!(client.verify("train").await?.is_as_planned());
/// client.destroy("train").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Client {
    aws: Arc<dyn Aws>,
    clock: Arc<dyn Clock>,
    wait: Wait,
    progress: Progress,
    cancel: Cancel,
}

impl Client {
    /// Creates a client over any implementation of the calls.
    #[must_use]
    pub fn new(aws: Arc<dyn Aws>) -> Self {
        Self {
            aws,
            clock: Arc::new(TokioClock::default()),
            cancel: Cancel::new(),
            wait: Wait::default(),
            progress: Arc::new(|_| {}),
        }
    }

    /// Creates a client over the AWS SDK, with the configuration and credentials that the AWS CLI
    /// finds.
    ///
    /// # Errors
    /// `ec2.no_region`, `ec2.no_credentials`, or `plan.invalid_spec` for a malformed endpoint.
    #[cfg(feature = "aws")]
    pub async fn connect(options: &crate::aws::ConnectOptions) -> Result<Self> {
        Ok(Self::new(Arc::new(
            crate::aws::AwsSdk::connect(options).await?,
        )))
    }

    /// Creates a client over the AWS SDK with a configuration of the caller's, as `aws_config`
    /// loads it.
    ///
    /// # Errors
    /// `ec2.no_region` or `ec2.no_credentials`.
    #[cfg(feature = "aws")]
    pub async fn from_config(config: &crate::aws::SdkConfig) -> Result<Self> {
        Ok(Self::new(Arc::new(
            crate::aws::AwsSdk::from_config(config).await?,
        )))
    }

    /// Changes how long `apply` and `destroy` wait, and how often they look.
    #[must_use]
    pub fn with_wait(mut self, wait: Wait) -> Self {
        self.wait = wait;
        self
    }

    /// Waits on `clock` instead of tokio's timer.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Notifies `progress` of every step of `apply` and `destroy`.
    #[must_use]
    pub fn with_progress(mut self, progress: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        self.progress = Arc::new(progress);
        self
    }

    /// Stops `apply` and `destroy` of this client when `cancel` is asked for.
    #[must_use]
    pub fn with_cancel(mut self, cancel: Cancel) -> Self {
        self.cancel = cancel;
        self
    }

    /// Returns the region that the client calls.
    #[must_use]
    pub fn region(&self) -> &str {
        self.aws.region()
    }

    /// Returns every instance type of the region that supports EFA, with the zones that offer it.
    ///
    /// # Errors
    /// Those of EC2.
    pub async fn catalog(&self) -> Result<Catalog> {
        let types = self
            .aws
            .describe_instance_types(&[Filter::new("network-info.efa-supported", "true")])
            .await?;
        // A region offers 20 times as many types, whose zones would be read for nothing.
        let names: Vec<&str> = types.iter().map(|t| t.name.as_str()).collect();
        let mut offerings = Vec::new();
        for names in names.chunks(FILTER_VALUES) {
            let named = Filter::any("instance-type", names.iter().copied());
            offerings.extend(self.aws.describe_instance_type_offerings(&[named]).await?);
        }
        let offerings = offerings
            .into_iter()
            .map(|o| (o.instance_type, o.availability_zone));
        Ok(Catalog::from_instance_types(types).with_offerings(offerings))
    }

    /// Returns what `apply` would use and make. Changes nothing.
    ///
    /// # Errors
    /// `plan.*`, `layout.*` or `catalog.*` for what cannot work, `ec2.*` for failed calls.
    pub async fn plan(&self, spec: &ClusterSpec) -> Result<Plan> {
        let spec = CheckedSpec::parse(spec)?;
        let spec = &plan::with_template(self.aws.as_ref(), spec).await?;
        let now_s = self.clock.unix_time_s();
        plan::decide_plan(spec, plan::observe(self.aws.as_ref(), spec, now_s).await?)
    }

    /// Checks, right before `apply`, what can change between plan and launch: addresses, quotas,
    /// the reservation, and EC2's own check of the launch request. Changes nothing.
    ///
    /// # Errors
    /// Those of calls that the plan needed too; what a check itself finds is in the report.
    pub async fn preflight(&self, plan: &Plan) -> Result<preflight::Report> {
        preflight::check_plan(self.aws.as_ref(), plan).await
    }

    /// Returns Capacity Blocks that can be bought for this many instances and hours (a multiple of
    /// 24), earliest first. Nothing is bought.
    ///
    /// # Errors
    /// Those of EC2.
    pub async fn capacity_block_offerings(
        &self,
        search: &CapacityBlockSearch,
    ) -> Result<Vec<CapacityBlockOffering>> {
        let mut found = self.aws.describe_capacity_block_offerings(search).await?;
        found.sort_by(|a, b| (&a.start_date, &a.upfront_fee).cmp(&(&b.start_date, &b.upfront_fee)));
        Ok(found)
    }

    /// Buys a Capacity Block that [`capacity_block_offerings`](Self::capacity_block_offerings)
    /// listed, if EC2 sells it for exactly `confirmed` at this moment. The money is spent: a block
    /// cannot be cancelled or paid back. The reservation, whose id is what
    /// [`Capacity::Reservation`](crate::spec::Capacity::Reservation) takes.
    ///
    /// The call to EC2 has no client token, and is sent once. A purchase whose answer was lost is
    /// looked up; calling this again with the same offering gives the block that it bought.
    ///
    /// # Errors
    /// `plan.conflict` where the price is another, `plan.resource_not_found` where the offering is
    /// gone; those of EC2, with `took_effect` `unknown` where nobody knows whether it was bought.
    pub async fn purchase_capacity_block(
        &self,
        offering: &CapacityBlockOffering,
        confirmed: &Money,
        options: &PurchaseOptions,
    ) -> Result<CapacityReservation> {
        provision::purchase_capacity_block(&self.steps(), offering, confirmed, options).await
    }

    /// Makes what the plan needs besides the instances (security group, placement group, instance
    /// profile) and no instance, for launchers other than this client; the plan as it is then, of
    /// which every `to_*` writes the document. Calling it again is safe; `destroy` removes what was
    /// made, once nothing uses it.
    ///
    /// # Errors
    /// As [`Client::apply`].
    pub async fn prepare(&self, plan: &Plan) -> Result<Plan> {
        provision::prepare(&self.steps(), plan).await
    }

    /// Makes what the plan lists and waits until all instances run. What exists already from an
    /// earlier `apply` of the same plan is used, so calling it again is safe and finishes an
    /// interrupted one.
    ///
    /// # Errors
    /// `provision.*` or `ec2.*`; [`Error::leftovers`](crate::Error::leftovers) lists what
    /// exists, which `destroy` removes.
    pub async fn apply(&self, plan: &Plan) -> Result<Cluster> {
        provision::apply(&self.steps(), plan, false).await
    }

    /// Does the same as [`Client::apply`], and a cluster of the same plan with fewer instances gets
    /// the missing ones in a second launch. That is not the default: a cluster placement group is
    /// best filled by one launch, and a later one often finds no capacity near the first.
    ///
    /// # Errors
    /// As [`Client::apply`].
    pub async fn grow(&self, plan: &Plan) -> Result<Cluster> {
        provision::apply(&self.steps(), plan, true).await
    }

    /// Replaces these nodes, by instance id, by as many new ones with the same placement,
    /// interfaces, image, volume and user data, such as those that a survey recommends to drain.
    /// The new nodes run before the old ones end; in a capacity reservation the old ones end first,
    /// since they hold its places. Without capacity nothing changes, and calling it again with the
    /// same nodes is safe and finishes an interrupted one.
    ///
    /// # Errors
    /// `plan.resource_not_found` for a node that is not in the cluster, `plan.conflict` when all
    /// nodes are named, `verify.*`, `provision.*` or `ec2.*`.
    pub async fn replace(&self, name: &str, nodes: &[String]) -> Result<Cluster> {
        provision::replace(&self.steps(), name, nodes).await
    }

    /// Takes nodes out of the cluster of this name for good. Calling it again is safe and finishes
    /// an interrupted one.
    ///
    /// # Errors
    /// As [`Client::replace`].
    pub async fn shrink(&self, name: &str, to: &Shrink) -> Result<Cluster> {
        provision::shrink(&self.steps(), name, to).await
    }

    /// Lets a cluster that was launched with `expires_after` live for `after` from now, which may
    /// also be less than before. Its nodes read the new time within a minute of EC2 showing the
    /// tag in their metadata; one whose metadata service does not answer keeps the time that it
    /// read last. Calling it again is safe.
    ///
    /// # Errors
    /// `plan.invalid_spec` for a duration that `expires_after` cannot have, `plan.conflict` for a
    /// cluster that was launched without, or whose Capacity Block ends before; `verify.*` or
    /// `ec2.*`.
    pub async fn extend(&self, name: &str, after: Duration) -> Result<Cluster> {
        provision::extend(&self.steps(), name, after).await
    }

    /// Returns the cluster of this name as it stands.
    ///
    /// # Errors
    /// `verify.cluster_not_found`, or those of EC2.
    pub async fn describe(&self, name: &str) -> Result<Cluster> {
        ClusterName::new(name)?;
        match Cluster::find(self.aws.as_ref(), name).await? {
            Some(cluster) => Ok(cluster),
            None => Err(cluster::not_found_near(self.aws.as_ref(), name).await),
        }
    }

    /// Returns every cluster of efa-sdk in the region, half-made ones too, by name.
    ///
    /// # Errors
    /// Those of EC2.
    pub async fn clusters(&self) -> Result<Vec<cluster::Summary>> {
        cluster::list_clusters(self.aws.as_ref()).await
    }

    /// Returns where the cluster's running instances are connected to the network, ranked by
    /// nearness.
    ///
    /// # Errors
    /// `verify.cluster_not_found`, or those of EC2.
    pub async fn topology(&self, name: &str) -> Result<Topology> {
        let cluster = self.describe(name).await?;
        topology::read_topology(self.aws.as_ref(), &cluster).await
    }

    /// Runs a shell script as root on every instance of the cluster through SSM, and collects
    /// what it prints.
    ///
    /// # Errors
    /// `plan.invalid_spec` for a script or option that SSM refuses, `verify.cluster_not_found`,
    /// or those of AWS. What fails on single nodes is in the report.
    pub async fn run_command(
        &self,
        name: &str,
        script: &str,
        options: &run_command::Options,
    ) -> Result<run_command::Report> {
        let cluster = self.describe(name).await?;
        let (ssm, clock) = (self.aws.as_ref(), self.clock.as_ref());
        let progress = self.progress.as_ref();
        run_command::run_script(ssm, clock, &cluster, script, options, progress).await
    }

    /// Compares the cluster with the plan that its tags record.
    ///
    /// # Errors
    /// `verify.cluster_not_found`, `verify.tags_unreadable`, or those of EC2.
    pub async fn verify(&self, name: &str) -> Result<verify::Report> {
        let cluster = self.describe(name).await?;
        Ok(verify::compare_cluster(
            &Expected::from_cluster(&cluster)?,
            &cluster,
        ))
    }

    /// Compares the cluster with this plan, whatever its tags are.
    ///
    /// # Errors
    /// `verify.cluster_not_found`, or those of EC2.
    pub async fn verify_plan(&self, plan: &Plan) -> Result<verify::Report> {
        let mut cluster = self.describe(plan.name()).await?;
        let mut expected = Expected::from(plan);
        if expected.security_group_id.is_none() {
            // The plan is older than its group, which is then known by name.
            let (name, vpc_id) = (&plan.security_group().group_name, &plan.subnet().vpc_id);
            let found = plan::find_security_group(self.aws.as_ref(), name, vpc_id).await?;
            let id = found.as_ref().map_or(name, |group| &group.group_id);
            expected.security_group_id = Some(id.clone());
            cluster.security_group = found;
        }
        Ok(verify::compare_cluster(&expected, &cluster))
    }

    /// Checks one instance, whoever launched it: its EFA interfaces against what its type can
    /// have (or against the plan, if it is of a cluster of efa-sdk or launched from a document of
    /// efa-sdk, such as a Ray cluster YAML), their security groups, and the
    /// zone and placement group of the instances that share these groups.
    ///
    /// # Errors
    /// `verify.instance_not_found`, `verify.tags_unreadable`, `catalog.unknown_instance_type`, or
    /// those of EC2.
    pub async fn verify_instance(&self, instance_id: &str) -> Result<InstanceReport> {
        let aws = self.aws.as_ref();
        let filter = Filter::new("instance-id", instance_id);
        let found = aws.describe_instances(&[filter]).await?;
        let instance = found.first().ok_or_else(|| {
            Error::new(
                Code::VerifyInstanceNotFound,
                format!("no instance {instance_id} in {}", self.region()),
            )
            .with_cure(if instance_id.starts_with("i-") {
                "check the id and the region"
            } else {
                "give the id of an instance (i-…); Client.verify checks a cluster by its name"
            })
            .with_context("value", instance_id)
        })?;
        let by_name = Filter::new("instance-type", &instance.instance_type);
        let types = aws.describe_instance_types(&[by_name]).await?;
        let types = Catalog::from_instance_types(types);
        let ids = verify::efa_group_ids(instance);
        let (groups, members) = if ids.is_empty() {
            (Vec::new(), Vec::new())
        } else {
            let groups = Filter::any("group-id", ids.iter().copied());
            let members = Filter::any("instance.group-id", ids.iter().copied());
            (
                aws.describe_security_groups(&[groups]).await?,
                aws.describe_instances(&[members]).await?,
            )
        };
        let cluster = instance.tags.get(tags::CLUSTER).cloned();
        let around = verify::Surroundings {
            instance,
            instance_type: types.require(&instance.instance_type)?,
            groups: &groups,
            members: &members,
        };
        let mut report = verify::check_instance(&around, cluster.clone());
        if let Some(name) = cluster {
            report.add_plan(&self.verify(&name).await?);
        }
        Ok(report)
    }

    /// Removes everything that we made for the cluster of this name, and only that. Finding
    /// nothing is not an error: the report is then empty.
    ///
    /// # Errors
    /// `provision.timeout`, or those of EC2; call it again to finish. `verify.cluster_not_found`
    /// where nothing was found and a cluster of this name in another case exists.
    pub async fn destroy(&self, name: &str) -> Result<DestroyReport> {
        let report = provision::destroy(&self.steps(), name).await?;
        if report.removed.is_empty() {
            cluster::refuse_other_case(self.aws.as_ref(), name).await?;
        }
        Ok(report)
    }

    fn steps(&self) -> Steps<'_> {
        Steps::new(
            self.aws.as_ref(),
            self.clock.as_ref(),
            self.wait,
            self.progress.as_ref(),
            self.cancel.clone(),
        )
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("aws", &self.aws)
            .field("clock", &self.clock)
            .field("wait", &self.wait)
            .finish_non_exhaustive()
    }
}
