"""Turning the stand-in's knobs over HTTP, for tests that are not written in Python.

`GET /efa-sdk/requests` lists what came in; every other knob is `POST /efa-sdk/<knob>` with a JSON
object, whose keys are the parameters of the method of the same name on `StandIn`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from .call import Reply

PREFIX = "/efa-sdk/"

Verb = Callable[..., Any]


class Controller:
    """Maps paths to methods."""

    def __init__(self, verbs: Mapping[str, Verb]) -> None:
        self._verbs = verbs

    def answer(self, environ: Mapping[str, Any], body: bytes) -> Reply:
        """Answers a control request with JSON."""
        verb = self._verbs.get(str(environ["PATH_INFO"])[len(PREFIX) :])
        if verb is None:
            return _json(404, {"error": f"known paths: {sorted(self._verbs)}"})
        try:
            options = json.loads(body or b"{}")
            return _json(200, verb(**options))
        except (TypeError, ValueError, LookupError) as error:
            return _json(400, {"error": str(error)})


def _json(status: int, value: Any) -> Reply:
    body = (json.dumps(value, default=str) + "\n").encode()
    return Reply(status, (("Content-Type", "application/json"),), body)
