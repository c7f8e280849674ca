"""A host that loses large packets is told from one that is dead: plain ranks on hosts that are
namespaces of this machine (see `hosts`), over libfabric's tcp."""

from __future__ import annotations

import pathlib
import subprocess
import sys

import pytest
from efa_sdk.survey import SurveyReport
from hosts import Hosts, require_hosts

pytestmark = pytest.mark.alone

PORT = 7777
DEADLINE_S = 240


def test_lost_large_packets_are_no_dead_node(tmp_path: pathlib.Path) -> None:
    require_hosts()
    token = tmp_path / "token"
    token.write_text("a secret of some length\n")
    with (
        Hosts(5, rate_mbit=160) as hosts,
        hosts.without_large_packets(3, above_bytes=1000, except_port=PORT),
    ):
        ranks = [rank(hosts, number, token) for number in range(hosts.count)]
        out, err = ranks[0].communicate(timeout=DEADLINE_S)
        assert ranks[0].returncode == 1, err
        for process in ranks[1:]:
            process.communicate(timeout=DEADLINE_S)
    report = SurveyReport.from_json(out)
    print(report)
    assert report.drain == report.unreachable_nodes == ["host-4"]
    assert report.action == "take out: host-4"
    (said,) = report.problems
    assert said.startswith(
        "host-4 passes small messages, but not those of 2048 bytes with every one of "
    )
    assert "(measuring latency: fabric.deadline after " in said
    failed = [row for row in report.rows() if row["code"] is not None]
    assert {row["phase"] for row in failed} == {"latency"}
    assert all("host-4" in (row["a"], row["b"]) for row in failed)


def rank(hosts: Hosts, number: int, token: pathlib.Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "efa_sdk.survey", f"--rank={number}", "--world-size=5"]
    command += [f"--rendezvous={hosts.addresses[0]}:{PORT}", f"--token-file={token}", "--json"]
    command += [f"--node-name={hosts.names[number]}", f"--source-address={hosts.addresses[number]}"]
    command += ["--provider=tcp", "--no-inspection", "--quiet", "--test-budget-s=0.05"]
    command += ["--message-bytes=32768", "--round-deadline-s=4"]
    return hosts.start(number, command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
