"""Reading: a large job's NCCL log, large launch documents, a list of many launches."""

from __future__ import annotations

import json
import pathlib
import sys
import tempfile
import time
from collections.abc import Callable, Sequence

from .rounds import Run, finish
from .table import Row

TITLE = "Logs and launch documents"
ABOUT = """
CPU seconds of a fresh Python process for one call, imports left out, and its peak of memory with
them. The log is that of a healthy job of efa-fabric's tests, once for each of 1,000 ranks, eight a
host. Documents are those of the kinds that take longest in efa-core's example check_bounds.
There is no peer that reads either: goals are absolute.
"""

ROOT = pathlib.Path(__file__).resolve().parents[2]
HEALTHY_JOB = ROOT / "efa-fabric/src/nccl/log/fixtures/plugin_1_19_nccl_2_28.log"
RANKS, RANKS_OF_A_HOST = 1000, 8
LINE_BYTES = 65_536
MEGABYTE = 1_000_000
LAUNCHES = 1000


def nccl_log(size: int) -> str:
    """The job's lines for one rank after the other until the size, in bytes, is reached."""
    lines = HEALTHY_JOB.read_text(encoding="utf-8")
    of_rank = []
    for rank in range(RANKS):
        host = rank // RANKS_OF_A_HOST
        own = lines.replace("worker-1:950:", f"worker-{host}:{1000 + rank}:")
        of_rank.append(
            own.replace("pid=950, ip=10.6.0.1", f"pid={1000 + rank}, ip=10.6.0.{1 + host}")
        )
    once = "".join(of_rank)
    return once * -(-size // len(once)) if size > len(once) else once[:size]


def conditional_launches(at: int) -> str:
    interfaces = [{"DeviceIndex": 0, "InterfaceType": "efa"}]
    data = {
        "InstanceType": {"Ref": "Type"},
        "NetworkInterfaces": {"Fn::If": [f"C{at % 8}", interfaces, []]},
    }
    launch = {"Type": "AWS::EC2::LaunchTemplate", "Properties": {"LaunchTemplateData": data}}
    return f'"L{at}": {json.dumps(launch)}'


CONDITIONS = {f"C{at}": {"Fn::Equals": [{"Ref": "Open"}, f"{at}"]} for at in range(8)}
TYPES = ["p4d.24xlarge", "p5.48xlarge", "p5e.48xlarge", "p5en.48xlarge", "p6-b200.48xlarge"]
PARAMETERS = {"Type": {"AllowedValues": TYPES}, "Open": {}}


def node_group(at: int) -> str:
    return f"- {{name: g{at}, instanceType: p5.48xlarge, efaEnabled: true, subnets: [a]}}\n"


def node_type(at: int) -> str:
    return (
        f"  t{at}:\n    resources: {{}}\n    node_config:\n      InstanceType: p5.48xlarge\n"
        "      NetworkInterfaces:\n      - {DeviceIndex: 0, InterfaceType: efa, Groups: [sg-1], "
        "SubnetId: subnet-1}\n"
    )


def version(at: int) -> str:
    interfaces = [{"DeviceIndex": 0, "InterfaceType": "efa"}]
    data = {"InstanceType": "p5.48xlarge", "NetworkInterfaces": interfaces}
    return json.dumps({"VersionNumber": at, "LaunchTemplateData": data})


#: What stands before the parts, between and after them, and the part of a number.
KINDS: dict[str, tuple[str, str, str, Callable[[int], str]]] = {
    "CloudFormation with conditions": (
        f'{{"Parameters": {json.dumps(PARAMETERS)}, "Conditions": {json.dumps(CONDITIONS)}, '
        '"Resources": {',
        ",\n",
        "}}",
        conditional_launches,
    ),
    "eksctl": (
        "apiVersion: eksctl.io/v1alpha5\nkind: ClusterConfig\n"
        "metadata: {name: x, region: us-east-1}\nmanagedNodeGroups:\n",
        "",
        "",
        node_group,
    ),
    "Ray": (
        "cluster_name: x\nprovider: {type: aws, region: us-east-1}\nhead_node_type: t0\n"
        "available_node_types:\n",
        "",
        "",
        node_type,
    ),
    "launch templates": ('{"LaunchTemplateVersions": [', ",\n", "]}", version),
}


def document(kind: str, *, size: int = sys.maxsize, parts: int = sys.maxsize) -> str:
    """A document of a kind with `parts` launches, or of `size` bytes."""
    before, between, after, part = KINDS[kind]
    made: list[str] = []
    length = 0
    while length < size and len(made) < parts:
        made.append(part(len(made)))
        length += len(made[-1]) + len(between)
    return before + between.join(made) + after


LOG = "One thread looks at every line. Next: lines without a known word first, in several threads."
LOG_MEMORY = "The reader keeps what it reports of every rank. Next: one text for equal reports."
DOCUMENTS = """The wheel is small rather than fast, and each part of a text is looked at by itself.
Next: findings that share their text.""".replace("\n", " ")


def rows(run: Run) -> list[Row]:
    megabytes = (0.1, 0.005) if run.quick else (100, 10)
    log_bytes, document_bytes = (int(MEGABYTE * size) for size in megabytes)
    with tempfile.TemporaryDirectory(prefix="efa-bench-") as folder:
        log = pathlib.Path(folder) / "train.log"
        log.write_text(nccl_log(log_bytes), encoding="utf-8")
        texts = {kind: pathlib.Path(folder) / kind.replace(" ", "-") for kind in KINDS}
        for kind, path in texts.items():
            path.write_text(document(kind, size=document_bytes))
        launches = pathlib.Path(folder) / "launches"
        parts = 10 if run.quick else LAUNCHES
        launches.write_text(document("launch templates", parts=parts))
        commands = {
            "log": ["log", str(log)],
            "line": ["line"],
            "launches": ["document", str(launches)],
            **{kind: ["document", str(path)] for kind, path in texts.items()},
        }
        memory: dict[str, list[float | None]] = {}
        values = run.alternate(
            {name: _call(name, command, memory) for name, command in commands.items()}, 5
        )
    size = f"{megabytes[0]} MB of NCCL log"
    many = f"a list of {parts:,} launch templates, checked"
    return [
        Row(f"{size}, 1,000 ranks", "s", values["log"], 2.0, shortfall=LOG),
        Row(f"{size}, memory of the process", "MB", memory["log"], 50.0, shortfall=LOG_MEMORY),
        Row("one NCCL line of 64 KiB, the worst", "ms", values["line"], 5.0, shortfall=LOG),
        *(
            Row(f"{megabytes[1]} MB of {kind}", "s", values[kind], 3.0, shortfall=DOCUMENTS)
            for kind in KINDS
        ),
        Row(many, "s", values["launches"], note="No goal was ever stated."),
    ]


def _call(
    name: str, command: Sequence[str], memory: dict[str, list[float | None]]
) -> Callable[[], float]:
    def call() -> float:
        output, _ = finish([sys.executable, "-m", __spec__.name, *command], cwd=ROOT)
        given = json.loads(output)
        memory.setdefault(name, []).append(given["peak_mb"])
        return float(given["value"])

    return call


# ---------------------------------------------------------------------- in the child process


def read_log(path: str) -> float:
    from efa_sdk import nccl

    began = time.process_time()
    report = nccl.read_log(path)
    took_s = time.process_time() - began
    assert report.ranks
    return took_s


def check_document(path: str) -> float:
    import efa_sdk

    text = pathlib.Path(path).read_text()
    began = time.process_time()
    report = efa_sdk.check(text)
    took_s = time.process_time() - began
    assert report.findings or report.unread
    return took_s


def worst_line() -> float:
    """Milliseconds for the most expensive line of a few shapes, the best of nine each."""
    from efa_sdk import nccl

    fills = ("x", "[", "1", "é", "NET/OFI ", "NCCL WARN ", "h:1:1 [0] NCCL INFO x ", "libfabric:1:")
    worst = 0.0
    for fill in fills:
        line = ("h:1:1 [0] NCCL WARN " + fill * LINE_BYTES)[:LINE_BYTES] + "\n"
        best = float("inf")
        for _ in range(9):
            reader = nccl.NcclLog()
            began = time.process_time()
            reader.feed(line)
            best = min(best, time.process_time() - began)
        worst = max(worst, best)
    return worst * 1e3


def main(what: str, *paths: str) -> None:
    calls: dict[str, Callable[..., float]] = {
        "log": read_log,
        "document": check_document,
        "line": worst_line,
    }
    value = calls[what](*paths)
    print(json.dumps({"value": value, "peak_mb": peak_mb()}))


def peak_mb() -> float:
    """Of this process alone: ru_maxrss also counts what the one that started it had."""
    status = pathlib.Path("/proc/self/status").read_text()
    (peak_kib,) = (line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(peak_kib) * 1024 / MEGABYTE


if __name__ == "__main__":
    main(*sys.argv[1:])
