"""Roles and instance profiles."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..stack import Made
from .context import Context, ResourceType, only
from .groups import generated_name


def _document(policy: Any) -> str:
    return policy if isinstance(policy, str) else json.dumps(policy)


def _create_role(context: Context, name: str, properties: Mapping[str, Any]) -> Made:
    iam = context.client("iam")
    role = properties.get("RoleName") or generated_name(context, name, 64)
    kept = ("Description", "Path", "PermissionsBoundary")
    asked = {key: properties[key] for key in kept if key in properties}
    if tags := context.tags(properties):
        asked["Tags"] = tags
    answer = iam.create_role(
        RoleName=role,
        AssumeRolePolicyDocument=_document(properties["AssumeRolePolicyDocument"]),
        **asked,
    )
    made = Made(
        name, "", dict(properties), role,
        {"Arn": answer["Role"]["Arn"], "RoleId": answer["Role"]["RoleId"]},
    )  # fmt: skip
    try:
        for arn in properties.get("ManagedPolicyArns") or []:
            iam.attach_role_policy(RoleName=role, PolicyArn=arn)
        for policy in properties.get("Policies") or []:
            only(policy, ("PolicyName", "PolicyDocument"), "an inline policy")
            iam.put_role_policy(
                RoleName=role,
                PolicyName=policy["PolicyName"],
                PolicyDocument=_document(policy["PolicyDocument"]),
            )
    except Exception:
        _delete_role(context, made)
        raise
    return made


def _delete_role(context: Context, made: Made) -> None:
    iam = context.client("iam")
    for policy in iam.list_attached_role_policies(RoleName=made.ref)["AttachedPolicies"]:
        iam.detach_role_policy(RoleName=made.ref, PolicyArn=policy["PolicyArn"])
    for name in iam.list_role_policies(RoleName=made.ref)["PolicyNames"]:
        iam.delete_role_policy(RoleName=made.ref, PolicyName=name)
    iam.delete_role(RoleName=made.ref)


def _create_profile(context: Context, name: str, properties: Mapping[str, Any]) -> Made:
    iam = context.client("iam")
    profile = properties.get("InstanceProfileName") or generated_name(context, name, 128)
    asked = {"Path": properties["Path"]} if "Path" in properties else {}
    answer = iam.create_instance_profile(InstanceProfileName=profile, **asked)
    arn = answer["InstanceProfile"]["Arn"]
    made = Made(name, "", dict(properties), profile, {"Arn": arn})
    try:
        for role in properties["Roles"]:
            iam.add_role_to_instance_profile(InstanceProfileName=profile, RoleName=role)
    except Exception:
        _delete_profile(context, made)
        raise
    return made


def _delete_profile(context: Context, made: Made) -> None:
    iam = context.client("iam")
    found = iam.get_instance_profile(InstanceProfileName=made.ref)["InstanceProfile"]
    for role in found["Roles"]:
        iam.remove_role_from_instance_profile(
            InstanceProfileName=made.ref, RoleName=role["RoleName"]
        )
    iam.delete_instance_profile(InstanceProfileName=made.ref)


def _capability(key: str, properties: Mapping[str, Any]) -> str:
    return "CAPABILITY_NAMED_IAM" if key in properties else "CAPABILITY_IAM"


TYPES = {
    "AWS::IAM::Role": ResourceType(
        frozenset(
            {
                "RoleName",
                "AssumeRolePolicyDocument",
                "ManagedPolicyArns",
                "Policies",
                "Tags",
                "Path",
                "Description",
                "PermissionsBoundary",
            }
        ),
        _create_role,
        _delete_role,
        capability=lambda properties: _capability("RoleName", properties),
    ),
    "AWS::IAM::InstanceProfile": ResourceType(
        frozenset({"InstanceProfileName", "Roles", "Path"}),
        _create_profile,
        _delete_profile,
        capability=lambda properties: _capability("InstanceProfileName", properties),
    ),
}
