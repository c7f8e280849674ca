"""vCPU quotas of the stand-in: shown by Service Quotas, held by RunInstances."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

import pytest
from botocore.exceptions import ClientError
from efa_sdk.errors import ArgumentValueError
from efa_sdk.testing import StandIn

STANDARD, P, P_SPOT, G = "L-1216C47A", "L-417A185B", "L-7212CCBC", "L-DB2E81BA"


def launch(stand_in: StandIn, instance_type: str, low: int = 1, high: int = 1, **more: Any) -> Any:
    net = stand_in.default_network()
    return stand_in.client().run_instances(
        ImageId=net.image_for(instance_type),
        InstanceType=instance_type,
        MinCount=low,
        MaxCount=high,
        SubnetId=net.subnet_for(instance_type),
        **more,
    )["Instances"]


def code(stand_in: StandIn, *asked: Any, **more: Any) -> str | None:
    try:
        launch(stand_in, *asked, **more)
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return None


def test_running_instances_count_until_they_go(stand_in: StandIn) -> None:
    stand_in.set_quota(P, 192)
    assert code(stand_in, "p5.48xlarge", 2, 2) == "VcpuLimitExceeded"
    made = launch(stand_in, "p5.48xlarge", 1, 2)
    assert len(made) == 1
    with pytest.raises(ClientError, match="your current vCPU limit of 192 allows"):
        launch(stand_in, "p4d.24xlarge")
    assert code(stand_in, "m5.2xlarge") is None
    stand_in.client().terminate_instances(InstanceIds=[made[0]["InstanceId"]])
    assert code(stand_in, "p4d.24xlarge") is None
    stand_in.set_quota(P, None)
    assert code(stand_in, "p5.48xlarge", 3, 3) is None


def test_spot_on_demand_and_blocks_are_apart(stand_in: StandIn) -> None:
    stand_in.set_quota(P, 0)
    spot = {"InstanceMarketOptions": {"MarketType": "spot"}}
    assert code(stand_in, "p5.48xlarge", **spot) is None
    stand_in.set_quota(P_SPOT, 192)
    assert code(stand_in, "p5.48xlarge", **spot) == "MaxSpotInstanceCountExceeded"
    net = stand_in.default_network()
    subnet = net.subnet_for("p5.48xlarge")
    zone = next(zone for zone, one in net.subnets.items() if one == subnet)
    block = stand_in.add_capacity_block("p5.48xlarge", zone, 1)
    target = {"CapacityReservationTarget": {"CapacityReservationId": block}}
    bought = {"InstanceMarketOptions": {"MarketType": "capacity-block"}}
    assert code(stand_in, "p5.48xlarge", CapacityReservationSpecification=target, **bought) is None


@pytest.mark.parametrize(
    ("instance_type", "quota"),
    [
        ("c5n.18xlarge", STANDARD),
        ("i7ie.48xlarge", STANDARD),
        ("im4gn.16xlarge", STANDARD),
        ("g6e.48xlarge", G),
        ("hpc7a.96xlarge", "L-F7808C92"),
        ("trn1.32xlarge", "L-2C3B7624"),
        ("inf1.24xlarge", "L-1945791B"),
    ],
)
def test_each_family_has_its_own(stand_in: StandIn, instance_type: str, quota: str) -> None:
    net_of = "us-east-2" if instance_type.startswith("hpc") else None
    net, ec2 = stand_in.default_network(region=net_of), stand_in.client(region=net_of)
    stand_in.set_quota(quota, 0)
    with pytest.raises(ClientError, match="vCPU limit of 0 "):
        ec2.run_instances(
            ImageId=net.image_for(instance_type),
            InstanceType=instance_type,
            MinCount=1,
            MaxCount=1,
            SubnetId=net.subnet_for(instance_type),
        )


def test_service_quotas_shows_them(stand_in: StandIn) -> None:
    quotas = stand_in.client("service-quotas")
    body = json.dumps({"quota_code": P, "value": 384}).encode()
    urllib.request.urlopen(f"{stand_in.endpoint_url}/efa-sdk/quota", body)
    shown = quotas.get_service_quota(ServiceCode="ec2", QuotaCode=P)["Quota"]
    assert (shown["Value"], shown["QuotaName"]) == (384.0, "Running On-Demand P instances")
    pages = quotas.get_paginator("list_service_quotas").paginate(
        ServiceCode="ec2", PaginationConfig={"PageSize": 4}
    )
    listed = {one["QuotaCode"]: one["Value"] for page in pages for one in page["Quotas"]}
    assert len(listed) == 11
    assert (listed[P], listed[G]) == (384.0, 1_000_000.0)
    with pytest.raises(ArgumentValueError, match="L-417A185B"):
        stand_in.set_quota("L-1", 3)
    stand_in.reset()
    assert quotas.get_service_quota(ServiceCode="ec2", QuotaCode=P)["Quota"]["Value"] == 1e6
