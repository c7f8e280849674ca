"""Importing the package and asking the bundled catalog, compared with boto3's import and client."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from .rounds import Run, finish
from .table import Row

TITLE = "Import and a bundled query"
ABOUT = """
CPU seconds of a fresh Python process, less those of one that does nothing in the same round. Ours
imports `efa_sdk` and finds instance types in the catalog inside the package; boto3's imports it and
makes a client of EC2, without which nothing can be asked. Files are in the page cache.
"""

QUERY = 'import efa_sdk; assert efa_sdk.Catalog.bundled().find(name="p5*", minimum_gpus=8)'
CLIENT = 'import boto3; boto3.client("ec2", region_name="us-east-1")'
AIO = "import efa_sdk, efa_sdk.aio"
PROGRAMS = {"nothing": "pass", "query": QUERY, "aio": AIO, "boto3": CLIENT}


def rows(run: Run) -> list[Row]:
    environment = {**os.environ, "AWS_EC2_METADATA_DISABLED": "true"}
    environment |= {"AWS_ACCESS_KEY_ID": "none", "AWS_SECRET_ACCESS_KEY": "none"}
    # Users keep what was compiled.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)

    def program(code: str) -> Callable[[], float]:
        def once() -> float:
            command = [sys.executable, "-c", code]
            return finish(command, cwd="/", env=environment)[1] * 1e3

        return once

    programs = {name: program(code) for name, code in PROGRAMS.items()}
    if not run.quick:
        for once in programs.values():
            once()  # what is compiled and cached at the first import
    values = run.alternate(programs, 21)
    nothing = values.pop("nothing")

    def over(name: str) -> list[float | None]:
        pairs = zip(values[name], nothing, strict=True)
        return [v - bare if v is not None and bare is not None else None for v, bare in pairs]

    peers = {"boto3": over("boto3")}
    return [
        Row(
            "import and a bundled query",
            "ms",
            over("query"),
            0.06,
            peers=peers,
            shortfall="It loads one library and the names in it. Next: fewer relocations.",
        ),
        Row(
            "import with `efa_sdk.aio`",
            "ms",
            over("aio"),
            None,
            peers=peers,
            note="Most of it is asyncio, which nothing else of the package imports.",
        ),
    ]
