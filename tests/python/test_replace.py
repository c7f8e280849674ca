"""`replace` and `shrink`: nodes that go and nodes that come, on the stand-in."""

from __future__ import annotations

from functools import partial

import efa_sdk as efa
import pytest
from efa_sdk import aio
from efa_sdk.errors import ArgumentValueError
from support import Cloud, raised, tags_of


def ids(cluster: efa.Cluster) -> list[str]:
    return [instance.instance_id for instance in cluster.instances]


def test_a_named_node_is_replaced_by_one_like_it(cloud: Cloud) -> None:
    before = cloud.apply(
        count=3,
        volume_size_gib=77,
        user_data="#!/bin/sh\ntrue\n",
        public_ip="elastic-ip",
        tags={"team": "ml"},
    )
    bad = ids(before)[1]
    # As a survey calls it.
    address = before.instances[1].private_ip_address or ""
    drain = [f"ip-{address.replace('.', '-')}.ec2.internal"]
    after = cloud.client.replace("train", nodes=drain)
    assert len(after) == 3
    assert set(ids(before)) - set(ids(after)) == {bad}
    (new,) = set(ids(after)) - set(ids(before))
    shown = {i["InstanceId"]: i for i in cloud.instances()}
    one, other = shown[new], shown[ids(before)[0]]
    for key in ("ImageId", "InstanceType", "SubnetId", "Placement", "MetadataOptions"):
        assert one[key] == other[key], key
    assert tags_of(one)["team"] == "ml"
    data = [
        cloud.ec2.describe_instance_attribute(InstanceId=i, Attribute="userData")["UserData"]
        for i in (new, ids(before)[0])
    ]
    assert data[0] == data[1]
    volumes = cloud.ec2.describe_volumes()["Volumes"]
    assert {volume["Size"] for volume in volumes if volume["Attachments"]} == {77}
    assert cloud.client.verify("train").findings == []
    assert len(cloud.state()["elastic-ip"]) == 3
    assert ids(cloud.client.replace("train", nodes=drain)) == ids(after), "again changes nothing"
    cloud.client.destroy("train")
    assert cloud.tagged() == set()
    assert cloud.state()["elastic-ip"] == {}


def test_a_spot_node_whose_tags_do_not_say_its_price_costs_no_more(cloud: Cloud) -> None:
    before = cloud.apply(capacity="spot", spot_maximum_price="4.5")
    tag = [{"Key": "efa-sdk:spot-maximum-price"}]  # as of a cluster that an older version made
    cloud.ec2.delete_tags(Resources=ids(before), Tags=tag)
    cloud.client.replace("train", nodes=ids(before)[:1])
    prices = [
        sent["InstanceMarketOptions.SpotOptions.MaxPrice"] for sent in cloud.sent("RunInstances")
    ]
    assert {float(price) for price in prices} == {4.5}
    assert len(prices) == len(cloud.sent("RunInstances"))


def test_without_capacity_nothing_is_replaced(cloud: Cloud) -> None:
    before = cloud.apply()
    cloud.stand_in.fail("RunInstances", "InsufficientInstanceCapacity", status=500)
    error = raised(lambda: cloud.client.replace("train", nodes=[ids(before)[0]]))
    assert error.context["took_effect"] == "no"
    assert "replace('train'" in (error.next_command or "")
    assert ids(cloud.client.describe("train")) == ids(before)
    cloud.stand_in.end_after_launch("Client.InvalidKMSKey.InvalidState")
    error = raised(lambda: cloud.client.replace("train", nodes=[ids(before)[0]]))
    assert error.code == "provision.instance_lost"
    assert "KMS" in (error.cure or "")
    assert ids(cloud.client.describe("train")) == ids(before)
    assert cloud.client.verify("train").findings == []


@pytest.mark.parametrize("nodes", [[], ["i-0123456789abcdef0"]])
def test_a_node_that_is_none_of_the_cluster(cloud: Cloud, nodes: list[str]) -> None:
    before = cloud.apply()
    for call in (cloud.client.replace, lambda name, nodes: cloud.client.shrink(name, nodes=nodes)):
        error = raised(partial(call, "train", nodes=nodes))
        assert error.code == "plan.resource_not_found"
    error = raised(lambda: cloud.client.replace("train", nodes=ids(before)))
    assert error.code == "plan.conflict"
    assert ids(cloud.client.describe("train")) == ids(before)
    assert raised(lambda: cloud.client.replace("none", nodes=["i-1"])).code.startswith("verify.")


async def test_shrinking(cloud: Cloud) -> None:
    before = ids(cloud.apply(count=4))
    assert ids(cloud.client.shrink("train", 3)) == before[:3]
    assert cloud.client.verify("train").findings == []
    client = aio.Client(
        region="us-east-1", endpoint_url=cloud.stand_in.endpoint_url, poll_interval_s=0.01
    )
    assert ids(await client.shrink("train", nodes=[before[0]])) == before[1:3]
    assert ids(await client.shrink("train", nodes=[before[0]])) == before[1:3], "again"
    assert cloud.client.verify("train").findings == []
    (new,) = set(ids(await client.replace("train", [before[1]]))) - {before[2]}
    assert new not in before
    for count in (0, 3):
        assert raised(partial(cloud.client.shrink, "train", count)).code == "plan.conflict"
    with pytest.raises(ArgumentValueError, match=r"^count is .*nodes"):
        cloud.client.shrink("train")
