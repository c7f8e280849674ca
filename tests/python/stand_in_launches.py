"""Launches in the stand-in, as boto3 makes them, and what it then describes."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from efa_sdk.testing import StandIn

P5, C5N, PLAIN = "p5.48xlarge", "c5n.18xlarge", "m5.2xlarge"
ONCE = Config(retries={"total_max_attempts": 1})


def launch(stand_in: StandIn, instance_type: str = PLAIN, count: int = 1, **more: Any) -> Any:
    net = stand_in.default_network()
    if "NetworkInterfaces" not in more:
        more.setdefault("SubnetId", net.subnet_for(instance_type))
    return stand_in.client(config=ONCE).run_instances(
        ImageId=net.image_for(instance_type),
        InstanceType=instance_type,
        MinCount=more.pop("low", count),
        MaxCount=count,
        **more,
    )


def ids(reservation: Any) -> list[str]:
    return [instance["InstanceId"] for instance in reservation["Instances"]]


def described(stand_in: StandIn, **options: Any) -> list[dict[str, Any]]:
    pages = stand_in.client().describe_instances(**options)["Reservations"]
    return [instance for page in pages for instance in page["Instances"]]


def code_of(caught: pytest.ExceptionInfo[ClientError]) -> str:
    return str(caught.value.response["Error"]["Code"])


def p5_interfaces(subnet: str, group: str, **more: Any) -> list[dict[str, Any]]:
    slots = [(0, 0, "interface"), (0, 1, "efa-only")]
    slots += [(card, 0, "efa-only") for card in range(1, 32)]
    return [
        {
            "NetworkCardIndex": card,
            "DeviceIndex": device,
            "InterfaceType": kind,
            "SubnetId": subnet,
            "Groups": [group],
            "DeleteOnTermination": True,
            **more,
        }
        for card, device, kind in slots
    ]


def p5_cluster(stand_in: StandIn, count: int = 2, **more: Any) -> tuple[Any, str]:
    ec2, net = stand_in.client(), stand_in.default_network()
    group = ec2.create_security_group(GroupName="efa", Description="d", VpcId=net.vpc_id)
    ec2.create_placement_group(GroupName="train", Strategy="cluster")
    made = launch(
        stand_in,
        P5,
        count,
        NetworkInterfaces=p5_interfaces(net.subnet_for(P5), group["GroupId"]),
        Placement={"GroupName": "train"},
        **more,
    )
    return made, group["GroupId"]
