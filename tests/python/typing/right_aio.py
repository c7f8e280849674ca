"""What a consumer writes with the awaiting client."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import efa_sdk as efa
from efa_sdk import aio


async def plans(specs: Sequence[efa.ClusterSpec]) -> list[efa.Plan]:
    client = aio.Client(region="us-east-1", wait_timeout_s=60)
    return await asyncio.gather(*(client.plan(spec) for spec in specs))


async def flow(spec: efa.ClusterSpec) -> bool:
    client = aio.Client(progress=print)
    plan: efa.Plan = await client.plan(spec)
    cluster: efa.Cluster = await asyncio.wait_for(client.apply(plan), timeout=600)
    report: efa.VerifyReport = await client.verify(cluster.name)
    destroyed: efa.DestroyReport = await client.destroy(plan.name)
    catalog: efa.Catalog = await client.catalog()
    zones: list[str] | None = catalog.zones("p5.48xlarge")
    return report.is_as_planned and bool(destroyed.removed) and zones is not None


async def nodes_for_a_block(client: aio.Client, plan: efa.Plan) -> int:
    async with client.cluster(plan) as cluster:
        nodes: int = len(cluster.instances)
        return nodes
