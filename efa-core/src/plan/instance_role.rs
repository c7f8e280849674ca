//! The IAM role and instance profile that we make for a cluster's instances.

use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::error::{Code, Error, Result};
use crate::iam::InstanceProfile;
use crate::spec::{CheckedSpec, InstanceProfileChoice, InstanceRole};
use crate::tags;

/// IAM's limit on the name of a role, in characters.
const NAME_LIMIT: usize = 64;
/// Name of the inline policy of the role.
pub(crate) const POLICY_NAME: &str = "efa-sdk";
/// Lets EC2 give the role to instances.
pub(crate) const TRUST_POLICY: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;

/// An instance profile of the plan.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PlannedInstanceProfile {
    /// Its name; the role that we make has the same.
    pub name: String,
    /// Whether it exists already.
    pub exists: bool,
    /// What the role that we make allows; `None` when the profile is the caller's.
    pub role: Option<InstanceRole>,
    /// The profile's ARN with its path, where the profile is the caller's.
    #[serde(default)]
    pub arn: Option<String>,
    /// The ARN of the profile's role, with its path, where the profile is the caller's.
    #[serde(default)]
    pub role_arn: Option<String>,
}

/// The ARN of the role of a profile that exists; where IAM did not report it, that of its name
/// besides the profile.
fn role_arn(profile: &InstanceProfile) -> Option<String> {
    if let Some(arn) = profile.role_arns.first() {
        return Some(arn.clone());
    }
    let (account, _) = profile.arn.split_once(":instance-profile/")?;
    Some(format!("{account}:role/{}", profile.role_names.first()?))
}

/// The name of the role and the profile that we make. IAM is global, so the region is in it.
pub(crate) fn name(cluster: &str, region: &str) -> String {
    let name = format!("efa-sdk-{region}-{cluster}");
    if name.len() <= NAME_LIMIT {
        return name;
    }
    let digest = Sha256::digest(name.as_bytes());
    let tail = hex::encode(&digest[..4]);
    let room = NAME_LIMIT - tail.len() - 1;
    format!("{}-{tail}", &name[..room])
}

/// ARN of AWS's policy that lets SSM manage the instance.
pub(crate) fn ssm_policy_arn(partition: &str) -> String {
    format!("arn:{partition}:iam::aws:policy/AmazonSSMManagedInstanceCore")
}

/// The inline policy of the role; `None` when the managed one is all.
pub(crate) fn inline_policy(
    role: &InstanceRole,
    partition: &str,
    bootstrap: Option<serde_json::Value>,
) -> Option<String> {
    let mut statements = Vec::new();
    if let Some(bucket) = &role.scripts_bucket {
        let arn = format!("arn:{partition}:s3:::{bucket}");
        statements.push(json!({
            "Sid": "ScriptsBucket", "Effect": "Allow",
            "Action": ["s3:GetObject", "s3:ListBucket"],
            "Resource": [arn, format!("{arn}/*")],
        }));
    }
    if role.cloudwatch_logs {
        statements.push(json!({
            "Sid": "SessionLogs", "Effect": "Allow",
            "Action": [
                "logs:CreateLogGroup", "logs:CreateLogStream", "logs:DescribeLogGroups",
                "logs:DescribeLogStreams", "logs:PutLogEvents",
            ],
            "Resource": format!("arn:{partition}:logs:*:*:log-group:/aws/ssm/*"),
        }));
    }
    statements.extend(bootstrap);
    if statements.is_empty() {
        return None;
    }
    Some(json!({ "Version": "2012-10-17", "Statement": statements }).to_string())
}

/// What to do about a profile that does not exist.
pub(super) const NO_PROFILE: &str = "make it, name another, or let one be made";

/// The error for an instance profile that does not exist.
pub(super) fn no_profile(name: &str) -> Error {
    let message = format!("instance profile '{name}' does not exist in the account");
    conflict(message, NO_PROFILE, name)
}

fn conflict(message: String, cure: &str, value: &str) -> Error {
    Error::new(Code::PlanConflict, message)
        .with_cure(cure)
        .with_context("field", "instance_profile")
        .with_context("value", value)
}

/// Decides the instance profile of a plan from what exists under the name in question.
pub(crate) fn plan_instance_profile(
    spec: &CheckedSpec,
    region: &str,
    existing: Option<&InstanceProfile>,
) -> Result<Option<PlannedInstanceProfile>> {
    match &spec.instance_profile {
        InstanceProfileChoice::None => Ok(None),
        InstanceProfileChoice::Use(name) => match existing {
            None => Err(no_profile(name)),
            Some(profile) if profile.role_names.is_empty() => Err(conflict(
                format!("instance profile '{name}' has no role, so it allows nothing"),
                "add a role to it, or let one be made",
                name,
            )),
            Some(profile) => Ok(Some(PlannedInstanceProfile {
                name: name.clone(),
                exists: true,
                role: None,
                arn: Some(profile.arn.clone()),
                role_arn: role_arn(profile),
            })),
        },
        InstanceProfileChoice::Make(role) => {
            let name = name(&spec.name, region);
            if let Some(profile) = existing
                && !tags::is_ours(&profile.tags, &spec.name)
            {
                return Err(conflict(
                    format!(
                        "an instance profile named {name} exists and is not tagged as this cluster's"
                    ),
                    "choose another cluster name",
                    &name,
                ));
            }
            Ok(Some(PlannedInstanceProfile {
                exists: existing.is_some(),
                role: Some(role.clone()),
                name,
                arn: None,
                role_arn: None,
            }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_and_differ() {
        let long = "a".repeat(63);
        let (one, other) = (name(&long, "us-east-1"), name(&long, "us-west-2"));
        assert_eq!((one.len(), other.len()), (64, 64));
        assert_ne!(one, other);
        assert_ne!(name(&format!("{}b", &long[1..]), "us-east-1"), one);
        assert_eq!(name("train", "us-east-1"), "efa-sdk-us-east-1-train");
    }

    #[test]
    fn the_role_allows_only_what_is_asked() {
        assert_eq!(inline_policy(&InstanceRole::default(), "aws", None), None);
        let role = InstanceRole {
            scripts_bucket: Some("my-scripts".into()),
            cloudwatch_logs: true,
            permissions_boundary: None,
        };
        let policy = inline_policy(&role, "aws-cn", None).unwrap();
        assert!(policy.contains("arn:aws-cn:s3:::my-scripts/*"), "{policy}");
        assert!(
            policy.contains("logs:PutLogEvents") && !policy.contains(": "),
            "{policy}"
        );
        assert!(
            !policy.contains("s3:Put") && !policy.contains("\"*\""),
            "{policy}"
        );
    }
}
