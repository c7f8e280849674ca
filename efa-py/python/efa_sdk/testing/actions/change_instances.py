"""TerminateInstances, StopInstances, StartInstances."""

from __future__ import annotations

from typing import Any

from .. import lookup, render
from ..call import Answer, Call
from ..instance import StandInInstance
from ..rules import refuse


def terminate_instances(call: Call) -> Answer:
    """Sends instances through shutting-down to terminated; again is fine."""
    chosen = _chosen(call)
    for one in chosen:
        if one.disable_api_termination:
            refuse("instance.protected", id=one.id)
    call.stop_if_dry_run()
    changes = []
    for one in chosen:
        before = render.state(one)
        if one.state not in ("shutting-down", "terminated"):
            one.user_stopped()
            _set_out(call, one, "shutting-down")
        # With no describes to wait the instance is terminated by now; EC2 never answers so.
        after = {"Code": 32, "Name": "shutting-down"} if before["Name"] != "terminated" else before
        changes.append({"InstanceId": one.id, "CurrentState": after, "PreviousState": before})
    return {"TerminatingInstances": changes}


def stop_instances(call: Call) -> Answer:
    """Sends running instances through stopping to stopped."""
    chosen = _chosen(call)
    for one in chosen:
        if one.state in ("shutting-down", "terminated", "pending"):
            refuse("instance.wrong_state", id=one.id, verb="stopped")
    call.stop_if_dry_run()
    changes = []
    for one in chosen:
        before = render.state(one)
        if one.state == "running":
            one.user_stopped()
            for nic in one.nics.values():
                nic.stop()
            _set_out(call, one, "stopping")
        changes.append(
            {"InstanceId": one.id, "CurrentState": render.state(one), "PreviousState": before}
        )
    return {"StoppingInstances": changes}


def start_instances(call: Call) -> Answer:
    """Sends stopped instances through pending to running."""
    chosen = _chosen(call)
    for one in chosen:
        if one.state not in ("stopped", "running", "pending"):
            refuse("instance.wrong_state", id=one.id, verb="started")
    call.stop_if_dry_run()
    changes = []
    for one in chosen:
        before = render.state(one)
        if one.state == "stopped":
            for nic in one.nics.values():
                nic.start()
            one._reason = ""
            one.state_reason.code = one.state_reason.message = ""
            _set_out(call, one, "pending")
        changes.append(
            {"InstanceId": one.id, "CurrentState": render.state(one), "PreviousState": before}
        )
    return {"StartingInstances": changes}


def _chosen(call: Call) -> list[Any]:
    return lookup.chosen_instances(call.backend, call.need("InstanceIds"))


def _set_out(call: Call, one: Any, name: str) -> None:
    if isinstance(one, StandInInstance):
        one.set_out(name, call.settings.transition_describes)
    else:  # made by moto itself (a fleet, a CloudFormation stack): it knows no passing states
        {"shutting-down": one.terminate, "stopping": one.stop, "pending": one.start}[name]()
