"""Runs every group, prints its table, and with --write puts them into docs/benchmarks.md.

    python -m tools.bench [--quick] [--only GROUP ...] [--write]

Exit status 0: every group ran, whatever it found; 1: a group, or all of a row's rounds, failed.
"""

from __future__ import annotations

import argparse
import importlib
import json
import pathlib
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from typing import NamedTuple

from . import machine
from .picture import svg
from .rounds import Run, kill_group
from .table import Row, markdown

ROOT = pathlib.Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs" / "benchmarks.md"
BEGIN, END = "<!-- tables: make bench -->", "<!-- end of tables -->"

#: A module of this package, and the seconds that it may measure for. Most end earlier, and the last
#: one has what they leave of the time, because its points are those that more rounds can decide.
GROUPS = {
    "importing": 60,
    "live_catalog": 120,
    "thousand_nodes": 120,
    "documents": 120,
    "survey": 120,
    "fabric": 960,
}
#: Seconds that all groups may measure for together: with what starting takes, 20 minutes in all.
ALL_GROUPS_S = 1080.0
#: A group that takes so much longer than it may is killed.
GRACE_S = 60
QUICK_S = 60


class Result(NamedTuple):
    """A group that ran, or failed to."""

    group: str
    title: str
    about: str
    rows: list[Row]


def measure(group: str, path: pathlib.Path, run: Run) -> None:
    """In the group's own process: measures, and leaves the result in a file."""
    module = importlib.import_module(f"{__package__}.{group}")
    rows = [row.to_json() for row in module.rows(run)]
    if run.quick:
        # What was measured is smaller than what the goals are about.
        rows = [{**row, "goal": None} for row in rows]
    about = " ".join(module.ABOUT.split())
    path.write_text(json.dumps({"title": module.TITLE, "about": about, "rows": rows}))


def measure_apart(group: str, seconds: float, options: argparse.Namespace) -> Result:
    with tempfile.TemporaryDirectory(prefix="efa-bench-") as folder:
        path = pathlib.Path(folder) / "rows.json"
        command = [sys.executable, "-m", __package__ or "tools.bench", "--measure", group]
        command += ["--result", str(path), "--seconds", str(seconds), "--seed", str(options.seed)]
        command += ["--quick"] if options.quick else []
        process = subprocess.Popen(command, cwd=ROOT, text=True, start_new_session=True)
        try:
            status: int | str = process.wait(timeout=seconds + GRACE_S)
        except subprocess.TimeoutExpired:
            status = f"no end after {seconds + GRACE_S:.0f} s"
        finally:
            kill_group(process)
        if status != 0 or not path.exists():
            why = f"the group failed ({status}); its output has the reason"
            return Result(group, group, "", [Row.failed(group, why)])
        made = json.loads(path.read_text())
        rows = [Row.from_json(row) for row in made["rows"]]
        return Result(group, made["title"], made["about"], rows)


def section(result: Result, pictures: str) -> str:
    picture = f"![{result.title}]({pictures}/bench-{result.group}.svg)"
    return "\n\n".join([f"## {result.title}", result.about or "-", picture, markdown(result.rows)])


def summary(results: Sequence[Result]) -> str:
    verdicts: list[str] = [row.verdict for result in results for row in result.rows]
    kinds = ("met", "missed", "undecided", "not measured")
    return ", ".join(f"{verdicts.count(kind)} {kind}" for kind in kinds)


def write(results: Sequence[Result], about: str, document: pathlib.Path) -> None:
    """Puts the sections between the document's markers, and the pictures next to it."""
    images = document.parent / "images"
    images.mkdir(exist_ok=True)
    for result in results:
        (images / f"bench-{result.group}.svg").write_text(svg(result.title, result.rows))
    text = "\n\n".join([about, *(section(result, images.name) for result in results)])
    before, rest = document.read_text().split(BEGIN)
    after = rest.split(END)[1]
    document.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}")


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tools.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round of everything")
    parser.add_argument("--only", nargs="+", choices=list(GROUPS), help="of the groups, these")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/")
    parser.add_argument("--document", type=pathlib.Path, default=DOCUMENT)
    parser.add_argument("--build", default="the module of this checkout", help="what is measured")
    parser.add_argument("--seed", type=int, default=time.time_ns())
    parser.add_argument("--measure", choices=list(GROUPS), help=argparse.SUPPRESS)
    parser.add_argument("--result", type=pathlib.Path, help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> int:
    options = parse(arguments)
    if options.measure:
        run = Run(options.quick, options.seed, time.monotonic() + options.seconds)
        measure(options.measure, options.result, run)
        return 0
    began, stolen, load = time.monotonic(), machine.stolen_s(), machine.load()
    unsteady = [machine.unsteadiness()]
    results = []
    for group in options.only or GROUPS:
        left_s = ALL_GROUPS_S - (time.monotonic() - began)
        seconds = QUICK_S if options.quick else max(0.0, min(GROUPS[group], left_s))
        results.append(measure_apart(group, seconds, options))
        unsteady.append(machine.unsteadiness())
        print(f"\n{results[-1].title}\n{markdown(results[-1].rows)}\n", flush=True)
    small = ", one short round of everything, for which no goal holds" if options.quick else ""
    about = "\n".join(
        [
            f"- {machine.now()}, {machine.processors()}, {machine.memory_gib():.0f} GiB, Linux "
            f"{platform.release()}; Python {platform.python_version()}, "
            f"{machine.first_line_of('rustc', '--version')}; {machine.version('efa-sdk')}, built "
            f"as {options.build}; {machine.version('boto3')}, {machine.version('awscli')}.",
            f"- Load before {load}, after {machine.load()}; {machine.stolen_s() - stolen:.1f} s "
            "of the processors went to other machines. A fixed piece of work took "
            f"{min(unsteady):.1f} to {max(unsteady):.1f} % longer at its ninth decile than in "
            "the median, measured before and after each group.",
            f"- {(time.monotonic() - began) / 60:.1f} minutes, seed {options.seed}{small}. "
            f"Goals: {summary(results)}.",
        ]
    )
    print(about)
    if options.write:
        write(results, about, options.document)
    failed = [row for result in results for row in result.rows if row.verdict == "not measured"]
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
