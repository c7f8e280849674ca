//! IAM's roles and instance profiles.

use std::collections::{BTreeMap, BTreeSet};

use super::account::ACCOUNT;
use super::refusal::{Answer, no_such_entity, refuse};
use crate::ec2::Tags;
use crate::iam::{CreateRole, InstanceProfile, Role};

#[derive(Debug, Clone)]
struct HeldRole {
    role: Role,
    attached: Vec<String>,
    inline: BTreeMap<String, String>,
}

#[derive(Debug, Clone)]
struct HeldProfile {
    profile: InstanceProfile,
    /// Launches that named it, those that were refused for it too.
    asked: u32,
}

/// The account's roles and profiles. IAM is global; a fake has its own.
#[derive(Debug, Clone, Default)]
pub(super) struct Identities {
    roles: BTreeMap<String, HeldRole>,
    profiles: BTreeMap<String, HeldProfile>,
    /// ARNs of the account's own managed policies.
    policies: BTreeSet<String>,
}

impl Identities {
    pub(super) fn roles(&self) -> impl Iterator<Item = &Role> {
        self.roles.values().map(|held| &held.role)
    }

    pub(super) fn profiles(&self) -> impl Iterator<Item = &InstanceProfile> {
        self.profiles.values().map(|held| &held.profile)
    }

    /// The ARN of a profile for a launch. EC2 learns of a new one late.
    pub(super) fn launch_with(&mut self, name: &str, propagation: u32) -> Answer<String> {
        let unknown = || {
            refuse(
                "InvalidParameterValue",
                format!(
                    "Value ({name}) for parameter iamInstanceProfile.name is invalid. Invalid IAM \
                     Instance Profile name"
                ),
            )
        };
        let Some(held) = self.profiles.get_mut(name) else {
            return unknown();
        };
        held.asked += 1;
        if held.asked <= propagation {
            return unknown();
        }
        let arn = held.profile.arn.clone();
        if held.profile.role_names.is_empty() {
            let message = format!("IAM Instance Profile \"{arn}\" has no associated IAM Roles");
            return refuse("InvalidParameterValue", message);
        }
        Ok(arn)
    }

    /// Whether a role of the profile lets the SSM agent register.
    pub(super) fn may_register(&self, profile_arn: &str) -> bool {
        let profile = self
            .profiles
            .values()
            .find(|p| p.profile.arn == profile_arn);
        let Some(profile) = profile else {
            return false;
        };
        let mut roles = profile.profile.role_names.iter();
        roles.any(|name| {
            self.roles.get(name).is_some_and(|held| {
                let managed = |arn: &String| arn.ends_with("/AmazonSSMManagedInstanceCore");
                let inline = |text: &String| text.contains("ssm:UpdateInstanceInformation");
                held.attached.iter().any(managed) || held.inline.values().any(inline)
            })
        })
    }

    pub(super) fn role(&self, name: &str) -> Option<Role> {
        self.roles.get(name).map(|held| held.role.clone())
    }

    pub(super) fn profile(&self, name: &str) -> Option<InstanceProfile> {
        self.profiles.get(name).map(|held| held.profile.clone())
    }

    pub(super) fn attached(&self, role: &str) -> Answer<Vec<String>> {
        self.held(role).map(|held| held.attached.clone())
    }

    pub(super) fn inline(&self, role: &str) -> Answer<Vec<String>> {
        let names = |held: &HeldRole| held.inline.keys().cloned().collect();
        self.held(role).map(names)
    }

    pub(super) fn add_policy(&mut self, name: &str) -> String {
        let arn = format!("arn:aws:iam::{ACCOUNT}:policy/{name}");
        self.policies.insert(arn.clone());
        arn
    }

    /// Of AWS's own policies every name is taken for one.
    pub(super) fn has_policy(&self, arn: &str) -> bool {
        arn.starts_with("arn:aws:iam::aws:policy/") || self.policies.contains(arn)
    }

    pub(super) fn create_role(&mut self, request: &CreateRole) -> Answer<()> {
        let name = request.role_name.as_str();
        if self.roles.contains_key(name) {
            return exists("Role", name);
        }
        check_document(&request.trust_policy)?;
        let boundary = request.permissions_boundary.as_deref();
        if let Some(arn) = boundary.filter(|arn| !self.has_policy(arn)) {
            return Err(no_such_entity("policy", arn));
        }
        let role = Role {
            role_name: name.to_owned(),
            arn: format!("arn:aws:iam::{ACCOUNT}:role/{name}"),
            permissions_boundary: request.permissions_boundary.clone(),
            tags: request.tags.clone(),
        };
        let held = HeldRole {
            role,
            attached: Vec::new(),
            inline: BTreeMap::new(),
        };
        self.roles.insert(name.to_owned(), held);
        Ok(())
    }

    pub(super) fn attach(&mut self, role: &str, arn: &str) -> Answer<()> {
        let held = self.held_mut(role)?;
        if !held.attached.iter().any(|known| known == arn) {
            held.attached.push(arn.to_owned());
        }
        Ok(())
    }

    pub(super) fn put(&mut self, role: &str, policy: &str, document: &str) -> Answer<()> {
        let held = self.held_mut(role)?;
        check_document(document)?;
        held.inline.insert(policy.to_owned(), document.to_owned());
        Ok(())
    }

    pub(super) fn create_profile(&mut self, name: &str, tags: &Tags) -> Answer<()> {
        if self.profiles.contains_key(name) {
            return exists("Instance Profile", name);
        }
        let profile = InstanceProfile {
            instance_profile_name: name.to_owned(),
            arn: format!("arn:aws:iam::{ACCOUNT}:instance-profile/{name}"),
            role_names: Vec::new(),
            role_arns: Vec::new(),
            tags: tags.clone(),
        };
        let held = HeldProfile { profile, asked: 0 };
        self.profiles.insert(name.to_owned(), held);
        Ok(())
    }

    pub(super) fn add_role(&mut self, profile: &str, role: &str) -> Answer<()> {
        self.held(role)?;
        let names = self.role_names(profile)?;
        if !names.is_empty() {
            let message = "Cannot exceed quota for InstanceSessionsPerInstanceProfile: 1";
            return refuse("LimitExceeded", message);
        }
        names.push(role.to_owned());
        Ok(())
    }

    pub(super) fn remove_role(&mut self, profile: &str, role: &str) -> Answer<()> {
        let names = self.role_names(profile)?;
        let before = names.len();
        names.retain(|name| name != role);
        if names.len() == before {
            return Err(no_such_entity("role", role));
        }
        Ok(())
    }

    pub(super) fn delete_profile(&mut self, name: &str) -> Answer<()> {
        if !self.role_names(name)?.is_empty() {
            let message = "Cannot delete entity, must remove roles from instance profile first.";
            return refuse("DeleteConflict", message);
        }
        self.profiles.remove(name);
        Ok(())
    }

    pub(super) fn detach(&mut self, role: &str, arn: &str) -> Answer<()> {
        let attached = &mut self.held_mut(role)?.attached;
        let before = attached.len();
        attached.retain(|known| known != arn);
        if attached.len() == before {
            return Err(no_such_entity("policy", arn));
        }
        Ok(())
    }

    pub(super) fn delete_inline(&mut self, role: &str, policy: &str) -> Answer<()> {
        let removed = self.held_mut(role)?.inline.remove(policy);
        removed
            .map(drop)
            .ok_or_else(|| no_such_entity("role policy", policy))
    }

    pub(super) fn delete_role(&mut self, name: &str) -> Answer<()> {
        let held = self.held(name)?;
        let in_profile = self
            .profiles
            .values()
            .any(|p| p.profile.role_names.iter().any(|role| role == name));
        if in_profile || !held.attached.is_empty() || !held.inline.is_empty() {
            let message = "Cannot delete entity, must detach all policies first.";
            return refuse("DeleteConflict", message);
        }
        self.roles.remove(name);
        Ok(())
    }

    fn held(&self, role: &str) -> Answer<&HeldRole> {
        let held = self.roles.get(role);
        held.ok_or_else(|| no_such_entity("role", role))
    }

    fn held_mut(&mut self, role: &str) -> Answer<&mut HeldRole> {
        let held = self.roles.get_mut(role);
        held.ok_or_else(|| no_such_entity("role", role))
    }

    fn role_names(&mut self, profile: &str) -> Answer<&mut Vec<String>> {
        let held = self.profiles.get_mut(profile);
        held.map(|held| &mut held.profile.role_names)
            .ok_or_else(|| no_such_entity("instance profile", profile))
    }
}

fn exists<T>(kind: &str, name: &str) -> Answer<T> {
    let message = format!("{kind} {name} already exists.");
    refuse("EntityAlreadyExists", message)
}

fn check_document(text: &str) -> Answer<()> {
    let parsed: Result<serde_json::Value, _> = serde_json::from_str(text);
    let statements = parsed
        .ok()
        .and_then(|document| document.get("Statement").cloned());
    match statements {
        Some(_) => Ok(()),
        None => refuse(
            "MalformedPolicyDocument",
            "This policy contains invalid Json or lacks a Statement",
        ),
    }
}
