"""The fault proxy does what it promises, in the words of each service."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.config import Config  # type: ignore[import-untyped]
from botocore.exceptions import (  # type: ignore[import-untyped]
    ClientError,
    ConnectionClosedError,
    EndpointConnectionError,
)
from efa_sdk.testing import StandIn
from fault_proxy import Fault, FaultProxy
from iam_support import TRUST
from support import DEADLINE_S, Cloud

#: A reading call of each kind of envelope, with the codes that its service answers.
CALLS = [
    ("ec2", "describe_vpcs", "UnauthorizedOperation", "RequestLimitExceeded"),
    ("iam", "list_roles", "AccessDenied", "Throttling"),
    ("sts", "get_caller_identity", "AccessDenied", "Throttling"),
    ("ssm", "describe_parameters", "AccessDeniedException", "ThrottlingException"),
]


@pytest.fixture
def proxy(stand_in: StandIn, aws_environment: None) -> Iterator[FaultProxy]:
    with FaultProxy(stand_in.host, stand_in.port) as proxy:
        yield proxy


def client(stand_in: StandIn, proxy: FaultProxy, service: str, attempts: int = 1) -> Any:
    """boto3 through the proxy."""
    import boto3  # type: ignore[import-untyped]

    return boto3.client(
        service,
        region_name=stand_in.region,
        endpoint_url=proxy.endpoint_url,
        config=Config(retries={"mode": "standard", "total_max_attempts": attempts}),
    )


@pytest.mark.parametrize(("service", "call", "refused", "throttled"), CALLS)
def test_errors_in_the_envelope_of_the_service(
    stand_in: StandIn, proxy: FaultProxy, service: str, call: str, refused: str, throttled: str
) -> None:
    look = getattr(client(stand_in, proxy, service), call)
    for kind, code in (("refuse", refused), ("throttle", throttled)):
        proxy.begin(Fault(kind, 1))  # type: ignore[arg-type]
        look()
        with pytest.raises(ClientError) as caught:
            look()
        answer = caught.value.response
        assert answer["Error"]["Code"] == code
        assert answer["ResponseMetadata"]["RequestId"] == proxy.requests[1].request_id
        look()
        assert proxy.hits == 1
        assert [r.service for r in proxy.requests] == [service] * 3
        assert [r.call for r in proxy.requests] == [0, 1, 2]


def test_throttling_passes_within_one_call(stand_in: StandIn, proxy: FaultProxy) -> None:
    proxy.begin(Fault("throttle", 0))
    client(stand_in, proxy, "ec2", attempts=3).describe_vpcs()
    assert [(r.call, r.status) for r in proxy.requests] == [(0, 503), (0, 503), (0, 200)]
    assert ["attempt=1" in r.attempt for r in proxy.requests] == [True, False, False]
    assert len(proxy.calls) == 1


@pytest.mark.parametrize(("kind", "attempts"), [("lost", 1), ("lost-all", 2)])
def test_a_lost_reply_took_effect(
    cloud: Cloud, proxy: FaultProxy, kind: Any, attempts: int
) -> None:
    ec2 = client(cloud.stand_in, proxy, "ec2", attempts)
    proxy.begin(Fault(kind, 0))
    with pytest.raises((ConnectionClosedError, EndpointConnectionError)):
        ec2.allocate_address(Domain="vpc")
    assert len(cloud.state()["elastic-ip"]) == proxy.hits == attempts


def test_what_was_just_made_is_not_found_twice(cloud: Cloud, proxy: FaultProxy) -> None:
    ec2 = client(cloud.stand_in, proxy, "ec2")
    vpc = cloud.network.vpc_id
    other = cloud.ec2.create_security_group(GroupName="o", Description="d", VpcId=vpc)["GroupId"]
    proxy.begin(Fault("not-found", 2))
    group = ec2.create_security_group(GroupName="g", Description="d", VpcId=vpc)["GroupId"]
    ec2.describe_security_groups(GroupIds=[other])
    codes = []
    for _ in range(2):
        with pytest.raises(ClientError) as caught:
            ec2.describe_security_groups(GroupIds=[group])
        codes.append(caught.value.response["Error"]["Code"])
    assert codes == ["InvalidGroup.NotFound"] * 2
    assert ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"]
    assert [r.unseen for r in proxy.requests[:3]] == [(), (), ("InvalidGroup.NotFound",)]


def test_what_a_call_names_becomes_visible_one_by_one(cloud: Cloud, proxy: FaultProxy) -> None:
    ec2, iam = (client(cloud.stand_in, proxy, service) for service in ("ec2", "iam"))
    cloud.stand_in.iam_propagation_calls = 0
    iam.create_role(RoleName="nodes", AssumeRolePolicyDocument=TRUST)
    proxy.begin(Fault("not-found", 3))
    iam.create_instance_profile(InstanceProfileName="nodes")
    iam.add_role_to_instance_profile(InstanceProfileName="nodes", RoleName="nodes")
    ec2.create_placement_group(GroupName="close", Strategy="cluster")
    launch = {
        "ImageId": cloud.network.image_for("c5n.18xlarge"),
        "InstanceType": "c5n.18xlarge",
        "MinCount": 1,
        "MaxCount": 1,
        "SubnetId": cloud.network.subnet_for("c5n.18xlarge"),
        "ClientToken": "one",
        "Placement": {"GroupName": "close"},
        "IamInstanceProfile": {"Name": "nodes"},
    }
    errors = []
    for _ in range(2):
        with pytest.raises(ClientError) as caught:
            ec2.run_instances(**launch)
        errors.append(caught.value.response["Error"])
    assert {e["Code"] for e in errors} == {"InvalidPlacementGroup.Unknown", "InvalidParameterValue"}
    assert any("Invalid IAM Instance Profile name" in e["Message"] for e in errors)
    assert ec2.run_instances(**launch)["Instances"]


def test_a_stale_listing_lacks_only_what_is_new(cloud: Cloud, proxy: FaultProxy) -> None:
    ec2 = client(cloud.stand_in, proxy, "ec2")
    proxy.begin(Fault("stale", 1))
    old = {a["PublicIp"] for a in [cloud.ec2.allocate_address(Domain="vpc")]}
    new = ec2.allocate_address(Domain="vpc")["PublicIp"]
    seen = [{a["PublicIp"] for a in ec2.describe_addresses()["Addresses"]} for _ in range(2)]
    assert seen == [old, {*old, new}]
    assert [r.shows_new for r in proxy.requests] == [False, True, True]


CALL = """
import sys
import boto3
ec2 = boto3.client("ec2", region_name="us-east-1", endpoint_url=sys.argv[1])
sys.stdin.read()
ec2.allocate_address(Domain="vpc")
print("survived")
"""


@pytest.mark.parametrize(("kind", "made"), [("kill-before", 0), ("kill-after", 1)])
def test_the_caller_dies(cloud: Cloud, proxy: FaultProxy, kind: Any, made: int) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", CALL, proxy.endpoint_url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    proxy.begin(Fault(kind, 0, process.pid))
    out, _ = process.communicate("go", timeout=DEADLINE_S)
    assert (process.returncode, out) == (-signal.SIGKILL, "")
    assert len(cloud.state()["elastic-ip"]) == made
