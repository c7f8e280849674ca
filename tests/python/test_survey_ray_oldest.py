"""A survey on the oldest Ray that is supported, in a Python of its own with that version.

`tools/setup.sh tests` makes that Python; the Makefile names it in EFA_TEST_RAY_OLDEST. The newest
Ray is what the other tests run with: tests/requirements.txt.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import efa_sdk
from support import skip

REPOSITORY = Path(__file__).parents[2]

SURVEY = """
import json
import ray
from ray.cluster_utils import Cluster
import efa_sdk

cluster = Cluster()
try:
    node = dict(num_cpus=1, object_store_memory=100 * 2**20, include_dashboard=False)
    for _ in range(2):
        cluster.add_node(**node)
    ray.init(address=cluster.address, log_to_driver=False, logging_level="error")
    # After init: the driver may join through any node that is there, and ends with it.
    victim = cluster.add_node(**node, resources={"victim": 1})
    cluster.wait_for_nodes()
    killed = []

    def kill_one(state):
        if not killed:
            killed.extend(n["NodeID"] for n in ray.nodes() if "victim" in n["Resources"])
            cluster.remove_node(victim, allow_graceful=False)

    # A rate that any pair reaches: each is measured once, however much they differ.
    quick = dict(
        provider="tcp", message_bytes=65536, test_budget_s=0.02, expected_gbps=1e-3)
    direct, efa_sdk.ray.DIRECT = efa_sdk.ray.DIRECT, 1  # through relays, as in large clusters
    healthy = efa_sdk.ray.survey(**quick, round_deadline_s=120)
    efa_sdk.ray.DIRECT = direct
    broken = efa_sdk.ray.survey(**quick, round_deadline_s=15, progress=kill_one)
    said = {
        "ray": ray.__version__,
        "healthy": healthy.healthy,
        "measurements": healthy.measurements,
        "pickles": ray.get(ray.put(healthy)) == healthy,
        "unreachable": broken.unreachable_nodes,
        "killed": killed[0][:6],
    }
    print(json.dumps(said), flush=True)
finally:
    ray.shutdown()
    cluster.shutdown()
"""


def oldest_python() -> str:
    python = os.environ.get("EFA_TEST_RAY_OLDEST")
    if python is None or not Path(python).exists():
        skip("EFA_TEST_RAY_OLDEST names no Python: tools/setup.sh tests makes it")
    return python


def test_a_survey_on_the_oldest_ray() -> None:
    python = oldest_python()
    pinned = (REPOSITORY / "tests/requirements-ray-oldest.txt").read_text()
    (version,) = re.findall(r"^ray==(\S+)$", pinned, re.MULTILINE)
    done = subprocess.run(
        [python, "-c", SURVEY],
        env={
            **os.environ,
            "PYTHONPATH": str(Path(efa_sdk.__file__).parents[1]),
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_USAGE_STATS_REPORT_URL": "http://127.0.0.1:9/",
            "RAY_AUTH_MODE": "disabled",
        },
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    # Ray writes there too, such as that a raylet was killed.
    (line,) = (line for line in done.stdout.splitlines() if line.startswith('{"ray"'))
    said = json.loads(line)
    assert said["ray"] == version
    assert said["healthy"]
    assert said["measurements"] == 3
    assert said["pickles"]
    (name,) = said["unreachable"]
    assert name.endswith(f"/{said['killed']}")
