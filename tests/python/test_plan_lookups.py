"""What a plan looks up before anything is made: inputs of public reports, over HTTP."""

from __future__ import annotations

from typing import Any

import efa_sdk as efa
from moto.ec2.models import ec2_backends
from support import P5, SMALL, Cloud, check, raised

OTHER = "210987654321"


def zone_of(cloud: Cloud, subnet: str) -> str:
    return next(zone for zone, one in cloud.network.subnets.items() if one == subnet)


def reserve(cloud: Cloud, **more: Any) -> str:
    """A targeted reservation for two, in the zone of the cluster's subnet."""
    wanted = {"InstancePlatform": "Linux/UNIX", **more}
    made = cloud.ec2.create_capacity_reservation(
        InstanceType=SMALL,
        AvailabilityZone=zone_of(cloud, cloud.network.subnet_for(SMALL)),
        InstanceCount=2,
        InstanceMatchCriteria="targeted",
        **wanted,
    )
    return str(made["CapacityReservation"]["CapacityReservationId"])


def test_names_that_begin_like_ids_are_names(cloud: Cloud) -> None:
    subnet, vpc = cloud.network.subnet_for(SMALL), cloud.network.vpc_id
    names = {"subnet": "subnet-private-1a", "vpc": "vpc-prod-main"}
    for resource, name in ((subnet, names["subnet"]), (vpc, names["vpc"])):
        cloud.ec2.create_tags(Resources=[resource], Tags=[{"Key": "Name", "Value": name}])
    assert cloud.plan(**names).subnet_ids == [subnet]
    cloud.ec2.create_tags(Resources=[vpc], Tags=[{"Key": "Name", "Value": "vpc-prod"}])
    assert cloud.plan(subnet=None, vpc="vpc-prod").subnet_ids
    # A typing error of an id is looked up as a name, and the cure states this.
    for field, text in (("subnet", subnet[:-1]), ("vpc", "vpc-1"), ("security_group", "sg-1")):
        error = raised(lambda field=field, text=text: cloud.plan(**{field: text}))  # type: ignore[misc]
        check(error, "plan.resource_not_found", field=field, value=text)
        assert "8 or 17 hexadecimal digits" in (error.cure or "")


def test_what_the_account_lists_is_suggested(cloud: Cloud) -> None:
    iam, ssm = (cloud.stand_in.client(name) for name in ("iam", "ssm"))
    iam.create_instance_profile(InstanceProfileName="node-profile")
    ssm.put_parameter(Name="/ml/images/base", Value="ami-0123456789abcdef0", Type="String")
    cloud.ec2.create_launch_template(
        LaunchTemplateName="training-base", LaunchTemplateData={"KeyName": "x"}
    )
    reservation = reserve(cloud)
    near = f"{reservation[:-1]}{'0' if reservation[-1] != '0' else '1'}"
    for field, text, meant in (
        ("instance_profile", "node-profil", "node-profile"),
        ("image", "ssm:/ml/images/bse", "ssm:/ml/images/base"),
        ("launch_template", "trainingbase", "training-base"),
        ("capacity", near, reservation),
    ):
        error = raised(lambda field=field, text=text: cloud.plan(**{field: text}))  # type: ignore[misc]
        assert error.cure == f"did you mean {meant}?"
        assert error.context["field"] == field


def test_what_a_launch_would_meet_is_refused_in_the_plan(cloud: Cloud) -> None:
    error = raised(lambda: cloud.plan(key_name="nope"))
    check(error, "plan.resource_not_found", field="key_name", value="nope")
    assert error.cure

    image = ec2_backends["123456789012"]["us-east-1"].amis[cloud.network.image_for(SMALL)]
    before = (image.state, image.platform)
    for state, platform, says in (
        ("pending", None, "pending"),
        ("available", "windows", "Windows"),
    ):
        image.state, image.platform = state, platform
        error = raised(lambda: cloud.plan(image=image.id))
        check(error, "plan.conflict", field="image", value=image.id)
        assert says in str(error)
    image.state, image.platform = before

    rhel = reserve(cloud, InstancePlatform="Red Hat Enterprise Linux")
    error = raised(lambda: cloud.plan(capacity=rhel))
    check(error, "plan.conflict", field="image", limit="Red Hat Enterprise Linux")
    assert cloud.changes() == ["CreateCapacityReservation"]


def test_a_vpc_with_dedicated_tenancy(cloud: Cloud) -> None:
    vpc = cloud.ec2.create_vpc(CidrBlock="10.9.0.0/16", InstanceTenancy="dedicated")["Vpc"]["VpcId"]
    small, graviton = (
        cloud.ec2.create_subnet(
            VpcId=vpc,
            CidrBlock=cidr,
            AvailabilityZone=zone_of(cloud, cloud.network.subnet_for(name)),
        )["Subnet"]["SubnetId"]
        for name, cidr in ((SMALL, "10.9.0.0/20"), ("c7g.16xlarge", "10.9.16.0/20"))
    )
    plan = cloud.plan(subnet=small)
    assert any("Dedicated Instances" in warning for warning in plan.warnings)
    error = raised(lambda: cloud.plan("c7g.16xlarge", subnet=graviton))
    check(error, "plan.conflict", field="instance_type", value="c7g.16xlarge")
    assert vpc in str(error)


def test_nodes_that_install_something_need_a_way_out(cloud: Cloud) -> None:
    wanted: dict[str, Any] = {
        "instance_type": P5,
        "bootstrap": efa.Bootstrap(),
        "instance_profile": efa.InstanceRole(),
    }
    assert cloud.client.preflight(cloud.plan(**wanted)).is_ready

    def way_out() -> tuple[efa.Check, str]:
        plan = cloud.plan(**wanted)
        report = cloud.client.preflight(plan)
        (found,) = (one for one in report.checks if one.name == "way_out")
        assert report.is_ready == (found.status == "passed")
        return found, " ".join(plan.warnings)

    vpc = [{"Name": "vpc-id", "Values": [cloud.network.vpc_id]}]
    (table,) = cloud.ec2.describe_route_tables(Filters=vpc)["RouteTables"]
    route = {"RouteTableId": table["RouteTableId"], "DestinationCidrBlock": "0.0.0.0/0"}
    cloud.ec2.delete_route(**route)
    found, warned = way_out()
    assert found.status == "failed"
    assert "no route to 0.0.0.0/0" in found.detail
    assert "no route to 0.0.0.0/0" in warned

    gateway = cloud.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    cloud.ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=cloud.network.vpc_id)
    cloud.ec2.create_route(**route, GatewayId=gateway)
    found, warned = way_out()
    assert "several interfaces" in found.detail
    assert "several interfaces" in warned
    wanted["public_ip"] = "elastic-ip"
    assert way_out()[0].status == "passed"
    cloud.stand_in.fail("DescribeRouteTables", "UnauthorizedOperation", status=403, times=2)
    found, warned = way_out()
    assert found.status == "unknown"
    assert "could not be read" in warned


def test_quotas_of_interfaces_and_storage(cloud: Cloud) -> None:
    for values, name, says in (
        ({"instance_type": P5, "count": 160}, "interface_quota", "5280 network interfaces"),
        ({"count": 300, "volume_size_gib": 200}, "volume_quota", "58.6 TiB"),
    ):
        report = cloud.client.preflight(cloud.plan(**values))
        (failed,) = (one for one in report.checks if one.status == "failed")
        assert (failed.name, report.is_ready) == (name, False)
        assert says in failed.detail
        assert "Service Quotas" in (failed.cure or "")
    cloud.stand_in.set_quota("L-DF5E4CA3", 6000)
    assert cloud.client.preflight(cloud.plan(P5, count=160)).is_ready


def test_groups_and_reservations_of_another_account(cloud: Cloud) -> None:
    cloud.ec2.create_placement_group(GroupName="theirs", Strategy="cluster")
    (group,) = cloud.ec2.describe_placement_groups(GroupNames=["theirs"])["PlacementGroups"]
    theirs = reserve(cloud, PlacementGroupArn=group["GroupArn"].replace("123456789012", OTHER))
    mine = reserve(cloud)
    cloud.ec2.create_placement_group(GroupName="mine", Strategy="cluster")
    cloud.stand_in.share(group["GroupId"], OTHER)

    # The reservation places its instances: the launch names no group.
    plan = cloud.plan(capacity=theirs)
    assert plan.placement_group_name is None
    cloud.client.apply(plan)
    assert "Placement.GroupName" not in cloud.sent("RunInstances")[-1]
    cloud.client.destroy("train")

    # By its id, since its name means nothing in this account.
    error = raised(lambda: cloud.plan(placement_group_name="theirs"))
    check(error, "plan.resource_not_found", field="placement_group_name")
    plan = cloud.plan(placement_group_name=group["GroupId"])
    assert plan.placement_group_name == "theirs"
    cloud.client.apply(plan)
    sent = cloud.sent("RunInstances")[-1]
    assert (sent["Placement.GroupId"], "Placement.GroupName" in sent) == (group["GroupId"], False)
    assert cloud.client.verify("train").is_as_planned
    cloud.client.destroy("train")

    # Legal, with a warning.
    plan = cloud.plan(capacity=mine, placement_group_name="mine")
    assert any("was not made in placement group mine" in one for one in plan.warnings)
    assert len(cloud.client.apply(plan)) == 2
