"""The EC2 stand-in: what it carries out, and how it can be steered."""

from __future__ import annotations

import gc
import json
import os
import shutil
import subprocess
import sys
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from efa_sdk.testing import StandIn, StandInError, rules_markdown
from iam_support import TRUST
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.ec2.models import ec2_backends
from stand_in_launches import (
    C5N,
    P5,
    PLAIN,
    code_of,
    described,
    ids,
    launch,
    p5_cluster,
    p5_interfaces,
)


def test_two_p5_read_back_all_their_interfaces(stand_in: StandIn) -> None:
    kinds = ("instance", "network-interface", "volume")
    tags = [{"ResourceType": kind, "Tags": [{"Key": "Name", "Value": kind}]} for kind in kinds]
    made, group = p5_cluster(stand_in, TagSpecifications=tags)
    assert len(made["Instances"]) == 2
    for instance in described(stand_in, InstanceIds=ids(made)):
        nics = instance["NetworkInterfaces"]
        assert len(nics) == 33
        slots = {
            (n["Attachment"]["NetworkCardIndex"], n["Attachment"]["DeviceIndex"]): n for n in nics
        }
        assert len(slots) == 33
        assert slots[0, 0]["InterfaceType"] == "interface"
        assert slots[0, 0]["PrivateIpAddress"] == instance["PrivateIpAddress"]
        efa_only = [n for n in nics if n["InterfaceType"] == "efa-only"]
        assert sorted(n["Attachment"]["NetworkCardIndex"] for n in efa_only) == list(range(32))
        assert not any("PrivateIpAddress" in n or n["PrivateIpAddresses"] for n in efa_only)
        assert all([g["GroupId"] for g in n["Groups"]] == [group] for n in nics)
        assert instance["Placement"]["GroupName"] == "train"
        assert instance["Tags"] == [{"Key": "Name", "Value": "instance"}]
    listed = stand_in.client().describe_network_interfaces(
        Filters=[{"Name": "interface-type", "Values": ["efa-only"]}]
    )["NetworkInterfaces"]
    assert len(listed) == 64
    assert {n["TagSet"][0]["Value"] for n in listed} == {"network-interface"}
    assert {n["Attachment"]["InstanceId"] for n in listed} == set(ids(made))
    volumes = stand_in.client().describe_volumes()["Volumes"]
    mine = [v for v in volumes if v["Attachments"]]
    assert [v["Tags"][0]["Value"] for v in mine] == ["volume", "volume"]


def test_only_interfaces_with_an_address_take_one_from_the_subnet(stand_in: StandIn) -> None:
    net, ec2 = stand_in.default_network(), stand_in.client()

    def free() -> int:
        subnets = ec2.describe_subnets(SubnetIds=[net.subnet_for(P5)])["Subnets"]
        return int(subnets[0]["AvailableIpAddressCount"])

    before = free()
    p5_cluster(stand_in)
    assert before - free() == 2


def test_p6_b300_takes_efas_on_all_cards_but_the_first(stand_in: StandIn) -> None:
    net = stand_in.default_network()
    subnet = net.subnet_for("p6-b300.48xlarge")
    nics = [{"NetworkCardIndex": 0, "DeviceIndex": 0, "SubnetId": subnet}] + [
        {
            "NetworkCardIndex": card,
            "DeviceIndex": 0,
            "InterfaceType": "efa-only",
            "SubnetId": subnet,
        }
        for card in range(1, 17)
    ]
    made = launch(stand_in, "p6-b300.48xlarge", NetworkInterfaces=nics)
    assert len(described(stand_in, InstanceIds=ids(made))[0]["NetworkInterfaces"]) == 17


def test_what_a_launch_says_is_kept_on_every_instance(stand_in: StandIn) -> None:
    iam, ec2 = stand_in.client("iam"), stand_in.client()
    stand_in.iam_propagation_calls = 0
    iam.create_role(RoleName="node", AssumeRolePolicyDocument=TRUST)
    iam.attach_role_policy(
        RoleName="node", PolicyArn="arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"
    )
    profile = iam.create_instance_profile(InstanceProfileName="node")["InstanceProfile"]
    iam.add_role_to_instance_profile(InstanceProfileName="node", RoleName="node")
    ebs = {"VolumeSize": 300, "VolumeType": "gp3", "Iops": 16000, "Throughput": 1000}
    made = launch(
        stand_in,
        count=2,
        IamInstanceProfile={"Name": "node"},
        MetadataOptions={"HttpTokens": "required", "HttpPutResponseHopLimit": 2},
        BlockDeviceMappings=[{"DeviceName": "/dev/xvda", "Ebs": {**ebs, "Encrypted": True}}],
        InstanceMarketOptions={"MarketType": "spot"},
        CapacityReservationSpecification={"CapacityReservationPreference": "none"},
        UserData="#!/bin/sh\ntrue\n",
    )
    for instance in described(stand_in, InstanceIds=ids(made)):
        assert instance["IamInstanceProfile"]["Arn"] == profile["Arn"]
        assert instance["MetadataOptions"]["HttpTokens"] == "required"
        assert instance["MetadataOptions"]["HttpPutResponseHopLimit"] == 2
        assert instance["InstanceLifecycle"] == "spot"
        spec = instance["CapacityReservationSpecification"]
        assert spec == {"CapacityReservationPreference": "none"}
        volume_id = instance["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]
        volume = ec2.describe_volumes(VolumeIds=[volume_id])["Volumes"][0]
        assert {key: volume[key if key != "VolumeSize" else "Size"] for key in ebs} == ebs
        assert volume["Encrypted"]
    attribute = ec2.describe_instance_attribute(InstanceId=ids(made)[0], Attribute="userData")
    assert attribute["UserData"]["Value"]


def test_the_same_token_finds_the_same_instances(stand_in: StandIn) -> None:
    first = ids(launch(stand_in, count=2, ClientToken="a"))
    assert ids(launch(stand_in, count=2, ClientToken="a")) == first
    assert len(described(stand_in)) == 2
    with pytest.raises(ClientError) as caught:
        launch(stand_in, count=3, ClientToken="a")
    assert code_of(caught) == "IdempotentParameterMismatch"
    found = described(stand_in, Filters=[{"Name": "client-token", "Values": ["a"]}])
    assert [instance["InstanceId"] for instance in found] == first


def test_a_token_with_a_subnet_counts_per_zone(stand_in: StandIn) -> None:
    net = stand_in.default_network()
    zones = ("us-east-1a", "us-east-1b")
    made = [
        ids(launch(stand_in, C5N, ClientToken="a", SubnetId=net.subnets[zone])) for zone in zones
    ]
    assert made[0] != made[1]


def test_a_refused_launch_may_use_its_token_again(stand_in: StandIn) -> None:
    net = stand_in.default_network()
    zone = next(z for z, s in net.subnets.items() if s == net.subnet_for(C5N))
    stand_in.set_capacity(C5N, zone, 0)
    with pytest.raises(ClientError) as caught:
        launch(stand_in, C5N, ClientToken="a")
    assert code_of(caught) == "InsufficientInstanceCapacity"
    stand_in.set_capacity(C5N, zone, None)
    assert launch(stand_in, C5N, ClientToken="a")


def states(stand_in: StandIn, *chosen: str) -> list[str]:
    return [i["State"]["Name"] for i in described(stand_in, InstanceIds=list(chosen))]


def test_instances_take_time(stand_in: StandIn) -> None:
    made, group = p5_cluster(stand_in, 1)
    ec2 = stand_in.client()
    assert made["Instances"][0]["State"]["Name"] == "pending"
    one = ids(made)[0]
    assert states(stand_in, one) == ["pending"]
    assert states(stand_in, one) == ["running"]
    change = ec2.terminate_instances(InstanceIds=[one])["TerminatingInstances"][0]
    assert change["CurrentState"] == {"Code": 32, "Name": "shutting-down"}
    assert change["PreviousState"] == {"Code": 16, "Name": "running"}
    with pytest.raises(ClientError) as caught:
        ec2.delete_security_group(GroupId=group)
    assert code_of(caught) == "DependencyViolation"
    ec2.describe_instances()
    gone = described(stand_in, InstanceIds=[one])[0]
    assert gone["State"]["Name"] == "terminated"
    assert gone["NetworkInterfaces"] == []
    assert ec2.describe_network_interfaces()["NetworkInterfaces"] == []
    ec2.delete_placement_group(GroupName="train")
    ec2.delete_security_group(GroupId=group)
    assert ec2.describe_placement_groups()["PlacementGroups"] == []


def test_waiting_for_a_group_alone_comes_to_an_end(stand_in: StandIn) -> None:
    made, _ = p5_cluster(stand_in, 1)
    ec2 = stand_in.client()
    ec2.terminate_instances(InstanceIds=ids(made))
    with pytest.raises(ClientError) as caught:
        ec2.delete_placement_group(GroupName="train")
    assert code_of(caught) == "InvalidPlacementGroup.InUse"
    ec2.delete_placement_group(GroupName="train")


def test_boto3_waiters_work(stand_in: StandIn) -> None:
    made = ids(launch(stand_in, count=2))
    ec2, quickly = stand_in.client(), {"Delay": 0, "MaxAttempts": 5}
    ec2.get_waiter("instance_running").wait(InstanceIds=made, WaiterConfig=quickly)
    ec2.get_waiter("instance_status_ok").wait(InstanceIds=made, WaiterConfig=quickly)
    ec2.terminate_instances(InstanceIds=made)
    ec2.get_waiter("instance_terminated").wait(InstanceIds=made, WaiterConfig=quickly)


def test_efa_is_attached_to_a_stopped_instance(stand_in: StandIn) -> None:
    ec2, net = stand_in.client(), stand_in.default_network()
    one = ids(launch(stand_in, P5))[0]
    eni = ec2.create_network_interface(SubnetId=net.subnet_for(P5), InterfaceType="efa-only")
    assert "PrivateIpAddress" not in eni["NetworkInterface"]
    eni_id = eni["NetworkInterface"]["NetworkInterfaceId"]
    states(stand_in, one)
    ec2.stop_instances(InstanceIds=[one])
    assert states(stand_in, one) == ["stopping"]
    assert states(stand_in, one) == ["stopped"]
    slot = {"InstanceId": one, "DeviceIndex": 0, "NetworkCardIndex": 3}
    ec2.attach_network_interface(NetworkInterfaceId=eni_id, **slot)
    nics = described(stand_in, InstanceIds=[one])[0]["NetworkInterfaces"]
    assert [n["Attachment"]["NetworkCardIndex"] for n in nics] == [0, 3]
    ec2.detach_network_interface(AttachmentId=nics[1]["Attachment"]["AttachmentId"])
    ec2.delete_network_interface(NetworkInterfaceId=eni_id)
    ec2.start_instances(InstanceIds=[one])


def test_elastic_ip_on_the_primary_of_many(stand_in: StandIn) -> None:
    made, _ = p5_cluster(stand_in, 1)
    ec2 = stand_in.client()
    tags = [{"ResourceType": "elastic-ip", "Tags": [{"Key": "k", "Value": "v"}]}]
    address = ec2.allocate_address(Domain="vpc", TagSpecifications=tags)
    primary = made["Instances"][0]["NetworkInterfaces"][0]["NetworkInterfaceId"]
    ec2.associate_address(AllocationId=address["AllocationId"], NetworkInterfaceId=primary)
    assert described(stand_in)[0]["PublicIpAddress"] == address["PublicIp"]
    nic = ec2.describe_network_interfaces(NetworkInterfaceIds=[primary])["NetworkInterfaces"][0]
    assert nic["Association"]["AllocationId"] == address["AllocationId"]
    found = ec2.describe_addresses(Filters=[{"Name": "tag:k", "Values": ["v"]}])["Addresses"][0]
    ec2.disassociate_address(AssociationId=found["AssociationId"])
    ec2.release_address(AllocationId=address["AllocationId"])
    assert "PublicIpAddress" not in described(stand_in)[0]


def test_a_lone_interface_may_have_a_public_ip(stand_in: StandIn) -> None:
    subnet = stand_in.default_network().subnet_for(C5N)
    nic = {
        "DeviceIndex": 0,
        "InterfaceType": "efa",
        "SubnetId": subnet,
        "AssociatePublicIpAddress": True,
    }
    launch(stand_in, C5N, NetworkInterfaces=[nic])
    assert described(stand_in)[0]["PublicIpAddress"]


def test_failed_launches_leave_nothing(stand_in: StandIn) -> None:
    net, ec2 = stand_in.default_network(), stand_in.client()

    def everything() -> dict[str, int]:
        return {
            "instances": len(described(stand_in)),
            "interfaces": len(ec2.describe_network_interfaces()["NetworkInterfaces"]),
            "volumes": len([v for v in ec2.describe_volumes()["Volumes"] if v["Attachments"]]),
            "tags": len(ec2.describe_tags(Filters=[{"Name": "key", "Values": ["k"]}])["Tags"]),
        }

    before = everything()
    tags = [{"ResourceType": kind, "Tags": [{"Key": "k", "Value": "v"}]} for kind in ("instance",)]
    bad_volume = {"VolumeSize": 10, "VolumeType": "gp2", "Throughput": 500}
    for more in (
        {"NetworkInterfaces": [{"DeviceIndex": 1, "SubnetId": net.subnet_for(PLAIN)}]},
        {"BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": bad_volume}]},
        {"DryRun": True},
    ):
        with pytest.raises(ClientError):
            launch(stand_in, count=2, TagSpecifications=tags, **more)
        assert everything() == before


def test_between_minimum_and_maximum(stand_in: StandIn) -> None:
    net = stand_in.default_network()
    zone = next(z for z, s in net.subnets.items() if s == net.subnet_for(C5N))
    stand_in.set_capacity(C5N, zone, 3)
    assert len(launch(stand_in, C5N, count=5, low=2)["Instances"]) == 3
    with pytest.raises(ClientError) as caught:
        launch(stand_in, C5N)
    error = caught.value.response
    assert error["ResponseMetadata"]["HTTPStatusCode"] == 500
    assert f"you requested ({zone})" in error["Error"]["Message"]
    assert "us-east-1b" in error["Error"]["Message"]


def test_reservations_and_blocks(stand_in: StandIn) -> None:
    net, ec2 = stand_in.default_network(), stand_in.client()
    zone = next(z for z, s in net.subnets.items() if s == net.subnet_for(P5))
    block = stand_in.add_capacity_block(P5, zone, 2)

    def left() -> int:
        found = ec2.describe_capacity_reservations(CapacityReservationIds=[block])
        entry = found["CapacityReservations"][0]
        assert entry["ReservationType"] == "capacity-block"
        return int(entry["AvailableInstanceCount"])

    spec = {"CapacityReservationTarget": {"CapacityReservationId": block}}
    made = launch(
        stand_in,
        P5,
        2,
        InstanceMarketOptions={"MarketType": "capacity-block"},
        CapacityReservationSpecification=spec,
    )
    assert left() == 0
    instance = described(stand_in)[0]
    assert instance["CapacityReservationId"] == block
    assert instance["CapacityReservationSpecification"] == spec
    assert instance["InstanceLifecycle"] == "capacity-block"
    ec2.terminate_instances(InstanceIds=ids(made))
    states(stand_in, *ids(made))
    assert left() == 2
    own = ec2.create_capacity_reservation(
        InstanceType=C5N, InstancePlatform="Linux/UNIX", AvailabilityZone=zone, InstanceCount=1
    )["CapacityReservation"]
    stand_in.set_capacity(C5N, zone, 0)
    in_open = launch(stand_in, C5N, SubnetId=net.subnets[zone])
    assert in_open["Instances"][0]["CapacityReservationId"] == own["CapacityReservationId"]


def test_topology_of_running_instances(stand_in: StandIn) -> None:
    made, _ = p5_cluster(stand_in, 6)
    ec2 = stand_in.client()
    assert ec2.describe_instance_topology(InstanceIds=ids(made))["Instances"] == []
    states(stand_in, *ids(made))
    found = ec2.describe_instance_topology(InstanceIds=ids(made))["Instances"]
    assert [entry["GroupName"] for entry in found] == ["train"] * 6
    assert len({entry["NetworkNodes"][1] for entry in found}) == 1
    assert len({entry["NetworkNodes"][2] for entry in found}) == 2
    assert all(len(entry["NetworkNodes"]) == 3 for entry in found)


def test_paging(stand_in: StandIn) -> None:
    ec2 = stand_in.client()
    efa = [{"Name": "network-info.efa-supported", "Values": ["true"]}]
    pages = list(ec2.get_paginator("describe_instance_types").paginate(Filters=efa))
    assert [len(page["InstanceTypes"]) for page in pages] == [100, 100, 100, 3]
    card = pages[0]["InstanceTypes"][0]["NetworkInfo"]["NetworkCards"][0]
    assert "efa-only" in card["InterfaceTypes"]
    launch(stand_in, count=7)
    paginator = ec2.get_paginator("describe_instances")
    sizes = [
        sum(len(reservation["Instances"]) for reservation in page["Reservations"])
        for page in paginator.paginate(PaginationConfig={"PageSize": 5})
    ]
    assert sizes == [5, 2]
    for name, key in (
        ("describe_subnets", "Subnets"),
        ("describe_security_groups", "SecurityGroups"),
        ("describe_network_interfaces", "NetworkInterfaces"),
    ):
        whole = len(getattr(ec2, name)()[key])
        paged = ec2.get_paginator(name).paginate(PaginationConfig={"PageSize": 5})
        assert sum(len(page[key]) for page in paged) == whole
    images = ec2.describe_images(MaxResults=10)
    assert len(images["Images"]) == 10
    assert images["NextToken"]
    offered = ec2.get_paginator("describe_instance_type_offerings").paginate(
        LocationType="availability-zone", Filters=[{"Name": "instance-type", "Values": ["p5*"]}]
    )
    types = {e["InstanceType"] for page in offered for e in page["InstanceTypeOfferings"]}
    assert {"p5.48xlarge", "p5en.48xlarge"} <= types


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("tag:Name", "no*"),
        ("tag-key", "Name"),
        ("instance-state-name", "pending"),
        ("instance-type", "p5.*"),
        ("placement-group-name", "train"),
        ("network-interface.subnet-id", "subnet-*"),
        ("network-interface.attachment.device-index", "1"),
        ("availability-zone", "us-east-1?"),
        ("client-token", "token"),
    ],
)
def test_filters_of_instances(stand_in: StandIn, name: str, value: str) -> None:
    tags = [{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": "node"}]}]
    p5_cluster(stand_in, 1, TagSpecifications=tags, ClientToken="token")
    assert described(stand_in, Filters=[{"Name": name, "Values": [value]}])
    assert not described(stand_in, Filters=[{"Name": name, "Values": ["other"]}])


def test_placement_groups_by_name_id_filter_and_tag(stand_in: StandIn) -> None:
    ec2 = stand_in.client()
    tags = [{"ResourceType": "placement-group", "Tags": [{"Key": "k", "Value": "v"}]}]
    made = ec2.create_placement_group(GroupName="a", Strategy="cluster", TagSpecifications=tags)
    ec2.create_placement_group(GroupName="b", Strategy="spread")
    group_id = made["PlacementGroup"]["GroupId"]
    for options in (
        {"GroupNames": ["a"]},
        {"GroupIds": [group_id]},
        {"Filters": [{"Name": "strategy", "Values": ["cluster"]}]},
        {"Filters": [{"Name": "tag:k", "Values": ["v"]}]},
    ):
        found = ec2.describe_placement_groups(**options)["PlacementGroups"]
        assert [group["GroupId"] for group in found] == [group_id]
    ec2.create_tags(Resources=[group_id], Tags=[{"Key": "late", "Value": "yes"}])
    found = ec2.describe_tags(Filters=[{"Name": "resource-type", "Values": ["placement-group"]}])
    assert {tag["Key"] for tag in found["Tags"]} == {"k", "late"}
    launch(stand_in, C5N, Placement={"GroupId": group_id})
    assert described(stand_in)[0]["Placement"]["GroupName"] == "a"


def test_a_launch_template_gives_its_interfaces(stand_in: StandIn) -> None:
    ec2, net = stand_in.client(), stand_in.default_network()
    group = ec2.create_security_group(GroupName="efa", Description="d", VpcId=net.vpc_id)
    ec2.create_launch_template(
        LaunchTemplateName="p5",
        LaunchTemplateData={
            "ImageId": net.image_for(P5),
            "InstanceType": P5,
            "NetworkInterfaces": p5_interfaces(net.subnet_for(P5), group["GroupId"]),
            "TagSpecifications": [
                {"ResourceType": "instance", "Tags": [{"Key": "from", "Value": "template"}]}
            ],
        },
    )
    ec2.run_instances(LaunchTemplate={"LaunchTemplateName": "p5"}, MinCount=1, MaxCount=1)
    instance = described(stand_in)[0]
    assert len(instance["NetworkInterfaces"]) == 33
    assert instance["Tags"] == [{"Key": "from", "Value": "template"}]


def test_reset_clears_everything(stand_in: StandIn) -> None:
    made, _ = p5_cluster(stand_in, 1, ClientToken="a")
    stand_in.add_capacity_block(P5, "us-east-1a", 1)
    stand_in.fail("DescribeVpcs", "Whatever", times=None)
    stand_in.reset()
    assert stand_in.requests == []
    ec2 = stand_in.client()
    assert described(stand_in) == []
    assert ec2.describe_placement_groups()["PlacementGroups"] == []
    assert ec2.describe_capacity_reservations()["CapacityReservations"] == []
    assert len(ec2.describe_vpcs()["Vpcs"]) == 1
    stand_in.reset()
    again, _ = p5_cluster(stand_in, 1, ClientToken="a")
    assert ids(again) == ids(made), "the seed makes ids repeat"


def test_a_reset_keeps_nothing_in_memory(stand_in: StandIn) -> None:
    p5_cluster(stand_in, 1)
    before = weakref.ref(ec2_backends[DEFAULT_ACCOUNT_ID]["us-east-1"])
    stand_in.reset()
    stand_in.default_network()
    gc.collect()
    assert before() is None


def test_eight_launches_at_once(stand_in: StandIn) -> None:
    net = stand_in.default_network()
    group = stand_in.client().create_security_group(
        GroupName="efa", Description="d", VpcId=net.vpc_id
    )["GroupId"]
    nics = p5_interfaces(net.subnet_for(P5), group)
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: launch(stand_in, P5, NetworkInterfaces=nics), range(8)))
    assert len({name for one in made for name in ids(one)}) == 8
    found = described(stand_in)
    assert len(found) == 8
    assert all(len(instance["NetworkInterfaces"]) == 33 for instance in found)
    assert len({instance["PrivateIpAddress"] for instance in found}) == 8


def test_images_by_public_parameter_are_launchable(stand_in: StandIn) -> None:
    ssm, ec2 = stand_in.client("ssm"), stand_in.client()
    for architecture in ("x86_64", "arm64"):
        name = f"/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-{architecture}"
        image_id = ssm.get_parameter(Name=name)["Parameter"]["Value"]
        image = ec2.describe_images(ImageIds=[image_id])["Images"][0]
        assert image["Architecture"] == architecture
        assert image["RootDeviceName"] == "/dev/xvda"
        assert image["EnaSupport"]


def test_the_log_keeps_the_wire_order(stand_in: StandIn) -> None:
    stand_in.client().create_placement_group(GroupName="a", Strategy="cluster")
    entry = stand_in.requests[-1]
    assert (entry.service, entry.action, entry.region) == (
        "ec2",
        "CreatePlacementGroup",
        "us-east-1",
    )
    assert [name for name, _ in entry.parameters][-2:] == ["GroupName", "Strategy"]
    assert entry.status == 200


def test_the_aws_cli_reads_it(stand_in: StandIn) -> None:
    aws = Path(sys.executable).with_name("aws")
    if not aws.exists() and not shutil.which("aws"):
        pytest.skip("no AWS CLI installed")
    p5_cluster(stand_in, 1)

    def run(*words: str) -> Any:
        done = subprocess.run(
            [str(aws) if aws.exists() else "aws", "ec2", *words, "--output", "json"],
            env={**os.environ, **stand_in.environ},
            capture_output=True,
            text=True,
            check=True,
        )
        return json.loads(done.stdout)

    found = run("describe-instances", "--query", "Reservations[].Instances[].NetworkInterfaces[]")
    assert len(found) == 33
    assert sum(nic["InterfaceType"] == "efa-only" for nic in found) == 32
    groups = run("describe-placement-groups", "--group-names", "train")
    assert groups["PlacementGroups"][0]["Strategy"] == "cluster"


def test_one_at_a_time(stand_in: StandIn) -> None:
    with pytest.raises(StandInError, match="one state per process"):
        StandIn().start()


def test_without_moto_the_import_error_says_what_to_install() -> None:
    code = "import sys; sys.modules['moto'] = None; from efa_sdk.testing import StandIn"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode != 0
    assert "pip install 'moto[" in done.stderr


def test_the_documented_rules_are_the_enforced_ones() -> None:
    page = Path(__file__).parents[2] / "docs" / "stand-in.md"
    assert rules_markdown() in page.read_text(), (
        "docs/stand-in.md is out of date: python -m efa_sdk.testing --rules-markdown"
    )
