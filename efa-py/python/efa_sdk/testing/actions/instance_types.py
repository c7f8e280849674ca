"""DescribeInstanceTypes, DescribeInstanceTypeOfferings."""

from __future__ import annotations

from functools import cache

from .. import catalog, filters
from ..call import Answer, Call
from ..paging import page
from ..rules import refuse

# Filter names whose words are not the field's name cut at capitals.
_PATHS: dict[str, tuple[str, ...]] = {
    "instance-type": ("InstanceType",),
    "instance-storage-info.disk.count": ("InstanceStorageInfo", "Disks", "Count"),
    "instance-storage-info.disk.size-in-gb": ("InstanceStorageInfo", "Disks", "SizeInGB"),
    "instance-storage-info.disk.type": ("InstanceStorageInfo", "Disks", "Type"),
    "instance-storage-info.total-size-in-gb": ("InstanceStorageInfo", "TotalSizeInGB"),
    "memory-info.size-in-mib": ("MemoryInfo", "SizeInMiB"),
    "network-info.bandwidth-weightings": ("NetworkInfo", "BandwidthWeightings"),
    "processor-info.supported-architecture": ("ProcessorInfo", "SupportedArchitectures"),
    "processor-info.sustained-clock-speed-in-ghz": ("ProcessorInfo", "SustainedClockSpeedInGhz"),
    "processor-info.supported-features": ("ProcessorInfo", "SupportedFeatures"),
    "supported-boot-mode": ("SupportedBootModes",),
    "supported-root-device-type": ("SupportedRootDeviceTypes",),
    "supported-usage-class": ("SupportedUsageClasses",),
    "supported-virtualization-type": ("SupportedVirtualizationTypes",),
    "vcpu-info.default-cores": ("VCpuInfo", "DefaultCores"),
    "vcpu-info.default-threads-per-core": ("VCpuInfo", "DefaultThreadsPerCore"),
    "vcpu-info.default-vcpus": ("VCpuInfo", "DefaultVCpus"),
    "vcpu-info.valid-cores": ("VCpuInfo", "ValidCores"),
    "vcpu-info.valid-threads-per-core": ("VCpuInfo", "ValidThreadsPerCore"),
}
# EC2 API reference, DescribeInstanceTypes: the filters whose names follow the fields.
_PLAIN = [
    "auto-recovery-supported",
    "bare-metal",
    "burstable-performance-supported",
    "current-generation",
    "dedicated-hosts-supported",
    "free-tier-eligible",
    "hibernation-supported",
    "hypervisor",
    "instance-storage-supported",
    "nitro-enclaves-support",
    "nitro-tpm-support",
    "reboot-migration-support",
    "ebs-info.attachment-limit-type",
    "ebs-info.maximum-ebs-attachments",
    "ebs-info.ebs-optimized-info.baseline-iops",
    "ebs-info.ebs-optimized-info.maximum-iops",
    "ebs-info.ebs-optimized-info.baseline-bandwidth-in-mbps",
    "ebs-info.ebs-optimized-info.maximum-bandwidth-in-mbps",
    "ebs-info.ebs-optimized-support",
    "ebs-info.encryption-support",
    "ebs-info.nvme-support",
    "instance-storage-info.encryption-support",
    "instance-storage-info.nvme-support",
    "network-info.efa-info.maximum-efa-interfaces",
    "network-info.efa-supported",
    "network-info.ena-support",
    "network-info.encryption-in-transit-supported",
    "network-info.flexible-ena-queues-support",
    "network-info.ipv4-addresses-per-interface",
    "network-info.ipv6-addresses-per-interface",
    "network-info.ipv6-supported",
    "network-info.maximum-network-cards",
    "network-info.maximum-network-interfaces",
    "network-info.network-performance",
]


def _field(words: str) -> str:
    return "".join(word[0].upper() + word[1:] for word in words.split("-"))


@cache
def _readers() -> dict[str, filters.Reader]:
    readers = {name: filters.path_reader(*path) for name, path in _PATHS.items()}
    for name in _PLAIN:
        readers[name] = filters.path_reader(*(_field(words) for words in name.split(".")))
    return readers


def describe_instance_types(call: Call) -> Answer:
    """Lists instance types, 100 to a page unless MaxResults (5 to 100) sets another number."""
    known = catalog.instance_types()
    names = call.get("InstanceTypes", [])
    unknown = [name for name in names if name not in known]
    if unknown:
        refuse("types.unknown", types=", ".join(unknown))
    chosen = [known[name] for name in dict.fromkeys(names)] if names else list(known.values())
    found = filters.apply(call.get("Filters"), chosen, _readers())
    # Without MaxResults EC2 is taken to page at its maximum; what the CLI prints looks so.
    shown, more = page(
        call, found, high=100, default=100, ids="InstanceTypes", ids_text="InstanceTypes"
    )
    call.stop_if_dry_run()
    return {"InstanceTypes": shown, **more}


_OFFERING_FILTERS: dict[str, filters.Reader] = {
    "instance-type": lambda entry: entry["InstanceType"],
    "location": lambda entry: entry["Location"],
}


def describe_instance_type_offerings(call: Call) -> Answer:
    """Lists which Region, zone or zone id offers which type."""
    location_type = call.get("LocationType", "region")
    if location_type not in ("region", "availability-zone", "availability-zone-id"):
        if location_type == "outpost":
            refuse("request.not_in_stand_in", what="LocationType outpost")
        refuse("request.malformed_parameter", name="LocationType", value=location_type)
    listed = catalog.offerings(location_type, call.region)
    found = filters.apply(call.get("Filters"), listed, _OFFERING_FILTERS)
    shown, more = page(call, found, default=1000)
    call.stop_if_dry_run()
    return {"InstanceTypeOfferings": shown, **more}
