"""Cases of what is there already: instances, groups, subnets, reservations."""

from __future__ import annotations

from rule_cases.scene import P5, PLAIN, Scene, case, group

# Resources

NOBODY = "i-0123456789abcdef0"
case("instance.unknown")(lambda s: s.ec2.describe_instances(InstanceIds=[NOBODY]))
case("instance.unknown_several")(
    lambda s: s.ec2.describe_instances(InstanceIds=[NOBODY, "i-0123456789abcdef1"])
)
case("instance.malformed")(lambda s: s.ec2.describe_instances(InstanceIds=["i-nobody"]))
case("instance.protected")(
    lambda s: s.ec2.terminate_instances(InstanceIds=[s.one(DisableApiTermination=True)])
)


@case("instance.wrong_state")
def _(s: Scene) -> None:
    made = s.one()
    s.ec2.terminate_instances(InstanceIds=[made])
    s.ec2.start_instances(InstanceIds=[made])


case("placement_group.duplicate")(lambda s: (group(s), group(s)))
case("placement_group.unknown")(lambda s: s.ec2.delete_placement_group(GroupName="nobody"))


@case("placement_group.in_use")
def _(s: Scene) -> None:
    group(s)
    s.run("c5n.18xlarge", Placement={"GroupName": "g"})
    s.ec2.delete_placement_group(GroupName="g")


case("placement_group.strategy")(lambda s: group(s, strategy="huddle"))
case("placement_group.partitions")(
    lambda s: s.ec2.create_placement_group(GroupName="g", Strategy="cluster", PartitionCount=2)
)
case("placement_group.limit")(lambda s: [group(s, f"g{i}") for i in range(501)])


@case("security_group.duplicate_rule")
def _(s: Scene) -> None:
    own = [{"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": s.group}]}]
    s.ec2.authorize_security_group_ingress(GroupId=s.group, IpPermissions=own)
    s.ec2.authorize_security_group_ingress(GroupId=s.group, IpPermissions=own)


@case("security_group.in_use")
def _(s: Scene) -> None:
    s.run(SecurityGroupIds=[s.group])
    s.ec2.delete_security_group(GroupId=s.group)


case("security_group.unknown")(
    lambda s: s.ec2.delete_security_group(GroupId="sg-0123456789abcdef0")
)


@case("subnet.in_use")
def _(s: Scene) -> None:
    s.eni()
    s.ec2.delete_subnet(SubnetId=s.net.subnet_for(PLAIN))


case("reservation.unknown")(
    lambda s: s.ec2.cancel_capacity_reservation(CapacityReservationId="cr-0123456789abcdef0")
)


@case("reservation.not_active")
def _(s: Scene) -> None:
    made = s.reserve()
    for _ in range(2):
        s.ec2.cancel_capacity_reservation(CapacityReservationId=made)


case("reservation.value")(lambda s: s.reserve(InstanceCount=0))
case("offering.duration")(
    lambda s: s.ec2.describe_capacity_block_offerings(InstanceType=P5, CapacityDurationHours=30)
)
case("offering.unknown")(
    lambda s: s.ec2.purchase_capacity_block(
        CapacityBlockOfferingId="cbo-0123456789abcdef0", InstancePlatform="Linux/UNIX"
    )
)
case("status.too_many")(
    lambda s: s.ec2.describe_instance_status(InstanceIds=[f"i-{i:017x}" for i in range(101)])
)
case("spot.unknown_request")(
    lambda s: s.ec2.describe_spot_instance_requests(SpotInstanceRequestIds=["sir-01234567"])
)
case("topology.too_many")(
    lambda s: s.ec2.describe_instance_topology(InstanceIds=[f"i-{i:017x}" for i in range(101)])
)
case("types.unknown")(lambda s: s.ec2.describe_instance_types(InstanceTypes=["p99.huge"]))
