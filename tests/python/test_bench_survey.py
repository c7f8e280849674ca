"""The bench's group of surveys: a quick run of the plan."""

from __future__ import annotations

import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tools.bench import survey as bench  # noqa: E402
from tools.bench.rounds import Run  # noqa: E402


def test_quick_run_of_the_plan() -> None:
    (row,) = bench.rows(Run(quick=True, seed=1, end=time.monotonic() + 60))
    assert (row.unit, row.verdict) == ("s", "-")
    assert row.median is not None
    assert row.median > 0
    assert "not named" not in row.note
