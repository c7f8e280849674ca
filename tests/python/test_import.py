"""Importing efa_sdk: light, without libfabric, with the names and the version that it claims."""

from __future__ import annotations

import doctest
import importlib
import importlib.metadata
import json
import os
import subprocess
import sys

import efa_sdk
import pytest
from support import run_python

pytestmark = pytest.mark.unit

REPORT = """
import json, sys
import efa_sdk
from efa_sdk import aio, errors, fabric

mapped = sorted({line.split()[-1] for line in open("/proc/self/maps") if "/" in line})
print(json.dumps({"modules": sorted(sys.modules), "mapped": mapped}))
"""


@pytest.fixture(scope="module")
def report() -> dict[str, list[str]]:
    environ = {**os.environ, "EFA_FABRIC_LIB": "/nowhere/libfabric.so.1"}
    done = run_python(REPORT, env=environ)
    assert done.returncode == 0, done.stderr
    loaded: dict[str, list[str]] = json.loads(done.stdout)
    return loaded


def test_import_loads_the_compiled_module(report: dict[str, list[str]]) -> None:
    assert any("_efa_sdk" in path for path in report["mapped"])


@pytest.mark.parametrize("library", ["libfabric", "libefa", "libibverbs", "librdmacm"])
def test_import_loads_no_fabric_library(report: dict[str, list[str]], library: str) -> None:
    assert [path for path in report["mapped"] if library in path] == []


@pytest.mark.parametrize(
    "package", ["moto", "boto3", "botocore", "flask", "werkzeug", "numpy", "efa_sdk.testing"]
)
def test_import_loads_no_test_dependency(report: dict[str, list[str]], package: str) -> None:
    assert "efa_sdk" in report["modules"]
    assert [m for m in report["modules"] if m == package or m.startswith(package + ".")] == []


QUERY = """
import sys
bare = set(sys.modules)
import efa_sdk
if len(efa_sdk.Catalog.bundled().find(name="p5*.48xlarge")) < 3:
    raise SystemExit("the query found too little")
print(*sorted(set(sys.modules) - bare))
"""


def test_import_and_a_query_load_nothing_that_takes_longer_than_they_do() -> None:
    done = run_python(QUERY)
    assert done.returncode == 0, done.stderr
    light = {"__future__", "atexit", "types"}
    assert set(done.stdout.split()) <= light | {"efa_sdk", "efa_sdk._efa_sdk", "efa_sdk.rows"}


EACH_FIRST = """
import os, sys
for name in sys.argv[1:]:
    if os.fork() == 0:
        import efa_sdk
        value = getattr(efa_sdk, name)
        exec(f"from efa_sdk import {name} as again")
        os._exit(value is None or again is not value or name not in dir(efa_sdk))
    _, status = os.wait()
    if status:
        print(name)
"""


def test_each_public_name_can_be_the_first_that_is_asked_for() -> None:
    late = ["handoff", "nccl", "testing"]
    done = run_python(EACH_FIRST, *efa_sdk.__all__, *late)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_public_names_exist_and_are_listed_once() -> None:
    assert len(set(efa_sdk.__all__)) == len(efa_sdk.__all__)
    assert [name for name in efa_sdk.__all__ if not hasattr(efa_sdk, name)] == []
    assert {"Catalog", "Client", "ClusterSpec", "Layout", "Plan", "aio", "errors"} <= set(
        efa_sdk.__all__
    )


def test_no_public_name_is_left_out() -> None:
    import types

    public = {
        name
        for name, value in vars(efa_sdk).items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType)
    }
    assert public <= set(efa_sdk.__all__)


def test_version_is_the_one_that_is_installed() -> None:
    assert efa_sdk.__version__ == importlib.metadata.version("efa-sdk")


def test_fabric_imports_without_libfabric_and_is_part_of_the_package() -> None:
    assert importlib.import_module("efa_sdk.fabric") is efa_sdk.fabric


@pytest.mark.parametrize(
    ("module", "examples"),
    [
        ("efa_sdk", 3),
        ("efa_sdk.aio", 3),
        ("efa_sdk.errors", 0),
        ("efa_sdk.survey", 4),
        ("efa_sdk.aio.survey", 2),
        ("efa_sdk.ray", 2),
        ("efa_sdk.torch", 2),
    ],
)
def test_doctests(module: str, examples: int) -> None:
    failed, attempted = doctest.testmod(importlib.import_module(module))
    assert failed == 0
    assert attempted >= examples


@pytest.mark.parametrize("name", [n for n in efa_sdk.__all__ if n[0].isupper()])
def test_every_public_class_is_documented_and_named_from_the_package(name: str) -> None:
    thing = getattr(efa_sdk, name)
    assert (thing.__doc__ or "").strip(), f"{name} has no docstring"
    assert thing.__module__.startswith("efa_sdk")


def test_completion_knows_the_names_that_are_imported_late() -> None:
    later = {"fabric_log", "handoff", "nccl", "ray", "rows", "testing", "torch"}
    assert {"Client", *later} <= set(dir(efa_sdk))
    assert {"SoftEfa", "StandIn", "RULES"} <= set(dir(efa_sdk.testing))


@pytest.mark.parametrize(
    ("without", "asked", "extra"), [("moto", "efa_sdk.testing.StandIn", "testing")]
)
def test_a_missing_extra_is_one_error_with_the_command(
    without: str, asked: str, extra: str
) -> None:
    done = run_python(MISSING.format(without=without, asked=asked))
    assert done.returncode == 0, done.stderr
    code, is_import_error, package, said_extra, cure = json.loads(done.stdout)
    assert (code, is_import_error) == ("python.missing_package", True)
    assert (package, said_extra) == (without, extra)
    assert cure.startswith("pip install ")
    assert without in cure


MISSING = """
import json, sys
sys.modules["{without}"] = None  # what is not installed cannot be imported
import efa_sdk
from efa_sdk.errors import MissingExtraError
try:
    {asked}
except MissingExtraError as error:
    reported = [error.code, isinstance(error, ImportError)]
    print(json.dumps([*reported, error.context["package"], error.context["extra"], error.cure]))
"""


def test_testing_is_imported_when_it_is_asked_for() -> None:
    script = (
        "import sys, efa_sdk\n"
        "assert 'moto' not in sys.modules\n"
        "print(efa_sdk.testing.StandIn.__name__, 'moto' in sys.modules)\n"
        "try: efa_sdk.nothing\n"
        "except AttributeError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "StandIn True\nmodule 'efa_sdk' has no attribute 'nothing'\n"
