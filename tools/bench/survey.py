"""What a survey costs the process that drives it: actors of Ray, and the plan alone."""

from __future__ import annotations

import itertools
import json
import logging
import os
import pathlib
import random
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .rounds import Run, finish
from .table import Row

if TYPE_CHECKING:
    from efa_sdk.choices import SurveyMode

TITLE = "Driving a survey"
ABOUT = """
Actors of Ray, all on one node of Ray on this machine, that answer without measuring, so that only
the driver and Ray are measured: CPU of the driver's process, threads of Ray among it, for each node
and round, one value a round of the survey. The plan alone: surveys of a model with a node that has
80 % of the rate and 5 % noise, in CPU seconds of one process.
"""

ROOT = pathlib.Path(__file__).resolve().parents[2]
#: Actors; as many as fit, but not fewer than these.
ACTORS, FEWEST = 64, 40
#: Nodes and mode of the plan alone.
PLAN: list[tuple[int, SurveyMode]] = [(256, "full"), (1024, "sampled"), (4096, "sampled")]
QUICK_PLAN: list[tuple[int, SurveyMode]] = [(16, "full")]
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


def simulate(nodes: int, mode: SurveyMode, seed: int = 1) -> dict[str, Any]:
    """Carries out one survey of a model; what the plan took of it."""
    from efa_sdk import survey

    before_mib = peak_mib()
    noise = random.Random(seed)
    slow = nodes // 3

    def sight(low: int, high: int) -> survey.PairSight:
        gbps = 100.0 * (SLOW_SHARE if slow in (low, high) else 1.0)
        sent, received, late = (noise.lognormvariate(0.0, NOISE) for _ in range(3))
        return survey.PairSight.measured(20.0 * late, gbps * sent, gbps * received)

    following, rounds = Stopwatch(), Stopwatch()
    plan = survey.SurveyPlan(
        [
            survey.SurveyNode(f"node-{i}", address=f"10.0.{i // 256}.{i % 256}")
            for i in range(nodes)
        ],
        "tcp",
        mode=mode,
        seed=seed,
    )
    while True:
        asked = time.process_time()
        pairs = following.time(plan.next)
        took_s = time.process_time() - asked
        if pairs is None:
            rounds.add(took_s)
            break
        seen = [(pair, sight(*pair)) for pair in pairs]
        began = time.process_time()
        for pair, value in seen:
            plan.record(pair, value, value)
        plan.progress()
        rounds.add(took_s + time.process_time() - began)
    reporting = Stopwatch()
    report = reporting.time(plan.report)
    writing = Stopwatch()
    writing.time(report.to_json)
    return {
        "round_longest_s": rounds.longest_s,
        "total_s": rounds.total_s + reporting.total_s + writing.total_s,
        "peak_mib": peak_mib() - before_mib,
        "named": report.slow_nodes == [f"node-{slow}"],
    }


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def on_ray(nodes: int, mode: SurveyMode) -> dict[str, Any]:
    """A survey of `nodes` actors on one node of Ray, that answer without measuring."""
    os.environ.update(
        RAY_USAGE_STATS_ENABLED="0",
        RAY_USAGE_STATS_REPORT_URL="http://127.0.0.1:9/",
        RAY_AUTH_MODE="disabled",
    )
    import efa_sdk.ray
    import ray
    from efa_sdk._ray_node import _Node
    from efa_sdk.survey import PairSight

    class Stub(_Node):
        async def probe(self, *_: Any) -> PairSight:
            return PairSight.measured(20.0, 100.0, 100.0)

    with tempfile.TemporaryDirectory(prefix="efa", dir="/tmp") as temporary:
        ray.init(
            address="local",
            num_cpus=2,
            object_store_memory=100 * 2**20,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            _temp_dir=temporary,
        )
        try:
            (node,) = ray.nodes()  # type: ignore[no-untyped-call]
            # The survey takes its nodes from there: this one, many times.
            ray.nodes = lambda: [node] * nodes
            efa_sdk.ray._Node = Stub  # type: ignore[attr-defined]
            ends = []
            report = efa_sdk.ray.survey(
                provider="tcp",
                mode=mode,
                start_deadline_s=900,
                round_deadline_s=120,
                progress=lambda _: ends.append(time.process_time()),
            )
        finally:
            ray.shutdown()
    if report.unreachable_nodes:
        raise RuntimeError(f"{len(report.unreachable_nodes)} of {nodes} actors did not answer")
    # The first round ends after the actors' start, and is therefore left out.
    cpus = [b - a for a, b in itertools.pairwise(ends)]
    return {"cpu_ms": [1e3 * cpu / nodes for cpu in cpus]}


def free_mib() -> float:
    lines = pathlib.Path("/proc/meminfo").read_text().splitlines()
    (free,) = (int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
    return free / 1024


def apart(run: Run, kind: str, nodes: int, mode: SurveyMode) -> dict[str, Any]:
    """A survey in a process of its own: its peak of memory counts."""
    command = [sys.executable, "-m", __spec__.name, kind, str(nodes), mode]
    output, _ = finish(command, cwd=ROOT, timeout_s=max(60.0, run.end - time.monotonic()))
    row: dict[str, Any] = json.loads(output.splitlines()[-1])
    return row


def rows(run: Run) -> list[Row]:
    made = [plan_row(run, nodes, mode) for nodes, mode in (QUICK_PLAN if run.quick else PLAN)]
    if run.quick:
        return made  # Ray alone takes longer to start than all else
    name = "driver's CPU for each node and round, Ray"
    actors = min(ACTORS, int(free_mib() * 0.75 / ACTOR_MIB))
    if actors < FEWEST:
        return [*made, Row.failed(name, f"there is memory for {actors} actors only", goal=0.1)]
    values = apart(run, "ray", actors, "full")["cpu_ms"]
    note = f"{actors} actors."
    shortfall = "Nearly all of it is Ray's own. Next: larger groups of nodes for each relay."
    return [*made, Row(name, "ms", values, 0.1, note=note, shortfall=shortfall)]


def plan_row(run: Run, nodes: int, mode: SurveyMode) -> Row:
    seen: list[dict[str, Any]] = []

    def once() -> float:
        seen.append(apart(run, "plan", nodes, mode))
        return float(seen[-1]["total_s"])

    values = run.alternate({"plan": once}, 3, end=time.monotonic())["plan"]
    longest = max(row["round_longest_s"] for row in seen)
    peak = max(row["peak_mib"] for row in seen)
    note = f"The longest round takes {longest:.3f} s; {peak:.0f} MiB at the peak."
    if not all(row["named"] for row in seen):
        note += " The slow node was not named."
    return Row(f"plan and report of {nodes:,} nodes, {mode}", "s", values, note=note)


def main(kind: str, nodes: str, mode: Any) -> None:
    print(json.dumps((on_ray if kind == "ray" else simulate)(int(nodes), mode)))


if __name__ == "__main__":
    main(*sys.argv[1:])
