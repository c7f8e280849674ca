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
    ProbeOptions,
    ProbeReport,
    Server,
    connect_async,
    loopback_async,
)

__all__ = ["connect", "loopback", "serve_one"]


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
    wait: str = "adaptive",
    library: Library | None = None,
) -> ProbeReport:
    """Answers the next peer that has the token; the report has what it measured."""
    return await server.serve_one_async(
        accept_timeout_s=accept_timeout_s,
        deadline_s=deadline_s,
        max_size=max_size,
        wait=wait,
        library=library,
    )
