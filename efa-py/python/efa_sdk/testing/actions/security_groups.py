"""Security group changes: checked here as EC2 does, carried out by moto."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .. import lookup
from ..call import Answer, Call
from ..moto_paging import forward_paged
from ..rules import refuse
from ..state import tick

Key = tuple[str, int | None, int | None, str]


def describe_security_groups(call: Call) -> Answer:
    """moto's listing; of ids that do not exist, the first is named."""
    for group_id in call.get("GroupIds", []):
        lookup.security_group(call.backend, group_id, "security_group.unknown")
    return forward_paged(call)


def authorize_ingress(call: Call) -> Answer:
    """AuthorizeSecurityGroupIngress: a rule that is there already is refused."""
    return _authorize(call, "ingress_rules")


def authorize_egress(call: Call) -> Answer:
    """AuthorizeSecurityGroupEgress: a rule that is there already is refused."""
    return _authorize(call, "egress_rules")


def _authorize(call: Call, side: str) -> Answer:
    group = _group(call)
    if group is not None:
        present = {key for rule in getattr(group, side) for key in _kept_keys(rule)}
        for key in _asked_keys(call):
            if key in present:
                protocol, low, high, peer = key
                refuse(
                    "security_group.duplicate_rule",
                    peer=peer,
                    traffic=_traffic(protocol, low, high),
                )
        for permission in call.get("IpPermissions", []):
            for pair in permission.get("UserIdGroupPairs") or []:
                if pair.get("GroupId"):
                    lookup.security_group(call.backend, pair["GroupId"], "security_group.unknown")
    return call.forward(None)


def _group(call: Call) -> Any | None:
    group_id, name = call.request.get("GroupId"), call.request.get("GroupName")
    if group_id:
        return lookup.security_group(call.backend, group_id, "security_group.unknown")
    return call.backend.get_security_group_from_name(name) if name else None


def _ports(protocol: str, low: Any, high: Any) -> tuple[int | None, int | None]:
    if protocol == "-1" or low is None:
        return None, None  # EC2 ignores ports where the protocol is "all"
    return int(low), int(high)


def _asked_keys(call: Call) -> Iterator[Key]:
    request = call.request
    if request.get("IpProtocol") is not None:
        protocol = str(request["IpProtocol"])
        low, high = _ports(protocol, request.get("FromPort"), request.get("ToPort"))
        if request.get("CidrIp"):
            yield protocol, low, high, str(request["CidrIp"])
    for permission in request.get("IpPermissions") or []:
        protocol = str(permission.get("IpProtocol", "-1"))
        low, high = _ports(protocol, permission.get("FromPort"), permission.get("ToPort"))
        for pair in permission.get("UserIdGroupPairs") or []:
            yield protocol, low, high, str(pair.get("GroupId") or pair.get("GroupName"))
        for entry in permission.get("IpRanges") or []:
            yield protocol, low, high, str(entry.get("CidrIp"))
        for entry in permission.get("Ipv6Ranges") or []:
            yield protocol, low, high, str(entry.get("CidrIpv6"))
        for entry in permission.get("PrefixListIds") or []:
            yield protocol, low, high, str(entry.get("PrefixListId"))


def _kept_keys(rule: Any) -> Iterator[Key]:
    protocol = str(rule.ip_protocol)
    low, high = _ports(protocol, rule.from_port, rule.to_port)
    if rule.source_group:
        peer = rule.source_group.get("GroupId") or rule.source_group.get("GroupName")
        yield protocol, low, high, str(peer)
    for name in ("CidrIp", "CidrIpv6"):
        if rule.ip_range and rule.ip_range.get(name):
            yield protocol, low, high, str(rule.ip_range[name])
    if rule.prefix_list_id:
        yield protocol, low, high, str(rule.prefix_list_id.get("PrefixListId"))


def _traffic(protocol: str, low: int | None, high: int | None) -> str:
    name = "ALL" if protocol == "-1" else protocol.upper()
    return name if low is None else f"{name}, from port: {low}, to port: {high}"


def delete_security_group(call: Call) -> Answer:
    """Refused while an interface or another group's rule uses the group."""
    group = _group(call)
    if group is not None:
        users = [eni for eni in call.backend.enis.values() if group in eni._group_set]
        named = any(
            other is not group and group.id in _peers(other)
            for groups in call.backend.groups.values()
            for other in groups.values()
        )
        if users or named:
            leaving = {
                eni.instance.id
                for eni in users
                if eni.instance is not None and eni.instance.state == "shutting-down"
            }
            # A caller that only waits for the group sees its instances go, too.
            tick(call.backend, leaving)
            refuse("security_group.in_use", id=group.id)
    return call.forward(None)


def _peers(group: Any) -> set[str]:
    rules = [*group.ingress_rules, *group.egress_rules]
    return {key[3] for rule in rules for key in _kept_keys(rule)}


def delete_subnet(call: Call) -> Answer:
    """Refused while interfaces are in the subnet."""
    subnet = lookup.subnet(call.backend, call.need("SubnetId"))
    if any(eni.subnet.id == subnet.id for eni in call.backend.enis.values()):
        refuse("subnet.in_use", id=subnet.id)
    return call.forward(None)
