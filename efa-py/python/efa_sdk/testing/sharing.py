"""Resources that another account owns and shares with the caller's."""

from __future__ import annotations

from typing import Any

from efa_sdk.errors import invalid_value

from .state import state_of


def share(backend: Any, resource_id: str, owner: str) -> None:
    """Makes a VPC, subnet, capacity reservation or placement group another account's."""
    state = state_of(backend)
    if resource_id in state.reservations:
        reservation = state.reservations[resource_id]
        reservation.owner, reservation.arn = owner, _of(reservation.arn, owner)
        return
    for group in state.placement_groups.values():
        if group.id == resource_id:
            group.shared, group.arn = True, _of(group.arn, owner)
            return
    network = {**backend.vpcs}
    for zone in backend.subnets.values():
        network |= zone
    if resource_id not in network:
        limit = "the id of a VPC, subnet, reservation or placement group that is here"
        raise invalid_value("resource_id", resource_id, limit)
    found = network[resource_id]
    # moto derives the owner of these from the account: only the class can state another.
    kind = type(found)
    found.__class__ = type(kind.__name__, (kind,), {"owner_id": property(lambda _: owner)})


def _of(arn: str, owner: str) -> str:
    parts = arn.split(":")
    return ":".join([*parts[:4], owner, *parts[5:]])
