"""The live catalog over HTTP: equal to the bundled snapshot, read in pages, with zones."""

from __future__ import annotations

import json
from typing import Any

import efa_sdk as efa
import pytest
from support import Cloud, raised


def facts(t: efa.InstanceType) -> dict[str, Any]:
    """Everything about a type but where it was read."""
    row: dict[str, Any] = json.loads(t.to_json())
    del row["origin"]
    return row


@pytest.fixture
def live(cloud: Cloud) -> efa.Catalog:
    return cloud.client.catalog()


def test_live_equals_the_snapshot_field_by_field(live: efa.Catalog) -> None:
    snapshot = {t.name: facts(t) for t in efa.Catalog.bundled() if t.origin == "snapshot"}
    assert len(snapshot) == 303
    assert [t.name for t in live] == list(snapshot)
    different = {
        t.name: {
            k: (v, snapshot[t.name][k]) for k, v in facts(t).items() if v != snapshot[t.name][k]
        }
        for t in live
        if facts(t) != snapshot[t.name]
    }
    assert different == {}
    assert {t.origin for t in live} == {"live"}


def test_live_reads_pages_of_at_most_100(cloud: Cloud, live: efa.Catalog) -> None:
    pages = cloud.sent("DescribeInstanceTypes")
    assert all(int(page["MaxResults"]) <= 100 for page in pages)
    assert ["NextToken" in page for page in pages] == [False] + [True] * (len(pages) - 1)
    assert len(pages) >= 4, "303 types do not fit in fewer"
    for page in pages:
        assert page["Filter.1.Name"] == "network-info.efa-supported"
        assert page["Filter.1.Value.1"] == "true"
    assert cloud.changes() == []


def test_live_knows_the_zones(cloud: Cloud, live: efa.Catalog) -> None:
    offered: dict[str, set[str]] = {}
    pages = cloud.ec2.get_paginator("describe_instance_type_offerings").paginate(
        LocationType="availability-zone"
    )
    for page in pages:
        for offering in page["InstanceTypeOfferings"]:
            offered.setdefault(offering["InstanceType"], set()).add(offering["Location"])
    assert {t.name: live.zones(t.name) for t in live} == {
        t.name: sorted(offered.get(t.name, ())) for t in live
    }
    for zone in ("us-east-1a", "us-east-1e"):
        found = [t.name for t in live.find(zone=zone, minimum_efa_interfaces=2)]
        expected = [
            t.name
            for t in live
            if t.maximum_efa_interfaces >= 2 and zone in offered.get(t.name, ())
        ]
        assert found == expected
    assert live.find(zone="us-east-1a")
    assert live.find(zone="eu-west-9z") == []
    assert live.zones("t3.micro") is None, "only those of its own types are asked for"


def test_live_asks_for_the_zones_of_its_own_types(cloud: Cloud, live: efa.Catalog) -> None:
    """As many types a call as a filter takes, in a quarter of the bytes of all offerings."""
    calls = cloud.sent("DescribeInstanceTypeOfferings")
    named = []
    for call in calls:
        values = [value for key, value in call.items() if key.startswith("Filter.1.Value.")]
        assert call["Filter.1.Name"] == "instance-type"
        assert len(values) <= 200
        named += values if "NextToken" not in call else []
    assert sorted(named) == sorted(t.name for t in live)
    assert len(calls) == 2, "all offerings are 7 pages"
    answers = [r for r in cloud.stand_in.requests if r.action == "DescribeInstanceTypeOfferings"]
    assert sum(answer.answer_bytes for answer in answers) < 200_000, "all are 840 kB"


def test_live_describes_itself(live: efa.Catalog) -> None:
    assert live.source["source"] == "DescribeInstanceTypes"
    assert live.source["script"] is None
    assert live != efa.Catalog.bundled()
    assert raised(lambda: live["t3.micro"]).code == "catalog.unknown_instance_type"


def test_a_layout_of_a_live_type_is_the_bundled_one(live: efa.Catalog) -> None:
    bundled = efa.Catalog.bundled()
    for name in ("p5.48xlarge", "hpc6id.32xlarge", "p6-b300.48xlarge", "i7ie.48xlarge"):
        assert live[name].layout() == bundled[name].layout()
