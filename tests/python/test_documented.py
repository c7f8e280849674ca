"""Every parameter of every public callable is in its docstring, with the unit where it has one."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import efa_sdk as efa
import pytest
from efa_sdk import _efa_sdk, acceptance, fabric, progress, ray, rows, survey, torch
from efa_sdk import nccl as nccl

pytestmark = pytest.mark.unit

STUB = ast.parse(Path(_efa_sdk.__file__).with_name("_efa_sdk.pyi").read_text())
#: Ends of names of which the docstring must state more, and what it must state.
UNITS = {
    "_mib_s": "MiB/s",
    "_s": "second",
    "_gib": "GiB",
    "_mib": "MiB",
    "_gbps": "Gb",
    "_bytes": "bytes",
}
MODULES = (acceptance, fabric, progress, ray, rows, survey, torch)
#: What people start from has an example.
STARTS = (
    *("Catalog.find", "ClusterSpec.__new__", "InstanceType.layout", "Layout.to_svg"),
    *("Client.__new__", "ClusterSpec.replace"),
)


def compiled() -> Iterator[tuple[str, list[str], str]]:
    """Name, parameters and docstring of each callable; a class's are its constructor's."""
    for node in STUB.body:
        owner = node if isinstance(node, ast.ClassDef) else None
        for function in owner.body if owner else [node]:
            if not isinstance(function, ast.FunctionDef) or function.name.endswith("_async"):
                continue
            is_new = function.name == "__new__"
            if function.name.startswith("_") and not is_new:
                continue
            documented = owner if is_new and owner else function
            names = [a.arg for a in (*function.args.args, *function.args.kwonlyargs)]
            names += [a.arg for a in function.args.posonlyargs]
            name = f"{owner.name}.{function.name}" if owner else function.name
            said = ast.get_docstring(documented) or ""
            yield name, [n for n in names if n not in ("self", "cls")], said


COMPILED = {
    name: (parameters, said)
    for name, parameters, said in compiled()
    if not name.startswith("AsyncClient.")  # the verbs of aio.Client are written in Python
}


def written(module: ModuleType) -> Iterator[tuple[str, list[str], str]]:
    """The same of a module's functions in Python, and of the constructors of its classes."""
    for name in module.__all__:
        thing = getattr(module, name)
        if getattr(thing, "__module__", "") != module.__name__ or is_protocol(thing):
            continue
        said = inspect.getdoc(thing) or ""
        call = thing
        if inspect.isclass(thing):
            call = vars(thing).get("__init__") or vars(thing).get("__new__")
            said += inspect.getdoc(call) or "" if call else ""
        if not inspect.isfunction(call):
            continue
        parameters = [
            one.name
            for one in inspect.signature(call).parameters.values()
            if one.name not in ("self", "cls")
        ]
        yield f"{module.__name__}.{name}", parameters, said + of_others(said)


def of_others(said: str) -> str:
    """The docstrings that this one refers to for its settings."""
    reference = r"settings\s+are\s+those\s+of\s+``efa_sdk\.(\w+)\.(\w+)``"
    others = [
        inspect.getdoc(getattr(getattr(efa, module), name)) or ""
        for module, name in re.findall(reference, said, re.IGNORECASE)
    ]
    return "".join(other + of_others(other) for other in others)


def is_protocol(thing: object) -> bool:
    return bool(getattr(thing, "_is_protocol", False))


def missing(parameters: list[str], said: str) -> list[str]:
    """What of the parameters is not stated."""
    lacks = [name for name in parameters if not re.search(rf"\b{name}\b", said)]
    for name in parameters:
        unit = next((unit for end, unit in UNITS.items() if name.endswith(end)), None)
        if unit and unit not in said:
            lacks.append(f"the unit of {name}")
    return lacks


def test_the_compiled_callables_document_each_parameter() -> None:
    assert len(COMPILED) > 150
    lacking = {
        name: lacks
        for name, (parameters, said) in COMPILED.items()
        if (lacks := missing(parameters, said))
    }
    assert lacking == {}


def test_the_written_callables_document_each_parameter() -> None:
    found = [one for module in MODULES for one in written(module)]
    assert len(found) > 10
    lacking = {
        name: lacks for name, parameters, said in found if (lacks := missing(parameters, said))
    }
    assert lacking == {}


@pytest.mark.parametrize("name", STARTS)
def test_what_people_start_from_has_an_example(name: str) -> None:
    assert ">>> " in COMPILED[name][1]


def test_each_report_has_a_form_for_notebooks() -> None:
    reports = {
        one.__name__: hasattr(one, "_repr_html_")
        for module in (efa, *MODULES)
        for one in vars(module).values()
        if inspect.isclass(one)
        and re.search(r"(Report|Summary|Comparison|Advice|Log)$", one.__name__)
        and one is not nccl.NcclLog  # it reads a log
    }
    assert len(reports) > 12
    assert [name for name, shown in reports.items() if not shown] == []


def test_help_shows_each_parameter_of_a_specification() -> None:
    said = inspect.getdoc(efa.ClusterSpec) or ""
    parameters, _ = COMPILED["ClusterSpec.__new__"]
    assert len(parameters) > 35
    assert [name for name in parameters if name not in said] == []


def test_the_check_finds_what_is_missing() -> None:
    assert missing(["wait_s", "name"], "wait_s: how long") == ["name", "the unit of wait_s"]
    assert missing(["wait_s"], "wait_s: in seconds") == []
