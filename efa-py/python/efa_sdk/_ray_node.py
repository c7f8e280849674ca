"""One node's side of a survey of ``efa_sdk.ray``: the actor, and what it reports and exchanges."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import Callable
from typing import Any

from efa_sdk import aio, choices
from efa_sdk._efa_sdk import VERSION as __version__
from efa_sdk._ray_relay import Answer, Relay
from efa_sdk.errors import EfaError
from efa_sdk.fabric import Library, Rail
from efa_sdk.survey import (
    NodeInspection,
    PairOptions,
    PairSight,
    SurveyFlowSights,
    SurveyFlowTask,
    choose_rails,
)


@dataclasses.dataclass(frozen=True)
class _Greeting:
    """What a node reports of itself."""

    providers: frozenset[str]
    efa_rails: list[Rail]
    inspection: str | None
    #: Of efa_sdk there.
    version: str
    #: Code and text of the error that keeps it from measuring anything.
    obstacle: tuple[str, str] | None = None


class _Mail:
    """The exchange of a pair: what is left for the peer goes straight to its actor."""

    def __init__(self, box: dict[str, bytes], peer: Any) -> None:
        self._box = box
        self._peer = peer

    def put(self, key: str, value: bytes) -> None:
        self._peer.deliver.remote(key, value)

    def take(self, key: str) -> bytes | None:
        return self._box.pop(key, None)


class _MailToAll:
    """The exchange of a step: the end of each key states whom it is for."""

    def __init__(self, box: dict[str, bytes], peers: dict[int, Any]) -> None:
        self._box = box
        self._peers = peers

    def put(self, key: str, value: bytes) -> None:
        self._peers[int(key.rpartition("/to/")[2])].deliver.remote(key, value)

    def take(self, key: str) -> bytes | None:
        return self._box.pop(key, None)


class _Node:
    """One node's side of a survey. Its methods are coroutines, so that mail arrives meanwhile."""

    def __init__(self) -> None:
        self._box: dict[str, bytes] = {}
        self._relay: Relay | None = None
        #: One probe at a time: a driver may ask again while an earlier question is at its end.
        self._turn = asyncio.Lock()

    async def is_there(self) -> None:
        pass

    async def relay(
        self,
        directory: list[Any],
        name: str,
        pairs: list[tuple[int, int]],
        rails: list[int],
        within_s: float,
    ) -> list[tuple[Answer[PairSight], Answer[PairSight]]]:
        if self._relay is None:
            self._relay = Relay(await directory[0])
        return await self._relay.ask(name, pairs, rails, within_s)

    async def deliver(self, key: str, value: bytes) -> None:
        self._box[key] = value

    async def hello(self, inspect: Callable[[], object] | None) -> _Greeting:
        obstacle = None
        try:
            offered = {p.provider.partition(";")[0] for p in Library().providers()}
            efa_rails = choose_rails("efa") if "efa" in offered else []
        except EfaError as error:
            offered, efa_rails, obstacle = set(), [], (error.code, str(error))
        found = None
        if inspect is not None:
            found = await asyncio.to_thread(_inspection, inspect)
        return _Greeting(frozenset(offered), efa_rails, found, __version__, obstacle)

    async def probe(
        self, side: choices.Side, peer: Any, name: str, options: PairOptions
    ) -> PairSight:
        async with self._turn:
            try:
                return await aio.survey.survey_pair(_Mail(self._box, peer), name, side, options)
            except EfaError as error:
                return PairSight.failed("open", error.code, 0.0, str(error))

    async def flows(
        self, task: SurveyFlowTask, peers: dict[int, Any], options: PairOptions
    ) -> SurveyFlowSights:
        try:
            return await aio.survey.survey_flows(_MailToAll(self._box, peers), task, options)
        except EfaError as error:
            return SurveyFlowSights.failed(error.code)


def _inspection(inspect: Callable[[], object]) -> str:
    """What it returns or raises, as JSON."""
    try:
        found = inspect()
        return found.to_json() if isinstance(found, NodeInspection) else json.dumps(found)
    except Exception as error:
        return json.dumps({"error": f"{type(error).__name__}: {error}"})
