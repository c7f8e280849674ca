"""The progress of clusters and surveys: on a terminal it shows what happens, elsewhere nothing."""

from __future__ import annotations

import fcntl
import io
import json
import os
import pathlib
import pty
import re
import socket
import struct
import subprocess
import sys
import termios

import efa_sdk as efa
import pytest
from efa_sdk import progress, survey
from efa_sdk.progress import SurveyLine
from support import DEADLINE_S, Cloud

SCRIPT = """
import sys
import efa_sdk as efa

plan, endpoint_url = sys.argv[1:]
with efa.progress.Bar() as bar:
    client = efa.Client(region="us-east-1", endpoint_url=endpoint_url, progress=bar)
    client.apply(efa.Plan.from_json(plan))
    client.destroy("train")
"""


def command(cloud: Cloud) -> list[str]:
    return [sys.executable, "-c", SCRIPT, cloud.plan().to_json(), cloud.stand_in.endpoint_url]


def test_silent_where_standard_error_is_no_terminal(cloud: Cloud) -> None:
    done = subprocess.run(
        command(cloud), capture_output=True, text=True, timeout=DEADLINE_S, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_terminal_shows_every_step(cloud: Cloud) -> None:
    shown = on_terminal(command(cloud))
    for part in ("created security-group sg-", "created placement-group", "0 of 2 running"):
        assert part in shown
    assert "|....................| 0/2 waiting for instance train" in shown
    for end in ("2 of 2 running", "all terminated"):
        assert f"|####################| 2/2 waiting for instance train ({end})" in shown
    last = shown.strip().split("\r")[-1]
    assert last.startswith("|####################| removed "), "it ends full"


def event(detail: str, done: int | None = None) -> efa.Event:
    reported = {"action": "waiting", "resource_type": "instance", "id": "train", "detail": detail}
    counted = {} if done is None else {"done": done, "total": 2}
    return efa.Event.from_json(json.dumps({**reported, **counted}))


@pytest.mark.unit
def test_an_event_says_how_many_of_how_many() -> None:
    assert (event("1 of 2 running", 1).done, event("1 of 2 running", 1).total) == (1, 2)
    assert (event("in use").done, event("in use").total) == (None, None)


@pytest.mark.unit
def test_a_notebook_draws_in_the_cell_that_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[tuple[str, str, bool]] = []

    def publish(data: dict[str, str], *, raw: bool, display_id: str, update: bool) -> None:
        shown.append((data["text/html"], display_id, update))

    cells = iter([1, 2, 2])
    monkeypatch.setattr(progress, "_notebook", lambda: publish)
    monkeypatch.setattr(progress, "_running_cell", lambda: next(cells))
    with progress.Bar() as bar:
        for reported in (event("0 of 2 running", 0), event("1 of 2 running", 1), event("all", 2)):
            bar(reported)
    first, second, third = shown
    assert [update for _, _, update in shown] == [False, False, True]
    assert first[1] != second[1] == third[1]
    assert second[0].startswith('<progress value="0.500"')
    assert third[0].startswith('<progress value="1.000"')


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 4096)
    except OSError:  # the other side is closed
        return b""


def states(*, nodes: int = 6, slow: int | None = None) -> list[survey.SurveyProgress]:
    """The states of a survey of a model, a second a round."""
    plan = survey.SurveyPlan([survey.SurveyNode(f"node-{i}") for i in range(nodes)], "tcp")
    reported = []
    while (pairs := plan.next()) is not None:
        for low, high in pairs:
            gbps = 50.0 if slow in (low, high) else 100.0
            sight = survey.PairSight.measured(20.0, gbps, gbps)
            plan.record((low, high), sight, sight)
        reported.append(plan.progress(elapsed_s=10.0 + len(reported)))
    return reported


def shown(*reported: survey.SurveyProgress) -> list[str]:
    file = io.StringIO()
    with SurveyLine(disable=False, file=file) as line:
        for state in reported:
            line(state)
    return file.getvalue().splitlines()


def test_a_healthy_survey_has_the_base_rounds_and_a_pace_from_the_second_on() -> None:
    assert shown(*states()) == [
        "round 1 of 5, 3 pairs, 10 s",
        "round 2 of 5, 6 pairs, 11 s, at least 3 s left",
        "round 3 of 5, 9 pairs, 12 s, at least 2 s left",
        "round 4 of 5, 12 pairs, 13 s, at least 1 s left",
        "round 5 of 5, more to come, 15 pairs, 14 s",
        "round 6, control measurements, 16 pairs, 15 s",
    ]


def test_the_bar_is_full_at_the_end_and_a_total_that_grows_says_so() -> None:
    *before, last = states(slow=4)
    assert all(progress._share(state) < 1 for state in before)
    assert (last.over, progress._share(last)) == (True, 1.0)
    plan = survey.SurveyPlan([survey.SurveyNode("a"), survey.SurveyNode("b")], "tcp")
    shares = []
    lines = []
    while plan.next() is not None:  # as far apart as few nodes are measured again for
        sight = survey.PairSight.measured(20.0, 50.0, 100.0)
        plan.record((0, 1), sight, sight)
        state = plan.progress(elapsed_s=1.0)
        shares.append(progress._share(state))
        lines += shown(state)
    assert shares == [0.25, 0.5, 0.75, 1.0]
    assert (lines[0], str(state)[:22]) == (
        "round 1 of 4 (1 planned), 1 pairs, 1 s",
        "round 4 of 4 (1 planne",
    )


def test_suspects_are_shown_and_have_no_time_left() -> None:
    *_, last = lines = shown(*states(slow=4))
    assert re.fullmatch(r"round \d+, rechecking suspects, \d+ pairs, \d+ s, suspects: node-4", last)
    assert [line for line in lines[5:] if "left" in line] == []


def test_within_a_round_the_time_left_falls_and_does_not_go_below_zero() -> None:
    first, second, *_ = states()
    for elapsed_s, expected in ((11.0, 3), (12.4, 2), (60.0, 0)):
        later = survey.SurveyProgress.from_json(
            json.dumps({**json.loads(second.to_json()), "elapsed_s": elapsed_s})
        )
        assert shown(first, second, later)[-1].endswith(f", at least {expected} s left")


def test_failures_and_silent_nodes_are_shown_and_names_cannot_move_the_cursor() -> None:
    plan = survey.SurveyPlan([survey.SurveyNode("a\x1b[2J\r"), survey.SurveyNode("b")], "tcp")
    for _ in range(2):  # asked, and asked again
        assert plan.next() == [(0, 1)]
        plan.record((0, 1), None, survey.PairSight.measured(1.0, 1.0, 1.0), after_s=3.0)
    (line,) = shown(plan.progress(elapsed_s=3.0))
    assert line == "round 1 of 1, 1 pairs, 1 failed, 3 s, silent: a?[2J?"


def test_a_file_gets_nothing_unless_it_is_wanted() -> None:
    for disable in (None, True):
        file = io.StringIO()
        with SurveyLine(disable=disable, file=file) as line:
            line.note("starting")
            for state in states():
                line(state)
        assert file.getvalue() == ""


def test_a_terminal_that_is_gone_does_not_end_the_survey() -> None:
    file = io.StringIO()
    with SurveyLine(disable=False, file=file) as line:
        file.close()
        for state in states():
            line(state)


SURVEY = """
import sys, time
from efa_sdk import survey
from efa_sdk.progress import SurveyLine
plan = survey.SurveyPlan([survey.SurveyNode(f"node-{i}") for i in range(6)], "tcp")
with SurveyLine() as line:
    line.note("starting 6 actors")
    while (pairs := plan.next()) is not None:
        for low, high in pairs:
            sight = survey.PairSight.measured(20.0, *[50.0 if 4 in (low, high) else 100.0] * 2)
            plan.record((low, high), sight, sight)
        line(plan.progress(elapsed_s=plan.round + 1.0))
"""


@pytest.mark.parametrize("columns", [120, 40])
def test_a_survey_on_a_terminal_is_one_line_that_is_written_over(columns: int) -> None:
    text = on_terminal([sys.executable, "-c", SURVEY], columns)
    assert text.endswith("\r\n")  # the line ends with the survey
    assert text.count("\n") == 1
    pictures = text.strip().split("\r")
    assert pictures[0] == "|....................| starting 6 actors"[: columns - 4] + (
        "..." if columns == 40 else ""
    )
    assert pictures[1].startswith("|####................| round 1 of 5")
    assert all(len(picture) < columns for picture in pictures)
    last = pictures[-1].rstrip()
    assert last.startswith("|####################| round ")
    assert last.endswith("..." if columns == 40 else "suspects: node-4")


def test_the_command_line_shows_it_on_a_terminal(tmp_path: pathlib.Path) -> None:
    token = tmp_path / "token"
    token.write_text("a secret of some length\n")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    command = [sys.executable, "-m", "efa_sdk.survey", "--rendezvous", address]
    command += ["--token-file", str(token), "--provider", "tcp", "--world-size", "2"]
    command += ["--source-address", "127.0.0.1", "--test-budget-s", "0.02"]
    command += ["--round-deadline-s", "120", "--expected-gbps", "0.001", "--rank"]
    with subprocess.Popen(
        [*command, "1"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as second:
        text = on_terminal([*command, "0"])
        assert second.communicate(timeout=DEADLINE_S) == ("", "")
    assert re.fullmatch(r"\r\|#{20}\| round 1 of 1, 1 pairs, \d+ s\r\n", text), text


def on_terminal(command: list[str], columns: int = 120) -> str:
    """What the command shows on a terminal of this width as its standard error."""
    main, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=terminal)
    os.close(terminal)
    shown = b""
    while chunk := _read(main):
        shown += chunk
    os.close(main)
    assert process.wait(DEADLINE_S) == 0, shown.decode()
    return shown.decode()
