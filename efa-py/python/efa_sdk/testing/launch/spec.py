"""A RunInstances request, merged with its launch template, as one value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from moto.core.types import Base64EncodedString

from ..call import Call
from ..rules import refuse
from ..state import CapacityReservation, PlacementGroup
from ..wire import operation


@dataclass
class NicSpec:
    """One interface to make, or an existing one to attach."""

    raw: Mapping[str, Any]
    card: int = 0
    device: int = 0
    kind: str = "interface"
    subnet: Any = None
    groups: list[Any] = field(default_factory=list)
    existing: Any = None

    @property
    def is_efa(self) -> bool:
        """Whether it takes an EFA of its card."""
        return self.kind in ("efa", "efa-only")

    @property
    def addresses(self) -> int:
        """How many IPv4 addresses it takes from its subnet."""
        if self.existing is not None or self.kind == "efa-only" or self.subnet.ipv6_native:
            return 0
        more = int(self.raw.get("SecondaryPrivateIpAddressCount") or 0)
        return max(1, len(self.asked_addresses)) + more

    @property
    def asked_ipv6(self) -> int:
        """How many IPv6 addresses the request asks for."""
        listed = len(self.raw.get("Ipv6Addresses") or [])
        return listed + int(self.raw.get("Ipv6AddressCount") or 0)

    @property
    def ipv6_addresses(self) -> int:
        """How many IPv6 addresses it gets: an IPv6-only subnet gives one unasked."""
        if self.existing is not None or self.kind == "efa-only":
            return 0
        return max(self.asked_ipv6, int(bool(self.subnet.ipv6_native)))

    @property
    def asked_addresses(self) -> list[str]:
        """The addresses that the request spells out, the primary one first."""
        listed = [
            entry
            for entry in self.raw.get("PrivateIpAddresses") or []
            if entry.get("PrivateIpAddress")
        ]
        listed.sort(key=lambda entry: not entry.get("Primary"))
        asked = [self.raw.get("PrivateIpAddress")] if self.raw.get("PrivateIpAddress") else []
        asked += [entry["PrivateIpAddress"] for entry in listed]
        return [str(ip) for ip in dict.fromkeys(asked)]


@dataclass
class Launch:
    """Everything that a launch needs, resolved."""

    request: dict[str, Any]
    low: int
    high: int
    type_name: str
    info: dict[str, Any]
    image: Any
    nics: list[NicSpec]
    zone: str
    zone_id: str
    vpc_tenancy: str = "default"
    group: PlacementGroup | None = None
    market: str | None = None
    reservation: CapacityReservation | None = None
    #: The ARN of the resource group that the launch targets.
    reservation_group: str | None = None
    profile: tuple[str, str] | None = None
    tags: dict[str, dict[str, str]] = field(default_factory=dict)

    @property
    def tenancy(self) -> str:
        """The tenancy asked for, or the VPC's where it is dedicated."""
        if self.vpc_tenancy == "dedicated":
            return self.vpc_tenancy
        return str((self.request.get("Placement") or {}).get("Tenancy") or "default")

    @property
    def primary(self) -> NicSpec:
        """The interface at (0, 0)."""
        return next(nic for nic in self.nics if (nic.card, nic.device) == (0, 0))


def merged_request(call: Call) -> dict[str, Any]:
    """The request with what its launch template adds; the request's own values win."""
    request = dict(call.request)
    chosen = request.get("LaunchTemplate")
    if not chosen:
        return request
    data = _template_data(call, chosen)
    shape = operation("RunInstances").input_shape
    known = set(shape.members) if shape is not None else set()
    # moto keeps the template's own tags among those that it gives to instances.
    specs = [
        spec
        for spec in data.get("TagSpecifications") or []
        if spec.get("ResourceType") != "launch-template"
    ]
    specs += request.get("TagSpecifications") or []
    for name, value in data.items():
        if name in known and name != "TagSpecifications" and request.get(name) is None:
            request[name] = str(value) if isinstance(value, Base64EncodedString) else value
    if specs:
        request["TagSpecifications"] = _merged_tags(specs)
    return request


def _template_data(call: Call, chosen: Mapping[str, Any]) -> Mapping[str, Any]:
    templates = call.backend.launch_templates
    template_id, name = chosen.get("LaunchTemplateId"), chosen.get("LaunchTemplateName")
    for template in templates.values():
        if template.id == template_id or (name is not None and template.name == name):
            break
    else:
        refuse("launch.unknown_template", id=template_id or name)
    version = chosen.get("Version") or "$Default"
    number = {
        "$Default": template.default_version_number,
        "$Latest": template.latest_version_number,
    }.get(str(version), version)
    for item in template.versions:
        if str(item.number) == str(number):
            data: Mapping[str, Any] = item.data
            return data
    refuse("launch.unknown_template", id=f"{template.id}, version {version}")


def _merged_tags(specs: list[Any]) -> list[dict[str, Any]]:
    merged: dict[str, dict[str, str]] = {}
    for spec in specs:
        tags = merged.setdefault(str(spec.get("ResourceType") or ""), {})
        for tag in spec.get("Tags") or spec.get("Tag") or []:
            tags[tag.get("Key")] = tag.get("Value")
    return [
        {"ResourceType": kind, "Tags": [{"Key": k, "Value": v} for k, v in tags.items()]}
        for kind, tags in merged.items()
    ]
