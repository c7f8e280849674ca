"""Calls of `apply` and `destroy` disturbed in every way: what is healed, and what is reported.

Proof by exhaustion, over real HTTP and with the SDK's own retries: see `fault_proxy`. After each
disturbance another client finishes the job; the end state is that of an undisturbed run, nothing
is left after `destroy`, and nothing of another owner has changed.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, get_args

import efa_sdk as efa
import pytest
from efa_sdk.testing import StandIn
from fault_proxy import Fault, FaultProxy, Kind, Request
from support import DEADLINE_S, MUTATING, SMALL, Cloud

OPERATIONS = ["apply", "destroy"]
READING = ("Describe", "Get", "List")
KINDS: list[Kind] = list(get_args(Kind))

#: Outcomes by operation, number and label of the call, and fault.
Cells = dict[tuple[str, ...], str]

#: What the library must get over by itself: the fault goes away within the run.
PASSING = ("throttle", "lost", "not-found", "stale")

#: How long a run waits at most for a state: decides only how soon a cell that hangs fails.
PATIENCE_S = 5.0


def full_spec(cloud: Cloud) -> efa.ClusterSpec:
    """A cluster with everything that `apply` can make."""
    return cloud.spec(
        SMALL,
        public_ip="elastic-ip",
        volume_size_gib=100,
        user_data="#!/bin/sh\ntrue\n",
        instance_profile=efa.InstanceRole(scripts_bucket="scripts"),
        tags={"team": "ml"},
    )


#: Cells that fail today, by operation, fault and call: why. Strict: one that passes must go.
KNOWN: dict[tuple[str, Kind, str], str] = {}

RUN = """
import sys
import efa_sdk as efa

verb, endpoint_url, region = sys.argv[1:]
client = efa.Client(region=region, endpoint_url=endpoint_url, poll_interval_s=0.01)
what = sys.stdin.read()
client.destroy(what) if verb == "destroy" else client.apply(efa.Plan.from_json(what))
"""


class Bench:
    """A stand-in behind the proxy, brought to the same state before every cell."""

    def __init__(self, stand_in: StandIn, proxy: FaultProxy) -> None:
        self.stand_in, self.proxy = stand_in, proxy
        self.cloud = self.fresh()
        self.plan = self.cloud.client.plan(full_spec(self.cloud))
        self.cloud.client.apply(self.plan)
        self.done = normal(self.cloud.state())

    def fresh(self) -> Cloud:
        """An EC2 with resources of others in it, and none of efa-sdk; the same ids always."""
        self.stand_in.reset()
        self.stand_in.transition_describes = 0
        self.cloud = Cloud(self.stand_in)
        resources_of_others(self.cloud)
        self.before = self.cloud.state()
        return self.cloud

    def record(self, operation: str) -> list[Request]:
        """The calls of an undisturbed run."""
        self.prepare(operation)
        self.proxy.begin()
        self.run(operation)
        return self.proxy.calls

    def prepare(self, operation: str) -> None:
        """What the operation finds."""
        self.fresh()
        if operation == "destroy":
            self.cloud.client.apply(self.plan)

    def run(self, operation: str) -> Any:
        """The operation, through the proxy."""
        client = self.cloud.connect(
            endpoint_url=self.proxy.endpoint_url, wait_timeout_s=PATIENCE_S, poll_interval_s=0.01
        )
        return client.apply(self.plan) if operation == "apply" else client.destroy("train")

    def run_and_kill(self, operation: str, kind: Kind, call: int) -> None:
        """The operation in a process that is killed in the middle of it."""
        process = subprocess.Popen(
            [sys.executable, "-c", RUN, operation, self.proxy.endpoint_url, self.plan.region],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.proxy.begin(Fault(kind, call, process.pid))
        what = self.plan.to_json() if operation == "apply" else "train"
        _, errors = process.communicate(what, timeout=DEADLINE_S)
        assert process.returncode == -signal.SIGKILL, errors

    def cell(self, operation: str, kind: Kind, call: int) -> str:
        """One call disturbed in one way, and all that must hold after it."""
        self.prepare(operation)
        wrong: BaseException | None = None
        if kind.startswith("kill"):
            outcome = "healed"
            self.run_and_kill(operation, kind, call)
        else:
            self.proxy.begin(Fault(kind, call))
            try:
                outcome = self.run_disturbed(operation, kind)
            except (AssertionError, pytest.fail.Exception) as failure:
                wrong = failure
        assert self.proxy.hits >= 1, "the fault did not strike"
        self.check_healed(operation)
        if wrong is not None:
            raise Dishonest(str(wrong).splitlines()[0])
        return outcome

    def run_disturbed(self, operation: str, kind: Kind) -> str:
        """The operation under a fault states what is true."""
        made = self.cloud.made() if operation == "destroy" else set()
        result: Any = None
        raised: efa.EfaError | None = None
        try:
            result = self.run(operation)
        except efa.EfaError as error:
            raised = error
        if raised is not None:
            assert kind not in PASSING, f"raised {raised}"
            check_error(raised, kind, self.proxy, operation, self.cloud.made())
            return "raised"
        if operation == "apply":
            assert [i.instance_id for i in result.instances] == ours(self.cloud)
            same(normal(self.cloud.state()), self.done, "what apply calls done is not")
            assert result == self.cloud.client.describe("train"), "not what is there"
        else:
            same(self.cloud.state(), self.before, "what destroy calls done is not")
            same(set(result.removed), made, "the report of destroy differs from what it removed")
        return "ok"

    def check_healed(self, operation: str) -> None:
        """Another client finishes the job, and destroy leaves what was there before."""
        client = self.cloud.connect(wait_timeout_s=PATIENCE_S, poll_interval_s=0.01)
        if operation == "apply":
            cluster = client.apply(self.plan)
            assert [i.instance_id for i in cluster.instances] == ours(self.cloud)
            same(normal(self.cloud.state()), self.done, "another apply did not heal it")
            assert client.verify(self.plan).findings == []
        client.destroy("train")
        same(self.cloud.state(), self.before, "destroy left something, or took too much")


class Dishonest(AssertionError):
    """The disturbed run did not do or state what it should; but another client healed it."""


def resources_of_others(cloud: Cloud) -> None:
    """Another cluster whose name starts like this one's, and things that nobody tagged."""
    ec2, subnet = cloud.ec2, cloud.network.subnet_for(SMALL)
    cluster = [{"Key": "efa-sdk:cluster", "Value": "train-2"}, {"Key": "Name", "Value": "train"}]

    def tagged(kind: str) -> list[dict[str, Any]]:
        return [{"ResourceType": kind, "Tags": cluster}]

    group = ec2.create_security_group(
        GroupName="efa-sdk-train-2",
        Description="d",
        VpcId=cloud.network.vpc_id,
        TagSpecifications=tagged("security-group"),
    )["GroupId"]
    ec2.create_placement_group(
        GroupName="efa-sdk-train-2",
        Strategy="cluster",
        TagSpecifications=tagged("placement-group"),
    )
    ec2.create_security_group(GroupName="train", Description="d", VpcId=cloud.network.vpc_id)
    ec2.create_placement_group(GroupName="train", Strategy="spread")
    ec2.allocate_address(Domain="vpc", TagSpecifications=tagged("elastic-ip"))
    ec2.allocate_address(Domain="vpc")
    ec2.create_network_interface(SubnetId=subnet, TagSpecifications=tagged("network-interface"))
    launch = {"ImageId": cloud.network.image_for(SMALL), "MinCount": 1, "MaxCount": 1}
    ec2.run_instances(
        **launch,
        ClientToken="theirs",
        InstanceType=SMALL,
        SubnetId=subnet,
        SecurityGroupIds=[group],
        Placement={"GroupName": "efa-sdk-train-2"},
        TagSpecifications=tagged("instance"),
    )
    ec2.run_instances(**launch, ClientToken="small", InstanceType="t3.micro", SubnetId=subnet)


# fmt: off
_ALIKE = [
    # What a second try gets anew: ids but for their kind, addresses but not ranges.
    (re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "uuid"),
    (re.compile(r"\bAROA[A-Z0-9]{17}\b"), "role id"),
    (re.compile(r'(?<=")[a-z0-9]{20}(?=")'), "profile id"),
    # Our ClientToken has a digest of the request in it, and so of the ids.
    (re.compile(r"\b(efa-sdk-[0-9a-f]{16})-[0-9a-f]{16}\b"), r"\1-…"),
    (re.compile(r"\b([a-z]+)-[0-9a-f]{8,17}\b"), r"\1-…"),
    (re.compile(r"\b(?:ip|ec2)-\d+-\d+-\d+-\d+\b"), "host"),
    (re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}\b(?!/)"), "address"),
    (re.compile(r"\b[0-9a-f]{2}(?::[0-9a-f]{2}){5}\b"), "mac"),
]
# fmt: on


def normal(state: dict[str, Any]) -> Counter[str]:
    """A state without what differs from run to run: ids, addresses, times."""
    found: Counter[str] = Counter()
    for kind, resources in state.items():
        for resource in resources.values():
            text = json.dumps(resource, sort_keys=True, default=lambda _: "time")
            for pattern, word in _ALIKE:
                text = pattern.sub(word, text)
            found[f"{kind} {in_order(json.loads(text))}"] += 1
    return found


def in_order(value: Any) -> str:
    """JSON in which lists are sets: EC2 promises no order."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k}: {in_order(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(sorted(in_order(v) for v in value)) + "]"
    return json.dumps(value)


def same(now: Any, then: Any, complaint: str) -> None:
    """Fails with what is there too much and what too little."""
    if now != then:
        more, fewer = words(now) - words(then), words(then) - words(now)
        pytest.fail(f"{complaint}: too much {dict(more)}, too little {dict(fewer)}")


def words(value: Any) -> Counter[str]:
    """The leaves of a state as text, so that a difference is short."""
    if isinstance(value, dict) and not isinstance(value, Counter):
        value = [f"{kind} {json.dumps(v, default=str)}" for kind, v in value.items()]
    elif isinstance(value, Counter):
        value = list(value.elements())
    return Counter(word for text in value for word in re.split(r", |[{}\[\]]", str(text)))


def ours(cloud: Cloud) -> list[str]:
    """The cluster's instances."""
    return [i["InstanceId"] for i in cloud.instances(**{"tag:efa-sdk:cluster": "train"})]


def check_error(
    error: efa.EfaError,
    kind: Kind,
    proxy: FaultProxy,
    operation: str,
    made: set[tuple[str, str]],
) -> None:
    """The error states what happened, and no more."""
    assert error.code in efa.errors.codes()
    assert "\n" not in str(error)
    assert error.cure, f"no cure: {error}"
    disturbed = next(r for r in proxy.requests if r.call == proxy.struck)
    changes = [r for r in proxy.requests if r.action.startswith(MUTATING)]
    assert error.may_have_changed_aws == bool(changes), f"sent {[r.action for r in changes]}"
    if error.code == "ec2.refused":
        assert error.context["action"] == disturbed.action
        assert error.context.get("request_id") in {r.request_id for r in proxy.requests}
    elif error.code == "ec2.unreachable":
        assert error.context["action"] == disturbed.action
        assert error.retryable
    assert len(set(error.leftovers)) == len(error.leftovers)
    assert set(error.leftovers) <= made, "leftovers that are not there"
    unknown = made - set(error.leftovers)
    if kind == "lost-all" and disturbed in changes and operation == "apply":
        return  # nobody can know what a call made that never answered
    assert unknown == set(), "there, and not among the leftovers"


@pytest.fixture
def bench(
    stand_in: StandIn, aws_environment: None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Bench]:
    # One more than `throttle` refuses: the pauses between five add up to minutes.
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "3")
    with FaultProxy(stand_in.host, stand_in.port) as proxy:
        yield Bench(stand_in, proxy)


def labels(calls: list[Request]) -> list[str]:
    """`DescribeInstances#2` is the second one: steadier than its number among all calls."""
    seen: Counter[str] = Counter()
    found = []
    for request in calls:
        seen[request.action] += 1
        found.append(f"{request.action}#{seen[request.action]}")
    return found


def applies(kind: Kind, request: Request) -> bool:
    """Whether the fault can happen at this call."""
    if kind == "not-found":
        return bool(request.unseen)
    return kind != "stale" or request.shows_new


def needing_http(kind: Kind, calls: list[tuple[str, Request]]) -> set[str]:
    """The calls for which the SDK's own stack, or a real process, decides: the first of each action
    that changes something, and of those that read one for each service, whose protocol they share.

    The rest is in memory only: `tests/rust/fault_campaign.rs` has every call with every fault, and
    asserts the same.
    """
    firsts = [(label, request) for label, request in calls if label.endswith("#1")]
    if kind.startswith("kill"):
        return {label for label, _ in firsts if label.startswith(MUTATING)}
    reads = [pair for pair in firsts if pair[0].startswith(READING)]
    first_of_service = {request.service: label for label, request in reversed(reads)}
    return {label for label, _ in firsts if not label.startswith(READING)} | {
        *first_of_service.values()
    }


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_call(
    bench: Bench,
    operation: str,
    kind: Kind,
    lay_out_at_end: Callable[[str, Callable[[Cells], str], Cells], None],
) -> None:
    cells: Cells = {}
    calls = bench.record(operation)
    failed: dict[str, str] = {}
    broken: dict[str, str] = {}
    labelled = list(zip(labels(calls), calls, strict=True))
    over_http = needing_http(kind, labelled)
    for number, (label, request) in enumerate(labelled):
        key = (operation, f"{number:03}", label, kind)
        if not applies(kind, request):
            cells[key] = "n.a."
            continue
        if label not in over_http:
            cells[key] = "in memory"
            continue
        try:
            cells[key] = bench.cell(operation, kind, request.call)
        except Dishonest as failure:
            cells[key] = "known" if (operation, kind, label) in KNOWN else "FAILS"
            failed[label] = str(failure)
        except (AssertionError, pytest.fail.Exception, efa.EfaError) as failure:
            cells[key] = "BROKEN"
            broken[label] = f"{type(failure).__name__}: {failure}".splitlines()[0]
    lay_out_at_end("fault matrix", matrix, cells)
    known = {label for (o, k, label) in KNOWN if (o, k) == (operation, kind)}
    new = {label: why for label, why in failed.items() if label not in known}
    assert not broken, json.dumps(broken, indent=1)
    assert not new, json.dumps(new, indent=1)
    assert known <= failed.keys(), f"pass now, so take them out of KNOWN: {known - failed.keys()}"


def matrix(outcomes: Cells) -> str:
    """The outcomes, by operation, number and label of the call, and fault, as a table."""
    rows = sorted({key[:-1] for key in outcomes})
    kinds = [kind for kind in KINDS if any(key[-1] == kind for key in outcomes)]
    lines = [f"{'':8}{'call':34}" + "".join(f"{kind:13}" for kind in kinds)]
    for row in rows:
        operation, _, label = row
        cells = [outcomes.get((*row, kind), "") for kind in kinds]
        lines.append(f"{operation:8}{label:34}" + "".join(f"{cell:13}" for cell in cells))
    count = Counter(outcomes.values())
    words = ", ".join(f"{n} {outcome}" for outcome, n in sorted(count.items()))
    lines.append(f"{len(rows)} calls x {len(kinds)} faults = {len(outcomes)} cells: {words}")
    return "\n".join(lines)
