"""The bundled catalog: contents, the community's query, every condition, typed refusals."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Any

import efa_sdk as efa
import pytest
from support import raised

pytestmark = pytest.mark.unit

CATALOG = efa.Catalog.bundled()
SNAPSHOT = 303

# Origin: the community recipe's output of `aws ec2 describe-instance-types` with the patterns
# *7i*, *8g*, *7a* in ap-northeast-1: type, vCPUs, cores, GiB.
RECIPE_PATTERNS = ["*7i*", "*8g*", "*7a*"]
RECIPE = """
r7i.metal-48xl 192 96 1536
u7i-6tb.112xlarge 448 224 6144
m8g.24xlarge 96 96 384
r8g.metal-24xl 96 96 768
m8g.metal-48xl 192 192 768
c8g.48xlarge 192 192 384
c8g.metal-48xl 192 192 384
c8g.24xlarge 96 96 192
u7i-12tb.224xlarge 896 448 12288
m7i.48xlarge 192 96 768
r8g.48xlarge 192 192 1536
r8g.24xlarge 96 96 768
u7in-16tb.224xlarge 896 448 16384
c7i.metal-48xl 192 96 384
u7i-8tb.112xlarge 448 224 8192
m8g.48xlarge 192 192 768
i8g.48xlarge 192 192 1536
c8g.metal-24xl 96 96 192
r8g.metal-48xl 192 192 1536
i7i.metal-48xl 192 96 1536
i7i.24xlarge 96 48 768
r7i.48xlarge 192 96 1536
m8g.metal-24xl 96 96 384
i7i.48xlarge 192 96 1536
m7i.metal-48xl 192 96 768
c7i.48xlarge 192 96 384
"""
ROWS = [tuple(row.split()) for row in RECIPE.strip().splitlines()]


def test_length_membership_and_lookup() -> None:
    assert len(CATALOG) == len(list(CATALOG)) == len(CATALOG.names())
    assert sum(t.origin == "snapshot" for t in CATALOG) == SNAPSHOT
    assert "p5.48xlarge" in CATALOG
    assert "m5.large" not in CATALOG
    assert CATALOG["p5.48xlarge"] == CATALOG.get("p5.48xlarge")
    assert CATALOG.get("m5.large") is None
    assert efa.Catalog.bundled() == CATALOG
    assert repr(CATALOG).startswith(f"<Catalog of {len(CATALOG)} types from ")


def test_iteration_gives_each_type_once_in_order_of_names() -> None:
    names = [t.name for t in CATALOG]
    assert names == CATALOG.names()
    assert len(set(names)) == len(names)
    families = [t.family for t in CATALOG]
    changes = sum(a != b for a, b in itertools.pairwise(families))
    assert changes == len(set(families)) - 1, "types of one family stand together"
    p5 = [name for name in names if name.startswith("p5.")]
    assert p5 == ["p5.4xlarge", "p5.48xlarge"], "4 before 48, not by letters"


def test_rows_kept_by_hand_say_why() -> None:
    by_hand = {t.name: t.origin for t in CATALOG if t.origin != "snapshot"}
    assert {"dl1.24xlarge", "p6e-gb200.36xlarge"} <= set(by_hand)
    assert all("EC2" in why and len(why) > 40 for why in by_hand.values())


def test_source_is_dated_and_reproducible() -> None:
    source = CATALOG.source
    assert "DescribeInstanceTypes" in str(source["source"])
    assert (source["date"] or "").count("-") == 2
    assert str(source["script"]).startswith("tools/")
    assert len(source["sha256"] or "") == 64


def test_the_spellings_that_others_write_against() -> None:
    p5 = CATALOG["p5.48xlarge"]
    assert (p5.maximum_efa_interfaces, len(p5.network_cards)) == (32, 32)
    assert (p5.default_vcpus, p5.default_cores, p5.memory_gib) == (192, 96, 2048.0)
    assert (p5.architectures, p5.bare_metal, p5.hypervisor) == (["x86_64"], False, "nitro")
    assert [(g.manufacturer, g.name, g.count) for g in p5.gpus] == [("NVIDIA", "H100", 8)]
    assert (p5.network_performance, p5.network_bandwidth_gbps) == ("3200 Gigabit", 3200.0)
    assert "cluster" in p5.placement_strategies
    assert set(p5.usage_classes) == {"on-demand", "spot", "capacity-block"}
    assert (p5.rdma_read, p5.rdma_write) == ("yes", "yes")
    card = p5.network_cards[31]
    assert card.network_card_index == 31
    assert (card.interface_types, card.maximum_network_interfaces) == (
        ["interface", "efa", "efa-only"],
        2,
    )
    interface = p5.layout(profile="save-ips").interfaces[0]
    assert (
        interface.network_card_index,
        interface.device_index,
        interface.interface_type,
    ) == (0, 0, "interface")


def test_the_recipe_finds_what_its_patterns_say() -> None:
    found = CATALOG.find(name=RECIPE_PATTERNS)
    expected = [n for n in CATALOG.names() if any(fnmatchcase(n, p) for p in RECIPE_PATTERNS)]
    assert [t.name for t in found] == expected
    assert {row[0] for row in ROWS} <= {t.name for t in found}
    assert len(ROWS) == 26


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_the_recipe_row(row: tuple[str, ...]) -> None:
    name, vcpus, cores, gib = row
    t = CATALOG[name]
    assert (t.default_vcpus, t.default_cores, t.memory_mib) == (
        int(vcpus),
        int(cores),
        int(gib) * 1024,
    )


def test_the_table_has_the_recipe_columns_and_the_network() -> None:
    table = efa.instance_type_table(CATALOG.find(name=RECIPE_PATTERNS))
    head, *body = table.splitlines()
    assert head.split() == ["Instance", "vCPU", "Cores", "Memory", "(GiB)", "EFA", "Cards", "Gbps"]
    cells = {line.split()[0]: line.split()[1:] for line in body}
    assert cells["u7i-12tb.224xlarge"] == ["896", "448", "12288", "1", "1", "100"]
    assert {name: cells[name][:3] for name, *_ in ROWS} == {n: rest for n, *rest in ROWS}
    assert len({len(line) for line in (head, *body)}) == 1, "columns align"
    assert len(efa.instance_type_table([]).splitlines()) == 1, "the head alone"


Condition = tuple[dict[str, Any], Callable[[efa.InstanceType], bool]]
CONDITIONS: list[Condition] = [
    ({"name": "p5*"}, lambda t: t.name.startswith("p5")),
    ({"name": ["p4d.*", "trn?.*"]}, lambda t: t.family in ("p4d", "trn1", "trn2")),
    ({"architecture": "arm64"}, lambda t: "arm64" in t.architectures),
    ({"architecture": "x86_64"}, lambda t: "x86_64" in t.architectures),
    ({"gpu_name": "h?00"}, lambda t: any(g.name in ("H100", "H200") for g in t.gpus)),
    ({"minimum_gpus": 8}, lambda t: sum(g.count for g in t.gpus) >= 8),
    ({"minimum_vcpus": 192}, lambda t: t.default_vcpus >= 192),
    ({"minimum_memory_mib": 1 << 20}, lambda t: t.memory_mib >= 1 << 20),
    ({"minimum_efa_interfaces": 2}, lambda t: t.maximum_efa_interfaces >= 2),
    (
        {"minimum_network_bandwidth_gbps": 400},
        lambda t: (t.network_bandwidth_gbps or 0) >= 400,
    ),
    ({"cluster_placement": False}, lambda t: "cluster" not in t.placement_strategies),
    ({"cluster_placement": True}, lambda t: "cluster" in t.placement_strategies),
    ({"capacity_block": True}, lambda t: "capacity-block" in t.usage_classes),
    ({"spot": False}, lambda t: "spot" not in t.usage_classes),
    ({"bare_metal": True}, lambda t: t.bare_metal),
    (
        {"name": "*8g*", "bare_metal": False, "minimum_vcpus": 192, "spot": True},
        lambda t: "8g" in t.name and not t.bare_metal and t.default_vcpus >= 192,
    ),
]


@pytest.mark.parametrize(("keywords", "holds"), CONDITIONS, ids=[str(c[0]) for c in CONDITIONS])
def test_each_condition(keywords: dict[str, Any], holds: Any) -> None:
    found = [t.name for t in CATALOG.find(**keywords)]
    assert found == [t.name for t in CATALOG if holds(t)]
    assert 0 < len(found) < len(CATALOG)


def test_no_condition_finds_all_and_none_finds_nothing() -> None:
    assert CATALOG.find() == list(CATALOG)
    assert CATALOG.find(name="nosuch*") == []


@pytest.mark.parametrize(
    ("asked", "near"), [("p5.48xlage", "p5.48xlarge"), ("hpc7a.95xlarge", "hpc7a.96xlarge")]
)
def test_an_unknown_type_suggests_near_ones(asked: str, near: str) -> None:
    error = raised(lambda: CATALOG[asked])
    assert isinstance(error, efa.errors.CatalogError)
    assert error.code == "catalog.unknown_instance_type"
    assert error.context["instance_type"] == asked
    assert near in (error.cure or "")
    assert asked not in CATALOG


@pytest.mark.parametrize(
    ("keywords", "code"),
    [
        ({"name": ""}, "catalog.invalid_query"),
        ({"name": ["p5*", " "]}, "catalog.invalid_query"),
        ({"gpu_name": ""}, "catalog.invalid_query"),
        ({"zone": "us-east-1a"}, "catalog.no_offerings"),
    ],
)
def test_refused_queries(keywords: dict[str, Any], code: str) -> None:
    error = raised(lambda: CATALOG.find(**keywords))
    assert isinstance(error, efa.errors.CatalogError)
    assert error.code == code
    assert error.cure


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0])
def test_a_bandwidth_that_is_none_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="must be a finite number of Gbps"):
        CATALOG.find(minimum_network_bandwidth_gbps=value)


def test_conditions_are_keywords_only() -> None:
    with pytest.raises(TypeError):
        CATALOG.find("p5*")  # type: ignore[call-arg]


def test_bundled_knows_no_zones() -> None:
    assert CATALOG.zones("p5.48xlarge") is None
