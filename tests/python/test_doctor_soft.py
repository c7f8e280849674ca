"""The doctor and the probes with the real efa provider, on software devices."""

from __future__ import annotations

import json
import sys

import pytest
from efa_sdk.testing import SoftEfa
from soft_hosts import LIBFABRICS, require_namespace, run

#: What the doctor reports, and how a probe in the same process ends.
PROGRAM = """
import json
from efa_sdk import fabric
from efa_sdk.errors import EfaError
report = fabric.doctor()
killer = report.finding("environment.killer")
try:
    fabric.loopback(fabric.ProbeOptions("efa", sizes=[64], size_budget_s=0.01))
    probe = "ok"
except EfaError as error:
    probe = error.code
print(json.dumps([report.verdict, report.cause, report.exit_code, killer.status, probe]))
"""


@pytest.mark.parametrize("libfabric", LIBFABRICS)
@pytest.mark.parametrize(
    ("without", "value", "expected"),
    [
        ("read", "1", ["not_usable", "environment.killer", 1, "failed"]),
        ("read", "0", ["usable", None, 0, "ok"]),
        (None, "1", ["usable", None, 0, "ok"]),
    ],
)
def test_device_rdma_on_a_device_without_it_ends_no_process(
    libfabric: str, without: str | None, value: str, expected: list[object]
) -> None:
    require_namespace()
    lacks = [] if without is None else [without]
    with SoftEfa(
        devices=None, instance_type="p5.4xlarge", namespace=True, libfabric=libfabric, without=lacks
    ) as host:
        done = run(host, sys.executable, "-c", PROGRAM, FI_EFA_USE_DEVICE_RDMA=value)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    probe = "fabric.killer_environment" if expected[3] == "failed" else "ok"
    assert found == [*expected, probe], done.stdout
