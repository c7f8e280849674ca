"""`Client.preflight()`: what can change between plan and launch, seen without changing anything."""

from __future__ import annotations

import json
from typing import Any

import efa_sdk as efa
import pytest
from iam_support import node_profile
from support import P5, SMALL, Cloud, raised

STANDARD, P, P_SPOT = "L-1216C47A", "L-417A185B", "L-7212CCBC"


def checks(report: efa.PreflightReport) -> dict[str, efa.Check]:
    assert report.name == "train"
    found = {one.name: one for one in report.checks}
    assert len(found) == len(report.checks)
    for one in report.checks:
        assert one.status in ("passed", "failed", "skipped", "unknown")
        assert one.detail
        assert (one.cure is not None) == (one.status == "failed")
        assert f"{one.status:<7} {one.name}" in str(report)
    statuses = {one.status for one in report.checks}
    assert report.is_ready == statuses.isdisjoint(("failed", "unknown"))
    assert report.unchecked == [one.name for one in report.checks if one.status == "unknown"]
    return found


def status(report: efa.PreflightReport) -> dict[str, str]:
    return {name: one.status for name, one in checks(report).items()}


def look(cloud: Cloud, plan: efa.Plan) -> efa.PreflightReport:
    """The report; the check changed nothing."""
    before, changes = cloud.state(), cloud.changes()
    report = cloud.client.preflight(plan)
    assert (cloud.state(), cloud.changes()) == (before, changes)
    return report


def dry_runs(cloud: Cloud) -> list[dict[str, str]]:
    requests = [dict(r.parameters) for r in cloud.stand_in.requests if r.action == "RunInstances"]
    return [one for one in requests if one.get("DryRun") == "true"]


def zone_of(cloud: Cloud, subnet: str) -> str:
    return next(zone for zone, one in cloud.network.subnets.items() if one == subnet)


def group(cloud: Cloud) -> str:
    made = cloud.ec2.create_security_group(
        GroupName="mine", Description="d", VpcId=cloud.network.vpc_id
    )["GroupId"]
    rule = [{"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": made}]}]
    cloud.ec2.authorize_security_group_ingress(GroupId=made, IpPermissions=rule)
    cloud.ec2.authorize_security_group_egress(GroupId=made, IpPermissions=rule)
    return str(made)


def existing(cloud: Cloud) -> dict[str, Any]:
    """A specification whose groups and profile are the caller's and exist."""
    cloud.ec2.create_placement_group(GroupName="near", Strategy="cluster")
    node_profile(cloud.stand_in)
    cloud.stand_in.iam_propagation_calls = 0
    return {
        "security_group": group(cloud),
        "placement_group_name": "near",
        "instance_profile": "node",
    }


def test_a_first_cluster_is_ready(cloud: Cloud) -> None:
    report = look(cloud, cloud.plan())
    assert status(report) == {
        "free_addresses": "passed",
        "image": "passed",
        "vcpu_quota": "passed",
        "interface_quota": "passed",
        "volume_quota": "passed",
        "dry_run": "passed",
    }
    assert report.is_ready
    assert report.verdict == "ready"
    assert "ready" in str(report)
    dry_run = checks(report)["dry_run"].detail
    assert "default security group sg-" in dry_run
    assert "without placement group efa-sdk-train" in dry_run
    (asked,) = dry_runs(cloud)
    assert "Placement.GroupName" not in asked
    assert efa.PreflightReport.from_json(report.to_json()) == report


def test_the_dry_run_of_a_first_launch_leaves_out_what_is_yet_to_be_made(cloud: Cloud) -> None:
    values = existing(cloud)
    values["instance_profile"] = efa.InstanceRole()
    found = checks(look(cloud, cloud.plan(**values)))["dry_run"]
    assert found.status == "passed"
    assert "without instance profile efa-sdk-us-east-1-train" in found.detail
    (asked,) = dry_runs(cloud)
    assert asked["Placement.GroupName"] == "near"
    assert not any(name.startswith("IamInstanceProfile") for name in asked)
    assert cloud.instances() == []


def test_a_dry_run_with_what_exists(cloud: Cloud) -> None:
    report = look(cloud, cloud.plan(**existing(cloud)))
    assert status(report)["dry_run"] == "passed"
    assert report.is_ready
    (asked,) = [r for r in cloud.stand_in.requests if r.action == "RunInstances"]
    assert ("DryRun", "true") in asked.parameters
    assert cloud.instances() == []


def test_the_dry_run_is_the_launch_that_follows(cloud: Cloud) -> None:
    plan = cloud.plan(**existing(cloud))
    assert look(cloud, plan).is_ready
    cloud.client.apply(plan)
    launches = [dict(r.parameters) for r in cloud.stand_in.requests if r.action == "RunInstances"]
    for one in launches:
        one.pop("DryRun", None)
    assert len(launches) == 3, "preflight's, apply's own, and the launch"
    assert launches[0] == launches[1] == launches[2]
    assert checks(look(cloud, plan))["dry_run"].detail == "the cluster is already running"


def test_groups_of_an_interrupted_apply_are_enough_for_a_dry_run(cloud: Cloud) -> None:
    cloud.stand_in.fail("RunInstances", "UnauthorizedOperation")
    raised(lambda: cloud.apply())
    assert status(look(cloud, cloud.plan()))["dry_run"] == "passed"


@pytest.mark.parametrize(
    ("spoil", "says"),
    [("profile", "Invalid IAM Instance Profile"), ("key", "key"), ("permission", "authorized")],
)
def test_a_dry_run_that_is_refused(cloud: Cloud, spoil: str, says: str) -> None:
    cloud.ec2.create_key_pair(KeyName="mine")
    plan = cloud.plan(**existing(cloud), key_name="mine")
    if spoil == "profile":
        cloud.stand_in.client("iam").remove_role_from_instance_profile(
            InstanceProfileName="node", RoleName="node"
        )
        cloud.stand_in.client("iam").delete_instance_profile(InstanceProfileName="node")
    elif spoil == "key":
        cloud.ec2.delete_key_pair(KeyName="mine")
    else:
        allow = {"Effect": "Allow", "Action": ["*"], "Resource": "*"}
        deny = {"Effect": "Deny", "Action": ["ec2:RunInstances"], "Resource": "*"}
        cloud.stand_in.authorize({"Statement": [allow, deny]})
    report = look(cloud, plan)
    assert not report.is_ready
    failed = checks(report)["dry_run"]
    assert failed.status == "failed"
    assert says in failed.detail
    assert "not ready" in str(report)
    assert cloud.instances() == []


def test_a_subnet_that_fills_up_after_the_plan(cloud: Cloud) -> None:
    subnet = cloud.ec2.create_subnet(
        VpcId=cloud.network.vpc_id,
        CidrBlock="10.0.255.0/28",
        AvailabilityZone=zone_of(cloud, cloud.network.subnet_for(SMALL)),
    )["Subnet"]["SubnetId"]
    plan = cloud.plan(subnet=subnet)
    before = checks(look(cloud, plan))["free_addresses"]
    assert (before.status, before.detail) == ("passed", f"2 needed, 11 free in {subnet}")
    for _ in range(9):
        cloud.ec2.create_network_interface(SubnetId=subnet)
    assert checks(look(cloud, plan))["free_addresses"].status == "passed"
    cloud.ec2.create_network_interface(SubnetId=subnet)
    report = look(cloud, plan)
    after = checks(report)["free_addresses"]
    assert (after.status, after.detail) == ("failed", f"2 needed, 1 free in {subnet}")
    assert not report.is_ready


def test_one_of_several_subnets_is_enough(cloud: Cloud) -> None:
    zones = cloud.client.catalog().zones(SMALL)
    assert zones is not None
    subnets = [cloud.network.subnets[zone] for zone in zones if zone in cloud.network.subnets]
    small = cloud.ec2.create_subnet(
        VpcId=cloud.network.vpc_id, CidrBlock="10.0.255.0/28", AvailabilityZone=zones[0]
    )["Subnet"]["SubnetId"]
    plan = cloud.plan(subnet=[small, subnets[-1]])
    for _ in range(10):
        cloud.ec2.create_network_interface(SubnetId=small)
    found = checks(look(cloud, plan))["free_addresses"]
    assert found.status == "passed"
    assert subnets[-1] in found.detail


def test_a_subnet_that_is_gone(cloud: Cloud) -> None:
    subnet = cloud.ec2.create_subnet(
        VpcId=cloud.network.vpc_id,
        CidrBlock="10.0.255.0/28",
        AvailabilityZone=zone_of(cloud, cloud.network.subnet_for(SMALL)),
    )["Subnet"]["SubnetId"]
    plan = cloud.plan(subnet=subnet)
    cloud.ec2.delete_subnet(SubnetId=subnet)
    found = checks(look(cloud, plan))["free_addresses"]
    assert (found.status, found.detail) == ("failed", "2 needed, 0 free in no subnet")


@pytest.mark.parametrize(
    ("quota", "limit", "more", "expected"),
    [
        (STANDARD, 144, {}, "passed"),
        (STANDARD, 143, {}, "failed"),
        (STANDARD, 0, {}, "failed"),
        (P, 0, {}, "passed"),
        (P, 384, {"instance_type": P5}, "passed"),
        (P, 383, {"instance_type": P5}, "failed"),
        (P, 0, {"instance_type": P5, "capacity": "spot"}, "passed"),
        (P_SPOT, 0, {"instance_type": P5, "capacity": "spot"}, "failed"),
    ],
)
def test_the_vcpu_quota(
    cloud: Cloud, quota: str, limit: float, more: dict[str, Any], expected: str
) -> None:
    plan = cloud.plan(**more)
    cloud.stand_in.set_quota(quota, limit)
    report = look(cloud, plan)
    found = checks(report)["vcpu_quota"]
    assert found.status == expected
    assert report.is_ready == (expected == "passed")
    if expected == "failed":
        assert quota in found.detail
        assert f" {limit} allowed" in found.detail
        error = raised(lambda: cloud.client.apply(plan))
        assert error.ec2_code in ("VcpuLimitExceeded", "MaxSpotInstanceCountExceeded")
        assert cloud.instances() == []


@pytest.mark.parametrize("why", ["denied", "no-such-quota"])
def test_a_quota_that_cannot_be_read_is_unknown(cloud: Cloud, why: str) -> None:
    plan = cloud.plan(public_ip="elastic-ip")
    if why == "denied":
        allow = {"Effect": "Allow", "Action": ["ec2:*"], "Resource": "*"}
        cloud.stand_in.authorize({"Statement": [allow]})
    else:
        cloud.stand_in.fail("GetServiceQuota", "NoSuchResourceException", times=None)
    report = cloud.client.preflight(plan)
    found = checks(report)
    quotas = ["vcpu_quota", "interface_quota", "volume_quota", "elastic_ip_quota"]
    assert report.unchecked == quotas
    assert (report.verdict, report.is_ready) == ("partial", False)
    assert f"partial; not checked: {', '.join(quotas)}" in str(report)
    if why == "denied":
        assert "not authorized" in found["vcpu_quota"].detail
    assert cloud.changes() == []


def test_a_reservation_counts_against_no_quota(cloud: Cloud) -> None:
    block = add_block(cloud, 2)
    cloud.stand_in.set_quota(P, 0)
    report = look(cloud, cloud.plan(P5, capacity=block))
    assert status(report)["vcpu_quota"] == "skipped"
    assert report.is_ready


def add_block(cloud: Cloud, count: int, **when: Any) -> str:
    zone = zone_of(cloud, cloud.network.subnet_for(P5))
    return cloud.stand_in.add_capacity_block(P5, zone, count, **when)


def test_a_block_that_begins_and_ends(cloud: Cloud) -> None:
    block = add_block(cloud, 2, starts_in=3600, hours=24)
    plan = cloud.plan(P5, capacity=block)
    found = checks(look(cloud, plan))["reservation"]
    assert found.status == "failed"
    assert f"{block} is scheduled" in found.detail
    cloud.stand_in.advance(3601)
    assert checks(look(cloud, plan))["reservation"].status == "passed"
    assert look(cloud, plan).is_ready
    cloud.stand_in.advance(24 * 3600)
    assert not look(cloud, plan).is_ready


def test_a_reservation_that_others_fill(cloud: Cloud) -> None:
    block = add_block(cloud, 2)
    plan = cloud.plan(P5, capacity=block)
    assert look(cloud, plan).is_ready
    cloud.apply(P5, name="other", count=1, capacity=block)
    found = checks(look(cloud, plan))["reservation"]
    assert found.status == "failed"
    assert "1 free" in found.detail


def test_a_reservation_that_is_cancelled(cloud: Cloud) -> None:
    made = cloud.ec2.create_capacity_reservation(
        InstanceType=SMALL,
        InstancePlatform="Linux/UNIX",
        AvailabilityZone=zone_of(cloud, cloud.network.subnet_for(SMALL)),
        InstanceCount=2,
        InstanceMatchCriteria="targeted",
    )["CapacityReservation"]["CapacityReservationId"]
    plan = cloud.plan(capacity=made)
    assert look(cloud, plan).is_ready
    cloud.ec2.cancel_capacity_reservation(CapacityReservationId=made)
    assert checks(look(cloud, plan))["reservation"].status == "failed"


@pytest.mark.parametrize(("taken", "expected"), [(0, "passed"), (3, "passed"), (4, "failed")])
def test_the_quota_of_elastic_ips(cloud: Cloud, taken: int, expected: str) -> None:
    """The quota is AWS's default, 5."""
    plan = cloud.plan(public_ip="elastic-ip")
    for _ in range(taken):
        cloud.ec2.allocate_address(Domain="vpc")
    found = checks(look(cloud, plan))["elastic_ip_quota"]
    assert (found.status, found.detail) == (expected, f"2 needed, {taken} of 5 used")


def test_what_a_report_shows(cloud: Cloud) -> None:
    cloud.stand_in.set_quota(STANDARD, 1)
    report = cloud.client.preflight(cloud.plan())
    text = str(report)
    assert text.startswith("preflight of 'train': not ready\n")
    assert "raise the quota" in text
    assert report._repr_html_().startswith("<pre")
    assert json.loads(report.to_json())["name"] == "train"
