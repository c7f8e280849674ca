"""What becomes of pairs whose relay is slow, hangs or dies; with a Ray of this file."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from efa_sdk import _ray_relay
from efa_sdk._ray_relay import Answer, Relay, Relays, answer_of
from efa_sdk.survey import PairOptions, PairSight

pytestmark = pytest.mark.unit

SIGHT = PairSight.measured(20.0, 100.0, 100.0)
PAIRS = [(0, 1), (2, 3), (4, 5)]


class Ref:
    """The answer to a call: there, an exception, or never."""

    def __init__(self, value: Any = None, is_ready: bool = True) -> None:
        self.value, self.is_ready = value, is_ready


class FakeRay:
    """A Ray whose time passes only while it is waited for."""

    class exceptions:
        class RayError(Exception):
            pass

        class RayTaskError(RayError):
            cause: Exception | None = None

        class RayActorError(RayError):
            pass

        class ActorDiedError(RayActorError):
            pass

    def __init__(self) -> None:
        self.now = 0.0
        self.puts = 0

    def monotonic(self) -> float:
        return self.now

    def put(self, value: Any) -> Any:
        self.puts += 1
        return value

    def wait(self, refs: list[Ref], num_returns: int, timeout: float) -> Any:
        ready = [ref for ref in refs if ref.is_ready]
        if len(ready) < num_returns:
            self.now += timeout
        return ready, [ref for ref in refs if not ref.is_ready]

    def get(self, ref: Ref) -> Any:
        if isinstance(ref.value, Exception):
            raise ref.value
        return ref.value


class Call:
    def __init__(self, call: Any) -> None:
        self.remote = call


class Actor:
    """A node: what it does when it is asked to relay, and whether it reports that it is there."""

    def __init__(self, ray: FakeRay, how: str) -> None:
        self.ray, self.how = ray, how
        self.asked: list[list[tuple[int, int]]] = []
        self.relay = Call(self._relay)
        self.is_there = Call(lambda: Ref(is_ready=how != "hangs"))

    def __reduce__(self) -> Any:
        return str, (self.how,)

    def _relay(self, _directory: Any, _name: str, pairs: Any, rails: Any, _within: float) -> Ref:
        self.asked.append(pairs)
        assert rails == [pair[1] for pair in pairs]
        answers = [(Answer(SIGHT), Answer(SIGHT))] * len(pairs)
        ends: dict[str, Ref] = {
            "answers": Ref(answers),
            "dies": Ref(self.ray.exceptions.ActorDiedError()),
            "hangs": Ref(is_ready=False),
            "is slow": Ref(is_ready=False),
        }
        return ends[self.how]


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeRay:
    ray = FakeRay()
    monkeypatch.setattr(_ray_relay, "time", ray)
    monkeypatch.setattr(_ray_relay, "GROUP", 1)
    return ray


def rounds(ray: FakeRay, hows: dict[int, str], count: int = 1) -> tuple[list[Any], list[Actor]]:
    actors = [Actor(ray, hows.get(number, "answers")) for number in range(6)]
    relays = Relays(ray, actors, [PairOptions("tcp")] * 6)
    for _ in range(count):
        came = list(relays.ask("name", PAIRS, lambda pair: pair[1], deadline_s=20.0))
    assert ray.puts == 1
    assert sorted(pair for group, _ in came for pair in group) == PAIRS
    return came, actors


def failed(came: list[Any]) -> list[tuple[int, int]]:
    return [pair for group, answers in came if answers is None for pair in group]


def test_all_answer_and_none_is_asked_whether_it_is_there(fake: FakeRay) -> None:
    came, actors = rounds(fake, {})
    assert failed(came) == []
    assert [len(actor.asked) for actor in actors] == [1, 0, 1, 0, 1, 0]
    assert fake.now == 0


@pytest.mark.parametrize(
    ("how", "until_s"), [("dies", (0, 0)), ("hangs", (6, 7)), ("is slow", (25, 31))]
)
def test_a_relay_that_fails_says_nothing_of_its_pairs_and_relays_no_more(
    fake: FakeRay, how: str, until_s: tuple[float, float]
) -> None:
    came, _ = rounds(fake, {2: how})
    assert failed(came) == [(2, 3)]
    assert until_s[0] <= fake.now <= until_s[1]
    again, actors = rounds(FakeRay(), {2: "dies"}, count=2)
    assert failed(again) == []
    assert [len(actor.asked) for actor in actors] == [2, 0, 1, 1, 2, 0]
    nobody, actors = rounds(FakeRay(), {2: "dies", 3: "dies"}, count=3)
    assert failed(nobody) == [(2, 3)]
    assert [len(actor.asked) for actor in actors] == [3, 0, 1, 1, 3, 0]


def test_what_an_exception_says_of_a_node() -> None:
    ray = FakeRay()

    def raised(error: Exception) -> Answer[PairSight]:
        return answer_of(ray, lambda: ray.get(Ref(error)))

    assert answer_of(ray, lambda: SIGHT) == Answer(SIGHT)
    assert raised(ray.exceptions.RayTaskError("why")) == Answer(raised="why")
    assert raised(ray.exceptions.ActorDiedError()) == Answer(died=True)
    # A node that cannot be reached now may answer later.
    assert raised(ray.exceptions.RayActorError()) == Answer()
    assert raised(ray.exceptions.RayError()) == Answer()


def test_a_relay_opens_only_what_it_needs() -> None:
    directory = [pickle.dumps(("actor", PairOptions("tcp"))), b"not to be opened"]
    relay = Relay(directory)
    assert relay._node(0) == ("actor", PairOptions("tcp"))
    assert relay._node(0) is relay._node(0)
