"""Karpenter's own validators that can be had: the CRDs' schema, and their CEL rules.

Strict as `kubectl apply --validate=strict`: a field that the schema does not have is an error. CEL
by cel-python, with `find` and `split`, which Kubernetes adds to the language. Rules about updates
(`oldSelf`) are left out. Not the API server itself.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import celpy
import celpy.celtypes
import jsonschema
import yaml

CRDS = Path(__file__).resolve().parents[1] / "data" / "karpenter-crds"

#: The kinds of Karpenter, with the file of each.
FILES = {
    "EC2NodeClass": "karpenter.k8s.aws_ec2nodeclasses.yaml",
    "NodeClaim": "karpenter.sh_nodeclaims.yaml",
    "NodeOverlay": "karpenter.sh_nodeoverlays.yaml",
    "NodePool": "karpenter.sh_nodepools.yaml",
}


@cache
def crd(kind: str) -> dict[str, Any]:
    """The definition of a kind."""
    found: dict[str, Any] = yaml.safe_load((CRDS / FILES[kind]).read_text())
    return found


def refusals(document: dict[str, Any]) -> list[str]:
    """Why Karpenter's CRDs refuse a document; none if they take it."""
    definition = crd(document["kind"])
    version = definition["spec"]["versions"][0]
    group = definition["spec"]["group"]
    expected = f"{group}/{version['name']}"
    if document["apiVersion"] != expected:
        return [f"apiVersion: not {expected}"]
    schema = version["schema"]["openAPIV3Schema"]
    validator = jsonschema.Draft202012Validator(_strict(schema, top=True))
    broken = [
        f"{'.'.join(map(str, error.absolute_path))}: {error.message}"
        for error in validator.iter_errors(document)
    ]
    # A missing field would make rules fail that are not broken.
    return broken or list(_rules(schema, document, ""))


def _strict(schema: dict[str, Any], *, top: bool = False) -> dict[str, Any]:
    strict = {k: v for k, v in schema.items() if not k.startswith("x-kubernetes")}
    # A pattern on a list is not looked at, here as there.
    if schema.get("x-kubernetes-int-or-string"):
        strict.pop("pattern", None)
        strict["anyOf"] = [
            {"type": "integer"},
            {"type": "string", "pattern": schema.get("pattern", "")},
        ]
    if "properties" in schema:
        strict["properties"] = {k: _strict(v) for k, v in schema["properties"].items()}
        if top:
            strict["properties"]["metadata"] = {"type": "object"}
        if not schema.get("x-kubernetes-preserve-unknown-fields"):
            strict["additionalProperties"] = False
    elif isinstance(schema.get("additionalProperties"), dict):
        strict["additionalProperties"] = _strict(schema["additionalProperties"])
    if "items" in schema:
        strict["items"] = _strict(schema["items"])
    if schema.get("nullable"):
        strict["type"] = [schema["type"], "null"]
    return strict


def _rules(schema: dict[str, Any], value: Any, path: str) -> Any:
    for rule in schema.get("x-kubernetes-validations", ()):
        if "oldSelf" not in rule["rule"] and not _holds(rule["rule"], value):
            yield f"{path}: {rule['message']}"
    if isinstance(value, dict):
        for key, inner in value.items():
            inner_schema = schema.get("properties", {}).get(key)
            further = schema.get("additionalProperties")
            if inner_schema is None and isinstance(further, dict):
                inner_schema = further
            if inner_schema is not None:
                yield from _rules(inner_schema, inner, f"{path}.{key}")
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            yield from _rules(schema.get("items", {}), inner, f"{path}.{at}")


@cache
def _program(rule: str) -> Any:
    environment = celpy.Environment()
    functions = {"find": _find, "split": _split}
    return environment.program(environment.compile(rule), functions=functions)


def _holds(rule: str, value: Any) -> bool:
    return bool(_program(rule).evaluate({"self": celpy.json_to_cel(value)}))


def _find(text: str, pattern: str) -> celpy.celtypes.StringType:
    found = re.search(str(pattern), str(text))
    return celpy.celtypes.StringType(found.group() if found else "")


def _split(text: str, separator: str) -> celpy.celtypes.ListType:
    parts = str(text).split(str(separator))
    return celpy.celtypes.ListType([celpy.celtypes.StringType(part) for part in parts])
