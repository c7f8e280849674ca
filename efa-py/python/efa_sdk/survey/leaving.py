"""The end of a rank: the process that has the store must end last; SIGTERM may come before."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable, Iterator
from typing import Protocol

from efa_sdk._efa_sdk import SurveyNode, SurveyReport, SurveySummary, _decline_rank
from efa_sdk.command_line import Terminated, terminable
from efa_sdk.errors import EfaError, FabricError

__all__ = ["declining", "leave_last", "taking_leave"]

#: Seconds that rank 0, which may have the store, waits for the others to be done.
_LEAVE_S = 10.0
#: Seconds that it waits for those that were lost or never came: they may be late.
_LATE_S = 1.0


class _Exchange(Protocol):
    def put(self, key: str, value: bytes) -> None: ...

    def take(self, key: str) -> bytes | None: ...


def leave_last(
    exchange: _Exchange,
    key: str,
    rank: int,
    surveyed: SurveyReport | SurveySummary,
    *,
    on_each: int = 1,
) -> None:
    """Reports that this rank is done; rank 0, which has the report, waits some seconds for every
    other rank to state this: each node of the survey has ``on_each`` of them."""
    if not isinstance(surveyed, SurveyReport):
        exchange.put(f"{key}/left/{rank}", b"1")
        return
    now = time.monotonic()
    patience = [
        _LEAVE_S if node.state.kind in ("measured", "joined") else _LATE_S
        for node in surveyed.nodes
        for _ in range(on_each)
    ]
    ends = {other: now + wait for other, wait in enumerate(patience) if other != rank}
    while ends:
        now = time.monotonic()
        for other, end in list(ends.items()):
            if exchange.take(f"{key}/left/{other}") is not None or now >= end:
                del ends[other]
        time.sleep(0.02)


@contextlib.contextmanager
def taking_leave() -> Iterator[None]:
    """Lets a rank that SIGTERM ends inform the others first, where nothing else handles it;
    then the signal has its usual effect."""
    if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    try:
        with terminable():
            yield
    except Terminated:
        signal.raise_signal(signal.SIGTERM)
        raise  # it was blocked


@contextlib.contextmanager
def declining(
    exchange: Callable[[], _Exchange], key: str, node: str, rank: int, world_size: int
) -> Iterator[None]:
    """Informs rank 0 of the error where this rank cannot be set up, such as without libfabric: its
    node is absent with that reason then, and not one that never joined."""
    try:
        yield
    except FabricError as error:
        with contextlib.suppress(EfaError, OSError):
            _decline_rank(
                exchange(),
                key,
                SurveyNode(node),
                rank=rank,
                world_size=world_size,
                code=error.code,
                why=str(error),
            )
        raise
