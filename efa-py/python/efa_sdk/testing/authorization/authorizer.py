"""The policies of callers, and the refusal of what they do not allow."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from typing import Any

from ..rules import refuse
from .need import Need
from .policy import Policy

_JSON_SERVICES = ("ssm", "servicequotas")


class Authorizer:
    """One policy per access key; a key without one may do everything."""

    def __init__(self) -> None:
        self._policies: dict[str, Policy] = {}

    def set(self, access_key_id: str, document: Any) -> None:
        """Gives a key a policy; None takes it away."""
        if document is None:
            self._policies.pop(access_key_id, None)
        else:
            self._policies[access_key_id] = Policy.parse(document)

    def clear(self) -> None:
        """Takes every policy away."""
        self._policies.clear()

    def restricts(self, access_key_id: str) -> bool:
        """Whether a key has a policy at all."""
        return access_key_id in self._policies

    def check(self, access_key_id: str, user: str, service: str, needs: Iterable[Need]) -> bool:
        """Refuses at the first need that the key's policy does not allow; whether it allows the
        late ones, which are refused by nobody."""
        policy = self._policies[access_key_id]
        allows_late = True
        for need in needs:
            decision = policy.decide(need.action, need.resource, need.context)
            if decision == "allowed":
                continue
            if need.late:
                allows_late = False
                continue
            if need.rule:
                refuse(need.rule)
            _refuse(service, user, need, explicit=decision == "denied")
        return allows_late


def _refuse(service: str, user: str, need: Need, *, explicit: bool) -> None:
    why = (
        "with an explicit deny in an identity-based policy"
        if explicit
        else f"because no identity-based policy allows the {need.action} action"
    )
    values = {"user": user, "action": need.action, "resource": need.resource, "why": why}
    if service == "ec2" and need.resource == "*":
        refuse("auth.ec2_listing", **values)
    if service == "ec2":
        facts = {"explicitDeny": explicit, "action": need.action, "resource": need.resource}
        encoded = base64.urlsafe_b64encode(json.dumps(facts).encode()).decode()
        refuse("auth.ec2", **values, encoded=encoded)
    refuse("auth.json" if service in _JSON_SERVICES else "auth.query", **values)
