"""How many calls each verb makes: the same few for one instance and for a thousand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

import efa_sdk as efa
import pytest
from support import Cloud

#: One worker, since they fill one table.
pytestmark = pytest.mark.xdist_group("call counts")

#: What one listing holds at most, of what the library asks for.
PAGE = 1000

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
        return calls

    yield count
    print_at_end("calls to EC2", table())


def table() -> str:
    """The numbers of calls, and of those the listings of instances."""
    lines = [f"{'instances':24}" + "".join(f"{verb:>10}" for verb in VERBS)]
    for row, verbs in ROWS.items():
        totals = [verbs[verb].total() if verb in verbs else "" for verb in VERBS]
        lines.append(f"{row:24}" + "".join(f"{total:>10}" for total in totals))
    return "\n".join(lines)


Count = Callable[[str, str, Callable[[], object]], Counter[str]]


@pytest.mark.parametrize("instances", [1, 16, PAGE])
def test_calls_do_not_grow_with_the_cluster(cloud: Cloud, count: Count, instances: int) -> None:
    client, row = cloud.client, f"{instances:,}"
    plans: list[efa.Plan] = []
    assert count(row, "plan", lambda: plans.append(cloud.plan(count=instances))) == PLAN
    applied = count(row, "apply", lambda: client.apply(plans[0]))
    assert applied["RunInstances"] == 1
    assert applied.total() <= 14
    assert len(cloud.instances()) == instances
    assert count(row, "describe", lambda: client.describe("train")) == LOOK
    assert count(row, "verify", lambda: client.verify("train")) == LOOK
    destroyed = count(row, "destroy", lambda: client.destroy("train"))
    assert destroyed["TerminateInstances"] == 1
    assert destroyed.total() <= 9
    assert cloud.tagged() == set()
    if instances == PAGE:
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
    assert count(row, "destroy", lambda: cloud.client.destroy("train")).total() <= 11


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
