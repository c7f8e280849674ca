"""The verbs of ``efa_sdk.Client`` as coroutines; in ``fabric`` the probes, in ``survey`` surveys,
in ``acceptance`` the verdict on a cluster.

>>> import asyncio
>>> from efa_sdk import aio
>>> async def cluster_is_as_planned(name: str) -> bool:
...     client = aio.Client(region="us-east-1")
...     return (await client.verify(name)).is_as_planned

Cancelling ``apply``, ``grow``, ``replace``, ``shrink`` or ``destroy`` stops it between two calls to
AWS; the cause of the ``CancelledError`` lists what exists. Other coroutines change nothing and are
dropped at once.
"""

from __future__ import annotations

from efa_sdk.aio import acceptance, fabric, survey
from efa_sdk.aio.client import Client

__all__ = ["Client", "acceptance", "fabric", "survey"]
