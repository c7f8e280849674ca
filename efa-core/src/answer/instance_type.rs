//! An item of DescribeInstanceTypes as an [`InstanceType`].

use super::required::present;
use super::xml::Element;
use crate::catalog::{Gpu, InstanceType, NetworkCard, NeuronDevice};
use crate::error::Result;
use crate::types::{Architecture, CardIndex, Gbps, InterfaceType, PlacementStrategy, UsageClass};

pub(super) fn read(info: Element<'_>) -> Result<InstanceType> {
    let name = present(info.string("instanceType"), "InstanceType")?;
    let mut ours = InstanceType::unknown(&name);
    ours.current_generation = info.value("currentGeneration");
    ours.bare_metal = info.value("bareMetal").unwrap_or(false);
    ours.hypervisor = info.string("hypervisor");
    if let Some(cpu) = info.child("vCpuInfo") {
        ours.default_vcpus = count(cpu, "defaultVCpus");
        ours.default_cores = cpu.value("defaultCores");
    }
    ours.memory_mib = info
        .child("memoryInfo")
        .and_then(|memory| memory.value("sizeInMiB"))
        .map_or(0, i64::unsigned_abs);
    ours.instance_storage_gb = match info.value("instanceStorageSupported") {
        Some(false) => Some(0),
        _ => info
            .child("instanceStorageInfo")
            .and_then(|storage| storage.value("totalSizeInGB"))
            .map(i64::unsigned_abs),
    };
    ours.architectures = words(
        info.child("processorInfo"),
        "supportedArchitectures",
        |word| Architecture::from(word),
    );
    ours.gpus = parts(info.child("gpuInfo"), "gpus", gpu);
    ours.neuron_devices = parts(info.child("neuronInfo"), "neuronDevices", neuron_device);
    let groups = info.child("placementGroupInfo");
    ours.placement_strategies = words(groups, "supportedStrategies", |word| {
        PlacementStrategy::from(word)
    });
    ours.usage_classes = words(Some(info), "supportedUsageClasses", |word| {
        UsageClass::from(word)
    });
    if let Some(network) = info.child("networkInfo") {
        set_network(&mut ours, network)?;
    }
    Ok(ours)
}

fn set_network(ours: &mut InstanceType, network: Element<'_>) -> Result<()> {
    ours.network_performance = network.string("networkPerformance");
    ours.network_bandwidth = ours
        .network_performance
        .as_deref()
        .and_then(Gbps::from_network_performance);
    ours.maximum_network_interfaces = count(network, "maximumNetworkInterfaces");
    ours.ipv4_addresses_per_interface = network.value("ipv4AddressesPerInterface");
    ours.ipv6_addresses_per_interface = network.value("ipv6AddressesPerInterface");
    ours.efa_supported = network.value("efaSupported").unwrap_or(false);
    ours.maximum_efa_interfaces = network
        .child("efaInfo")
        .map_or(0, |efa| count(efa, "maximumEfaInterfaces"));
    ours.ena_srd_supported = network.value("enaSrdSupported");
    ours.network_cards = network
        .items("networkCards")
        .map(card)
        .collect::<Result<_>>()?;
    ours.network_cards
        .sort_by_key(|card| card.network_card_index);
    Ok(())
}

fn card(card: Element<'_>) -> Result<NetworkCard> {
    let types = words(Some(card), "interfaceTypeSet", |word| {
        InterfaceType::from(word)
    });
    let gbps = |name| card.value(name).and_then(Gbps::new);
    Ok(NetworkCard {
        network_card_index: CardIndex::new(present(
            card.value("networkCardIndex"),
            "NetworkCardIndex",
        )?),
        interface_types: (!types.is_empty()).then_some(types),
        maximum_network_interfaces: count(card, "maximumNetworkInterfaces"),
        baseline_bandwidth: gbps("baselineBandwidthInGbps"),
        peak_bandwidth: gbps("peakBandwidthInGbps"),
        network_performance: card.string("networkPerformance"),
    })
}

fn gpu(gpu: Element<'_>) -> Gpu {
    Gpu {
        manufacturer: gpu.string("manufacturer").unwrap_or_default(),
        name: gpu.string("name").unwrap_or_default(),
        count: count(gpu, "count"),
        memory_mib: memory_mib(gpu),
    }
}

fn neuron_device(device: Element<'_>) -> NeuronDevice {
    NeuronDevice {
        name: device.string("name").unwrap_or_default(),
        count: count(device, "count"),
        cores: device
            .child("coreInfo")
            .map_or(0, |core| count(core, "count")),
        memory_mib: memory_mib(device),
    }
}

fn memory_mib(device: Element<'_>) -> u64 {
    let memory = device.child("memoryInfo");
    u64::from(memory.map_or(0, |memory| count(memory, "sizeInMiB")))
}

/// Counts and sizes are never negative; a negative one is taken as 0.
fn count(of: Element<'_>, name: &str) -> u32 {
    of.value(name).unwrap_or(0)
}

fn words<T>(of: Option<Element<'_>>, set: &str, word: fn(&str) -> T) -> Vec<T> {
    parts(of, set, |item| item.text().to_owned())
        .iter()
        .map(|text| word(text))
        .collect()
}

fn parts<T>(of: Option<Element<'_>>, set: &str, part: fn(Element<'_>) -> T) -> Vec<T> {
    let Some(of) = of else {
        return Vec::new();
    };
    of.items(set).map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::super::xml::Document;
    use super::*;

    fn read_text(fields: &str) -> Result<InstanceType> {
        read(
            Document::parse(&format!("<item>{fields}</item>"))
                .unwrap()
                .root(),
        )
    }

    #[test]
    fn what_is_not_known_yet_survives() {
        let ours = read_text(
            "<instanceType>p9.huge</instanceType>\
             <supportedUsageClasses><item>lease</item></supportedUsageClasses>\
             <placementGroupInfo><supportedStrategies><item>orbit</item></supportedStrategies>\
             </placementGroupInfo><networkInfo><efaSupported>true</efaSupported>\
             <networkPerformance>9x 800 Gigabit</networkPerformance><networkCards><item>\
             <networkCardIndex>0</networkCardIndex>\
             <maximumNetworkInterfaces>4</maximumNetworkInterfaces>\
             <interfaceTypeSet><item>quantum</item></interfaceTypeSet></item></networkCards>\
             </networkInfo>",
        )
        .unwrap();
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
    fn devices_memory_and_storage_are_read() {
        let ours = read_text(
            "<instanceType>x.large</instanceType><currentGeneration>false</currentGeneration>\
             <bareMetal>true</bareMetal><memoryInfo><sizeInMiB>2048</sizeInMiB></memoryInfo>\
             <vCpuInfo><defaultVCpus>4</defaultVCpus><defaultCores>2</defaultCores></vCpuInfo>\
             <instanceStorageSupported>true</instanceStorageSupported>\
             <instanceStorageInfo><totalSizeInGB>900</totalSizeInGB></instanceStorageInfo>\
             <processorInfo><supportedArchitectures><item>arm64</item></supportedArchitectures>\
             </processorInfo><gpuInfo><gpus><item><name>H100</name><manufacturer>NVIDIA</manufacturer>\
             <count>8</count><memoryInfo><sizeInMiB>81920</sizeInMiB></memoryInfo></item></gpus>\
             </gpuInfo><neuronInfo><neuronDevices><item><name>Trainium2</name><count>16</count>\
             <coreInfo><count>8</count></coreInfo><memoryInfo><sizeInMiB>98304</sizeInMiB>\
             </memoryInfo></item></neuronDevices></neuronInfo>",
        )
        .unwrap();
        assert_eq!((ours.default_vcpus, ours.default_cores), (4, Some(2)));
        assert_eq!(
            (ours.memory_mib, ours.instance_storage_gb),
            (2048, Some(900))
        );
        assert_eq!(
            (ours.bare_metal, ours.current_generation),
            (true, Some(false))
        );
        assert_eq!(ours.architectures, [Architecture::from("arm64")]);
        let (gpu, neuron) = (&ours.gpus[0], &ours.neuron_devices[0]);
        assert_eq!(
            (gpu.name.as_str(), gpu.count, gpu.memory_mib),
            ("H100", 8, 81920)
        );
        assert_eq!(
            (neuron.count, neuron.cores, neuron.memory_mib),
            (16, 8, 98304)
        );
        assert!(!ours.efa_supported);
        let without = "<instanceType>x.large</instanceType>\
                       <instanceStorageSupported>false</instanceStorageSupported>";
        assert_eq!(read_text(without).unwrap().instance_storage_gb, Some(0));
    }

    #[test]
    fn an_answer_without_a_name_is_refused_and_missing_types_are_none() {
        let error = read_text("").unwrap_err();
        assert_eq!(error.code().as_str(), "ec2.unexpected_answer");
        let document = Document::parse("<item><networkCardIndex>0</networkCardIndex></item>");
        let card = card(document.unwrap().root()).unwrap();
        assert_eq!(card.interface_types, None);
    }
}
