//! The whole stack as a CloudFormation template: groups, role, launch template and instances.

use serde::{Deserialize, Serialize};

use super::document::{Document, Node, json_text, mapping, put, yaml_text};
use super::launch_template::{not_possible, shared_tags, tag_list};
use super::provenance;
use crate::error::{Code, Error, Result};
use crate::plan::Plan;

mod instances;
mod role;
mod security_group;

/// CloudFormation's limit on the resources of one template (User Guide, "Understand
/// CloudFormation quotas").
const RESOURCE_LIMIT: usize = 500;

/// How a template is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum TemplateFormat {
    /// YAML, with comments where people edit.
    #[default]
    Yaml,
    /// JSON, which has no comments; the template's description says where it is from.
    Json,
}

impl TemplateFormat {
    /// `yaml` or `json`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Yaml => "yaml",
            Self::Json => "json",
        }
    }
}

impl std::str::FromStr for TemplateFormat {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        [Self::Yaml, Self::Json]
            .into_iter()
            .find(|format| format.as_str() == text)
            .ok_or_else(|| {
                Error::new(
                    Code::HandoffInvalidOption,
                    format!("no format '{text}' of templates"),
                )
                .with_cure("choose yaml or json")
                .with_context("field", "format")
                .with_context("value", text)
                .with_context("limit", "yaml, json")
            })
    }
}

/// What a stack has beside what the plan says.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CloudFormationOptions {
    /// How the template is written down.
    pub format: TemplateFormat,
    /// Make the bucket that the role may read: encrypted, not public. It has the name that the
    /// plan's role has for it, or one that CloudFormation chooses.
    pub scripts_bucket: bool,
    /// Make a log group for SSM session logs, `/aws/ssm/efa-sdk-` and the cluster's name, which
    /// the role may write.
    pub session_logs: bool,
}

/// A template in the making.
struct Template<'a> {
    plan: &'a Plan,
    options: &'a CloudFormationOptions,
    parameters: yaml_serde::Mapping,
    resources: yaml_serde::Mapping,
    outputs: yaml_serde::Mapping,
    comments: Vec<(String, &'static str)>,
}

impl Template<'_> {
    /// Adds a parameter with the plan's value as its default; what refers to it.
    fn parameter(&mut self, name: &str, kind: &str, description: &str, default: &str) -> Node {
        let parameter = mapping! {
            "Type" => kind,
            "Description" => description,
            "Default" => default,
        };
        put(&mut self.parameters, name, parameter);
        reference(name)
    }

    /// Adds a resource; what refers to it.
    fn resource(&mut self, name: &str, kind: &str, properties: Node) -> Node {
        let resource = mapping! { "Type" => kind, "Properties" => properties };
        put(&mut self.resources, name, resource);
        reference(name)
    }

    /// A comment above a resource.
    fn explain(&mut self, resource: &str, text: &'static str) {
        self.comments.push((format!("Resources.{resource}"), text));
    }

    fn output(&mut self, name: &str, description: &str, value: Node) {
        let output = mapping! { "Description" => description, "Value" => value };
        put(&mut self.outputs, name, output);
    }

    /// Tags of ours on everything that can be tagged.
    fn tags(&self) -> Node {
        tag_list(&shared_tags(self.plan))
    }

    fn text(self) -> String {
        let plan = self.plan;
        let body = mapping! {
            "AWSTemplateFormatVersion" => "2010-09-09",
            "Description" => format!(
                "EFA cluster {} of {} {}. Written by {} for plan {}.",
                plan.name(),
                plan.spec.count,
                plan.spec.instance_type,
                provenance::tag_value(plan),
                plan.fingerprint
            ),
            "Metadata" => mapping! { "efa-sdk" => mapping! {
                "Planner" => provenance::tag_value(plan),
                "Plan" => plan.fingerprint.as_str(),
                "Interfaces" => plan.layout.notation(),
            } },
            "Parameters" => Node::Mapping(self.parameters),
            "Resources" => Node::Mapping(self.resources),
            "Outputs" => Node::Mapping(self.outputs),
        };
        if self.options.format == TemplateFormat::Json {
            return json_text(&body);
        }
        let document = self
            .comments
            .iter()
            .fold(Document::new(body), |document, (path, text)| {
                document.comment(path, text)
            });
        yaml_text(&provenance::header(plan, &plan.layout), &[document])
    }
}

/// `{"Ref": name}`.
fn reference(name: &str) -> Node {
    mapping! { "Ref" => name }
}

/// `{"Fn::GetAtt": [name, attribute]}`.
fn attribute(name: &str, attribute: &str) -> Node {
    mapping! { "Fn::GetAtt" => vec![Node::from(name), Node::from(attribute)] }
}

impl Plan {
    /// A CloudFormation template of everything that [`apply`](crate::Client::apply) would make,
    /// and the launch template that the instances come from. Nothing has to exist; what the plan
    /// uses and does not make is a parameter with the plan's value as its default.
    ///
    /// A stack launches its instances one by one: unlike `apply` it has no launch of all or none,
    /// and rolls back when one finds no capacity. Deploy it with `CAPABILITY_NAMED_IAM` where the
    /// plan has a role of its own.
    ///
    /// # Errors
    /// `handoff.not_possible` for more than 500 resources, Elastic IPs, a minimum count, and for
    /// a bucket or a log group without a role of the stack's own.
    pub fn to_cloudformation(&self, options: &CloudFormationOptions) -> Result<String> {
        check_expressible(self, options)?;
        let mut template = Template {
            plan: self,
            options,
            parameters: yaml_serde::Mapping::new(),
            resources: yaml_serde::Mapping::new(),
            outputs: yaml_serde::Mapping::new(),
            comments: Vec::new(),
        };
        let subnet = template.parameter(
            "SubnetId",
            "AWS::EC2::Subnet::Id",
            "Subnet of every interface; EFA traffic does not leave its Availability Zone",
            &self.subnet().subnet_id,
        );
        let (security_group, rules) = security_group::add(&mut template);
        let names = instances::Names {
            security_group,
            subnet,
            placement_group: placement_group(&mut template),
            instance_profile: role::add(&mut template),
        };
        instances::add(&mut template, &names, &rules);
        template.output(
            "SecurityGroupId",
            "Security group of every interface",
            names.security_group,
        );
        if let Some(name) = names.placement_group {
            template.output("PlacementGroupName", "Cluster placement group", name);
        }
        let resources = template.resources.len();
        if resources > RESOURCE_LIMIT {
            return Err(not_possible(
                &format!("the stack has {resources} resources, CloudFormation takes {RESOURCE_LIMIT}"),
                "plan several smaller clusters, or use Client.apply, which launches all instances at once",
                "count",
                &self.spec.count.to_string(),
            )
            .with_context("limit", RESOURCE_LIMIT));
        }
        Ok(template.text())
    }
}

/// The placement group by name: made, or the caller's as a parameter.
fn placement_group(template: &mut Template<'_>) -> Option<Node> {
    let group = template.plan.placement_group.as_ref()?;
    if group.exists {
        return Some(template.parameter(
            "PlacementGroupName",
            "String",
            "Name of a placement group with strategy cluster",
            &group.group_name,
        ));
    }
    let tags = template.tags();
    // CloudFormation chooses the name; it takes none.
    let properties = mapping! { "Strategy" => "cluster", "Tags" => tags };
    let name = template.resource("PlacementGroup", "AWS::EC2::PlacementGroup", properties);
    template.explain("PlacementGroup", "Near each other in the network.");
    Some(name)
}

fn check_expressible(plan: &Plan, options: &CloudFormationOptions) -> Result<()> {
    if plan.wants_elastic_ips() {
        return Err(not_possible(
            "a stack cannot give Elastic IPs: CloudFormation does not tell the primary interface \
             of an instance that has several",
            "plan with public_ip none, or use Client.apply or to_cli",
            "public_ip",
            plan.layout.public_ip.as_str(),
        ));
    }
    if let Some(minimum) = plan.spec.minimum_count.filter(|&m| m < plan.spec.count) {
        return Err(not_possible(
            "a stack makes all its instances or rolls back, it cannot do with fewer",
            "plan without a minimum count, or use Client.apply",
            "minimum_count",
            &minimum.to_string(),
        ));
    }
    let makes_role = plan
        .instance_profile
        .as_ref()
        .is_some_and(|profile| profile.role.is_some() && !profile.exists);
    for (wanted, field, what) in [
        (options.scripts_bucket, "scripts_bucket", "read the bucket"),
        (options.session_logs, "session_logs", "write session logs"),
    ] {
        if wanted && !makes_role {
            return Err(not_possible(
                &format!("the stack makes no role that could {what}"),
                "plan with an instance role that is made: give an InstanceRole as instance_profile",
                field,
                "true",
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
