"""Capacity Block offerings of the stand-in."""

from __future__ import annotations

import datetime as dt
import json
import urllib.request
from typing import Any

import pytest
from botocore.exceptions import ClientError
from efa_sdk.errors import ArgumentValueError
from efa_sdk.testing import StandIn

P5, ZONE, DAY = "p5.48xlarge", "us-east-1a", 86400.0


def offered(stand_in: StandIn, **options: Any) -> list[dict[str, Any]]:
    asked = {"InstanceType": P5, "InstanceCount": 2, "CapacityDurationHours": 48, **options}
    answer = stand_in.client().describe_capacity_block_offerings(**asked)
    listed: list[dict[str, Any]] = answer["CapacityBlockOfferings"]
    return listed


def test_offerings_of_a_type_count_and_duration(stand_in: StandIn) -> None:
    late = stand_in.add_capacity_block_offering(P5, ZONE, 2, hours=48, starts_in=5 * DAY)
    soon = stand_in.add_capacity_block_offering(
        P5, ZONE, 2, hours=48, starts_in=DAY, price="2831.04"
    )
    stand_in.add_capacity_block_offering(P5, ZONE, 1, hours=48)
    stand_in.add_capacity_block_offering(P5, ZONE, 2, hours=24)
    stand_in.add_capacity_block_offering("p4d.24xlarge", ZONE, 2, hours=48)
    found = offered(stand_in)
    assert [one["CapacityBlockOfferingId"] for one in found] == [soon, late]
    first = found[0]
    assert (first["UpfrontFee"], first["CurrencyCode"], first["AvailabilityZone"]) == (
        "2831.04",
        "USD",
        ZONE,
    )
    assert first["EndDate"] - first["StartDate"] == dt.timedelta(hours=48)
    assert offered(stand_in, InstanceCount=3) == []


def test_a_range_of_dates(stand_in: StandIn) -> None:
    ids = [
        stand_in.add_capacity_block_offering(P5, ZONE, 2, hours=48, starts_in=days * DAY)
        for days in (1, 5, 9)
    ]
    now = dt.datetime.now(dt.timezone.utc)
    found = offered(
        stand_in,
        StartDateRange=now + dt.timedelta(days=3),
        EndDateRange=now + dt.timedelta(days=8),
    )
    assert [one["CapacityBlockOfferingId"] for one in found] == ids[1:2]
    stand_in.advance(2 * DAY)
    assert [one["CapacityBlockOfferingId"] for one in offered(stand_in)] == ids[1:]


@pytest.mark.parametrize("hours", [24, 336, 504, 4368])
def test_durations_that_are_sold(stand_in: StandIn, hours: int) -> None:
    assert offered(stand_in, CapacityDurationHours=hours) == []


@pytest.mark.parametrize("hours", [0, 12, 360, 480, 4536])
def test_durations_that_are_not(stand_in: StandIn, hours: int) -> None:
    with pytest.raises(ClientError, match=f"Value \\({hours}\\)"):
        offered(stand_in, CapacityDurationHours=hours)


def test_over_http_and_where_nothing_is_known(stand_in: StandIn) -> None:
    body = {"instance_type": P5, "zone": ZONE, "count": 2, "hours": 48}
    url = f"{stand_in.endpoint_url}/efa-sdk/capacity-block-offering"
    with urllib.request.urlopen(url, json.dumps(body).encode()) as answer:
        made = json.load(answer)
    assert [one["CapacityBlockOfferingId"] for one in offered(stand_in)] == [made]
    with pytest.raises(ArgumentValueError, match="mars-1a"):
        stand_in.add_capacity_block_offering(P5, "mars-1a", 2)


def test_a_block_begins_and_ends_by_the_stand_ins_clock(stand_in: StandIn) -> None:
    block = stand_in.add_capacity_block(P5, ZONE, 1, starts_in=3600, hours=24)

    def state() -> str:
        listed = stand_in.client().describe_capacity_reservations(CapacityReservationIds=[block])
        return str(listed["CapacityReservations"][0]["State"])

    assert state() == "scheduled"
    stand_in.advance(3601)
    assert state() == "active"
    stand_in.advance(DAY)
    assert state() == "expired"
    stand_in.reset()
