//! The security groups of a template, in the words of every format.

use serde_json::Value;

use super::template::{
    INTERFACE, LAUNCH_TEMPLATE, Resource, Template, entries, is_efa, referred_name,
};
use crate::handoff::check::document::{Checked, Findings};
use crate::handoff::check::groups::{Direction, GroupRule, Groups};
use crate::handoff::check::report::DocumentFormat;

const GROUP: &str = "AWS::EC2::SecurityGroup";

/// The list inside a group, the resource of one rule, and the peer that is a group.
const fn words(direction: Direction) -> (&'static str, &'static str, &'static str) {
    match direction {
        Direction::Ingress => (
            "SecurityGroupIngress",
            "AWS::EC2::SecurityGroupIngress",
            "SourceSecurityGroupId",
        ),
        Direction::Egress => (
            "SecurityGroupEgress",
            "AWS::EC2::SecurityGroupEgress",
            "DestinationSecurityGroupId",
        ),
    }
}

pub(super) fn check_groups(document: &Checked<'_>, template: &Template, found: &mut Findings) {
    read(document, template).check(DocumentFormat::CloudFormation, addition, found);
}

fn read(document: &Checked<'_>, template: &Template) -> Groups {
    let mut groups = Groups::default();
    for group in template.of_kind(GROUP) {
        let path = document.path(&format!("Resources.{}", group.name));
        groups.made.push((group.name.to_owned(), path));
    }
    for direction in [Direction::Ingress, Direction::Egress] {
        let (list, resource, peer) = words(direction);
        for group in template.of_kind(GROUP) {
            for (number, rule) in entries(group.get(list)).enumerate() {
                let itself = rule.get(peer).and_then(referred_name) == Some(group.name);
                groups.rules.push(GroupRule {
                    with_itself: itself,
                    circular: itself,
                    ..read_rule(
                        rule,
                        group.name.to_owned(),
                        direction,
                        group.path(document, &format!("{list}.{number}")),
                    )
                });
            }
        }
        for rule in template.of_kind(resource) {
            groups
                .rules
                .push(own_rule(document, &rule, direction, peer));
        }
    }
    groups.of_efa = efa_groups(template);
    groups
}

/// A rule that is a resource of its own.
fn own_rule(
    document: &Checked<'_>,
    rule: &Resource<'_>,
    direction: Direction,
    peer: &str,
) -> GroupRule {
    let (group, peer) = (rule.get("GroupId"), rule.get(peer));
    let name = |value: Option<&Value>| value.and_then(referred_name).map(str::to_owned);
    let same =
        peer.is_some() && (peer == group || (name(peer).is_some() && name(peer) == name(group)));
    GroupRule {
        with_itself: same,
        ..read_rule(
            rule.properties,
            name(group).unwrap_or_default(),
            direction,
            rule.path(document, ""),
        )
    }
}

fn read_rule(rule: &Value, group: String, direction: Direction, path: String) -> GroupRule {
    let range = ["CidrIp", "CidrIpv6"].iter().find_map(|key| {
        let range = rule.get(key)?.as_str()?;
        range.ends_with("/0").then(|| range.to_owned())
    });
    let port = |key: &str| {
        let value = rule.get(key)?;
        value.as_i64().or_else(|| value.as_str()?.parse().ok())
    };
    let tcp = rule
        .get("IpProtocol")
        .is_some_and(|protocol| protocol == "tcp" || protocol == "6" || protocol == 6);
    let ports = (port("FromPort"), port("ToPort"));
    let covers = matches!(ports, (Some(from), Some(to)) if from <= 22 && 22 <= to);
    let all = match rule.get("IpProtocol") {
        Some(Value::String(text)) => text == "-1",
        Some(Value::Number(number)) => number.as_i64() == Some(-1),
        _ => false,
    };
    GroupRule {
        group,
        direction,
        all,
        with_itself: false,
        circular: false,
        open_range: range,
        ssh: tcp && covers,
        path,
    }
}

/// For each interface that takes an EFA its security groups.
fn efa_groups(template: &Template) -> Vec<Vec<Option<String>>> {
    let key = |group: &Value| template.referred(group, GROUP).map(|g| g.name.to_owned());
    let keys = |list: Option<&Value>| entries(list).map(key).collect::<Vec<_>>();
    let mut groups = Vec::new();
    for resource in template.all() {
        match resource.kind {
            LAUNCH_TEMPLATE => {
                let data = resource.get("LaunchTemplateData");
                let list = data.and_then(|data| data.get("NetworkInterfaces"));
                for interface in entries(list) {
                    if is_efa(interface.get("InterfaceType")) {
                        groups.push(keys(interface.get("Groups")));
                    }
                }
            }
            INTERFACE if is_efa(resource.get("InterfaceType")) => {
                groups.push(keys(resource.get("GroupSet")));
            }
            _ => {}
        }
    }
    groups
}

/// The resource of a rule with the group itself: its type, and its text.
fn addition(name: &str, direction: Direction) -> (String, String) {
    let (_, resource, peer) = words(direction);
    let id = format!("{{\"Fn::GetAtt\": [\"{name}\", \"GroupId\"]}}");
    let kind = match direction {
        Direction::Egress => "Egress",
        Direction::Ingress => "Ingress",
    };
    let text = format!(
        "\"{name}Self{kind}\": {{\n  \"Type\": \"{resource}\",\n  \"Properties\": {{\n    \
         \"GroupId\": {id},\n    \"IpProtocol\": \"-1\",\n    \"{peer}\": {id}\n  }}\n}}"
    );
    (resource.to_owned(), text)
}
