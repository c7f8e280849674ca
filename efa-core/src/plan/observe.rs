//! Reads from EC2 what a plan is decided from; changes nothing.

use super::Observations;
use crate::catalog::InstanceType;
use crate::ec2::{Ec2, Filter, Image, SecurityGroup, Subnet};
use crate::error::{Code, Error, Result};
use crate::spec::{ClusterSpec, PlacementGroupChoice, SecurityGroupChoice};
use crate::tags;

/// Everything that [`super::decide`] needs for `spec`.
pub(crate) async fn observe(ec2: &dyn Ec2, spec: &ClusterSpec) -> Result<Observations> {
    let instance_type = instance_type(ec2, &spec.instance_type).await?;
    let offerings = ec2
        .describe_instance_type_offerings(&[Filter::new("instance-type", &spec.instance_type)])
        .await?;
    let mut zones_that_offer: Vec<String> =
        offerings.into_iter().map(|o| o.availability_zone).collect();
    zones_that_offer.sort();
    let subnet = subnet(ec2, &spec.subnet_id).await?;
    let image = image(ec2, &spec.image_id).await?;
    let security_group = security_group(ec2, spec, &subnet.vpc_id).await?;
    let placement_group = placement_group(ec2, spec).await?;
    Ok(Observations {
        region: ec2.region().to_owned(),
        instance_type,
        zones_that_offer,
        subnet,
        image,
        security_group,
        placement_group,
    })
}

async fn instance_type(ec2: &dyn Ec2, name: &str) -> Result<InstanceType> {
    let found = ec2
        .describe_instance_types(&[Filter::new("instance-type", name)])
        .await?;
    found.into_iter().find(|t| t.name == name).ok_or_else(|| {
        Error::new(
            Code::CatalogUnknownInstanceType,
            format!("{} has no instance type '{name}'", ec2.region()),
        )
        .with_cure("see Catalog.find for the types that support EFA")
        .with_context("instance_type", name)
        .with_context("region", ec2.region())
    })
}

async fn subnet(ec2: &dyn Ec2, id: &str) -> Result<Subnet> {
    first(
        ec2.describe_subnets(&[Filter::new("subnet-id", id)])
            .await?,
        ec2,
        "subnet_id",
        id,
    )
}

async fn image(ec2: &dyn Ec2, id: &str) -> Result<Image> {
    first(
        ec2.describe_images(&[Filter::new("image-id", id)]).await?,
        ec2,
        "image_id",
        id,
    )
}

async fn security_group(
    ec2: &dyn Ec2,
    spec: &ClusterSpec,
    vpc_id: &str,
) -> Result<Option<SecurityGroup>> {
    match &spec.security_group {
        SecurityGroupChoice::Use(id) => {
            let found = ec2
                .describe_security_groups(&[Filter::new("group-id", id)])
                .await?;
            first(found, ec2, "security_group_id", id).map(Some)
        }
        SecurityGroupChoice::Make => {
            find_security_group(ec2, &tags::default_group_name(&spec.name), vpc_id).await
        }
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

async fn placement_group(
    ec2: &dyn Ec2,
    spec: &ClusterSpec,
) -> Result<Option<crate::ec2::PlacementGroup>> {
    match &spec.placement_group {
        PlacementGroupChoice::None => Ok(None),
        PlacementGroupChoice::Use(name) => {
            let found = ec2
                .describe_placement_groups(&[Filter::new("group-name", name)])
                .await?;
            first(found, ec2, "placement_group_name", name).map(Some)
        }
        PlacementGroupChoice::Make => {
            find_placement_group(ec2, &tags::default_group_name(&spec.name)).await
        }
    }
}

/// The placement group of this name, unless it is being deleted.
pub(crate) async fn find_placement_group(
    ec2: &dyn Ec2,
    group_name: &str,
) -> Result<Option<crate::ec2::PlacementGroup>> {
    let found = ec2
        .describe_placement_groups(&[Filter::new("group-name", group_name)])
        .await?;
    Ok(found
        .into_iter()
        .find(|group| !group.state.starts_with("delet")))
}

fn first<T>(found: Vec<T>, ec2: &dyn Ec2, field: &'static str, value: &str) -> Result<T> {
    found.into_iter().next().ok_or_else(|| {
        Error::new(
            Code::PlanResourceNotFound,
            format!("{field} '{value}' does not exist in {}", ec2.region()),
        )
        .with_cure("check the id, the region and the account")
        .with_context("field", field)
        .with_context("value", value)
        .with_context("region", ec2.region())
    })
}
