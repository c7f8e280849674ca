"""Words that our texts avoid, and what they have instead: documents, doc comments, docstrings."""

from __future__ import annotations

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


def texts() -> Iterator[tuple[Path, str]]:
    for path in (*HERE.glob("*.md"), *HERE.glob("docs/**/*.md")):
        yield path, QUOTED.sub(blank, path.read_text())
    for crate in ("efa-core", "efa-fabric", "efa-py", "efa-soft"):
        for path in (HERE / crate / "src").rglob("*.rs"):
            lines = path.read_text().splitlines()
            comments = "\n".join(line if line.lstrip().startswith("//") else "" for line in lines)
            yield path, QUOTED.sub(blank, comments)
    for path in (HERE / "efa-py/python/efa_sdk").glob("*.pyi"):
        yield path, QUOTED.sub(blank, path.read_text().replace('"""', ""))


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
