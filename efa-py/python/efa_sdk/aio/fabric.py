"""The probes and the doctor of ``efa_sdk.fabric`` as coroutines.

>>> from efa_sdk import aio
>>> async def half_round_trip_us() -> float:
...     report = await aio.fabric.loopback("tcp")
...     return report.rows[0].latency.p50_us

A probe runs on a thread of its own; cancelling the coroutine stops it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from efa_sdk import choices
from efa_sdk._efa_sdk import (
    DoctorReport,
    Library,
    Node,
    ProbeOptions,
    ProbeReport,
    Rail,
    RailReport,
    Server,
    answer_through_async,
    connect_async,
    doctor_async,
    loopback_async,
    measure_through_async,
    probe_rails_async,
)
from efa_sdk.arguments import typed
from efa_sdk.fabric import Exchange

__all__ = [
    "answer_through",
    "connect",
    "doctor",
    "loopback",
    "measure_through",
    "probe_rails",
    "serve_one",
]


async def loopback(probe: str | ProbeOptions, *, library: Library | None = None) -> ProbeReport:
    """Measures between two endpoints of this process."""
    return await loopback_async(probe, library=library)


async def connect(
    address: str, token: str, probe: str | ProbeOptions, *, library: Library | None = None
) -> ProbeReport:
    """Measures to a ``Server`` at ``host:port``, which must have the same token."""
    return await connect_async(address, token, probe, library=library)


@typed
async def serve_one(
    server: Server,
    *,
    accept_timeout_s: float = 60.0,
    deadline_s: float = 600.0,
    max_size: int = 67_108_864,
    wait: choices.Wait = "adaptive",
    memory: str = "host",
    dmabuf: bool = False,
    library: Library | None = None,
) -> ProbeReport:
    """Answers the next peer that has the token; the report has what it measured."""
    return await server.serve_one_async(
        accept_timeout_s=accept_timeout_s,
        deadline_s=deadline_s,
        max_size=max_size,
        wait=wait,
        memory=memory,
        dmabuf=dmabuf,
        library=library,
    )


async def measure_through(
    exchange: str | os.PathLike[str] | Exchange,
    name: str,
    probe: str | ProbeOptions,
    *,
    library: Library | None = None,
) -> ProbeReport:
    """Measures to a side that calls ``answer_through`` with the same exchange and name."""
    return await measure_through_async(exchange, name, probe, library=library)


async def answer_through(
    exchange: str | os.PathLike[str] | Exchange,
    name: str,
    *,
    probe: str | ProbeOptions | None = None,
    accept_timeout_s: float = 60.0,
    deadline_s: float = 600.0,
    max_size: int = 67_108_864,
    library: Library | None = None,
) -> ProbeReport:
    """Answers one side that calls ``measure_through`` with the same exchange and name."""
    return await answer_through_async(
        exchange,
        name,
        probe=probe,
        accept_timeout_s=accept_timeout_s,
        deadline_s=deadline_s,
        max_size=max_size,
        library=library,
    )


async def doctor(
    *,
    root: str = "/",
    instance_type: str | None = None,
    deadline_s: float = 30.0,
    wait_for_devices: bool = False,
    environment: dict[str, str] | str | os.PathLike[str] | None = None,
) -> DoctorReport:
    """Reports whether EFA works on this node, and if not, why: as ``efa_sdk.fabric.doctor``."""
    return await doctor_async(
        root=root,
        instance_type=instance_type,
        deadline_s=deadline_s,
        wait_for_devices=wait_for_devices,
        environment=environment,
    )


async def probe_rails(
    rails: Sequence[Rail],
    node: Node,
    *,
    sizes: Sequence[int] | None = None,
    latency: bool = False,
    size_budget_s: float = 0.5,
    deadline_s: float = 60.0,
    pin: bool = True,
    together: bool = True,
    library: Library | None = None,
) -> RailReport:
    """Measures each rail alone, one after the other, then all together."""
    return await probe_rails_async(
        rails,
        node,
        sizes=sizes,
        latency=latency,
        size_budget_s=size_budget_s,
        deadline_s=deadline_s,
        pin=pin,
        together=together,
        library=library,
    )
