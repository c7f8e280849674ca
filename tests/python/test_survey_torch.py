"""Surveys through a torch store: the logic with stores of the test, and torch where it is there."""

from __future__ import annotations

import datetime
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import efa_sdk
import efa_sdk.torch
import pytest
from efa_sdk import errors
from efa_sdk.survey import SurveyProgress, SurveyReport, SurveySummary
from support import free_port, skip

# The version of torch takes seconds to ask for.
pytestmark = pytest.mark.xdist_group("torch")

QUICK = {
    "provider": "tcp",
    "source_address": "127.0.0.1",
    "message_bytes": 65536,
    "test_budget_s": 0.02,
    # Nothing is to fail only because this machine is busy.
    "round_deadline_s": 120.0,
    # What any pair reaches: few nodes whose rates differ are not measured again.
    "expected_gbps": 1e-3,
}


class OldStore:
    """Neither check nor compare_set; wait raises RuntimeError; keys stay."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}
        self.changed = threading.Condition()

    def set(self, key: str, value: bytes) -> None:
        with self.changed:
            self.values[key] = bytes(value)
            self.changed.notify_all()

    def get(self, key: str) -> bytes:
        self.wait([key], datetime.timedelta(seconds=30))
        return self.values[key]

    def wait(self, keys: list[str], timeout: datetime.timedelta) -> None:
        with self.changed:
            if not self.changed.wait_for(
                lambda: all(key in self.values for key in keys), timeout.total_seconds()
            ):
                raise RuntimeError("Socket Timeout")


class AskedStore(OldStore):
    """As torch 1.13: compare_set; after some retries without result its get never returns."""

    def compare_set(self, key: str, expected: str, desired: str) -> bytes:
        with self.changed:
            if key not in self.values:
                return expected.encode()
            if self.values[key] == expected.encode():
                self.values[key] = desired.encode()
            return self.values[key]

    def wait(self, keys: list[str], timeout: datetime.timedelta) -> None:
        raise AssertionError("no wait here")


class NewStore(OldStore):
    """As torch 2: check and delete_key."""

    def check(self, keys: list[str]) -> bool:
        with self.changed:
            return all(key in self.values for key in keys)

    def delete_key(self, key: str) -> bool:
        with self.changed:
            return self.values.pop(key, None) is not None


class WatchedStore(NewStore):
    """States which keys were taken away."""

    def __init__(self) -> None:
        super().__init__()
        self.taken: set[str] = set()

    def delete_key(self, key: str) -> bool:
        self.taken.add(key)
        return super().delete_key(key)

    def left(self, key: str) -> set[int]:
        """The ranks that rank 0 saw leave."""
        start = f"{key}/left/"
        return {int(one.removeprefix(start)) for one in self.taken if one.startswith(start)}


def run_ranks(
    store: OldStore, ranks: list[int], size: int, **options: object
) -> tuple[SurveyReport, list[SurveySummary]]:
    """What rank 0 gets, and the others."""

    def one(rank: int) -> SurveyReport | SurveySummary:
        return efa_sdk.torch.survey(
            store=store, rank=rank, world_size=size, name="test", **{**QUICK, **options}
        )  # type: ignore[arg-type]

    with ThreadPoolExecutor(len(ranks)) as pool:
        report, *others = pool.map(one, ranks)
    assert isinstance(report, SurveyReport)
    return report, [other for other in others if isinstance(other, SurveySummary)]


_TERMINATED = """
import os, signal
import efa_sdk.torch

class Store:
    def set(self, key, value):
        print(key.partition("-")[0], value.decode() if "left" in key else "", flush=True)

    def get(self, key):
        raise AssertionError("nothing lies there")

    def check(self, keys):
        if "/task/" in keys[0]:
            os.kill(os.getpid(), signal.SIGTERM)
        return False

efa_sdk.torch.survey(store=Store(), rank=1, world_size=2, name="s", provider="tcp", inspect=False)
"""


def test_a_rank_that_sigterm_ends_informs_the_others_and_ends_by_it() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _TERMINATED], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == -signal.SIGTERM, done.stderr
    assert done.stdout.splitlines() == ["s/hello/1 ", 's/left {"signal":"SIGTERM"}']


def test_the_progress_is_that_of_rank_0(capfd: pytest.CaptureFixture[str]) -> None:
    reported: list[SurveyProgress] = []
    run_ranks(NewStore(), [0, 1, 2], 3, progress=reported.append)
    assert [state.rounds for state in reported] == list(range(1, len(reported) + 1))
    assert reported[-1].pairs == 3
    run_ranks(NewStore(), [0, 1], 2)
    assert capfd.readouterr().err == ""  # standard error is no terminal
    run_ranks(NewStore(), [0, 1], 2, progress=True, round_deadline_s=120)
    assert re.fullmatch(r"round 1 of 1, 1 pairs, \d+ s\n", capfd.readouterr().err)


@pytest.mark.parametrize("kind", [OldStore, AskedStore, NewStore])
def test_rank_0_gets_the_report_and_the_others_what_it_comes_to(kind: type[OldStore]) -> None:
    report, others = run_ranks(kind(), [0, 1, 2, 3], 4)
    assert others == report.summaries()[1:]
    assert report.healthy, report
    assert report.measurements == 6
    for number, other in enumerate(others, 1):
        other.raise_for_health()
        assert (other.healthy, other.status, other.exit_status) == (True, "healthy", 0)
        assert (other.node_count, other.drain_count, other.drain_because) == (4, 0, None)
        assert other.node == report.nodes[number].name
        assert other.node_state.kind == "measured"
        assert str(other).endswith("rank 0 has the whole report\n")


class CountingStore(NewStore):
    """Knows how much was left last for each rank: ranks that measure by node, others by rank."""

    def __init__(self) -> None:
        super().__init__()
        self.last_bytes: dict[str, int] = {}

    def set(self, key: str, value: bytes) -> None:
        if found := re.search(r"/(task|share)/\d+", key):
            self.last_bytes[found[0]] = len(value)
        super().set(key, value)


def test_what_other_ranks_receive_does_not_grow_with_the_ranks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    received = []
    for size in (4, 8):
        store = CountingStore()
        report, others = run_ranks(store, list(range(size)), size, inspect=False)
        assert len(others) == size - 1
        assert len(store.last_bytes) == size - 1
        received.append((max(store.last_bytes.values()), len(report.to_json())))
    (few, report_of_few), (many, report_of_many) = received
    assert report_of_many > report_of_few + 1000
    assert many <= few + 10  # numbers have more digits
    assert many < 1000


def test_a_store_that_deletes_is_left_empty() -> None:
    store = NewStore()
    run_ranks(store, [0, 1], 2)
    assert store.values == {}


def test_per_node_only_the_first_of_each_node_measures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    store = WatchedStore()
    report, others = run_ranks(store, [0, 1, 2, 3], 4)
    first, second = report.summaries()
    assert others == [first, second, second]
    assert store.left("test") == {1, 2, 3}, "whoever has the store ends last"
    assert store.values == {}
    assert len(report.nodes) == 2
    assert report.measurements == 1


def test_one_node_measures_per_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    report, _ = run_ranks(NewStore(), [0, 1], 2)
    assert report.measurements == 1


def test_a_rank_that_never_comes_is_absent() -> None:
    report, (other,) = run_ranks(NewStore(), [0, 1], 3, join_deadline_s=3.0, round_deadline_s=20.0)
    assert (report.absent, report.status) == (["rank 2"], "not_surveyed")
    assert (other.absent_count, other.status, other.exit_status) == (1, "not_surveyed", 2)
    with pytest.raises(
        errors.NotSurveyedError, match="rank 2 took no part: it never joined within 3 s"
    ) as caught:
        other.raise_for_health()
    assert "rank 0 has the whole report" in str(caught.value)


class SilentStore(NewStore):
    """Its host is gone without a word: no call returns."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0
        self.back = threading.Event()

    def set(self, key: str, value: bytes) -> None:
        self.asked += 1
        self.back.wait()


def test_a_store_that_falls_silent_is_given_up_before_its_own_timeout() -> None:
    store = SilentStore()
    try:
        with pytest.raises(errors.FabricError, match=r"no answer within 1\.2 s") as caught:
            run_ranks(store, [1], 2, round_deadline_s=0.1)
        assert caught.value.code == "fabric.rendezvous_failed"
        exchange = efa_sdk.torch.StoreExchange(store, answer_s=0.05)
        for _ in range(2):
            with pytest.raises(errors.BindingError, match=r"no answer within 0\.05 s"):
                exchange.put("key", b"")
        assert store.asked == 2, "not asked again"
    finally:
        store.back.set()


def test_an_exchange_leaves_no_thread_and_passes_errors_on() -> None:
    before = set(threading.enumerate())
    exchange = efa_sdk.torch.StoreExchange(AskedStore())
    exchange.put("key", b"1")
    assert exchange.take("key") == b"1"
    with pytest.raises(TypeError):
        exchange.put("key", "text")  # type: ignore[arg-type]
    (thread,) = set(threading.enumerate()) - before
    del exchange
    thread.join(30)
    assert not thread.is_alive()


def test_no_job(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(errors.BindingError) as caught:
        efa_sdk.torch.survey()
    assert caught.value.code == "python.no_job"


def test_without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(errors.BindingError) as caught:
        efa_sdk.torch.survey(rank=0, world_size=1)
    assert caught.value.code == "python.missing_package"


def test_per_is_checked() -> None:
    with pytest.raises(ValueError, match="per is 'gpu'"):
        run_ranks(NewStore(), [0], 1, per="gpu")


#: A Python that has torch: Debian's python3-torch is the system's.
TORCH_PYTHON = os.environ.get("EFA_TEST_TORCH_PYTHON", "/usr/bin/python3")
EXAMPLE = Path(__file__).parents[2] / "examples/torch_survey.py"


@pytest.fixture(scope="session")
def torch_version() -> tuple[int, int]:
    """That of the Python with torch."""
    said = "import torch; print(torch.__version__)"
    try:
        done = subprocess.run(
            [TORCH_PYTHON, "-c", said], capture_output=True, text=True, timeout=120
        )
    except FileNotFoundError:
        skip(f"there is no {TORCH_PYTHON}: EFA_TEST_TORCH_PYTHON names a Python with torch")
    if done.returncode != 0:
        skip(f"{TORCH_PYTHON} has no torch: apt-get install python3-torch")
    major, minor = done.stdout.split(".")[:2]
    return int(major), int(minor)


def environment(**more: str) -> dict[str, str]:
    """Of a process that imports efa_sdk from here and is no rank yet."""
    job = ("RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
    kept = {name: value for name, value in os.environ.items() if name not in job}
    here = str(Path(efa_sdk.__file__).parents[1])
    # Not numpy and MKL of another Python; a job of four need not start a thread per core each.
    return {**kept, "PYTHONPATH": here, "OMP_NUM_THREADS": "1", "FI_TCP_IFACE": "lo", **more}


def test_torchrun_runs_the_example(torch_version: tuple[int, int], tmp_path: Path) -> None:
    logs: list[str] = []
    if torch_version < (2, 0):  # its torchrun cannot do without on Python 3.11
        logs = ["--log_dir", str(tmp_path), "--redirects", "0:1,1:1,2:1,3:1"]
        logs += ["--tee", "0:1,1:1,2:1,3:1"]
    torchrun = [TORCH_PYTHON, "-m", "torch.distributed.run", *logs, "--nproc_per_node", "4"]
    done = subprocess.run(
        [*torchrun, "--master_port", str(free_port()), str(EXAMPLE)],
        env=environment(EXPECTED_GBPS="0.001"),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert "4 nodes over tcp: no fault was found; 6 pairs in 3 rounds, " in done.stdout


RANK = """
import datetime, hashlib, os, sys, time
import torch.distributed as distributed
import efa_sdk

rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
store = distributed.TCPStore(
    os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]), size, rank == 0,
    wait_for_workers=False, timeout=datetime.timedelta(seconds=60))
store.set("theirs", b"1")

def tell(state):
    print("round", state.rounds, flush=True)
    sys.stdin.readline()

report = efa_sdk.torch.survey(
    store=store, rank=rank, world_size=size, name="test", provider="tcp",
    source_address="127.0.0.1", message_bytes=65536, test_budget_s=0.02,
    round_deadline_s=float(sys.argv[1]), progress=tell if rank == 0 else None,
    options=efa_sdk.survey.SurveyOptions(
        expected_gbps=1e-3, collectives=sys.argv[2:],
        labels=["leaf-1", "leaf-1", "leaf-2", "leaf-2"][:size]))
if rank == 0:
    for of in report.collectives:
        print(of.pattern, of.flows, of.measured, of.compared, of.failed)
    reported = report.summaries()
    print(*(hashlib.sha256(each.to_json().encode()).hexdigest() for each in reported))
    print(*report.unreachable_nodes)
else:
    print(hashlib.sha256(report.to_json().encode()).hexdigest())
if rank == 0:
    print("keys", store.num_keys(), flush=True)
    sys.stdin.readline()
"""


def start_ranks(
    size: int, *, round_deadline_s: float, collectives: Sequence[str] = ()
) -> list[subprocess.Popen[str]]:
    """Ranks of a job that has no agent: rank 0 has the store, and asks before each round."""
    port = str(free_port())
    return [
        subprocess.Popen(
            [TORCH_PYTHON, "-c", RANK, str(round_deadline_s), *collectives],
            env=environment(
                RANK=str(rank), WORLD_SIZE=str(size), MASTER_ADDR="127.0.0.1", MASTER_PORT=port
            ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(size)
    ]


def end(ranks: list[subprocess.Popen[str]]) -> None:
    for rank in ranks:
        rank.kill()
        rank.communicate()


def go_on(rank: subprocess.Popen[str]) -> None:
    assert rank.stdin is not None
    rank.stdin.write("\n" * 100)
    rank.stdin.flush()


def lines(rank: subprocess.Popen[str]) -> list[str]:
    out, err = rank.communicate(timeout=120)
    assert rank.returncode == 0, err
    return [line for line in out.splitlines() if not line.startswith("round")]


def test_ranks_get_the_same_and_leave_no_key(torch_version: tuple[int, int]) -> None:
    groups = ["ring_within", "all_to_all_within", "all_to_all_between", "incast_into"]
    patterns = ["ring", "incast", *(f"{pattern}_groups" for pattern in groups)]
    ranks = start_ranks(4, round_deadline_s=60, collectives=patterns)
    try:
        go_on(ranks[0])
        *carried_out, reported, unreachable, keys = lines(ranks[0])
        assert carried_out == [
            f"{pattern} {flows} {flows} {flows} 0"
            for pattern, flows in zip(patterns, (4, 12, 4, 4, 8, 8), strict=True)
        ]
        # The key of the caller; torch counts one of its own.
        assert keys in ("keys 1", "keys 2")
        for rank, digest in zip(ranks[1:], reported.split()[1:], strict=True):
            assert lines(rank) == [digest]
        assert unreachable == ""
    finally:
        end(ranks)


def test_a_rank_that_is_killed_is_named(torch_version: tuple[int, int]) -> None:
    ranks = start_ranks(4, round_deadline_s=8)
    try:
        assert ranks[0].stdout is not None
        assert ranks[0].stdout.readline() == "round 1\n"
        ranks[2].kill()
        go_on(ranks[0])
        reported, name, _ = lines(ranks[0])
        assert name.endswith("/2")
        for rank in (1, 3):
            assert lines(ranks[rank]) == [reported.split()[rank]]
    finally:
        end(ranks)


@pytest.mark.parametrize(
    ("size", "ends", "said"),
    [
        (4, signal.SIGKILL, "the exchange failed"),
        # Its connections stay, and nothing answers on them.
        (2, signal.SIGSTOP, "the job's store gave no answer within 5 s"),
    ],
)
def test_without_rank_0_the_others_end_with_an_error(
    torch_version: tuple[int, int], size: int, ends: signal.Signals, said: str
) -> None:
    ranks = start_ranks(size, round_deadline_s=8 if size == 4 else 2)
    try:
        assert ranks[0].stdout is not None
        assert ranks[0].stdout.readline() == "round 1\n"
        ranks[0].send_signal(ends)
        for rank in ranks[1:]:
            _, err = rank.communicate(timeout=120)
            assert rank.returncode == 1, err
            last = err.strip().splitlines()[-1]
            assert last.startswith("efa_sdk.errors.FabricError: "), err
            assert said in last
    finally:
        end(ranks)
