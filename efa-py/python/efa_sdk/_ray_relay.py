"""Questions to many nodes in few calls: the driver asks some nodes, and they ask the others.

A call of Ray costs its caller some 0.3 ms of CPU, however little it carries. With more than
``DIRECT`` nodes in a round, the driver therefore hands its pairs in groups to nodes of these
groups, the relays, and each answers for all of its group at once. What a relay must know of the
other nodes, their handles and options, is stored once, and a relay fetches it once.

Both nodes of a pair are in one group. A relay that dies, or does not answer while others could
have, is no evidence against the nodes behind it: its pairs come back to the driver, which asks
these nodes itself and so finds out which of them is lost.
"""

from __future__ import annotations

import asyncio
import dataclasses
import pickle
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, TypeVar

from efa_sdk.survey import PairOptions, PairSight

#: Nodes of a round up to which the driver asks each by itself.
DIRECT = 32
#: Pairs that one relay asks for.
GROUP = 32
#: Seconds between two checks for Ctrl-C.
_SLICE_S = 0.2

Pair = tuple[int, int]


_Seen = TypeVar("_Seen")


@dataclasses.dataclass(frozen=True)
class Answer(Generic[_Seen]):
    """What came of a question to one node."""

    seen: _Seen | None = None
    #: What it raised.
    raised: str | None = None
    #: Its actor is gone.
    died: bool = False


def answer_of(ray: Any, get: Callable[[], _Seen]) -> Answer[_Seen]:
    """What `get` returns, or what its exception states of the node."""
    try:
        return Answer(get())
    except ray.exceptions.RayTaskError as error:
        return Answer(raised=str(error.cause) if error.cause is not None else str(error))
    except ray.exceptions.RayError as error:
        exceptions = ray.exceptions
        died = isinstance(error, getattr(exceptions, "ActorDiedError", exceptions.RayActorError))
        return Answer(died=died)


class Relay:
    """The part of a node that asks others for the driver."""

    def __init__(self, directory: Sequence[bytes]) -> None:
        self._directory = directory
        self._known: dict[int, tuple[Any, PairOptions]] = {}

    def _node(self, number: int) -> tuple[Any, PairOptions]:
        if number not in self._known:
            self._known[number] = pickle.loads(self._directory[number])
        return self._known[number]

    async def ask(
        self, name: str, pairs: list[Pair], rails: list[int], within_s: float
    ) -> list[tuple[Answer[PairSight], Answer[PairSight]]]:
        """The answers of both nodes of each pair, as many as come in time."""
        import ray

        refs = []
        for pair, count in zip(pairs, rails, strict=True):
            nodes = [self._node(number) for number in pair]
            for side, (actor, options), (peer, _) in zip(
                ("low", "high"), nodes, reversed(nodes), strict=True
            ):
                own = f"{name}/{pair[0]}-{pair[1]}"
                refs.append(actor.probe.remote(side, peer, own, options.with_rails(count)))
        waiting = [asyncio.ensure_future(_awaited(ref)) for ref in refs]
        done, late = await asyncio.wait(waiting, timeout=within_s)
        for task in late:
            task.cancel()
        answers = [answer_of(ray, task.result) if task in done else Answer() for task in waiting]
        return list(zip(answers[::2], answers[1::2], strict=True))


async def _awaited(ref: Any) -> PairSight:
    sight: PairSight = await ref
    return sight


class Relays:
    """The driver's side: which nodes relay, and what comes back."""

    def __init__(self, ray: Any, actors: list[Any], options: Sequence[PairOptions]) -> None:
        self._ray = ray
        self._actors = actors
        self._options = options
        self._directory: Any = None
        #: Nodes that failed as relays.
        self._unfit: set[int] = set()

    def _stored(self) -> Any:
        """The handles and options of all nodes, each by itself: a relay opens those it needs."""
        if self._directory is None:
            entries = zip(self._actors, self._options, strict=True)
            self._directory = self._ray.put([pickle.dumps(entry) for entry in entries])
        return self._directory

    def ask(
        self, name: str, pairs: list[Pair], rails: Callable[[Pair], int], deadline_s: float
    ) -> Iterator[tuple[list[Pair], list[tuple[Answer[PairSight], Answer[PairSight]]] | None]]:
        """Groups of pairs with their answers; with None where a relay failed."""
        waiting: dict[Any, tuple[int, list[Pair]]] = {}
        for start in range(0, len(pairs), GROUP):
            group = pairs[start : start + GROUP]
            relay = next((n for pair in group for n in pair if n not in self._unfit), None)
            if relay is None:
                yield group, None
                continue
            # In a list: what is an argument itself is fetched before each call.
            directory = [self._stored()]
            counts = [rails(pair) for pair in group]
            call = self._actors[relay].relay.remote(directory, name, group, counts, deadline_s)
            waiting[call] = (relay, group)
        # A relay answers at once whether it is there, also while it waits.
        patience_s = max(1.0, deadline_s / 4)
        began = time.monotonic()
        end = began + deadline_s + patience_s
        looks: dict[Any, Any] = {}
        next_poll = began + 1.0
        while waiting:
            ready = self._ray.wait(list(waiting), num_returns=len(waiting), timeout=_SLICE_S)[0]
            for ref in ready:
                relay, group = waiting.pop(ref)
                try:
                    yield group, self._ray.get(ref)
                except self._ray.exceptions.RayError:
                    self._unfit.add(relay)
                    yield group, None
            now = time.monotonic()
            if now < next_poll:
                continue
            silent = self._silent(looks)
            for ref in [r for r in waiting if r in silent or now >= end]:
                relay, group = waiting.pop(ref)
                self._unfit.add(relay)
                yield group, None
            looks = {
                self._actors[relay].is_there.remote(): ref for ref, (relay, _) in waiting.items()
            }
            next_poll = now + patience_s

    def _silent(self, looks: dict[Any, Any]) -> set[Any]:
        """The calls of relays that have not reported since the last poll that they are there."""
        if not looks:
            return set()
        late = self._ray.wait(list(looks), num_returns=len(looks), timeout=0)[1]
        return {looks[ref] for ref in late}
