"""Raising the error of the software EFA device."""

from __future__ import annotations

from typing import NoReturn

from efa_sdk.errors import SoftEfaError, codes


def fail(code: str, message: str, cure: str, **context: object) -> NoReturn:
    """Raises a `SoftEfaError` with this code."""
    assert code in codes(), code
    shown = {name: str(value) for name, value in context.items()}
    raise SoftEfaError(code, message, cure, shown)
