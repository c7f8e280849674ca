"""Actors of a survey that start, or do not: what a node that cannot take part lacks."""

from __future__ import annotations

import time
from typing import Any

from efa_sdk._efa_sdk import VERSION as __version__
from efa_sdk.errors import NotSurveyedError

LOOK_AT_RAY = "see `ray list actors` and the worker's log"
#: Seconds between two checks for Ctrl-C while actors measure.
_SLICE_S = 0.2
#: Seconds within which an actor that has started reports so.
_THERE_S = 0.5


def as_they_come(ray: Any, waiting: list[Any], end: float) -> Any:
    """References as they are ready, until the time is over."""
    while waiting:
        left = end - time.monotonic()
        ready, waiting = ray.wait(
            waiting, num_returns=len(waiting), timeout=max(0.0, min(left, _SLICE_S))
        )
        yield from ready
        if left <= 0:
            return


def why_late(
    ray: Any, actors: list[Any], late: list[int], within_s: float
) -> dict[int, tuple[str, str]]:
    """Of nodes that did not report in time, by number: code and reason. An actor that answers has
    started, and still inspects its node."""
    looks = {actors[number].is_there.remote(): number for number in late}
    there = set()
    for ref in as_they_come(ray, list(looks), time.monotonic() + _THERE_S):
        try:
            ray.get(ref)
            there.add(looks[ref])
        except ray.exceptions.RayError:
            pass  # it has not started, and will not
    started = (
        f"its actor started, and `inspect` did not return within {within_s:g} s; give "
        "start_deadline_s more, or leave inspect out (None)"
    )
    absent = f"its actor did not start within {within_s:g} s; {LOOK_AT_RAY}"
    return {n: ("fabric.deadline", started if n in there else absent) for n in late}


def cause_of_import(text: str) -> str | None:
    """The line that states that efa_sdk, or part of it, cannot be imported, if one does."""
    for line in reversed(text.splitlines()):
        line = line.strip()
        kind, colon, said = line.partition(": ")
        is_import = kind in {"ModuleNotFoundError", "ImportError", "AttributeError"}
        if colon and is_import and "efa_sdk" in said:
            return line
    return None


def not_installed(unlike: dict[str, list[str]], nodes: int) -> NotSurveyedError:
    """A set-up error: nothing is reported of the nodes."""
    count = sum(len(names) for names in unlike.values())
    said = "; ".join(f"{cause} on {_some(names)}" for cause, names in unlike.items())
    return NotSurveyedError(
        "python.missing_package",
        f"efa_sdk cannot be used on {count} of {nodes} Ray nodes, and nothing was measured: {said}",
        f"install efa_sdk {__version__}, as here, on every node or in the job's runtime_env",
        {"package": "efa_sdk", "nodes": " ".join(name for n in unlike.values() for name in n)},
    )


def _some(names: list[str], most: int = 8) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
