"""A row of the benchmark: what was measured against whom, with which goal, and what came of it."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any, Literal

#: One value for each round; None where the program gave no result.
Values = Sequence[float | None]

#: Of the rounds, the share that may be on the other side of the goal than the rest.
DISSENT = 0.1
#: With fewer rounds nothing is decided.
FEWEST_ROUNDS = 3


@dataclasses.dataclass(frozen=True)
class Row:
    """One measurement of efa-sdk, in rounds, with those of peers in the same rounds.

    The goal is for the ratio, efa-sdk's over the peer's; without a peer for the value, in its unit.
    """

    #: Such as "one-way latency, shm, 64 B".
    name: str
    #: Of `ours` and of `peers`, such as "µs".
    unit: str
    ours: Values
    goal: float | None = None
    better: Literal["lower", "higher"] = "lower"
    #: By name; the ratio is taken to the best of them.
    peers: Mapping[str, Values] = dataclasses.field(default_factory=dict)
    #: How it was measured.
    note: str = ""
    #: Why the goal may not be reached, and the next idea: shown where it is not.
    shortfall: str = ""
    #: Why there is no result at all.
    failure: str = ""

    @classmethod
    def failed(cls, name: str, why: str, *, goal: float | None = None) -> Row:
        """A row of which nothing was measured."""
        return cls(name, "", [], goal, failure=why)

    @property
    def peer(self) -> str | None:
        """The peer whose median is best; None where no peer gave a result."""
        medians = {name: _median(values) for name, values in self.peers.items()}
        known = {name: value for name, value in medians.items() if value is not None}
        if not known:
            return None
        best = min if self.better == "lower" else max
        return best(known, key=lambda name: known[name])

    @property
    def judged(self) -> list[float]:
        """What the goal is about: the ratio of each round, or the values without peers."""
        if not self.peers:
            return [value for value in self.ours if value is not None]
        peer = self.peer
        if peer is None:
            return []
        pairs = zip(self.ours, self.peers[peer], strict=True)
        return [ours / theirs for ours, theirs in pairs if ours is not None and theirs]

    @property
    def median(self) -> float | None:
        return _median(self.judged)

    def reaches(self, value: float) -> bool:
        """Whether a value is on the goal's side."""
        assert self.goal is not None
        return value <= self.goal if self.better == "lower" else value >= self.goal

    @property
    def verdict(self) -> Literal["met", "missed", "undecided", "not measured", "-"]:
        """Decided by three rounds or more, of which at most a tenth contradict the rest."""
        if not self.judged:
            return "not measured"
        if self.goal is None:
            return "-"
        if len(self.judged) < FEWEST_ROUNDS:
            return "undecided"
        met = sum(self.reaches(value) for value in self.judged)
        allowed = math.floor(DISSENT * len(self.judged))
        if len(self.judged) - met <= allowed:
            return "met"
        return "missed" if met <= allowed else "undecided"

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Row:
        return cls(**fields)


def _median(values: Values) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


HEAD = """\
| what | efa-sdk | best peer | ratio | lowest to highest | rounds | goal | verdict |
|---|---:|---:|---:|---:|---:|---:|---|"""


def markdown(rows: Sequence[Row]) -> str:
    """The table, and under it the notes of its rows, those of the same text together."""
    named: dict[str, list[str]] = {}
    for row in rows:
        if text := _note(row):
            named.setdefault(text, []).append(f"**{row.name}**")
    notes = [f"- {'; '.join(names)}: {text}" for text, names in named.items()]
    table = "\n".join([HEAD, *(_line(row) for row in rows)])
    return "\n\n".join([table, "\n".join(notes)]) if notes else table


def _note(row: Row) -> str:
    falls_short = row.verdict in ("missed", "undecided")
    texts = [row.failure, row.note, row.shortfall if falls_short else ""]
    return " ".join(text for text in texts if text)


def _line(row: Row) -> str:
    peer = row.peer
    theirs = "-" if peer is None else f"{amount(_median(row.peers[peer]), row.unit)} ({peer})"
    spread = "-"
    if row.judged:
        spread = f"{number(min(row.judged))} to {number(max(row.judged))}"
    sign = "≤" if row.better == "lower" else "≥"
    goal = "-" if row.goal is None else f"{sign} {number(row.goal)}"
    if row.goal is not None and not row.peers and row.unit:
        goal += f" {row.unit}"
    verdict = f"**{row.verdict}**" if row.verdict in ("missed", "not measured") else row.verdict
    cells = [
        row.name,
        amount(_median(row.ours), row.unit),
        theirs,
        number(row.median) if row.peers else "-",
        spread,
        f"{len(row.judged)}",
        goal,
        verdict,
    ]
    return "| " + " | ".join(cells) + " |"


def amount(value: float | None, unit: str) -> str:
    return "-" if value is None else f"{number(value)} {unit}".strip()


def number(value: float | None) -> str:
    """Three digits that count."""
    if value is None:
        return "-"
    if value == 0:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{digits}f}"
