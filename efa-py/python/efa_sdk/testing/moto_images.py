"""moto's public images, made once per account and Region instead of at every reset.

moto brings some 1,300 images and makes each anew with every backend, with a snapshot and two
random ids: that was nine tenths of a reset. Here they move on from backend to backend.
"""

from __future__ import annotations

from typing import Any

from moto.ec2.models.amis import AmiBackend
from moto.moto_api._internal import mock_random

_make = AmiBackend._load_amis

#: The images by account and Region, each with what a caller could change of it and its snapshot.
_made: dict[tuple[str, str], list[tuple[Any, dict[str, Any], dict[str, Any]]]] = {}


def install() -> None:
    """Lets every EC2 backend of moto's load its images so. One per account and Region lives."""
    patched: Any = AmiBackend
    patched._load_amis = _load_amis


def _load_amis(backend: Any) -> None:
    key = (backend.account_id, backend.region_name)
    if key not in _made:
        _made[key] = _make_first(backend)
    for image, image_values, snapshot_values in _made[key]:
        snapshot = image.ebs_snapshot
        _bring_back(image, image_values, backend)
        _bring_back(snapshot, snapshot_values, backend)
        snapshot.volume.ec2_backend = backend
        backend.amis[image.id] = image
        backend.snapshots[snapshot.id] = snapshot


def _make_first(backend: Any) -> list[tuple[Any, dict[str, Any], dict[str, Any]]]:
    """moto's own; their ids are the same with every seed, and take none from the seeded ones."""
    drawn = mock_random.getstate()
    mock_random.seed(f"images of {backend.account_id} in {backend.region_name}")
    _make(backend)
    mock_random.setstate(drawn)
    return [
        (image, _changeable(image), _changeable(image.ebs_snapshot))
        for image in backend.amis.values()
    ]


def _changeable(one: Any) -> dict[str, Any]:
    """Its state, its permissions and the like: what is neither fixed nor another object."""
    return {
        name: value.copy() if isinstance(value, list | set) else value
        for name, value in vars(one).items()
        if isinstance(value, list | set) or name in ("state", "status", "storage_tier")
    }


def _bring_back(one: Any, values: dict[str, Any], backend: Any) -> None:
    one.ec2_backend = backend
    for name, value in values.items():
        setattr(one, name, value.copy() if isinstance(value, list | set) else value)
