"""The interfaces of a launch: read, resolved and held against the type's cards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from .. import catalog, lookup
from ..rules import refuse
from .spec import NicSpec

_KINDS = ("interface", "efa", "efa-only")
_ADDRESSING = (
    "PrivateIpAddress",
    "PrivateIpAddresses",
    "SecondaryPrivateIpAddressCount",
    "Ipv4Prefixes",
    "Ipv4PrefixCount",
    "Ipv6Addresses",
    "Ipv6AddressCount",
    "Ipv6Prefixes",
    "Ipv6PrefixCount",
    "PrimaryIpv6",
    "EnablePrimaryIpv6",
    "ConnectionTrackingSpecification",
)
_NEW_ONLY = ("SubnetId", "Groups", "Description", "AssociatePublicIpAddress", *_ADDRESSING)


def read_interfaces(backend: Any, request: Mapping[str, Any], high: int) -> list[NicSpec]:
    """The interfaces of a request, each in itself sound; without any, the implied one."""
    listed = request.get("NetworkInterfaces") or []
    if not listed:
        return [_implied(backend, request)]
    if request.get("SecurityGroupIds") or request.get("SecurityGroups"):
        refuse("nic.with_security_groups")
    if request.get("SubnetId"):
        refuse("nic.with_subnet")
    if request.get("PrivateIpAddress"):
        refuse("nic.with_private_ip")
    nics = [_read(backend, raw, high) for raw in listed]
    _check_slots(nics)
    if len(nics) > 1 and any(nic.raw.get("AssociatePublicIpAddress") for nic in nics):
        refuse("nic.public_ip_with_several")
    for nic in nics:
        if nic.subnet is None:
            if len(nics) > 1:
                refuse("nic.no_subnet", card=nic.card, device=nic.device)
            nic.subnet = _default_subnet(backend, request)
        if nic.existing is None:
            nic.groups = _groups(backend, nic.raw.get("Groups") or [], nic.subnet)
    zones = sorted({nic.subnet.availability_zone for nic in nics})
    if len(zones) > 1:
        refuse("nic.zones_differ", zones=", ".join(zones))
    return nics


def check_cards(type_name: str, info: dict[str, Any], nics: Sequence[NicSpec]) -> None:
    """Holds interfaces against the cards of a type."""
    cards, most_efas = catalog.cards(info), catalog.max_efas(info)
    if not most_efas and any(nic.is_efa for nic in nics):
        refuse("nic.efa_not_on_type", type=type_name)
    most = int(info["NetworkInfo"]["MaximumNetworkInterfaces"])
    if len(nics) > most:
        refuse("nic.too_many", count=len(nics), type=type_name)
    for nic in nics:
        _check_card(type_name, info, cards, nic)
    per_card = Counter(nic.card for nic in nics if nic.is_efa)
    for card, count in sorted(per_card.items()):
        if count > 1:
            refuse("nic.two_efas_on_card", count=count, card=card, type=type_name)
    count = sum(per_card.values())
    if count > most_efas:
        refuse("nic.too_many_efas", count=count, limit=most_efas, type=type_name)
    for nic in nics:
        if (nic.card, nic.device, nic.kind) == (0, 0, "efa-only"):
            refuse("nic.efa_only_primary")


def check_kind(raw: Mapping[str, Any]) -> str:
    """The interface type of a request, and that it fits the addressing given with it."""
    kind = str(raw.get("InterfaceType") or "interface")
    if kind not in _KINDS:
        refuse("nic.unknown_type", kind=kind)
    if kind == "efa-only":
        for name in _ADDRESSING:
            if raw.get(name):
                refuse("nic.efa_only_address", name=name)
        if raw.get("AssociatePublicIpAddress"):
            refuse("nic.efa_only_address", name="AssociatePublicIpAddress")
    return kind


def _read(backend: Any, raw: Mapping[str, Any], high: int) -> NicSpec:
    if raw.get("DeviceIndex") is None:
        refuse("nic.no_device_index")
    nic = NicSpec(
        raw=raw,
        card=int(raw.get("NetworkCardIndex") or 0),
        device=int(raw["DeviceIndex"]),
        kind=check_kind(raw),
    )
    if raw.get("NetworkInterfaceId"):
        nic.existing = lookup.interface(backend, str(raw["NetworkInterfaceId"]))
        for name in _NEW_ONLY:
            if raw.get(name):
                refuse("nic.interface_with_settings", name=name)
        if raw.get("DeleteOnTermination"):
            refuse("nic.interface_with_settings", name="DeleteOnTermination=true")
        if high > 1:
            refuse("nic.interface_with_count")
        if nic.existing.instance is not None:
            refuse("nic.interface_in_use", id=nic.existing.id)
        nic.kind = nic.existing.interface_type
        nic.subnet = nic.existing.subnet
        nic.groups = list(nic.existing._group_set)
    elif raw.get("SubnetId"):
        nic.subnet = lookup.subnet(backend, str(raw["SubnetId"]))
    return nic


def _check_slots(nics: Sequence[NicSpec]) -> None:
    slots = Counter((nic.card, nic.device) for nic in nics)
    if (0, 0) not in slots:
        refuse("nic.no_primary")
    for (card, device), count in slots.items():
        if count > 1:
            refuse("nic.duplicate_slot", card=card, device=device)


def _check_card(
    type_name: str, info: dict[str, Any], cards: Mapping[int, dict[str, Any]], nic: NicSpec
) -> None:
    card = cards.get(nic.card)
    if card is None:
        refuse("nic.card_out_of_range", card=nic.card, type=type_name, last=max(cards, default=0))
    last = int(card["MaximumNetworkInterfaces"]) - 1
    if not 0 <= nic.device <= last:
        refuse("nic.device_out_of_range", device=nic.device, card=nic.card, last=last)
    # A card that takes one EFA kind and not the other is in no data yet (2026-08).
    if nic.kind not in catalog.card_types(info, card):
        refuse("nic.efa_not_on_card", card=nic.card, type=type_name)


def _implied(backend: Any, request: Mapping[str, Any]) -> NicSpec:
    """The single interface of a launch that lists none."""
    names, ids = request.get("SecurityGroups") or [], request.get("SecurityGroupIds") or []
    raw: dict[str, Any] = {"DeviceIndex": 0, "DeleteOnTermination": True}
    if request.get("PrivateIpAddress"):
        raw["PrivateIpAddress"] = request["PrivateIpAddress"]
    if request.get("SubnetId"):
        if names:
            refuse("launch.group_names_with_subnet")
        subnet = lookup.subnet(backend, str(request["SubnetId"]))
    else:
        subnet = _default_subnet(backend, request)
    groups = list(ids)
    for name in names:
        group = backend.get_security_group_from_name(name, subnet.vpc_id)
        if group is None:
            refuse("launch.unknown_group", id=name)
        groups.append(group.id)
    return NicSpec(raw=raw, subnet=subnet, groups=_groups(backend, groups, subnet))


def _groups(backend: Any, ids: Sequence[str], subnet: Any) -> list[Any]:
    groups = [lookup.security_group(backend, str(group_id)) for group_id in ids]
    for group in groups:
        if group.vpc_id != subnet.vpc_id:
            refuse("launch.group_in_other_vpc", group=group.id, subnet=subnet.id)
    return groups or [lookup.default_group(backend, subnet.vpc_id)]


def _default_subnet(backend: Any, request: Mapping[str, Any]) -> Any:
    defaults = backend.get_default_subnets()
    zone = (request.get("Placement") or {}).get("AvailabilityZone")
    if zone is not None and zone not in defaults:
        if lookup.zone_id(backend, zone) is None:
            refuse("launch.zone_mismatch", zone=zone)
        refuse("launch.no_default_subnet")
    if not defaults:
        refuse("launch.no_default_subnet")
    return defaults[zone] if zone else defaults[sorted(defaults)[0]]
