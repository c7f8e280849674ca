"""The EC2 stand-in's faults: before a call, after it, by parameter, of any service."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError
from efa_sdk.testing import StandIn
from stand_in_launches import ONCE, code_of, described, launch


def test_faults_before(stand_in: StandIn) -> None:
    fault = stand_in.fail("Describe*", "RequestLimitExceeded", "slow", status=503, times=2, skip=1)
    ec2 = stand_in.client(config=ONCE)
    ec2.describe_vpcs()
    for _ in range(2):
        with pytest.raises(ClientError) as caught:
            ec2.describe_vpcs()
        assert code_of(caught) == "RequestLimitExceeded"
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
    ec2.describe_vpcs()
    assert fault.hits == 2


def test_a_lost_reply_is_carried_out_once_with_a_token(stand_in: StandIn) -> None:
    stand_in.default_network()
    stand_in.fail("RunInstances", when="after")
    with pytest.raises(ConnectionClosedError):
        launch(stand_in, ClientToken="a")
    assert len(described(stand_in)) == 1
    assert len(launch(stand_in, ClientToken="a")["Instances"]) == 1
    assert len(described(stand_in)) == 1
    assert [entry.dropped for entry in stand_in.requests if entry.action == "RunInstances"] == [
        True,
        False,
    ]


def test_faults_by_parameter_and_of_other_services(stand_in: StandIn) -> None:
    stand_in.fail("CreatePlacementGroup", "Boom", where={"GroupName": "b*"})
    stand_in.fail("GetCallerIdentity", "AccessDenied", status=403)
    stand_in.fail("GetParameter", "ParameterNotFound")
    ec2 = stand_in.client()
    ec2.create_placement_group(GroupName="a", Strategy="cluster")
    sts, ssm = stand_in.client("sts"), stand_in.client("ssm")
    calls: list[tuple[Callable[[], Any], str]] = [
        (lambda: ec2.create_placement_group(GroupName="b", Strategy="cluster"), "Boom"),
        (lambda: sts.get_caller_identity(), "AccessDenied"),
        (lambda: ssm.get_parameter(Name="/x"), "ParameterNotFound"),
    ]
    for call, code in calls:
        with pytest.raises(ClientError) as caught:
            call()
        assert code_of(caught) == code
