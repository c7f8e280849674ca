"""`plan` refuses what EC2 would refuse later, and states what to do about it."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import efa_sdk as efa
import pytest
from support import DEADLINE_S, P5, SMALL, Cloud, raised

AWS = Path(sys.executable).parent / "aws"


def refused(cloud: Cloud, instance_type: str = SMALL, **more: Any) -> efa.EfaError:
    """The refusal of a plan, which must not have changed anything."""
    since = len(cloud.changes())
    error = raised(lambda: cloud.plan(instance_type, **more))
    assert cloud.changes()[since:] == []
    assert not error.may_have_changed_aws
    assert not error.leftovers
    assert error.cure
    return error


def group(cloud: Cloud, name: str = "mine", vpc_id: str | None = None) -> str:
    made = cloud.ec2.create_security_group(
        GroupName=name, Description="d", VpcId=vpc_id or cloud.network.vpc_id
    )
    return str(made["GroupId"])


def allow_self(cloud: Cloud, group_id: str) -> None:
    rule = [{"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": group_id}]}]
    cloud.ec2.authorize_security_group_ingress(GroupId=group_id, IpPermissions=rule)
    cloud.ec2.authorize_security_group_egress(GroupId=group_id, IpPermissions=rule)


MISSING: list[tuple[dict[str, str], str, str]] = [
    ({"subnet": "subnet-0123456789abcdef0"}, "plan.resource_not_found", "subnet"),
    ({"image": "ami-0123456789abcdef0"}, "plan.resource_not_found", "image"),
    ({"security_group": "sg-0123456789abcdef0"}, "plan.resource_not_found", "security_group"),
    ({"placement_group_name": "nosuch"}, "plan.resource_not_found", "placement_group_name"),
]


@pytest.mark.parametrize(("change", "code", "field"), MISSING, ids=[m[2] for m in MISSING])
def test_what_does_not_exist(cloud: Cloud, change: dict[str, str], code: str, field: str) -> None:
    error = refused(cloud, **change)
    assert isinstance(error, efa.errors.PlanError)
    assert error.code == code
    assert error.context["value"] == next(iter(change.values()))
    assert error.context["field"] == field, "the field as the keyword is spelled"


def test_an_unknown_instance_type(cloud: Cloud) -> None:
    error = refused(cloud, "p5.49xlarge", subnet="subnet-1", image=cloud.network.image_for(P5))
    assert error.code == "catalog.unknown_instance_type"
    assert error.context["instance_type"] == "p5.49xlarge"


def test_a_type_without_efa(cloud: Cloud) -> None:
    error = refused(cloud, "m5.large")
    assert error.code == "layout.efa_not_supported"


@pytest.mark.parametrize(
    ("instance_type", "other"), [(SMALL, "hpc7g.16xlarge"), ("hpc7g.16xlarge", SMALL)]
)
def test_an_image_of_another_architecture(cloud: Cloud, instance_type: str, other: str) -> None:
    error = refused(cloud, instance_type, image=cloud.network.image_for(other))
    assert error.code == "plan.conflict"
    assert error.context["field"] == "image"
    assert error.context["architecture"] in ("arm64", "x86_64")


def test_a_zone_that_does_not_offer_the_type(cloud: Cloud) -> None:
    live = cloud.client.catalog()
    zones = {t.name: live.zones(t.name) or [] for t in live.find(name=["hpc*", "p*", "trn*"])}
    name, zone = next(
        (name, zone)
        for name, offered in zones.items()
        for zone in cloud.network.subnets
        if offered and zone not in offered
    )
    error = refused(cloud, name, subnet=cloud.network.subnets[zone])
    assert error.code == "plan.conflict"
    assert error.context["availability_zone"] == zone
    assert all(z in (error.cure or "") for z in zones[name])


def test_a_subnet_without_room(cloud: Cloud) -> None:
    subnet = cloud.ec2.create_subnet(
        VpcId=cloud.network.vpc_id, CidrBlock="10.0.255.240/28", AvailabilityZone="us-east-1a"
    )["Subnet"]
    assert subnet["AvailableIpAddressCount"] == 11
    assert cloud.plan(P5, subnet=subnet["SubnetId"], count=11).spec.count == 11
    error = refused(cloud, P5, subnet=subnet["SubnetId"], count=12)
    assert (error.code, error.context["field"]) == ("plan.conflict", "subnet")
    assert (error.context["value"], error.context["limit"]) == ("12", "11")
    wide = refused(cloud, P5, subnet=subnet["SubnetId"], count=2, profile="ip-bandwidth")
    assert (wide.context["value"], wide.context["limit"]) == ("16", "11")


def test_vt1_needs_to_do_without_a_placement_group(cloud: Cloud) -> None:
    error = refused(cloud, "vt1.24xlarge")
    assert error.code == "plan.conflict"
    assert "placement" in (error.cure or "")
    plan = cloud.plan("vt1.24xlarge", placement="none")
    assert plan.placement_group_name is None
    cluster = cloud.client.apply(plan)
    assert [i.placement_group_name for i in cluster.instances] == [None, None]
    assert cloud.client.verify("train").is_as_planned


def test_a_foreign_security_group_of_our_name(cloud: Cloud) -> None:
    group_id = group(cloud, "efa-sdk-train")
    error = refused(cloud)
    assert (error.code, error.context["value"]) == ("plan.conflict", group_id)


def test_a_security_group_of_another_vpc(cloud: Cloud) -> None:
    other = cloud.ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
    group_id = group(cloud, vpc_id=other)
    allow_self(cloud, group_id)
    error = refused(cloud, security_group=group_id)
    assert (error.code, error.context["value"]) == ("plan.conflict", group_id)
    assert other in error.message


@pytest.mark.parametrize("strategy", ["spread", "partition"])
def test_a_placement_group_of_another_strategy(cloud: Cloud, strategy: str) -> None:
    cloud.ec2.create_placement_group(GroupName="mine", Strategy=strategy)
    error = refused(cloud, placement_group_name="mine")
    assert (error.code, error.context["value"]) == ("plan.conflict", "mine")
    assert strategy in error.message


def test_a_foreign_placement_group_of_our_name(cloud: Cloud) -> None:
    cloud.ec2.create_placement_group(GroupName="efa-sdk-train", Strategy="cluster")
    error = refused(cloud)
    assert (error.code, error.context["value"]) == ("plan.conflict", "efa-sdk-train")


# What someone has done to the group by hand, and which rules are then missing.
HALF: list[tuple[str, list[str]]] = [
    ("nothing", ["ingress", "egress"]),
    ("ingress", ["egress"]),
    ("egress", ["ingress"]),
    ("tcp only", ["ingress", "egress"]),
    ("everyone", ["ingress", "egress"]),
]


@pytest.mark.parametrize(("done", "missing"), HALF, ids=[h[0] for h in HALF])
def test_the_printed_command_cures_a_security_group(
    cloud: Cloud, done: str, missing: list[str]
) -> None:
    group_id = group(cloud)
    itself: Any = {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": group_id}]}
    if done == "tcp only":
        tcp = {**itself, "IpProtocol": "tcp", "FromPort": 0, "ToPort": 65535}
        cloud.ec2.authorize_security_group_ingress(GroupId=group_id, IpPermissions=[tcp])
    elif done == "everyone":  # EFA is not IP: 0.0.0.0/0 does not cover it
        everyone = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
        cloud.ec2.authorize_security_group_ingress(GroupId=group_id, IpPermissions=[everyone])
    elif done in ("ingress", "egress"):
        authorize = getattr(cloud.ec2, f"authorize_security_group_{done}")
        authorize(GroupId=group_id, IpPermissions=[itself])
    error = refused(cloud, security_group=group_id)
    assert (error.code, error.context["value"]) == ("plan.conflict", group_id)
    cure = error.cure or ""
    assert cure.startswith("run: aws ec2 ")
    commands = cure.removeprefix("run: ").split("; ")
    assert [c.split()[2].rsplit("-", 1)[1] for c in commands] == missing
    for command in commands:
        run_aws(cloud, command)
    plan = cloud.plan(security_group=group_id)
    assert plan.security_group_id == group_id
    assert "+" not in [line.strip()[:1] for line in str(plan).splitlines() if "rule" in line]


def run_aws(cloud: Cloud, command: str) -> None:
    """A command line as a user would paste it."""
    words = shlex.split(command)
    assert words[0] == "aws"
    environ = {**os.environ, **cloud.stand_in.environ}
    done = subprocess.run(
        [str(AWS), *words[1:]], env=environ, capture_output=True, text=True, timeout=DEADLINE_S
    )
    assert done.returncode == 0, done.stderr


def test_existing_groups_are_used_and_survive(cloud: Cloud) -> None:
    group_id = group(cloud)
    allow_self(cloud, group_id)
    cloud.ec2.create_placement_group(GroupName="mine", Strategy="cluster")
    plan = cloud.plan(security_group=group_id, placement_group_name="mine")
    assert (plan.security_group_id, plan.placement_group_name) == (group_id, "mine")
    used = [line.split()[1] for line in str(plan).splitlines() if line.strip().startswith("=")]
    assert used == ["subnet", "image", "security", "placement"]
    since = len(cloud.changes())
    cluster = cloud.client.apply(plan)
    assert cloud.changes()[since:] == ["RunInstances"]
    assert cluster.security_group_id == group_id
    assert {i.placement_group_name for i in cluster.instances} == {"mine"}
    assert cloud.client.verify("train").is_as_planned
    removed = cloud.client.destroy("train").removed
    assert {kind for kind, _ in removed} == {"instance"}
    state = cloud.state()
    assert group_id in state["security-group"]
    assert "mine" in state["placement-group"]


def test_an_existing_group_is_checked_again_at_apply(cloud: Cloud) -> None:
    group = cloud.ec2.create_security_group(
        GroupName="mine", Description="d", VpcId=cloud.network.vpc_id
    )["GroupId"]
    rule = [{"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": group}]}]
    cloud.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=rule)
    cloud.ec2.authorize_security_group_egress(GroupId=group, IpPermissions=rule)
    plan = cloud.plan(security_group=group)
    cloud.ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=rule)
    error = raised(lambda: cloud.client.apply(plan))
    assert error.code == "plan.conflict"
    assert error.cure is not None
    assert "authorize-security-group-ingress" in error.cure
    assert cloud.instances() == []


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("subnet", {"subnet": "subnet-*"}),
        ("image", {"image": "ami-*"}),
        ("security_group", {"security_group": "sg-?"}),
        ("placement_group_name", {"placement_group_name": "pg*"}),
        (
            "public_ip",
            {"public_ip": "lone-efa", "interfaces": [efa.NetworkInterface(0, 0, "efa")]},
        ),
        (
            "public_ip",
            {
                "public_ip": "elastic-ip",
                "interfaces": [efa.NetworkInterface(0, 0, "efa", associate_public_ip_address=True)],
            },
        ),
    ],
)
def test_patterns_and_two_ways_at_once(cloud: Cloud, field: str, change: dict[str, Any]) -> None:
    error = raised(lambda: cloud.spec(**change))
    assert (error.code, error.context["field"]) == ("plan.invalid_spec", field)


def digested(plan: efa.Plan, change: Callable[[dict[str, Any]], None]) -> str:
    """The stored form with a change, and the digest of the changed form, as its writer would."""
    form = json.loads(plan.to_json())
    del form["sha256"]
    change(form)
    text = json.dumps(form, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    form["sha256"] = hashlib.sha256(text.encode()).hexdigest()
    return json.dumps(form)


def test_a_plan_that_contradicts_itself_is_not_read(cloud: Cloud) -> None:
    plan = cloud.plan()
    assert efa.Plan.from_json(digested(plan, lambda form: None)) == plan

    def one_interface(form: dict[str, Any]) -> None:
        del form["layout"]["interfaces"][1:]

    def another_image(form: dict[str, Any]) -> None:
        form["image"]["image_id"] = "ami-0fedcba9876543210"

    for change, field in ((one_interface, "layout"), (another_image, "image")):
        text = digested(plan, change)
        error = raised(partial(efa.Plan.from_json, text))
        assert error.code == "plan.unreadable"
        assert error.context["field"] == field


def test_a_plan_of_another_account_is_not_applied(cloud: Cloud) -> None:
    def another_account(form: dict[str, Any]) -> None:
        form["account"] = "999999999999"

    plan = efa.Plan.from_json(digested(cloud.plan(), another_account))
    since = len(cloud.stand_in.requests)
    error = raised(lambda: cloud.client.apply(plan))
    assert (error.code, error.context["field"]) == ("plan.conflict", "account")
    assert "999999999999" in str(error)
    assert not {"RunInstances", "CreateSecurityGroup"} & set(cloud.actions(since))
