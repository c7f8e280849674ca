"""What IAM refuses and moto does not; IAM itself is moto's."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from moto.iam.models import iam_backends

from .authorization.policy import is_action
from .rules import refuse

_NAMES = {
    "RoleName": ("roleName", 64),
    "InstanceProfileName": ("instanceProfileName", 128),
    "PolicyName": ("policyName", 128),
}
_NAME = re.compile(r"[\w+=,.@-]+", re.ASCII)


def check_iam(action: str, form: Mapping[str, str], account: str) -> None:
    """Refuses what moto would carry out or break on."""
    for name, (field, limit) in _NAMES.items():
        value = form.get(name)
        if value is None:
            continue
        if len(value) > limit:
            refuse("iam.name_length", name=value, field=field, limit=limit)
        if not _NAME.fullmatch(value):
            refuse("iam.name", field=field)
    if action in ("CreateRole", "UpdateAssumeRolePolicy"):
        document = form.get("AssumeRolePolicyDocument", form.get("PolicyDocument", ""))
        _check_trust(document)
    if action in ("CreateRole", "PutRolePermissionsBoundary") and form.get("PermissionsBoundary"):
        boundary = form["PermissionsBoundary"]
        if boundary not in iam_backends[account]["aws"].managed_policies:
            refuse("iam.boundary", arn=boundary)
    if action == "PutRolePolicy":
        _check_inline(form, account)
    if action == "RemoveRoleFromInstanceProfile":
        profile = iam_backends[account]["aws"].instance_profiles.get(form["InstanceProfileName"])
        role = form.get("RoleName", "")
        if profile is not None and role not in [one.name for one in profile.roles]:
            refuse("iam.role_not_in_profile", role=role, profile=profile.name)


def _check_trust(document: str) -> None:
    statements = list(_statements(document))
    if not statements:
        refuse("iam.trust_policy", what="a Statement")
    for statement in statements:
        for name in ("Effect", "Action", "Principal"):
            if name not in statement:
                refuse("iam.trust_policy", what=name)


def _check_inline(form: Mapping[str, str], account: str) -> None:
    document, name = form.get("PolicyDocument", ""), form.get("RoleName", "")
    for statement in _statements(document):
        for key in ("Action", "NotAction"):
            listed = statement.get(key, [])
            for action in [listed] if isinstance(listed, str) else listed:
                if not is_action(str(action)):
                    refuse("iam.policy_action", action=action)
    for role in iam_backends[account]["aws"].roles.values():
        if role.name == name:
            kept = {**role.policies, form.get("PolicyName", ""): document}
            if sum(len(re.sub(r"\s", "", str(text))) for text in kept.values()) > 10240:
                refuse("iam.policy_size", role=name)


def _statements(document: str) -> Iterator[Mapping[str, Any]]:
    """The statements of a document; none where it is not JSON."""
    try:
        parsed = json.loads(document)
    except ValueError:
        return
    listed = parsed.get("Statement", []) if isinstance(parsed, dict) else []
    for statement in listed if isinstance(listed, list) else [listed]:
        if isinstance(statement, dict):
            yield statement
