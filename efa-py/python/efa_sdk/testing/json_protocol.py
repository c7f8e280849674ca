"""AWS's JSON 1.1 protocol, of SSM and Service Quotas."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from typing import Any

from .call import Call, Handler, Reply

_HEADERS = (("Content-Type", "application/x-amz-json-1.1"),)


def json_body(environ: Mapping[str, Any], body: bytes) -> dict[str, Any]:
    """The body of a JSON service's request; empty for the others."""
    if environ.get("HTTP_X_AMZ_TARGET") is None:
        return {}
    try:
        parsed = json.loads(body or b"{}")
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


def json_reply(handler: Handler, call: Call) -> Reply:
    """A handler's answer, times as seconds since 1970."""
    answer = handler(call)
    if isinstance(answer, Reply):
        return answer
    return Reply(200, _HEADERS, json.dumps(answer, default=_plain).encode())


def json_error(status: int, code: str, message: str) -> Reply:
    """An error."""
    return Reply(status, _HEADERS, json.dumps({"__type": code, "message": message}).encode())


def _plain(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        return value.timestamp()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"no JSON for {value!r}")
