"""Programs that nobody here wrote, on software EFA devices: bytes compared, counters moved.

MPICH over libfabric 2.5.1 and over UCX's srd transport, which is verbs without libfabric, and the
PyPI package `efa` (verbs from Cython) with its own tests. Larger ones: `make soft-efa-clients`.
"""

from __future__ import annotations

import importlib.util
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from efa_sdk.testing import SoftEfa
from soft_hosts import require_namespace, run

if importlib.util.find_spec("mpi4py") is None and not os.environ.get("EFA_TEST_NO_SKIPS"):
    pytest.skip("mpi4py is not installed: tools/setup.sh does", allow_module_level=True)

PREFIX = Path(sys.prefix)
MPI_BYTES = Path(__file__).with_name("mpi_bytes.py")
#: The source of the package efa, with its tests: tools/setup.sh puts it there.
EFA_SOURCE = Path(os.environ.get("EFA_TEST_EFA_SOURCE", PREFIX / "share/efa-source"))

NETMODS: dict[str, dict[str, str]] = {
    "ofi": {
        "MPIR_CVAR_CH4_NETMOD": "ofi",
        "FI_PROVIDER": "efa",
        "FI_PROVIDER_PATH": str(PREFIX / "lib/mpich/libfabric"),
    },
    "ucx": {"MPIR_CVAR_CH4_NETMOD": "ucx", "UCX_TLS": "srd,self"},
}


REORDERING: dict[str, Any] = {"devices": 1, "faults": {"all": {"loss": 0.01, "reorder": 0.2}}}
NO_RDMA: dict[str, Any] = {"without": ["read", "write", "unsolicited"]}


@pytest.mark.parametrize(
    ("netmod", "ranks", "options"),
    [
        pytest.param("ofi", 2, {}, id="ofi"),
        pytest.param("ofi", 3, REORDERING, id="ofi, loss and reordering"),
        pytest.param("ofi", 4, NO_RDMA, id="ofi, no RDMA"),
        pytest.param("ucx", 2, {}, id="ucx"),
        pytest.param("ucx", 3, REORDERING, id="ucx, loss and reordering"),
        pytest.param("ucx", 4, NO_RDMA | REORDERING, id="ucx, no RDMA, loss and reordering"),
    ],
)
def test_mpich_moves_the_right_bytes(netmod: str, ranks: int, options: dict[str, Any]) -> None:
    if netmod == "ucx":
        require_namespace()  # it looks for devices in /sys and /dev alone
    with SoftEfa(
        **{"instance_type": "p5en.48xlarge", "hwloc": True, "namespace": netmod == "ucx", **options}
    ) as host:
        done = run(
            host,
            *(str(PREFIX / "bin/mpiexec"), "-n", str(ranks), sys.executable, str(MPI_BYTES)),
            "--one-sided",
            MPIR_CVAR_NOLOCAL="1",
            **NETMODS[netmod],
        )
        assert done.returncode == 0, done.stdout + done.stderr
        sent = [int(n) for n in re.findall(r"sent (\d+) bytes, all right", done.stdout)]
        assert len(sent) == ranks, done.stdout
        counters = host.counters()
    moved = sum(counters[name] for name in ("tx_bytes", "rdma_read_bytes", "rdma_write_bytes"))
    assert moved >= sum(sent), counters
    if "without" in options:
        assert counters["rdma_read_bytes"] == counters["rdma_write_bytes"] == 0
    if "faults" in options:
        assert counters["retrans_pkts"] > 0


def test_the_package_efa_passes_its_own_tests() -> None:
    if not (EFA_SOURCE / "tests").is_dir():
        (pytest.fail if os.environ.get("EFA_TEST_NO_SKIPS") else pytest.skip)(
            f"{EFA_SOURCE} does not exist: tools/setup.sh fetches it"
        )
    words = ["-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", "-p", "no:xdist"]
    with SoftEfa(devices=2, instance_type="p5en.48xlarge") as host:
        done = run(
            host, sys.executable, *words, "--rootdir", str(EFA_SOURCE), str(EFA_SOURCE / "tests")
        )
        counters = host.counters()
    assert done.returncode == 0, done.stdout[-8000:]
    passed, skipped = (
        int(found[1]) if (found := re.search(rf"(\d+) {word}", done.stdout)) else 0
        for word in ("passed", "skipped")
    )
    # The one that is skipped registers memory of a GPU.
    assert (passed, skipped) == (96, 1), done.stdout[-4000:]
    assert all(counters[name] > 0 for name in ("tx_bytes", "rdma_read_bytes", "rdma_write_bytes"))
