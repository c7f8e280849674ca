"""eventual: new resources are invisible to the first calls that look for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from efa_sdk.testing import StandIn

PLAIN = "m5.2xlarge"


def code(call: Callable[..., Any], **options: Any) -> str | None:
    try:
        call(**options)
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return None


def launch(stand_in: StandIn, **more: Any) -> Any:
    net = stand_in.default_network()
    return stand_in.client().run_instances(
        ImageId=net.image_for(PLAIN),
        InstanceType=PLAIN,
        MinCount=1,
        MaxCount=1,
        SubnetId=net.subnet_for(PLAIN),
        **more,
    )


def make_group(stand_in: StandIn) -> str:
    made = stand_in.client().create_security_group(
        GroupName="efa", Description="d", VpcId=stand_in.default_network().vpc_id
    )
    return str(made["GroupId"])


def test_everything_is_visible_at_once_unless_set_otherwise(stand_in: StandIn) -> None:
    assert stand_in.eventual == 0
    group = make_group(stand_in)
    assert stand_in.client().describe_security_groups(GroupIds=[group])["SecurityGroups"]


def test_a_security_group(stand_in: StandIn) -> None:
    ec2 = stand_in.client()
    stand_in.default_network()
    stand_in.eventual = 3
    group = make_group(stand_in)
    missing = "InvalidGroup.NotFound"
    by_name = [{"Name": "group-name", "Values": ["efa"]}]
    assert ec2.describe_security_groups(Filters=by_name)["SecurityGroups"] == []
    assert code(launch, stand_in=stand_in, SecurityGroupIds=[group]) == missing
    assert code(ec2.describe_security_groups, GroupIds=[group]) == missing
    assert ec2.describe_security_groups(Filters=by_name)["SecurityGroups"]
    assert launch(stand_in, SecurityGroupIds=[group])


def test_a_rule_for_a_new_group(stand_in: StandIn) -> None:
    stand_in.default_network()
    stand_in.eventual = 1
    group = make_group(stand_in)
    own = [{"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": group}]}]
    allow = stand_in.client().authorize_security_group_ingress
    assert code(allow, GroupId=group, IpPermissions=own) == "InvalidGroup.NotFound"
    assert code(allow, GroupId=group, IpPermissions=own) is None


def test_a_placement_group_by_name_and_id(stand_in: StandIn) -> None:
    ec2 = stand_in.client()
    stand_in.default_network()
    stand_in.eventual = 3
    made = ec2.create_placement_group(GroupName="train", Strategy="cluster")["PlacementGroup"]
    missing = "InvalidPlacementGroup.Unknown"
    assert code(ec2.describe_placement_groups, GroupNames=["train"]) == missing
    assert code(ec2.describe_placement_groups, GroupIds=[made["GroupId"]]) == missing
    assert code(ec2.create_placement_group, GroupName="train") == "InvalidPlacementGroup.Duplicate"
    assert code(launch, stand_in=stand_in, Placement={"GroupName": "train"}) == missing
    assert ec2.describe_placement_groups()["PlacementGroups"]


def test_an_instance(stand_in: StandIn) -> None:
    ec2 = stand_in.client()
    stand_in.default_network()
    stand_in.eventual = 2
    made = launch(stand_in, ClientToken="t")["Instances"][0]["InstanceId"]
    assert ec2.describe_instances()["Reservations"] == []
    again = launch(stand_in, ClientToken="t")["Instances"][0]["InstanceId"]
    assert again == made, "a token is no look-up"
    missing = "InvalidInstanceID.NotFound"
    assert code(ec2.create_tags, Resources=[made], Tags=[{"Key": "a", "Value": "b"}]) == missing
    assert ec2.describe_instances(InstanceIds=[made])["Reservations"]
    assert ec2.describe_security_groups()["SecurityGroups"]


def test_every_resource_counts_for_itself(stand_in: StandIn) -> None:
    ec2 = stand_in.client()
    stand_in.eventual = 1
    first = ec2.allocate_address(Domain="vpc")["AllocationId"]
    assert ec2.describe_addresses()["Addresses"] == []
    second = ec2.allocate_address(Domain="vpc")["AllocationId"]
    assert [one["AllocationId"] for one in ec2.describe_addresses()["Addresses"]] == [first]
    listed = [one["AllocationId"] for one in ec2.describe_addresses()["Addresses"]]
    assert listed == [first, second]
    third = ec2.allocate_address(Domain="vpc")["AllocationId"]
    assert code(ec2.release_address, AllocationId=third) == "InvalidAllocationID.NotFound"
    assert code(ec2.release_address, AllocationId=third) is None


def test_a_group_that_is_looked_for_among_others(stand_in: StandIn) -> None:
    ec2 = stand_in.client()
    old = [ec2.create_placement_group(GroupName=name)["PlacementGroup"] for name in "ab"]
    stand_in.eventual = 1
    ec2.create_placement_group(GroupName="c")
    assert len(ec2.describe_placement_groups(GroupNames=["a", "b"])["PlacementGroups"]) == len(old)
    with pytest.raises(ClientError, match="'c' is unknown"):
        ec2.describe_placement_groups(GroupNames=["a", "c"])
    names = [one["GroupName"] for one in ec2.describe_placement_groups()["PlacementGroups"]]
    assert names == ["a", "b", "c"]


def test_reset_sets_it_back(stand_in: StandIn) -> None:
    stand_in.eventual = 5
    stand_in.reset()
    assert stand_in.eventual == 0
