"""Surveys of a real Ray cluster of three nodes on this machine, over libfabric's tcp."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

import efa_sdk
import pytest
from efa_sdk import Topology, choices, errors
from efa_sdk.survey import NodeInspection, SurveyOptions, SurveyProgress, SurveyReport
from hosts import wait_until
from support import Cloud
from survey_actors import assert_gone, survey_actors
from test_progress import on_terminal

# Before Ray is imported: no usage reports, no token in the home directory, and workers that do not
# give way to other tests. At Ray's nice 15 six busy processes starve them past every deadline.
os.environ.update(
    RAY_worker_niceness="0",
    RAY_USAGE_STATS_ENABLED="0",
    RAY_USAGE_STATS_REPORT_URL="http://127.0.0.1:9/",
    RAY_AUTH_MODE="disabled",
)
ray = pytest.importorskip("ray", reason="Ray is not installed")

# One cluster for all of them.
pytestmark = pytest.mark.xdist_group("survey_ray")

#: What any pair reaches: where a rate is expected, few nodes are not measured again for differing.
LEAST_GBPS = 1e-3
QUICK: dict[str, Any] = {
    "provider": "tcp",
    "message_bytes": 65536,
    "test_budget_s": 0.02,
    "expected_gbps": LEAST_GBPS,
}
#: Where nothing is to fail, however busy this machine is.
PATIENT: dict[str, Any] = {**QUICK, "round_deadline_s": 120}
NODE: dict[str, Any] = {
    "num_cpus": 1,
    "object_store_memory": 100 * 2**20,
    "include_dashboard": False,
}


def test_without_a_cluster() -> None:
    assert not ray.is_initialized()
    with pytest.raises(errors.BindingError) as caught:
        efa_sdk.ray.survey()
    assert caught.value.code == "python.ray_not_initialized"
    assert not ray.is_initialized()


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    from ray.cluster_utils import Cluster

    cluster = Cluster()
    try:
        for _ in range(3):
            cluster.add_node(**NODE)
        ray.init(address=cluster.address, log_to_driver=False, logging_level="warning")
        cluster.wait_for_nodes()
        yield cluster
    finally:
        ray.shutdown()
        cluster.shutdown()


class Listened(NamedTuple):
    """A survey whose actors wrote down where they connect to."""

    report: SurveyReport
    reported: list[SurveyProgress]
    #: What each actor wrote.
    received: list[str]
    #: Of this process, before and after.
    environments: tuple[dict[str, str], dict[str, str]]


@pytest.fixture(scope="module")
def listened(cluster: Any, tmp_path_factory: pytest.TempPathFactory) -> Listened:
    connects = tmp_path_factory.mktemp("connects")

    def listen() -> int:
        """From now on the process writes down where Python code of it connects to."""
        file = connects / str(os.getpid())
        file.touch()

        def hook(event: str, arguments: tuple[object, ...]) -> None:
            if event in ("socket.connect", "socket.getaddrinfo", "urllib.Request"):
                with file.open("a") as received:
                    received.write(f"{event} {arguments[-1]}\n")

        sys.addaudithook(hook)
        return os.getpid()

    before, environ = survey_actors(), dict(os.environ)
    reported: list[SurveyProgress] = []
    report = efa_sdk.ray.survey(**PATIENT, progress=reported.append, inspect=listen)
    after = dict(os.environ)
    assert_gone(before)
    received = [(connects / str(node.inspection)).read_text() for node in report.nodes]
    return Listened(report, reported, received, (environ, after))


def test_every_pair_is_measured(listened: Listened) -> None:
    report = listened.report
    assert report.healthy, report
    assert report.measurements == 3, report.rows()
    assert len({node.name for node in report.nodes}) == 3
    assert len({node.inspection for node in report.nodes}) == 3
    assert listened.reported[-1].pairs == 3
    assert pickle.loads(pickle.dumps(report)) == report
    assert ray.get(ray.put(report)) == report


def test_nobody_is_notified(listened: Listened) -> None:
    """The actors look no name up, and connect to no metadata or usage service."""
    before, after = listened.environments
    assert after == before
    assert listened.received == ["", "", ""]


def topology(private_ip_address: str) -> Topology:
    """Of an instance with this address."""
    node = {
        "rank": 0,
        "instance_id": "i-0123456789abcdef0",
        "private_ip_address": private_ip_address,
        "availability_zone": "us-east-2a",
        "capacity_block_id": None,
        "network_nodes": ["nn-1", "nn-2", "nn-3"],
    }
    return Topology.from_json(json.dumps({"name": "c", "nodes": [node], "notes": []}))


@pytest.fixture(scope="module")
def ring(cluster: Any) -> SurveyReport:
    """A survey that chooses its provider, and is given instances elsewhere."""
    options = {**PATIENT, "mode": "ring", "topology": topology("10.9.9.9")}
    del options["provider"]
    return efa_sdk.ray.survey(**options)


def test_the_doctor_looks_at_every_node(ring: SurveyReport) -> None:
    inspections = [NodeInspection.from_json(node.inspection or "") for node in ring.nodes]
    assert len(inspections) == 3
    assert {i.efa_devices for i in inspections} == {len(efa_sdk.fabric.node().efa_devices)}
    assert all(inspection.verdict for inspection in inspections)
    # One machine, so that nothing can differ.
    assert ring.differences == []


def test_provider_is_chosen(ring: SurveyReport) -> None:
    assert ring.provider in ("efa", "tcp")
    assert ring.measurements == 3, ring.rows()


def test_topology_orders_nodes(cluster: Any, ring: SurveyReport) -> None:
    [address] = {node["NodeManagerAddress"] for node in ray.nodes()}
    report = efa_sdk.ray.survey(**PATIENT, mode="ring", topology=topology(address), inspect=None)
    assert sorted(report.topology_order or []) == sorted(node.name for node in report.nodes)
    assert report.nodes[0].network_nodes == ["nn-1", "nn-2", "nn-3"]
    # The one that knows none of them.
    assert ring.topology_order is None


def test_a_cluster_is_accepted_under_instance_ids(cluster: Any, cloud: Cloud) -> None:
    """Doctors' reports distinguish Ray's nodes: they share this machine's address."""
    launched = cloud.apply(count=3)
    nodes = sorted(node["NodeID"] for node in alive())
    ids = {node: i.instance_id for node, i in zip(nodes, launched.instances, strict=True)}
    empty = NodeInspection.from_json(efa_sdk.survey.inspect_node().to_json()).to_json()

    def doctor() -> NodeInspection:
        own = ids[ray.get_runtime_context().get_node_id()]
        found = json.loads(empty) | {"instance_id": own, "efa_devices": 1, "verdict": "usable"}
        return NodeInspection.from_json(json.dumps(found))

    options = {key: value for key, value in PATIENT.items() if key != "message_bytes"}
    report = efa_sdk.ray.accept(cloud.client, "train", inspect=doctor, **options)
    # Everything was looked at but EFA's own network.
    assert report.verdict == "could_not_be_judged", report
    assert report.not_looked_at == ["EFA's network: the survey measured the provider tcp"]
    assert report.against == []
    assert {line.split()[0] for line in str(report).splitlines() if "measured" in line} >= set(
        ids.values()
    )
    with pytest.raises(errors.VerifyError):
        efa_sdk.ray.accept(cloud.client, "other")
    cloud.stand_in.reset()
    with pytest.raises(errors.ArgumentValueError) as caught:
        efa_sdk.ray.survey(**QUICK, addresses=["10.9.9.9"])
    assert caught.value.context["argument"] == "addresses"


def test_an_inspection_that_raises_is_kept(cluster: Any) -> None:
    report = efa_sdk.ray.survey(**PATIENT, mode="ring", inspect=lambda: 1 / 0)
    assert report.healthy
    assert all("ZeroDivisionError" in (node.inspection or "") for node in report.nodes)
    assert report.differences == []


def test_rails_are_measured_together(cluster: Any) -> None:
    report = efa_sdk.ray.survey(**PATIENT, rails=3, inspect=None)
    assert report.healthy, report
    rows = report.rows()
    assert {row["rail"] for row in rows} == {None, 0, 1, 2}
    assert len(rows) == 3 * (1 + 3)
    for row in rows:
        assert min(row["gbps_a_to_b"], row["gbps_b_to_a"]) > 0
        assert (row["latency_us"] is None) == (row["rail"] is not None)
    assert [node.rails for node in report.nodes] == [3, 3, 3]


def test_patterns_are_carried_out_after_the_pairs(cluster: Any) -> None:
    before = survey_actors()
    patterns: list[choices.SurveyPattern] = ["ring", "incast", "ring_between_groups"]
    report = efa_sdk.ray.survey(
        **{**PATIENT, "expected_gbps": None},
        options=SurveyOptions(
            collectives=patterns,
            labels=["leaf-1", "leaf-2", "leaf-2"],
            expected_gbps=LEAST_GBPS,
        ),
        inspect=None,
    )
    assert not report.partial
    assert [of.pattern for of in report.collectives] == patterns
    for of, flows in zip(report.collectives, (3, 6, 2), strict=True):
        # How fast they are together is this machine's: how busy its processors are.
        assert (of.flows, of.measured, of.compared, of.failed) == (flows, flows, flows, 0), report
        assert of.lost == []
        assert of.measured_gbps is not None
        assert of.expected_gbps is not None
    assert SurveyReport.from_json(report.to_json()) == report
    assert_gone(before)


def test_a_node_that_hangs_in_a_pattern_is_lost_in_it(cluster: Any) -> None:
    before = survey_actors()
    stopped: list[int] = []

    def stop(state: SurveyProgress) -> None:
        if state.pairs == 3 and not stopped:
            stopped.append(min(survey_actors() - before))
            os.kill(stopped[0], signal.SIGSTOP)

    options = SurveyOptions(collectives=["ring"], expected_gbps=LEAST_GBPS)
    patiently = {**QUICK, "expected_gbps": None, "round_deadline_s": 12}
    try:
        report = efa_sdk.ray.survey(**patiently, options=options, progress=stop, inspect=os.getpid)
        (hung,) = (node for node in report.nodes if node.inspection == str(stopped[0]))
        assert (hung.state.kind, hung.state.lost_in_pattern) == ("lost", "ring"), report
        assert hung.name in report.drain
        assert "in the ring of all" in str(report)
        (ring,) = report.collectives
        assert [report.nodes[number] for number in ring.lost] == [hung]
        assert not ring.scales
        assert_gone(before)
    finally:
        for pid in stopped:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def test_a_provider_that_is_nowhere_is_no_finding(cluster: Any) -> None:
    report = efa_sdk.ray.survey(provider="cxi", test_budget_s=0.02, round_deadline_s=20)
    assert not report.healthy
    assert "fabric.provider_not_found" in {row["code"] for row in report.rows()}
    assert (report.exit_status, report.drain) == (2, []), report
    with pytest.raises(errors.NotSurveyedError, match="took no part"):
        report.raise_for_health()


def test_an_exception_of_the_progress_leaves_nothing(cluster: Any) -> None:
    before = survey_actors()

    def fail(state: SurveyProgress) -> None:
        raise LookupError(str(state))

    with pytest.raises(LookupError):
        efa_sdk.ray.survey(**QUICK, progress=fail)
    assert_gone(before)


INTERRUPTED = """
import sys
import ray, efa_sdk
ray.init(address=sys.argv[1], log_to_driver=False, logging_level="warning")
def tell(state):
    print("round", state.rounds, flush=True)
report = efa_sdk.ray.survey(
    provider="tcp", message_bytes=65536, test_budget_s=5.0, round_deadline_s=120, progress=tell)
print("partial", report.partial, report.healthy, report.measurements < 3, flush=True)
"""


def test_ctrl_c_returns_what_is_known_and_leaves_no_actor(cluster: Any) -> None:
    before = survey_actors()
    command = [sys.executable, "-c", INTERRUPTED, cluster.address]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as driver:
        assert driver.stdout is not None
        try:
            assert driver.stdout.readline().startswith("round")
            driver.send_signal(signal.SIGINT)
            rest = driver.communicate(timeout=120)[0]
        finally:
            driver.kill()
    assert rest.splitlines()[-1] == "partial True False True"
    assert_gone(before)


@pytest.fixture
def relayed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nodes are asked through one of them, as in clusters of more than 32."""
    monkeypatch.setattr(efa_sdk.ray, "DIRECT", 1)


@pytest.mark.usefixtures("relayed")
def test_a_node_that_hangs_is_asked_twice_and_lost(cluster: Any) -> None:
    before = survey_actors()
    stopped: list[int] = []

    def stop(state: SurveyProgress) -> None:
        if not stopped:
            stopped.append(min(survey_actors() - before))
            os.kill(stopped[0], signal.SIGSTOP)

    try:
        report = efa_sdk.ray.survey(**QUICK, progress=stop, round_deadline_s=12, inspect=os.getpid)
        assert not report.partial
        (name,) = report.unreachable_nodes
        (hung,) = (node for node in report.nodes if node.name == name)
        assert hung.inspection == str(stopped[0])
        assert hung.state.kind == "lost"
        # It was lost once. On a busy machine a pair of others may fail besides.
        (waited,) = (row for row in report.rows() if row["phase"] == "join")
        assert name in (waited["a"], waited["b"])
        assert_gone(before)
    finally:
        for pid in stopped:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@pytest.mark.usefixtures("relayed")
def test_a_node_that_dies_during_the_survey_is_named(cluster: Any) -> None:
    victim = cluster.add_node(**NODE)
    cluster.wait_for_nodes()
    killed: list[str] = []

    def kill(state: SurveyProgress) -> None:
        if not killed:
            killed.append(victim.node_id)
            cluster.remove_node(victim, allow_graceful=False)

    report = efa_sdk.ray.survey(**QUICK, progress=kill, round_deadline_s=20)
    assert not report.partial
    assert not report.healthy
    assert len(report.nodes) == 4
    (name,) = report.unreachable_nodes
    assert name.endswith(f"/{victim.node_id[:6]}")
    # The cluster itself may not have noticed yet: other tests count on the nodes that are alive.
    wait_until(lambda: len(alive()) == 3, "the node that died is not alive", 60)


@contextlib.contextmanager
def busy(nodes: list[dict[str, Any]]) -> Iterator[None]:
    """All CPUs of these nodes are taken."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    class Hog:
        def sits(self) -> bool:
            return True

    pinned = [NodeAffinitySchedulingStrategy(node["NodeID"], soft=False) for node in nodes]
    hogs = [ray.remote(Hog).options(num_cpus=1, scheduling_strategy=p).remote() for p in pinned]
    try:
        assert all(ray.get([hog.sits.remote() for hog in hogs], timeout=60))
        yield
    finally:
        for hog in hogs:
            ray.kill(hog)


def alive() -> list[dict[str, Any]]:
    return [node for node in ray.nodes() if node["Alive"]]


@pytest.mark.usefixtures("relayed")
def test_a_busy_cluster_is_surveyed(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    directly = []
    monkeypatch.setattr(
        efa_sdk.ray._Driver, "_directly", lambda _self, _name, pairs, _s: directly.extend(pairs)
    )
    with busy(alive()):
        report = efa_sdk.ray.survey(**PATIENT)
    assert directly == []  # the relays answered for all
    assert report.healthy, report
    assert report.measurements == 3, report.rows()


def test_nodes_that_cannot_be_reserved_are_named_by_the_start_deadline(cluster: Any) -> None:
    nodes = alive()
    before = survey_actors()
    with busy(nodes[:1]):
        report = efa_sdk.ray.survey(**QUICK, reserve=True, start_deadline_s=8)
    # On a slow machine the actors of others may not have started by then either.
    assert nodes[0]["NodeID"][:6] in {name[-6:] for name in report.absent}
    assert "did not start within 8 s" in str(report)
    assert report.exit_status == 2, report
    with busy(nodes):
        report = efa_sdk.ray.survey(**QUICK, reserve=True, start_deadline_s=2)
    assert len(report.absent) == len(nodes)
    assert (report.exit_status, report.drain) == (2, [])
    assert_gone(before)
    # What was asked for is given back.
    with busy(nodes):
        pass


def test_a_probe_that_waits_is_cancelled_at_once(cluster: Any) -> None:
    node, peer = (ray.remote(efa_sdk.ray._Node).options(num_cpus=0).remote() for _ in range(2))
    try:
        ray.get([node.hello.remote(None), peer.hello.remote(None)], timeout=60)
        options = efa_sdk.survey.PairOptions(
            "tcp", source_address="127.0.0.1", connect_timeout_s=600, deadline_s=600
        )
        probe = node.probe.remote("low", peer, "alone", options)
        assert ray.wait([probe], timeout=1)[0] == []  # the peer was not asked
        ray.cancel(probe)
        with pytest.raises((ray.exceptions.TaskCancelledError, ray.exceptions.RayTaskError)):
            ray.get(probe, timeout=60)
        assert ray.get(node.hello.remote(None), timeout=60).providers
    finally:
        ray.kill(node)
        ray.kill(peer)


def test_ray_is_not_imported_before_it_is_used() -> None:
    code = "import sys, efa_sdk.ray, efa_sdk.torch; print({'ray', 'torch'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "set()\n", done.stderr


LOST = """
import sys
import ray, efa_sdk
ray.init(address=sys.argv[1], log_to_driver=False, logging_level="error")
try:
    efa_sdk.ray.survey(
        provider="tcp", message_bytes=65536, test_budget_s=0.02, progress=lambda _: ray.shutdown())
except efa_sdk.EfaError as error:
    print(error.code)
print("joined", ray.is_initialized(), flush=True)
"""


def test_a_driver_that_left_its_cluster_joins_no_other(cluster: Any) -> None:
    command = [sys.executable, "-c", LOST, cluster.address]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.stdout.splitlines()[-1:] == ["joined False"], done.stdout + done.stderr


ON_A_TERMINAL = """
import os, sys
import ray, efa_sdk
stderr, sys.stderr = sys.stderr, open(os.devnull, "w")
ray.init(address=sys.argv[1], log_to_driver=False, logging_level="error")
sys.stderr = stderr
quick = {"provider": "tcp", "message_bytes": 65536, "test_budget_s": 0.02, "round_deadline_s": 120,
         "expected_gbps": 1e-3}
efa_sdk.ray.survey(**quick)
efa_sdk.ray.survey(**quick, progress=False)
reported = []
efa_sdk.ray.survey(**quick, progress=reported.append)
assert [state.rounds for state in reported] == [1, 2, 3], reported
sys.stderr = open(os.devnull, "w")
ray.shutdown()
"""


def test_the_progress_on_a_terminal(cluster: Any) -> None:
    text = on_terminal([sys.executable, "-c", ON_A_TERMINAL, cluster.address])
    # Ray's own processes may write there too; of efa-sdk there is one line, of the first survey.
    assert text.count("starting 3 actors") == 1, text
    assert re.search(r"\r\|#{20}\| round 3 of 3, 3 pairs, \d+ s *\r\n", text), text
