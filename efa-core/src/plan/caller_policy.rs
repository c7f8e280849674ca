//! The least IAM policy under which a plan can be made, applied, verified and destroyed.

use serde_json::{Value, json};

use super::way_out::Needs;
use super::{Plan, image, instance_role};
use crate::ec2::Market;
use crate::spec::Selector;
use crate::spec::{InstanceProfileChoice, SecurityGroupChoice};
use crate::tags;
use crate::types::Architecture;

mod statement;
mod volume_keys;

use statement::allow;

impl Plan {
    /// Returns the least IAM policy, as JSON, under which a caller can make this plan, apply it,
    /// verify the cluster, replace and shrink its nodes, and destroy it. What is made must carry
    /// the cluster's tag, and only what carries it can be changed or removed.
    #[must_use]
    pub fn caller_policy(&self) -> String {
        format!("{:#}", document(self))
    }
}

/// The policy document, with a statement per kind of call.
fn document(plan: &Plan) -> Value {
    let mut statements = vec![reads(plan)];
    statements.extend(parameter(plan));
    statements.extend(security_group(plan));
    statements.extend(placement_group(plan));
    statements.extend(instances(plan));
    statements.extend(volume_keys::statements(plan));
    statements.extend(extend(plan));
    statements.extend(spot(plan));
    statements.extend(addresses(plan));
    statements.extend(instance_profile(plan));
    json!({ "Version": "2012-10-17", "Statement": statements })
}

/// EC2 lets no describing call be limited to resources.
fn reads(plan: &Plan) -> Value {
    let mut actions = vec![
        "ec2:DescribeAddresses",
        "ec2:DescribeImages",
        "ec2:DescribeInstanceAttribute",
        "ec2:DescribeInstanceStatus",
        "ec2:DescribeInstanceTypeOfferings",
        "ec2:DescribeInstanceTypes",
        "ec2:DescribeInstances",
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribePlacementGroups",
        "ec2:DescribeSecurityGroups",
        "ec2:DescribeSubnets",
        "ec2:DescribeVolumes",
        "ec2:DescribeVpcs",
    ];
    if plan.spec().launch_template.is_some() {
        actions.push("ec2:DescribeLaunchTemplateVersions");
    }
    if plan.spec().key_name.is_some() {
        actions.push("ec2:DescribeKeyPairs");
    }
    if Needs::of(&plan.decided.spec).is_some() {
        actions.extend(["ec2:DescribeRouteTables", "ec2:DescribeVpcEndpoints"]);
    }
    if plan.capacity().reservation.is_some() {
        actions.push("ec2:DescribeCapacityReservations");
    }
    if plan.capacity().market == Market::Spot {
        // What a node that is replaced may cost.
        actions.push("ec2:DescribeSpotInstanceRequests");
    }
    if let Market::ReservationGroup(_) = plan.capacity().market {
        actions.push("ec2:GetGroupsForCapacityReservation");
    }
    allow("Read", &actions, &json!("*"), None)
}

fn parameter(plan: &Plan) -> Option<Value> {
    let architecture: &Architecture = &plan.image().architecture;
    let name = image::parameter_name(&plan.spec().image, architecture)?;
    // AWS's own parameters have no account in their ARN.
    let account = if name.starts_with("/aws/service/") {
        ""
    } else {
        plan.account()
    };
    let arn = format!(
        "arn:{}:ssm:{}:{account}:parameter{name}",
        plan.partition(),
        plan.region()
    );
    Some(allow(
        "ImageParameter",
        &["ssm:GetParameter"],
        &json!(arn),
        None,
    ))
}

fn security_group(plan: &Plan) -> Vec<Value> {
    let any = arn(plan, "security-group/*");
    let authorize = [
        "ec2:AuthorizeSecurityGroupEgress",
        "ec2:AuthorizeSecurityGroupIngress",
    ];
    match &plan.spec().security_group {
        SecurityGroupChoice::Use(_) => Vec::new(),
        SecurityGroupChoice::Adopt(Selector::Id(id)) => {
            let group = arn(plan, &format!("security-group/{id}"));
            vec![allow("AdoptSecurityGroup", &authorize, &json!(group), None)]
        }
        SecurityGroupChoice::Adopt(_) => {
            vec![allow("AdoptSecurityGroup", &authorize, &json!(any), None)]
        }
        SecurityGroupChoice::Make => vec![
            allow(
                "CreateSecurityGroup",
                &["ec2:CreateSecurityGroup"],
                &json!(any),
                Some(requested(plan)),
            ),
            allow(
                "CreateSecurityGroupInVpc",
                &["ec2:CreateSecurityGroup"],
                &json!(arn_of(
                    plan,
                    vpc_owner(plan),
                    &format!("vpc/{}", plan.subnet().vpc_id)
                )),
                None,
            ),
            tag_at_birth(plan, "security-group", "CreateSecurityGroup"),
            allow(
                "ChangeSecurityGroup",
                &[authorize[0], authorize[1], "ec2:DeleteSecurityGroup"],
                &json!(any),
                Some(owned(plan)),
            ),
        ],
    }
}

fn placement_group(plan: &Plan) -> Vec<Value> {
    let Some(group) = plan.placement_group().filter(|group| group.ours) else {
        return Vec::new();
    };
    let group = json!(arn(plan, &format!("placement-group/{}", group.group_name)));
    vec![
        allow(
            "CreatePlacementGroup",
            &["ec2:CreatePlacementGroup"],
            &group,
            Some(requested(plan)),
        ),
        tag_at_birth(plan, "placement-group", "CreatePlacementGroup"),
        allow(
            "DeletePlacementGroup",
            &["ec2:DeletePlacementGroup"],
            &group,
            Some(owned(plan)),
        ),
    ]
}

fn instances(plan: &Plan) -> Vec<Value> {
    let made = ["instance/*", "network-interface/*", "volume/*"].map(|what| arn(plan, what));
    let mut used = vec![
        format!(
            "arn:{}:ec2:{}::image/{}",
            plan.partition(),
            plan.region(),
            plan.image().image_id
        ),
        arn(plan, "security-group/*"),
    ];
    used.extend(
        plan.subnets()
            .iter()
            .map(|s| arn_of(plan, &s.owner_id, &format!("subnet/{}", s.subnet_id))),
    );
    if let Some(group) = plan.placement_group() {
        let owner = group.owner_id.as_deref().unwrap_or_default();
        let resource = format!("placement-group/{}", group.group_name);
        used.push(arn_of(plan, owner, &resource));
    }
    if let Some(key) = &plan.spec().key_name {
        used.push(arn(plan, &format!("key-pair/{key}")));
    }
    for reservation in plan.capacity().reservations() {
        let id = &reservation.capacity_reservation_id;
        let resource = format!("capacity-reservation/{id}");
        used.push(arn_of(plan, &reservation.owner_id, &resource));
    }
    if let Market::ReservationGroup(arn) = &plan.capacity().market {
        used.push(arn.clone());
    }
    if plan.capacity().market == Market::Spot {
        // The request itself, which carries no tag.
        used.push(arn(plan, "spot-instances-request/*"));
    }
    vec![
        allow(
            "Launch",
            &["ec2:RunInstances"],
            &json!(made),
            Some(requested(plan)),
        ),
        allow("LaunchFrom", &["ec2:RunInstances"], &json!(used), None),
        allow(
            "TagAtLaunch",
            &["ec2:CreateTags"],
            &json!(made),
            Some(json!({ "StringEquals": { "ec2:CreateAction": "RunInstances" } })),
        ),
        // What shrink changes of the nodes that stay.
        allow(
            "ChangeCount",
            &["ec2:CreateTags"],
            &json!(made[0]),
            Some(counted(plan)),
        ),
        allow(
            "Remove",
            &["ec2:DeleteNetworkInterface", "ec2:TerminateInstances"],
            &json!([made[0], made[1]]),
            Some(owned(plan)),
        ),
    ]
}

/// Moving the time at which the instances end themselves, and no other tag.
fn extend(plan: &Plan) -> Option<Value> {
    plan.expires_at()?;
    let mut condition = owned(plan);
    condition["ForAllValues:StringEquals"] = json!({ "aws:TagKeys": [tags::EXPIRES_AT] });
    let instances = json!(arn(plan, "instance/*"));
    let statement = allow("Extend", &["ec2:CreateTags"], &instances, Some(condition));
    Some(statement)
}

/// The first spot launch of an account makes EC2 Spot's service-linked role with the caller's
/// permissions. Origin: Amazon EC2 user guide, "Service-linked role for Spot Instance requests".
fn spot(plan: &Plan) -> Option<Value> {
    if plan.capacity().market != Market::Spot {
        return None;
    }
    let role = format!(
        "arn:{}:iam::{}:role/aws-service-role/spot.amazonaws.com/AWSServiceRoleForEC2Spot",
        plan.partition(),
        plan.account()
    );
    let by_spot = json!({ "StringEquals": { "iam:AWSServiceName": "spot.amazonaws.com" } });
    Some(allow(
        "SpotServiceLinkedRole",
        &["iam:CreateServiceLinkedRole"],
        &json!(role),
        Some(by_spot),
    ))
}

fn addresses(plan: &Plan) -> Vec<Value> {
    if !plan.wants_elastic_ips() {
        return Vec::new();
    }
    let address = json!(arn(plan, "elastic-ip/*"));
    let either = json!([
        arn(plan, "elastic-ip/*"),
        arn(plan, "instance/*"),
        arn(plan, "network-interface/*")
    ]);
    vec![
        allow(
            "AllocateAddress",
            &["ec2:AllocateAddress"],
            &address,
            Some(requested(plan)),
        ),
        tag_at_birth(plan, "elastic-ip", "AllocateAddress"),
        allow(
            "ChangeAddress",
            &["ec2:AssociateAddress", "ec2:DisassociateAddress"],
            &either,
            Some(owned(plan)),
        ),
        allow(
            "ReleaseAddress",
            &["ec2:ReleaseAddress"],
            &address,
            Some(owned(plan)),
        ),
    ]
}

fn instance_profile(plan: &Plan) -> Vec<Value> {
    let Some(planned) = plan.instance_profile() else {
        return Vec::new();
    };
    let iam = |what: &str| {
        format!(
            "arn:{}:iam::{}:{what}/{}",
            plan.partition(),
            plan.account(),
            planned.name
        )
    };
    let (role, profile) = (iam("role"), iam("instance-profile"));
    let pass = |role: &str| {
        let to_ec2 = json!({ "StringEquals": { "iam:PassedToService": "ec2.amazonaws.com" } });
        allow("PassRole", &["iam:PassRole"], &json!(role), Some(to_ec2))
    };
    let InstanceProfileChoice::Make(wanted) = &plan.spec().instance_profile else {
        // Any role would be a way to all that some role may do: the profile's own, and to EC2.
        let read = allow(
            "ReadInstanceProfile",
            &["iam:GetInstanceProfile"],
            &json!(planned.arn.as_ref().unwrap_or(&profile)),
            None,
        );
        let passed = planned.role_arn.as_deref().map(pass);
        return [read].into_iter().chain(passed).collect();
    };
    let managed = instance_role::ssm_policy_arn(plan.partition());
    let attached = json!({ "ArnEquals": { "iam:PolicyARN": managed } });
    let mut on_role = vec![
        "iam:DeleteRole",
        "iam:GetRole",
        "iam:ListAttachedRolePolicies",
        "iam:ListRolePolicies",
        "iam:TagRole",
    ];
    let mut made = vec!["iam:CreateRole"];
    let statement = plan.bootstrap_statement();
    if instance_role::inline_policy(wanted, plan.partition(), statement).is_some() {
        on_role.push("iam:DeleteRolePolicy");
        made.push("iam:PutRolePolicy");
    }
    let boundary = wanted.permissions_boundary.as_ref();
    let read = boundary.map(|arn| allow("ReadBoundary", &["iam:GetPolicy"], &json!(arn), None));
    // Whoever may write the policies of a role that he may pass has every permission, but within a
    // boundary. Origin: IAM user guide, "Delegating responsibility to others using permissions
    // boundaries"; condition keys of both actions: Service Authorization Reference, IAM.
    let bounded = boundary.map(|arn| json!({ "StringEquals": { "iam:PermissionsBoundary": arn } }));
    let mut statements = vec![
        allow("Role", &on_role, &json!(role), None),
        allow("MakeRole", &made, &json!(role), bounded),
        allow(
            "RolePolicies",
            &["iam:AttachRolePolicy", "iam:DetachRolePolicy"],
            &json!(role),
            Some(attached),
        ),
        allow(
            "InstanceProfile",
            &[
                "iam:AddRoleToInstanceProfile",
                "iam:CreateInstanceProfile",
                "iam:DeleteInstanceProfile",
                "iam:GetInstanceProfile",
                "iam:RemoveRoleFromInstanceProfile",
                "iam:TagInstanceProfile",
            ],
            &json!(profile),
            None,
        ),
        pass(&role),
    ];
    statements.extend(read);
    statements
}

fn arn(plan: &Plan, resource: &str) -> String {
    arn_of(plan, plan.account(), resource)
}

/// The ARN of what this account owns: another one's where it is shared. Where EC2 did not report it, it
/// is the caller's.
fn arn_of(plan: &Plan, owner: &str, resource: &str) -> String {
    let owner = if owner.is_empty() {
        plan.account()
    } else {
        owner
    };
    format!(
        "arn:{}:ec2:{}:{owner}:{resource}",
        plan.partition(),
        plan.region(),
    )
}

/// A subnet that is shared has the VPC's owner.
fn vpc_owner(plan: &Plan) -> &str {
    let vpc = plan.decided.vpc.as_ref();
    vpc.map_or(&plan.subnet().owner_id, |vpc| &vpc.owner_id)
}

/// What is made must carry the cluster's tag.
fn requested(plan: &Plan) -> Value {
    json!({ "StringEquals": { format!("aws:RequestTag/{}", tags::CLUSTER): plan.name() } })
}

/// What is changed or removed must carry the cluster's tag.
fn owned(plan: &Plan) -> Value {
    json!({ "StringEquals": { format!("aws:ResourceTag/{}", tags::CLUSTER): plan.name() } })
}

/// The count of the cluster's own instances.
fn counted(plan: &Plan) -> Value {
    let mut condition = owned(plan);
    condition["ForAllValues:StringEquals"] = json!({ "aws:TagKeys": [tags::COUNT] });
    condition
}

fn tag_at_birth(plan: &Plan, resource: &str, action: &str) -> Value {
    let condition = json!({ "StringEquals": { "ec2:CreateAction": action } });
    let sid = format!("TagAt{action}");
    let resource = json!(arn(plan, &format!("{resource}/*")));
    allow(&sid, &["ec2:CreateTags"], &resource, Some(condition))
}
