"""`with client.cluster(plan)`: destroyed however the block ends, and nothing else is."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from typing import Any

import efa_sdk as efa
import pytest
from efa_sdk import aio
from support import DEADLINE_S, Cloud, Gate

REFUSED = "UnauthorizedOperation"


class TrainingFailed(Exception):
    """What a block raises."""


def awaiting(cloud: Cloud, endpoint_url: str | None = None) -> aio.Client:
    url = endpoint_url or cloud.stand_in.endpoint_url
    return aio.Client(region=cloud.network.region, endpoint_url=url, poll_interval_s=0.01)


async def lives(cloud: Cloud, kind: str, plan: efa.Plan, body: Any) -> None:
    """Runs `body(cluster)` in a block of either client."""
    if kind == "blocking":
        with cloud.client.cluster(plan) as cluster:
            body(cluster)
    else:
        async with awaiting(cloud).cluster(plan) as cluster:
            body(cluster)


BOTH = pytest.mark.parametrize("kind", ["blocking", "awaiting"])


@BOTH
async def test_the_cluster_lives_as_long_as_the_block(cloud: Cloud, kind: str) -> None:
    seen: list[efa.Cluster] = []
    plan = cloud.plan()

    def body(cluster: efa.Cluster) -> None:
        seen.append(cluster)
        assert cluster == cloud.client.describe("train")

    await lives(cloud, kind, plan, body)
    assert len(seen[0]) == 2
    assert cloud.tagged() == set()


@BOTH
@pytest.mark.parametrize("raised", [TrainingFailed, KeyboardInterrupt])
async def test_a_block_that_raises(cloud: Cloud, kind: str, raised: type[BaseException]) -> None:
    error = raised("epoch 3")

    def body(_: efa.Cluster) -> None:
        raise error

    with pytest.raises(raised) as caught:
        await lives(cloud, kind, cloud.plan(), body)
    assert caught.value is error
    assert cloud.tagged() == set()


@BOTH
async def test_a_destroy_that_fails_shows_both_errors_and_what_is_left(
    cloud: Cloud, kind: str
) -> None:
    def body(_: efa.Cluster) -> None:
        cloud.stand_in.fail("TerminateInstances", REFUSED)
        raise TrainingFailed

    with pytest.raises(efa.errors.Ec2Error) as caught:
        await lives(cloud, kind, cloud.plan(), body)
    error = caught.value
    assert isinstance(error.__context__, TrainingFailed)
    assert set(error.leftovers) == cloud.made()
    assert len(cloud.made()) == 4
    assert error.next_command is not None
    if sys.version_info >= (3, 11):
        (note,) = error.__notes__
        assert all(key in note for _, key in cloud.made()), "a traceback lists what is left"


@BOTH
async def test_an_apply_that_fails_is_taken_back(cloud: Cloud, kind: str) -> None:
    plan = cloud.plan()
    cloud.stand_in.fail("RunInstances", REFUSED, where={"MinCount": "2"})
    with pytest.raises(efa.errors.Ec2Error) as caught:
        await lives(cloud, kind, plan, lambda _: pytest.fail("no cluster"))
    assert caught.value.ec2_code == REFUSED
    assert "CreateSecurityGroup" in cloud.changes()
    assert cloud.tagged() == set()


@BOTH
async def test_another_cluster_of_the_name_stays(cloud: Cloud, kind: str) -> None:
    cloud.apply(count=3)
    before = cloud.tagged()
    other = cloud.plan(public_ip="elastic-ip")
    with pytest.raises(efa.errors.ProvisionError, match="has 3 instances, 0 of them"):
        await lives(cloud, kind, other, lambda _: pytest.fail("no cluster"))
    assert cloud.tagged() == before


def test_a_launch_of_another_plan_at_the_same_time_stays(cloud: Cloud) -> None:
    """After changes, too: instances of the name that come from another plan are not destroyed."""
    plan, other = cloud.plan(), cloud.plan(volume_size_gib=100)
    with Gate(cloud.stand_in, "CreatePlacementGroup") as gate:

        def launch() -> None:
            assert gate.reached.wait(DEADLINE_S)
            cloud.client.apply(other)
            cloud.stand_in.fail("RunInstances", REFUSED)
            gate.opened.set()

        thread = threading.Thread(target=launch, daemon=True)
        thread.start()
        client = cloud.connect(endpoint_url=gate.endpoint_url)
        with pytest.raises(efa.EfaError), client.cluster(plan):
            pytest.fail("no cluster")
        thread.join(DEADLINE_S)
    assert cloud.client.verify(other).is_as_planned


def test_ctrl_c_while_it_applies(cloud: Cloud) -> None:
    plan = cloud.plan()
    with Gate(cloud.stand_in, "DescribeInstances", after="RunInstances") as gate:

        def press() -> None:
            assert gate.reached.wait(DEADLINE_S)
            os.kill(os.getpid(), signal.SIGINT)
            gate.opened.set()

        thread = threading.Thread(target=press, daemon=True)
        thread.start()
        client = cloud.connect(endpoint_url=gate.endpoint_url)
        # Where apply ends before it receives Ctrl-C, the block does.
        with pytest.raises(KeyboardInterrupt), client.cluster(plan):
            threading.Event().wait(DEADLINE_S)
    assert len(cloud.sent("RunInstances")) == 1
    assert cloud.tagged() == set()


@pytest.mark.parametrize("held", ["CreatePlacementGroup", None])
async def test_a_task_that_is_cancelled(cloud: Cloud, held: str | None) -> None:
    """While it applies, and within the block."""
    plan, inside = cloud.plan(), asyncio.Event()

    async def train(endpoint_url: str | None) -> None:
        async with awaiting(cloud, endpoint_url).cluster(plan):
            inside.set()
            await asyncio.Event().wait()

    if held is None:
        task = asyncio.create_task(train(None))
        await inside.wait()
        task.cancel()
    else:
        with Gate(cloud.stand_in, held) as gate:
            task = asyncio.create_task(train(gate.endpoint_url))
            assert await asyncio.to_thread(gate.reached.wait, DEADLINE_S)
            task.cancel()
            await asyncio.sleep(0)
            gate.opened.set()
            await asyncio.wait([task])
    with pytest.raises(asyncio.CancelledError):
        await task
    assert inside.is_set() == (held is None)
    assert cloud.tagged() == set()
