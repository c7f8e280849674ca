//! The security groups of a configuration, in the words of every format.

use serde_json::Value;

use super::resources::{Resource, Resources};
use super::syntax::blocks;
use crate::handoff::check::document::Findings;
use crate::handoff::check::groups::{Direction, GroupRule, Groups};
use crate::handoff::check::report::DocumentFormat;
use crate::handoff::check::rules::is_efa;

const GROUP: &str = "aws_security_group";

pub(super) fn check_groups(resources: &Resources, found: &mut Findings) {
    let mut groups = Groups::default();
    for group in resources.of_kind(GROUP) {
        groups.made.push((group.name.clone(), group.path.clone()));
        for direction in [Direction::Ingress, Direction::Egress] {
            let key = direction.as_str();
            let inside = group.body.get(key).map(blocks).unwrap_or_default();
            for (number, rule) in inside.into_iter().enumerate() {
                let path = format!("{}.{key}.{number}", group.path);
                let rule = rule_of(resources, rule, &group.name, direction, path);
                groups.rules.push(rule);
            }
        }
    }
    for rule in resources.of_kind("aws_security_group_rule") {
        let direction = match rule.body.get("type").and_then(Value::as_str) {
            Some("ingress") => Direction::Ingress,
            Some("egress") => Direction::Egress,
            _ => continue,
        };
        push_own(resources, rule, direction, &mut groups);
    }
    for direction in [Direction::Ingress, Direction::Egress] {
        let kind = format!("aws_vpc_security_group_{}_rule", direction.as_str());
        for rule in resources.of_kind(&kind) {
            push_own(resources, rule, direction, &mut groups);
        }
    }
    groups.of_efa = efa_groups(resources);
    groups.check(DocumentFormat::Terraform, addition, found);
}

/// A rule that is a resource of its own.
fn push_own(resources: &Resources, rule: &Resource, direction: Direction, groups: &mut Groups) {
    let group = rule.body.get("security_group_id");
    let group = group.and_then(|id| resources.referred(id, GROUP));
    let name = group.map(|group| group.name.clone()).unwrap_or_default();
    let rule = rule_of(resources, &rule.body, &name, direction, rule.path.clone());
    groups.rules.push(rule);
}

fn rule_of(
    resources: &Resources,
    rule: &Value,
    group: &str,
    direction: Direction,
    path: String,
) -> GroupRule {
    let is_group = |value: &Value| {
        resources
            .referred(value, GROUP)
            .is_some_and(|peer| peer.name == group)
    };
    let peers = [
        "source_security_group_id",
        "referenced_security_group_id",
        "security_groups",
    ];
    let named = peers
        .iter()
        .filter_map(|key| rule.get(key))
        .flat_map(blocks);
    let with_itself = rule
        .get("self")
        .is_some_and(|own| *own == true || *own == "true")
        || named.into_iter().any(is_group);
    let protocol = rule.get("protocol").or_else(|| rule.get("ip_protocol"));
    let protocol = protocol.and_then(|p| match p {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    });
    let protocol = protocol.unwrap_or_default();
    let ranges = ["cidr_blocks", "ipv6_cidr_blocks", "cidr_ipv4", "cidr_ipv6"];
    let mut ranges = ranges
        .iter()
        .filter_map(|key| rule.get(key))
        .flat_map(blocks);
    let open_range = ranges.find_map(|range| {
        let range = range.as_str()?;
        range.ends_with("/0").then(|| range.to_owned())
    });
    let port = |key: &str| {
        let value = rule.get(key)?;
        value.as_i64().or_else(|| value.as_str()?.parse().ok())
    };
    let covers = matches!(
        (port("from_port"), port("to_port")),
        (Some(from), Some(to)) if from <= 22 && 22 <= to
    );
    GroupRule {
        group: group.to_owned(),
        direction,
        all: protocol == "-1" || protocol == "all",
        with_itself,
        circular: false,
        open_range,
        ssh: (protocol == "tcp" || protocol == "6") && covers,
        path,
    }
}

fn efa_groups(resources: &Resources) -> Vec<Vec<Option<String>>> {
    let key = |id: &Value| {
        resources
            .referred(id, GROUP)
            .map(|group| group.name.clone())
    };
    let of = |entry: &Value| -> Vec<Option<String>> {
        match entry.get("security_groups") {
            Some(Value::Array(list)) => list.iter().map(key).collect(),
            Some(one) => vec![key(one)],
            None => vec![None],
        }
    };
    let templates = resources.of_kind("aws_launch_template");
    let lists = templates.filter_map(|template| template.body.get("network_interfaces"));
    let interfaces = lists.flat_map(blocks);
    let made = resources
        .of_kind("aws_network_interface")
        .map(|made| &made.body);
    interfaces
        .chain(made)
        .filter(|entry| is_efa(entry))
        .map(of)
        .collect()
}

/// The resource of a rule with the group itself: its type, and its text.
fn addition(name: &str, direction: Direction) -> (String, String) {
    let way = direction.as_str();
    let kind = format!("aws_vpc_security_group_{way}_rule");
    let id = format!("${{aws_security_group.{name}.id}}");
    let text = format!(
        "\"{kind}\": {{\n  \"{name}_self_{way}\": {{\n    \"security_group_id\": \"{id}\",\n    \
         \"referenced_security_group_id\": \"{id}\",\n    \"ip_protocol\": \"-1\"\n  }}\n}}"
    );
    (kind, text)
}
