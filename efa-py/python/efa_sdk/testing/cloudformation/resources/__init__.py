"""The resource types that stacks can have, each made by calls to the stand-in itself."""

from __future__ import annotations

from . import access, groups, launch, storage
from .context import Context, ResourceType

__all__ = ["TYPES", "Context", "ResourceType"]

TYPES: dict[str, ResourceType] = {**groups.TYPES, **access.TYPES, **launch.TYPES, **storage.TYPES}
