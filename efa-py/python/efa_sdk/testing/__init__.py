"""Stand-ins to test against, without AWS and without EFA.

`StandIn` is an EC2: moto underneath, EC2's own EFA rules on top, over real HTTP. It needs the
packages of the extra ``testing``, moto with its server. `SoftEfa` is a host with EFA devices in
software, and needs nothing but Linux.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import typing

from efa_sdk.errors import MissingExtraError, StandInError

if typing.TYPE_CHECKING:
    from .app import LoggedRequest
    from .faults import Fault
    from .network import Network
    from .rules import RULES, Rule, rules_markdown
    from .soft_efa import SoftEfa, SoftEfaError
    from .stand_in import StandIn

__all__ = [
    "RULES",
    "Fault",
    "LoggedRequest",
    "Network",
    "Rule",
    "SoftEfa",
    "SoftEfaError",
    "StandIn",
    "StandInError",
    "rules_markdown",
]

#: Where each name is. They are imported when they are first asked for: most need moto.
_HOMES = {
    "RULES": "rules",
    "Fault": "faults",
    "LoggedRequest": "app",
    "Network": "network",
    "Rule": "rules",
    "SoftEfa": "soft_efa",
    "SoftEfaError": "soft_efa",
    "StandIn": "stand_in",
    "rules_markdown": "rules",
}


def __getattr__(name: str) -> typing.Any:
    """Names of ``_HOMES`` are imported when they are first asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module 'efa_sdk.testing' has no attribute {name!r}")
    try:
        home = importlib.import_module(f"efa_sdk.testing.{_HOMES[name]}")
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            "python.missing_package",
            f"efa_sdk.testing.{name} needs moto and its server ({error})",
            f"pip install {_extra()}",
            {"package": "moto", "extra": "testing"},
        ) from error
    return getattr(home, name)


def __dir__() -> list[str]:
    """For completion: the names that are imported when they are first asked for as well."""
    return sorted({*globals(), *_HOMES})


def _extra() -> str:
    """What the extra ``testing`` installs, as pip takes it. This package's own name is no answer:
    it is in no index yet."""
    parts = [need.partition(";") for need in importlib.metadata.requires("efa-sdk") or []]
    return " ".join(f"'{what.strip()}'" for what, _, when in parts if "testing" in when)
