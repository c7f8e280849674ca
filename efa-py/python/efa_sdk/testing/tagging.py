"""Tags: checked as EC2 checks them, read back from moto's store."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from .call import Call
from .rules import refuse


def check_tags(tags: Iterable[Mapping[str, Any]], existing: Collection[str] = ()) -> dict[str, str]:
    """A tag list as a dict, within EC2's limits."""
    checked: dict[str, str] = {}
    for tag in tags:
        key, value = str(tag.get("Key") or ""), str(tag.get("Value") or "")
        if not 1 <= len(key) <= 128:
            refuse("tags.key_size", key=key[:140])
        if key.lower().startswith("aws:"):
            refuse("tags.reserved")
        if len(value) > 256:
            refuse("tags.value_size", key=key)
        if key in checked:
            refuse("tags.duplicate", key=key)
        checked[key] = value
    if len(set(checked) | set(existing)) > 50:
        refuse("tags.too_many")
    return checked


def specified_tags(call: Call, *kinds: str) -> dict[str, dict[str, str]]:
    """TagSpecifications by resource type, of which only `kinds` are allowed."""
    found: dict[str, dict[str, str]] = {kind: {} for kind in kinds}
    collected: dict[str, list[Mapping[str, Any]]] = {}
    for entry in call.get("TagSpecifications", []):
        kind = str(entry.get("ResourceType") or "")
        if kind not in kinds:
            refuse("tags.resource_type", kind=kind)
        collected.setdefault(kind, []).extend(entry.get("Tags") or [])
    for kind, tags in collected.items():
        found[kind] = check_tags(tags)
    return found


def tags_of(backend: Any, resource_id: str) -> dict[str, str]:
    """A resource's tags, without making an entry for it."""
    return dict(backend.tags[resource_id]) if resource_id in backend.tags else {}


def set_tags(backend: Any, resource_id: str, tags: Mapping[str, str]) -> None:
    """Adds tags to a resource."""
    if tags:
        backend.tags[resource_id].update(tags)


def tag_list(backend: Any, resource_id: str) -> list[dict[str, str]]:
    """A resource's tags as the API lists them."""
    return [{"Key": key, "Value": value} for key, value in tags_of(backend, resource_id).items()]
