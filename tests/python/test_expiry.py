"""Clusters that end themselves, on the stand-in: what is sent, what is shown, who may extend."""

from __future__ import annotations

import datetime as dt
from typing import Any

import efa_sdk as efa
import pytest
from efa_sdk import aio
from support import Cloud

HOUR = dt.timedelta(hours=1)


def moment(text: str | None) -> dt.datetime:
    assert text is not None
    return dt.datetime.fromisoformat(text.replace("Z", "+00:00"))


def expiring(cloud: Cloud, **more: Any) -> efa.ClusterSpec:
    return cloud.spec(expires_after=HOUR, **more)


def test_a_cluster_is_launched_to_end_itself_and_says_when(cloud: Cloud) -> None:
    before = dt.datetime.now(dt.timezone.utc).replace(microsecond=0)
    plan = cloud.client.plan(expiring(cloud, bootstrap=efa.Bootstrap()))
    assert plan.spec.expires_after == plan.spec.replace(count=3).expires_after == HOUR
    assert before + HOUR <= moment(plan.expires_at) <= dt.datetime.now(dt.timezone.utc) + HOUR
    assert efa.Plan.from_json(plan.to_json()) == plan

    cluster = cloud.client.apply(plan)
    (sent,) = cloud.sent("RunInstances")
    assert sent["InstanceInitiatedShutdownBehavior"] == "terminate"
    assert sent["MetadataOptions.InstanceMetadataTags"] == "enabled"
    assert cluster.expires_at == plan.expires_at
    (summary,) = cloud.client.clusters()
    assert summary.expires_at == plan.expires_at
    assert f"expires at {plan.expires_at}" in str(summary)
    for instance in cloud.instances():
        assert instance["MetadataOptions"]["InstanceMetadataTags"] == "enabled"


async def test_extending_needs_the_plans_policy_and_moves_every_node(cloud: Cloud) -> None:
    plan = cloud.client.plan(expiring(cloud))
    cloud.client.apply(plan)
    cloud.stand_in.authorize(plan.caller_policy())
    extended = cloud.client.extend("train", 3 * HOUR)
    assert moment(extended.expires_at) > moment(plan.expires_at) + HOUR
    assert {i.tags["efa-sdk:expires-at"] for i in extended.instances} == {extended.expires_at}
    client = aio.Client(region="us-east-1", endpoint_url=cloud.stand_in.endpoint_url)
    sooner = await client.extend("train", HOUR / 2)
    assert moment(sooner.expires_at) < moment(plan.expires_at)
    assert cloud.client.apply(plan) == sooner, "still the cluster of this plan"

    cloud.stand_in.authorize(cloud.plan(name="lasting").caller_policy())
    with pytest.raises(efa.errors.Ec2Error) as caught:
        cloud.client.extend("train", HOUR)
    assert caught.value.ec2_code == "UnauthorizedOperation"


def test_what_cannot_be_is_refused(cloud: Cloud) -> None:
    for more in ({"user_data": "#!/bin/sh"}, {"tags": {"karpenter.sh/discovery": "prod"}}):
        with pytest.raises(efa.errors.PlanError):
            expiring(cloud, **more)
    with pytest.raises(efa.errors.PlanError) as caught:
        cloud.spec(expires_after=dt.timedelta(minutes=9))
    assert caught.value.context["field"] == "expires_after"
    plan = cloud.client.prepare(cloud.client.plan(expiring(cloud)))
    for write in (plan.to_launch_template, plan.to_cloudformation):
        with pytest.raises(efa.errors.HandoffError) as refused:
            write()
        assert refused.value.context["field"] == "expires_after"
    assert "efa-sdk:expires-at" in plan.to_cli()
