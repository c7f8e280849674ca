"""`Plan.caller_policy()`: enough for the whole flow, and not one permission more."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import boto3  # type: ignore[import-untyped]
import efa_sdk as efa
import pytest
from botocore.exceptions import ClientError  # type: ignore[import-untyped]
from efa_sdk.testing import StandIn
from iam_support import TRUST, node_profile
from support import SMALL, Cloud

Policy = dict[str, Any]
#: The key that the policy is for; the tests themselves use another.
CALLER = "caller"
#: The account that shares its resources.
OTHER = "210987654321"
AT_MOST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": ["s3:*", "ssm:*"], "Resource": "*"}],
    }
)
OURS = {"Key": "efa-sdk:cluster", "Value": "train"}
THEIRS = {"Key": "efa-sdk:cluster", "Value": "other"}


def plain(cloud: Cloud) -> dict[str, Any]:
    cloud.ec2.create_key_pair(KeyName="mine")
    return {"key_name": "mine", "ssh_cidrs": ["192.0.2.0/24"]}


def addresses_and_role(cloud: Cloud) -> dict[str, Any]:
    role = efa.InstanceRole(
        scripts_bucket="my-scripts", cloudwatch_logs=True, permissions_boundary=boundary(cloud)
    )
    return {"public_ip": "elastic-ip", "instance_profile": role}


def boundary(cloud: Cloud) -> str:
    """A policy that bounds roles."""
    made = cloud.stand_in.client("iam").create_policy(
        PolicyName="nodes-at-most", PolicyDocument=AT_MOST
    )
    return str(made["Policy"]["Arn"])


def own_keys(cloud: Cloud) -> dict[str, Any]:
    """A key by its alias for the root volume, and one by its ARN."""
    kms = cloud.stand_in.client("kms")
    root, data = (kms.create_key()["KeyMetadata"] for _ in range(2))
    kms.create_alias(AliasName="alias/train", TargetKeyId=root["KeyId"])
    volume = efa.Volume(device_name="/dev/sdf", size_gib=10, kms_key_id=data["Arn"])
    return {"volume_kms_key_id": "alias/train", "volumes": [volume]}


def bare_role(cloud: Cloud) -> dict[str, Any]:
    return {"instance_profile": efa.InstanceRole(), "placement": "none"}


def found(cloud: Cloud) -> dict[str, Any]:
    net = cloud.network
    tag = {"Key": "for", "Value": "training"}
    cloud.ec2.create_tags(Resources=[net.vpc_id], Tags=[tag])
    return {"subnet": None, "vpc": "for=training", "image": "al2023"}


def own_parameter(cloud: Cloud) -> dict[str, Any]:
    image = cloud.network.image_for(SMALL)
    ssm = cloud.stand_in.client("ssm")
    ssm.put_parameter(Name="/images/train", Value=image, Type="String")
    return {"image": "ssm:/images/train"}


def group(cloud: Cloud, *, with_rules: bool) -> str:
    """A security group of another account."""
    made = cloud.ec2.create_security_group(
        GroupName="theirs", Description="d", VpcId=cloud.network.vpc_id
    )["GroupId"]
    rule = [{"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": made}]}]
    if with_rules:
        cloud.ec2.authorize_security_group_ingress(GroupId=made, IpPermissions=rule)
        cloud.ec2.authorize_security_group_egress(GroupId=made, IpPermissions=rule)
    return str(made)


def used(cloud: Cloud) -> dict[str, Any]:
    cloud.ec2.create_placement_group(GroupName="near", Strategy="cluster")
    node_profile(cloud.stand_in)
    cloud.stand_in.iam_propagation_calls = 0  # made long ago
    return {
        "security_group": group(cloud, with_rules=True),
        "placement_group_name": "near",
        "instance_profile": "node",
    }


def adopted_by_id(cloud: Cloud) -> dict[str, Any]:
    return {"security_group": group(cloud, with_rules=False), "adopt_security_group": True}


def adopted_by_name(cloud: Cloud) -> dict[str, Any]:
    group(cloud, with_rules=False)
    return {"security_group": "theirs", "adopt_security_group": True}


def reserved(cloud: Cloud) -> dict[str, Any]:
    made = cloud.ec2.create_capacity_reservation(
        InstanceType=SMALL,
        InstancePlatform="Linux/UNIX",
        AvailabilityZone=zone_of(cloud),
        InstanceCount=2,
        InstanceMatchCriteria="targeted",
    )["CapacityReservation"]["CapacityReservationId"]
    return {"capacity": made}


def spot(_: Cloud) -> dict[str, Any]:
    return {"capacity": "spot"}


def of_others(cloud: Cloud) -> dict[str, Any]:
    """Subnet, VPC, reservation and placement group that another account shares, and a path."""
    stand_in, subnet = cloud.stand_in, cloud.network.subnet_for(SMALL)
    values = {"subnet": subnet, **used(cloud), **reserved(cloud)}
    cloud.ec2.delete_security_group(GroupId=values.pop("security_group"))
    iam = stand_in.client("iam")
    iam.create_instance_profile(InstanceProfileName="team-node", Path="/team/")
    iam.add_role_to_instance_profile(InstanceProfileName="team-node", RoleName="node")
    values["instance_profile"] = "team-node"
    described = cloud.ec2.describe_placement_groups(GroupNames=["near"])["PlacementGroups"]
    values["placement_group_name"] = described[0]["GroupId"]
    shared = (values["capacity"], values["placement_group_name"], subnet, cloud.network.vpc_id)
    for one in shared:
        stand_in.share(one, OTHER)
    return values


def zone_of(cloud: Cloud) -> str:
    subnet = cloud.network.subnet_for(SMALL)
    return next(zone for zone, one in cloud.network.subnets.items() if one == subnet)


Case = Callable[[Cloud], dict[str, Any]]
#: Together these have every statement that there is.
ALL_STATEMENTS: list[Case] = [
    plain,
    addresses_and_role,
    found,
    used,
    adopted_by_id,
    reserved,
    spot,
    own_keys,
]
CASES: list[Case] = [*ALL_STATEMENTS, bare_role, own_parameter, adopted_by_name, of_others]
#: What a caller meets who lacks a permission.
DENIED = (
    "UnauthorizedOperation",
    "AccessDenied",
    "AccessDeniedException",
    "AuthFailure.ServiceLinkedRoleCreationNotPermitted",
)
#: What only replace and shrink need: that they do is shown for one case.
OF_NODES = {
    ("Read", "ec2:DescribeInstanceAttribute"),
    ("Read", "ec2:DescribeVolumes"),
    ("ChangeCount", "ec2:CreateTags"),
}
#: Without it each poll of instances that start is a full read.
CHEAPER = {("Read", "ec2:DescribeInstanceStatus")}
#: Without these the plan only states that it could not look.
LOOKS = {("Read", "ec2:DescribeRouteTables"), ("Read", "ec2:DescribeVpcEndpoints")}


def tagged(kind: str, *tags: dict[str, str]) -> list[dict[str, Any]]:
    return [{"ResourceType": kind, "Tags": list(tags)}]


class Scene:
    """A fresh EC2 with what a case needs, and a client with the caller's key."""

    def __init__(
        self,
        stand_in: StandIn,
        case: Case,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        stand_in.reset()
        stand_in.transition_describes = 0
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", CALLER)
        self.cloud = Cloud(stand_in)
        self.spec = self.cloud.spec(**case(self.cloud))
        self.with_nodes = case in (plain, spot)
        self.client = self.cloud.connect(poll_interval_s=0.01)

    def policy(self) -> Policy:
        """What the plan asks for, which is made here with all permissions."""
        policy: Policy = json.loads(self.client.plan(self.spec).caller_policy())
        return policy

    def allow(self, policy: Policy) -> None:
        self.cloud.stand_in.authorize(policy, access_key_id=CALLER)

    def flow(self) -> efa.DestroyReport:
        """Plans, applies, verifies and destroys, with an interface left over by someone."""
        plan = self.client.plan(self.spec)
        if "could not be read" in str(plan):
            raise AssertionError(str(plan))
        cluster = self.client.apply(plan)
        if self.with_nodes:
            self.client.replace("train", nodes=[cluster.instances[0].instance_id])
            cluster = self.client.shrink("train", 1)
        assert self.client.verify("train").is_as_planned
        ec2 = self.cloud.ec2
        nic = ec2.create_network_interface(
            SubnetId=cluster.instances[0].subnet_id,
            TagSpecifications=tagged("network-interface", OURS),
        )["NetworkInterface"]["NetworkInterfaceId"]
        if self.spec.public_ip == "elastic-ip":
            address = ec2.allocate_address(TagSpecifications=tagged("elastic-ip", OURS))
            ec2.associate_address(AllocationId=address["AllocationId"], NetworkInterfaceId=nic)
        return self.client.destroy("train")


SceneOf = Callable[[Case], Scene]


@pytest.fixture
def scene(stand_in: StandIn, aws_environment: None, monkeypatch: pytest.MonkeyPatch) -> SceneOf:
    return lambda case: Scene(stand_in, case, monkeypatch)


@pytest.mark.parametrize("case", CASES)
def test_it_is_enough(scene: SceneOf, case: Case) -> None:
    at = scene(case)
    at.allow(at.policy())
    report = at.flow()
    kinds = [kind for kind, _ in report.removed]
    assert kinds.count("instance") == (1 if at.with_nodes else 2)
    assert kinds.count("network-interface") == 1
    assert at.cloud.tagged() == set(), "nothing of the cluster is left"
    iam = at.cloud.stand_in.client("iam")
    made = [role["RoleName"] for role in iam.list_roles()["Roles"]]
    assert "efa-sdk-us-east-1-train" not in made


def without(policy: Policy, sid: str, action: str) -> Policy:
    """The policy with one action less in one statement."""
    less = copy.deepcopy(policy)
    for statement in less["Statement"]:
        if statement["Sid"] == sid:
            statement["Action"].remove(action)
    less["Statement"] = [one for one in less["Statement"] if one["Action"]]
    return less


@pytest.mark.parametrize("case", ALL_STATEMENTS)
def test_every_action_of_every_statement_is_needed(scene: SceneOf, case: Case) -> None:
    policy = scene(case).policy()
    sids = [one["Sid"] for one in policy["Statement"]]
    assert len(sids) == len(set(sids))
    known = [] if case is plain else scene(plain).policy()["Statement"]
    wrong: dict[tuple[str, str], str] = {}
    for statement in policy["Statement"]:
        if statement in known:  # shown for the plain case, whose calls every case makes
            continue
        for action in statement["Action"]:
            permission = (statement["Sid"], action)
            if permission in OF_NODES and case is not plain:
                continue
            at = scene(case)
            at.allow(without(policy, statement["Sid"], action))
            try:
                report = at.flow()
            except efa.EfaError as error:
                named = f"{error.context} {error.cure}"
                # EC2 takes a launch whose keys the caller may not use, and ends its instances.
                late = action.startswith("kms:") and error.code == "provision.instance_lost"
                if not (late or error.ec2_code in DENIED) or action not in named:
                    wrong[statement["Sid"], action] = f"{error.code}: {error}"
            except AssertionError as error:
                if permission not in LOOKS or "could not be read" not in str(error):
                    raise
            else:
                if permission in CHEAPER:
                    continue
                wrong[statement["Sid"], action] = f"not needed: {report}"
    assert wrong == {}


@pytest.mark.parametrize("case", CASES)
def test_its_form(scene: SceneOf, case: Case) -> None:
    policy = scene(case).policy()
    assert policy["Version"] == "2012-10-17"
    for statement in policy["Statement"]:
        assert statement["Effect"] == "Allow"
        assert not any("*" in action for action in statement["Action"])
        resources = statement["Resource"]
        if "*" in ([resources] if isinstance(resources, str) else resources):
            assert all(action.startswith("ec2:Describe") for action in statement["Action"])


def client_of(stand_in: StandIn, service: str = "ec2") -> Any:
    """boto3 with the caller's key."""
    return boto3.Session(aws_access_key_id=CALLER, aws_secret_access_key="testing").client(
        service, region_name="us-east-1", endpoint_url=stand_in.endpoint_url
    )


def denied(call: Callable[..., Any], **options: Any) -> None:
    with pytest.raises(ClientError) as caught:
        call(**options)
    assert caught.value.response["Error"]["Code"] in DENIED, caught.value


def assert_bounded(cloud: Cloud, iam: Any) -> None:
    """No role is made, and no policy written, that the boundary does not bound."""
    name, admin = "efa-sdk-us-east-1-train", cloud.stand_in.client("iam")
    bound = admin.get_role(RoleName=name)["Role"]["PermissionsBoundary"]["PermissionsBoundaryArn"]
    policy = {"RoleName": name, "PolicyName": "more", "PolicyDocument": AT_MOST}
    admin.delete_role_permissions_boundary(RoleName=name)
    denied(iam.put_role_policy, **policy)
    denied(iam.put_role_permissions_boundary, RoleName=name, PermissionsBoundary=bound)
    admin.put_role_permissions_boundary(RoleName=name, PermissionsBoundary=bound)
    iam.put_role_policy(**policy)
    iam.delete_role_policy(RoleName=name, PolicyName="more")
    denied(iam.delete_role_permissions_boundary, RoleName=name)


@pytest.mark.parametrize("tag", [None, THEIRS], ids=["another", "other-cluster"])
def test_what_is_not_the_clusters_is_out_of_reach(
    scene: SceneOf, tag: dict[str, str] | None
) -> None:
    at = scene(addresses_and_role)
    cloud, admin, ec2 = at.cloud, at.cloud.ec2, client_of(at.cloud.stand_in)
    at.client.apply(at.client.plan(at.spec))
    tags = [tag] if tag else []

    def birth(kind: str) -> dict[str, Any]:
        return {"TagSpecifications": tagged(kind, *tags)} if tags else {}

    launch = {
        "ImageId": cloud.network.image_for(SMALL),
        "InstanceType": SMALL,
        "MinCount": 1,
        "MaxCount": 1,
        "SubnetId": cloud.network.subnet_for(SMALL),
    }
    instance = admin.run_instances(**launch, **birth("instance"))["Instances"][0]["InstanceId"]
    nic = admin.create_network_interface(SubnetId=launch["SubnetId"], **birth("network-interface"))[
        "NetworkInterface"
    ]["NetworkInterfaceId"]
    foreign = admin.create_security_group(
        GroupName="foreign", Description="d", VpcId=cloud.network.vpc_id, **birth("security-group")
    )["GroupId"]
    admin.create_placement_group(
        GroupName="efa-sdk-other", Strategy="cluster", **birth("placement-group")
    )
    address = admin.allocate_address(Domain="vpc", **birth("elastic-ip"))["AllocationId"]
    node_profile(cloud.stand_in, "efa-sdk-us-east-1-other")
    at.allow(at.policy())
    before = cloud.state()

    denied(ec2.terminate_instances, InstanceIds=[instance])
    ours = [i["InstanceId"] for i in cloud.instances(**{"tag:efa-sdk:cluster": "train"})]
    denied(ec2.terminate_instances, InstanceIds=[*ours, instance])
    denied(ec2.delete_network_interface, NetworkInterfaceId=nic)
    denied(ec2.delete_security_group, GroupId=foreign)
    rule = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    denied(ec2.authorize_security_group_ingress, GroupId=foreign, IpPermissions=rule)
    denied(ec2.delete_placement_group, GroupName="efa-sdk-other")
    denied(ec2.release_address, AllocationId=address)
    denied(ec2.associate_address, AllocationId=address, NetworkInterfaceId=nic)
    denied(ec2.create_tags, Resources=[instance], Tags=[OURS])
    denied(ec2.run_instances, **launch)
    other = tagged("instance", THEIRS) + tagged("volume", THEIRS)
    denied(ec2.run_instances, **launch, TagSpecifications=other)
    iam, name = client_of(cloud.stand_in, "iam"), "efa-sdk-us-east-1-other"
    denied(iam.delete_role, RoleName=name)
    denied(iam.delete_instance_profile, InstanceProfileName=name)
    denied(iam.remove_role_from_instance_profile, InstanceProfileName=name, RoleName=name)
    admins = "arn:aws:iam::aws:policy/AdministratorAccess"
    denied(iam.attach_role_policy, RoleName="efa-sdk-us-east-1-train", PolicyArn=admins)
    denied(iam.create_role, RoleName="root", AssumeRolePolicyDocument=TRUST)
    assert_bounded(cloud, iam)
    assert cloud.state() == before

    at.client.destroy("train")
    left = cloud.state()
    assert {instance} == set(left["instance"])
    assert {nic} <= set(left["network-interface"])
    assert {foreign} <= set(left["security-group"])
    assert set(left["placement-group"]) == {"efa-sdk-other"}
    assert set(left["elastic-ip"]) == {address}
