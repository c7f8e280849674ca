"""What a survey on Ray reports when efa_sdk is not the same on every node: no Ray is needed."""

from __future__ import annotations

import asyncio
import math
from types import SimpleNamespace
from typing import Any

import pytest
from efa_sdk import __version__
from efa_sdk import ray as efa_ray
from efa_sdk._ray_node import _Node
from efa_sdk._ray_start import why_late
from efa_sdk.errors import ArgumentValueError, BindingError, NotSurveyedError

pytestmark = pytest.mark.unit


class RayError(Exception):
    """Ray's base."""


class RayTaskError(RayError):
    """What an actor's method raised."""


class _Ray:
    """Actors by number: what `get` of their greeting gives or raises."""

    exceptions = SimpleNamespace(RayError=RayError, RayTaskError=RayTaskError)

    def __init__(self, answers: list[object]) -> None:
        self._answers = answers

    def wait(
        self, refs: list[int], num_returns: int, timeout: float
    ) -> tuple[list[int], list[int]]:
        return refs, []

    def get(self, ref: int) -> object:
        answer = self._answers[ref]
        if isinstance(answer, Exception):
            raise answer
        return answer


def greet(answers: list[object]) -> tuple[dict[int, Any], dict[int, tuple[str, str]]]:
    def actor(number: int) -> Any:
        return SimpleNamespace(hello=SimpleNamespace(remote=lambda inspect: number))

    actors = [actor(number) for number in range(len(answers))]
    names = [f"ip-10-0-0-{number}" for number in range(len(answers))]
    return efa_ray._greet(_Ray(answers), actors, names, None, float("inf"))


def said(version: str = __version__) -> Any:
    return efa_ray._Greeting(frozenset({"tcp"}), [], None, version)


MISSING = """The actor died because of an error raised in its creation task, ray::_Node.__init__()
  File "cloudpickle.py", line 649, in subimport
    __import__(name)
ModuleNotFoundError: No module named 'efa_sdk'"""
OLDER = """The actor with name _Node failed to import on the worker. Traceback:
ImportError: cannot import name 'aio' from 'efa_sdk' (/venv/efa_sdk/__init__.py)"""


@pytest.mark.parametrize("error", [RayError, RayTaskError])
def test_a_missing_package_is_said_with_its_nodes_and_cure(error: type[Exception]) -> None:
    with pytest.raises(BindingError) as raised:
        greet([said(), error(MISSING), error(MISSING)])
    assert raised.value.code == "python.missing_package"
    assert isinstance(raised.value, NotSurveyedError)
    text = str(raised.value)
    assert "efa_sdk cannot be used on 2 of 3 Ray nodes, and nothing was measured" in text
    assert "No module named 'efa_sdk' on ip-10-0-0-1, ip-10-0-0-2" in text
    assert "install efa_sdk" in text
    assert "ip-10-0-0-0" not in text
    assert raised.value.context["nodes"] == "ip-10-0-0-1 ip-10-0-0-2"


def test_another_version_is_said_apart_from_a_missing_one() -> None:
    with pytest.raises(BindingError) as raised:
        greet([RayError(OLDER), RayError(MISSING), said()])
    assert "cannot import name 'aio' from 'efa_sdk'" in str(raised.value)
    assert "(/venv/efa_sdk/__init__.py) on ip-10-0-0-0" in str(raised.value)
    assert "No module named 'efa_sdk' on ip-10-0-0-1" in str(raised.value)


def test_a_node_that_is_gone_is_no_set_up_error() -> None:
    gone = RayError("The actor died unexpectedly before finishing this task. Node was terminated.")
    hello = said()
    greetings, missing = greet([hello, gone])
    assert greetings == {0: hello}
    code, why = missing[1]
    assert code == "fabric.unreachable"
    assert "The actor died unexpectedly" in why


def test_a_node_with_another_version_takes_no_part() -> None:
    old = SimpleNamespace(providers=frozenset(), efa_rails=[], inspection=None)
    greetings, missing = greet([said(), said("0.0.9"), old])
    assert list(greetings) == [0]
    assert {code for code, _ in missing.values()} == {"fabric.version_mismatch"}
    assert f"efa_sdk is 0.0.9 there and {__version__} here" in missing[1][1]
    assert "an older version there" in missing[2][1]


def test_what_else_an_actor_raises_is_not_hidden() -> None:
    for text in ["ValueError: efa_sdk has a bug", "ModuleNotFoundError: No module named 'numpy'"]:
        with pytest.raises(RayTaskError):
            greet([RayTaskError(text)])


def test_many_nodes_are_counted() -> None:
    with pytest.raises(BindingError) as raised:
        greet([RayError(MISSING)] * 20)
    assert "ip-10-0-0-7 and 12 more" in str(raised.value)


@pytest.mark.parametrize(
    "wrong",
    [{"rails": 0}, {"rails": -1}, {"start_deadline_s": -1.0}, {"start_deadline_s": math.nan}],
)
def test_values_that_cannot_be_are_refused_by_name_before_anything_starts(
    wrong: dict[str, Any],
) -> None:
    with pytest.raises(ArgumentValueError) as caught:
        efa_ray.survey(**wrong)
    assert caught.value.context["argument"] == next(iter(wrong))


def test_addresses_of_no_node_are_no_survey_of_nothing() -> None:
    node = {"Alive": True, "NodeManagerAddress": "10.0.0.1", "NodeID": "a"}
    ray = SimpleNamespace(nodes=lambda: [node, {**node, "Alive": False, "NodeID": "b"}])
    assert efa_ray._alive(ray, ["10.0.0.1"]) == [node]
    with pytest.raises(ArgumentValueError, match=r"NodeManagerAddress of nodes in ray\.nodes"):
        efa_ray._alive(ray, ["10.9.9.9"])


def test_a_node_without_libfabric_states_that_in_its_greeting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("EFA_FABRIC_LIB", "/nonexistent")
    greeting = asyncio.run(_Node().hello(lambda: 1))
    assert (greeting.providers, greeting.inspection) == (frozenset(), "1")
    code, why = greeting.obstacle or ("", "")
    assert code == "fabric.library_not_found"
    assert "no libfabric at /nonexistent; install" in why


def test_an_actor_that_still_inspects_has_started() -> None:
    """The first is there, the second cannot be made, the third does not answer."""
    ray = _Ray([None, RayError("no CPU")])
    ray.wait = lambda refs, **_: ([ref for ref in refs if ref < 2], [])  # type: ignore
    actors: list[Any] = [
        SimpleNamespace(is_there=SimpleNamespace(remote=lambda number=number: number))
        for number in range(3)
    ]
    late = why_late(ray, actors, [0, 1, 2], 5.0)
    assert {code for code, _ in late.values()} == {"fabric.deadline"}
    assert [why.partition(";")[0] for _, why in late.values()] == [
        "its actor started, and `inspect` did not return within 5 s",
        "its actor did not start within 5 s",
        "its actor did not start within 5 s",
    ]
