"""IAM in the stand-in: what it makes, what it refuses, and how late EC2 learns of it."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

import pytest
from botocore.exceptions import ClientError
from efa_sdk.testing import StandIn
from iam_support import SSM_CORE, TRUST, node_profile

PLAIN = "m5.2xlarge"
TAGS = [{"Key": "efa-sdk/cluster", "Value": "train"}]


def launch(stand_in: StandIn, dry_run: bool = False, **profile: str) -> Any:
    net = stand_in.default_network()
    return stand_in.client().run_instances(
        ImageId=net.image_for(PLAIN),
        InstanceType=PLAIN,
        MinCount=1,
        MaxCount=1,
        SubnetId=net.subnet_for(PLAIN),
        IamInstanceProfile=profile,
        DryRun=dry_run,
    )


def refused(code: str, status: int, call: Any, **options: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**options)
    answer = caught.value.response
    assert answer["Error"]["Code"] == code, answer
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == status
    return str(answer["Error"]["Message"])


def test_ec2_hears_of_a_new_profile_after_some_launches(stand_in: StandIn) -> None:
    arn = node_profile(stand_in)
    stand_in.iam_propagation_calls = 2
    text = refused("InvalidParameterValue", 400, launch, stand_in=stand_in, Name="node")
    assert text == (
        "Value (node) for parameter iamInstanceProfile.name is invalid."
        " Invalid IAM Instance Profile name"
    )
    text = refused("InvalidParameterValue", 400, launch, stand_in=stand_in, dry_run=True, Arn=arn)
    assert text.startswith(f"Value ({arn}) for parameter iamInstanceProfile.arn is invalid.")
    refused("DryRunOperation", 412, launch, stand_in=stand_in, dry_run=True, Name="node")
    made = launch(stand_in, Name="node")["Instances"][0]
    assert made["IamInstanceProfile"]["Arn"] == arn


def test_one_launch_is_refused_unless_set_otherwise(stand_in: StandIn) -> None:
    assert stand_in.iam_propagation_calls == 1
    node_profile(stand_in)
    refused("InvalidParameterValue", 400, launch, stand_in=stand_in, Name="node")
    assert launch(stand_in, Name="node")
    body = json.dumps({"iam_propagation_calls": 0}).encode()
    urllib.request.urlopen(f"{stand_in.endpoint_url}/efa-sdk/settings", body)
    node_profile(stand_in, "other")
    assert launch(stand_in, Name="other")
    stand_in.reset()
    assert stand_in.iam_propagation_calls == 1


def test_a_role_with_everything_on_it_comes_and_goes(stand_in: StandIn) -> None:
    iam = stand_in.client("iam")
    role: dict[str, str] = {"RoleName": "node"}
    profile: dict[str, str] = {"InstanceProfileName": "node"}
    document = {
        "Version": "2012-10-17",
        "Statement": {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"},
    }
    iam.create_role(**role, AssumeRolePolicyDocument=TRUST, Tags=TAGS)
    made = iam.create_instance_profile(**profile, Tags=TAGS)["InstanceProfile"]
    assert made["Tags"] == TAGS
    iam.add_role_to_instance_profile(**profile, **role)
    iam.attach_role_policy(**role, PolicyArn=SSM_CORE)
    iam.attach_role_policy(**role, PolicyArn=SSM_CORE)
    iam.put_role_policy(**role, PolicyName="s3", PolicyDocument=json.dumps(document))

    kept = iam.get_role(**role)["Role"]
    assert (kept["Tags"], kept["AssumeRolePolicyDocument"]) == (TAGS, json.loads(TRUST))
    roles = iam.get_instance_profile(**profile)["InstanceProfile"]["Roles"]
    assert [one["Arn"] for one in roles] == [kept["Arn"]]
    attached = iam.list_attached_role_policies(**role)["AttachedPolicies"]
    assert [one["PolicyArn"] for one in attached] == [SSM_CORE]
    assert iam.list_role_policies(**role)["PolicyNames"] == ["s3"]
    assert iam.get_role_policy(**role, PolicyName="s3")["PolicyDocument"] == document

    exists = "EntityAlreadyExists", 409
    refused(*exists, iam.create_role, **role, AssumeRolePolicyDocument=TRUST)
    refused(*exists, iam.create_instance_profile, **profile)
    refused("LimitExceeded", 409, iam.add_role_to_instance_profile, **profile, **role)

    conflict = "DeleteConflict", 409
    refused(*conflict, iam.delete_instance_profile, **profile)
    assert "instance profile" in refused(*conflict, iam.delete_role, **role)
    iam.remove_role_from_instance_profile(**profile, **role)
    assert "detach" in refused(*conflict, iam.delete_role, **role)
    iam.detach_role_policy(**role, PolicyArn=SSM_CORE)
    assert "delete policies" in refused(*conflict, iam.delete_role, **role)
    iam.delete_role_policy(**role, PolicyName="s3")
    iam.delete_role(**role)
    iam.delete_instance_profile(**profile)

    gone = "NoSuchEntity", 404
    refused(*gone, iam.get_role, **role)
    refused(*gone, iam.delete_role, **role)
    refused(*gone, iam.list_role_policies, **role)
    refused(*gone, iam.list_attached_role_policies, **role)
    refused(*gone, iam.detach_role_policy, **role, PolicyArn=SSM_CORE)
    refused(*gone, iam.delete_role_policy, **role, PolicyName="s3")
    refused(*gone, iam.get_instance_profile, **profile)
    refused(*gone, iam.delete_instance_profile, **profile)
    refused(*gone, iam.remove_role_from_instance_profile, **profile, **role)


def test_an_unknown_managed_policy_is_refused(stand_in: StandIn) -> None:
    iam = stand_in.client("iam")
    iam.create_role(RoleName="node", AssumeRolePolicyDocument=TRUST)
    refused(
        "NoSuchEntity",
        404,
        iam.attach_role_policy,
        RoleName="node",
        PolicyArn="arn:aws:iam::aws:policy/NoSuchThing",
    )


def test_a_space_in_an_action_is_named(stand_in: StandIn) -> None:
    iam = stand_in.client("iam")
    iam.create_role(RoleName="node", AssumeRolePolicyDocument=TRUST)
    statement = {"Effect": "Allow", "Action": ["logs: CreateLogGroup"], "Resource": "*"}
    text = refused(
        "MalformedPolicyDocument",
        400,
        iam.put_role_policy,
        RoleName="node",
        PolicyName="p",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
    )
    assert "logs: CreateLogGroup" in text
    assert iam.list_role_policies(RoleName="node")["PolicyNames"] == []


def test_a_reset_undoes_what_was_done_to_policies_of_aws(stand_in: StandIn) -> None:
    iam = stand_in.client("iam")
    policy = {"PolicyArn": SSM_CORE}
    statement = {"Effect": "Allow", "Action": "ssm:*", "Resource": "*"}
    other = json.dumps({"Version": "2012-10-17", "Statement": [statement]})

    def shown() -> list[Any]:
        tags = iam.list_policy_tags(**policy)["Tags"]
        versions = iam.list_policy_versions(**policy)["Versions"]
        return [iam.get_policy(**policy)["Policy"], tags, versions]

    before = shown()
    iam.create_role(RoleName="node", AssumeRolePolicyDocument=TRUST)
    iam.attach_role_policy(RoleName="node", **policy)
    iam.create_policy_version(**policy, PolicyDocument=other, SetAsDefault=True)
    iam.tag_policy(**policy, Tags=TAGS)
    assert [a == b for a, b in zip(before, shown(), strict=True)] == [False] * 3
    stand_in.reset()
    assert shown() == before
