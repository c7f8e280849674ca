"""DescribeInstanceTopology."""

from __future__ import annotations

import hashlib
from typing import Any

from .. import filters, lookup
from ..call import Answer, Call
from ..paging import page
from ..rules import refuse
from ..state import instances

_PER_NODE = 4  # instances below one bottom node: small, so that a few instances show a tree


def describe_instance_topology(call: Call) -> Answer:
    """Where running instances are connected to the network.

    The nodes are invented but steady: instances of one placement group share the two upper nodes,
    and every four of them, in launch order, the bottom one. Only EFA-capable sizes would show on
    EC2; the stand-in lists every running instance.
    """
    ids, names = call.get("InstanceIds", []), call.get("GroupNames", [])
    for listed, name in ((ids, "instance IDs"), (names, "placement group names")):
        if len(listed) > 100:
            refuse("topology.too_many", name=name)
    for name in names:
        lookup.placement_group(call, name, None, "placement_group.unknown")
    chosen = lookup.chosen_instances(call.backend, ids) if ids else list(instances(call.backend))
    running = [one for one in chosen if one.state == "running"]
    if names:
        running = [one for one in running if _group(one) in names]
    found = filters.apply(
        call.get("Filters"),
        running,
        {
            "availability-zone": lambda one: one.availability_zone,
            "instance-type": lambda one: one.instance_type,
            "zone-id": lambda one: one.launched.zone_id,
        },
    )
    shown, more = page(
        call, found, low=1, high=100, default=20, ids="InstanceIds", ids_text="instanceIds"
    )
    call.stop_if_dry_run()
    return {"Instances": [_topology(call, one) for one in shown], **more}


def _group(one: Any) -> str | None:
    launched = getattr(one, "launched", None)
    return launched.group_name if launched else None


def _node(*words: object) -> str:
    digest = hashlib.sha256("/".join(map(str, words)).encode()).hexdigest()
    return f"nn-{digest[:17]}"


def _topology(call: Call, one: Any) -> dict[str, Any]:
    group, zone = _group(one), one.availability_zone
    home = group or one.id
    peers = [
        other.id
        for other in instances(call.backend)
        if group is not None and _group(other) == group
    ]
    place = peers.index(one.id) // _PER_NODE if one.id in peers else 0
    launched = getattr(one, "launched", None)
    block = None
    if launched and launched.reservation_id:
        reservation = call.state.reservations.get(launched.reservation_id)
        block = reservation.id if reservation and reservation.block else None
    return {
        "InstanceId": one.id,
        "InstanceType": one.instance_type,
        "GroupName": group,
        "NetworkNodes": [
            _node(zone),
            _node(zone, home),
            _node(zone, home, place),
        ],
        "AvailabilityZone": zone,
        "ZoneId": launched.zone_id if launched else None,
        "CapacityBlockId": block,
    }
