"""An EC2 to test against: moto underneath, EC2's own EFA rules on top, over real HTTP."""

from __future__ import annotations

try:
    import flask as _flask  # noqa: F401
    import moto as _moto  # noqa: F401
except ImportError as error:
    raise ImportError(
        f"efa_sdk.testing needs moto and its server ({error}): pip install 'efa-sdk[testing]'"
    ) from error

from .app import LoggedRequest
from .faults import Fault
from .network import Network
from .rules import RULES, Rule, rules_markdown
from .server import StandInError
from .stand_in import StandIn

__all__ = [
    "RULES",
    "Fault",
    "LoggedRequest",
    "Network",
    "Rule",
    "StandIn",
    "StandInError",
    "rules_markdown",
]
