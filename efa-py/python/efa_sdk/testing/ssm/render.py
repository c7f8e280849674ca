"""Commands and invocations as SSM's API shows them."""

from __future__ import annotations

import datetime as dt
from typing import Any

from .command import Command, Invocation

_PLUGIN = "aws:runShellScript"


def command(one: Command) -> dict[str, Any]:
    """A Command."""
    status, details = one.status
    ended = [item for item in one.invocations.values() if item.over]
    wait = one.delivery_timeout + one.execution_timeout
    return {
        "CommandId": one.id,
        "DocumentName": one.document,
        "DocumentVersion": "$DEFAULT",
        "Comment": one.comment,
        "ExpiresAfter": one.requested + dt.timedelta(seconds=wait),
        "Parameters": dict(one.parameters),
        "InstanceIds": one.asked_ids,
        "Targets": one.targets,
        "RequestedDateTime": one.requested,
        "Status": status,
        "StatusDetails": details,
        "OutputS3BucketName": "",
        "OutputS3KeyPrefix": "",
        "MaxConcurrency": "50",
        "MaxErrors": "0",
        "TargetCount": len(one.invocations),
        "CompletedCount": len(ended),
        "ErrorCount": sum(item.status in ("Failed", "TimedOut") for item in ended),
        "DeliveryTimedOutCount": sum(item.details == "DeliveryTimedOut" for item in ended),
        "TimeoutSeconds": one.delivery_timeout,
    }


def listed_invocation(of: Command, one: Invocation, *, details: bool) -> dict[str, Any]:
    """A CommandInvocation, with its plugin where details are asked for."""
    plugin = {
        "Name": _PLUGIN,
        "Status": one.status,
        "StatusDetails": one.details,
        "ResponseCode": one.code,
        "ResponseStartDateTime": of.requested,
        "ResponseFinishDateTime": one.ended,
        "Output": one.short_output(),
        "StandardOutputUrl": "",
        "StandardErrorUrl": "",
    }
    return {
        "CommandId": of.id,
        "InstanceId": one.instance_id,
        "InstanceName": "",
        "Comment": of.comment,
        "DocumentName": of.document,
        "DocumentVersion": "$DEFAULT",
        "RequestedDateTime": of.requested,
        "Status": one.status,
        "StatusDetails": one.details,
        "StandardOutputUrl": "",
        "StandardErrorUrl": "",
        "CommandPlugins": [_present(plugin)] if details else [],
    }


def invocation(of: Command, one: Invocation) -> dict[str, Any]:
    """The answer of GetCommandInvocation."""
    started = one.status != "Pending"
    taken = ((one.ended or of.requested) - of.requested).total_seconds()
    return {
        "CommandId": of.id,
        "InstanceId": one.instance_id,
        "Comment": of.comment,
        "DocumentName": of.document,
        "DocumentVersion": "$DEFAULT",
        "PluginName": _PLUGIN,
        "ResponseCode": one.code,
        "ExecutionStartDateTime": _iso(of.requested) if started else "",
        "ExecutionElapsedTime": f"PT{taken:.3f}S" if one.over else "",
        "ExecutionEndDateTime": _iso(one.ended) if one.ended else "",
        "Status": one.status,
        "StatusDetails": one.details,
        "StandardOutputContent": one.output,
        "StandardOutputUrl": "",
        "StandardErrorContent": one.error,
        "StandardErrorUrl": "",
    }


def _iso(moment: dt.datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _present(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}
