//! What of a cluster exists after a failed verb, looked up: an effect without an answer is
//! found here, and what cannot be read is named.

use super::steps::Steps;
use crate::ec2::InstanceState;
use crate::error::{Code, Error, Leftover, Result};
use crate::failure::effect_unknown;
use crate::plan::instance_role;
use crate::resource;
use crate::tags::{self, is_ours};

/// What of a cluster exists, and the kinds of resource that could not be looked up.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) resources: Vec<Leftover>,
    pub(super) unread: Vec<&'static str>,
    ended: Vec<String>,
    unreachable: bool,
}

/// Looks for what carries the cluster's tag; with `role`, or where an instance has a role that was
/// made for the cluster, in IAM too.
pub(super) async fn look(steps: &Steps<'_>, name: &str, mut role: bool) -> Known {
    let aws = steps.aws;
    let made = instance_role::name(name, aws.region());
    let filter = [tags::cluster_filter(name)];
    let mut known = Known::default();
    let found = aws.describe_instances(&filter);
    for instance in known.read(&[resource::INSTANCE], found).await {
        role |= instance.tags.get(tags::INSTANCE_PROFILE) == Some(&made);
        match instance.state {
            InstanceState::Terminated => known.ended.push(instance.instance_id),
            _ => known.put(resource::INSTANCE, instance.instance_id),
        }
    }
    let found = aws.describe_addresses(&filter);
    for address in known.read(&[resource::ADDRESS], found).await {
        known.put(resource::ADDRESS, address.allocation_id);
    }
    let found = aws.describe_placement_groups(&filter);
    for group in known.read(&[resource::PLACEMENT_GROUP], found).await {
        known.put(resource::PLACEMENT_GROUP, group.group_name);
    }
    let found = aws.describe_security_groups(&filter);
    for group in known.read(&[resource::SECURITY_GROUP], found).await {
        known.put(resource::SECURITY_GROUP, group.group_id);
    }
    if role {
        let role = made;
        let found = aws.get_instance_profile(&role);
        if let Some(profile) = known.read(&[resource::INSTANCE_PROFILE], found).await
            && is_ours(&profile.tags, name)
        {
            known.put(resource::INSTANCE_PROFILE, role.clone());
        }
        let found = aws.get_role(&role);
        if let Some(found) = known.read(&[resource::ROLE], found).await
            && is_ours(&found.tags, name)
        {
            known.put(resource::ROLE, role);
        }
    }
    known
}

/// How often an effect without an answer is looked for again.
const LOOKS: u32 = 3;

/// Looks for what exists after `error`, besides what the verb knows of. Where it is unknown what
/// became of a call, EC2 may not list yet what it made: it is looked for again.
pub(super) async fn look_after(
    steps: &Steps<'_>,
    name: &str,
    role: bool,
    error: &Error,
    exists: Vec<Leftover>,
) -> Known {
    let mut known = look(steps, name, role).await;
    let mut poll = steps.poll();
    for _ in 0..LOOKS {
        let news = known.resources.iter().any(|one| !exists.contains(one));
        if !effect_unknown(error) || news || known.unreachable {
            break;
        }
        if !steps.pause(&mut poll).await.unwrap_or(false) {
            break;
        }
        known = look(steps, name, role).await;
    }
    known.with(exists)
}

impl Known {
    /// The answer of one poll. Once AWS cannot be reached, no further poll waits for it.
    async fn read<T: Default>(
        &mut self,
        kinds: &[&'static str],
        look: impl Future<Output = Result<T>>,
    ) -> T {
        if !self.unreachable {
            match look.await {
                Ok(found) => return found,
                Err(error) => self.unreachable = error.code() == Code::Ec2Unreachable,
            }
        }
        self.unread.extend(kinds);
        T::default()
    }

    fn put(&mut self, resource_type: &str, id: String) {
        self.resources.push(Leftover {
            resource_type: resource_type.to_owned(),
            id,
        });
    }

    /// With what the verb itself knows of, which EC2 may not list yet.
    fn with(mut self, exists: Vec<Leftover>) -> Self {
        for one in exists {
            if !self.resources.contains(&one) && !self.ended.contains(&one.id) {
                self.resources.push(one);
            }
        }
        self
    }
}
