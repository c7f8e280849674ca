"""`apply`: what it makes, that it makes it once, and what it refuses to mix."""

from __future__ import annotations

from collections import Counter
from typing import Any

import efa_sdk as efa
import pytest
from support import P5, SMALL, Cloud, check, raised, tags_of

ITSELF = "all protocols from and to the group itself"


def self_rules(group: dict[str, Any], direction: str) -> list[dict[str, Any]]:
    key = "IpPermissions" if direction == "ingress" else "IpPermissionsEgress"
    return [
        rule
        for rule in group[key]
        if [pair["GroupId"] for pair in rule.get("UserIdGroupPairs", [])] == [group["GroupId"]]
    ]


def test_one_launch_all_or_nothing(cloud: Cloud) -> None:
    cloud.apply(P5)
    assert Counter(cloud.changes()) == {
        "CreateSecurityGroup": 1,
        "AuthorizeSecurityGroupIngress": 1,
        "AuthorizeSecurityGroupEgress": 1,
        "CreatePlacementGroup": 1,
        "RunInstances": 1,
    }
    (launch,) = cloud.sent("RunInstances")
    assert (launch["MinCount"], launch["MaxCount"]) == ("2", "2")
    assert launch["ClientToken"].startswith("efa-sdk-")
    assert 0 < len(launch["ClientToken"]) <= 64, "EC2's limit"
    assert launch["Placement.GroupName"] == "efa-sdk-train"
    assert launch["MetadataOptions.HttpTokens"] == "required"
    assert launch["BlockDeviceMapping.1.Ebs.Encrypted"] == "true"
    assert launch["BlockDeviceMapping.1.Ebs.VolumeType"] == "gp3"
    assert launch["BlockDeviceMapping.1.Ebs.DeleteOnTermination"] == "true"
    for key, value in launch.items():
        if key.endswith("InterfaceType") and value == "efa-only":
            prefix = key.removesuffix("InterfaceType")
            assert f"{prefix}AssociatePublicIpAddress" not in launch
    assert "SecurityGroupId.1" not in launch, "groups go on the interfaces"
    assert "SubnetId" not in launch


def test_the_security_group(cloud: Cloud) -> None:
    cluster = cloud.apply()
    group = cloud.state()["security-group"][cluster.security_group_id]
    assert group["VpcId"] == cloud.network.vpc_id
    assert group["GroupName"] == "efa-sdk-train"
    for direction in ("ingress", "egress"):
        (rule,) = self_rules(group, direction)
        assert rule["IpProtocol"] == "-1", ITSELF
    assert len(group["IpPermissions"]) == 1, "nothing else comes in"
    assert group["IpPermissions"][0]["IpRanges"] == []
    assert group["IpPermissions"][0].get("Ipv6Ranges", []) == []
    ports = [rule.get("FromPort") for rule in group["IpPermissions"]]
    assert 22 not in ports


def test_the_instances(cloud: Cloud) -> None:
    cluster = cloud.apply(P5, volume_size_gib=300)
    placement = cloud.state()["placement-group"]["efa-sdk-train"]
    assert placement["Strategy"] == "cluster"
    instances = cloud.instances()
    assert [i["InstanceId"] for i in instances] == [i.instance_id for i in cluster.instances]
    assert len(cluster) == 2
    for instance in instances:
        assert instance["State"]["Name"] == "running"
        assert instance["MetadataOptions"]["HttpTokens"] == "required"
        assert instance["Placement"]["GroupName"] == "efa-sdk-train"
        assert len(instance["NetworkInterfaces"]) == 33
    volumes = cloud.state()["volume"].values()
    assert [(v["Encrypted"], v["VolumeType"], v["Size"]) for v in volumes] == [
        (True, "gp3", 300)
    ] * 2


def test_tags_are_on_everything_from_birth(cloud: Cloud) -> None:
    cloud.apply(P5, tags={"team": "ml", "cost": "ü 7"})
    assert "CreateTags" not in cloud.actions(), "tagged by the calls that make, not afterwards"
    state = cloud.state()
    ours = {"Name": "train", "efa-sdk:cluster": "train", "team": "ml", "cost": "ü 7"}
    kinds = {"instance": 2, "volume": 2, "network-interface": 66, "placement-group": 1}
    for kind, count in {**kinds, "security-group": 1}.items():
        tagged = [r for r in state[kind].values() if ours.items() <= tags_of(r).items()]
        assert len(tagged) == count, kind


def test_the_cluster_that_comes_back(cloud: Cloud) -> None:
    plan = cloud.plan(P5)
    cluster = cloud.client.apply(plan)
    assert (cluster.name, cluster.region) == ("train", "us-east-1")
    assert cluster == cloud.client.describe("train")
    assert cluster.placement_group_name == plan.placement_group_name
    assert [i.launch_index for i in cluster.instances] == [0, 1]
    addresses = [i["PrivateIpAddress"] for i in cloud.instances()]
    assert cluster.private_ip_addresses == addresses
    for instance in cluster.instances:
        assert (instance.state, instance.instance_type) == ("running", P5)
        assert instance.imds_v2_required
        assert instance.availability_zone == plan.availability_zone
        assert [
            (i.network_card_index, i.device_index, i.interface_type) for i in instance.interfaces
        ] == [
            (i.network_card_index, i.device_index, i.interface_type) for i in plan.layout.interfaces
        ]
        for i in instance.interfaces:
            assert i.group_ids == [cluster.security_group_id]
            assert (i.private_ip_address is None) == (i.interface_type == "efa-only")
            assert i.delete_on_termination


def test_twice_makes_nothing_twice(cloud: Cloud) -> None:
    plan = cloud.plan()
    first = cloud.client.apply(plan)
    since, before = len(cloud.changes()), cloud.tagged()
    assert cloud.client.apply(plan) == first
    assert cloud.client.apply(efa.Plan.from_json(plan.to_json())) == first
    assert cloud.connect().apply(cloud.plan()) == first, "planned again, by another client"
    assert cloud.changes()[since:] == []
    assert cloud.tagged() == before


def test_after_destroy_it_works_again(cloud: Cloud) -> None:
    plan = cloud.plan()
    seen: set[str] = set()
    for _ in range(3):
        cluster = cloud.client.apply(plan)
        ids = {i.instance_id for i in cluster.instances}
        assert len(ids) == 2
        assert not ids & seen
        seen |= ids
        assert cloud.client.verify(plan).is_as_planned
        cloud.client.destroy("train")
        assert cloud.made() == set()


def test_after_instances_were_terminated_by_hand_it_launches_again(cloud: Cloud) -> None:
    plan = cloud.plan()
    first = cloud.client.apply(plan)
    ids = [i.instance_id for i in first.instances]
    cloud.ec2.terminate_instances(InstanceIds=ids)
    second = cloud.client.apply(plan)
    assert not {i.instance_id for i in second.instances} & set(ids)
    assert len(cloud.instances()) == 2
    assert second.security_group_id == first.security_group_id, "the group is used again"


@pytest.mark.parametrize("change", [{"count": 3}, {"profile": "combined"}, {"tags": {"a": "b"}}])
def test_another_plan_under_one_name_is_refused(cloud: Cloud, change: dict[str, Any]) -> None:
    cluster = cloud.apply()
    other = cloud.plan(**change)
    since, before = len(cloud.changes()), cloud.tagged()
    error = raised(lambda: cloud.client.apply(other))
    assert isinstance(error, efa.errors.ProvisionError)
    assert error.code == "provision.cluster_differs"
    assert error.context["name"] == "train"
    assert error.cure
    assert "destroy" in error.cure
    assert {("instance", i.instance_id) for i in cluster.instances} <= set(error.leftovers)
    assert not error.may_have_changed_aws
    assert cloud.changes()[since:] == []
    assert cloud.tagged() == before


def test_two_clusters_side_by_side(cloud: Cloud) -> None:
    one, two = cloud.apply(name="one"), cloud.apply(name="two")
    assert one.security_group_id != two.security_group_id
    assert one.placement_group_name != two.placement_group_name
    kept = cloud.tagged("two")
    cloud.client.destroy("one")
    assert cloud.made("one") == set()
    assert cloud.tagged("two") == kept
    assert cloud.client.verify("two").is_as_planned


@pytest.mark.parametrize(
    ("instance_type", "more", "count"),
    [
        (P5, {}, 3),
        ("hpc6id.32xlarge", {}, 1),
        ("p6-b300.48xlarge", {"profile": "ip-bandwidth"}, 2),
        ("p4d.24xlarge", {"profile": "combined"}, 2),
        ("i7ie.48xlarge", {"profile": "ip-bandwidth"}, 2),
        (SMALL, {"public_ip": "lone-efa"}, 2),
        (P5, {"public_ip": "lone-efa", "efa": 1}, 1),
        (P5, {"efa": 4}, 2),
        ("trn2.48xlarge", {}, 2),
        ("c7gn.16xlarge", {}, 2),
    ],
)
def test_shapes(cloud: Cloud, instance_type: str, more: dict[str, Any], count: int) -> None:
    cloud = cloud.at_home_of(instance_type)
    plan = cloud.plan(instance_type, count=count, **more)
    cluster = cloud.client.apply(plan)
    assert len(cluster) == count
    report = cloud.client.verify("train")
    assert report.findings == []
    assert report.interfaces == count * len(plan.layout)
    public = [i.public_ip_address is not None for i in cluster.instances]
    assert public == [more.get("public_ip") == "lone-efa"] * count
    cloud.client.destroy("train")
    assert cloud.tagged() == set()


def test_own_interfaces(cloud: Cloud) -> None:
    own = [
        efa.NetworkInterface(0, 0, "efa", ipv4_address_count=2),
        efa.NetworkInterface(5, 1, "interface"),
        efa.NetworkInterface(7, 0, "efa-only"),
    ]
    plan = cloud.plan(P5, interfaces=own)
    assert plan.layout.interfaces == own
    cluster = cloud.client.apply(plan)
    assert cloud.client.verify("train").is_as_planned
    assert [(i.network_card_index, i.device_index) for i in cluster.instances[0].interfaces] == [
        (0, 0),
        (5, 1),
        (7, 0),
    ]


def test_own_interfaces_that_no_tag_can_describe(cloud: Cloud) -> None:
    """Their notation is longer than a tag's value may be: work, or refuse before any change."""
    own = [efa.NetworkInterface(0, 0, "interface")]
    own += [efa.NetworkInterface(k, 0, "efa", ipv4_address_count=k) for k in range(1, 32)]
    try:
        plan = cloud.plan(P5, interfaces=own)
    except efa.EfaError as error:
        check(error, "plan.", "layout.")
        return
    cloud.client.apply(plan)
    assert cloud.client.verify("train").is_as_planned


def test_a_plan_of_another_region_is_refused(cloud: Cloud) -> None:
    plan = cloud.plan()
    elsewhere = cloud.connect(region="eu-west-1")
    error = raised(lambda: elsewhere.apply(plan))
    assert error.code == "plan.conflict"
    assert error.context["field"] == "region"
    assert cloud.changes() == []
