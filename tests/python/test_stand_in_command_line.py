"""`python -m efa_sdk.testing`: its options reach the stand-in, as tests in Rust need them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import boto3  # type: ignore[import-untyped]
import pytest
from botocore.exceptions import ClientError
from iam_support import SSM_CORE, TRUST

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
