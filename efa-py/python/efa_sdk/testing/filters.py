"""EC2 filters: values with `*` and `?`, several values are OR, several filters are AND."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeVar

from .rules import refuse

Item = TypeVar("Item")
Reader = Callable[[Any], Any]


@lru_cache(maxsize=1024)
def _pattern(value: str) -> re.Pattern[str]:
    out: list[str] = []
    escaped = False
    for char in value:
        if escaped:
            out.append(re.escape(char))
            escaped = False
        elif char == "\\":
            escaped = True
        elif char == "*":
            out.append(".*")
        elif char == "?":
            out.append(".")
        else:
            out.append(re.escape(char))
    return re.compile("".join(out) + r"\Z", re.DOTALL)


def texts(value: Any) -> list[str]:
    """A field as the texts that a filter compares with."""
    if value is None:
        return []
    if isinstance(value, bool):
        return ["true" if value else "false"]
    if isinstance(value, (list, tuple, set, frozenset)):
        return [text for item in value for text in texts(item)]
    return [str(value)]


def matches(values: Sequence[str], field: Any) -> bool:
    """Whether any value fits any text of the field."""
    return _matcher(tuple(values))(field)


@lru_cache(maxsize=1024)
def _matcher(values: tuple[str, ...]) -> Callable[[Any], bool]:
    """`matches` for many fields: a value without wildcards is looked up, and the others tried."""
    exact = {value for value in values if not set(value) & set("*?\\")}
    patterns = [_pattern(value) for value in values if value not in exact]

    def match(field: Any) -> bool:
        if not patterns and isinstance(field, str):
            return field in exact
        found = texts(field)
        return any(text in exact for text in found) or any(
            pattern.match(text) for pattern in patterns for text in found
        )

    return match


def apply(
    filters: Iterable[Mapping[str, Any]] | None,
    items: Iterable[Item],
    readers: Mapping[str, Reader],
    tags: Callable[[Item], Mapping[str, str]] | None = None,
) -> list[Item]:
    """The items that pass all filters. An unknown filter is refused, as EC2 does."""
    found = list(items)
    for entry in filters or ():
        match = _matcher(tuple(map(str, entry.get("Values") or ())))
        read = _reader(str(entry.get("Name", "")), readers, tags)
        found = [item for item in found if match(read(item))]
    return found


def _reader(
    name: str, readers: Mapping[str, Reader], tags: Callable[[Any], Mapping[str, str]] | None
) -> Reader:
    if name in readers:
        return readers[name]
    if tags is not None:
        if name.startswith("tag:"):
            key = name[4:]
            return lambda item: tags(item).get(key)
        if name == "tag-key":
            return lambda item: list(tags(item))
        if name == "tag-value":
            return lambda item: list(tags(item).values())
    refuse("request.unknown_filter", name=name)


def path_reader(*path: str) -> Reader:
    """A reader of an answer's field: keys, through lists, e.g. `path_reader("A", "B")`."""

    def read(item: Any) -> Any:
        found = [item]
        for key in path:
            step: list[Any] = []
            for node in found:
                value = node.get(key)
                if isinstance(value, list):
                    step.extend(value)
                elif value is not None:
                    step.append(value)
            found = step
        return found

    return read
