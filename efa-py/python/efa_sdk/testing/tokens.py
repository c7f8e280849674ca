"""ClientTokens: the same request again finds what the first one made."""

from __future__ import annotations

from .call import Call
from .rules import refuse
from .state import Token

_NOT_COMPARED = ("Action", "Version", "DryRun", "ClientToken")


def recall(call: Call, zone: str = "") -> str | None:
    """The resource that this request's token made before, or None.

    RunInstances with a zone or subnet is idempotent per zone ("zonal idempotency", EC2 developer
    guide, 'Ensuring idempotency'): there the same token in another zone is a new launch.
    """
    token = call.request.get("ClientToken")
    if not token:
        return None
    if len(token) > 64:
        refuse("token.too_long")
    known = call.state.tokens.get((call.action, zone, token))
    if known is None:
        return None
    if known.fingerprint != _fingerprint(call):
        refuse("token.other_body")
    return known.resource_id


def remember(call: Call, resource_id: str, zone: str = "") -> None:
    """Notes what this request's token made."""
    token = call.request.get("ClientToken")
    if token:
        call.state.tokens[(call.action, zone, token)] = Token(_fingerprint(call), resource_id)


def _fingerprint(call: Call) -> frozenset[tuple[str, str]]:
    return frozenset(pair for pair in call.form if pair[0] not in _NOT_COMPARED)
