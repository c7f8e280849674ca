"""What moto works out anew for every request or reset, though it is always the same: kept."""

from __future__ import annotations

from functools import cache
from typing import Any

import moto.backends
import moto.core.responses
import moto.kms.models
from moto.kms.utils import AbstractPrivateKey, KeySpec

from . import moto_images

_backends: Any = moto.backends
_responses: Any = moto.core.responses
_kms: Any = moto.kms.models

_list_modules = _backends.list_of_moto_modules
_list_methods = _responses.method_names_from_class
_make_private_key = _kms.generate_private_key


def install() -> None:
    """Puts what is here into moto's modules; a second time changes nothing."""
    moto_images.install()
    # Both only serve to look for a name, and were a third of what a request took.
    _backends.list_of_moto_modules = _modules
    _responses.method_names_from_class = _methods
    # A reset's first encrypted volume has a key made: 70 ms for an RSA key that nothing uses.
    _kms.generate_private_key = _private_key


@cache
def _modules() -> list[str]:
    return list(_list_modules())


@cache
def _methods(of: type) -> list[str]:
    found: list[str] = _list_methods(of)
    return found


def _private_key(spec: str) -> AbstractPrivateKey:
    made: AbstractPrivateKey = (
        _unused_key() if spec == KeySpec.SYMMETRIC_DEFAULT else _make_private_key(spec)
    )
    return made


@cache
def _unused_key() -> Any:
    return _make_private_key(KeySpec.SYMMETRIC_DEFAULT)
