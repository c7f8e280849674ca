"""How many calls each verb makes and how much it reads: few calls, and each instance few times."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import efa_sdk as efa
import pytest
from support import P5, SMALL, Cloud

#: One worker, since they fill one table.
pytestmark = pytest.mark.xdist_group("call counts")

#: What one listing holds at most, of what the library asks for.
PAGE = 1000

#: What one DescribeInstanceStatus by id holds at most.
STATUS_BATCH = 100

VERBS = ["plan", "apply", "describe", "verify", "destroy"]

PLAN = Counter(
    [
        "DescribeInstanceTypes",
        "DescribeInstanceTypeOfferings",
        "DescribeSubnets",
        "DescribeVpcs",
        "DescribeImages",
        "DescribeSecurityGroups",
        "DescribePlacementGroups",
    ]
)
LOOK = Counter(["DescribeInstances", "DescribeSecurityGroups", "DescribePlacementGroups"])

#: Calls of each verb by number of instances, for the table.
ROWS: dict[str, dict[str, Counter[str]]] = {}
#: Bytes of the answers that each verb got, by number of instances.
READ: dict[str, dict[str, int]] = {}


@pytest.fixture
def count(
    cloud: Cloud, print_at_end: Callable[[str, str], None]
) -> Iterator[Callable[[str, str, Callable[[], object]], Counter[str]]]:
    """Counts the calls of a verb for a row of the table."""
    cloud.stand_in.transition_describes = 0

    def count(row: str, verb: str, call: Callable[[], object]) -> Counter[str]:
        since = len(cloud.stand_in.requests)
        call()
        calls = ROWS.setdefault(row, {})[verb] = Counter(cloud.actions(since))
        read = sum(request.answer_bytes for request in cloud.stand_in.requests[since:])
        READ.setdefault(row, {})[verb] = read
        return calls

    yield count
    print_at_end("calls to EC2", table())


def table() -> str:
    """The numbers of calls, and of kilobytes in their answers."""
    lines = [f"{'instances':24}" + "".join(f"{verb:>10}" for verb in VERBS)]
    for row, verbs in ROWS.items():
        totals = [verbs[verb].total() if verb in verbs else "" for verb in VERBS]
        lines.append(f"{row:24}" + "".join(f"{total:>10}" for total in totals))
        kilobytes = [f"{READ[row][verb] / 1000:.0f} kB" if verb in verbs else "" for verb in VERBS]
        lines.append(f"{'':24}" + "".join(f"{read:>10}" for read in kilobytes))
    return "\n".join(lines)


Count = Callable[[str, str, Callable[[], object]], Counter[str]]


@pytest.mark.parametrize("instances", [1, 16, PAGE])
def test_calls_do_not_grow_with_the_cluster(cloud: Cloud, count: Count, instances: int) -> None:
    client, row = cloud.client, f"{instances:,}"
    plans: list[efa.Plan] = []
    assert count(row, "plan", lambda: plans.append(cloud.plan(count=instances))) == PLAN
    applied = count(row, "apply", lambda: client.apply(plans[0]))
    assert applied["RunInstances"] == 1
    assert applied["DescribeInstanceStatus"] == -(-instances // STATUS_BATCH)
    assert applied.total() - applied["DescribeInstanceStatus"] <= 14
    assert len(cloud.instances()) == instances
    assert count(row, "describe", lambda: client.describe("train")) == LOOK
    assert count(row, "verify", lambda: client.verify("train")) == LOOK
    destroyed = count(row, "destroy", lambda: client.destroy("train"))
    assert destroyed["TerminateInstances"] == 1
    assert destroyed["DescribeInstanceStatus"] == -(-instances // STATUS_BATCH)
    assert destroyed.total() - destroyed["DescribeInstanceStatus"] <= 9
    assert cloud.tagged() == set()
    if instances == PAGE:
        # What a launch answers, what started, and the cluster as a whole; states are small.
        read = {verb: count / READ[row]["describe"] for verb, count in READ[row].items()}
        assert (read["verify"], read["apply"] < 3.2, read["destroy"] < 1.7) == (1, True, True), read
        needs_a_second_page(cloud, count, plans[0])


def needs_a_second_page(cloud: Cloud, count: Count, plan: efa.Plan) -> None:
    """Terminated instances are listed for an hour: here a page of them, of the cluster before."""
    row = "1,000 after 1,000"
    applied = count(row, "apply", lambda: cloud.client.apply(plan))
    assert applied["RunInstances"] == 1
    since = len(cloud.sent("DescribeInstances"))
    look = LOOK + Counter({"DescribeInstances": 1})
    assert count(row, "describe", lambda: cloud.client.describe("train")) == look
    assert count(row, "verify", lambda: cloud.client.verify("train")) == look
    sent = cloud.sent("DescribeInstances")[since:]
    assert [r["MaxResults"] for r in sent] == [str(PAGE)] * len(sent)
    assert ["NextToken" in r for r in sent] == [False, True] * 2
    destroyed = count(row, "destroy", lambda: cloud.client.destroy("train"))
    assert destroyed.total() - destroyed["DescribeInstanceStatus"] <= 11


def test_elastic_ips_cost_two_calls_each(cloud: Cloud, count: Count) -> None:
    calls = {}
    for instances in (1, 16):
        name = f"train-{instances}"
        plan = cloud.plan(count=instances, name=name, public_ip="elastic-ip")
        row = f"{instances} with Elastic IPs"
        calls[instances] = count(row, "apply", lambda plan=plan: cloud.client.apply(plan))  # type: ignore[misc]
        count(row, "describe", lambda name=name: cloud.client.describe(name))  # type: ignore[misc]
    grown = calls[16] - calls[1]
    assert grown == Counter({"AllocateAddress": 15, "AssociateAddress": 15})


def test_waiting_reads_states_only(cloud: Cloud) -> None:
    """The bytes of a poll do not grow with the interfaces, and only polls grow with the wait."""
    sizes = {}
    for instance_type in (SMALL, P5):
        applied, destroyed = {}, {}
        for looks in (1, 7):
            name = f"train-{looks}"
            plan = cloud.plan(instance_type, name=name, count=1)
            cloud.stand_in.transition_describes = looks
            since = len(cloud.stand_in.requests)
            cloud.client.apply(plan)
            applied[looks] = Counter(cloud.actions(since))
            since = len(cloud.stand_in.requests)
            cloud.client.destroy(name)
            destroyed[looks] = Counter(cloud.actions(since))
        for calls in (applied, destroyed):
            assert calls[7] - calls[1] == Counter({"DescribeInstanceStatus": 6}), calls
        cloud.stand_in.transition_describes = 5
        ids = [one["InstanceId"] for one in _launch(cloud, instance_type)]
        look = cloud.ec2.describe_instance_status(InstanceIds=ids, IncludeAllInstances=True)
        full = cloud.ec2.describe_instances(InstanceIds=ids)
        sizes[instance_type] = [_size(look), _size(full)]
    (small, small_full), (large, large_full) = sizes[SMALL], sizes[P5]
    assert large == small < 1000 < 20_000 < large_full
    assert small < small_full


def _launch(cloud: Cloud, instance_type: str) -> list[dict[str, Any]]:
    """One instance with the interfaces of a plan."""
    layout = efa.Catalog.bundled()[instance_type].layout()
    interfaces = [
        {
            "NetworkCardIndex": one.network_card_index,
            "DeviceIndex": one.device_index,
            "InterfaceType": one.interface_type,
            "SubnetId": cloud.network.subnet_for(instance_type),
        }
        for one in layout.interfaces
    ]
    launched: list[dict[str, Any]] = cloud.ec2.run_instances(
        ImageId=cloud.network.image_for(instance_type),
        InstanceType=instance_type,
        MinCount=1,
        MaxCount=1,
        NetworkInterfaces=interfaces,
    )["Instances"]
    return launched


def _size(answer: dict[str, Any]) -> int:
    return int(answer["ResponseMetadata"]["HTTPHeaders"]["content-length"])
