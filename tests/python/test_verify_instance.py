"""`verify_instance`: one instance, whoever launched it, as EC2 sees its EFA interfaces."""

from __future__ import annotations

import asyncio
import pickle
from typing import Any

import efa_sdk as efa
from support import P5, SMALL, Cloud, raised


def found(report: efa.InstanceReport) -> list[tuple[str, str, str]]:
    return [(f.check, f.subject, f.actual) for f in report.findings]


def launch(cloud: Cloud, interface_type: str, **more: Any) -> str:
    """An instance that efa-sdk did not launch, as a hand-written recipe launches it; its id."""
    subnet = cloud.network.subnet_for(SMALL)
    (described,) = cloud.ec2.describe_subnets(SubnetIds=[subnet])["Subnets"]
    group = cloud.ec2.create_security_group(
        GroupName=f"by-hand-{interface_type}", Description="by hand", VpcId=described["VpcId"]
    )["GroupId"]
    interface = {
        "NetworkCardIndex": 0,
        "DeviceIndex": 0,
        "InterfaceType": interface_type,
        "SubnetId": subnet,
        "Groups": [group],
    }
    launched = cloud.ec2.run_instances(
        ImageId=cloud.network.image_for(SMALL),
        InstanceType=SMALL,
        MinCount=1,
        MaxCount=1,
        NetworkInterfaces=[interface],
        **more,
    )["Instances"][0]["InstanceId"]
    cloud.until(lambda: bool(cloud.instances(instance_state_name="running")))
    return str(launched)


def test_an_instance_of_a_cluster(cloud: Cloud) -> None:
    cluster = cloud.apply(P5)
    one, other = (i.instance_id for i in cluster.instances)
    since = len(cloud.changes())
    report = cloud.client.verify_instance(one)
    assert report.is_healthy, report
    assert (report.instance_type, report.cluster) == (P5, "train")
    assert (report.efa_interfaces, report.maximum_efa_interfaces) == (32, 32)
    assert report.peers == [other]
    assert "as EFA needs it" in str(report)
    assert cloud.changes()[since:] == []
    assert pickle.loads(pickle.dumps(report)) == report


def test_a_cluster_with_fewer_interfaces_on_purpose(cloud: Cloud) -> None:
    (first, *_) = cloud.apply(P5, efa=4).instances
    report = cloud.client.verify_instance(first.instance_id)
    assert report.is_healthy, report
    assert report.efa_interfaces == 4


def test_what_drifted(cloud: Cloud) -> None:
    cluster = cloud.apply()
    assert cluster.security_group_id is not None
    group = cluster.security_group_id
    cloud.ec2.revoke_security_group_egress(
        GroupId=group,
        IpPermissions=[{"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": group}]}],
    )
    report = cloud.client.verify_instance(cluster.instances[0].instance_id)
    assert found(report) == [("security_group_rule", group, f"{group} lacks egress")]
    assert f"authorize-security-group-egress --group-id {group}" in report.findings[0].cure


def test_a_launch_by_hand(cloud: Cloud) -> None:
    report = cloud.client.verify_instance(launch(cloud, "efa"))
    ((check, group, actual),) = found(report)
    assert (check, actual) == ("security_group_rule", f"{group} lacks ingress and egress")
    assert (report.cluster, report.efa_interfaces, report.peers) == (None, 1, [])


def test_an_instance_without_efa(cloud: Cloud) -> None:
    report = cloud.client.verify_instance(launch(cloud, "interface"))
    assert [(f.check, f.expected, f.actual) for f in report.findings] == [
        ("efa_interfaces", "1 EFA interfaces", "0 EFA interfaces")
    ]


def test_a_peer_in_another_placement_group(cloud: Cloud) -> None:
    cluster = cloud.apply(count=1)
    (own,) = cluster.instances
    unknown = launch(cloud, "efa")
    (described,) = cloud.instances(instance_id=unknown)
    cloud.ec2.modify_network_interface_attribute(
        NetworkInterfaceId=described["NetworkInterfaces"][0]["NetworkInterfaceId"],
        Groups=[cluster.security_group_id],
    )
    report = cloud.client.verify_instance(own.instance_id)
    assert report.peers == [unknown]
    assert ("placement_group", unknown, "none") in found(report)


def test_no_such_instance(cloud: Cloud) -> None:
    error = raised(lambda: cloud.client.verify_instance("i-0123456789abcdef0"))
    assert isinstance(error, efa.errors.VerifyError)
    assert error.code == "verify.instance_not_found"
    assert error.cure


def test_as_a_coroutine(cloud: Cloud) -> None:
    (first, *_) = cloud.apply().instances
    client = efa.aio.Client(endpoint_url=cloud.stand_in.endpoint_url, region="us-east-1")
    report = asyncio.run(client.verify_instance(first.instance_id))
    assert report == cloud.client.verify_instance(first.instance_id)
