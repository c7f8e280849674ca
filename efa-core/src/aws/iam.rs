//! [`Iam`] over aws-sdk-iam.

use async_trait::async_trait;
use aws_sdk_iam::types as sdk;

use super::call::{call, read_pages};
use super::convert::present;
use super::errors::absent;
use super::request::built;
use super::sdk::AwsSdk;
use crate::ec2::Tags;
use crate::error::Result;
use crate::iam::{CreateRole, Iam, InstanceProfile, Role};

/// IAM's code for a read of what does not exist.
const NO_SUCH: &str = "NoSuchEntity";

fn tags_of(tags: Option<Vec<sdk::Tag>>) -> Tags {
    let pair = |tag: sdk::Tag| (tag.key, tag.value);
    tags.unwrap_or_default().into_iter().map(pair).collect()
}

fn sdk_tags(tags: &Tags) -> Result<Vec<sdk::Tag>> {
    tags.iter()
        .map(|(key, value)| built(sdk::Tag::builder().key(key).value(value).build(), "tags"))
        .collect()
}

fn policy_arn_of(policy: sdk::AttachedPolicy) -> Result<String> {
    present(policy.policy_arn, "PolicyArn")
}

fn instance_profile(profile: sdk::InstanceProfile) -> InstanceProfile {
    InstanceProfile {
        instance_profile_name: profile.instance_profile_name,
        arn: profile.arn,
        role_arns: profile.roles.iter().map(|role| role.arn.clone()).collect(),
        role_names: profile
            .roles
            .into_iter()
            .map(|role| role.role_name)
            .collect(),
        tags: tags_of(profile.tags),
    }
}

#[async_trait]
impl Iam for AwsSdk {
    async fn get_role(&self, name: &str) -> Result<Option<Role>> {
        let Some(answer) = absent(call!(self.iam.get_role, role_name(name)), NO_SUCH)? else {
            return Ok(None);
        };
        let role = present(answer.role, "Role")?;
        Ok(Some(Role {
            role_name: role.role_name,
            arn: role.arn,
            permissions_boundary: role
                .permissions_boundary
                .and_then(|boundary| boundary.permissions_boundary_arn),
            tags: tags_of(role.tags),
        }))
    }

    async fn get_instance_profile(&self, name: &str) -> Result<Option<InstanceProfile>> {
        let answer = call!(self.iam.get_instance_profile, instance_profile_name(name));
        let Some(answer) = absent(answer, NO_SUCH)? else {
            return Ok(None);
        };
        let profile = present(answer.instance_profile, "InstanceProfile")?;
        Ok(Some(instance_profile(profile)))
    }

    async fn list_instance_profiles(&self) -> Result<Vec<InstanceProfile>> {
        let found: Result<Vec<sdk::InstanceProfile>> =
            read_pages!(self.iam.list_instance_profiles, Ok);
        Ok(found?.into_iter().map(instance_profile).collect())
    }

    async fn list_attached_role_policies(&self, role: &str) -> Result<Vec<String>> {
        let arns = read_pages!(
            self.iam.list_attached_role_policies,
            policy_arn_of,
            role_name(role)
        );
        Ok(absent(arns, NO_SUCH)?.unwrap_or_default())
    }

    async fn list_role_policies(&self, role: &str) -> Result<Vec<String>> {
        let names = read_pages!(self.iam.list_role_policies, Ok, role_name(role));
        Ok(absent(names, NO_SUCH)?.unwrap_or_default())
    }

    async fn policy_exists(&self, arn: &str) -> Result<bool> {
        let answer = call!(self.iam.get_policy, policy_arn(arn));
        Ok(absent(answer, NO_SUCH)?.is_some())
    }

    async fn create_role(&self, request: &CreateRole) -> Result<()> {
        call!(
            self.iam.create_role,
            role_name(&request.role_name),
            assume_role_policy_document(&request.trust_policy),
            set_permissions_boundary(request.permissions_boundary.clone()),
            set_tags(Some(sdk_tags(&request.tags)?))
        )
        .map(drop)
    }

    async fn attach_role_policy(&self, role: &str, arn: &str) -> Result<()> {
        call!(
            self.iam.attach_role_policy,
            role_name(role),
            policy_arn(arn)
        )
        .map(drop)
    }

    async fn put_role_policy(&self, role: &str, name: &str, document: &str) -> Result<()> {
        call!(
            self.iam.put_role_policy,
            role_name(role),
            policy_name(name),
            policy_document(document)
        )
        .map(drop)
    }

    async fn create_instance_profile(&self, name: &str, tags: &Tags) -> Result<()> {
        call!(
            self.iam.create_instance_profile,
            instance_profile_name(name),
            set_tags(Some(sdk_tags(tags)?))
        )
        .map(drop)
    }

    async fn add_role_to_instance_profile(&self, profile: &str, role: &str) -> Result<()> {
        call!(
            self.iam.add_role_to_instance_profile,
            instance_profile_name(profile),
            role_name(role)
        )
        .map(drop)
    }

    async fn remove_role_from_instance_profile(&self, profile: &str, role: &str) -> Result<()> {
        call!(
            self.iam.remove_role_from_instance_profile,
            instance_profile_name(profile),
            role_name(role)
        )
        .map(drop)
    }

    async fn delete_instance_profile(&self, name: &str) -> Result<()> {
        call!(
            self.iam.delete_instance_profile,
            instance_profile_name(name)
        )
        .map(drop)
    }

    async fn detach_role_policy(&self, role: &str, arn: &str) -> Result<()> {
        call!(
            self.iam.detach_role_policy,
            role_name(role),
            policy_arn(arn)
        )
        .map(drop)
    }

    async fn delete_role_policy(&self, role: &str, name: &str) -> Result<()> {
        call!(
            self.iam.delete_role_policy,
            role_name(role),
            policy_name(name)
        )
        .map(drop)
    }

    async fn delete_role(&self, name: &str) -> Result<()> {
        call!(self.iam.delete_role, role_name(name)).map(drop)
    }
}
