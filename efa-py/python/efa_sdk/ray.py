"""Surveys of a Ray cluster, from the driver script that is already there.

>>> import efa_sdk
>>> def check_cluster() -> None:  # after ray.init()
...     report = efa_sdk.ray.survey()
...     print(report)
...     report.raise_for_health()

One actor without CPUs is placed on every node that is alive; the actors find each other through
Ray, so that no port is opened for it. They are killed when the survey ends, however it ends.
efa_sdk must be installed on every node.

``accept`` is the survey with all around it: EC2's side against the plan, the doctor on every node,
and one verdict on whether training may start:

>>> def accept_cluster(client: efa_sdk.Client) -> None:
...     report = efa_sdk.ray.accept(client, "train")
...     report.save("acceptance.json")
...     if report.to_replace:
...         report.replace(client)

Clusters are written by ``Plan.to_ray_yaml``.
"""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial
from typing import Any, TypeVar

from efa_sdk import Client, Plan, Topology, acceptance, choices
from efa_sdk._efa_sdk import VERSION as __version__
from efa_sdk._efa_sdk import _survey_options
from efa_sdk._ray_node import _Greeting, _Node
from efa_sdk._ray_relay import DIRECT, Answer, Relays, answer_of
from efa_sdk._ray_start import LOOK_AT_RAY, as_they_come, cause_of_import, not_installed, why_late
from efa_sdk.acceptance import AcceptanceReport
from efa_sdk.arguments import require_rails, require_seconds, typed
from efa_sdk.errors import BindingError, EfaError, invalid_value
from efa_sdk.fabric import Rail
from efa_sdk.progress import survey_display
from efa_sdk.survey import (
    IP_PROVIDERS,
    PairOptions,
    PairSight,
    SurveyFlowSights,
    SurveyFlowTask,
    SurveyNode,
    SurveyOptions,
    SurveyPlan,
    SurveyProgress,
    SurveyReport,
    choose_rails,
    inspect_node,
)

__all__ = ["accept", "survey"]

_Seen = TypeVar("_Seen")


@typed
def survey(
    *,
    provider: str | None = None,
    rails: int | None = None,
    mode: choices.SurveyMode = "full",
    seed: int = 0,
    labels: Sequence[str] | None = None,
    topology: Topology | None = None,
    addresses: Collection[str] | None = None,
    expected_gbps: float | None = None,
    expected_rail_gbps: float | None = None,
    latency_bytes: int = 64,
    message_bytes: int = 1 << 20,
    test_budget_s: float = 0.2,
    start_deadline_s: float = 60.0,
    round_deadline_s: float = 30.0,
    reserve: bool = False,
    inspect: Callable[[], object] | None = inspect_node,
    progress: Callable[[SurveyProgress], object] | bool | None = None,
    options: SurveyOptions | None = None,
) -> SurveyReport:
    """Measures the pairs of nodes of the Ray cluster that this driver is connected to.

    provider: ``efa`` where a node has it, else ``tcp``, if not given. rails: at most this many of
    each node, all its EFA devices if not given; with two or more, rates are measured on all at the
    same time, each and together. mode: ``full`` (every pair), ``sampled`` (bad nodes of large
    clusters in few rounds), ``ring``, or ``within_groups`` and ``between_groups`` of labels.
    labels: per node, in the order of ``NodeManagerAddress`` and ``NodeID``, its network node.
    topology: what ``Client.topology`` gave for these instances; where it knows all nodes, by
    address, it stands in for labels and gives ``report.topology_order``. addresses: only nodes
    whose ``NodeManagerAddress`` is one of these; by default all. expected_gbps: what a pair should
    reach in each direction with all rails, in Gbit/s; expected_rail_gbps: with one. options: a
    ``SurveyOptions`` with all of these settings, base rounds and thresholds too; then mode, seed,
    labels and expected rates are left out. latency_bytes, message_bytes: sizes in bytes of the
    messages for latency and for rates. test_budget_s: seconds for latency and for the rate in each
    direction. start_deadline_s: for the actors to start. round_deadline_s: a node that did not
    answer by then counts as unreachable and is asked no more. reserve: take all CPUs of each node,
    so that nothing else runs there; by default the actors take none. inspect: called on every node;
    what it returns becomes the ``inspection`` of the node in the report, as JSON. By default the
    doctor, so that the report shows where nodes differ; None for nothing. progress: how far it is,
    shown on a terminal or in a notebook and nowhere else; True shows it in files too, False
    nowhere, and a function is called after each round instead.

    Nodes that die or do not reach others are findings, not exceptions. Nodes that do not start,
    have another version of efa_sdk, or no libfabric, are ``absent``: nothing is reported against
    them. Ctrl-C ends the survey and returns what is known, with ``partial`` set; the report is not
    ``healthy`` then. Raises BindingError when Ray is missing, or not initialised (any more);
    NotSurveyedError when efa_sdk cannot be imported on a node (``python.missing_package``, with the
    nodes and the cure); FabricError for options that cannot be.
    """
    require_rails(rails)
    require_seconds("start_deadline_s", start_deadline_s)
    ray = _initialised_ray()
    start = time.monotonic()
    chosen = _survey_options(
        options,
        mode=mode,
        seed=seed,
        labels=labels,
        expected_gbps=expected_gbps,
        expected_rail_gbps=expected_rail_gbps,
    )
    pair = PairOptions(
        provider or "tcp",
        latency_bytes=latency_bytes,
        message_bytes=message_bytes,
        test_budget_s=test_budget_s,
        deadline_s=round_deadline_s,
    ).within(round_deadline_s)
    nodes = _alive(ray, addresses)
    actors: list[Any] = []
    known = _known(nodes, topology)
    plan = SurveyPlan(known, provider or "tcp", options=chosen)
    line, notify = survey_display(progress)
    try:
        line.note(f"starting {len(nodes)} actors")
        actor_class = ray.remote(_Node)  # once: Ray stores each class that it is given
        actors.extend(_start(actor_class, node, reserve) for node in nodes)
        names = [node.name for node in known]
        greetings, missing = _greet(ray, actors, names, inspect, start + start_deadline_s)
        if provider is None:
            has_efa = any("efa" in greeting.providers for greeting in greetings.values())
            provider = "efa" if has_efa else "tcp"
        each = [
            _with_place(pair, provider, node, _rails(provider, greetings.get(number), rails))
            for number, node in enumerate(nodes)
        ]
        introduced = [
            _introduced(node, greetings.get(number), each[number])
            for number, node in enumerate(known)
        ]
        plan = SurveyPlan(introduced, provider, options=chosen)

        def on_pair() -> None:
            if line.due():
                line(plan.progress(elapsed_s=time.monotonic() - start))

        driver = _Driver(ray, plan, actors, each, on_pair)
        late = [n for n in range(len(nodes)) if n not in greetings and n not in missing]
        missing.update(why_late(ray, actors, late, start_deadline_s))
        for number, greeting in greetings.items():
            if greeting.obstacle is not None:
                missing[number] = greeting.obstacle
        for number in sorted(missing):
            driver.leave_out(number, *missing[number])
        while (pairs := plan.next()) is not None:
            driver.round(pairs, round_deadline_s)
            notify(plan.progress(elapsed_s=time.monotonic() - start))
        while (tasks := plan.next_flows(driver.name)) is not None:
            driver.step(tasks, round_deadline_s)
            notify(plan.progress(elapsed_s=time.monotonic() - start))
    except KeyboardInterrupt:
        pass  # the report shows that it is partial
    finally:
        for number in range(len(actors)):
            _end(ray, actors, number)
        line.close()
    return plan.report(elapsed_s=time.monotonic() - start, finished_unix_s=int(time.time()))


@typed
def accept(
    client: Client,
    cluster: str | Plan,
    *,
    provider: str | None = None,
    rails: int | None = None,
    expected_gbps: float | None = None,
    expected_rail_gbps: float | None = None,
    test_budget_s: float = 0.2,
    start_deadline_s: float = 60.0,
    round_deadline_s: float = 30.0,
    reserve: bool = True,
    inspect: Callable[[], object] = inspect_node,
    progress: Callable[[SurveyProgress], object] | bool | None = None,
    options: SurveyOptions | None = None,
) -> AcceptanceReport:
    """Judges whether training may start on a cluster that Ray runs on.

    Looks at EC2's side against the plan, at every node with the doctor, and at every pair of nodes
    with ``survey``, all under instance ids. cluster: its name, or the plan that it is compared
    with instead of the one that its tags record. Ray nodes with an address of the cluster's
    instances are surveyed; all of them where none has. client: a ``Client`` of the cluster's
    account. Settings are those of ``efa_sdk.ray.survey``; reserve:
    the nodes' CPUs are taken, so that nothing else runs there meanwhile. Without an expected rate a
    cluster of few nodes is accepted with warnings at best: a slow node cannot be identified there.

    Raises VerifyError when there is no such cluster, BindingError without Ray. Whatever else could
    not be done is part of the report, which is ``could_not_be_judged`` then.
    """
    _initialised_ray()
    seen = acceptance.described(client, cluster)
    surveyed: SurveyReport | EfaError
    try:
        surveyed = survey(
            provider=provider,
            rails=rails,
            topology=_topology(client, seen.name),
            addresses=_addresses(seen.private_ip_addresses),
            expected_gbps=expected_gbps,
            expected_rail_gbps=expected_rail_gbps,
            test_budget_s=test_budget_s,
            start_deadline_s=start_deadline_s,
            round_deadline_s=round_deadline_s,
            reserve=reserve,
            inspect=inspect,
            progress=progress,
            options=options,
        )
    except EfaError as error:
        surveyed = error
    return acceptance.judge(client, seen, cluster, surveyed)


def _topology(client: Client, name: str) -> Topology | None:
    """Where the instances are in the network: a help for whoever reads the survey, no part of the
    verdict.
    """
    try:
        return client.topology(name)
    except EfaError:
        return None


def _addresses(of_instances: Sequence[str]) -> frozenset[str] | None:
    """Those that distinguish Ray's nodes from others; None where Ray uses none of them."""
    nodes = {node["NodeManagerAddress"] for node in _initialised_ray().nodes() if node["Alive"]}
    return frozenset(of_instances) if nodes.intersection(of_instances) else None


def _initialised_ray() -> Any:
    try:
        import ray
    except ImportError as error:
        raise BindingError(
            "python.missing_package", "Ray is not installed", "pip install ray"
        ) from error
    _check_connected(ray)
    return ray


def _alive(ray: Any, addresses: Collection[str] | None) -> list[dict[str, Any]]:
    """Ray's nodes that are alive, by address; of ``addresses`` only, where given."""
    nodes = (
        node
        for node in ray.nodes()
        if node["Alive"] and (addresses is None or node["NodeManagerAddress"] in addresses)
    )
    alive = sorted(nodes, key=lambda node: (node["NodeManagerAddress"], node["NodeID"]))
    if addresses is not None and not alive:
        raise invalid_value(
            "addresses",
            sorted(addresses),
            "addresses of Ray nodes that are alive",
            "give the NodeManagerAddress of nodes in ray.nodes()",
        )
    return alive


def _check_connected(ray: Any) -> None:
    """Much of Ray's API starts or joins a cluster where there is none."""
    if not ray.is_initialized():
        raise BindingError(
            "python.ray_not_initialized",
            "this process is not connected to a Ray cluster",
            "call ray.init(address='auto') first, on a node of the cluster",
        )


def _with_place(
    options: PairOptions, provider: str, node: dict[str, Any], rails: list[Rail]
) -> PairOptions:
    """The options for one node: its provider, its address, its rails."""
    is_ip = provider.partition(";")[0] in IP_PROVIDERS
    return PairOptions(
        provider,
        source_address=node["NodeManagerAddress"] if is_ip else None,
        rails=rails,
        latency_bytes=options.latency_bytes,
        message_bytes=options.message_bytes,
        test_budget_s=options.test_budget_s,
        connect_timeout_s=options.connect_timeout_s,
        deadline_s=options.deadline_s,
    )


def _rails(provider: str, greeting: _Greeting | None, count: int | None) -> list[Rail]:
    if provider == "efa":
        return greeting.efa_rails[:count] if greeting is not None else []
    return choose_rails(provider, count)


def _start(actor_class: Any, node: dict[str, Any], reserve: bool) -> Any:
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    cpus = node["Resources"].get("CPU", 0) if reserve else 0
    actor = actor_class.options(
        num_cpus=cpus,
        max_restarts=0,
        scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False),
    )
    return actor.remote()


def _end(ray: Any, actors: list[Any], number: int) -> None:
    """Kills the actor. Ray's kill would join another cluster where this one is left."""
    actor, actors[number] = actors[number], None
    if actor is not None and ray.is_initialized():
        ray.kill(actor)


def _greet(
    ray: Any,
    actors: list[Any],
    names: list[str],
    inspect: Callable[[], object] | None,
    end: float,
) -> tuple[dict[int, _Greeting], dict[int, tuple[str, str]]]:
    """What the nodes report that start in time, by number; of nodes that cannot take part, code and
    reason.
    """
    asked = {actor.hello.remote(inspect): number for number, actor in enumerate(actors)}
    answers: dict[int, _Greeting] = {}
    missing: dict[int, tuple[str, str]] = {}
    unlike: dict[str, list[str]] = {}
    for ref in as_they_come(ray, list(asked), end):
        name = names[asked[ref]]
        try:
            answer = ray.get(ref)
            if (version := getattr(answer, "version", "an older version")) == __version__:
                answers[asked[ref]] = answer
            else:
                missing[asked[ref]] = (
                    "fabric.version_mismatch",
                    f"efa_sdk is {version} there and {__version__} here; install the same on every "
                    "node or in the job's runtime_env",
                )
        except (ray.exceptions.RayTaskError, ray.exceptions.RayError) as error:
            # Ray's text has why an actor could not be made; a node that is gone has no such.
            cause = cause_of_import(str(error))
            if cause is not None:
                unlike.setdefault(cause, []).append(name)
            elif isinstance(error, ray.exceptions.RayTaskError):
                raise
            else:
                said = str(error).strip().partition("\n")[0]
                missing[asked[ref]] = (
                    "fabric.unreachable",
                    f"its actor ended before it answered ({said}); {LOOK_AT_RAY}",
                )
    if unlike:
        raise not_installed(unlike, len(actors))
    return answers, missing


def _known(nodes: list[dict[str, Any]], topology: Topology | None) -> list[SurveyNode]:
    """The nodes as Ray and EC2 know them."""
    names = [node["NodeManagerHostname"] for node in nodes]
    named = Counter(names)
    placed = {}
    if topology is not None:
        placed = {i.private_ip_address: i for i in topology.nodes}
    known = []
    for node, name in zip(nodes, names, strict=True):
        if named[name] > 1:
            name = f"{name}/{node['NodeID'][:6]}"
        address = node["NodeManagerAddress"]
        instance = placed.get(address)
        known.append(
            SurveyNode(
                name,
                address=address,
                network_nodes=[] if instance is None else instance.network_nodes,
                instance_id=None if instance is None else instance.instance_id,
                ray_node_id=node["NodeID"],
            )
        )
    return known


def _introduced(node: SurveyNode, greeting: _Greeting | None, pair: PairOptions) -> SurveyNode:
    return SurveyNode(
        node.name,
        address=node.address,
        inspection=None if greeting is None else greeting.inspection,
        rails=len(pair.rails),
        network_nodes=node.network_nodes,
        instance_id=node.instance_id,
        ray_node_id=node.ray_node_id,
    )


#: What an actor raised is no measurement.
_pair_failed = partial(PairSight.failed, "open", "python.raised", 0.0)


def _flows_failed(why: str) -> SurveyFlowSights:
    """What an actor raised is no rate."""
    return SurveyFlowSights.failed("python.raised")


class _Driver:
    """Carries out rounds."""

    def __init__(
        self,
        ray: Any,
        plan: SurveyPlan,
        actors: list[Any],
        options: list[PairOptions],
        on_pair: Callable[[], object],
    ) -> None:
        self._ray = ray
        self._on_pair = on_pair
        self._plan = plan
        self._actors = actors
        self._options = options
        self._relays = Relays(ray, actors, options)
        #: Of the survey.
        self.name = uuid.uuid4().hex

    def leave_out(self, number: int, code: str, why: str) -> None:
        """The node takes no part, and what it may still do ends."""
        self._plan.absent(number, code, why)
        _end(self._ray, self._actors, number)

    def round(self, pairs: list[tuple[int, int]], deadline_s: float) -> None:
        _check_connected(self._ray)
        name = f"{self.name}/{self._plan.round}.{self._plan.attempt}"
        if 2 * len(pairs) > DIRECT:
            pairs = self._relayed(name, pairs, deadline_s)
            name += ".direct"
        self._directly(name, pairs, deadline_s)

    def _relayed(
        self, name: str, pairs: list[tuple[int, int]], deadline_s: float
    ) -> list[tuple[int, int]]:
        """Asks through relays; the pairs whose relay failed, of which nothing is known."""
        began = time.monotonic()
        left = []
        for group, answers in self._relays.ask(name, pairs, self._plan.rails_of, deadline_s):
            if answers is None:
                left += group
                continue
            for pair, both in zip(group, answers, strict=True):
                seen = {
                    number: sight
                    for number, answer in zip(pair, both, strict=True)
                    if (sight := self._seen_of(answer, number, _pair_failed)) is not None
                }
                self._record(pair, seen, began)
                self._on_pair()
        return left

    def _directly(self, name: str, pairs: list[tuple[int, int]], deadline_s: float) -> None:
        began = time.monotonic()
        asked: dict[Any, tuple[tuple[int, int], int]] = {}
        for pair in pairs:
            low, high = pair
            rails = self._plan.rails_of(pair)
            for side, own, other in (("low", low, high), ("high", high, low)):
                options = self._options[own].with_rails(rails)
                ref = self._actors[own].probe.remote(
                    side, self._actors[other], f"{name}/{low}-{high}", options
                )
                asked[ref] = (pair, own)
        sights: dict[tuple[int, int], dict[int, PairSight]] = {pair: {} for pair in pairs}
        open_sides = {pair: 2 for pair in pairs}
        for ref in as_they_come(self._ray, list(asked), began + deadline_s):
            pair, own = asked[ref]
            sight = self._sight(ref, own)
            if sight is not None:
                sights[pair][own] = sight
            open_sides[pair] -= 1
            if open_sides[pair] == 0:
                self._record(pair, sights.pop(pair), began)
                self._on_pair()
        for pair, seen in sights.items():
            self._record(pair, seen, began)

    def step(self, tasks: list[SurveyFlowTask], deadline_s: float) -> None:
        """A step of a collective pattern."""
        _check_connected(self._ray)
        began = time.monotonic()
        members = {task.node: self._actors[task.node] for task in tasks}
        asked = {}
        for task in tasks:
            # The lead reports for all.
            near = {task.lead, *task.sends_to, *task.receives_from}
            peers = {
                n: actor for n, actor in members.items() if n in near or task.node == task.lead
            }
            options = self._options[task.node]
            asked[members[task.node].flows.remote(task, peers, options)] = task.node
        sights = {}
        for ref in as_they_come(self._ray, list(asked), began + deadline_s):
            seen = self._answer(ref, asked[ref], _flows_failed)
            if seen is not None:
                sights[asked[ref]] = seen
        self._plan.record_flows(sights, after_s=time.monotonic() - began)
        self._end_lost(members)

    def _sight(self, ref: Any, own: int) -> PairSight | None:
        return self._answer(ref, own, _pair_failed)

    def _answer(self, ref: Any, own: int, failed: Callable[[str], _Seen]) -> _Seen | None:
        """None when there is no answer of the node; it is asked again unless its actor died."""
        return self._seen_of(answer_of(self._ray, partial(self._ray.get, ref)), own, failed)

    def _seen_of(
        self, answer: Answer[_Seen], own: int, failed: Callable[[str], _Seen]
    ) -> _Seen | None:
        if answer.died:
            self._plan.lost(own)
        return answer.seen if answer.raised is None else failed(answer.raised)

    def _record(self, pair: tuple[int, int], seen: dict[int, PairSight], began: float) -> None:
        low, high = pair
        after_s = time.monotonic() - began
        self._plan.record(pair, seen.get(low), seen.get(high), after_s=after_s)
        self._end_lost(pair)

    def _end_lost(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            if not self._plan.answers(number):
                _end(self._ray, self._actors, number)
