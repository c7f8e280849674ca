"""libfabric from Python: what there is, probes in one process and between two, every refusal."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import pathlib
import pickle
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from multiprocessing.queues import Queue
from typing import Any

import pytest
from efa_sdk import aio, errors, fabric

SECOND = os.environ.get("EFA_TEST_LIBFABRIC_2", "")
LIBRARIES = ["", SECOND] if SECOND else [""]
QUICK = {"sizes": [8, 4096, 70_000], "size_budget_s": 0.02, "deadline_s": 60.0}


def load(path: str) -> fabric.Library:
    return fabric.Library(path) if path else fabric.Library()


def refusal(call: object, *arguments: object, **options: object) -> errors.FabricError:
    assert callable(call)
    with pytest.raises(errors.FabricError) as caught:
        call(*arguments, **options)
    assert pickle.loads(pickle.dumps(caught.value)).code == caught.value.code
    return caught.value


def test_what_is_loaded_is_reported() -> None:
    library = fabric.Library()
    assert pathlib.Path(library.path).is_absolute()
    assert pathlib.Path(library.path).exists()
    assert tuple(map(int, library.version.split("."))) >= (1, 17)
    assert library.path in pathlib.Path("/proc/self/maps").read_text()
    providers = library.providers()
    assert {"tcp", "shm"} <= {p.provider.split(";")[0] for p in providers}
    assert all(p.max_message_size > 0 for p in providers if p.endpoint_type == "FI_EP_RDM")
    assert [p.provider for p in fabric.providers()] == [p.provider for p in providers]
    assert all(nic.name for nic in fabric.nics())


@pytest.mark.skipif(not SECOND, reason="EFA_TEST_LIBFABRIC_2 names no second libfabric")
def test_two_libfabrics_in_one_process() -> None:
    first, second = fabric.Library(), fabric.Library(SECOND)
    assert first.version != second.version
    assert second.path == str(pathlib.Path(SECOND))
    assert fabric.loopback(fabric.ProbeOptions("tcp", **QUICK), library=second).library_version == (
        second.version
    )


@pytest.mark.parametrize("path", LIBRARIES)
@pytest.mark.parametrize("provider", ["tcp", "shm"])
@pytest.mark.parametrize("buffers", ["reused", "distinct"])
def test_loopback(path: str, provider: str, buffers: str) -> None:
    library = load(path)
    report = fabric.loopback(
        fabric.ProbeOptions(provider, buffers=buffers, **QUICK), library=library
    )
    assert report.role == "loopback"
    assert report.provider.split(";")[0] == provider
    assert (report.library_path, report.library_version) == (library.path, library.version)
    assert "half of the round trip" in report.statement
    assert report.time_to_first_message_us > 0
    assert [row.size for row in report.rows] == QUICK["sizes"]
    for row in report.rows:
        latency, bandwidth = row.latency, row.bandwidth
        assert latency is not None
        assert bandwidth is not None
        ordered = [latency.min_us, latency.p50_us, latency.p90_us, latency.p99_us, latency.max_us]
        assert ordered[0] > 0
        assert ordered == sorted(ordered)
        assert bandwidth.bytes == bandwidth.messages * row.size
        assert bandwidth.gbit_per_s == pytest.approx(8 * bandwidth.gb_per_s)
        assert 1 <= bandwidth.window <= 64
    assert pickle.loads(pickle.dumps(report)) == report
    assert hash(pickle.loads(pickle.dumps(report))) == hash(report)
    assert "p99" in str(report)


@pytest.mark.parametrize("path", LIBRARIES)
@pytest.mark.parametrize("operation", ["tagged", "write", "write_data", "read"])
def test_operations(path: str, operation: str) -> None:
    options = fabric.ProbeOptions("tcp", operation=operation, wait="spin", **QUICK)
    assert (options.operation, options.direction, options.wait) == (operation, "one_way", "spin")
    assert pickle.loads(pickle.dumps(options)) == options
    report = fabric.loopback(options, library=load(path))
    assert (report.operation, report.direction) == (operation, "one_way")
    assert ("not halved" in report.statement) == (operation in {"write", "read"})
    assert report.endpoint_options == []
    assert all(row.verified and row.latency and row.bandwidth for row in report.rows)


@pytest.mark.parametrize("path", LIBRARIES)
def test_both_directions(path: str) -> None:
    options = fabric.ProbeOptions("tcp", direction="bidirectional", **QUICK)
    report = fabric.loopback(options, library=load(path))
    assert report.direction == "bidirectional"
    for row in report.rows:
        bandwidth = row.bandwidth
        assert bandwidth is not None
        assert bandwidth.warmup_messages > 0
        first, second = bandwidth.sides
        assert bandwidth.messages == first.messages + second.messages
        assert bandwidth.gb_per_s == pytest.approx(first.gb_per_s + second.gb_per_s)
        assert first.gbit_per_s == pytest.approx(8 * first.gb_per_s)
        assert pickle.loads(pickle.dumps(first)) == first
    assert "sum" in str(report)


@pytest.mark.parametrize(
    "change", [{"operation": "send"}, {"direction": "both"}, {"wait": "sleep"}, {"buffers": "x"}]
)
def test_unknown_words_are_refused(change: dict[str, str]) -> None:
    (name,) = change
    with pytest.raises(ValueError, match=f"{name} is '"):
        fabric.ProbeOptions("tcp", **change)


@pytest.mark.skipif(not SECOND, reason="EFA_TEST_LIBFABRIC_2 names no second libfabric")
def test_an_operation_that_a_provider_lacks() -> None:
    options = fabric.ProbeOptions("sm2", operation="write", **QUICK)
    error = refusal(fabric.loopback, options, library=load(SECOND))
    assert error.code == "fabric.unsupported_operation"
    assert error.context["operation"] == "write"
    assert "FI_MSG" in error.context["capabilities"]


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("fabric.bad_size", {"sizes": [0]}),
        ("fabric.bad_size", {"sizes": [(1 << 30) + 1]}),
        ("fabric.invalid_option", {"sizes": []}),
        ("fabric.invalid_option", {"window": 0}),
        ("fabric.invalid_option", {"window": 65}),
        ("fabric.invalid_option", {"latency": False, "bandwidth": False}),
        ("fabric.invalid_option", {"deadline_s": 0}),
    ],
)
def test_bad_options_are_refused_before_anything_is_opened(
    code: str, change: dict[str, object]
) -> None:
    error = refusal(fabric.ProbeOptions, "tcp", **change)
    assert error.code == code
    assert error.context


@pytest.mark.parametrize("seconds", [-1.0, float("nan"), float("inf")])
def test_impossible_times(seconds: float) -> None:
    with pytest.raises(ValueError, match="deadline_s"):
        fabric.ProbeOptions("tcp", deadline_s=seconds)


def test_absent_provider_and_library(tmp_path: pathlib.Path) -> None:
    error = refusal(fabric.loopback, "no-such-provider")
    assert error.code == "fabric.provider_not_found"
    assert "no-such-provider" in str(error)
    assert refusal(fabric.Library, str(tmp_path / "none.so")).code == "fabric.library_not_found"
    text = tmp_path / "text.so"
    text.write_text("not a library")
    assert refusal(fabric.Library, str(text)).code == "fabric.library_invalid"


@pytest.mark.parametrize(
    ("environment", "code"),
    [
        ({"EFA_FABRIC_LIB": "/nowhere/libfabric.so.1"}, "fabric.library_not_found"),
        ({"FI_EFA_MTU_SIZE": "1"}, "fabric.killer_environment"),
        ({"FI_EFA_IFACE": ""}, "fabric.killer_environment"),
    ],
)
def test_an_environment_that_cannot_work_is_an_error_not_an_abort(
    environment: dict[str, str], code: str
) -> None:
    script = (
        "from efa_sdk import errors, fabric\n"
        "try: fabric.loopback('tcp')\n"
        "except errors.FabricError as error: print(error.code, error.cure is not None)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout.split()) == (0, [code, "True"]), done.stderr


def test_shared_memory_of_a_killed_process_with_the_same_id_is_named() -> None:
    """The region as libfabric 1.17 leaves it, and an empty one, which would end the process."""
    script = (
        "import os, pathlib, struct\n"
        "from efa_sdk import errors, fabric\n"
        "pid = os.getpid()\n"
        "stale = pathlib.Path(f'/dev/shm/{pid}:0:0')\n"
        "for size, head in ((1 << 24, struct.pack('<BBHi', 4, 0, 1, pid)), (0, b'')):\n"
        "    stale.write_bytes(head)\n"
        "    os.truncate(stale, size)\n"
        "    os.utime(stale, (1, 1))\n"
        "    try: fabric.loopback('shm')\n"
        "    except errors.FabricError as error:\n"
        "        print(error.code, f'remove {stale}, ' in error.cure, error)\n"
        "    finally: stale.unlink(missing_ok=True)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    *busy, empty = done.stdout.splitlines()
    # 2.x takes the region over.
    if fabric.Library().version.startswith("1.17"):
        (said,) = busy
        assert said.startswith("fabric.call_failed True fi_enable failed: Device or resource busy")
    assert empty.startswith("fabric.call_failed True fi_endpoint was not called: /dev/shm/")


def serve(path: str, token: str, queue: Queue[object]) -> None:
    server = fabric.Server(token)
    queue.put(server.address)
    try:
        report = server.serve_one(accept_timeout_s=30, deadline_s=60, library=load(path))
        queue.put([row.size for row in report.rows])
    except errors.FabricError as error:
        queue.put(error.code)


@pytest.mark.parametrize("here", LIBRARIES)
@pytest.mark.parametrize("there", LIBRARIES)
@pytest.mark.parametrize("provider", ["tcp", "shm"])
def test_two_processes(here: str, there: str, provider: str) -> None:
    spawn = multiprocessing.get_context("spawn")
    queue: Queue[object] = spawn.Queue()
    peer = spawn.Process(target=serve, args=(there, "a secret of tests", queue), daemon=True)
    peer.start()
    try:
        address = queue.get(timeout=30)
        options = fabric.ProbeOptions(provider, **QUICK)
        if provider == "shm" and here != there:
            error = refusal(
                fabric.connect, address, "a secret of tests", options, library=load(here)
            )
            assert error.code == "fabric.version_mismatch"
            assert queue.get(timeout=30) == "fabric.version_mismatch"
            return
        report = fabric.connect(str(address), "a secret of tests", options, library=load(here))
        assert report.role == "connect"
        assert [row.size for row in report.rows] == QUICK["sizes"]
        assert queue.get(timeout=30) == QUICK["sizes"]
    finally:
        peer.kill()
        peer.join()


def test_an_unknown_client_is_refused_and_nobody_is_unreachable() -> None:
    server = fabric.Server("a secret of tests")
    answers: list[str] = []

    def wait() -> None:
        answers.append(refusal(server.serve_one, accept_timeout_s=3).code)

    thread = threading.Thread(target=wait)
    thread.start()
    error = refusal(fabric.connect, server.address, "a guess of the secret", "tcp")
    assert error.code == "fabric.rendezvous_refused"
    thread.join(timeout=60)
    assert answers == ["fabric.deadline"]

    options = fabric.ProbeOptions("tcp", connect_timeout_s=2)
    assert (
        refusal(fabric.connect, "127.0.0.1:1", "a secret of tests", options).code
        == "fabric.unreachable"
    )
    with pytest.raises(ValueError, match="address"):
        fabric.Server("a secret of tests", address="nowhere")


def test_unknown_clients_do_not_end_the_wait_and_the_server_has_a_limit() -> None:
    server = fabric.Server("a secret of tests")
    host, port = server.address.split(":")
    answers: list[object] = []

    def answer(**options: Any) -> None:
        try:
            answers.append(len(server.serve_one(accept_timeout_s=30, **options).rows))
        except errors.FabricError as error:
            answers.append(error.code)

    def ask(options: fabric.ProbeOptions, **limits: Any) -> fabric.ProbeReport:
        thread = threading.Thread(target=answer, kwargs=limits)
        thread.start()
        for _ in range(3):  # a port scan: connected, and reset at once
            with socket.create_connection((host, int(port))) as unknown:
                unknown.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        try:
            return fabric.connect(server.address, "a secret of tests", options)
        finally:
            thread.join(timeout=60)

    many = fabric.ProbeOptions("shm", sizes=list(range(1, 257)), size_budget_s=0.001)
    assert len(ask(many).rows) == 256
    large = fabric.ProbeOptions("shm", sizes=[1 << 20], size_budget_s=0.01)
    assert refusal(ask, large, max_size=65536).code == "fabric.bad_size"
    assert answers == [256, "fabric.bad_size"]


def test_a_handler_that_is_installed_meanwhile_stays() -> None:
    caught: list[int] = []
    done = threading.Event()

    def load() -> None:
        while not done.is_set():
            fabric.providers()

    thread = threading.Thread(target=load)
    thread.start()
    before = signal.signal(signal.SIGUSR1, lambda number, _: caught.append(number))
    try:
        for _ in range(20):
            time.sleep(0.01)
            os.kill(os.getpid(), signal.SIGUSR1)
    finally:
        done.set()
        thread.join()
        signal.signal(signal.SIGUSR1, before)
    assert caught == [signal.SIGUSR1] * 20


@pytest.mark.parametrize("seconds", [1e12, 1e19])
def test_times_beyond_the_clock(seconds: float) -> None:
    options = fabric.ProbeOptions(
        "tcp", sizes=[64], max_iterations=20, size_budget_s=seconds, deadline_s=seconds
    )
    assert fabric.loopback(options).rows[0].latency is not None


def test_a_peer_that_dies_is_an_error_within_the_deadline() -> None:
    spawn = multiprocessing.get_context("spawn")
    queue: Queue[object] = spawn.Queue()
    peer = spawn.Process(target=serve, args=("", "a secret of tests", queue), daemon=True)
    peer.start()
    address = str(queue.get(timeout=30))
    killer = threading.Timer(1.5, peer.kill)
    killer.start()
    options = fabric.ProbeOptions("tcp", sizes=[64], size_budget_s=20, deadline_s=40)
    error = refusal(fabric.connect, address, "a secret of tests", options)
    killer.join()
    peer.join()
    assert error.code in {"fabric.unreachable", "fabric.peer_failed", "fabric.call_failed"}


async def test_coroutines_leave_the_loop_alone_and_can_be_cancelled() -> None:
    options = fabric.ProbeOptions("tcp", **QUICK)
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0.001)

    ticking = asyncio.create_task(tick())
    report = await aio.fabric.loopback(options)
    assert len(report.rows) == 3
    assert ticks > 5

    server = fabric.Server("a secret of tests")
    served, measured = await asyncio.gather(
        aio.fabric.serve_one(server, accept_timeout_s=30),
        aio.fabric.connect(server.address, "a secret of tests", options),
    )
    assert served.rows == measured.rows

    endless = fabric.ProbeOptions("tcp", sizes=[64], size_budget_s=50, deadline_s=55)
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(aio.fabric.loopback(endless), timeout=0.5)
    ticking.cancel()


@pytest.mark.parametrize("path", LIBRARIES)
@pytest.mark.parametrize("provider", ["tcp", "shm"])
def test_ctrl_c_stops_a_probe(path: str, provider: str) -> None:
    # Debian's libfabric brings a library that takes SIGINT and exits the process at it.
    script = (
        "import sys\n"
        "from efa_sdk import fabric\n"
        "library = fabric.Library(*filter(None, sys.argv[2:]))\n"
        "options = fabric.ProbeOptions(\n"
        "    sys.argv[1], sizes=[65536], size_budget_s=50, max_iterations=10_000_000)\n"
        "print('ready', flush=True)\n"
        "try: fabric.loopback(options, library=library)\n"
        "except KeyboardInterrupt: print('stopped')\n"
    )
    command = [sys.executable, "-c", script, provider, path]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline().strip() == "ready"
    time.sleep(1)
    child.send_signal(signal.SIGINT)
    printed, _ = child.communicate(timeout=30)
    assert (printed.strip(), child.returncode) == ("stopped", 0)


def test_the_gil_is_free_during_a_probe() -> None:
    counted = 0
    done = threading.Event()

    def count() -> None:
        nonlocal counted
        while not done.is_set():
            counted += 1
            time.sleep(0.0005)

    thread = threading.Thread(target=count)
    thread.start()
    fabric.loopback(fabric.ProbeOptions("tcp", sizes=[64], size_budget_s=0.3))
    done.set()
    thread.join()
    assert counted > 10
