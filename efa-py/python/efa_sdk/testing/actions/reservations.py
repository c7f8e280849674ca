"""CreateCapacityReservation, DescribeCapacityReservations, CancelCapacityReservation."""

from __future__ import annotations

from typing import Any

from moto.ec2.utils import random_id

from .. import catalog, filters, lookup
from ..call import Answer, Call
from ..launch.capacity import available
from ..paging import page
from ..rules import refuse
from ..state import CapacityReservation
from ..tagging import set_tags, specified_tags, tag_list, tags_of
from ..tokens import recall, remember

PLATFORMS = ("Linux/UNIX", "Red Hat Enterprise Linux", "SUSE Linux", "Windows")


def create_capacity_reservation(call: Call) -> Answer:
    """Reserves capacity, at once active. Capacity Blocks come from `add_capacity_block()`."""
    made = None if call.request.get("DryRun") else recall(call)
    if made is not None:
        return {"CapacityReservation": describe(call, call.state.reservations[made])}
    type_name, platform = call.need("InstanceType"), call.need("InstancePlatform")
    count = call.need("InstanceCount")
    zone = _zone(call)
    tenancy = call.get("Tenancy", "default")
    match = call.get("InstanceMatchCriteria", "open")
    for name, value, good in (
        ("InstanceType", type_name, catalog.instance_type(type_name) is not None),
        ("InstancePlatform", platform, platform in PLATFORMS),
        ("InstanceCount", count, 1 <= count <= 1000),
        ("Tenancy", tenancy, tenancy in ("default", "dedicated")),
        ("InstanceMatchCriteria", match, match in ("open", "targeted")),
    ):
        if not good:
            refuse("reservation.value", name=name, value=value)
    tags = specified_tags(call, "capacity-reservation")["capacity-reservation"]
    call.stop_if_dry_run()
    reservation = CapacityReservation(
        id=random_id("cr"),
        arn="",
        instance_type=type_name,
        platform=platform,
        zone=zone,
        zone_id=lookup.zone_id(call.backend, zone) or "",
        tenancy=tenancy,
        total=count,
        created=call.settings.now(),
        open_match=match == "open",
        placement_group_arn=call.request.get("PlacementGroupArn"),
    )
    reservation.arn = call.arn(f"capacity-reservation/{reservation.id}")
    call.state.reservations[reservation.id] = reservation
    set_tags(call.backend, reservation.id, tags)
    remember(call, reservation.id)
    return {"CapacityReservation": describe(call, reservation)}


def _zone(call: Call) -> str:
    zone, zone_id = call.request.get("AvailabilityZone"), call.request.get("AvailabilityZoneId")
    for item in call.backend.describe_availability_zones():
        if zone == item.name or (zone is None and zone_id == item.zone_id):
            return str(item.name)
    if zone is None and zone_id is None:
        refuse("request.missing_parameter", name="AvailabilityZone")
    refuse("reservation.value", name="AvailabilityZone", value=zone or zone_id)


_FILTERS: dict[str, filters.Reader] = {
    "availability-zone": lambda one: one.zone,
    "instance-match-criteria": lambda one: "open" if one.open_match else "targeted",
    "instance-platform": lambda one: one.platform,
    "instance-type": lambda one: one.instance_type,
    "placement-group-arn": lambda one: one.placement_group_arn,
    "tenancy": lambda one: one.tenancy,
    "reservation-type": lambda one: "capacity-block" if one.block else "default",
}


def describe_capacity_reservations(call: Call) -> Answer:
    """Lists capacity reservations and Capacity Blocks."""
    ids = call.get("CapacityReservationIds", [])
    chosen = [lookup.reservation(call, one, "reservation.unknown") for one in ids]
    found = filters.apply(
        call.get("Filters"),
        chosen if ids else list(call.state.reservations.values()),
        {**_FILTERS, "state": lambda one: one.state(call.settings.now())},
        lambda one: tags_of(call.backend, one.id),
    )
    shown, more = page(call, found, low=1, default=1000)
    call.stop_if_dry_run()
    return {"CapacityReservations": [describe(call, one) for one in shown], **more}


def get_groups_for_capacity_reservation(call: Call) -> Answer:
    """The resource groups that a reservation is in."""
    one = lookup.reservation(call, call.need("CapacityReservationId"), "reservation.unknown")
    groups = call.state.reservation_groups.items()
    found = [
        {"GroupArn": arn, "OwnerId": arn.split(":")[4]} for arn, ids in groups if one.id in ids
    ]
    shown, more = page(call, found, low=1, default=1000)
    call.stop_if_dry_run()
    return {"CapacityReservationGroups": shown, **more}


def cancel_capacity_reservation(call: Call) -> Answer:
    """Cancels an active reservation; instances in it run on."""
    one = lookup.reservation(call, call.need("CapacityReservationId"), "reservation.unknown")
    state = one.state(call.settings.now())
    if state != "active" or one.block:
        refuse("reservation.not_active", id=one.id, state=state)
    call.stop_if_dry_run()
    one.cancelled = True
    return {"Return": True}


def describe(call: Call, one: CapacityReservation) -> dict[str, Any]:
    """A CapacityReservation."""
    return {
        "CapacityReservationId": one.id,
        "OwnerId": one.owner or call.account,
        "CapacityReservationArn": one.arn,
        "AvailabilityZoneId": one.zone_id,
        "InstanceType": one.instance_type,
        "InstancePlatform": one.platform,
        "AvailabilityZone": one.zone,
        "Tenancy": one.tenancy,
        "TotalInstanceCount": one.total,
        "AvailableInstanceCount": available(call.backend, one),
        "EbsOptimized": False,
        "EphemeralStorage": False,
        "State": one.state(call.settings.now()),
        "StartDate": one.start or one.created,
        "EndDate": one.end,
        "EndDateType": "limited" if one.end else "unlimited",
        "InstanceMatchCriteria": "open" if one.open_match else "targeted",
        "CreateDate": one.created,
        "Tags": tag_list(call.backend, one.id),
        "PlacementGroupArn": one.placement_group_arn,
        "ReservationType": "capacity-block" if one.block else "default",
    }
