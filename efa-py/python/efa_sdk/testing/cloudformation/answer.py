"""Answers as the XML of the Query protocol."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import escape

_NAMESPACE = "http://cloudformation.amazonaws.com/doc/2010-05-15/"


def render(action: str, answer: Mapping[str, Any] | None, request_id: str) -> bytes:
    """The answer of an action; one without a result has none of the wrapper either."""
    result = "" if answer is None else f"<{action}Result>{_members(answer)}</{action}Result>"
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<{action}Response xmlns="{_NAMESPACE}">{result}'
        f"<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata>"
        f"</{action}Response>"
    ).encode()


def _members(answer: Mapping[str, Any]) -> str:
    return "".join(
        f"<{name}>{_text(value)}</{name}>" for name, value in answer.items() if value is not None
    )


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return _members(value)
    if isinstance(value, list):
        return "".join(f"<member>{_text(one)}</member>" for one in value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dt.datetime):
        return f"{value:%Y-%m-%dT%H:%M:%S}.{value.microsecond // 1000:03d}Z"
    return escape(str(value))
