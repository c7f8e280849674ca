"""What cases use: a network, short ways to ask for things, and the list of all cases."""

from __future__ import annotations

import urllib.parse
import urllib.request
from collections.abc import Callable
from typing import Any
from urllib.error import HTTPError
from xml.etree import ElementTree

from botocore.config import Config
from botocore.exceptions import ClientError
from efa_sdk.testing import StandIn

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


def group(s: Scene, name: str = "g", strategy: str = "cluster") -> dict[str, Any]:
    made = s.ec2.create_placement_group(GroupName=name, Strategy=strategy)["PlacementGroup"]
    assert isinstance(made, dict)
    return made
