"""Everything that the README and examples/ show runs as it stands there."""

from __future__ import annotations

import os
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
QUICKSTART = ROOT / "examples" / "quickstart.py"
README = (ROOT / "README.md").read_text()
#: What an index of packages shows.
INDEX_README = (ROOT / "efa-py/README.md").read_text()


def python_blocks(text: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


#: The first block, the quickstart and `plan_to_survey` have tests that look closer.
FIRST, *BLOCKS = python_blocks(README)
PLAN_TO_SURVEY = ROOT / "examples" / "plan_to_survey.py"
EXAMPLES = sorted({*(ROOT / "examples").glob("*.py")} - {QUICKSTART, PLAN_TO_SURVEY})
DOCS = sorted(path for path in (ROOT / "docs").rglob("*.md") if python_blocks(path.read_text()))


def run(*arguments: str) -> str:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
    done = subprocess.run(
        [sys.executable, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_example(path: pathlib.Path) -> None:
    assert run(str(path)).strip()


def test_the_quickstart_does_the_whole_job() -> None:
    printed = run(str(QUICKSTART))
    for line in (
        "m8g.24xlarge",  # the catalog query of the community's recipe
        "p5.48xlarge save-ips: 33 interfaces, 32 EFA, 1 IP",
        "+ placement group  efa-sdk-train (cluster)",
        "2 instances, 66 interfaces",
        "as planned",
        "removed 4 resources",
        "measuring tcp",
        "measuring shm",
        "1 MiB",
    ):
        assert line in printed


def test_the_readme_has_blocks() -> None:
    assert len([FIRST, *BLOCKS]) >= 3


@pytest.mark.parametrize("block", BLOCKS, ids=range(1, len(BLOCKS) + 1))
def test_readme_block(block: str) -> None:
    assert run("-c", block).strip()


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.name)
def test_docs_blocks(path: pathlib.Path) -> None:
    for block in python_blocks(path.read_text()):
        run("-c", block)


def test_the_readme_opens_with_ten_lines_that_print_a_plan() -> None:
    assert len(FIRST.strip().splitlines()) <= 10
    assert "+ 2 x p5.48xlarge, all or nothing" in run("-c", FIRST)


def test_the_readme_for_an_index_stands_alone() -> None:
    assert "](" not in INDEX_README, "an index has no other page of the docs, and no picture"
    assert "<" not in INDEX_README, "no HTML, which indexes leave out"
    (block,) = python_blocks(INDEX_README)
    assert "33 interfaces, 32 EFA, 1 IP" in run("-c", block)


def test_the_readme_links_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
