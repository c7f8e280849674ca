//! The calls that this crate makes to IAM, in the crate's own types.

use async_trait::async_trait;

use crate::ec2::Tags;
use crate::error::{Result, not_implemented};

/// An IAM role, as GetRole shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// Its name, unique in the account.
    pub role_name: String,
    /// Its ARN.
    pub arn: String,
    /// The ARN of the policy that bounds it.
    pub permissions_boundary: Option<String>,
    /// Its tags.
    pub tags: Tags,
}

/// A CreateRole request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateRole {
    /// Its name, unique in the account.
    pub role_name: String,
    /// Who can assume it, JSON.
    pub trust_policy: String,
    /// The ARN of the policy that bounds it.
    pub permissions_boundary: Option<String>,
    /// Tags from birth.
    pub tags: Tags,
}

/// An instance profile, as GetInstanceProfile shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceProfile {
    /// Its name, unique in the account.
    pub instance_profile_name: String,
    /// Its ARN.
    pub arn: String,
    /// Names of its roles: none or one.
    pub role_names: Vec<String>,
    /// ARNs of them, with their paths, in the same order; empty where they are not known.
    pub role_arns: Vec<String>,
    /// Its tags.
    pub tags: Tags,
}

/// The calls that this crate makes to IAM. A read of what does not exist is `None` or empty; every
/// other error is typed, with IAM's own code as `ec2_code` in its context.
#[async_trait]
#[allow(unused_variables)] // the defaults use no argument
pub trait Iam: Send + Sync + std::fmt::Debug + 'static {
    /// Calls GetRole.
    async fn get_role(&self, role_name: &str) -> Result<Option<Role>> {
        Err(not_implemented("GetRole"))
    }
    /// Calls GetInstanceProfile.
    async fn get_instance_profile(&self, profile_name: &str) -> Result<Option<InstanceProfile>> {
        Err(not_implemented("GetInstanceProfile"))
    }
    /// Calls ListInstanceProfiles: all of the account, without their tags.
    async fn list_instance_profiles(&self) -> Result<Vec<InstanceProfile>> {
        Err(not_implemented("ListInstanceProfiles"))
    }
    /// Calls ListAttachedRolePolicies; ARNs.
    async fn list_attached_role_policies(&self, role_name: &str) -> Result<Vec<String>> {
        Err(not_implemented("ListAttachedRolePolicies"))
    }
    /// Calls ListRolePolicies; names of inline policies.
    async fn list_role_policies(&self, role_name: &str) -> Result<Vec<String>> {
        Err(not_implemented("ListRolePolicies"))
    }

    /// Calls GetPolicy: whether there is a managed policy of this ARN.
    async fn policy_exists(&self, policy_arn: &str) -> Result<bool> {
        Err(not_implemented("GetPolicy"))
    }

    /// Calls CreateRole.
    async fn create_role(&self, request: &CreateRole) -> Result<()> {
        Err(not_implemented("CreateRole"))
    }
    /// Calls AttachRolePolicy.
    async fn attach_role_policy(&self, role_name: &str, policy_arn: &str) -> Result<()> {
        Err(not_implemented("AttachRolePolicy"))
    }
    /// Calls PutRolePolicy; `document` is JSON.
    async fn put_role_policy(
        &self,
        role_name: &str,
        policy_name: &str,
        document: &str,
    ) -> Result<()> {
        Err(not_implemented("PutRolePolicy"))
    }
    /// Calls CreateInstanceProfile.
    async fn create_instance_profile(&self, profile_name: &str, tags: &Tags) -> Result<()> {
        Err(not_implemented("CreateInstanceProfile"))
    }
    /// Calls AddRoleToInstanceProfile.
    async fn add_role_to_instance_profile(
        &self,
        profile_name: &str,
        role_name: &str,
    ) -> Result<()> {
        Err(not_implemented("AddRoleToInstanceProfile"))
    }
    /// Calls RemoveRoleFromInstanceProfile.
    async fn remove_role_from_instance_profile(
        &self,
        profile_name: &str,
        role_name: &str,
    ) -> Result<()> {
        Err(not_implemented("RemoveRoleFromInstanceProfile"))
    }
    /// Calls DeleteInstanceProfile.
    async fn delete_instance_profile(&self, profile_name: &str) -> Result<()> {
        Err(not_implemented("DeleteInstanceProfile"))
    }
    /// Calls DetachRolePolicy.
    async fn detach_role_policy(&self, role_name: &str, policy_arn: &str) -> Result<()> {
        Err(not_implemented("DetachRolePolicy"))
    }
    /// Calls DeleteRolePolicy.
    async fn delete_role_policy(&self, role_name: &str, policy_name: &str) -> Result<()> {
        Err(not_implemented("DeleteRolePolicy"))
    }
    /// Calls DeleteRole.
    async fn delete_role(&self, role_name: &str) -> Result<()> {
        Err(not_implemented("DeleteRole"))
    }
}
