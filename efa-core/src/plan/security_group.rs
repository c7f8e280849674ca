//! Which security group a cluster gets, and whether EFA traffic passes through it.

use serde::{Deserialize, Serialize};

use crate::ec2::{Direction, Peer, Rule, SecurityGroup, Subnet};
use crate::error::{Code, Error, Result};
use crate::spec::{CheckedSpec, SecurityGroupChoice};
use crate::tags;

/// A security group of the plan.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PlannedSecurityGroup {
    /// Its name.
    pub group_name: String,
    /// Its id, where it exists already.
    pub group_id: Option<String>,
    /// Whether efa-sdk created it, so that `destroy` removes it.
    pub ours: bool,
    /// Which self rules `apply` would add.
    pub missing_self_rules: Vec<Direction>,
    /// Which ranges `apply` would let reach port 22.
    pub missing_ssh_cidrs: Vec<String>,
}

/// Decides the security group of a plan from what exists under the id or name in question; a
/// group that the specification names must exist.
pub(crate) fn plan_security_group(
    spec: &CheckedSpec,
    subnet: &Subnet,
    existing: Option<&SecurityGroup>,
) -> Result<PlannedSecurityGroup> {
    let Some(group) = existing else {
        return Ok(PlannedSecurityGroup {
            group_name: tags::default_group_name(&spec.name),
            group_id: None,
            ours: true,
            missing_self_rules: vec![Direction::Ingress, Direction::Egress],
            missing_ssh_cidrs: spec.ssh_cidrs.clone(),
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
        .with_context("field", "security_group")
        .with_context("value", &group.group_id));
    }
    let ours = tags::is_ours(&group.tags, &spec.name);
    if spec.security_group == SecurityGroupChoice::Make && !ours {
        return Err(Error::new(
            Code::PlanConflict,
            format!(
                "a security group named {} exists ({}) and is not tagged as this cluster's",
                group.group_name, group.group_id
            ),
        )
        .with_cure("give it as security_group to use or adopt it, or choose another cluster name")
        .with_context("field", "security_group")
        .with_context("value", &group.group_id));
    }
    if matches!(spec.security_group, SecurityGroupChoice::Use(_)) {
        check_self_rules(group)?;
    }
    Ok(PlannedSecurityGroup {
        group_name: group.group_name.clone(),
        group_id: Some(group.group_id.clone()),
        ours,
        missing_self_rules: missing_self_rules(group),
        missing_ssh_cidrs: missing_ssh_cidrs(spec, group),
    })
}

/// Refuses a group of others that lacks a self-referencing rule.
pub(crate) fn check_self_rules(group: &SecurityGroup) -> Result<()> {
    let missing = missing_self_rules(group);
    if missing.is_empty() {
        return Ok(());
    }
    let directions: Vec<&str> = missing.iter().map(|direction| direction.as_str()).collect();
    Err(Error::new(
        Code::PlanConflict,
        format!(
            "security group {} lacks the self-referencing all-protocol {} rule, without which no \
             EFA packet passes",
            group.group_id,
            directions.join(" and ")
        ),
    )
    .with_cure(format!(
        "run: {}",
        commands_that_add(&missing, &group.group_id)
    ))
    .with_context("field", "security_group")
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

/// The AWS CLI's command that takes an ingress rule away.
pub(crate) fn command_that_revokes(rule: &Rule, group_id: &str) -> String {
    let peer = match &rule.peer {
        Peer::SecurityGroup(id) => format!("UserIdGroupPairs=[{{GroupId={id}}}]"),
        Peer::Cidr(cidr) if cidr.contains(':') => format!("Ipv6Ranges=[{{CidrIpv6={cidr}}}]"),
        Peer::Cidr(cidr) => format!("IpRanges=[{{CidrIp={cidr}}}]"),
        Peer::PrefixList(id) => format!("PrefixListIds=[{{PrefixListId={id}}}]"),
    };
    let ports = match (rule.from_port, rule.to_port) {
        (Some(from), Some(to)) => format!("FromPort={from},ToPort={to},"),
        _ => String::new(),
    };
    format!(
        "aws ec2 revoke-security-group-ingress --group-id {group_id} --ip-permissions \
         IpProtocol={},{ports}{peer}",
        rule.ip_protocol
    )
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

/// The rule that lets a range reach port 22.
pub(crate) fn ssh_rule(cidr: &str) -> Rule {
    Rule {
        ip_protocol: "tcp".to_owned(),
        from_port: Some(22),
        to_port: Some(22),
        peer: Peer::Cidr(cidr.to_owned()),
    }
}

/// The ranges that the specification lets reach port 22 and the group does not.
pub(crate) fn missing_ssh_cidrs(spec: &CheckedSpec, group: &SecurityGroup) -> Vec<String> {
    let missing = |cidr: &&String| !group.ingress.contains(&ssh_rule(cidr));
    spec.ssh_cidrs.iter().filter(missing).cloned().collect()
}
