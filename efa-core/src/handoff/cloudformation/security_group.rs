//! The security group and its rules.

use super::template::{Template, attribute, reference};
use crate::ec2::Direction;
use crate::handoff::document::{Node, mapping};

/// Adds the group, or a parameter for the caller's, and the rules that it lacks; the group's id
/// and the names of the rules.
pub(super) fn add_security_group(template: &mut Template<'_>) -> (Node, Vec<String>) {
    let plan = template.plan;
    let group = match &plan.security_group().group_id {
        Some(id) => template.parameter(
            "SecurityGroupId",
            "AWS::EC2::SecurityGroup::Id",
            "Security group with self-referencing ingress and egress rules for all protocols",
            id,
        ),
        None => make(template),
    };
    let mut names = Vec::new();
    for direction in &plan.security_group().missing_self_rules {
        let (name, kind, peer) = match direction {
            Direction::Ingress => ("SelfIngress", "Ingress", "SourceSecurityGroupId"),
            Direction::Egress => ("SelfEgress", "Egress", "DestinationSecurityGroupId"),
        };
        let rule = mapping! {
            "GroupId" => group.clone(),
            "IpProtocol" => "-1",
            peer => group.clone(),
        };
        template.resource(name, &format!("AWS::EC2::SecurityGroup{kind}"), rule);
        names.push(name.to_owned());
    }
    if let Some(first) = names.first() {
        template.explain(
            first,
            "EFA traffic is not IP: 0.0.0.0/0 does not let it pass, only self-referencing rules \
             do, ingress and egress.\nThey are resources of their own, since a group that names \
             itself would be circular.",
        );
    }
    for (at, cidr) in plan.security_group().missing_ssh_cidrs.iter().enumerate() {
        let name = format!("SshIngress{}", at + 1);
        let range = if cidr.contains(':') {
            "CidrIpv6"
        } else {
            "CidrIp"
        };
        let rule = mapping! {
            "GroupId" => group.clone(),
            "IpProtocol" => "tcp",
            "FromPort" => 22,
            "ToPort" => 22,
            range => cidr.as_str(),
        };
        template.resource(&name, "AWS::EC2::SecurityGroupIngress", rule);
    }
    (group, names)
}

fn make(template: &mut Template<'_>) -> Node {
    let request = template.plan.create_security_group_request();
    template.parameter(
        "VpcId",
        "AWS::EC2::VPC::Id",
        "VPC of the subnet",
        &request.vpc_id,
    );
    let tags = template.tags();
    let properties = mapping! {
        "GroupName" => request.group_name,
        "GroupDescription" => request.description,
        "VpcId" => reference("VpcId"),
        // What EC2 gives a new group anyway: here so that it does not depend on how
        // CloudFormation treats a group without an egress list.
        "SecurityGroupEgress" => vec![mapping! {
            "IpProtocol" => "-1",
            "CidrIp" => "0.0.0.0/0",
        }],
        "Tags" => tags,
    };
    template.resource("SecurityGroup", "AWS::EC2::SecurityGroup", properties);
    attribute("SecurityGroup", "GroupId")
}
