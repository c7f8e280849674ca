"""`verify`: every way in which a cluster can drift gives exactly the finding that names it."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import efa_sdk as efa
import pytest
from support import P5, Cloud, raised


def self_rule(group_id: str | None) -> list[dict[str, Any]]:
    return [{"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": group_id}]}]


def found(report: efa.VerifyReport) -> list[tuple[str, str, str, str]]:
    return [(f.check, f.subject, f.expected, f.actual) for f in report.findings]


def test_as_planned(cloud: Cloud) -> None:
    plan = cloud.plan(P5)
    cloud.client.apply(plan)
    since = len(cloud.changes())
    by_name, by_plan = cloud.client.verify("train"), cloud.client.verify(plan)
    for report in (by_name, by_plan):
        assert report.is_as_planned
        assert (report.findings, report.instances, report.interfaces) == ([], 2, 66)
        assert report.fingerprint == plan.fingerprint
        assert report.checks > 2 * 66
        assert "as planned" in str(report)
    assert cloud.client.verify(cloud.plan(P5)) == by_name, "a plan that knows the group's id"
    assert cloud.changes()[since:] == [], "verify changes nothing"


def test_an_unknown_cluster(cloud: Cloud) -> None:
    for what in ("nosuch", cloud.plan(name="nosuch")):
        error = raised(partial(cloud.client.verify, what))
        assert isinstance(error, efa.errors.VerifyError)
        assert error.code == "verify.cluster_not_found"
        assert error.context == {"name": "nosuch", "region": "us-east-1"}
        assert error.cure


@pytest.mark.parametrize("name", ["", "*", "a b", "1x"])
def test_a_name_that_no_cluster_can_have(cloud: Cloud, name: str) -> None:
    assert raised(lambda: cloud.client.verify(name)).code == "plan.invalid_spec"
    assert cloud.actions() == []


@pytest.mark.parametrize("what", [None, 1, b"train", object()])
def test_neither_name_nor_plan(cloud: Cloud, what: Any) -> None:
    with pytest.raises(TypeError):
        cloud.client.verify(what)


def test_a_terminated_instance(cloud: Cloud) -> None:
    cluster = cloud.apply()
    cloud.ec2.terminate_instances(InstanceIds=[cluster.instances[1].instance_id])
    shutting = cloud.client.verify("train")
    assert [f.check for f in shutting.findings][:1] == ["state"]
    cloud.until(lambda: len(cloud.instances()) == 1)
    report = cloud.client.verify("train")
    assert found(report) == [("count", "train", "2", "1")]
    assert "1 findings" in str(report) or "1 finding" in str(report)


def test_a_stopped_instance(cloud: Cloud) -> None:
    cluster = cloud.apply()
    stopped = cluster.instances[0].instance_id
    cloud.ec2.stop_instances(InstanceIds=[stopped])
    cloud.until(lambda: cloud.instances()[0]["State"]["Name"] == "stopped")
    assert found(cloud.client.verify("train")) == [("state", stopped, "running", "stopped")]


@pytest.mark.parametrize("direction", ["ingress", "egress"])
def test_a_revoked_rule_and_its_cure(cloud: Cloud, direction: str) -> None:
    plan = cloud.plan()
    cluster = cloud.client.apply(plan)
    group = cluster.security_group_id
    assert group is not None
    revoke = getattr(cloud.ec2, f"revoke_security_group_{direction}")
    revoke(GroupId=group, IpPermissions=self_rule(group))
    report = cloud.client.verify("train")
    ((check, subject, _, actual),) = found(report)
    assert (check, subject) == ("security_group_rule", group)
    assert direction in actual
    assert "apply again" in report.findings[0].cure
    assert found(cloud.client.verify(plan)) == found(report), "a plan older than its group"
    cloud.client.apply(plan)
    assert cloud.client.verify("train").is_as_planned, "the cure that it names works"


def test_another_security_group_on_one_interface(cloud: Cloud) -> None:
    cluster = cloud.apply()
    other = cloud.ec2.create_security_group(
        GroupName="other", Description="d", VpcId=cloud.network.vpc_id
    )["GroupId"]
    instance = cluster.instances[1]
    interface = instance.interfaces[1]
    cloud.ec2.modify_network_interface_attribute(
        NetworkInterfaceId=interface.network_interface_id, Groups=[other]
    )
    assert found(cloud.client.verify("train")) == [
        (
            "security_group",
            f"{instance.instance_id} card 0 device 1",
            cluster.security_group_id,
            other,
        )
    ]


def test_a_further_security_group_does_no_harm(cloud: Cloud) -> None:
    cluster = cloud.apply()
    other = cloud.ec2.create_security_group(
        GroupName="other", Description="d", VpcId=cloud.network.vpc_id
    )["GroupId"]
    interface = cluster.instances[0].interfaces[0].network_interface_id
    groups = [other, cluster.security_group_id]
    cloud.ec2.modify_network_interface_attribute(NetworkInterfaceId=interface, Groups=groups)
    assert cloud.client.verify("train").is_as_planned


def test_metadata_service_version_1_allowed(cloud: Cloud) -> None:
    instance = cloud.apply().instances[0].instance_id
    cloud.ec2.modify_instance_metadata_options(InstanceId=instance, HttpTokens="optional")
    assert found(cloud.client.verify("train")) == [("imds_v2_required", instance, "true", "false")]


def test_an_interface_that_would_outlive_its_instance(cloud: Cloud) -> None:
    instance = cloud.apply().instances[0]
    interface = instance.interfaces[0].network_interface_id
    shown = cloud.state()["network-interface"][interface]
    cloud.ec2.modify_network_interface_attribute(
        NetworkInterfaceId=interface,
        Attachment={
            "AttachmentId": shown["Attachment"]["AttachmentId"],
            "DeleteOnTermination": False,
        },
    )
    assert found(cloud.client.verify("train")) == [
        ("delete_on_termination", f"{instance.instance_id} card 0 device 0", "true", "false")
    ]


def test_an_elastic_ip_that_was_taken_away_and_its_cure(cloud: Cloud) -> None:
    plan = cloud.plan(public_ip="elastic-ip")
    cluster = cloud.client.apply(plan)
    address = cloud.ec2.describe_addresses(
        Filters=[{"Name": "instance-id", "Values": [cluster.instances[0].instance_id]}]
    )["Addresses"][0]
    cloud.ec2.disassociate_address(AssociationId=address["AssociationId"])
    report = cloud.client.verify("train")
    assert found(report) == [("public_ip", cluster.instances[0].instance_id, "true", "false")]
    cloud.client.apply(plan)
    assert cloud.client.verify("train").is_as_planned
    assert len(cloud.state()["elastic-ip"]) == 2, "the free address was used again"


def test_a_public_address_that_nobody_planned(cloud: Cloud) -> None:
    instance = cloud.apply().instances[1]
    address = cloud.ec2.allocate_address(Domain="vpc")
    cloud.ec2.associate_address(
        AllocationId=address["AllocationId"],
        NetworkInterfaceId=instance.interfaces[0].network_interface_id,
    )
    assert found(cloud.client.verify("train")) == [
        ("public_ip", instance.instance_id, "false", "true")
    ]


def untag(cloud: Cloud, instance: str, key: str) -> None:
    cloud.ec2.delete_tags(Resources=[instance], Tags=[{"Key": key}])


def retag(value: str) -> Callable[[Cloud, str, str], None]:
    def change(cloud: Cloud, instance: str, key: str) -> None:
        cloud.ec2.create_tags(Resources=[instance], Tags=[{"Key": key, "Value": value}])

    return change


TAGS: list[tuple[str, Callable[[Cloud, str, str], None], list[int]]] = [
    ("efa-sdk:plan", untag, [0]),
    ("efa-sdk:layout", untag, [1]),
    ("efa-sdk:layout", untag, [0, 1]),
    ("efa-sdk:layout", retag("0:0=interface 0-4294967295:0=efa-only"), [0, 1]),
    ("efa-sdk:layout", retag("what?"), [0, 1]),
    ("efa-sdk:layout", retag("0:0=interface"), [1]),
    ("efa-sdk:count", retag("two"), [0, 1]),
    ("efa-sdk:count", retag("-2"), [0, 1]),
    ("efa-sdk:public-ip", retag("maybe"), [0, 1]),
    ("efa-sdk:security-group", untag, [0, 1]),
    ("Name", retag("renamed"), [0]),
]


@pytest.mark.parametrize(
    ("key", "change", "which"), TAGS, ids=[f"{t[0]}-{i}" for i, t in enumerate(TAGS)]
)
def test_tags_that_no_longer_record_the_plan(
    cloud: Cloud, key: str, change: Callable[[Cloud, str, str], None], which: list[int]
) -> None:
    plan = cloud.plan()
    cluster = cloud.client.apply(plan)
    for index in which:
        change(cloud, cluster.instances[index].instance_id, key)
    if key == "Name":  # EC2's display name states nothing about the plan: anyone may change it
        assert cloud.client.verify("train").is_as_planned
        return
    error = raised(lambda: cloud.client.verify("train"))
    assert isinstance(error, efa.errors.VerifyError)
    assert error.code == "verify.tags_unreadable"
    assert error.context["tag"] == key
    assert error.cure == "verify against the plan itself"
    assert cloud.client.verify(plan).is_as_planned, "the cure that it names works"


def test_an_instance_that_lost_the_cluster_tag(cloud: Cloud) -> None:
    cluster = cloud.apply()
    untag(cloud, cluster.instances[0].instance_id, "efa-sdk:cluster")
    assert found(cloud.client.verify("train")) == [("count", "train", "2", "1")]


def test_against_another_plan(cloud: Cloud) -> None:
    cluster = cloud.apply("p4d.24xlarge")
    wanted = cloud.plan("p4d.24xlarge", count=3, profile="efa-only-secondary")
    report = cloud.client.verify(wanted)
    first = cluster.instances[0].instance_id
    assert ("count", "train", "3", "2") in found(report)
    assert ("interface", f"{first} card 0 device 0", "efa", "interface") in found(report)
    assert ("interface", f"{first} card 1 device 1", "efa-only", "missing") in found(report)
    assert ("interface", f"{first} card 1 device 0", "none", "efa-only") in found(report)
    assert cloud.client.verify("train").is_as_planned, "its own tags state otherwise"


def test_the_placement_group_is_compared(cloud: Cloud) -> None:
    cloud.apply(placement="none")
    report = cloud.client.verify(cloud.plan())
    checks = {f.check for f in report.findings}
    assert checks == {"placement_group", "placement_group_strategy"}


def test_report_and_its_findings_are_data(cloud: Cloud) -> None:
    cluster = cloud.apply()
    instance = cluster.instances[0].instance_id
    cloud.ec2.modify_instance_metadata_options(InstanceId=instance, HttpTokens="optional")
    report = cloud.client.verify("train")
    (finding,) = json.loads(report.to_json())["findings"]
    assert finding["check"] == "imds_v2_required"
    assert all(finding[key] for key in ("subject", "expected", "actual", "cure"))
    assert instance in str(report)
    assert instance in report._repr_html_()
    assert repr(report) == "<VerifyReport of 'train': 1 findings>"
