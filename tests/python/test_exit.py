"""The interpreter ends while probes are under way: without a signal, whoever waits for them.

100 exits of each shape, four at a time on two busy cores: ``python tests/python/test_exit.py 100``.
"""

from __future__ import annotations

import collections
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

_ASYNC = """
import asyncio, sys, threading, time
from efa_sdk import aio, fabric

async def probe(seconds=5.0):
    await aio.fabric.loopback(fabric.ProbeOptions("tcp", sizes=[64], size_budget_s=seconds))

async def leave():
    global task
    task = asyncio.ensure_future(probe())
    await asyncio.sleep(0.3)
"""

SHAPES = {
    "the loop cancels it": f"{_ASYNC}\nasyncio.run(leave())",
    "the loop is closed": f"""{_ASYNC}
loop = asyncio.new_event_loop()
loop.run_until_complete(leave())
loop.close()
""",
    "awaited in a daemon thread": f"""{_ASYNC}
threading.Thread(target=asyncio.run, args=(probe(),), daemon=True).start()
time.sleep(0.3)
""",
    "its result comes at the end": f"""{_ASYNC}
threading.Thread(target=asyncio.run, args=(probe(0.1),), daemon=True).start()
time.sleep(0.15 + float(sys.argv[1]) / 100)
""",
    "waited for in a daemon thread": """
import threading, time
from efa_sdk import fabric
options = fabric.ProbeOptions("tcp", sizes=[64], size_budget_s=5.0)
threading.Thread(target=fabric.loopback, args=(options,), daemon=True).start()
time.sleep(0.3)
""",
    "its calls to AWS are logged": """
import logging, threading, time
import efa_sdk
logging.basicConfig(level=logging.DEBUG)
def call():
    while True:
        try:
            efa_sdk.Client(region="us-east-1", endpoint_url="http://127.0.0.1:1").clusters()
        except efa_sdk.EfaError:
            pass
for _ in range(4):
    threading.Thread(target=call, daemon=True).start()
time.sleep(0.3)
""",
    "sys.exit in the loop": f"""{_ASYNC}
async def end():
    await leave()
    sys.exit(0)
asyncio.run(end())
""",
}


def exits(shape: str, times: int) -> collections.Counter[int]:
    """How often this many processes ended with which status."""

    def status(number: int) -> int:
        command = [sys.executable, "-c", SHAPES[shape], str(number % 10)]
        keys = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
        environment = {**os.environ, **keys, "AWS_MAX_ATTEMPTS": "1"}
        options = {"capture_output": True, "timeout": 120, "check": False}
        return subprocess.run(command, env=environment, **options).returncode  # type: ignore[call-overload,no-any-return]

    with ThreadPoolExecutor(4) as pool:
        return collections.Counter(pool.map(status, range(times)))


@pytest.mark.parametrize("shape", SHAPES)
def test_no_exit_ends_by_a_signal(shape: str) -> None:
    assert exits(shape, 8) == {0: 8}


if __name__ == "__main__":
    for shape in SHAPES:
        print(shape, dict(exits(shape, int(sys.argv[1]))))
