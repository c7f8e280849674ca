//! The EFA part of a CloudFormation template.

use serde_json::Value;

use super::document::{Checked, Findings};
use crate::error::Result;

mod access;
mod findings;
mod groups;
mod launches;
mod resolve;
mod shapes;
mod template;
mod uses;

use template::Template;

#[cfg(test)]
mod tests;

/// Types of resources whose properties have no part in a launch or in EFA, by the start of their
/// names. Any other type is named as not read.
const WITHOUT_LAUNCHES: &[&str] = &[
    "AWS::CDK::Metadata",
    "AWS::CloudFormation::WaitCondition",
    "AWS::CloudWatch::",
    "AWS::DynamoDB::",
    "AWS::EC2::CustomerGateway",
    "AWS::EC2::DHCPOptions",
    "AWS::EC2::EIP",
    "AWS::EC2::FlowLog",
    "AWS::EC2::InternetGateway",
    "AWS::EC2::KeyPair",
    "AWS::EC2::NatGateway",
    "AWS::EC2::NetworkAcl",
    "AWS::EC2::PrefixList",
    "AWS::EC2::Route",
    "AWS::EC2::Subnet",
    "AWS::EC2::TransitGateway",
    "AWS::EC2::VPC",
    "AWS::EC2::Volume",
    "AWS::ECR::",
    "AWS::EFS::",
    "AWS::EKS::AccessEntry",
    "AWS::EKS::Addon",
    "AWS::EKS::Cluster",
    "AWS::EKS::PodIdentityAssociation",
    "AWS::Events::",
    "AWS::FSx::",
    "AWS::IAM::",
    "AWS::KMS::",
    "AWS::Logs::",
    "AWS::RDS::",
    "AWS::Route53::",
    "AWS::S3::",
    "AWS::SNS::",
    "AWS::SQS::",
    "AWS::SSM::Parameter",
    "AWS::SecretsManager::",
];

/// Types that the checks here look at.
const READ: &[&str] = &[
    "AWS::EC2::Instance",
    "AWS::EC2::LaunchTemplate",
    "AWS::EC2::NetworkInterface",
    "AWS::EC2::NetworkInterfaceAttachment",
    "AWS::EC2::PlacementGroup",
    "AWS::EC2::SecurityGroup",
    "AWS::EC2::SecurityGroupEgress",
    "AWS::EC2::SecurityGroupIngress",
    "AWS::IAM::InstanceProfile",
];

/// # Errors
/// `handoff.too_large` where functions expand to much more than the template.
pub(super) fn check_template(document: &Checked<'_>, found: &mut Findings) -> Result<()> {
    for section in ["Transform", "Modules"] {
        if document.document.get(section).is_some() {
            let cure = format!(
                "what {section} makes of the template: check the processed one (aws \
                 cloudformation get-template --template-stage Processed)"
            );
            found.out_of_sight(&cure);
            let path = document.path(section);
            found.unread(section, section, &path, &cure);
        }
    }
    list_unread(document, found);
    let readings = resolve::readings(document.document)?;
    let conditions = &readings.conditions;
    let tried = readings.tried();
    if readings.combinations > tried as u64 {
        let reason = format!(
            "{tried} of {} combinations of conditions and allowed instance types were checked: \
             give the parameters defaults, and check the template with each set that you use",
            readings.combinations
        );
        let path = document.path("Conditions");
        found.unread("conditions", "Conditions", &path, &reason);
    }
    if !conditions.is_empty() {
        found.out_of_sight(&format!(
            "whether these conditions hold: {}; both branches were checked",
            conditions.join(", ")
        ));
    }
    for resources in readings.resources() {
        let template = Template::new(resources?);
        let mut here = Findings::default();
        shapes::check_shapes(document, &template, &mut here);
        launches::check_launches(document, &template, &mut here);
        groups::check_groups(document, &template, &mut here);
        access::check_access(document, &template, &mut here);
        found.merge(here);
    }
    Ok(())
}

/// Names the resources that no rule looks at.
fn list_unread(document: &Checked<'_>, found: &mut Findings) {
    let resources = document
        .document
        .get("Resources")
        .and_then(Value::as_object);
    if resources.is_none_or(serde_json::Map::is_empty) {
        found.nothing_to_check("template", "Resources", &document.path("Resources"));
    }
    for (name, resource) in resources.into_iter().flatten() {
        let kind = resource.get("Type").and_then(Value::as_str);
        let kind = kind.unwrap_or("resource");
        let path = document.path(&format!("Resources.{name}"));
        let properties = resource.get("Properties");
        if properties.is_some_and(|properties| !properties.is_object()) {
            found.nothing_to_check(kind, name, &path);
        }
        let plain = WITHOUT_LAUNCHES.iter().any(|start| kind.starts_with(start));
        if READ.contains(&kind) || uses::reads(kind) || plain {
            continue;
        }
        let reason = match kind {
            "AWS::CloudFormation::Stack" => "a nested stack: check its template, too",
            _ => "resources of this type are not read here",
        };
        found.unread(kind, name, &path, reason);
    }
}
