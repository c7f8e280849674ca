"""The verbs of ``efa_sdk.Client`` as coroutines, and in ``fabric`` the probes.

>>> import asyncio
>>> from efa_sdk import aio
>>> async def cluster_is_as_planned(name: str) -> bool:
...     client = aio.Client(region="us-east-1")
...     return (await client.verify(name)).is_as_planned

Cancelling a coroutine drops the call; what it made in EC2 stays, and ``apply`` again or
``destroy`` picks it up.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from efa_sdk import _efa_sdk
from efa_sdk.aio import fabric

if TYPE_CHECKING:
    from efa_sdk._efa_sdk import (
        Catalog,
        Cluster,
        ClusterSpec,
        DestroyReport,
        Event,
        Plan,
        VerifyReport,
    )

__all__ = ["Client", "fabric"]


class Client:
    """As ``efa_sdk.Client``, awaiting instead of blocking."""

    def __init__(
        self,
        *,
        region: str | None = None,
        endpoint_url: str | None = None,
        profile: str | None = None,
        wait_timeout_s: float = 900.0,
        progress: Callable[[Event], object] | None = None,
    ) -> None:
        self._client = _efa_sdk.AsyncClient(
            region=region,
            endpoint_url=endpoint_url,
            profile=profile,
            wait_timeout_s=wait_timeout_s,
            progress=progress,
        )

    async def catalog(self) -> Catalog:
        """Every instance type of the region that supports EFA, with the zones that offer it."""
        return await self._client.catalog()

    async def plan(self, spec: ClusterSpec) -> Plan:
        """What ``apply`` would use and make. Changes nothing."""
        return await self._client.plan(spec)

    async def apply(self, plan: Plan) -> Cluster:
        """Makes what the plan says and waits until all instances run."""
        return await self._client.apply(plan)

    async def describe(self, name: str) -> Cluster:
        """The cluster of this name as it stands."""
        return await self._client.describe(name)

    async def verify(self, cluster: str | Plan) -> VerifyReport:
        """Compares a cluster with the plan that its tags record, or with the plan given."""
        return await self._client.verify(cluster)

    async def destroy(self, name: str) -> DestroyReport:
        """Removes everything that was made for the cluster of this name, and only that."""
        return await self._client.destroy(name)
