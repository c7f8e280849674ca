//! The launch template and the instances that come from it.

use super::template::{Template, attribute, reference};
use crate::ec2::Market;
use crate::handoff::document::{Node, mapping, node, put, set};
use crate::handoff::launch_template::tag_planner;
use crate::handoff::provenance;
use crate::tags;

/// The template's own names of what a launch needs, such as `{"Ref": "SecurityGroup"}`.
pub(super) struct Names {
    pub(super) security_group: Node,
    pub(super) subnet: Node,
    pub(super) placement_group: Option<Node>,
    pub(super) instance_profile: Option<Node>,
}

/// Adds them; no instance is launched before the security group has its `rules`.
pub(super) fn add_instances(template: &mut Template<'_>, names: &Names, rules: &[String]) {
    let data = launch_template_data(template, names);
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
        "The interfaces, and where the capacity comes from, can only be set here: \
         AWS::EC2::Instance has no\nInterfaceType, InstanceMarketOptions and \
         CapacityReservationSpecification.",
    );
    let count = template.plan.spec().count;
    let nodes: Vec<String> = (1..=count).map(|number| format!("Node{number}")).collect();
    for name in &nodes {
        put(&mut template.resources, name, instance(rules));
    }
    template.explain(
        "Node1",
        "One launch for each instance, not one of all or none: where one finds no capacity, the \
         stack rolls back.",
    );
    let joined = |what: &dyn Fn(&str) -> Node| {
        let values: Vec<Node> = nodes.iter().map(|name| what(name)).collect();
        mapping! { "Fn::Join" => vec![Node::from(","), Node::Sequence(values)] }
    };
    let (ids, addresses) = (
        joined(&reference),
        joined(&|name| attribute(name, "PrivateIp")),
    );
    template.output("InstanceIds", "The instances, in order", ids);
    // AWS::EC2::Instance returns no IPv6 address.
    if !template.plan.subnet().ipv6_native {
        template.output("PrivateIps", "Their private addresses, in order", addresses);
    }
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

/// The plan's launch with the template's names and parameters in place of what differs from
/// account to account.
fn launch_template_data(template: &mut Template<'_>, names: &Names) -> Node {
    let plan = template.plan;
    // Both ids are replaced below.
    let mut launch = plan.launch_data("", &plan.subnet().subnet_id);
    tag_planner(plan, &mut launch);
    let mut data = node(&launch);
    // The cluster's own group is the first of each interface.
    let first = ["NetworkInterfaces", "*", "Groups", "0"];
    set(&mut data, &first, &names.security_group);
    set_tag(&mut data, tags::SECURITY_GROUP, &names.security_group);
    set(
        &mut data,
        &["NetworkInterfaces", "*", "SubnetId"],
        &names.subnet,
    );
    set_tag(&mut data, tags::SUBNET, &names.subnet);
    if let Some(group) = &names.placement_group {
        set(&mut data, &["Placement", "GroupName"], group);
        set_tag(&mut data, tags::PLACEMENT_GROUP, group);
    }
    if let Some(profile) = &names.instance_profile {
        set(&mut data, &["IamInstanceProfile", "Name"], profile);
        set_tag(&mut data, tags::INSTANCE_PROFILE, profile);
    }
    let image = template.parameter(
        "ImageId",
        "AWS::EC2::Image::Id",
        "Image of the instances",
        &plan.image().image_id,
    );
    set(&mut data, &["ImageId"], &image);
    set_tag(&mut data, tags::IMAGE, &image);
    if let Some(name) = &plan.spec().key_name {
        let key = template.parameter(
            "KeyName",
            "AWS::EC2::KeyPair::KeyName",
            "Key pair for SSH",
            name,
        );
        set(&mut data, &["KeyName"], &key);
    }
    if let Market::Reservation(id) | Market::CapacityBlock(id) = &plan.capacity().market {
        let what = "Capacity reservation of the instances; a Capacity Block is one, too";
        let reservation = template.parameter("CapacityReservationId", "String", what, id);
        let path = [
            "CapacityReservationSpecification",
            "CapacityReservationTarget",
            "CapacityReservationId",
        ];
        set(&mut data, &path, &reservation);
        set_tag(&mut data, tags::CAPACITY, &reservation);
    }
    if let Some(user_data) = launch.user_data {
        let encoded = match user_data.as_text() {
            Some(text) => mapping! { "Fn::Base64" => text },
            None => user_data.to_base64().into(),
        };
        set(&mut data, &["UserData"], &encoded);
    }
    data
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
                set(tag, &["Value"], value);
            }
        }
    }
}
