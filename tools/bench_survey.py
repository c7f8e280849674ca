"""What a survey costs the process that drives it, by number of nodes.

Two tables: actors of Ray on this machine whose pair probe is a stub, so that only the driver and
Ray are measured; and the plan alone, on a model of a cluster. `make bench-survey` runs it, and with
`--write` puts the tables into docs/survey-scale.md.
"""

from __future__ import annotations

import argparse
import datetime
import itertools
import json
import os
import pathlib
import platform
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "docs" / "survey-scale.md"
BEGIN, END = "<!-- tables: make bench-survey -->", "<!-- end of tables -->"

#: Nodes and mode.
RAY = [(8, "full"), (32, "full"), (64, "full"), (128, "sampled"), (256, "sampled")]
PLAN = [(256, "full"), (256, "sampled"), (1024, "sampled"), (4096, "sampled")]
QUICK = [(16, "full"), (16, "sampled")]
#: Memory that one actor's process adds, measured, in MiB; a quarter of what is free is left alone.
ACTOR_MIB = 55
#: Of the model: one node has this share of the rate, each measurement this much noise.
SLOW_SHARE, NOISE = 0.8, 0.05


class Stopwatch:
    """CPU seconds that went into calls, and the most in one."""

    def __init__(self) -> None:
        self.total_s = 0.0
        self.longest_s = 0.0

    def time(self, call: Callable[[], Any]) -> Any:
        began = time.process_time()
        value = call()
        self.add(time.process_time() - began)
        return value

    def add(self, seconds: float) -> None:
        self.total_s += seconds
        self.longest_s = max(self.longest_s, seconds)


def simulate(nodes: int, mode: str, seed: int = 1) -> dict[str, Any]:
    """Carries out one survey of a model; what the plan took of it."""
    from efa_sdk import survey

    before_mib = peak_mib()
    noise = random.Random(seed)
    slow = nodes // 3

    def sight(low: int, high: int) -> survey.PairSight:
        gbps = 100.0 * (SLOW_SHARE if slow in (low, high) else 1.0)
        sent, received, late = (noise.lognormvariate(0.0, NOISE) for _ in range(3))
        return survey.PairSight.measured(20.0 * late, gbps * sent, gbps * received)

    following, recording, rounds = Stopwatch(), Stopwatch(), Stopwatch()
    plan = survey.SurveyPlan(
        [
            survey.SurveyNode(f"node-{i}", address=f"10.0.{i // 256}.{i % 256}")
            for i in range(nodes)
        ],
        "tcp",
        mode=mode,
        seed=seed,
    )
    messages = 0
    while True:
        asked = time.process_time()
        pairs = following.time(plan.next)
        took_s = time.process_time() - asked
        if pairs is None:
            rounds.add(took_s)
            break
        messages += 4 * len(pairs)  # a question to both nodes, and their answers
        seen = [(pair, sight(*pair)) for pair in pairs]
        began = time.process_time()
        for pair, value in seen:
            plan.record(pair, value, value)
        plan.progress()
        recording.add(time.process_time() - began)
        rounds.add(took_s + time.process_time() - began)
    reporting = Stopwatch()
    report = reporting.time(plan.report)
    writing = Stopwatch()
    text = writing.time(report.to_json)
    return {
        "rounds": report.rounds,
        "measurements": report.measurements,
        "messages": messages,
        "next_longest_s": following.longest_s,
        "record_longest_s": recording.longest_s,
        "round_longest_s": rounds.longest_s,
        "total_s": rounds.total_s + reporting.total_s,
        "report_s": reporting.total_s + writing.total_s,
        "report_mib": len(text) / 2**20,
        "peak_mib": peak_mib() - before_mib,
        "named": report.slow_nodes == [f"node-{slow}"],
    }


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def on_ray(nodes: int, mode: str) -> dict[str, Any]:
    """A survey of `n` actors on one node of Ray, that answer without measuring."""
    os.environ.update(
        RAY_USAGE_STATS_ENABLED="0",
        RAY_USAGE_STATS_REPORT_URL="http://127.0.0.1:9/",
        RAY_AUTH_MODE="disabled",
    )
    import efa_sdk.ray
    import ray
    from efa_sdk.survey import PairSight

    class Stub(efa_sdk.ray._Node):
        async def probe(self, *_: Any) -> PairSight:  # type: ignore[override]
            return PairSight.measured(20.0, 100.0, 100.0)

    with tempfile.TemporaryDirectory(prefix="efa", dir="/tmp") as temporary:
        ray.init(
            address="local",
            num_cpus=2,
            object_store_memory=100 * 2**20,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="error",
            _temp_dir=temporary,
        )
        try:
            (node,) = ray.nodes()
            # The survey takes its nodes from there: this one, many times.
            ray.nodes = lambda: [node] * nodes
            efa_sdk.ray._Node = Stub  # type: ignore[misc]
            ends = []
            began, cpu = time.monotonic(), time.process_time()
            report = efa_sdk.ray.survey(
                provider="tcp",
                mode=mode,
                start_deadline_s=900,
                round_deadline_s=120,
                progress=lambda _: ends.append((time.monotonic(), time.process_time())),
            )
            after = time.monotonic(), time.process_time()
        finally:
            ray.shutdown()
    if report.unreachable_nodes:
        raise RuntimeError(f"{len(report.unreachable_nodes)} of {nodes} actors did not answer")
    # The first round ends after the actors' start, and is therefore in neither.
    walls = [b[0] - a[0] for a, b in itertools.pairwise(ends)]
    cpus = [b[1] - a[1] for a, b in itertools.pairwise(ends)]
    messages = 4 * report.measurements
    later = messages - 4 * (nodes // 2)
    return {
        "rounds": report.rounds,
        "messages": messages,
        "start_s": ends[0][0] - began,
        "start_cpu_s": ends[0][1] - cpu,
        "rounds_cpu_s": sum(cpus),
        "cpu_ms_per_message": 1e3 * sum(cpus) / later,
        "wall_median_s": statistics.median(walls),
        "wall_longest_s": max(walls),
        "end_s": after[0] - ends[-1][0],
        "end_cpu_s": after[1] - ends[-1][1],
    }


def fits(nodes: int) -> bool:
    """Whether this many actors fit into the memory that is free."""
    lines = pathlib.Path("/proc/meminfo").read_text().splitlines()
    (free,) = (int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
    return nodes * ACTOR_MIB < free / 1024 * 3 / 4


def apart(kind: str, nodes: int, mode: str) -> dict[str, Any]:
    """One row, in a process of its own: its peak of memory counts."""
    done = subprocess.run(
        [sys.executable, __file__, "--row", kind, str(nodes), mode],
        stdout=subprocess.PIPE,
        text=True,
        timeout=1800,
        check=True,
    )
    row: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return row


RAY_HEAD = """\
| nodes | mode | rounds | messages | start and first round, s | driver's CPU for that, s | \
CPU of all other rounds, s | CPU per message, ms | a round, median s | longest s | end, s |
|---:|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|"""
PLAN_HEAD = """\
| nodes | mode | rounds | observations | messages | next round, longest CPU s | \
record a round, longest CPU s | both, longest CPU s | all rounds and report, CPU s | \
report and its JSON, CPU s | JSON, MiB | memory, MiB | slow node named |
|---:|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---|"""


def ray_line(nodes: int, mode: str, row: dict[str, Any]) -> str:
    return (
        f"| {nodes} | {mode} | {row['rounds']} | {row['messages']} | {row['start_s']:.1f} "
        f"| {row['start_cpu_s']:.2f} | {row['rounds_cpu_s']:.2f} "
        f"| {row['cpu_ms_per_message']:.2f} | {row['wall_median_s']:.3f} "
        f"| {row['wall_longest_s']:.3f} | {row['end_s']:.2f} |"
    )


def plan_line(nodes: int, mode: str, row: dict[str, Any]) -> str:
    return (
        f"| {nodes} | {mode} | {row['rounds']} | {row['measurements']} | {row['messages']} "
        f"| {row['next_longest_s']:.3f} | {row['record_longest_s']:.3f} "
        f"| {row['round_longest_s']:.3f} | {row['total_s']:.2f} | {row['report_s']:.2f} "
        f"| {row['report_mib']:.1f} | {row['peak_mib']:.0f} | {'yes' if row['named'] else 'no'} |"
    )


def machine() -> str:
    load = " ".join(f"{value:.2f}" for value in os.getloadavg())
    now = datetime.datetime.now(datetime.timezone.utc)
    return (
        f"- {now:%Y-%m-%d %H:%M} UTC, {os.cpu_count()} processors, Linux {platform.release()}, "
        f"Python {platform.python_version()}, load before {load}"
    )


def write(text: str, document: pathlib.Path) -> None:
    before, _, rest = document.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    document.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}")


def main(arguments: Sequence[str]) -> int:
    if arguments[:1] == ["--row"]:
        kind, nodes, mode = arguments[1:]
        print(json.dumps((on_ray if kind == "ray" else simulate)(int(nodes), mode)))
        return 0
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="16 nodes")
    parser.add_argument("--only", choices=("ray", "plan"))
    parser.add_argument("--write", action="store_true", help="put the tables into docs/")
    parser.add_argument("--document", type=pathlib.Path, default=DOCUMENT)
    options = parser.parse_args(arguments)

    lines = [machine()]
    print(lines[0], flush=True)
    for kind, head, line, points in (
        ("ray", RAY_HEAD, ray_line, RAY),
        ("plan", PLAN_HEAD, plan_line, PLAN),
    ):
        if options.only not in (None, kind):
            continue
        lines += ["", head]
        print(f"\n{head}", flush=True)
        for nodes, mode in QUICK if options.quick else points:
            if kind == "ray" and not fits(nodes):
                lines.append(f"| {nodes} | {mode} |" + " does not fit |" + " |" * 8)
            else:
                lines.append(line(nodes, mode, apart(kind, nodes, mode)))
            print(lines[-1], flush=True)
    if options.write:
        write("\n".join(lines), options.document)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
