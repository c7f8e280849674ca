"""Surveys through a torch store: the logic with stores of ours, and torch itself where it is."""

from __future__ import annotations

import datetime
import os
import re
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import efa_sdk
import efa_sdk.torch
import pytest
from efa_sdk import errors
from efa_sdk.survey import SurveyProgress, SurveyReport

QUICK = {
    "provider": "tcp",
    "source_address": "127.0.0.1",
    "message_bytes": 65536,
    "test_budget_s": 0.02,
}


class OldStore:
    """As torch 1.13: no check; wait raises RuntimeError; keys stay when delete_key cannot."""

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


class NewStore(OldStore):
    """As torch 2: check and delete_key."""

    def check(self, keys: list[str]) -> bool:
        with self.changed:
            return all(key in self.values for key in keys)

    def delete_key(self, key: str) -> bool:
        with self.changed:
            return self.values.pop(key, None) is not None


def run_ranks(
    store: OldStore, ranks: list[int], size: int, **options: object
) -> list[SurveyReport]:
    def one(rank: int) -> SurveyReport:
        return efa_sdk.torch.survey(
            store=store, rank=rank, world_size=size, name="test", **{**QUICK, **options}
        )  # type: ignore[arg-type]

    with ThreadPoolExecutor(len(ranks)) as pool:
        return list(pool.map(one, ranks))


def test_the_progress_is_that_of_rank_0(capfd: pytest.CaptureFixture[str]) -> None:
    told: list[SurveyProgress] = []
    run_ranks(NewStore(), [0, 1, 2], 3, progress=told.append)
    assert [state.rounds for state in told] == list(range(1, len(told) + 1))
    assert told[-1].pairs == 3
    run_ranks(NewStore(), [0, 1], 2)
    assert capfd.readouterr().err == ""  # standard error is no terminal
    run_ranks(NewStore(), [0, 1], 2, progress=True, round_deadline_s=120)
    assert re.fullmatch(r"round 1 of 1, 1 pairs, \d+ s\n", capfd.readouterr().err)


@pytest.mark.parametrize("kind", [OldStore, NewStore])
def test_every_rank_gets_the_report(kind: type[OldStore]) -> None:
    reports = run_ranks(kind(), [0, 1, 2, 3], 4)
    assert all(report == reports[0] for report in reports)
    assert reports[0].healthy, reports[0]
    assert reports[0].measurements == 6


def test_a_store_that_deletes_is_left_empty() -> None:
    store = NewStore()
    run_ranks(store, [0, 1], 2)
    assert store.values == {}


def test_per_node_only_the_first_of_each_node_measures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    reports = run_ranks(NewStore(), [0, 1, 2, 3], 4)
    assert all(report == reports[0] for report in reports)
    assert len(reports[0].nodes) == 2
    assert reports[0].measurements == 1


def test_one_node_measures_per_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    reports = run_ranks(NewStore(), [0, 1], 2)
    assert reports[0].measurements == 1


def test_a_rank_that_never_comes_is_a_finding() -> None:
    reports = run_ranks(NewStore(), [0, 1], 3, join_deadline_s=3.0, round_deadline_s=20.0)
    assert reports[0] == reports[1]
    assert reports[0].unreachable_nodes == ["rank 2"]


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


RANK = """
import efa_sdk
report = efa_sdk.torch.survey(
    provider="tcp", source_address="127.0.0.1", message_bytes=65536, test_budget_s=0.02)
print(report.measurements, report.healthy)
"""


def test_torch_itself() -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    assert torch.distributed.is_available()
    common = {**os.environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29517", "WORLD_SIZE": "4"}
    ranks = [
        subprocess.Popen(
            [sys.executable, "-c", RANK],
            env={**common, "RANK": str(rank), "LOCAL_WORLD_SIZE": "4"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(4)
    ]
    for rank in ranks:
        out, err = rank.communicate(timeout=180)
        assert (rank.returncode, out) == (0, "6 True\n"), err
