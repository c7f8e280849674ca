"""Rails on software EFA devices: healthy, slow, lossy and dead ones, distinguished by counters."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from efa_sdk.testing import SoftEfa

PROBES = [sys.executable, str(Path(__file__).with_name("soft_probes.py"))]
SECOND = os.environ.get("EFA_TEST_LIBFABRIC_2", "")
LIBFABRICS = ["system", *([SECOND] if SECOND else [])]
IDS = ["1.17", "2.5.1"][: len(LIBFABRICS)]
LIMIT_S = 240
#: Bytes per second of a healthy device here: less than processors can do, so that devices differ.
RATE = 8_000_000


def probed(host: SoftEfa, **case: Any) -> dict[str, Any]:
    """The report of the host's rails, measured in a process of its own."""
    environ = os.environ | host.environ
    done = subprocess.run(
        host.command([*PROBES, "rails", str(host.root)]),
        env={"SOFT_EFA_TIMEOUT_MS": "1500", **environ},
        input=json.dumps([{"pin": False, "deadline_s": 60.0, **case}]),
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, (done.returncode, done.stderr[-2000:])
    report: dict[str, Any] = json.loads(done.stdout)
    assert "code" not in report, report
    return report


def rails_of(report: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {rail["rail"]["device"]: rail for rail in report["rails"]}


@pytest.mark.alone
@pytest.mark.parametrize("libfabric", LIBFABRICS, ids=IDS)
def test_each_kind_of_bad_rail_is_distinguished(libfabric: str) -> None:
    """One at half rate, one that loses packets, one dead; shared memory is not off from outside."""
    with SoftEfa(
        devices=6,
        libfabric=libfabric,
        shared_memory=True,
        faults={"all": {"rate": RATE}, 1: {"rate": RATE // 2}, 2: {"loss": 0.02}, 3: {"dead": 1}},
    ) as host:
        report = probed(host, sizes=[16_384], size_budget_s=0.1)
        fine, slow, lossy, dead, *others = (device.name for device in host.devices)
        expected = [device.rate_gbps for device in host.devices]
    rails = rails_of(report)
    assert [
        rails[name]["rail"]["expected_gbps"] for name in (fine, slow, lossy, dead, *others)
    ] == expected
    assert slow in report["slow_alone"], report["statements"]
    assert slow in report["slow_together"]
    assert fine not in report["slow_alone"]
    assert rails[dead]["failure"]["code"] == "fabric.unreachable"
    assert (rails[dead]["alone"], report["sum_gbps"], report["aggregate_gbps"]) == (None,) * 3
    for name in (fine, slow, lossy, *others):
        for when in ("alone", "together"):
            measure = rails[name][when]
            assert measure["evidence"]["status"] == "proved", (name, when, measure)
            assert measure["evidence"]["tx_bytes"] >= measure["bytes"]
            assert measure["shared_memory"] == "disabled"
    resent = {
        name: rails[name]["alone"]["counter_growth"]["retrans_pkts"] for name in (fine, lossy)
    }
    assert resent[lossy] > resent[fine], resent


@pytest.mark.parametrize("libfabric", LIBFABRICS, ids=IDS)
def test_a_slow_rail_costs_its_own_share_only(libfabric: str) -> None:
    """Its last window takes longer than all that the others send: the aggregate is not all bytes
    over that time."""
    with SoftEfa(
        devices=4,
        libfabric=libfabric,
        faults={"all": {"rate": RATE}, 2: {"rate": RATE // 2}},
    ) as host:
        report = probed(host, sizes=[16_384], size_budget_s=0.02)
        slow = host.devices[2].name
    together = [rail["together"] for rail in report["rails"]]
    assert report["aggregate_gbps"] == pytest.approx(sum(measure["gbps"] for measure in together))
    # What all bytes over the time of the slowest would give.
    diluted = sum(measure["bytes"] for measure in together) * 8e-9 / report["together_s"]
    assert report["aggregate_gbps"] > 1.1 * diluted, (diluted, report)
    # The others kept sending next to it until it was measured.
    sent = {
        name: rail["together"]["evidence"]["tx_bytes"] for name, rail in rails_of(report).items()
    }
    slow_sent = sent.pop(slow)
    assert min(sent.values()) > 1.4 * slow_sent, (slow_sent, sent)


@pytest.mark.skipif(not SECOND, reason="EFA_TEST_LIBFABRIC_2 names no second libfabric")
def test_thirty_two_rails() -> None:
    with SoftEfa(devices=32, instance_type="p5.48xlarge", libfabric=SECOND) as host:
        report = probed(host, sizes=[2048], size_budget_s=0.005)
        names = [device.name for device in host.devices]
    assert sorted(rail["rail"]["device"] for rail in report["rails"]) == sorted(names)
    assert [rail["failure"] for rail in report["rails"]] == [None] * 32
    for rail in report["rails"]:
        for when in ("alone", "together"):
            assert rail[when]["evidence"]["status"] == "proved", rail
    assert report["threads"] == 64
    # With more threads than processors no rail is named that was fine alone.
    assert set(report["slow_together"]) <= set(report["slow_alone"]) or report["cpus"] >= 64
