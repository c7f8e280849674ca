"""Finding what a request names, or refusing it as EC2 does."""

from __future__ import annotations

import re
from typing import Any

from .call import Call
from .rules import refuse
from .state import CapacityReservation, PlacementGroup, instances

_INSTANCE_ID = re.compile(r"i-[0-9a-f]{8}(?:[0-9a-f]{9})?\Z")


def subnet(backend: Any, subnet_id: str) -> Any:
    """A subnet by id."""
    for zone in backend.subnets.values():
        if subnet_id in zone:
            return zone[subnet_id]
    refuse("launch.unknown_subnet", id=subnet_id)


def security_group(backend: Any, group_id: str, rule: str = "launch.unknown_group") -> Any:
    """A security group by id."""
    for groups in list(backend.groups.values()):
        if group_id in groups:
            return groups[group_id]
    refuse(rule, id=group_id)


def default_group(backend: Any, vpc_id: str) -> Any:
    """The VPC's default security group."""
    for group in backend.groups.get(vpc_id, {}).values():
        if group.name == "default":
            return group
    refuse("launch.unknown_group", id="default")


def interface(backend: Any, interface_id: str) -> Any:
    """A network interface by id."""
    if interface_id not in backend.enis:
        refuse("nic.unknown_interface", id=interface_id)
    return backend.enis[interface_id]


def chosen_instances(backend: Any, ids: list[str]) -> list[Any]:
    """Instances by id, in the order of the ids; every id must exist."""
    for instance_id in ids:
        if not _INSTANCE_ID.match(instance_id):
            refuse("instance.malformed", id=instance_id)
    found = {instance.id: instance for instance in instances(backend)}
    missing = [instance_id for instance_id in ids if instance_id not in found]
    if len(missing) == 1:
        refuse("instance.unknown", id=missing[0])
    if missing:
        refuse("instance.unknown_several", ids=", ".join(missing))
    return [found[instance_id] for instance_id in dict.fromkeys(ids)]


def placement_group(
    call: Call, name: str | None, group_id: str | None, rule: str
) -> PlacementGroup:
    """A placement group by name or id."""
    groups = call.state.placement_groups
    if name is not None and name in groups and not groups[name].shared:
        return groups[name]
    for group in groups.values():
        if group_id is not None and group.id == group_id:
            return group
    refuse(rule, name=name or group_id)


def reservation(call: Call, reservation_id: str, rule: str) -> CapacityReservation:
    """A capacity reservation by id."""
    found = call.state.reservations.get(reservation_id)
    if found is None:
        refuse(rule, id=reservation_id)
    return found


def zone_id(backend: Any, zone: str) -> str | None:
    """The id of a zone of this Region, or None."""
    for item in backend.describe_availability_zones():
        if item.name == zone:
            return str(item.zone_id)
    return None
