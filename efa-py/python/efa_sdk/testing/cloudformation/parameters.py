"""The parameters of a template: values, defaults and what they may be."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from ..call import Call
from ..rules import refuse

_KNOWN = {
    "Type",
    "Default",
    "Description",
    "AllowedValues",
    "AllowedPattern",
    "ConstraintDescription",
    "NoEcho",
}
_PLAIN = {"String", "Number", "CommaDelimitedList"}
_EXISTS: dict[str, Callable[[Any, str], bool]] = {
    "AWS::EC2::VPC::Id": lambda backend, one: one in backend.vpcs,
    "AWS::EC2::Subnet::Id": lambda backend, one: any(
        one in members for members in backend.subnets.values()
    ),
    "AWS::EC2::SecurityGroup::Id": lambda backend, one: any(
        one in groups for groups in backend.groups.values()
    ),
    "AWS::EC2::Image::Id": lambda backend, one: one in backend.amis,
    "AWS::EC2::KeyPair::KeyName": lambda backend, one: one in backend.key_pairs,
}


def resolve(
    call: Call, declared: Mapping[str, Mapping[str, Any]], given: Mapping[str, str]
) -> dict[str, Any]:
    """The value of each parameter, as functions see it."""
    unknown = [name for name in given if name not in declared]
    if unknown:
        refuse("cloudformation.parameter_unknown", name=", ".join(unknown))
    missing = [
        name for name, one in declared.items() if name not in given and one.get("Default") is None
    ]
    if missing:
        refuse("cloudformation.parameter_missing", name=", ".join(missing))
    return {
        name: _value(call, name, one, str(given.get(name, one.get("Default"))))
        for name, one in declared.items()
    }


def _value(call: Call, name: str, declared: Mapping[str, Any], text: str) -> Any:
    for key in declared:
        if key not in _KNOWN:
            refuse("request.not_in_stand_in", what=f"{key} of parameter {name}")
    kind = str(declared.get("Type"))
    element = kind[5:-1] if kind.startswith("List<") else kind
    if element not in _PLAIN and element not in _EXISTS:
        refuse("request.not_in_stand_in", what=f"the parameter type {kind}")
    listed = kind.startswith("List<") or kind == "CommaDelimitedList"
    values = [one.strip() for one in text.split(",")] if listed else [text]
    for one in values:
        why = _fault(call, element, declared, one)
        if why:
            refuse("cloudformation.parameter_value", name=name, value=one, why=why)
    return values if listed else text


def _fault(call: Call, kind: str, declared: Mapping[str, Any], text: str) -> str | None:
    allowed, pattern = declared.get("AllowedValues"), declared.get("AllowedPattern")
    if allowed is not None and text not in [str(one) for one in allowed]:
        return "is not allowed"
    if pattern is not None and not re.fullmatch(pattern, text):
        return "does not fit its pattern"
    if kind == "Number" and not re.fullmatch(r"-?\d+(\.\d+)?", text):
        return "is not a number"
    exists = _EXISTS.get(kind)
    return None if exists is None or exists(call.backend, text) else "does not exist"
