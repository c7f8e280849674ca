//! The plan: everything that `apply` would use and make, decided before anything is changed.
//!
//! `observe` reads EC2, `decide_plan` is a pure function of the specification and what was
//! read. The plan's fingerprint covers the intent only (specification without its count, region,
//! layout), so that it stays the same while an interrupted `apply` is finished, and when the
//! cluster grows or shrinks.

use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::catalog::InstanceType;
use crate::ec2::{CreateSecurityGroup, Image, Market, RootVolume, Subnet, Tags};
use crate::error::{Code, Error, Result};
use crate::launch::CpuOptions;
use crate::layout::{Layout, PublicIp};
use crate::spec::{Bootstrap, CheckedSpec};
use crate::tags;
use crate::types::InterfaceType;

mod caller_policy;
mod capacity;
mod cpu;
mod decided;
mod difference;
mod display;
mod expiry;
mod fingerprint;
mod follows;
mod further_groups;
pub(crate) mod image;
pub(crate) mod instance_role;
mod instance_store;
mod interfaces;
mod ipv6;
pub(crate) mod launch;
mod launch_template;
mod observe;
mod picture;
mod placement;
mod reservation_group;
pub(crate) mod security_group;
mod subnets;
mod tenancy;
mod unmatched;
pub(crate) mod volume;
pub(crate) mod way_out;

pub use capacity::PlannedCapacity;
pub use difference::Difference;
pub use further_groups::{FurtherSecurityGroups, NamedSecurityGroup};
pub use instance_role::PlannedInstanceProfile;
pub use placement::PlannedPlacementGroup;
pub use security_group::PlannedSecurityGroup;
pub use subnets::RejectedSubnet;

pub(crate) use expiry::check_ends_before;
pub(crate) use launch_template::with_template;
pub(crate) use observe::{
    Observations, find_placement_group, find_security_group, observe, select_security_group,
};

use decided::Decided;

/// Key of the checksum in the serialised form.
const DIGEST: &str = "sha256";
/// Version of the serialised form.
const FORMAT: u32 = 3;

/// Everything that `apply` would use and make. Data: compare it, print it, store it as JSON.
///
/// A plan is made by [`crate::Client::plan`] or read by [`Plan::from_json`] and never changed:
/// what it reports of itself, and the launch that it makes, stay true.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct Plan {
    decided: Decided,
}

/// Decides a plan. Pure: the same arguments give the same plan.
pub(crate) fn decide_plan(spec: &CheckedSpec, seen: Observations) -> Result<Plan> {
    let mut warnings = Vec::new();
    let layout = interfaces::plan_interfaces(spec, &seen.instance_type)?;
    let capacity = capacity::plan_capacity(spec, &seen.instance_type, seen.reservations)?;
    let demand = subnets::Demand {
        spec,
        layout: &layout,
        region: &seen.region,
        zones_that_offer: &seen.zones_that_offer,
        reserved_zones: capacity.zones(),
    };
    let (subnets, rejected_subnets) = subnets::rank_subnets(&demand, seen.subnets)?;
    image::require_fit(
        spec,
        &seen.instance_type,
        &seen.image,
        &seen.account,
        &mut warnings,
    )?;
    image::require_platform(&seen.image, capacity.reservation.as_ref(), &mut warnings)?;
    tenancy::require_fit(
        &seen.instance_type,
        &layout,
        &capacity,
        seen.vpc.as_ref(),
        &mut warnings,
    )?;
    warnings.extend(ipv6::warn(spec, subnets.all()));
    let ways = seen.ways.as_ref();
    warnings.extend(way_out::warnings(spec, &layout, subnets.all(), ways));
    let security_group =
        security_group::plan_security_group(spec, subnets.first(), seen.security_group.as_ref())?;
    let further_security_groups = further_groups::plan_further_groups(
        subnets.first(),
        &security_group,
        &seen.further_groups,
        &mut warnings,
    )?;
    instance_store::require_fit(spec, &seen.instance_type)?;
    let cpu_options = cpu::plan_cpu_options(spec, &seen.instance_type)?;
    let placement_group = placement::plan_placement_group(
        spec,
        &seen.instance_type,
        &capacity,
        placement::wanted(spec, &capacity, &seen.account)?,
        seen.placement_group.as_ref(),
    )?;
    let instance_profile =
        instance_role::plan_instance_profile(spec, &seen.region, seen.instance_profile.as_ref())?;
    let root_volume =
        volume::plan_root_volume(spec, &seen.instance_type, &seen.image, &mut warnings)?;
    let expires_at = expiry::plan_expiry(spec, seen.now_s, &capacity)?;
    warnings.extend(placement::warn(spec, &capacity));
    warnings.extend(warn(spec, &capacity));
    let decided = Decided {
        format: FORMAT,
        fingerprint: fingerprint::fingerprint(spec, &seen.region, &layout),
        spec: spec.clone(),
        region: seen.region,
        account: seen.account,
        partition: seen.partition,
        subnets,
        rejected_subnets,
        image: seen.image,
        vpc: seen.vpc,
        instance_type: seen.instance_type,
        layout,
        capacity,
        security_group,
        further_security_groups,
        placement_group,
        instance_profile,
        root_volume,
        cpu_options,
        expires_at,
        warnings,
    };
    Ok(Plan { decided })
}

fn warn(spec: &CheckedSpec, capacity: &PlannedCapacity) -> Vec<String> {
    let mut warnings = Vec::new();
    for reservation in capacity.reservations() {
        if reservation.state == "active" {
            continue;
        }
        warnings.push(format!(
            "{} is {}: it begins at {}",
            reservation.capacity_reservation_id,
            reservation.state,
            reservation
                .start_date
                .as_deref()
                .unwrap_or("an unknown time")
        ));
    }
    if capacity.market == Market::Spot {
        warnings.push("EC2 can take spot instances back with two minutes' notice".to_owned());
    }
    if spec.has_unknown_user_data() {
        let message = "user_data begins with no line that cloud-init knows (#!, #cloud-config and \
                       others): cloud-init ignores such a text, and base64 too";
        warnings.push(message.to_owned());
    }
    for cidr in &spec.ssh_cidrs {
        if cidr.ends_with("/0") {
            warnings.push(format!("{cidr} lets the whole Internet reach port 22"));
        }
    }
    warnings
}

/// Plain data as JSON. `json!` panics where serialising fails, which it cannot for data without a
/// map of other keys than text and without a `Serialize` of its own that fails.
fn form(data: &impl Serialize) -> Value {
    json!(data)
}

impl Plan {
    /// Returns the plan as JSON, to be stored and read back by [`Plan::from_json`].
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut form = form(self);
        let digest = hex::encode(Sha256::digest(form.to_string().as_bytes()));
        form[DIGEST] = Value::String(digest);
        format!("{form:#}")
    }

    /// Reads a stored plan.
    ///
    /// # Errors
    /// `plan.unreadable` when it is not a plan, was written by another version of the form, was
    /// changed after it was written, or states what does not follow from its specification: what is
    /// derived is derived again, with its own digest or not.
    pub fn from_json(json: &str) -> Result<Self> {
        let unreadable = |why: String| {
            Error::new(Code::PlanUnreadable, format!("not a plan: {why}"))
                .with_cure("make the plan again")
        };
        let mut form: Value =
            serde_json::from_str(json).map_err(|error| unreadable(error.to_string()))?;
        let digest = form.as_object_mut().and_then(|form| form.remove(DIGEST));
        let expected = hex::encode(Sha256::digest(form.to_string().as_bytes()));
        let decided: Decided =
            serde_json::from_value(form).map_err(|error| unreadable(error.to_string()))?;
        if decided.format != FORMAT {
            let found = decided.format;
            return Err(unreadable(format!("form {found} is not {FORMAT}")));
        }
        if digest != Some(Value::String(expected)) {
            return Err(unreadable("it was changed after it was written".to_owned()));
        }
        if let Some(field) = follows::contradiction(&decided) {
            return Err(unreadable(format!(
                "its {field} does not follow from its specification"
            ))
            .with_context("field", field));
        }
        Ok(Self { decided })
    }

    /// Returns where `other` differs, in order of the form; empty for equal plans.
    #[must_use]
    pub fn diff(&self, other: &Self) -> Vec<Difference> {
        difference::differences(&form(self), &form(other))
    }

    /// Returns the name of the cluster.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.decided.spec.name
    }

    /// Returns what the caller asked for.
    #[must_use]
    pub fn spec(&self) -> &CheckedSpec {
        &self.decided.spec
    }

    /// Returns the region that the plan was made for.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.decided.region
    }

    /// Returns the account that the plan was made in.
    #[must_use]
    pub fn account(&self) -> &str {
        &self.decided.account
    }

    /// Whether its instances are Dedicated Instances: the launch asks for it, or the VPC makes all
    /// of its instances so.
    pub(crate) fn is_dedicated(&self) -> bool {
        tenancy::is_dedicated(&self.decided.capacity, self.decided.vpc.as_ref())
    }

    /// Returns the partition of its ARNs, such as `aws`.
    #[must_use]
    pub fn partition(&self) -> &str {
        &self.decided.partition
    }

    /// Returns the subnets that could take the cluster, best first, as they were when the plan was
    /// made.
    #[must_use]
    pub fn subnets(&self) -> &[Subnet] {
        self.decided.subnets.all()
    }

    /// Returns the subnet that is tried first.
    #[must_use]
    pub fn subnet(&self) -> &Subnet {
        self.decided.subnets.first()
    }

    /// Returns whether a launch into this subnet of the plan gets IPv6 addresses and no others.
    #[must_use]
    pub fn is_ipv6_only(&self, subnet_id: &str) -> bool {
        let mut subnets = self.subnets().iter();
        subnets.any(|subnet| subnet.subnet_id == subnet_id && subnet.ipv6_native)
    }

    /// Returns the other subnets that the specification names.
    #[must_use]
    pub fn rejected_subnets(&self) -> &[RejectedSubnet] {
        &self.decided.rejected_subnets
    }

    /// Returns the image.
    #[must_use]
    pub fn image(&self) -> &Image {
        &self.decided.image
    }

    /// Returns the instance type, as EC2 described it when the plan was made.
    #[must_use]
    pub fn instance_type(&self) -> &InstanceType {
        &self.decided.instance_type
    }

    /// Returns the interfaces of each instance.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.decided.layout
    }

    /// Returns the market and the reservation.
    #[must_use]
    pub fn capacity(&self) -> &PlannedCapacity {
        &self.decided.capacity
    }

    /// Returns the security group of every interface.
    #[must_use]
    pub fn security_group(&self) -> &PlannedSecurityGroup {
        &self.decided.security_group
    }

    /// Returns the security groups that interfaces are in besides the cluster's own.
    #[must_use]
    pub fn further_security_groups(&self) -> &FurtherSecurityGroups {
        &self.decided.further_security_groups
    }

    /// Ids of the further groups of an interface of this type.
    pub(crate) fn further_groups(&self, kind: &InterfaceType) -> impl Iterator<Item = &str> {
        self.decided.further_security_groups.ids_for(kind)
    }

    /// Returns cores and threads, where they differ from the instance type's default.
    #[must_use]
    pub fn cpu_options(&self) -> Option<&CpuOptions> {
        self.decided.cpu_options.as_ref()
    }

    /// Returns the cluster placement group, if any.
    #[must_use]
    pub fn placement_group(&self) -> Option<&PlannedPlacementGroup> {
        self.decided.placement_group.as_ref()
    }

    /// Returns the IAM instance profile, if any.
    #[must_use]
    pub fn instance_profile(&self) -> Option<&PlannedInstanceProfile> {
        self.decided.instance_profile.as_ref()
    }

    /// Returns the root volume; `None` where the image has no root device to override.
    #[must_use]
    pub fn root_volume(&self) -> Option<&RootVolume> {
        self.decided.root_volume.as_ref()
    }

    /// Returns when the instances end themselves, counted from when the plan was made.
    #[must_use]
    pub fn expires_at(&self) -> Option<&str> {
        self.decided.expires_at.as_deref()
    }

    /// Returns what works, but is seldom wanted.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.decided.warnings
    }

    /// Identifies the intent: equal for equal specification, region and layout.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.decided.fingerprint
    }

    /// Returns the user data of the instances, not yet encoded.
    #[must_use]
    pub fn user_data(&self) -> Option<&str> {
        self.decided.spec.rendered_user_data()
    }

    /// Returns whether `apply` would make something besides the instances.
    #[must_use]
    pub fn makes_groups(&self) -> bool {
        self.security_group().group_id.is_none()
            || self.placement_group().is_some_and(|g| !g.exists)
            || self.instance_profile().is_some_and(|p| !p.exists)
    }

    /// The statement that the bootstrap needs in the role of the instances.
    pub(crate) fn bootstrap_statement(&self) -> Option<Value> {
        let spec = self.spec();
        let bootstrap = spec.bootstrap.as_ref();
        bootstrap.map(|_| Bootstrap::tag_statement(spec.cluster_name()))
    }

    /// Tags of the groups and addresses that are made.
    #[must_use]
    pub fn shared_tags(&self) -> Tags {
        tags::shared(self.name(), &self.spec().tags)
    }

    /// The plan once everything besides the instances exists.
    pub(crate) fn prepared(mut self, security_group_id: String) -> Self {
        let decided = &mut self.decided;
        decided.security_group.group_id = Some(security_group_id);
        decided.security_group.missing_self_rules.clear();
        decided.security_group.missing_ssh_cidrs.clear();
        if let Some(group) = &mut decided.placement_group {
            group.exists = true;
        }
        if let Some(profile) = &mut decided.instance_profile {
            profile.exists = true;
        }
        self
    }

    /// Whether instances get an Elastic IP after launch.
    pub(crate) fn wants_elastic_ips(&self) -> bool {
        self.layout().public_ip == PublicIp::ElasticIp
    }

    /// Returns the CreateSecurityGroup request that `apply` sends when the group does not exist.
    #[must_use]
    pub fn create_security_group_request(&self) -> CreateSecurityGroup {
        CreateSecurityGroup {
            group_name: self.security_group().group_name.clone(),
            description: format!("EFA traffic within cluster {}", self.name()),
            vpc_id: self.subnet().vpc_id.clone(),
            tags: self.shared_tags(),
        }
    }
}

/// The values that a plan leaves open until the launch.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Launch<'a> {
    /// `sg-…` of every interface.
    pub security_group_id: &'a str,
    /// `subnet-…` of every interface.
    pub subnet_id: &'a str,
    /// Which of several reservations, in the order of the specification; 0 with one or none.
    pub part: usize,
    /// How many instances at most.
    pub count: u32,
    /// With fewer none is launched.
    pub minimum_count: u32,
    /// 0, and one more for each earlier launch whose instances were terminated since: their
    /// token cannot be used again.
    pub number: u32,
}

#[cfg(test)]
mod tests;
