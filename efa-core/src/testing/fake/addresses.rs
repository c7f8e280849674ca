//! Elastic IPs and the interfaces that they are on; interfaces that outlived their instance.

use super::refusal::{Answer, refuse, unknown_allocation, unknown_interface};
use super::state::{Held, Kind, Leftover, State};
use crate::ec2::{Address, FreeInterface, Tags};

impl State {
    pub(super) fn listed_addresses(&mut self) -> Vec<Address> {
        let unseen = self.unseen(Kind::Address);
        let shown = self.addresses.iter();
        shown
            .filter(|address| !unseen.contains(&address.allocation_id))
            .cloned()
            .collect()
    }

    pub(super) fn allocate_address(&mut self, tags: &Tags) -> Address {
        let n = self.number();
        let address = Address {
            allocation_id: self.id("eipalloc"),
            association_id: None,
            public_ip: format!("203.0.{}.{}", 113 + n / 254 % 100, 1 + n % 254),
            instance_id: None,
            network_interface_id: None,
            tags: tags.clone(),
        };
        self.addresses.push(address.clone());
        self.born(Kind::Address, &address.allocation_id);
        address
    }

    fn check_allocation(&mut self, id: &str) -> Answer<()> {
        let exists = self.addresses.iter().any(|a| a.allocation_id == id);
        if exists && self.sees(Kind::Address, id) {
            return Ok(());
        }
        Err(unknown_allocation(id))
    }

    /// AssociateAddress: an address that is elsewhere moves, one that was there goes.
    pub(super) fn associate_address(&mut self, allocation: &str, interface: &str) -> Answer<()> {
        self.check_allocation(allocation)?;
        let holder = self.live().find_map(|instance| {
            let mut interfaces = instance.interfaces.iter();
            let found = interfaces.find(|i| i.network_interface_id == interface)?;
            Some((
                instance.instance_id.clone(),
                found.private_ip_address.is_some(),
            ))
        });
        let Some((instance_id, has_ip)) = holder else {
            return Err(unknown_interface(interface));
        };
        if !has_ip {
            let message = "EFA-only network interfaces take no IP addresses: an Elastic IP may \
                           not be specified.";
            return refuse("InvalidParameterValue", message);
        }
        self.detach(|address| {
            address.allocation_id == allocation
                || address.network_interface_id.as_deref() == Some(interface)
        });
        let association = self.id("eipassoc");
        for address in &mut self.addresses {
            if address.allocation_id == allocation {
                address.association_id = Some(association.clone());
                address.instance_id = Some(instance_id.clone());
                address.network_interface_id = Some(interface.to_owned());
                let ip = address.public_ip.clone();
                show_ip(&mut self.instances, interface, Some(&ip));
            }
        }
        Ok(())
    }

    pub(super) fn disassociate_address(&mut self, association: &str) -> Answer<()> {
        let named = |address: &Address| address.association_id.as_deref() == Some(association);
        let Some(id) = self.addresses.iter().find(|a| named(a)) else {
            let message = format!("The association ID '{association}' does not exist");
            return refuse("InvalidAssociationID.NotFound", message);
        };
        let id = id.allocation_id.clone();
        self.check_allocation(&id)?;
        self.detach(named);
        Ok(())
    }

    /// ReleaseAddress. In a default VPC, EC2 takes the address off its interface too.
    pub(super) fn release_address(&mut self, allocation: &str) -> Answer<()> {
        self.check_allocation(allocation)?;
        self.detach(|address| address.allocation_id == allocation);
        self.addresses.retain(|a| a.allocation_id != allocation);
        self.gone(Kind::Address, allocation);
        Ok(())
    }

    fn detach(&mut self, which: impl Fn(&Address) -> bool) {
        for address in self.addresses.iter_mut().filter(|address| which(address)) {
            if let Some(interface) = address.network_interface_id.take() {
                show_ip(&mut self.instances, &interface, None);
            }
            address.association_id = None;
            address.instance_id = None;
        }
    }

    /// Interfaces of instances, and those without one.
    pub(super) fn all_interfaces(&self) -> Vec<Leftover> {
        let mut all = self.leftovers.clone();
        for instance in self.live() {
            all.extend(instance.interfaces.iter().map(|interface| Leftover {
                interface: FreeInterface {
                    network_interface_id: interface.network_interface_id.clone(),
                    status: "in-use".to_owned(),
                },
                group_ids: interface.group_ids.clone(),
                tags: instance.tags.clone(),
            }));
        }
        all
    }

    pub(super) fn delete_network_interface(&mut self, id: &str) -> Answer<()> {
        let before = self.leftovers.len();
        self.leftovers
            .retain(|left| left.interface.network_interface_id != id);
        if self.leftovers.len() == before {
            return Err(unknown_interface(id));
        }
        Ok(())
    }
}

/// Shows an address, or none, on an interface and its instance.
fn show_ip(instances: &mut [Held], interface: &str, ip: Option<&str>) {
    for held in instances {
        let mut interfaces = held.instance.interfaces.iter_mut();
        if let Some(found) = interfaces.find(|i| i.network_interface_id == interface) {
            found.public_ip = ip.map(str::to_owned);
            held.instance.public_ip_address = ip.map(str::to_owned);
        }
    }
}
