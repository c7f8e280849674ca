"""`apply` when EC2 fails in the middle: typed, honest about what exists, finished by another."""

from __future__ import annotations

from collections import Counter
from typing import Any

import efa_sdk as efa
import pytest
from efa_sdk.testing import Fault
from support import P5, SMALL, Cloud, raised

MAKING = [
    "CreateSecurityGroup",
    "AuthorizeSecurityGroupIngress",
    "AuthorizeSecurityGroupEgress",
    "CreatePlacementGroup",
    "RunInstances",
    "AllocateAddress",
    "AssociateAddress",
]
LOOKING = ["DescribeInstances", "DescribeSecurityGroups", "DescribePlacementGroups"]
LOOKING += ["DescribeAddresses"]

#: What exactly one cluster of two with Elastic IPs consists of.
ONE_CLUSTER = {"instance": 2, "security-group": 1, "placement-group": 1, "elastic-ip": 2}


@pytest.fixture
def plan(cloud: Cloud) -> efa.Plan:
    return cloud.plan(public_ip="elastic-ip")


def end(fault: Fault) -> None:
    """The fault strikes no more."""
    fault.times = 0


def check_converges(cloud: Cloud, plan: efa.Plan) -> None:
    """Another apply makes exactly one cluster, and destroy leaves nothing."""
    cluster = cloud.client.apply(plan)
    assert len(cluster) == 2
    assert Counter(kind for kind, _ in cloud.made()) == ONE_CLUSTER
    report = cloud.client.verify(plan)
    assert report.findings == []
    cloud.client.destroy("train")
    assert cloud.tagged() == set()
    assert cloud.state()["elastic-ip"] == {}, "tagged or not"
    assert cloud.state()["instance"] == {}


@pytest.mark.parametrize("action", MAKING)
def test_refused(cloud: Cloud, plan: efa.Plan, action: str) -> None:
    fault = cloud.stand_in.fail(
        action, "UnauthorizedOperation", "You are not authorized", status=403
    )
    error = raised(lambda: cloud.client.apply(plan))
    assert isinstance(error, efa.errors.Ec2Error)
    assert (error.code, error.ec2_code) == ("ec2.refused", "UnauthorizedOperation")
    assert error.context["action"] == action
    assert not error.retryable
    assert "IAM" in (error.cure or "")
    assert fault.hits == 1, "a refusal is not tried again"
    assert set(error.leftovers) == cloud.made()
    assert len(set(error.leftovers)) == len(error.leftovers)
    assert error.may_have_changed_aws
    check_converges(cloud, plan)


@pytest.mark.parametrize("action", MAKING)
def test_carried_out_and_yet_refused(cloud: Cloud, plan: efa.Plan, action: str) -> None:
    cloud.stand_in.fail(action, "OptInRequired", status=401, when="after")
    error = raised(lambda: cloud.client.apply(plan))
    assert error.may_have_changed_aws
    assert set(error.leftovers) <= cloud.made()
    check_converges(cloud, plan)


@pytest.mark.parametrize("action", MAKING)
def test_one_lost_reply_is_no_failure(cloud: Cloud, plan: efa.Plan, action: str) -> None:
    fault = cloud.stand_in.fail(action, when="after")
    cloud.client.apply(plan)
    assert fault.hits == 1
    assert Counter(kind for kind, _ in cloud.made()) == ONE_CLUSTER
    check_converges(cloud, plan)


@pytest.mark.parametrize("action", MAKING)
def test_all_replies_lost(cloud: Cloud, plan: efa.Plan, action: str) -> None:
    fault = cloud.stand_in.fail(action, when="after", times=None)
    error = raised(lambda: cloud.client.apply(plan))
    assert error.may_have_changed_aws
    assert set(error.leftovers) <= cloud.made()
    if error.code == "ec2.unreachable":
        assert error.retryable
        assert error.context["action"] == action
    end(fault)
    check_converges(cloud, plan)


@pytest.mark.parametrize("action", MAKING)
def test_destroy_after_lost_replies_leaves_nothing(
    cloud: Cloud, plan: efa.Plan, action: str
) -> None:
    fault = cloud.stand_in.fail(action, when="after", times=None)
    raised(lambda: cloud.client.apply(plan))
    end(fault)
    cloud.client.destroy("train")
    assert cloud.tagged() == set()
    assert cloud.state()["elastic-ip"] == {}
    assert cloud.state()["instance"] == {}


@pytest.mark.parametrize("action", [*MAKING, *LOOKING])
def test_throttled_twice_is_no_failure(cloud: Cloud, plan: efa.Plan, action: str) -> None:
    fault = cloud.stand_in.fail(action, "RequestLimitExceeded", status=503, times=2)
    cloud.client.apply(plan)
    assert fault.hits == 2
    assert Counter(kind for kind, _ in cloud.made()) == ONE_CLUSTER


@pytest.mark.parametrize("skip", range(4))
def test_a_look_that_fails_in_the_middle(cloud: Cloud, plan: efa.Plan, skip: int) -> None:
    cloud.stand_in.fail("DescribeInstances", "UnauthorizedOperation", status=403, skip=skip)
    error = raised(lambda: cloud.client.apply(plan))
    assert error.context["action"] == "DescribeInstances"
    assert set(error.leftovers) == cloud.made()
    assert error.may_have_changed_aws or not error.leftovers
    check_converges(cloud, plan)


def test_no_capacity(cloud: Cloud) -> None:
    plan = cloud.plan(P5)
    zone = plan.availability_zone
    cloud.stand_in.set_capacity(P5, zone, 1)
    error = raised(lambda: cloud.client.apply(plan))
    assert isinstance(error, efa.errors.ProvisionError)
    assert error.code == "provision.no_capacity"
    assert error.ec2_code == "InsufficientInstanceCapacity"
    assert len(cloud.sent("RunInstances")) == 1, "not sent again to the same full zone"
    assert error.retryable
    assert error.cure
    assert zone in error.message
    others = [z for z in cloud.network.subnets if z != zone]
    assert any(z in str(error) for z in others), "EC2 names the zones that have it"
    assert cloud.instances() == [], "all or nothing"
    assert {kind for kind, _ in error.leftovers} == {"security-group", "placement-group"}
    cloud.stand_in.set_capacity(P5, zone, 2)
    assert len(cloud.client.apply(plan)) == 2
    cloud.client.destroy("train")
    assert cloud.tagged() == set()


QUOTAS = ["VcpuLimitExceeded", "InstanceLimitExceeded", "OptInRequired", "AuthFailure"]


@pytest.mark.parametrize("code", QUOTAS)
def test_known_refusals_have_a_cure(cloud: Cloud, code: str) -> None:
    plan = cloud.plan()
    cloud.stand_in.fail("RunInstances", code, "as EC2 words it")
    error = raised(lambda: cloud.client.apply(plan))
    assert (error.ec2_code, error.retryable) == (code, False)
    assert "as EC2 words it" in error.message
    assert error.cure


def test_an_instance_that_ends_before_it_runs(cloud: Cloud) -> None:
    def stop_one(event: efa.Event) -> None:
        if event.action == "waiting for" and event.resource_type == "instance":
            ids = [i["InstanceId"] for i in cloud.instances()]
            cloud.ec2.terminate_instances(InstanceIds=ids[:1])

    client = cloud.connect(progress=stop_one)
    plan = cloud.plan(SMALL)
    error = raised(lambda: client.apply(plan))
    assert isinstance(error, efa.errors.ProvisionError)
    assert error.code == "provision.instance_lost"
    assert error.cure
    assert {kind for kind, _ in error.leftovers} >= {"instance", "security-group"}
    cloud.client.destroy("train")
    assert cloud.tagged() == set()


def test_waiting_has_a_limit(cloud: Cloud) -> None:
    plan = cloud.plan()
    error = raised(lambda: cloud.connect(wait_timeout_s=0).apply(plan))
    assert isinstance(error, efa.errors.ProvisionError)
    assert error.code == "provision.timeout"
    assert error.retryable
    assert set(error.leftovers) == cloud.made()
    assert len(cloud.client.apply(plan)) == 2, "another apply goes on waiting"


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf"), 1e300])
def test_a_limit_that_is_none_is_refused(cloud: Cloud, value: float) -> None:
    with pytest.raises(ValueError, match="wait_timeout_s"):
        cloud.connect(wait_timeout_s=value)


def test_a_leftover_group_of_someone_else_in_the_race(cloud: Cloud) -> None:
    plan = cloud.plan()
    cloud.ec2.create_security_group(
        GroupName="efa-sdk-train", Description="d", VpcId=cloud.network.vpc_id
    )
    error = raised(lambda: cloud.client.apply(plan))
    assert error.code == "plan.conflict"
    assert cloud.instances() == []
    assert [c for c in cloud.changes() if c.startswith("Authorize")] == []


def test_errors_travel(cloud: Cloud, plan: efa.Plan) -> None:
    import copy
    import pickle

    cloud.stand_in.fail("RunInstances", "UnauthorizedOperation", status=403)
    error = raised(lambda: cloud.client.apply(plan))
    for other in (pickle.loads(pickle.dumps(error)), copy.deepcopy(error)):
        assert type(other) is type(error)
        assert vars(other) == vars(error)
        assert str(other) == str(error)
    details: dict[str, Any] = vars(error)
    assert details["leftovers"]
