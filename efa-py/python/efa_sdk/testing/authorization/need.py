"""One permission that a request needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .conditions import Context


@dataclass(frozen=True)
class Need:
    """An action on a resource; `*` where the action knows no resources."""

    action: str
    resource: str = "*"
    context: Context = field(default_factory=dict, hash=False)
    #: The refusal, where it is not the service's own for what a caller may not do.
    rule: str = ""
    #: Whether EC2 meets it only when it starts the instances, which then end.
    late: bool = False


def request_tags(tags: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """The condition keys of tags that a request gives; none without tags."""
    if not tags:
        return {}
    asked = {f"aws:RequestTag/{key}": (value,) for key, value in tags.items()}
    return {**asked, "aws:TagKeys": tuple(tags)}


def resource_tags(tags: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """The condition keys of tags that a resource has."""
    return {f"aws:ResourceTag/{key}": (value,) for key, value in tags.items()}
