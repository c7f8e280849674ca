"""A cluster that lives as long as a ``with`` block: ``Client.cluster`` and ``aio.Client.cluster``.

How the block ends decides nothing: its last line, an exception, Ctrl-C, or a cancelled task.
If ``destroy`` fails after an exception, its error is raised with that exception as ``__context__``,
so that a traceback shows both; ``leftovers`` lists what is left, and ``next_command`` removes it.
"""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Protocol

from efa_sdk.arguments import typed
from efa_sdk.errors import EfaError, VerifyError

if TYPE_CHECKING:
    from efa_sdk._efa_sdk import Client, Cluster, Plan

__all__ = ["AsyncClusterLifetime", "ClusterLifetime"]

#: The tag with the fingerprint of the plan that an instance was launched from.
_PLAN_TAG = "efa-sdk:plan"


@typed
class ClusterLifetime:
    """What ``Client.cluster`` gives: applies at its start, destroys at its end."""

    def __init__(self, client: Client, plan: Plan) -> None:
        self._client, self._plan = client, plan

    def __enter__(self) -> Cluster:
        try:
            return self._client.apply(self._plan)
        except BaseException as failure:
            if not _changed_nothing(failure) and self._is_ours():
                self._destroy(failure)
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._destroy(error)

    def _is_ours(self) -> bool:
        try:
            return _is_of(self._plan, self._client.describe(self._plan.name))
        except VerifyError:  # no instance: what else there is was made for this name
            return True

    def _destroy(self, after: BaseException | None) -> None:
        try:
            self._client.destroy(self._plan.name)
        except BaseException as failure:
            _explain(failure, after)
            raise


class AwaitingClient(Protocol):
    """The verbs of ``aio.Client``, which knows this module, that a lifetime awaits."""

    async def apply(self, plan: Plan) -> Cluster: ...

    async def describe(self, name: str) -> Cluster: ...

    async def destroy(self, name: str) -> object: ...


@typed
class AsyncClusterLifetime:
    """What ``aio.Client.cluster`` gives: as ``ClusterLifetime``, awaiting."""

    def __init__(self, client: AwaitingClient, plan: Plan) -> None:
        self._client, self._plan = client, plan

    async def __aenter__(self) -> Cluster:
        try:
            return await self._client.apply(self._plan)
        except BaseException as failure:
            if not _changed_nothing(failure) and await self._is_ours():
                await self._destroy(failure)
            raise

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._destroy(error)

    async def _is_ours(self) -> bool:
        try:
            return _is_of(self._plan, await self._client.describe(self._plan.name))
        except VerifyError:
            return True

    async def _destroy(self, after: BaseException | None) -> None:
        try:
            await self._client.destroy(self._plan.name)
        except BaseException as failure:
            _explain(failure, after)
            raise


def _changed_nothing(failure: BaseException) -> bool:
    """Whether ``apply`` failed before it sent anything that changes AWS."""
    error = _error_of(failure)
    if error is None or error.code == "python.call_abandoned":
        return False
    return not error.may_have_changed_aws


def _error_of(failure: BaseException) -> EfaError | None:
    """The error itself, or what an interrupted call reports of what exists."""
    for error in (failure, failure.__cause__):
        if isinstance(error, EfaError):
            return error
    return None


def _is_of(plan: Plan, cluster: Cluster) -> bool:
    """Whether every instance of the name comes from this plan: others are not destroyed."""
    return all(i.tags.get(_PLAN_TAG) == plan.fingerprint for i in cluster.instances)


def _explain(failure: BaseException, after: BaseException | None) -> None:
    """Adds what it came after, and from Python 3.11 on, for the traceback, what is left in AWS."""
    if failure.__context__ is None and failure is not after:
        failure.__context__ = after  # an error from Rust has none by itself
    error = _error_of(failure)
    if error is not None and error.leftovers and hasattr(failure, "add_note"):
        left = ", ".join(f"{kind} {key}" for kind, key in error.leftovers)
        failure.add_note(f"left in AWS: {left}; next: {error.next_command}")
