"""authorize(): IAM policies decide what a key may do, per action, resource and tag."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

import pytest
from botocore.exceptions import ClientError
from efa_sdk.testing import StandIn
from iam_support import TRUST

PLAIN = "m5.2xlarge"
MINE = {"efa-sdk/cluster": "train"}
EC2_ARN = "arn:aws:ec2:*:*:"
EXISTING = ["image/*", "subnet/*", "security-group/*", "key-pair/*", "placement-group/*"]
MADE = ["instance/*", "volume/*", "network-interface/*"]


def allow(actions: Any, resources: Any = "*", **condition: Any) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Action": actions, "Resource": resources}
    return {**statement, "Condition": condition} if condition else statement


def ec2_arns(*names: str) -> list[str]:
    return [f"arn:aws:ec2:*:{'*' if not n.startswith('image') else ''}:{n}" for n in names]


def tags(*kinds: str, **more: str) -> list[dict[str, Any]]:
    listed = [{"Key": key, "Value": value} for key, value in {**MINE, **more}.items()]
    return [{"ResourceType": kind, "Tags": listed} for kind in kinds]


def launch(stand_in: StandIn, **more: Any) -> Any:
    net = stand_in.default_network()
    return stand_in.client().run_instances(
        ImageId=net.image_for(PLAIN),
        InstanceType=PLAIN,
        MinCount=1,
        MaxCount=1,
        **{"SubnetId": net.subnet_for(PLAIN), **more},
    )


def refused(call: Any, *parts: str, code: str = "UnauthorizedOperation") -> None:
    with pytest.raises(ClientError) as caught:
        call()
    error = caught.value.response["Error"]
    assert error["Code"] == code, error
    for part in parts:
        assert part in error["Message"], error


LEAST = [
    allow("ec2:RunInstances", ec2_arns(*EXISTING)),
    allow(
        "ec2:RunInstances",
        ec2_arns(*MADE),
        StringLike={"aws:RequestTag/efa-sdk/cluster": "*"},
        StringEquals={"aws:RequestedRegion": "us-east-1"},
    ),
    allow(
        "ec2:CreateTags",
        ec2_arns(*MADE),
        **{
            "StringEquals": {"ec2:CreateAction": "RunInstances"},
            "ForAllValues:StringEquals": {"aws:TagKeys": ["efa-sdk/cluster", "Name"]},
        },
    ),
    allow(
        "ec2:TerminateInstances",
        f"{EC2_ARN}instance/*",
        StringLike={"aws:ResourceTag/efa-sdk/cluster": "*"},
    ),
]


def test_a_tagged_launch_under_least_privilege(stand_in: StandIn) -> None:
    stand_in.default_network()
    foreign = launch(stand_in)["Instances"][0]["InstanceId"]
    stand_in.authorize({"Version": "2012-10-17", "Statement": LEAST})
    kinds = ("instance", "volume", "network-interface")

    made = launch(stand_in, TagSpecifications=tags(*kinds))["Instances"][0]["InstanceId"]
    run = "is not authorized to perform: ec2:RunInstances on resource: arn:aws:ec2:us-east-1"
    refused(lambda: launch(stand_in), f"{run}:123456789012:instance/*")
    refused(
        lambda: launch(stand_in, TagSpecifications=tags("instance")),
        f"{run}:123456789012:network-interface/*",
    )
    refused(
        lambda: launch(stand_in, TagSpecifications=tags(*kinds, Colour="red")),
        "ec2:CreateTags on resource: arn:aws:ec2:us-east-1:123456789012:instance/*",
    )
    ec2 = stand_in.client()
    refused(ec2.describe_instances, "ec2:DescribeInstances because no identity-based policy")
    refused(
        lambda: ec2.terminate_instances(InstanceIds=[made, foreign]),
        "ec2:TerminateInstances on resource",
        f"instance/{foreign}",
    )
    ec2.terminate_instances(InstanceIds=[made])
    stand_in.authorize(None)
    assert ec2.describe_instances()["Reservations"]


def test_a_dry_run_needs_the_same_permissions(stand_in: StandIn) -> None:
    stand_in.default_network()
    stand_in.authorize({"Statement": allow("ec2:Describe*")})
    refused(lambda: launch(stand_in, DryRun=True), "Encoded authorization failure message: ")


def test_describe_is_allowed_on_every_resource_or_not_at_all(stand_in: StandIn) -> None:
    stand_in.authorize({"Statement": allow("ec2:Describe*", f"{EC2_ARN}instance/*")})
    refused(stand_in.client().describe_instances)


def test_an_explicit_deny_wins(stand_in: StandIn) -> None:
    deny = {**allow("ec2:RunInstances"), "Effect": "Deny"}
    deny["Condition"] = {"StringNotEquals": {"ec2:InstanceType": "p5.48xlarge"}}
    deny["Resource"] = f"{EC2_ARN}instance/*"
    stand_in.default_network()
    stand_in.authorize({"Statement": [allow("*"), deny]})
    refused(lambda: launch(stand_in), "with an explicit deny in an identity-based policy")


def test_another_region_may_be_closed(stand_in: StandIn) -> None:
    here = {"StringEquals": {"aws:RequestedRegion": "us-east-1"}}
    stand_in.authorize({"Statement": allow("ec2:*", **here)})
    assert stand_in.client().describe_vpcs()
    refused(stand_in.client(region="us-west-2").describe_vpcs)


def test_passing_a_role_is_a_permission_of_its_own(stand_in: StandIn) -> None:
    iam = stand_in.client("iam")
    stand_in.iam_propagation_calls = 0
    role = iam.create_role(RoleName="node", AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
    iam.create_instance_profile(InstanceProfileName="node")
    iam.add_role_to_instance_profile(InstanceProfileName="node", RoleName="node")
    stand_in.default_network()

    def run() -> Any:
        return launch(stand_in, IamInstanceProfile={"Name": "node"}, DryRun=True)

    stand_in.authorize({"Statement": allow("ec2:*")})
    refused(run, f"iam:PassRole on resource: {role}")
    passed = {"StringEquals": {"iam:PassedToService": "ecs.amazonaws.com"}}
    stand_in.authorize({"Statement": [allow("ec2:*"), allow("iam:PassRole", role, **passed)]})
    refused(run, f"iam:PassRole on resource: {role}")
    passed = {"StringEquals": {"iam:PassedToService": ["ec2.amazonaws.com"]}}
    stand_in.authorize({"Statement": [allow("ec2:*"), allow("iam:PassRole", role, **passed)]})
    refused(run, code="DryRunOperation")


def test_tags_in_a_creating_call_need_create_tags(stand_in: StandIn) -> None:
    net, ec2 = stand_in.default_network(), stand_in.client()
    stand_in.authorize({"Statement": allow("ec2:Create*Group")})
    ec2.create_placement_group(GroupName="bare", Strategy="cluster")
    refused(
        lambda: ec2.create_placement_group(
            GroupName="train", Strategy="cluster", TagSpecifications=tags("placement-group")
        ),
        "ec2:CreateTags on resource: arn:aws:ec2:us-east-1:123456789012:placement-group/train",
    )
    refused(
        lambda: ec2.create_security_group(
            GroupName="efa",
            Description="d",
            VpcId=net.vpc_id,
            TagSpecifications=tags("security-group"),
        ),
        "ec2:CreateTags on resource: arn:aws:ec2:us-east-1:123456789012:security-group/*",
    )
    stand_in.authorize(None)
    kept = [group["GroupName"] for group in ec2.describe_placement_groups()["PlacementGroups"]]
    assert kept == ["bare"]


def test_deletes_look_at_the_tags_of_their_resource(stand_in: StandIn) -> None:
    ec2 = stand_in.client()
    ec2.create_placement_group(GroupName="theirs")
    ec2.create_placement_group(GroupName="mine", TagSpecifications=tags("placement-group"))
    mine = {"StringEquals": {"aws:ResourceTag/efa-sdk/cluster": "train"}}
    stand_in.authorize({"Statement": allow("ec2:DeletePlacementGroup", **mine)})
    refused(lambda: ec2.delete_placement_group(GroupName="theirs"), "placement-group/theirs")
    ec2.delete_placement_group(GroupName="mine")


def test_iam_ssm_and_quotas_answer_in_their_own_form(stand_in: StandIn) -> None:
    iam, ssm = stand_in.client("iam"), stand_in.client("ssm")
    role = "arn:aws:iam::*:role/efa-*"
    policies = {"ArnEquals": {"iam:PolicyARN": "arn:aws:iam::aws:policy/AmazonSSM*"}}
    stand_in.authorize(
        {
            "Statement": [
                allow("iam:CreateRole", role),
                allow("iam:AttachRolePolicy", role, **policies),
                allow("ssm:GetParameter", "arn:aws:ssm:*::parameter/aws/service/*"),
            ]
        }
    )
    iam.create_role(RoleName="efa-a", AssumeRolePolicyDocument=TRUST)
    managed = "arn:aws:iam::aws:policy/"
    iam.attach_role_policy(RoleName="efa-a", PolicyArn=managed + "AmazonSSMManagedInstanceCore")
    denied = "AccessDenied"
    refused(
        lambda: iam.attach_role_policy(RoleName="efa-a", PolicyArn=managed + "AdministratorAccess"),
        "iam:AttachRolePolicy on resource: arn:aws:iam::123456789012:role/efa-a",
        code=denied,
    )
    tagged = {"Tags": [{"Key": "efa-sdk/cluster", "Value": "train"}]}
    refused(
        lambda: iam.create_role(RoleName="efa-b", AssumeRolePolicyDocument=TRUST, **tagged),
        "iam:TagRole on resource",
        code=denied,
    )
    refused(lambda: iam.create_role(RoleName="other", AssumeRolePolicyDocument=TRUST), code=denied)
    image = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
    assert ssm.get_parameter(Name=image)["Parameter"]["Value"].startswith("ami-")
    refused(lambda: ssm.get_parameter(Name="/secret"), code="AccessDeniedException")
    quotas = stand_in.client("service-quotas")
    refused(
        lambda: quotas.list_service_quotas(ServiceCode="ec2"),
        "servicequotas:ListServiceQuotas",
        code="AccessDeniedException",
    )
    sts = stand_in.client("sts")
    assert sts.get_caller_identity()["Account"] == "123456789012"
    other = "arn:aws:iam::123456789012:role/other"
    refused(
        lambda: sts.assume_role(RoleArn=other, RoleSessionName="me"),
        f"sts:AssumeRole on resource: {other}",
        code=denied,
    )


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        (allow("ec2: RunInstances"), "service:Action"),
        (allow("RunInstances"), "service:Action"),
        (allow("ec2:*", "instance/*"), "must be an ARN"),
        (allow("ec2:*", StringEquals={"aws:SourceIp": "10.0.0.1"}), "aws:SourceIp"),
        (allow("ec2:*", IpAddress={"aws:RequestedRegion": "x"}), "IpAddress"),
        (allow("ec2:*", NullIfExists={"aws:TagKeys": "true"}), "NullIfExists"),
        (allow("ec2:*", StringLike={"aws:ResourceTag/a": "${aws:username}"}), "variables"),
        ({**allow("ec2:*"), "Principal": "*"}, "Principal"),
        ({**allow("ec2:*"), "Effect": "Maybe"}, "Effect"),
        ({"Effect": "Allow", "Action": "ec2:*"}, "Resource"),
    ],
)
def test_what_cannot_be_evaluated_is_an_error(
    stand_in: StandIn, statement: dict[str, Any], what: str
) -> None:
    with pytest.raises(ValueError, match=what):
        stand_in.authorize({"Version": "2012-10-17", "Statement": [statement]})


def control(stand_in: StandIn, body: Any) -> tuple[int, Any]:
    url = f"{stand_in.endpoint_url}/efa-sdk/authorize"
    try:
        with urllib.request.urlopen(url, json.dumps(body).encode()) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_over_http_and_per_key(stand_in: StandIn) -> None:
    nothing = {"Effect": "Deny", "Action": "*", "Resource": "*"}
    assert control(stand_in, {"policy": {"Statement": nothing}, "access_key_id": "other"})[0] == 200
    assert stand_in.client().describe_vpcs()
    assert control(stand_in, {"policy": {"Statement": nothing}})[0] == 200
    refused(stand_in.client().describe_vpcs, "explicit deny")
    status, answer = control(stand_in, {"policy": {"Statement": allow("coffee")}})
    assert status == 400
    assert "service:Action" in answer["error"]
    stand_in.reset()
    assert stand_in.client().describe_vpcs()
