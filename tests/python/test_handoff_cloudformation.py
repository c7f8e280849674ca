"""CloudFormation templates: judged by cfn-lint and our own rules, deployed on the stand-in, held
against what `apply` makes, and deleted."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import re
from pathlib import Path
from typing import Any

import efa_sdk as efa
import pytest
import yaml
from botocore.exceptions import ClientError
from cfnlint.api import lint
from efa_sdk.testing import StandIn
from support import P5, SMALL, Cloud, raised

#: What has judged the templates. A newer one must be looked at: change it here and in the page.
CFN_LINT = "1.58.0"
PAGE = Path(__file__).resolve().parents[2] / "docs" / "handoff-cloudformation.md"

#: One type of each layout class that the stand-in offers, and where.
OFFERED = {
    "c7i.48xlarge": "us-east-1",
    "hpc7a.96xlarge": "us-east-2",
    "hpc6id.32xlarge": "us-east-2",
    "p4d.24xlarge": "us-east-1",
    "p6-b200.48xlarge": "us-east-1",
    "p5en.48xlarge": "us-east-1",
    "p6-b300.48xlarge": "us-east-1",
    "p5.48xlarge": "us-east-1",
}
GB200 = "p6e-gb200.36xlarge"
NAMED = ["CAPABILITY_NAMED_IAM"]
EVERYTHING: dict[str, Any] = {"scripts_bucket": True, "session_logs": True}


def test_the_version_that_judged_is_the_one_installed_and_documented() -> None:
    assert importlib.metadata.version("cfn-lint") == CFN_LINT
    assert f"cfn-lint {CFN_LINT}" in PAGE.read_text()


_clients: dict[tuple[str, str, str], Any] = {}


class Stacks:
    """Stacks of a fresh EC2, and everything that exists in it."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.region = cloud.network.region
        self.cloudformation = self._client("cloudformation")
        self.before = self.everything()

    def _client(self, service: str) -> Any:
        key = (self.cloud.stand_in.endpoint_url, self.region, service)
        if key not in _clients:  # making one is slow
            _clients[key] = self.cloud.stand_in.client(service, region=self.region)
        return _clients[key]

    def create(self, body: str, name: str = "train", **more: Any) -> str:
        """Creates a stack and waits for it; its status."""
        self.cloudformation.create_stack(
            StackName=name, TemplateBody=body, **{"Capabilities": NAMED, **more}
        )
        return self.settled(name)

    def settled(self, name: str = "train") -> str:
        for _ in range(10):
            status = self.status(name)
            if not status.endswith("IN_PROGRESS"):
                return status
        raise AssertionError(status)

    def status(self, name: str = "train") -> str:
        shown = self.cloudformation.describe_stacks(StackName=name)["Stacks"]
        return str(shown[0]["StackStatus"])

    def delete(self, name: str = "train") -> None:
        self.cloudformation.delete_stack(StackName=name)
        waiter = self.cloudformation.get_waiter("stack_delete_complete")
        waiter.wait(StackName=name, WaiterConfig={"Delay": 0, "MaxAttempts": 5})

    def reasons(self, name: str = "train") -> dict[str, str]:
        """Why resources failed, from the events."""
        events = self.cloudformation.describe_stack_events(StackName=name)["StackEvents"]
        return {
            event["LogicalResourceId"]: event["ResourceStatusReason"]
            for event in events
            if event["ResourceStatus"].endswith("_FAILED") and event["LogicalResourceId"] != name
        }

    def everything(self) -> dict[str, Any]:
        templates = self.cloud.ec2.describe_launch_templates()["LaunchTemplates"]
        logs = self._client("logs").describe_log_groups()["logGroups"]
        return {
            **self.cloud.state(),
            "launch-template": [one["LaunchTemplateId"] for one in templates],
            "bucket": [one["Name"] for one in self._client("s3").list_buckets()["Buckets"]],
            "log-group": [one["logGroupName"] for one in logs],
        }


@pytest.fixture
def stacks(cloud: Cloud) -> Stacks:
    return Stacks(cloud)


def whole_plan(cloud: Cloud, instance_type: str, **more: Any) -> efa.Plan:
    """A plan with everything that a stack can make."""
    options: dict[str, Any] = {
        "instance_profile": efa.InstanceRole(cloudwatch_logs=True),
        "ssh_cidrs": ["10.0.0.0/8", "2001:db8::/32"],
        "bootstrap": efa.Bootstrap(),
        "tags": {"team": "a"},
        **more,
    }
    return cloud.plan(instance_type, **options)


def digest(form: dict[str, Any]) -> str:
    text = json.dumps(form, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def as_type(plan: efa.Plan, least: efa.Plan, name: str) -> efa.Plan:
    """The plan for a type that the stand-in does not offer; `least` states no more than it must."""
    form = json.loads(plan.to_json())
    kind = efa.Catalog.bundled()[name]
    form.pop("sha256")
    form["spec"]["instance_type"] = name
    form["instance_type"] = json.loads(kind.to_json())
    form["layout"] = json.loads(kind.layout().to_json())
    form["image"]["architecture"] = kind.architectures[0]
    plain = json.loads(least.to_json())["spec"]
    named = ("name", "instance_type", "image", "subnets")
    said = {k: v for k, v in form["spec"].items() if k in named or v != plain[k]}
    said.pop("count", None)
    intent = {"spec": said, "region": form["region"]}
    form["fingerprint"] = digest({**intent, "interfaces": form["layout"]["interfaces"]})[:16]
    form["sha256"] = digest(form)
    return efa.Plan.from_json(json.dumps(form))


def interfaces(template: dict[str, Any]) -> list[tuple[int, int, str]]:
    data = template["Resources"]["LaunchTemplate"]["Properties"]["LaunchTemplateData"]
    return [
        (one["NetworkCardIndex"], one["DeviceIndex"], one["InterfaceType"])
        for one in data["NetworkInterfaces"]
    ]


@pytest.mark.parametrize("instance_type", [*OFFERED, GB200])
def test_cfn_lint_and_our_own_rules_have_nothing_to_say(cloud: Cloud, instance_type: str) -> None:
    home = Cloud(cloud.stand_in, OFFERED.get(instance_type, "us-east-1"))
    if instance_type == GB200:
        plan = as_type(whole_plan(home, P5), home.plan(P5), GB200)
    else:
        plan = whole_plan(home, instance_type)
    planned = [
        (one.network_card_index, one.device_index, one.interface_type)
        for one in plan.layout.interfaces
    ]
    for form, read in (("yaml", yaml.safe_load), ("json", json.loads)):
        body = plan.to_cloudformation(format=form, **EVERYTHING)
        found = lint(body, regions=[home.network.region])
        if instance_type == GB200:  # in a Local Zone, which cfn-lint's list of the Region lacks
            assert [match.rule.id for match in found] == ["E3628"]
            found = []
        assert [(match.rule.id, match.message) for match in found] == []
        report = efa.check(body)
        assert report.format == "cloud-formation"
        assert report.is_clean, str(report)
        assert report.out_of_sight == []
        assert interfaces(read(body)) == planned


def test_our_rules_see_what_cfn_lint_does_not(cloud: Cloud) -> None:
    plan = cloud.plan("c7i.48xlarge")

    def broken(change: Any) -> str:
        template = json.loads(plan.to_cloudformation(format="json"))
        change(template["Resources"])
        return json.dumps(template)

    def first(resources: Any) -> Any:
        template = resources["LaunchTemplate"]["Properties"]["LaunchTemplateData"]
        return template["NetworkInterfaces"][0]

    def no_egress(resources: Any) -> None:
        del resources["SelfEgress"]
        for name in ("Node1", "Node2"):
            resources[name]["DependsOn"] = ["SelfIngress"]

    cases = {
        "cloudformation.no_self_egress": no_egress,
        "layout.duplicate_interface": lambda r: r["LaunchTemplate"]["Properties"][
            "LaunchTemplateData"
        ]["NetworkInterfaces"].append(first(r)),
        "layout.primary_efa_only": lambda r: first(r).update(
            InterfaceType="efa-only", AssociatePublicIpAddress=False
        ),
        "interfaces.malformed": lambda r: first(r).update(NetworkCardIndex=-1),
        "layout.interface_type_not_accepted": lambda r: first(r).update(InterfaceType="efa_only"),
        "launch_template.groups_or_subnet_with_interfaces": lambda r: r["LaunchTemplate"][
            "Properties"
        ]["LaunchTemplateData"].update(SecurityGroupIds=["sg-0123456789abcdef0"]),
    }
    for finding, change in cases.items():
        body = broken(change)
        assert finding in {one.id for one in efa.check(body).findings}
        errors = [match for match in lint(body, regions=["us-east-1"]) if match.rule.id[0] == "E"]
        assert errors == [], f"cfn-lint sees {finding} by now: {errors}"


#: What is another each time, or states when.
_CHANCE = {
    "AmiLaunchIndex",
    "AttachTime",
    "ClientToken",
    "CreateDate",
    "CreateTime",
    "Id",
    "KmsKeyId",
    "LaunchTime",
    "MacAddress",
    "ReservationId",
    "RoleId",
    "UsageOperationUpdateTime",
}
_ID = re.compile(r"\b([a-z]+(?:-[a-z]+)*)-[0-9a-f]{8,17}\b")
_GENERATED = re.compile(r"train-PlacementGroup-[0-9A-Z]{12}")


def plain(value: Any) -> Any:
    """A value without what is chance: ids by their kind, tags of the stack's own left out."""
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items() if key not in _CHANCE}
    if isinstance(value, list):
        listed = [plain(one) for one in value if not _is_mark(one)]
        return sorted(listed, key=lambda one: json.dumps(one, sort_keys=True, default=str))
    if isinstance(value, str):
        return _ID.sub(r"\1-x", _GENERATED.sub("efa-sdk-train", value))
    return value


def _is_mark(value: Any) -> bool:
    key = value.get("Key", "") if isinstance(value, dict) else ""
    return str(key).startswith("aws:") or key == "efa-sdk:planner"


def policies(cloud: Cloud, role: str) -> dict[str, Any]:
    names = cloud.iam.list_role_policies(RoleName=role)["PolicyNames"]
    return {
        name: cloud.iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
        for name in names
    }


def end_state(cloud: Cloud) -> dict[str, list[Any]]:
    state = {kind: list(found.values()) for kind, found in cloud.state().items()}
    state["policies"] = [policies(cloud, role["RoleName"]) for role in state["role"]]
    for profile in state["instance-profile"]:
        profile.pop("Tags", None)  # the resource type has none
        profile.pop("InstanceProfileId")
    result = plain(state)
    assert isinstance(result, dict)
    return result


@pytest.mark.parametrize("instance_type", OFFERED)
def test_a_stack_is_what_apply_makes_and_deletes_to_nothing(
    stand_in: StandIn, aws_environment: None, instance_type: str
) -> None:
    region = OFFERED[instance_type]
    cloud = Cloud(stand_in, region)
    stacks = Stacks(cloud)
    plan = whole_plan(cloud, instance_type)
    assert stacks.create(plan.to_cloudformation()) == "CREATE_COMPLETE"
    report = cloud.client.verify("train")
    assert report.is_as_planned, str(report)
    assert report.instances == 2
    made = end_state(cloud)
    outputs = stacks.cloudformation.describe_stacks(StackName="train")["Stacks"][0]["Outputs"]
    values = {one["OutputKey"]: one["OutputValue"] for one in outputs}
    running = sorted(one["InstanceId"] for one in cloud.instances())
    assert sorted(values["InstanceIds"].split(",")) == running
    stacks.delete()
    assert stacks.everything() == stacks.before

    stand_in.reset()
    cloud = Cloud(stand_in, region)
    assert whole_plan(cloud, instance_type).fingerprint == plan.fingerprint
    cloud.client.apply(plan)
    applied = end_state(cloud)
    assert set(made) == set(applied)
    for kind, found in applied.items():
        assert made[kind] == found, kind


def test_a_bucket_and_a_log_group_go_with_the_stack(stacks: Stacks) -> None:
    plan = whole_plan(stacks.cloud, SMALL)
    body = plan.to_cloudformation(format="json", **EVERYTHING)
    assert stacks.create(body) == "CREATE_COMPLETE"
    s3 = stacks.cloud.stand_in.client("s3")
    (bucket,) = stacks.everything()["bucket"]
    rules = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rules[0]["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    block = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    assert set(block.values()) == {True}
    role = policies(stacks.cloud, "efa-sdk-us-east-1-train")["efa-sdk"]
    reads = next(one for one in role["Statement"] if one.get("Sid") == "ScriptsBucket")
    assert reads["Resource"] == [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
    assert stacks.everything()["log-group"] == ["/aws/ssm/efa-sdk-train"]

    # S3 keeps a bucket that is not empty, and the stack states this.
    s3.put_object(Bucket=bucket, Key="setup.sh", Body=b"true")
    stacks.cloudformation.delete_stack(StackName="train")
    assert stacks.settled() == "DELETE_FAILED"
    assert set(stacks.reasons()) >= {"ScriptsBucket"}
    s3.delete_object(Bucket=bucket, Key="setup.sh")
    stacks.delete()
    assert stacks.everything() == stacks.before


def test_without_capacity_for_the_second_instance_nothing_stays(stacks: Stacks) -> None:
    cloud = stacks.cloud
    plan = whole_plan(cloud, P5)
    zone = plan.availability_zone
    cloud.stand_in.set_capacity(P5, zone, 1)
    assert stacks.create(plan.to_cloudformation(**EVERYTHING)) == "ROLLBACK_COMPLETE"
    assert list(stacks.reasons()) == ["Node2"]
    assert "InsufficientInstanceCapacity" in stacks.reasons()["Node2"]
    assert stacks.everything() == stacks.before
    with pytest.raises(ClientError, match="already exists"):
        stacks.create(plan.to_cloudformation())
    stacks.delete()
    # The instances are launched one by one, so that the first was there for a while.
    assert len(cloud.sent("RunInstances")) == 3
    assert cloud.changes().count("TerminateInstances") == 1


def test_a_capacity_block_is_used(stacks: Stacks) -> None:
    cloud = stacks.cloud
    zone = next(
        name
        for name, subnet in cloud.network.subnets.items()
        if subnet == cloud.network.subnet_for(P5)
    )
    block = cloud.stand_in.add_capacity_block(P5, zone, 2)
    plan = cloud.plan(P5, capacity=block)
    body = plan.to_cloudformation()
    assert stacks.create(body) == "CREATE_COMPLETE"
    for instance in cloud.instances():
        assert instance["CapacityReservationId"] == block
        assert instance["InstanceLifecycle"] == "capacity-block"
    assert cloud.client.verify("train").is_as_planned
    stacks.delete()
    assert cloud.instances() == []


def test_parameters_take_the_place_of_what_the_plan_has(stacks: Stacks) -> None:
    cloud = stacks.cloud
    plan = cloud.plan(SMALL)
    prepared = cloud.client.prepare(plan)
    body = prepared.to_cloudformation(format="json")
    assert set(json.loads(body)["Resources"]) == {"LaunchTemplate", "Node1", "Node2"}
    groups = cloud.state()
    other = cloud.ec2.create_security_group(
        GroupName="other", Description="x", VpcId=cloud.network.vpc_id
    )["GroupId"]
    given = [{"ParameterKey": "SecurityGroupId", "ParameterValue": other}]
    assert stacks.create(body, Parameters=given) == "CREATE_COMPLETE"
    for instance in cloud.instances():
        assert [one["GroupId"] for one in instance["SecurityGroups"]] == [other]
    stacks.delete()
    # What the stack did not make it does not delete.
    assert set(cloud.state()["security-group"]) == {*groups["security-group"], other}
    assert set(cloud.state()["placement-group"]) == {"efa-sdk-train"}


def test_what_a_stack_cannot_do_is_refused(cloud: Cloud) -> None:
    for plan, options in (
        (cloud.plan(SMALL, public_ip="elastic-ip"), {}),
        (cloud.plan(SMALL, minimum_count=1), {}),
        (cloud.plan(SMALL), {"scripts_bucket": True}),
    ):
        error = raised(lambda plan=plan, options=options: plan.to_cloudformation(**options))
        assert error.code == "handoff.not_possible"
    plan = cloud.plan(SMALL)
    assert raised(lambda: plan.to_cloudformation(format="toml")).code == "handoff.invalid_option"


def test_stacks_are_looked_at_and_conditions_and_functions_hold(stacks: Stacks) -> None:
    body = """
Parameters:
  Many: {Type: String, Default: "no", AllowedValues: ["yes", "no"]}
  Names: {Type: CommaDelimitedList, Default: "a,b"}
Conditions:
  IsMany: !Equals [!Ref Many, "yes"]
  IsFew: !Not [!Condition IsMany]
Resources:
  Group:
    Type: AWS::EC2::SecurityGroup
    Properties:
      GroupDescription: !Join [" ", [of, !Ref "AWS::StackName", !Select [1, !Ref Names]]]
      GroupName: !If [IsMany, many, !Ref "AWS::NoValue"]
      VpcId: VPC
      SecurityGroupIngress:
      - {IpProtocol: tcp, FromPort: "22", ToPort: 22, CidrIp: 10.0.0.0/8}
  Placement:
    Type: AWS::EC2::PlacementGroup
    Condition: IsMany
    Properties: {Strategy: cluster}
  Template:
    Type: AWS::EC2::LaunchTemplate
    DependsOn: Group
    Properties:
      LaunchTemplateName: !Sub "${AWS::StackName}-${Group}"
      LaunchTemplateData:
        InstanceType: c5n.18xlarge
        UserData: !Base64 "#!/bin/sh"
Outputs:
  Where: {Value: !Sub ["${AWS::Region}/${More}/${!Kept}", {More: !GetAtt Group.VpcId}]}
  Placed: {Condition: IsMany, Value: !Ref Placement}
""".replace("VPC\n", f"{stacks.cloud.network.vpc_id}\n")
    stacks.cloudformation.create_stack(
        StackName="one", TemplateBody=body, Tags=[{"Key": "team", "Value": "b"}]
    )
    assert [stacks.status("one") for _ in range(2)] == ["CREATE_IN_PROGRESS", "CREATE_COMPLETE"]
    (shown,) = stacks.cloudformation.describe_stacks()["Stacks"]
    vpc = stacks.cloud.network.vpc_id
    assert [one["OutputValue"] for one in shown["Outputs"]] == [f"us-east-1/{vpc}/${{Kept}}"]
    resources = stacks.cloudformation.describe_stack_resources(StackName="one")["StackResources"]
    ids = {one["LogicalResourceId"]: one["PhysicalResourceId"] for one in resources}
    assert set(ids) == {"Group", "Template"}
    group = stacks.cloud.state()["security-group"][ids["Group"]]
    assert group["Description"] == "of one b"
    assert group["GroupName"].startswith("one-Group-")
    tags = {tag["Key"]: tag["Value"] for tag in group["Tags"]}
    assert tags["team"] == "b"
    assert tags["aws:cloudformation:logical-id"] == "Group"
    (template,) = stacks.cloud.ec2.describe_launch_templates()["LaunchTemplates"]
    assert template["LaunchTemplateName"] == f"one-{ids['Group']}"
    assert stacks.cloudformation.get_template(StackName="one")["TemplateBody"]
    stacks.delete("one")
    assert stacks.everything() == stacks.before


def test_a_stack_goes_although_somebody_removed_a_part_of_it(stacks: Stacks) -> None:
    assert stacks.create(stacks.cloud.plan(SMALL).to_cloudformation()) == "CREATE_COMPLETE"
    stacks.cloud.client.destroy("train")
    stacks.delete()
    assert stacks.everything() == stacks.before


def test_parts_of_resources_that_are_not_known_fail_them(stacks: Stacks) -> None:
    template = json.loads(stacks.cloud.plan(SMALL).to_cloudformation(format="json"))
    interface = template["Resources"]["LaunchTemplate"]["Properties"]["LaunchTemplateData"][
        "NetworkInterfaces"
    ][0]
    interface["Colour"] = "red"
    assert stacks.create(json.dumps(template)) == "ROLLBACK_COMPLETE"
    assert "Colour" in stacks.reasons()["LaunchTemplate"]
    del interface["Colour"]
    rule = template["Resources"]["SecurityGroup"]["Properties"]["SecurityGroupEgress"][0]
    rule["DestinationPrefixListId"] = "pl-1"
    assert stacks.create(json.dumps(template), "two") == "ROLLBACK_COMPLETE"
    assert "DestinationPrefixListId" in stacks.reasons("two")["SecurityGroup"]
    assert stacks.everything() == stacks.before


def test_a_failed_stack_can_be_kept_to_be_looked_at(stacks: Stacks) -> None:
    plan = stacks.cloud.plan(SMALL)
    stacks.cloud.stand_in.fail("CreateLaunchTemplate", "InternalError", "no", status=500)
    status = stacks.create(plan.to_cloudformation(), OnFailure="DO_NOTHING")
    assert status == "CREATE_FAILED"
    assert list(stacks.reasons()) == ["LaunchTemplate"]
    assert "efa-sdk-train" in str(stacks.cloud.state()["security-group"])
    stacks.delete()
    assert stacks.everything() == stacks.before


def test_stacks_wait_for_what_aws_does_not_see_yet(stacks: Stacks) -> None:
    stand_in = stacks.cloud.stand_in
    plan = whole_plan(stacks.cloud, SMALL)
    stand_in.eventual, stand_in.iam_propagation_calls, stand_in.transition_describes = 2, 3, 3
    assert stacks.create(plan.to_cloudformation()) == "CREATE_COMPLETE"
    stacks.delete()
    stand_in.eventual = 0
    stacks.cloud.until(lambda: stacks.everything() == stacks.before)


def test_a_caller_makes_in_a_stack_no_more_than_its_policy_allows(stacks: Stacks) -> None:
    plan = stacks.cloud.plan(SMALL)
    statement = {"Effect": "Allow", "Action": ["cloudformation:*", "ec2:*"], "Resource": "*"}
    deny = {"Effect": "Deny", "Action": "ec2:RunInstances", "Resource": "*"}
    policy = {"Version": "2012-10-17", "Statement": [statement, deny]}
    stacks.cloud.stand_in.authorize(json.dumps(policy))
    assert stacks.create(plan.to_cloudformation()) == "ROLLBACK_COMPLETE"
    assert "UnauthorizedOperation" in stacks.reasons()["Node1"]
