"""Capacity Blocks and offerings of them that a test puts there."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from moto.ec2.utils import random_id

from efa_sdk.errors import invalid_value

from . import catalog, lookup
from .state import BlockOffering, CapacityReservation, state_of


def zone_id_of(backend: Any, instance_type: str, zone: str) -> str:
    """The zone's id, where type and zone exist."""
    if catalog.instance_type(instance_type) is None:
        raise invalid_value("instance_type", instance_type, "an instance type of EC2")
    zone_id = lookup.zone_id(backend, zone)
    if zone_id is None:
        raise invalid_value("zone", zone, f"a zone of {backend.region_name}")
    return zone_id


def add_block(
    backend: Any,
    now: dt.datetime,
    instance_type: str,
    zone: str,
    count: int,
    starts_in: float,
    hours: float,
) -> str:
    """The id of a new Capacity Block's reservation."""
    zone_id = zone_id_of(backend, instance_type, zone)
    start = now + dt.timedelta(seconds=starts_in)
    block_id = random_id("cr")
    where = f"{backend.region_name}:{backend.account_id}"
    state_of(backend).reservations[block_id] = CapacityReservation(
        id=block_id,
        arn=f"arn:aws:ec2:{where}:capacity-reservation/{block_id}",
        instance_type=instance_type,
        platform="Linux/UNIX",
        zone=zone,
        zone_id=zone_id,
        tenancy="default",
        total=count,
        created=now,
        open_match=False,
        block=True,
        start=start,
        end=start + dt.timedelta(hours=hours),
    )
    return block_id


def add_group(backend: Any, name: str, reservation_ids: Sequence[str]) -> str:
    """The ARN of a new resource group of reservations."""
    state = state_of(backend)
    for one in reservation_ids:
        if one not in state.reservations:
            raise LookupError(f"no capacity reservation {one}")
    arn = f"arn:aws:resource-groups:{backend.region_name}:{backend.account_id}:group/{name}"
    state.reservation_groups[arn] = list(reservation_ids)
    return arn


def add_offering(
    backend: Any,
    now: dt.datetime,
    instance_type: str,
    zone: str,
    count: int,
    hours: int,
    starts_in: float,
    price: str,
) -> str:
    """The id of a new offering."""
    zone_id_of(backend, instance_type, zone)
    start = now + dt.timedelta(seconds=starts_in)
    offering = BlockOffering(
        random_id("cbo"), instance_type, zone, count, hours, start.replace(microsecond=0), price
    )
    state_of(backend).offerings.append(offering)
    return offering.id
