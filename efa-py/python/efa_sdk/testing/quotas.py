"""On-demand and spot vCPU quotas of EC2: their codes, and what counts against them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from . import catalog
from .state import instances

UNLIMITED = 1_000_000.0
"""What a quota is without `set_quota()`: more than any test launches."""


REGION_QUOTAS = {
    ("ec2", "L-0263D0A3"): ("EC2-VPC Elastic IPs", 5.0),
    ("vpc", "L-DF5E4CA3"): ("Network interfaces per Region", 5000.0),
    ("ebs", "L-7A658B76"): ("Storage for General Purpose SSD (gp3) volumes, in TiB", 50.0),
}
"""Quotas of a whole Region, with AWS's defaults ("Amazon VPC quotas", "Amazon EBS endpoints and
quotas"): GetServiceQuota shows them, and no launch is held against them.
"""


@dataclass(frozen=True)
class Quota:
    """One vCPU quota. Codes and names as the Service Quotas console shows them; not verified."""

    code: str
    name: str
    families: str
    spot: bool


_STANDARD = r"a|c|d|h|i|im|is|m|r|t|z"
_NAMED = "Standard (A, C, D, H, I, M, R, T, Z)"
QUOTAS = (
    Quota("L-1216C47A", f"Running On-Demand {_NAMED} instances", _STANDARD, False),
    Quota("L-417A185B", "Running On-Demand P instances", "p", False),
    Quota("L-DB2E81BA", "Running On-Demand G and VT instances", "g|gr|vt", False),
    Quota("L-2C3B7624", "Running On-Demand Trn instances", "trn", False),
    Quota("L-1945791B", "Running On-Demand Inf instances", "inf", False),
    Quota("L-F7808C92", "Running On-Demand HPC instances", "hpc", False),
    Quota("L-34B43A08", f"All {_NAMED} Spot Instance Requests", _STANDARD, True),
    Quota("L-7212CCBC", "All P Spot Instance Requests", "p", True),
    Quota("L-3819A6DF", "All G and VT Spot Instance Requests", "g|gr|vt", True),
    Quota("L-6B0D517C", "All Trn Spot Instance Requests", "trn", True),
    Quota("L-B5D1601B", "All Inf Spot Instance Requests", "inf", True),
)
BY_CODE = {quota.code: quota for quota in QUOTAS}


def quota_of(instance_type: str, market: str | None) -> Quota | None:
    """The quota that a launch counts against; Capacity Blocks and other families have none."""
    if market not in (None, "spot"):
        return None
    letters = re.match(r"[a-z]+", instance_type)
    for quota in QUOTAS:
        fits = letters and re.fullmatch(quota.families, letters[0])
        if fits and quota.spot == (market == "spot"):
            return quota
    return None


def used(backend: Any, quota: Quota) -> int:
    """The vCPUs of a Region that count against a quota now."""
    return sum(
        vcpus(one.instance_type)
        for one in instances(backend)
        if one.state in ("pending", "running")
        and quota_of(one.instance_type, _market(one)) is quota
    )


def vcpus(instance_type: str) -> int:
    """The default vCPUs of a type."""
    info = catalog.instance_type(instance_type) or {}
    return int(info.get("VCpuInfo", {}).get("DefaultVCpus", 0))


def _market(one: Any) -> str | None:
    launched = getattr(one, "launched", None)
    return launched.market if launched else None
