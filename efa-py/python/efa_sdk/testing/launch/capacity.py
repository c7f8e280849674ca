"""How many instances of a launch there is room for: addresses, reservations, capacity."""

from __future__ import annotations

from collections import Counter
from typing import Any

from .. import addresses, catalog
from ..call import Call
from ..quotas import quota_of, used, vcpus
from ..rules import refuse
from ..state import CapacityReservation, instances
from .spec import Launch


def grant(call: Call, launch: Launch) -> list[CapacityReservation | None]:
    """One entry per instance to launch, with the reservation that it runs in, if any.

    As many as there is room for, between the minimum and the maximum; below the minimum EC2
    launches nothing.
    """
    count = min(launch.high, _room_in_subnets(launch))
    if count < launch.low:
        refuse("launch.subnet_full")
    count = min(count, _room_in_quota(call, launch))
    if launch.reservation is not None:
        count = min(count, available(call.backend, launch.reservation))
        if count < launch.low:
            refuse("launch.reservation_full")
        return [launch.reservation] * count
    if launch.reservation_group is not None:
        slots = _group_slots(call, launch)[:count]
        spec = launch.request.get("CapacityReservationSpecification") or {}
        if spec.get("CapacityReservationPreference") == "capacity-reservations-only":
            if len(slots) < launch.low:
                refuse("launch.reservation_full")
            return [*slots]
        return [*slots, *[None] * (count - len(slots))]
    granted: list[CapacityReservation | None] = [*_open_slots(call, launch)[:count]]
    rest = min(count - len(granted), _free_capacity(call, launch.type_name, launch.zone))
    granted += [None] * rest
    if len(granted) < launch.low:
        _no_capacity(call, launch)
    return granted


def _room_in_quota(call: Call, launch: Launch) -> int:
    """How many instances the vCPU quota still allows; refused below the minimum."""
    quota = quota_of(launch.type_name, launch.market)
    limit = call.settings.quotas.get(quota.code) if quota else None
    if quota is None or limit is None:
        return launch.high
    room = int(limit - used(call.backend, quota)) // max(vcpus(launch.type_name), 1)
    if room < launch.low:
        if quota.spot:
            refuse("launch.spot_quota")
        refuse("launch.vcpu_quota", limit=f"{limit:g}")
    return room


def available(backend: Any, reservation: CapacityReservation) -> int:
    """The unused instances of a reservation."""
    used = sum(
        1
        for instance in instances(backend)
        if instance.state != "terminated"
        and getattr(instance, "launched", None) is not None
        and instance.launched.reservation_id == reservation.id
    )
    if reservation.cancelled:
        return 0
    return max(0, reservation.total - used)


def _room_in_subnets(launch: Launch) -> int:
    needs: Counter[str] = Counter()
    subnets = {}
    for nic in launch.nics:
        needs[nic.subnet.id] += nic.addresses
        subnets[nic.subnet.id] = nic.subnet
    return min(
        (
            addresses.count_free(subnets[subnet_id]) // need
            for subnet_id, need in needs.items()
            if need
        ),
        default=launch.high,
    )


def _open_slots(call: Call, launch: Launch) -> list[CapacityReservation]:
    """Slots of open reservations that a launch with preference 'open' (the default) falls into."""
    spec = launch.request.get("CapacityReservationSpecification") or {}
    if spec.get("CapacityReservationPreference") == "none" or launch.market is not None:
        return []
    now = call.settings.now()
    slots: list[CapacityReservation] = []
    for reservation in call.state.reservations.values():
        fits = (
            reservation.open_match
            and not reservation.block
            and reservation.state(now) == "active"
            and reservation.instance_type == launch.type_name
            and reservation.zone == launch.zone
            and reservation.tenancy == launch.tenancy
            and (
                reservation.placement_group_arn is None
                or (
                    launch.group is not None and launch.group.arn == reservation.placement_group_arn
                )
            )
        )
        if fits:
            slots += [reservation] * available(call.backend, reservation)
    return slots


def _group_slots(call: Call, launch: Launch) -> list[CapacityReservation]:
    """Slots of the reservations of a resource group that match the launch and its market."""
    now = call.settings.now()
    slots: list[CapacityReservation] = []
    for one in call.state.reservation_groups[str(launch.reservation_group)]:
        reservation = call.state.reservations[one]
        in_group = launch.group.arn if launch.group is not None else None
        fits = (
            reservation.block == (launch.market == "capacity-block")
            and reservation.state(now) == "active"
            and reservation.instance_type == launch.type_name
            and reservation.zone == launch.zone
            and reservation.tenancy == launch.tenancy
            and reservation.placement_group_arn in (None, in_group)
        )
        if fits:
            slots += [reservation] * available(call.backend, reservation)
    return slots


def _free_capacity(call: Call, type_name: str, zone: str) -> int:
    limit = call.settings.capacity.get((type_name, zone))
    if limit is None:
        return 1_000_000
    used = sum(
        1
        for instance in instances(call.backend)
        if instance.state != "terminated"
        and instance.instance_type == type_name
        and instance.availability_zone == zone
        and getattr(instance, "launched", None) is not None
        and instance.launched.reservation_id is None
    )
    return max(0, limit - used)


def _no_capacity(call: Call, launch: Launch) -> None:
    others = [
        zone
        for zone in catalog.zones_offering(call.region, launch.type_name)
        if zone != launch.zone and _free_capacity(call, launch.type_name, zone) >= launch.low
    ]
    if others:
        refuse(
            "launch.no_capacity",
            type=launch.type_name,
            zone=launch.zone,
            others=", ".join(others),
        )
    refuse("launch.no_capacity_anywhere", type=launch.type_name, zone=launch.zone)
