"""RunInstances."""

from __future__ import annotations

from typing import Any

from .. import render
from ..call import Answer, Call
from ..launch.capacity import grant
from ..launch.checks import resolve
from ..launch.make import make
from ..rules import refuse
from ..tokens import recall, remember


def run_instances(call: Call) -> Answer:
    """Launches between MinCount and MaxCount instances, all or nothing below MinCount."""
    zone = _token_zone(call)
    if not call.request.get("DryRun"):
        made = recall(call, zone)
        if made is not None:
            return _again(call, made)
    original = call.request
    launch = resolve(call)
    call.stop_if_dry_run()
    granted = grant(call, launch)
    call.settings.spot_role |= launch.market == "spot"
    reservation = make(call, launch, granted)
    call.request = original
    remember(call, reservation.id, zone)
    answer = _answer(reservation)
    for shown in answer["Instances"]:
        shown["State"] = {"Code": 0, "Name": "pending"}  # however soon they run
    return answer


def _again(call: Call, reservation_id: str) -> Answer:
    reservation = call.backend.reservations[reservation_id]
    if any(instance.state == "terminated" for instance in reservation.instances):
        refuse("token.terminated")
    return _answer(reservation)


def _answer(reservation: Any) -> dict[str, Any]:
    return render.reservation(reservation, reservation.instances)


def _token_zone(call: Call) -> str:
    """The zone that the request names, itself or through a subnet; '' if it leaves it open."""
    request = call.request
    subnets = [nic.get("SubnetId") for nic in request.get("NetworkInterfaces") or []]
    for subnet_id in (request.get("SubnetId"), *subnets):
        for zone, members in call.backend.subnets.items():
            if subnet_id in members:
                return str(zone)
    return str((request.get("Placement") or {}).get("AvailabilityZone") or "")
