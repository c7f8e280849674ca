"""What a specification names instead of ids: subnets, VPCs, security groups, images."""

from __future__ import annotations

from functools import partial
from typing import Any

import efa_sdk as efa
import pytest
from support import P5, SMALL, Cloud, check, raised, tags_of

DISCOVERY = "karpenter.sh/discovery"
DLAMI = "Deep Learning Base OSS Nvidia Driver GPU AMI (Amazon Linux 2023)"
DLAMI_OWNER, OTHER_ACCOUNT = "898082745236", "210987654321"
ANYWHERE = {"0.0.0.0/0", "::/0"}


def tag(cloud: Cloud, resource: str, key: str, value: str) -> None:
    cloud.ec2.create_tags(Resources=[resource], Tags=[{"Key": key, "Value": value}])


def make_group(cloud: Cloud, name: str, vpc_id: str | None = None) -> str:
    """A security group of the user's, as EC2 makes it: no way in, every way out."""
    vpc_id = vpc_id or cloud.network.vpc_id
    answer = cloud.ec2.create_security_group(GroupName=name, Description="mine", VpcId=vpc_id)
    return str(answer["GroupId"])


def self_rule(group_id: str) -> dict[str, Any]:
    return {
        "GroupId": group_id,
        "IpPermissions": [{"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": group_id}]}],
    }


def rules(cloud: Cloud, group_id: str | None) -> tuple[set[str], set[str]]:
    """The rules of a group, in and out, as `protocol ports peer`."""
    (group,) = cloud.ec2.describe_security_groups(GroupIds=[group_id])["SecurityGroups"]

    def texts(permissions: list[dict[str, Any]]) -> set[str]:
        return {
            f"{p['IpProtocol']} {p.get('FromPort')}-{p.get('ToPort')} {peer}"
            for p in permissions
            for peer in (
                *(pair["GroupId"] for pair in p.get("UserIdGroupPairs", [])),
                *(one["CidrIp"] for one in p.get("IpRanges", [])),
                *(one["CidrIpv6"] for one in p.get("Ipv6Ranges", [])),
            )
        }

    return texts(group["IpPermissions"]), texts(group["IpPermissionsEgress"])


def launched_in(cloud: Cloud) -> set[str]:
    return {i["SubnetId"] for i in cloud.instances()}


# Subnets and VPCs


@pytest.fixture
def small_subnet(cloud: Cloud) -> str:
    """A subnet in the first zone with room for eleven addresses."""
    return add_subnet(cloud, "10.0.240.0/28")


def add_subnet(cloud: Cloud, cidr: str, zone: str = "us-east-1a", vpc: str | None = None) -> str:
    answer = cloud.ec2.create_subnet(
        VpcId=vpc or cloud.network.vpc_id, CidrBlock=cidr, AvailabilityZone=zone
    )
    return str(answer["Subnet"]["SubnetId"])


@pytest.mark.parametrize("how", ["id", "tag", "name"])
def test_one_subnet(cloud: Cloud, how: str) -> None:
    wanted = cloud.network.subnets["us-east-1c"]
    tag(cloud, wanted, DISCOVERY, "prod")
    tag(cloud, cloud.network.subnets["us-east-1a"], DISCOVERY, "test")
    text = {"id": wanted, "tag": f"{DISCOVERY}=prod", "name": "efa-test-us-east-1c"}[how]
    plan = cloud.plan(subnet=text)
    assert (plan.subnet_ids, plan.rejected_subnets) == ([wanted], [])
    assert (plan.availability_zone, plan.spec.subnets) == ("us-east-1c", [text])
    cloud.client.apply(plan)
    assert launched_in(cloud) == {wanted}
    assert cloud.client.verify("train").is_as_planned


@pytest.mark.parametrize("zones", ["dba", "bad"])
def test_ids_keep_their_order(cloud: Cloud, zones: str) -> None:
    ids = [cloud.network.subnets[f"us-east-1{zone}"] for zone in zones]
    assert cloud.plan(subnet=ids).subnet_ids == ids
    cloud.apply(subnet=ids)
    assert launched_in(cloud) == {ids[0]}


def test_a_tag_gives_the_emptiest_subnet_first(cloud: Cloud, small_subnet: str) -> None:
    large = cloud.network.subnets["us-east-1b"]
    middle = add_subnet(cloud, "10.0.248.0/24")
    for subnet in (small_subnet, middle, large):
        tag(cloud, subnet, DISCOVERY, "prod")
    assert cloud.plan(subnet=f"{DISCOVERY}=prod").subnet_ids == [large, middle, small_subnet]
    named = cloud.plan(subnet=[small_subnet, f"{DISCOVERY}=prod"])
    assert named.subnet_ids == [small_subnet, large, middle], "ids first, none twice"


@pytest.mark.parametrize("how", ["id", "tag", "name"])
def test_any_subnet_of_a_vpc(cloud: Cloud, how: str) -> None:
    vpc_id = cloud.network.vpc_id
    tag(cloud, vpc_id, DISCOVERY, "prod")
    cloud.stand_in.default_network(name="other", cidr="10.9.0.0/16")
    text = {"id": vpc_id, "tag": f"{DISCOVERY}=prod", "name": "efa-test"}[how]
    plan = cloud.plan(subnet=None, vpc=text)
    zones = {zone: subnet for zone, subnet in cloud.network.subnets.items() if zone[-1] != "e"}
    assert set(plan.subnet_ids) == set(zones.values())
    ((rejected, reason),) = plan.rejected_subnets
    assert rejected == cloud.network.subnets["us-east-1e"]
    assert f"{SMALL} is not offered in us-east-1e" in reason
    assert reason in str(plan)
    cloud.client.apply(plan)
    assert launched_in(cloud) == {plan.subnet_ids[0]}


def test_a_vpc_narrows_a_tag_down(cloud: Cloud) -> None:
    other = cloud.stand_in.default_network(name="other", cidr="10.9.0.0/16")
    for network in (cloud.network, other):
        tag(cloud, network.subnets["us-east-1a"], DISCOVERY, "prod")
    error = raised(lambda: cloud.plan(subnet=f"{DISCOVERY}=prod"))
    check(error, "plan.conflict", field="subnet")
    assert cloud.network.vpc_id in error.message
    assert other.vpc_id in error.message
    plan = cloud.plan(subnet=f"{DISCOVERY}=prod", vpc="other")
    assert plan.subnet_ids == [other.subnets["us-east-1a"]]


def test_a_subnet_that_is_too_small_is_rejected_with_numbers(
    cloud: Cloud, small_subnet: str
) -> None:
    large = cloud.network.subnets["us-east-1a"]
    plan = cloud.plan(subnet=[small_subnet, large], count=12)
    assert plan.subnet_ids == [large]
    ((rejected, reason),) = plan.rejected_subnets
    assert rejected == small_subnet
    assert "11 free addresses" in reason
    assert "12" in reason
    fewer = cloud.plan(subnet=[small_subnet, large], count=12, minimum_count=11)
    assert fewer.subnet_ids == [small_subnet, large], "room for the least that will do"


def test_when_all_are_rejected_every_reason_is_reported(cloud: Cloud, small_subnet: str) -> None:
    elsewhere = cloud.network.subnets["us-east-1e"]
    error = raised(lambda: cloud.plan(subnet=[small_subnet, elsewhere], count=12))
    check(error, "plan.conflict", field="subnet", instance_type=SMALL)
    for words in (small_subnet, elsewhere, "11 free addresses", "not offered in us-east-1e"):
        assert words in error.message
    only = raised(lambda: cloud.plan(subnet=elsewhere))
    check(only, "plan.conflict", value=elsewhere, availability_zone="us-east-1e")
    assert only.cure
    assert "us-east-1a" in only.cure


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("subnet", "subnet-0123456789abcdef0"),
        ("subnet", f"{DISCOVERY}=nosuch"),
        ("subnet", "nosuch"),
        ("vpc", "vpc-0123456789abcdef0"),
        ("vpc", "nosuch"),
        ("security_group", "sg-0123456789abcdef0"),
        ("security_group", "team=nosuch"),
        ("security_group", "nosuch"),
    ],
)
def test_what_names_nothing(cloud: Cloud, field: str, text: str) -> None:
    error = raised(lambda: cloud.plan(**{field: text}))
    check(error, "plan.resource_not_found", field=field, value=text, region="us-east-1")
    assert text in error.message
    assert cloud.changes() == []


def test_a_list_with_one_that_names_nothing(cloud: Cloud) -> None:
    good = cloud.network.subnets["us-east-1a"]
    error = raised(lambda: cloud.plan(subnet=[good, "nosuch"]))
    check(error, "plan.resource_not_found", value="nosuch")


def test_a_vpc_without_subnets(cloud: Cloud) -> None:
    empty = cloud.ec2.create_vpc(CidrBlock="10.8.0.0/16")["Vpc"]["VpcId"]
    error = raised(lambda: cloud.plan(subnet=None, vpc=empty))
    check(error, "plan.resource_not_found", field="subnet")


@pytest.mark.parametrize("text", ["", "efa-*", "efa-test-us-east-1?", f"{DISCOVERY}=*", "=x"])
def test_a_pattern_is_no_name(cloud: Cloud, text: str) -> None:
    check(raised(lambda: cloud.spec(subnet=text)), "plan.invalid_spec", field="subnet")


# Security groups


@pytest.mark.parametrize("how", ["id", "tag", "name"])
def test_an_existing_security_group(cloud: Cloud, how: str) -> None:
    group_id = make_group(cloud, "shared")
    tag(cloud, group_id, "team", "ml")
    cloud.ec2.authorize_security_group_ingress(**self_rule(group_id))
    cloud.ec2.authorize_security_group_egress(**self_rule(group_id))
    other = cloud.stand_in.default_network(name="other", cidr="10.9.0.0/16")
    twin = make_group(cloud, "shared", other.vpc_id)
    tag(cloud, twin, "team", "ml")
    before = rules(cloud, group_id)
    text = {"id": group_id, "tag": "team=ml", "name": "shared"}[how]
    plan = cloud.plan(security_group=text)
    assert plan.security_group_id == group_id, "not its namesake in another VPC"
    cloud.client.apply(plan)
    used = {g["GroupId"] for i in cloud.instances() for g in i["SecurityGroups"]}
    assert used == {group_id}
    assert rules(cloud, group_id) == before
    assert cloud.client.verify("train").is_as_planned
    cloud.client.destroy("train")
    assert group_id in cloud.state()["security-group"]
    assert cloud.tagged() == set()


def test_an_ambiguous_security_group(cloud: Cloud) -> None:
    groups = [make_group(cloud, name) for name in ("one", "two")]
    for group_id in groups:
        tag(cloud, group_id, "team", "ml")
    error = raised(lambda: cloud.plan(security_group="team=ml"))
    check(error, "plan.conflict", field="security_group", value="team=ml")
    assert all(group_id in error.message for group_id in groups)


def test_a_security_group_of_another_vpc_by_id(cloud: Cloud) -> None:
    other = cloud.stand_in.default_network(name="other", cidr="10.9.0.0/16")
    error = raised(lambda: cloud.plan(security_group=make_group(cloud, "far", other.vpc_id)))
    check(error, "plan.conflict", field="security_group")
    assert other.vpc_id in error.message


@pytest.fixture
def two_vpcs(cloud: Cloud) -> list[str]:
    """Subnets of two VPCs of which only the second VPC's has the type."""
    other = cloud.stand_in.default_network(name="other", cidr="10.9.0.0/16")
    return [cloud.network.subnets["us-east-1e"], other.subnets["us-east-1a"]]


def test_the_security_group_is_looked_for_where_the_cluster_goes(
    cloud: Cloud, two_vpcs: list[str]
) -> None:
    other = cloud.stand_in.default_network(name="other")
    group_id = make_group(cloud, "shared", other.vpc_id)
    plan = cloud.plan(subnet=two_vpcs, security_group="shared", adopt_security_group=True)
    assert (plan.subnet_ids, plan.security_group_id) == (two_vpcs[1:], group_id)


def test_a_namesake_in_the_vpc_of_a_rejected_subnet_is_no_obstacle(
    cloud: Cloud, two_vpcs: list[str]
) -> None:
    make_group(cloud, "efa-sdk-train")
    cloud.apply(subnet=two_vpcs)
    assert launched_in(cloud) == {two_vpcs[1]}


@pytest.mark.parametrize("has", [(), ("ingress",), ("egress",), ("ingress", "egress")], ids=str)
def test_adopting_adds_exactly_the_missing_self_rules(cloud: Cloud, has: tuple[str, ...]) -> None:
    group_id = make_group(cloud, "shared")
    cloud.ec2.authorize_security_group_ingress(
        GroupId=group_id, IpProtocol="tcp", FromPort=443, ToPort=443, CidrIp="198.51.100.0/24"
    )
    for direction in has:
        authorize = getattr(cloud.ec2, f"authorize_security_group_{direction}")
        authorize(**self_rule(group_id))
    if len(has) < 2:
        error = raised(lambda: cloud.plan(security_group="shared"))
        check(error, "plan.conflict", field="security_group")
        assert error.cure
        assert "authorize-security-group-" in error.cure
    (before_in, before_out), since = rules(cloud, group_id), len(cloud.changes())
    plan = cloud.plan(security_group="shared", adopt_security_group=True)
    assert cloud.changes()[since:] == []
    cloud.client.apply(plan)
    itself = f"-1 None-None {group_id}"
    assert rules(cloud, group_id) == (before_in | {itself}, before_out | {itself})
    sent = [c for c in cloud.changes()[since:] if c.startswith("Authorize")]
    missing = {"ingress", "egress"} - set(has)
    assert sorted(sent) == sorted(f"AuthorizeSecurityGroup{d.capitalize()}" for d in missing)
    assert cloud.client.verify("train").is_as_planned, "443 is the owner's business"
    cloud.client.apply(plan)
    assert len(cloud.changes()[since:]) == len(sent) + 2, "a placement group and a launch, once"
    report = cloud.client.destroy("train")
    assert group_id not in {resource for _, resource in report.removed}
    assert rules(cloud, group_id) == (before_in | {itself}, before_out | {itself})


def test_nothing_to_adopt(cloud: Cloud) -> None:
    error = raised(lambda: cloud.spec(adopt_security_group=True))
    check(error, "plan.invalid_spec", field="adopt_security_group")


# Port 22


@pytest.mark.parametrize(
    "cidrs", [(), ("203.0.113.7/32",), ("203.0.113.0/24", "2001:db8::/48")], ids=str
)
def test_ssh_is_open_to_exactly_these_ranges(cloud: Cloud, cidrs: tuple[str, ...]) -> None:
    plan = cloud.plan(ssh_cidrs=list(cidrs))
    assert all(cidr in str(plan) for cidr in cidrs)
    cluster = cloud.client.apply(plan)
    ingress, _ = rules(cloud, cluster.security_group_id)
    itself = f"-1 None-None {cluster.security_group_id}"
    assert ingress == {itself, *(f"tcp 22-22 {cidr}" for cidr in cidrs)}
    since = len(cloud.changes())
    cloud.client.apply(plan)
    assert cloud.changes()[since:] == []
    assert cloud.client.verify("train").is_as_planned
    assert cloud.client.verify(plan).is_as_planned


@pytest.mark.parametrize("cidr", sorted(ANYWHERE))
def test_ssh_from_everywhere_produces_a_warning(cloud: Cloud, cidr: str) -> None:
    (warning,) = [w for w in cloud.plan(ssh_cidrs=[cidr]).warnings if "port 22" in w]
    assert cidr in warning


@pytest.mark.parametrize("cidr", ["203.0.113.7", "203.0.113.0/33", "::/129", "all", "", "1/8"])
def test_what_is_no_range(cloud: Cloud, cidr: str) -> None:
    error = raised(lambda: cloud.spec(ssh_cidrs=[cidr]))
    check(error, "plan.invalid_spec", field="ssh_cidrs", value=cidr)


@pytest.mark.parametrize("adopt", [False, True])
def test_ssh_is_not_opened_in_a_group_of_yours(cloud: Cloud, adopt: bool) -> None:
    error = raised(
        lambda: cloud.spec(
            security_group="mine", adopt_security_group=adopt, ssh_cidrs=["203.0.113.7/32"]
        )
    )
    check(error, "plan.invalid_spec", field="ssh_cidrs")


DRIFTS: dict[str, tuple[dict[str, Any], str]] = {
    "ssh from everywhere": (
        {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]},
        "IpProtocol=tcp,FromPort=22,ToPort=22,IpRanges=[{CidrIp=0.0.0.0/0}]",
    ),
    "ssh from everywhere by IPv6": (
        {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "Ipv6Ranges": [{"CidrIpv6": "::/0"}]},
        "IpProtocol=tcp,FromPort=22,ToPort=22,Ipv6Ranges=[{CidrIpv6=::/0}]",
    ),
    "everything": (
        {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "10.0.0.0/8"}]},
        "IpProtocol=-1,IpRanges=[{CidrIp=10.0.0.0/8}]",
    ),
}


@pytest.mark.parametrize("drift", DRIFTS)
def test_what_someone_opens_is_found_with_the_command_that_closes_it(
    cloud: Cloud, drift: str
) -> None:
    permission, shorthand = DRIFTS[drift]
    plan = cloud.plan(ssh_cidrs=["203.0.113.7/32"])
    group_id = cloud.client.apply(plan).security_group_id
    cloud.ec2.authorize_security_group_ingress(GroupId=group_id, IpPermissions=[permission])
    for what in ("train", plan):
        (finding,) = cloud.client.verify(what).findings
        assert (finding.check, finding.subject) == ("security_group_rule", group_id)
        assert finding.expected == "no such ingress rule"
        assert finding.cure == (
            f"run: aws ec2 revoke-security-group-ingress --group-id {group_id} "
            f"--ip-permissions {shorthand}"
        )
    cloud.ec2.revoke_security_group_ingress(GroupId=group_id, IpPermissions=[permission])
    assert cloud.client.verify("train").is_as_planned


def test_ssh_that_someone_closed_comes_back_with_apply(cloud: Cloud) -> None:
    plan = cloud.plan(ssh_cidrs=["203.0.113.7/32"])
    group_id = cloud.client.apply(plan).security_group_id
    before = rules(cloud, group_id)
    cloud.ec2.revoke_security_group_ingress(
        GroupId=group_id, IpProtocol="tcp", FromPort=22, ToPort=22, CidrIp="203.0.113.7/32"
    )
    (finding,) = cloud.client.verify("train").findings
    assert (finding.check, finding.actual) == ("security_group_rule", "missing")
    assert "apply again" in finding.cure
    cloud.client.apply(plan)
    assert rules(cloud, group_id) == before
    assert cloud.client.verify("train").is_as_planned


# Images


def image(cloud: Cloud, image_id: str) -> dict[str, Any]:
    (found,) = cloud.ec2.describe_images(ImageIds=[image_id])["Images"]
    return dict(found)


@pytest.mark.parametrize(
    ("choice", "instance_type", "name"),
    [
        ("al2023", SMALL, "al2023-ami-2023."),
        ("al2023", "c7gn.16xlarge", "al2023-ami-2023."),
        ("dlami-al2023", P5, f"{DLAMI} 20260918"),
        ("dlami-ubuntu-22.04", P5, DLAMI.replace("Amazon Linux 2023", "Ubuntu 22.04")),
        ("dlami-ubuntu-24.04", P5, DLAMI.replace("Amazon Linux 2023", "Ubuntu 24.04")),
        ("dlami-al2023", "c7gn.16xlarge", DLAMI.replace("Base", "ARM64 Base")),
    ],
)
def test_images_that_aws_publishes(
    cloud: Cloud, choice: str, instance_type: str, name: str
) -> None:
    plan = cloud.plan(instance_type, image=choice, count=1)
    found = image(cloud, plan.image_id)
    assert found["Name"].startswith(name)
    assert found["ImageOwnerAlias"] == "amazon"
    assert found["Architecture"] == ("arm64" if "gn" in instance_type else "x86_64")
    assert not any("account" in warning for warning in plan.warnings)
    without_efa = [w for w in plan.warnings if "EFA software" in w]
    assert len(without_efa) == (choice == "al2023"), "Deep Learning images bring it"
    cloud.client.apply(plan)
    assert {i["ImageId"] for i in cloud.instances()} == {plan.image_id}


def test_an_image_by_a_parameter_of_yours(cloud: Cloud) -> None:
    image_id = cloud.network.image_for(SMALL)
    ssm = cloud.stand_in.client("ssm")
    ssm.put_parameter(Name="/ml/image", Value=image_id, Type="String")
    plan = cloud.plan(image="ssm:/ml/image")
    assert (plan.image_id, plan.spec.image) == (image_id, "ssm:/ml/image")
    cloud.client.apply(plan)
    assert {i["ImageId"] for i in cloud.instances()} == {image_id}


@pytest.mark.parametrize("value", [None, "ami-0123456789abcdef0"])
def test_a_parameter_that_leads_nowhere(cloud: Cloud, value: str | None) -> None:
    if value is not None:
        cloud.stand_in.client("ssm").put_parameter(Name="/ml/image", Value=value, Type="String")
    error = raised(lambda: cloud.plan(image="ssm:/ml/image"))
    check(error, "plan.resource_not_found", field="image", value=value or "ssm:/ml/image")


@pytest.mark.parametrize("owner", [DLAMI_OWNER, "amazon"])
def test_the_newest_image_of_that_owner(cloud: Cloud, owner: str) -> None:
    pattern = f"{DLAMI} *"
    everyones = cloud.ec2.describe_images(Filters=[{"Name": "name", "Values": [pattern]}])["Images"]
    newest = max(everyones, key=lambda i: str(i["CreationDate"]))
    assert newest["OwnerId"] == OTHER_ACCOUNT, "a newer look-alike of another account"
    plan = cloud.plan(P5, image=f"{owner}/{pattern}")
    found = image(cloud, plan.image_id)
    assert (found["OwnerId"], found["Name"]) == (DLAMI_OWNER, f"{DLAMI} 20260918")
    assert plan.warnings == []


@pytest.mark.parametrize(
    "text", [f"{DLAMI_OWNER}/nosuch*", f"self/{DLAMI}*", f"{OTHER_ACCOUNT}/al2023*"]
)
def test_a_pattern_without_a_match(cloud: Cloud, text: str) -> None:
    error = raised(lambda: cloud.plan(image=text))
    check(error, "plan.resource_not_found", field="image")
    assert text in error.message
    assert "x86_64" in error.message


@pytest.mark.parametrize("text", [DLAMI, f"someone/{DLAMI}*", "amazon/", "ssm:image", "ami-*", ""])
def test_an_image_is_not_chosen_by_its_name_alone(cloud: Cloud, text: str) -> None:
    check(raised(lambda: cloud.spec(image=text)), "plan.invalid_spec", field="image")


def test_an_image_of_another_account_produces_a_warning(cloud: Cloud) -> None:
    (found,) = cloud.ec2.describe_images(Owners=[OTHER_ACCOUNT], Filters=x86_64())["Images"]
    (warning,) = cloud.plan(P5, image=found["ImageId"]).warnings
    assert OTHER_ACCOUNT in warning
    assert found["ImageId"] in warning
    assert cloud.plan(P5, image=f"{OTHER_ACCOUNT}/{DLAMI}*").warnings == [], "asked for by name"


def x86_64() -> list[dict[str, Any]]:
    return [{"Name": "architecture", "Values": ["x86_64"]}]


def test_a_public_parameter_that_names_an_image_of_another_account_is_refused(cloud: Cloud) -> None:
    (found,) = cloud.ec2.describe_images(Owners=[OTHER_ACCOUNT], Filters=x86_64())["Images"]
    name = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
    _overwrite_public_parameter(name, found["ImageId"])
    error = raised(lambda: cloud.plan(image="al2023"))
    check(error, "plan.conflict", field="image", value=found["ImageId"])
    assert OTHER_ACCOUNT in error.message


def _overwrite_public_parameter(name: str, value: str) -> None:
    """AWS's own parameters cannot be put: changed in moto's state, which the next test resets."""
    from moto.core.models import DEFAULT_ACCOUNT_ID
    from moto.ssm.models import ssm_backends

    parameters = ssm_backends[DEFAULT_ACCOUNT_ID]["us-east-1"]._parameters
    parameters[name][-1].value = value


def test_an_image_of_the_wrong_architecture(cloud: Cloud) -> None:
    arm = cloud.network.images["arm64"]
    error = raised(lambda: cloud.plan(image=arm))
    check(error, "plan.conflict", field="image", value=arm, architecture="arm64")
    assert "x86_64" in error.message


# The root volume


@pytest.mark.parametrize(
    ("instance_type", "choice", "asked", "size"),
    [
        (SMALL, "al2023", None, 50),
        (P5, "al2023", None, 200),
        (SMALL, "dlami-al2023", None, 75),
        (SMALL, "al2023", 500, 500),
        (SMALL, "al2023", 50, 50),
    ],
)
def test_the_size_of_the_root_volume(
    cloud: Cloud, instance_type: str, choice: str, asked: int | None, size: int
) -> None:
    plan = cloud.plan(instance_type, image=choice, volume_size_gib=asked, count=1)
    assert plan.volume_size_gib == size
    assert not any("GiB" in warning for warning in plan.warnings)
    cloud.client.apply(plan)
    assert [v["Size"] for v in cloud.state()["volume"].values()] == [size]


def test_a_small_root_volume_produces_a_warning(cloud: Cloud) -> None:
    plan = cloud.plan(P5, volume_size_gib=30)
    (warning,) = [w for w in plan.warnings if "GiB" in w]
    assert "30 GiB" in warning
    assert "200 GiB" in warning
    cloud.client.apply(plan)
    assert {v["Size"] for v in cloud.state()["volume"].values()} == {30}


def test_a_root_volume_below_the_images_is_refused(cloud: Cloud) -> None:
    error = raised(lambda: cloud.plan(P5, image="dlami-al2023", volume_size_gib=74))
    check(error, "plan.conflict", field="volume_size_gib", value="74", limit="75")


@pytest.mark.parametrize("size", [0, 65_537])
def test_a_root_volume_that_ec2_does_not_have(cloud: Cloud, size: int) -> None:
    error = raised(partial(cloud.spec, volume_size_gib=size))
    check(error, "plan.invalid_spec", field="volume_size_gib", value=str(size))


def test_a_plan_of_names_survives_storage(cloud: Cloud) -> None:
    plan = cloud.plan(
        subnet=None, vpc="efa-test", image="al2023", ssh_cidrs=["203.0.113.7/32"], minimum_count=1
    )
    again = efa.Plan.from_json(plan.to_json())
    assert again == plan
    assert efa.ClusterSpec.from_json(plan.spec.to_json()) == plan.spec
    cloud.client.apply(again)
    assert launched_in(cloud) == {plan.subnet_ids[0]}
    assert {tags_of(i)["efa-sdk:plan"] for i in cloud.instances()} == {plan.fingerprint}
