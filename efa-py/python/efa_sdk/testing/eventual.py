"""Eventual consistency: what was just made is invisible to the next calls that look for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from .call import Call
from .state import instances

# What a listing lists; a listing by id is a reference as well.
_LISTINGS = {
    "DescribeAddresses": "address",
    "DescribeInstanceStatus": "instance",
    "DescribeInstanceTopology": "instance",
    "DescribeInstances": "instance",
    "DescribePlacementGroups": "placement group",
    "DescribeSecurityGroups": "security group",
}
# Where an id is no reference: EC2 checks a taken name at the source.
_NO_REFERENCE = ("TagSpecification", "Tag.", "Filter.", "ClientToken", "UserData", "Description")
_MAKES_BY_NAME = ("CreatePlacementGroup", "CreateSecurityGroup")


@contextmanager
def eventually(call: Call) -> Iterator[None]:
    """Hides, during a call, what it may not see yet; notes what it makes as new."""
    newborn = call.state.newborn
    if not newborn and not call.settings.eventual:
        yield
        return
    hidden = [one for one in newborn if _looks_for(call, one)]
    for one in hidden:
        newborn[one] -= 1
        if newborn[one] <= 0:
            del newborn[one]
    before = _ids(call)
    put_back = [_take_out(call, *one) for one in hidden]
    try:
        yield
    finally:
        for restore in put_back:
            restore()
    if call.settings.eventual and call.action not in _LISTINGS:
        for one in _ids(call) - before:
            newborn[one] = call.settings.eventual


Identity = tuple[str, str]


def _ids(call: Call) -> set[Identity]:
    backend = call.backend
    return {
        *(("instance", one.id) for one in instances(backend)),
        *(("security group", one) for vpc in backend.groups.values() for one in vpc),
        *(("address", one.id) for one in backend.addresses if one.id),
        *(("placement group", one) for one in call.state.placement_groups),
    }


def _looks_for(call: Call, one: Identity) -> bool:
    kind, name = one
    names = {name}
    if kind == "placement group" and name in call.state.placement_groups:
        names.add(call.state.placement_groups[name].id)
    values = [(key, value) for key, value in call.form if not key.startswith(_NO_REFERENCE)]
    if kind == "placement group":  # its name may be any text: only where a group is named
        values = [pair for pair in values if "Group" in pair[0]]
    if call.action not in _MAKES_BY_NAME and any(value in names for _, value in values):
        return True
    return _LISTINGS.get(call.action) == kind and not _by_id(call)


def _by_id(call: Call) -> bool:
    return any(
        name.endswith(("Ids", "Names")) or name == "PublicIps"
        for name, value in call.request.items()
        if value
    )


def _take_out(call: Call, kind: str, name: str) -> Callable[[], None]:
    """Takes a resource out of its store; how to put it back in its place."""
    backend = call.backend
    if kind == "placement group":
        return _from_dict(call.state.placement_groups, name)
    if kind == "security group":
        for groups in backend.groups.values():
            if name in groups:
                return _from_dict(groups, name)
    if kind == "address":
        return _from_list(backend.addresses, name)
    for reservation in backend.reservations.values():
        if any(one.id == name for one in reservation.instances):
            return _from_list(reservation.instances, name)
    return lambda: None


def _from_dict(store: dict[str, Any], key: str) -> Callable[[], None]:
    order = list(store)
    kept = store.pop(key, None)

    def restore() -> None:
        if kept is None:
            return
        rest = dict(store)
        store.clear()
        for name in order:
            if name == key:
                store[name] = kept
            elif name in rest:
                store[name] = rest.pop(name)
        store.update(rest)

    return restore


def _from_list(store: list[Any], name: str) -> Callable[[], None]:
    for place, one in enumerate(store):
        if one.id == name:
            del store[place]
            return lambda: store.insert(place, one)
    return lambda: None
