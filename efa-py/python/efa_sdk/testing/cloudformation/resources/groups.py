"""Security groups, their rules, and placement groups."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError  # type: ignore[import-untyped]
from moto.moto_api._internal import mock_random

from ..stack import Made
from .context import Context, ResourceType, only, shaped

_EVERYWHERE = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
_RULE = frozenset({"IpProtocol", "FromPort", "ToPort", "CidrIp", "CidrIpv6", "Description"})
_PEERS = {"ingress": "SourceSecurityGroupId", "egress": "DestinationSecurityGroupId"}


def generated_name(context: Context, logical_id: str, limit: int) -> str:
    """A name as CloudFormation makes one: of the stack, the resource, and some letters."""
    letters = mock_random.get_random_string(length=12, include_digits=True).upper()
    return f"{context.stack.name}-{logical_id}"[: limit - 13] + f"-{letters}"


def _create_group(context: Context, name: str, properties: Mapping[str, Any]) -> Made:
    ec2 = context.client("ec2")
    asked: dict[str, Any] = {
        "GroupName": properties.get("GroupName") or generated_name(context, name, 255),
        "Description": properties["GroupDescription"],
    }
    if properties.get("VpcId"):
        asked["VpcId"] = properties["VpcId"]
    if tags := context.tags(properties):
        asked["TagSpecifications"] = [{"ResourceType": "security-group", "Tags": tags}]
    group_id = ec2.create_security_group(**asked)["GroupId"]
    made = Made(name, "", {}, group_id, {"GroupId": group_id})
    try:
        group = context.settled(lambda: ec2.describe_security_groups(GroupIds=[group_id]))
        made.attributes["VpcId"] = group["SecurityGroups"][0]["VpcId"]
        context.mark(group_id, name)
        egress = properties.get("SecurityGroupEgress")
        if egress:  # its own list is in place of EC2's default rule
            everywhere = [_EVERYWHERE]
            context.settled(
                lambda: ec2.revoke_security_group_egress(GroupId=group_id, IpPermissions=everywhere)
            )
        for rule in egress or []:
            _authorize(context, "egress", group_id, rule)
        for rule in properties.get("SecurityGroupIngress") or []:
            _authorize(context, "ingress", group_id, rule)
    except Exception:
        _delete_group(context, made)
        raise
    return made


def _delete_group(context: Context, made: Made) -> None:
    ec2 = context.client("ec2")
    last: list[ClientError] = []

    def gone() -> bool:
        try:
            ec2.delete_security_group(GroupId=made.ref)
        except ClientError as error:
            if error.response["Error"]["Code"] == "InvalidGroup.NotFound":
                return not context.call.settings.eventual
            last.append(error)
            return False
        return True

    if not context.until(gone) and last:
        raise last[-1]


def permission(direction: str, rule: Mapping[str, Any]) -> dict[str, Any]:
    """One rule of a template as an IpPermission."""
    only(rule, _RULE | {"GroupId", _PEERS[direction]}, f"an {direction} rule")
    asked: dict[str, Any] = {"IpProtocol": str(rule["IpProtocol"])}
    for port in ("FromPort", "ToPort"):
        if rule.get(port) is not None:
            asked[port] = int(rule[port])
    said = {"Description": rule["Description"]} if rule.get("Description") else {}
    if rule.get("CidrIp"):
        asked["IpRanges"] = [{"CidrIp": rule["CidrIp"], **said}]
    if rule.get("CidrIpv6"):
        asked["Ipv6Ranges"] = [{"CidrIpv6": rule["CidrIpv6"], **said}]
    if rule.get(_PEERS[direction]):
        asked["UserIdGroupPairs"] = [{"GroupId": rule[_PEERS[direction]], **said}]
    return asked


def _authorize(context: Context, direction: str, group: str, rule: Mapping[str, Any]) -> str:
    ec2 = context.client("ec2")
    authorize = getattr(ec2, f"authorize_security_group_{direction}")
    asked = [permission(direction, rule)]
    answer = context.settled(lambda: authorize(GroupId=group, IpPermissions=asked))
    rules = answer.get("SecurityGroupRules") or [{}]
    return str(rules[0].get("SecurityGroupRuleId") or f"{group}-{direction}")


def _rule_type(direction: str) -> ResourceType:
    def create(context: Context, name: str, properties: Mapping[str, Any]) -> Made:
        rule = _authorize(context, direction, properties["GroupId"], properties)
        return Made(name, "", dict(properties), rule, {"Id": rule})

    def delete(context: Context, made: Made) -> None:
        revoke = getattr(context.client("ec2"), f"revoke_security_group_{direction}")
        asked = [permission(direction, made.properties)]
        context.settled(lambda: revoke(GroupId=made.properties["GroupId"], IpPermissions=asked))

    return ResourceType(_RULE | {"GroupId", _PEERS[direction]}, create, delete)


def _create_placement_group(context: Context, name: str, properties: Mapping[str, Any]) -> Made:
    ec2 = context.client("ec2")
    chosen = generated_name(context, name, 255)
    asked = {
        key: shaped(ec2, "CreatePlacementGroup", key, properties[key])
        for key in ("Strategy", "PartitionCount", "SpreadLevel")
        if key in properties
    }
    if tags := context.tags(properties):
        asked["TagSpecifications"] = [{"ResourceType": "placement-group", "Tags": tags}]
    group = ec2.create_placement_group(GroupName=chosen, **asked)["PlacementGroup"]
    context.mark(group["GroupId"], name)
    return Made(name, "", {}, chosen, {"GroupName": chosen, "GroupId": group["GroupId"]})


def _delete_placement_group(context: Context, made: Made) -> None:
    ec2 = context.client("ec2")
    context.settled(lambda: ec2.delete_placement_group(GroupName=made.ref))


_GROUP = frozenset(
    {
        "GroupName",
        "GroupDescription",
        "VpcId",
        "Tags",
        "SecurityGroupIngress",
        "SecurityGroupEgress",
    }
)

TYPES = {
    "AWS::EC2::SecurityGroup": ResourceType(_GROUP, _create_group, _delete_group),
    "AWS::EC2::SecurityGroupIngress": _rule_type("ingress"),
    "AWS::EC2::SecurityGroupEgress": _rule_type("egress"),
    "AWS::EC2::PlacementGroup": ResourceType(
        frozenset({"Strategy", "PartitionCount", "SpreadLevel", "Tags"}),
        _create_placement_group,
        _delete_placement_group,
        absent=frozenset({"GroupName"}),
    ),
}
