"""The house as docs/decisions/2026-11-29-one-house.md draws it: no circle, no arrow upwards."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import tomllib
from house import (
    Arrows,
    arrows_of_rooms,
    circles,
    floors,
    functions,
    python_arrows,
    python_functions,
    room,
    rust_arrows,
    tie,
)

pytestmark = pytest.mark.unit

HERE = Path(__file__).parents[2]
NOTE = HERE / "docs/decisions/2026-11-29-one-house.md"
#: Of a function, its documentation and its tests not counted.
MOST_LINES = 90
CRATES = ["efa-soft", "efa-core", "efa-fabric", "efa-py"]


def drawn(crate: str) -> list[list[str]]:
    """The floors of a crate as the note draws them, lowest first."""
    section = NOTE.read_text().split(f"\n### {crate}\n")[1].split("\n#")[0]
    rows = re.findall(r"^\d+\. (.+)$", section, re.MULTILINE)
    return [re.findall(r"`(\w+)`", row) for row in rows]


def source(crate: str) -> Path:
    return HERE / crate / "src"


@pytest.mark.parametrize("crate", CRATES)
def test_no_circle_in_a_crate(crate: str) -> None:
    arrows = rust_arrows(source(crate))
    assert len(arrows) > 20, "the files were not found"
    found = circles(arrows)
    assert not found, "\n\n".join(tie(arrows, circle) for circle in found)


def test_no_circle_in_the_package() -> None:
    arrows = python_arrows(HERE / "efa-py/python/efa_sdk")
    assert len(arrows) > 100, "the files were not found"
    found = circles(arrows)
    assert not found, "\n\n".join(tie(arrows, circle) for circle in found)


@pytest.mark.parametrize("crate", CRATES)
def test_every_arrow_points_down_the_floors_of_the_note(crate: str) -> None:
    arrows = rust_arrows(source(crate))
    floor = {name: level for level, names in enumerate(drawn(crate)) for name in names}
    rooms = {room(file, source(crate)) for file in arrows} - {"lib"}
    assert rooms == set(floor), "the note's modules are not those of the crate"
    upwards = {
        f"{a} -> {b}: {file} -> {other}"
        for (a, b), (file, other) in arrows_of_rooms(arrows, source(crate)).items()
        if a != "lib" and (b == "lib" or floor[a] <= floor[b])
    }
    assert not upwards, f"the floors as the code has them: {floors(arrows, source(crate))}"


@pytest.mark.parametrize("crate", CRATES)
def test_no_function_of_a_crate_is_longer_than_a_screen(crate: str) -> None:
    lines = {f"{name} of {file}": n for file, name, n in functions(source(crate))}
    assert lines, "no function was found"
    assert not {name: n for name, n in lines.items() if n > MOST_LINES}


def test_no_function_of_the_package_is_longer_than_a_screen() -> None:
    package = HERE / "efa-py/python"
    lines = {f"{name} of {file}": n for file, name, n in python_functions(package)}
    assert lines, "no function was found"
    assert not {name: n for name, n in lines.items() if n > MOST_LINES}


def test_crates_depend_downwards_only() -> None:
    for level, crate in enumerate(CRATES):
        manifest = tomllib.loads((HERE / crate / "Cargo.toml").read_text())
        above = set(CRATES[level:])
        for kind in ("dependencies", "dev-dependencies", "build-dependencies"):
            assert not above & set(manifest.get(kind, {})), f"{crate} depends upwards"


CASES = {
    "an arrow each way": ({"a": "use crate::b::B;", "b": "use crate::a::A;"}, {"ab"}),
    "through a path in the code": ({"a": "fn f() { crate::b::g() }", "b": "use crate::a;"}, {"ab"}),
    "through a re-export": (
        {"lib": "mod a;\nmod b;\npub use b::B;", "a": "use crate::B;", "b": "use crate::a::A;"},
        {"ab"},
    ),
    "in a tree of names": (
        {"a": "use crate::{c::C, b::{B, Other as X}};", "b": "use super::a::A;", "c": ""},
        {"ab"},
    ),
    "only in tests": (
        {"a": "#[cfg(test)]\nmod t { use crate::b::B; }", "b": "use crate::a::A;"},
        set(),
    ),
    "only in a comment and a string": (
        {"a": '// use crate::b;\nconst A: &str = "crate::b::B";', "b": "use crate::a::A;"},
        set(),
    ),
    "behind a test": (
        {"a": "#[cfg(test)]\nuse crate::c::C;\nuse crate::b::B;", "b": "use crate::a::A;", "c": ""},
        {"ab"},
    ),
    "one way": ({"a": "use crate::b::B;", "b": ""}, set()),
}


@pytest.mark.parametrize("case", CASES)
def test_the_reader_finds_what_it_must(case: str, tmp_path: Path) -> None:
    files, expected = CASES[case]
    names = [name for name in files if name != "lib"]
    whole = {"lib": "\n".join(f"mod {name};" for name in names), **files}
    for name, text in whole.items():
        (tmp_path / f"{name}.rs").write_text(text)
    arrows = rust_arrows(tmp_path)
    assert {"".join(sorted(file.stem for file in c)) for c in circles(arrows)} == expected


def test_the_reader_finds_a_circle_of_parent_and_child(tmp_path: Path) -> None:
    (tmp_path / "lib.rs").write_text("mod a;")
    (tmp_path / "a.rs").write_text("mod b;\nuse b::B;\nstruct A;")
    (tmp_path / "a").mkdir()
    (tmp_path / "a/b.rs").write_text("use super::A;")
    arrows: Arrows = rust_arrows(tmp_path)
    assert [{file.name for file in circle} for circle in circles(arrows)] == [{"a.rs", "b.rs"}]


def test_the_reader_finds_a_circle_of_python_files(tmp_path: Path) -> None:
    package = tmp_path / "p"
    package.mkdir()
    (package / "__init__.py").write_text("from .a import A\n")
    (package / "a.py").write_text("def f():\n    from .b import B\n")
    (package / "b.py").write_text("if TYPE_CHECKING:\n    from . import A\n")
    found = circles(python_arrows(package))
    assert [{file.name for file in circle} for circle in found] == [{"a.py", "b.py"}]


def test_lines_of_functions_are_counted(tmp_path: Path) -> None:
    doc = "/// Says\n/// much."
    signature = "fn long<A, B>(a: [u8; 2], b: HashMap<A, B>) -> Result<A, B>\nwhere A: C, B: D"
    body = '{\n/* two\nlines }} */\nlet text = "}";\n}'
    short = "fn short() {}\ntrait T { fn none(&self); }"
    test = "#[cfg(test)]\nmod tests { fn other() {\n\n\n\n\n\n\n\n} }"
    (tmp_path / "lib.rs").write_text("\n".join((doc, f"{signature} {body}", short, test)))
    counted = [(name, lines) for _, name, lines in functions(tmp_path)]
    assert counted == [("long", 6), ("short", 1), ("none", 1)]
    (tmp_path / "a.py").write_text(
        'def long():\n    """Says\n\n    much.\n    """\n    def inner(): pass\n    return 1\n'
    )
    counted = [(name, lines) for _, name, lines in python_functions(tmp_path)]
    assert counted == [("long", 3), ("inner", 1)]
