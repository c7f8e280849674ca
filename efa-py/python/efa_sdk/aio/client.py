"""The verbs of ``efa_sdk.Client`` as coroutines: what ``efa_sdk.aio`` gives as ``Client``."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

from efa_sdk import _efa_sdk
from efa_sdk.errors import BindingError, EfaError
from efa_sdk.lifetime import AsyncClusterLifetime

if TYPE_CHECKING:
    from efa_sdk._efa_sdk import (
        CapacityBlockOffering,
        CapacityReservation,
        Catalog,
        Cluster,
        ClusterSpec,
        ClusterSummary,
        CommandReport,
        DestroyReport,
        Event,
        InstanceReport,
        Plan,
        PreflightReport,
        Topology,
        VerifyReport,
    )
    from efa_sdk.rows import Rows

__all__ = ["Client"]


_T = TypeVar("_T")
#: How long a cancelled call may take to finish what is under way.
_GRACE_S = 5.0


async def _stoppable(start: Callable[[_efa_sdk.Cancel], Awaitable[_T]]) -> _T:
    cancel = _efa_sdk.Cancel()
    call = asyncio.ensure_future(start(cancel))
    try:
        return await asyncio.shield(call)
    except asyncio.CancelledError as cancelled:
        cancel.cancel()
        await asyncio.wait([call], timeout=_GRACE_S)
        if not call.done():
            raise cancelled from BindingError(
                "python.call_abandoned",
                "the call to AWS that was under way did not end in time; it may still take effect",
                "apply the same plan again to finish, or destroy the cluster",
            )
        if not call.cancelled() and isinstance(error := call.exception(), EfaError):
            raise cancelled from error
        raise
    finally:
        call.cancel()


class Client:
    """As ``efa_sdk.Client``, awaiting instead of blocking."""

    def __init__(
        self,
        *,
        region: str | None = None,
        endpoint_url: str | None = None,
        profile: str | None = None,
        session: object | None = None,
        credentials: object | None = None,
        access_key_id: str | None = None,
        secret_access_key: str | None = None,
        session_token: str | None = None,
        role_arn: str | None = None,
        role_session_name: str | None = None,
        external_id: str | None = None,
        wait_timeout_s: float = 900.0,
        poll_interval_s: float = 0.5,
        progress: Callable[[Event], object] | None = None,
    ) -> None:
        self._client = _efa_sdk.AsyncClient(
            region=region,
            endpoint_url=endpoint_url,
            profile=profile,
            session=session,
            credentials=credentials,
            access_key_id=access_key_id,
            secret_access_key=secret_access_key,
            session_token=session_token,
            role_arn=role_arn,
            role_session_name=role_session_name,
            external_id=external_id,
            wait_timeout_s=wait_timeout_s,
            poll_interval_s=poll_interval_s,
            progress=progress,
        )

    def __repr__(self) -> str:
        return f"aio.{self._client!r}"

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing to close: clusters stay. ``cluster`` is what destroys at the end."""

    async def catalog(self) -> Catalog:
        """Returns every instance type of the region with EFA, with the zones that offer it."""
        return await self._client.catalog()

    async def plan(self, spec: ClusterSpec) -> Plan:
        """Returns what ``apply`` would use and make. Changes nothing."""
        return await self._client.plan(spec)

    async def preflight(self, plan: Plan) -> PreflightReport:
        """Checks what can change between plan and launch. Changes nothing."""
        return await self._client.preflight(plan)

    async def capacity_block_offerings(
        self, instance_type: str, instance_count: int, duration_hours: int
    ) -> Rows[CapacityBlockOffering]:
        """Returns the Capacity Blocks that can be bought, earliest first. Nothing is bought."""
        return await self._client.capacity_block_offerings(
            instance_type, instance_count, duration_hours
        )

    async def purchase_capacity_block(
        self,
        offering: CapacityBlockOffering,
        *,
        confirm_price: str,
        instance_platform: str | None = None,
        tags: dict[str, str] | None = None,
    ) -> CapacityReservation:
        """Buys a listed Capacity Block, if EC2 sells it for exactly ``confirm_price`` now."""
        return await _stoppable(
            lambda cancel: self._client.purchase_capacity_block(
                offering, confirm_price, instance_platform, tags, cancel
            )
        )

    async def prepare(self, plan: Plan) -> Plan:
        """Makes what the plan needs besides the instances, for launchers other than this client."""
        return await _stoppable(lambda cancel: self._client.prepare(plan, cancel))

    async def apply(self, plan: Plan) -> Cluster:
        """Makes what the plan lists and waits until all instances run."""
        return await _stoppable(lambda cancel: self._client.apply(plan, cancel))

    def cluster(self, plan: Plan) -> AsyncClusterLifetime:
        """``async with client.cluster(plan) as cluster:`` applies, and destroys however it ends."""
        return AsyncClusterLifetime(self, plan)

    async def replace(self, name: str, nodes: Sequence[str]) -> Cluster:
        """Replaces these nodes, by instance id, by as many new ones like them."""
        return await _stoppable(lambda cancel: self._client.replace(name, nodes, cancel))

    async def shrink(
        self, name: str, count: int | None = None, *, nodes: Sequence[str] | None = None
    ) -> Cluster:
        """Takes nodes out for good: the last ones, down to ``count``, or those of ``nodes``."""
        return await _stoppable(lambda cancel: self._client.shrink(name, count, nodes, cancel))

    async def extend(self, name: str, expires_after: timedelta) -> Cluster:
        """Lets a cluster that was launched with ``expires_after`` live for this long from now."""
        return await _stoppable(lambda cancel: self._client.extend(name, expires_after, cancel))

    async def grow(self, plan: Plan) -> Cluster:
        """Applies, and adds missing instances to a smaller cluster of the same plan."""
        return await _stoppable(lambda cancel: self._client.grow(plan, cancel))

    async def describe(self, name: str) -> Cluster:
        """Returns the cluster of this name as it stands."""
        return await self._client.describe(name)

    async def clusters(self) -> Rows[ClusterSummary]:
        """Returns every cluster of efa-sdk in the region, half-made ones too, by name."""
        return await self._client.clusters()

    async def topology(self, name: str) -> Topology:
        """Returns where running instances of the cluster are connected, ranked by nearness."""
        return await self._client.topology(name)

    async def run_command(
        self, name: str, script: str, *, deadline_s: float = 600.0, wait_online_s: float = 300.0
    ) -> CommandReport:
        """Runs a shell script as root on every instance through SSM; collects what it prints."""
        return await self._client.run_command(
            name, script, deadline_s=deadline_s, wait_online_s=wait_online_s
        )

    async def verify(self, cluster: str | Plan) -> VerifyReport:
        """Compares a cluster with the plan that its tags record, or with the plan given."""
        return await self._client.verify(cluster)

    async def verify_instance(self, instance_id: str) -> InstanceReport:
        """Checks one instance: EFA interfaces, security groups, zone and placement of peers."""
        return await self._client.verify_instance(instance_id)

    async def destroy(self, name: str) -> DestroyReport:
        """Removes everything that was made for the cluster of this name, and only that."""
        return await _stoppable(lambda cancel: self._client.destroy(name, cancel))
