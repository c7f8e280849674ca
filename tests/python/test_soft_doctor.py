"""The doctor on software EFA devices: a made /sys and /dev, and the real provider answering."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import pytest
from efa_sdk import fabric
from efa_sdk.testing import SoftEfa
from efa_sdk.testing.soft_efa import namespace

SECOND = os.environ.get("EFA_TEST_LIBFABRIC_2", "")
LIBFABRICS = ["system", *([SECOND] if SECOND else [])]
LIMIT_S = 120
#: A type of each shape: one device and 32, with and without RDMA, a card without EFA, containers.
TYPES = [
    "c5n.18xlarge",
    "g6.48xlarge",
    "hpc7a.96xlarge",
    "p4d.24xlarge",
    "p5.48xlarge",
    "p5en.48xlarge",
    "p6-b200.48xlarge",
    "p6-b300.48xlarge",
    "trn1n.32xlarge",
]


def examined(host: SoftEfa, **environ: str) -> fabric.DoctorReport:
    done = subprocess.run(
        host.command([sys.executable, "-m", "efa_sdk.doctor", "--json"]),
        env=os.environ | host.environ | environ,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.stdout, done.stderr
    report = fabric.DoctorReport.from_json(done.stdout)
    assert done.returncode == report.exit_code
    return report


@pytest.fixture(autouse=True)
def _namespaces() -> None:
    if (reason := namespace.why_no_namespace()) is not None:
        (pytest.fail if os.environ.get("EFA_TEST_NO_SKIPS") else pytest.skip)(reason)


@pytest.mark.parametrize("instance_type", TYPES)
def test_a_healthy_machine_is_usable(instance_type: str) -> None:
    for libfabric in LIBFABRICS:
        with SoftEfa(
            devices=None, instance_type=instance_type, namespace=True, libfabric=libfabric
        ) as host:
            report = examined(host)
            names = [device.name for device in host.devices]
        assert (report.verdict, report.exit_code) == ("usable", 0), str(report)
        assert [f.id for f in report.findings if f.status == "failed"] == [], str(report)
        assert report.efa_devices == names


def nothing(host: SoftEfa) -> None:
    """Leaves the machine as it is."""


def hide_files(host: SoftEfa) -> None:
    """Takes the files of the devices away; the driver's own side stays."""
    for path in (host.root / "dev/infiniband").iterdir():
        path.unlink()
    host.fault(no_open=1)


#: What is done to the machine, to the environment, the cause, and words of the cure.
BROKEN: dict[str, tuple[Callable[[SoftEfa], None], dict[str, str], str, str]] = {
    "every port down": (lambda host: host.fault(down=1), {}, "rdma.ports", "dmesg"),
    "filtered by FI_PROVIDER": (
        nothing,
        {"FI_PROVIDER": "tcp"},
        "environment.fi_provider",
        "FI_PROVIDER",
    ),
    "a device that is none": (
        nothing,
        {"FI_EFA_IFACE": "rdmap0s99"},
        "environment.fi_efa_iface",
        "FI_EFA_IFACE",
    ),
    "no libfabric": (nothing, {"EFA_FABRIC_LIB": "/nowhere/libfabric.so.1"}, "libfabric.found", ""),
    # Whoever runs this in a container gets that as the place to look.
    "no files": (hide_files, {}, "verbs.nodes container.devices kubernetes.efa_resource", ""),
    "does not open": (
        lambda host: host.fault(0, no_open=1),
        {},
        "verbs.unopenable",
        "dmesg",
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_machine_has_its_cause(what: str) -> None:
    breaks, environ, cause, words = BROKEN[what]
    with SoftEfa(
        devices=2, instance_type="p4d.24xlarge", namespace=True, libfabric=LIBFABRICS[-1]
    ) as host:
        breaks(host)
        report = examined(host, **environ)
    assert (report.verdict, report.exit_code) == ("not_usable", 1), str(report)
    assert report.cause in cause.split(), str(report)
    finding = next(f for f in report.findings if f.id == report.cause)
    assert words in (finding.cure or ""), str(report)


@pytest.mark.skipif(not SECOND, reason="EFA_TEST_LIBFABRIC_2 names no second libfabric")
def test_a_variable_that_ends_the_process_is_the_cause() -> None:
    with SoftEfa(devices=1, instance_type="p4d.24xlarge", namespace=True, libfabric=SECOND) as host:
        report = examined(host, FI_EFA_MTU_SIZE="9000")
    assert (report.verdict, report.cause) == ("not_usable", "environment.killer"), str(report)


def test_one_port_of_several_is_a_warning() -> None:
    with SoftEfa(
        devices=None, instance_type="p4d.24xlarge", namespace=True, faults={1: {"down": 1}}
    ) as host:
        report = examined(host)
    assert (report.verdict, report.exit_code) == ("usable", 0), str(report)
    warned = [f.id for f in report.findings if f.status == "warning"]
    assert "rdma.ports" in warned, str(report)
