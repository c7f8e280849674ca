"""Every public function that is written in Python refuses an argument of another type by name."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import pickle
from collections.abc import Callable, Iterator
from types import FunctionType
from typing import Any

import pytest
from efa_sdk import acceptance, aio, errors, fabric, nccl, torch
from efa_sdk.arguments import typed
from efa_sdk.testing import SoftEfa, StandIn

pytestmark = pytest.mark.unit

MODULES = (
    *("acceptance", "aio", "aio.acceptance", "aio.fabric", "aio.survey", "errors", "fabric"),
    *("fabric_log", "handoff", "lifetime", "nccl", "progress", "ray", "rows", "survey", "testing"),
    "torch",
)
#: What the package gives and takes back, and protocols that others fill.
GIVEN = (
    "AcceptanceSummary",
    "Exchange",
    "Fault",
    "LoggedRequest",
    "Network",
    "Rule",
    "Store",
    "Rows",
    "Table",
)
ANYTHING = ("Any", "object")


def is_exception(found: object) -> bool:
    return isinstance(found, type) and issubclass(found, BaseException)


def functions() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Name and function, or method of a class, bound to an object where it needs one."""
    for module_name in MODULES:
        module = importlib.import_module(f"efa_sdk.{module_name}")
        for name in module.__all__:
            found = getattr(module, name)
            if name in GIVEN or not isinstance(found, (FunctionType, type)):
                continue
            if found.__module__ == "efa_sdk._efa_sdk" or is_exception(found):
                continue
            if isinstance(found, type) or inspect.signature(found).parameters:
                yield f"{module_name}.{name}", found
    yield "AcceptanceSummary.from_json", acceptance.AcceptanceSummary.from_json
    host = SoftEfa()
    for name in ("command", "counters", "fault", "faults", "faulty", "heal", "of_instance"):
        yield f"SoftEfa.{name}", getattr(host, name)
    stand_in = StandIn()
    for name in ("client", "default_network", "advance", "set_capacity", "set_quota", "share"):
        yield f"StandIn.{name}", getattr(stand_in, name)
    client = aio.Client(region="us-east-1")
    for name, method in inspect.getmembers(client, inspect.ismethod):
        if not name.startswith("_") and inspect.signature(method).parameters:
            yield f"aio.Client.{name}", method


FUNCTIONS = dict(functions())
#: Every argument goes on to the compiled module, whose own tests are in test_arguments.py.
PASSED_ON = {key for key in FUNCTIONS if key.startswith("aio.")} - {
    "aio.acceptance.accept",
    "aio.fabric.serve_one",
}


async def call(function: Callable[..., Any], arguments: dict[str, Any]) -> None:
    result = function(**arguments)
    if inspect.isawaitable(result):
        await result


def refusal(function: Callable[..., Any], **arguments: Any) -> errors.ArgumentTypeError:
    with pytest.raises(errors.ArgumentTypeError) as caught:
        asyncio.run(call(function, arguments))
    return caught.value


def test_most_functions_are_tried() -> None:
    assert len(FUNCTIONS) > 60, sorted(FUNCTIONS)
    assert {"nccl.read_log", "ray.survey", "torch.accept", "testing.StandIn"} <= set(FUNCTIONS)


@pytest.mark.parametrize("key", sorted(set(FUNCTIONS) - PASSED_ON))
def test_an_object_of_another_type_is_refused_by_name(key: str) -> None:
    function = FUNCTIONS[key]
    tried = 0
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.annotation in ANYTHING or str(parameter.annotation).startswith("choices."):
            continue
        name = "rate" if parameter.kind is parameter.VAR_KEYWORD else name
        error = refusal(function, **{name: object()})
        assert isinstance(error, TypeError)
        assert error.code == "argument.wrong_type"
        assert error.context["argument"] == name
        assert str(error).startswith(f"{name} is <object object"), error
        assert error.context["limit"].startswith("must be "), error
        assert str(pickle.loads(pickle.dumps(error))) == str(error)
        tried += 1
    assert tried


@pytest.mark.parametrize("key", sorted(PASSED_ON))
def test_what_is_passed_on_is_refused_by_name(key: str) -> None:
    function = FUNCTIONS[key]
    parameters = inspect.signature(function).parameters
    error = refusal(function, **{name: object() for name in parameters})
    assert error.context["argument"] in parameters


@pytest.mark.parametrize(
    ("refused", "said"),
    [
        (
            lambda: nccl.read_log(5),
            "log is 5 (int), and must be a str, bytes, a bytearray,",
        ),
        (lambda: nccl.read_log([5]), "log is [5] (list), and must be"),
        (lambda: nccl.advise_environment({"a": 1}), "environment is {'a': 1} (dict), and must be"),
        (
            lambda: SoftEfa(devices="4"),
            "devices is '4' (str), and must be an int, a list",
        ),
        (lambda: SoftEfa(address=None), "address is None, and must be a str or a list of str"),
        (lambda: SoftEfa(namespace=1), "namespace is 1 (int), and must be a bool"),
        (lambda: StandIn(port="80"), "port is '80' (str), and must be an int"),
        (lambda: torch.StoreExchange({}), "store is {} (dict), and must be a Store"),
    ],
)
def test_the_message_has_argument_value_and_what_is_taken(
    refused: Callable[[], object], said: str
) -> None:
    with pytest.raises(errors.ArgumentTypeError) as caught:
        refused()
    assert str(caught.value).startswith(said)


def test_what_fits_is_taken_and_other_mistakes_stay_pythons() -> None:
    @typed
    def take(a: float, *, b: list[str] | None = None, c: fabric.Exchange | None = None) -> object:
        return a, b, c

    class Folder:
        def put(self, key: str, value: bytes) -> None: ...
        def take(self, key: str) -> None: ...

    folder = Folder()
    assert take(1, b=("x",), c=folder) == (1, ("x",), folder)  # type: ignore[arg-type]
    assert inspect.signature(take).parameters["b"].kind is inspect.Parameter.KEYWORD_ONLY
    for wrong in (lambda: take(), lambda: take(1, d=2), lambda: take(1, 2)):
        with pytest.raises(TypeError) as caught:
            wrong()
        assert not isinstance(caught.value, errors.EfaError)
