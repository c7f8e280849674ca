"""Cases of CloudFormation's stacks."""

from __future__ import annotations

import json
from typing import Any

from iam_support import TRUST

from rule_cases.scene import Scene, case

# CloudFormation

ROLE = {
    "Type": "AWS::IAM::Role",
    "Properties": {"AssumeRolePolicyDocument": json.loads(TRUST)},
}
PLACEMENT = {"Type": "AWS::EC2::PlacementGroup", "Properties": {"Strategy": "cluster"}}


def stack(s: Scene, resources: Any = None, name: str = "one", **more: Any) -> Any:
    """Creates a stack; `more` are sections of its template or parameters of the call."""
    sections = ("Parameters", "Outputs")
    template = {key: more.pop(key) for key in sections if key in more}
    template["Resources"] = {"One": PLACEMENT} if resources is None else resources
    given = {"Parameters": more.pop("Given")} if "Given" in more else {}
    client = s.stand_in.client("cloudformation")
    return client.create_stack(
        StackName=name, TemplateBody=more.pop("body", json.dumps(template)), **given, **more
    )


def one_parameter(s: Scene, *given: tuple[str, str], **declared: Any) -> None:
    listed = [{"ParameterKey": key, "ParameterValue": value} for key, value in given]
    stack(s, Parameters={"Wanted": {"Type": "String", **declared}}, Given=listed)


case("cloudformation.unknown_stack")(
    lambda s: s.stand_in.client("cloudformation").describe_stacks(StackName="none")
)


@case("cloudformation.exists")
def _(s: Scene) -> None:
    stack(s)
    stack(s)


case("cloudformation.stack_name")(lambda s: stack(s, name="1-is-not-a-letter"))
case("cloudformation.capabilities")(lambda s: stack(s, {"One": ROLE}))
case("cloudformation.template_size")(lambda s: stack(s, body=" " * 51_201))
case("cloudformation.too_many_resources")(
    lambda s: stack(s, {f"P{number}": PLACEMENT for number in range(501)})
)
case("cloudformation.malformed_template")(lambda s: stack(s, body="a: [1"))
case("cloudformation.unresolved")(
    lambda s: stack(s, {"One": {**PLACEMENT, "Properties": {"Strategy": {"Ref": "Two"}}}})
)


@case("cloudformation.circular")
def _(s: Scene) -> None:
    itself = {"IpProtocol": "-1", "DestinationSecurityGroupId": {"Ref": "Group"}}
    properties = {"GroupDescription": "x", "SecurityGroupEgress": [itself]}
    stack(s, {"Group": {"Type": "AWS::EC2::SecurityGroup", "Properties": properties}})


case("cloudformation.unsupported_property")(
    lambda s: stack(
        s,
        {
            "Node": {
                "Type": "AWS::EC2::Instance",
                "Properties": {"InstanceMarketOptions": {"MarketType": "capacity-block"}},
            }
        },
    )
)
case("cloudformation.parameter_missing")(lambda s: one_parameter(s))
case("cloudformation.parameter_unknown")(lambda s: one_parameter(s, ("Other", "x"), Default="x"))
case("cloudformation.parameter_value")(
    lambda s: one_parameter(s, Type="AWS::EC2::Subnet::Id", Default="subnet-0123456789abcdef0")
)
