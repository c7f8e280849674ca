"""The role and instance profile of a cluster's nodes: made, finished, used, removed."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import unquote

import efa_sdk as efa
import pytest
from iam_support import SSM_CORE, TRUST, node_profile
from support import Cloud, check, raised, tags_of

NAME = "efa-sdk-us-east-1-train"
BUCKET = efa.InstanceRole(scripts_bucket="my-scripts")
MADE = [
    "CreateRole",
    "AttachRolePolicy",
    "PutRolePolicy",
    "CreateInstanceProfile",
    "AddRoleToInstanceProfile",
]
REMOVED = [
    "RemoveRoleFromInstanceProfile",
    "DeleteInstanceProfile",
    "DetachRolePolicy",
    "DeleteRolePolicy",
    "DeleteRole",
]


@pytest.fixture
def client(cloud: Cloud) -> efa.Client:
    """One that polls often."""
    cloud.stand_in.transition_describes = 0
    return cloud.connect(poll_interval_s=0.01)


def iam(cloud: Cloud) -> Any:
    return cloud.stand_in.client("iam")


def roles(cloud: Cloud) -> set[str]:
    return {role["RoleName"] for role in iam(cloud).list_roles()["Roles"]}


def profiles(cloud: Cloud) -> dict[str, list[str]]:
    """Instance profiles with the names of their roles."""
    found = iam(cloud).list_instance_profiles()["InstanceProfiles"]
    return {p["InstanceProfileName"]: [r["RoleName"] for r in p["Roles"]] for p in found}


def inline(cloud: Cloud) -> dict[str, list[dict[str, Any]]]:
    """The statements of the role's inline policies."""
    names = iam(cloud).list_role_policies(RoleName=NAME)["PolicyNames"]
    found = {}
    for name in names:
        text = iam(cloud).get_role_policy(RoleName=NAME, PolicyName=name)["PolicyDocument"]
        document = json.loads(unquote(text)) if isinstance(text, str) else text
        found[name] = document["Statement"]
    return found


def attached(cloud: Cloud) -> list[str]:
    policies = iam(cloud).list_attached_role_policies(RoleName=NAME)["AttachedPolicies"]
    return [policy["PolicyArn"] for policy in policies]


def is_whole(cloud: Cloud, count: int = 2) -> None:
    """The role, its policies, its profile and the nodes with it are as planned."""
    assert roles(cloud) == {NAME}
    assert profiles(cloud) == {NAME: [NAME]}
    assert attached(cloud) == [SSM_CORE]
    assert set(inline(cloud)) == {"efa-sdk"}
    instances = cloud.instances()
    assert len(instances) == count
    arns = {instance["IamInstanceProfile"]["Arn"] for instance in instances}
    assert arns == {f"arn:aws:iam::123456789012:instance-profile/{NAME}"}


READ = {
    "Sid": "ScriptsBucket",
    "Effect": "Allow",
    "Action": ["s3:GetObject", "s3:ListBucket"],
    "Resource": ["arn:aws:s3:::my-scripts", "arn:aws:s3:::my-scripts/*"],
}


@pytest.mark.parametrize(
    ("role", "sids"),
    [
        (efa.InstanceRole(), []),
        (BUCKET, ["ScriptsBucket"]),
        (efa.InstanceRole(cloudwatch_logs=True), ["SessionLogs"]),
        (
            efa.InstanceRole(scripts_bucket="my-scripts", cloudwatch_logs=True),
            ["ScriptsBucket", "SessionLogs"],
        ),
    ],
)
def test_what_is_made(
    cloud: Cloud, client: efa.Client, role: efa.InstanceRole, sids: list[str]
) -> None:
    plan = client.plan(cloud.spec(instance_profile=role, tags={"team": "a"}))
    assert plan.instance_profile_name == NAME
    assert NAME in str(plan)
    assert roles(cloud) == set(), "a plan makes nothing"
    client.apply(plan)
    made = iam(cloud).get_role(RoleName=NAME)["Role"]
    assert made["AssumeRolePolicyDocument"] == json.loads(TRUST)
    assert attached(cloud) == [SSM_CORE]
    statements = [one for document in inline(cloud).values() for one in document]
    assert [one["Sid"] for one in statements] == sids
    for one in statements:
        assert one["Resource"] != "*"
        assert one == READ or one["Sid"] == "SessionLogs"
    profile = iam(cloud).get_instance_profile(InstanceProfileName=NAME)["InstanceProfile"]
    for resource in (made, profile):
        tags = tags_of(resource)
        assert tags == {"efa-sdk:cluster": "train", "Name": "train", "team": "a"}
    assert client.verify("train").is_as_planned
    known = cloud.stand_in.client("ssm").describe_instance_information()
    assert len(known["InstanceInformationList"]) == 2, "SSM manages the nodes"


def test_a_boundary_is_there_from_birth(cloud: Cloud, client: efa.Client) -> None:
    arn = "arn:aws:iam::123456789012:policy/team/at-most"
    bounded = efa.InstanceRole(permissions_boundary=arn)
    error = raised(lambda: client.plan(cloud.spec(instance_profile=bounded)))
    check(error, "plan.resource_not_found", field="permissions_boundary")
    statement = {"Effect": "Allow", "Action": "ssm:*", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam(cloud).create_policy(PolicyName="at-most", Path="/team/", PolicyDocument=document)
    plan = client.plan(cloud.spec(instance_profile=bounded))
    assert f"bounded by {arn}" in str(plan)
    assert efa.Plan.from_json(plan.to_json()) == plan
    client.apply(plan)
    made = iam(cloud).get_role(RoleName=NAME)["Role"]
    assert made["PermissionsBoundary"]["PermissionsBoundaryArn"] == arn
    assert client.apply(plan) == client.describe("train"), "again"


@pytest.mark.parametrize("arn", ["at-most", "arn:aws:iam::1:policy/x", "arn:aws:s3:::x", ""])
def test_a_boundary_is_named_by_its_arn(arn: str) -> None:
    bounded = efa.InstanceRole(permissions_boundary=arn)
    make = partial(
        efa.ClusterSpec, name="train", instance_type="c5n.18xlarge", count=2, image="al2023"
    )
    error = raised(lambda: make(vpc="v", instance_profile=bounded))
    check(error, "plan.invalid_spec", field="permissions_boundary")


def test_tags_are_there_from_birth(cloud: Cloud, client: efa.Client) -> None:
    client.apply(client.plan(cloud.spec(instance_profile=BUCKET)))
    for action in ("CreateRole", "CreateInstanceProfile"):
        (sent,) = cloud.sent(action)
        keys = {value for key, value in sent.items() if key.endswith(".Key")}
        assert "efa-sdk:cluster" in keys
    actions = [r.action for r in cloud.stand_in.requests if r.service == "iam"]
    assert [a for a in actions if not a.startswith(("Get", "List"))] == MADE


def test_ec2_gets_to_know_a_new_profile(cloud: Cloud, client: efa.Client) -> None:
    cloud.stand_in.iam_propagation_calls = 2
    client.apply(client.plan(cloud.spec(instance_profile=BUCKET)))
    is_whole(cloud)
    codes = [r.error_code for r in cloud.stand_in.requests if r.action == "RunInstances"]
    assert codes == ["InvalidParameterValue"] * 2 + ["DryRunOperation", None]


def test_a_profile_that_ec2_never_knows(cloud: Cloud) -> None:
    cloud.stand_in.iam_propagation_calls = 10**6
    client = cloud.connect(poll_interval_s=0.01, wait_timeout_s=0.3)
    plan = client.plan(cloud.spec(instance_profile=BUCKET))
    error = raised(lambda: client.apply(plan))
    assert "Invalid IAM Instance Profile" in str(error)
    assert {("role", NAME), ("instance-profile", NAME)} <= set(error.leftovers)
    assert cloud.instances() == []
    client.destroy("train")
    assert (roles(cloud), profiles(cloud), cloud.made()) == (set(), {}, set())


@pytest.mark.parametrize("lost", [False, True], ids=["refused", "lost-reply"])
@pytest.mark.parametrize("action", MADE)
def test_apply_again_finishes(cloud: Cloud, client: efa.Client, action: str, lost: bool) -> None:
    plan = client.plan(cloud.spec(instance_profile=BUCKET))
    if lost:
        cloud.stand_in.fail(action, when="after")
        client.apply(plan)
    else:
        cloud.stand_in.fail(action, "InvalidInput")
        error = raised(lambda: client.apply(plan))
        assert error.ec2_code == "InvalidInput"
        assert error.may_have_changed_aws
        exists = {("role", name) for name in roles(cloud)}
        exists |= {("instance-profile", name) for name in profiles(cloud)}
        assert {one for one in error.leftovers if one[1] == NAME} == exists
        assert cloud.instances() == []
        client.apply(plan)
    is_whole(cloud)
    client.destroy("train")
    assert (roles(cloud), profiles(cloud), cloud.made()) == (set(), {}, set())


def no_role(iam: Any) -> None:
    out_of_profile(iam)
    detached(iam)
    no_policy(iam)
    iam.delete_role(RoleName=NAME)


def no_profile(iam: Any) -> None:
    out_of_profile(iam)
    iam.delete_instance_profile(InstanceProfileName=NAME)


def out_of_profile(iam: Any) -> None:
    iam.remove_role_from_instance_profile(InstanceProfileName=NAME, RoleName=NAME)


def detached(iam: Any) -> None:
    iam.detach_role_policy(RoleName=NAME, PolicyArn=SSM_CORE)


def no_policy(iam: Any) -> None:
    iam.delete_role_policy(RoleName=NAME, PolicyName="efa-sdk")


@pytest.mark.parametrize("breaks", [no_role, no_profile, out_of_profile, detached, no_policy])
def test_apply_puts_back_what_is_missing(
    cloud: Cloud, client: efa.Client, breaks: Callable[[Any], None]
) -> None:
    plan = client.plan(cloud.spec(instance_profile=BUCKET))
    client.apply(plan)
    breaks(iam(cloud))
    client.apply(plan)
    is_whole(cloud)
    since = len(cloud.stand_in.requests)
    client.apply(plan)
    again = [r.action for r in cloud.stand_in.requests[since:]]
    assert [a for a in again if not a.startswith(("Get", "List", "Describe"))] == []


def test_a_role_of_that_name_that_is_not_ours(cloud: Cloud, client: efa.Client) -> None:
    iam(cloud).create_role(RoleName=NAME, AssumeRolePolicyDocument=TRUST)
    plan = client.plan(cloud.spec(instance_profile=BUCKET))
    error = raised(lambda: client.apply(plan))
    check(error, "plan.conflict", field="instance_profile", value=NAME)
    assert ("role", NAME) not in error.leftovers
    assert (attached(cloud), inline(cloud), cloud.instances()) == ([], {}, [])
    client.destroy("train")
    assert roles(cloud) == {NAME}, "another owner's"
    assert cloud.made() == set()


def test_a_profile_of_that_name_that_is_not_ours(cloud: Cloud, client: efa.Client) -> None:
    node_profile(cloud.stand_in, NAME)
    error = raised(lambda: client.plan(cloud.spec(instance_profile=BUCKET)))
    check(error, "plan.conflict", field="instance_profile", value=NAME)
    assert client.destroy("train").removed == []
    assert profiles(cloud) == {NAME: [NAME]}


@pytest.mark.parametrize("lost", [None, *REMOVED])
def test_destroy_removes_its_own_and_never_another_owners(
    cloud: Cloud, client: efa.Client, lost: str | None
) -> None:
    node_profile(cloud.stand_in, "theirs")
    client.apply(client.plan(cloud.spec(instance_profile=BUCKET)))
    client.apply(client.plan(cloud.spec(name="other", instance_profile=BUCKET)))
    elsewhere = Cloud(cloud.stand_in, "us-east-2")
    elsewhere.apply(instance_profile=BUCKET)
    iam(cloud).attach_role_policy(
        RoleName=NAME, PolicyArn="arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
    )
    iam(cloud).put_role_policy(RoleName=NAME, PolicyName="mine", PolicyDocument=json.dumps(ALL_S3))
    if lost:
        cloud.stand_in.fail(lost, when="after")
    report = client.destroy("train")
    assert report.notes == []
    assert {("role", NAME), ("instance-profile", NAME)} <= set(report.removed)
    left = {"theirs", "efa-sdk-us-east-1-other", "efa-sdk-us-east-2-train"}
    assert (roles(cloud), set(profiles(cloud))) == (left, left)
    assert client.destroy("train").removed == []
    assert client.verify("other").is_as_planned


ALL_S3 = {"Version": "2012-10-17", "Statement": [{**READ, "Sid": "Mine"}]}


@pytest.mark.parametrize("refused", REMOVED)
def test_destroy_again_finishes(cloud: Cloud, client: efa.Client, refused: str) -> None:
    client.apply(client.plan(cloud.spec(instance_profile=BUCKET)))
    cloud.stand_in.fail(refused, "DeleteConflict")
    error = raised(lambda: client.destroy("train"))
    assert (error.ec2_code, error.may_have_changed_aws) == ("DeleteConflict", True)
    assert error.next_command is not None
    assert "destroy('train')" in error.next_command
    assert {kind for kind, _ in cloud.made()} <= {"role", "instance-profile"}
    assert roles(cloud) == {NAME}
    client.destroy("train")
    assert (roles(cloud), profiles(cloud)) == (set(), {})


@pytest.mark.parametrize("refused", [REMOVED[0], REMOVED[-1]])
def test_a_destroy_that_iam_refuses_says_what_is_left(
    cloud: Cloud, client: efa.Client, refused: str
) -> None:
    client.apply(client.plan(cloud.spec(instance_profile=BUCKET)))
    cloud.stand_in.fail(refused, "DeleteConflict")
    error = raised(lambda: client.destroy("train"))
    exists = {("role", name) for name in roles(cloud)}
    exists |= {("instance-profile", name) for name in profiles(cloud)}
    assert set(error.leftovers) == exists


def test_the_longest_name(cloud: Cloud, client: efa.Client) -> None:
    name = "a" * 63
    plan = client.plan(cloud.spec(name=name, instance_profile=BUCKET))
    assert plan.instance_profile_name is not None
    assert len(plan.instance_profile_name) == 64
    client.apply(plan)
    assert roles(cloud) == {plan.instance_profile_name}
    client.destroy(name)
    assert (roles(cloud), profiles(cloud)) == (set(), {})


def test_a_profile_that_is_used(cloud: Cloud, client: efa.Client) -> None:
    arn = node_profile(cloud.stand_in)
    cloud.stand_in.iam_propagation_calls = 0
    client.apply(client.plan(cloud.spec(instance_profile="node")))
    assert {i["IamInstanceProfile"]["Arn"] for i in cloud.instances()} == {arn}
    assert client.verify("train").is_as_planned
    assert cloud.sent("CreateRole")[1:] == [], "the test's own alone"
    report = client.destroy("train")
    assert not {"role", "instance-profile"} & {kind for kind, _ in report.removed}
    assert (roles(cloud), profiles(cloud)) == ({"node"}, {"node": ["node"]})


@pytest.mark.parametrize(("exists", "says"), [(False, "does not exist"), (True, "has no role")])
def test_a_profile_that_cannot_be_used(
    cloud: Cloud, client: efa.Client, exists: bool, says: str
) -> None:
    if exists:
        iam(cloud).create_instance_profile(InstanceProfileName="node")
    error = raised(lambda: client.plan(cloud.spec(instance_profile="node")))
    check(error, "plan.conflict", field="instance_profile", value="node")
    assert says in str(error)


def deny(cloud: Cloud, action: str) -> None:
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    denied = {"Effect": "Deny", "Action": action, "Resource": "*"}
    cloud.stand_in.authorize({"Version": "2012-10-17", "Statement": [everything, denied]})


@pytest.mark.parametrize("action", ["iam:GetRole", "iam:DeleteRole", "iam:DeleteInstanceProfile"])
def test_destroy_that_may_see_the_profile_must_finish(
    cloud: Cloud, client: efa.Client, action: str
) -> None:
    client.apply(client.plan(cloud.spec(instance_profile=BUCKET)))
    deny(cloud, action)
    error = raised(lambda: client.destroy("train"))
    assert error.ec2_code == "AccessDenied"
    assert action in str(error)
    cloud.stand_in.authorize(None)
    client.destroy("train")
    assert (roles(cloud), profiles(cloud), cloud.made()) == (set(), {}, set())


@pytest.mark.parametrize("denied", ["iam:*", "iam:Get*", "iam:GetInstanceProfile"])
def test_destroy_without_iam_permission_leaves_a_note(
    cloud: Cloud, client: efa.Client, denied: str
) -> None:
    client.apply(client.plan(cloud.spec(instance_profile=BUCKET)))
    deny(cloud, denied)
    error = raised(lambda: client.destroy("train"))
    assert error.ec2_code == "AccessDenied", "the instances' tags name the role"
    report = client.destroy("train")
    (note,) = report.notes
    assert NAME in note
    assert "AccessDenied" in note or "not authorized" in note
    assert note in str(report)
    cloud.stand_in.authorize(None)
    assert {kind for kind, _ in cloud.made()} == {"role", "instance-profile"}
    assert roles(cloud) == {NAME}
    assert ("role", NAME) in client.destroy("train").removed
    assert (roles(cloud), profiles(cloud)) == (set(), {})


def test_a_cluster_without_a_role_needs_no_iam(cloud: Cloud, client: efa.Client) -> None:
    cloud.stand_in.authorize({"Statement": {"Effect": "Allow", "Action": "ec2:*", "Resource": "*"}})
    client.apply(client.plan(cloud.spec()))
    assert [r.action for r in cloud.stand_in.requests if r.service == "iam"] == []
    assert len(client.destroy("train").removed) == 4
