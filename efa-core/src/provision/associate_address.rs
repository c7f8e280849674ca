//! AllocateAddress and AssociateAddress: an Elastic IP on each primary interface.

use super::{Steps, note, resource};
use crate::cluster::live_instances;
use crate::ec2::{Address, AttachedInterface, Instance};
use crate::error::{Code, Error, Leftover, Result};
use crate::plan::Plan;
use crate::progress::Action;
use crate::tags;
use crate::types::{CardIndex, DeviceIndex};

/// Gives every instance an Elastic IP, using addresses of ours that are free first.
pub(super) async fn ensure(
    steps: &Steps<'_>,
    plan: &Plan,
    exists: &mut Vec<Leftover>,
) -> Result<()> {
    let addresses = steps
        .ec2
        .describe_addresses(&[tags::cluster_filter(&plan.spec.name)])
        .await?;
    for address in &addresses {
        note(
            steps,
            exists,
            Action::Found,
            resource::ADDRESS,
            &address.allocation_id,
            &address.public_ip,
        );
    }
    let mut free: Vec<Address> = addresses
        .iter()
        .filter(|a| a.association_id.is_none())
        .cloned()
        .collect();
    for instance in live_instances(steps.ec2, &plan.spec.name).await? {
        let primary = &primary(&instance)?.network_interface_id;
        let on_primary = |address: &Address| address.network_interface_id.as_ref() == Some(primary);
        if addresses.iter().any(on_primary) {
            continue;
        }
        let address = match free.pop() {
            Some(address) => address,
            None => {
                let address = steps.ec2.allocate_address(&plan.shared_tags()).await?;
                note(
                    steps,
                    exists,
                    Action::Created,
                    resource::ADDRESS,
                    &address.allocation_id,
                    &address.public_ip,
                );
                address
            }
        };
        steps
            .ec2
            .associate_address(&address.allocation_id, primary)
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
