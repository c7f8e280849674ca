//! The launch template and the instances that come from it.

use super::{Node, Template, attribute, mapping, put, reference};
use crate::ec2::Market;
use crate::handoff::document::node;
use crate::handoff::launch_template::LaunchTemplateData;
use crate::handoff::provenance;
use crate::handoff::references::References;
use crate::tags;

/// Adds them; no instance is launched before the security group has its `rules`.
pub(super) fn add(template: &mut Template<'_>, references: &References, rules: &[String]) {
    let data = launch_template_data(template, references);
    let tag_specification = mapping! {
        "ResourceType" => "launch-template",
        "Tags" => template.tags(),
    };
    let properties = mapping! {
        "VersionDescription" => provenance::tag_value(template.plan),
        "TagSpecifications" => vec![tag_specification],
        "LaunchTemplateData" => data,
    };
    template.resource("LaunchTemplate", "AWS::EC2::LaunchTemplate", properties);
    template.explain(
        "LaunchTemplate",
        "The interfaces, and where the capacity comes from, can only be said here: \
         AWS::EC2::Instance has no\nInterfaceType, InstanceMarketOptions and \
         CapacityReservationSpecification.",
    );
    let count = template.plan.spec.count;
    let names: Vec<String> = (1..=count).map(|number| format!("Node{number}")).collect();
    for name in &names {
        put(&mut template.resources, name, instance(rules));
    }
    template.explain(
        "Node1",
        "One launch for each instance, not one of all or none: where one finds no capacity, the \
         stack rolls back.",
    );
    let joined = |what: &dyn Fn(&str) -> Node| {
        let values: Vec<Node> = names.iter().map(|name| what(name)).collect();
        mapping! { "Fn::Join" => vec![Node::from(","), Node::Sequence(values)] }
    };
    let (ids, addresses) = (
        joined(&reference),
        joined(&|name| attribute(name, "PrivateIp")),
    );
    template.output("InstanceIds", "The instances, in order", ids);
    template.output("PrivateIps", "Their private addresses, in order", addresses);
    template.output(
        "LaunchTemplateId",
        "Launch template of the instances",
        reference("LaunchTemplate"),
    );
}

fn instance(rules: &[String]) -> Node {
    let mut instance = yaml_serde::Mapping::new();
    put(&mut instance, "Type", "AWS::EC2::Instance");
    if !rules.is_empty() {
        let rules: Vec<Node> = rules.iter().map(|rule| rule.as_str().into()).collect();
        put(&mut instance, "DependsOn", rules);
    }
    let launch_template = mapping! {
        "LaunchTemplateId" => reference("LaunchTemplate"),
        "Version" => attribute("LaunchTemplate", "LatestVersionNumber"),
    };
    put(
        &mut instance,
        "Properties",
        mapping! { "LaunchTemplate" => launch_template },
    );
    Node::Mapping(instance)
}

/// `LaunchTemplateData` with parameters in place of what differs from account to account.
fn launch_template_data(template: &mut Template<'_>, references: &References) -> Node {
    let plan = template.plan;
    let mut data = node(&LaunchTemplateData::new(plan, references));
    let image = template.parameter(
        "ImageId",
        "AWS::EC2::Image::Id",
        "Image of the instances",
        &plan.image.image_id,
    );
    set(&mut data, &["ImageId"], image.clone());
    set_tag(&mut data, tags::IMAGE, &image);
    if let Some(name) = &plan.spec.key_name {
        let key = template.parameter(
            "KeyName",
            "AWS::EC2::KeyPair::KeyName",
            "Key pair for SSH",
            name,
        );
        set(&mut data, &["KeyName"], key);
    }
    if let Market::Reservation(id) | Market::CapacityBlock(id) = &plan.capacity.market {
        let what = "Capacity reservation of the instances; a Capacity Block is one, too";
        let reservation = template.parameter("CapacityReservationId", "String", what, id);
        let path = [
            "CapacityReservationSpecification",
            "CapacityReservationTarget",
            "CapacityReservationId",
        ];
        set(&mut data, &path, reservation.clone());
        set_tag(&mut data, tags::CAPACITY, &reservation);
    }
    if let Some(text) = plan.user_data() {
        set(&mut data, &["UserData"], mapping! { "Fn::Base64" => text });
    }
    data
}

/// Replaces the value at a path of keys, where there is one.
fn set(data: &mut Node, path: &[&str], value: Node) {
    let found = path
        .iter()
        .try_fold(data, |data, key| data.as_mapping_mut()?.get_mut(*key));
    if let Some(found) = found {
        *found = value;
    }
}

/// Replaces the value of a tag on everything that the launch makes.
fn set_tag(data: &mut Node, key: &str, value: &Node) {
    let specifications = data
        .as_mapping_mut()
        .and_then(|data| data.get_mut("TagSpecifications"))
        .and_then(Node::as_sequence_mut);
    for specification in specifications.into_iter().flatten() {
        let tags = specification
            .as_mapping_mut()
            .and_then(|map| map.get_mut("Tags"))
            .and_then(Node::as_sequence_mut);
        for tag in tags.into_iter().flatten() {
            if tag.get("Key").and_then(Node::as_str) == Some(key) {
                set(tag, &["Value"], value.clone());
            }
        }
    }
}
