"""`make bench`: verdicts, tables, pictures, what a failing group leaves, a quick run of all."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from support import DEADLINE_S

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tools.bench import __main__ as bench  # noqa: E402
from tools.bench import elsewhere  # noqa: E402
from tools.bench.picture import svg  # noqa: E402
from tools.bench.rounds import Run, RunFailed, finish  # noqa: E402
from tools.bench.table import Row, markdown, number  # noqa: E402


def against(ours: list[float | None], theirs: list[float | None], goal: float = 1.0) -> Row:
    return Row("a", "ms", ours, goal, peers={"peer": theirs})


@pytest.mark.unit
@pytest.mark.parametrize(
    ("ours", "theirs", "verdict"),
    [
        ([9, 9, 9], [10, 10, 10], "met"),
        ([11, 11, 11], [10, 10, 10], "missed"),
        ([9, 9, 11], [10, 10, 10], "undecided"),
        # One of ten may differ, whatever the median shows of the rest.
        ([9] * 9 + [20], [10] * 10, "met"),
        ([11] * 9 + [9], [10] * 10, "missed"),
        ([9] * 8 + [20] * 2, [10] * 10, "undecided"),
        # Each round is compared with itself: here all are 0.9, and the medians show nothing.
        ([9, 90, 900], [10, 100, 1000], "met"),
        ([None, 9, 9, 9], [10, 10, 10, 10], "met"),
        ([None, 9, 9], [10, 10, 10], "undecided"),
        ([None, None], [10, 10], "not measured"),
        ([9, 9], [None, None], "not measured"),
    ],
)
def test_a_verdict_is_decided_by_nearly_all_rounds(
    ours: list[float | None], theirs: list[float | None], verdict: str
) -> None:
    assert against(ours, theirs).verdict == verdict


@pytest.mark.unit
def test_the_best_peer_counts_and_more_may_be_better() -> None:
    peers = {"slow": [20] * 3, "fast": [10] * 3, "broken": [None] * 3}
    row = Row("latency", "µs", [12] * 3, 1.0, peers=peers)
    assert (row.peer, row.median, row.verdict) == ("fast", 1.2, "missed")
    row = Row("bandwidth", "GB/s", [12] * 3, 1.0, better="higher", peers=peers)
    assert (row.peer, row.median, row.verdict) == ("slow", 0.6, "missed")
    assert Row("bandwidth", "GB/s", [21, 22, 23], 20.0, better="higher").verdict == "met"
    assert Row("no goal", "s", [1.0]).verdict == "-"


@pytest.mark.unit
def test_a_table_says_every_verdict_and_why() -> None:
    rows = [
        against([9, 9.5, 9], [10, 10, 10]),
        Row("absolute", "s", [1.5, 1.4, 1.6], 1.0, note="Measured so.", shortfall="Next: an idea."),
        Row("reached", "s", [0.5, 0.4, 0.6], 1.0, shortfall="Not shown."),
        Row.failed("broken", "it ended with 1"),
        Row.failed("broken too", "it ended with 1"),
    ]
    assert markdown(rows).splitlines()[2:] == [
        "| a | 9.00 ms | 10.0 ms (peer) | 0.900 | 0.900 to 0.950 | 3 | ≤ 1.00 | met |",
        "| absolute | 1.50 s | - | - | 1.40 to 1.60 | 3 | ≤ 1.00 s | **missed** |",
        "| reached | 0.500 s | - | - | 0.400 to 0.600 | 3 | ≤ 1.00 s | met |",
        "| broken | - | - | - | - | 0 | - | **not measured** |",
        "| broken too | - | - | - | - | 0 | - | **not measured** |",
        "",
        "- **absolute**: Measured so. Next: an idea.",
        "- **broken**; **broken too**: it ended with 1",
    ]
    assert [Row.from_json(json.loads(json.dumps(row.to_json()))) for row in rows] == rows
    assert [number(v) for v in (0, 0.00123, 12.34, 1234.5)] == ["0", "0.00123", "12.3", "1,234"]


@pytest.mark.unit
def test_a_picture_has_a_dot_for_each_round_and_its_goal() -> None:
    rows = [
        against([9, 9.5, 12], [10, 10, 10]),
        Row("absolute <s>", "s", [1.5, 0], 1.0),
        Row("no goal", "s", [1.0]),
        Row.failed("broken", "it ended with 1"),
    ]
    picture = ET.fromstring(svg("A & B", rows))
    tags = [element.tag.rpartition("}")[2] for element in picture.iter()]
    assert tags.count("circle") == 3 + 1
    goals = [element for element in picture.iter() if element.get("class") == "goal"]
    assert len(goals) == 2
    texts = " ".join(element.text or "" for element in picture.iter())
    for said in ("A & B", "absolute <s>", "0.950, undecided", "-, not measured"):
        assert said in texts
    assert ET.fromstring(svg("nothing", [])) is not None


@pytest.mark.unit
def test_rounds_end_with_the_time_but_are_never_too_few() -> None:
    now = time.monotonic()
    assert len(list(Run(False, 1, now - 1).rounds(9))) == 3
    assert len(list(Run(False, 1, now + 60).rounds(9))) == 9
    assert len(list(Run(False, 1, now + 60).rounds(9, end=now))) == 3
    assert len(list(Run(True, 1, now + 60).rounds(9))) == 1

    def broken() -> float:
        raise RunFailed("no")

    values = Run(False, 1, now - 1).alternate({"works": lambda: 1.0, "broken": broken}, 9)
    assert values == {"works": [1.0] * 3, "broken": [None] * 3}


@pytest.mark.unit
def test_a_program_is_ended_with_what_it_started(tmp_path: Path) -> None:
    pids = tmp_path / "pid"
    script = f"import subprocess,time; p=subprocess.Popen(['sleep','60']); open({str(pids)!r},'w')"
    script += ".write(str(p.pid)); time.sleep(60)"
    with pytest.raises(RunFailed, match="did not end"):
        finish([sys.executable, "-c", script], timeout_s=1.0)
    status = Path(f"/proc/{pids.read_text()}/status")

    def is_gone() -> bool:
        try:
            return "Z (zombie)" in status.read_text()
        except (FileNotFoundError, ProcessLookupError):
            return True

    end = time.monotonic() + DEADLINE_S
    while not is_gone():  # it was asked to end, and has its own time for it
        assert time.monotonic() < end
        time.sleep(0.01)
    with pytest.raises(RunFailed, match="ended with 3: why"):
        finish([sys.executable, "-c", "import sys; print('why', file=sys.stderr); sys.exit(3)"])
    output, cpu_s = finish([sys.executable, "-c", "print(sum(range(10**6)))"])
    assert output == f"{sum(range(10**6))}\n"
    assert 0 < cpu_s < 60


@pytest.mark.unit
def test_a_newer_wheel_is_slower_where_nearly_all_rounds_say_so() -> None:
    older: list[float | None] = [1.0] * 9
    for newer, verdict in ((1.04, "met"), (1.06, "missed"), (None, "not measured")):
        row = elsewhere.row("plan", {"older": older, "newer": [newer] * 9})
        assert row.verdict == verdict
    lacking = elsewhere.row("plan", {"newer": [1.0] * 9})
    assert (lacking.verdict, lacking.failure) == (
        "not measured",
        "one of the wheels does not have it",
    )
    assert elsewhere.is_chosen("check: write: Ray", ["doctor", "Ray"])
    assert not elsewhere.is_chosen("catalog: find", ["doctor"])


@pytest.mark.unit
def test_a_group_that_fails_is_a_row_and_the_others_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    document = tmp_path / "benchmarks.md"
    document.write_text(f"# Head\n\n{bench.BEGIN}\nthe table before\n{bench.END}\nend\n")
    # There is no such module.
    monkeypatch.setattr(bench, "GROUPS", {"missing": 1})
    monkeypatch.setattr(bench.machine, "STEADY_SAMPLES", 2)
    assert bench.main(["--quick", "--write", "--document", str(document)]) == 1
    text = document.read_text()
    assert text.startswith(f"# Head\n\n{bench.BEGIN}\n")
    assert text.endswith(f"{bench.END}\nend\n")
    assert "the table before" not in text
    assert "| missing | - | - | - | - | 0 | - | **not measured** |" in text
    assert "0 met, 0 missed, 0 undecided, 1 not measured" in text
    assert (tmp_path / "images" / "bench-missing.svg").exists()
    assert "invalid choice: 'missing'" in capfd.readouterr().err


@pytest.mark.alone
def test_a_quick_run_of_every_group(tmp_path: Path) -> None:
    """Each group works; what it measures here, and whether that meets a goal, proves nothing."""
    document = tmp_path / "benchmarks.md"
    document.write_text(bench.DOCUMENT.read_text())
    command = [sys.executable, "-m", "tools.bench", "--quick", "--write", "--document"]
    done = subprocess.run(
        [*command, str(document)], cwd=ROOT, capture_output=True, text=True, timeout=400
    )
    text = document.read_text()
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert "not measured" not in text.split("Goals:")[1].split("\n", 1)[1]
    for group in bench.GROUPS:
        assert f"(images/bench-{group}.svg)" in text
        ET.parse(tmp_path / "images" / f"bench-{group}.svg")
