"""The types that ship: consumer snippets, right and wrong, and the stub against the module."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support import DEADLINE_S

#: One worker, so that mypy runs once.
pytestmark = pytest.mark.xdist_group("typing")

SNIPPETS = Path(__file__).parent / "typing"
RIGHT = sorted(path.name for path in SNIPPETS.glob("right_*.py"))
WRONG = sorted(path.name for path in SNIPPETS.glob("wrong_*.py"))

Found = dict[str, dict[int, set[str]]]


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environ = {k: v for k, v in os.environ.items() if k != "MYPYPATH"}
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=cwd,
        env=environ,
        capture_output=True,
        text=True,
        timeout=5 * DEADLINE_S,
        check=False,
    )


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Found:
    """mypy's errors by file and line: one run for all, as a consumer's project would."""
    work = tmp_path_factory.mktemp("consumer")
    (work / "mypy.ini").write_text("[mypy]\nstrict = True\nshow_error_codes = True\n")
    names = [*RIGHT, *WRONG]
    done = run(
        "mypy",
        "--cache-dir",
        str(work / "cache"),
        "--config-file",
        str(work / "mypy.ini"),
        *(str(SNIPPETS / name) for name in names),
        cwd=work,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    errors: Found = {name: {} for name in names}
    for line in done.stdout.splitlines():
        match = re.match(r"(.+?):(\d+): error: .*\[([a-z0-9-]+)\]$", line)
        if match:
            path, number, code = match.groups()
            assert Path(path).name in errors, line
            errors[Path(path).name].setdefault(int(number), set()).add(code)
    return errors


@pytest.fixture(scope="module")
def found_by_pyright(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[int]]:
    """The lines with errors by file, as pyright sees them in its strictest mode."""
    work = tmp_path_factory.mktemp("pyright")
    settings = {"include": [str(SNIPPETS)], "typeCheckingMode": "strict"}
    (work / "settings.json").write_text(json.dumps(settings))
    chosen = ("--outputjson", "-p", str(work / "settings.json"), "--pythonpath", sys.executable)
    done = run("basedpyright", *chosen, cwd=work)
    lines: dict[str, set[int]] = {name: set() for name in [*RIGHT, *WRONG]}
    for one in json.loads(done.stdout)["generalDiagnostics"]:
        if one["severity"] == "error":
            lines[Path(one["file"]).name].add(one["range"]["start"]["line"] + 1)
    return lines


def expected(name: str) -> dict[int, set[str]]:
    """The codes that a line's `# E:` comment names."""
    marked = {}
    for number, line in enumerate((SNIPPETS / name).read_text().splitlines(), 1):
        _, mark, codes = line.partition("# E: ")
        if mark:
            marked[number] = set(codes.split())
    return marked


def test_there_are_snippets_of_both_kinds() -> None:
    assert len(RIGHT) >= 2
    assert len(WRONG) >= 2


@pytest.mark.parametrize("name", RIGHT)
def test_right(found: Found, name: str) -> None:
    assert found[name] == {}


@pytest.mark.parametrize("name", WRONG)
def test_wrong(found: Found, name: str) -> None:
    marked = expected(name)
    assert len(marked) >= 5
    assert set(found[name]) == set(marked), "exactly the marked lines"
    for number, codes in marked.items():
        assert found[name][number] & codes, f"line {number}: {found[name][number]}, not {codes}"


def test_pyright_finds_the_same_lines(found_by_pyright: dict[str, set[int]]) -> None:
    assert found_by_pyright == {name: set(expected(name)) for name in [*RIGHT, *WRONG]}


@pytest.mark.parametrize("name", RIGHT)
def test_right_snippets_import(name: str) -> None:
    done = run(f"{name.removesuffix('.py')}", cwd=SNIPPETS)
    assert done.returncode == 0, done.stderr


def test_the_package_is_marked_as_typed() -> None:
    import efa_sdk

    package = Path(efa_sdk.__file__).parent
    assert (package / "py.typed").exists()
    assert (package / "_efa_sdk.pyi").exists()
