//! An answer of DescribeInstanceTypes as an [`InstanceType`].

use aws_sdk_ec2::types as sdk;

use super::convert::present;
use crate::catalog::{Gpu, InstanceType, NetworkCard, NeuronDevice};
use crate::error::Result;
use crate::types::{Architecture, CardIndex, Gbps, InterfaceType, PlacementStrategy, UsageClass};

/// Counts and sizes are never negative; a negative answer is taken as 0.
fn count<T: TryInto<u32> + Default>(value: Option<T>) -> u32 {
    value.unwrap_or_default().try_into().unwrap_or(0)
}

fn optional_count(value: Option<i32>) -> Option<u32> {
    value.and_then(|value| u32::try_from(value).ok())
}

pub(super) fn convert(info: sdk::InstanceTypeInfo) -> Result<InstanceType> {
    let name = present(info.instance_type, "InstanceType")?;
    let mut ours = InstanceType::unknown(name.as_str());
    ours.current_generation = info.current_generation;
    ours.bare_metal = info.bare_metal.unwrap_or(false);
    ours.hypervisor = info
        .hypervisor
        .map(|hypervisor| hypervisor.as_str().to_owned());
    if let Some(cpu) = info.v_cpu_info {
        ours.default_vcpus = count(cpu.default_v_cpus);
        ours.default_cores = optional_count(cpu.default_cores);
    }
    ours.memory_mib = info
        .memory_info
        .and_then(|memory| memory.size_in_mib)
        .map_or(0, i64::unsigned_abs);
    ours.instance_storage_gb = match (info.instance_storage_supported, info.instance_storage_info) {
        (Some(false), _) => Some(0),
        (_, storage) => storage
            .and_then(|storage| storage.total_size_in_gb)
            .map(i64::unsigned_abs),
    };
    ours.architectures = info
        .processor_info
        .and_then(|processor| processor.supported_architectures)
        .unwrap_or_default()
        .iter()
        .map(|architecture| Architecture::from(architecture.as_str()))
        .collect();
    ours.gpus = info
        .gpu_info
        .and_then(|info| info.gpus)
        .unwrap_or_default()
        .into_iter()
        .map(gpu)
        .collect();
    ours.neuron_devices = info
        .neuron_info
        .and_then(|info| info.neuron_devices)
        .unwrap_or_default()
        .into_iter()
        .map(neuron_device)
        .collect();
    ours.placement_strategies = info
        .placement_group_info
        .and_then(|info| info.supported_strategies)
        .unwrap_or_default()
        .iter()
        .map(|strategy| PlacementStrategy::from(strategy.as_str()))
        .collect();
    ours.usage_classes = info
        .supported_usage_classes
        .unwrap_or_default()
        .iter()
        .map(|class| UsageClass::from(class.as_str()))
        .collect();
    if let Some(network) = info.network_info {
        set_network(&mut ours, network)?;
    }
    Ok(ours)
}

fn set_network(ours: &mut InstanceType, network: sdk::NetworkInfo) -> Result<()> {
    ours.network_bandwidth = network
        .network_performance
        .as_deref()
        .and_then(Gbps::from_network_performance);
    ours.network_performance = network.network_performance;
    ours.maximum_network_interfaces = count(network.maximum_network_interfaces);
    ours.ipv4_addresses_per_interface = optional_count(network.ipv4_addresses_per_interface);
    ours.ipv6_addresses_per_interface = optional_count(network.ipv6_addresses_per_interface);
    ours.efa_supported = network.efa_supported.unwrap_or(false);
    ours.maximum_efa_interfaces =
        count(network.efa_info.and_then(|efa| efa.maximum_efa_interfaces));
    ours.ena_srd_supported = network.ena_srd_supported;
    ours.network_cards = network
        .network_cards
        .unwrap_or_default()
        .into_iter()
        .map(card)
        .collect::<Result<_>>()?;
    ours.network_cards
        .sort_by_key(|card| card.network_card_index);
    Ok(())
}

fn card(card: sdk::NetworkCardInfo) -> Result<NetworkCard> {
    let interface_types = card
        .interface_types
        .filter(|types| !types.is_empty())
        .map(|types| {
            types
                .iter()
                .map(|kind| InterfaceType::from(kind.as_str()))
                .collect()
        });
    Ok(NetworkCard {
        network_card_index: CardIndex::new(present(
            optional_count(card.network_card_index),
            "NetworkCardIndex",
        )?),
        interface_types,
        maximum_network_interfaces: count(card.maximum_network_interfaces),
        baseline_bandwidth: card.baseline_bandwidth_in_gbps.and_then(Gbps::new),
        peak_bandwidth: card.peak_bandwidth_in_gbps.and_then(Gbps::new),
        network_performance: card.network_performance,
    })
}

fn gpu(gpu: sdk::GpuDeviceInfo) -> Gpu {
    Gpu {
        manufacturer: gpu.manufacturer.unwrap_or_default(),
        name: gpu.name.unwrap_or_default(),
        count: count(gpu.count),
        memory_mib: u64::from(count(gpu.memory_info.and_then(|memory| memory.size_in_mib))),
    }
}

fn neuron_device(device: sdk::NeuronDeviceInfo) -> NeuronDevice {
    NeuronDevice {
        name: device.name.unwrap_or_default(),
        count: count(device.count),
        cores: count(device.core_info.and_then(|core| core.count)),
        memory_mib: u64::from(count(
            device.memory_info.and_then(|memory| memory.size_in_mib),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_sdk_does_not_know_survives() {
        let card = sdk::NetworkCardInfo::builder()
            .network_card_index(0)
            .maximum_network_interfaces(4)
            .interface_types(sdk::NetworkCardInterfaceType::from("quantum"))
            .build();
        let network = sdk::NetworkInfo::builder()
            .network_performance("9x 800 Gigabit")
            .efa_supported(true)
            .network_cards(card)
            .build();
        let info = sdk::InstanceTypeInfo::builder()
            .instance_type(sdk::InstanceType::from("p9.huge"))
            .supported_usage_classes(sdk::UsageClassType::from("lease"))
            .placement_group_info(
                sdk::PlacementGroupInfo::builder()
                    .supported_strategies(sdk::PlacementGroupStrategy::from("orbit"))
                    .build(),
            )
            .network_info(network)
            .build();
        let ours = convert(info).unwrap();
        assert_eq!(ours.name, "p9.huge");
        assert_eq!(ours.usage_classes[0].as_str(), "lease");
        assert_eq!(ours.placement_strategies[0].as_str(), "orbit");
        assert_eq!(ours.network_bandwidth, Gbps::new(7200.0));
        let types = ours.network_cards[0].interface_types.as_deref();
        assert_eq!(
            types,
            Some(&[InterfaceType::Other("quantum".to_owned())][..])
        );
    }

    #[test]
    fn an_answer_without_a_name_is_refused_and_missing_types_are_none() {
        let error = convert(sdk::InstanceTypeInfo::builder().build()).unwrap_err();
        assert_eq!(error.code().as_str(), "ec2.unexpected_answer");
        let card = sdk::NetworkCardInfo::builder()
            .network_card_index(0)
            .build();
        assert_eq!(super::card(card).unwrap().interface_types, None);
    }
}
