//! AllocateAddress and AssociateAddress: an Elastic IP on each primary interface.
//!
//! AllocateAddress has no ClientToken: a lost reply, or two `apply` at once, leave addresses
//! over. They carry our tag, are used before new ones are allocated, and what is left over at the
//! end is released.

use super::{Steps, note, release_address, resource};
use crate::cluster::live_instances;
use crate::ec2::{Address, AttachedInterface, Instance};
use crate::error::{Code, Error, Leftover, Result};
use crate::plan::Plan;
use crate::progress::Action;
use crate::tags;
use crate::types::{CardIndex, DeviceIndex};

/// How often another `apply` may release an address that this one was about to associate.
const ROUNDS: u32 = 5;

/// Gives every instance exactly one Elastic IP.
pub(super) async fn ensure(
    steps: &Steps<'_>,
    plan: &Plan,
    exists: &mut Vec<Leftover>,
) -> Result<()> {
    let mut round = 1;
    while let Err(error) = associate_missing(steps, plan, exists).await {
        if error.ec2_code() != Some("InvalidAllocationID.NotFound") || round == ROUNDS {
            return Err(error);
        }
        round += 1;
    }
    for address in ours(steps, plan).await? {
        if address.association_id.is_none() {
            release_address::release_one(steps.changing()?, &address).await?;
            let detail = "left over by an interrupted call";
            steps.tell(
                Action::Removed,
                resource::ADDRESS,
                &address.allocation_id,
                detail,
            );
            exists.retain(|resource| resource.id != address.allocation_id);
        }
    }
    Ok(())
}

async fn ours(steps: &Steps<'_>, plan: &Plan) -> Result<Vec<Address>> {
    let filter = tags::cluster_filter(&plan.spec.name);
    steps.aws.describe_addresses(&[filter]).await
}

async fn associate_missing(
    steps: &Steps<'_>,
    plan: &Plan,
    exists: &mut Vec<Leftover>,
) -> Result<()> {
    let addresses = ours(steps, plan).await?;
    for address in &addresses {
        list(steps, exists, Action::Found, address);
    }
    let (associated, mut free): (Vec<Address>, Vec<Address>) = addresses
        .into_iter()
        .partition(|address| address.association_id.is_some());
    for instance in live_instances(steps.aws, &plan.spec.name).await? {
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
                let address = steps
                    .changing()?
                    .allocate_address(&plan.shared_tags())
                    .await?;
                list(steps, exists, Action::Created, &address);
                address
            }
        };
        steps
            .changing()?
            .associate_address(&address.allocation_id, id)
            .await?;
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
