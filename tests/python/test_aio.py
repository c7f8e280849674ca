"""`aio.Client`: the same verbs as real coroutines, many at once, cancellable."""

from __future__ import annotations

import asyncio
import inspect
from collections import Counter
from typing import Any

import efa_sdk as efa
import pytest
from efa_sdk import _efa_sdk, aio
from support import DEADLINE_S, P5, SMALL, Cloud, Gate

# fmt: off
VERBS = [
    "catalog", "plan", "preflight", "capacity_block_offerings", "prepare", "apply", "grow",
    "purchase_capacity_block",
    "clusters", "describe", "topology", "run_command", "verify", "verify_instance", "destroy",
    "replace", "shrink", "extend",
]
# fmt: on


def connect(cloud: Cloud, **options: Any) -> aio.Client:
    endpoint_url = options.pop("endpoint_url", cloud.stand_in.endpoint_url)
    defaults: dict[str, Any] = {"region": cloud.network.region, "poll_interval_s": 0.01}
    return aio.Client(**{**defaults, **options}, endpoint_url=endpoint_url)


async def reached(gate: Gate) -> None:
    """Waits until the gate holds a request."""
    assert await asyncio.to_thread(gate.reached.wait, DEADLINE_S)


async def test_the_whole_flow(cloud: Cloud) -> None:
    events: list[efa.Event] = []
    async with connect(cloud, progress=events.append) as client:
        await whole_flow(cloud, client, events)


async def whole_flow(cloud: Cloud, client: aio.Client, events: list[efa.Event]) -> None:
    plan = await client.plan(cloud.spec(P5))
    assert plan == cloud.client.plan(cloud.spec(P5)), "the blocking client's plan"
    cluster = await client.apply(plan)
    assert cluster == await client.describe("train") == cloud.client.describe("train")
    for what in ("train", plan):
        assert (await client.verify(what)).is_as_planned
    assert len(await client.catalog()) == 303
    report = await client.destroy("train")
    assert len(report.removed) == 4
    with pytest.raises(efa.errors.VerifyError):
        await client.describe("train")
    assert Counter(e.action for e in events)["created"] == 4
    assert Counter(e.action for e in events)["removed"] == 4


async def test_eight_plans_at_once(cloud: Cloud) -> None:
    client = connect(cloud)
    specs = [cloud.spec(SMALL, name=f"train-{n}") for n in range(8)]
    plans = await asyncio.gather(*(client.plan(spec) for spec in specs))
    assert [plan.name for plan in plans] == [spec.name for spec in specs]
    assert plans == [cloud.client.plan(spec) for spec in specs]
    assert cloud.changes() == []


@pytest.mark.parametrize("public_ip", ["none", "elastic-ip"])
async def test_applies_of_one_plan_at_once_make_one_cluster(cloud: Cloud, public_ip: str) -> None:
    client = connect(cloud)
    plan = await client.plan(cloud.spec(public_ip=public_ip))
    clusters = await asyncio.gather(*(client.apply(plan) for _ in range(3)))
    ids = {tuple(i.instance_id for i in cluster.instances) for cluster in clusters}
    assert len(ids) == 1
    assert len(cloud.instances()) == 2
    one = {"instance": 2, "security-group": 1, "placement-group": 1}
    one |= {"elastic-ip": 2} if public_ip == "elastic-ip" else {}
    assert Counter(kind for kind, _ in cloud.made()) == one


async def test_failures_of_some_do_not_touch_others(cloud: Cloud) -> None:
    client = connect(cloud)
    good, bad = cloud.spec(), cloud.spec(subnet="subnet-0123456789abcdef0")
    answers = await asyncio.gather(
        client.plan(good), client.plan(bad), client.plan(good), return_exceptions=True
    )
    assert isinstance(answers[1], efa.errors.PlanError)
    assert answers[0] == answers[2]


@pytest.mark.parametrize("held", ["CreateSecurityGroup", "CreatePlacementGroup", "RunInstances"])
async def test_cancelling_apply_while_a_request_is_out(cloud: Cloud, held: str) -> None:
    plan = cloud.plan()
    with Gate(cloud.stand_in, held) as gate:
        client = connect(cloud, endpoint_url=gate.endpoint_url)
        task = asyncio.create_task(client.apply(plan))
        await reached(gate)
        assert not task.done()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert await asyncio.to_thread(lambda: 7) == 7, "the loop is alive"
    cluster = await connect(cloud).apply(plan)
    assert len(cluster) == 2
    assert len(cloud.instances()) == 2
    assert (await connect(cloud).verify(plan)).is_as_planned


async def test_a_time_limit_in_the_middle_of_waiting(cloud: Cloud) -> None:
    plan = cloud.plan()
    with Gate(cloud.stand_in, "DescribeInstances", after="RunInstances") as gate:
        client = connect(cloud, endpoint_url=gate.endpoint_url)
        task = asyncio.ensure_future(client.apply(plan))
        await reached(gate)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(task, timeout=0.05)
        assert task.cancelled()
        gate.opened.set()
        cluster = await client.apply(plan)
    assert len(cluster) == 2
    assert len(cloud.sent("RunInstances")) == 1, "the second apply found the first's instances"
    await connect(cloud).destroy("train")
    assert cloud.tagged() == set()


async def test_the_loop_runs_while_a_call_is_out(cloud: Cloud) -> None:
    with Gate(cloud.stand_in, "DescribeSubnets") as gate:
        task = asyncio.create_task(
            connect(cloud, endpoint_url=gate.endpoint_url).plan(cloud.spec())
        )
        await reached(gate)
        turns = 0
        while turns < 100:
            await asyncio.sleep(0)
            turns += 1
        assert not task.done()
        gate.opened.set()
        assert (await task).name == "train"


def test_it_works_in_one_event_loop_after_another(cloud: Cloud) -> None:
    client = connect(cloud)
    plans = [asyncio.run(client.plan(cloud.spec())) for _ in range(3)]
    assert plans[0] == plans[1] == plans[2]


def test_making_one_needs_no_loop_and_calling_it_makes_a_coroutine(cloud: Cloud) -> None:
    coroutine = connect(cloud).plan(cloud.spec())
    assert inspect.iscoroutine(coroutine)
    coroutine.close()
    assert cloud.actions() == [], "nothing happens before it is awaited"


async def test_a_blocking_call_within_a_coroutine_works(cloud: Cloud) -> None:
    assert cloud.client.plan(cloud.spec()).name == "train"


def shape(function: Any) -> list[tuple[str, str, object]]:
    """Names, kinds and defaults of the parameters, without self."""
    parameters = inspect.signature(function).parameters.values()
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [
        (p.name, "positional" if p.kind in positional else p.kind.name, p.default)
        for p in parameters
        if p.name != "self"
    ]


def test_both_clients_have_the_same_verbs() -> None:
    def public(cls: type) -> list[str]:
        return sorted(name for name in vars(cls) if not name.startswith("_"))

    assert public(_efa_sdk.AsyncClient) == sorted(VERBS)
    assert public(efa.Client) == public(aio.Client) == sorted([*VERBS, "cluster"])
    assert shape(efa.Client.cluster) == shape(aio.Client.cluster)


@pytest.mark.parametrize("verb", VERBS)
def test_both_clients_have_the_same_signature(verb: str) -> None:
    blocking, awaiting = getattr(efa.Client, verb), getattr(aio.Client, verb)
    assert shape(blocking) == shape(awaiting)
    assert inspect.iscoroutinefunction(awaiting)
    assert not inspect.iscoroutinefunction(blocking)
    assert awaiting.__doc__


def test_both_clients_are_made_alike() -> None:
    assert shape(efa.Client) == shape(aio.Client)
    assert {kind for _, kind, _ in shape(aio.Client)} == {"KEYWORD_ONLY"}
