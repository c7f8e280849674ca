"""Create, Describe, Attach, Detach, DeleteNetworkInterface, ModifyNetworkInterfaceAttribute."""

from __future__ import annotations

from typing import Any

from .. import addresses, catalog, elastic, filters, lookup, render
from ..call import Answer, Call
from ..instance import Interface, StandInInstance, slot
from ..launch.interfaces import check_cards, check_kind
from ..launch.spec import NicSpec
from ..paging import page
from ..rules import refuse
from ..tagging import set_tags, specified_tags, tags_of
from ..tokens import recall, remember


def create_network_interface(call: Call) -> Answer:
    """Makes an interface that is attached to nothing yet."""
    made = None if call.request.get("DryRun") else recall(call)
    if made is not None:
        eni = lookup.interface(call.backend, made)
        return {"NetworkInterface": render.network_interface(eni)}
    subnet = lookup.subnet(call.backend, call.need("SubnetId"))
    if subnet.ipv6_native:
        refuse("request.not_in_stand_in", what="CreateNetworkInterface in an IPv6-only subnet")
    kind = check_kind(call.request)
    groups = _groups(call, subnet)
    tags = specified_tags(call, "network-interface")["network-interface"]
    wanted, more = _wanted(call)
    for ip in (*([wanted] if wanted else []), *more):
        if not addresses.is_free(subnet, ip):
            refuse("nic.address_taken", ip=ip, subnet=subnet.id)
    count = 0 if kind == "efa-only" else 1 + len(more)
    count += call.get("SecondaryPrivateIpAddressCount", 0)
    if count > addresses.count_free(subnet):
        refuse("launch.subnet_full")
    call.stop_if_dry_run()
    pool = addresses.free(subnet)
    first = None if kind == "efa-only" else wanted or next(pool)
    while first is not None and len(more) < count - 1:
        more.append(next(ip for ip in pool if ip != first and ip not in more))
    eni = Interface(
        call.backend,
        subnet,
        kind=kind,
        address=first,
        more_addresses=more,
        groups=groups or [lookup.default_group(call.backend, subnet.vpc_id)],
        description=call.get("Description", ""),
        delete_on_termination=False,
        public_ip=False,
    )
    set_tags(call.backend, eni.id, tags)
    remember(call, eni.id)
    return {
        "NetworkInterface": render.network_interface(eni),
        "ClientToken": call.request.get("ClientToken"),
    }


def _groups(call: Call, subnet: Any) -> list[Any]:
    groups = [lookup.security_group(call.backend, name) for name in call.get("Groups", [])]
    for group in groups:
        if group.vpc_id != subnet.vpc_id:
            refuse("launch.group_in_other_vpc", group=group.id, subnet=subnet.id)
    return groups


def _wanted(call: Call) -> tuple[str | None, list[str]]:
    listed = call.get("PrivateIpAddresses", [])
    first = call.request.get("PrivateIpAddress") or next(
        (entry["PrivateIpAddress"] for entry in listed if entry.get("Primary")), None
    )
    return first, [
        entry["PrivateIpAddress"] for entry in listed if entry["PrivateIpAddress"] != first
    ]


def _attached(name: str) -> filters.Reader:
    return lambda nic: (render.attachment(nic) or {}).get(name)


_FILTERS: dict[str, filters.Reader] = {
    "addresses.private-ip-address": lambda nic: [
        item["PrivateIpAddress"] for item in nic.private_ip_addresses
    ],
    "addresses.primary": lambda nic: [
        item["PrivateIpAddress"] == nic.private_ip_address for item in nic.private_ip_addresses
    ],
    "association.public-ip": lambda nic: nic.public_ip,
    "attachment.attachment-id": lambda nic: nic.attachment_id,
    "attachment.delete-on-termination": _attached("DeleteOnTermination"),
    "attachment.device-index": _attached("DeviceIndex"),
    "attachment.network-card-index": _attached("NetworkCardIndex"),
    "attachment.instance-id": _attached("InstanceId"),
    "attachment.instance-owner-id": _attached("InstanceOwnerId"),
    "attachment.status": _attached("Status"),
    "availability-zone": lambda nic: nic.subnet.availability_zone,
    "description": lambda nic: nic.description,
    "group-id": lambda nic: [group.id for group in nic._group_set],
    "group-name": lambda nic: [group.name for group in nic._group_set],
    "interface-type": lambda nic: nic.interface_type,
    "mac-address": lambda nic: nic.mac_address,
    "network-interface-id": lambda nic: nic.id,
    "owner-id": lambda nic: nic.owner_id,
    "private-ip-address": lambda nic: nic.private_ip_address,
    "requester-managed": lambda nic: False,
    "source-dest-check": lambda nic: bool(nic.source_dest_check),
    "status": lambda nic: nic.status,
    "subnet-id": lambda nic: nic.subnet.id,
    "vpc-id": lambda nic: nic.subnet.vpc_id,
}


def describe_network_interfaces(call: Call) -> Answer:
    """Lists interfaces."""
    ids = call.get("NetworkInterfaceIds", [])
    chosen = [lookup.interface(call.backend, eni_id) for eni_id in dict.fromkeys(ids)]
    found = filters.apply(
        call.get("Filters"),
        chosen if ids else list(call.backend.enis.values()),
        _FILTERS,
        lambda nic: tags_of(call.backend, nic.id),
    )
    shown, more = page(
        call, found, default=1000, ids="NetworkInterfaceIds", ids_text="networkInterfaceIdSet"
    )
    call.stop_if_dry_run()
    return {"NetworkInterfaces": [render.network_interface(nic) for nic in shown], **more}


def attach_network_interface(call: Call) -> Answer:
    """Attaches an interface; an EFA only to a stopped instance."""
    eni = lookup.interface(call.backend, call.need("NetworkInterfaceId"))
    one = lookup.chosen_instances(call.backend, [call.need("InstanceId")])[0]
    device, card = int(call.need("DeviceIndex")), int(call.get("NetworkCardIndex", 0))
    if eni.instance is not None:
        refuse("nic.interface_in_use", id=eni.id)
    if one.state not in ("running", "stopped"):
        refuse("instance.wrong_state", id=one.id, verb="attached to")
    if eni.interface_type in ("efa", "efa-only") and one.state != "stopped":
        refuse("attach.efa_while_running", kind=eni.interface_type)
    if slot(card, device) in one.nics:
        refuse("attach.slot_taken", instance=one.id, device=device)
    if eni.subnet.availability_zone != one.availability_zone:
        zones = f"{eni.subnet.availability_zone}, {one.availability_zone}"
        refuse("nic.zones_differ", zones=zones)
    info = catalog.instance_type(one.instance_type)
    if info is not None:
        check_cards(
            one.instance_type,
            info,
            [*_specs(one), NicSpec({}, card, device, eni.interface_type)],
        )
    call.stop_if_dry_run()
    if isinstance(one, StandInInstance):
        attachment = one.attach(eni, card, device)
    else:
        attachment = one.attach_eni(eni, device)
    eni.delete_on_termination = False
    return {"AttachmentId": attachment, "NetworkCardIndex": card}


def _specs(one: Any) -> list[NicSpec]:
    return [
        NicSpec(
            {}, getattr(nic, "network_card_index", 0), int(nic.device_index), nic.interface_type
        )
        for nic in one.nics.values()
    ]


def detach_network_interface(call: Call) -> Answer:
    """Detaches an interface; not the primary, and an EFA only from a stopped instance."""
    attachment = call.need("AttachmentId")
    for eni in call.backend.enis.values():
        if eni.attachment_id == attachment:
            break
    else:
        refuse("attach.unknown_attachment", id=attachment)
    if slot(getattr(eni, "network_card_index", 0), int(eni.device_index)) == 0:
        refuse("nic.detach_primary")
    if eni.interface_type in ("efa", "efa-only") and eni.instance.state != "stopped":
        refuse("attach.efa_while_running", kind=eni.interface_type)
    call.stop_if_dry_run()
    eni.instance.detach_eni(eni)
    return {}


def delete_network_interface(call: Call) -> Answer:
    """Deletes an interface that is attached to nothing."""
    eni = lookup.interface(call.backend, call.need("NetworkInterfaceId"))
    if eni.instance is not None:
        refuse("nic.interface_in_use", id=eni.id)
    call.stop_if_dry_run()
    elastic.let_go(eni)
    eni.delete()
    call.backend.tags.pop(eni.id, None)
    return {}


_MODIFIABLE = ("Attachment", "Description", "DryRun", "Groups", "SourceDestCheck")


def modify_network_interface_attribute(call: Call) -> Answer:
    """Changes an interface; the primary's groups and check are its instance's, too."""
    eni = lookup.interface(call.backend, call.need("NetworkInterfaceId"))
    for name in call.request:
        if name not in (*_MODIFIABLE, "NetworkInterfaceId"):
            refuse("request.not_in_stand_in", what=f"{call.action} with {name}")
    delete = _delete_on_termination(call, eni)
    groups = _groups(call, eni.subnet)
    check = call.get("SourceDestCheck", {}).get("Value")
    description = call.get("Description", {}).get("Value")
    call.stop_if_dry_run()
    primary = eni.instance is not None and eni.instance.nics.get(0) is eni
    if delete is not None:
        eni.delete_on_termination = delete
    if description is not None:
        eni.description = description
    if groups:
        eni._group_set = groups
        if primary:
            eni.instance.security_groups = list(groups)
    if check is not None:
        eni.source_dest_check = check
        if primary:
            eni.instance.source_dest_check = check
    return {}


def _delete_on_termination(call: Call, eni: Any) -> bool | None:
    """What the request wants for the attachment, which it must name, or None."""
    wanted = call.get("Attachment", {})
    for name in wanted:
        if name not in ("AttachmentId", "DeleteOnTermination"):
            refuse("request.not_in_stand_in", what=f"{call.action} with Attachment.{name}")
    if not wanted:
        return None
    attachment = wanted.get("AttachmentId")
    if attachment is None:
        refuse("request.missing_parameter", name="Attachment.AttachmentId")
    if attachment != eni.attachment_id:
        refuse("attach.unknown_attachment", id=attachment)
    chosen = wanted.get("DeleteOnTermination")
    return None if chosen is None else bool(chosen)
