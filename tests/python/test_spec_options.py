"""A specification beyond the defaults: groups, tags, tenancy, threads, price, metadata."""

from __future__ import annotations

import base64
import email
import gzip
import inspect
import json
from datetime import timedelta
from typing import Any

import efa_sdk as efa
import pytest
from support import P5, Cloud, check, lines, raised

BASE: dict[str, Any] = {
    "name": "train",
    "instance_type": P5,
    "count": 2,
    "subnet": "private",
    "image": "al2023",
}
FULL: dict[str, Any] = {
    **BASE,
    "minimum_count": 1,
    "capacity": "spot",
    "security_group": "sg-0123456789abcdef0",
    "adopt_security_group": True,
    "further_security_groups": ["sg-1123456789abcdef0"],
    "ena_security_groups": ["storage"],
    "placement_group_name": "near",
    "efa": 4,
    "volume_type": "io2",
    "volume_iops": 2000,
    "volume_kms_key_id": "alias/train",
    "volumes": [efa.Volume(device_name="/dev/sdf", size_gib=10)],
    "tenancy": "dedicated",
    "threads_per_core": 1,
    "spot_maximum_price": "12.5",
    "metadata_hop_limit": 3,
    "metadata_tags": True,
    "host_names": "resource-name",
    "instance_profile": efa.InstanceRole(scripts_bucket="scripts"),
    "user_data": "#!/bin/sh",
    "compress_user_data": True,
    "tags": {"team": "x"},
    "name_tag": "trainer",
    "interface_tags": {"network": "fabric"},
}


def group(cloud: Cloud, name: str) -> str:
    made = cloud.ec2.create_security_group(
        GroupName=name, Description=name, VpcId=cloud.network.vpc_id
    )
    return str(made["GroupId"])


def test_groups_and_options_are_printed_sent_and_replaced(cloud: Cloud) -> None:
    further, ena = group(cloud, "audit"), group(cloud, "storage")
    asked: dict[str, Any] = {
        "further_security_groups": [further],
        "ena_security_groups": ["storage"],
        "tenancy": "dedicated",
        "threads_per_core": 1,
        "metadata_hop_limit": 3,
        "metadata_tags": True,
        "host_names": "resource-name",
        "name_tag": "trainer",
        "interface_tags": {"network": "fabric"},
        "tags": {"team": "x"},
    }
    plain, plan = cloud.plan(P5), cloud.plan(P5, **asked)
    assert efa.Plan.from_json(plan.to_json()) == plan
    stored = json.loads(plain.to_json())
    assert not {*asked} - {"tags"} & {*stored["spec"], *stored}
    text = list(lines(str(plan)))
    assert f"= security group   {further} audit (every interface)" in text
    assert f"= security group   {ena} storage (not EFA-only)" in text
    assert (
        "options        dedicated tenancy, 1 threads per core, metadata over 3 hops, "
        "host names by resource-name, tags in metadata, named 'trainer'" in text
    )

    cluster = cloud.client.apply(plan)
    assert cloud.client.verify("train").is_as_planned
    own = cluster.security_group_id
    first, second = cloud.instances()
    for instance in (first, second):
        assert instance["Placement"]["Tenancy"] == "dedicated"
        assert instance["CpuOptions"]["ThreadsPerCore"] == 1
        assert instance["MetadataOptions"]["HttpPutResponseHopLimit"] == 3
        assert {"Key": "Name", "Value": "trainer"} in instance["Tags"]
        assert instance["PrivateDnsName"] == f"{instance['InstanceId']}.ec2.internal"
    (sent,) = cloud.sent("RunInstances")
    kinds = [i.interface_type for i in plan.layout.interfaces]
    for number, kind in enumerate(kinds, 1):
        groups = [v for k, v in sent.items() if k.startswith(f"NetworkInterface.{number}.Secur")]
        assert groups == ([own, further] if kind == "efa-only" else [own, further, ena])
    assert sent["MetadataOptions.InstanceMetadataTags"] == "enabled"
    assert sent["MetadataOptions.HttpTokens"] == "required"

    replaced = cloud.client.replace("train", nodes=[second["InstanceId"]])
    assert cloud.client.verify("train").is_as_planned
    assert len(replaced.instances) == 2
    again = cloud.sent("RunInstances")[1]
    same = ("NetworkInterface.", "CpuOptions", "MetadataOptions", "Placement", "PrivateDns")
    assert {k: v for k, v in again.items() if k.startswith(same)} == {
        k: v for k, v in sent.items() if k.startswith(same)
    }
    assert {tag_of(again, "network-interface", "network"), tag_of(again, "instance", "Name")} == {
        "fabric",
        "trainer",
    }


def tag_of(sent: dict[str, str], kind: str, key: str) -> str | None:
    """The value of a tag that a launch gives to this kind of resource."""
    for number in range(1, 4):
        at = f"TagSpecification.{number}."
        if sent.get(f"{at}ResourceType") == kind:
            (name,) = (k for k, v in sent.items() if k.startswith(at) and v == key)
            return sent[name.replace(".Key", ".Value")]
    return None


@pytest.mark.parametrize(
    ("field", "asked"),
    [
        ("spot_maximum_price", {"spot_maximum_price": "12.5"}),
        ("spot_maximum_price", {"spot_maximum_price": "0.001", "capacity": "spot"}),
        ("spot_maximum_price", {"spot_maximum_price": "1e9", "capacity": "spot"}),
        ("metadata_hop_limit", {"metadata_hop_limit": 0}),
        ("metadata_hop_limit", {"metadata_hop_limit": 65}),
        ("metadata_tags", {"metadata_tags": True, "tags": {"cost/centre": "7"}}),
        ("threads_per_core", {"threads_per_core": 3}),
        ("tenancy", {"tenancy": "host"}),
        ("host_names", {"host_names": "name"}),
        ("name_tag", {"name_tag": ""}),
        ("interface_tags", {"interface_tags": {"efa-sdk:cluster": "other"}}),
        ("tags", {"tags": {"aws:x": "y"}}),
        ("further_security_groups", {"further_security_groups": ["x"] * 16}),
    ],
)
def test_contradictions_are_refused_with_their_limit(field: str, asked: dict[str, Any]) -> None:
    check(raised(lambda: efa.ClusterSpec(**BASE, **asked)), "plan.invalid_spec", field=field)


def test_what_the_type_or_the_vpc_lacks_is_refused(cloud: Cloud) -> None:
    error = raised(lambda: cloud.plan("c5n.metal", threads_per_core=1))
    check(error, "plan.conflict", field="threads_per_core")
    vpc = cloud.ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    made = cloud.ec2.create_security_group(GroupName="far", Description="far", VpcId=vpc)
    error = raised(lambda: cloud.plan(further_security_groups=[made["GroupId"]]))
    check(error, "plan.conflict", field="further_security_groups")
    near = group(cloud, "near")
    both = {"further_security_groups": [near], "ena_security_groups": ["near"]}
    check(raised(lambda: cloud.plan(**both)), "plan.conflict", field="ena_security_groups")
    error = raised(lambda: cloud.plan(ena_security_groups=["nobody"]))
    check(error, "plan.resource_not_found", field="ena_security_groups")


def test_user_data_with_a_bootstrap_is_a_message_that_cloud_init_can_read(cloud: Cloud) -> None:
    own = "#!/bin/sh\necho für alle > /etc/motd\n--efa-sdk-part\n"
    plan = cloud.plan(user_data=own, bootstrap=efa.Bootstrap())
    assert plan.user_data is not None
    message = email.message_from_string(plan.user_data)
    assert message.get_content_type() == "multipart/mixed"
    first, second = message.get_payload()
    assert first.get_payload(decode=True).decode() == own
    assert (first.get_content_type(), second.get_content_type()) == ("text/x-shellscript",) * 2
    script = efa.Bootstrap().user_data("train")
    assert second.get_payload(decode=True).decode().rstrip("\n") == script.rstrip("\n")
    assert second.get_filename() == "efa-sdk-bootstrap.sh"


def test_user_data_that_is_too_large_is_sent_with_gzip_and_kept(cloud: Cloud) -> None:
    bootstrap = efa.Bootstrap(extra_script="true\n" * 4000, instance_store="/scratch")
    assert bootstrap.instance_store == "/scratch"
    plan = cloud.plan(P5, bootstrap=bootstrap)
    script = bootstrap.user_data("train")
    assert plan.user_data == script
    assert len(script) > 16_384
    assert f"user data      {len(script)} bytes, " in str(plan)
    cloud.client.apply(plan)
    _, second = cloud.instances()
    cloud.client.replace("train", nodes=[second["InstanceId"]])
    for sent in cloud.sent("RunInstances"):
        packed = base64.b64decode(sent["UserData"])
        assert len(packed) <= 16_384
        assert gzip.decompress(packed).decode() == script


def test_an_instance_store_that_the_type_lacks_is_refused(cloud: Cloud) -> None:
    bootstrap = efa.Bootstrap(instance_store="/scratch")
    error = raised(lambda: cloud.plan("c5n.18xlarge", bootstrap=bootstrap))
    check(error, "plan.conflict", field="instance_store")
    assert efa.Catalog.bundled()["c5n.18xlarge"].instance_storage_gb == 0
    error = raised(lambda: efa.Bootstrap(instance_store="scratch"))
    check(error, "plan.invalid_spec", field="instance_store")


def test_a_launch_template_is_the_base(cloud: Cloud) -> None:
    further = group(cloud, "audit")
    data: dict[str, Any] = {
        "ImageId": cloud.network.image_for(P5),
        "InstanceType": P5,
        "SecurityGroupIds": [further],
        "MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": 4},
        "TagSpecifications": [
            {"ResourceType": "instance", "Tags": [{"Key": "team", "Value": "x"}]}
        ],
    }
    made = cloud.ec2.create_launch_template(LaunchTemplateName="base", LaunchTemplateData=data)
    template = made["LaunchTemplate"]["LaunchTemplateId"]
    plan = cloud.plan(P5, image="launch-template", launch_template="base")
    assert f"= launch template  {template}, version 1: merged into this plan" in lines(str(plan))
    assert plan.spec.launch_template == f"{template}:1"
    assert plan.spec.further_security_groups == [further]
    assert (plan.spec.metadata_hop_limit, plan.spec.tags["team"]) == (4, "x")
    assert plan.image_id == data["ImageId"]
    cloud.client.apply(plan)
    (sent,) = cloud.sent("RunInstances")
    assert not [key for key in sent if key.startswith("LaunchTemplate")]
    assert cloud.client.verify("train").is_as_planned

    devices = [{"DeviceName": "/dev/xvda", "Ebs": {"Encrypted": False}}]
    unsafe: dict[str, Any] = {
        "MetadataOptions": {"HttpTokens": "optional"},
        "BlockDeviceMappings": devices,
    }
    cloud.ec2.create_launch_template_version(LaunchTemplateName="base", LaunchTemplateData=unsafe)
    error = raised(lambda: cloud.plan(P5, launch_template="base:2"))
    check(error, "plan.conflict", field="launch_template")
    assert "HttpTokens=optional" in str(error)
    assert "BlockDeviceMappings" in str(error)
    error = raised(lambda: cloud.plan(P5, launch_template="base:3"))
    check(error, "plan.resource_not_found", field="launch_template")


def test_replace_gives_another_specification_checked_anew() -> None:
    spec = efa.ClusterSpec(**FULL)
    assert spec.replace() == spec
    larger = spec.replace(count=4, capacity="on-demand", spot_maximum_price=None)
    assert (larger.count, spec.count) == (4, 2)
    assert larger.replace(count=2, capacity="spot", spot_maximum_price="12.5") == spec
    check(raised(lambda: spec.replace(count=0)), "plan.invalid_spec", field="count")
    with pytest.raises(TypeError, match="colour"):
        spec.replace(colour="red")


def test_replace_keeps_every_keyword_of_the_constructor() -> None:
    keywords = list(inspect.signature(efa.ClusterSpec).parameters)
    spec = efa.ClusterSpec(**FULL)
    for name in keywords:
        if name in FULL:
            value = FULL[name]
            shown = {"subnet": "subnets", "instance_profile": "instance_role"}.get(name, name)
            wanted = [value] if name == "subnet" else value
            assert getattr(spec.replace(), shown) == wanted, name
    others: dict[str, Any] = {
        "vpc": "v",
        "ssh_cidrs": [],
        "bootstrap": efa.Bootstrap(),
        "key_name": "me",
    }
    others["launch_template"] = "base:$Latest"
    others["expires_after"] = timedelta(hours=2)
    for name, value in others.items():
        base = efa.ClusterSpec(**BASE).replace(**{name: value})
        assert getattr(base.replace(count=3), name) == value
    known = {*FULL, *others, "placement", "profile", "public_ip", "interfaces", "volume_size_gib"}
    assert {*keywords} == known | {"volume_throughput_mib_s"}
