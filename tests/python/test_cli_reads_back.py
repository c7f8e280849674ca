"""The AWS CLI, reading EC2 after `apply`, sees exactly what was planned."""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any

import pytest
from aws_cli import aws
from support import DEADLINE_S, SMALL, Cloud, tags_of


def read_back(cloud: Cloud, *words: str) -> Any:
    """What a command of the AWS CLI prints, as JSON."""
    done = subprocess.run(
        [
            str(aws()),
            "ec2",
            *words,
            "--endpoint-url",
            cloud.stand_in.endpoint_url,
            "--region",
            cloud.network.region,
            "--output",
            "json",
        ],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
        env={**os.environ, "AWS_PAGER": ""},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


CLUSTERS: list[tuple[str, dict[str, Any], int, int]] = [
    ("p5.48xlarge", {}, 2, 33),
    (SMALL, {}, 1, 2),
    ("p4d.24xlarge", {"profile": "ip-bandwidth"}, 1, 8),
    ("hpc6id.32xlarge", {}, 2, 2),
    ("p6-b300.48xlarge", {}, 1, 17),
]


@pytest.mark.parametrize(
    ("instance_type", "more", "count", "interfaces"), CLUSTERS, ids=[c[0] for c in CLUSTERS]
)
def test_the_cli_sees_the_plan(
    cloud: Cloud, instance_type: str, more: dict[str, Any], count: int, interfaces: int
) -> None:
    cloud = cloud.at_home_of(instance_type)
    plan = cloud.plan(instance_type, count=count, tags={"team": "ml"}, **more)
    cluster = cloud.client.apply(plan)
    mine = ["--filters", "Name=tag:efa-sdk:cluster,Values=train"]
    seen = read_back(cloud, "describe-instances", *mine)
    instances = [i for page in seen["Reservations"] for i in page["Instances"]]
    assert [i["InstanceId"] for i in instances] == [i.instance_id for i in cluster.instances]
    assert len(instances) == count

    planned = [
        (i.network_card_index, i.device_index, i.interface_type) for i in plan.layout.interfaces
    ]
    assert len(planned) == interfaces
    for instance in instances:
        attached = sorted(
            (
                n["Attachment"]["NetworkCardIndex"],
                n["Attachment"]["DeviceIndex"],
                n["InterfaceType"],
            )
            for n in instance["NetworkInterfaces"]
        )
        assert attached == planned
        for n in instance["NetworkInterfaces"]:
            assert [g["GroupId"] for g in n["Groups"]] == [cluster.security_group_id]
            assert n["SubnetId"] == plan.subnet_ids[0]
            assert n["Status"] == "in-use"
        assert instance["Placement"]["GroupName"] == "efa-sdk-train"
        assert instance["Placement"]["AvailabilityZone"] == plan.availability_zone
        assert instance["State"]["Name"] == "running"
        assert instance["MetadataOptions"]["HttpTokens"] == "required"
        tags = tags_of(instance)
        assert tags == cluster.instances[0].tags
        expected = {
            "Name": "train",
            "efa-sdk:cluster": "train",
            "efa-sdk:plan": plan.fingerprint,
            "efa-sdk:layout": plan.layout.notation,
            "team": "ml",
        }
        assert expected.items() <= tags.items()


def test_the_cli_sees_the_groups(cloud: Cloud) -> None:
    cluster = cloud.apply()
    mine = ["--filters", "Name=tag:efa-sdk:cluster,Values=train"]
    (group,) = read_back(cloud, "describe-security-groups", *mine)["SecurityGroups"]
    assert group["GroupId"] == cluster.security_group_id
    (rule,) = group["IpPermissions"]
    assert rule["IpProtocol"] == "-1"
    assert [pair["GroupId"] for pair in rule["UserIdGroupPairs"]] == [group["GroupId"]]
    (placement,) = read_back(cloud, "describe-placement-groups", *mine)["PlacementGroups"]
    assert (placement["GroupName"], placement["Strategy"]) == ("efa-sdk-train", "cluster")


def test_the_check_of_the_community_recipe(cloud: Cloud) -> None:
    """Its `InterfaceType` query must show EFA; "interface" alone means that EFA is off."""
    cloud.apply("p4d.24xlarge", count=1)
    shown = read_back(
        cloud,
        "describe-instances",
        "--filters",
        "Name=tag:Name,Values=train",
        "--query",
        "Reservations[*].Instances[*].NetworkInterfaces[*].InterfaceType",
    )
    assert [sorted(instance) for page in shown for instance in page] == [
        ["efa-only"] * 4 + ["interface"]
    ]


def test_the_cli_sees_nothing_after_destroy(cloud: Cloud) -> None:
    cloud.apply()
    cloud.client.destroy("train")
    running = read_back(
        cloud,
        "describe-instances",
        "--filters",
        "Name=tag:efa-sdk:cluster,Values=train",
        "Name=instance-state-name,Values=pending,running,stopping,stopped,shutting-down",
    )
    assert running["Reservations"] == []
    mine = ["--filters", "Name=tag:efa-sdk:cluster,Values=train"]
    assert read_back(cloud, "describe-security-groups", *mine)["SecurityGroups"] == []
    assert read_back(cloud, "describe-placement-groups", *mine)["PlacementGroups"] == []
