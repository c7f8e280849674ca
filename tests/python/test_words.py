"""Words that our texts avoid, and what to write: documents, comments, docstrings, messages."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

HERE = Path(__file__).parents[2]
#: A pattern, and what to write instead. Data report, state or show; only people say.
INSTEAD = {
    r"so many": "this many",
    r"beside": "besides, in addition to",
    r"in vain": "without result",
    r"says|said|tells|told|heard": "reports, states, shows, received",
    r"a stranger|strangers": "an unknown client, another account",
    r"belongs? into": "belongs in",
    r"(is|are) warned of": "produces a warning",
    r"ends the process": "aborts the process",
    r"the begin of": "the start of",
    r"catalogues?": "catalog",
    r"forbids? to": "forbids opening",
    r"runs already": "is running",
    r"as far as its name": "judging by its name",
    r"of (ours|yours|theirs)": "the name of whose it is",
}
AVOIDED = {re.compile(rf"\b({words})\b"): instead for words, instead in INSTEAD.items()}
#: What a document quotes: code, and the texts of others.
QUOTED = re.compile(r"```.*?```|`[^`]*`|\"[^\"\n]*\"", re.DOTALL)
RUST_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
#: A variable in a message.
FILLED_IN = re.compile(r"\{\w*(:[^}]*)?\}")


def texts() -> Iterator[tuple[Path, str]]:
    for path in (*HERE.glob("*.md"), *HERE.glob("docs/**/*.md")):
        yield path, QUOTED.sub(blank, path.read_text())
    for crate in ("efa-core", "efa-fabric", "efa-py", "efa-soft"):
        for path in (HERE / crate / "src").rglob("*.rs"):
            lines = path.read_text().splitlines()
            comments = "\n".join(line if line.lstrip().startswith("//") else "" for line in lines)
            yield path, QUOTED.sub(blank, comments)
            if "test" not in path.name and "tests" not in path.parts:
                yield path, rust_messages(lines)
    for path in (HERE / "efa-py/python/efa_sdk").glob("*.pyi"):
        yield path, QUOTED.sub(blank, path.read_text().replace('"""', ""))
    for path in (HERE / "efa-py/python/efa_sdk").rglob("*.py"):
        yield path, python_strings(path.read_text())


def rust_messages(lines: list[str]) -> str:
    """The texts in quotation marks, those of unit tests and comments left out."""
    code = "\n".join("" if line.lstrip().startswith("//") else line for line in lines)
    found = RUST_STRING.findall(code.partition("#[cfg(test)]")[0])
    return FILLED_IN.sub("", "\n".join(found))


def python_strings(source: str) -> str:
    """The texts in quotation marks, docstrings included, at their lines."""
    lines = [""] * (source.count("\n") + 2)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            lines[node.lineno - 1] += " " + " ".join(node.value.split())
    return "\n".join(lines)


def blank(quoted: re.Match[str]) -> str:
    return "\n" * quoted[0].count("\n")


def found(text: str) -> list[tuple[int, str, str]]:
    """Line, words and what to write instead."""
    return [
        (text.count("\n", 0, at.start()) + 1, at[0], instead)
        for pattern, instead in AVOIDED.items()
        for at in pattern.finditer(text)
    ]


def test_no_text_has_a_word_that_is_avoided() -> None:
    seen = list(texts())
    assert len(seen) > 400
    lines = [
        f"{path.relative_to(HERE)}:{line}: {words!r}, instead: {instead}"
        for path, text in seen
        for line, words, instead in found(text)
    ]
    assert lines == []


def test_the_scan_finds_a_word_and_leaves_quotations_alone() -> None:
    assert found("a\nthe log says so") == [(2, "says", INSTEAD["says|said|tells|told|heard"])]
    assert found(QUOTED.sub(blank, "`says` and\n```text\nsaid\n```\n")) == []
    assert [line for line, *_ in found(python_strings('x = 1\nraise E("it says so")\n'))] == [2]
    rust = ["// it says so", 'f("{said} and", "so many");', "#[cfg(test)]", '"beside"']
    assert [words for _, words, _ in found(rust_messages(rust))] == ["so many"]
