"""Surveys of plain processes: the store, ranks, the command line, plans and reports."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path

import pytest
from efa_sdk import aio, command_line, errors, survey
from efa_sdk.survey import __main__
from efa_sdk.survey.leaving import declining

PAIR = survey.PairOptions(
    "tcp", source_address="127.0.0.1", message_bytes=65536, test_budget_s=0.02, deadline_s=60
)


def driven(gbps_of: dict[int, float], nodes: int = 6) -> survey.SurveyReport:
    """A survey of a model: each node has a rate, a pair the lower one."""
    named = [survey.SurveyNode(f"node-{i}", address=f"10.0.0.{i}") for i in range(nodes)]
    plan = survey.SurveyPlan(named, "tcp")
    while (pairs := plan.next()) is not None:
        for low, high in pairs:
            gbps = min(gbps_of.get(low, 100.0), gbps_of.get(high, 100.0))
            sight = survey.PairSight.measured(20.0, gbps, gbps)
            plan.record((low, high), sight, sight, after_s=0.5)
    return plan.report(elapsed_s=2.0)


def test_a_plan_names_the_slow_node() -> None:
    report = driven({4: 50.0})
    assert report.drain == report.slow_nodes == ["node-4"]
    assert not report.healthy
    assert not report.partial
    assert "node-4" in report.findings[0]
    assert (report.status, report.exit_status) == ("findings", 1)
    with pytest.raises(errors.UnhealthyError) as caught:
        report.raise_for_health()
    assert caught.value.code == "fabric.unhealthy"
    assert caught.value.context["drain"] == "node-4"


def test_a_healthy_report() -> None:
    report = driven({})
    assert report.healthy
    report.raise_for_health()
    assert report.slow_links == report.unreachable_nodes == report.drain == []
    assert sorted(report.rank_order) == [f"node-{i}" for i in range(6)]
    assert report.matrix()[0][0] is None
    assert report.matrix()[0][5] == 100.0


def test_reports_and_their_parts_pickle() -> None:
    report = driven({4: 50.0})
    for value in (report, report.nodes[0], PAIR, survey.PairSight.measured(1.0, 2.0, 3.0)):
        again = pickle.loads(pickle.dumps(value))
        assert again == value
        assert hash(again) == hash(value)
        assert type(value).from_json(value.to_json()) == value


def test_report_as_text_html_and_rows() -> None:
    report = driven({4: 50.0})
    text = str(report)
    assert "take out: node-4" in text
    assert "sends Gbit/s" in text
    html = report._repr_html_()
    assert html.startswith('<div class="efa-survey">')
    assert "node-4" in html
    assert "<script" not in html
    rows = report.rows()
    assert len(rows) == report.measurements
    assert rows[0]["gbps_a_to_b"] in (50.0, 100.0)


def test_to_pandas_without_pandas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(errors.BindingError) as caught:
        driven({}).to_pandas()
    assert caught.value.code == "python.missing_package"


def test_to_pandas() -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    named = [survey.SurveyNode(f"node-{i}") for i in range(6)]
    plan = survey.SurveyPlan(named, "tcp")
    failed = survey.PairSight.failed("contact", "fabric.unreachable", 1.5, "no")
    while (pairs := plan.next()) is not None:
        for pair in pairs:
            seen = failed if pair == (1, 2) else survey.PairSight.measured(20.0, 90.0, 80.0)
            plan.record(pair, seen, seen)
    report = plan.report()
    frame = report.to_pandas()
    assert len(frame) == report.measurements
    assert list(frame.columns) == list(report.rows()[0])
    numbers = ["latency_us", "gbps_a_to_b", "gbps_b_to_a", "after_s"]
    assert [str(frame[name].dtype) for name in numbers] == ["float64"] * 4
    assert str(frame["round"].dtype) == "int64"
    for name in ("a", "b", "concurrency", "phase", "code"):
        assert pandas.api.types.infer_dtype(frame[name], skipna=True) == "string", name
    assert frame["rail"].isna().all()  # there is one

    bad = frame[frame["code"].notna()]
    assert len(bad) == 5  # until chance does not explain it
    assert set(zip(bad["a"], bad["b"], strict=True)) == {("node-1", "node-2")}
    assert set(bad["phase"]) == {"contact"}
    assert set(bad["code"]) == {"fabric.unreachable"}
    assert list(bad["after_s"]) == [1.5] * 5  # seconds
    assert bad[["latency_us", "gbps_a_to_b", "gbps_b_to_a"]].isna().all(axis=None)
    assert set(bad["concurrency"]) == {"concurrent"}  # tried again with pairs that work

    good = frame[frame["code"].isna()]
    assert good[["phase", "after_s"]].isna().all(axis=None)
    # As they were given: half round trips in us, Gbit/s from a to b and back.
    assert (
        good[["latency_us", "gbps_a_to_b", "gbps_b_to_a"]].agg(["min", "max"]).to_numpy().tolist()
        == [[20.0, 90.0, 80.0]] * 2
    )
    assert len(good[good["concurrency"] == "concurrent"].groupby(["a", "b"])) == 14

    # Nothing measured, or nothing at all: still numbers, or still a table.
    plan = survey.SurveyPlan(named[:2], "tcp")
    assert len(plan.report().to_pandas()) == 0
    while (pairs := plan.next()) is not None:
        for pair in pairs:
            plan.record(pair, failed, failed)
    frame = plan.report().to_pandas()
    assert len(frame) > 0
    assert [str(frame[name].dtype) for name in numbers] == ["float64"] * 4


def test_a_node_without_an_answer_is_asked_twice() -> None:
    plan = survey.SurveyPlan([survey.SurveyNode(str(i)) for i in range(6)], "tcp")
    failed = survey.PairSight.failed("contact", "fabric.unreachable", 1.0, "no")
    good = survey.PairSight.measured(20.0, 9.0, 9.0)
    asked = 0
    while (pairs := plan.next()) is not None:
        for low, high in pairs:
            if 3 in (low, high):
                asked += 1
                seen = (None, failed) if low == 3 else (failed, None)
                plan.record((low, high), *seen, after_s=1.0)
            else:
                plan.record((low, high), good, good)
    assert asked == 2
    report = plan.report()
    assert report.unreachable_nodes == report.drain == ["3"]
    state = report.nodes[3].state
    assert (state.kind, state.lost_in_round, state.lost_after_s) == ("lost", 0, 1.0)
    assert state.lost_with in range(3)
    assert plan.progress().silent == ["3"]


@pytest.mark.parametrize(
    "options", [{"mode": "star"}, {"mode": "within_groups"}, {"labels": ["a"]}]
)
def test_plans_that_cannot_be(options: dict[str, object]) -> None:
    nodes = [survey.SurveyNode(str(i)) for i in range(3)]
    with pytest.raises((ValueError, errors.FabricError)):
        survey.SurveyPlan(nodes, "tcp", **options)  # type: ignore[arg-type]


def test_the_store_wants_its_token() -> None:
    for short in ("", "fifteen letters"):
        with pytest.raises(errors.FabricError, match="16 to 1024") as caught:
            survey.StoreServer(short)
        assert caught.value.code == "fabric.invalid_option"
    with survey.StoreServer("a secret of tests") as server:
        for token in ("A secret of tests", "a secret of tests "):
            with pytest.raises(errors.FabricError) as caught:
                survey.StoreClient(server.address, token)
            assert caught.value.code == "fabric.rendezvous_refused"
        client = survey.StoreClient(server.address, "a secret of tests")
        client.put("a", b"\x00\xff")
        client.put("b", b"1")
        with pytest.raises(FileExistsError, match="left before"):
            client.put("b", b"2")
        assert client.take("a") == b"\x00\xff"
        assert client.take("a") is None


def test_a_token_is_made_where_none_is_given() -> None:
    with survey.StoreServer() as one, survey.StoreServer() as two:
        assert one.token != two.token
        assert one.token not in repr(one)
        survey.StoreClient(one.address, one.token).put("a", b"1")
        with pytest.raises(errors.FabricError):
            survey.StoreClient(one.address, two.token)


_WAITS = """
import os, signal, socket, threading
from efa_sdk import survey

server = survey.StoreServer()
host, port = server.address.split(":")
between = socket.create_server(("127.0.0.1", 0))

def relay():  # lets both greet each other, then nothing more
    left, _ = between.accept()
    right = socket.create_connection((host, int(port)))
    for source, target, length in ((left, right, 38), (right, left, 38), (left, right, 32),
                                   (right, left, 33)):
        target.sendall(source.recv(length, socket.MSG_WAITALL))
    while left.recv(4096):
        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()

threading.Thread(target=relay, daemon=True).start()
client = survey.StoreClient("127.0.0.1:%d" % between.getsockname()[1], server.token)
try:
    client.take("waits")
except KeyboardInterrupt:
    print("interrupted")
try:
    client.take("waits")
except OSError:
    print("of no use")
"""


def test_ctrl_c_ends_a_request_of_the_store() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _WAITS], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.split("\n")[:2] == ["interrupted", "of no use"], done.stderr


def test_garbage_does_not_end_the_store() -> None:
    with survey.StoreServer("a secret of tests") as server:
        host, _, port = server.address.rpartition(":")
        for garbage in (b"GET / HTTP/1.1\r\n\r\n", b"\x00" * 5000, b"efaS"):
            with socket.create_connection((host, int(port)), timeout=10) as unknown:
                unknown.sendall(garbage)
        client = survey.StoreClient(server.address, "a secret of tests")
        client.put("a", b"1")
        assert client.take("a") == b"1"


def test_the_store_ends_at_its_deadline_and_when_closed() -> None:
    server = survey.StoreServer("a secret of tests", deadline_s=0.3)
    client = survey.StoreClient(server.address, "a secret of tests")
    end = time.monotonic() + 30
    is_open = True
    while is_open and time.monotonic() < end:
        try:
            client.take("a")
        except OSError:
            is_open = False
    assert not is_open
    server.close()
    server.close()
    with pytest.raises(errors.FabricError) as caught:
        survey.StoreClient(server.address, "a secret of tests", timeout_s=0.1)
    assert caught.value.code == "fabric.unreachable"


def run_ranks(
    count: int,
    world_size: int,
    pairs: Sequence[survey.PairOptions] = (PAIR,) * 3,
    **options: float,
) -> tuple[survey.SurveyReport, list[survey.SurveySummary]]:
    """What rank 0 gets, and the others."""
    with survey.StoreServer("a secret of tests") as server:

        def one(rank: int) -> survey.SurveyReport | survey.SurveySummary:
            return survey.run_rank(
                survey.StoreClient(server.address, "a secret of tests"),
                "test",
                survey.SurveyNode(f"rank-{rank}"),
                pairs[rank],
                rank=rank,
                world_size=world_size,
                expected_gbps=1e-3,  # which any pair reaches
                **options,  # type: ignore[arg-type]
            )

        with ThreadPoolExecutor(count) as pool:
            report, *others = pool.map(one, range(count))
    assert isinstance(report, survey.SurveyReport)
    return report, [other for other in others if isinstance(other, survey.SurveySummary)]


def test_rank_0_gets_the_report_and_the_others_a_summary() -> None:
    report, others = run_ranks(3, 3)
    assert others == report.summaries()[1:]
    assert report.healthy, report
    assert report.measurements == 3


def test_summaries_say_of_whom_they_are() -> None:
    report = driven({4: 50.0})
    bad, good = report.summaries()[4], report.summaries()[0]
    assert (bad.node, good.node) == ("node-4", "node-0")
    assert "less bandwidth" in (bad.drain_because or "")
    assert good.drain_because is None
    for summary in (bad, good):
        assert (summary.status, summary.exit_status, summary.drain_count) == ("findings", 1, 1)
        assert (summary.action, summary.problems) == (report.action, report.problems)
        with pytest.raises(errors.UnhealthyError) as caught:
            summary.raise_for_health()
        assert caught.value.context["node"] == summary.node
        assert pickle.loads(pickle.dumps(summary)) == summary


def test_a_rank_that_never_comes_costs_one_deadline() -> None:
    report, (other,) = run_ranks(2, 3, join_deadline_s=3.0, round_deadline_s=20.0)
    assert (report.absent, report.drain) == (["rank 2"], [])
    assert "never joined within 3 s" in (report.nodes[2].state.absent_because or "")
    with pytest.raises(errors.NotSurveyedError) as caught:
        other.raise_for_health()
    assert caught.value.code == "fabric.not_surveyed"
    assert isinstance(caught.value, errors.FabricError)


def test_every_rank_that_cannot_open_its_endpoint_is_absent_with_the_reason() -> None:
    bad = survey.PairOptions("nosuch")
    for pairs, absent in (([bad] * 3, ["0", "1", "2"]), ([PAIR, bad, PAIR], ["1"])):
        report, others = run_ranks(3, 3, pairs)
        names = [f"rank-{rank}" for rank in absent]
        assert (report.absent, report.drain, report.exit_status) == (names, [], 2)
        assert [other.exit_status for other in others] == [2, 2]
        for rank in absent:
            because = report.nodes[int(rank)].state.absent_because or ""
            assert "no provider nosuch; use one of: " in because


def test_a_rank_without_libfabric_is_absent_with_that_reason() -> None:
    with survey.StoreServer("a secret of tests") as server:

        def client() -> survey.StoreClient:
            return survey.StoreClient(server.address, "a secret of tests")

        why = "no libfabric at /nonexistent; install it"
        missing = errors.FabricError("fabric.library_not_found", why)
        with pytest.raises(errors.FabricError), declining(client, "test", "second", 1, 2):
            raise missing
        report = survey.run_rank(
            client(), "test", survey.SurveyNode("first"), PAIR, rank=0, world_size=2
        )
    assert isinstance(report, survey.SurveyReport)
    assert (report.absent, report.drain, report.exit_status) == (["second"], [], 2)
    assert report.nodes[1].state.absent_because == why


def test_as_coroutines_with_progress() -> None:
    reported: list[survey.SurveyProgress] = []

    async def all_ranks(address: str) -> list[survey.SurveyReport | survey.SurveySummary]:
        return await asyncio.gather(
            *(
                aio.survey.run_rank(
                    survey.StoreClient(address, "a secret of tests"),
                    "test",
                    survey.SurveyNode(str(rank)),
                    PAIR,
                    rank=rank,
                    world_size=2,
                    progress=reported.append,
                )
                for rank in range(2)
            )
        )

    with survey.StoreServer("a secret of tests") as server:
        report, other = asyncio.run(all_ranks(server.address))
    assert isinstance(report, survey.SurveyReport)
    assert other == report.summaries()[1]
    assert [state.rounds for state in reported] == list(range(1, len(reported) + 1))
    assert reported[-1].pairs >= 1
    assert "round" in str(reported[-1])


def test_a_cancelled_rank_stops() -> None:
    async def alone(address: str) -> None:
        client = survey.StoreClient(address, "a secret of tests")
        node = survey.SurveyNode("1")
        rank = aio.survey.run_rank(client, "test", node, PAIR, rank=1, world_size=2)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(rank, 0.2)

    with survey.StoreServer("a secret of tests") as server:
        asyncio.run(alone(server.address))
    assert threading.active_count() < 50


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, (None, None)),
        ({"RANK": "1", "WORLD_SIZE": "4"}, (1, 4)),
        ({"SLURM_PROCID": "2", "SLURM_NTASKS": "8"}, (2, 8)),
        ({"JOB_COMPLETION_INDEX": "3"}, (3, None)),
        ({"RANK": "x", "SLURM_PROCID": "0", "SLURM_NTASKS": "2"}, (0, 2)),
    ],
)
def test_launchers(environ: dict[str, str], expected: tuple[int | None, int | None]) -> None:
    assert survey.rank_from_environment(environ) == expected


class Interrupting:
    """An exchange on which a signal comes when this rank asks for its first task."""

    def __init__(self, number: signal.Signals) -> None:
        self.number = number
        self.values: dict[str, bytes] = {}

    def put(self, key: str, value: bytes) -> None:
        self.values[key.partition("-")[0]] = value

    def take(self, key: str) -> bytes | None:
        if "s/left" not in self.values:
            signal.raise_signal(self.number)
        return None


class Occupied:
    """An exchange on which another process's introduction lies and stays."""

    def __init__(self, error: OSError) -> None:
        self.error = error

    def put(self, key: str, value: bytes) -> None:
        raise self.error

    def take(self, key: str) -> bytes | None:
        return None


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (FileExistsError("in use"), "fabric.not_surveyed", "two processes introduced themselves"),
        (OSError("was left before"), "fabric.rendezvous_failed", "was left before"),
    ],
)
def test_a_second_process_of_a_rank_is_known_by_the_type_of_the_error(
    error: OSError, code: str, said: str
) -> None:
    with pytest.raises(errors.FabricError, match=said) as caught:
        survey.run_rank(
            Occupied(error),
            "s",
            survey.SurveyNode("n"),
            PAIR,
            rank=1,
            world_size=2,
            join_deadline_s=0.05,
        )
    assert caught.value.code == code


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_rank_that_is_interrupted_takes_its_leave_and_names_the_signal(
    number: signal.Signals,
) -> None:
    exchange = Interrupting(number)
    with pytest.raises(KeyboardInterrupt), command_line.terminable():
        survey.run_rank(exchange, "s", survey.SurveyNode("n"), PAIR, rank=1, world_size=2)
    assert list(exchange.values) == ["s/hello/1", "s/left"]
    assert json.loads(exchange.values["s/left"]) == {"signal": number.name}


def test_sigterm_raises_only_meanwhile() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(command_line.Terminated), command_line.terminable():
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) == before


def test_each_file_is_written_whatever_becomes_of_the_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    metrics = tmp_path / "survey.prom"
    missing = tmp_path / "missing"
    given = argparse.Namespace(rank=0, save=missing / "x.json", openmetrics=metrics)
    __main__._keep(driven({}), given, "survey")
    assert metrics.read_text().endswith("# EOF\n")
    assert f"rank 0: the report {missing}/x.json" in capsys.readouterr().err
    given = argparse.Namespace(rank=0, save=missing / "x.json", openmetrics=missing / "x.prom")
    __main__._keep(driven({}), given, "survey")
    said = capsys.readouterr().err
    assert f"the report {missing}/x.json" in said
    assert f"{missing}/x.prom was not written" in said


def command(*arguments: str, **environ: str) -> subprocess.Popen[str]:
    kept = {k: v for k, v in os.environ.items() if k not in ("RANK", "WORLD_SIZE")}
    return subprocess.Popen(
        [sys.executable, "-m", "efa_sdk.survey", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**kept, **environ},
    )


@pytest.mark.parametrize("wanted", [False, True])
def test_the_command_line(tmp_path: Path, wanted: bool) -> None:
    token = tmp_path / "token"
    token.write_text("a secret of some length\n")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    common = ("--rendezvous", address, "--token-file", str(token), "--provider", "tcp")
    quick = ("--source-address", "127.0.0.1", "--test-budget-s", "0.02")
    # What any pair reaches: few nodes whose rates differ are not measured again.
    quick += ("--expected-gbps", "0.001")
    second = command(*common, *quick, RANK="1", WORLD_SIZE="2")
    rank_0 = ("--rank", "0", "--world-size", "2")
    metrics = tmp_path / "survey.prom"
    kept = ("--save", str(tmp_path), "--openmetrics", str(metrics), "--node-name", "first")
    kept += ("--group", "spine-1", "--group", "leaf-1")
    shown = ["--progress", *kept] if wanted else []
    first = command(*common, *quick, *rank_0, *shown, SLURMD_NODENAME="slurm-1")
    out, err = first.communicate(timeout=120)
    assert first.returncode == 0, err
    assert out.startswith("nothing to do: no fault was found\n")
    assert "2 nodes over tcp: no fault was found" in out
    reports = survey.SurveyReport.history(tmp_path)
    assert [report.nodes[0].name for report in reports] == (["first"] if wanted else [])
    assert not wanted or reports[0].nodes[0].network_nodes == ["spine-1", "leaf-1"]
    assert wanted or "\nslurm-1 " in out
    assert not wanted or metrics.read_text().endswith("# EOF\n")
    assert ("round 1 of 1" in err) == wanted
    out, err = second.communicate(timeout=120)
    assert (second.returncode, out) == (0, ""), err
    assert "RuntimeWarning" not in err


def test_the_command_line_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    token = tmp_path / "token"
    token.write_text("\n")
    binary, good = tmp_path / "binary", tmp_path / "good"
    binary.write_bytes(b"\xaa" * 32)
    good.write_text("a secret of some length\n")
    common = ("--rendezvous", "127.0.0.1:1", "--token-file", str(token))
    rank_0 = ("--rank", "0", "--world-size", "2")
    trusted = (*rank_0, "--provider", "tcp", "--token-file", str(good))
    for arguments, said, status in (
        ((), "no launcher's variables set them", 64),
        (("--rank", "2", "--world-size", "2"), "--rank 2: ranks of world size 2 are 0 to 1", 64),
        (("--rank", "-1", "--world-size", "2"), "--rank -1: ranks of", 64),
        (("--rank", "0", "--world-size", "99999999"), "a survey has 1 to 16,384 ranks", 64),
        ((*rank_0, "--rendezvous", "localhost:0"), "with a port from 1 to 65535", 64),
        ((*rank_0, "--round-deadline-s", "-1"), "--round-deadline-s: '-1' is not seconds from", 64),
        ((*rank_0, "--join-deadline-s", "nan"), "--join-deadline-s: 'nan' is not seconds", 64),
        ((*rank_0, "--rails", "-1"), "--rails: '-1' is not 1 or more", 64),
        ((*rank_0, "--rendezvous", "here"), "'here' is not HOST:PORT", 64),
        ((*rank_0, "--loss", "7"), "loss", 64),
        ((*rank_0, "--provider", "tcp"), "must be a file with a token", 2),
        ((*trusted, "--token-file", str(binary)), "must be a file of text", 2),
        ((*trusted, "--rendezvous", "203.0.113.1:7913"), "must be an address of this machine", 2),
        ((*trusted, "--rendezvous", "no-such.invalid:7913"), "'no-such.invalid', has no known", 2),
    ):
        with pytest.raises(SystemExit) if status == 64 else nullcontext() as ended:
            returned = __main__.main([*common, *arguments])
        assert status == (returned if ended is None else ended.value.code)
        assert said in capsys.readouterr().err
