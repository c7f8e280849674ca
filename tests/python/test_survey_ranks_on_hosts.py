"""Plain ranks on five hosts that are namespaces of this machine (see `hosts`), over libfabric's
tcp: what is no fault of a node is not taken for one, and every process ends."""

from __future__ import annotations

import pathlib
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from efa_sdk.survey import SurveyReport
from hosts import Hosts, require_hosts, wait_until

# One network of hosts for all of them.
pytestmark = pytest.mark.xdist_group("ranks on hosts")

PORT = 7777
PROG = "python -m efa_sdk.survey"
#: No suspects but what fails, however busy this machine is; and few rounds.
NO_SUSPECTS = "--loss=0.5 --latency-excess=1000 --link-latency-excess=1000"
QUICK = f"--mode=ring {NO_SUSPECTS} "
#: For what is to end by itself, on a machine that is busy.
DEADLINE_S = 240


class Ended(NamedTuple):
    """A process that ended."""

    status: int
    out: str
    err: str


@pytest.fixture(scope="module")
def five() -> Iterator[Hosts]:
    require_hosts()
    with Hosts(5, rate_mbit=160) as five:
        yield five
    assert five.leftovers() == []


@pytest.fixture
def hosts(five: Hosts) -> Iterator[Hosts]:
    yield five
    wait_until(lambda: not any(map(five.processes, range(five.count))), "no rank runs")


@pytest.fixture
def token(tmp_path: pathlib.Path) -> pathlib.Path:
    token = tmp_path / "token"
    token.write_text("a secret of some length\n")
    return token


def start(
    hosts: Hosts, number: int, token: pathlib.Path, options: str = ""
) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "efa_sdk.survey", f"--rank={number}", "--world-size=5"]
    command += [f"--rendezvous={hosts.addresses[0]}:{PORT}", f"--token-file={token}", "--json"]
    command += [f"--node-name={hosts.names[number]}", f"--source-address={hosts.addresses[number]}"]
    command += ["--provider=tcp", "--no-inspection", "--progress", "--message-bytes=32768"]
    command += options.split()
    return hosts.start(number, command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def ended(process: subprocess.Popen[str], within_s: float = DEADLINE_S) -> Ended:
    out, err = process.communicate(timeout=within_s)
    return Ended(process.returncode, out, err)


def wait_for_a_round(rank_0: subprocess.Popen[str]) -> None:
    """The progress of rank 0 reports that a round is over, so that every rank joined that will."""
    assert rank_0.stderr is not None
    for line in rank_0.stderr:
        if line.startswith("round ") and not line.startswith("round 0 "):
            return
    raise AssertionError("rank 0 ended before a round was over")


def read(rank_0: Ended) -> SurveyReport:
    report = SurveyReport.from_json(rank_0.out)
    print(report)
    assert rank_0.status == report.exit_status
    return report


def test_lost_large_packets_are_no_dead_node(hosts: Hosts, token: pathlib.Path) -> None:
    options = f"{NO_SUSPECTS} --test-budget-s=0.05 --round-deadline-s=8"
    with hosts.without_large_packets(3, above_bytes=1000, except_port=PORT):
        ranks = [start(hosts, number, token, options) for number in range(hosts.count)]
        rank_0, *others = [ended(rank) for rank in ranks]
    report = read(rank_0)
    assert {of.status for of in others} == {1}
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


def test_a_cut_of_the_rendezvous_host_is_held_against_nobody(
    hosts: Hosts, token: pathlib.Path
) -> None:
    options = QUICK + "--test-budget-s=0.3 --round-deadline-s=20"
    ranks = [start(hosts, number, token, options) for number in range(hosts.count)]
    wait_for_a_round(ranks[0])
    with hosts.unplugged(0):
        time.sleep(6)  # less than a round may take
    rank_0, *others = [ended(rank) for rank in ranks]
    report = read(rank_0)
    assert report.drain == report.absent == report.unreachable_nodes == []
    assert report.unreachable_links == report.slow_nodes == []
    assert report.exit_status in (0, 2)
    assert {of.status for of in others} == {report.exit_status}
    blamed = [said for said in report.findings if "suspect " in said]
    assert all("suspect host-1, where the nodes meet" in said for said in blamed)


def test_ranks_end_soon_after_the_rendezvous_host_falls_silent(
    hosts: Hosts, token: pathlib.Path
) -> None:
    options = QUICK + "--test-budget-s=0.3 --round-deadline-s=2"
    ranks = [start(hosts, number, token, options) for number in range(hosts.count)]
    wait_for_a_round(ranks[0])
    with hosts.unplugged(0):
        # A pair takes 1.5 s at most, and a request twice the round and a second; by default both
        # are a minute and more.
        rank_0, *others = [ended(rank, within_s=40) for rank in ranks]
    report = read(rank_0)
    assert (report.status, report.drain) == ("not_surveyed", [])
    assert "suspect host-1, where the nodes meet" in str(report)
    for number, other in enumerate(others, 1):
        assert other.status == 2, other
        # The last host of an odd number has nobody to measure with in the first round.
        assert other.err.startswith(f"{PROG}: rank {number}: "), other
        assert "the exchange failed at " in other.err, other
        assert "see whether rank 0 still runs, and whether its host can be reached" in other.err


@pytest.mark.alone
def test_a_trunk_that_pairs_do_not_show_breaks_the_ring(hosts: Hosts, token: pathlib.Path) -> None:
    options = f"--test-budget-s=0.4 --round-deadline-s=20 {NO_SUSPECTS} --collectives ring"
    # Two pairs of five hosts at a time have room, all five hosts at once less than half of it.
    with hosts.sharing(total_mbit=330):
        ranks = [start(hosts, number, token, options) for number in range(hosts.count)]
        rank_0, *others = [ended(rank) for rank in ranks]
    report = read(rank_0)
    assert (report.exit_status, report.drain) == (1, [])
    assert {of.status for of in others} == {1}
    (ring,) = report.collectives
    assert (ring.pattern, ring.nodes) == ("ring", [0, 1, 2, 3, 4])
    assert (ring.flows, ring.measured, ring.compared, ring.failed) == (5, 5, 5, 0)
    # TCP shares the trunk in unequal parts: one host may have much of what it has alone.
    assert (ring.breaks, ring.slow >= 4, ring.scales) == ("everywhere", True, False)
    assert ring.measured_gbps is not None
    assert ring.expected_gbps is not None
    assert ring.measured_gbps < 0.7 * ring.expected_gbps
    assert report.action == "look at: the ring, which breaks everywhere"
    assert "ring of 5 nodes: " in str(report)


def test_a_wrong_token_and_a_late_rank_are_errors_of_the_set_up(
    hosts: Hosts, token: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text("another secret of some length\n")
    options = QUICK + "--test-budget-s=0.5 --join-deadline-s=12"
    ranks = [start(hosts, number, token, options) for number in range(3)]
    refused = ended(start(hosts, 3, wrong, options))
    assert refused.status == 2
    assert refused.err.startswith(f"{PROG}: rank 3: the store refused the token")
    assert "give every rank the same address and token" in refused.err
    wait_for_a_round(ranks[0])
    late = ended(start(hosts, 4, token, options))
    assert late.status == 2
    assert "rank 4 joined after the 12 s in which ranks join" in late.err
    rank_0, *others = [ended(rank) for rank in ranks]
    report = read(rank_0)
    assert (report.status, report.exit_status) == ("not_surveyed", 2)
    assert (report.drain, report.absent) == ([], ["rank 3", "rank 4"])
    assert {node.state.kind for node in report.nodes[:3]} == {"measured"}
    assert {of.status for of in others} == {2}
