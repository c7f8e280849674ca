"""Describe, Associate, Disassociate, ReleaseAddress; moto allocates."""

from __future__ import annotations

from typing import Any

from .. import elastic, filters, lookup, render
from ..call import Answer, Call
from ..rules import refuse
from ..tagging import tags_of


def _shown(name: str) -> filters.Reader:
    return lambda eip: render.address(eip).get(name)


_FILTERS: dict[str, filters.Reader] = {
    "allocation-id": _shown("AllocationId"),
    "association-id": _shown("AssociationId"),
    "domain": _shown("Domain"),
    "instance-id": _shown("InstanceId"),
    "network-border-group": _shown("NetworkBorderGroup"),
    "network-interface-id": _shown("NetworkInterfaceId"),
    "network-interface-owner-id": _shown("NetworkInterfaceOwnerId"),
    "private-ip-address": _shown("PrivateIpAddress"),
    "public-ip": _shown("PublicIp"),
}


def describe_addresses(call: Call) -> Answer:
    """Lists Elastic IPs; an id or address that does not exist is refused."""
    chosen = [_by_allocation(call, one) for one in call.get("AllocationIds", [])]
    chosen += [_by_public_ip(call, one) for one in call.get("PublicIps", [])]
    everything = call.backend.addresses
    listed = [eip for eip in everything if eip in chosen] if chosen else list(everything)
    found = filters.apply(
        call.get("Filters"), listed, _FILTERS, lambda eip: tags_of(call.backend, eip.id)
    )
    call.stop_if_dry_run()
    return {"Addresses": [render.address(eip) for eip in found]}


def associate_address(call: Call) -> Answer:
    """Puts an Elastic IP on an interface; it moves there, unless AllowReassociation is false."""
    eip = _named(call)
    nic = _target(call)
    if nic.private_ip_address is None:
        refuse("nic.efa_only_address", name="an Elastic IP")
    asked = call.request.get("PrivateIpAddress")
    if asked not in (None, nic.private_ip_address):
        if asked not in [item["PrivateIpAddress"] for item in nic.private_ip_addresses]:
            refuse("nic.address_taken", ip=asked, subnet=nic.subnet.id)
        refuse("request.not_in_stand_in", what="an Elastic IP on a secondary private address")
    other = elastic.held_by(nic)
    if eip.eni is not nic and call.request.get("AllowReassociation") is False:
        if eip.eni is not None:
            refuse("address.associated", id=eip.allocation_id, association=eip.association_id)
        if other is not None:
            refuse("address.interface_taken", id=nic.id, association=other.association_id)
    call.stop_if_dry_run()
    elastic.associate(eip, nic)
    return {"AssociationId": eip.association_id}


def disassociate_address(call: Call) -> Answer:
    """Takes an Elastic IP off its interface."""
    association = call.request.get("AssociationId")
    if association is None and call.request.get("PublicIp") is None:
        refuse("request.missing_parameter", name="AssociationId")
    if association is None:
        eip = _by_public_ip(call, call.request["PublicIp"])
    else:
        eip = _found(call, "association_id", association)
        if eip is None:
            refuse("address.unknown_association", id=association)
    call.stop_if_dry_run()
    elastic.disassociate(eip)
    return {}


def release_address(call: Call) -> Answer:
    """Gives an Elastic IP back; outside a default VPC only one that is on no interface."""
    eip = _named(call)
    if eip.eni is not None and not call.backend.get_vpc(eip.eni.subnet.vpc_id).is_default:
        refuse("address.in_use", ip=eip.public_ip)
    call.stop_if_dry_run()
    elastic.disassociate(eip)
    call.backend.addresses.remove(eip)
    call.backend.tags.pop(eip.id, None)
    return {}


def _named(call: Call) -> Any:
    """The Elastic IP that a request names, by allocation or by its address."""
    if call.request.get("AllocationId") is not None:
        return _by_allocation(call, call.request["AllocationId"])
    if call.request.get("PublicIp") is not None:
        return _by_public_ip(call, call.request["PublicIp"])
    refuse("request.missing_parameter", name="AllocationId")


def _target(call: Call) -> Any:
    """The interface that a request names, itself or as the only one of an instance."""
    if call.request.get("NetworkInterfaceId") is not None:
        return lookup.interface(call.backend, call.request["NetworkInterfaceId"])
    if call.request.get("InstanceId") is None:
        refuse("request.missing_parameter", name="NetworkInterfaceId")
    one = lookup.chosen_instances(call.backend, [call.request["InstanceId"]])[0]
    if one.state in ("pending", "shutting-down", "terminated"):
        refuse("address.instance_state", id=one.id, state=one.state)
    if len(one.nics) != 1:
        refuse("address.several_interfaces", id=one.id)
    return next(iter(one.nics.values()))


def _by_allocation(call: Call, allocation: str) -> Any:
    eip = _found(call, "allocation_id", allocation)
    if eip is None:
        refuse("address.unknown_allocation", id=allocation)
    return eip


def _by_public_ip(call: Call, public_ip: str) -> Any:
    eip = _found(call, "public_ip", public_ip)
    if eip is None:
        refuse("address.unknown", ip=public_ip)
    return eip


def _found(call: Call, name: str, value: str) -> Any | None:
    return next((eip for eip in call.backend.addresses if getattr(eip, name) == value), None)
