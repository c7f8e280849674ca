"""Which instances SSM knows: running ones whose role lets the agent register."""

from __future__ import annotations

from typing import Any

from moto.iam.models import iam_backends

from ..authorization.policy import Policy, PolicyError
from ..call import Call
from ..state import instances

_REGISTERS = "ssm:UpdateInstanceInformation"


def registered(call: Call) -> list[Any]:
    """The instances whose agent is online."""
    return [one for one in instances(call.backend) if is_registered(call, one)]


def is_registered(call: Call, one: Any) -> bool:
    """Whether an instance's agent is online."""
    if one.state != "running":
        return False
    launched = getattr(one, "launched", None)
    arn = launched.profile[0] if launched and launched.profile else None
    if arn is None and one.iam_instance_profile:
        arn = one.iam_instance_profile.get("Arn")
    for profile in iam_backends[call.account]["aws"].instance_profiles.values():
        if profile.arn == arn:
            return any(_may_register(role) for role in profile.roles)
    return False


def _may_register(role: Any) -> bool:
    documents = [*role.policies.values()]
    for policy in role.managed_policies.values():
        documents += [version.document for version in policy.versions if version.is_default]
    return any(_allows(document) for document in documents)


def _allows(document: Any) -> bool:
    try:
        return Policy.parse(document).decide(_REGISTERS, "*", {}) == "allowed"
    except PolicyError:
        return False
