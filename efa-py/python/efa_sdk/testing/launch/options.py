"""CPU options, metadata options and spot prices of a launch, held against EC2's limits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..rules import refuse


def check_options(request: Mapping[str, Any], info: Mapping[str, Any]) -> None:
    """Refuses what EC2 refuses of them."""
    _check_cpu(request.get("CpuOptions") or {}, info)
    hops = (request.get("MetadataOptions") or {}).get("HttpPutResponseHopLimit")
    if hops is not None and not 1 <= int(hops) <= 64:
        refuse("launch.hop_limit", hops=hops)
    names = (request.get("PrivateDnsNameOptions") or {}).get("HostnameType")
    if names not in (None, "ip-name", "resource-name"):
        refuse("launch.hostname_type", value=names)
    spot = (request.get("InstanceMarketOptions") or {}).get("SpotOptions") or {}
    price = spot.get("MaxPrice")
    if price is not None and float(price) <= 0.001:
        refuse("launch.spot_price", price=price)


def _check_cpu(options: Mapping[str, Any], info: Mapping[str, Any]) -> None:
    cores, threads = options.get("CoreCount"), options.get("ThreadsPerCore")
    if cores is None and threads is None:
        return
    if cores is None or threads is None:
        refuse("launch.cpu_options_half")
    kind, vcpu = info["InstanceType"], info.get("VCpuInfo") or {}
    most = vcpu.get("DefaultThreadsPerCore") or 1
    if info.get("BareMetal"):
        refuse("launch.cpu_options_metal", type=kind)
    if int(threads) > most or int(cores) > (vcpu.get("DefaultCores") or int(cores)):
        refuse("launch.cpu_options", type=kind, cores=cores, threads=threads)
