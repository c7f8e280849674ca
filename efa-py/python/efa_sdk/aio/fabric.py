"""The probes of ``efa_sdk.fabric`` as coroutines.

>>> from efa_sdk import aio
>>> async def half_round_trip_us() -> float:
...     report = await aio.fabric.loopback("tcp")
...     return report.rows[0].latency.p50_us

A probe runs on a thread of its own; cancelling the coroutine stops it.
"""

from __future__ import annotations

from efa_sdk._efa_sdk import (
    Library,
    Node,
    ProbeOptions,
    ProbeReport,
    Rail,
    RailReport,
    Server,
    connect_async,
    loopback_async,
    probe_rails_async,
)

__all__ = ["connect", "loopback", "probe_rails", "serve_one"]


async def loopback(probe: str | ProbeOptions, *, library: Library | None = None) -> ProbeReport:
    """Measures between two endpoints of this process."""
    return await loopback_async(probe, library=library)


async def connect(
    address: str, token: str, probe: str | ProbeOptions, *, library: Library | None = None
) -> ProbeReport:
    """Measures to a ``Server`` at ``host:port``, which must have the same token."""
    return await connect_async(address, token, probe, library=library)


async def serve_one(
    server: Server,
    *,
    accept_timeout_s: float = 60.0,
    deadline_s: float = 600.0,
    max_size: int = 67_108_864,
    library: Library | None = None,
) -> ProbeReport:
    """Answers the next peer that has the token; the report has what it measured."""
    return await server.serve_one_async(
        accept_timeout_s=accept_timeout_s,
        deadline_s=deadline_s,
        max_size=max_size,
        library=library,
    )


async def probe_rails(
    rails: list[Rail],
    node: Node,
    *,
    sizes: list[int] | None = None,
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
