//! How many instances of a launch there is room for: addresses, quota, reservation, capacity.

use super::launch_checks::Launch;
use super::refusal::{Answer, no_capacity, refuse, reservation_full};
use super::request::Request;
use super::state::State;
use crate::ec2::{CapacityReservation, Market, Subnet};
use crate::preflight::quotas;
use crate::spec::Capacity;

impl State {
    /// As many instances as there is room for, between the minimum and the maximum: for each, the
    /// reservation that it runs in.
    pub(super) fn room(&self, request: &Request, launch: &Launch) -> Answer<Vec<Option<String>>> {
        let least = request.minimum_count;
        let mut count = request.count;
        let free = self.free_addresses(&launch.subnet);
        if let Some(fit) = free.checked_div(launch.addresses) {
            count = count.min(u32::try_from(fit).unwrap_or(u32::MAX));
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
            let id = Some(reservation.capacity_reservation_id.clone());
            return Ok((0..count).map(|_| id.clone()).collect());
        }
        if let Market::ReservationGroup(arn) = &request.market {
            let places = self.group_places(arn, request, &launch.subnet.availability_zone);
            if places.len() < least as usize {
                return Err(reservation_full());
            }
            let granted = places.into_iter().map(Some);
            return Ok(granted.take(count as usize).collect());
        }
        let zone = &launch.subnet.availability_zone;
        let places = self.open_places(request, zone).into_iter().map(Some);
        let mut granted: Vec<Option<String>> = places.take(count as usize).collect();
        let rest = (granted.len()..count as usize).map(|_| None);
        let free = self.free_capacity(&request.instance_type, zone);
        granted.extend(rest.take(free as usize));
        if granted.len() < least as usize {
            let others: Vec<&str> = self
                .zones_of(&request.instance_type)
                .iter()
                .filter(|other| *other != zone)
                .filter(|other| self.free_capacity(&request.instance_type, other) >= least)
                .map(String::as_str)
                .collect();
            return Err(no_capacity(&request.instance_type, zone, &others));
        }
        Ok(granted)
    }

    /// The free places of open reservations that the launch matches, each with the reservation's
    /// id. One that was made in a placement group takes only launches into it.
    fn open_places(&self, request: &Request, zone: &str) -> Vec<String> {
        if request.market != Market::OnDemand {
            return Vec::new();
        }
        let group = request.placement_group_name.as_ref();
        let mut groups = self.placement_groups.iter();
        let arn = groups
            .find(|one| Some(&one.group_name) == group)
            .and_then(|one| one.group_arn.as_ref());
        let fits = |one: &&CapacityReservation| {
            one.instance_match_criteria == "open"
                && one.reservation_type != "capacity-block"
                && one.state == "active"
                && one.instance_type == request.instance_type
                && one.availability_zone == zone
                && one.tenancy == request.tenancy.as_deref().unwrap_or("default")
                && (one.placement_group_arn.is_none() || one.placement_group_arn.as_ref() == arn)
        };
        let fitting = self.reservations.iter().filter(fits);
        fitting
            .flat_map(|one| (0..self.available(one)).map(|_| one.capacity_reservation_id.clone()))
            .collect()
    }

    /// The free places of a resource group's on-demand reservations that the launch matches, each
    /// with the reservation's id.
    fn group_places(&self, arn: &str, request: &Request, zone: &str) -> Vec<String> {
        let mut groups = self.reservation_groups.iter();
        let ids = groups.find(|(group, _)| group == arn).map(|(_, ids)| ids);
        let fits = |one: &&CapacityReservation| {
            ids.is_some_and(|ids| ids.contains(&one.capacity_reservation_id))
                && one.reservation_type != "capacity-block"
                && one.state == "active"
                && one.instance_type == request.instance_type
                && one.availability_zone == zone
                && one.tenancy == request.tenancy.as_deref().unwrap_or("default")
                && one.placement_group_arn.is_none()
        };
        let fitting = self.reservations.iter().filter(fits);
        fitting
            .flat_map(|one| (0..self.available(one)).map(|_| one.capacity_reservation_id.clone()))
            .collect()
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

    fn check_quota(&self, request: &Request, least: u32) -> Answer<()> {
        let capacity = match &request.market {
            Market::OnDemand | Market::Open => Capacity::OnDemand,
            Market::Spot => Capacity::Spot,
            Market::Reservation(_) | Market::CapacityBlock(_) | Market::ReservationGroup(_) => {
                return Ok(());
            }
        };
        let spot = capacity == Capacity::Spot;
        let code = quotas::vcpu_quota_code(&request.instance_type, &capacity);
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
        if f64::from(used + least * vcpus(&request.instance_type)) <= *limit {
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
}
