"""CreatePlacementGroup, DescribePlacementGroups, DeletePlacementGroup."""

from __future__ import annotations

from typing import Any

from moto.ec2.utils import random_id

from .. import filters, lookup
from ..call import Answer, Call
from ..launch.checks import members
from ..rules import refuse
from ..state import PlacementGroup, tick
from ..tagging import set_tags, specified_tags, tag_list, tags_of

_STRATEGIES = ("cluster", "spread", "partition", "precision-time")


def create_placement_group(call: Call) -> Answer:
    """Makes a placement group."""
    name = call.need("GroupName")
    strategy = call.get("Strategy", "cluster")
    if strategy not in _STRATEGIES:
        refuse("placement_group.strategy", value=strategy)
    partitions = call.request.get("PartitionCount")
    if partitions is not None and (strategy != "partition" or not 1 <= partitions <= 7):
        refuse("placement_group.partitions")
    tags = specified_tags(call, "placement-group")["placement-group"]
    groups = call.state.placement_groups
    if name in groups:
        refuse("placement_group.duplicate", name=name)
    if len(groups) >= 500:
        refuse("placement_group.limit")
    parent = call.request.get("ParentGroupId")
    if parent is not None:
        lookup.placement_group(call, None, parent, "placement_group.unknown")
    call.stop_if_dry_run()
    group = PlacementGroup(
        id=random_id("pg"),
        name=name,
        strategy=strategy,
        arn=call.arn(f"placement-group/{name}"),
        partition_count=(partitions or 2) if strategy == "partition" else None,
        spread_level=call.get("SpreadLevel", "rack") if strategy == "spread" else None,
        parent_id=parent,
    )
    groups[name] = group
    set_tags(call.backend, group.id, tags)
    return {"PlacementGroup": _group(call, group)}


_FILTERS: dict[str, filters.Reader] = {
    "group-name": lambda group: group.name,
    "group-arn": lambda group: group.arn,
    "spread-level": lambda group: group.spread_level,
    "state": lambda group: "available",
    "strategy": lambda group: group.strategy,
}


def describe_placement_groups(call: Call) -> Answer:
    """Lists placement groups; a name or id that does not exist is refused."""
    groups = list(call.state.placement_groups.values())
    own = [group for group in groups if not group.shared]
    names, ids = call.get("GroupNames", []), call.get("GroupIds", [])
    if names or ids:
        chosen = [
            lookup.placement_group(call, name, None, "placement_group.unknown") for name in names
        ] + [
            lookup.placement_group(call, None, group_id, "placement_group.unknown")
            for group_id in ids
        ]
        groups = [group for group in groups if group in chosen]
    found = filters.apply(
        call.get("Filters"),
        groups if names or ids else own,
        _FILTERS,
        lambda group: tags_of(call.backend, group.id),
    )
    call.stop_if_dry_run()
    return {"PlacementGroups": [_group(call, group) for group in found]}


def delete_placement_group(call: Call) -> Answer:
    """Deletes a placement group. Refused while an instance in it is not terminated."""
    name = call.need("GroupName")
    group = lookup.placement_group(call, name, name, "placement_group.unknown")
    inside = members(call, group.id)
    children = [one for one in call.state.placement_groups.values() if one.parent_id == group.id]
    if inside or children:
        # A caller that only waits for the group sees its instances go, too.
        tick(call.backend, {one.id for one in inside if one.state == "shutting-down"})
        refuse("placement_group.in_use", name=group.name)
    call.stop_if_dry_run()
    del call.state.placement_groups[group.name]
    call.backend.tags.pop(group.id, None)
    return {}


def _group(call: Call, group: PlacementGroup) -> dict[str, Any]:
    return {
        "GroupName": group.name,
        "State": "available",
        "Strategy": group.strategy,
        "PartitionCount": group.partition_count,
        "GroupId": group.id,
        "Tags": tag_list(call.backend, group.id),
        "GroupArn": group.arn,
        "SpreadLevel": group.spread_level,
        "ParentGroupId": group.parent_id,
    }
