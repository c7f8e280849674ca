"""Every parameter that the stub lists refuses a wrong argument by name."""

from __future__ import annotations

import ast
import math
import pickle
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import efa_sdk as efa
import pytest
from efa_sdk import _efa_sdk, choices, errors, fabric, nccl, survey

pytestmark = pytest.mark.unit

STUB = ast.parse(Path(_efa_sdk.__file__).with_name("_efa_sdk.pyi").read_text())
P5 = efa.Catalog.bundled()["p5.48xlarge"]
NODE = survey.SurveyNode("a")
#: A value of each class that a method is called on or a parameter takes.
VALUES: dict[str, Any] = {
    "Bootstrap": efa.Bootstrap(),
    "Catalog": efa.Catalog.bundled(),
    "Client": efa.Client(region="us-east-1"),
    "ClusterSpec": efa.ClusterSpec(
        name="t", instance_type="p5.48xlarge", count=2, image="al2023", subnet="s"
    ),
    "InstanceType": P5,
    "NcclAdvice": nccl.advise_environment({}),
    "NcclLog": nccl.NcclLog(),
    "Node": fabric.node("/nowhere"),
    "PairOptions": survey.PairOptions("tcp"),
    "SurveyNode": NODE,
    "SurveyOptions": survey.SurveyOptions(),
    "SurveyPlan": survey.SurveyPlan([NODE, survey.SurveyNode("b")], "tcp"),
    "SurveyReport": survey.SurveyPlan([NODE, survey.SurveyNode("b")], "tcp").report(),
}
#: Constructors that open and send nothing, whatever they are given.
QUIET = {
    *("Bootstrap", "Client", "ClusterSpec", "InstanceRole", "NcclLog", "NetworkInterface"),
    *("PairOptions", "ProbeOptions", "Rail", "SurveyOptions", "SurveyThresholds", "Volume"),
}
RIGHT: dict[str, Any] = {
    "bool": True,
    "bytes": b"",
    "datetime.timedelta": None,
    "dict[str, str]": {},
    "float": 1.0,
    "int": 1,
    "str": "x",
    "tuple[int, int]": (0, 1),
}
#: Wrong or extreme ones; those of another type than the annotation's are not always refused.
ODD: list[Any] = [None, -1, 0, 1.5, 2**31, 2**64, 2**70, "", "x", "\x00", b"x", [], [5], {}, True]
ODD += [math.nan, math.inf, -0.5, 1e300, object(), {"x": 1}, range(3), lambda: None]


def signatures() -> Iterator[tuple[str, str, dict[str, str], set[str]]]:
    """Class or '', name, annotations by parameter, and those that must be given."""
    for node in STUB.body:
        owner = node.name if isinstance(node, ast.ClassDef) else ""
        for function in node.body if isinstance(node, ast.ClassDef) else [node]:
            if not isinstance(function, ast.FunctionDef) or function.name.startswith("_fabric"):
                continue
            if function.name.startswith("__") and function.name != "__new__":
                continue
            arguments = function.args
            plain = [*arguments.posonlyargs, *arguments.args]
            optional = {a.arg for a in plain[len(plain) - len(arguments.defaults) :]}
            if not arguments.defaults:
                optional = set()
            for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
                if default is not None:
                    optional.add(argument.arg)
            annotations = {
                a.arg: a.annotation.value
                for a in [*plain, *arguments.kwonlyargs]
                if isinstance(a.annotation, ast.Constant)
            }
            if annotations:
                yield owner, function.name, annotations, set(annotations) - optional


CALLS = {
    f"{owner}.{name}": (owner, name, annotations, required)
    for owner, name, annotations, required in signatures()
    if owner not in {"AsyncClient"} and not name.endswith("_async")
}


def right(annotation: str) -> Any:
    """A value that an annotation allows; KeyError where there is none at hand."""
    first = annotation.split(" | ")[0]
    if first.startswith("Sequence["):
        return []
    if first.startswith("choices."):
        return typing.get_args(getattr(choices, first.removeprefix("choices.")))[0]
    return RIGHT[first] if first in RIGHT else VALUES[first]


def function(owner: str, name: str) -> Any:
    if not owner:
        return getattr(_efa_sdk, name)
    if name == "__new__":
        return getattr(_efa_sdk, owner)
    static = isinstance(vars(getattr(_efa_sdk, owner))[name], staticmethod)
    return getattr(getattr(_efa_sdk, owner) if static else VALUES[owner], name)


def callable_parts(key: str) -> tuple[Any, dict[str, Any], dict[str, str]]:
    owner, name, annotations, required = CALLS[key]
    if len(annotations) == 1:  # it is the one that is tried
        return function(owner, name), {}, annotations
    base = {parameter: right(annotations[parameter]) for parameter in required}
    return function(owner, name), base, annotations


def at_hand(key: str) -> bool:
    try:
        callable_parts(key)
    except KeyError:
        return False
    return True


HERE = sorted(key for key in CALLS if at_hand(key))


def test_most_parameters_are_tried() -> None:
    tried = sum(len(CALLS[key][2]) for key in HERE)
    assert tried > 230, tried
    assert {"ClusterSpec.__new__", "Client.apply", ".loopback", "Catalog.find"} <= set(HERE)


@pytest.mark.parametrize("key", HERE)
def test_an_object_of_another_type_is_refused_by_name(key: str) -> None:
    call, base, annotations = callable_parts(key)
    for parameter in annotations:
        with pytest.raises(errors.ArgumentTypeError) as caught:
            call(**{**base, parameter: object()})
        error = caught.value
        assert isinstance(error, TypeError)
        assert error.code == "argument.wrong_type"
        assert error.context["argument"] == parameter
        assert str(error).startswith(f"{parameter} is <object object")
        assert "must be" in error.context["limit"]
        assert str(pickle.loads(pickle.dumps(error))) == str(error)


@pytest.mark.parametrize("key", HERE)
def test_a_bare_text_is_no_list(key: str) -> None:
    call, base, annotations = callable_parts(key)
    for parameter, annotation in annotations.items():
        if not annotation.startswith("Sequence["):
            continue
        with pytest.raises(errors.ArgumentTypeError, match=f"^{parameter} is 'abc'.* a list of"):
            call(**{**base, parameter: "abc"})


@pytest.mark.parametrize("key", HERE)
def test_a_number_beyond_every_limit_is_refused_by_name(key: str) -> None:
    call, base, annotations = callable_parts(key)
    for parameter, annotation in annotations.items():
        if not annotation.startswith("int"):
            continue
        with pytest.raises(errors.ArgumentValueError) as caught:
            call(**{**base, parameter: 2**70})
        assert isinstance(caught.value, ValueError)
        assert str(caught.value).startswith(f"{parameter} is {2**70}, and must be from ")


def refusal(call: Any, arguments: dict[str, Any]) -> errors.EfaError | None:
    """How a call is refused; whatever else is raised fails the test."""
    try:
        call(**arguments)
    except errors.EfaError as error:
        return error
    return None


#: What no message may have.
RUST = ("Option", "Vec<", "u32", "i64", "extract", "::", "cannot be converted")


@pytest.mark.parametrize("name", sorted(QUIET))
def test_a_constructor_raises_nothing_but_our_errors(name: str) -> None:
    call, base, annotations = callable_parts(f"{name}.__new__")
    refused = [
        error
        for parameter in annotations
        for value in ODD
        if (error := refusal(call, {**base, parameter: value}))
    ]
    assert len(refused) > 10
    known = set(errors.codes())
    for error in refused:
        assert error.code in known
        assert not [word for word in RUST if word in str(error)], str(error)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: spec(volume_size_gib=-5), "volume_size_gib is -5, and must be from 1 to 65536"),
        (lambda: spec(count=2**70), f"count is {2**70}, and must be from 1 to 1000"),
        (lambda: spec(efa=-1), "efa is -1, and must be from 0 to 4294967295"),
        (lambda: spec(ssh_cidrs="10.0.0.0/8"), "write ['10.0.0.0/8']"),
        (lambda: VALUES["Client"].apply(VALUES["ClusterSpec"]), "Client.plan(spec) makes one"),
        (lambda: VALUES["Client"].destroy(VALUES["ClusterSpec"]), "give its name"),
        (lambda: fabric.ProbeOptions("tcp", wait="no"), "wait is 'no', and must be spin or adap"),
        (lambda: VALUES["Catalog"][5], "name is 5 (int), and must be a str"),
        (lambda: 5 in VALUES["Catalog"], "name is 5 (int), and must be a str"),
        (lambda: efa.Client(progress=5), "progress is 5 (int), and must be a callable or None"),
        (lambda: efa.Client(wait_timeout_s=-1), "wait_timeout_s is -1, and must be seconds"),
    ],
)
def test_the_message_has_argument_value_limit_and_cure(call: Any, said: str) -> None:
    with pytest.raises(errors.ArgumentError) as caught:
        call()
    assert said in str(caught.value)
    assert {"argument", "value", "limit"} <= set(caught.value.context)


def spec(**asked: Any) -> efa.ClusterSpec:
    base = {"name": "t", "instance_type": "p5.48xlarge", "count": 2, "image": "al2023"}
    return efa.ClusterSpec(**{**base, "subnet": "s", **asked})


WORDS = {
    name: typing.get_args(value)
    for name, value in vars(choices).items()
    if typing.get_origin(value) is typing.Literal
}


@pytest.mark.parametrize("key", HERE)
def test_every_word_of_a_choice_is_known(key: str) -> None:
    call, base, annotations = callable_parts(key)
    for parameter, annotation in annotations.items():
        name = annotation.split(" | ")[0].removeprefix("choices.")
        if not annotation.startswith("choices.") or name not in WORDS:
            continue
        for word in WORDS[name]:
            error = refusal(call, {**base, parameter: word})
            assert error is None or error.context.get("argument") != parameter, error
