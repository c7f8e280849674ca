//! What is in the fake's region, and how a call finds it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::commands::Commands;
use super::iam::Identities;
use crate::catalog::Catalog;
use crate::ec2::{
    Address, CapacityBlockOffering, CapacityReservation, FreeInterface, Image, Instance,
    InstanceState, LaunchTemplate, PlacementGroup, RouteTable, RunInstances, SecurityGroup, Subnet,
    Tags, Vpc, VpcEndpoint,
};

/// How the region behaves.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    /// From `pending` to `running`.
    pub(super) launch_time: Duration,
    /// From `shutting-down` to `terminated`.
    pub(super) termination_time: Duration,
    /// To how many calls that look for it a new resource is invisible.
    pub(super) eventual: u32,
    /// In which zone (any where empty) how many instances end while pending, and why.
    pub(super) late_failures: Vec<(String, String, u32)>,
    /// How many launches are refused before EC2 knows a new instance profile.
    pub(super) profile_propagation: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            launch_time: Duration::from_secs(20),
            termination_time: Duration::from_secs(40),
            eventual: 0,
            late_failures: Vec::new(),
            profile_propagation: 1,
        }
    }
}

/// An instance and what only the fake knows of it.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) instance: Instance,
    /// When it entered its state.
    pub(super) since: Duration,
    /// Why it ends while pending, where it does.
    pub(super) late_failure: Option<String>,
    /// Addresses that it takes from its subnet.
    pub(super) addresses: u64,
}

impl Held {
    pub(super) fn is_live(&self) -> bool {
        self.instance.state != InstanceState::Terminated
    }
}

/// A launch and the token that makes it one.
#[derive(Debug, Clone)]
pub(super) struct Launched {
    pub(super) zone: String,
    pub(super) request: RunInstances,
    pub(super) instance_ids: Vec<String>,
}

/// A network interface; among the leftovers, one that outlived its instance.
#[derive(Debug, Clone)]
pub(super) struct Leftover {
    pub(super) interface: FreeInterface,
    pub(super) group_ids: Vec<String>,
    pub(super) tags: Tags,
}

/// A key pair, by name.
#[derive(Debug, Clone)]
pub(super) struct KeyPair(pub(super) String);

/// A VPC endpoint and its VPC.
#[derive(Debug, Clone)]
pub(super) struct Endpoint {
    pub(super) endpoint: VpcEndpoint,
    pub(super) vpc_id: String,
}

/// Kinds of resource that are invisible for a while after they were made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Address,
    Instance,
    PlacementGroup,
    SecurityGroup,
}

#[derive(Debug, Clone)]
pub(super) struct State {
    pub(super) region: String,
    pub(super) now: Duration,
    pub(super) settings: Settings,
    pub(super) types: &'static Catalog,
    pub(super) zones: Vec<String>,
    /// The zones of types that not all zones offer.
    pub(super) offered: BTreeMap<String, Vec<String>>,
    pub(super) vpcs: Vec<Vpc>,
    /// With the addresses that are free while nothing runs.
    pub(super) subnets: Vec<Subnet>,
    pub(super) route_tables: Vec<RouteTable>,
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) key_pairs: Vec<KeyPair>,
    pub(super) images: Vec<Image>,
    pub(super) parameters: BTreeMap<String, String>,
    pub(super) security_groups: Vec<SecurityGroup>,
    pub(super) placement_groups: Vec<PlacementGroup>,
    /// Of other accounts: EC2 shows them by id only.
    pub(super) shared_placement_groups: Vec<PlacementGroup>,
    pub(super) instances: Vec<Held>,
    pub(super) leftovers: Vec<Leftover>,
    pub(super) addresses: Vec<Address>,
    pub(super) reservations: Vec<CapacityReservation>,
    /// Versions of launch templates.
    pub(super) launch_templates: Vec<LaunchTemplate>,
    /// Resource groups of reservations: the ARN, and the ids in it.
    pub(super) reservation_groups: Vec<(String, Vec<String>)>,
    pub(super) block_offerings: Vec<CapacityBlockOffering>,
    /// Tags of reservations that were bought, by id.
    pub(super) reservation_tags: BTreeMap<String, Tags>,
    pub(super) launches: Vec<Launched>,
    /// Room by type and zone; unlimited where nothing is set.
    pub(super) capacity: BTreeMap<(String, String), u32>,
    pub(super) full_zones: BTreeSet<String>,
    pub(super) quotas: BTreeMap<String, f64>,
    pub(super) identities: Identities,
    pub(super) commands: Commands,
    newborn: BTreeMap<(Kind, String), u32>,
    last_id: u64,
}

impl State {
    /// A region with nothing in it but its zones.
    pub(super) fn empty(name: &str) -> Self {
        Self {
            region: name.to_owned(),
            now: Duration::ZERO,
            settings: Settings::default(),
            types: Catalog::bundled(),
            zones: ["a", "b", "c"].map(|zone| format!("{name}{zone}")).into(),
            offered: BTreeMap::new(),
            vpcs: Vec::new(),
            subnets: Vec::new(),
            route_tables: Vec::new(),
            endpoints: Vec::new(),
            key_pairs: Vec::new(),
            images: Vec::new(),
            parameters: BTreeMap::new(),
            security_groups: Vec::new(),
            placement_groups: Vec::new(),
            shared_placement_groups: Vec::new(),
            instances: Vec::new(),
            leftovers: Vec::new(),
            addresses: Vec::new(),
            reservations: Vec::new(),
            reservation_groups: Vec::new(),
            launch_templates: Vec::new(),
            block_offerings: Vec::new(),
            reservation_tags: BTreeMap::new(),
            launches: Vec::new(),
            capacity: BTreeMap::new(),
            full_zones: BTreeSet::new(),
            quotas: BTreeMap::new(),
            identities: Identities::default(),
            commands: Commands::default(),
            newborn: BTreeMap::new(),
            last_id: 0,
        }
    }

    /// A new id, such as `sg-00000000000000001`.
    pub(super) fn id(&mut self, prefix: &str) -> String {
        self.last_id += 1;
        format!("{prefix}-{:017x}", self.last_id)
    }

    pub(super) fn number(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// Notes a new resource, which stays invisible as long as set.
    pub(super) fn born(&mut self, kind: Kind, id: &str) {
        if self.settings.eventual > 0 {
            let invisible = self.settings.eventual;
            self.newborn.insert((kind, id.to_owned()), invisible);
        }
    }

    /// Forgets that a resource was new.
    pub(super) fn gone(&mut self, kind: Kind, id: &str) {
        self.newborn.remove(&(kind, id.to_owned()));
    }

    /// Whether a call that names a resource sees it; each time one does not, it is nearer.
    pub(super) fn sees(&mut self, kind: Kind, id: &str) -> bool {
        let key = (kind, id.to_owned());
        let Some(left) = self.newborn.get_mut(&key) else {
            return true;
        };
        *left -= 1;
        if *left == 0 {
            self.newborn.remove(&key);
        }
        false
    }

    /// The ids that a listing of this kind does not show yet.
    pub(super) fn unseen(&mut self, kind: Kind) -> BTreeSet<String> {
        let new = self.newborn.keys().filter(|(of, _)| *of == kind);
        let ids: Vec<String> = new.map(|(_, id)| id.clone()).collect();
        ids.into_iter().filter(|id| !self.sees(kind, id)).collect()
    }

    /// The zones that offer an instance type.
    pub(super) fn zones_of(&self, instance_type: &str) -> &[String] {
        if !self.types.contains(instance_type) {
            return &[];
        }
        self.offered.get(instance_type).unwrap_or(&self.zones)
    }

    /// The instances that are not terminated.
    pub(super) fn live(&self) -> impl Iterator<Item = &Instance> {
        self.instances
            .iter()
            .filter(|held| held.is_live())
            .map(|held| &held.instance)
    }
}
