"""The EBS volumes of a launch, held against what EC2 allows each type.

Ranges: EC2 API reference, EbsBlockDevice (July 2026); IOPS per GiB: EBS user guide.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..machine_images import root_gib
from ..rules import refuse

#: Sizes in GiB, provisioned IOPS, and most IOPS per GiB.
_LIMITS = {
    "gp2": ((1, 16_384), None, None),
    "gp3": ((1, 65_536), (3_000, 80_000), 500),
    "io1": ((4, 16_384), (100, 64_000), 50),
    "io2": ((4, 65_536), (100, 256_000), 1_000),
    "st1": ((125, 16_384), None, None),
    "sc1": ((125, 16_384), None, None),
    "standard": ((1, 1_024), None, None),
}


def check_volumes(request: Mapping[str, Any], image: Any) -> None:
    """Refuses what EC2 refuses of block device mappings."""
    for mapping in request.get("BlockDeviceMappings") or []:
        if not mapping.get("DeviceName"):
            refuse("launch.no_device_name")
        ebs = mapping.get("Ebs") or {}
        is_root = mapping["DeviceName"] == image.root_device_name
        least = root_gib(image)
        size = int(ebs.get("VolumeSize") or least)
        if is_root and size < least:
            snapshot = image.ebs_snapshot.id
            refuse("launch.volume_size", size=size, snapshot=snapshot, least=least)
        if ebs:
            _check(ebs, size)


def _check(ebs: Mapping[str, Any], size: int) -> None:
    kind = str(ebs.get("VolumeType") or "gp2")
    if kind not in _LIMITS:
        refuse("launch.volume_type", kind=kind)
    sizes, iops_range, per_gib = _LIMITS[kind]
    _in_range("size", size, sizes)
    if ebs.get("KmsKeyId") and not ebs.get("Encrypted"):
        refuse("launch.volume_key")
    iops = int(ebs.get("Iops") or 0)
    if kind in ("io1", "io2") and not iops:
        refuse("launch.volume_iops_missing", kind=kind)
    if iops and iops_range is None:
        refuse("launch.volume_option", name="iops", kind=kind)
    if iops and iops_range is not None and per_gib is not None:
        _in_range("iops", iops, iops_range)
        if iops > max(size * per_gib, iops_range[0]):
            refuse("launch.volume_iops_ratio", ratio=f"{iops / size:.6f}", most=per_gib)
    throughput = int(ebs.get("Throughput") or 0)
    if not throughput:
        return
    if kind != "gp3":
        refuse("launch.volume_option", name="throughput", kind=kind)
    _in_range("throughput", throughput, (125, 2_000))
    ratio = throughput / (iops or 3_000)
    if ratio > 0.25:
        refuse("launch.volume_throughput_ratio", ratio=f"{ratio:.6f}")


def _in_range(name: str, value: int, limits: tuple[int, int]) -> None:
    least, most = limits
    if value < least:
        refuse(
            "launch.volume_range", name=name, value=value, word="low", limit=f"minimum is {least}"
        )
    if value > most:
        refuse(
            "launch.volume_range", name=name, value=value, word="high", limit=f"maximum is {most}"
        )
