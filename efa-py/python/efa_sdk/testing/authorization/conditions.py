"""The `Condition` block of an IAM statement. What is not known here is refused, never ignored."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from efa_sdk.errors import ArgumentValueError

Context = Mapping[str, Sequence[str]]

_KEYS = (
    "aws:RequestedRegion",
    "aws:TagKeys",
    "ec2:CreateAction",
    "ec2:InstanceType",
    "ec2:Region",
    "iam:AssociatedResourceArn",
    "iam:AWSServiceName",
    "iam:PassedToService",
    "iam:PermissionsBoundary",
    "iam:PolicyARN",
    "kms:GrantIsForAWSResource",
    "kms:ResourceAliases",
    "kms:ViaService",
)
_KEY_PREFIXES = ("aws:ResourceTag/", "aws:RequestTag/", "ec2:ResourceTag/", "ssm:resourceTag/")


class PolicyError(ArgumentValueError):
    """A policy document that IAM would refuse, or that this evaluator cannot evaluate."""

    def __init__(self, message: str) -> None:
        super().__init__("argument.invalid_value", message, None, {"argument": "policy"})

    def __reduce__(self) -> tuple[Any, ...]:
        return PolicyError, (self.message,)


@lru_cache(maxsize=4096)
def _pattern(text: str) -> re.Pattern[str]:
    parts = (".*" if c == "*" else "." if c == "?" else re.escape(c) for c in text)
    return re.compile("".join(parts) + r"\Z", re.DOTALL)


def like(pattern: str, text: str) -> bool:
    """Whether a text fits a pattern with `*` and `?`, case counting."""
    return _pattern(pattern).match(text) is not None


def _equals(wanted: str, found: str) -> bool:
    return wanted == found


def _equals_ignoring_case(wanted: str, found: str) -> bool:
    return wanted.lower() == found.lower()


_TESTS: dict[str, tuple[Callable[[str, str], bool], bool]] = {
    "StringEquals": (_equals, True),
    "StringNotEquals": (_equals, False),
    "StringEqualsIgnoreCase": (_equals_ignoring_case, True),
    "StringLike": (like, True),
    "StringNotLike": (like, False),
    "ArnEquals": (like, True),
    "ArnLike": (like, True),
    "Bool": (_equals_ignoring_case, True),
}


@dataclass(frozen=True)
class Condition:
    """One operator on one key."""

    key: str
    values: tuple[str, ...]
    operator: str
    quantifier: str
    if_exists: bool

    def holds(self, context: Context) -> bool:
        """Whether the request's context meets it."""
        found = context.get(self.key)
        if self.operator == "Null":
            return (not found) == (self.values[0].lower() == "true")
        if not found:
            return self.if_exists or self.quantifier == "ForAllValues" or not self._positive
        if self.quantifier == "ForAllValues":
            return all(self._fits(text) for text in found)
        return any(self._fits(text) for text in found)

    @property
    def _positive(self) -> bool:
        return _TESTS[self.operator][1]

    def _fits(self, text: str) -> bool:
        test, positive = _TESTS[self.operator]
        return any(test(wanted, text) for wanted in self.values) == positive


def parse_conditions(block: Any) -> tuple[Condition, ...]:
    """The conditions of a block; all must hold."""
    if not isinstance(block, Mapping):
        raise PolicyError(f"Condition must be an object, not {block!r}")
    return tuple(
        _condition(str(name), str(key), values)
        for name, entries in block.items()
        for key, values in _entries(name, entries)
    )


def _entries(name: str, entries: Any) -> list[tuple[str, Any]]:
    if not isinstance(entries, Mapping):
        raise PolicyError(f"Condition {name} must be an object of keys and values")
    return list(entries.items())


def _condition(name: str, key: str, values: Any) -> Condition:
    quantifier, _, rest = name.rpartition(":")
    operator = rest.removesuffix("IfExists")
    if quantifier not in ("", "ForAllValues", "ForAnyValue") or (
        operator not in _TESTS and (operator, rest) != ("Null", "Null")
    ):
        raise PolicyError(
            f"Condition operator {name} is not one that the stand-in evaluates:"
            f" {', '.join(_TESTS)} (with ForAllValues:, ForAnyValue:, IfExists) and Null"
        )
    texts = tuple(str(value) for value in (values if isinstance(values, list) else [values]))
    for text in texts:
        if "${" in text:
            raise PolicyError(f"the stand-in evaluates no policy variables: {text}")
    return Condition(_key(key), texts, operator, quantifier, rest != operator)


def _key(key: str) -> str:
    """The key as the contexts spell it: names in IAM's case, tag keys as they are."""
    for prefix in _KEY_PREFIXES:
        if key.lower().startswith(prefix.lower()) and len(key) > len(prefix):
            tag = key[len(prefix) :]
            return ("aws:RequestTag/" if "Request" in prefix else "aws:ResourceTag/") + tag
    for known in _KEYS:
        if key.lower() == known.lower():
            return "aws:RequestedRegion" if known == "ec2:Region" else known
    raise PolicyError(
        f"Condition key {key} is not one that the stand-in evaluates:"
        f" {', '.join(_KEYS)}, {', '.join(prefix + '<key>' for prefix in _KEY_PREFIXES)}"
    )
