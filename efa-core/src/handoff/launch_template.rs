//! `LaunchTemplateData`, which several formats share, and CreateLaunchTemplate's request.

use serde::{Deserialize, Serialize};

use super::document::{Node, json_text, mapping, node, set};
use super::prepared::{EKS_IPV6, check_ipv4, check_lasting, check_prepared, security_group_id};
use super::provenance;
use crate::ec2::{Market, Tags};
use crate::error::{Code, Error, Result};
use crate::launch::LaunchData;
use crate::layout::Layout;
use crate::plan::Plan;
use crate::tags;
use crate::types::{ResourceKind, USER_DATA_LIMIT_BYTES};

/// The launcher that uses a launch template.
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
    /// Returns `ec2` or `eks-managed-node-group`.
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
                    format!("unknown launcher '{text}' of launch templates"),
                )
                .with_cure("choose ec2 or eks-managed-node-group")
                .with_context("field", "launcher")
                .with_context("value", text)
                .with_context("limit", "ec2, eks-managed-node-group")
            })
    }
}

/// Options of [`Plan::to_launch_template_with`] and [`Plan::to_terraform_with`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub struct LaunchTemplateOptions {
    /// Who launches.
    pub launcher: LaunchTemplateFor,
    /// The cluster security group of EKS, `sg-…`, for an EKS managed node group. The groups of a
    /// launch template replace those that EKS would attach: without the cluster's own the nodes may
    /// not reach the control plane (EKS User Guide, "Customize managed nodes with launch
    /// templates").
    pub cluster_security_group: Option<String>,
}

impl LaunchTemplateOptions {
    /// Returns what is wrong with the nodes of this template, unless the plan's group lets them
    /// reach the control plane; `None` where nothing is known to be.
    #[must_use]
    pub fn warning(&self) -> Option<&'static str> {
        let eks = self.launcher == LaunchTemplateFor::EksManagedNodeGroup;
        (eks && self.cluster_security_group.is_none()).then_some(
            "the groups of a launch template replace the cluster security group that EKS attaches: \
             give it as cluster_security_group, or let the plan's group reach the control plane",
        )
    }

    fn validate(&self) -> Result<()> {
        let Some(group) = &self.cluster_security_group else {
            return Ok(());
        };
        let invalid = |limit: &str| {
            Error::new(
                Code::HandoffInvalidOption,
                format!("cluster_security_group is '{group}'"),
            )
            .with_cure(format!("give {limit}"))
            .with_context("field", "cluster_security_group")
            .with_context("value", group)
            .with_context("limit", limit)
        };
        if self.launcher != LaunchTemplateFor::EksManagedNodeGroup {
            return Err(invalid("it for an EKS managed node group alone"));
        }
        if !ResourceKind::SecurityGroup.is_id(group) {
            return Err(invalid("an id, sg-… with 8 or 17 hexadecimal digits"));
        }
        Ok(())
    }
}

/// What this launcher takes of the plan's launch, as `LaunchTemplateData`.
///
/// # Errors
/// `handoff.not_prepared`, `handoff.not_possible` and `handoff.invalid_option`.
pub(crate) fn template_data(plan: &Plan, options: &LaunchTemplateOptions) -> Result<Node> {
    options.validate()?;
    let launcher = options.launcher;
    let mut data = launch_data(plan)?;
    check_expressible(plan, launcher)?;
    if let Some(group) = &options.cluster_security_group {
        for interface in &mut data.network_interfaces {
            if !interface.groups.contains(group) {
                interface.groups.push(group.clone());
            }
        }
    }
    Ok(match launcher {
        LaunchTemplateFor::Ec2 => encoded(&data),
        LaunchTemplateFor::EksManagedNodeGroup => {
            chosen_by_launcher(&mut data);
            without_what_eks_brings(&data)
        }
    })
}

/// The plan's launch with the planner's tag, where everything besides the instances exists.
///
/// # Errors
/// `handoff.not_prepared`.
pub(crate) fn launch_data(plan: &Plan) -> Result<LaunchData> {
    launch_data_with(plan, plan.layout())
}

/// [`launch_data`] with the interfaces that the launcher makes of the plan's.
///
/// # Errors
/// `handoff.not_prepared`.
pub(crate) fn launch_data_with(plan: &Plan, layout: &Layout) -> Result<LaunchData> {
    check_lasting(plan)?;
    check_prepared(plan)?;
    let (group, subnet) = (security_group_id(plan)?, &plan.subnet().subnet_id);
    let mut data = plan.launch_data_with(layout, group, subnet);
    tag_planner(plan, &mut data);
    Ok(data)
}

/// Adds the planner's tag.
pub(crate) fn tag_planner(plan: &Plan, data: &mut LaunchData) {
    data.change_tags(|tags| {
        tags.insert(provenance::TAG.to_owned(), provenance::tag_value(plan));
    });
}

/// Tags that state that the launcher chooses the image and the instance profile.
pub(crate) fn chosen_by_launcher(data: &mut LaunchData) {
    data.change_tags(|all| {
        for key in [tags::IMAGE, tags::INSTANCE_PROFILE] {
            all.insert(key.to_owned(), tags::BY_LAUNCHER.to_owned());
        }
    });
}

/// The launch as `LaunchTemplateData`, whose user data is Base64.
fn encoded(data: &LaunchData) -> Node {
    let mut form = node(data);
    if let Some(user_data) = &data.user_data {
        set(&mut form, &["UserData"], &user_data.to_base64().into());
    }
    form
}

fn without_what_eks_brings(data: &LaunchData) -> Node {
    let mut data = data.clone();
    for interface in &mut data.network_interfaces {
        interface.subnet_id = None;
    }
    let mut form = node(&data);
    if let Some(map) = form.as_mapping_mut() {
        for brought in ["ImageId", "IamInstanceProfile", "UserData"] {
            map.shift_remove(brought);
        }
    }
    form
}

/// EC2's list of `Key` and `Value`.
pub(crate) fn tag_list(tags: &Tags) -> Node {
    let tag = |(key, value): (&String, &String)| mapping! { "Key" => key.as_str(), "Value" => value.as_str() };
    Node::Sequence(tags.iter().map(tag).collect())
}

/// Tags of efa-sdk on a resource that is not an instance, with the planner's.
pub(crate) fn shared_tags(plan: &Plan) -> Tags {
    let mut tags = plan.shared_tags();
    tags.insert(provenance::TAG.to_owned(), provenance::tag_value(plan));
    tags
}

impl Plan {
    /// Returns a CreateLaunchTemplate request as JSON, for `aws ec2 create-launch-template
    /// --cli-input-json` or any SDK. Instances launched from it carry the tags by which
    /// [`verify`](crate::Client::verify) knows what was planned.
    ///
    /// For an EKS managed node group it has no subnet, image, instance profile and user data: the
    /// node group has its own.
    ///
    /// # Errors
    /// `handoff.not_prepared` for a group or profile that does not exist yet; for an EKS managed
    /// node group `handoff.not_possible` with spot (its capacity type states this) and in an IPv6-only
    /// subnet; for any with Elastic IPs, which no launch template can give.
    pub fn to_launch_template(&self, launcher: LaunchTemplateFor) -> Result<String> {
        self.to_launch_template_with(&LaunchTemplateOptions {
            launcher,
            ..LaunchTemplateOptions::default()
        })
    }

    /// Returns [`to_launch_template`](Self::to_launch_template) with options.
    ///
    /// # Errors
    /// As there, and `handoff.invalid_option`.
    pub fn to_launch_template_with(&self, options: &LaunchTemplateOptions) -> Result<String> {
        let data = template_data(self, options)?;
        Ok(json_text(&mapping! {
            "LaunchTemplateName" => name(self),
            "VersionDescription" => provenance::tag_value(self),
            "LaunchTemplateData" => data,
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
            plan.layout().public_ip.as_str(),
        ));
    }
    if launcher == LaunchTemplateFor::EksManagedNodeGroup {
        check_ipv4(plan, EKS_IPV6)?;
    }
    if launcher == LaunchTemplateFor::EksManagedNodeGroup && plan.capacity().market == Market::Spot
    {
        return Err(not_possible(
            "an EKS managed node group refuses spot options in its launch template",
            "plan with capacity on-demand, and give the node group capacityType SPOT",
            "capacity",
            "spot",
        ));
    }
    Ok(())
}

/// The caller's own user data, without a bootstrap, for a format that has it as a text.
///
/// # Errors
/// `handoff.not_possible` for user data that must be compressed.
pub(crate) fn plain_user_data<'a>(plan: &'a Plan, format: &str) -> Result<Option<&'a str>> {
    let spec = plan.spec();
    let text = spec.user_data.as_deref();
    let long = text.is_some_and(|text| text.len() > USER_DATA_LIMIT_BYTES);
    let (field, value) = match (spec.compress_user_data && text.is_some(), long) {
        (true, _) => ("compress_user_data", "true"),
        (false, true) => ("user_data", "compressed"),
        (false, false) => return Ok(text),
    };
    Err(not_possible(
        &format!("{format} has user data as a text, which is not compressed"),
        "leave compress_user_data out, and put a long script in S3 and fetch it from a short one",
        field,
        value,
    ))
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
