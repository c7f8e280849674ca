"""The doctor on software EFA devices: a made /sys and /dev, and the real provider answering."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from efa_sdk import fabric
from efa_sdk.testing import SoftEfa
from efa_sdk.testing.soft_efa import namespace
from soft_hosts import run

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


def examined(host: SoftEfa) -> fabric.DoctorReport:
    done = subprocess.run(
        host.command([sys.executable, "-m", "efa_sdk.doctor", "--json"]),
        env=os.environ | host.environ,
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


def hide_files(host: SoftEfa) -> None:
    """Takes the files of the devices away; the driver's own side stays."""
    for path in (host.root / "dev/infiniband").iterdir():
        path.unlink()
    host.fault(no_open=1)


#: What is done to the devices, the cause, words of the cure; and of that of a probe which gets no
#: device.
BROKEN: dict[str, tuple[Callable[[SoftEfa], None], str, str, str | None]] = {
    "every port down": (lambda host: host.fault(down=1), "rdma.ports", "dmesg", None),
    # Whoever runs this in a container gets that as the place to look.
    "no files": (
        hide_files,
        "verbs.nodes container.devices kubernetes.efa_resource",
        "",
        "give this process /dev/infiniband/uverbs0, which is missing",
    ),
    "does not open": (
        lambda host: host.fault(0, no_open=1),
        "verbs.unopenable",
        "dmesg",
        "the kernel has 2 EFA devices that libfabric does not offer",
    ),
}
#: How a probe ends.
PROBE = """
from efa_sdk import errors, fabric
try:
    fabric.loopback(fabric.ProbeOptions("efa", sizes=[64]))
except errors.EfaError as error:
    print(error.code, error.cure)
"""


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_machine_has_its_cause(what: str) -> None:
    breaks, cause, words, probe_words = BROKEN[what]
    with SoftEfa(
        devices=2, instance_type="p4d.24xlarge", namespace=True, libfabric=LIBFABRICS[-1]
    ) as host:
        breaks(host)
        report = examined(host)
        if probe_words is not None:
            probe = run(host, sys.executable, "-c", PROBE)
            assert probe.stdout.startswith("fabric.provider_not_found "), probe
            assert probe_words in probe.stdout
    assert (report.verdict, report.exit_code) == ("not_usable", 1), str(report)
    assert report.cause in cause.split(), str(report)
    finding = next(f for f in report.findings if f.id == report.cause)
    assert words in (finding.cure or ""), str(report)


def test_one_port_of_several_is_a_warning() -> None:
    with SoftEfa(
        devices=None, instance_type="p4d.24xlarge", namespace=True, faults={1: {"down": 1}}
    ) as host:
        report = examined(host)
    assert (report.verdict, report.exit_code) == ("usable", 0), str(report)
    warned = [f.id for f in report.findings if f.status == "warning"]
    assert "rdma.ports" in warned, str(report)


#: What doctor_branches.py breaks, by the libraries that libfabric uses: the cause, or a finding of
#: a machine that stays usable, with its status; and words of the finding.
BRANCHES: dict[str, dict[str, tuple[str, str, str]]] = {
    "the device": {
        "nothing is broken": ("pci.count", "warning", "2 EFA devices, where p4d.24xlarge takes 4"),
        "efa is not loaded": ("driver.module", "failed", "efa is not loaded"),
        "ib_uverbs is not loaded": ("driver.uverbs", "failed", "ib_uverbs is not loaded"),
        "OFED is in the way": ("driver.ofed", "failed", "mlx_compat"),
        "the driver left the devices alone": ("driver.device_id", "failed", "2 of 2"),
        "no RDMA device": ("rdma.devices", "failed", "/sys/class/infiniband"),
        "no device on the bus": ("pci.devices", "failed", "no EFA device"),
        "one file is missing": ("verbs.nodes", "info warning", "1 of 2"),
        "no efa provider": ("libfabric.efa_provider", "failed", "not compiled in"),
        "no libfabric": ("libfabric.found", "failed", "/nowhere/libfabric.so.1"),
        "a variable that aborts the process": ("environment.killer", "failed", "FI_EFA_MTU_SIZE"),
        "filtered by FI_PROVIDER": ("environment.fi_provider", "failed", "FI_PROVIDER"),
        "an invalid device": ("environment.fi_efa_iface", "failed", "rdmap0s99"),
        "a variable that nobody reads": ("environment.ineffective", "warning", "DEVICE_NAME"),
        "forks are made safe": ("fork.support", "ok", "FI_EFA_FORK_SAFE is set"),
        "little shared memory": ("limits.shm", "warning", "only 16 MiB"),
        "little locked memory": ("limits.memlock", "failed", "only 64 KiB"),
    },
    # Of the system's libfabric, whose efa provider is compiled in.
    "rdma-core": {
        "devices that nothing drives": ("libfabric.no_efa", "failed", "offers no EFA"),
        "a generation after this rdma-core": ("verbs.rdma_core", "failed", "too old for efa4"),
        "a generation of the future": ("libfabric.no_efa", "failed", "offers no EFA"),
        "no driver": ("verbs.libefa", "failed", "driver is not installed"),
        "no driver is named": ("verbs.libefa", "failed", "not configured"),
        "files that others may open": ("verbs.unopenable", "failed", "Permission denied"),
    },
}


@pytest.mark.parametrize("libraries", BRANCHES)
def test_branches_of_the_decision_tree_are_distinguished_live(libraries: str) -> None:
    if libraries == "the device" and not SECOND:
        pytest.skip("EFA_TEST_LIBFABRIC_2 names no libfabric whose providers are apart")
    with SoftEfa(
        devices=2,
        instance_type="p4d.24xlarge",
        namespace=True,
        libfabric=SECOND if libraries == "the device" else "system",
    ) as host:
        program = Path(__file__).with_name("doctor_branches.py")
        done = subprocess.run(
            host.command([sys.executable, str(program), libraries]),
            env=os.environ | host.environ,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    said = {line[0]: line[1:] for line in map(json.loads, done.stdout.splitlines())}
    assert said.keys() == BRANCHES[libraries].keys()
    for name, (check, status, words) in BRANCHES[libraries].items():
        verdict, cause, findings = said[name]
        expected = ("not_usable", check) if status == "failed" else ("usable", None)
        assert (verdict, cause) == expected, f"{name}: {findings}"
        found, text = findings[check]
        assert found in status.split(), f"{name}: {found}, {text}"
        assert words in text, f"{name}: {found}, {text}"
