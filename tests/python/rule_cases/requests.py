"""Cases of requests and their tags, of access, IAM, Run Command and quotas."""

from __future__ import annotations

import json
from typing import Any

from botocore.config import Config
from iam_support import TRUST, node_profile

from rule_cases.scene import Scene, case, raw, tagged

# Requests

case("request.unknown_action")(lambda s: raw(s, Action="MakeCoffee"))
case("request.not_in_stand_in")(
    lambda s: s.ec2.describe_instance_type_offerings(LocationType="outpost")
)
case("request.unknown_parameter")(lambda s: raw(s, Action="DescribeVpcs", Colour="red"))
case("request.malformed_parameter")(
    lambda s: raw(s, Action="DescribeInstanceTypes", MaxResults="many")
)
case("request.missing_parameter")(lambda s: s.run(ImageId=None))
case("request.dry_run")(lambda s: s.run(DryRun=True))
case("request.unknown_filter")(
    lambda s: s.ec2.describe_instances(Filters=[{"Name": "colour", "Values": ["red"]}])
)
case("page.size")(lambda s: s.ec2.describe_instance_types(MaxResults=101))
case("page.token")(lambda s: s.ec2.describe_instances(NextToken="bm9uc2Vuc2U="))
case("page.with_ids")(
    lambda s: s.ec2.describe_instances(InstanceIds=[s.one()], MaxResults=5),
)


@case("token.other_body")
def _(s: Scene) -> None:
    s.run(ClientToken="t")
    s.run(ClientToken="t", KeyName=None, EbsOptimized=True)


@case("token.terminated")
def _(s: Scene) -> None:
    made = s.one(ClientToken="t")
    s.ec2.terminate_instances(InstanceIds=[made])
    s.settle(made)
    s.run(ClientToken="t")


case("token.too_long")(lambda s: s.run(ClientToken="t" * 65))
case("tags.too_many")(
    lambda s: s.run(TagSpecifications=tagged(*((f"k{i}", "v") for i in range(51))))
)
case("tags.key_size")(lambda s: s.run(TagSpecifications=tagged(("k" * 129, "v"))))
case("tags.value_size")(lambda s: s.run(TagSpecifications=tagged(("k", "v" * 257))))
case("tags.reserved")(lambda s: s.run(TagSpecifications=tagged(("aws:k", "v"))))
case("tags.duplicate")(lambda s: s.run(TagSpecifications=tagged(("k", "v"), ("k", "w"))))
case("tags.resource_type")(
    lambda s: s.ec2.create_placement_group(
        GroupName="g", Strategy="cluster", TagSpecifications=tagged(("k", "v"))
    )
)
case("tags.unknown_resource")(
    lambda s: s.ec2.create_tags(Resources=["zz-1"], Tags=[{"Key": "k", "Value": "v"}])
)

# Access


def allow_all(*actions: str) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": "*"}


def only(*actions: str) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": allow_all("ec2:Describe*", *actions)}


@case("auth.ec2")
def _(s: Scene) -> None:
    s.stand_in.authorize(only())
    s.run()


@case("auth.ec2_listing")
def _(s: Scene) -> None:
    denied = {"Effect": "Deny", "Action": "ec2:DescribeVpcs", "Resource": "*"}
    s.stand_in.authorize({"Statement": [only()["Statement"], denied]})
    s.ec2.describe_vpcs()


@case("auth.spot_role")
def _(s: Scene) -> None:
    s.stand_in.authorize(only("ec2:RunInstances"))
    s.run(InstanceMarketOptions={"MarketType": "spot"})


@case("auth.query")
def _(s: Scene) -> None:
    s.stand_in.authorize(only())
    s.stand_in.client("iam").get_role(RoleName="node")


@case("auth.json")
def _(s: Scene) -> None:
    s.stand_in.authorize(only())
    s.stand_in.client("ssm").get_parameter(Name="/a")


# IAM


def role(s: Scene, name: str = "node", trust: str = TRUST) -> Any:
    iam = s.stand_in.client("iam")
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)
    return iam


def inline(s: Scene, action: str) -> None:
    document = {"Version": "2012-10-17", "Statement": allow_all(action)}
    role(s).put_role_policy(RoleName="node", PolicyName="p", PolicyDocument=json.dumps(document))


case("iam.name")(lambda s: role(s, "a/b"))
case("iam.name_length")(lambda s: role(s, "r" * 65))
case("iam.trust_policy")(lambda s: role(s, trust="{}"))
case("iam.boundary")(
    lambda s: s.stand_in.client("iam").create_role(
        RoleName="node",
        AssumeRolePolicyDocument=TRUST,
        PermissionsBoundary="arn:aws:iam::123456789012:policy/none",
    )
)
case("iam.policy_action")(lambda s: inline(s, "logs: CreateLogGroup"))
case("iam.policy_size")(lambda s: inline(s, "logs:Create" + "a" * 10240))


@case("iam.role_not_in_profile")
def _(s: Scene) -> None:
    iam = role(s)
    iam.create_instance_profile(InstanceProfileName="p")
    iam.remove_role_from_instance_profile(InstanceProfileName="p", RoleName="node")


@case("launch.profile_without_role")
def _(s: Scene) -> None:
    s.stand_in.iam_propagation_calls = 0
    s.stand_in.client("iam").create_instance_profile(InstanceProfileName="p")
    s.run(IamInstanceProfile={"Name": "p"})


# Run Command


def online(s: Scene) -> str:
    s.stand_in.iam_propagation_calls = 0
    node_profile(s.stand_in)
    made = s.one(IamInstanceProfile={"Name": "node"})
    s.settle(made)
    return made


def send(s: Scene, **more: Any) -> str:
    asked: dict[str, Any] = {
        "DocumentName": "AWS-RunShellScript",
        "InstanceIds": None if "Targets" in more else [online(s)],
        "Parameters": {"commands": ["true"]},
        **more,
    }
    made = ssm(s).send_command(**{key: value for key, value in asked.items() if value is not None})
    return str(made["Command"]["CommandId"])


def ssm(s: Scene) -> Any:
    config = Config(parameter_validation=False, retries={"total_max_attempts": 1})
    return s.stand_in.client("ssm", config=config)


case("ssm.not_registered")(lambda s: send(s, InstanceIds=[s.one()]))
case("ssm.unknown_document")(lambda s: send(s, DocumentName="Mine"))
case("ssm.parameters")(lambda s: send(s, Parameters={"command": ["true"]}))
case("ssm.targets")(lambda s: send(s, InstanceIds=None))
case("ssm.limit")(lambda s: send(s, TimeoutSeconds=29))
case("ssm.token")(lambda s: ssm(s).list_command_invocations(NextToken="bm9uc2Vuc2U="))
case("ssm.unknown_invocation")(
    lambda s: ssm(s).get_command_invocation(CommandId=send(s), InstanceId="i-0123456789abcdef0")
)
case("ssm.unknown_plugin")(
    lambda s: ssm(s).get_command_invocation(
        CommandId=send(s), InstanceId=s.instances()[0], PluginName="aws:coffee"
    )
)
case("ssm.unknown_command")(lambda s: ssm(s).cancel_command(CommandId="0" * 36))


# Quotas


@case("launch.vcpu_quota")
def _(s: Scene) -> None:
    s.stand_in.set_quota("L-1216C47A", 7)
    s.run()


@case("launch.spot_quota")
def _(s: Scene) -> None:
    s.stand_in.set_quota("L-34B43A08", 7)
    s.run(InstanceMarketOptions={"MarketType": "spot"})


case("quota.unknown")(
    lambda s: s.stand_in.client("service-quotas").get_service_quota(
        ServiceCode="ec2", QuotaCode="L-00000000"
    )
)
