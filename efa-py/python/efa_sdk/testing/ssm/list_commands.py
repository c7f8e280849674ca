"""ListCommands, ListCommandInvocations, GetCommandInvocation: each is one poll of a command."""

from __future__ import annotations

from ..call import Answer, Call
from ..paging import is_first_page
from ..rules import refuse
from ..state import instances
from . import render
from .command import Command
from .ssm_page import ssm_page


def list_commands(call: Call) -> Answer:
    """Lists commands, newest first."""
    found = _seen(call)
    shown, more = ssm_page(call, found)
    return {"Commands": [render.command(one) for one in shown], **more}


def list_command_invocations(call: Call) -> Answer:
    """Lists invocations of a command, or of all; their output cut to 2,500 characters."""
    if call.get("Filters"):
        refuse("request.not_in_stand_in", what="ListCommandInvocations with Filters")
    wanted = call.request.get("InstanceId")
    found = [
        (of, one)
        for of in _seen(call)
        for one in of.invocations.values()
        if wanted in (None, one.instance_id)
    ]
    shown, more = ssm_page(call, found)
    details = bool(call.get("Details"))
    listed = [render.listed_invocation(of, one, details=details) for of, one in shown]
    return {"CommandInvocations": listed, **more}


def get_command_invocation(call: Call) -> Answer:
    """Shows one invocation, with up to 24,000 characters of its output."""
    command = call.state.commands.get(str(call.need("CommandId")))
    one = command.invocations.get(str(call.need("InstanceId"))) if command else None
    if command is None or one is None or not _observe(call, command):
        refuse("ssm.unknown_invocation")
    if call.get("PluginName") not in (None, "aws:runShellScript", "runShellScript"):
        refuse("ssm.unknown_plugin")
    return render.invocation(command, one)


def _seen(call: Call) -> list[Command]:
    wanted = call.request.get("CommandId")
    found = [one for one in reversed(call.state.commands.values()) if wanted in (None, one.id)]
    if not is_first_page(call):
        return [one for one in found if one.invisible <= 0]
    return [one for one in found if _observe(call, one)]


def _observe(call: Call, command: Command) -> bool:
    running = {one.id for one in instances(call.backend) if one.state == "running"}
    return command.observe(call.settings.now(), running)
