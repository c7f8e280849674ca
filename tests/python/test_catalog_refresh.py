"""tools/generate_catalog.py --from: a saved answer of EC2 refreshes the bundled catalog."""

from __future__ import annotations

import copy
import gzip
import importlib
import importlib.resources
import json
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))
catalog_answer = importlib.import_module("catalog_answer")
generate_catalog = importlib.import_module("generate_catalog")
DATE = "2026-11-30"


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    packed = importlib.resources.files("moto") / "ec2/resources/instance_types.json.gz"
    types = json.loads(gzip.decompress(packed.read_bytes()))
    return {name: types[name] for name in ("p5.48xlarge", "i7i.24xlarge", "t3.micro")}


class Desk:
    """A copy of the two files, and the report of an answer."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.answer = folder / "answer.json"
        self.files = {}
        for name in ("SNAPSHOT", "WITHOUT_EFA"):
            path: Path = getattr(generate_catalog, name)
            self.files[name] = folder / path.name
            self.files[name].write_text(path.read_text())
            monkeypatch.setattr(generate_catalog, name, self.files[name])

    def refresh(self, *types: dict[str, Any]) -> str:
        self.answer.write_text(json.dumps({"InstanceTypes": types}))
        files, report = generate_catalog.refreshed(self.answer, DATE)
        for path, text in files.items():
            path.write_text(text)
        assert isinstance(report, str)
        return report

    def rows(self) -> dict[str, Any]:
        _, *rows = map(json.loads, self.files["SNAPSHOT"].read_text().splitlines())
        return {row["name"]: row for row in rows}

    def without_efa(self) -> set[str]:
        return set(catalog_answer.Bundled.read(*self.files.values()).without_efa)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    return Desk(tmp_path, monkeypatch)


def test_the_same_answer_changes_nothing(desk: Desk, described: dict[str, Any]) -> None:
    rows, without = desk.rows(), desk.without_efa()
    report = desk.refresh(*described.values())
    assert report.splitlines() == [
        "3 types in the answer, 303 with EFA afterwards",
        "nothing changes",
        "",
        "to decide: nothing",
    ]
    assert (desk.rows(), desk.without_efa()) == (rows, without)


def test_the_header_has_the_date_and_both_sources(desk: Desk, described: dict[str, Any]) -> None:
    assert catalog_answer.is_from_moto(desk.files["SNAPSHOT"])
    for _ in range(2):  # a second refresh names the first source, not itself
        desk.refresh(described["p5.48xlarge"])
    header = json.loads(desk.files["SNAPSHOT"].read_text().splitlines()[0])
    assert header["date"] == DATE
    assert header["types"] == 303
    assert header["source"].startswith(f"DescribeInstanceTypes saved on {DATE}, over moto 5.2.5,")
    assert header["source"].count(", over ") == 1
    assert DATE in desk.files["WITHOUT_EFA"].read_text().splitlines()[0]
    assert not catalog_answer.is_from_moto(desk.files["SNAPSHOT"])


def test_new_changed_and_lost_rows_are_named(desk: Desk, described: dict[str, Any]) -> None:
    new = copy.deepcopy(described["p5.48xlarge"])
    new["InstanceType"] = "p9.48xlarge"
    changed = copy.deepcopy(described["i7i.24xlarge"])
    changed["VCpuInfo"]["DefaultVCpus"] = 97
    lost = copy.deepcopy(described["p5.48xlarge"])
    lost["NetworkInfo"]["EfaSupported"] = False
    plain = copy.deepcopy(described["t3.micro"])
    plain["InstanceType"] = "t9.micro"
    gained = copy.deepcopy(described["i7i.24xlarge"])
    gained["InstanceType"] = "t3.micro"
    report = desk.refresh(new, changed, lost, plain, gained)
    assert "~ i7i.24xlarge: vcpus 96 -> 97" in report
    assert "- p5.48xlarge: has no EFA any more" in report
    assert "+ p9.48xlarge: new; 32 EFA, 32 x 100 Gigabit interface/efa/efa-only" in report
    assert "+ t3.micro: had no EFA; 1 EFA" in report
    assert "1 new types without EFA: t9.micro" in report
    assert "! family p9: RDMA support is not in efa-core/src/catalog/rdma.rs" in report
    assert {"p9.48xlarge", "t3.micro"} <= set(desk.rows())
    assert {"p5.48xlarge", "t9.micro"} <= desk.without_efa()
    assert "t3.micro" not in desk.without_efa()
    assert list(desk.rows()) == sorted(desk.rows(), key=generate_catalog.natural)


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("InterfaceTypes", ["efa-ultra"], "interface type 'efa-ultra' has no rule"),
        ("InterfaceTypes", None, "EC2 does not report which interface types it takes"),
        ("PeakBandwidthInGbps", None, "no rate ('100 Gigabit')"),
        ("MaximumWormholes", 1, "MaximumWormholes is a key that nobody has looked at"),
    ],
)
def test_cards_that_need_a_decision(
    desk: Desk, described: dict[str, Any], key: str, value: object, expected: str
) -> None:
    data = copy.deepcopy(described["p5.48xlarge"])
    data["NetworkInfo"]["NetworkCards"][3][key] = value
    assert f"! p5.48xlarge card 3: {expected}" in desk.refresh(data)


def test_words_and_counts_that_need_a_decision(desk: Desk, described: dict[str, Any]) -> None:
    data = copy.deepcopy(described["p5.48xlarge"])
    data["PlacementGroupInfo"]["SupportedStrategies"].append("rack")
    data["NetworkInfo"]["EfaInfo"]["MaximumEfaInterfaces"] = 16
    report = desk.refresh(data)
    assert "! p5.48xlarge: placement has 'rack'" in report
    assert "! p5.48xlarge: 16 EFA on 32 cards that take EFA" in report


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{", "Expecting property name"),
        ("[]", "has no types"),
        ('{"Reservations": []}', "has no list InstanceTypes"),
        ('{"InstanceTypes": [], "NextToken": "x"}', "one page of several"),
        ('{"InstanceTypes": [{"InstanceType": "a.b"}]}', "without NetworkInfo"),
        (
            '{"InstanceTypes": [{"InstanceType": "a.b", "NetworkInfo": {"EfaSupported": true}}]}',
            "a.b has no 'VCpuInfo'",
        ),
    ],
)
def test_what_is_no_answer_is_refused(desk: Desk, text: str, expected: str) -> None:
    desk.answer.write_text(text)
    with pytest.raises(catalog_answer.AnswerError, match=expected):
        generate_catalog.refreshed(desk.answer, DATE)


def test_a_file_that_is_not_there_is_refused(desk: Desk) -> None:
    with pytest.raises(catalog_answer.AnswerError, match="No such file"):
        generate_catalog.refreshed(desk.answer, DATE)
