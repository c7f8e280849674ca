"""EC2's Query protocol: form parameters in, XML out, both driven by botocore's service model."""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any
from xml.sax.saxutils import escape

import botocore.session  # type: ignore[import-untyped]
from botocore.model import (  # type: ignore[import-untyped]
    ListShape,
    OperationModel,
    ServiceModel,
    Shape,
    StructureShape,
)

NAMESPACE = "http://ec2.amazonaws.com/doc/2016-11-15/"

Tree = dict[str, Any]


class UnknownParameters(Exception):
    """Form parameters that the operation does not have."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(", ".join(names))
        self.names = list(names)


class MalformedParameter(Exception):
    """A form parameter whose text does not fit its type."""

    def __init__(self, name: str, value: str) -> None:
        super().__init__(f"{name}={value}")
        self.name = name
        self.value = value


@cache
def ec2_model() -> ServiceModel:
    """botocore's model of EC2, read once (about 0.1 s)."""
    return botocore.session.Session().get_service_model("ec2")


@cache
def operations() -> frozenset[str]:
    """Every action name that EC2 knows."""
    return frozenset(ec2_model().operation_names)


def operation(action: str) -> OperationModel:
    """The model of one action; `KeyError`-free callers check `operations()` first."""
    return ec2_model().operation_model(action)


def parse(action: str, form: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Form parameters as the API's own structure, spelled as boto3 spells it."""
    tree: Tree = {}
    for name, value in form:
        if name in ("Action", "Version"):
            continue
        node = tree
        *parents, leaf = name.split(".")
        for part in parents:
            child = node.setdefault(part, {})
            if not isinstance(child, dict):
                raise UnknownParameters([name])
            node = child
        node[leaf] = value
    shape = operation(action).input_shape
    if shape is None:
        if tree:
            raise UnknownParameters(sorted(tree))
        return {}
    parsed: dict[str, Any] = _structure(shape, tree, "")
    return parsed


def _structure(shape: StructureShape, tree: Tree, path: str) -> dict[str, Any]:
    by_wire = {_query_name(name, member): name for name, member in shape.members.items()}
    unknown = [f"{path}{name}" for name in tree if name not in by_wire]
    if unknown:
        raise UnknownParameters(unknown)
    return {
        by_wire[name]: _value(shape.members[by_wire[name]], node, f"{path}{name}")
        for name, node in tree.items()
    }


def _query_name(name: str, member: Shape) -> str:
    queried = member.serialization.get("queryName")
    if queried:
        return str(queried)
    located = str(member.serialization.get("name", name))
    return located[0].upper() + located[1:]


def _value(shape: Shape, node: Any, path: str) -> Any:
    if isinstance(shape, StructureShape):
        if not isinstance(node, dict):
            raise MalformedParameter(path, str(node))
        return _structure(shape, node, f"{path}.")
    if isinstance(shape, ListShape):
        if not isinstance(node, dict):
            raise MalformedParameter(path, str(node))
        try:
            keys = sorted(node, key=int)
        except ValueError:
            raise UnknownParameters([f"{path}.{key}" for key in node]) from None
        return [_value(shape.member, node[key], f"{path}.{key}") for key in keys]
    if isinstance(node, dict):
        raise UnknownParameters([f"{path}.{key}" for key in node])
    return _scalar(shape.type_name, node, path)


def _scalar(type_name: str, text: str, path: str) -> Any:
    try:
        if type_name in ("integer", "long"):
            return int(text)
        if type_name in ("float", "double"):
            return float(text)
    except ValueError:
        raise MalformedParameter(path, text) from None
    if type_name == "boolean":
        if text.lower() not in ("true", "false"):
            raise MalformedParameter(path, text)
        return text.lower() == "true"
    return text


def render(
    action: str, answer: Mapping[str, Any], request_id: str, *, newer: bool = False
) -> bytes:
    """An answer as EC2's XML.

    Keys that the output shape lacks are a mistake and raise, unless the data may be `newer` than
    botocore's model: then they are written by EC2's own naming convention.
    """
    shape = operation(action).output_shape
    parts = [
        '<?xml version="1.0" encoding="UTF-8"?>\n',
        f'<{action}Response xmlns="{NAMESPACE}"><requestId>{request_id}</requestId>',
    ]
    if shape is None:
        parts.append("<return>true</return>")
    else:
        _write_structure(shape, answer, parts, newer)
    parts.append(f"</{action}Response>")
    return "".join(parts).encode()


def render_error(code: str, message: str, request_id: str) -> bytes:
    """An error as EC2's XML."""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Response><Errors><Error><Code>{escape(code)}</Code>"
        f"<Message>{escape(message)}</Message></Error></Errors>"
        f"<RequestID>{request_id}</RequestID></Response>"
    ).encode()


def render_query_error(code: str, message: str, request_id: str) -> bytes:
    """An error as the XML of IAM, STS and the other Query services."""
    return (
        "<ErrorResponse><Error><Type>Sender</Type>"
        f"<Code>{escape(code)}</Code><Message>{escape(message)}</Message></Error>"
        f"<RequestId>{request_id}</RequestId></ErrorResponse>"
    ).encode()


def _write_structure(
    shape: StructureShape, value: Mapping[str, Any], parts: list[str], newer: bool
) -> None:
    for name, item in value.items():
        if item is None:
            continue
        if newer and name not in shape.members:
            _write_unknown(name, item, parts)
            continue
        member = shape.members[name]
        tag = str(member.serialization.get("name", name))
        parts.append(f"<{tag}>")
        _write(member, item, parts, newer)
        parts.append(f"</{tag}>")


def _write(shape: Shape, value: Any, parts: list[str], newer: bool) -> None:
    if isinstance(shape, StructureShape):
        _write_structure(shape, value, parts, newer)
    elif isinstance(shape, ListShape):
        tag = str(shape.member.serialization.get("name", "item"))
        for item in value:
            parts.append(f"<{tag}>")
            _write(shape.member, item, parts, newer)
            parts.append(f"</{tag}>")
    else:
        parts.append(_text(value))


def _write_unknown(name: str, value: Any, parts: list[str]) -> None:
    tag = name[0].lower() + name[1:]
    parts.append(f"<{tag}>")
    if isinstance(value, Mapping):
        for key, item in value.items():
            _write_unknown(key, item, parts)
    elif isinstance(value, list):
        for item in value:
            _write_unknown("item", item, parts)
    else:
        parts.append(_text(value))
    parts.append(f"</{tag}>")


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dt.datetime):
        if value.tzinfo is not None:  # moto's times are UTC without stating so
            value = value.astimezone(dt.timezone.utc)
        return f"{value:%Y-%m-%dT%H:%M:%S}.000Z"
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return str(escape(str(value)))
