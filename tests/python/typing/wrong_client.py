"""Mistakes with the clients that a type checker must find."""

# ruff: noqa: B018
from __future__ import annotations

import efa_sdk as efa
from efa_sdk import aio

client = efa.Client(region="us-east-1")
spec = efa.ClusterSpec(
    name="train",
    instance_type="p5.48xlarge",
    count=2,
    subnet="subnet-1",
    image="ami-0123456789abcdef0",
)

efa.Client("us-east-1")  # E: call-arg
efa.Client(timeout=3)  # E: call-arg
efa.Client(progress=lambda: None)  # E: arg-type misc
efa.ClusterSpec(name="train")  # E: call-arg
client.plan("train")  # E: arg-type
client.apply(spec)  # E: arg-type
client.verify(spec)  # E: arg-type
client.destroy(client.plan(spec))  # E: arg-type
client.launch(spec)  # E: attr-defined
client.apply(client.plan(spec)).instances.name  # E: attr-defined


async def forgets_to_await() -> efa.Plan:
    awaiting = aio.Client()
    awaiting.plan(spec)  # E: unused-coroutine
    plan: efa.Plan = awaiting.plan(spec)  # E: assignment
    report = await awaiting.verify(3)  # E: arg-type
    print(report.is_ok)  # E: attr-defined
    return plan
