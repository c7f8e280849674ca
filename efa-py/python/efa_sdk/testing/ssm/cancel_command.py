"""CancelCommand."""

from __future__ import annotations

from ..call import Answer, Call
from ..rules import refuse


def cancel_command(call: Call) -> Answer:
    """Ends what has not ended yet, on all instances or on some."""
    command = call.state.commands.get(str(call.need("CommandId")))
    if command is None:
        refuse("ssm.unknown_command")
    wanted = call.get("InstanceIds", [])
    for one in command.invocations.values():
        if not one.over and (not wanted or one.instance_id in wanted):
            one.end("Cancelled", "Cancelled", -1, call.settings.now())
    return {}
