"""What a client reports of running nodes: clusters, distances, and what a script did on them."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import efa_sdk as efa
import pytest
from efa_sdk import aio
from support import P5, SMALL, Cloud, check, raised

ROLE = efa.InstanceRole()


def by_launch(cloud: Cloud) -> list[str]:
    return [i["InstanceId"] for i in cloud.instances()]


# clusters()


def test_no_clusters(cloud: Cloud) -> None:
    cloud.ec2.run_instances(
        ImageId=cloud.network.image_for(SMALL), InstanceType=SMALL, MinCount=1, MaxCount=1
    )
    assert cloud.client.clusters() == []


def test_several_clusters_half_made_ones_too(cloud: Cloud) -> None:
    cloud.apply()
    cloud.apply(P5, name="big", count=1, public_ip="elastic-ip")
    Cloud(cloud.stand_in, "us-east-2").apply(name="elsewhere")
    cloud.stand_in.fail("RunInstances", "UnauthorizedOperation")
    raised(lambda: cloud.apply(name="half"))
    cloud.ec2.create_security_group(
        GroupName="efa-sdk-another", Description="d", VpcId=cloud.network.vpc_id
    )
    cloud.ec2.create_placement_group(GroupName="efa-sdk-another", Strategy="cluster")
    cloud.ec2.allocate_address(Domain="vpc")

    since = len(cloud.changes())
    clusters = cloud.client.clusters()
    assert len(cloud.changes()) == since
    assert [one.name for one in clusters] == ["big", "half", "train"]
    big, half, train = clusters
    assert (train.instances, half.instances, big.instances) == ({"running": 2}, {}, {"running": 1})
    assert (train.instance_types, big.instance_types, half.instance_types) == ([SMALL], [P5], [])
    zone = cloud.instances()[0]["Placement"]["AvailabilityZone"]
    assert zone in train.availability_zones
    for one in clusters:
        seen = {resource for resource in cloud.made(one.name) if resource[0] != "instance"}
        listed = set(one.resources)
        assert seen == {resource for resource in listed if resource[0] != "instance"}
        assert listed <= cloud.made(one.name)
        assert str(one).startswith(f"cluster '{one.name}': ")
        assert efa.ClusterSummary.from_json(one.to_json()) == one
    for one in clusters:
        cloud.client.destroy(one.name)
    assert cloud.client.clusters() == []


def test_the_states_of_instances(cloud: Cloud) -> None:
    cloud.apply(count=3)
    cloud.stand_in.transition_describes = 100
    first, second, _ = by_launch(cloud)
    cloud.ec2.terminate_instances(InstanceIds=[first])
    cloud.ec2.stop_instances(InstanceIds=[second])
    (one,) = cloud.client.clusters()
    assert one.instances == {"shutting-down": 1, "stopping": 1, "running": 1}


def test_a_cluster_whose_instances_are_terminated(cloud: Cloud) -> None:
    cloud.stand_in.transition_describes = 0
    cloud.apply()
    cloud.ec2.terminate_instances(InstanceIds=by_launch(cloud))
    (one,) = cloud.client.clusters()
    assert (one.name, one.instances) == ("train", {})
    assert {kind for kind, _ in one.resources} == {"security-group", "placement-group"}


# topology()


def seen(cloud: Cloud) -> dict[str, list[str]]:
    """EC2's network nodes by instance."""
    answer = cloud.ec2.describe_instance_topology()["Instances"]
    return {one["InstanceId"]: one["NetworkNodes"] for one in answer}


def test_eight_nodes_ranked_by_nearness(cloud: Cloud) -> None:
    cloud.apply(P5, count=8)
    cloud.apply(P5, name="other", count=3)
    topology = cloud.client.topology("train")
    assert topology.name == "train"
    assert topology.notes == []
    nodes, truth = topology.nodes, seen(cloud)
    mine = {i["InstanceId"]: i for i in cloud.instances(**{"tag:efa-sdk:cluster": "train"})}
    assert {node.instance_id for node in nodes} == set(mine)
    assert [node.rank for node in nodes] == list(range(8))
    for node in nodes:
        assert node.network_nodes == truth[node.instance_id]
        assert node.private_ip_address == mine[node.instance_id]["PrivateIpAddress"]
    groups = topology.groups
    assert [node.rank for group in groups for node in group] == list(range(8))
    bottoms = [{node.network_nodes[-1] for node in group} for group in groups]
    assert all(len(bottom) == 1 for bottom in bottoms)
    assert len(set.union(*bottoms)) == len(groups) >= 2, "each bottom node is one group"
    for a in range(8):
        assert topology.distance(a, a) == 0
        for b in range(8):
            one, two = nodes[a].network_nodes, nodes[b].network_nodes
            shared = [x == y for x, y in zip(one, two, strict=True)]
            depth = [*shared, False].index(False)
            assert topology.distance(a, b) == len(one) - depth == topology.distance(b, a)
    assert topology.distance(0, 8) is None
    addresses = [node.private_ip_address for node in nodes]
    assert topology.hostfile().splitlines() == addresses
    assert topology.hostfile(8) == "".join(f"{address} slots=8\n" for address in addresses)
    assert f"{len(groups)} bottom network nodes" in str(topology)
    assert all(node.instance_id in str(topology) for node in nodes)
    assert efa.Topology.from_json(topology.to_json()) == topology
    assert cloud.client.topology("train") == topology


def test_only_running_nodes_are_ranked(cloud: Cloud) -> None:
    cloud.apply(P5, count=2)
    stopped, runs = by_launch(cloud)
    cloud.ec2.stop_instances(InstanceIds=[stopped])
    topology = cloud.client.topology("train")
    assert [node.instance_id for node in topology.nodes] == [runs]
    (note,) = topology.notes
    assert stopped in note
    assert note in str(topology)


def test_a_type_without_topology(cloud: Cloud) -> None:
    cloud.apply(SMALL)
    known = seen(cloud)
    topology = cloud.client.topology("train")
    ids = [node.instance_id for node in topology.nodes]
    assert ids == by_launch(cloud), "by launch index"
    if not known:
        assert [node.network_nodes for node in topology.nodes] == [[], []]
        assert topology.distance(0, 1) is None
        assert [len(group) for group in topology.groups] == [1, 1]
        assert len(topology.notes) == 1
    assert len(topology.hostfile().splitlines()) == 2


# run_command()


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def nodes(cloud: Cloud, **more: Any) -> list[str]:
    """A cluster with SSM; its instances."""
    cloud.stand_in.iam_propagation_calls = 0
    cloud.apply(**{"instance_profile": ROLE, **more})
    return by_launch(cloud)


def test_a_script_really_runs_on_every_node(cloud: Cloud, tmp_path: Path) -> None:
    ids = nodes(cloud, count=3)
    cloud.stand_in.run_commands = True
    script = f'x="a  b"\necho "$EFA_STAND_IN_INSTANCE_ID $x $0" | cut -d" " -f1-4\ntouch {tmp_path}'
    report = cloud.client.run_command("train", f"{script}/$EFA_STAND_IN_INSTANCE_ID\n")
    assert report.succeeded
    assert report.failed == []
    assert [node.instance_id for node in report.nodes] == ids
    assert [node.stdout for node in report.nodes] == [f"{one} a  b\n" for one in ids]
    assert {(node.status, node.exit_code, node.stderr) for node in report.nodes} == {
        ("success", 0, "")
    }
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(ids)
    assert len(report.command_ids) == 1
    assert "success on 3 of 3 nodes" in str(report)
    assert efa.CommandReport.from_json(report.to_json()) == report


@pytest.mark.parametrize("really", [False, True], ids=["on_command", "bash"])
def test_a_node_that_fails(cloud: Cloud, really: bool) -> None:
    good, bad = nodes(cloud)
    script = f"[ $EFA_STAND_IN_INSTANCE_ID = {good} ] && echo fine && exit 0\necho why >&2\nexit 7"
    if really:
        cloud.stand_in.run_commands = True
    else:
        cloud.stand_in.on_command(
            lambda one, _: (0, "fine\n", "") if one == good else (7, "", "why\n")
        )
    report = cloud.client.run_command("train", script)
    assert not report.succeeded
    assert [node.instance_id for node in report.failed] == [bad]
    one, other = report.nodes
    assert (one.status, one.exit_code, one.stdout) == ("success", 0, "fine\n")
    assert (other.status, other.exit_code) == ("failed", 7)
    assert other.stderr.startswith("why\n")
    assert "stderr: why" in str(report)
    assert "success on 1 of 2 nodes" in str(report)


def test_the_script_arrives_as_it_is(cloud: Cloud) -> None:
    nodes(cloud)
    script = "#!/bin/bash\n\ncat <<'E'\n  $x \"ü\" '\\n'\t{}\n\nE"
    scripts: list[str] = []

    def keep(_: str, text: str) -> tuple[int, str, str]:
        scripts.append(text)
        return 0, "", ""

    cloud.stand_in.on_command(keep)
    assert cloud.client.run_command("train", script).succeeded
    assert [text.rstrip("\n") for text in scripts] == [script] * 2


def test_long_outputs_are_cut(cloud: Cloud) -> None:
    short, long = nodes(cloud)
    cloud.stand_in.on_command(lambda one, _: (0, "o" * (30_000 if one == long else 23_000), ""))
    one, other = cloud.client.run_command("train", "true").nodes
    assert (one.instance_id, one.truncated, len(one.stdout)) == (short, False, 23_000)
    assert (other.truncated, len(other.stdout)) == (True, 24_000)


def test_nodes_without_a_profile_are_not_online(cloud: Cloud) -> None:
    cloud.apply()
    report = cloud.client.run_command("train", "true", wait_online_s=0)
    assert [node.status for node in report.nodes] == ["not online"] * 2
    assert not report.succeeded
    assert report.command_ids == []
    assert "AmazonSSMManagedInstanceCore" in report.nodes[0].detail
    assert cloud.sent("SendCommand") == []


def test_a_node_that_is_stopped(cloud: Cloud) -> None:
    runs, stopped = nodes(cloud)
    cloud.ec2.stop_instances(InstanceIds=[stopped])
    cloud.until(lambda: cloud.instances()[1]["State"]["Name"] == "stopped")
    report = cloud.client.run_command("train", "true")
    assert {node.instance_id: node.status for node in report.nodes} == {
        runs: "success",
        stopped: "not online",
    }
    assert report.failed[0].detail == "the instance is stopped"


def test_a_node_that_does_not_end_is_ended_at_the_deadline(
    cloud: Cloud, gate: threading.Event
) -> None:
    ends, hangs = nodes(cloud)

    def answer(one: str, _: str) -> tuple[int, str, str]:
        if one == hangs:
            gate.wait()
        return 0, "done\n", ""

    cloud.stand_in.on_command(answer)
    report = cloud.client.run_command("train", "true", deadline_s=1)
    (one,) = report.failed
    assert one.instance_id == hangs
    assert [node.status for node in report.nodes if node.instance_id == ends] == ["success"]
    # SSM has the same deadline; who is first ends it.
    cancelled = "CancelCommand" in cloud_actions(cloud)
    assert (one.status, one.detail) in [
        ("timed out", "ExecutionTimedOut"),
        ("timed out", "Execution Timed Out"),
        ("not finished", "cancelled after 1 s"),
    ]
    assert cancelled or one.status == "timed out"
    ssm = cloud.stand_in.client("ssm")
    state = ssm.get_command_invocation(CommandId=report.command_ids[0], InstanceId=hangs)["Status"]
    assert state in ("Cancelled", "TimedOut"), "it runs no longer"


def cloud_actions(cloud: Cloud) -> list[str]:
    return [r.action for r in cloud.stand_in.requests if r.service == "ssm"]


def test_an_agent_that_never_takes_it(cloud: Cloud) -> None:
    nodes(cloud)
    cloud.stand_in.on_command(lambda one, _: None)
    report = cloud.client.run_command("train", "true", deadline_s=1)
    assert {node.status for node in report.nodes} <= {"not finished", "timed out"}
    assert not report.succeeded


@pytest.mark.parametrize(
    ("script", "options", "field"),
    [
        ("", {}, "script"),
        (" \n", {}, "script"),
        ("a\0b", {}, "script"),
        ("x" * 65_537, {}, "script"),
        ("true", {"deadline_s": 0.5}, "deadline"),
        ("true", {"deadline_s": 172_801}, "deadline"),
        ("true", {"wait_online_s": 172_801}, "wait_online"),
    ],
)
def test_what_ssm_would_refuse(
    cloud: Cloud, script: str, options: dict[str, float], field: str
) -> None:
    cloud.apply()
    error = raised(lambda: cloud.client.run_command("train", script, **options))
    check(error, "plan.invalid_spec", field=field)
    assert cloud_actions(cloud) == []


@pytest.mark.parametrize("bad", [-1, float("nan"), float("inf")])
@pytest.mark.parametrize("option", ["deadline_s", "wait_online_s"])
def test_times_that_are_none(cloud: Cloud, option: str, bad: float) -> None:
    cloud.apply()
    with pytest.raises((efa.EfaError, ValueError)):
        cloud.client.run_command("train", "true", **{option: bad})
    assert cloud_actions(cloud) == []


@pytest.mark.parametrize("verb", ["run_command", "topology"])
def test_a_cluster_that_does_not_exist(cloud: Cloud, verb: str) -> None:
    arguments = ["true"] if verb == "run_command" else []
    for name, code in (("train", "verify.cluster_not_found"), ("-x", "plan.invalid_spec")):
        call = functools.partial(getattr(cloud.client, verb), name, *arguments)
        check(raised(call), code)


@pytest.mark.parametrize("action", ["SendCommand", "ListCommandInvocations"])
def test_a_call_that_is_denied(cloud: Cloud, action: str) -> None:
    nodes(cloud)
    cloud.stand_in.fail(action, "AccessDeniedException")
    error = raised(lambda: cloud.client.run_command("train", "true"))
    assert error.ec2_code == "AccessDeniedException"
    assert error.may_have_changed_aws
    sent = action != "SendCommand"
    assert bool(error.context["command_ids"]) == sent
    assert ("CancelCommand" in cloud_actions(cloud)) == sent, "what was sent is stopped"


async def test_it_is_a_coroutine_too(cloud: Cloud) -> None:
    nodes(cloud, instance_type=P5)
    cloud.stand_in.on_command(lambda one, script: (0, one, ""))
    client = aio.Client(region="us-east-1", endpoint_url=cloud.stand_in.endpoint_url)
    report = await client.run_command("train", "true")
    assert [node.stdout for node in report.nodes] == by_launch(cloud)
    assert await client.clusters() == cloud.client.clusters()
    assert await client.topology("train") == cloud.client.topology("train")
