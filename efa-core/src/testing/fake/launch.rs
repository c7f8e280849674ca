//! RunInstances: check the request, see what there is room for, make the instances.

use super::instances::Held;
use super::interfaces;
use super::refusal::{Answer, refusal, refuse};
use super::state::{Kind, Launched, State};
use crate::ec2::{
    AttachedInterface, CapacityReservation, Image, Instance, InstanceState, RunInstances, Subnet,
};
use crate::launch::{HttpTokens, InterfaceSpecification, MarketType};
use crate::layout::NetworkInterface;
use crate::quotas;
use crate::spec::Capacity;
use crate::types::PlacementStrategy;

/// A request that EC2 would take, room apart.
struct Launch {
    subnet: Subnet,
    profile_arn: Option<String>,
    /// Addresses that one instance takes from the subnet.
    addresses: u64,
    reservation: Option<CapacityReservation>,
}

impl State {
    /// RunInstances with DryRun: everything but room.
    pub(super) fn dry_run(&mut self, request: &RunInstances) -> Answer<()> {
        self.resolve(request).map(drop)
    }

    /// RunInstances. A token belongs to one launch in each zone.
    pub(super) fn run_instances(&mut self, request: &RunInstances) -> Answer<Vec<Instance>> {
        let zone = self.zone_of(request.data.subnet_id()).unwrap_or_default();
        let known = self
            .launches
            .iter()
            .find(|known| known.zone == zone && known.request.client_token == request.client_token);
        if let Some(known) = known {
            return self.again(known, request);
        }
        let launch = self.resolve(request)?;
        let count = self.room(request, &launch)?;
        let made: Vec<Instance> = (0..count)
            .map(|index| self.make(request, &launch, index))
            .collect();
        self.launches.push(Launched {
            zone,
            request: request.clone(),
            instance_ids: made.iter().map(|i| i.instance_id.clone()).collect(),
        });
        self.settle(self.now);
        Ok(made)
    }

    /// The instances of an earlier launch with this token.
    fn again(&self, known: &Launched, request: &RunInstances) -> Answer<Vec<Instance>> {
        if known.request != *request {
            let message = "Arguments on this idempotent request are inconsistent with arguments \
                           used in previous request(s).";
            return refuse("IdempotentParameterMismatch", message);
        }
        let of_launch = |held: &&Held| known.instance_ids.contains(&held.instance.instance_id);
        let held: Vec<&Held> = self.instances.iter().filter(of_launch).collect();
        if held.iter().any(|held| !held.is_live()) {
            let message = "The instances of the launch with this client token are terminated.";
            return refuse("IdempotentInstanceTerminated", message);
        }
        Ok(held.iter().map(|held| held.instance.clone()).collect())
    }

    fn zone_of(&self, subnet_id: Option<&str>) -> Option<String> {
        let mut subnets = self.subnets.iter();
        let found = subnets.find(|subnet| Some(subnet.subnet_id.as_str()) == subnet_id)?;
        Some(found.availability_zone.clone())
    }

    /// Everything that EC2 checks before it looks for room.
    fn resolve(&mut self, request: &RunInstances) -> Answer<Launch> {
        let data = &request.data;
        let Some(instance_type) = self.types.get(&data.instance_type).cloned() else {
            let message = format!("Invalid value '{}' for InstanceType.", data.instance_type);
            return refuse("InvalidParameterValue", message);
        };
        let image = self.image(&data.image_id)?;
        check_user_data(request)?;
        check_volume(request, &image)?;
        let subnets = self.subnets.iter();
        let subnet_id = data.subnet_id().unwrap_or_default();
        let mut named = subnets.filter(|subnet| subnet.subnet_id == subnet_id);
        let Some(subnet) = named.next().cloned() else {
            let message = format!("The subnet ID '{subnet_id}' does not exist");
            return refuse("InvalidSubnetID.NotFound", message);
        };
        drop(named);
        for group_id in data.network_interfaces.iter().flat_map(|i| &i.groups) {
            self.check_launch_group(group_id, &subnet)?;
        }
        let profile_arn = self.launch_profile(request)?;
        self.check_zone(&data.instance_type, &subnet.availability_zone)?;
        if !instance_type.architectures.contains(&image.architecture) {
            let message = format!(
                "The architecture of the specified instance type does not match the architecture \
                 '{}' of the specified AMI.",
                image.architecture
            );
            return refuse("InvalidParameterValue", message);
        }
        let wanted = data.layout_interfaces();
        interfaces::check(&instance_type, &wanted)?;
        self.check_place(request, &instance_type, &subnet)?;
        check_market(request, &instance_type)?;
        let reservation = self.check_reservation(request, &subnet)?;
        Ok(Launch {
            addresses: wanted.iter().map(addresses).sum(),
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

    fn launch_profile(&mut self, request: &RunInstances) -> Answer<Option<String>> {
        let Some(profile) = &request.data.iam_instance_profile else {
            return Ok(None);
        };
        let propagation = self.settings.profile_propagation;
        self.identities
            .launch_with(&profile.name, propagation)
            .map(Some)
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
        request: &RunInstances,
        instance_type: &crate::catalog::InstanceType,
        subnet: &Subnet,
    ) -> Answer<()> {
        let Some(name) = request.data.placement_group_name() else {
            return Ok(());
        };
        self.check_placement_group(name)?;
        let mut groups = self.placement_groups.iter();
        let clusters =
            groups.any(|g| g.group_name == name && g.strategy == PlacementStrategy::Cluster);
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
            member.placement_group_name.as_deref() == Some(name)
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
        request: &RunInstances,
        subnet: &Subnet,
    ) -> Answer<Option<CapacityReservation>> {
        let Some(id) = request.data.capacity_reservation_id() else {
            return Ok(None);
        };
        let block = request.data.market_type() == Some(&MarketType::CapacityBlock);
        let mut reservations = self.reservations.iter();
        let Some(found) = reservations.find(|r| r.capacity_reservation_id == id) else {
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
        let tenancy = request.data.tenancy().unwrap_or("default");
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
        if found.state != "active" || found.instance_type != request.data.instance_type {
            return Err(reservation_full());
        }
        let mut groups = self.placement_groups.iter();
        let group = request.data.placement_group_name();
        let arn = groups
            .find(|g| Some(g.group_name.as_str()) == group)
            .and_then(|g| g.group_arn.as_ref());
        if group.is_some() && (is_block || found.placement_group_arn.as_ref() != arn) {
            return Err(no_capacity(request, &subnet.availability_zone, &[]));
        }
        Ok(Some(found.clone()))
    }

    /// How many instances there is room for, between the minimum and the maximum.
    fn room(&self, request: &RunInstances, launch: &Launch) -> Answer<u32> {
        let name = &request.data.instance_type;
        let least = request.min_count;
        let mut count = request.max_count;
        if launch.addresses > 0 {
            let free = self.free_addresses(&launch.subnet) / launch.addresses;
            count = count.min(u32::try_from(free).unwrap_or(u32::MAX));
        }
        if count < least {
            let message =
                "The specified subnet does not have enough free addresses to satisfy the request.";
            return refuse("InsufficientFreeAddressesInSubnet", message);
        }
        self.check_quota(request, least)?;
        if let Some(reservation) = &launch.reservation {
            count = count.min(self.available(reservation));
            if count < least {
                return Err(reservation_full());
            }
            return Ok(count);
        }
        let zone = &launch.subnet.availability_zone;
        count = count.min(self.free_capacity(name, zone));
        if count < least {
            let others: Vec<&str> = self
                .zones_of(name)
                .iter()
                .filter(|other| *other != zone)
                .filter(|other| self.free_capacity(name, other) >= least)
                .map(String::as_str)
                .collect();
            return Err(no_capacity(request, zone, &others));
        }
        Ok(count)
    }

    /// Free addresses of a subnet now.
    pub(super) fn free_addresses(&self, subnet: &Subnet) -> u64 {
        let used: u64 = self
            .instances
            .iter()
            .filter(|held| held.instance.subnet_id.as_ref() == Some(&subnet.subnet_id))
            .map(|held| held.addresses)
            .sum();
        u64::from(subnet.available_ip_address_count).saturating_sub(used)
    }

    /// The places of a reservation that nothing runs in.
    pub(super) fn available(&self, reservation: &CapacityReservation) -> u32 {
        let id = Some(&reservation.capacity_reservation_id);
        let used = self
            .live()
            .filter(|i| i.capacity_reservation_id.as_ref() == id);
        let used = u32::try_from(used.count()).unwrap_or(u32::MAX);
        reservation.total_instance_count.saturating_sub(used)
    }

    fn free_capacity(&self, instance_type: &str, zone: &str) -> u32 {
        if self.full_zones.contains(zone) {
            return 0;
        }
        let key = (instance_type.to_owned(), zone.to_owned());
        let Some(limit) = self.capacity.get(&key) else {
            return u32::MAX;
        };
        let used = self.live().filter(|i| {
            i.instance_type == instance_type
                && i.availability_zone == zone
                && i.capacity_reservation_id.is_none()
        });
        limit.saturating_sub(u32::try_from(used.count()).unwrap_or(u32::MAX))
    }

    fn check_quota(&self, request: &RunInstances, least: u32) -> Answer<()> {
        if request.data.capacity_reservation_id().is_some() {
            return Ok(());
        }
        let spot = request.data.market_type() == Some(&MarketType::Spot);
        let capacity = if spot {
            Capacity::Spot
        } else {
            Capacity::OnDemand
        };
        let code = quotas::vcpu_quota_code(&request.data.instance_type, &capacity);
        let Some((code, limit)) = code.and_then(|code| Some((code, self.quotas.get(code)?))) else {
            return Ok(());
        };
        let vcpus = |name: &str| self.types.get(name).map_or(0, |t| t.default_vcpus);
        let used: u32 = self
            .live()
            .filter(|i| quotas::vcpu_quota_code(&i.instance_type, &capacity) == Some(code))
            .filter(|i| (i.lifecycle.as_deref() == Some("spot")) == spot)
            .map(|i| vcpus(&i.instance_type))
            .sum();
        if f64::from(used + least * vcpus(&request.data.instance_type)) <= *limit {
            return Ok(());
        }
        if spot {
            return refuse(
                "MaxSpotInstanceCountExceeded",
                "Max spot instance count exceeded",
            );
        }
        let message = format!(
            "You have requested more vCPU capacity than your current vCPU limit of {limit} allows \
             for the instance bucket that the specified instance type belongs to."
        );
        refuse("VcpuLimitExceeded", message)
    }

    fn make(&mut self, request: &RunInstances, launch: &Launch, index: u32) -> Instance {
        let data = &request.data;
        let lone = data.network_interfaces.len() == 1;
        let interfaces: Vec<AttachedInterface> = data
            .network_interfaces
            .iter()
            .map(|interface| self.attach(lone, launch, interface))
            .collect();
        let mut ordered = interfaces;
        ordered.sort_by_key(|i| (i.network_card_index, i.device_index));
        let primary = ordered.first();
        let instance = Instance {
            instance_id: String::new(),
            instance_type: data.instance_type.clone(),
            state: InstanceState::Pending,
            state_reason: None,
            image_id: data.image_id.clone(),
            subnet_id: Some(launch.subnet.subnet_id.clone()),
            availability_zone: launch.subnet.availability_zone.clone(),
            placement_group_name: data.placement_group_name().map(str::to_owned),
            private_ip_address: primary.and_then(|i| i.private_ip_address.clone()),
            public_ip_address: primary.and_then(|i| i.public_ip.clone()),
            imds_v2_required: data.metadata_options.http_tokens == HttpTokens::Required,
            lifecycle: data.market_type().map(ToString::to_string),
            capacity_reservation_id: launch
                .reservation
                .as_ref()
                .map(|reservation| reservation.capacity_reservation_id.clone()),
            iam_instance_profile_arn: launch.profile_arn.clone(),
            launch_index: index,
            interfaces: ordered,
            tags: data.instance_tags().cloned().unwrap_or_default(),
        };
        let instance = Instance {
            instance_id: self.id("i"),
            ..instance
        };
        self.instances.push(Held {
            instance: instance.clone(),
            since: self.now,
            addresses: launch.addresses,
        });
        self.born(Kind::Instance, &instance.instance_id);
        instance
    }

    fn attach(
        &mut self,
        lone: bool,
        launch: &Launch,
        interface: &InterfaceSpecification,
    ) -> AttachedInterface {
        let has_ip = interface.interface_type.carries_ip();
        let public = interface
            .associate_public_ip_address
            .unwrap_or(launch.subnet.map_public_ip_on_launch);
        // Only a lone interface gets a public address at launch.
        let public = has_ip && public && lone;
        let n = self.number();
        AttachedInterface {
            network_interface_id: self.id("eni"),
            network_card_index: interface.network_card_index,
            device_index: interface.device_index,
            interface_type: interface.interface_type.clone(),
            subnet_id: launch.subnet.subnet_id.clone(),
            group_ids: interface.groups.clone(),
            private_ip_address: has_ip.then(|| self.private_ip(&launch.subnet, n)),
            public_ip: public.then(|| format!("198.51.{}.{}", 100 + n / 254 % 100, 1 + n % 254)),
            delete_on_termination: interface.delete_on_termination,
        }
    }

    fn private_ip(&self, subnet: &Subnet, n: u64) -> String {
        let mut subnets = self.subnets.iter();
        let number = subnets
            .position(|s| s.subnet_id == subnet.subnet_id)
            .unwrap_or(0);
        let host = 4 + n % 4091;
        let third = (number as u64 % 16) * 16 + host / 256;
        format!("172.31.{third}.{}", host % 256)
    }
}

fn addresses(interface: &NetworkInterface) -> u64 {
    u64::from(interface.interface_type.carries_ip())
        + u64::from(interface.ipv4_address_count.unwrap_or(0))
        + 16 * u64::from(interface.ipv4_prefix_count.unwrap_or(0))
}

fn check_user_data(request: &RunInstances) -> Answer<()> {
    let long = |text: &String| text.len() > crate::spec::USER_DATA_LIMIT_BYTES;
    if request.data.user_data.as_ref().is_some_and(long) {
        return refuse(
            "InvalidParameterValue",
            "User data is limited to 16384 bytes",
        );
    }
    Ok(())
}

fn check_volume(request: &RunInstances, image: &Image) -> Answer<()> {
    let devices = &request.data.block_device_mappings;
    let asked = devices.first().and_then(|device| device.ebs.volume_size);
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

fn check_market(
    request: &RunInstances,
    instance_type: &crate::catalog::InstanceType,
) -> Answer<()> {
    let sold = match request.data.market_type() {
        Some(MarketType::Spot) => instance_type.supports_spot(),
        Some(MarketType::CapacityBlock) => instance_type.supports_capacity_block(),
        _ => true,
    };
    if sold {
        return Ok(());
    }
    let message = "The requested configuration is currently not supported. Please check the \
                   documentation for supported configurations.";
    refuse("Unsupported", message)
}

fn reservation_full() -> super::refusal::Refusal {
    refusal(
        "ReservationCapacityExceeded",
        "The requested reservation does not have sufficient compatible and available capacity for \
         this request.",
    )
}

fn no_capacity(request: &RunInstances, zone: &str, others: &[&str]) -> super::refusal::Refusal {
    let name = &request.data.instance_type;
    let mut message = format!(
        "We currently do not have sufficient {name} capacity in the Availability Zone you \
         requested ({zone}). Our system will be working on provisioning additional capacity."
    );
    if !others.is_empty() {
        message += &format!(
            " You can currently get {name} capacity by not specifying an Availability Zone in your \
             request or choosing {}.",
            others.join(", ")
        );
    }
    refusal("InsufficientInstanceCapacity", message)
}
