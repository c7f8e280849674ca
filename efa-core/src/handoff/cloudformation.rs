//! The whole stack as a CloudFormation template: groups, role, launch template and instances.

use super::document::{Node, mapping};
use super::launch_template::not_possible;
use super::prepared::check_lasting;
use crate::error::Result;
use crate::plan::Plan;

mod instances;
mod options;
mod role;
mod security_group;
mod template;

pub use options::{CloudFormationOptions, TemplateFormat};

use template::Template;

/// CloudFormation's limit on the resources of one template (User Guide, "Understand
/// CloudFormation quotas").
const RESOURCE_LIMIT: usize = 500;

impl Plan {
    /// Returns a CloudFormation template of everything that [`apply`](crate::Client::apply) would
    /// make, and the launch template that the instances come from. Nothing has to exist; what the
    /// plan uses and does not make is a parameter with the plan's value as its default.
    ///
    /// A stack launches its instances one by one: unlike `apply` it has no launch of all or none,
    /// and rolls back when one finds no capacity. Deploy it with `CAPABILITY_NAMED_IAM` where the
    /// plan has a role of its own.
    ///
    /// # Errors
    /// `handoff.not_possible` for more than 500 resources, Elastic IPs, a minimum count, and for
    /// a bucket or a log group without a role of the stack's own.
    pub fn to_cloudformation(&self, options: &CloudFormationOptions) -> Result<String> {
        check_lasting(self)?;
        check_expressible(self, options)?;
        let mut template = Template::new(self, options);
        let subnet = template.parameter(
            "SubnetId",
            "AWS::EC2::Subnet::Id",
            "Subnet of every interface; EFA traffic does not leave its Availability Zone",
            &self.subnet().subnet_id,
        );
        let (security_group, rules) = security_group::add_security_group(&mut template);
        let names = instances::Names {
            security_group,
            subnet,
            placement_group: placement_group(&mut template),
            instance_profile: role::add(&mut template),
        };
        instances::add_instances(&mut template, &names, &rules);
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
                &self.spec().count.to_string(),
            )
            .with_context("limit", RESOURCE_LIMIT));
        }
        let text = template.text();
        if let Some(at) = text.find("{{resolve:") {
            let end = text[at..].find("}}").map_or(text.len(), |end| at + end + 2);
            return Err(not_possible(
                "CloudFormation puts the value of a secret or a parameter in place of {{resolve:…}}",
                "plan without it in tags, names and user data",
                "tags",
                &text[at..end.min(at + 80)].chars().collect::<String>(),
            ));
        }
        Ok(text)
    }
}

/// The placement group by name: made, or the caller's as a parameter.
fn placement_group(template: &mut Template<'_>) -> Option<Node> {
    // One that is named by id stays as the launch has it.
    let named = template.plan.placement_group();
    let group = named.filter(|group| group.group_id.is_none())?;
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
            "a stack cannot give Elastic IPs: CloudFormation does not show which interface of an \
             instance with several is the primary one",
            "plan with public_ip none, or use Client.apply or to_cli",
            "public_ip",
            plan.layout().public_ip.as_str(),
        ));
    }
    if let Some(minimum) = plan.spec().minimum_count.filter(|&m| m < plan.spec().count) {
        return Err(not_possible(
            "a stack makes all its instances or rolls back, it cannot do with fewer",
            "plan without a minimum count, or use Client.apply",
            "minimum_count",
            &minimum.to_string(),
        ));
    }
    let makes_role = plan
        .instance_profile()
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
