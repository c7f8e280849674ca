"""What users do besides what `make bench` measures, with two wheels: whether it became slower.

    .venv-bench/bin/python -m tools.bench.elsewhere OLDER.whl NEWER.whl [--rounds N]
        [--only WORD ...] [--instructions]

A round runs each wheel once, in random order, in processes of their own, on one EC2 stand-in of the
newer one. It prints a table of CPU time: newer over older within a round. With --instructions,
valgrind counts the instructions of one call of each operation that --only names: for those whose
time does not decide.

Exit status 0: nothing is slower; 1: something is, or failed; 2: it cannot be measured.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import os
import pathlib
import random
import re
import shutil
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from .rounds import RunFailed, finish
from .stand_in import standing_in
from .table import Row, Values, markdown

ROOT = pathlib.Path(__file__).resolve().parents[2]
NCCL_LOGS = ROOT / "efa-fabric/src/nccl/log/fixtures"
REGION, ZONE, TYPE = "us-east-1", "us-east-1a", "p5.48xlarge"
OLDER, NEWER = "older", "newer"
#: What a newer wheel may take more, which is what rounds of one wheel differ by.
TOLERANCE = 1.05
#: CPU seconds that an operation is repeated for in a round.
REPEATED_S = 0.1
#: Nodes of the simulated surveys.
NODES = 32

Operations = dict[str, Callable[[], object]]

#: Whole processes, less one that does nothing.
MODULES = [
    *("acceptance", "aio", "choices", "doctor", "errors", "fabric", "fabric_log", "handoff"),
    *("nccl", "progress", "ray", "rows", "survey", "testing", "torch"),
]
PROCESSES: dict[str, list[str]] = {
    "import efa_sdk": ["-c", "import efa_sdk"],
    **{f"import efa_sdk.{name}": ["-c", f"import efa_sdk.{name}"] for name in MODULES},
    "efa-sdk --help": ["-m", "efa_sdk", "--help"],
    "efa-sdk types": ["-m", "efa_sdk", "types"],
    "efa-sdk doctor --help": ["-m", "efa_sdk", "doctor", "--help"],
    "the EC2 stand-in, started and stopped": [
        "-c",
        "from efa_sdk.testing import StandIn\nwith StandIn(): pass",
    ],
    "software EFA, opened and closed": [
        "-c",
        "from efa_sdk.testing import SoftEfa\nwith SoftEfa(devices=1): pass",
    ],
}


# ------------------------------------------------------------------------------ in the parent


def main(arguments: Sequence[str]) -> int:
    options = parse(arguments)
    wheels = {OLDER: options.older, NEWER: options.newer}
    with tempfile.TemporaryDirectory(prefix="efa-bench-") as folder:
        homes = {
            name: unpacked(wheel, pathlib.Path(folder) / name) for name, wheel in wheels.items()
        }
        os.environ["PYTHONPATH"] = str(homes[NEWER])  # the stand-in is the newer one's
        with standing_in("--network") as given:
            places = {name: environment(home, given) for name, home in homes.items()}
            if options.instructions:
                return count_instructions(places, given, options.only)
            rows = measured(places, given, options)
    print(markdown(rows))
    verdicts: list[str] = [row.verdict for row in rows]
    print(f"\n{len(rows)} operations: " + ", ".join(f"{verdicts.count(v)} {v}" for v in VERDICTS))
    return int("missed" in verdicts or "not measured" in verdicts)


VERDICTS = ("met", "missed", "undecided", "not measured")


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tools.bench.elsewhere", description=__doc__)
    parser.add_argument("older", type=pathlib.Path)
    parser.add_argument("newer", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument(
        "--only", nargs="+", default=[""], help="operations with one of these words"
    )
    parser.add_argument("--instructions", action="store_true")
    parser.add_argument("--seed", type=int, default=time.time_ns())
    return parser.parse_args(arguments)


def unpacked(wheel: pathlib.Path, home: pathlib.Path) -> pathlib.Path:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(home)
    return home


def environment(home: pathlib.Path, given: Mapping[str, Any]) -> dict[str, str]:
    """Of a process with the wheel that is unpacked there: it comes before an installed one."""
    own = {key: value for key, value in given.items() if key.startswith("AWS_")}
    kept = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, **own, "PYTHONPATH": str(home), "AWS_REGION": REGION}


def measured(
    places: Mapping[str, dict[str, str]], given: Mapping[str, Any], options: argparse.Namespace
) -> list[Row]:
    order = random.Random(options.seed)
    values: dict[str, dict[str, list[float | None]]] = {}
    for turn in range(options.rounds + 1):
        for name in order.sample(list(places), len(places)):
            print(f"round {turn} of {options.rounds}, {name}", file=sys.stderr, flush=True)
            took = {**processes(places[name], options.only)}
            took |= operations_of(places[name], given, options.only)
            for operation, milliseconds in took.items():
                of_wheel = values.setdefault(operation, {}).setdefault(name, [])
                if turn > 0:  # the first one compiles modules
                    of_wheel.append(milliseconds)
    return [row(operation, of_wheel) for operation, of_wheel in values.items()]


def row(operation: str, values: Mapping[str, Values]) -> Row:
    newer, older = values.get(NEWER, []), values.get(OLDER, [])
    if len(newer) != len(older):
        return Row.failed(operation, "one of the wheels does not have it", goal=TOLERANCE)
    return Row(operation, "ms", newer, TOLERANCE, peers={OLDER: older})


def is_chosen(operation: str, words: Sequence[str]) -> bool:
    return any(word in operation for word in words)


def processes(place: dict[str, str], words: Sequence[str]) -> dict[str, float | None]:
    """CPU milliseconds of each, less those of one that does nothing."""
    chosen = {
        name: command
        for name, command in PROCESSES.items()
        if is_chosen(name, words) and is_installed(name.rpartition("efa_sdk.")[2])
    }
    if not chosen:
        return {}
    nothing = cpu_ms(["-c", "pass"], place)
    took = {name: cpu_ms(command, place) for name, command in chosen.items()}
    return {
        name: None if ms is None or nothing is None else ms - nothing for name, ms in took.items()
    }


def is_installed(module: str) -> bool:
    """Whether there is what these modules are for."""
    return module not in ("ray", "torch") or importlib.util.find_spec(module) is not None


def cpu_ms(command: Sequence[str], place: dict[str, str]) -> float | None:
    try:
        return finish([sys.executable, *command], cwd="/", env=place)[1] * 1e3
    except RunFailed as error:
        print(f"FAILED: {error}", file=sys.stderr, flush=True)
        return None


def operations_of(
    place: dict[str, str], given: Mapping[str, Any], words: Sequence[str]
) -> dict[str, float | None]:
    """CPU milliseconds of one call of each operation."""
    command = [sys.executable, "-m", __spec__.name, "--measure", *network(given), *words]
    output, _ = finish(command, cwd=ROOT, env=place, timeout_s=300)
    took: dict[str, float | None] = json.loads(output.splitlines()[-1])
    return took


def network(given: Mapping[str, Any]) -> list[str]:
    return [given["subnets"][ZONE], given["images"]["x86_64"]]


def count_instructions(
    places: Mapping[str, dict[str, str]], given: Mapping[str, Any], words: Sequence[str]
) -> int:
    """Instructions of one call: those of a process with three calls, less those with one."""
    if shutil.which("valgrind") is None:
        print("valgrind counts instructions, and is not installed", file=sys.stderr)
        return 2
    with contextlib.ExitStack() as stack:
        names = names_of(places[NEWER], given, words)
        print("| what | older | newer | ratio |\n|---|---:|---:|---:|")
        for name in names:
            counted = {wheel: instructions(place, given, name) for wheel, place in places.items()}
            older, newer = counted[OLDER], counted[NEWER]
            ratio = f"{newer / older:.3f}"
            print(f"| {name} | {older:,} | {newer:,} | {ratio} |", flush=True)
        stack.close()
    return 0


def names_of(place: dict[str, str], given: Mapping[str, Any], words: Sequence[str]) -> list[str]:
    command = [sys.executable, "-m", __spec__.name, "--names", *network(given), *words]
    names: list[str] = json.loads(finish(command, cwd=ROOT, env=place)[0].splitlines()[-1])
    return names


def instructions(place: dict[str, str], given: Mapping[str, Any], name: str) -> int:
    def of_process(calls: int) -> int:
        valgrind = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
        with tempfile.NamedTemporaryFile("r") as log:
            command = [*valgrind, f"--log-file={log.name}", sys.executable, "-m", __spec__.name]
            command += ["--calls", *network(given), str(calls), name]
            finish(command, cwd=ROOT, env={**place, "PYTHONHASHSEED": "0"}, timeout_s=600)
            (count,) = re.findall(r"Collected : (\d+)", log.read())
        return int(count)

    return (of_process(3) - of_process(1)) // 2


# ------------------------------------------------------------------------------- in the child


def operations(subnet: str, image: str, folder: pathlib.Path) -> Iterator[tuple[str, Any]]:
    """Every operation by its name; what a group needs is made when it is come to."""
    import efa_sdk as efa

    catalog = efa.Catalog.bundled()
    yield from of_catalog(catalog).items()
    client = efa.Client(region=REGION)
    spec = efa.ClusterSpec(
        name="elsewhere",
        instance_type=TYPE,
        count=8,
        subnet=subnet,
        image=image,
        bootstrap=efa.Bootstrap(),
    )
    plan = client.prepare(client.plan(spec))
    yield from of_plan(client, spec, plan).items()
    written = writers(plan)
    yield from written.items()
    for name, write in written.items():
        text = write()
        if name not in NO_LAUNCH:
            yield f"check: {name}", lambda text=text: efa.check(text)
    yield from of_node(folder).items()
    yield from of_logs().items()
    yield from of_survey().items()


def of_catalog(catalog: Any) -> Operations:
    import efa_sdk as efa

    p5, names, text = catalog[TYPE], catalog.names(), catalog.to_json()
    layout = p5.layout()

    def refused() -> None:
        with contextlib.suppress(efa.EfaError):
            catalog["p5.48xlage"]

    return {
        "catalog: find": lambda: catalog.find(name="p5*", minimum_gpus=8),
        "catalog: get of every type": lambda: [catalog.get(name) for name in names],
        "catalog: a misspelt type": refused,
        "catalog: to JSON": catalog.to_json,
        "catalog: from JSON": lambda: efa.Catalog.from_json(text),
        "catalog: HTML": catalog._repr_html_,
        "catalog: a table of types": lambda: efa.instance_type_table(list(catalog)),
        "instance type: text, HTML, JSON": lambda: (str(p5), p5._repr_html_(), p5.to_json()),
        "layout": p5.layout,
        "layout: text and HTML": lambda: (str(layout), layout._repr_html_()),
        "layout: picture": layout.to_svg,
    }


def of_plan(client: Any, spec: Any, plan: Any) -> Operations:
    import efa_sdk as efa

    text = plan.to_json()
    other = client.plan(spec.replace(count=4))
    prices_text = price_list()
    prices = efa.Prices.from_price_list(prices_text)

    def specification() -> object:
        made = efa.ClusterSpec(name="a", instance_type=TYPE, count=8, subnet="b", image="al2023")
        return made.to_json()

    return {
        "specification": specification,
        "plan, on the stand-in": lambda: client.plan(spec),
        "preflight, on the stand-in": lambda: client.preflight(plan),
        "plan: text and HTML": lambda: (str(plan), plan._repr_html_()),
        "plan: to JSON": plan.to_json,
        "plan: from JSON": lambda: efa.Plan.from_json(text),
        "plan: fingerprint": lambda: plan.fingerprint,
        "plan: difference": lambda: plan.diff(other),
        "plan: picture": plan.to_svg,
        "plan: IAM policy": plan.caller_policy,
        "plan: user data": lambda: plan.user_data,
        "prices: read": lambda: efa.Prices.from_price_list(prices_text),
        "plan: cost": lambda: plan.cost(prices),
    }


#: Writers of documents that launch nothing.
NO_LAUNCH = ("write: script for the AWS CLI", "write: values of the device plugin")


def writers(plan: Any) -> Operations:
    role, image = "KarpenterNodeRole-train", "train:1"
    workloads = ["pod", "job", "ray-cluster"]
    return {
        "write: script for the AWS CLI": plan.to_cli,
        "write: CloudFormation": plan.to_cloudformation,
        "write: CloudFormation, JSON": lambda: plan.to_cloudformation(format="json"),
        "write: eksctl": lambda: plan.to_eksctl(cluster="train"),
        "write: Karpenter": lambda: plan.to_karpenter(
            role=role, ami_alias="al2023@v20260801", workloads=workloads, image=image
        ),
        "write: launch template": plan.to_launch_template,
        "write: Ray": lambda: plan.to_ray_yaml(efa_sdk="https://example.com/efa_sdk.whl"),
        "write: Terraform": plan.to_terraform,
        "write: values of the device plugin": plan.to_efa_device_plugin_values,
    }


def of_node(folder: pathlib.Path) -> Operations:
    """A machine that is recorded in a folder, as software EFA records its own."""
    from efa_sdk import fabric
    from efa_sdk.testing import SoftEfa

    with SoftEfa(devices=None) as soft:
        shutil.copytree(soft.root, folder, symlinks=True, dirs_exist_ok=True)
    root = str(folder)
    node, report = fabric.node(root), fabric.doctor(root=root)
    return {
        "node: inventory of a recorded one": lambda: fabric.node(root),
        "node: text, HTML, JSON": lambda: (str(node), node._repr_html_(), node.to_json()),
        "rails: simulated": lambda: fabric.simulated_rails(node, "tcp"),
        "doctor: a recorded node": lambda: fabric.doctor(root=root),
        "doctor: text, HTML, JSON": lambda: (str(report), report._repr_html_(), report.to_json()),
    }


def of_logs() -> Operations:
    from efa_sdk import fabric_log, nccl

    logs = [path.read_text() for path in sorted(NCCL_LOGS.glob("*.log"))]
    report = nccl.read_log(logs[0])
    given = {"NCCL_PROTO": "simple", "FI_EFA_USE_DEVICE_RDMA": "1"}
    fabric_lines = "".join(
        f"libfabric:{at}:1700000000::efa:ep_ctrl:efa_rdm_ep_open():{at}<warn> no memory\n"
        for at in range(100)
    )
    return {
        "NCCL: seven small logs": lambda: [nccl.read_log(log) for log in logs],
        "NCCL: text, HTML, JSON": lambda: (str(report), report._repr_html_(), report.to_json()),
        "NCCL: environment": lambda: nccl.advise_environment(given, instance_type=TYPE),
        "libfabric: a log of 100 lines": lambda: fabric_log.read_log(fabric_lines),
    }


def of_survey() -> Operations:
    from efa_sdk import survey

    report = simulated(survey, 1)
    earlier = simulated(survey, 2)
    text = report.to_json()
    return {
        f"survey: plan and report of {NODES} nodes": lambda: simulated(survey, 1),
        "survey: text": lambda: str(report),
        "survey: HTML": report._repr_html_,
        "survey: picture": report.to_svg,
        "survey: to JSON": report.to_json,
        "survey: from JSON": lambda: survey.SurveyReport.from_json(text),
        "survey: compare": lambda: report.compare(earlier),
        "survey: rows and matrix": lambda: (report.rows(), report.matrix()),
        "survey: OpenMetrics": report.to_openmetrics,
        "survey: summaries": report.summaries,
    }


def simulated(survey: Any, seed: int) -> Any:
    """A full survey of a model with one slow node and 5 % noise."""
    noise = random.Random(seed)
    nodes = [survey.SurveyNode(f"node-{at}", address=f"10.0.0.{at}") for at in range(NODES)]
    plan = survey.SurveyPlan(nodes, "tcp", seed=seed)
    while (pairs := plan.next()) is not None:
        for pair in pairs:
            gbps = (80.0 if NODES // 3 in pair else 100.0) * noise.lognormvariate(0.0, 0.05)
            sight = survey.PairSight.measured(20.0, gbps, gbps)
            plan.record(pair, sight, sight)
    return plan.report(finished_unix_s=1_700_000_000)


def price_list() -> str:
    """What GetProducts answers for a type, with a price that is nobody's."""
    attributes = {
        "instanceType": TYPE,
        "regionCode": REGION,
        "operatingSystem": "Linux",
        "tenancy": "Shared",
        "capacitystatus": "Used",
        "preInstalledSw": "NA",
    }
    dimension = {"unit": "Hrs", "pricePerUnit": {"USD": "12.5000000000"}}
    product = {
        "product": {"sku": "S", "attributes": attributes},
        "terms": {"OnDemand": {"S.T": {"priceDimensions": {"S.T.R": dimension}}}},
        "publicationDate": "2026-11-20T00:00:00Z",
    }
    return json.dumps({"FormatVersion": "aws_v1", "PriceList": [json.dumps(product)]})


def repeated_ms(call: Callable[[], object]) -> float:
    """CPU milliseconds of one call, the mean over as many as fit, after one that is not counted."""
    call()
    calls, began = 0, time.process_time()
    while (took := time.process_time() - began) < REPEATED_S:
        call()
        calls += 1
    return took / calls * 1e3


def in_child(what: str, subnet: str, image: str, *rest: str) -> None:
    took: dict[str, float | None] = {}
    with tempfile.TemporaryDirectory(prefix="efa-bench-") as folder:
        if what == "--calls":
            calls, wanted = int(rest[0]), rest[1]
            made = operations(subnet, image, pathlib.Path(folder))
            call = next(call for name, call in made if name == wanted)
            for _ in range(calls):
                call()
            return
        for name, call in operations(subnet, image, pathlib.Path(folder)):
            if is_chosen(name, rest):
                took[name] = None if what == "--names" else repeated_ms(call)
    print(json.dumps(list(took) if what == "--names" else took))


if __name__ == "__main__":
    if sys.argv[1:2] in (["--measure"], ["--names"], ["--calls"]):
        in_child(*sys.argv[1:])
    else:
        sys.exit(main(sys.argv[1:]))
