"""What EC2 actions need: resource types and condition keys as in the Service Authorization
Reference ("Actions, resources, and condition keys for Amazon EC2"). An action that is not here
is checked against `*`, as every Describe action is on EC2, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from moto.ec2.utils import EC2_PREFIX_TO_RESOURCE, get_prefix
from moto.iam.models import iam_backends

from ..call import Call
from ..launch.spec import merged_request
from ..tagging import tags_of
from .kms_needs import kms_needs
from .need import Need, request_tags, resource_tags

# The resources that exist already, by the parameter that names them.
_NAMED: dict[str, tuple[tuple[str, str], ...]] = {
    "AssociateAddress": (
        ("AllocationId", "elastic-ip"),
        ("InstanceId", "instance"),
        ("NetworkInterfaceId", "network-interface"),
    ),
    "AttachNetworkInterface": (
        ("InstanceId", "instance"),
        ("NetworkInterfaceId", "network-interface"),
    ),
    "AuthorizeSecurityGroupEgress": (("GroupId", "security-group"),),
    "AuthorizeSecurityGroupIngress": (("GroupId", "security-group"),),
    "CancelCapacityReservation": (("CapacityReservationId", "capacity-reservation"),),
    "CreateNetworkInterface": (("SubnetId", "subnet"), ("Groups", "security-group")),
    "CreateSecurityGroup": (("VpcId", "vpc"),),
    "DeleteNetworkInterface": (("NetworkInterfaceId", "network-interface"),),
    "DeletePlacementGroup": (("GroupName", "placement-group"),),
    "DeleteSecurityGroup": (("GroupId", "security-group"),),
    "DeleteSubnet": (("SubnetId", "subnet"),),
    "DeleteVpc": (("VpcId", "vpc"),),
    "ModifyInstanceAttribute": (("InstanceId", "instance"),),
    "ModifyNetworkInterfaceAttribute": (
        ("NetworkInterfaceId", "network-interface"),
        ("Groups", "security-group"),
    ),
    "RebootInstances": (("InstanceIds", "instance"),),
    "ReleaseAddress": (("AllocationId", "elastic-ip"),),
    "RevokeSecurityGroupEgress": (("GroupId", "security-group"),),
    "RevokeSecurityGroupIngress": (("GroupId", "security-group"),),
    "StartInstances": (("InstanceIds", "instance"),),
    "StopInstances": (("InstanceIds", "instance"),),
    "TerminateInstances": (("InstanceIds", "instance"),),
}

# The resources that an action makes, of which every tag needs ec2:CreateTags as well.
_MADE: dict[str, tuple[str, ...]] = {
    "AllocateAddress": ("elastic-ip",),
    "AuthorizeSecurityGroupEgress": ("security-group-rule",),
    "AuthorizeSecurityGroupIngress": ("security-group-rule",),
    "CreateCapacityReservation": ("capacity-reservation",),
    "CreateNetworkInterface": ("network-interface",),
    "CreatePlacementGroup": ("placement-group",),
    "CreateSecurityGroup": ("security-group",),
    "CreateSubnet": ("subnet",),
    "CreateVpc": ("vpc",),
    "PurchaseCapacityBlock": ("capacity-reservation",),
    "RunInstances": ("instance", "network-interface", "volume"),
}
_ONLY_WHEN_TAGGED = ("security-group-rule",)

_KINDS = {
    **EC2_PREFIX_TO_RESOURCE,
    "pg": "placement-group",
    "cr": "capacity-reservation",
    "eipalloc": "elastic-ip",
}


def ec2_needs(call: Call) -> list[Need]:
    """Every permission that a call needs, each once."""
    found = {(need.action, need.resource): need for need in _needs(call)}
    return list(found.values()) or [_need(call, "*")]


def _needs(call: Call) -> Iterator[Need]:
    request = merged_request(call) if call.action == "RunInstances" else call.request
    tags = _specified(request)
    made = [
        *_MADE.get(call.action, ()),
        *(("spot-instances-request",) if _is_spot(call, request) else ()),
    ]
    for kind in made:
        if kind not in _ONLY_WHEN_TAGGED or kind in tags:
            yield _need(call, _new_arn(call, kind), request_tags(tags.get(kind, {})))
    if call.action in ("CreateTags", "DeleteTags"):
        given = {str(tag.get("Key")): str(tag.get("Value") or "") for tag in call.get("Tags", [])}
        for resource in call.get("Resources", []):
            yield _existing(call, _kind(resource), resource, request_tags(given))
    for name, kind in _NAMED.get(call.action, ()):
        yield from (_existing(call, kind, value) for value in _values(request.get(name)))
    if call.action == "DisassociateAddress":
        for eip in call.backend.addresses:
            if eip.association_id == request.get("AssociationId"):
                yield _existing(call, "elastic-ip", eip.id)
    if call.action == "DetachNetworkInterface":
        for eni in call.backend.enis.values():
            if eni.attachment_id == request.get("AttachmentId"):
                yield _existing(call, "network-interface", eni.id)
    if call.action == "RunInstances":
        yield from _launch_needs(call, request)
        yield from kms_needs(call, request)
    if _is_spot(call, request) and not call.settings.spot_role:
        role = "aws-service-role/spot.amazonaws.com/AWSServiceRoleForEC2Spot"
        made_by_ec2 = {"iam:AWSServiceName": ("spot.amazonaws.com",)}
        arn = f"arn:aws:iam::{call.account}:role/{role}"
        yield Need("iam:CreateServiceLinkedRole", arn, made_by_ec2, rule="auth.spot_role")
    for kind in made:
        if tags.get(kind):
            extra = {**request_tags(tags[kind]), "ec2:CreateAction": (call.action,)}
            yield _need(call, _new_arn(call, kind), extra, "CreateTags")


def _is_spot(call: Call, request: Mapping[str, Any]) -> bool:
    options = request.get("InstanceMarketOptions") or {}
    return call.action == "RunInstances" and options.get("MarketType") == "spot"


def _launch_needs(call: Call, request: Mapping[str, Any]) -> Iterator[Need]:
    placement = request.get("Placement") or {}
    target = (request.get("CapacityReservationSpecification") or {}).get(
        "CapacityReservationTarget"
    ) or {}
    nics = request.get("NetworkInterfaces") or []
    named = [
        ("image", [request.get("ImageId")]),
        ("key-pair", [request.get("KeyName")]),
        ("subnet", [request.get("SubnetId"), *(nic.get("SubnetId") for nic in nics)]),
        (
            "security-group",
            [
                *_values(request.get("SecurityGroupIds")),
                *(group for nic in nics for group in nic.get("Groups") or []),
            ],
        ),
        ("network-interface", [nic.get("NetworkInterfaceId") for nic in nics]),
        ("placement-group", [placement.get("GroupName"), placement.get("GroupId")]),
        ("capacity-reservation", [target.get("CapacityReservationId")]),
        ("launch-template", [(request.get("LaunchTemplate") or {}).get("LaunchTemplateId")]),
    ]
    for kind, values in named:
        yield from (_existing(call, kind, str(value)) for value in values if value)
    if group := target.get("CapacityReservationResourceGroupArn"):
        yield _need(call, str(group))
    profile = request.get("IamInstanceProfile") or {}
    for known in iam_backends[call.account]["aws"].instance_profiles.values():
        if known.roles and (known.name == profile.get("Name") or known.arn == profile.get("Arn")):
            passed = {"iam:PassedToService": ("ec2.amazonaws.com",)}
            yield Need("iam:PassRole", known.roles[0].arn, passed)


def _need(
    call: Call, resource: str, extra: Mapping[str, Any] | None = None, action: str | None = None
) -> Need:
    context: dict[str, Any] = {"aws:RequestedRegion": (call.region,), **(extra or {})}
    if call.action == "RunInstances" and ":instance/" in resource:
        context["ec2:InstanceType"] = (str(call.get("InstanceType", "m1.small")),)
    return Need(f"ec2:{action or call.action}", resource, context)


def _existing(call: Call, kind: str, name: str, extra: Mapping[str, Any] | None = None) -> Need:
    tagged = name
    if kind == "placement-group":
        for group in call.state.placement_groups.values():
            if name in (group.name, group.id):
                name, tagged = group.name, group.id
    owner = "" if kind == "image" else _owner(call, kind, tagged)
    arn = f"arn:aws:ec2:{call.region}:{owner}:{kind}/{name}"
    return _need(call, arn, {**resource_tags(tags_of(call.backend, tagged)), **(extra or {})})


def _owner(call: Call, kind: str, resource_id: str) -> str:
    """The account in the ARN: the owner's, which is not the caller's where it is shared."""
    found: Any = None
    if kind == "subnet":
        for zone in call.backend.subnets.values():
            found = zone.get(resource_id) or found
    elif kind == "vpc":
        found = call.backend.vpcs.get(resource_id)
    elif kind == "capacity-reservation":
        reservation = call.state.reservations.get(resource_id)
        return (reservation.owner if reservation else "") or call.account
    elif kind == "placement-group":
        for group in call.state.placement_groups.values():
            if group.id == resource_id:
                return group.arn.split(":")[4]
    return str(found.owner_id) if found is not None else call.account


def _new_arn(call: Call, kind: str) -> str:
    name = call.get("GroupName", "*") if kind == "placement-group" else "*"
    return call.arn(f"{kind}/{name}")


def _kind(resource: str) -> str:
    prefix = get_prefix(resource) or resource.split("-", 1)[0]
    return str(_KINDS.get(prefix, prefix))


def _values(value: Any) -> list[str]:
    if value is None:
        return []
    return [str(one) for one in value] if isinstance(value, list) else [str(value)]


def _specified(request: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for entry in request.get("TagSpecifications") or []:
        tags = found.setdefault(str(entry.get("ResourceType") or ""), {})
        for tag in entry.get("Tags") or []:
            tags[str(tag.get("Key") or "")] = str(tag.get("Value") or "")
    return {kind: tags for kind, tags in found.items() if tags}
