"""Reading every instance type with EFA, and which zone offers which type, compared with boto3."""

from __future__ import annotations

import functools
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
DescribeInstanceTypeOfferings, the rows read in Python. efa-sdk asks for the offerings of those 303
types (1,305 rows, two calls), boto3 for all (6,436 rows, pages of 1,000) and, in a row of its own,
for the same 303. The first call of a process, which also sets up the connection, is a row of its
own. The EC2 stand-in answers on this machine, over HTTP. boto3 reads pages with its own paginators.
"""

ROOT = pathlib.Path(__file__).resolve().parents[2]
REGION = "us-east-1"
TYPES, OFFERINGS, OFFERINGS_OF_TYPES = 303, 6436, 1305
#: What one filter takes.
FILTER_VALUES = 200
OURS, BOTO3, BOTO3_CHOSEN = "efa-sdk", "boto3", "boto3, of 303 types"


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

        values = run.alternate({name: program(name) for name in PROGRAMS}, 15)
        aligned = all(None not in ones for ones in values.values())
    first = Row.failed("the same, first call of the process", "a run failed")
    if aligned:
        first = Row(
            "the same, first call of the process",
            "ms",
            cold[OURS],
            None,
            peers={BOTO3: cold[BOTO3]},
            note="With the client, its connection and what each sets up at the first call.",
        )
    return [
        Row(
            "types and offerings",
            "ms",
            values[OURS],
            1 / 8,
            peers={BOTO3: values[BOTO3]},
            shortfall="The XML of the types alone is 1.45 MB. Next: to read it without a tree.",
        ),
        Row(
            "the same, boto3 asking for the same types",
            "ms",
            values[OURS],
            peers={BOTO3_CHOSEN: values[BOTO3_CHOSEN]},
        ),
        first,
    ]


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


def boto3(*, is_chosen: bool = False) -> Callable[[], None]:
    import boto3  # type: ignore[import-untyped, unused-ignore]

    client = boto3.client("ec2", region_name=REGION)

    def read() -> None:
        efa = [{"Name": "network-info.efa-supported", "Values": ["true"]}]
        pages = client.get_paginator("describe_instance_types").paginate(
            Filters=efa, PaginationConfig={"PageSize": 100}
        )
        types = [one for page in pages for one in page["InstanceTypes"]]
        names = [one["InstanceType"] for one in types]
        chosen = [
            {"Filters": [{"Name": "instance-type", "Values": names[at : at + FILTER_VALUES]}]}
            for at in range(0, len(names), FILTER_VALUES)
        ]
        offerings: list[dict[str, str]] = []
        for filters in chosen if is_chosen else [{}]:
            pages = client.get_paginator("describe_instance_type_offerings").paginate(
                LocationType="availability-zone", PaginationConfig={"PageSize": 1000}, **filters
            )
            offerings += [one for page in pages for one in page["InstanceTypeOfferings"]]
        zones: dict[str, list[str]] = {}
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
        expected = OFFERINGS_OF_TYPES if is_chosen else OFFERINGS
        if (len(found), len(offerings)) != (TYPES, expected):
            raise RunFailed(f"{len(found)} types, {len(offerings)} offerings")

    return read


PROGRAMS: dict[str, Callable[[], Callable[[], None]]] = {
    OURS: ours,
    BOTO3: boto3,
    BOTO3_CHOSEN: functools.partial(boto3, is_chosen=True),
}

if __name__ == "__main__":
    measure(PROGRAMS[sys.argv[1]])
