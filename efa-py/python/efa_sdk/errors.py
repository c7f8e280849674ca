"""The exceptions of efa_sdk: every one has a stable code, context and, where known, the cure.

``EfaError`` is the base. The class follows the stage that the error comes from, ``code`` names
exactly what is wrong (``layout.device_index_out_of_range``); codes are added, never renamed.
"""

from __future__ import annotations

# `except efa_sdk.EfaError` imports this module: it needs nothing that takes long.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

__all__ = [
    "ArgumentError",
    "ArgumentTypeError",
    "ArgumentValueError",
    "BindingError",
    "CatalogError",
    "Ec2Error",
    "EfaError",
    "FabricError",
    "HandoffError",
    "LayoutError",
    "MissingExtraError",
    "NotSurveyedError",
    "PlanError",
    "ProvisionError",
    "SoftEfaError",
    "StandInError",
    "UnhealthyError",
    "VerifyError",
    "codes",
]


def _line(message: str, cure: str | None) -> str:
    return message if cure is None else f"{message}; {cure}"


class EfaError(Exception):
    """Base of all errors of efa_sdk. ``str()`` is one line: the message, then the cure."""

    #: The stable code, such as ``plan.invalid_spec``.
    code: str
    #: What is wrong.
    message: str
    #: What to do about it, where known.
    cure: str | None
    #: The field, the value, the limit, EC2's own code (``ec2_code``) and the like.
    context: dict[str, str]
    #: Whether the same call can succeed later without a change.
    retryable: bool
    #: Whether the failed call may have changed something in AWS.
    may_have_changed_aws: bool
    #: Pairs of resource type and id that the failed call is known to have left in AWS.
    leftovers: list[tuple[str, str]]
    #: After a failed ``apply`` or ``destroy``: which call finishes or undoes it.
    next_command: str | None

    def __init__(
        self,
        code: str,
        message: str,
        cure: str | None = None,
        context: Mapping[str, str] | None = None,
        retryable: bool = False,
        may_have_changed_aws: bool = False,
        leftovers: Sequence[tuple[str, str]] = (),
        next_command: str | None = None,
    ) -> None:
        super().__init__(_line(message, cure))
        self.code = code
        self.message = message
        self.cure = cure
        self.context = dict(context or {})
        self.retryable = retryable
        self.may_have_changed_aws = may_have_changed_aws
        self.leftovers = list(leftovers)
        self.next_command = next_command

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (
            self.code,
            self.message,
            self.cure,
            self.context,
            self.retryable,
            self.may_have_changed_aws,
            self.leftovers,
            self.next_command,
        )

    @property
    def ec2_code(self) -> str | None:
        """EC2's own code, such as ``InsufficientInstanceCapacity``, where EC2 gave one."""
        return self.context.get("ec2_code")


class ArgumentError(EfaError):
    """An argument that a parameter cannot take.

    ``context`` has ``argument``, ``value`` and ``limit``.
    """

    def add_note(self, note: str) -> None:
        """The compiled module names the argument that it was reading: the message's."""
        before, reading, argument = note.partition(_READING)
        if before or not reading or not argument.endswith("'"):
            self.__notes__ = [*getattr(self, "__notes__", ()), note]
        elif "argument" not in self.context:
            self.context["argument"] = argument[:-1]
            self.message = self.message.replace("an argument", argument[:-1], 1)
            self.args = (_line(self.message, self.cure),)


#: Characters of a value that a message shows.
_LONGEST_VALUE = 60
#: How what pyo3 adds to every error of an argument's conversion begins; the name and `'` follow.
_READING = "while processing '"


class ArgumentTypeError(ArgumentError, TypeError):
    """An argument of another type than the parameter takes; a TypeError as well."""


class ArgumentValueError(ArgumentError, ValueError):
    """An argument of the right type that the parameter cannot take; a ValueError as well."""


def invalid_value(
    argument: str, value: object, limit: str, cure: str | None = None
) -> ArgumentValueError:
    """Returns the error for an ``argument`` whose ``value`` is not within the ``limit``."""
    context = {"argument": argument, "value": str(value), "limit": limit}
    message = f"{argument} is {value!r}, and must be {limit}"
    return ArgumentValueError("argument.invalid_value", message, cure, context)


def wrong_type(argument: str, value: object, wanted: str) -> ArgumentTypeError:
    """Returns the error for an ``argument`` whose ``value`` is not ``wanted``, in words."""
    shown = repr(value)
    if len(shown) > _LONGEST_VALUE:
        shown = f"{shown[: _LONGEST_VALUE - 1]}…"
    if value is not None:
        shown = f"{shown} ({type(value).__name__})"
    limit = f"must be {wanted}"
    context = {"argument": argument, "value": shown, "limit": limit}
    return ArgumentTypeError(
        "argument.wrong_type", f"{argument} is {shown}, and {limit}", None, context
    )


class CatalogError(EfaError):
    """An unknown instance type, or a query that cannot be answered."""


class LayoutError(EfaError):
    """Network interfaces that EC2 would refuse."""


class PlanError(EfaError):
    """A specification that cannot become a plan."""


class ProvisionError(EfaError):
    """Making or removing resources failed; see ``leftovers``."""


class VerifyError(EfaError):
    """A cluster that cannot be found or compared."""


class Ec2Error(EfaError):
    """EC2 refused a call or could not be reached; see ``ec2_code``."""


class HandoffError(EfaError):
    """A plan that a format cannot express, or a document of no known format."""


class FabricError(EfaError):
    """libfabric is absent, refused, or a peer did not answer."""


class BindingError(EfaError):
    """The call cannot be made from here: a forked child, or within another call."""


class MissingExtraError(BindingError, ImportError):
    """A package of an extra is not installed; an ImportError as well. The cure is pip's command."""


class UnhealthyError(FabricError):
    """A survey found something wrong: there is evidence against a node, a link or the network."""


class NotSurveyedError(FabricError, BindingError):
    """A survey could not be made, or found nothing and is not complete: the set-up, an early stop.

    A BindingError as well, since it may be that efa_sdk is missing on a node.
    """


class SoftEfaError(EfaError):
    """``testing.SoftEfa`` cannot be set up or changed as asked."""


class StandInError(EfaError, RuntimeError):
    """``testing.StandIn`` cannot start or be used as asked; a RuntimeError as well."""


#: The codes that the package itself raises; all others are the compiled module's.
_STAND_IN_CODES = (
    "stand_in.cannot_listen",
    "stand_in.not_loopback",
    "stand_in.not_running",
    "stand_in.one_per_process",
)
_SOFT_EFA_CODES = (
    "soft_efa.device_not_found",
    "soft_efa.invalid_address",
    "soft_efa.invalid_fault",
    "soft_efa.libfabric_not_found",
    "soft_efa.libraries_missing",
    "soft_efa.no_namespace",
    "soft_efa.not_linux",
    "soft_efa.not_running",
    "soft_efa.too_many_devices",
    "soft_efa.tree_not_empty",
    "soft_efa.tree_path_too_long",
    "soft_efa.unknown_type",
)

_CLASSES: dict[str, type[EfaError]] = {
    "argument": ArgumentError,
    "catalog": CatalogError,
    "layout": LayoutError,
    "plan": PlanError,
    "provision": ProvisionError,
    "verify": VerifyError,
    "ec2": Ec2Error,
    "handoff": HandoffError,
    "fabric": FabricError,
    "python": BindingError,
    "soft_efa": SoftEfaError,
    "stand_in": StandInError,
}

#: Codes with a class of their own.
_BY_CODE: dict[str, type[EfaError]] = {
    "argument.wrong_type": ArgumentTypeError,
    "argument.invalid_value": ArgumentValueError,
    "fabric.unhealthy": UnhealthyError,
    "fabric.not_surveyed": NotSurveyedError,
}


def codes() -> list[str]:
    """Returns every code that an error of this package can have."""
    from efa_sdk._efa_sdk import error_codes  # it imports this module when it raises

    return [*error_codes(), *_SOFT_EFA_CODES, *_STAND_IN_CODES]


def from_parts(
    code: str,
    message: str,
    cure: str | None,
    context: Mapping[str, str],
    retryable: bool,
    may_have_changed_aws: bool,
    leftovers: Sequence[tuple[str, str]],
    next_command: str | None = None,
) -> EfaError:
    """Returns the exception for an error of the compiled module: the class follows the code."""
    kind = _BY_CODE.get(code) or _CLASSES.get(code.partition(".")[0], EfaError)
    parts = (code, message, cure, context, retryable, may_have_changed_aws, leftovers)
    return kind(*parts, next_command)
