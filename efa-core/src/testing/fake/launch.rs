//! RunInstances: one launch for each token; its instances.

use super::launch_checks::Launch;
use super::refusal::{Answer, refuse, unknown_placement_group};
use super::request::Request;
use super::state::{Held, Kind, Launched, State};
use crate::ec2::{AttachedInterface, Instance, InstanceState, Market, RunInstances, Subnet};
use crate::launch::InterfaceSpecification;

impl State {
    /// RunInstances with DryRun: everything but room.
    pub(super) fn dry_run(&mut self, request: &RunInstances) -> Answer<()> {
        let request = self.read(request)?;
        self.resolve(&request).map(drop)
    }

    /// RunInstances. A token belongs to one launch in each zone.
    pub(super) fn run_instances(&mut self, sent: &RunInstances) -> Answer<Vec<Instance>> {
        let request = &self.read(sent)?;
        let zone = self.zone_of(&request.subnet_id).unwrap_or_default();
        let known = self
            .launches
            .iter()
            .find(|known| known.zone == zone && known.request.client_token == sent.client_token);
        if let Some(known) = known {
            return self.again(known, sent);
        }
        let launch = self.resolve(request)?;
        let granted = self.room(request, &launch)?;
        let made: Vec<Instance> = (0..)
            .zip(granted)
            .map(|(index, reservation)| self.make(request, &launch, index, reservation))
            .collect();
        self.launches.push(Launched {
            zone,
            request: sent.clone(),
            instance_ids: made.iter().map(|i| i.instance_id.clone()).collect(),
        });
        self.settle(self.now);
        Ok(made)
    }

    /// The instances of an earlier launch with this token.
    fn again(&self, known: &Launched, sent: &RunInstances) -> Answer<Vec<Instance>> {
        if known.request != *sent {
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

    /// The request, with the name of a placement group that it names by id.
    fn read(&self, sent: &RunInstances) -> Answer<Request> {
        let mut request = Request::from(sent);
        if let Some(id) = &request.placement_group_id {
            let shared = &self.shared_placement_groups;
            let mut all = self.placement_groups.iter().chain(shared);
            let Some(group) = all.find(|group| group.group_id == *id) else {
                return Err(unknown_placement_group(id));
            };
            request.placement_group_name = Some(group.group_name.clone());
        }
        Ok(request)
    }

    fn zone_of(&self, subnet_id: &str) -> Option<String> {
        let mut subnets = self.subnets.iter();
        let found = subnets.find(|subnet| subnet.subnet_id == subnet_id)?;
        Some(found.availability_zone.clone())
    }

    fn make(
        &mut self,
        request: &Request,
        launch: &Launch,
        index: u32,
        reservation: Option<String>,
    ) -> Instance {
        let mut interfaces: Vec<AttachedInterface> = request
            .interfaces
            .iter()
            .map(|interface| self.attach(request, launch, interface))
            .collect();
        interfaces.sort_by_key(|i| (i.network_card_index, i.device_index));
        let primary = interfaces.first();
        let instance = Instance {
            instance_id: self.id("i"),
            instance_type: request.instance_type.clone(),
            state: InstanceState::Pending,
            state_reason: None,
            image_id: request.image_id.clone(),
            subnet_id: Some(request.subnet_id.clone()),
            availability_zone: launch.subnet.availability_zone.clone(),
            placement_group_name: request.placement_group_name.clone(),
            private_ip_address: primary.and_then(|i| i.private_ip_address.clone()),
            ipv6_address: primary.and_then(|i| i.ipv6_addresses.first().cloned()),
            public_ip_address: primary.and_then(|i| i.public_ip.clone()),
            imds_v2_required: request.imds_v2_required,
            lifecycle: match request.market {
                Market::Spot => Some("spot".to_owned()),
                Market::CapacityBlock(_) => Some("capacity-block".to_owned()),
                _ => None,
            },
            capacity_reservation_id: reservation,
            iam_instance_profile_arn: launch.profile_arn.clone(),
            launch_index: index,
            interfaces,
            tags: request.tags.clone(),
        };
        let late_failure = self.late_failure(&instance.availability_zone);
        self.instances.push(Held {
            late_failure,
            instance: instance.clone(),
            since: self.now,
            addresses: launch.addresses,
        });
        self.born(Kind::Instance, &instance.instance_id);
        instance
    }

    /// The reason that a test has ordered for an instance of this zone.
    fn late_failure(&mut self, zone: &str) -> Option<String> {
        let orders = &mut self.settings.late_failures;
        let order = orders
            .iter_mut()
            .find(|(of, _, left)| *left > 0 && (of.is_empty() || of == zone))?;
        order.2 -= 1;
        Some(order.1.clone())
    }

    fn attach(
        &mut self,
        request: &Request,
        launch: &Launch,
        interface: &InterfaceSpecification,
    ) -> AttachedInterface {
        let has_ip = interface.interface_type.carries_ip();
        let public = interface
            .associate_public_ip_address
            .unwrap_or(launch.subnet.map_public_ip_on_launch);
        // Only a lone interface gets a public address at launch.
        let public = has_ip && public && request.interfaces.len() == 1;
        let n = self.number();
        let ipv6_only = launch.subnet.ipv6_native;
        // An IPv6-only subnet gives each interface one, whether it is asked for or not.
        let ipv6 = interface.ipv6_address_count.unwrap_or(u32::from(ipv6_only));
        let ipv6 = if has_ip { ipv6 } else { 0 };
        AttachedInterface {
            network_interface_id: self.id("eni"),
            network_card_index: interface.network_card_index,
            device_index: interface.device_index,
            interface_type: interface.interface_type.clone(),
            subnet_id: request.subnet_id.clone(),
            group_ids: interface.groups.clone(),
            private_ip_address: (has_ip && !ipv6_only).then(|| self.private_ip(&launch.subnet, n)),
            ipv6_addresses: (0..ipv6)
                .map(|at| format!("2600:1f18::{n:x}:{at:x}"))
                .collect(),
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
