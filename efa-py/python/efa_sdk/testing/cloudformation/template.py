"""A template's text as values, with every part of it that is not known here refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml  # type: ignore[import-untyped]

from ..rules import refuse

_SECTIONS = {
    "AWSTemplateFormatVersion",
    "Description",
    "Metadata",
    "Parameters",
    "Conditions",
    "Resources",
    "Outputs",
}
_RESOURCE = {
    "Type",
    "Properties",
    "DependsOn",
    "Condition",
    "Metadata",
    "DeletionPolicy",
    "UpdateReplacePolicy",
}
_OUTPUT = {"Description", "Value", "Condition"}
_LIMIT_BYTES = 51_200
_LIMIT_RESOURCES = 500


@dataclass(frozen=True)
class Template:
    """A template; its sections as they stand, functions and all."""

    description: str | None
    parameters: Mapping[str, Mapping[str, Any]]
    conditions: Mapping[str, Any]
    resources: Mapping[str, Mapping[str, Any]]
    outputs: Mapping[str, Mapping[str, Any]]


def read(body: str) -> Template:
    """The template of a text."""
    size = len(body.encode())
    if size > _LIMIT_BYTES:
        refuse("cloudformation.template_size", size=size)
    whole = _values(body)
    if not isinstance(whole, dict):
        refuse("cloudformation.malformed_template", what="it is not a mapping")
    for section in whole:
        if section not in _SECTIONS:
            refuse("request.not_in_stand_in", what=f"the section {section} of templates")
    resources = _section(whole, "Resources")
    if not resources:
        refuse("cloudformation.malformed_template", what="it has no Resources")
    if len(resources) > _LIMIT_RESOURCES:
        refuse("cloudformation.too_many_resources", count=len(resources))
    for name, resource in resources.items():
        _known(resource, _RESOURCE, f"resource {name}")
        if not isinstance(resource.get("Type"), str):
            refuse("cloudformation.malformed_template", what=f"resource {name} has no Type")
        if resource.get("DeletionPolicy", "Delete") != "Delete":
            refuse("request.not_in_stand_in", what=f"DeletionPolicy {resource['DeletionPolicy']}")
    outputs = _section(whole, "Outputs")
    for name, output in outputs.items():
        _known(output, _OUTPUT, f"output {name}")
    return Template(
        description=whole.get("Description"),
        parameters=_section(whole, "Parameters"),
        conditions=_section(whole, "Conditions"),
        resources=resources,
        outputs=outputs,
    )


def _section(whole: Mapping[str, Any], name: str) -> dict[str, Any]:
    section = whole.get(name)
    if section is None:
        return {}
    if not isinstance(section, dict):
        refuse("cloudformation.malformed_template", what=f"{name} is not a mapping")
    return section


def _known(part: Any, known: set[str], what: str) -> None:
    if not isinstance(part, dict):
        refuse("cloudformation.malformed_template", what=f"{what} is not a mapping")
    for key in part:
        if key not in known:
            refuse("request.not_in_stand_in", what=f"{key} of {what}")


def _values(body: str) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        pass
    try:
        return yaml.load(body, Loader=_Loader)
    except yaml.YAMLError as error:
        line = str(error).splitlines()[0]
        refuse("cloudformation.malformed_template", what=f"not JSON or YAML: {line}")


class _Loader(yaml.SafeLoader):  # type: ignore[misc]
    """YAML with CloudFormation's short tags, and dates as text."""


_Loader.yaml_implicit_resolvers = {
    letter: [pair for pair in pairs if pair[0] != "tag:yaml.org,2002:timestamp"]
    for letter, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _short(loader: Any, suffix: str, node: Any) -> Any:
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _short)
