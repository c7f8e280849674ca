"""Reading every instance type with EFA, and which zone offers which type, compared with boto3."""

from __future__ import annotations

import json
import os
import pathlib
import sys
import time
from collections.abc import Callable

from .rounds import Run, RunFailed, finish
from .stand_in import served
from .table import Row

TITLE = "The live catalog"
ABOUT = """
CPU time of the client's process for DescribeInstanceTypes (303 rows with EFA, pages of 100) and
DescribeInstanceTypeOfferings (6,436 rows, pages of 1,000), the rows read in Python. The first call
of a process, which also sets up the connection, is a row of its own. The EC2 stand-in answers on
this machine, over HTTP. boto3 reads pages with its own paginators.
"""

ROOT = pathlib.Path(__file__).resolve().parents[2]
REGION = "us-east-1"
TYPES, OFFERINGS = 303, 6436


def rows(run: Run) -> list[Row]:
    with served() as url:
        environment = {**os.environ, "AWS_ENDPOINT_URL": url, "AWS_REGION": REGION}
        environment |= {"AWS_ACCESS_KEY_ID": "none", "AWS_SECRET_ACCESS_KEY": "none"}
        cold: dict[str, list[float | None]] = {}

        def program(name: str) -> Callable[[], float]:
            def once() -> float:
                command = [sys.executable, "-m", __spec__.name, name]
                given = json.loads(finish(command, cwd=ROOT, env=environment)[0])
                cold.setdefault(name, []).append(given["first_ms"])
                return float(given["ms"])

            return once

        values = run.alternate({name: program(name) for name in ("efa-sdk", "boto3")}, 15)
        aligned = all(None not in ones for ones in values.values())
    first = Row.failed("the same, first call of the process", "a run failed")
    if aligned:
        first = Row(
            "the same, first call of the process",
            "ms",
            cold["efa-sdk"],
            None,
            peers={"boto3": cold["boto3"]},
            note="With the client, its connection and what each sets up at the first call.",
        )
    peers = {"boto3": values["boto3"]}
    return [Row("types and offerings", "ms", values["efa-sdk"], 1 / 8, peers=peers), first]


# ---------------------------------------------------------------------- in the child process


def measure(make: Callable[[], Callable[[], None]]) -> None:
    began = time.process_time()
    read = make()
    read()
    first_s = time.process_time() - began
    began = time.process_time()
    read()
    took_s = time.process_time() - began
    print(json.dumps({"ms": took_s * 1e3, "first_ms": first_s * 1e3}))


def ours() -> Callable[[], None]:
    import efa_sdk

    client = efa_sdk.Client(region=REGION)

    def read() -> None:
        catalog = client.catalog()
        found = [(t.name, t.maximum_efa_interfaces, catalog.zones(t.name)) for t in catalog]
        if len(found) != TYPES:
            raise RunFailed(f"{len(found)} types")

    return read


def boto3() -> Callable[[], None]:
    import boto3  # type: ignore[import-untyped, unused-ignore]

    client = boto3.client("ec2", region_name=REGION)

    def read() -> None:
        efa = [{"Name": "network-info.efa-supported", "Values": ["true"]}]
        pages = client.get_paginator("describe_instance_types").paginate(
            Filters=efa, PaginationConfig={"PageSize": 100}
        )
        types = [one for page in pages for one in page["InstanceTypes"]]
        pages = client.get_paginator("describe_instance_type_offerings").paginate(
            LocationType="availability-zone", PaginationConfig={"PageSize": 1000}
        )
        zones: dict[str, list[str]] = {}
        offerings = [one for page in pages for one in page["InstanceTypeOfferings"]]
        for one in offerings:
            zones.setdefault(one["InstanceType"], []).append(one["Location"])
        found = [
            (
                t["InstanceType"],
                t["NetworkInfo"]["EfaInfo"]["MaximumEfaInterfaces"],
                zones.get(t["InstanceType"], []),
            )
            for t in types
        ]
        if (len(found), len(offerings)) != (TYPES, OFFERINGS):
            raise RunFailed(f"{len(found)} types, {len(offerings)} offerings")

    return read


if __name__ == "__main__":
    measure({"efa-sdk": ours, "boto3": boto3}[sys.argv[1]])
