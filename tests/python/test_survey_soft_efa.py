"""Surveys over `efa` of a real Ray cluster on five hosts with two rails each, one thing wrong.

The hosts are namespaces on this machine (see `hosts`), their rails software EFA devices, and the
provider is libfabric's own.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from efa_sdk.survey import SurveyReport
from efa_sdk.testing import SoftEfa
from hosts import Hosts, require_hosts
from ray_hosts import RayHosts

pytest.importorskip("ray", reason="Ray is not installed")

pytestmark = pytest.mark.alone

COUNT, RAILS = 5, 2
#: Bytes per second of a rail: a fraction of what two cores carry, so that the rails are measured.
RATE = 3_000_000
OPTIONS: dict[str, Any] = {
    "provider": "efa",
    # Five hosts share two cores: less than this is what else runs here.
    "thresholds": {"loss": 0.4, "latency_excess": 4.0, "link_latency_excess": 8.0, "alone": 1},
    "latency_bytes": 16384,
    "message_bytes": 16384,
    "test_budget_s": 0.1,
    "start_deadline_s": 60.0,
    "round_deadline_s": 20.0,
    "inspect": None,
}


class EfaHosts(Hosts):
    """Hosts whose programs see software EFA devices as those of the machine."""

    def __init__(self, count: int) -> None:
        super().__init__(count, rate_mbit=4000)
        self.efa: list[SoftEfa] = []
        self._efa = contextlib.ExitStack()

    def __enter__(self) -> EfaHosts:
        super().__enter__()
        for number, address in enumerate(self.addresses):
            self.run(number, "ip link set eth0 mtu 9500")
            self._at_switch(f"ip link set port{number} mtu 9500")
            host = SoftEfa(
                devices=RAILS,
                instance_type="c6in.32xlarge",
                address=address,
                check_address=False,  # of the host's network alone
                unresponsive_after_s=0.5,
                namespace=True,
                instance_id=f"i-{number:017x}",
            )
            self.efa.append(self._efa.enter_context(host))
        return self

    def close(self) -> None:
        super().close()
        self._efa.close()

    def start(self, number: int, command: Sequence[str], **options: Any) -> subprocess.Popen[str]:
        environment = {**options.pop("env", os.environ), **self.efa[number].environ}
        return super().start(number, self.efa[number].command(command), env=environment, **options)


@pytest.fixture(scope="module")
def hosts() -> Iterator[EfaHosts]:
    require_hosts()
    with EfaHosts(COUNT) as hosts:
        yield hosts
    assert hosts.leftovers() == []


@pytest.fixture(scope="module")
def cluster(hosts: EfaHosts) -> Iterator[RayHosts]:
    with (
        tempfile.TemporaryDirectory(prefix="efa-", ignore_cleanup_errors=True) as folder,
        RayHosts(hosts, pathlib.Path(folder)) as cluster,
    ):
        yield cluster


#: Rows of the table, by case.
ROWS: dict[str, str] = {}


@pytest.fixture
def survey(
    request: pytest.FixtureRequest,
    hosts: EfaHosts,
    cluster: RayHosts,
    print_at_end: Callable[[str, str], None],
) -> Iterator[Callable[[], SurveyReport]]:
    """Surveys the cluster, all rails at the rate; the counters prove that the rails were used."""
    for host in hosts.efa:
        host.fault(rate=RATE)

    def survey() -> SurveyReport:
        before = [host.counters()["tx_bytes"] for host in hosts.efa]
        report, seconds = cluster.survey(OPTIONS)
        print(report.to_json())
        sent = [host.counters()["tx_bytes"] - b for host, b in zip(hosts.efa, before, strict=True)]
        assert min(sent) > 1_000_000, sent
        case = request.node.name.removeprefix("test_").replace("_", " ")
        ROWS[case] = (
            f"{case:34}{', '.join(report.drain) or 'nobody':12}{report.rounds:>8}"
            f"{report.measurements:>7}{seconds:>7.1f}  {'; '.join(report.problems)}"
        )
        head = f"{'case':34}{'take out':12}{'rounds':>8}{'pairs':>7}{'s':>7}  found"
        print_at_end("surveys over efa, two rails", "\n".join([head, *ROWS.values()]))
        return report

    yield survey
    for host in hosts.efa:
        host.heal()


def test_a_slow_node(hosts: EfaHosts, survey: Callable[[], SurveyReport]) -> None:
    hosts.efa[3].fault(rate=RATE * 0.3)
    report = survey()
    assert report.slow_nodes == report.drain == ["host-4"], report
    assert report.slow_links == report.unreachable_links == [], report


def test_a_slow_rail_and_a_dead_one(hosts: EfaHosts, survey: Callable[[], SurveyReport]) -> None:
    hosts.efa[2].fault(1, rate=RATE * 0.3)
    hosts.efa[1].fault(0, dead=1)
    report = survey()
    assert sorted(report.drain) == ["host-2", "host-3"], report
    named = [problem for problem in report.problems if "rail" in problem]
    assert len(named) == 2, report
    assert any("rail 1 of host-3 has" in problem for problem in named), report
    assert any("rail 0 of host-2 failed with every" in problem for problem in named), report
