"""tools/third_party_licenses.py: licence expressions, and which crates the wheel contains."""

from __future__ import annotations

import importlib.util
import pathlib
from typing import Any

import pytest

pytestmark = pytest.mark.unit

TOOL = pathlib.Path(__file__).parents[2] / "tools/third_party_licenses.py"
SPEC = importlib.util.spec_from_file_location("third_party_licenses", TOOL)
assert SPEC
assert SPEC.loader
licenses = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(licenses)

ALLOWED = {"MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception"}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("MIT", True),
        ("GPL-3.0-only", False),
        ("GPL-3.0-only OR MIT", True),
        ("MIT/Apache-2.0", True),
        ("GPL-3.0-only / MIT", True),
        ("MIT AND GPL-3.0-only", False),
        ("MIT AND (GPL-3.0-only OR Apache-2.0)", True),
        ("MIT OR GPL-3.0-only AND GPL-2.0-only", True),
        ("(MIT OR GPL-3.0-only) AND GPL-2.0-only", False),
        ("Apache-2.0 WITH LLVM-exception", True),
        ("MIT WITH LLVM-exception", False),
    ],
)
def test_expressions(expression: str, expected: bool) -> None:
    assert licenses.is_allowed(expression, ALLOWED) is expected


@pytest.mark.parametrize("expression", ["", "(MIT", "MIT OR", "MIT)", "AND MIT", "MIT MIT"])
def test_what_is_no_expression_is_an_error(expression: str) -> None:
    with pytest.raises(licenses.LicenseError, match="not a licence expression"):
        licenses.is_allowed(expression, ALLOWED)


def package(name: str, license: str | None, source: str | None = "crates.io") -> dict[str, Any]:
    kind = "proc-macro" if name.endswith("-macro") else "lib"
    return {
        "id": name,
        "name": name,
        "version": "1.0.0",
        "license": license,
        "source": source,
        "targets": [{"kind": [kind]}],
    }


def edge(name: str, kind: str | None) -> dict[str, Any]:
    return {"pkg": name, "dep_kinds": [{"kind": kind}]}


def test_the_wheel_contains_what_is_linked_and_nothing_else() -> None:
    edges = {
        "efa-py": [edge("a", None), edge("built", "build"), edge("tested", "dev")],
        "efa-soft": [edge("b", None)],
        "a": [edge("b", None), edge("c", None), edge("some-macro", None)],
        "some-macro": [edge("d", None)],
    }
    names = ["efa-py", "efa-soft", "a", "b", "c", "d", "built", "tested", "some-macro", "apart"]
    metadata = {
        "packages": [package(n, "MIT", None if n.startswith("efa") else "x") for n in names],
        "resolve": {"nodes": [{"id": n, "deps": edges.get(n, [])} for n in names]},
    }
    assert [found["name"] for found in licenses.shipped(metadata)] == ["a", "b", "c"]


def test_packages_without_an_allowed_licence_are_named() -> None:
    packages = [package("a", "MIT"), package("b", "GPL-3.0-only"), package("c", None)]
    assert licenses.refused(packages, ALLOWED) == ["b 1.0.0: GPL-3.0-only", "c 1.0.0: None"]


def test_a_crate_without_a_text_needs_a_rule(tmp_path: pathlib.Path) -> None:
    own = {"manifest_path": str(tmp_path / "Cargo.toml"), "repository": "https://example.com/a"}
    (text,) = licenses.texts({**package("a", "MIT"), **own})
    assert "Copyright (c) the authors of a, https://example.com/a" in text
    with pytest.raises(licenses.LicenseError, match=r"a 1.0.0 \(ISC\) has no licence text"):
        licenses.texts({**package("a", "ISC"), **own})
    (tmp_path / "LICENSE-ISC").write_text("permission")
    assert licenses.texts({**package("a", "ISC"), **own}) == ["permission"]
