"""An identity-based IAM policy document, parsed once and asked often."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from .conditions import Condition, Context, PolicyError, like, parse_conditions

__all__ = ["Decision", "Policy", "PolicyError"]

Decision = Literal["allowed", "denied", "not allowed"]

_ACTION = re.compile(r"\*|[A-Za-z0-9-]+:[A-Za-z0-9*?]+")
_MEMBERS = {
    "Sid",
    "Effect",
    "Action",
    "NotAction",
    "Resource",
    "NotResource",
    "Condition",
}


@dataclass(frozen=True)
class _Statement:
    allow: bool
    actions: tuple[str, ...]
    but_actions: tuple[str, ...]
    resources: tuple[str, ...]
    but_resources: tuple[str, ...]
    conditions: tuple[Condition, ...]

    def applies(self, action: str, resource: str, context: Context) -> bool:
        name = action.lower()
        if self.actions and not any(like(one.lower(), name) for one in self.actions):
            return False
        if any(like(one.lower(), name) for one in self.but_actions):
            return False
        if self.resources and not any(like(one, resource) for one in self.resources):
            return False
        if any(like(one, resource) for one in self.but_resources):
            return False
        return all(condition.holds(context) for condition in self.conditions)


@dataclass(frozen=True)
class Policy:
    """A parsed policy document."""

    statements: tuple[_Statement, ...]

    @classmethod
    def parse(cls, document: Any) -> Policy:
        """Reads a document (JSON text or an object); raises `PolicyError` where it is unsound."""
        if isinstance(document, str):
            try:
                document = json.loads(document)
            except ValueError as error:
                raise PolicyError(f"a policy must be JSON: {error}") from error
        if not isinstance(document, Mapping):
            raise PolicyError("a policy must be an object with Version and Statement")
        for name in document:
            if name not in ("Version", "Id", "Statement"):
                raise PolicyError(f"a policy has no member {name}")
        if document.get("Version", "2008-10-17") not in ("2008-10-17", "2012-10-17"):
            raise PolicyError(f"Version must be 2012-10-17, not {document['Version']!r}")
        listed = document.get("Statement")
        entries: list[Any] = listed if isinstance(listed, list) else [listed]
        if not entries or not all(isinstance(entry, Mapping) for entry in entries):
            raise PolicyError("Statement must be an object or a list of objects")
        return cls(tuple(_statement(entry) for entry in entries))

    def decide(self, action: str, resource: str, context: Context) -> Decision:
        """An explicit Deny wins over every Allow; without either nothing is allowed."""
        found = [one.allow for one in self.statements if one.applies(action, resource, context)]
        if False in found:
            return "denied"
        return "allowed" if found else "not allowed"


def is_action(text: str) -> bool:
    """Whether a text names actions: `*`, or a service prefix, a colon and a name."""
    return _ACTION.fullmatch(text) is not None


def _statement(entry: Mapping[str, Any]) -> _Statement:
    for name in entry:
        if name not in _MEMBERS:
            raise PolicyError(f"the stand-in evaluates no statement member {name}")
    effect = entry.get("Effect")
    if effect not in ("Allow", "Deny"):
        raise PolicyError(f"Effect must be Allow or Deny, not {effect!r}")
    for one, other in (("Action", "NotAction"), ("Resource", "NotResource")):
        if (one in entry) == (other in entry):
            raise PolicyError(f"a statement takes either {one} or {other}")
    statement = _Statement(
        allow=effect == "Allow",
        actions=_texts(entry, "Action"),
        but_actions=_texts(entry, "NotAction"),
        resources=_texts(entry, "Resource"),
        but_resources=_texts(entry, "NotResource"),
        conditions=parse_conditions(entry.get("Condition", {})),
    )
    for action in (*statement.actions, *statement.but_actions):
        if not is_action(action):
            raise PolicyError(f"Action must be service:Action, not {action!r}")
    for resource in (*statement.resources, *statement.but_resources):
        if resource != "*" and len(resource.split(":", 5)) < 6:
            raise PolicyError(f"Resource must be an ARN or '*', not {resource!r}")
        if "${" in resource:
            raise PolicyError(f"the stand-in evaluates no policy variables: {resource}")
    return statement


def _texts(entry: Mapping[str, Any], name: str) -> tuple[str, ...]:
    if name not in entry:
        return ()
    value = entry[name]
    listed = value if isinstance(value, list) else [value]
    if not listed or not all(isinstance(one, str) for one in listed):
        raise PolicyError(f"{name} must be text or a list of strings, not {value!r}")
    return tuple(listed)
