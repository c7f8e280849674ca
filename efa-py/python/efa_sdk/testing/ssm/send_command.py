"""SendCommand, of the document AWS-RunShellScript."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from .. import lookup
from ..call import Answer, Call
from ..filters import matches
from ..rules import Refused, refuse
from ..tagging import tags_of
from .command import Command, Invocation
from .registered import is_registered, registered
from .render import command as rendered

_DOCUMENT = "AWS-RunShellScript"
_PARAMETERS = ("commands", "workingDirectory", "executionTimeout")


def send_command(call: Call) -> Answer:
    """Starts a script on instances; what it does there is `Runner`'s."""
    _check_document(call)
    delivery = _number("timeoutSeconds", call.get("TimeoutSeconds", 3600), 30, 2592000)
    comment = str(call.get("Comment", ""))
    if len(comment) > 100:
        _over("comment", comment, "Member must have length less than or equal to 100")
    parameters = call.get("Parameters", {})
    script, execution = _script(parameters)
    chosen = _chosen(call)
    command = Command(
        id=str(uuid4()),
        document=_DOCUMENT,
        comment=comment,
        parameters=parameters,
        targets=call.get("Targets", []),
        asked_ids=call.get("InstanceIds", []),
        requested=call.settings.now(),
        delivery_timeout=delivery,
        execution_timeout=execution,
        invisible=call.settings.eventual,
    )
    directory = next(iter(parameters.get("workingDirectory") or []), None)
    for one in chosen:
        job = call.settings.runner.start(one.id, script, directory)
        command.invocations[one.id] = Invocation(one.id, job)
    call.state.commands[command.id] = command
    return {"Command": rendered(command)}


def _check_document(call: Call) -> None:
    name = str(call.need("DocumentName")).rsplit("/", 1)[-1]
    if name == _DOCUMENT:
        return
    if name.startswith("AWS-"):
        refuse("request.not_in_stand_in", what=f"SendCommand with the document {name}")
    refuse("ssm.unknown_document", name=name)


def _script(parameters: Mapping[str, Any]) -> tuple[str, int]:
    for name, value in parameters.items():
        if name not in _PARAMETERS:
            refuse("ssm.parameters", what=f"{name} is not a parameter of {_DOCUMENT}")
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            refuse("ssm.parameters", what=f"{name} must be a list of strings")
    if not parameters.get("commands"):
        refuse("ssm.parameters", what=f"{_DOCUMENT} needs commands")
    seconds = next(iter(parameters.get("executionTimeout") or []), "3600")
    if not seconds.isdigit() or not 1 <= int(seconds) <= 172800:
        refuse("ssm.parameters", what="executionTimeout must be 1 to 172800")
    return "\n".join(parameters["commands"]) + "\n", int(seconds)


def _number(name: str, value: int, low: int, high: int) -> int:
    if value < low:
        _over(name, value, f"Member must have value greater than or equal to {low}")
    if value > high:
        _over(name, value, f"Member must have value less than or equal to {high}")
    return value


def _over(name: str, value: object, limit: str) -> None:
    refuse("ssm.limit", value=value, name=name, limit=limit)


def _chosen(call: Call) -> list[Any]:
    ids, targets = call.get("InstanceIds", []), call.get("Targets", [])
    if bool(ids) == bool(targets):
        refuse("ssm.targets")
    if len(ids) > 50:
        _over("instanceIds", ids, "Member must have length less than or equal to 50")
    if targets:
        return [one for one in registered(call) if _fits(call, one, targets)]
    try:
        found = lookup.chosen_instances(call.backend, ids)
        offline = [one.id for one in found if not is_registered(call, one)]
    except Refused:
        known = {one.id for one in registered(call)}
        offline = [one for one in ids if one not in known]
    if offline:
        refuse("ssm.not_registered", ids=", ".join(offline), account=call.account)
    return found


def _fits(call: Call, one: Any, targets: list[Mapping[str, Any]]) -> bool:
    tags = tags_of(call.backend, one.id)
    for target in targets:
        key, values = str(target.get("Key") or ""), list(target.get("Values") or [])
        if key.startswith("tag:"):
            field: Any = tags.get(key[4:])
        elif key.lower() == "instanceids":
            field = one.id
        else:
            refuse("request.not_in_stand_in", what=f"SendCommand with the target {key}")
        if not matches(values, field):
            return False
    return True
