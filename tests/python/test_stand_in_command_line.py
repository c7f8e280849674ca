"""`python -m efa_sdk.testing`: its options, as tests in Rust need them, its errors and its end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from typing import Any

import boto3  # type: ignore[import-untyped]
import pytest
from botocore.exceptions import ClientError
from efa_sdk.testing import StandIn
from iam_support import SSM_CORE, TRUST
from stand_in_launches import C5N

OPTIONS = ["--transition-describes", "0", "--iam-propagation-calls", "0", "--eventual", "1"]


@pytest.fixture
def served() -> Iterator[dict[str, Any]]:
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "efa_sdk.testing",
            "--json",
            "--network",
            "--run-commands",
            *OPTIONS,
        ],
        stdout=subprocess.PIPE,
        text=True,
        env=dict(os.environ),
    )
    assert process.stdout is not None
    with process.stdout:
        yield json.loads(process.stdout.readline())
        process.terminate()
        assert process.wait() == 0


def test_a_script_runs_on_an_instance(served: dict[str, Any]) -> None:
    session = boto3.Session("testing", "testing", region_name="us-east-1")
    ec2, iam, ssm = (
        session.client(name, endpoint_url=served["endpoint_url"]) for name in ("ec2", "iam", "ssm")
    )
    iam.create_role(RoleName="node", AssumeRolePolicyDocument=TRUST)
    iam.attach_role_policy(RoleName="node", PolicyArn=SSM_CORE)
    iam.create_instance_profile(InstanceProfileName="node")
    iam.add_role_to_instance_profile(InstanceProfileName="node", RoleName="node")
    made = ec2.run_instances(
        ImageId=served["images"]["x86_64"],
        InstanceType="m5.2xlarge",
        MinCount=1,
        MaxCount=1,
        SubnetId=served["subnets"]["us-east-1a"],
        IamInstanceProfile={"Name": "node"},
    )["Instances"][0]["InstanceId"]
    assert ec2.describe_instances()["Reservations"] == []
    assert ec2.describe_instances()["Reservations"][0]["Instances"][0]["State"]["Code"] == 16
    command = ssm.send_command(
        DocumentName="AWS-RunShellScript",
        InstanceIds=[made],
        Parameters={"commands": ["echo $EFA_STAND_IN_INSTANCE_ID"]},
    )["Command"]["CommandId"]
    with pytest.raises(ClientError, match="InvocationDoesNotExist"):
        ssm.get_command_invocation(CommandId=command, InstanceId=made)
    while True:
        answer = ssm.get_command_invocation(CommandId=command, InstanceId=made)
        if answer["Status"] != "InProgress":
            break
    assert (answer["Status"], answer["StandardOutputContent"]) == ("Success", f"{made}\n")


def command(*words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "efa_sdk.testing", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_serves_until_a_signal(number: signal.Signals) -> None:
    with command("--json", "--network", "--region", "us-west-2") as process:
        assert process.stdout is not None
        reported = json.loads(process.stdout.readline())
        assert set(reported["subnets"]) >= {"us-west-2a"}
        order = json.dumps({"instance_type": C5N, "zone": "us-west-2a", "count": 0}).encode()
        url = reported["endpoint_url"] + "/efa-sdk/"
        urllib.request.urlopen(url + "capacity", order).read()
        assert json.load(urllib.request.urlopen(url + "requests")) == []
        process.send_signal(number)
        assert process.wait(20) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""


def test_the_command_says_what_is_wrong_with_a_port(stand_in: StandIn) -> None:
    taken = str(stand_in.port)
    for port, words, status in (("99999", "is not a port", 64), (taken, "cannot listen", 2)):
        with command("--port", port) as process:
            _, errors = process.communicate(timeout=30)
            assert process.returncode == status
            assert words in errors
            assert "Traceback" not in errors
