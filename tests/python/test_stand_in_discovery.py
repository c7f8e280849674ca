"""VPCs, subnets and security groups by id, name, tag and zone, as discovery asks for them."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError
from efa_sdk.testing import StandIn

OURS = [{"Key": "efa-sdk/cluster", "Value": "train"}]


class World:
    def __init__(self, stand_in: StandIn) -> None:
        self.ec2 = stand_in.client()
        self.net = stand_in.default_network()
        self.other = stand_in.default_network(name="other", cidr="10.9.0.0/16")
        self.subnet = next(iter(self.net.subnets.values()))
        self.group = self.ec2.create_security_group(
            GroupName="efa",
            Description="of train",
            VpcId=self.net.vpc_id,
            TagSpecifications=[{"ResourceType": "security-group", "Tags": OURS}],
        )["GroupId"]
        self.ec2.create_tags(Resources=[self.net.vpc_id, self.subnet], Tags=OURS)

    def found(self, what: str, **wanted: str) -> list[str]:
        filters = [
            {"Name": name.replace("__", ":").replace("_", "-"), "Values": [value]}
            for name, value in wanted.items()
        ]
        verb, list_name, id_name = {
            "vpc": ("describe_vpcs", "Vpcs", "VpcId"),
            "subnet": ("describe_subnets", "Subnets", "SubnetId"),
            "group": ("describe_security_groups", "SecurityGroups", "GroupId"),
        }[what]
        answer: Any = getattr(self.ec2, verb)(Filters=filters)
        return [one[id_name] for one in answer[list_name]]


@pytest.fixture
def world(stand_in: StandIn) -> World:
    return World(stand_in)


def test_vpcs(world: World) -> None:
    mine = [world.net.vpc_id]
    assert world.found("vpc", tag__Name="efa-test") == mine
    assert world.found("vpc", tag__Name="efa-*") == mine
    assert world.found("vpc", cidr="10.0.0.0/16") == mine
    assert world.found("vpc", vpc_id=world.net.vpc_id) == mine
    assert mine[0] not in world.found("vpc", is_default="true")
    assert {*mine, world.other.vpc_id} <= set(world.found("vpc", is_default="false"))
    by_key = [{"Name": "tag:efa-sdk/cluster", "Values": ["train"]}]
    assert [one["VpcId"] for one in world.ec2.describe_vpcs(Filters=by_key)["Vpcs"]] == mine
    by_key = [{"Name": "tag-key", "Values": ["efa-sdk/cluster"]}]
    assert [one["VpcId"] for one in world.ec2.describe_vpcs(Filters=by_key)["Vpcs"]] == mine


def test_subnets(world: World) -> None:
    zone = "us-east-1b"
    mine = [world.net.subnets[zone]]
    assert world.found("subnet", vpc_id=world.net.vpc_id, availability_zone=zone) == mine
    shown = world.ec2.describe_subnets(SubnetIds=mine)["Subnets"][0]
    assert (shown["AvailabilityZone"], shown["MapPublicIpOnLaunch"]) == (zone, False)
    zone_id = shown["AvailabilityZoneId"]
    assert world.found("subnet", vpc_id=world.net.vpc_id, availability_zone_id=zone_id) == mine
    assert world.found("subnet", tag__Name=f"efa-test-{zone}") == mine
    assert len(world.found("subnet", tag__Name="efa-test-*")) == len(world.net.subnets)
    by_key = [{"Name": "tag:efa-sdk/cluster", "Values": ["train"]}]
    listed = world.ec2.describe_subnets(Filters=by_key)["Subnets"]
    assert [one["SubnetId"] for one in listed] == [world.subnet]
    assert world.found("subnet", subnet_id=mine[0], state="available") == mine
    assert mine[0] not in world.found("subnet", default_for_az="true")
    with pytest.raises(ClientError) as caught:
        world.ec2.describe_subnets(SubnetIds=["subnet-0123456789abcdef0"])
    assert caught.value.response["Error"]["Code"] == "InvalidSubnetID.NotFound"


def test_security_groups(world: World) -> None:
    mine = [world.group]
    assert world.found("group", group_name="efa") == mine
    assert world.found("group", group_name="ef?", vpc_id=world.net.vpc_id) == mine
    assert world.found("group", group_name="efa", vpc_id=world.other.vpc_id) == []
    assert world.found("group", description="of *") == mine
    assert world.found("group", group_id=world.group) == mine
    by_key = [{"Name": "tag:efa-sdk/cluster", "Values": ["other", "tra*"]}]
    listed = world.ec2.describe_security_groups(Filters=by_key)["SecurityGroups"]
    assert [one["GroupId"] for one in listed] == mine
    assert listed[0]["Tags"] == OURS


def test_one_unknown_group_of_two_is_named(world: World) -> None:
    unknown = "sg-0123456789abcdef0"
    with pytest.raises(ClientError) as caught:
        world.ec2.describe_security_groups(GroupIds=[world.group, unknown])
    error = caught.value.response["Error"]
    assert error["Code"] == "InvalidGroup.NotFound"
    assert error["Message"] == f"The security group '{unknown}' does not exist"


@pytest.mark.parametrize("what", ["vpc", "subnet", "group"])
def test_an_unknown_filter_is_an_error(world: World, what: str) -> None:
    with pytest.raises(ClientError):
        world.found(what, colour="red")
