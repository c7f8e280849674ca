"""Compares efa-fabric, from Rust and from Python, with C's fi_pingpong on the same libfabric.

A round runs the three programs once each, in random order, in two processes pinned to one
processor each, with the same number of round trips. Ratios are taken within a round; what is
printed is their median over all rounds. `make bench-fabric` runs it, `--write` puts the table
into docs/bench-fabric.md.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import datetime
import json
import os
import pathlib
import platform
import random
import re
import secrets
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from typing import IO, Any

ROOT = pathlib.Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "docs" / "bench-fabric.md"
BEGIN, END = "<!-- table: make bench-fabric -->", "<!-- end of table -->"
DEBIAN_LIBRARY = "/usr/lib/x86_64-linux-gnu/libfabric.so.1"

C, RUST, PYTHON = "fi_pingpong", "Rust", "Python"
PROGRAMS = (C, RUST, PYTHON)
# Round trips: about a second of each, so that connecting, which fi_pingpong's mean includes
# (5 to 8 ms over tcp;ofi_rxm), stays near or below 1 %.
ITERATIONS = {
    ("tcp", 64): 20_000,
    ("tcp", 4096): 20_000,
    ("tcp", 65_536): 5_000,
    ("tcp", 1 << 20): 1_000,
    ("shm", 64): 1_000_000,
    ("shm", 4096): 1_000_000,
    ("shm", 65_536): 30_000,
    ("shm", 1 << 20): 2_500,
}
QUICK = {("tcp", 64): 500, ("shm", 64): 500}
RUN_LIMIT_S = 60.0


class RunFailed(Exception):
    """One program did not give a result."""


@dataclasses.dataclass(frozen=True)
class Run:
    """One program once: mean half round trip in us, and 10^9 bytes per second."""

    latency_us: float
    gb_per_s: float


@dataclasses.dataclass(frozen=True)
class Point:
    """One provider and size."""

    provider: str
    size: int
    iterations: int
    runs: dict[str, list[Run | None]]

    def failures(self, program: str) -> int:
        return sum(run is None for run in self.runs[program])

    def values(self, program: str, field: str) -> list[float]:
        return [getattr(run, field) for run in self.runs[program] if run is not None]

    def ratio(self, above: str, below: str, field: str) -> float | None:
        """Median of the ratios of the rounds in which both programs gave a result."""
        pairs = zip(self.runs[above], self.runs[below], strict=True)
        ratios = [getattr(a, field) / getattr(b, field) for a, b in pairs if a and b]
        return statistics.median(ratios) if ratios else None


# ------------------------------------------------------------------------- child processes


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


def pingpong_result(output: str, size: int) -> Run:
    """The last row of fi_pingpong's table: bytes, sent, ack, total, time, MB/sec, usec/xfer."""
    rows = [line.split() for line in output.splitlines()]
    rows = [row for row in rows if len(row) == 8 and row[2].startswith("=")]
    if not rows:
        raise RunFailed(f"no row in the output of fi_pingpong: {output.strip()[-300:]!r}")
    mb_per_s, latency_us = float(rows[-1][5]), float(rows[-1][6])
    # Both have two digits after the point, and one is the size over the other: the larger
    # one says more.
    if mb_per_s > latency_us:
        latency_us = size / mb_per_s
    return Run(latency_us, size / latency_us / 1000)


def run_pingpong(provider: str, size: int, iterations: int, library: str) -> Run:
    # fi_pingpong is linked with libfabric.so.1: the directory of the library to measure.
    environment = {"FI_TCP_IFACE": "lo"}
    if library != DEBIAN_LIBRARY:
        environment["LD_LIBRARY_PATH"] = str(pathlib.Path(library).parent)
    common = ["fi_pingpong", "-e", "rdm", "-p", provider, "-I", str(iterations), "-S", str(size)]
    end = time.monotonic() + RUN_LIMIT_S
    port = free_port()
    with Side(0, [*common, "-B", str(port)], environment) as server:
        wait_for_listener(port, server, end)
        with Side(1, [*common, "-P", str(port), "127.0.0.1"], environment) as client:
            run = pingpong_result(client.result(end), size)
        server.result(end)
    return run


def report_result(output: str, size: int, iterations: int, library: str) -> Run:
    """A report of efa-fabric as JSON, checked to be of what was asked."""
    report = json.loads(output)
    row = report["rows"][0]
    if os.path.realpath(report["library_path"]) != os.path.realpath(library):
        raise RunFailed(f"measured {report['library_path']}, not {library}")
    if (row["size"], row["latency"]["iterations"]) != (size, iterations):
        raise RunFailed(f"measured {row['latency']['iterations']} of {row['size']} bytes")
    return Run(row["latency"]["mean_us"], row["bandwidth"]["gb_per_s"])


def run_ours(serve: list[str], connect: list[str], size: int, iterations: int, library: str) -> Run:
    environment = {"EFA_FABRIC_LIB": library, "FABRIC_PROBE_TOKEN": secrets.token_hex(8)}
    environment["FI_TCP_IFACE"] = "lo"
    end = time.monotonic() + RUN_LIMIT_S
    with Side(0, serve, environment) as server:
        address = server.first_line(end).rsplit(" ", 1)[-1]
        with Side(1, [part.format(address=address) for part in connect], environment) as client:
            run = report_result(client.result(end), size, iterations, library)
        server.result(end)
    return run


def run_rust(probe: str, provider: str, size: int, iterations: int, library: str) -> Run:
    options = ["--sizes", str(size), "--iterations", str(iterations), "--json"]
    serve = [probe, "serve", "127.0.0.1:0", "--json"]
    return run_ours(
        serve, [probe, "connect", "{address}", provider, *options], size, iterations, library
    )


def run_python(provider: str, size: int, iterations: int, library: str) -> Run:
    this = [sys.executable, str(pathlib.Path(__file__).resolve())]
    serve = [*this, "--serve"]
    connect = [*this, "--connect", "{address}", provider, str(size), str(iterations)]
    return run_ours(serve, connect, size, iterations, library)


def python_serve() -> None:
    from efa_sdk import fabric

    server = fabric.Server(os.environ["FABRIC_PROBE_TOKEN"])
    print("listening on", server.address, flush=True)
    server.serve_one(accept_timeout_s=30, deadline_s=RUN_LIMIT_S)


def python_connect(address: str, provider: str, size: str, iterations: str) -> None:
    from efa_sdk import fabric

    options = fabric.ProbeOptions(
        provider,
        sizes=[int(size)],
        min_iterations=int(iterations),
        max_iterations=int(iterations),
        deadline_s=RUN_LIMIT_S,
    )
    print(fabric.connect(address, os.environ["FABRIC_PROBE_TOKEN"], options).to_json())


# --------------------------------------------------------------------------------- measuring


def measure(
    points: dict[tuple[str, int], int], rounds: int, probe: str, library: str, seed: int
) -> Iterator[Point]:
    order = random.Random(seed)
    for (provider, size), iterations in points.items():
        point = Point(provider, size, iterations, {program: [] for program in PROGRAMS})
        for turn in range(rounds):
            for program in order.sample(PROGRAMS, len(PROGRAMS)):
                try:
                    if program == C:
                        run = run_pingpong(provider, size, iterations, library)
                    elif program == RUST:
                        run = run_rust(probe, provider, size, iterations, library)
                    else:
                        run = run_python(provider, size, iterations, library)
                    point.runs[program].append(run)
                    said = f"{run.latency_us:.2f} us {run.gb_per_s:.3f} GB/s"
                except RunFailed as error:
                    point.runs[program].append(None)
                    said = f"FAILED: {error}"
                print(f"{provider} {size} round {turn + 1} {program}: {said}", file=sys.stderr)
        yield point


# ---------------------------------------------------------------------------------- printing


def table(points: Sequence[Point]) -> str:
    lines = [
        "| provider | bytes | round trips | fi_pingpong µs | Rust µs | Python µs "
        "| Rust / C | Python / C | Python / Rust | fi_pingpong GB/s | Rust GB/s | Python GB/s "
        "| bandwidth Rust / C | failed runs |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---|",
    ]
    for point in points:
        cells = [point.provider, f"{point.size}", f"{point.iterations}"]
        cells += [spread(point.values(program, "latency_us"), min) for program in PROGRAMS]
        for above, below in ((RUST, C), (PYTHON, C), (PYTHON, RUST)):
            cells.append(number(point.ratio(above, below, "latency_us")))
        cells += [spread(point.values(program, "gb_per_s"), max) for program in PROGRAMS]
        cells.append(number(point.ratio(RUST, C, "gb_per_s")))
        failed = [f"{p} {point.failures(p)}" for p in PROGRAMS if point.failures(p)]
        cells.append(", ".join(failed) or "0")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def spread(values: list[float], best: Any) -> str:
    """Best and median."""
    if not values:
        return "-"
    return f"{best(values):.3g} / {statistics.median(values):.3g}"


def number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def missed(points: Sequence[Point]) -> list[str]:
    """What is not as expected: as fast as C, Python within 2 % of Rust."""
    lines = []
    for point in points:
        name = f"{point.provider} {point.size} B"
        for above, below, limit in ((RUST, C, 1.0), (PYTHON, C, 1.0), (PYTHON, RUST, 1.02)):
            ratio = point.ratio(above, below, "latency_us")
            if ratio is None:
                lines.append(f"{name}: {above} / {below} could not be measured")
            elif ratio > limit:
                lines.append(f"{name}: latency {above} / {below} is {ratio:.3f}, above {limit}")
    return lines


def first_line_of(*command: str) -> str:
    with contextlib.suppress(OSError):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.stdout.strip():
            return done.stdout.strip().splitlines()[0]
    return "unknown"


def machine(library: str, build: str) -> str:
    cpu = re.search(r"^model name\s*:\s*(.+)$", pathlib.Path("/proc/cpuinfo").read_text(), re.M)
    load = " ".join(f"{value:.2f}" for value in os.getloadavg())
    pinned = processor(0) is not None
    return "\n".join(
        [
            f"- {datetime.datetime.now(datetime.timezone.utc):%Y-%m-%d %H:%M} UTC, "
            f"{cpu[1] if cpu else platform.processor()}, {os.cpu_count()} processors, "
            f"Linux {platform.release()}, load before {load}",
            f"- libfabric {library}, {first_line_of('fi_info', '--version')}, "
            f"{first_line_of('rustc', '--version')}, Python {platform.python_version()}, "
            f"efa-fabric built with {build}",
            f"- sides {'pinned to one processor each' if pinned else 'not pinned: one processor'}; "
            "µs and GB/s (10^9 bytes) are best / median over the rounds, ratios are medians of "
            "the ratios within each round",
        ]
    )


def write(text: str, document: pathlib.Path) -> None:
    before, rest = document.read_text().split(BEGIN)
    after = rest.split(END)[1]
    document.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}")


def build_probe() -> str:
    command = ["cargo", "build", "--quiet", "--example", "fabric_probe"]
    messages = subprocess.run(
        [*command, "--message-format=json"], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
    ).stdout
    made = [json.loads(line).get("executable") for line in messages.splitlines()]
    return str(next(path for path in reversed(made) if path))


def main(arguments: Sequence[str]) -> int:
    if arguments[:1] == ["--serve"]:
        python_serve()
        return 0
    if arguments[:1] == ["--connect"]:
        python_connect(*arguments[1:])
        return 0
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--pairs", type=int, default=9, help="rounds of each point (9)")
    parser.add_argument("--quick", action="store_true", help="one short round of 64 bytes")
    parser.add_argument("--write", action="store_true", help="put the table into docs/")
    parser.add_argument("--document", type=pathlib.Path, default=DOCUMENT)
    parser.add_argument("--probe", help="the example fabric_probe; built where not given")
    parser.add_argument("--build", default="the dev profile", help="how both were built")
    parser.add_argument("--library", default=DEBIAN_LIBRARY, help="libfabric of all programs")
    parser.add_argument("--only", choices=("tcp", "shm"))
    parser.add_argument("--seed", type=int, default=time.time_ns())
    options = parser.parse_args(arguments)

    points = QUICK if options.quick else ITERATIONS
    points = {key: n for key, n in points.items() if options.only in (None, key[0])}
    rounds = 1 if options.quick else options.pairs
    about = machine(options.library, options.build)
    probe = options.probe or build_probe()
    done = list(measure(points, rounds, probe, options.library, options.seed))
    lines = missed(done)
    verdict = "Latency is at most fi_pingpong's at every point, and Python within 2 % of Rust."
    if lines:
        verdict = "Not as expected:\n\n" + "\n".join(f"- {line}" for line in lines)
    text = f"{about}\n- {rounds} rounds, seed {options.seed}\n\n{table(done)}\n\n{verdict}"
    print(text)
    if options.write:
        write(text, options.document)
    # Slow is a result; a program that never ran is not.
    return int(any(point.failures(p) == rounds for point in done for p in PROGRAMS))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
