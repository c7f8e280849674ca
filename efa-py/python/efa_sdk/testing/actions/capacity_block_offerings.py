"""DescribeCapacityBlockOfferings and PurchaseCapacityBlock, of what `add_capacity_block_offering()`
puts there.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from ..call import Answer, Call
from ..capacity_blocks import add_block
from ..paging import page
from ..rules import refuse
from ..state import BlockOffering
from ..tagging import set_tags, specified_tags
from . import reservations


def describe_capacity_block_offerings(call: Call) -> Answer:
    """Lists offerings of exactly the type, count and duration asked for, soonest first."""
    hours = int(call.need("CapacityDurationHours"))
    if not _is_sold(hours):
        refuse("offering.duration", hours=hours)
    if call.get("UltraserverType") is not None:
        refuse("request.not_in_stand_in", what=f"{call.action} with UltraserverType")
    wanted = str(call.need("InstanceType"))
    count = int(call.get("InstanceCount", 1))
    earliest = _moment(call, "StartDateRange") or call.settings.now()
    latest = _moment(call, "EndDateRange")
    found = [
        one
        for one in sorted(call.state.offerings, key=lambda one: (one.start, one.id))
        if (one.instance_type, one.count, one.hours) == (wanted, count, hours)
        and one.start >= earliest
        and (latest is None or one.end <= latest)
    ]
    shown, more = page(call, found, low=1, default=1000)
    call.stop_if_dry_run()
    return {"CapacityBlockOfferings": [_offering(one) for one in shown], **more}


def purchase_capacity_block(call: Call) -> Answer:
    """Buys an offering, which is listed no more: a second purchase of it is refused."""
    wanted, platform = str(call.need("CapacityBlockOfferingId")), call.need("InstancePlatform")
    if platform not in reservations.PLATFORMS:
        refuse("reservation.value", name="InstancePlatform", value=platform)
    offering = next((one for one in call.state.offerings if one.id == wanted), None)
    if offering is None:
        refuse("offering.unknown", id=wanted)
    tags = specified_tags(call, "capacity-reservation")["capacity-reservation"]
    call.stop_if_dry_run()
    call.state.offerings.remove(offering)
    now = call.settings.now()
    until_start = (offering.start - now).total_seconds()
    block_id = add_block(
        call.backend,
        now,
        offering.instance_type,
        offering.zone,
        offering.count,
        until_start,
        offering.hours,
    )
    block = call.state.reservations[block_id]
    block.platform, block.start, block.end = platform, offering.start, offering.end
    set_tags(call.backend, block_id, tags)
    return {
        "CapacityReservation": reservations.describe(call, block),
        "CapacityBlocks": [{"CapacityBlockId": block_id.replace("cr-", "cb-", 1)}],
    }


def _is_sold(hours: int) -> bool:
    """A day to a fortnight in days, then weeks up to 26."""
    days, rest = divmod(hours, 24)
    return rest == 0 and (1 <= days <= 14 or (days <= 182 and days % 7 == 0 and days > 0))


def _moment(call: Call, name: str) -> dt.datetime | None:
    text = call.request.get(name)
    if text is None:
        return None
    try:
        moment = dt.datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    except ValueError:
        refuse("request.malformed_parameter", name=name, value=text)
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.timezone.utc)


def _offering(one: BlockOffering) -> dict[str, Any]:
    return {
        "CapacityBlockOfferingId": one.id,
        "InstanceType": one.instance_type,
        "AvailabilityZone": one.zone,
        "InstanceCount": one.count,
        "StartDate": one.start,
        "EndDate": one.end,
        "CapacityBlockDurationHours": one.hours,
        "CapacityBlockDurationMinutes": one.hours * 60,
        "UpfrontFee": one.price,
        "CurrencyCode": "USD",
        "Tenancy": "default",
    }
