"""Values from JSON that someone changed: refused, or shown without a panic in bounded memory."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import efa_sdk as efa
import pytest
from efa_sdk import errors, fabric, nccl, survey

pytestmark = pytest.mark.unit


def surveyed() -> survey.SurveyReport:
    plan = survey.SurveyPlan([survey.SurveyNode(f"n{i}") for i in range(6)], "efa")
    while (pairs := plan.next()) is not None:
        for pair in pairs:
            gbps = 50.0 if 4 in pair else 100.0
            sight = survey.PairSight.measured(20.0, gbps, gbps)
            plan.record(pair, sight, sight)
    return plan.report()


VALUES: dict[str, Any] = {
    type(value).__name__: value
    for value in (
        efa.Catalog.bundled()["p5.48xlarge"],
        efa.Catalog.bundled()["trn2.48xlarge"].neuron_devices[0],
        surveyed(),
        surveyed().summaries()[0],
        survey.SurveyOptions(),
        survey.PairOptions("tcp"),
        survey.SurveyNode("a"),
        fabric.ProbeOptions("tcp"),
        nccl.read_log("node1:1:1 [0] NCCL INFO NET/OFI Selected Provider is efa\n"),
    )
}
Path = list[str | int]


def places(node: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    if path:
        yield path, node
    if isinstance(node, dict):
        for key, value in node.items():
            yield from places(value, [*path, key])
    elif isinstance(node, list):
        for index, value in enumerate(node[:3]):
            yield from places(value, [*path, index])


def others(node: Any) -> list[Any]:
    if isinstance(node, bool):
        return [not node]
    if isinstance(node, (int, float)):
        return [2**31, 2**63, -1, 0, 1e308]
    if isinstance(node, str):
        return ["", "x" * 300, "\x1b[31m"]
    if isinstance(node, list):
        return [[], node[::-1], node * 3]
    return [{}, 2**31, "x", []]


def changed(whole: Any) -> Iterator[tuple[str, Any]]:
    """The document with one place changed, for each place and change."""
    for path, node in list(places(whole, [])):
        for other in others(node):
            document = copy.deepcopy(whole)
            parent = document
            for step in path[:-1]:
                parent = parent[step]
            parent[path[-1]] = other
            yield f"{path} = {str(other)[:40]}", document


def show(value: Any) -> None:
    for name, attribute in vars(type(value)).items():
        if type(attribute).__name__ == "getset_descriptor":
            getattr(value, name)
    for method in ("__repr__", "__str__", "_repr_html_", "to_html", "to_svg", "to_json"):
        if hasattr(value, method):
            getattr(value, method)()


@pytest.mark.parametrize("name", VALUES)
def test_a_changed_value_is_refused_or_can_be_shown(name: str) -> None:
    whole = json.loads(VALUES[name].to_json())
    refused = 0
    for what, document in changed(whole):
        try:
            value = type(VALUES[name]).from_json(json.dumps(document))
        except (ValueError, errors.EfaError):
            refused += 1
            continue
        try:
            show(value)
        except (ValueError, errors.EfaError):
            pass
        except BaseException as panic:  # a panic of Rust is no Exception
            pytest.fail(f"{what}: {panic!r}")
    assert refused > 0


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("observations", "nodes"), 2**31, "at most 65536 nodes"),
        (("observations", "nodes"), 7, "names 6 nodes and has observations of 7"),
        (("conclusion", "drain"), [6], "names node 6 of 6"),
        (("silent",), [99], "names node 99 of 6"),
    ],
)
def test_a_report_speaks_only_of_its_own_nodes(path: Path, value: Any, said: str) -> None:
    document = json.loads(VALUES["SurveyReport"].to_json())
    parent = document
    for step in path[:-1]:
        parent = parent[step]
    parent[path[-1]] = value
    with pytest.raises(ValueError, match=said):
        survey.SurveyReport.from_json(json.dumps(document))


def test_cards_of_an_instance_type_are_put_in_order() -> None:
    p5 = VALUES["InstanceType"]
    document = json.loads(p5.to_json())
    document["network_cards"].reverse()
    assert efa.InstanceType.from_json(json.dumps(document)) == p5
    document["network_cards"].append(document["network_cards"][0])
    with pytest.raises(ValueError, match="is listed twice"):
        efa.InstanceType.from_json(json.dumps(document))


def test_what_drives_a_terminal_is_shown_and_not_sent() -> None:
    document = json.loads(VALUES["SurveyReport"].to_json())
    for node in document["nodes"]:
        node["name"] += "\x1b[2J\u202e"
    text = str(survey.SurveyReport.from_json(json.dumps(document)))
    assert "n4\\u{1b}[2J\\u{202e}" in text
    assert not {"\x1b", "\u202e"} & set(text)
