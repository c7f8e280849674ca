//! AllocateAddress and AssociateAddress: an Elastic IP on each primary interface.
//!
//! AllocateAddress has no ClientToken: a lost reply, or two `apply` at once, leave addresses
//! over. They carry our tag, are used before new ones are allocated, and what is left over at the
//! end is released.

use std::collections::BTreeMap;
use std::time::Duration;

use super::progress::Action;
use super::release_address::{self, Release};
use super::steps::{SETTLING, Steps, answered, note, timeout};
use crate::cluster::live_instances;
use crate::ec2::{Address, AttachedInterface, Instance, Tags};
use crate::error::{Code, Error, Leftover, Result};
use crate::resource;
use crate::tags;
use crate::types::{CardIndex, DeviceIndex};

/// EC2's answers for what it does not see everywhere yet, and for an address that another `apply`
/// released while this one was about to associate it.
const UNSEEN: &[&str] = &[
    "InvalidAllocationID.NotFound",
    "InvalidNetworkInterfaceID.NotFound",
    "InvalidInstanceID.NotFound",
];

/// How long an address that was made is believed to be there though EC2 does not list it.
const UNLISTED: Duration = Duration::from_secs(15);

/// What this run did that EC2's lists may not show yet.
#[derive(Default)]
struct Done {
    /// Addresses that were made, and until when they are believed to be there unlisted.
    made: Vec<(Address, Duration)>,
    /// The interface of each address that was associated.
    associated: BTreeMap<String, String>,
}

impl Done {
    /// Adds it to what EC2 lists. An address that was listed once is listed until it is gone.
    fn add_to(&mut self, listed: &mut Vec<Address>, now: Duration) {
        let unlisted = |made: &Address| {
            let id = &made.allocation_id;
            !listed.iter().any(|address| address.allocation_id == *id)
        };
        self.made
            .retain(|(made, until)| unlisted(made) && now < *until);
        listed.extend(self.made.iter().map(|(address, _)| address.clone()));
        for address in listed {
            if let Some(interface) = self.associated.get(&address.allocation_id) {
                address.network_interface_id = Some(interface.clone());
                address.association_id.get_or_insert_default();
            }
        }
    }
}

/// Whose addresses they are.
pub(super) struct Owner<'a> {
    /// The cluster's name.
    pub(super) name: &'a str,
    /// The tags of an address that is allocated.
    pub(super) tags: &'a Tags,
}

/// Gives every instance exactly one Elastic IP.
pub(super) async fn ensure(
    steps: &Steps<'_>,
    owner: &Owner<'_>,
    instance_ids: &[String],
    exists: &mut Vec<Leftover>,
) -> Result<()> {
    let mut poll = steps.poll_for(SETTLING.min(steps.wait.timeout));
    let mut done = Done::default();
    while let Err(error) = associate_missing(steps, owner, instance_ids, &mut done, exists).await {
        if !answered(&error, UNSEEN) || !steps.pause(&mut poll).await? {
            return Err(error);
        }
    }
    release_unused(steps, owner, &done, exists).await
}

/// Releases what an interrupted call left over, or an instance that was taken out.
async fn release_unused(
    steps: &Steps<'_>,
    owner: &Owner<'_>,
    done: &Done,
    exists: &mut Vec<Leftover>,
) -> Result<()> {
    let mut poll = steps.poll_for(SETTLING.min(steps.wait.timeout));
    loop {
        let mut free = ours(steps, owner.name).await?;
        let associated = |address: &Address| {
            address.association_id.is_some() || done.associated.contains_key(&address.allocation_id)
        };
        free.retain(|address| !associated(address));
        let mut doubtful = false;
        for address in &free {
            let id = &address.allocation_id;
            // A poll shows whether it is still there after an unanswered call.
            exists.retain(|resource| resource.id != *id);
            match release_address::release_unused(steps.changing()?, address).await? {
                Release::Done => {
                    let detail = "nothing uses it";
                    steps.tell(Action::Removed, resource::ADDRESS, id, detail);
                }
                Release::InUse => {}
                Release::Unknown => doubtful = true,
            }
        }
        if !doubtful || !steps.pause(&mut poll).await? {
            return Ok(());
        }
    }
}

async fn ours(steps: &Steps<'_>, name: &str) -> Result<Vec<Address>> {
    let filter = tags::cluster_filter(name);
    steps.aws.describe_addresses(&[filter]).await
}

async fn associate_missing(
    steps: &Steps<'_>,
    owner: &Owner<'_>,
    instance_ids: &[String],
    done: &mut Done,
    exists: &mut Vec<Leftover>,
) -> Result<()> {
    let mut addresses = ours(steps, owner.name).await?;
    for address in &addresses {
        list(steps, exists, Action::Found, address);
    }
    done.add_to(&mut addresses, steps.now());
    let (associated, mut free): (Vec<Address>, Vec<Address>) = addresses
        .into_iter()
        .partition(|address| address.association_id.is_some());
    for instance in listed(steps, owner.name, instance_ids).await? {
        let primary = primary(&instance)?;
        let id = &primary.network_interface_id;
        let ours = |address: &Address| address.network_interface_id.as_ref() == Some(id);
        // Associating would take an address away that someone else has put there.
        if primary.public_ip.is_some() || associated.iter().any(ours) {
            continue;
        }
        let address = match free.pop() {
            Some(address) => address,
            None => {
                let address = steps.changing()?.allocate_address(owner.tags).await?;
                list(steps, exists, Action::Created, &address);
                done.made.push((address.clone(), steps.now() + UNLISTED));
                address
            }
        };
        steps
            .changing()?
            .associate_address(&address.allocation_id, id)
            .await?;
        done.associated
            .insert(address.allocation_id.clone(), id.clone());
        let detail = format!("{} on {}", address.public_ip, instance.instance_id);
        steps.tell(
            Action::Changed,
            resource::ADDRESS,
            &address.allocation_id,
            detail,
        );
    }
    Ok(())
}

/// The instances, once EC2 lists all of them.
async fn listed(steps: &Steps<'_>, name: &str, ids: &[String]) -> Result<Vec<Instance>> {
    let mut poll = steps.poll_for(SETTLING.min(steps.wait.timeout));
    loop {
        let found = live_instances(steps.aws, name).await?;
        let missing = |id: &&String| !found.iter().any(|i| i.instance_id == **id);
        let Some(missing) = ids.iter().find(missing) else {
            return Ok(found);
        };
        if !steps.pause(&mut poll).await? {
            let what = format!("instance {missing} was not listed by EC2");
            return Err(timeout(&what, SETTLING.min(steps.wait.timeout)));
        }
    }
}

fn list(steps: &Steps<'_>, exists: &mut Vec<Leftover>, action: Action, address: &Address) {
    let (id, detail) = (&address.allocation_id, &address.public_ip);
    if !exists.iter().any(|resource| resource.id == *id) {
        note(steps, exists, action, resource::ADDRESS, id, detail);
    }
}

fn primary(instance: &Instance) -> Result<&AttachedInterface> {
    let is_primary = |interface: &&AttachedInterface| {
        interface.network_card_index == CardIndex::new(0)
            && interface.device_index == DeviceIndex::new(0)
    };
    instance.interfaces.iter().find(is_primary).ok_or_else(|| {
        Error::new(
            Code::Ec2UnexpectedAnswer,
            format!(
                "instance {} has no interface at card 0 device 0",
                instance.instance_id
            ),
        )
        .with_context("instance_id", &instance.instance_id)
    })
}
