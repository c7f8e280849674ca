"""Every rule of the stand-in is provoked over HTTP; a rule without a case fails."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import pytest
from botocore.exceptions import ClientError
from efa_sdk.testing import RULES, Rule, StandIn
from rule_cases import CASES, Scene
from rule_cases.stacks import PLACEMENT, stack


def pattern(rule: Rule) -> str:
    """The rule's template as a pattern: its words exactly, anything for its fields."""
    return "".join(
        ".+" if part.startswith("{") else re.escape(part)
        for part in re.split(r"(\{\w+\})", rule.message)
    )


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_rule_is_enforced(rule: Rule, stand_in: StandIn) -> None:
    assert rule.id in CASES, f"no case provokes {rule.id}"
    scene = Scene(stand_in)
    with pytest.raises(ClientError) as caught:
        CASES[rule.id](scene)
    answer = caught.value.response
    assert answer["Error"]["Code"] == rule.code, answer["Error"]
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == rule.status
    assert re.fullmatch(pattern(rule), answer["Error"]["Message"], re.DOTALL), answer["Error"]
    assert scene.ec2.describe_instances() is not None, "a refusal must not poison later calls"


def test_no_case_without_a_rule() -> None:
    assert set(CASES) == {rule.id for rule in RULES}


def test_rule_ids_are_unique_and_every_rule_names_its_origin() -> None:
    assert len({rule.id for rule in RULES}) == len(RULES)
    assert all(rule.origin and rule.refuses for rule in RULES)


def message_of(scene: Scene, rule_id: str) -> str:
    with pytest.raises(ClientError) as caught:
        CASES[rule_id](scene)
    return str(caught.value.response["Error"]["Message"])


def test_some_texts_in_full(stand_in: StandIn) -> None:
    scene = Scene(stand_in)
    assert message_of(scene, "nic.device_out_of_range") == (
        "The specified number '2' for the device index exceeds the maximum number of network"
        " interfaces supported by the network card at network card index 2. Specify a number"
        " from 0 to 1"
    )
    assert message_of(scene, "nic.too_many") == "Interface count 5 exceeds the limit for m5.2xlarge"
    assert message_of(scene, "security_group.duplicate_rule") == (
        f'the specified rule "peer: {scene.group}, ALL, ALLOW" already exists'
    )


def test_user_data_limit_is_on_the_raw_bytes(stand_in: StandIn) -> None:
    scene = Scene(stand_in)
    assert len(base64.b64encode(b"x" * 16384)) > 16384
    assert scene.one(UserData="x" * 16384)


def test_requests_of_no_sdk_never_answer_html(stand_in: StandIn) -> None:
    scene = Scene(stand_in)
    with pytest.raises(ClientError, match="stand-in does not implement"):
        scene.ec2.describe_spot_datafeed_subscription()
    assert json.dumps(stand_in.requests[-1].action) == '"DescribeSpotDatafeedSubscription"'


@pytest.mark.parametrize(
    ("resources", "what"),
    [
        ({"One": {"Type": "AWS::EC2::Fleet"}}, "the resource type AWS::EC2::Fleet"),
        (
            {"One": {**PLACEMENT, "Properties": {"Colour": "red"}}},
            "Colour of AWS::EC2::PlacementGroup (One)",
        ),
        ({"One": {**PLACEMENT, "CreationPolicy": {}}}, "CreationPolicy of resource One"),
        ({"One": {**PLACEMENT, "DeletionPolicy": "Retain"}}, "DeletionPolicy Retain"),
        (
            {"One": {**PLACEMENT, "Properties": {"Strategy": {"Fn::FindInMap": ["A", "b", "c"]}}}},
            "the function Fn::FindInMap",
        ),
    ],
)
def test_what_stacks_cannot_have_here_is_refused_and_never_left_out(
    stand_in: StandIn, resources: Any, what: str
) -> None:
    scene = Scene(stand_in)
    with pytest.raises(ClientError, match=re.escape(what)):
        stack(scene, resources)
    client = stand_in.client("cloudformation")
    with pytest.raises(ClientError, match="UpdateStack"):
        client.update_stack(StackName="one")
    with pytest.raises(ClientError, match="NotificationARNs"):
        stack(scene, NotificationARNs=["arn:aws:sns:us-east-1:123456789012:x"])
    assert client.describe_stacks()["Stacks"] == []
    assert scene.ec2.describe_placement_groups()["PlacementGroups"] == []
