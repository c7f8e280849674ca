"""What an error states of its effect when an earlier attempt of the call had no answer.

The SDK sends a call again when its reply is lost; the answer of that second attempt states nothing
of the first. Over HTTP, since the SDK's stack decides.
"""

from __future__ import annotations

from typing import Any

import efa_sdk as efa
import pytest
from efa_sdk.testing import Fault
from support import SMALL, Cloud, raised

#: What the second and later attempts are answered with: code and status.
SECOND = {
    "RequestLimitExceeded": 503,
    "RequestExpired": 400,
    "UnauthorizedOperation": 403,
    "InsufficientInstanceCapacity": 500,
    "PendingVerification": 400,
}

#: How many requests of the action pass undisturbed: the first RunInstances is a dry run.
SKIP = {"RunInstances": 1}

CHANGING = [
    "RunInstances",
    "CreateSecurityGroup",
    "CreatePlacementGroup",
    "AllocateAddress",
    "AuthorizeSecurityGroupEgress",
    "AssociateAddress",
]


def lose_then(cloud: Cloud, action: str, code: str, status: int) -> Fault:
    """The first attempt is carried out unheard; every later one is answered with this code."""
    skip = SKIP.get(action, 0)
    cloud.stand_in.fail(action, None, "", times=1, when="after", skip=skip)
    return cloud.stand_in.fail(action, code, "injected", status=status, times=40, skip=skip)


@pytest.mark.parametrize(
    ("action", "code"),
    [("RunInstances", code) for code in SECOND]
    + [(action, "UnauthorizedOperation") for action in CHANGING[1:]],
)
def test_the_effect_is_unknown_and_what_exists_is_listed(
    cloud: Cloud, action: str, code: str
) -> None:
    plan = cloud.plan(public_ip="elastic-ip" if "Address" in action else "none")
    fault = lose_then(cloud, action, code, SECOND[code])
    error = raised(lambda: cloud.client.apply(plan))
    assert error.context["action"] == action
    assert error.context["took_effect"] == "unknown"
    assert int(error.context["attempts_unanswered"]) >= 1
    assert set(error.leftovers) == cloud.made()
    assert error.cure
    fault.times = 0
    assert len(cloud.client.apply(plan)) == 2
    cloud.client.destroy("train")
    assert cloud.tagged() == set()


def test_a_refusal_of_the_only_attempt_took_no_effect(cloud: Cloud) -> None:
    plan = cloud.plan()
    cloud.stand_in.fail("RunInstances", "VcpuLimitExceeded", "0", skip=1)
    error = raised(lambda: cloud.client.apply(plan))
    assert error.context["took_effect"] == "no"
    assert "attempts_unanswered" not in error.context
    assert not [one for one in error.leftovers if one[0] == "instance"]


def test_a_lost_launch_is_settled_before_another_zone_is_tried(cloud: Cloud) -> None:
    subnets = list(cloud.network.subnets.values())[:2]
    plan = cloud.plan(subnet=subnets, placement="none")
    fault = lose_then(cloud, "RunInstances", "InsufficientInstanceCapacity", 500)
    cluster = cloud.client.apply(plan)
    fault.times = 0
    assert len(cluster) == 2
    assert len(cloud.instances()) == 2, "no second set in the other zone"
    assert len({i["Placement"]["AvailabilityZone"] for i in cloud.instances()}) == 1


def test_a_launch_that_did_not_happen_goes_to_the_next_zone(cloud: Cloud) -> None:
    subnets = list(cloud.network.subnets.values())[:2]
    plan = cloud.plan(subnet=subnets, placement="none")
    # The first attempt is dropped on its way; the second finds no room.
    cloud.stand_in.fail("RunInstances", None, "", times=1, skip=1)
    first = plan.subnet_ids[0]
    cloud.stand_in.fail(
        "RunInstances",
        "InsufficientInstanceCapacity",
        "We currently do not have sufficient capacity",
        status=500,
        times=40,
        skip=1,
        where={"NetworkInterface.1.SubnetId": first},
    )
    cluster = cloud.client.apply(plan)
    assert {instance.subnet_id for instance in cluster.instances} == {plan.subnet_ids[1]}


@pytest.mark.parametrize("action", ["DescribeInstances", "DescribeSecurityGroups"])
def test_a_look_that_fails_is_not_none(cloud: Cloud, action: str) -> None:
    plan = cloud.plan()
    looks = {"DescribeInstances": "instance", "DescribeSecurityGroups": "security-group"}
    cloud.stand_in.fail("RunInstances", "VcpuLimitExceeded", "0", skip=1)

    def refuse_polls(event: Any) -> None:
        if event.resource_type == "placement-group":
            cloud.stand_in.fail(action, "UnauthorizedOperation", status=403, times=None)

    client = cloud.connect(progress=refuse_polls)
    error = raised(lambda: client.apply(plan))
    assert error.context["leftovers_unread"] == looks[action]
    assert "could not be looked up" in (error.next_command or "")


def test_a_termination_that_ec2_did_not_see_is_asked_for_again(cloud: Cloud) -> None:
    cloud.apply()
    fault = cloud.stand_in.fail(
        "TerminateInstances", "InvalidInstanceID.NotFound", "no", status=400, times=1
    )
    report = cloud.connect(wait_timeout_s=8).destroy("train")
    assert fault.hits == 1
    assert len([one for one in report.removed if one[0] == "instance"]) == 2
    assert cloud.tagged() == set()


@pytest.mark.parametrize(
    ("action", "code"),
    [
        ("DeleteSecurityGroup", "InvalidGroup.NotFound"),
        ("DeletePlacementGroup", "InvalidPlacementGroup.Unknown"),
        ("ReleaseAddress", "InvalidAllocationID.NotFound"),
    ],
)
def test_what_ec2_lists_and_does_not_know_is_looked_for_again(
    cloud: Cloud, action: str, code: str
) -> None:
    cloud.apply(public_ip="elastic-ip")
    fault = cloud.stand_in.fail(action, code, "no", status=400, times=1)
    report = cloud.client.destroy("train")
    assert fault.hits == 1
    assert cloud.tagged() == set()
    assert len(set(report.removed)) == len(report.removed)


@pytest.mark.parametrize(
    ("code", "cure", "then"),
    [
        ("VcpuLimitExceeded", "quota", "once that is done, apply the same plan"),
        ("InvalidKeyPair.NotFound", "key pair", "plan with that changed"),
        ("PendingVerification", "validate", "apply the same plan again later"),
        ("VolumeLimitExceeded", "EBS", "once that is done"),
        ("InvalidAMIID.Unavailable", "image", "plan with that changed"),
        ("SomethingNew.NotFound", "exist", "plan with that changed"),
    ],
)
def test_the_next_command_agrees_with_the_cure(
    cloud: Cloud, code: str, cure: str, then: str
) -> None:
    plan = cloud.plan(SMALL)
    cloud.stand_in.fail("RunInstances", code, "injected", skip=1)
    error = raised(lambda: cloud.client.apply(plan))
    assert cure in (error.cure or "")
    assert (error.next_command or "").startswith(then)
    assert isinstance(error, efa.errors.Ec2Error)


def test_of_a_cluster_that_differs(cloud: Cloud) -> None:
    cloud.apply()
    other = cloud.plan(volume_size_gib=77)
    error = raised(lambda: cloud.client.apply(other))
    assert error.code == "provision.cluster_differs"
    assert "destroy" in (error.cure or "")
    assert (error.next_command or "").startswith("destroy('train')")


REASONS = {
    "Client.InvalidKMSKey.InvalidState": "KMS",
    "Client.VolumeLimitExceeded": "quota",
    "Client.InternalError": "kms:CreateGrant",
    "Server.InternalError": "fault of AWS",
    "Client.UserInitiatedShutdown": "CloudTrail",
}


@pytest.mark.parametrize("code", REASONS)
def test_an_instance_that_ec2_took_back_has_a_cure_of_its_cause(cloud: Cloud, code: str) -> None:
    plan = cloud.plan()
    cloud.stand_in.end_after_launch(code)
    error = raised(lambda: cloud.client.apply(plan))
    assert error.code == "provision.instance_lost"
    assert error.context["state_reason"] == code
    assert REASONS[code] in (error.cure or "")
    assert "destroy('train')" in (error.next_command or "")
    assert set(error.leftovers) == cloud.made(), "not the instance that is gone"


def test_late_lack_of_capacity_tries_the_next_subnet(cloud: Cloud) -> None:
    plan = cloud.plan(subnet=list(cloud.network.subnets.values())[:2])
    first = plan.availability_zone
    cloud.stand_in.end_after_launch("Server.InsufficientInstanceCapacity", zone=first, times=1)
    cluster = cloud.client.apply(plan)
    assert {instance.subnet_id for instance in cluster.instances} == {plan.subnet_ids[1]}
    assert len(cloud.instances()) == 2, "what was launched in the first zone is gone"
    assert cloud.client.verify("train").findings == []


def test_late_lack_of_capacity_everywhere(cloud: Cloud) -> None:
    plan = cloud.plan()
    cloud.stand_in.end_after_launch("Server.InsufficientInstanceCapacity", times=1)
    error = raised(lambda: cloud.client.apply(plan))
    assert error.code == "provision.no_capacity"
    assert error.retryable
    assert cloud.instances() == [], "all or nothing"
    assert (error.next_command or "").startswith("apply the same plan again later")
    assert len(cloud.client.apply(plan)) == 2
