"""Probes whose two sides meet through something of the caller's."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from efa_sdk import aio, errors, fabric

QUICK = fabric.ProbeOptions(
    "tcp", sizes=[64, 65536], size_budget_s=0.02, source_address="127.0.0.1", deadline_s=60
)


class Memory:
    """As a Ray actor or a torch store would be."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}
        self.lock = threading.Lock()

    def put(self, key: str, value: bytes) -> None:
        with self.lock:
            assert key not in self.values
            self.values[key] = value

    def take(self, key: str) -> bytes | None:
        with self.lock:
            return self.values.pop(key, None)


def test_through_an_object() -> None:
    memory = Memory()
    with ThreadPoolExecutor() as pool:
        answering = pool.submit(fabric.answer_through, memory, "pair", probe=QUICK)
        report = fabric.measure_through(memory, "pair", QUICK)
        assert answering.result().rows == report.rows
    assert [row.size for row in report.rows] == [64, 65536]
    assert memory.values == {}


def test_as_coroutines(tmp_path: Path) -> None:
    async def both() -> tuple[fabric.ProbeReport, fabric.ProbeReport]:
        answering = aio.fabric.answer_through(tmp_path, "pair", probe=QUICK)
        return await asyncio.gather(answering, aio.fabric.measure_through(tmp_path, "pair", QUICK))

    theirs, mine = asyncio.run(both())
    assert mine.rows == theirs.rows
    assert list(tmp_path.iterdir()) == []


ANSWER = """
import sys
from efa_sdk import fabric
options = fabric.ProbeOptions("tcp", source_address="127.0.0.1")
print(fabric.answer_through(sys.argv[1], "pair", probe=options).rows[0].size)
"""


def test_between_processes(tmp_path: Path) -> None:
    command = [sys.executable, "-c", ANSWER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as answering:
        report = fabric.measure_through(str(tmp_path), "pair", QUICK)
        assert answering.communicate(timeout=60)[0] == "64\n"
    assert answering.returncode == 0
    assert report.role == "connect"


def test_nobody_there(tmp_path: Path) -> None:
    alone = fabric.ProbeOptions("tcp", connect_timeout_s=0.2)
    with pytest.raises(errors.FabricError) as caught:
        fabric.measure_through(tmp_path, "pair", alone)
    assert caught.value.code == "fabric.unreachable"
    with pytest.raises(errors.FabricError) as caught:
        fabric.answer_through(tmp_path, "other", accept_timeout_s=0.2)
    assert caught.value.code == "fabric.unreachable"


class Broken(Memory):
    def put(self, key: str, value: bytes) -> None:
        raise OSError("the store is full")


def test_an_exchange_that_fails() -> None:
    with pytest.raises(errors.FabricError) as caught:
        fabric.measure_through(Broken(), "pair", QUICK)
    assert caught.value.code == "fabric.rendezvous_failed"
    assert "the store is full" in str(caught.value)


@pytest.mark.parametrize("thing", [object(), 3])
def test_what_is_no_exchange(thing: object) -> None:
    with pytest.raises((errors.FabricError, TypeError)):
        fabric.measure_through(thing, "pair", QUICK)  # type: ignore[arg-type]


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(errors.FabricError) as caught:
        fabric.measure_through(tmp_path / "none", "pair", QUICK)
    assert caught.value.code == "fabric.rendezvous_failed"
