"""The bench of a survey's driver: a quick run, and that the tables land where they belong."""

from __future__ import annotations

import pathlib
import subprocess
import sys

TOOL = pathlib.Path(__file__).resolve().parents[2] / "tools" / "bench_survey.py"


def test_quick_run_of_the_plan(tmp_path: pathlib.Path) -> None:
    document = tmp_path / "tables.md"
    document.write_text(
        "# Head\n\n<!-- tables: make bench-survey -->\nold\n<!-- end of tables -->\nend\n"
    )
    command = [sys.executable, str(TOOL), "--quick", "--only", "plan", "--write"]
    done = subprocess.run(
        [*command, "--document", str(document)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    text = document.read_text()
    assert text.startswith("# Head\n\n<!-- tables")
    assert text.endswith("<!-- end of tables -->\nend\n")
    assert "old" not in text
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| 16 ")]
    assert [row[1] for row in rows] == ["full", "sampled"]
    assert all(row[-1] == "yes |" for row in rows), text
    rounds, observations, messages = (int(value) for value in rows[0][2:5])
    assert rounds >= 15
    assert 4 * observations == messages >= 4 * 16 * 15 // 2
