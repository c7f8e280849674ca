"""Messages over libfabric: latency, bandwidth and waiting, compared with C on it and with MPI."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import os
import pathlib
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import IO, Any

from .rounds import Run, RunFailed, finish
from .table import Row

TITLE = "Messages over libfabric"
ABOUT = """
Two processes, the serving one pinned to the first processor and the measuring one to the second, on
Debian's libfabric 1.17. Latency is half of the mean round trip over a fixed number of round trips.
fi_pingpong's includes connecting, about 1 % of it. fabric_peer (tools/bench/fabric_peer.c) is our
own C program with the calls of fabtests' fi_rdm_pingpong and fi_rdm_bw, which no registry offers;
its bandwidth has 64 messages in flight, and so has efa-sdk's. MPI is MPICH of PyPI with its own
libfabric, the same shape (mpi_peer.c). Devices of efa are software, on the same two processors.
"""

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = pathlib.Path(__file__).resolve().parent
LIBRARY = "/usr/lib/x86_64-linux-gnu/libfabric.so.1"

#: Round trips: some 0.3 s of each on a quiet machine.
LATENCY = {
    ("shm", 64): 400_000,
    ("shm", 4096): 200_000,
    ("shm", 65_536): 15_000,
    ("shm", 1 << 20): 1_200,
    ("tcp", 64): 15_000,
    ("tcp", 4096): 15_000,
    ("tcp", 65_536): 3_000,
    ("tcp", 1 << 20): 400,
    ("efa", 64): 1_000,
    ("efa", 4096): 1_000,
    ("efa", 65_536): 200,
    ("efa", 1 << 20): 20,
}
BANDWIDTH = {("shm", 1 << 20): 3_200, ("tcp", 1 << 20): 640}
#: Why a goal is not reached, or not decided.
SAME_CALLS = (
    "Both make the same calls of libfabric, and rounds differ by more than the claim: this machine "
    "has several speeds. Next: a machine whose processors are its own."
)
SAME_LOOP = "The same loop runs in both, and rounds differ by more than the claim. Next: the same."
NAPS = "A waiting process wakes 50 times a second. Next: longer naps."
#: Of a point, where there is time.
MOST_ROUNDS = 30
QUICK_COUNT = 64
RUN_LIMIT_S = 60.0
#: Seconds over which a waiting process is watched.
WATCHED_S = 1.0
PINGPONG, PEER, RUST, PYTHON = "fi_pingpong", "fabric_peer", "Rust", "Python"


@dataclasses.dataclass(frozen=True)
class Tools:
    """What is run."""

    probe: str
    peer: str
    #: With MPI; None where no mpich is installed.
    mpi: str | None


def processor(side: int) -> int | None:
    """The processor of the serving (0) or connecting (1) side; None where there is one only."""
    allowed = sorted(os.sched_getaffinity(0))
    return allowed[side] if len(allowed) > 1 else None


class Side:
    """A process that ends when the `with` does, whatever state it is in."""

    def __init__(self, side: int, command: Sequence[str], environment: dict[str, str]) -> None:
        cpu = processor(side)
        pinned = [] if cpu is None else ["taskset", "-c", str(cpu)]
        self.process = subprocess.Popen(
            [*pinned, *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
        )

    def __enter__(self) -> Side:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.communicate()
        # A killed process leaves the memory of its shm endpoints, named by its id.
        for path in pathlib.Path("/dev/shm").glob(f"{self.process.pid}:*"):
            path.unlink(missing_ok=True)

    def first_line(self, end: float) -> str:
        """What it prints first: where it listens."""
        os.set_blocking(_file(self.process.stdout).fileno(), False)
        line = ""
        while time.monotonic() < end and not line.endswith("\n"):
            line += _file(self.process.stdout).readline() or ""
            if self.process.poll() is not None and not line:
                raise RunFailed(f"server: {_file(self.process.stderr).read().strip()[-300:]}")
            time.sleep(0.002)
        os.set_blocking(_file(self.process.stdout).fileno(), True)
        if not line.endswith("\n"):
            raise RunFailed("the server did not begin to listen in time")
        return line.strip()

    def result(self, end: float) -> str:
        try:
            output, errors = self.process.communicate(timeout=max(0.1, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise RunFailed("it did not end in time, and was killed") from None
        if self.process.returncode != 0:
            raise RunFailed(f"status {self.process.returncode}: {errors.strip()[-300:]}")
        return output


def _file(stream: IO[str] | None) -> IO[str]:
    assert stream is not None
    return stream


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_listener(port: int, server: Side, end: float) -> None:
    """Without connecting: fi_pingpong takes the first connection for its peer's."""
    wanted = f":{port:04X}"
    while time.monotonic() < end:
        for table in ("/proc/net/tcp", "/proc/net/tcp6"):
            for line in pathlib.Path(table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[1].endswith(wanted) and fields[3] == "0A":
                    return
        if server.process.poll() is not None:
            break
        time.sleep(0.005)
    raise RunFailed("fi_pingpong did not begin to listen")


# ------------------------------------------------------------------------ the three programs


# ----------------------------------------------------------------------------- the programs


def pingpong_us(output: str, size: int) -> float:
    """Half a round trip, in µs, of the last row of fi_pingpong's table: bytes, sent, ack, total,
    time, MB/sec, usec/xfer, Mxfers/sec.
    """
    rows = [line.split() for line in output.splitlines()]
    rows = [row for row in rows if len(row) == 8 and row[2].startswith("=")]
    if not rows:
        raise RunFailed(f"no row in the output of fi_pingpong: {output.strip()[-300:]!r}")
    mb_per_s, latency_us = float(rows[-1][5]), float(rows[-1][6])
    # Both have two digits after the point, and one is the size over the other: the larger
    # one shows more.
    return size / mb_per_s if mb_per_s > latency_us else latency_us


@dataclasses.dataclass(frozen=True)
class Point:
    """What all programs are to do, and where."""

    provider: str
    size: int
    count: int
    #: Of the software EFA devices, where they are needed.
    host: Any = None

    def side(self, number: int, command: Sequence[str], **environment: str) -> Side:
        environment = {"FI_TCP_IFACE": "lo", **environment}
        if self.host is not None:
            environment |= self.host.environ
            command = self.host.command(list(command))
        return Side(number, command, environment)

    def fi_pingpong(self) -> float:
        common = ["fi_pingpong", "-e", "rdm", "-p", self.provider]
        common += ["-I", str(self.count), "-S", str(self.size)]
        end = time.monotonic() + RUN_LIMIT_S
        port = free_port()
        with self.side(0, [*common, "-B", str(port)]) as server:
            wait_for_listener(port, server, end)
            with self.side(1, [*common, "-P", str(port), "127.0.0.1"]) as client:
                latency_us = pingpong_us(client.result(end), self.size)
            server.result(end)
        return latency_us

    def peer(self, peer: str, what: str) -> float:
        end = time.monotonic() + RUN_LIMIT_S
        port = str(free_port())
        point = [port, self.provider, str(self.size), str(self.count)]
        with self.side(0, [peer, what, "serve", *point]) as server:
            wait_for_listener(int(port), server, end)
            with self.side(1, [peer, what, "connect", *point]) as client:
                value = float(client.result(end))
            server.result(end)
        return value

    def ours(self, what: str, serve: list[str], connect: list[str]) -> float:
        """Latency in µs, or GB/s, of a report that is checked to be of what was asked."""
        given = {"EFA_FABRIC_LIB": LIBRARY, "FABRIC_PROBE_TOKEN": secrets.token_hex(8)}
        end = time.monotonic() + RUN_LIMIT_S
        with self.side(0, serve, **given) as server:
            address = server.first_line(end).rsplit(" ", 1)[-1]
            connect = [part.format(address=address) for part in connect]
            with self.side(1, connect, **given) as client:
                report = json.loads(client.result(end))
            server.result(end)
        row = report["rows"][0]
        if os.path.realpath(report["library_path"]) != os.path.realpath(LIBRARY):
            raise RunFailed(f"measured {report['library_path']}, not {LIBRARY}")
        if row["size"] != self.size or report["provider"].partition(";")[0] != self.provider:
            raise RunFailed(f"measured {row['size']} bytes over {report['provider']}")
        if what == "bandwidth":
            return float(row["bandwidth"]["gb_per_s"])
        if row["latency"]["iterations"] != self.count:
            raise RunFailed(f"measured {row['latency']['iterations']} round trips")
        return float(row["latency"]["mean_us"])

    def rust(self, probe: str, what: str, *more: str) -> float:
        options = ["--sizes", str(self.size), "--iterations", str(self.count), "--json"]
        serve = [probe, "serve", "127.0.0.1:0", "--json"]
        options += ["--only", what, *more]
        return self.ours(what, serve, [probe, "connect", "{address}", self.provider, *options])

    def python(self) -> float:
        this = [sys.executable, "-m", __spec__.name]
        point = [self.provider, str(self.size), str(self.count)]
        connect = [*this, "connect", "{address}", *point]
        return self.ours("latency", [*this, "serve"], connect)

    def mpi(self, program: str, **environment: str) -> float:
        command = [str(pathlib.Path(sys.prefix, "bin/mpiexec")), "-n", "2"]
        if processor(0) is not None:
            command += ["-bind-to", f"user:{processor(1)},{processor(0)}"]
        command += [program, str(self.size), str(self.count)]
        output, _ = finish(
            command, timeout_s=RUN_LIMIT_S, env={**os.environ, "FI_TCP_IFACE": "lo", **environment}
        )
        return float(output)

    def idle_ms(self, probe: str, *more: str) -> float:
        """CPU of a side whose peer stands still in the middle of a measurement, in ms a second."""
        given = {"EFA_FABRIC_LIB": LIBRARY, "FABRIC_PROBE_TOKEN": secrets.token_hex(8)}
        end = time.monotonic() + RUN_LIMIT_S
        with self.side(0, [probe, "serve", "127.0.0.1:0"], **given) as server:
            address = server.first_line(end).rsplit(" ", 1)[-1]
            connect = [probe, "connect", address, self.provider, "--only", "latency", *more]
            connect += ["--sizes", str(self.size), "--budget-ms", "30000"]
            with self.side(1, connect, **given) as client:
                time.sleep(1.0)  # it measures
                os.kill(client.process.pid, signal.SIGSTOP)
                time.sleep(0.5)  # longer than the answering side spins for
                before = cpu_ms(server.process.pid)
                time.sleep(WATCHED_S)
                used = cpu_ms(server.process.pid) - before
                if server.process.poll() is not None:
                    raise RunFailed("the waiting side did not wait")
        return used / WATCHED_S


def cpu_ms(pid: int) -> float:
    """What all threads of a process have run for."""
    return sum(
        int(path.read_text().split()[0]) / 1e6
        for path in pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat")
    )


def serve() -> None:
    from efa_sdk import fabric

    server = fabric.Server(os.environ["FABRIC_PROBE_TOKEN"])
    print("listening on", server.address, flush=True)
    server.serve_one(accept_timeout_s=30, deadline_s=RUN_LIMIT_S)


def connect(address: str, provider: str, size: str, count: str) -> None:
    from efa_sdk import fabric

    options = fabric.ProbeOptions(
        provider,
        sizes=[int(size)],
        bandwidth=False,
        min_iterations=int(count),
        max_iterations=int(count),
        deadline_s=RUN_LIMIT_S,
    )
    print(fabric.connect(address, os.environ["FABRIC_PROBE_TOKEN"], options).to_json())


# --------------------------------------------------------------------------------- building


def build(folder: pathlib.Path, is_quick: bool) -> Tools:
    peer, mpi = folder / "fabric_peer", folder / "mpi_peer"
    flags = ["-O2", "-Wall", "-o"]
    finish(["cc", *flags, str(peer), str(HERE / "fabric_peer.c"), "-lfabric"])
    prefix = pathlib.Path(sys.prefix)
    has_mpi = (prefix / "include/mpi.h").exists()
    if has_mpi:
        library = str(prefix / "lib")
        paths = ["-I", str(prefix / "include"), "-L", library, f"-Wl,-rpath,{library}"]
        finish(["cc", *flags, str(mpi), str(HERE / "mpi_peer.c"), *paths, "-lmpi"])
    return Tools(build_probe(is_quick), str(peer), str(mpi) if has_mpi else None)


def build_probe(is_quick: bool) -> str:
    """The example, with efa-fabric as in the wheel; for a quick run as the tests have built it."""
    built = ROOT / "target/debug/examples/fabric_probe"
    if is_quick and built.exists():
        return str(built)
    command = ["cargo", "build", "--quiet", "--example", "fabric_probe"]
    if not is_quick:
        command += ["--config", "profile.dev.package.efa-fabric.opt-level=3"]
    messages = subprocess.run(
        [*command, "--message-format=json"], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
    ).stdout
    made = [json.loads(line).get("executable") for line in messages.splitlines()]
    return str(next(path for path in reversed(made) if path))


# -------------------------------------------------------------------------------- measuring


def rows(run: Run) -> list[Row]:
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="efa-bench-"))
        tools = build(pathlib.Path(folder), run.quick)
        latency = {key: n for key, n in LATENCY.items() if not run.quick or key[1] == 64}
        bandwidth = {key: n for key, n in BANDWIDTH.items() if not run.quick}
        ends = iter(run.shares(len(latency) + len(bandwidth) + 2 * len(WAITING)))
        made = []
        soft = stack.enter_context(soft_efa())
        for (provider, size), count in latency.items():
            host = soft if provider == "efa" else None
            point = Point(provider, size, QUICK_COUNT if run.quick else count, host)
            made += latency_rows(run, next(ends), point, tools)
        for (provider, size), count in bandwidth.items():
            made.append(bandwidth_row(run, next(ends), Point(provider, size, count), tools))
        for provider, why in WAITING.items():
            point = Point(provider, 64, QUICK_COUNT if run.quick else LATENCY[provider, 64])
            made += waiting_rows(run, (next(ends), next(ends)), point, tools, why)
        return made


@contextlib.contextmanager
def soft_efa() -> Iterator[Any]:
    from efa_sdk.testing import SoftEfa

    with SoftEfa(devices=1) as host:
        yield host


def latency_rows(run: Run, end: float, point: Point, tools: Tools) -> list[Row]:
    values = run.alternate(
        {
            PINGPONG: point.fi_pingpong,
            PEER: functools.partial(point.peer, tools.peer, "latency"),
            RUST: functools.partial(point.rust, tools.probe, "latency"),
            PYTHON: point.python,
        },
        MOST_ROUNDS,
        end=end,
    )
    name = f"one-way latency, {point.provider}, {amount_of(point.size)}"
    peers = {program: values[program] for program in (PINGPONG, PEER)}
    return [
        Row(name, "µs", values[RUST], 1.0, peers=peers, shortfall=SAME_CALLS),
        Row(
            f"{name}, Python to Rust",
            "µs",
            values[PYTHON],
            1.02,
            peers={RUST: values[RUST]},
            shortfall=SAME_LOOP,
        ),
    ]


def bandwidth_row(run: Run, end: float, point: Point, tools: Tools) -> Row:
    programs: dict[str, Callable[[], float]] = {
        PEER: functools.partial(point.peer, tools.peer, "bandwidth"),
        RUST: functools.partial(point.rust, tools.probe, "bandwidth"),
    }
    if tools.mpi is not None:
        providers = pathlib.Path(sys.prefix, "lib/mpich/libfabric")
        over = {"MPIR_CVAR_CH4_NETMOD": "ofi", "MPIR_CVAR_NOLOCAL": "1"}
        over |= {"FI_PROVIDER": point.provider, "FI_PROVIDER_PATH": str(providers)}
        programs["MPI"] = functools.partial(point.mpi, tools.mpi, **over)
        if point.provider == "shm":
            programs["MPI's own shared memory"] = functools.partial(point.mpi, tools.mpi)
    values = run.alternate(programs, MOST_ROUNDS, end=end)
    ours = values.pop(RUST)
    name = f"bandwidth, {point.provider}, {amount_of(point.size)}"
    return Row(name, "GB/s", ours, 1.0, "higher", values, shortfall=SAME_CALLS)


#: By provider, what waiting is there.
WAITING = {
    "tcp": "Naps of up to 20 ms on the rendezvous' socket: a queue to sleep on costs 5 % on 1.17.",
    "shm": "Naps of up to 20 ms on the rendezvous' socket: shm and efa have no queue to sleep on.",
}


def waiting_rows(
    run: Run, ends: tuple[float, float], point: Point, tools: Tools, why: str
) -> list[Row]:
    rust = functools.partial(point.rust, tools.probe, "latency")
    hot = run.alternate(
        {"adaptive": rust, "spin": functools.partial(rust, "--spin")}, 15, end=ends[0]
    )
    idle = run.alternate({"idle": functools.partial(point.idle_ms, tools.probe)}, 5, end=ends[1])
    name = f"waiting, {point.provider}"
    return [
        Row(
            f"{name}, hot, to spinning",
            "µs",
            hot["adaptive"],
            1.05,
            peers={"spin": hot["spin"]},
            shortfall=SAME_LOOP,
        ),
        Row(f"{name}, idle, CPU a second", "ms", idle["idle"], 5.0, note=why, shortfall=NAPS),
    ]


def amount_of(size: int) -> str:
    """Bytes as people write them."""
    for unit, bytes_of in (("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size >= bytes_of:
            return f"{size // bytes_of} {unit}"
    return f"{size} B"


def main(what: str, *arguments: str) -> None:
    calls: Mapping[str, Callable[..., None]] = {"serve": serve, "connect": connect}
    calls[what](*arguments)


if __name__ == "__main__":
    main(*sys.argv[1:])
