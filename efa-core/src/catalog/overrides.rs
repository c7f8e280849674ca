//! Rows kept by hand: EFA types that the snapshot lacks. The only place for them.
//!
//! A type is here only if AWS's public documentation gives its size and its cards. Known but
//! left out, because their cards are documented nowhere: p6e-gb200.72xlarge,
//! p6e-gb300.36xlarge and p6e-gb300.72xlarge (EKS User Guide, capacity-blocks-nvidia-imex),
//! trn2-ac.24xlarge and trn2u-ac.24xlarge (preview, aws/eks-charts), trn3, hpc5a. A live
//! catalog shows them as soon as EC2 does.

use super::instance_type::{Gpu, InstanceType, NetworkCard, Origin};
use crate::types::{Architecture, CardIndex, Gbps, InterfaceType, PlacementStrategy, UsageClass};

/// All rows kept by hand.
pub(super) fn instance_types() -> Vec<InstanceType> {
    vec![dl1(), p6e_gb200(), u7inh()]
}

/// EC2 instance types guide, page ac: 96 vCPUs, 48 cores, 768 GiB, 8 Habana Gaudi
/// HL-205 of 32 GiB, `4x 100 Gigabit`, 4 cards, 60 interfaces, 50 addresses. The same page states that it has no
/// EFA; the EC2 User Guide (efa, using-eni) states that it has.
fn dl1() -> InstanceType {
    InstanceType {
        origin: Origin::Override(
            "EC2 instance types guide (ac), EC2 User Guide (efa, using-eni); assumed: 4 EFA as it has 4 cards, \
             15 interfaces per card of 60, placement strategies of its generation. The instance types guide \
             states that it has no EFA"
                .to_owned(),
        ),
        default_vcpus: 96,
        default_cores: Some(48),
        memory_mib: 768 * 1024,
        gpus: gpus("Habana", "Gaudi HL-205", 8, 32),
        maximum_efa_interfaces: 4,
        network_cards: cards(0..4, 15, None, Some(100.0)),
        usage_classes: vec![UsageClass::OnDemand, UsageClass::Spot],
        ena_srd_supported: Some(false),
        ..common("dl1.24xlarge", Architecture::X86_64, "4x 100 Gigabit", 60)
    }
}

/// EC2 instance types guide, page ac: 144 vCPUs and cores, 960 GiB, 4 B200 of 185 GiB,
/// 3200 Gigabit, 17 cards, 39 interfaces, no spot. EC2 User Guide, efa-acc-inst-types: what
/// each card takes, and that EFA gives 1600 Gbps in all.
fn p6e_gb200() -> InstanceType {
    let mut network_cards = cards(0..1, 15, Some(&[InterfaceType::Interface]), Some(100.0));
    for odd in (1..16).step_by(2) {
        network_cards.extend(cards(
            odd..odd + 1,
            1,
            Some(&[InterfaceType::EfaOnly]),
            Some(400.0),
        ));
        let any = [
            InterfaceType::Interface,
            InterfaceType::Efa,
            InterfaceType::EfaOnly,
        ];
        network_cards.extend(cards(odd + 1..odd + 2, 2, Some(&any), Some(200.0)));
    }
    InstanceType {
        origin: Origin::Override(
            "EC2 instance types guide (ac), EC2 User Guide (efa-acc-inst-types); interfaces per card (15, odd 1, \
             even 2) from a test fixture of aws/aws-parallelcluster, their sum agrees with the guide; assumed: \
             16 EFA, sold as Capacity Blocks only, placement strategies of its generation"
                .to_owned(),
        ),
        default_vcpus: 144,
        default_cores: Some(144),
        memory_mib: 960 * 1024,
        gpus: gpus("NVIDIA", "B200", 4, 185),
        maximum_efa_interfaces: 16,
        network_cards,
        usage_classes: vec![UsageClass::CapacityBlock],
        // Snapshots of the guide disagree about ENA Express.
        ena_srd_supported: None,
        ..common("p6e-gb200.36xlarge", Architecture::Arm64, "3200 Gigabit", 39)
    }
}

/// EC2 instance types guide, page mo: 1920 vCPUs, 960 cores, 32 TiB, 200 Gigabit, 2 cards of
/// 100 Gbps, 16 interfaces, EFA, ENA Express, no spot. EC2 User Guide, using-eni: 2 cards.
fn u7inh() -> InstanceType {
    InstanceType {
        origin: Origin::Override(
            "EC2 instance types guide (mo), EC2 User Guide (using-eni); assumed: 2 EFA and 8 interfaces per card \
             like the u7in types, placement strategies of its generation"
                .to_owned(),
        ),
        default_vcpus: 1920,
        default_cores: Some(960),
        memory_mib: 32 * 1024 * 1024,
        maximum_efa_interfaces: 2,
        network_cards: cards(0..2, 8, None, Some(100.0)),
        usage_classes: vec![UsageClass::OnDemand],
        ena_srd_supported: Some(true),
        ..common("u7inh-32tb.480xlarge", Architecture::X86_64, "200 Gigabit", 16)
    }
}

fn common(
    name: &str,
    architecture: Architecture,
    performance: &str,
    interfaces: u32,
) -> InstanceType {
    InstanceType {
        architectures: vec![architecture],
        hypervisor: Some("nitro".to_owned()),
        efa_supported: true,
        network_performance: Some(performance.to_owned()),
        network_bandwidth: Gbps::from_network_performance(performance),
        maximum_network_interfaces: interfaces,
        ipv4_addresses_per_interface: Some(50),
        ipv6_addresses_per_interface: Some(50),
        placement_strategies: vec![
            PlacementStrategy::Cluster,
            PlacementStrategy::Partition,
            PlacementStrategy::Spread,
        ],
        ..InstanceType::unknown(name)
    }
}

fn gpus(manufacturer: &str, name: &str, count: u32, memory_gib: u64) -> Vec<Gpu> {
    vec![Gpu {
        manufacturer: manufacturer.to_owned(),
        name: name.to_owned(),
        count,
        memory_mib: memory_gib * 1024,
    }]
}

fn cards(
    indices: std::ops::Range<u32>,
    maximum_network_interfaces: u32,
    interface_types: Option<&[InterfaceType]>,
    gbps: Option<f64>,
) -> Vec<NetworkCard> {
    let card = |index| NetworkCard {
        network_card_index: CardIndex::new(index),
        interface_types: interface_types.map(<[_]>::to_vec),
        maximum_network_interfaces,
        baseline_bandwidth: gbps.and_then(Gbps::new),
        peak_bandwidth: gbps.and_then(Gbps::new),
        network_performance: None,
    };
    indices.map(card).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_says_where_it_is_from_and_what_is_assumed() {
        for row in instance_types() {
            let Origin::Override(origin) = &row.origin else {
                panic!("{}: {:?}", row.name, row.origin)
            };
            assert!(
                origin.contains("EC2 User Guide") && origin.contains("assumed"),
                "{}",
                row.name
            );
            assert!(
                row.efa_supported && row.network_bandwidth.is_some(),
                "{}",
                row.name
            );
        }
    }

    #[test]
    fn the_cards_of_gb200() {
        let row = p6e_gb200();
        let enis: Vec<_> = row
            .network_cards
            .iter()
            .map(|c| c.maximum_network_interfaces)
            .collect();
        assert_eq!(enis, [15, 1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1, 2]);
        assert!(!row.accepts(CardIndex::new(1), &InterfaceType::Efa));
        assert!(row.accepts(CardIndex::new(2), &InterfaceType::Efa));
    }
}
