//! Reads from AWS what a plan is decided from; changes nothing.

use super::capacity;
use super::further_groups::SeenGroups;
use super::placement::{self, Wanted};
use super::subnets::{self, Demand};
use super::unmatched::{self, no_placement_group, not_found, unmatched};
use super::way_out::{self, Needs, Ways};
use super::{image, instance_role, interfaces};
use crate::catalog::{Catalog, InstanceType};
use crate::ec2::{
    CapacityReservation, Ec2, Filter, Image, PlacementGroup, SecurityGroup, Subnet, Vpc,
};
use crate::error::{Code, Error, Result};
use crate::iam::InstanceProfile;
use crate::services::Aws;
use crate::spec::selector::{self, Selectable, Selector};
use crate::spec::{Capacity, CheckedSpec, InstanceProfileChoice, SecurityGroupChoice};
use crate::tags;
use crate::text::did_you_mean;
use crate::types::ResourceKind;

/// What a plan is decided from, as read from AWS.
#[derive(Debug, Clone)]
pub(crate) struct Observations {
    /// The time, in seconds since 1970.
    pub(crate) now_s: u64,
    pub(crate) region: String,
    pub(crate) account: String,
    pub(crate) partition: String,
    pub(crate) instance_type: InstanceType,
    pub(crate) zones_that_offer: Vec<String>,
    /// What the specification's selectors name.
    pub(crate) subnets: Vec<Subnet>,
    /// The VPC of the usable subnets.
    pub(crate) vpc: Option<Vpc>,
    /// What leads out of that VPC, where the instances need it, or why it could not be read.
    pub(crate) ways: Option<std::result::Result<Ways, String>>,
    pub(crate) image: Image,
    /// The reservations that the specification names, or those of its resource group.
    pub(crate) reservations: Vec<CapacityReservation>,
    /// The group that the specification names, or the one that we would make if it exists.
    pub(crate) security_group: Option<SecurityGroup>,
    /// The further groups that the specification names.
    pub(crate) further_groups: SeenGroups,
    /// The group that the specification names, the reservation's, or the one that we would make.
    pub(crate) placement_group: Option<PlacementGroup>,
    /// The profile that the specification names, or the one that we would make if it exists.
    pub(crate) instance_profile: Option<InstanceProfile>,
}

/// Everything that `decide_plan` needs for `spec`.
pub(crate) async fn observe(aws: &dyn Aws, spec: &CheckedSpec, now_s: u64) -> Result<Observations> {
    let ec2: &dyn Ec2 = aws;
    let caller = aws.caller_identity().await?;
    let instance_type = instance_type(ec2, &spec.instance_type).await?;
    let offerings = ec2
        .describe_instance_type_offerings(&[Filter::new("instance-type", &spec.instance_type)])
        .await?;
    let mut zones_that_offer: Vec<String> =
        offerings.into_iter().map(|o| o.availability_zone).collect();
    zones_that_offer.sort();
    let reservations = reservations(ec2, spec).await?;
    let (subnets, vpcs) = subnets(ec2, spec).await?;
    key_pair(ec2, spec).await?;
    let image = image::find_image(ec2, aws, spec, &instance_type).await?;
    let capacity = capacity::plan_capacity(spec, &instance_type, reservations.clone())?;
    let layout = interfaces::plan_interfaces(spec, &instance_type)?;
    let demand = Demand {
        spec,
        layout: &layout,
        region: ec2.region(),
        zones_that_offer: &zones_that_offer,
        reserved_zones: capacity.zones(),
    };
    let (usable, _) = subnets::rank_subnets(&demand, subnets.clone())?;
    let vpc_id = &usable.first().vpc_id;
    let vpc = vpc(ec2, vpc_id, vpcs).await?;
    let ways = match Needs::of(spec) {
        Some(_) => {
            let seen = way_out::look(ec2, vpc_id).await;
            Some(seen.map_err(|error| error.message().to_owned()))
        }
        None => None,
    };
    let security_group = security_group(ec2, spec, vpc_id).await?;
    let further_groups = further_groups(ec2, spec, vpc_id).await?;
    let wanted = placement::wanted(spec, &capacity, &caller.account)?;
    let placement_group = placement_group(ec2, wanted).await?;
    let instance_profile = instance_profile(aws, spec).await?;
    Ok(Observations {
        now_s,
        region: ec2.region().to_owned(),
        partition: caller.partition().to_owned(),
        account: caller.account,
        instance_type,
        zones_that_offer,
        subnets,
        vpc,
        ways,
        image,
        reservations,
        security_group,
        further_groups,
        placement_group,
        instance_profile,
    })
}

async fn instance_type(ec2: &dyn Ec2, name: &str) -> Result<InstanceType> {
    let found = ec2
        .describe_instance_types(&[Filter::new("instance-type", name)])
        .await?;
    found.into_iter().find(|t| t.name == name).ok_or_else(|| {
        let near = Catalog::bundled().nearest(name);
        let cure = did_you_mean(name, near, "Catalog.find lists the types that have EFA");
        Error::new(
            Code::CatalogUnknownInstanceType,
            format!("{} has no instance type '{name}'", ec2.region()),
        )
        .with_cure(cure)
        .with_context("instance_type", name)
        .with_context("region", ec2.region())
    })
}

async fn reservations(ec2: &dyn Ec2, spec: &CheckedSpec) -> Result<Vec<CapacityReservation>> {
    if !spec.capacity.is_reserved() {
        return Ok(Vec::new());
    }
    // EC2 has no filter on the id of a reservation.
    let mut found = ec2.describe_capacity_reservations(&[]).await?;
    let Capacity::ReservationGroup(arn) = &spec.capacity else {
        let named = spec.capacity.reserved(spec.count);
        let position = |one: &CapacityReservation| {
            let of_id = |(id, _): &(&str, u32)| *id == one.capacity_reservation_id;
            named.iter().position(of_id)
        };
        let is_known = |id: &str| found.iter().any(|one| one.capacity_reservation_id == id);
        if let Some((id, _)) = named.iter().find(|(id, _)| !is_known(id)) {
            let known = found.iter().map(|one| one.capacity_reservation_id.as_str());
            let cure = did_you_mean(id, known, unmatched::NOT_THERE);
            return Err(capacity::no_reservation(id).with_cure(cure));
        }
        found.retain(|one| position(one).is_some());
        found.sort_by_key(position);
        return Ok(found);
    };
    let mut members = Vec::new();
    for one in found {
        if one.instance_type != spec.instance_type {
            continue;
        }
        let groups = ec2.groups_of_capacity_reservation(&one.capacity_reservation_id);
        if groups.await?.contains(arn) {
            members.push(one);
        }
    }
    Ok(members)
}

/// An implementation of [`Ec2`] of the caller's own may lack a call.
fn unless_lacking<T>(answer: Result<T>) -> Result<Option<T>> {
    match answer {
        Err(error) if error.code() == Code::Ec2NotImplemented => Ok(None),
        answer => answer.map(Some),
    }
}

/// Refuses the name of a key pair that does not exist.
async fn key_pair(ec2: &dyn Ec2, spec: &CheckedSpec) -> Result<()> {
    let Some(name) = &spec.key_name else {
        return Ok(());
    };
    let filter = [Filter::new("key-name", name)];
    match unless_lacking(ec2.describe_key_pairs(&filter).await)? {
        Some(found) if !found.contains(name) => {
            let all = ec2.describe_key_pairs(&[]).await.unwrap_or_default();
            let cure = "create or import the key pair in this region, or leave key_name out";
            let cure = did_you_mean(name, all.iter().map(String::as_str), cure);
            Err(not_found(ec2, "key_name", name).with_cure(cure))
        }
        _ => Ok(()),
    }
}

/// The VPC of this id, from those that are known already or from EC2.
async fn vpc(ec2: &dyn Ec2, vpc_id: &str, known: Vec<Vpc>) -> Result<Option<Vpc>> {
    let of_id = |vpc: &Vpc| vpc.vpc_id == vpc_id;
    if let Some(vpc) = known.into_iter().find(of_id) {
        return Ok(Some(vpc));
    }
    let filter = [Filter::new("vpc-id", vpc_id)];
    let found = unless_lacking(ec2.describe_vpcs(&filter).await)?;
    Ok(found.unwrap_or_default().into_iter().find(of_id))
}

/// The subnets that the specification's selectors name, and the VPCs that its VPC names.
async fn subnets(ec2: &dyn Ec2, spec: &CheckedSpec) -> Result<(Vec<Subnet>, Vec<Vpc>)> {
    let (mut in_vpc, mut vpcs) = (Vec::new(), Vec::new());
    if let Some(vpc) = &spec.vpc {
        vpcs = ec2.describe_vpcs(&[vpc.filter(selector::VPC)]).await?;
        let ids: Vec<String> = vpcs.iter().map(|vpc| vpc.vpc_id.clone()).collect();
        if ids.is_empty() {
            return Err(unmatched(ec2, selector::VPC, vpc, &[]).await);
        }
        in_vpc.push(Filter::any("vpc-id", ids));
    }
    if spec.subnets.is_empty() {
        return Ok((ec2.describe_subnets(&in_vpc).await?, vpcs));
    }
    let mut all: Vec<Subnet> = Vec::new();
    for selector in &spec.subnets {
        let mut filters = in_vpc.clone();
        filters.push(selector.filter(selector::SUBNET));
        let found = ec2.describe_subnets(&filters).await?;
        if found.is_empty() {
            return Err(unmatched(ec2, selector::SUBNET, selector, &in_vpc).await);
        }
        for subnet in found {
            if !all.iter().any(|known| known.subnet_id == subnet.subnet_id) {
                all.push(subnet);
            }
        }
    }
    Ok((all, vpcs))
}

async fn security_group(
    ec2: &dyn Ec2,
    spec: &CheckedSpec,
    vpc_id: &str,
) -> Result<Option<SecurityGroup>> {
    match &spec.security_group {
        SecurityGroupChoice::Use(group) | SecurityGroupChoice::Adopt(group) => {
            select_security_group(ec2, group, selector::SECURITY_GROUP, vpc_id)
                .await
                .map(Some)
        }
        SecurityGroupChoice::Make => {
            find_security_group(ec2, &tags::default_group_name(&spec.name), vpc_id).await
        }
    }
}

async fn further_groups(ec2: &dyn Ec2, spec: &CheckedSpec, vpc_id: &str) -> Result<SeenGroups> {
    let mut seen = SeenGroups::default();
    for group in &spec.further_security_groups {
        let kind = selector::FURTHER_SECURITY_GROUPS;
        seen.all
            .push(select_security_group(ec2, group, kind, vpc_id).await?);
    }
    for group in &spec.ena_security_groups {
        let kind = selector::ENA_SECURITY_GROUPS;
        seen.ena
            .push(select_security_group(ec2, group, kind, vpc_id).await?);
    }
    Ok(seen)
}

/// The one security group that the caller names in this field.
pub(crate) async fn select_security_group(
    ec2: &dyn Ec2,
    group: &Selector,
    kind: Selectable,
    vpc_id: &str,
) -> Result<SecurityGroup> {
    let mut filters = vec![group.filter(kind)];
    // Names are unique only within the VPC; a wrong id is reported as such.
    if !matches!(group, Selector::Id(_)) {
        filters.push(Filter::new("vpc-id", vpc_id));
    }
    let mut found = ec2.describe_security_groups(&filters).await?.into_iter();
    match (found.next(), found.next()) {
        (Some(only), None) => Ok(only),
        (None, _) => {
            let in_vpc = [Filter::new("vpc-id", vpc_id)];
            Err(unmatched(ec2, kind, group, &in_vpc).await)
        }
        (Some(one), Some(other)) => Err(Error::new(
            Code::PlanConflict,
            format!(
                "several security groups match '{group}', among them {} and {}",
                one.group_id, other.group_id
            ),
        )
        .with_cure("give the id of one")
        .with_context("field", kind.field)
        .with_context("value", group)),
    }
}

/// The security group of this name in this VPC.
pub(crate) async fn find_security_group(
    ec2: &dyn Ec2,
    group_name: &str,
    vpc_id: &str,
) -> Result<Option<SecurityGroup>> {
    let filters = [
        Filter::new("group-name", group_name),
        Filter::new("vpc-id", vpc_id),
    ];
    Ok(ec2
        .describe_security_groups(&filters)
        .await?
        .into_iter()
        .next())
}

async fn placement_group(ec2: &dyn Ec2, wanted: Wanted) -> Result<Option<PlacementGroup>> {
    match wanted {
        Wanted::None => Ok(None),
        Wanted::Ours(name) => find_placement_group(ec2, &name).await,
        Wanted::Existing(name) => match find_placement_group(ec2, &name).await? {
            None => Err(no_placement_group(ec2, &name).await),
            found => Ok(found),
        },
    }
}

/// The placement group of this id (`pg-…`) or name, unless it is being deleted. A group that
/// another account shares is found by its id only.
pub(crate) async fn find_placement_group(
    ec2: &dyn Ec2,
    group: &str,
) -> Result<Option<PlacementGroup>> {
    let stays = |group: &PlacementGroup| !group.state.starts_with("delet");
    let found = if ResourceKind::PlacementGroup.is_id(group) {
        ec2.placement_group_by_id(group).await?
    } else {
        let filter = [Filter::new("group-name", group)];
        let found = ec2.describe_placement_groups(&filter).await?;
        found.into_iter().find(stays)
    };
    Ok(found.filter(stays))
}

async fn instance_profile(aws: &dyn Aws, spec: &CheckedSpec) -> Result<Option<InstanceProfile>> {
    match &spec.instance_profile {
        InstanceProfileChoice::None => Ok(None),
        InstanceProfileChoice::Use(name) => match aws.get_instance_profile(name).await? {
            None => Err(unmatched::no_instance_profile(aws, name).await),
            found => Ok(found),
        },
        InstanceProfileChoice::Make(role) => {
            if let Some(arn) = &role.permissions_boundary {
                permissions_boundary(aws, arn).await?;
            }
            let name = instance_role::name(&spec.name, aws.region());
            aws.get_instance_profile(&name).await
        }
    }
}

/// Refuses a boundary that does not exist.
async fn permissions_boundary(aws: &dyn Aws, arn: &str) -> Result<()> {
    match unless_lacking(aws.policy_exists(arn).await)? {
        Some(false) => Err(Error::new(
            Code::PlanResourceNotFound,
            format!("permissions_boundary '{arn}' is not a policy of the account, nor of AWS"),
        )
        .with_cure("give the ARN of a managed policy of this account, or of one of AWS's")
        .with_context("field", "permissions_boundary")
        .with_context("value", arn)),
        _ => Ok(()),
    }
}
