"""Stopping `apply` and `destroy` at a safe point: the cause states what exists and what is next."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import efa_sdk as efa
import pytest
from efa_sdk import aio
from support import DEADLINE_S, Cloud, Gate

ROLE = efa.InstanceRole()
SAFE = [
    "CreateSecurityGroup",
    "AuthorizeSecurityGroupIngress",
    "CreatePlacementGroup",
    "CreateRole",
    "AttachRolePolicy",
    "CreateInstanceProfile",
    "AddRoleToInstanceProfile",
    "RunInstances",
]
DESTROYING = ["TerminateInstances", "DeletePlacementGroup", "DeleteSecurityGroup"]

CHILD = """
import json, sys
import efa_sdk as efa

verb, argument, endpoint_url = sys.argv[1:]
client = efa.Client(region="us-east-1", endpoint_url=endpoint_url, poll_interval_s=0.05)
argument = efa.Plan.from_json(argument) if verb == "apply" else argument
print("ready", flush=True)
try:
    getattr(client, verb)(argument)
    print("finished", flush=True)
except KeyboardInterrupt as interrupt:
    cause = interrupt.__cause__
    said = None if cause is None else {
        "type": type(cause).__name__, "code": cause.code, "cure": cause.cure,
        "leftovers": cause.leftovers, "next": cause.next_command,
        "changed": cause.may_have_changed_aws, "text": str(cause),
    }
    print(json.dumps(said), flush=True)
"""

Child = subprocess.Popen[str]


@pytest.fixture
def start() -> Iterator[Callable[..., Child]]:
    """Starts children of the test, which end with it."""
    children: list[Child] = []

    def begin(*arguments: str) -> Child:
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd="/",
        )
        children.append(child)
        return child

    yield begin
    for child in children:
        child.kill()
        child.communicate()


def exists(cloud: Cloud) -> set[tuple[str, str]]:
    """Everything of the cluster, IAM's included."""
    iam = cloud.stand_in.client("iam")
    roles = {("role", role["RoleName"]) for role in iam.list_roles()["Roles"]}
    found = iam.list_instance_profiles()["InstanceProfiles"]
    profiles = {("instance-profile", profile["InstanceProfileName"]) for profile in found}
    return cloud.made() | roles | profiles


def pairs(listed: Any) -> set[tuple[str, str]]:
    assert len({tuple(one) for one in listed}) == len(listed), "each once"
    return {(kind, key) for kind, key in listed}


def finishes(cloud: Cloud, plan: efa.Plan) -> None:
    """Apply again makes one whole cluster, and destroy leaves nothing."""
    cluster = cloud.client.apply(plan)
    assert len(cluster) == len(cloud.instances()) == 2
    assert cloud.client.verify(plan).is_as_planned
    cloud.client.destroy("train")
    assert (exists(cloud), cloud.tagged()) == (set(), set())


def interrupted(child: Child, gate: Gate, *, release: bool) -> dict[str, Any] | None:
    """What a child reports of Ctrl-C while its request was held."""
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n", child.communicate()[1]
    assert gate.reached.wait(DEADLINE_S), child.communicate()[1]
    child.send_signal(signal.SIGINT)
    if release:
        gate.opened.set()
    out, err = child.communicate(timeout=DEADLINE_S)
    assert child.returncode == 0, err
    said: dict[str, Any] | None = json.loads(out)
    return said


def says(said: dict[str, Any] | None, cloud: Cloud) -> None:
    """The cause names what exists, and what to call next."""
    assert said is not None, "KeyboardInterrupt has a cause"
    assert (said["type"], said["code"]) == ("ProvisionError", "provision.cancelled")
    assert pairs(said["leftovers"]) == exists(cloud)
    assert said["changed"]
    assert said["cure"]
    assert "destroy" in said["next"]
    assert "train" in said["next"]


@pytest.mark.parametrize("action", SAFE)
def test_ctrl_c_in_apply_at_a_safe_point(
    cloud: Cloud, start: Callable[..., Child], action: str
) -> None:
    cloud.stand_in.transition_describes = 10**6  # so that apply cannot end before the signal
    plan = cloud.plan(instance_profile=ROLE)
    with Gate(cloud.stand_in, action) as gate:
        said = interrupted(start("apply", plan.to_json(), gate.endpoint_url), gate, release=True)
    says(said, cloud)
    if action == "RunInstances":
        # Its dry run is what is held.
        assert {kind for kind, _ in exists(cloud)} >= {"security-group", "placement-group", "role"}
    cloud.stand_in.transition_describes = 0
    for instance in cloud.instances():
        cloud.ec2.terminate_instances(InstanceIds=[instance["InstanceId"]])
    cloud.client.destroy("train")
    finishes(cloud, plan)


def test_ctrl_c_while_instances_start(cloud: Cloud, start: Callable[..., Child]) -> None:
    cloud.stand_in.transition_describes = 10**6
    plan = cloud.plan(public_ip="elastic-ip")
    with Gate(cloud.stand_in, "DescribeInstanceStatus") as gate:
        said = interrupted(start("apply", plan.to_json(), gate.endpoint_url), gate, release=True)
    says(said, cloud)
    assert {"security-group", "placement-group"} <= {kind for kind, _ in exists(cloud)}


def test_ctrl_c_in_destroy(cloud: Cloud, start: Callable[..., Child]) -> None:
    plan = cloud.plan(instance_profile=ROLE)
    cloud.client.apply(plan)
    cloud.stand_in.transition_describes = 10**6
    with Gate(cloud.stand_in, "TerminateInstances") as gate:
        said = interrupted(start("destroy", "train", gate.endpoint_url), gate, release=True)
    assert said is not None
    assert (said["type"], said["code"]) == ("ProvisionError", "provision.cancelled")
    assert {i["State"]["Name"] for i in cloud.instances()} == {"shutting-down"}
    assert pairs(said["leftovers"]) >= cloud.made()
    assert said["next"] == "destroy('train') again to finish"


@pytest.mark.parametrize("verb", ["apply", "destroy"])
def test_ctrl_c_abandons_a_call_that_hangs(
    cloud: Cloud, start: Callable[..., Child], verb: str
) -> None:
    plan = cloud.plan(instance_profile=ROLE)
    if verb == "destroy":
        cloud.client.apply(plan)
    held = {"apply": "CreatePlacementGroup", "destroy": "TerminateInstances"}[verb]
    argument = plan.to_json() if verb == "apply" else "train"
    with Gate(cloud.stand_in, held) as gate:
        child = start(verb, argument, gate.endpoint_url)
        said = interrupted(child, gate, release=False)
        assert not gate.opened.is_set()
    assert said is not None
    assert (said["type"], said["code"]) == ("BindingError", "python.call_abandoned")
    assert "may still take effect" in said["text"]
    assert said["cure"]
    finishes(cloud, plan)


def test_a_second_ctrl_c_does_not_wait(cloud: Cloud, start: Callable[..., Child]) -> None:
    plan = cloud.plan()
    with Gate(cloud.stand_in, "CreatePlacementGroup") as gate:
        child = start("apply", plan.to_json(), gate.endpoint_url)
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        assert gate.reached.wait(DEADLINE_S)
        while child.poll() is None:
            child.send_signal(signal.SIGINT)
            try:
                child.wait(0.1)
            except subprocess.TimeoutExpired:
                continue
    finishes(cloud, plan)


# asyncio


def asynchronous(cloud: Cloud, endpoint_url: str) -> aio.Client:
    return aio.Client(region="us-east-1", endpoint_url=endpoint_url, poll_interval_s=0.05)


async def cancelled(
    task: asyncio.Task[Any], gate: Gate, *, release: bool
) -> tuple[asyncio.CancelledError, BaseException | None]:
    """How a task ends that is cancelled while its request is held."""
    assert await asyncio.to_thread(gate.reached.wait, DEADLINE_S)
    task.cancel()
    for _ in range(5):  # until the coroutine has received it
        await asyncio.sleep(0)
    assert not task.done()
    if release:
        gate.opened.set()
    with pytest.raises(asyncio.CancelledError) as caught:
        await task
    return caught.value, caught.value.__cause__


@pytest.mark.parametrize("action", SAFE)
async def test_cancelling_apply(cloud: Cloud, action: str) -> None:
    plan = cloud.plan(instance_profile=ROLE)
    with Gate(cloud.stand_in, action) as gate:
        task = asyncio.create_task(asynchronous(cloud, gate.endpoint_url).apply(plan))
        _, cause = await cancelled(task, gate, release=True)
    assert isinstance(cause, efa.errors.ProvisionError)
    assert cause.code == "provision.cancelled"
    assert pairs(cause.leftovers) == exists(cloud)
    assert cause.leftovers
    assert cause.may_have_changed_aws
    assert cause.next_command is not None
    assert "destroy('train')" in cause.next_command
    # RunInstances is held at its dry run.
    later = SAFE[SAFE.index(action) + (action != "RunInstances") :]
    real = [r.action for r in cloud.stand_in.requests if ("DryRun", "true") not in r.parameters]
    assert not set(later) & set(real), "no other call was sent"
    finishes(cloud, plan)


@pytest.mark.parametrize("action", DESTROYING)
async def test_cancelling_destroy(cloud: Cloud, action: str) -> None:
    plan = cloud.plan()
    cloud.client.apply(plan)
    with Gate(cloud.stand_in, action) as gate:
        task = asyncio.create_task(asynchronous(cloud, gate.endpoint_url).destroy("train"))
        if action == "DeleteSecurityGroup":
            # The last call that changes anything here: nothing is left to stop.
            assert await asyncio.to_thread(gate.reached.wait, DEADLINE_S)
            task.cancel()
            for _ in range(5):
                await asyncio.sleep(0)
            gate.opened.set()
            with pytest.raises(asyncio.CancelledError) as caught:
                await task
            assert caught.value.__cause__ is None
            assert exists(cloud) == set()
        else:
            _, cause = await cancelled(task, gate, release=True)
            assert isinstance(cause, efa.errors.ProvisionError)
            assert cause.code == "provision.cancelled"
            assert pairs(cause.leftovers) == exists(cloud)
            assert cause.next_command == "destroy('train') again to finish"
    finishes(cloud, plan)


@pytest.mark.parametrize(
    "with_cause",
    [
        False,
        True,
    ],
)
async def test_cancelling_a_call_that_hangs(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, with_cause: bool
) -> None:
    monkeypatch.setattr(aio.client, "_GRACE_S", 0.1)
    plan = cloud.plan()
    with Gate(cloud.stand_in, "CreatePlacementGroup") as gate:
        task = asyncio.create_task(asynchronous(cloud, gate.endpoint_url).apply(plan))
        _, cause = await cancelled(task, gate, release=False)
        assert not gate.opened.is_set()
    finishes(cloud, plan)
    if with_cause:
        assert isinstance(cause, efa.errors.BindingError)
        assert cause.code == "python.call_abandoned"


async def test_a_time_limit_stops_apply_cleanly(cloud: Cloud) -> None:
    """`asyncio.wait_for` cancels, too, and its TimeoutError leads to the cause."""
    cloud.stand_in.transition_describes = 10**6
    plan = cloud.plan()
    client = asynchronous(cloud, cloud.stand_in.endpoint_url)
    with pytest.raises(asyncio.TimeoutError) as caught:
        await asyncio.wait_for(client.apply(plan), 1.0)
    cause: BaseException | None = caught.value
    while cause is not None and not isinstance(cause, efa.EfaError):
        cause = cause.__cause__ or cause.__context__
    assert isinstance(cause, efa.errors.ProvisionError)
    assert cause.code == "provision.cancelled"
    assert pairs(cause.leftovers) == exists(cloud)


async def test_nothing_is_sent_after_a_cancel(cloud: Cloud) -> None:
    plan = cloud.plan()
    client = asynchronous(cloud, cloud.stand_in.endpoint_url)
    task = asyncio.create_task(client.apply(plan))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert cloud.changes() == []


def test_ctrl_c_while_another_thread_applies(cloud: Cloud) -> None:
    """Signals are the main thread's: a call elsewhere goes on."""
    plan, done = cloud.plan(), threading.Event()

    with Gate(cloud.stand_in, "RunInstances") as gate:
        client = cloud.connect(endpoint_url=gate.endpoint_url)

        def apply() -> None:
            client.apply(plan)
            done.set()

        thread = threading.Thread(target=apply, daemon=True)
        thread.start()
        assert gate.reached.wait(DEADLINE_S)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        gate.opened.set()
        thread.join(DEADLINE_S)
    assert done.is_set()
    finishes(cloud, plan)
