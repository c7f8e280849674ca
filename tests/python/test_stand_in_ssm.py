"""Run Command in the stand-in: who is registered, what a command does, how it ends."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from efa_sdk.testing import StandIn, StandInError
from iam_support import node_profile

PLAIN = "m5.2xlarge"
UUID = "00000000-0000-0000-0000-000000000000"


@pytest.fixture
def nodes(stand_in: StandIn) -> list[str]:
    """Two running instances that SSM knows."""
    node_profile(stand_in)
    stand_in.iam_propagation_calls = 0
    stand_in.transition_describes = 0
    return launch(stand_in, count=2, IamInstanceProfile={"Name": "node"})


def launch(stand_in: StandIn, count: int = 1, **more: Any) -> list[str]:
    net = stand_in.default_network()
    made = stand_in.client().run_instances(
        ImageId=net.image_for(PLAIN),
        InstanceType=PLAIN,
        MinCount=count,
        MaxCount=count,
        SubnetId=net.subnet_for(PLAIN),
        **more,
    )
    return [one["InstanceId"] for one in made["Instances"]]


def send(stand_in: StandIn, ids: list[str] | None, *lines: str, **more: Any) -> str:
    parameters = {"commands": list(lines or ["true"]), **more.pop("parameters", {})}
    if ids is not None:
        more["InstanceIds"] = ids
    made = stand_in.client("ssm").send_command(
        DocumentName="AWS-RunShellScript", Parameters=parameters, **more
    )["Command"]
    assert made["Status"] == "Pending"
    return str(made["CommandId"])


def shown(stand_in: StandIn, command: str, instance: str) -> dict[str, Any]:
    answer: dict[str, Any] = stand_in.client("ssm").get_command_invocation(
        CommandId=command, InstanceId=instance
    )
    return answer


def ended(stand_in: StandIn, command: str, instance: str) -> dict[str, Any]:
    while (answer := shown(stand_in, command, instance))["Status"] in ("Pending", "InProgress"):
        pass
    return answer


def information(stand_in: StandIn, **options: Any) -> list[str]:
    listed = stand_in.client("ssm").describe_instance_information(**options)
    assert all(one["PingStatus"] == "Online" for one in listed["InstanceInformationList"])
    return [one["InstanceId"] for one in listed["InstanceInformationList"]]


def test_only_running_instances_whose_role_may_register_are_known(
    stand_in: StandIn, nodes: list[str]
) -> None:
    node_profile(stand_in, "mute", policy=None)
    bare = launch(stand_in)
    mute = launch(stand_in, IamInstanceProfile={"Name": "mute"})
    assert information(stand_in) == nodes
    wanted = [{"Key": "InstanceIds", "Values": [nodes[1], *bare, *mute]}]
    assert information(stand_in, Filters=wanted) == nodes[1:]
    stand_in.client().stop_instances(InstanceIds=nodes[:1])
    assert information(stand_in) == nodes[1:]
    with pytest.raises(ClientError) as caught:
        send(stand_in, [*nodes, *bare])
    assert caught.value.response["Error"]["Message"] == (
        f"Instances [[{nodes[0]}, {bare[0]}]] not in a valid state for account 123456789012"
    )


def test_a_new_instance_is_known_once_it_runs(stand_in: StandIn) -> None:
    node_profile(stand_in)
    stand_in.iam_propagation_calls = 0
    made = launch(stand_in, IamInstanceProfile={"Name": "node"})
    assert information(stand_in) == []
    stand_in.client().describe_instances()
    assert information(stand_in) == made


def test_a_command_succeeds_with_nothing_to_say(stand_in: StandIn, nodes: list[str]) -> None:
    command = send(stand_in, nodes, Comment="why")
    first, second = (shown(stand_in, command, nodes[0]) for _ in range(2))
    assert (first["Status"], first["ResponseCode"]) == ("InProgress", -1)
    assert (second["Status"], second["ResponseCode"]) == ("Success", 0)
    assert (second["StandardOutputContent"], second["Comment"]) == ("", "why")
    ssm = stand_in.client("ssm")
    listed = ssm.list_command_invocations(CommandId=command, Details=True)["CommandInvocations"]
    assert {one["InstanceId"]: one["Status"] for one in listed} == dict.fromkeys(nodes, "Success")
    whole = ssm.list_commands(CommandId=command)["Commands"][0]
    assert (whole["Status"], whole["TargetCount"], whole["CompletedCount"]) == ("Success", 2, 2)


def test_what_a_function_says_is_shown_and_cut(stand_in: StandIn, nodes: list[str]) -> None:
    def answer(instance: str, script: str) -> tuple[int, str, str]:
        assert script == "echo one\necho two\n"
        return (0, "o" * 30000, "") if instance == nodes[0] else (3, "", "e" * 9000)

    stand_in.on_command(answer)
    command = send(stand_in, nodes, "echo one", "echo two")
    good, bad = (ended(stand_in, command, one) for one in nodes)
    assert (good["Status"], bad["Status"], bad["ResponseCode"]) == ("Success", "Failed", 3)
    out, err = good["StandardOutputContent"], bad["StandardErrorContent"]
    assert (len(out), len(err)) == (24000, 8000)
    assert out.endswith("\n---Output truncated---")
    assert err.endswith("\n---Error truncated----")
    listed = stand_in.client("ssm").list_command_invocations(CommandId=command, Details=True)
    plugins = [one["CommandPlugins"][0] for one in listed["CommandInvocations"]]
    assert [len(one["Output"]) for one in plugins] == [2500, 2500]
    assert plugins[1]["Output"].startswith("\n----------ERROR-------\neee")
    assert plugins[1]["ResponseCode"] == 3
    short = stand_in.client("ssm").list_command_invocations(CommandId=command)
    assert all(one["CommandPlugins"] == [] for one in short["CommandInvocations"])


def test_short_outputs_are_whole(stand_in: StandIn, nodes: list[str]) -> None:
    stand_in.on_command(lambda instance, script: (1, "out\n", "err\n"))
    command = send(stand_in, nodes[:1])
    one = ended(stand_in, command, nodes[0])
    assert one["StandardErrorContent"] == "err\nfailed to run commands: exit status 1"
    listed = stand_in.client("ssm").list_command_invocations(CommandId=command, Details=True)
    assert listed["CommandInvocations"][0]["CommandPlugins"][0]["Output"] == (
        "out\n\n----------ERROR-------\nerr\nfailed to run commands: exit status 1"
    )


def test_a_mistake_in_the_function_is_what_the_instance_says(
    stand_in: StandIn, nodes: list[str]
) -> None:
    def broken(instance: str, script: str) -> tuple[int, str, str]:
        raise KeyError("oops")

    stand_in.on_command(broken)
    one = ended(stand_in, send(stand_in, nodes[:1]), nodes[0])
    assert one["Status"] == "Failed"
    assert "KeyError: 'oops'" in one["StandardErrorContent"]


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def test_a_command_that_hangs_times_out(
    stand_in: StandIn, nodes: list[str], gate: threading.Event
) -> None:
    def hang(instance: str, script: str) -> tuple[int, str, str]:
        gate.wait()
        return 0, "too late", ""

    stand_in.on_command(hang)
    command = send(stand_in, nodes[:1], parameters={"executionTimeout": ["60"]}, TimeoutSeconds=30)
    for _ in range(3):
        assert shown(stand_in, command, nodes[0])["Status"] == "InProgress"
    stand_in.advance(59)
    assert shown(stand_in, command, nodes[0])["Status"] == "InProgress"
    stand_in.advance(2)
    one = shown(stand_in, command, nodes[0])
    assert (one["Status"], one["StatusDetails"]) == ("TimedOut", "ExecutionTimedOut")
    gate.set()
    assert shown(stand_in, command, nodes[0])["StandardOutputContent"] == ""


def test_a_command_that_no_agent_takes_times_out(stand_in: StandIn, nodes: list[str]) -> None:
    stand_in.on_command(lambda instance, script: None)
    command = send(stand_in, nodes[:1], TimeoutSeconds=30)
    stand_in.advance(31)
    one = ended(stand_in, command, nodes[0])
    assert (one["Status"], one["StatusDetails"]) == ("TimedOut", "DeliveryTimedOut")
    whole = stand_in.client("ssm").list_commands()["Commands"][0]
    assert (whole["Status"], whole["DeliveryTimedOutCount"]) == ("TimedOut", 1)


def test_an_instance_that_goes_away_times_out(stand_in: StandIn, nodes: list[str]) -> None:
    command = send(stand_in, nodes)
    stand_in.client().terminate_instances(InstanceIds=nodes[:1])
    for _ in range(3):
        assert shown(stand_in, command, nodes[0])["Status"] == "InProgress"
    assert shown(stand_in, command, nodes[1])["Status"] == "Success"
    stand_in.advance(3601)
    assert shown(stand_in, command, nodes[0])["Status"] == "TimedOut"


def test_cancel(stand_in: StandIn, nodes: list[str], gate: threading.Event) -> None:
    stand_in.on_command(lambda instance, script: ((gate.wait() and 0) or 0, "", ""))
    command = send(stand_in, nodes)
    ssm = stand_in.client("ssm")
    ssm.cancel_command(CommandId=command, InstanceIds=nodes[:1])
    assert shown(stand_in, command, nodes[0])["Status"] == "Cancelled"
    assert shown(stand_in, command, nodes[1])["Status"] == "InProgress"
    ssm.cancel_command(CommandId=command)
    listed = ssm.list_command_invocations(CommandId=command)["CommandInvocations"]
    assert {one["Status"] for one in listed} == {"Cancelled"}


def test_targets_by_tag_and_pages(stand_in: StandIn, nodes: list[str]) -> None:
    tag = {"Key": "efa-sdk/cluster", "Value": "train"}
    more = launch(stand_in, count=2, IamInstanceProfile={"Name": "node"})
    stand_in.client().create_tags(Resources=[*nodes, more[0]], Tags=[tag])
    command = send(
        stand_in, None, Targets=[{"Key": "tag:efa-sdk/cluster", "Values": ["train", "x"]}]
    )
    ssm = stand_in.client("ssm")
    first = ssm.list_command_invocations(CommandId=command, MaxResults=2)
    assert len(first["CommandInvocations"]) == 2
    pages = ssm.get_paginator("list_command_invocations").paginate(
        CommandId=command, PaginationConfig={"PageSize": 2}
    )
    found = [one["InstanceId"] for page in pages for one in page["CommandInvocations"]]
    assert found == [*nodes, more[0]]


def test_at_most_fifty_instances_are_named(stand_in: StandIn, nodes: list[str]) -> None:
    with pytest.raises(ClientError, match="less than or equal to 50"):
        send(stand_in, [f"i-{i:017x}" for i in range(51)])


def test_a_new_command_may_not_be_seen_yet(stand_in: StandIn, nodes: list[str]) -> None:
    stand_in.eventual = 2
    command = send(stand_in, nodes)
    ssm = stand_in.client("ssm")
    assert ssm.list_command_invocations(CommandId=command)["CommandInvocations"] == []
    with pytest.raises(ClientError) as caught:
        shown(stand_in, command, nodes[0])
    assert caught.value.response["Error"]["Code"] == "InvocationDoesNotExist"
    assert shown(stand_in, command, nodes[0])["Status"] == "InProgress"


def test_unknown_commands(stand_in: StandIn) -> None:
    ssm = stand_in.client("ssm")
    assert ssm.list_command_invocations(CommandId=UUID)["CommandInvocations"] == []
    with pytest.raises(ClientError) as caught:
        ssm.send_command(DocumentName="AWS-RunPatchBaseline", InstanceIds=["i-0123456789abcdef0"])
    assert caught.value.response["Error"]["Code"] == "UnsupportedOperation"


def test_commands_really_run_when_asked(
    stand_in: StandIn, nodes: list[str], tmp_path: Path
) -> None:
    stand_in.run_commands = True
    command = send(
        stand_in,
        nodes,
        'echo "I am $EFA_STAND_IN_INSTANCE_ID"',
        "echo kept > file",
        "echo wrong >&2",
        "exit 7",
    )
    one = ended(stand_in, command, nodes[0])
    assert one["StandardOutputContent"] == f"I am {nodes[0]}\n"
    assert one["StandardErrorContent"] == "wrong\nfailed to run commands: exit status 7"
    assert (one["Status"], one["ResponseCode"]) == ("Failed", 7)
    again = ended(stand_in, send(stand_in, nodes[:1], "cat file"), nodes[0])
    assert again["StandardOutputContent"] == "kept\n"
    place = {"workingDirectory": [str(tmp_path)]}
    there = ended(stand_in, send(stand_in, nodes[:1], "pwd", parameters=place), nodes[0])
    assert there["StandardOutputContent"] == f"{tmp_path}\n"


def test_scripts_on_several_instances_run_side_by_side(
    stand_in: StandIn, nodes: list[str], tmp_path: Path
) -> None:
    stand_in.run_commands = True
    pipe = tmp_path / "pipe"
    command = send(
        stand_in,
        nodes,
        f"mkfifo {pipe} 2>/dev/null",
        f"if [ $EFA_STAND_IN_INSTANCE_ID = {nodes[0]} ]; then",
        f"  while [ ! -p {pipe} ]; do :; done; echo hello > {pipe}",
        "else",
        f"  while [ ! -p {pipe} ]; do :; done; cat {pipe}",
        "fi",
    )
    assert ended(stand_in, command, nodes[1])["StandardOutputContent"] == "hello\n"


def test_a_cancelled_script_is_killed(stand_in: StandIn, nodes: list[str], tmp_path: Path) -> None:
    stand_in.run_commands = True
    pipe = tmp_path / "pipe"
    command = send(stand_in, nodes[:1], f"mkfifo {pipe}; cat {pipe}; touch {tmp_path}/after")
    while not pipe.exists():
        pass
    runner = stand_in._settings.runner
    stand_in.client("ssm").cancel_command(CommandId=command)
    job = runner._jobs[-1]
    assert job.process is not None
    assert job.process.wait() < 0
    assert shown(stand_in, command, nodes[0])["Status"] == "Cancelled"
    assert not (tmp_path / "after").exists()


def test_reset_ends_everything(stand_in: StandIn, nodes: list[str]) -> None:
    stand_in.run_commands = True
    send(stand_in, nodes[:1], "sleep 1000")
    job = stand_in._settings.runner._jobs[-1]
    stand_in.reset()
    assert job.process is not None
    assert job.process.wait() < 0
    assert not stand_in.run_commands


def test_scripts_never_run_where_others_reach_the_port() -> None:
    with pytest.raises(StandInError, match="run_commands"):
        StandIn(host="0.0.0.0", run_commands=True)
