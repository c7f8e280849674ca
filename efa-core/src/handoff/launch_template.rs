//! `LaunchTemplateData`, which several formats share, and CreateLaunchTemplate's request.

use base64::Engine as _;
use serde::{Deserialize, Serialize};

use super::document::{Node, json_text, mapping, node};
use super::provenance;
use super::references::References;
use crate::ec2::{Market, Tags};
use crate::error::{Code, Error, Result};
use crate::layout::{Layout, NetworkInterface};
use crate::plan::Plan;
use crate::tags;

/// Who launches from a launch template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum LaunchTemplateFor {
    /// RunInstances, CreateFleet, an Auto Scaling group, Batch or ParallelCluster Service.
    #[default]
    Ec2,
    /// An EKS managed node group, which refuses a subnet, an instance profile and spot options in
    /// its template, and brings its own image and bootstrap (EKS User Guide, "Customize managed
    /// nodes with launch templates" and "Run machine learning training with EFA").
    EksManagedNodeGroup,
}

impl LaunchTemplateFor {
    /// `ec2` or `eks-managed-node-group`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ec2 => "ec2",
            Self::EksManagedNodeGroup => "eks-managed-node-group",
        }
    }
}

impl std::str::FromStr for LaunchTemplateFor {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        [Self::Ec2, Self::EksManagedNodeGroup]
            .into_iter()
            .find(|launcher| launcher.as_str() == text)
            .ok_or_else(|| {
                Error::new(
                    Code::HandoffInvalidOption,
                    format!("no launcher '{text}' of launch templates"),
                )
                .with_cure("choose ec2 or eks-managed-node-group")
                .with_context("field", "launcher")
                .with_context("value", text)
                .with_context("limit", "ec2, eks-managed-node-group")
            })
    }
}

/// What a launch needs, in EC2's spelling and in an order to be read.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct LaunchTemplateData {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) instance_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) image_id: Option<Node>,
    pub(crate) network_interfaces: Vec<InterfaceData>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) placement: Option<Node>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) instance_market_options: Option<Node>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) capacity_reservation_specification: Option<Node>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) block_device_mappings: Option<Node>,
    pub(crate) metadata_options: Node,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) iam_instance_profile: Option<Node>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key_name: Option<String>,
    pub(crate) tag_specifications: Vec<Node>,
    /// Base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) user_data: Option<String>,
}

/// One entry of `NetworkInterfaces`.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct InterfaceData {
    pub(crate) network_card_index: u32,
    pub(crate) device_index: u32,
    pub(crate) interface_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) subnet_id: Option<Node>,
    pub(crate) groups: Vec<Node>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) associate_public_ip_address: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) secondary_private_ip_address_count: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ipv4_prefix_count: Option<u32>,
    pub(crate) delete_on_termination: bool,
}

impl LaunchTemplateData {
    /// The data of the plan's launch with these references, and tags on instances, volumes and
    /// interfaces by which [`crate::Client::verify`] finds the cluster.
    pub(crate) fn new(plan: &Plan, references: &References) -> Self {
        let market = &plan.capacity.market;
        Self {
            instance_type: Some(plan.spec.instance_type.clone()),
            image_id: Some(plan.image.image_id.as_str().into()),
            network_interfaces: interface_data(&plan.layout, references),
            placement: placement(plan, references),
            instance_market_options: market_options(market),
            capacity_reservation_specification: reservation(market),
            block_device_mappings: root_volume(plan),
            // Containers on the instance are one hop further.
            metadata_options: mapping! {
                "HttpTokens" => "required",
                "HttpEndpoint" => "enabled",
                "HttpPutResponseHopLimit" => 2,
            },
            iam_instance_profile: references
                .instance_profile
                .clone()
                .map(|name| mapping! { "Name" => name }),
            key_name: plan.spec.key_name.clone(),
            tag_specifications: tag_specifications(&instance_tags(plan, references)),
            user_data: plan
                .user_data()
                .map(|data| base64::engine::general_purpose::STANDARD.encode(data)),
        }
    }

    /// What this launcher takes of it.
    ///
    /// # Errors
    /// `handoff.not_possible`.
    pub(crate) fn for_launcher(
        plan: &Plan,
        references: &References,
        launcher: LaunchTemplateFor,
    ) -> Result<Self> {
        check_expressible(plan, launcher)?;
        let data = Self::new(plan, references);
        Ok(match launcher {
            LaunchTemplateFor::Ec2 => data,
            LaunchTemplateFor::EksManagedNodeGroup => Self {
                tag_specifications: tag_specifications(&tags_by_launcher(plan, references)),
                ..data.without_what_eks_brings()
            },
        })
    }

    fn without_what_eks_brings(mut self) -> Self {
        self.image_id = None;
        self.iam_instance_profile = None;
        self.user_data = None;
        for interface in &mut self.network_interfaces {
            interface.subnet_id = None;
        }
        self
    }
}

/// `NetworkInterfaces` of a layout.
pub(crate) fn interface_data(layout: &Layout, references: &References) -> Vec<InterfaceData> {
    let interfaces = layout.interfaces.iter();
    interfaces.map(|i| interface(i, references)).collect()
}

fn interface(interface: &NetworkInterface, references: &References) -> InterfaceData {
    InterfaceData {
        network_card_index: interface.network_card_index.get(),
        device_index: interface.device_index.get(),
        interface_type: interface.interface_type.as_str().to_owned(),
        subnet_id: references.subnet.clone(),
        groups: vec![references.security_group.clone()],
        associate_public_ip_address: interface.associate_public_ip_address,
        secondary_private_ip_address_count: interface.ipv4_address_count,
        ipv4_prefix_count: interface.ipv4_prefix_count,
        delete_on_termination: true,
    }
}

fn placement(plan: &Plan, references: &References) -> Option<Node> {
    let mut placement = yaml_serde::Mapping::new();
    if let Some(group) = &references.placement_group {
        placement.insert("GroupName".into(), group.clone());
    }
    if let Some(tenancy) = &plan.capacity.tenancy {
        placement.insert("Tenancy".into(), tenancy.as_str().into());
    }
    (!placement.is_empty()).then_some(Node::Mapping(placement))
}

/// `InstanceMarketOptions`; `None` on demand.
pub(crate) fn market_options(market: &Market) -> Option<Node> {
    match market {
        Market::OnDemand | Market::Open | Market::Reservation(_) => None,
        Market::CapacityBlock(_) => Some(mapping! { "MarketType" => "capacity-block" }),
        // One that stops or hibernates cannot be in a placement group.
        Market::Spot => Some(mapping! {
            "MarketType" => "spot",
            "SpotOptions" => mapping! {
                "SpotInstanceType" => "one-time",
                "InstanceInterruptionBehavior" => "terminate",
            },
        }),
    }
}

/// `CapacityReservationSpecification`; `None` without one.
pub(crate) fn reservation(market: &Market) -> Option<Node> {
    match market {
        Market::OnDemand | Market::Spot => None,
        Market::Open => Some(mapping! { "CapacityReservationPreference" => "open" }),
        Market::Reservation(id) | Market::CapacityBlock(id) => Some(mapping! {
            "CapacityReservationTarget" => mapping! { "CapacityReservationId" => id.as_str() },
        }),
    }
}

/// `BlockDeviceMappings`: the root volume, encrypted.
pub(crate) fn root_volume(plan: &Plan) -> Option<Node> {
    let volume = plan.root_volume.as_ref()?;
    let mut ebs = yaml_serde::Mapping::new();
    if let Some(size) = volume.volume_size_gib {
        ebs.insert("VolumeSize".into(), size.into());
    }
    ebs.insert("VolumeType".into(), "gp3".into());
    ebs.insert("Encrypted".into(), true.into());
    ebs.insert("DeleteOnTermination".into(), true.into());
    Some(Node::Sequence(vec![mapping! {
        "DeviceName" => volume.device_name.as_str(),
        "Ebs" => Node::Mapping(ebs),
    }]))
}

/// Key and value of each tag of an instance: those of a launch of our own, and the planner's.
pub(crate) fn instance_tags(plan: &Plan, references: &References) -> Vec<(String, Node)> {
    let mut planned = plan.instance_tags("", "");
    planned.insert(provenance::TAG.to_owned(), provenance::tag_value(plan));
    let known = |(key, value): (String, String)| match key.as_str() {
        tags::SECURITY_GROUP => Some((key, references.security_group.clone())),
        tags::SUBNET => references.subnet.clone().map(|subnet| (key, subnet)),
        tags::PLACEMENT_GROUP => Some((key, said(&references.placement_group, value))),
        tags::INSTANCE_PROFILE => Some((key, said(&references.instance_profile, value))),
        _ => Some((key, value.into())),
    };
    planned.into_iter().filter_map(known).collect()
}

/// The document's own name for something, or the plan's.
fn said(reference: &Option<Node>, planned: String) -> Node {
    reference.clone().unwrap_or_else(|| planned.into())
}

/// [`instance_tags`] where the launcher chooses the image and the instance profile.
pub(crate) fn tags_by_launcher(plan: &Plan, references: &References) -> Vec<(String, Node)> {
    let chosen = [tags::IMAGE, tags::INSTANCE_PROFILE];
    let mut all = instance_tags(plan, references);
    all.retain(|(key, _)| !chosen.contains(&key.as_str()));
    all.extend(chosen.map(|key| (key.to_owned(), tags::BY_LAUNCHER.into())));
    all.sort_by(|(one, _), (other, _)| one.cmp(other));
    all
}

/// `TagSpecifications` of what a launch makes.
pub(crate) fn tag_specifications(tags: &[(String, Node)]) -> Vec<Node> {
    ["instance", "volume", "network-interface"]
        .into_iter()
        .map(|resource| mapping! { "ResourceType" => resource, "Tags" => tag_list(tags) })
        .collect()
}

/// EC2's list of `Key` and `Value`.
pub(crate) fn tag_list(tags: &[(String, Node)]) -> Node {
    let tag = |(key, value): &(String, Node)| mapping! { "Key" => key.as_str(), "Value" => value.clone() };
    Node::Sequence(tags.iter().map(tag).collect())
}

/// Tags of ours on a resource that is not an instance, with the planner's.
pub(crate) fn shared_tags(plan: &Plan) -> Vec<(String, Node)> {
    let mut tags: Tags = plan.shared_tags();
    tags.insert(provenance::TAG.to_owned(), provenance::tag_value(plan));
    tags.into_iter()
        .map(|(key, value)| (key, value.into()))
        .collect()
}

impl Plan {
    /// A CreateLaunchTemplate request as JSON, for `aws ec2 create-launch-template
    /// --cli-input-json` or any SDK. Instances launched from it carry the tags by which
    /// [`verify`](crate::Client::verify) knows what was planned.
    ///
    /// For an EKS managed node group it has no subnet, image, instance profile and user data: the
    /// node group has its own.
    ///
    /// # Errors
    /// `handoff.not_prepared` for a group or profile that does not exist yet; for an EKS managed
    /// node group `handoff.not_possible` with spot (its capacity type says so) and with Elastic
    /// IPs, which no launch template can give.
    pub fn to_launch_template(&self, launcher: LaunchTemplateFor) -> Result<String> {
        let data = LaunchTemplateData::for_launcher(self, &References::of(self)?, launcher)?;
        Ok(json_text(&mapping! {
            "LaunchTemplateName" => name(self),
            "VersionDescription" => provenance::tag_value(self),
            "LaunchTemplateData" => node(&data),
            "TagSpecifications" => vec![mapping! {
                "ResourceType" => "launch-template",
                "Tags" => tag_list(&shared_tags(self)),
            }],
        }))
    }
}

/// The template's name.
pub(crate) fn name(plan: &Plan) -> String {
    tags::default_group_name(plan.name())
}

fn check_expressible(plan: &Plan, launcher: LaunchTemplateFor) -> Result<()> {
    if plan.wants_elastic_ips() {
        return Err(not_possible(
            "a launch template cannot give Elastic IPs",
            "plan with public_ip none, or use Client.apply or to_cli",
            "public_ip",
            plan.layout.public_ip.as_str(),
        ));
    }
    if launcher == LaunchTemplateFor::EksManagedNodeGroup && plan.capacity.market == Market::Spot {
        return Err(not_possible(
            "an EKS managed node group refuses spot options in its launch template",
            "plan with capacity on-demand, and give the node group capacityType SPOT",
            "capacity",
            "spot",
        ));
    }
    Ok(())
}

/// The error of a plan that a format cannot express.
pub(crate) fn not_possible(message: &str, cure: &str, field: &'static str, value: &str) -> Error {
    Error::new(Code::HandoffNotPossible, message)
        .with_cure(cure)
        .with_context("field", field)
        .with_context("value", value)
}

#[cfg(test)]
mod tests;
