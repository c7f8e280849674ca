"""Where instances come from: markets, reservations, Capacity Blocks, and the next zone."""

from __future__ import annotations

import datetime as dt
from typing import Any

import efa_sdk as efa
import pytest
from support import P5, SMALL, Cloud, check, raised, tags_of

P4D = "p4d.24xlarge"
ZONE = "us-east-1c"
TARGET = "CapacityReservationSpecification.CapacityReservationTarget.CapacityReservationId"
MARKET = "InstanceMarketOptions.MarketType"
NO_ROOM = "InsufficientInstanceCapacity"


def reserve(cloud: Cloud, instance_type: str = SMALL, count: int = 2, **more: Any) -> str:
    """A capacity reservation in `ZONE`."""
    answer = cloud.ec2.create_capacity_reservation(
        InstanceType=instance_type,
        InstancePlatform="Linux/UNIX",
        AvailabilityZone=ZONE,
        InstanceCount=count,
        **{"InstanceMatchCriteria": "targeted", **more},
    )
    return str(answer["CapacityReservation"]["CapacityReservationId"])


def free(cloud: Cloud, reservation_id: str) -> int:
    answer = cloud.ec2.describe_capacity_reservations(CapacityReservationIds=[reservation_id])
    return int(answer["CapacityReservations"][0]["AvailableInstanceCount"])


def reserved_for(cloud: Cloud) -> list[str | None]:
    return [i.get("CapacityReservationId") for i in cloud.instances()]


def anywhere(cloud: Cloud) -> dict[str, Any]:
    return {"subnet": None, "vpc": cloud.network.vpc_id}


def launch(cloud: Cloud) -> dict[str, str]:
    """The parameters of the only RunInstances."""
    (sent,) = cloud.sent("RunInstances")
    return sent


def is_gone(cloud: Cloud, name: str = "train") -> bool:
    cloud.client.destroy(name)
    return cloud.tagged(name) == set() and cloud.instances() == []


# Spot


def test_spot(cloud: Cloud) -> None:
    plan = cloud.plan(capacity="spot")
    assert any("take spot instances back" in warning for warning in plan.warnings)
    cloud.client.apply(plan)
    sent = launch(cloud)
    assert sent[MARKET] == "spot"
    assert sent["Placement.GroupName"] == "efa-sdk-train"
    assert not any("Price" in key for key in sent), "at most the on-demand price"
    for instance in cloud.instances():
        assert instance["InstanceLifecycle"] == "spot"
        assert tags_of(instance)["efa-sdk:capacity"] == "spot"
    assert {i.lifecycle for i in cloud.client.describe("train").instances} == {"spot"}
    for what in ("train", plan):
        assert cloud.client.verify(what).is_as_planned
    findings = cloud.client.verify(cloud.plan()).findings
    assert [(f.check, f.expected, f.actual) for f in findings] == [
        ("capacity", "on-demand", "spot")
    ] * 2
    assert is_gone(cloud)


def test_a_type_that_is_not_sold_as_spot(cloud: Cloud) -> None:
    error = raised(lambda: cloud.plan("hpc7g.16xlarge", capacity="spot"))
    check(error, "plan.conflict", field="capacity", value="spot")
    assert "hpc7g.16xlarge is not sold as spot" in error.message


def test_on_demand_says_nothing_of_markets(cloud: Cloud) -> None:
    cloud.apply()
    sent = launch(cloud)
    assert not any(key.startswith(("InstanceMarket", "CapacityRes")) for key in sent)


@pytest.mark.parametrize("text", ["", "Spot", "cr-", "cr-*", "reserved"])
def test_what_is_no_capacity(cloud: Cloud, text: str) -> None:
    error = raised(lambda: cloud.spec(capacity=text))
    check(error, "plan.invalid_spec", field="capacity", value=text)


# Capacity reservations


@pytest.mark.parametrize("tenancy", ["default", "dedicated"])
def test_a_reservation_by_id(cloud: Cloud, tenancy: str) -> None:
    reservation = reserve(cloud, Tenancy=tenancy)
    plan = cloud.plan(capacity=reservation, **anywhere(cloud))
    assert plan.subnet_ids == [cloud.network.subnets[ZONE]]
    rejected = dict(plan.rejected_subnets)
    assert set(rejected) == set(cloud.network.subnets.values()) - set(plan.subnet_ids)
    assert all(f"the reservation in {ZONE}" in reason for reason in rejected.values())
    assert plan.placement_group_name is None, "a new group never fits what was reserved without"
    begin, end = plan.reserved_from_to or ("", "")
    assert begin
    assert end is None
    cloud.client.apply(plan)
    sent = launch(cloud)
    assert sent[TARGET] == reservation
    assert MARKET not in sent
    assert "Placement.GroupName" not in sent
    assert sent.get("Placement.Tenancy", "default") == tenancy
    assert reserved_for(cloud) == [reservation] * 2
    assert {i["Placement"]["Tenancy"] for i in cloud.instances()} == {tenancy}
    assert {i["Placement"]["AvailabilityZone"] for i in cloud.instances()} == {ZONE}
    assert free(cloud, reservation) == 0
    for what in ("train", plan):
        assert cloud.client.verify(what).is_as_planned
    assert is_gone(cloud)
    assert free(cloud, reservation) == 2, "the reservation belongs to its owner"


def test_a_reservation_that_was_made_in_a_placement_group(cloud: Cloud) -> None:
    group = cloud.ec2.create_placement_group(GroupName="theirs", Strategy="cluster")
    arn = group["PlacementGroup"]["GroupArn"]
    reservation = reserve(cloud, PlacementGroupArn=arn)
    plan = cloud.plan(capacity=reservation, **anywhere(cloud))
    assert plan.placement_group_name == "theirs"
    cloud.client.apply(plan)
    assert {i["Placement"]["GroupName"] for i in cloud.instances()} == {"theirs"}
    assert reserved_for(cloud) == [reservation] * 2
    assert "CreatePlacementGroup" not in cloud.changes()[2:]
    assert cloud.client.verify("train").is_as_planned
    assert is_gone(cloud)
    assert set(cloud.state()["placement-group"]) == {"theirs"}


@pytest.mark.parametrize(
    ("choice", "made_in", "field"),
    [
        ({"placement_group_name": "other"}, "theirs", "placement_group_name"),
        ({"placement": "none"}, "theirs", "placement"),
    ],
)
def test_a_placement_that_the_reservation_does_not_have(
    cloud: Cloud, choice: dict[str, str], made_in: str, field: str
) -> None:
    groups = {
        name: cloud.ec2.create_placement_group(GroupName=name, Strategy="cluster")
        for name in ("theirs", "other")
    }
    where = groups[made_in]["PlacementGroup"]["GroupArn"]
    reservation = reserve(cloud, PlacementGroupArn=where)
    error = raised(lambda: cloud.plan(capacity=reservation, **anywhere(cloud), **choice))
    check(error, "plan.conflict", field=field)


def test_reservations_that_cannot_serve(cloud: Cloud) -> None:
    def refused(capacity: str, **more: Any) -> str:
        where = {**anywhere(cloud), **more}
        error = raised(lambda: cloud.plan(capacity=capacity, **where))
        check(error, "plan.conflict")
        return error.message

    assert "does not exist" in refused("cr-0123456789abcdef0")
    assert "room for 1 of 1" in refused(reserve(cloud, count=1))
    cancelled = reserve(cloud)
    cloud.ec2.cancel_capacity_reservation(CapacityReservationId=cancelled)
    assert "is cancelled" in refused(cancelled)
    elsewhere = refused(reserve(cloud), subnet=cloud.network.subnets["us-east-1a"])
    assert f"is in us-east-1a, the reservation in {ZONE}" in elsewhere


def test_a_reservation_for_another_type(cloud: Cloud) -> None:
    reservation = reserve(cloud, instance_type=P5)
    error = raised(lambda: cloud.plan(capacity=reservation, **anywhere(cloud)))
    check(error, "plan.conflict", field="capacity", value=reservation)
    assert f"is for {P5}" in error.message


def test_open_matches_a_reservation_outside_of_groups(cloud: Cloud) -> None:
    reservation = reserve(cloud, InstanceMatchCriteria="open")
    plan = cloud.plan(capacity="open", subnet=cloud.network.subnets[ZONE])
    assert plan.placement_group_name is None
    cloud.client.apply(plan)
    sent = launch(cloud)
    assert not {TARGET, MARKET, "Placement.GroupName"} & set(sent)
    assert reserved_for(cloud) == [reservation] * 2
    assert cloud.client.verify("train").is_as_planned
    assert is_gone(cloud)


# Capacity Blocks


def add_block(cloud: Cloud, count: int = 2, **more: float) -> str:
    return cloud.stand_in.add_capacity_block(P4D, ZONE, count, **more)


def moment(text: str | None) -> dt.datetime:
    assert text
    return dt.datetime.fromisoformat(text.replace("Z", "+00:00"))


def test_a_capacity_block(cloud: Cloud) -> None:
    block = add_block(cloud, hours=48)
    plan = cloud.plan(P4D, capacity=block, **anywhere(cloud))
    assert plan.subnet_ids == [cloud.network.subnets[ZONE]]
    assert plan.placement_group_name is None
    assert not any(block in warning for warning in plan.warnings)
    begin, end = plan.reserved_from_to or (None, None)
    assert moment(end) - moment(begin) == dt.timedelta(hours=48)
    (seen,) = cloud.ec2.describe_capacity_reservations()["CapacityReservations"]
    assert abs(moment(end) - seen["EndDate"]) < dt.timedelta(seconds=1)
    cloud.client.apply(plan)
    sent = launch(cloud)
    assert (sent[MARKET], sent[TARGET]) == ("capacity-block", block)
    assert "Placement.GroupName" not in sent
    assert {i["InstanceLifecycle"] for i in cloud.instances()} == {"capacity-block"}
    assert reserved_for(cloud) == [block] * 2
    assert cloud.made() & {("placement-group", "efa-sdk-train")} == set()
    for what in ("train", plan):
        assert cloud.client.verify(what).is_as_planned
    assert is_gone(cloud)


def test_a_capacity_block_that_has_not_begun(cloud: Cloud) -> None:
    block = add_block(cloud, starts_in=3600)
    plan = cloud.plan(P4D, capacity=block, **anywhere(cloud))
    (warning,) = [w for w in plan.warnings if block in w]
    begin, _ = plan.reserved_from_to or (None, None)
    assert begin
    assert "scheduled" in warning
    assert begin in warning
    error = raised(lambda: cloud.client.apply(plan))
    assert "is not active yet" in error.message, "EC2's words"
    assert error.ec2_code == "InvalidParameterValue"
    assert set(error.leftovers) == cloud.made()
    assert is_gone(cloud)
    cloud.stand_in.advance(3700)
    assert len(cloud.client.apply(plan)) == 2, "the same plan, once it has begun"
    assert cloud.client.verify("train").is_as_planned


def test_a_capacity_block_that_is_over(cloud: Cloud) -> None:
    block = add_block(cloud, hours=24)
    cloud.stand_in.advance(25 * 3600)
    error = raised(lambda: cloud.plan(P4D, capacity=block, **anywhere(cloud)))
    check(error, "plan.conflict", field="capacity", value=block)


def test_a_full_capacity_block(cloud: Cloud) -> None:
    block = add_block(cloud, 3)
    first, second = (
        cloud.plan(P4D, name=name, capacity=block, **anywhere(cloud)) for name in ("one", "two")
    )
    cloud.client.apply(first)
    error = raised(lambda: cloud.plan(P4D, name="two", capacity=block, **anywhere(cloud)))
    check(error, "plan.conflict", field="capacity", value=block, limit="1")
    assert "room for 1 of 3" in error.message
    error = raised(lambda: cloud.client.apply(second))
    check(error, "provision.no_capacity", ec2_code="ReservationCapacityExceeded")
    assert len(cloud.sent("RunInstances")) == 2, "one each"
    cloud.client.destroy("two")
    assert cloud.tagged("two") == set()
    assert len(cloud.instances()) == 2


def test_a_capacity_block_places_its_instances_itself(cloud: Cloud) -> None:
    block = add_block(cloud)
    error = raised(
        lambda: cloud.plan(P4D, capacity=block, placement_group_name="any", **anywhere(cloud))
    )
    check(error, "plan.conflict", field="placement_group_name", value="any")


def test_offerings_of_capacity_blocks(cloud: Cloud) -> None:
    add = cloud.stand_in.add_capacity_block_offering
    late = add(P5, "us-east-1a", 2, hours=48, starts_in=9 * 3600.0, price="20.50")
    soon = add(P5, "us-east-1b", 2, hours=48, starts_in=3600.0, price="10.00")
    for other in ({"count": 4, "hours": 48}, {"count": 2, "hours": 24}):
        add(P5, "us-east-1a", **other)
    add(P4D, "us-east-1a", 2, hours=48)
    found = cloud.client.capacity_block_offerings(P5, 2, 48)
    assert [o.capacity_block_offering_id for o in found] == [soon, late], "earliest first"
    assert [o.availability_zone for o in found] == ["us-east-1b", "us-east-1a"]
    assert [(o.upfront_fee, o.currency_code) for o in found] == [("10.00", "USD"), ("20.50", "USD")]
    for offering in found:
        assert (offering.instance_type, offering.instance_count) == (P5, 2)
        assert offering.duration_hours == 48
        between = moment(offering.end_date) - moment(offering.start_date)
        assert between == dt.timedelta(hours=48)
        assert efa.CapacityBlockOffering.from_json(offering.to_json()) == offering
    assert cloud.client.capacity_block_offerings(P5, 3, 48) == []
    assert cloud.changes() == [], "nothing is bought"


@pytest.mark.parametrize("hours", [25, 24 * 15])
def test_offerings_of_a_duration_that_is_not_sold(cloud: Cloud, hours: int) -> None:
    error = raised(lambda: cloud.client.capacity_block_offerings(P5, 2, hours))
    assert isinstance(error, efa.errors.Ec2Error | efa.errors.PlanError)
    assert str(hours) in str(error)


# The next zone


def in_zones(cloud: Cloud, letters: str) -> list[str]:
    return [cloud.network.subnets[f"us-east-1{letter}"] for letter in letters]


def subnets_sent(cloud: Cloud) -> list[str]:
    return [sent["NetworkInterface.1.SubnetId"] for sent in cloud.sent("RunInstances")]


def test_a_full_zone_sends_the_cluster_to_the_next(cloud: Cloud) -> None:
    events: list[efa.Event] = []
    subnets = in_zones(cloud, "bda")
    plan = cloud.plan(subnet=subnets)
    for zone, room in (("us-east-1b", 0), ("us-east-1d", 1)):
        cloud.stand_in.set_capacity(SMALL, zone, room)
    cluster = cloud.connect(progress=events.append).apply(plan)
    assert subnets_sent(cloud) == subnets, "each zone once, in order"
    assert {i["SubnetId"] for i in cloud.instances()} == {subnets[2]}
    assert {i.availability_zone for i in cluster.instances} == {"us-east-1a"}
    assert {tags_of(i)["efa-sdk:subnet"] for i in cloud.instances()} == {subnets[2]}
    refusals = [(e.resource_type, e.id, e.detail) for e in events if e.action == "refused by"]
    assert refusals == [("subnet", subnet, NO_ROOM) for subnet in subnets[:2]]
    assert len(cloud.instances()) == 2, "all or nothing in each"
    for what in ("train", plan):
        assert cloud.client.verify(what).is_as_planned
    since = len(cloud.changes())
    assert cloud.client.apply(plan) == cluster
    assert cloud.changes()[since:] == []
    assert is_gone(cloud)


def test_all_zones_are_full(cloud: Cloud) -> None:
    subnets = in_zones(cloud, "ab")
    plan = cloud.plan(subnet=subnets)
    for zone in ("us-east-1a", "us-east-1b"):
        cloud.stand_in.set_capacity(SMALL, zone, 1)
    error = raised(lambda: cloud.client.apply(plan))
    assert isinstance(error, efa.errors.ProvisionError)
    tried = ", ".join(
        f"{subnet} in us-east-1{letter} ({NO_ROOM})"
        for subnet, letter in zip(subnets, "ab", strict=True)
    )
    elsewhere = "us-east-1c, us-east-1d, us-east-1f"
    check(error, "provision.no_capacity", tried=tried, zones_named_by_ec2=elsewhere)
    assert tried in error.message
    assert error.cure
    assert elsewhere in error.cure
    assert error.retryable
    assert error.ec2_code == NO_ROOM
    assert subnets_sent(cloud) == subnets
    assert cloud.instances() == []
    assert set(error.leftovers) == cloud.made()
    cloud.stand_in.set_capacity(SMALL, "us-east-1b", 2)
    assert len(cloud.client.apply(plan)) == 2, "apply again"
    assert {i["SubnetId"] for i in cloud.instances()} == {subnets[1]}
    assert is_gone(cloud)


def test_no_zone_of_the_region_has_room(cloud: Cloud) -> None:
    plan = cloud.plan(**anywhere(cloud))
    for zone in cloud.network.subnets:
        cloud.stand_in.set_capacity(SMALL, zone, 0)
    error = raised(lambda: cloud.client.apply(plan))
    check(error, "provision.no_capacity", zones_named_by_ec2="")
    assert len(subnets_sent(cloud)) == len(plan.subnet_ids) == 5
    assert is_gone(cloud)


@pytest.mark.parametrize(
    "code",
    ["InsufficientHostCapacity", "UnfulfillableCapacity", "SpotMaxPriceTooLow", "Unsupported"],
)
@pytest.mark.parametrize(
    "skip",
    [
        pytest.param(0, id="at the dry run"),
        pytest.param(1, id="at the launch"),
    ],
)
def test_other_words_for_no_room_here(cloud: Cloud, code: str, skip: int) -> None:
    subnets = in_zones(cloud, "ab")
    plan = cloud.plan(subnet=subnets)
    first = {"NetworkInterface.1.SubnetId": subnets[0]}
    cloud.stand_in.fail("RunInstances", code, where=first, skip=skip)
    cloud.client.apply(plan)
    assert {i["SubnetId"] for i in cloud.instances()} == {subnets[1]}
    assert cloud.client.verify("train").is_as_planned


@pytest.mark.parametrize(
    "code", ["VcpuLimitExceeded", "UnauthorizedOperation", "InvalidParameterValue", "OptInRequired"]
)
@pytest.mark.parametrize("skip", [0, 1], ids=["at the dry run", "at the launch"])
def test_what_no_other_zone_cures_ends_at_once(cloud: Cloud, code: str, skip: int) -> None:
    plan = cloud.plan(subnet=in_zones(cloud, "ab"))
    cloud.stand_in.fail("RunInstances", code, "as EC2 words it", times=None, skip=skip)
    error = raised(lambda: cloud.client.apply(plan))
    assert error.ec2_code == code
    assert error.code != "provision.no_capacity"
    assert subnets_sent(cloud) == plan.subnet_ids[:skip]
    assert cloud.instances() == []
    assert is_gone(cloud)


def test_a_quota_is_no_reason_to_look_elsewhere(cloud: Cloud) -> None:
    plan = cloud.plan(subnet=in_zones(cloud, "ab"))
    cloud.stand_in.set_quota("L-1216C47A", 72)
    error = raised(lambda: cloud.client.apply(plan))
    assert error.ec2_code == "VcpuLimitExceeded"
    assert subnets_sent(cloud) == plan.subnet_ids[:1]
    assert is_gone(cloud)


# Fewer than asked for, and growing


def test_as_many_as_there_are(cloud: Cloud) -> None:
    plan = cloud.plan(count=4, minimum_count=2)
    cloud.stand_in.set_capacity(SMALL, plan.availability_zone, 3)
    cluster = cloud.client.apply(plan)
    sent = launch(cloud)
    assert (sent["MinCount"], sent["MaxCount"]) == ("2", "4")
    assert len(cluster) == len(cloud.instances()) == 3
    for what in ("train", plan):
        (finding,) = cloud.client.verify(what).findings
        assert (finding.check, finding.expected, finding.actual) == ("count", "4", "3")
        assert finding.cure
    since = len(cloud.changes())
    assert cloud.client.apply(plan) == cluster
    assert cloud.changes()[since:] == [], "apply again is quiet"
    assert is_gone(cloud)


def test_too_few_for_the_minimum_go_to_the_next_zone(cloud: Cloud) -> None:
    subnets = in_zones(cloud, "ab")
    plan = cloud.plan(subnet=subnets, count=4, minimum_count=2)
    cloud.stand_in.set_capacity(SMALL, "us-east-1a", 1)
    cloud.stand_in.set_capacity(SMALL, "us-east-1b", 2)
    cloud.client.apply(plan)
    assert [i["SubnetId"] for i in cloud.instances()] == [subnets[1]] * 2
    assert is_gone(cloud)


@pytest.mark.parametrize(
    "minimum",
    [
        0,
        3,
        -1,
    ],
)
def test_a_minimum_that_is_none(cloud: Cloud, minimum: int) -> None:
    error = raised(lambda: cloud.spec(count=2, minimum_count=minimum))
    check(error, "plan.invalid_spec", field="minimum_count", value=str(minimum))


def test_growing_launches_the_missing_ones_where_the_others_are(cloud: Cloud) -> None:
    subnets = in_zones(cloud, "ab")
    cloud.stand_in.set_capacity(SMALL, "us-east-1a", 0)
    cloud.apply(subnet=subnets)
    first = [i["InstanceId"] for i in cloud.instances()]
    cloud.stand_in.set_capacity(SMALL, "us-east-1a", None)
    plan = cloud.plan(subnet=subnets, count=3)
    error = raised(lambda: cloud.client.apply(plan))
    check(error, "provision.cluster_differs", value="2", limit="3")
    assert error.cure
    assert "grow" in error.cure
    since = len(cloud.changes())
    cluster = cloud.client.grow(plan)
    assert cloud.changes()[since:] == ["RunInstances"]
    sent = cloud.sent("RunInstances")[-1]
    assert (sent["MinCount"], sent["MaxCount"]) == ("1", "1")
    assert len(cluster) == 3
    assert set(first) < {i["InstanceId"] for i in cloud.instances()}
    assert {i["SubnetId"] for i in cloud.instances()} == {subnets[1]}
    for what in ("train", plan):
        assert cloud.client.verify(what).is_as_planned
    since = len(cloud.changes())
    assert cloud.client.grow(plan) == cloud.client.apply(plan) == cluster
    assert cloud.changes()[since:] == [], "grown already"
    assert is_gone(cloud)


def test_growing_stays_where_the_others_are_although_another_zone_has_room(cloud: Cloud) -> None:
    subnets = in_zones(cloud, "ab")
    before = cloud.apply(subnet=subnets)
    cloud.stand_in.set_capacity(SMALL, "us-east-1a", 2)
    error = raised(lambda: cloud.client.grow(cloud.plan(subnet=subnets, count=3)))
    check(error, "provision.no_capacity")
    assert subnets_sent(cloud) == [subnets[0]] * 2
    assert cloud.client.describe("train") == before
    assert cloud.client.verify("train").is_as_planned, "still the cluster of two"


def test_only_the_count_may_grow(cloud: Cloud) -> None:
    cloud.apply()
    for plan in (cloud.plan(count=3, tags={"team": "ml"}), cloud.plan(count=1)):
        since = len(cloud.changes())
        check(raised(lambda p=plan: cloud.client.grow(p)), "provision.cluster_differs")
        assert cloud.changes()[since:] == []


def test_growing_a_cluster_that_came_up_with_fewer(cloud: Cloud) -> None:
    plan = cloud.plan(count=4, minimum_count=2)
    cloud.stand_in.set_capacity(SMALL, plan.availability_zone, 3)
    assert len(cloud.client.apply(plan)) == 3
    cloud.stand_in.set_capacity(SMALL, plan.availability_zone, None)
    assert len(cloud.client.grow(plan)) == 4
    assert cloud.client.verify("train").is_as_planned


# Several reservations, and groups of them


def test_each_of_several_blocks_has_its_launch(cloud: Cloud) -> None:
    one, two = (cloud.stand_in.add_capacity_block(P5, ZONE, count) for count in (2, 1))
    capacity = f"{one}:2,{two}:1"
    plan = cloud.plan(P5, count=3, capacity=capacity, **anywhere(cloud))
    assert plan.spec.capacity == capacity
    assert str(plan).count("capacity-block, active") == 2
    cloud.client.apply(plan)
    assert cloud.client.verify("train").is_as_planned
    assert [(s[TARGET], s[MARKET], s["MinCount"]) for s in cloud.sent("RunInstances")] == [
        (one, "capacity-block", "2"),
        (two, "capacity-block", "1"),
    ]
    (last,) = (i for i in cloud.instances() if i["CapacityReservationId"] == two)
    cloud.client.replace("train", nodes=[last["InstanceId"]])
    assert (free(cloud, one), free(cloud, two)) == (0, 0)
    assert is_gone(cloud)
    error = raised(lambda: cloud.plan(P5, count=4, capacity=capacity))
    check(error, "plan.invalid_spec", field="capacity")


def test_a_resource_group_is_never_left_for_on_demand(cloud: Cloud) -> None:
    ids = [reserve(cloud), reserve(cloud, count=1)]
    arn = cloud.stand_in.add_reservation_group("train", ids)
    plan = cloud.plan(count=3, capacity=arn, **anywhere(cloud))
    assert cloud.client.preflight(plan).is_ready
    cloud.client.apply(plan)
    sent = launch(cloud)
    specification = "CapacityReservationSpecification."
    assert {v for k, v in sent.items() if k.startswith(specification)} == {
        arn,
        "capacity-reservations-only",
    }
    assert sorted(reserved_for(cloud)) == sorted([ids[0], ids[0], ids[1]])
    assert cloud.client.verify("train").is_as_planned
    error = raised(lambda: cloud.plan(capacity=arn, **anywhere(cloud), name="other"))
    check(error, "plan.conflict", field="capacity")
