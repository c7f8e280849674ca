//! One instance type: what EC2 reports about it, and what EC2 leaves out.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use super::rdma;
use crate::types::{
    Architecture, CardIndex, Gbps, InterfaceType, PlacementStrategy, RdmaSupport, UsageClass,
};

/// The source of the facts about one type.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Origin {
    /// The snapshot inside this crate; [`Catalog::source`](crate::Catalog::source) describes it.
    Snapshot,
    /// `DescribeInstanceTypes` of the region, just read.
    Live,
    /// A row kept by hand, because the snapshot lacks the type: where each fact is from, and
    /// what is assumed.
    Override(String),
}

/// The GPUs of one kind in an instance.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Gpu {
    /// Such as `NVIDIA`.
    pub manufacturer: String,
    /// Such as `H100`.
    pub name: String,
    /// How many.
    pub count: u32,
    /// Memory of each, in MiB.
    pub memory_mib: u64,
}

/// The Neuron devices (Inferentia, Trainium) of one kind in an instance.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NeuronDevice {
    /// Such as `Trainium2`.
    pub name: String,
    /// How many.
    pub count: u32,
    /// Neuron cores of each.
    pub cores: u32,
    /// Memory of each, in MiB.
    pub memory_mib: u64,
}

/// One network card, as `NetworkInfo.NetworkCards` has it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NetworkCard {
    /// Its index.
    pub network_card_index: CardIndex,
    /// What may be attached to it; `None` where EC2 does not report it (older API versions).
    /// [`InstanceType::accepts`] answers in both cases.
    pub interface_types: Option<Vec<InterfaceType>>,
    /// How many interfaces it holds: device indices run from 0 to one less.
    pub maximum_network_interfaces: u32,
    /// EC2's baseline figure. On p6-b200 it is the limit of ENA, on p6-b300 that of EFA, and
    /// the sum over cards may exceed what the instance has: never sum it.
    pub baseline_bandwidth: Option<Gbps>,
    /// EC2's peak figure; see [`baseline_bandwidth`](Self::baseline_bandwidth).
    pub peak_bandwidth: Option<Gbps>,
    /// EC2's text, such as `100 Gigabit`.
    pub network_performance: Option<String>,
}

/// One EC2 instance type: plain data, all of it from `DescribeInstanceTypes` unless a field
/// states otherwise. Names follow the API.
///
/// ```
/// use efa_core::Catalog;
/// use efa_core::types::{CardIndex, InterfaceType};
///
/// # fn main() -> efa_core::Result<()> {
/// let b300 = Catalog::bundled().require("p6-b300.48xlarge")?;
/// assert_eq!((b300.network_cards.len(), b300.maximum_efa_interfaces), (17, 16));
/// // Its network card 0 takes no EFA.
/// assert!(!b300.accepts(CardIndex::new(0), &InterfaceType::EfaOnly));
/// assert!(b300.accepts(CardIndex::new(1), &InterfaceType::EfaOnly));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct InstanceType {
    /// Such as `p5.48xlarge`.
    pub name: String,
    /// Where this row comes from.
    pub origin: Origin,
    /// Whether AWS counts it among the current generation.
    pub current_generation: Option<bool>,
    /// vCPUs by default.
    pub default_vcpus: u32,
    /// Physical cores by default, where EC2 reports them.
    pub default_cores: Option<u32>,
    /// Memory, in MiB.
    pub memory_mib: u64,
    /// All disks of the instance store together, in GB; 0 without an instance store, `None` where
    /// EC2 does not report it.
    #[serde(default)]
    pub instance_storage_gb: Option<u64>,
    /// Processor architectures.
    pub architectures: Vec<Architecture>,
    /// Whether it is a bare metal type.
    pub bare_metal: bool,
    /// Such as `nitro`; `None` on bare metal.
    pub hypervisor: Option<String>,
    /// GPUs.
    pub gpus: Vec<Gpu>,
    /// Neuron devices. EC2 lists none for trn2u.48xlarge, which has them.
    pub neuron_devices: Vec<NeuronDevice>,
    /// Whether it supports EFA.
    pub efa_supported: bool,
    /// `EfaInfo.MaximumEfaInterfaces`: may be less than the number of cards.
    pub maximum_efa_interfaces: u32,
    /// All network cards, sorted by index.
    #[serde(deserialize_with = "cards_in_order")]
    pub network_cards: Vec<NetworkCard>,
    /// EC2's text for the whole instance, such as `3200 Gigabit` or `4x 100 Gigabit`.
    pub network_performance: Option<String>,
    /// The figure in [`network_performance`](Self::network_performance): for EFA and IP
    /// together. It is not the sum of the cards' figures.
    pub network_bandwidth: Option<Gbps>,
    /// How many network interfaces it holds, over all cards.
    pub maximum_network_interfaces: u32,
    /// IPv4 addresses that one interface can have.
    pub ipv4_addresses_per_interface: Option<u32>,
    /// IPv6 addresses that one interface can have.
    pub ipv6_addresses_per_interface: Option<u32>,
    /// Strategies of placement groups that take it.
    pub placement_strategies: Vec<PlacementStrategy>,
    /// Ways to buy it.
    pub usage_classes: Vec<UsageClass>,
    /// Whether it supports ENA Express (`EnaSrdSupported`).
    pub ena_srd_supported: Option<bool>,
    /// Whether its EFA can read remote memory. Not in the API: by family, from the EC2 User
    /// Guide's page on EFA as of early 2026.
    pub rdma_read: RdmaSupport,
    /// Whether its EFA can write remote memory; see [`rdma_read`](Self::rdma_read).
    pub rdma_write: RdmaSupport,
}

/// Cards as another process wrote them: sorted, and each index once.
fn cards_in_order<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<NetworkCard>, D::Error> {
    let mut cards = Vec::<NetworkCard>::deserialize(deserializer)?;
    cards.sort_by_key(|card| card.network_card_index);
    let twice = cards
        .windows(2)
        .find(|pair| pair[0].network_card_index == pair[1].network_card_index);
    match twice {
        Some(pair) => Err(D::Error::custom(format!(
            "network card {} is listed twice",
            pair[0].network_card_index
        ))),
        None => Ok(cards),
    }
}

impl InstanceType {
    /// Threads per physical core by default, where EC2 reports them.
    #[must_use]
    pub fn default_threads_per_core(&self) -> Option<u32> {
        self.default_vcpus.checked_div(self.default_cores?)
    }

    /// Creates a type of which nothing is known but the name, and RDMA support, which goes by
    /// family.
    #[must_use]
    pub fn unknown(name: &str) -> Self {
        let (rdma_read, rdma_write) = rdma::support(family(name));
        Self {
            name: name.to_owned(),
            origin: Origin::Live,
            current_generation: None,
            default_vcpus: 0,
            default_cores: None,
            memory_mib: 0,
            instance_storage_gb: None,
            architectures: Vec::new(),
            bare_metal: false,
            hypervisor: None,
            gpus: Vec::new(),
            neuron_devices: Vec::new(),
            efa_supported: false,
            maximum_efa_interfaces: 0,
            network_cards: Vec::new(),
            network_performance: None,
            network_bandwidth: None,
            maximum_network_interfaces: 0,
            ipv4_addresses_per_interface: None,
            ipv6_addresses_per_interface: None,
            placement_strategies: Vec::new(),
            usage_classes: Vec::new(),
            ena_srd_supported: None,
            rdma_read,
            rdma_write,
        }
    }

    /// Returns the family, such as `p5` or `u7in-16tb`: what stands before the dot.
    #[must_use]
    pub fn family(&self) -> &str {
        family(&self.name)
    }

    /// Returns the memory, in GiB.
    #[must_use]
    #[allow(clippy::cast_precision_loss)] // 2^53 MiB is more than any instance has
    pub fn memory_gib(&self) -> f64 {
        self.memory_mib as f64 / 1024.0
    }

    /// Returns the network card with this index.
    #[must_use]
    pub fn card(&self, index: CardIndex) -> Option<&NetworkCard> {
        self.network_cards
            .iter()
            .find(|card| card.network_card_index == index)
    }

    /// Returns whether it has more than one network card.
    #[must_use]
    pub fn multi_card(&self) -> bool {
        self.network_cards.len() > 1
    }

    /// Returns whether a card exists and takes interfaces of this type.
    ///
    /// Where EC2 does not report what the card takes, every card takes `interface`, and EFA goes
    /// by the counts: with as many EFAs as cards every card has one, with fewer card 0 has none.
    #[must_use]
    pub fn accepts(&self, index: CardIndex, interface_type: &InterfaceType) -> bool {
        let Some(card) = self.card(index) else {
            return false;
        };
        if let Some(types) = &card.interface_types {
            return types.contains(interface_type);
        }
        match interface_type {
            InterfaceType::Interface => true,
            InterfaceType::Efa | InterfaceType::EfaOnly => {
                self.maximum_efa_interfaces > 0
                    && (self.maximum_efa_interfaces as usize >= self.network_cards.len()
                        || index.get() != 0)
            }
            _ => false,
        }
    }

    /// Returns whether a cluster placement group takes it. Of the EFA types only vt1.24xlarge does
    /// not.
    #[must_use]
    pub fn supports_cluster_placement(&self) -> bool {
        self.placement_strategies
            .contains(&PlacementStrategy::Cluster)
    }

    /// Returns whether it can be bought as spot.
    #[must_use]
    pub fn supports_spot(&self) -> bool {
        self.usage_classes.contains(&UsageClass::Spot)
    }

    /// Returns whether it can be bought as a Capacity Block.
    #[must_use]
    pub fn supports_capacity_block(&self) -> bool {
        self.usage_classes.contains(&UsageClass::CapacityBlock)
    }
}

fn family(name: &str) -> &str {
    name.split_once('.').map_or(name, |(family, _)| family)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two_cards(maximum_efa_interfaces: u32) -> InstanceType {
        let card = |index| NetworkCard {
            network_card_index: CardIndex::new(index),
            interface_types: None,
            maximum_network_interfaces: 4,
            baseline_bandwidth: None,
            peak_bandwidth: None,
            network_performance: None,
        };
        InstanceType {
            maximum_efa_interfaces,
            network_cards: vec![card(0), card(1)],
            ..InstanceType::unknown("x9.48xlarge")
        }
    }

    #[test]
    fn what_a_card_accepts_is_inferred_from_the_counts() {
        for (maximum, expected) in [(0, [false, false]), (1, [false, true]), (2, [true, true])] {
            let instance_type = two_cards(maximum);
            for index in [0, 1] {
                let card = CardIndex::new(index);
                assert!(instance_type.accepts(card, &InterfaceType::Interface));
                for efa in [InterfaceType::Efa, InterfaceType::EfaOnly] {
                    assert_eq!(
                        instance_type.accepts(card, &efa),
                        expected[index as usize],
                        "{maximum} {index}"
                    );
                }
            }
            assert!(!instance_type.accepts(CardIndex::new(2), &InterfaceType::Interface));
            assert!(!instance_type.accepts(CardIndex::new(0), &InterfaceType::Secondary));
        }
    }

    #[test]
    fn it_survives_json() {
        for instance_type in crate::Catalog::bundled() {
            let json = serde_json::to_string(instance_type).unwrap();
            assert_eq!(
                &serde_json::from_str::<InstanceType>(&json).unwrap(),
                instance_type
            );
        }
    }
}
