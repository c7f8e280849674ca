"""moto's public images, made once per account and Region instead of at every reset.

moto brings some 1,300 images and makes each anew with every backend, with a snapshot and two
random ids: that was nine tenths of a reset. Here they move on from backend to backend.
"""

from __future__ import annotations

from typing import Any

from moto.ec2.models.amis import AmiBackend

from .moto_state import Kept, ids_of_its_own

_make = AmiBackend._load_amis
_describe = AmiBackend.describe_images

#: The images, each with its snapshot, by account and Region.
_images: dict[tuple[str, str], list[tuple[Kept, Kept]]] = {}


def install() -> None:
    """Lets every EC2 backend of moto's load its images, and find one, so.

    One backend per account and Region lives at a time.
    """
    patched: Any = AmiBackend
    patched._load_amis = _load_amis
    patched.describe_images = _describe_images


def _load_amis(backend: Any) -> None:
    key = (backend.account_id, backend.region_name)
    if key not in _images:
        with ids_of_its_own(f"images of {key}"):
            _make(backend)
        _images[key] = [
            (Kept(image, "state"), Kept(image.ebs_snapshot, "storage_tier"))
            for image in backend.amis.values()
        ]
    for kept_image, kept_snapshot in _images[key]:
        image, snapshot = kept_image.bring_back(), kept_snapshot.bring_back()
        for one in (image, snapshot, snapshot.volume):
            one.ec2_backend = backend
        backend.amis[image.id] = image
        backend.snapshots[snapshot.id] = snapshot


def _describe_images(
    backend: Any,
    ami_ids: Any = None,
    filters: Any = None,
    exec_users: Any = None,
    owners: Any = None,
) -> list[Any]:
    """moto's, but for how each new instance looks for its image: among all of them, by a filter."""
    wanted = (filters or {}).get("image-id")
    if isinstance(wanted, str) and len(filters) == 1 and not (ami_ids or exec_users or owners):
        return [backend.amis[wanted]] if wanted in backend.amis else []
    found: list[Any] = _describe(backend, ami_ids, filters, exec_users, owners)
    return found
