//! Which security group a cluster gets, and whether EFA traffic passes through it.

use serde::{Deserialize, Serialize};

use crate::ec2::{Direction, Rule, SecurityGroup, Subnet};
use crate::error::{Code, Error, Result};
use crate::spec::{ClusterSpec, SecurityGroupChoice};
use crate::tags;

/// A security group of the plan.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PlannedSecurityGroup {
    /// Its name.
    pub group_name: String,
    /// Its id, where it exists already.
    pub group_id: Option<String>,
    /// Whether it is ours: made by us, and removed by `destroy`.
    pub ours: bool,
    /// Which self rules `apply` would add.
    pub missing_self_rules: Vec<Direction>,
}

/// Decides the security group of a plan from what exists under the id or name in question; a
/// group that the specification names must exist.
pub(crate) fn decide(
    spec: &ClusterSpec,
    subnet: &Subnet,
    existing: Option<&SecurityGroup>,
) -> Result<PlannedSecurityGroup> {
    let make = spec.security_group == SecurityGroupChoice::Make;
    let Some(group) = existing else {
        return Ok(PlannedSecurityGroup {
            group_name: tags::default_group_name(&spec.name),
            group_id: None,
            ours: true,
            missing_self_rules: vec![Direction::Ingress, Direction::Egress],
        });
    };
    if group.vpc_id != subnet.vpc_id {
        return Err(Error::new(
            Code::PlanConflict,
            format!(
                "security group {} is in {}, but subnet {} is in {}",
                group.group_id, group.vpc_id, subnet.subnet_id, subnet.vpc_id
            ),
        )
        .with_cure("choose both in the same VPC")
        .with_context("field", "security_group_id")
        .with_context("value", &group.group_id));
    }
    let ours = group
        .tags
        .get(tags::CLUSTER)
        .is_some_and(|cluster| *cluster == spec.name);
    if make && !ours {
        return Err(Error::new(
            Code::PlanConflict,
            format!(
                "a security group named {} exists ({}) and is not tagged as this cluster's",
                group.group_name, group.group_id
            ),
        )
        .with_cure("give its id as security_group_id to use it, or choose another cluster name")
        .with_context("field", "security_group_id")
        .with_context("value", &group.group_id));
    }
    if !make {
        check_self_rules(group)?;
    }
    Ok(PlannedSecurityGroup {
        group_name: group.group_name.clone(),
        group_id: Some(group.group_id.clone()),
        ours,
        missing_self_rules: missing_self_rules(group),
    })
}

/// Refuses a group that is not ours to repair and lacks a self rule.
pub(crate) fn check_self_rules(group: &SecurityGroup) -> Result<()> {
    let missing = missing_self_rules(group);
    if missing.is_empty() {
        return Ok(());
    }
    let directions: Vec<&str> = missing.iter().map(|direction| direction.as_str()).collect();
    Err(Error::new(
        Code::PlanConflict,
        format!(
            "security group {} lacks the all-protocol {} rule with itself as peer, without which no EFA packet passes",
            group.group_id,
            directions.join(" and ")
        ),
    )
    .with_cure(format!("run: {}", commands_that_add(&missing, &group.group_id)))
    .with_context("field", "security_group_id")
    .with_context("value", &group.group_id))
}

/// The AWS CLI's commands that add these self rules.
pub(crate) fn commands_that_add(missing: &[Direction], group_id: &str) -> String {
    let command = |direction: &Direction| {
        format!(
            "aws ec2 authorize-security-group-{} --group-id {group_id} --ip-permissions \
             IpProtocol=-1,UserIdGroupPairs=[{{GroupId={group_id}}}]",
            direction.as_str()
        )
    };
    missing.iter().map(command).collect::<Vec<_>>().join("; ")
}

/// The self rules that EFA needs and the group lacks. `0.0.0.0/0` does not cover EFA traffic,
/// which is not IP (awsome-distributed-ai#546, gardener-extension-provider-aws#1832).
pub(crate) fn missing_self_rules(group: &SecurityGroup) -> Vec<Direction> {
    let allows = |rules: &[Rule]| {
        rules
            .iter()
            .any(|rule| rule.allows_all_traffic_with_group(&group.group_id))
    };
    let mut missing = Vec::new();
    if !allows(&group.ingress) {
        missing.push(Direction::Ingress);
    }
    if !allows(&group.egress) {
        missing.push(Direction::Egress);
    }
    missing
}
