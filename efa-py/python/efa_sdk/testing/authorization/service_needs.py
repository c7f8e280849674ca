"""What actions of IAM, SSM, STS and Service Quotas need, as in the Service Authorization
Reference; an action that is not here is checked against `*`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from moto.ec2.models import ec2_backends
from moto.iam.models import iam_backends

from ..tagging import tags_of
from .need import Need, request_tags, resource_tags

_ALWAYS_ALLOWED = ("sts:GetCallerIdentity", "sts:GetSessionToken")


def service_needs(
    service: str,
    action: str,
    account: str,
    region: str,
    form: Sequence[tuple[str, str]],
    body: Mapping[str, Any],
) -> list[Need]:
    """Every permission that a call of another service than EC2 needs."""
    name = f"{service}:{action}"
    if name in _ALWAYS_ALLOWED:
        return []
    if service == "iam":
        needs = _iam(action, account, dict(form))
    elif service == "ssm":
        needs = _ssm(action, account, region, body)
    else:
        needs = [Need(name, dict(form).get("RoleArn", "*") if service == "sts" else "*")]
    where = {"aws:RequestedRegion": (region,)}
    return [Need(need.action, need.resource, {**where, **need.context}) for need in needs]


def _iam(action: str, account: str, form: Mapping[str, str]) -> list[Need]:
    profile, role = form.get("InstanceProfileName"), form.get("RoleName")
    tags = {
        value: form.get(key.removesuffix("Key") + "Value", "")
        for key, value in form.items()
        if key.startswith("Tags.member.") and key.endswith(".Key")
    }
    context: dict[str, Any] = dict(request_tags(tags))
    if form.get("PolicyArn"):
        context["iam:PolicyARN"] = (form["PolicyArn"],)
    if action == "GetPolicy":
        return [Need("iam:GetPolicy", form.get("PolicyArn", "*"))]
    backend = iam_backends[account]["aws"]
    path = form.get("Path", "/") if action.startswith("Create") else "/"
    if profile is not None:
        known: Any = backend.instance_profiles.get(profile)
        kind, name = "InstanceProfile", profile
        arn = known.arn if known else f"arn:aws:iam::{account}:instance-profile{path}{profile}"
    elif role is not None:
        known = next((one for one in backend.roles.values() if one.name == role), None)
        kind, name = "Role", role
        arn = known.arn if known else f"arn:aws:iam::{account}:role{path}{role}"
    else:
        return [Need(f"iam:{action}", "*", context)]
    boundary = form.get("PermissionsBoundary") or getattr(known, "permissions_boundary_arn", None)
    if boundary:  # the one that is asked for, or the role's own
        context["iam:PermissionsBoundary"] = (boundary,)
    kept = _iam_tags(known)
    context.update(resource_tags(kept) if not action.startswith("Create") else {})
    needs = [Need(f"iam:{action}", arn, context)]
    if tags and action == f"Create{kind}":
        needs.append(Need(f"iam:Tag{kind}", arn, context))
    if action == "AddRoleToInstanceProfile" and name is not None:
        passed = {"iam:PassedToService": ("ec2.amazonaws.com",)}
        role_arn = next(
            (one.arn for one in backend.roles.values() if one.name == role),
            f"arn:aws:iam::{account}:role/{role}",
        )
        needs.append(Need("iam:PassRole", role_arn, passed))
    return needs


def _iam_tags(known: Any) -> dict[str, str]:
    kept = getattr(known, "tags", None) or []
    listed = kept.values() if isinstance(kept, Mapping) else kept
    return {str(tag["Key"]): str(tag["Value"]) for tag in listed}


def _ssm(action: str, account: str, region: str, body: Mapping[str, Any]) -> list[Need]:
    name = f"ssm:{action}"
    if action in ("GetParameter", "GetParameters", "GetParametersByPath"):
        key = "Path" if action == "GetParametersByPath" else "Name"
        listed = body.get("Names") or [body.get(key) or ""]
        return [Need(name, _parameter_arn(str(one), account, region)) for one in listed]
    if action == "SendCommand":
        document = str(body.get("DocumentName") or "")
        owner = "" if document.startswith("AWS-") else account
        needs = [Need(name, f"arn:aws:ssm:{region}:{owner}:document/{document}")]
        backend = ec2_backends[account][region]
        for one in body.get("InstanceIds") or []:
            arn = f"arn:aws:ec2:{region}:{account}:instance/{one}"
            needs.append(Need(name, arn, resource_tags(tags_of(backend, str(one)))))
        return needs
    return [Need(name)]


def _parameter_arn(name: str, account: str, region: str) -> str:
    if name.startswith("arn:"):
        return name
    owner = "" if name.startswith("/aws/service/") else account
    return f"arn:aws:ssm:{region}:{owner}:parameter/{name.lstrip('/')}"
