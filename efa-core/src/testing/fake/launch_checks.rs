//! What EC2 checks of a launch before it looks for room.

use super::interfaces;
use super::refusal::{Answer, no_capacity, refusal, refuse, reservation_full};
use super::request::Request;
use super::state::State;
use crate::catalog::InstanceType;
use crate::ec2::{CapacityReservation, Image, Market, Subnet};
use crate::launch::UserData;
use crate::layout::NetworkInterface;
use crate::types::PlacementStrategy;

/// A request that EC2 would take, room apart.
pub(super) struct Launch {
    pub(super) subnet: Subnet,
    pub(super) profile_arn: Option<String>,
    /// Addresses that one instance takes from the subnet.
    pub(super) addresses: u64,
    pub(super) reservation: Option<CapacityReservation>,
}

impl State {
    /// Everything that EC2 checks before it looks for room.
    pub(super) fn resolve(&mut self, request: &Request) -> Answer<Launch> {
        let Some(instance_type) = self.types.get(&request.instance_type).cloned() else {
            let message = format!(
                "Invalid value '{}' for InstanceType.",
                request.instance_type
            );
            return refuse("InvalidParameterValue", message);
        };
        let image = self.image(&request.image_id)?;
        check_user_data(request)?;
        check_volume(request, &image)?;
        let subnets = self.subnets.iter();
        let mut named = subnets.filter(|subnet| subnet.subnet_id == request.subnet_id);
        let Some(subnet) = named.next().cloned() else {
            let message = format!("The subnet ID '{}' does not exist", request.subnet_id);
            return refuse("InvalidSubnetID.NotFound", message);
        };
        drop(named);
        check_addresses(request, &subnet)?;
        for group_id in &request.security_group_ids {
            self.check_launch_group(group_id, &subnet)?;
        }
        let profile_arn = self.launch_profile(request)?;
        self.check_zone(&request.instance_type, &subnet.availability_zone)?;
        if !instance_type.architectures.contains(&image.architecture) {
            let message = format!(
                "The architecture of the specified instance type does not match the architecture \
                 '{}' of the specified AMI.",
                image.architecture
            );
            return refuse("InvalidParameterValue", message);
        }
        interfaces::check_interfaces(&instance_type, &request.layout)?;
        self.check_place(request, &instance_type, &subnet)?;
        check_market(request, &instance_type)?;
        let reservation = self.check_reservation(request, &subnet)?;
        Ok(Launch {
            addresses: match subnet.ipv6_native {
                true => 0,
                false => request.layout.iter().map(addresses).sum(),
            },
            subnet,
            profile_arn,
            reservation,
        })
    }

    fn image(&self, id: &str) -> Answer<Image> {
        let found = self.images.iter().find(|image| image.image_id == id);
        found.cloned().ok_or_else(|| {
            refusal(
                "InvalidAMIID.NotFound",
                format!("The image id '[{id}]' does not exist"),
            )
        })
    }

    fn check_launch_group(&mut self, group_id: &str, subnet: &Subnet) -> Answer<()> {
        self.check_group(group_id)?;
        let mut groups = self.security_groups.iter();
        let found = groups.find(|group| group.group_id == group_id);
        if found.is_some_and(|group| group.vpc_id != subnet.vpc_id) {
            let message = format!(
                "Security group {group_id} and subnet {} belong to different networks.",
                subnet.subnet_id
            );
            return refuse("InvalidParameter", message);
        }
        Ok(())
    }

    fn launch_profile(&mut self, request: &Request) -> Answer<Option<String>> {
        let Some(name) = &request.iam_instance_profile else {
            return Ok(None);
        };
        let propagation = self.settings.profile_propagation;
        self.identities.launch_with(name, propagation).map(Some)
    }

    fn check_zone(&self, instance_type: &str, zone: &String) -> Answer<()> {
        let zones = self.zones_of(instance_type);
        if zones.contains(zone) {
            return Ok(());
        }
        if zones.is_empty() {
            let message = "The requested configuration is currently not supported. Please check \
                           the documentation for supported configurations.";
            return refuse("Unsupported", message);
        }
        let message = format!(
            "Your requested instance type ({instance_type}) is not supported in your requested \
             Availability Zone ({zone}). Please retry your request by not specifying an \
             Availability Zone or choosing {}.",
            zones.join(", ")
        );
        refuse("Unsupported", message)
    }

    /// A cluster placement group is in one zone, and takes only some types.
    fn check_place(
        &mut self,
        request: &Request,
        instance_type: &InstanceType,
        subnet: &Subnet,
    ) -> Answer<()> {
        let Some(name) = &request.placement_group_name else {
            return Ok(());
        };
        if request.placement_group_id.is_none() {
            self.check_placement_group(name)?;
        }
        let mut groups = self.placement_groups.iter();
        let clusters =
            groups.any(|g| g.group_name == *name && g.strategy == PlacementStrategy::Cluster);
        if !clusters {
            return Ok(());
        }
        if !instance_type.supports_cluster_placement() {
            let message = format!(
                "Cluster placement groups are not supported by the '{}' instance type. Specify a \
                 supported instance type or change the placement group strategy, and try again.",
                instance_type.name
            );
            return refuse("InvalidParameterCombination", message);
        }
        let elsewhere = self.live().find(|member| {
            member.placement_group_name.as_ref() == Some(name)
                && member.availability_zone != subnet.availability_zone
        });
        if let Some(member) = elsewhere {
            let message = format!(
                "The placement group '{name}' is in use in another availability zone: {}",
                member.availability_zone
            );
            return refuse("InvalidPlacementGroup.InUse", message);
        }
        Ok(())
    }

    fn check_reservation(
        &self,
        request: &Request,
        subnet: &Subnet,
    ) -> Answer<Option<CapacityReservation>> {
        let (id, block) = match &request.market {
            Market::Reservation(id) => (id, false),
            Market::CapacityBlock(id) => (id, true),
            _ => return Ok(None),
        };
        let mut reservations = self.reservations.iter();
        let Some(found) = reservations.find(|r| r.capacity_reservation_id == *id) else {
            let message = format!("The capacity reservation ID '{id}' does not exist");
            return refuse("InvalidCapacityReservationId.NotFound", message);
        };
        let is_block = found.reservation_type == "capacity-block";
        if is_block && !block {
            let message = "The market type (purchasing) option is not valid. Choose a different \
                           market type and try again";
            return refuse("InvalidParameterValue", message);
        }
        if block && !is_block {
            let message = "The market type capacity-block requires a Capacity Block reservation as the target.";
            return refuse("InvalidParameterCombination", message);
        }
        if found.availability_zone != subnet.availability_zone {
            let message = format!(
                "The Availability Zone of the subnet ({}) is not the capacity reservation's ({}).",
                subnet.availability_zone, found.availability_zone
            );
            return refuse("InvalidParameterValue", message);
        }
        let tenancy = request.tenancy.as_deref().unwrap_or("default");
        if found.tenancy != tenancy {
            let message = format!(
                "The tenancy {tenancy} is not the capacity reservation's ({}).",
                found.tenancy
            );
            return refuse("InvalidParameterValue", message);
        }
        if is_block && found.state != "active" {
            let message = format!("Your Capacity Block reservation {id} is not active yet.");
            return refuse("InvalidParameterValue", message);
        }
        if found.state != "active" || found.instance_type != request.instance_type {
            return Err(reservation_full());
        }
        let shared = &self.shared_placement_groups;
        let mut groups = self.placement_groups.iter().chain(shared);
        let group = request.placement_group_name.as_ref();
        let arn = groups
            .find(|g| Some(&g.group_name) == group)
            .and_then(|g| g.group_arn.as_ref());
        // A reservation outside of every group may launch into one.
        let made_elsewhere = found
            .placement_group_arn
            .as_ref()
            .is_some_and(|own| Some(own) != arn);
        if group.is_some() && (is_block || made_elsewhere) {
            return Err(no_capacity(
                &request.instance_type,
                &subnet.availability_zone,
                &[],
            ));
        }
        Ok(Some(found.clone()))
    }
}

fn addresses(interface: &NetworkInterface) -> u64 {
    u64::from(interface.interface_type.carries_ip())
        + u64::from(interface.ipv4_address_count.unwrap_or(0))
        + 16 * u64::from(interface.ipv4_prefix_count.unwrap_or(0))
}

/// An IPv6-only subnet has no IPv4 address to give, and another of the fake no IPv6 range.
fn check_addresses(request: &Request, subnet: &Subnet) -> Answer<()> {
    let id = &subnet.subnet_id;
    let ipv4 = |i: &NetworkInterface| {
        i.associate_public_ip_address == Some(true)
            || i.ipv4_address_count.is_some()
            || i.ipv4_prefix_count.is_some()
    };
    if subnet.ipv6_native && request.layout.iter().any(ipv4) {
        let message = format!("The subnet '{id}' is IPv6-only and gives no IPv4 addresses.");
        return refuse("InvalidParameterCombination", message);
    }
    let asks = request
        .interfaces
        .iter()
        .find(|i| i.ipv6_address_count.is_some_and(|count| count > 0));
    let Some(asks) = asks else {
        return Ok(());
    };
    if !subnet.ipv6_native {
        let message = format!("The subnet '{id}' has no IPv6 CIDR block.");
        return refuse("InvalidParameterValue", message);
    }
    let of_efa_only = request
        .interfaces
        .iter()
        .any(|i| i.ipv6_address_count.is_some() && !i.interface_type.carries_ip());
    if of_efa_only {
        let message = format!(
            "Ipv6AddressCount is not valid for interface type {}.",
            asks.interface_type
        );
        return refuse("InvalidParameterValue", message);
    }
    Ok(())
}

fn check_user_data(request: &Request) -> Answer<()> {
    let long = |data: &UserData| data.as_bytes().len() > crate::types::USER_DATA_LIMIT_BYTES;
    if request.user_data.as_ref().is_some_and(long) {
        return refuse(
            "InvalidParameterValue",
            "User data is limited to 16384 bytes",
        );
    }
    Ok(())
}

fn check_volume(request: &Request, image: &Image) -> Answer<()> {
    let asked = request.volume_size_gib;
    if let (Some(size), Some(least)) = (asked, image.root_volume_size_gib)
        && size < least
    {
        let message = format!(
            "Volume of size {size}GB is smaller than the image's snapshot, expect size >= {least}GB"
        );
        return refuse("InvalidBlockDeviceMapping", message);
    }
    Ok(())
}

fn check_market(request: &Request, instance_type: &InstanceType) -> Answer<()> {
    let sold = match request.market {
        Market::Spot => instance_type.supports_spot(),
        Market::CapacityBlock(_) => instance_type.supports_capacity_block(),
        _ => true,
    };
    if sold {
        return Ok(());
    }
    let message = "The requested configuration is currently not supported. Please check the \
                   documentation for supported configurations.";
    refuse("Unsupported", message)
}
