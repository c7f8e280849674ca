"""In which order the resources of a template are made."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from ..rules import refuse
from .functions import Scope, references
from .resources import TYPES
from .template import Template

#: Of an interface of AWS::EC2::Instance: what only those of a launch template have.
_NOT_ON_INSTANCES = ("InterfaceType", "NetworkCardIndex")


def wanted(template: Template, scope: Scope) -> list[str]:
    """The resources whose conditions hold, each after those that it needs."""
    names = [
        name
        for name, resource in template.resources.items()
        if "Condition" not in resource or scope.holds(str(resource["Condition"]))
    ]
    for name in names:
        _check_type(name, template.resources[name])
    for output in template.outputs.values():
        if "Condition" not in output or scope.holds(str(output["Condition"])):
            for one in references(output.get("Value")):
                _check_name(one, scope, names)
    needs = {name: _needs(template, scope, name, set(names)) for name in names}
    ordered: list[str] = []
    while len(ordered) < len(names):
        ready = [one for one in names if one not in ordered and needs[one] <= set(ordered)]
        if not ready:
            rest = [one for one in names if one not in ordered]
            refuse("cloudformation.circular", names=", ".join(rest))
        ordered += ready[:1]
    return ordered


def _check_type(name: str, resource: Mapping[str, Any]) -> None:
    kind = str(resource["Type"])
    known = TYPES.get(kind)
    if known is None:
        refuse("request.not_in_stand_in", what=f"the resource type {kind}")
    properties = resource.get("Properties") or {}
    for key in properties:
        if key in known.absent:
            refuse("cloudformation.unsupported_property", name=key)
        if kind == "AWS::EC2::Instance" and key == "NetworkInterfaces":
            for interface in properties[key]:
                for absent in _NOT_ON_INSTANCES:
                    if absent in interface:
                        refuse("cloudformation.unsupported_property", name=absent)
        if key not in known.known:
            refuse("request.not_in_stand_in", what=f"{key} of {kind} ({name})")


def _needs(template: Template, scope: Scope, name: str, names: set[str]) -> set[str]:
    resource = template.resources[name]
    after = resource.get("DependsOn") or []
    after = [after] if isinstance(after, str) else after
    needed = set()
    for one in (*references(resource.get("Properties")), *after):
        if one in names:
            needed.add(one)
        elif one in after and one in template.resources:
            continue  # ruled out by its condition
        else:
            _check_name(one, scope, ())
    return needed


def _check_name(name: str, scope: Scope, resources: Collection[str]) -> None:
    known = (scope.parameters, scope.pseudo, resources, ("AWS::NoValue",))
    if not any(name in names for names in known):
        refuse("cloudformation.unresolved", name=name)
