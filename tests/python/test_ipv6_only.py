"""A cluster in an IPv6-only subnet, over HTTP."""

from __future__ import annotations

import json

import efa_sdk as efa
import pytest
from support import P5, Cloud, raised


@pytest.fixture
def subnet(cloud: Cloud) -> str:
    """An IPv6-only subnet in a zone that offers p5."""
    home = cloud.ec2.describe_subnets(SubnetIds=[cloud.network.subnet_for(P5)])["Subnets"][0]
    made = cloud.ec2.create_subnet(
        VpcId=cloud.network.vpc_id,
        Ipv6Native=True,
        Ipv6CidrBlock="2600:1f18:1::/64",
        AvailabilityZone=home["AvailabilityZone"],
    )["Subnet"]
    assert (made["Ipv6Native"], made["AvailableIpAddressCount"]) == (True, 0)
    return str(made["SubnetId"])


def test_a_cluster_has_ipv6_addresses_alone(cloud: Cloud, subnet: str) -> None:
    plan = cloud.plan(P5, subnet=subnet, host_names="resource-name")
    assert "IPv6-only" in str(plan)
    assert cloud.client.preflight(plan).is_ready
    cluster = cloud.client.apply(plan)
    (sent,) = cloud.sent("RunInstances")
    assert sent["MetadataOptions.HttpProtocolIpv6"] == "enabled"
    assert sent["PrivateDnsNameOptions.EnableResourceNameDnsAAAARecord"] == "true"
    asked = [key for key in sent if key.endswith(".Ipv6AddressCount")]
    assert len(asked) == plan.layout.ip_count

    for instance in cluster.instances:
        assert instance.private_ip_address is None
        assert (instance.ipv6_address or "").startswith("2600:1f18:1:")
        for interface in instance.interfaces:
            has = [] if interface.interface_type == "efa-only" else [interface]
            assert len(interface.ipv6_addresses) == len(has)
    assert cluster.private_ip_addresses == [i.ipv6_address for i in cluster.instances]
    assert cloud.client.verify("train").is_as_planned

    template = json.loads(cloud.client.prepare(plan).to_launch_template())
    first = template["LaunchTemplateData"]["NetworkInterfaces"][0]
    assert first["Ipv6AddressCount"] == 1

    (old, _) = cluster.private_ip_addresses
    replaced = cloud.client.replace("train", nodes=[old])
    assert old not in replaced.private_ip_addresses
    assert all(i.private_ip_address is None for i in replaced.instances)
    assert cloud.client.verify("train").is_as_planned


def test_what_needs_ipv4_is_refused_with_the_cure(cloud: Cloud, subnet: str) -> None:
    for field, value in (
        ("public_ip", "elastic-ip"),
        ("host_names", "ip-name"),
        ("bootstrap", efa.Bootstrap()),
    ):
        error = raised(lambda f=field, v=value: cloud.plan(P5, subnet=subnet, **{f: v}))
        assert (error.code, error.context["field"]) == ("plan.conflict", field)
        assert error.context["value"] == subnet
        assert "IPv4 range" in (error.cure or "")


def test_only_nat64_is_known_to_lead_to_systems_manager(cloud: Cloud, subnet: str) -> None:
    role = efa.InstanceRole()
    plan = cloud.plan(P5, subnet=subnet, instance_profile=role)
    assert any("no route to ::/0" in warning for warning in plan.warnings)
    gateway = cloud.ec2.create_egress_only_internet_gateway(VpcId=cloud.network.vpc_id)
    (table,) = cloud.ec2.describe_route_tables(
        Filters=[{"Name": "vpc-id", "Values": [cloud.network.vpc_id]}]
    )["RouteTables"]
    cloud.ec2.create_route(
        RouteTableId=table["RouteTableId"],
        DestinationIpv6CidrBlock="::/0",
        EgressOnlyInternetGatewayId=gateway["EgressOnlyInternetGateway"][
            "EgressOnlyInternetGatewayId"
        ],
    )
    plan = cloud.plan(P5, subnet=subnet, instance_profile=role)
    assert not any("::/0" in warning for warning in plan.warnings)
    (check,) = [c for c in cloud.client.preflight(plan).checks if c.name == "way_out"]
    assert (check.status, "dual-stack" in check.detail) == ("unknown", True)
