"""Cases of launches: types, images, networks, markets, reservations, volumes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from moto.ec2.models import ec2_backends

from rule_cases.scene import (
    B300,
    P4D,
    P5,
    PLAIN,
    Scene,
    case,
    group,
    group_target,
    raw,
    tagged,
    target,
)

# Launches

case("launch.counts")(lambda s: s.run(MinCount=3, MaxCount=2))
case("launch.unknown_type")(lambda s: s.run("p99.huge", SubnetId=s.net.subnet_for(P5)))


@case("launch.type_not_in_zone")
def _(s: Scene) -> None:
    offered = {
        entry["Location"]
        for entry in s.ec2.describe_instance_type_offerings(
            LocationType="availability-zone", Filters=[{"Name": "instance-type", "Values": [P4D]}]
        )["InstanceTypeOfferings"]
    }
    s.run(P4D, SubnetId=next(sub for zone, sub in s.net.subnets.items() if zone not in offered))


@case("launch.type_not_in_region")
def _(s: Scene) -> None:
    west = s.stand_in.client(region="us-west-1")
    net = s.stand_in.default_network(region="us-west-1")
    west.run_instances(
        ImageId=net.images["x86_64"],
        InstanceType=B300,
        MinCount=1,
        MaxCount=1,
        SubnetId=next(iter(net.subnets.values())),
    )


case("launch.malformed_image")(lambda s: s.run(ImageId="al2023"))
case("launch.unknown_image")(lambda s: s.run(ImageId="ami-0123456789abcdef0"))


@case("launch.image_unavailable")
def _(s: Scene) -> None:
    image = ec2_backends["123456789012"]["us-east-1"].amis[s.net.images["x86_64"]]
    image.state = "pending"
    try:
        s.run()
    finally:
        image.state = "available"


case("launch.dedicated_efa")(
    lambda s: s.run(
        "c7g.16xlarge",
        [s.nic(0, 0, "efa")],
        ImageId=s.net.images["arm64"],
        Placement={"Tenancy": "dedicated"},
    )
)
case("launch.architecture")(lambda s: s.run(ImageId=s.net.images["arm64"]))
case("launch.unknown_subnet")(lambda s: s.run(SubnetId="subnet-0123456789abcdef0"))


@case("launch.no_default_subnet")
def _(s: Scene) -> None:
    for subnet in s.ec2.describe_subnets()["Subnets"]:
        if subnet["DefaultForAz"]:
            s.ec2.delete_subnet(SubnetId=subnet["SubnetId"])
    s.run(SubnetId=None)


case("launch.zone_mismatch")(lambda s: s.run(Placement={"AvailabilityZone": "us-east-1z"}))
case("launch.unknown_group")(lambda s: s.run(SecurityGroupIds=["sg-0123456789abcdef0"]))


@case("launch.group_in_other_vpc")
def _(s: Scene) -> None:
    other = s.stand_in.default_network(name="other", cidr="10.9.0.0/16")
    group = s.ec2.create_security_group(GroupName="x", Description="x", VpcId=other.vpc_id)
    s.run(SecurityGroupIds=[group["GroupId"]])


case("launch.group_names_with_subnet")(lambda s: s.run(SecurityGroups=["efa"]))
case("launch.unknown_key")(lambda s: s.run(KeyName="nobody"))
case("launch.unknown_profile")(lambda s: s.run(IamInstanceProfile={"Name": "nobody"}))
case("launch.user_data_size")(lambda s: s.run(UserData="x" * 16385))
case("launch.user_data_encoding")(
    lambda s: raw(
        s,
        Action="RunInstances",
        ImageId=s.net.images["x86_64"],
        InstanceType=PLAIN,
        MinCount="1",
        MaxCount="1",
        UserData="#!/bin/sh",
    )
)
case("launch.unknown_placement_group")(lambda s: s.run(Placement={"GroupName": "nobody"}))
case("launch.placement_group_twice")(
    lambda s: s.run(Placement={"GroupName": "g", "GroupId": group(s)["GroupId"]})
)
case("launch.cluster_group_type")(
    lambda s: s.run("t3.micro", Placement={"GroupName": group(s)["GroupName"]})
)


@case("launch.cluster_group_zone")
def _(s: Scene) -> None:
    group(s)
    for zone in ("us-east-1a", "us-east-1b"):
        s.run("c5n.18xlarge", SubnetId=s.net.subnets[zone], Placement={"GroupName": "g"})


case("launch.unknown_market")(lambda s: s.run(InstanceMarketOptions={"MarketType": "flea"}))
case("launch.spot_not_supported")(
    lambda s: s.run("u7i-12tb.224xlarge", InstanceMarketOptions={"MarketType": "spot"})
)
case("launch.block_not_supported")(
    lambda s: s.run(InstanceMarketOptions={"MarketType": "capacity-block"})
)
BLOCK = {"MarketType": "capacity-block"}


def block(s: Scene, **more: Any) -> str:
    return s.stand_in.add_capacity_block(P5, s.zone_of(P5), more.pop("count", 2), **more)


case("launch.block_without_market")(
    lambda s: s.run(P5, CapacityReservationSpecification=target(block(s)))
)
case("launch.market_without_block")(lambda s: s.run(P5, InstanceMarketOptions=BLOCK))
case("launch.unknown_reservation")(
    lambda s: s.run(CapacityReservationSpecification=target("cr-0123456789abcdef0"))
)
case("launch.hostname_type")(lambda s: s.run(PrivateDnsNameOptions={"HostnameType": "name"}))
case("launch.unknown_reservation_group")(
    lambda s: s.run(CapacityReservationSpecification=group_target("arn:aws:x"))
)
case("launch.reservation_twice")(
    lambda s: s.run(
        CapacityReservationSpecification={
            "CapacityReservationTarget": {
                "CapacityReservationId": "cr-0123456789abcdef0",
                "CapacityReservationResourceGroupArn": "arn:aws:x",
            }
        }
    )
)
case("launch.reservation_preference")(
    lambda s: s.run(
        CapacityReservationSpecification={
            "CapacityReservationPreference": "open",
            **group_target("arn:aws:x"),
        }
    )
)
case("launch.reservation_full")(
    lambda s: s.run(MinCount=2, MaxCount=2, CapacityReservationSpecification=target(s.reserve()))
)


@case("launch.reservation_zone")
def _(s: Scene) -> None:
    other = next(zone for zone in s.net.subnets if zone != s.zone_of(PLAIN))
    s.run(CapacityReservationSpecification=target(s.reserve(AvailabilityZone=other)))


case("launch.reservation_tenancy")(
    lambda s: s.run(CapacityReservationSpecification=target(s.reserve(Tenancy="dedicated")))
)
case("launch.reservation_platform")(
    lambda s: s.run(
        CapacityReservationSpecification=target(s.reserve(InstancePlatform="SUSE Linux"))
    )
)
case("launch.block_not_active")(
    lambda s: s.run(
        P5,
        InstanceMarketOptions=BLOCK,
        CapacityReservationSpecification=target(block(s, starts_in=3600)),
    )
)
case("launch.cluster_group_with_block")(
    lambda s: s.run(
        P5,
        InstanceMarketOptions=BLOCK,
        CapacityReservationSpecification=target(block(s)),
        Placement={"GroupName": group(s)["GroupName"]},
    )
)


@case("launch.subnet_full")
def _(s: Scene) -> None:
    small = s.ec2.create_subnet(
        VpcId=s.net.vpc_id, CidrBlock="10.0.240.0/28", AvailabilityZone=s.zone_of(PLAIN)
    )["Subnet"]["SubnetId"]
    s.run(SubnetId=small, MinCount=12, MaxCount=12)


@case("launch.no_capacity")
def _(s: Scene) -> None:
    s.stand_in.set_capacity("c5n.18xlarge", s.zone_of("c5n.18xlarge"), 1)
    s.run("c5n.18xlarge", MinCount=2, MaxCount=2)


@case("launch.no_capacity_anywhere")
def _(s: Scene) -> None:
    for zone in s.net.subnets:
        s.stand_in.set_capacity("c5n.18xlarge", zone, 0)
    s.run("c5n.18xlarge")


case("launch.unknown_template")(
    lambda s: s.run(LaunchTemplate={"LaunchTemplateId": "lt-0123456789abcdef0"})
)
case("launch.volume_size")(
    lambda s: s.run(BlockDeviceMappings=[{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 7}}])
)


def volume(**ebs: Any) -> Callable[[Scene], Any]:
    """A launch with one more volume, of 200 GiB unless it states otherwise."""
    mapping = {"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 200, "VolumeType": "gp3", **ebs}}
    return lambda s: s.run(BlockDeviceMappings=[mapping])


case("launch.cpu_options_half")(lambda s: s.run(CpuOptions={"ThreadsPerCore": 1}))
case("launch.cpu_options_metal")(
    lambda s: s.run("c5n.metal", CpuOptions={"CoreCount": 36, "ThreadsPerCore": 1})
)
case("launch.cpu_options")(lambda s: s.run(CpuOptions={"CoreCount": 4, "ThreadsPerCore": 3}))
case("launch.hop_limit")(lambda s: s.run(MetadataOptions={"HttpPutResponseHopLimit": 65}))
case("launch.spot_price")(
    lambda s: s.run(
        InstanceMarketOptions={"MarketType": "spot", "SpotOptions": {"MaxPrice": "0.001"}}
    )
)
case("launch.volume_type")(volume(VolumeType="gp9"))
case("launch.volume_range")(volume(Throughput=124))
case("launch.volume_option")(volume(VolumeType="gp2", Iops=600))
case("launch.volume_iops_missing")(volume(VolumeType="io2"))
case("launch.volume_iops_ratio")(volume(VolumeType="io1", Iops=10_001))
case("launch.volume_throughput_ratio")(volume(Throughput=751))
case("launch.volume_key")(volume(KmsKeyId="alias/train"))
case("launch.no_device_name")(lambda s: s.run(BlockDeviceMappings=[{"Ebs": {"VolumeSize": 100}}]))
case("launch.metadata_tag_key")(
    lambda s: s.run(
        MetadataOptions={"InstanceMetadataTags": "enabled"},
        TagSpecifications=tagged(("karpenter.sh/discovery", "prod")),
    )
)
