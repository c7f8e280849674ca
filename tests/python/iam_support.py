"""A role and an instance profile for tests of the EC2 stand-in."""

from __future__ import annotations

import json

from efa_sdk.testing import StandIn

SSM_CORE = "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "ec2.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
)


def node_profile(stand_in: StandIn, name: str = "node", policy: str | None = SSM_CORE) -> str:
    """An instance profile with a role of the same name; the profile's ARN."""
    iam = stand_in.client("iam")
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=TRUST)
    if policy is not None:
        iam.attach_role_policy(RoleName=name, PolicyArn=policy)
    made = iam.create_instance_profile(InstanceProfileName=name)["InstanceProfile"]
    iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)
    return str(made["Arn"])
