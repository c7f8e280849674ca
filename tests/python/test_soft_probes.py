"""Probes on software EFA devices: the real efa provider, both libfabrics, every operation.

The table at the end of the run states which cells ran, with every byte compared.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from efa_sdk.testing import SoftEfa

PROBES = [sys.executable, str(Path(__file__).with_name("soft_probes.py"))]
SECOND = os.environ.get("EFA_TEST_LIBFABRIC_2", "")
OLD, NEW = "1.17", "2.5"
LIBRARIES = {OLD: "system", **({NEW: SECOND} if SECOND else {})}
#: What can be asked for: a library and a fabric of it.
FABRICS = [(OLD, "efa"), *([(NEW, "efa"), (NEW, "efa-direct")] if SECOND else [])]
OPERATIONS = ["message", "tagged", "write", "write_data", "read"]
LIMIT_S = 240
Cells = dict[tuple[str, ...], str]
#: No more work than it takes to go every way: the measuring is tested on other providers.
SHORT = {
    "window": 4,
    "min_iterations": 4,
    "max_iterations": 4,
    "size_budget_s": 0.001,
    "deadline_s": 120.0,
    "connect_timeout_s": 60.0,
}
needs_second = pytest.mark.skipif(
    not SECOND, reason="EFA_TEST_LIBFABRIC_2 names no second libfabric"
)


def sizes_of(fabric_name: str, operation: str) -> list[int]:
    """Every protocol of the provider; messages of efa-direct end at the MTU."""
    return (
        [1, 8192] if (fabric_name, operation) == ("efa-direct", "message") else [1, 9000, 1 << 20]
    )


def has(fabric_name: str, operation: str) -> bool:
    return (fabric_name, operation) != ("efa-direct", "tagged")


def start(
    host: SoftEfa, *arguments: str, cases: list[dict[str, Any]], **options: Any
) -> subprocess.Popen[str]:
    environ = {**options.pop("base", os.environ | host.environ), **options.pop("env", {})}
    # Peers that do not answer are given up early, and what is lost is soon sent again.
    environ.setdefault("SOFT_EFA_TIMEOUT_MS", "1500")
    environ.setdefault("SOFT_EFA_RTO_MS", "4")
    program = subprocess.Popen(
        host.command([*options.pop("before", []), *PROBES, *arguments]),
        env=environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )
    assert program.stdin is not None
    program.stdin.write(json.dumps(cases))
    program.stdin.close()
    program.stdin = None
    return program


def results(program: subprocess.Popen[str]) -> list[dict[str, Any]]:
    out, err = program.communicate(timeout=LIMIT_S)
    assert program.returncode == 0, (program.returncode, err[-2000:], out[-2000:])
    return [json.loads(line) for line in out.splitlines()]


def layout(cells: Cells) -> str:
    """A row for each way, a column for each operation."""
    ways = sorted({key[:-1] for key in cells})
    lines = [
        f"{'libfabric':<11} {'fabric':<11} {'between':<14} {'network':<17} {'direction':<14} "
        f"{'buffers':<9}" + "".join(f"{op:>12}" for op in OPERATIONS)
    ]
    for library, fabric_name, between, network, direction, buffers in ways:
        way = (library, fabric_name, between, network, direction, buffers)
        found = "".join(f"{cells.get((*way, op), '-'):>12}" for op in OPERATIONS)
        lines.append(
            f"{library:<11} {fabric_name:<11} {between:<14} {network:<17} {direction:<14} "
            f"{buffers:<9}{found}"
        )
    bad = sum(cell != "ok" for cell in cells.values())
    lines.append(f"{len(cells)} cells, {bad} not ok; -: the fabric has no such operation")
    return "\n".join(lines)


Take = Callable[[str, Callable[[Cells], str], Cells], None]


def record(take: Take, cells: Cells) -> None:
    take("the efa provider on software devices: bytes compared", layout, cells)
    assert {key: cell for key, cell in cells.items() if cell != "ok"} == {}


def cell(found: dict[str, Any], sizes: list[int]) -> str:
    if "code" in found:
        return str(found["code"])
    return "ok" if found["verified"] and found["sizes"] == sizes else f"only {found['sizes']}"


NETWORKS: dict[str, dict[str, float]] = {
    "clean": {},
    "reorder 30 %": {"reorder": 0.3},
    "loss 2 %": {"loss": 0.02},
}


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize(("library", "name"), FABRICS)
def test_every_operation_carries_every_byte(
    library: str, name: str, network: str, lay_out_at_end: Take
) -> None:
    ways = [
        way
        for way in itertools.product(
            OPERATIONS, ["one_way", "bidirectional"], ["reused", "distinct"]
        )
        if has(name, way[0])
    ]
    cases = [
        {
            "fabric": name,
            "operation": operation,
            "direction": direction,
            "buffers": buffers,
            "sizes": sizes_of(name, operation),
            **SHORT,
        }
        for operation, direction, buffers in ways
    ]
    # Shared memory is not switched off from outside: the probe does that.
    with SoftEfa(
        devices=1,
        libfabric=LIBRARIES[library],
        faults={"all": NETWORKS[network]},
        shared_memory=True,
    ) as host:
        found = results(start(host, "loopback", cases=cases))
        counters = host.counters()
    assert len(found) == len(cases)
    record(
        lay_out_at_end,
        {
            (library, name, "one process", network, direction, buffers, operation): cell(
                result, sizes_of(name, operation)
            )
            for (operation, direction, buffers), result in zip(ways, found, strict=True)
        },
    )
    # All of it went through the device, and it had the fault.
    assert {result["fabric"] for result in found} == {name}
    assert {result["shared_memory"] for result in found} <= {"disabled", "not_applicable"}
    assert counters["tx_bytes"] > sum(result["bytes"] for result in found)
    assert (counters["retrans_pkts"] > 0) or network != "loss 2 %"


@needs_second
@pytest.mark.parametrize("shared_memory", [False, True])
@pytest.mark.parametrize(
    ("client", "server"), [(OLD, OLD), (NEW, NEW), (OLD, NEW), (NEW, OLD)], ids=str
)
def test_two_processes_and_two_versions(
    client: str, server: str, shared_memory: bool, lay_out_at_end: Take
) -> None:
    operations = [*OPERATIONS, "message", "write_data"]
    ways = ["one_way"] * len(OPERATIONS) + ["bidirectional"] * 2
    cases = [
        {"operation": operation, "direction": way, "sizes": sizes_of("efa", operation), **SHORT}
        for operation, way in zip(operations, ways, strict=True)
    ]
    # The second pass is on one host: there the provider would take shared memory.
    address = "127.0.0.5" if shared_memory else "127.0.0.6"
    with (
        SoftEfa(
            devices=1,
            address="127.0.0.5",
            libfabric=LIBRARIES[client],
            shared_memory=shared_memory,
        ) as one,
        SoftEfa(
            devices=1, address=address, libfabric=LIBRARIES[server], shared_memory=shared_memory
        ) as second,
    ):
        # Two devices of one address would be one: the host is the same then.
        other = second if address != "127.0.0.5" else one
        base = os.environ | second.environ | {"SYSFS_PATH": other.environ["SYSFS_PATH"]}
        serving = [{"accept_timeout_s": 60.0, "deadline_s": 120.0}] * len(cases)
        answering = start(other, "serve", "127.0.0.1", cases=serving, base=base)
        try:
            assert answering.stdout is not None
            there = answering.stdout.readline().strip()
            found = results(start(one, "connect", there, cases=cases))
            answered = results(answering)
        finally:
            answering.kill()
            answering.wait()
        counters = one.counters()
    between = "one host" if shared_memory else "two hosts"
    record(
        lay_out_at_end,
        {
            (f"{client}, {server}", "efa", between, "clean", way, "reused", operation): cell(
                result, sizes_of("efa", operation)
            )
            for operation, way, result in zip(operations, ways, found, strict=True)
        },
    )
    assert [result["library"] for result in found] == [client] * len(found)
    assert [result["library"] for result in answered] == [server] * len(answered)
    assert {result["shared_memory"] for result in [*found, *answered]} == {"disabled"}
    assert counters["tx_bytes"] > sum(result["bytes"] for result in found) / 2


@needs_second
@pytest.mark.parametrize("without", [["unsolicited"], ["read", "write", "unsolicited"]], ids=str)
def test_devices_that_lack_a_capability(without: list[str]) -> None:
    """Native where the device can, emulated on efa where not, refused with the reason otherwise."""
    operations = ["write", "read", "write_data"]
    for library, name in FABRICS:
        cases = [
            {"fabric": name, "operation": operation, "sizes": [64, 9000], **SHORT}
            for operation in operations
        ]
        with SoftEfa(devices=1, libfabric=LIBRARIES[library], without=without) as host:
            found = results(start(host, "loopback", cases=cases))
        if name == "efa" or "read" not in without:
            assert [result.get("verified") for result in found] == [True] * 3, (library, found)
            continue
        for operation, result in zip(operations, found, strict=True):
            assert result["code"] == "fabric.unsupported_operation"
            assert f"has no operation {operation} here: it lacks FI_" in result["message"]
            # It names nothing as lacking that it reports to have.
            lacks, has_ = result["message"].split(" lacks ")[1].split(": it has ")
            named = set(lacks.split(", "))
            assert not named & {"FI_SEND", "FI_RECV", *has_.split(";")[0].split(", ")}, result


# Latency.


def switches(process: subprocess.Popen[str]) -> dict[str, tuple[int, int]]:
    """How often each thread gave up the processor: of itself, as in a sleep, and not."""
    found = {}
    for thread in Path(f"/proc/{process.pid}/task").iterdir():
        lines = (thread / "status").read_text().splitlines()[-2:]
        found[thread.name] = (int(lines[0].split()[1]), int(lines[1].split()[1]))
    return found


@pytest.mark.parametrize("library", LIBRARIES)
def test_the_server_does_not_sleep_under_writes(library: str) -> None:
    """Emulated writes need its processor: one that sleeps does so all the time, since it sees none
    of them."""
    case = {**LONG, "operation": "write", "bandwidth": False}
    seen = []
    with SoftEfa(
        devices=1, libfabric=LIBRARIES[library], without=["read", "write", "unsolicited"]
    ) as host:
        programs = [start(host, "serve", "127.0.0.1", cases=[{"deadline_s": 90.0}])]
        try:
            (server,) = programs
            assert server.stdout is not None
            there = server.stdout.readline().strip()
            programs.append(start(host, "connect", there, cases=[case]))
            for writes in range(500, 1501, 250):
                while host.counters()["recv_wrs"] < writes and programs[1].poll() is None:
                    time.sleep(0.005)
                seen.append((host.counters()["recv_wrs"], switches(server)))
            assert programs[1].poll() is None, results(programs[1])
        finally:
            for program in programs:
                program.kill()
                program.wait()
    (_, first), *_, (_, last) = seen
    # The thread that polls is the one that is interrupted.
    polls = max(first, key=lambda thread: last[thread][1] - first[thread][1])
    shares = [
        (after[polls][0] - before[polls][0]) / (more - some)
        for (some, before), (more, after) in itertools.pairwise(seen)
    ]
    assert min(shares) < 0.1, shares


@needs_second
def test_default_sizes_fit_efa_direct() -> None:
    with SoftEfa(devices=1, libfabric=SECOND) as host:
        found = results(
            start(
                host,
                "loopback",
                cases=[
                    {"fabric": "efa-direct", "size_budget_s": 0.01},
                    {"fabric": "efa-direct", "sizes": [64, 1 << 20]},
                ],
            )
        )
    assert found[0]["sizes"] == [64, 4096, 8192]
    assert found[0]["verified"]
    assert found[1]["code"] == "fabric.bad_size"
    assert found[1]["context"]["fabric"] == "efa-direct"
    assert "(fabric efa-direct)" in found[1]["message"]


# Faults.


class Fault:
    """What happens to a probe between two hosts, and what both sides are to report of it."""

    def __init__(
        self,
        code: str,
        cure: str,
        *,
        during: Callable[[SoftEfa, SoftEfa, subprocess.Popen[str]], None] | None = None,
        before: dict[str, float] | None = None,
        case: dict[str, Any] | None = None,
        env: dict[str, str] | None = None,
        memlock: int | None = None,
    ) -> None:
        self.code, self.cure = code, cure
        self.during, self.before = during, before or {}
        self.case, self.env, self.memlock = case or {}, env or {}, memlock


SECURITY_GROUP = "security group"
ANSWERED_BEFORE = "the peer answered before"
LONG = {"sizes": [64], "size_budget_s": 60.0, "deadline_s": 90.0, "connect_timeout_s": 60.0}
FAULTS = {
    "never answered": Fault("fabric.unreachable", SECURITY_GROUP, before={"dead": 1}),
    "dies": Fault(
        "fabric.unreachable", ANSWERED_BEFORE, during=lambda one, other, peer: other.fault(dead=1)
    ),
    "own link": Fault(
        "fabric.unreachable", ANSWERED_BEFORE, during=lambda one, other, peer: one.fault(down=1)
    ),
    "its link": Fault(
        "fabric.unreachable", ANSWERED_BEFORE, during=lambda one, other, peer: other.fault(down=1)
    ),
    "process killed": Fault(
        "fabric.unreachable",
        "process is still running",
        during=lambda one, other, peer: peer.kill(),
    ),
    "stall": Fault(
        "fabric.deadline",
        "more time would not help",
        during=lambda one, other, peer: other.fault(rnr=1),
        case={"deadline_s": 8.0},
    ),
    "locked memory": Fault(
        "fabric.call_failed",
        "ulimit -l",
        env={"SOFT_EFA_MEMLOCK": "1"},
        memlock=1 << 16,
        case={"sizes": [4096], "buffers": "distinct", "size_budget_s": 0.01, "latency": False},
    ),
}


def suffer(fault: Fault, library: str, name: str) -> dict[str, Any]:
    """The client's result of a probe that meets the fault."""
    path, place = LIBRARIES[library], FABRICS.index((library, name))
    limit = [] if fault.memlock is None else ["prlimit", f"--memlock={fault.memlock}"]
    with (
        SoftEfa(devices=1, address=f"127.0.1.{place}", libfabric=path) as one,
        SoftEfa(
            devices=1, address=f"127.0.2.{place}", libfabric=path, faults={0: fault.before}
        ) as other,
    ):
        serving = [{"accept_timeout_s": 60.0, "deadline_s": 90.0}]
        peer = start(other, "serve", "127.0.0.1", cases=serving)
        try:
            assert peer.stdout is not None
            there = peer.stdout.readline().strip()
            case = {"fabric": name, **LONG, **fault.case}
            client = start(one, "connect", there, cases=[case], env=fault.env, before=limit)
            if fault.during is not None:
                # Many messages: handshakes are over, and latency is being measured.
                while other.counters()["recv_wrs"] < 200 and client.poll() is None:
                    time.sleep(0.005)
                fault.during(one, other, peer)
            (found,) = results(client)
        finally:
            peer.kill()
            peer.wait()
    return found


@pytest.mark.parametrize("what", FAULTS)
def test_a_fault_has_one_code_and_cure_on_every_libfabric(what: str) -> None:
    fault = FAULTS[what]
    cures = set()
    with ThreadPoolExecutor() as threads:
        all_found = list(threads.map(lambda one: suffer(fault, *one), FABRICS))
    for (library, name), found in zip(FABRICS, all_found, strict=True):
        assert found.get("code") == fault.code, (library, name, found)
        assert fault.cure in (found["cure"] or ""), (library, name, found)
        assert (SECURITY_GROUP in found["cure"]) == (fault.cure == SECURITY_GROUP), found
        cures.add(found["cure"])
    assert len(cures) == 1, cures


def test_an_event_of_1_17_with_a_negative_number_has_its_cause() -> None:
    """Memory that is lacking after the endpoint is open is reported on the event queue."""
    case = {"sizes": [4096], "size_budget_s": 0.01, "latency": False}
    fault = Fault("", "", env={"SOFT_EFA_MEMLOCK": "1"}, memlock=1 << 19, case=case)
    found = suffer(fault, OLD, "efa")
    assert found["code"] == "fabric.call_failed", found
    assert found["message"].startswith("provider with "), found
    assert "failed: Cannot allocate memory" in found["message"], found
    assert "ulimit -l" in found["cure"], found
    assert found["context"]["fi_errno"] == "12", found


def test_a_stopped_server_is_not_a_lack_of_time() -> None:
    """Its device stops with it here; hardware would keep answering, and the deadline pass."""
    fault = Fault(
        "",
        "",
        during=lambda one, other, peer: peer.send_signal(signal.SIGSTOP),
        case={"deadline_s": 20.0},
    )
    found = suffer(fault, OLD, "efa")
    assert found["code"] in ("fabric.unreachable", "fabric.deadline")
    assert "more time or less" not in found["cure"], found
