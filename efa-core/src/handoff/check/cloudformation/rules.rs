//! Security groups: the rules with themselves that EFA needs, and port 22.

use serde_json::Value;

use super::findings::{CIRCULAR_RULE, NO_SELF_EGRESS, NO_SELF_INGRESS, SSH_OPEN, finding};
use super::launches::efa_groups;
use super::template::{Resource, Template, referred_name};
use crate::handoff::check::document::{Checked, Findings};
use crate::handoff::check::report::Severity;

const GROUP: &str = "AWS::EC2::SecurityGroup";

/// One way that rules point.
struct Direction {
    name: &'static str,
    /// The list inside a group.
    list: &'static str,
    /// The resource of one rule.
    resource: &'static str,
    /// The peer that is a group.
    peer: &'static str,
    missing: &'static str,
}

static INGRESS: Direction = Direction {
    name: "ingress",
    list: "SecurityGroupIngress",
    resource: "AWS::EC2::SecurityGroupIngress",
    peer: "SourceSecurityGroupId",
    missing: NO_SELF_INGRESS,
};
static EGRESS: Direction = Direction {
    name: "egress",
    list: "SecurityGroupEgress",
    resource: "AWS::EC2::SecurityGroupEgress",
    peer: "DestinationSecurityGroupId",
    missing: NO_SELF_EGRESS,
};

pub(super) fn check_rules(document: &Checked<'_>, template: &Template, found: &mut Findings) {
    check_self_rules(document, template, found);
    for group in template.of(GROUP) {
        for (number, rule) in rules_inside(&group, &INGRESS).enumerate() {
            let path = group.path(document, &format!("{}.{number}", INGRESS.list));
            check_ssh(rule, path, found);
        }
    }
    for rule in template.of(INGRESS.resource) {
        check_ssh(rule.properties, rule.path(document, ""), found);
    }
}

/// One group of each EFA interface must allow everything with itself, both ways: reports what the
/// first of its groups lacks where none does.
fn check_self_rules(document: &Checked<'_>, template: &Template, found: &mut Findings) {
    let mut judged: Vec<&Value> = Vec::new();
    for groups in efa_groups(template) {
        if groups
            .iter()
            .any(|group| lacking(template, group).is_empty())
        {
            continue;
        }
        let made: Option<Vec<Resource<'_>>> = groups
            .iter()
            .map(|group| template.referred(group, GROUP))
            .collect();
        let (Some(made), Some(first)) = (made, groups.first()) else {
            found.out_of_sight(
                "whether the security groups that the template does not make have the \
                 all-protocol rules with themselves both ways: Client.verify_instance reads them",
            );
            continue;
        };
        if judged.contains(first) {
            continue;
        }
        judged.push(first);
        for direction in lacking(template, first) {
            let circular = made
                .iter()
                .find_map(|group| Some((group, circular(group, direction)?)));
            found.push(match circular {
                Some((group, number)) => finding(
                    Severity::Error,
                    CIRCULAR_RULE,
                    group.path(document, &format!("{}.{number}", direction.list)),
                    "the group names itself inside itself, which CloudFormation refuses as circular",
                    format!("make the rule a resource of its own, {}", direction.resource),
                ),
                None => missing(document, &made[0], direction),
            });
        }
    }
}

/// The directions in which no rule of its own allows a group everything with itself.
fn lacking(template: &Template, group: &Value) -> Vec<&'static Direction> {
    [&INGRESS, &EGRESS]
        .into_iter()
        .filter(|direction| !allowed(template, group, direction))
        .collect()
}

fn missing(
    document: &Checked<'_>,
    group: &Resource<'_>,
    direction: &Direction,
) -> crate::handoff::check::report::DocumentFinding {
    let name = group.name;
    let id = format!("{{\"Fn::GetAtt\": [\"{name}\", \"GroupId\"]}}");
    let message = match direction.name {
        "egress" => {
            "no all-protocol egress rule to the group itself: EFA traffic is not IP, 0.0.0.0/0 \
             does not let it pass (CDK drops such a rule while allowAllOutbound is true)"
        }
        _ => "no all-protocol ingress rule from the group itself, so no EFA packet passes",
    };
    finding(
        Severity::Error,
        direction.missing,
        document.path(&format!("Resources.{name}")),
        message,
        format!("add a resource of type {}", direction.resource),
    )
    .corrected(format!(
        "\"{name}Self{kind}\": {{\n  \"Type\": \"{resource}\",\n  \"Properties\": {{\n    \
         \"GroupId\": {id},\n    \"IpProtocol\": \"-1\",\n    \"{peer}\": {id}\n  }}\n}}",
        kind = if direction.name == "egress" {
            "Egress"
        } else {
            "Ingress"
        },
        resource = direction.resource,
        peer = direction.peer,
    ))
}

/// The position of the rule with the group itself inside the group.
fn circular(group: &Resource<'_>, direction: &Direction) -> Option<usize> {
    rules_inside(group, direction).position(|rule| {
        let peer = rule.get(direction.peer);
        peer.and_then(referred_name) == Some(group.name)
    })
}

/// Whether a rule of its own allows everything with the group itself.
fn allowed(template: &Template, group: &Value, direction: &Direction) -> bool {
    let same = |value: Option<&Value>| {
        value.is_some_and(|value| {
            value == group
                || (referred_name(value).is_some() && referred_name(value) == referred_name(group))
        })
    };
    template.of(direction.resource).any(|rule| {
        same(rule.get("GroupId")) && same(rule.get(direction.peer)) && is_all(rule.properties)
    })
}

fn is_all(rule: &Value) -> bool {
    match rule.get("IpProtocol") {
        Some(Value::String(text)) => text == "-1",
        Some(Value::Number(number)) => number.as_i64() == Some(-1),
        _ => false,
    }
}

fn rules_inside<'a>(
    group: &Resource<'a>,
    direction: &Direction,
) -> impl Iterator<Item = &'a Value> + use<'a> {
    let list = group.properties.get(direction.list);
    list.and_then(Value::as_array).into_iter().flatten()
}

fn check_ssh(rule: &Value, path: String, found: &mut Findings) {
    let range = ["CidrIp", "CidrIpv6"].iter().find_map(|key| {
        rule.get(key)?
            .as_str()
            .filter(|range| range.ends_with("/0"))
    });
    let Some(range) = range else { return };
    let port = |key: &str| {
        let value = rule.get(key)?;
        value.as_i64().or_else(|| value.as_str()?.parse().ok())
    };
    let ports = (port("FromPort"), port("ToPort"));
    let tcp = rule
        .get("IpProtocol")
        .is_some_and(|protocol| protocol == "tcp" || protocol == "6" || protocol == 6);
    let covers = matches!(ports, (Some(from), Some(to)) if from <= 22 && 22 <= to);
    if is_all(rule) || (tcp && covers) {
        found.push(finding(
            Severity::Warning,
            SSH_OPEN,
            path,
            format!("{range} lets the whole Internet reach port 22"),
            "name your own ranges, or use SSM Session Manager, which needs no open port",
        ));
    }
}
