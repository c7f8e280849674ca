"""A saved DescribeInstanceTypes answer against the bundled catalog: changes and decisions.

`generate_catalog.py --from` uses it. A row that needs a decision is written like every other one;
the report names what a person has to look at before the snapshot is committed.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
import pathlib
import re
from collections.abc import Iterable, Mapping
from typing import Any

#: What the planner has rules for (efa-core/src/types.rs). A snapshot with another word is readable:
#: the planner leaves such cards out, so a person has to decide what they are for.
KNOWN_INTERFACE_TYPES = {"interface", "efa", "efa-only", "secondary"}
#: `PlacementStrategy`, `UsageClass` and `Architecture` of efa-core/src/types.rs.
KNOWN_WORDS = {
    "placement": {"cluster", "partition", "spread"},
    "usage": {"on-demand", "spot", "capacity-block"},
    "arch": {"x86_64", "arm64"},
}
#: Keys of a network card that were looked at when this tool was written.
KNOWN_CARD_KEYS = {
    "AdditionalFlexibleNetworkInterfaces",
    "BaselineBandwidthInGbps",
    "DefaultEnaQueueCountPerInterface",
    "InterfaceTypes",
    "MaximumEnaQueueCount",
    "MaximumEnaQueueCountPerInterface",
    "MaximumNetworkInterfaces",
    "NetworkCardIndex",
    "NetworkPerformance",
    "PeakBandwidthInGbps",
}


class AnswerError(Exception):
    """A file that is no answer of DescribeInstanceTypes."""


def date(text: str) -> str:
    """A day as `YYYY-MM-DD`."""
    return datetime.date.fromisoformat(text).isoformat()


def read(path: pathlib.Path) -> dict[str, dict[str, Any]]:
    """The types of a saved answer by name: of `aws ec2 describe-instance-types --output json`, or
    of several such answers in a list."""
    try:
        data = json.loads(path.read_text())
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise AnswerError(f"{path}: {error}") from error
    pages = data if isinstance(data, list) else [data]
    types: dict[str, dict[str, Any]] = {}
    for page in pages:
        rows = page.get("InstanceTypes") if isinstance(page, dict) else None
        if not isinstance(rows, list):
            raise AnswerError(
                f"{path} has no list InstanceTypes: save the answer with --output json"
            )
        if page.get("NextToken"):
            raise AnswerError(f"{path} is one page of several: save all of them (no --max-items)")
        for row in rows:
            missing = [key for key in ("InstanceType", "NetworkInfo") if key not in row]
            if missing:
                raise AnswerError(f"{path}: a type without {missing[0]}: save it without --query")
            types[row["InstanceType"]] = row
    if not types:
        raise AnswerError(f"{path} has no types")
    return types


@dataclasses.dataclass(frozen=True)
class Bundled:
    """The catalog as it is."""

    source: str
    rows: Mapping[str, dict[str, Any]]
    without_efa: frozenset[str]

    @classmethod
    def read(cls, snapshot: pathlib.Path, without_efa: pathlib.Path) -> Bundled:
        header, *rows = map(json.loads, snapshot.read_text().splitlines())
        names = [
            f"{family}.{size}"
            for line in without_efa.read_text().splitlines()
            if not line.startswith("#")
            for family, *sizes in [line.split()]
            for size in sizes
        ]
        # Of a snapshot that was refreshed before, the first source is the one to name.
        source = header["source"].split(", over ")[-1]
        return cls(source, {row["name"]: row for row in rows}, frozenset(names))


def is_from_moto(snapshot: pathlib.Path) -> bool:
    """Whether the snapshot is moto's data alone."""
    source: str = json.loads(snapshot.read_text().splitlines()[0])["source"]
    return source.startswith("moto ")


def families_with_rdma(source: str) -> set[str]:
    """The families whose RDMA support efa-core/src/catalog/rdma.rs knows."""
    return set(re.findall(r'"([a-z0-9-]+)"', source))


def report(
    before: Bundled,
    rows: Mapping[str, dict[str, Any]],
    without_efa: Iterable[str],
    answer: Mapping[str, dict[str, Any]],
    families_known: set[str],
) -> str:
    """What changes, type by type, and which rows need a decision."""
    lines = [f"{len(answer)} types in the answer, {len(rows)} with EFA afterwards"]
    without = set(without_efa)
    for name in sorted(set(rows) | set(before.rows)):
        old, new = before.rows.get(name), rows.get(name)
        if old is None and new is not None:
            was = "had no EFA" if name in before.without_efa else "new"
            lines.append(f"+ {name}: {was}; {new['efa']} EFA, {_cards(new)}")
        elif old is not None and new is None:
            lines.append(f"- {name}: has no EFA any more")
        elif old != new:
            lines.append(f"~ {name}: {_difference(old or {}, new or {})}")
    added = sorted(without - before.without_efa - set(before.rows))
    if added:
        lines.append(f"  {len(added)} new types without EFA: {' '.join(added)}")
    if len(lines) == 1 and not added:
        lines.append("nothing changes")
    decisions = [line for name in sorted(answer) for line in _decisions(answer[name], rows)]
    families = {name.split(".")[0] for name in answer if name in rows} - families_known
    decisions += [
        f"family {family}: RDMA support is not in efa-core/src/catalog/rdma.rs, so it is unknown"
        for family in sorted(families)
    ]
    lines += ["", f"to decide: {len(decisions) or 'nothing'}", *(f"! {line}" for line in decisions)]
    return "\n".join(lines)


def _cards(row: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{card['count']} x {card['text']} {'/'.join(card['types'] or ['types unknown'])}"
        for card in row["cards"]
    )


def _difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    changed = [key for key in {**old, **new} if old.get(key) != new.get(key)]
    return "; ".join(
        f"{key} {json.dumps(old.get(key))} -> {json.dumps(new.get(key))}" for key in changed
    )


def _decisions(data: Mapping[str, Any], rows: Mapping[str, dict[str, Any]]) -> list[str]:
    name = data["InstanceType"]
    row = rows.get(name)
    if row is None:
        return []
    found = []
    for card in data["NetworkInfo"]["NetworkCards"]:
        where = f"{name} card {card['NetworkCardIndex']}"
        types = card.get("InterfaceTypes")
        if not types:
            found.append(f"{where}: EC2 does not report which interface types it takes")
        for word in sorted(set(types or []) - KNOWN_INTERFACE_TYPES):
            found.append(f"{where}: interface type {word!r} has no rule in efa-core/src/layout")
        for key in sorted(set(card) - KNOWN_CARD_KEYS):
            found.append(f"{where}: {key} is a key that nobody has looked at")
        if card.get("PeakBandwidthInGbps") is None:
            found.append(f"{where}: no rate ({card['NetworkPerformance']!r})")
    for key, known in KNOWN_WORDS.items():
        for word in sorted(set(row[key]) - known):
            found.append(f"{name}: {key} has {word!r}, which efa-core/src/types.rs does not name")
    takes = sum(
        bool({"efa", "efa-only"} & set(card.get("InterfaceTypes") or []))
        for card in data["NetworkInfo"]["NetworkCards"]
    )
    if takes and row["efa"] != takes:
        found.append(f"{name}: {row['efa']} EFA on {takes} cards that take EFA: which of them?")
    return found
