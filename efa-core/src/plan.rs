//! The plan: everything that `apply` would use and make, decided before anything is changed.
//!
//! [`observe`] reads EC2, [`decide`] is a pure function of the specification and what was
//! read. The plan's fingerprint covers the intent only (specification, region, layout), so that
//! it stays the same while an interrupted `apply` is finished.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::catalog::InstanceType;
use crate::ec2::{
    CreateSecurityGroup, Image, PlacementGroup, RootVolume, RunInstances, SecurityGroup, Subnet,
    Tags,
};
use crate::error::{Code, Error, Result};
use crate::layout::{Layout, PublicIp};
use crate::placement::{self, PlannedPlacementGroup};
use crate::security_group::{self, PlannedSecurityGroup};
use crate::spec::ClusterSpec;
use crate::tags;
use crate::types::Architecture;

mod diff;
mod display;
mod observe;

pub use diff::PlanDifference;

pub(crate) use observe::{find_placement_group, find_security_group, observe};

/// Key of the checksum in the serialised form.
const DIGEST: &str = "sha256";
/// Version of the serialised form.
const FORMAT: u32 = 1;

/// What a plan is decided from, as read from EC2.
#[derive(Debug, Clone)]
pub(crate) struct Observations {
    pub(crate) region: String,
    pub(crate) instance_type: InstanceType,
    pub(crate) zones_that_offer: Vec<String>,
    pub(crate) subnet: Subnet,
    pub(crate) image: Image,
    /// The group that the specification names, or the one that we would make if it exists.
    pub(crate) security_group: Option<SecurityGroup>,
    /// The group that the specification names, or the one that we would make if it exists.
    pub(crate) placement_group: Option<PlacementGroup>,
}

/// Everything that `apply` would use and make. Data: compare it, print it, store it as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Plan {
    format: u32,
    /// What the caller asked for.
    pub spec: ClusterSpec,
    /// The region that the plan was made for.
    pub region: String,
    /// The subnet, as it was when the plan was made.
    pub subnet: Subnet,
    /// The image.
    pub image: Image,
    /// The interfaces of each instance.
    pub layout: Layout,
    /// The security group of every interface.
    pub security_group: PlannedSecurityGroup,
    /// The cluster placement group, if any.
    pub placement_group: Option<PlannedPlacementGroup>,
    /// Identifies the intent: equal for equal specification, region and layout.
    pub fingerprint: String,
}

/// Decides a plan. Pure: the same arguments give the same plan.
pub(crate) fn decide(spec: &ClusterSpec, seen: Observations) -> Result<Plan> {
    spec.validate()?;
    let layout = plan_layout(spec, &seen.instance_type)?;
    check_zone(spec, &seen)?;
    check_image(&seen.instance_type, &seen.image)?;
    check_addresses(spec, &layout, &seen.subnet)?;
    let security_group = security_group::decide(spec, &seen.subnet, seen.security_group.as_ref())?;
    let placement_group =
        placement::decide(spec, &seen.instance_type, seen.placement_group.as_ref())?;
    Ok(Plan {
        format: FORMAT,
        fingerprint: fingerprint(spec, &seen.region, &layout),
        spec: spec.clone(),
        region: seen.region,
        subnet: seen.subnet,
        image: seen.image,
        layout,
        security_group,
        placement_group,
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn plan_layout(spec: &ClusterSpec, instance_type: &InstanceType) -> Result<Layout> {
    let Some(interfaces) = &spec.interfaces else {
        return instance_type.layout(&spec.layout_request());
    };
    let mut layout = Layout::from_interfaces(instance_type, interfaces.clone())?;
    let notation = layout.notation();
    if notation.chars().count() > tags::VALUE_LIMIT {
        return Err(conflict(format!(
            "the interfaces take {} characters to note in a tag, EC2 takes {}",
            notation.chars().count(),
            tags::VALUE_LIMIT
        ))
        .with_cure("give runs of network cards the same interfaces")
        .with_context("field", "interfaces")
        .with_context("value", notation)
        .with_context("limit", tags::VALUE_LIMIT));
    }
    // The interfaces themselves say whether there is a public address at launch.
    if spec.public_ip == PublicIp::ElasticIp {
        layout.public_ip = PublicIp::ElasticIp;
    }
    Ok(layout)
}

/// Sixteen hexadecimal digits of the SHA-256 of the intent.
fn fingerprint(spec: &ClusterSpec, region: &str, layout: &Layout) -> String {
    // `Value` sorts its keys, and serialising plain data into it cannot fail.
    let intent =
        serde_json::json!({ "spec": spec, "region": region, "interfaces": layout.interfaces });
    hex(&Sha256::digest(intent.to_string().as_bytes())[..8])
}

fn check_zone(spec: &ClusterSpec, seen: &Observations) -> Result<()> {
    let zone = &seen.subnet.availability_zone;
    if seen.zones_that_offer.contains(zone) {
        return Ok(());
    }
    let offering = if seen.zones_that_offer.is_empty() {
        format!(
            "{} has no zone that offers it: choose another region",
            seen.region
        )
    } else {
        format!("choose a subnet in {}", seen.zones_that_offer.join(", "))
    };
    Err(conflict(format!(
        "{} is not offered in {zone}, the zone of {}",
        spec.instance_type, spec.subnet_id
    ))
    .with_cure(offering)
    .with_context("instance_type", &spec.instance_type)
    .with_context("availability_zone", zone))
}

fn check_image(instance_type: &InstanceType, image: &Image) -> Result<()> {
    if !instance_type.architectures.contains(&image.architecture) {
        let needed: Vec<&str> = instance_type
            .architectures
            .iter()
            .map(Architecture::as_str)
            .collect();
        return Err(conflict(format!(
            "image {} is for {}, but {} runs {}",
            image.image_id,
            image.architecture,
            instance_type.name,
            needed.join(" or ")
        ))
        .with_cure("choose an image of that architecture")
        .with_context("field", "image_id")
        .with_context("value", &image.image_id)
        .with_context("architecture", &image.architecture));
    }
    if !image.ena_support {
        return Err(conflict(format!(
            "image {} does not declare ENA support, which EFA needs",
            image.image_id
        ))
        .with_cure("choose an image registered with EnaSupport, such as Amazon Linux 2023")
        .with_context("field", "image_id")
        .with_context("value", &image.image_id));
    }
    Ok(())
}

fn check_addresses(spec: &ClusterSpec, layout: &Layout, subnet: &Subnet) -> Result<()> {
    let needed = u64::from(spec.count) * layout.private_ip_address_count();
    if needed <= u64::from(subnet.available_ip_address_count) {
        return Ok(());
    }
    Err(conflict(format!(
        "{} has {} free addresses, the plan needs {needed} ({} per instance)",
        subnet.subnet_id,
        subnet.available_ip_address_count,
        layout.private_ip_address_count()
    ))
    .with_cure("choose a larger subnet, fewer instances, or the save-ips profile")
    .with_context("field", "subnet_id")
    .with_context("value", needed)
    .with_context("limit", subnet.available_ip_address_count))
}

fn conflict(message: String) -> Error {
    Error::new(Code::PlanConflict, message)
}

impl Plan {
    /// The plan as JSON, to be stored and read back by [`Plan::from_json`].
    #[must_use]
    pub fn to_json(&self) -> String {
        // Plain data: no map with non-string keys, no failing Serialize.
        let mut form = serde_json::to_value(self).unwrap_or_default();
        let digest = hex(&Sha256::digest(form.to_string().as_bytes()));
        form[DIGEST] = Value::String(digest);
        format!("{form:#}")
    }

    /// Reads a stored plan.
    ///
    /// # Errors
    /// `plan.unreadable` when it is not a plan, was written by another version of the form, or
    /// was changed after it was written.
    pub fn from_json(json: &str) -> Result<Self> {
        let unreadable = |why: String| {
            Error::new(Code::PlanUnreadable, format!("not a plan: {why}"))
                .with_cure("make the plan again")
        };
        let mut form: Value =
            serde_json::from_str(json).map_err(|error| unreadable(error.to_string()))?;
        let digest = form.as_object_mut().and_then(|form| form.remove(DIGEST));
        let expected = hex(&Sha256::digest(form.to_string().as_bytes()));
        let plan: Self =
            serde_json::from_value(form).map_err(|error| unreadable(error.to_string()))?;
        if plan.format != FORMAT {
            return Err(unreadable(format!("form {} is not {FORMAT}", plan.format)));
        }
        if digest != Some(Value::String(expected)) {
            return Err(unreadable("it was changed after it was written".to_owned()));
        }
        plan.spec.validate()?;
        Ok(plan)
    }

    /// Name of the cluster.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.spec.name
    }

    /// Whether `apply` would make something beside the instances.
    #[must_use]
    pub fn makes_groups(&self) -> bool {
        self.security_group.group_id.is_none()
            || self.placement_group.as_ref().is_some_and(|g| !g.exists)
    }

    /// The ClientToken of the n-th launch of this plan into one security group. The first is 0;
    /// a later one is used when the instances of an earlier one were terminated. The group is
    /// part of it because EC2 refuses one token with two different requests.
    #[must_use]
    pub fn client_token(&self, security_group_id: &str, launch: u32) -> String {
        format!("efa-sdk-{}-{security_group_id}-{launch}", self.fingerprint)
    }

    /// Tags of the instances, their volumes and interfaces, given the security group's id.
    #[must_use]
    pub fn instance_tags(&self, security_group_id: &str) -> Tags {
        let mut all = self.shared_tags();
        let mut put = |key: &str, value: &str| all.insert(key.to_owned(), value.to_owned());
        put(tags::PLAN, &self.fingerprint);
        put(tags::COUNT, &self.spec.count.to_string());
        put(tags::LAYOUT, &self.layout.notation());
        put(tags::PUBLIC_IP, self.layout.public_ip.as_str());
        put(tags::INSTANCE_TYPE, &self.spec.instance_type);
        put(tags::SUBNET, &self.spec.subnet_id);
        put(tags::IMAGE, &self.spec.image_id);
        put(tags::SECURITY_GROUP, security_group_id);
        if let Some(group) = &self.placement_group {
            put(tags::PLACEMENT_GROUP, &group.group_name);
        }
        all
    }

    /// Tags of the groups and addresses that are made.
    #[must_use]
    pub fn shared_tags(&self) -> Tags {
        tags::shared(&self.spec.name, &self.spec.tags)
    }

    /// Whether instances get an Elastic IP after launch.
    pub(crate) fn wants_elastic_ips(&self) -> bool {
        self.layout.public_ip == PublicIp::ElasticIp
    }

    /// The CreateSecurityGroup request that `apply` sends when the group does not exist.
    #[must_use]
    pub fn create_security_group_request(&self) -> CreateSecurityGroup {
        CreateSecurityGroup {
            group_name: self.security_group.group_name.clone(),
            description: format!("EFA traffic within cluster {}", self.spec.name),
            vpc_id: self.subnet.vpc_id.clone(),
            tags: self.shared_tags(),
        }
    }

    /// The RunInstances request of the n-th launch.
    #[must_use]
    pub fn run_instances_request(&self, security_group_id: &str, launch: u32) -> RunInstances {
        RunInstances {
            client_token: self.client_token(security_group_id, launch),
            instance_type: self.spec.instance_type.clone(),
            count: self.spec.count,
            image_id: self.spec.image_id.clone(),
            subnet_id: self.spec.subnet_id.clone(),
            security_group_id: security_group_id.to_owned(),
            placement_group_name: self
                .placement_group
                .as_ref()
                .map(|group| group.group_name.clone()),
            interfaces: self.layout.interfaces.clone(),
            root_volume: self
                .image
                .root_device_name
                .as_ref()
                .map(|device_name| RootVolume {
                    device_name: device_name.clone(),
                    volume_size_gib: self.spec.volume_size_gib,
                }),
            key_name: self.spec.key_name.clone(),
            iam_instance_profile: self.spec.iam_instance_profile.clone(),
            user_data: self.spec.user_data.clone(),
            tags: self.instance_tags(security_group_id),
        }
    }
}

impl Plan {
    /// The text form as HTML, for notebooks.
    #[must_use]
    pub fn to_html(&self) -> String {
        crate::html::preformatted(&self.to_string())
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        display::plan(self, f)
    }
}

#[cfg(test)]
mod tests;
