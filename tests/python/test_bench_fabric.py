"""The bench against fi_pingpong: its arithmetic, and one quick round of the real thing."""

from __future__ import annotations

import importlib.util
import os
import pathlib
import shutil
import subprocess
import sys
from types import ModuleType
from typing import Any

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOL = ROOT / "tools" / "bench_fabric.py"


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bench_fabric", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["bench_fabric"] = module
    spec.loader.exec_module(module)
    return module


bench = load()
HEAD = "bytes   #sent   #ack     total       time     MB/sec    usec/xfer   Mxfers/sec\n"


@pytest.mark.parametrize(
    ("row", "size", "latency_us"),
    [
        ("64      1k      =1k      125k        0.06s      1.99      32.20       0.03", 64, 32.20),
        ("64      1k      =1k      125k        0.00s     73.23       0.87       1.14", 64, 0.87396),
        (
            "1m      10      =10      20m         0.01s   1851.00     566.49       0.00",
            1 << 20,
            566.5,
        ),
    ],
)
def test_the_number_with_more_digits_is_taken(row: str, size: int, latency_us: float) -> None:
    run = bench.pingpong_result(HEAD + row + "\n", size)
    assert run.latency_us == pytest.approx(latency_us, rel=1e-4)
    assert run.gb_per_s == pytest.approx(size / latency_us / 1000, rel=1e-4)


@pytest.mark.parametrize("output", ["", HEAD, "fi_getinfo: -61\n"])
def test_no_row_is_a_failed_run(output: str) -> None:
    with pytest.raises(bench.RunFailed):
        bench.pingpong_result(output, 64)


def point(c: list[float | None], rust: list[float | None], python: list[float | None]) -> Any:
    def runs(values: list[float | None]) -> list[object]:
        return [None if value is None else bench.Run(value, 1 / value) for value in values]

    all_runs = {bench.C: runs(c), bench.RUST: runs(rust), bench.PYTHON: runs(python)}
    return bench.Point("tcp", 64, 10, all_runs)


def test_ratios_are_of_rounds_and_failures_are_shown() -> None:
    # In each round 0.5, though the medians of all runs are 20 and 5.
    made = point([10, 20, 40], [5, 10, None], [5, None, None])
    assert made.ratio(bench.RUST, bench.C, "latency_us") == 0.5
    assert made.ratio(bench.PYTHON, bench.RUST, "latency_us") == 1.0
    text = bench.table([made])
    assert "10 / 20" in text
    assert text.rstrip().endswith("| Rust 1, Python 2 |")
    assert bench.missed([made]) == []


def test_what_misses_the_expectation_is_said() -> None:
    slow = point([10, 10, 10], [11, 9, 12], [11.5, 10, 11.9])
    assert bench.missed([slow]) == [
        "tcp 64 B: latency Rust / fi_pingpong is 1.100, above 1.0",
        "tcp 64 B: latency Python / fi_pingpong is 1.150, above 1.0",
        "tcp 64 B: latency Python / Rust is 1.045, above 1.02",
    ]
    nothing = point([None], [None], [None])
    assert len(bench.missed([nothing])) == 3
    assert "| - | - | - |" in bench.table([nothing])


def test_the_table_goes_between_the_markers(tmp_path: pathlib.Path) -> None:
    document = tmp_path / "bench.md"
    shutil.copy(bench.DOCUMENT, document)
    before, after = (
        document.read_text().split(mark)[i] for i, mark in enumerate((bench.BEGIN, bench.END))
    )
    for text in ("first", "second"):
        bench.write(text, document)
        assert document.read_text() == f"{before}{bench.BEGIN}\n{text}\n{bench.END}{after}"


@pytest.mark.alone
@pytest.mark.skipif(not shutil.which("fi_pingpong"), reason="fi_pingpong is not installed")
@pytest.mark.skipif(not shutil.which("cargo"), reason="no cargo to build fabric_probe with")
def test_a_quick_round(tmp_path: pathlib.Path) -> None:
    document = tmp_path / "bench.md"
    shutil.copy(bench.DOCUMENT, document)
    done = subprocess.run(
        [sys.executable, str(TOOL), "--quick", "--write", "--document", str(document)],
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows = [line for line in done.stdout.splitlines() if line.startswith(("| tcp", "| shm"))]
    assert len(rows) == 2
    for row in rows:
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        assert cells[1] == "64"
        assert "-" not in cells
        assert cells[-1] == "0"
    assert all(row in document.read_text() for row in rows)


def test_a_program_that_fails_is_counted_and_is_the_exit_status() -> None:
    done = subprocess.run(
        [sys.executable, str(TOOL), "--quick", "--only", "shm", "--probe", "/bin/false"],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
        env=dict(os.environ),
    )
    assert done.returncode == 1
    assert "Rust 1" in done.stdout
    assert "FAILED" in done.stderr
