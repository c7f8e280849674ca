"""The SSM actions that the stand-in answers itself; every other goes to moto."""

from __future__ import annotations

from ..call import Handler
from . import cancel_command, describe_instance_information, list_commands, send_command

HANDLERS: dict[str, Handler] = {
    "CancelCommand": cancel_command.cancel_command,
    "DescribeInstanceInformation": describe_instance_information.describe_instance_information,
    "GetCommandInvocation": list_commands.get_command_invocation,
    "ListCommandInvocations": list_commands.list_command_invocations,
    "ListCommands": list_commands.list_commands,
    "SendCommand": send_command.send_command,
}
