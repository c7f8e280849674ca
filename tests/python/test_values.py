"""Every value class: frozen, hashable, picklable, JSON there and back, garbage refused."""

from __future__ import annotations

import copy
import json
import multiprocessing
import pickle
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import efa_sdk as efa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import DEADLINE_S, Cloud, check, run_python

NAMES = [
    "AttachedInterface",
    "Bootstrap",
    "Catalog",
    "Check",
    "Cluster",
    "ClusterSpec",
    "DestroyReport",
    "DocumentFinding",
    "DocumentReport",
    "DocumentUnread",
    "Event",
    "Finding",
    "Gpu",
    "Instance",
    "InstanceReport",
    "InstanceRole",
    "InstanceType",
    "Layout",
    "NetworkCard",
    "NetworkInterface",
    "NeuronDevice",
    "Plan",
    "PreflightReport",
    "VerifyReport",
    "Volume",
]
#: Tested where they are made.
NOT_MADE_HERE = {
    "CapacityBlockOffering",
    "CapacityReservation",
    "ClusterSummary",
    "CommandReport",
    "Cost",
    "NodeOutput",
    "Prices",
    "RankedInstance",
    "Topology",
}
RAY_WITHOUT_EFA = """
cluster_name: train
provider: {type: aws, region: us-east-1}
available_node_types: {worker: {node_config: {InstanceType: p5.48xlarge}}}
head_node_type: worker
"""
each_class = pytest.mark.parametrize("name", NAMES)
_made: dict[str, Any] = {}


def flow(cloud: Cloud) -> dict[str, Any]:
    """One value of every class, as a user comes by them."""
    events: list[efa.Event] = []
    client = cloud.connect(progress=events.append)
    spec = cloud.spec(tags={"team": "ü"}, user_data="#!/bin/sh\n", volume_size_gib=300)
    plan = client.plan(spec)
    cluster = client.apply(plan)
    cloud.ec2.revoke_security_group_ingress(
        GroupId=cluster.security_group_id,
        IpPermissions=[
            {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": cluster.security_group_id}]}
        ],
    )
    report = client.verify("train")
    catalog = efa.Catalog.bundled()
    p5, trn2 = catalog["p5.48xlarge"], catalog["trn2.48xlarge"]
    values = [plan.layout, plan.layout.interfaces[0], p5, p5.gpus[0], p5.network_cards[0]]
    values += [trn2.neuron_devices[0], spec, plan, cluster, cluster.instances[0]]
    values += [cluster.instances[0].interfaces[0], report, report.findings[0], events[0]]
    values.append(client.verify_instance(cluster.instances[0].instance_id))
    preflight = client.preflight(plan)
    values += [preflight, preflight.checks[0]]
    values += [client.destroy("train"), catalog, efa.InstanceRole(scripts_bucket="scripts")]
    values += [
        efa.Bootstrap(extra_script="echo ready"),
        efa.Volume(device_name="/dev/sdf", size_gib=9),
    ]
    document = efa.check(RAY_WITHOUT_EFA)
    values += [document, document.findings[0]]
    values.append(efa.check("{apiVersion: example.com/v1, kind: Launcher}").unread[0])
    return {type(value).__name__: value for value in values}


@pytest.fixture
def made(request: pytest.FixtureRequest) -> dict[str, Any]:
    if not _made:  # once: values need no EC2 after that
        _made.update(flow(request.getfixturevalue("cloud")))
    return _made


@pytest.fixture
def value(made: dict[str, Any], name: str) -> Any:
    return made[name]


def test_the_list_is_complete(made: dict[str, Any]) -> None:
    assert sorted(made) == NAMES
    with_json = {n for n in efa.__all__ if hasattr(getattr(efa, n), "from_json")}
    assert with_json - NOT_MADE_HERE == set(NAMES)


def properties(value: Any) -> Iterator[str]:
    return (
        name
        for name, attribute in vars(type(value)).items()
        if type(attribute).__name__ == "getset_descriptor"
    )


@each_class
def test_frozen(value: Any) -> None:
    names = list(properties(value))
    assert names
    for attribute in names:
        with pytest.raises(AttributeError):
            setattr(value, attribute, getattr(value, attribute))
        with pytest.raises(AttributeError):
            delattr(value, attribute)
    with pytest.raises(AttributeError):
        value.no_such_attribute = 1


@each_class
def test_final(value: Any) -> None:
    with pytest.raises(TypeError):
        type("Mine", (type(value),), {})


@each_class
def test_json_pickle_and_copy_give_an_equal_value(value: Any) -> None:
    again = type(value).from_json(value.to_json())
    for other in (again, pickle.loads(pickle.dumps(value)), copy.copy(value), copy.deepcopy(value)):
        assert type(other) is type(value)
        assert other == value
        assert hash(other) == hash(value)
        assert other.to_json() == value.to_json()
        assert repr(other) == repr(value) or " object at " in repr(value)
        assert [getattr(other, p) for p in properties(value)] == [
            getattr(value, p) for p in properties(value)
        ]


@each_class
def test_differs_from_anything_else(value: Any, made: dict[str, Any]) -> None:
    assert all(value != other for key, other in made.items() if key != type(value).__name__)
    assert value != value.to_json()
    assert value is not None
    assert len({value, type(value).from_json(value.to_json())}) == 1


@each_class
def test_a_list_that_a_property_gives_is_a_copy(value: Any) -> None:
    before = value.to_json()
    for attribute in properties(value):
        found = getattr(value, attribute)
        if isinstance(found, (list, dict)):
            found.clear()
            assert getattr(value, attribute) == getattr(type(value).from_json(before), attribute)
    assert value.to_json() == before


def describe(value: Any) -> tuple[str, str, int]:
    """Runs in the spawned process."""
    return (type(value).__name__, value.to_json(), len(pickle.dumps(value)))


def test_values_travel_to_a_spawned_process(made: dict[str, Any]) -> None:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        answers = list(pool.map(describe, made.values(), timeout=DEADLINE_S))
        back = pool.submit(copy.copy, made["Plan"]).result(DEADLINE_S)
    assert answers == [describe(value) for value in made.values()]
    assert back == made["Plan"]


GARBAGE = ["", " ", "{", "null", "true", "[]", "{}", "0", '""', "NaN", "\x00", "{'a': 1}", "é"]
GARBAGE += ["9" * 4000, '{"name": "x"', '{"name": null}', '{"a":' * 5000, '["\\ud800"]']
GARBAGE += ["[" * 100_000]


@pytest.mark.unit
@each_class
@pytest.mark.parametrize("text", GARBAGE, ids=lambda text: repr(text[:12]))
def test_garbage_is_refused(name: str, text: str) -> None:
    with pytest.raises((ValueError, efa.EfaError)) as caught:
        getattr(efa, name).from_json(text)
    assert str(caught.value)


@pytest.mark.unit
@each_class
@pytest.mark.parametrize("wrong", [None, 1, b"{}", object()])
def test_other_than_text_is_a_type_error(name: str, wrong: object) -> None:
    with pytest.raises(TypeError):
        getattr(efa, name).from_json(wrong)


def leaves(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of all values of a JSON document, of lists the first two items."""
    items: list[Any] = []
    if isinstance(node, dict):
        items = list(node.items())
    elif isinstance(node, list):
        items = list(enumerate(node[:2]))
    for key, child in items:
        yield (*path, key)
        yield from leaves(child, (*path, key))


WRONG: list[Any] = [None, -1, 0, 1.5, 2**31, 2**32, 2**64, 10**400, "", "x", "\x00", [], [None], {}]
WRONG += [True, "-", {"x": 1}]


@each_class
def test_altered_json_is_a_value_or_refused(value: Any) -> None:
    document = json.loads(value.to_json())
    if isinstance(value, efa.Catalog):  # the first two are altered: the others only cost time
        document["types"] = document["types"][:3]
    refused = 0
    for path in leaves(document):
        for wrong in WRONG:
            node = document
            for key in path[:-1]:
                node = node[key]
            right, node[path[-1]] = node[path[-1]], wrong
            refused += not survives(type(value), json.dumps(document))
            node[path[-1]] = right
    assert refused, "something of it must be refused"


def survives(cls: Any, text: str) -> bool:
    """Reads and uses it; a panic would not be an Exception and fails the test."""
    try:
        value = cls.from_json(text)
    except (ValueError, efa.EfaError):
        return False
    assert cls.from_json(value.to_json()) == value
    assert hash(value) == hash(cls.from_json(value.to_json()))
    assert repr(value)
    for attribute in properties(value):
        getattr(value, attribute)
    if cls is efa.InstanceType:
        for profile in ("save-ips", "ip-bandwidth", "combined"):
            try:
                assert value.layout(profile=profile)
            except efa.EfaError as error:
                check(error, "layout.")
        assert efa.instance_type_table([value])
    return True


@pytest.mark.unit
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(text=st.text(max_size=60) | st.from_regex(r"\{(\"[a-z_]{1,9}\":[0-9\[\]{}\"]{0,5},?)*\}?"))
def test_random_text_is_refused(text: str) -> None:
    for name in NAMES:
        with pytest.raises((ValueError, efa.EfaError)):
            getattr(efa, name).from_json(text)


DRAW = """
import resource, sys
import efa_sdk as efa
resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
layout = efa.Catalog.bundled()["c5n.18xlarge"].layout().to_json()
try:
    read = efa.Layout.from_json(layout.replace('"device_index":1', '"device_index":4294967295'))
    print(len(read.draw()), len(read._repr_html_()))
except (ValueError, efa.EfaError) as error:
    print(error)
"""


@pytest.mark.unit
def test_drawing_an_altered_layout_does_not_end_the_process() -> None:
    done = run_python(DRAW)
    assert done.returncode == 0, done.stderr[-300:]
    assert done.stdout.strip()
