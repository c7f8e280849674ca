//! An in-memory AWS: one region with what the verbs call, and the rules of EC2 that matter.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::PausedClock;
use super::call::ENDPOINT;
use crate::client::Client;
use crate::clock::Clock;
use crate::ec2::{
    Address, CapacityBlockOffering, CapacityReservation, Image, Instance, LaunchTemplate,
    PlacementGroup, SecurityGroup, Subnet, Tags, Vpc, VpcEndpoint,
};
use crate::error::{Leftover, Result};
use crate::failure::{self, Attempts};
use crate::resource;
use crate::spec::ClusterSpec;
use crate::types::{Architecture, PlacementStrategy};

mod account;
mod addresses;
mod calls;
mod commands;
mod filters;
mod groups;
mod iam;
mod instances;
mod interfaces;
mod launch;
mod launch_checks;
mod purchases;
mod refusal;
mod region;
mod request;
mod room;
mod run_command;
mod state;

pub use commands::CommandOutcome;
use refusal::Answer;
use state::{Endpoint, KeyPair, State};

/// One region of AWS in memory, for tests. Clones are the same region.
///
/// A new one has a default VPC with a subnet in each of three zones and a NAT gateway, Amazon Linux 2023 and Deep
/// Learning images, every instance type of the bundled catalog in every zone, and room for any
/// launch. Time passes on its [`PausedClock`]: instances take 20 s to run and 40 s to terminate,
/// and no test waits for it.
///
/// It keeps EC2's rules for what the verbs of [`Client`] call: client tokens, names that are
/// taken, what is in use and cannot be deleted, the interfaces that a type takes, zones and
/// placement groups, addresses of subnets, capacity, reservations and quotas, instance profiles
/// that EC2 learns of late. Errors are those of the real implementation. It does not check IAM
/// permissions, and has no paging and no throttling: [`Failing`](super::Failing) refuses and
/// throttles on order.
#[derive(Debug, Clone)]
pub struct FakeAws {
    region: String,
    clock: PausedClock,
    state: Arc<Mutex<State>>,
}

impl Default for FakeAws {
    fn default() -> Self {
        Self::new()
    }
}

impl FakeAws {
    /// Creates the region `us-east-1` with the zones `a`, `b` and `c`.
    #[must_use]
    pub fn new() -> Self {
        Self::in_region("us-east-1")
    }

    /// Returns the region of this name with the zones `a`, `b` and `c`.
    #[must_use]
    pub fn in_region(region: &str) -> Self {
        let mut state = State::empty(region);
        region::furnish(&mut state);
        Self {
            region: region.to_owned(),
            clock: PausedClock::new(),
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// Creates a region of its own that is as this one is now, ids and time included.
    #[must_use]
    pub fn fork(&self) -> Self {
        let (state, clock) = (self.state().clone(), PausedClock::new());
        clock.advance(self.clock.now());
        Self {
            region: self.region.clone(),
            clock,
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// Returns a client of this region that waits on its clock.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::new(Arc::new(self.clone())).with_clock(Arc::new(self.clock.clone()))
    }

    /// Returns the clock that the region goes by.
    #[must_use]
    pub fn clock(&self) -> &PausedClock {
        &self.clock
    }

    /// Returns a specification that works here: any subnet of the default VPC, Amazon Linux 2023.
    #[must_use]
    pub fn spec(&self, name: &str, instance_type: &str, count: u32) -> ClusterSpec {
        let state = self.state();
        let known = state.types.get(instance_type);
        let architecture = known
            .and_then(|t| t.architectures.first())
            .unwrap_or(&Architecture::X86_64);
        let image = state
            .images
            .iter()
            .find(|image| image.architecture == *architecture && image.name.starts_with("al2023"));
        let image = image.map_or("ami-none", |image| &image.image_id);
        let ids: Vec<&str> = state.subnets.iter().map(|s| s.subnet_id.as_str()).collect();
        let mut spec = ClusterSpec::new(name, instance_type, count, ids[0], image);
        spec.subnets = ids
            .iter()
            .map(|id| crate::spec::Selector::Id((*id).to_owned()))
            .collect();
        spec
    }

    fn state(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.settle(self.clock.now());
        state
    }

    fn on<T>(&self, action: &str, call: impl FnOnce(&mut State) -> Answer<T>) -> Result<T> {
        call(&mut self.state()).map_err(|refusal| {
            let error = failure::refused(action, refusal.code, &refusal.message);
            let attempts = Attempts::one(&error);
            failure::of_call(error, action, ENDPOINT, attempts)
        })
    }
}

/// How the region behaves. All of it can change at any time.
impl FakeAws {
    /// Leaves no room in a zone for any type; a reservation keeps its places.
    pub fn fill_zone(&self, zone: &str) {
        self.state().full_zones.insert(zone.to_owned());
    }

    /// Sets how many instances of a type a zone has room for, those that run included.
    pub fn set_capacity(&self, instance_type: &str, zone: &str, count: u32) {
        let key = (instance_type.to_owned(), zone.to_owned());
        let mut state = self.state();
        state.full_zones.remove(zone);
        state.capacity.insert(key, count);
    }

    /// Offers a type in these zones only; in none, the region does not offer it.
    pub fn set_offered(&self, instance_type: &str, zones: &[&str]) {
        let zones = zones.iter().map(|&zone| zone.to_owned()).collect();
        self.state().offered.insert(instance_type.to_owned(), zones);
    }

    /// Sets the free addresses of every subnet of a zone while nothing runs there.
    pub fn set_free_addresses(&self, zone: &str, count: u32) {
        for subnet in &mut self.state().subnets {
            if subnet.availability_zone == zone {
                subnet.available_ip_address_count = count;
            }
        }
    }

    /// Sets a quota of EC2 by its code, such as `L-417A185B`.
    pub fn set_quota(&self, code: &str, value: f64) {
        self.state().quotas.insert(code.to_owned(), value);
    }

    /// Changes what EC2 shows of a VPC, and every subnet and image: owner, tenancy, state, platform.
    pub fn change(&self, change: impl Fn(&mut Vpc, &mut [Subnet], &mut [Image])) {
        let mut state = self.state();
        let State {
            vpcs,
            subnets,
            images,
            ..
        } = &mut *state;
        change(&mut vpcs[0], subnets, images);
    }

    /// Routes 0.0.0.0/0 of the VPC to this target (`nat-…`, `igw-…`), or nowhere.
    pub fn set_default_route(&self, target: Option<&str>) {
        for table in &mut self.state().route_tables {
            table.default_route_target = target.map(str::to_owned);
        }
    }

    /// Adds an interface endpoint of a service, such as `com.amazonaws.us-east-1.ssm`.
    pub fn add_vpc_endpoint(&self, service_name: &str) {
        let mut state = self.state();
        let vpc_id = state.vpcs[0].vpc_id.clone();
        let endpoint = VpcEndpoint {
            vpc_endpoint_id: state.id("vpce"),
            service_name: service_name.to_owned(),
            state: "available".to_owned(),
        };
        state.endpoints.push(Endpoint { endpoint, vpc_id });
    }

    /// Adds a key pair.
    pub fn add_key_pair(&self, name: &str) {
        self.state().key_pairs.push(KeyPair(name.to_owned()));
    }

    /// Adds a cluster placement group that another account shares with this one; its id.
    pub fn share_placement_group(&self, name: &str, owner_id: &str) -> String {
        let mut state = self.state();
        let group_id = state.id("pg");
        let arn = format!(
            "arn:aws:ec2:{}:{owner_id}:placement-group/{name}",
            state.region
        );
        state.shared_placement_groups.push(PlacementGroup {
            group_id: group_id.clone(),
            group_arn: Some(arn),
            group_name: name.to_owned(),
            strategy: PlacementStrategy::Cluster,
            state: "available".to_owned(),
            tags: Tags::new(),
        });
        group_id
    }

    /// Adds a managed policy of the account; its ARN.
    pub fn add_policy(&self, name: &str) -> String {
        self.state().identities.add_policy(name)
    }

    /// Adds a capacity reservation or Capacity Block.
    pub fn add_reservation(&self, reservation: CapacityReservation) {
        self.state().reservations.push(reservation);
    }

    /// Adds a resource group of capacity reservations; its ARN.
    pub fn add_reservation_group(&self, name: &str, reservation_ids: &[&str]) -> String {
        let mut state = self.state();
        let arn = format!(
            "arn:aws:resource-groups:{}:{}:group/{name}",
            state.region,
            account::ACCOUNT
        );
        let ids = reservation_ids.iter().map(|&id| id.to_owned()).collect();
        state.reservation_groups.push((arn.clone(), ids));
        arn
    }

    /// Adds a version of a launch template; the lowest is the default.
    pub fn add_launch_template(&self, version: LaunchTemplate) {
        self.state().launch_templates.push(version);
    }

    /// Adds a Capacity Block that can be bought.
    pub fn add_block_offering(&self, offering: CapacityBlockOffering) {
        self.state().block_offerings.push(offering);
    }

    /// To how many calls that look for it a new group, address or instance stays invisible: lists
    /// leave it out, and ids are unknown. 0 at first.
    pub fn set_eventual(&self, calls: u32) {
        self.state().settings.eventual = calls;
    }

    /// How many launches are refused before EC2 knows a new instance profile. 1 at first.
    pub fn set_profile_propagation(&self, launches: u32) {
        self.state().settings.profile_propagation = launches;
    }

    /// How long instances are `pending` and `shutting-down`. 20 s and 40 s at first.
    pub fn set_transitions(&self, launch: Duration, termination: Duration) {
        let mut state = self.state();
        state.settings.launch_time = launch;
        state.settings.termination_time = termination;
    }

    /// Sets what commands of Systems Manager do: by instance id and script.
    pub fn on_command(&self, does: impl Fn(&str, &str) -> CommandOutcome + Send + Sync + 'static) {
        self.state().commands.script = Some(Arc::new(does));
    }

    /// Takes an instance away, as EC2 does with spot instances and failed hardware.
    pub fn lose_instance(&self, instance_id: &str, reason: &str) {
        self.state().end(instance_id, reason);
    }

    /// Accepts the next `count` instances of a zone and ends them while they are pending, for a
    /// state reason of EC2, such as `Server.InsufficientInstanceCapacity`.
    pub fn end_after_launch(&self, zone: &str, reason: &str, count: u32) {
        let order = (zone.to_owned(), reason.to_owned(), count);
        self.state().settings.late_failures.push(order);
    }

    /// Makes a security group in the default VPC that is nobody's; its id.
    ///
    /// # Panics
    /// Where the name is taken.
    pub fn add_security_group(&self, name: &str, tags: Tags) -> String {
        let mut state = self.state();
        let request = crate::ec2::CreateSecurityGroup {
            group_name: name.to_owned(),
            description: "of a test".to_owned(),
            vpc_id: state.vpcs[0].vpc_id.clone(),
            tags,
        };
        match state.create_security_group(&request) {
            Ok(id) => id,
            Err(refusal) => panic!("{}", refusal.message),
        }
    }
}

/// What is there, without a call that a log would show.
impl FakeAws {
    /// Returns the instances that are not terminated, in order of launch.
    #[must_use]
    pub fn instances(&self) -> Vec<Instance> {
        self.state().live().cloned().collect()
    }

    /// Returns the security groups but the VPC's own.
    #[must_use]
    pub fn security_groups(&self) -> Vec<SecurityGroup> {
        let state = self.state();
        let groups = state.security_groups.iter();
        groups
            .filter(|g| g.group_name != "default")
            .cloned()
            .collect()
    }

    /// Returns the placement groups.
    #[must_use]
    pub fn placement_groups(&self) -> Vec<PlacementGroup> {
        self.state().placement_groups.clone()
    }

    /// Returns the Elastic IPs.
    #[must_use]
    pub fn addresses(&self) -> Vec<Address> {
        self.state().addresses.clone()
    }

    /// Returns the subnets, in order of zone: one in each.
    #[must_use]
    pub fn subnet_ids(&self) -> Vec<String> {
        let state = self.state();
        state.subnets.iter().map(|s| s.subnet_id.clone()).collect()
    }

    /// Returns everything that calls have made and not removed.
    #[must_use]
    pub fn resources(&self) -> Vec<Leftover> {
        let state = self.state();
        let mut found = Vec::new();
        let mut put = |kind: &str, id: &str| {
            found.push(Leftover {
                resource_type: kind.to_owned(),
                id: id.to_owned(),
            });
        };
        for instance in state.live() {
            put(resource::INSTANCE, &instance.instance_id);
        }
        for group in &state.security_groups {
            if group.group_name != "default" {
                put(resource::SECURITY_GROUP, &group.group_id);
            }
        }
        for group in &state.placement_groups {
            put(resource::PLACEMENT_GROUP, &group.group_name);
        }
        for address in &state.addresses {
            put(resource::ADDRESS, &address.allocation_id);
        }
        for left in &state.leftovers {
            put(
                resource::NETWORK_INTERFACE,
                &left.interface.network_interface_id,
            );
        }
        for role in state.identities.roles() {
            put(resource::ROLE, &role.role_name);
        }
        for profile in state.identities.profiles() {
            put(resource::INSTANCE_PROFILE, &profile.instance_profile_name);
        }
        found
    }
}
