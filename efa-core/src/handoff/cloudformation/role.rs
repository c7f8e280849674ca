//! The role and instance profile, and what the role is for: a bucket of scripts and session logs.

use serde_json::Value;

use super::template::{Template, attribute, reference};
use crate::handoff::document::{Node, mapping, node, put};
use crate::plan::instance_role::{POLICY_NAME, TRUST_POLICY, inline_policy, ssm_policy_arn};
use crate::spec::InstanceRole;

/// Stands in ARNs for the partition of the account that the stack is deployed in.
const PARTITION: &str = "${AWS::Partition}";

/// Adds what the instance profile needs; its name, or that of the caller's as a parameter.
pub(super) fn add(template: &mut Template<'_>) -> Option<Node> {
    let planned = template.plan.instance_profile()?;
    let Some(role) = planned.role.as_ref().filter(|_| !planned.exists) else {
        return Some(template.parameter(
            "InstanceProfileName",
            "String",
            "Name of the instance profile of the instances",
            &planned.name,
        ));
    };
    let mut role = role.clone();
    role.scripts_bucket = bucket(template, role.scripts_bucket.as_deref());
    if template.options.session_logs {
        role.cloudwatch_logs = true;
        log_group(template);
    }
    add_role(template, &planned.name, &role);
    let profile = mapping! {
        "InstanceProfileName" => planned.name.as_str(),
        "Roles" => vec![reference("InstanceRole")],
    };
    Some(template.resource("InstanceProfile", "AWS::IAM::InstanceProfile", profile))
}

fn add_role(template: &mut Template<'_>, name: &str, role: &InstanceRole) {
    let plan = template.plan;
    let mut properties = yaml_serde::Mapping::new();
    put(&mut properties, "RoleName", name);
    put(
        &mut properties,
        "AssumeRolePolicyDocument",
        policy(TRUST_POLICY),
    );
    if let Some(boundary) = role.permissions_boundary.as_deref() {
        put(&mut properties, "PermissionsBoundary", boundary);
    }
    let managed = vec![substituted(&ssm_policy_arn(PARTITION))];
    put(&mut properties, "ManagedPolicyArns", managed);
    if let Some(document) = inline_policy(role, PARTITION, plan.bootstrap_statement()) {
        let inline = mapping! {
            "PolicyName" => POLICY_NAME,
            "PolicyDocument" => policy(&document),
        };
        put(&mut properties, "Policies", vec![inline]);
    }
    put(&mut properties, "Tags", template.tags());
    template.resource("InstanceRole", "AWS::IAM::Role", Node::Mapping(properties));
}

/// Adds the bucket or a parameter for the one that the role names; its name within `Fn::Sub`.
fn bucket(template: &mut Template<'_>, planned: Option<&str>) -> Option<String> {
    if let Some(name) = planned {
        template.parameter(
            "ScriptsBucketName",
            "String",
            "Name of the S3 bucket that the instances may read",
            name,
        );
    }
    if !template.options.scripts_bucket {
        return planned.map(|_| "${ScriptsBucketName}".to_owned());
    }
    let mut properties = yaml_serde::Mapping::new();
    if planned.is_some() {
        put(
            &mut properties,
            "BucketName",
            reference("ScriptsBucketName"),
        );
    }
    let encryption = vec![mapping! {
        "ServerSideEncryptionByDefault" => mapping! { "SSEAlgorithm" => "AES256" },
    }];
    put(
        &mut properties,
        "BucketEncryption",
        mapping! { "ServerSideEncryptionConfiguration" => encryption },
    );
    put(
        &mut properties,
        "PublicAccessBlockConfiguration",
        mapping! {
            "BlockPublicAcls" => true,
            "BlockPublicPolicy" => true,
            "IgnorePublicAcls" => true,
            "RestrictPublicBuckets" => true,
        },
    );
    put(&mut properties, "Tags", template.tags());
    deleted_with_the_stack(
        template,
        "ScriptsBucket",
        "AWS::S3::Bucket",
        Node::Mapping(properties),
    );
    template.explain(
        "ScriptsBucket",
        "Goes with the stack. S3 refuses to delete a bucket that is not empty: empty it first.",
    );
    template.output(
        "ScriptsBucket",
        "Bucket that the instances may read",
        reference("ScriptsBucket"),
    );
    Some("${ScriptsBucket}".to_owned())
}

fn log_group(template: &mut Template<'_>) {
    template.parameter(
        "SessionLogRetentionDays",
        "Number",
        "Days after which session logs are deleted",
        "30",
    );
    let properties = mapping! {
        "LogGroupName" => format!("/aws/ssm/efa-sdk-{}", template.plan.name()),
        "RetentionInDays" => reference("SessionLogRetentionDays"),
        "Tags" => template.tags(),
    };
    deleted_with_the_stack(template, "SessionLogs", "AWS::Logs::LogGroup", properties);
    template.explain(
        "SessionLogs",
        "Sessions are logged here once the Session Manager preferences of the account and Region \
         name it.",
    );
    template.output(
        "SessionLogGroup",
        "Log group for SSM sessions: name it in the Session Manager preferences",
        reference("SessionLogs"),
    );
}

/// A resource whose removal is declared, since CloudFormation's linters ask for it where data is.
fn deleted_with_the_stack(template: &mut Template<'_>, name: &str, kind: &str, properties: Node) {
    let resource = mapping! {
        "Type" => kind,
        "DeletionPolicy" => "Delete",
        "UpdateReplacePolicy" => "Delete",
        "Properties" => properties,
    };
    put(&mut template.resources, name, resource);
}

/// A policy document, its texts with `${…}` under `Fn::Sub`.
fn policy(document: &str) -> Node {
    // Both callers' documents are JSON that this crate has written.
    let document: Value = serde_json::from_str(document).unwrap_or_default();
    let mut map = yaml_serde::Mapping::new();
    for key in ["Version", "Statement"] {
        put(&mut map, key, with_substitutions(node(&document[key])));
    }
    Node::Mapping(map)
}

fn with_substitutions(value: Node) -> Node {
    match value {
        Node::String(text) if text.contains("${") => substituted(&text),
        Node::Sequence(list) => list.into_iter().map(with_substitutions).collect(),
        Node::Mapping(map) => Node::Mapping(
            map.into_iter()
                .map(|(key, value)| (key, with_substitutions(value)))
                .collect(),
        ),
        other => other,
    }
}

/// `{"Fn::Sub": text}`; a whole ARN of the bucket is its attribute.
fn substituted(text: &str) -> Node {
    if text == format!("arn:{PARTITION}:s3:::${{ScriptsBucket}}") {
        return attribute("ScriptsBucket", "Arn");
    }
    mapping! { "Fn::Sub" => text }
}
