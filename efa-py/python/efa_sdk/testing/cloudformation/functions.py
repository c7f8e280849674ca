"""Intrinsic functions: what a value of a template is, and what it refers to."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..rules import refuse
from .stack import Made

#: What `AWS::NoValue` is until it is taken out.
NO_VALUE = object()

_FUNCTIONS = {
    "Ref",
    "Condition",
    "Fn::GetAtt",
    "Fn::Sub",
    "Fn::Join",
    "Fn::Select",
    "Fn::Split",
    "Fn::If",
    "Fn::Base64",
    "Fn::Equals",
    "Fn::Not",
    "Fn::And",
    "Fn::Or",
}
_IN_TEXT = re.compile(r"\$\{([^!{}][^{}]*)\}")
_LITERAL = re.compile(r"\$\{!([^{}]*)\}")


@dataclass
class Scope:
    """What names of a template stand for."""

    parameters: Mapping[str, Any]
    pseudo: Mapping[str, Any]
    conditions: Mapping[str, Any]
    made: dict[str, Made] = field(default_factory=dict)

    def value(self, value: Any) -> Any:
        """A value of the template with its functions carried out."""
        if isinstance(value, list):
            listed = [self.value(one) for one in value]
            return [one for one in listed if one is not NO_VALUE]
        if not isinstance(value, dict):
            return value
        function = function_of(value)
        if function is None:
            entries = ((key, self.value(one)) for key, one in value.items())
            return {key: one for key, one in entries if one is not NO_VALUE}
        name, argument = function
        return getattr(self, "_" + name.removeprefix("Fn::").lower())(argument)

    def holds(self, condition: str) -> bool:
        """Whether a condition of the template holds."""
        if condition not in self.conditions:
            refuse("cloudformation.unresolved", name=condition)
        return bool(self.value(self.conditions[condition]))

    def _ref(self, name: Any) -> Any:
        if name == "AWS::NoValue":
            return NO_VALUE
        for known in (self.parameters, self.pseudo):
            if name in known:
                return known[name]
        if name in self.made:
            return self.made[name].ref
        refuse("cloudformation.unresolved", name=name)

    def _condition(self, name: Any) -> bool:
        return self.holds(str(name))

    def _getatt(self, argument: Any) -> Any:
        name, attribute = _get_att(argument)
        made = self.made.get(name)
        if made is None:
            refuse("cloudformation.unresolved", name=name)
        if attribute not in made.attributes:
            refuse("request.not_in_stand_in", what=f"attribute {attribute} of {made.kind}")
        return made.attributes[attribute]

    def _sub(self, argument: Any) -> str:
        text, more = (argument, {}) if isinstance(argument, str) else _pair(argument, "Fn::Sub")
        own = {name: self.value(value) for name, value in more.items()}

        def put(found: re.Match[str]) -> str:
            name = found[1].strip()
            if name in own:
                return str(own[name])
            return str(self._getatt(name.split(".", 1)) if "." in name else self._ref(name))

        return _LITERAL.sub(r"${\1}", _IN_TEXT.sub(put, text))

    def _join(self, argument: Any) -> str:
        separator, listed = _pair(argument, "Fn::Join")
        return str(separator).join(str(one) for one in self.value(listed))

    def _select(self, argument: Any) -> Any:
        index, listed = _pair(argument, "Fn::Select")
        found = self.value(listed)
        place = int(self.value(index))
        if not 0 <= place < len(found):
            refuse("cloudformation.malformed_template", what=f"Fn::Select has no item {place}")
        return found[place]

    def _split(self, argument: Any) -> list[str]:
        separator, text = _pair(argument, "Fn::Split")
        return str(self.value(text)).split(separator)

    def _if(self, argument: Any) -> Any:
        if not isinstance(argument, list) or len(argument) != 3:
            refuse("cloudformation.malformed_template", what="Fn::If takes three values")
        return self.value(argument[1] if self.holds(str(argument[0])) else argument[2])

    def _base64(self, argument: Any) -> str:
        return base64.b64encode(str(self.value(argument)).encode()).decode()

    def _equals(self, argument: Any) -> bool:
        one, other = (self.value(part) for part in _pair(argument, "Fn::Equals"))
        return _text(one) == _text(other)

    def _not(self, argument: Any) -> bool:
        return not self.value(argument[0])

    def _and(self, argument: Any) -> bool:
        return all(self.value(argument))

    def _or(self, argument: Any) -> bool:
        return any(self.value(argument))


def function_of(value: Mapping[str, Any]) -> tuple[str, Any] | None:
    """Name and argument of a function; None for plain data."""
    if len(value) != 1:
        return None
    name, argument = next(iter(value.items()))
    if name in _FUNCTIONS and not (name == "Condition" and not isinstance(argument, str)):
        return name, argument
    if str(name).startswith("Fn::"):
        refuse("request.not_in_stand_in", what=f"the function {name}")
    return None


def references(value: Any) -> Iterator[str]:
    """The names of resources and parameters that a value refers to."""
    if isinstance(value, list):
        for one in value:
            yield from references(one)
    if not isinstance(value, dict):
        return
    function = function_of(value)
    if function is None:
        for one in value.values():
            yield from references(one)
        return
    name, argument = function
    if name == "Ref":
        yield str(argument)
    elif name == "Fn::GetAtt":
        yield _get_att(argument)[0]
    elif name == "Fn::Sub":
        text, more = (argument, {}) if isinstance(argument, str) else _pair(argument, name)
        for found in _IN_TEXT.finditer(text):
            if found[1].strip() not in more:
                yield found[1].strip().split(".", 1)[0]
        yield from references(more)
    elif name != "Condition":
        yield from references(argument)


def _get_att(argument: Any) -> tuple[str, str]:
    parts = argument.split(".", 1) if isinstance(argument, str) else argument
    if not isinstance(parts, list) or len(parts) != 2:
        refuse("cloudformation.malformed_template", what="Fn::GetAtt takes a name and an attribute")
    return str(parts[0]), str(parts[1])


def _pair(argument: Any, name: str) -> tuple[Any, Any]:
    if not isinstance(argument, list) or len(argument) != 2:
        refuse("cloudformation.malformed_template", what=f"{name} takes two values")
    return argument[0], argument[1]


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
