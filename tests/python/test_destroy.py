"""`destroy`: everything that was made, nothing else, in an order that EC2 accepts."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from support import P5, SMALL, Cloud, raised


def neighbours(cloud: Cloud) -> None:
    """What others have in the same VPC, some of it easily mistaken for the cluster's."""
    ec2, net = cloud.ec2, cloud.network

    def tags(kind: str, **pairs: str) -> list[dict[str, Any]]:
        keys = [{"Key": k.replace("__", ":"), "Value": v} for k, v in pairs.items()]
        return [{"ResourceType": kind, "Tags": keys}]

    for name, pairs in [
        ("untagged", {"Name": "x"}),
        ("named-like-ours", {"Name": "train"}),
        ("of-another-cluster", {"efa-sdk__cluster": "train2"}),
        ("other-key", {"cluster": "train"}),
    ]:
        found = {k.replace("efa-sdk__", "efa-sdk:"): v for k, v in pairs.items()}
        group = ec2.create_security_group(
            GroupName=name,
            Description="d",
            VpcId=net.vpc_id,
            TagSpecifications=tags("security-group", **found),
        )["GroupId"]
        ec2.create_placement_group(
            GroupName=name, Strategy="cluster", TagSpecifications=tags("placement-group", **found)
        )
        ec2.create_network_interface(
            SubnetId=net.subnet_for(SMALL),
            Groups=[group],
            TagSpecifications=tags("network-interface", **found),
        )
        ec2.allocate_address(Domain="vpc", TagSpecifications=tags("elastic-ip", **found))
        ec2.run_instances(
            ImageId=net.image_for("m5.large"),
            InstanceType="m5.large",
            MinCount=1,
            MaxCount=1,
            SubnetId=net.subnet_for(SMALL),
            SecurityGroupIds=[group],
            TagSpecifications=tags("instance", **found),
        )


def settled(cloud: Cloud) -> dict[str, Any]:
    """The state once no instance is on its way any more."""
    for _ in range(20):
        state = cloud.state()
        states = {i["State"]["Name"] for i in state["instance"].values()}
        if states <= {"running", "stopped"}:
            return state
    raise AssertionError(states)


def test_it_removes_what_apply_made_in_order(cloud: Cloud) -> None:
    cluster = cloud.apply(P5)
    report = cloud.client.destroy("train")
    ids = [("instance", i.instance_id) for i in cluster.instances]
    assert report.name == "train"
    assert report.removed == [
        *ids,
        ("placement-group", "efa-sdk-train"),
        ("security-group", cluster.security_group_id),
    ]
    assert "removed 4 resources" in str(report)
    assert cloud.tagged() == set()
    assert raised(lambda: cloud.client.describe("train")).code == "verify.cluster_not_found"


def test_only_its_own_goes(cloud: Cloud) -> None:
    neighbours(cloud)
    before = settled(cloud)
    assert len(before["instance"]) == 4
    cloud.apply(P5, public_ip="elastic-ip")
    assert settled(cloud) != before
    cloud.client.destroy("train")
    after = settled(cloud)
    for kind, resources in before.items():
        assert after[kind] == resources, kind


def test_our_name_with_a_wildcard_finds_nothing_else(cloud: Cloud) -> None:
    cloud.apply(name="train")
    for name in ("t", "trai", "train-1"):
        assert cloud.client.destroy(name).removed == []
    for name in ("train*", "*", "trai?", ""):
        assert raised(partial(cloud.client.destroy, name)).code == "plan.invalid_spec"
    assert cloud.client.verify("train").is_as_planned


def test_twice_is_empty(cloud: Cloud) -> None:
    cloud.apply()
    assert cloud.client.destroy("train").removed
    since = len(cloud.changes())
    again = cloud.client.destroy("train")
    assert again.removed == []
    assert "efa-sdk:cluster=train" in str(again)
    assert cloud.changes()[since:] == []


def test_an_unknown_cluster_is_no_error(cloud: Cloud) -> None:
    assert cloud.client.destroy("nosuch").removed == []
    assert cloud.changes() == []


def test_elastic_ips_one_per_node_and_released(cloud: Cloud) -> None:
    cluster = cloud.apply(P5, public_ip="elastic-ip")
    addresses = list(cloud.state()["elastic-ip"].values())
    assert {a["InstanceId"] for a in addresses} == {i.instance_id for i in cluster.instances}
    assert len(addresses) == 2
    primaries = {i.instance_id: i.interfaces[0] for i in cluster.instances}
    for address in addresses:
        assert (
            address["NetworkInterfaceId"] == primaries[address["InstanceId"]].network_interface_id
        )
    assert {i.public_ip_address for i in cluster.instances} == {a["PublicIp"] for a in addresses}
    assert cloud.client.verify("train").is_as_planned
    assert cloud.apply(P5, public_ip="elastic-ip") == cluster, "again makes no further address"
    report = cloud.client.destroy("train")
    assert sum(kind == "elastic-ip" for kind, _ in report.removed) == 2
    assert cloud.state()["elastic-ip"] == {}


@pytest.mark.parametrize(
    "half", ["CreatePlacementGroup", "AuthorizeSecurityGroupIngress", "RunInstances"]
)
def test_half_of_a_cluster(cloud: Cloud, half: str) -> None:
    cloud.stand_in.fail(half, "UnauthorizedOperation", status=403)
    raised(cloud.apply)
    made = cloud.made()
    assert made
    assert set(cloud.client.destroy("train").removed) == made
    assert cloud.tagged() == set()


def test_an_interface_that_outlived_its_instance(cloud: Cloud) -> None:
    cluster = cloud.apply()
    interface = cluster.instances[0].interfaces[0].network_interface_id
    attachment = cloud.state()["network-interface"][interface]["Attachment"]["AttachmentId"]
    cloud.ec2.modify_network_interface_attribute(
        NetworkInterfaceId=interface,
        Attachment={"AttachmentId": attachment, "DeleteOnTermination": False},
    )
    report = cloud.client.destroy("train")
    assert ("network-interface", interface) in report.removed
    assert cloud.tagged() == set()


def test_stopped_instances_go_too(cloud: Cloud) -> None:
    cluster = cloud.apply()
    cloud.ec2.stop_instances(InstanceIds=[cluster.instances[0].instance_id])
    assert len(cloud.client.destroy("train").removed) == 4
    assert cloud.tagged() == set()


@pytest.mark.parametrize(
    ("action", "code"),
    [
        ("DeletePlacementGroup", "InvalidPlacementGroup.InUse"),
        ("DeleteSecurityGroup", "DependencyViolation"),
    ],
)
def test_groups_that_ec2_still_calls_in_use_are_waited_for(
    cloud: Cloud, action: str, code: str
) -> None:
    cloud.apply()
    fault = cloud.stand_in.fail(action, code, times=2)
    assert len(cloud.client.destroy("train").removed) == 4
    assert fault.hits == 2
    assert cloud.tagged() == set()


DESTROYING = ["TerminateInstances", "ReleaseAddress", "DeletePlacementGroup", "DeleteSecurityGroup"]


@pytest.mark.parametrize("action", DESTROYING)
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_failed_destroy_is_finished_by_another(cloud: Cloud, action: str, when: Any) -> None:
    cloud.apply(public_ip="elastic-ip")
    fault = cloud.stand_in.fail(action, "UnauthorizedOperation", status=403, when=when)
    error = raised(lambda: cloud.client.destroy("train"))
    assert (error.code, error.ec2_code) == ("ec2.refused", "UnauthorizedOperation")
    assert error.context["action"] == action
    assert error.may_have_changed_aws, "some of it is gone already"
    assert fault.hits == 1
    cloud.client.destroy("train")
    assert cloud.tagged() == set()
    assert cloud.state()["elastic-ip"] == {}


@pytest.mark.parametrize("action", DESTROYING)
def test_a_lost_reply_is_no_failure(cloud: Cloud, action: str) -> None:
    cloud.apply(public_ip="elastic-ip")
    fault = cloud.stand_in.fail(action, when="after")
    cloud.client.destroy("train")
    assert fault.hits == 1
    assert cloud.tagged() == set()
    assert cloud.state()["elastic-ip"] == {}


def test_an_address_of_someone_else_is_left_where_it_is(cloud: Cloud) -> None:
    plan = cloud.plan(public_ip="elastic-ip")
    cluster = cloud.client.apply(plan)
    theirs = cloud.ec2.allocate_address(Domain="vpc")["AllocationId"]
    interface = cluster.instances[0].interfaces[0].network_interface_id
    cloud.ec2.associate_address(AllocationId=theirs, NetworkInterfaceId=interface)
    cloud.client.apply(plan)
    cloud.client.apply(plan)
    addresses = cloud.state()["elastic-ip"]
    assert addresses[theirs]["NetworkInterfaceId"] == interface
    assert len(addresses) == 2, "those of this cluster for the other node, and none left over"
    cloud.client.destroy("train")
    assert list(cloud.state()["elastic-ip"]) == [theirs]


def test_a_destroy_that_only_looked_says_so(cloud: Cloud) -> None:
    cloud.apply()
    before = cloud.made()
    cloud.stand_in.fail("DescribeInstances", "UnauthorizedOperation", status=403)
    error = raised(lambda: cloud.client.destroy("train"))
    assert not error.may_have_changed_aws
    assert set(error.leftovers) == before
    cloud.stand_in.fail("DeletePlacementGroup", "UnauthorizedOperation", status=403)
    error = raised(lambda: cloud.client.destroy("train"))
    assert error.may_have_changed_aws
    assert {kind for kind, _ in error.leftovers} == {"placement-group", "security-group"}
    cloud.client.destroy("train")
    assert cloud.made() == set()


def test_a_wait_beyond_the_clock(cloud: Cloud) -> None:
    cloud.apply()
    assert cloud.connect(wait_timeout_s=1e19).destroy("train").removed


def test_a_name_in_another_case_is_no_cluster_that_is_gone(cloud: Cloud) -> None:
    cloud.apply()
    client = cloud.client
    for verb in (client.destroy, client.verify, client.describe, client.topology):
        error = raised(partial(verb, "TRAIN"))
        assert (error.code, error.cure) == ("verify.cluster_not_found", "did you mean train?")
        assert not error.may_have_changed_aws
    assert client.destroy("other").removed == []
    assert raised(lambda: client.describe("trai")).cure == "did you mean train?"
    assert client.describe("train").name == "train"
