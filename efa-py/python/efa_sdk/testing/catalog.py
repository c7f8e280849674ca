"""Instance types and where they are offered, from moto's copy of EC2's own data."""

from __future__ import annotations

from functools import cache
from typing import Any

from moto.ec2.models.instance_types import INSTANCE_TYPE_OFFERINGS, INSTANCE_TYPES


@cache
def instance_types() -> dict[str, dict[str, Any]]:
    """DescribeInstanceTypes entries by name, in name order."""
    return {name: INSTANCE_TYPES[name] for name in sorted(INSTANCE_TYPES)}


def instance_type(name: str) -> dict[str, Any] | None:
    """One DescribeInstanceTypes entry."""
    return instance_types().get(name)


@cache
def offerings(location_type: str, region: str) -> list[dict[str, str]]:
    """DescribeInstanceTypeOfferings entries of a Region, by type and location, or nothing."""
    found: list[dict[str, str]] = INSTANCE_TYPE_OFFERINGS.get(location_type, {}).get(region, [])
    return sorted(found, key=lambda entry: (entry["InstanceType"], entry["Location"]))


@cache
def zones_offering(region: str, name: str) -> tuple[str, ...]:
    """The zones of a Region that offer a type, in name order."""
    return tuple(
        sorted(
            entry["Location"]
            for entry in offerings("availability-zone", region)
            if entry["InstanceType"] == name
        )
    )


def has_offerings(region: str) -> bool:
    """Whether moto carries offerings for the Region at all."""
    return bool(offerings("availability-zone", region))


def cards(info: dict[str, Any]) -> dict[int, dict[str, Any]]:
    """The network cards of a type by their index."""
    network = info.get("NetworkInfo", {})
    return {int(card["NetworkCardIndex"]): card for card in network.get("NetworkCards", [])}


def card_types(info: dict[str, Any], card: dict[str, Any]) -> list[str]:
    """The interface types that a card takes."""
    types = card.get("InterfaceTypes")
    if types:
        return list(types)
    return ["interface", "efa", "efa-only"] if max_efas(info) else ["interface"]


def max_efas(info: dict[str, Any]) -> int:
    """How many EFA and EFA-only interfaces a type takes; 0 without EFA."""
    network = info.get("NetworkInfo", {})
    if not network.get("EfaSupported"):
        return 0
    return int(network.get("EfaInfo", {}).get("MaximumEfaInterfaces", 1))
