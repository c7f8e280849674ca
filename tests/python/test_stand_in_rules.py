"""Every rule of the stand-in is provoked over HTTP; a rule without a case fails."""

from __future__ import annotations

import base64
import json
import re
import urllib.parse
import urllib.request
from collections.abc import Callable
from typing import Any
from urllib.error import HTTPError
from xml.etree import ElementTree

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from efa_sdk.testing import RULES, Rule, StandIn
from iam_support import TRUST, node_profile
from moto.ec2.models import ec2_backends

P5, P4D, B300, PLAIN = "p5.48xlarge", "p4d.24xlarge", "p6-b300.48xlarge", "m5.2xlarge"


class Scene:
    """A network, a security group, and short ways to ask for things."""

    def __init__(self, stand_in: StandIn) -> None:
        self.stand_in = stand_in
        config = Config(parameter_validation=False, retries={"total_max_attempts": 1})
        self.ec2 = stand_in.client(config=config)
        self.net = stand_in.default_network()
        self.group = self.ec2.create_security_group(
            GroupName="efa", Description="efa", VpcId=self.net.vpc_id
        )["GroupId"]

    def nic(self, card: int, device: int, kind: str = "interface", **more: Any) -> dict[str, Any]:
        made = {
            "NetworkCardIndex": card,
            "DeviceIndex": device,
            "InterfaceType": kind,
            "SubnetId": self.net.subnet_for(P5),
            "Groups": [self.group],
            **more,
        }
        return {name: value for name, value in made.items() if value is not None}

    def run(self, instance_type: str = PLAIN, nics: Any = None, **more: Any) -> Any:
        request: dict[str, Any] = {
            "ImageId": self.net.images["x86_64"],
            "InstanceType": instance_type,
            "MinCount": 1,
            "MaxCount": 1,
        }
        if nics is not None:
            zone_subnet = self.net.subnet_for(instance_type)
            default = self.net.subnet_for(P5)
            request["NetworkInterfaces"] = [
                {**nic, "SubnetId": zone_subnet} if nic.get("SubnetId") == default else nic
                for nic in nics
            ]
        elif "SubnetId" not in more:
            request["SubnetId"] = self.net.subnet_for(instance_type)
        request.update(more)
        request = {name: value for name, value in request.items() if value is not None}
        return self.ec2.run_instances(**request)

    def one(self, instance_type: str = PLAIN, nics: Any = None, **more: Any) -> str:
        made: str = self.run(instance_type, nics, **more)["Instances"][0]["InstanceId"]
        return made

    def eni(self, kind: str = "interface", **more: Any) -> str:
        made = self.ec2.create_network_interface(
            SubnetId=more.pop("SubnetId", self.net.subnet_for(PLAIN)), InterfaceType=kind, **more
        )
        return str(made["NetworkInterface"]["NetworkInterfaceId"])

    def zone_of(self, instance_type: str) -> str:
        wanted = self.net.subnet_for(instance_type)
        return next(zone for zone, subnet in self.net.subnets.items() if subnet == wanted)

    def reserve(self, instance_type: str = PLAIN, **more: Any) -> str:
        made = self.ec2.create_capacity_reservation(
            **{
                "InstanceType": instance_type,
                "InstancePlatform": "Linux/UNIX",
                "AvailabilityZone": self.zone_of(instance_type),
                "InstanceCount": 1,
                "InstanceMatchCriteria": "targeted",
                **more,
            }
        )
        return str(made["CapacityReservation"]["CapacityReservationId"])

    def instances(self) -> list[str]:
        pages = self.ec2.describe_instances()["Reservations"]
        return [one["InstanceId"] for page in pages for one in page["Instances"]]

    def settle(self, *ids: str) -> None:
        for _ in range(2):
            self.ec2.describe_instances(InstanceIds=list(ids))


Case = Callable[[Scene], object]
CASES: dict[str, Case] = {}


def case(rule_id: str) -> Callable[[Case], Case]:
    def register(provoke: Case) -> Case:
        assert rule_id not in CASES
        CASES[rule_id] = provoke
        return provoke

    return register


def group_target(arn: str) -> Any:
    """The target of a launch: a resource group of reservations."""
    return {"CapacityReservationTarget": {"CapacityReservationResourceGroupArn": arn}}


def target(reservation: str) -> dict[str, Any]:
    return {"CapacityReservationTarget": {"CapacityReservationId": reservation}}


def tagged(*tags: tuple[str, str], kind: str = "instance") -> list[dict[str, Any]]:
    listed = [{"Key": key, "Value": value} for key, value in tags]
    return [{"ResourceType": kind, "Tags": listed}]


def raw(scene: Scene, **form: str) -> None:
    """A request that no SDK would make, turned into boto3's error."""
    body = urllib.parse.urlencode({"Version": "2016-11-15", **form}).encode()
    try:
        urllib.request.urlopen(scene.stand_in.endpoint_url, body)
    except HTTPError as error:
        root = ElementTree.fromstring(error.read())
        found = {name: root.findtext(f".//{name}") for name in ("Code", "Message")}
        meta = {"HTTPStatusCode": error.code}
        raise ClientError({"Error": found, "ResponseMetadata": meta}, form["Action"]) from None


# Requests

case("request.unknown_action")(lambda s: raw(s, Action="MakeCoffee"))
case("request.not_in_stand_in")(
    lambda s: s.ec2.describe_instance_type_offerings(LocationType="outpost")
)
case("request.unknown_parameter")(lambda s: raw(s, Action="DescribeVpcs", Colour="red"))
case("request.malformed_parameter")(
    lambda s: raw(s, Action="DescribeInstanceTypes", MaxResults="many")
)
case("request.missing_parameter")(lambda s: s.run(ImageId=None))
case("request.dry_run")(lambda s: s.run(DryRun=True))
case("request.unknown_filter")(
    lambda s: s.ec2.describe_instances(Filters=[{"Name": "colour", "Values": ["red"]}])
)
case("page.size")(lambda s: s.ec2.describe_instance_types(MaxResults=101))
case("page.token")(lambda s: s.ec2.describe_instances(NextToken="bm9uc2Vuc2U="))
case("page.with_ids")(
    lambda s: s.ec2.describe_instances(InstanceIds=[s.one()], MaxResults=5),
)


@case("token.other_body")
def _(s: Scene) -> None:
    s.run(ClientToken="t")
    s.run(ClientToken="t", KeyName=None, EbsOptimized=True)


@case("token.terminated")
def _(s: Scene) -> None:
    made = s.one(ClientToken="t")
    s.ec2.terminate_instances(InstanceIds=[made])
    s.settle(made)
    s.run(ClientToken="t")


case("token.too_long")(lambda s: s.run(ClientToken="t" * 65))
case("tags.too_many")(
    lambda s: s.run(TagSpecifications=tagged(*((f"k{i}", "v") for i in range(51))))
)
case("tags.key_size")(lambda s: s.run(TagSpecifications=tagged(("k" * 129, "v"))))
case("tags.value_size")(lambda s: s.run(TagSpecifications=tagged(("k", "v" * 257))))
case("tags.reserved")(lambda s: s.run(TagSpecifications=tagged(("aws:k", "v"))))
case("tags.duplicate")(lambda s: s.run(TagSpecifications=tagged(("k", "v"), ("k", "w"))))
case("tags.resource_type")(
    lambda s: s.ec2.create_placement_group(
        GroupName="g", Strategy="cluster", TagSpecifications=tagged(("k", "v"))
    )
)
case("tags.unknown_resource")(
    lambda s: s.ec2.create_tags(Resources=["zz-1"], Tags=[{"Key": "k", "Value": "v"}])
)

# Access


def allow_all(*actions: str) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": "*"}


def only(*actions: str) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": allow_all("ec2:Describe*", *actions)}


@case("auth.ec2")
def _(s: Scene) -> None:
    s.stand_in.authorize(only())
    s.run()


@case("auth.ec2_listing")
def _(s: Scene) -> None:
    denied = {"Effect": "Deny", "Action": "ec2:DescribeVpcs", "Resource": "*"}
    s.stand_in.authorize({"Statement": [only()["Statement"], denied]})
    s.ec2.describe_vpcs()


@case("auth.spot_role")
def _(s: Scene) -> None:
    s.stand_in.authorize(only("ec2:RunInstances"))
    s.run(InstanceMarketOptions={"MarketType": "spot"})


@case("auth.query")
def _(s: Scene) -> None:
    s.stand_in.authorize(only())
    s.stand_in.client("iam").get_role(RoleName="node")


@case("auth.json")
def _(s: Scene) -> None:
    s.stand_in.authorize(only())
    s.stand_in.client("ssm").get_parameter(Name="/a")


# IAM


def role(s: Scene, name: str = "node", trust: str = TRUST) -> Any:
    iam = s.stand_in.client("iam")
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)
    return iam


def inline(s: Scene, action: str) -> None:
    document = {"Version": "2012-10-17", "Statement": allow_all(action)}
    role(s).put_role_policy(RoleName="node", PolicyName="p", PolicyDocument=json.dumps(document))


case("iam.name")(lambda s: role(s, "a/b"))
case("iam.name_length")(lambda s: role(s, "r" * 65))
case("iam.trust_policy")(lambda s: role(s, trust="{}"))
case("iam.boundary")(
    lambda s: s.stand_in.client("iam").create_role(
        RoleName="node",
        AssumeRolePolicyDocument=TRUST,
        PermissionsBoundary="arn:aws:iam::123456789012:policy/none",
    )
)
case("iam.policy_action")(lambda s: inline(s, "logs: CreateLogGroup"))
case("iam.policy_size")(lambda s: inline(s, "logs:Create" + "a" * 10240))


@case("iam.role_not_in_profile")
def _(s: Scene) -> None:
    iam = role(s)
    iam.create_instance_profile(InstanceProfileName="p")
    iam.remove_role_from_instance_profile(InstanceProfileName="p", RoleName="node")


@case("launch.profile_without_role")
def _(s: Scene) -> None:
    s.stand_in.iam_propagation_calls = 0
    s.stand_in.client("iam").create_instance_profile(InstanceProfileName="p")
    s.run(IamInstanceProfile={"Name": "p"})


# Run Command


def online(s: Scene) -> str:
    s.stand_in.iam_propagation_calls = 0
    node_profile(s.stand_in)
    made = s.one(IamInstanceProfile={"Name": "node"})
    s.settle(made)
    return made


def send(s: Scene, **more: Any) -> str:
    asked: dict[str, Any] = {
        "DocumentName": "AWS-RunShellScript",
        "InstanceIds": None if "Targets" in more else [online(s)],
        "Parameters": {"commands": ["true"]},
        **more,
    }
    made = ssm(s).send_command(**{key: value for key, value in asked.items() if value is not None})
    return str(made["Command"]["CommandId"])


def ssm(s: Scene) -> Any:
    config = Config(parameter_validation=False, retries={"total_max_attempts": 1})
    return s.stand_in.client("ssm", config=config)


case("ssm.not_registered")(lambda s: send(s, InstanceIds=[s.one()]))
case("ssm.unknown_document")(lambda s: send(s, DocumentName="Mine"))
case("ssm.parameters")(lambda s: send(s, Parameters={"command": ["true"]}))
case("ssm.targets")(lambda s: send(s, InstanceIds=None))
case("ssm.limit")(lambda s: send(s, TimeoutSeconds=29))
case("ssm.token")(lambda s: ssm(s).list_command_invocations(NextToken="bm9uc2Vuc2U="))
case("ssm.unknown_invocation")(
    lambda s: ssm(s).get_command_invocation(CommandId=send(s), InstanceId="i-0123456789abcdef0")
)
case("ssm.unknown_plugin")(
    lambda s: ssm(s).get_command_invocation(
        CommandId=send(s), InstanceId=s.instances()[0], PluginName="aws:coffee"
    )
)
case("ssm.unknown_command")(lambda s: ssm(s).cancel_command(CommandId="0" * 36))


# Quotas


@case("launch.vcpu_quota")
def _(s: Scene) -> None:
    s.stand_in.set_quota("L-1216C47A", 7)
    s.run()


@case("launch.spot_quota")
def _(s: Scene) -> None:
    s.stand_in.set_quota("L-34B43A08", 7)
    s.run(InstanceMarketOptions={"MarketType": "spot"})


case("quota.unknown")(
    lambda s: s.stand_in.client("service-quotas").get_service_quota(
        ServiceCode="ec2", QuotaCode="L-00000000"
    )
)


# Interfaces

case("nic.no_device_index")(lambda s: s.run(nics=[s.nic(0, 0, DeviceIndex=None)]))
case("nic.no_primary")(lambda s: s.run(P5, [s.nic(1, 0)]))
case("nic.duplicate_slot")(lambda s: s.run(P5, [s.nic(0, 0), s.nic(1, 1), s.nic(1, 1)]))
case("nic.unknown_type")(lambda s: s.run(nics=[s.nic(0, 0, "banana")]))
case("nic.too_many")(lambda s: s.run(nics=[s.nic(0, i) for i in range(5)]))
case("nic.card_out_of_range")(lambda s: s.run(P5, [s.nic(0, 0), s.nic(32, 0)]))
case("nic.device_out_of_range")(lambda s: s.run(P5, [s.nic(0, 0), s.nic(2, 2)]))
case("nic.efa_not_on_type")(lambda s: s.run(nics=[s.nic(0, 0, "efa")]))
case("nic.efa_not_on_card")(lambda s: s.run(B300, [s.nic(0, 0, "efa")]))
case("nic.two_efas_on_card")(lambda s: s.run(P5, [s.nic(0, 0, "efa"), s.nic(0, 1, "efa-only")]))
case("nic.too_many_efas")(
    lambda s: s.run("i7ie.48xlarge", [s.nic(0, 0, "efa"), s.nic(1, 0, "efa-only")])
)
case("nic.efa_only_primary")(lambda s: s.run(P5, [s.nic(0, 0, "efa-only")]))
case("nic.efa_only_address")(
    lambda s: s.run(P5, [s.nic(0, 0), s.nic(1, 0, "efa-only", Ipv6AddressCount=1)])
)
case("nic.public_ip_with_several")(
    lambda s: s.run(P5, [s.nic(0, 0, AssociatePublicIpAddress=True), s.nic(1, 0)])
)
case("nic.with_security_groups")(lambda s: s.run(nics=[s.nic(0, 0)], SecurityGroupIds=[s.group]))
case("nic.with_subnet")(lambda s: s.run(nics=[s.nic(0, 0)], SubnetId=s.net.subnet_for(PLAIN)))
case("nic.with_private_ip")(lambda s: s.run(nics=[s.nic(0, 0)], PrivateIpAddress="10.0.0.9"))
case("nic.no_ipv6_range")(lambda s: s.run(P5, [s.nic(0, 0, Ipv6AddressCount=1)]))


def ipv6_only_subnet(s: Scene) -> str:
    return s.ec2.create_subnet(
        VpcId=s.net.vpc_id,
        Ipv6Native=True,
        Ipv6CidrBlock="2600:1f18:1::/64",
        AvailabilityZone=s.zone_of(P5),
    )["Subnet"]["SubnetId"]


@case("nic.ipv4_in_ipv6_only")
def _(s: Scene) -> None:
    only = ipv6_only_subnet(s)
    s.run(P5, [s.nic(0, 0, SubnetId=only, SecondaryPrivateIpAddressCount=1)])


@case("launch.ip_name_in_ipv6_only")
def _(s: Scene) -> None:
    names = {"HostnameType": "ip-name"}
    s.run(P5, [s.nic(0, 0, SubnetId=ipv6_only_subnet(s))], PrivateDnsNameOptions=names)


case("nic.no_subnet")(lambda s: s.run(P5, [s.nic(0, 0), s.nic(1, 0, "efa-only", SubnetId=None)]))


@case("nic.zones_differ")
def _(s: Scene) -> None:
    here = s.net.subnet_for(P5)
    other = next(subnet for subnet in s.net.subnets.values() if subnet != here)
    s.run(P5, [s.nic(0, 0), s.nic(1, 0, SubnetId=other)])


def existing(eni: str, **more: Any) -> list[dict[str, Any]]:
    return [{"DeviceIndex": 0, "NetworkInterfaceId": eni, **more}]


case("nic.unknown_interface")(lambda s: s.run(nics=existing("eni-0123456789abcdef0")))


@case("nic.interface_in_use")
def _(s: Scene) -> None:
    eni = s.eni()
    s.run(nics=existing(eni))
    s.run(nics=existing(eni))


case("nic.interface_with_count")(lambda s: s.run(nics=existing(s.eni()), MaxCount=2))
case("nic.interface_with_settings")(
    lambda s: s.run(nics=existing(s.eni(), DeleteOnTermination=True))
)
case("nic.address_taken")(lambda s: s.run(nics=[s.nic(0, 0, PrivateIpAddress="192.168.0.1")]))


def attachments(s: Scene, instance: str) -> list[str]:
    found = s.ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]
    return [nic["Attachment"]["AttachmentId"] for nic in found["NetworkInterfaces"]]


case("nic.detach_primary")(
    lambda s: s.ec2.detach_network_interface(AttachmentId=attachments(s, s.one())[0])
)


@case("attach.efa_while_running")
def _(s: Scene) -> None:
    made = s.one(P5, [s.nic(0, 0)])
    s.settle(made)
    s.ec2.attach_network_interface(
        NetworkInterfaceId=s.eni("efa", SubnetId=s.net.subnet_for(P5)),
        InstanceId=made,
        DeviceIndex=1,
        NetworkCardIndex=1,
    )


@case("attach.slot_taken")
def _(s: Scene) -> None:
    made = s.one()
    s.settle(made)
    s.ec2.attach_network_interface(NetworkInterfaceId=s.eni(), InstanceId=made, DeviceIndex=0)


case("attach.unknown_attachment")(
    lambda s: s.ec2.detach_network_interface(AttachmentId="eni-attach-0123456789abcdef0")
)

# Elastic IPs


def allocate(s: Scene) -> str:
    return str(s.ec2.allocate_address(Domain="vpc")["AllocationId"])


case("address.unknown_allocation")(
    lambda s: s.ec2.release_address(AllocationId="eipalloc-0123456789abcdef0")
)
case("address.unknown_association")(
    lambda s: s.ec2.disassociate_address(AssociationId="eipassoc-0123456789abcdef0")
)
case("address.unknown")(lambda s: s.ec2.describe_addresses(PublicIps=["192.0.2.1"]))


@case("address.associated")
def _(s: Scene) -> None:
    allocation = allocate(s)
    for _ in range(2):
        s.ec2.associate_address(
            AllocationId=allocation, NetworkInterfaceId=s.eni(), AllowReassociation=False
        )


@case("address.interface_taken")
def _(s: Scene) -> None:
    eni = s.eni()
    for _ in range(2):
        s.ec2.associate_address(
            AllocationId=allocate(s), NetworkInterfaceId=eni, AllowReassociation=False
        )


@case("address.several_interfaces")
def _(s: Scene) -> None:
    made = s.one(nics=[s.nic(0, 0), s.nic(0, 1)])
    s.settle(made)
    s.ec2.associate_address(AllocationId=allocate(s), InstanceId=made)


case("address.instance_state")(
    lambda s: s.ec2.associate_address(AllocationId=allocate(s), InstanceId=s.one())
)


@case("address.in_use")
def _(s: Scene) -> None:
    allocation = allocate(s)
    s.ec2.associate_address(AllocationId=allocation, NetworkInterfaceId=s.eni())
    s.ec2.release_address(AllocationId=allocation)


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


def group(s: Scene, name: str = "g", strategy: str = "cluster") -> dict[str, Any]:
    made = s.ec2.create_placement_group(GroupName=name, Strategy=strategy)["PlacementGroup"]
    assert isinstance(made, dict)
    return made


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

# Resources

NOBODY = "i-0123456789abcdef0"
case("instance.unknown")(lambda s: s.ec2.describe_instances(InstanceIds=[NOBODY]))
case("instance.unknown_several")(
    lambda s: s.ec2.describe_instances(InstanceIds=[NOBODY, "i-0123456789abcdef1"])
)
case("instance.malformed")(lambda s: s.ec2.describe_instances(InstanceIds=["i-nobody"]))
case("instance.protected")(
    lambda s: s.ec2.terminate_instances(InstanceIds=[s.one(DisableApiTermination=True)])
)


@case("instance.wrong_state")
def _(s: Scene) -> None:
    made = s.one()
    s.ec2.terminate_instances(InstanceIds=[made])
    s.ec2.start_instances(InstanceIds=[made])


case("placement_group.duplicate")(lambda s: (group(s), group(s)))
case("placement_group.unknown")(lambda s: s.ec2.delete_placement_group(GroupName="nobody"))


@case("placement_group.in_use")
def _(s: Scene) -> None:
    group(s)
    s.run("c5n.18xlarge", Placement={"GroupName": "g"})
    s.ec2.delete_placement_group(GroupName="g")


case("placement_group.strategy")(lambda s: group(s, strategy="huddle"))
case("placement_group.partitions")(
    lambda s: s.ec2.create_placement_group(GroupName="g", Strategy="cluster", PartitionCount=2)
)
case("placement_group.limit")(lambda s: [group(s, f"g{i}") for i in range(501)])


@case("security_group.duplicate_rule")
def _(s: Scene) -> None:
    own = [{"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": s.group}]}]
    s.ec2.authorize_security_group_ingress(GroupId=s.group, IpPermissions=own)
    s.ec2.authorize_security_group_ingress(GroupId=s.group, IpPermissions=own)


@case("security_group.in_use")
def _(s: Scene) -> None:
    s.run(SecurityGroupIds=[s.group])
    s.ec2.delete_security_group(GroupId=s.group)


case("security_group.unknown")(
    lambda s: s.ec2.delete_security_group(GroupId="sg-0123456789abcdef0")
)


@case("subnet.in_use")
def _(s: Scene) -> None:
    s.eni()
    s.ec2.delete_subnet(SubnetId=s.net.subnet_for(PLAIN))


case("reservation.unknown")(
    lambda s: s.ec2.cancel_capacity_reservation(CapacityReservationId="cr-0123456789abcdef0")
)


@case("reservation.not_active")
def _(s: Scene) -> None:
    made = s.reserve()
    for _ in range(2):
        s.ec2.cancel_capacity_reservation(CapacityReservationId=made)


case("reservation.value")(lambda s: s.reserve(InstanceCount=0))
case("offering.duration")(
    lambda s: s.ec2.describe_capacity_block_offerings(InstanceType=P5, CapacityDurationHours=30)
)
case("offering.unknown")(
    lambda s: s.ec2.purchase_capacity_block(
        CapacityBlockOfferingId="cbo-0123456789abcdef0", InstancePlatform="Linux/UNIX"
    )
)
case("status.too_many")(
    lambda s: s.ec2.describe_instance_status(InstanceIds=[f"i-{i:017x}" for i in range(101)])
)
case("spot.unknown_request")(
    lambda s: s.ec2.describe_spot_instance_requests(SpotInstanceRequestIds=["sir-01234567"])
)
case("topology.too_many")(
    lambda s: s.ec2.describe_instance_topology(InstanceIds=[f"i-{i:017x}" for i in range(101)])
)
case("types.unknown")(lambda s: s.ec2.describe_instance_types(InstanceTypes=["p99.huge"]))


# CloudFormation

ROLE = {
    "Type": "AWS::IAM::Role",
    "Properties": {"AssumeRolePolicyDocument": json.loads(TRUST)},
}
PLACEMENT = {"Type": "AWS::EC2::PlacementGroup", "Properties": {"Strategy": "cluster"}}


def stack(s: Scene, resources: Any = None, name: str = "one", **more: Any) -> Any:
    """Creates a stack; `more` are sections of its template or parameters of the call."""
    sections = ("Parameters", "Outputs")
    template = {key: more.pop(key) for key in sections if key in more}
    template["Resources"] = {"One": PLACEMENT} if resources is None else resources
    given = {"Parameters": more.pop("Given")} if "Given" in more else {}
    client = s.stand_in.client("cloudformation")
    return client.create_stack(
        StackName=name, TemplateBody=more.pop("body", json.dumps(template)), **given, **more
    )


def one_parameter(s: Scene, *given: tuple[str, str], **declared: Any) -> None:
    listed = [{"ParameterKey": key, "ParameterValue": value} for key, value in given]
    stack(s, Parameters={"Wanted": {"Type": "String", **declared}}, Given=listed)


case("cloudformation.unknown_stack")(
    lambda s: s.stand_in.client("cloudformation").describe_stacks(StackName="none")
)


@case("cloudformation.exists")
def _(s: Scene) -> None:
    stack(s)
    stack(s)


case("cloudformation.stack_name")(lambda s: stack(s, name="1-is-not-a-letter"))
case("cloudformation.capabilities")(lambda s: stack(s, {"One": ROLE}))
case("cloudformation.template_size")(lambda s: stack(s, body=" " * 51_201))
case("cloudformation.too_many_resources")(
    lambda s: stack(s, {f"P{number}": PLACEMENT for number in range(501)})
)
case("cloudformation.malformed_template")(lambda s: stack(s, body="a: [1"))
case("cloudformation.unresolved")(
    lambda s: stack(s, {"One": {**PLACEMENT, "Properties": {"Strategy": {"Ref": "Two"}}}})
)


@case("cloudformation.circular")
def _(s: Scene) -> None:
    itself = {"IpProtocol": "-1", "DestinationSecurityGroupId": {"Ref": "Group"}}
    properties = {"GroupDescription": "x", "SecurityGroupEgress": [itself]}
    stack(s, {"Group": {"Type": "AWS::EC2::SecurityGroup", "Properties": properties}})


case("cloudformation.unsupported_property")(
    lambda s: stack(
        s,
        {
            "Node": {
                "Type": "AWS::EC2::Instance",
                "Properties": {"InstanceMarketOptions": {"MarketType": "capacity-block"}},
            }
        },
    )
)
case("cloudformation.parameter_missing")(lambda s: one_parameter(s))
case("cloudformation.parameter_unknown")(lambda s: one_parameter(s, ("Other", "x"), Default="x"))
case("cloudformation.parameter_value")(
    lambda s: one_parameter(s, Type="AWS::EC2::Subnet::Id", Default="subnet-0123456789abcdef0")
)


def pattern(rule: Rule) -> str:
    """The rule's template as a pattern: its words exactly, anything for its fields."""
    return "".join(
        ".+" if part.startswith("{") else re.escape(part)
        for part in re.split(r"(\{\w+\})", rule.message)
    )


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_rule_is_enforced(rule: Rule, stand_in: StandIn) -> None:
    assert rule.id in CASES, f"no case provokes {rule.id}"
    scene = Scene(stand_in)
    with pytest.raises(ClientError) as caught:
        CASES[rule.id](scene)
    answer = caught.value.response
    assert answer["Error"]["Code"] == rule.code, answer["Error"]
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == rule.status
    assert re.fullmatch(pattern(rule), answer["Error"]["Message"], re.DOTALL), answer["Error"]
    assert scene.ec2.describe_instances() is not None, "a refusal must not poison later calls"


def test_no_case_without_a_rule() -> None:
    assert set(CASES) == {rule.id for rule in RULES}


def test_rule_ids_are_unique_and_every_rule_names_its_origin() -> None:
    assert len({rule.id for rule in RULES}) == len(RULES)
    assert all(rule.origin and rule.refuses for rule in RULES)


def message_of(scene: Scene, rule_id: str) -> str:
    with pytest.raises(ClientError) as caught:
        CASES[rule_id](scene)
    return str(caught.value.response["Error"]["Message"])


def test_some_texts_in_full(stand_in: StandIn) -> None:
    scene = Scene(stand_in)
    assert message_of(scene, "nic.device_out_of_range") == (
        "The specified number '2' for the device index exceeds the maximum number of network"
        " interfaces supported by the network card at network card index 2. Specify a number"
        " from 0 to 1"
    )
    assert message_of(scene, "nic.too_many") == "Interface count 5 exceeds the limit for m5.2xlarge"
    assert message_of(scene, "security_group.duplicate_rule") == (
        f'the specified rule "peer: {scene.group}, ALL, ALLOW" already exists'
    )


def test_user_data_limit_is_on_the_raw_bytes(stand_in: StandIn) -> None:
    scene = Scene(stand_in)
    assert len(base64.b64encode(b"x" * 16384)) > 16384
    assert scene.one(UserData="x" * 16384)


def test_requests_of_no_sdk_never_answer_html(stand_in: StandIn) -> None:
    scene = Scene(stand_in)
    with pytest.raises(ClientError, match="stand-in does not implement"):
        scene.ec2.describe_spot_datafeed_subscription()
    assert json.dumps(stand_in.requests[-1].action) == '"DescribeSpotDatafeedSubscription"'


@pytest.mark.parametrize(
    ("resources", "what"),
    [
        ({"One": {"Type": "AWS::EC2::Fleet"}}, "the resource type AWS::EC2::Fleet"),
        (
            {"One": {**PLACEMENT, "Properties": {"Colour": "red"}}},
            "Colour of AWS::EC2::PlacementGroup (One)",
        ),
        ({"One": {**PLACEMENT, "CreationPolicy": {}}}, "CreationPolicy of resource One"),
        ({"One": {**PLACEMENT, "DeletionPolicy": "Retain"}}, "DeletionPolicy Retain"),
        (
            {"One": {**PLACEMENT, "Properties": {"Strategy": {"Fn::FindInMap": ["A", "b", "c"]}}}},
            "the function Fn::FindInMap",
        ),
    ],
)
def test_what_stacks_cannot_have_here_is_refused_and_never_left_out(
    stand_in: StandIn, resources: Any, what: str
) -> None:
    scene = Scene(stand_in)
    with pytest.raises(ClientError, match=re.escape(what)):
        stack(scene, resources)
    client = stand_in.client("cloudformation")
    with pytest.raises(ClientError, match="UpdateStack"):
        client.update_stack(StackName="one")
    with pytest.raises(ClientError, match="NotificationARNs"):
        stack(scene, NotificationARNs=["arn:aws:sns:us-east-1:123456789012:x"])
    assert client.describe_stacks()["Stacks"] == []
    assert scene.ec2.describe_placement_groups()["PlacementGroups"] == []
