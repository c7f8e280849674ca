"""Makes the resources of a stack, and removes them."""

from __future__ import annotations

from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]

from ..rules import Refused
from .functions import Scope
from .resources import TYPES, Context
from .stack import Made
from .template import Template

#: What a resource fails with: the resource's own service, the transport, or the template.
_FAILURES = (
    ClientError,
    BotoCoreError,
    Refused,
    ConnectionError,
    RuntimeError,
    KeyError,
    ValueError,
)

#: The ends of codes for something that does not exist.
_GONE = ("NotFound", "NotFoundException", ".Unknown", "NoSuchEntity", "NoSuchBucket")


def create(context: Context, template: Template, scope: Scope, order: list[str]) -> None:
    """Makes everything in order; after a failure takes it down again."""
    stack, now = context.stack, context.call.settings.now
    stack.note(now(), "CREATE_IN_PROGRESS", reason="User Initiated")
    for name in order:
        resource = template.resources[name]
        kind = str(resource["Type"])
        pending = Made(name, kind, {}, "")
        stack.note(now(), "CREATE_IN_PROGRESS", pending)
        try:
            properties = scope.value(resource.get("Properties") or {})
            made = TYPES[kind].create(context, name, properties)
        except _FAILURES as error:
            stack.made.append(pending)
            stack.note(now(), "CREATE_FAILED", pending, reason=_reason(error))
            _give_up(context, name)
            return
        made.kind = kind
        stack.made.append(made)
        scope.made[name] = made
        stack.note(now(), "CREATE_COMPLETE", made)
    try:
        stack.outputs = _outputs(template, scope)
    except Refused as error:
        stack.reason = _reason(error)
        _give_up(context, "Outputs")
        return
    stack.note(now(), "CREATE_COMPLETE")


def _give_up(context: Context, name: str) -> None:
    stack, now = context.stack, context.call.settings.now
    why = f"The following resource(s) failed to create: [{name}]. "
    if stack.on_failure == "DO_NOTHING":
        stack.note(now(), "CREATE_FAILED", reason=why)
        return
    stack.note(now(), "ROLLBACK_IN_PROGRESS", reason=why + "Rollback requested by user.")
    whole = _remove(context)
    if whole and stack.on_failure == "DELETE":
        stack.note(now(), "DELETE_COMPLETE")
    else:
        stack.note(now(), "ROLLBACK_COMPLETE" if whole else "ROLLBACK_FAILED")


def delete(context: Context) -> None:
    """Removes everything, last made first; what cannot be removed stays in the stack."""
    stack, now = context.stack, context.call.settings.now
    stack.note(now(), "DELETE_IN_PROGRESS", reason="User Initiated")
    stack.note(now(), "DELETE_COMPLETE" if _remove(context) else "DELETE_FAILED")


def _remove(context: Context) -> bool:
    stack, now = context.stack, context.call.settings.now
    for made in reversed(stack.made):
        if made.status == "DELETE_COMPLETE":
            continue
        if made.ref:
            stack.note(now(), "DELETE_IN_PROGRESS", made)
            try:
                TYPES[made.kind].delete(context, made)
            except _FAILURES as error:
                if _is_gone(error):
                    stack.note(now(), "DELETE_COMPLETE", made)
                    continue
                stack.note(now(), "DELETE_FAILED", made, reason=_reason(error))
                continue
        stack.note(now(), "DELETE_COMPLETE", made)
    return all(made.status == "DELETE_COMPLETE" for made in stack.made)


def _is_gone(error: BaseException) -> bool:
    """Whether somebody else has removed it before."""
    code = error.response["Error"]["Code"] if isinstance(error, ClientError) else ""
    return str(code).endswith(_GONE)


def _reason(error: BaseException) -> str:
    if isinstance(error, ClientError):
        found = error.response["Error"]
        return f"{found['Message']} (Service: {error.operation_name}; Error Code: {found['Code']})"
    if isinstance(error, KeyError):
        return f"Property {error} cannot be empty."
    return str(error)


def _outputs(template: Template, scope: Scope) -> list[dict[str, str]]:
    listed = []
    for name, output in template.outputs.items():
        if "Condition" in output and not scope.holds(str(output["Condition"])):
            continue
        shown = {"OutputKey": name, "OutputValue": str(scope.value(output["Value"]))}
        if output.get("Description"):
            shown["Description"] = str(output["Description"])
        listed.append(shown)
    return listed
