//! Reads the snapshot inside this crate and adds the rows kept by hand.
//!
//! `snapshot.jsonl` is written by `tools/generate_catalog.py`: a header, then one type per
//! line, with runs of equal network cards folded. Change both together.

use std::sync::OnceLock;

use serde::Deserialize;

use super::instance_type::{Gpu, InstanceType, NetworkCard, NeuronDevice, Origin};
use super::overrides;
use super::{Catalog, Source};
use crate::types::{Architecture, CardIndex, Gbps, InterfaceType, PlacementStrategy, UsageClass};

const SNAPSHOT: &str = include_str!("snapshot.jsonl");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    source: String,
    date: String,
    sha256: String,
    script: String,
    #[allow(dead_code)] // a person reads it; the test below compares it
    types: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    name: String,
    vcpus: u32,
    cores: Option<u32>,
    mib: u64,
    #[serde(default)]
    store: u64,
    arch: Vec<Architecture>,
    hypervisor: Option<String>,
    metal: bool,
    current: bool,
    efa: u32,
    enis: u32,
    ips: (u32, u32),
    text: String,
    srd: bool,
    placement: Vec<PlacementStrategy>,
    usage: Vec<UsageClass>,
    cards: Vec<Cards>,
    #[serde(default)]
    gpus: Vec<(String, String, u32, u64)>,
    #[serde(default)]
    neuron: Vec<(String, u32, u32, u64)>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cards {
    count: u32,
    enis: u32,
    types: Option<Vec<InterfaceType>>,
    gbps: (Option<Gbps>, Option<Gbps>),
    text: String,
}

impl Catalog {
    /// Returns the catalog inside this crate: the snapshot of every EFA type of
    /// `DescribeInstanceTypes` (303), and the rows kept by hand for types that the snapshot lacks.
    /// Both count in [`len`](Self::len); [`InstanceType::origin`] distinguishes them. No I/O;
    /// parsed once.
    #[must_use]
    pub fn bundled() -> &'static Self {
        static BUNDLED: OnceLock<Catalog> = OnceLock::new();
        BUNDLED.get_or_init(|| {
            let (header, mut types) = read(SNAPSHOT);
            types.extend(overrides::instance_types());
            Self::new(header, types)
        })
    }
}

#[allow(clippy::expect_used)] // the text is part of this crate, and the test below reads all of it
fn read(text: &str) -> (Source, Vec<InstanceType>) {
    let mut lines = text.lines();
    let header: Header =
        serde_json::from_str(lines.next().unwrap_or_default()).expect("the snapshot has a header");
    let types = lines.map(|line| {
        serde_json::from_str::<Row>(line)
            .expect("the snapshot is well formed")
            .into()
    });
    let source = Source {
        source: header.source,
        date: Some(header.date),
        script: Some(header.script),
        sha256: Some(header.sha256),
    };
    (source, types.collect())
}

impl From<Row> for InstanceType {
    fn from(row: Row) -> Self {
        Self {
            origin: Origin::Snapshot,
            current_generation: Some(row.current),
            default_vcpus: row.vcpus,
            default_cores: row.cores,
            memory_mib: row.mib,
            instance_storage_gb: Some(row.store),
            architectures: row.arch,
            bare_metal: row.metal,
            hypervisor: row.hypervisor,
            gpus: row
                .gpus
                .into_iter()
                .map(|(manufacturer, name, count, memory_mib)| Gpu {
                    manufacturer,
                    name,
                    count,
                    memory_mib,
                })
                .collect(),
            neuron_devices: row
                .neuron
                .into_iter()
                .map(|(name, count, cores, memory_mib)| NeuronDevice {
                    name,
                    count,
                    cores,
                    memory_mib,
                })
                .collect(),
            efa_supported: row.efa > 0,
            maximum_efa_interfaces: row.efa,
            network_cards: network_cards(&row.cards),
            network_bandwidth: Gbps::from_network_performance(&row.text),
            network_performance: Some(row.text),
            maximum_network_interfaces: row.enis,
            ipv4_addresses_per_interface: Some(row.ips.0),
            ipv6_addresses_per_interface: Some(row.ips.1),
            placement_strategies: row.placement,
            usage_classes: row.usage,
            ena_srd_supported: Some(row.srd),
            ..Self::unknown(&row.name)
        }
    }
}

fn network_cards(runs: &[Cards]) -> Vec<NetworkCard> {
    let cards = runs
        .iter()
        .flat_map(|run| std::iter::repeat_n(run, run.count as usize));
    (0..)
        .zip(cards)
        .map(|(index, run)| NetworkCard {
            network_card_index: CardIndex::new(index),
            interface_types: run.types.clone(),
            maximum_network_interfaces: run.enis,
            baseline_bandwidth: run.gbps.0,
            peak_bandwidth: run.gbps.1,
            network_performance: Some(run.text.clone()),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn snapshot() -> Vec<InstanceType> {
        read(SNAPSHOT).1
    }

    #[test]
    fn the_header_says_source_date_script_and_count() {
        let header: Header = serde_json::from_str(SNAPSHOT.lines().next().unwrap()).unwrap();
        assert_eq!(header.types, SNAPSHOT.lines().count() - 1);
        assert_eq!(header.types, 303);
        let source = Catalog::bundled().source();
        assert!(source.source.starts_with("moto 5.2.5"));
        assert_eq!(source.date.as_deref(), Some("2026-10-27"));
        assert_eq!(source.script.as_deref(), Some("tools/generate_catalog.py"));
        assert!(SNAPSHOT.len() < 150_000);
    }

    #[test]
    fn the_snapshot_is_sorted_as_the_catalog_is() {
        let names: Vec<_> = snapshot().into_iter().map(|t| t.name).collect();
        let catalog = Catalog::bundled();
        let sorted: Vec<_> = catalog
            .iter()
            .filter(|t| t.origin == Origin::Snapshot)
            .map(|t| t.name.clone())
            .collect();
        assert_eq!(names, sorted);
        assert_eq!(
            catalog.len(),
            names.len() + overrides::instance_types().len()
        );
    }

    /// The counts that were taken from the same data by other means before this code existed.
    #[test]
    fn the_counts_of_the_source_data() {
        let types = snapshot();
        let count =
            |holds: &dyn Fn(&InstanceType) -> bool| types.iter().filter(|t| holds(t)).count();
        let families: std::collections::BTreeSet<_> =
            types.iter().map(InstanceType::family).collect();
        assert_eq!(families.len(), 121);
        assert_eq!(count(&|t| t.bare_metal), 115);
        assert_eq!(count(&|t| t.bare_metal == t.hypervisor.is_none()), 303);
        assert_eq!(count(&|t| t.architectures == [Architecture::Arm64]), 94);
        assert_eq!(count(&|t| t.architectures == [Architecture::X86_64]), 209);
        assert_eq!(count(&|t| t.ena_srd_supported == Some(false)), 59);
        assert_eq!(count(&|t| !t.gpus.is_empty()), 37);
        assert_eq!(count(&|t| !t.neuron_devices.is_empty()), 5);
        assert_eq!(count(&|t| !t.supports_spot()), 17);
        assert_eq!(count(&|t| t.supports_capacity_block()), 12);
        assert_eq!(count(&|t| !t.supports_cluster_placement()), 1);
        assert_eq!(count(&InstanceType::multi_card), 71);
        assert_eq!(count(&|t| t.network_bandwidth.is_none()), 0);
        assert_eq!(
            types.iter().map(|t| t.network_cards.len()).sum::<usize>(),
            525
        );

        let mut shapes: BTreeMap<(u32, usize), usize> = BTreeMap::new();
        for t in &types {
            *shapes
                .entry((t.maximum_efa_interfaces, t.network_cards.len()))
                .or_default() += 1;
        }
        let expected = [
            ((1, 1), 232),
            ((1, 2), 4),
            ((2, 2), 54),
            ((4, 4), 4),
            ((8, 8), 2),
            ((16, 16), 4),
            ((16, 17), 1),
            ((32, 32), 2),
        ];
        assert_eq!(shapes, BTreeMap::from(expected));
    }

    #[test]
    fn the_cards_of_every_type_add_up() {
        for t in Catalog::bundled() {
            let interfaces: u32 = t
                .network_cards
                .iter()
                .map(|c| c.maximum_network_interfaces)
                .sum();
            assert_eq!(interfaces, t.maximum_network_interfaces, "{}", t.name);
            assert!(
                t.network_cards.is_sorted_by_key(|c| c.network_card_index),
                "{}",
                t.name
            );
        }
    }

    #[test]
    fn odd_types() {
        let catalog = Catalog::bundled();
        let gbps = |name: &str| {
            catalog
                .require(name)
                .unwrap()
                .network_bandwidth
                .map(Gbps::get)
        };
        // The instance's figure, whatever the sum of the cards' figures is.
        assert_eq!(gbps("p4d.24xlarge"), Some(400.0));
        assert_eq!(gbps("p6-b200.48xlarge"), Some(3200.0));
        assert_eq!(gbps("p6-b300.48xlarge"), Some(6400.0));
        assert_eq!(gbps("i8ge.48xlarge"), Some(300.0));
        assert_eq!(gbps("trn2.48xlarge"), Some(3200.0));
        assert_eq!(gbps("c8gb.16xlarge"), Some(133.33));
        let i7ie = catalog.require("i7ie.48xlarge").unwrap();
        let enis: Vec<_> = i7ie
            .network_cards
            .iter()
            .map(|c| c.maximum_network_interfaces)
            .collect();
        assert_eq!((enis, i7ie.maximum_efa_interfaces), (vec![8, 7], 1));
        assert!(
            !catalog
                .require("vt1.24xlarge")
                .unwrap()
                .supports_cluster_placement()
        );
    }
}
