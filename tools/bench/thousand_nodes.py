"""Plan, apply, verify and destroy of 1,000 nodes: the client's CPU, calls, and bytes."""

from __future__ import annotations

import json
import os
import pathlib
import sys
import time
from collections.abc import Callable
from typing import Any

from .rounds import Run, RunFailed, finish
from .stand_in import standing_in
from .table import Row

TITLE = "A cluster of 1,000 nodes"
ABOUT = """
CPU seconds of the client's process for each verb, on the EC2 stand-in over HTTP, for 1,000
instances with two interfaces each. No state takes time there, so that a wait polls once. The goals
are half of what the verbs took before. Reading is `describe`, and DescribeInstances with boto3.
"""

ROOT = pathlib.Path(__file__).resolve().parents[2]
REGION, ZONE = "us-east-1", "us-east-1a"
TYPE = "c5n.18xlarge"
#: Seconds of CPU: half of those of 2026-11-30 before.
GOALS = {"apply": 0.825, "verify": 0.205, "destroy": 0.665}

SHORTFALL = "Reading all instances is most of it, up to three times in a verb. Next: fewer reads."


def rows(run: Run) -> list[Row]:
    nodes = 16 if run.quick else 1000
    values: dict[str, list[float | None]] = {
        verb: [] for verb in ("plan", "apply", "describe", "boto3", "verify", "destroy")
    }
    for turn in run.rounds(5):
        with standing_in("--network", "--transition-describes", "0") as given:
            environment = {**os.environ, **{k: v for k, v in given.items() if k.startswith("AWS_")}}
            network = [given["subnets"][ZONE], given["images"]["x86_64"]]
            command = [sys.executable, "-m", __spec__.name, str(nodes), *network]
            try:
                output, _ = finish(command, cwd=ROOT, env=environment, timeout_s=180)
                took: dict[str, Any] = json.loads(output)
            except RunFailed as error:
                print(f"round {turn + 1}: FAILED: {error}", file=sys.stderr, flush=True)
                took = {}
        for verb, seconds in values.items():
            seconds.append(took.get(verb))
    verbs = [
        Row(f"{verb}, {nodes:,} nodes", "s", values[verb], GOALS.get(verb), shortfall=SHORTFALL)
        for verb in ("plan", "apply", "verify", "destroy")
    ]
    peers = {"boto3": values["boto3"]}
    return [*verbs, Row(f"reading {nodes:,} instances", "s", values["describe"], peers=peers)]


# ---------------------------------------------------------------------- in the child process


def main(nodes: str, subnet: str, image: str) -> None:
    import boto3  # type: ignore[import-untyped, unused-ignore]
    import efa_sdk

    client = efa_sdk.Client(region=REGION, poll_interval_s=0.01)
    ec2 = boto3.client("ec2", region_name=REGION)
    ec2.describe_instances()
    spec = efa_sdk.ClusterSpec(
        name="bench", instance_type=TYPE, count=int(nodes), subnet=subnet, image=image
    )
    took: dict[str, float] = {}

    def timed(verb: str, call: Callable[[], Any]) -> Any:
        began = time.process_time()
        value = call()
        took[verb] = time.process_time() - began
        return value

    client.plan(spec)  # what the first call of a client sets up
    plan = timed("plan", lambda: client.plan(spec))
    applied = timed("apply", lambda: client.apply(plan))
    if len(applied.instances) != int(nodes):
        raise RunFailed(f"{len(applied.instances)} instances")
    timed("describe", lambda: client.describe("bench"))
    timed("boto3", lambda: read(ec2))
    if not timed("verify", lambda: client.verify("bench")).is_as_planned:
        raise RunFailed("the cluster is not as planned")
    timed("destroy", lambda: client.destroy("bench"))
    print(json.dumps(took))


def read(ec2: Any) -> list[Any]:
    tags = [{"Name": "tag:efa-sdk:cluster", "Values": ["bench"]}]
    pages = ec2.get_paginator("describe_instances").paginate(
        Filters=tags, PaginationConfig={"PageSize": 1000}
    )
    found = [i for page in pages for r in page["Reservations"] for i in r["Instances"]]
    if not found:
        raise RunFailed("boto3 found no instances")
    return found


if __name__ == "__main__":
    main(*sys.argv[1:])
