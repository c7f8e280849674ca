"""Layouts: golden vectors, profiles, public addresses, refusals, the caller's own interfaces."""

from __future__ import annotations

import pickle
from typing import Any

import efa_sdk as efa
import pytest
from support import raised

pytestmark = pytest.mark.unit

CATALOG = efa.Catalog.bundled()
NI = efa.NetworkInterface


def counts(layout: efa.Layout) -> tuple[int, int, int]:
    return (len(layout), layout.efa_count, layout.ip_count)


# Origin: EC2 User Guide, page efa-acc-inst-types, and the interface types of the API's cards:
# type, notation of save-ips, (interfaces, EFA, IP) of save-ips and of ip-bandwidth.
GOLDEN = [
    ("c5n.18xlarge", "0:0=interface 0:1=efa-only", (2, 1, 1), (2, 1, 1)),
    ("hpc6id.32xlarge", "0:0=efa 1:0=efa-only", (2, 2, 1), (2, 2, 1)),
    ("i7ie.48xlarge", "0:0=interface 0:1=efa-only", (2, 1, 1), (3, 1, 2)),
    ("hpc7a.96xlarge", "0:0=interface 0:1=efa-only 1:0=efa-only", (3, 2, 1), (4, 2, 2)),
    ("p4d.24xlarge", "0:0=interface 0:1=efa-only 1-3:0=efa-only", (5, 4, 1), (8, 4, 4)),
    ("p5.48xlarge", "0:0=interface 0:1=efa-only 1-31:0=efa-only", (33, 32, 1), (40, 32, 8)),
    ("p5en.48xlarge", "0:0=interface 0:1=efa-only 1-15:0=efa-only", (17, 16, 1), (32, 16, 16)),
    ("trn2.48xlarge", "0:0=interface 0:1=efa-only 1-15:0=efa-only", (17, 16, 1), (32, 16, 16)),
    ("p6-b200.48xlarge", "0:0=interface 0:1=efa-only 1-7:0=efa-only", (9, 8, 1), (16, 8, 8)),
    ("p6-b300.48xlarge", "0:0=interface 1-16:0=efa-only", (17, 16, 1), (33, 16, 17)),
]


@pytest.mark.parametrize(
    ("name", "notation", "saving", "wide"), GOLDEN, ids=[row[0] for row in GOLDEN]
)
def test_golden_vectors(
    name: str, notation: str, saving: tuple[int, ...], wide: tuple[int, ...]
) -> None:
    layout = CATALOG[name].layout()
    assert layout == CATALOG[name].layout(profile="save-ips")
    assert layout.notation == notation
    assert counts(layout) == saving
    assert counts(CATALOG[name].layout(profile="ip-bandwidth")) == wide
    assert (layout.instance_type, layout.profile, layout.public_ip) == (name, "save-ips", "none")
    assert [i.associate_public_ip_address for i in layout.interfaces] == [
        None if i.interface_type == "efa-only" else False for i in layout.interfaces
    ]


def test_gb200_uses_the_four_cards_that_carry_it_all() -> None:
    layout = CATALOG["p6e-gb200.36xlarge"].layout()
    assert [
        (i.network_card_index, i.device_index, i.interface_type) for i in layout.interfaces
    ] == [
        (0, 0, "interface"),
        *((card, 0, "efa-only") for card in (1, 5, 9, 13)),
    ]
    assert counts(layout) == (5, 4, 1)
    assert any("1600 Gbps" in note for note in layout.notes)


def test_p5_ip_bandwidth_uses_every_fourth_card() -> None:
    layout = CATALOG["p5.48xlarge"].layout(profile="ip-bandwidth")
    on = [i.network_card_index for i in layout.interfaces if i.interface_type == "interface"]
    assert on == [0, 4, 8, 12, 16, 20, 24, 28]
    assert any("8 private IPv4 addresses" in note for note in layout.notes)


@pytest.mark.parametrize(
    ("name", "profile", "notation"),
    [
        ("p5.48xlarge", "combined", "0:0=efa 1-31:1=efa"),
        ("p5.48xlarge", "efa-only-secondary", "0:0=efa 1-31:1=efa-only"),
        ("hpc6id.32xlarge", "combined", "0-1:0=efa"),
        ("hpc6id.32xlarge", "efa-only-secondary", "0:0=efa 1:0=efa-only"),
        ("c5n.18xlarge", "combined", "0:0=efa"),
        ("p6-b300.48xlarge", "combined", "0:0=interface 1-16:1=efa"),
    ],
)
def test_the_layouts_of_existing_recipes(name: str, profile: str, notation: str) -> None:
    assert CATALOG[name].layout(profile=profile).notation == notation


@pytest.mark.parametrize(
    ("efa_count", "notation"),
    [
        (1, "0:0=interface 0:1=efa-only"),
        (4, "0:0=interface 0:1=efa-only 1-3:0=efa-only"),
        (32, "0:0=interface 0:1=efa-only 1-31:0=efa-only"),
    ],
)
def test_part_of_the_efa(efa_count: int, notation: str) -> None:
    layout = CATALOG["p5.48xlarge"].layout(efa=efa_count)
    assert (layout.notation, layout.efa_count) == (notation, efa_count)
    partial = [note for note in layout.notes if f"{efa_count} of 32" in note]
    assert bool(partial) == (efa_count < 32), "a part is stated"


def test_public_ip_choices_and_their_consequences() -> None:
    c5n, p5 = CATALOG["c5n.18xlarge"], CATALOG["p5.48xlarge"]
    lone = c5n.layout(public_ip="lone-efa")
    assert (lone.notation, counts(lone)) == ("0:0=efa+public-ip", (1, 1, 1))
    assert lone.interfaces[0].associate_public_ip_address is True
    later = p5.layout(public_ip="elastic-ip")
    assert later.interfaces == p5.layout().interfaces, "the launch itself is the same"
    assert any("Elastic IP" in note for note in later.notes)
    chosen = p5.layout(public_ip="lone-efa", efa=1)
    assert counts(chosen) == (1, 1, 1)
    assert any("1 of 32" in note for note in chosen.notes)


REFUSALS: list[tuple[str, dict[str, Any], str, dict[str, str]]] = [
    ("p5.48xlarge", {"efa": 0}, "layout.efa_count_out_of_range", {"value": "0", "limit": "32"}),
    ("p5.48xlarge", {"efa": 33}, "layout.efa_count_out_of_range", {"value": "33", "limit": "32"}),
    ("c5n.18xlarge", {"efa": 2}, "layout.efa_count_out_of_range", {"limit": "1"}),
    ("p5.48xlarge", {"profile": "fast"}, "layout.unknown_profile", {"value": "fast"}),
    ("p5.48xlarge", {"public_ip": "yes"}, "layout.unknown_public_ip", {"value": "yes"}),
    (
        "p5.48xlarge",
        {"public_ip": "lone-efa"},
        "layout.public_ip_not_possible",
        {"network_card_index": "0", "limit": "32"},
    ),
    ("p6-b300.48xlarge", {"public_ip": "lone-efa", "efa": 1}, "layout.public_ip_not_possible", {}),
    (
        "p6-b300.48xlarge",
        {"profile": "efa-only-secondary"},
        "layout.profile_not_possible",
        {"network_card_index": "0", "value": "efa-only-secondary"},
    ),
    ("p6e-gb200.36xlarge", {"profile": "combined"}, "layout.profile_not_possible", {}),
]


@pytest.mark.parametrize(("name", "keywords", "code", "context"), REFUSALS)
def test_refusals(name: str, keywords: dict[str, Any], code: str, context: dict[str, str]) -> None:
    error = raised(lambda: CATALOG[name].layout(**keywords))
    assert isinstance(error, efa.errors.LayoutError)
    assert error.code == code
    assert error.cure
    assert str(error) == f"{error.message}; {error.cure}"
    assert context.items() <= error.context.items()
    if "not_possible" in code or "count" in code:
        assert error.context["instance_type"] == name
    assert not error.may_have_changed_aws


# type, interfaces, the code of the first rule that EC2 would refuse them for, card and device
OWN_REFUSED: list[tuple[str, list[efa.NetworkInterface], str, tuple[str, str] | None]] = [
    ("p5.48xlarge", [], "layout.primary_missing", None),
    ("p5.48xlarge", [NI(1, 0, "efa")], "layout.primary_missing", None),
    ("p5.48xlarge", [NI(0, 0, "efa-only")], "layout.primary_efa_only", ("0", "0")),
    (
        "c5n.18xlarge",
        [NI(0, 0, "efa"), NI(1, 0, "efa-only")],
        "layout.unknown_network_card",
        ("1", "0"),
    ),
    # The rule of several tools, device 1 on every further card, fails here.
    (
        "hpc6id.32xlarge",
        [NI(0, 0, "efa"), NI(1, 1, "efa-only")],
        "layout.device_index_out_of_range",
        ("1", "1"),
    ),
    ("p5.48xlarge", [NI(0, 0, "efa")] * 2, "layout.duplicate_interface", ("0", "0")),
    ("p6-b300.48xlarge", [NI(0, 0, "efa")], "layout.interface_type_not_accepted", ("0", "0")),
    ("p5.48xlarge", [NI(0, 0, "magic")], "layout.interface_type_not_accepted", ("0", "0")),
    (
        "p5.48xlarge",
        [NI(0, 0, "interface"), NI(1, 0, "efa"), NI(1, 1, "efa-only")],
        "layout.several_efa_per_card",
        None,
    ),
    ("i7ie.48xlarge", [NI(0, 0, "efa"), NI(1, 0, "efa-only")], "layout.too_many_efa", None),
    (
        "p5.48xlarge",
        [NI(0, 0, "interface"), NI(1, 0, "efa-only", associate_public_ip_address=True)],
        "layout.efa_only_with_ip",
        ("1", "0"),
    ),
    (
        "p5.48xlarge",
        [NI(0, 0, "interface"), NI(1, 0, "efa-only", ipv4_prefix_count=1)],
        "layout.efa_only_with_ip",
        ("1", "0"),
    ),
    (
        "p5.48xlarge",
        [NI(0, 0, "interface", associate_public_ip_address=True), NI(0, 1, "efa-only")],
        "layout.public_ip_with_several_interfaces",
        ("0", "0"),
    ),
]


@pytest.mark.parametrize(("name", "interfaces", "code", "at"), OWN_REFUSED)
def test_own_interfaces_meet_the_same_rules(
    name: str, interfaces: list[efa.NetworkInterface], code: str, at: tuple[str, str] | None
) -> None:
    error = raised(lambda: efa.Layout.from_interfaces(CATALOG[name], interfaces))
    assert isinstance(error, efa.errors.LayoutError)
    assert code in (error.code, *error.context.get("further_codes", "").split())
    assert error.code == code
    assert error.cure
    assert error.context["instance_type"] == name
    if at is not None:
        assert (error.context["network_card_index"], error.context["device_index"]) == at


def test_own_interfaces_in_any_order() -> None:
    p5 = CATALOG["p5.48xlarge"]
    planned = p5.layout()
    own = efa.Layout.from_interfaces(p5, planned.interfaces[::-1])
    assert own.interfaces == planned.interfaces
    assert own.profile is None
    assert "user-supplied" in str(own)
    assert own != planned


def test_drawings() -> None:
    layout = CATALOG["p5.48xlarge"].layout()
    assert str(layout) == "p5.48xlarge save-ips: 33 interfaces, 32 EFA, 1 IP"
    assert layout.draw().splitlines()[2:] == [
        "network cards  device 0     device 1",
        "0              [interface]  [efa-only]",
        "1-31           [efa-only]   .",
    ]
    html = layout._repr_html_()
    assert "<table" in html
    assert "<script" not in html
    assert html.count('<img style="max-width:100%" alt="p5.48xlarge save-ips') == 1
    assert layout.to_svg().count('class="box"') == 32


def test_html_is_escaped() -> None:
    evil = "<img src=x onerror=alert(1)>&\"'"
    layout = CATALOG["c5n.18xlarge"].layout(public_ip="elastic-ip")
    text = layout.to_json().replace("c5n.18xlarge", evil.replace('"', '\\"'))
    html = efa.Layout.from_json(text)._repr_html_()
    assert "<img src=x" not in html
    assert "&lt;img src=x onerror=alert(1)&gt;&amp;&quot;&#39;" in html


def test_equality_hash_and_pickle() -> None:
    p5 = CATALOG["p5.48xlarge"]
    layout = p5.layout()
    assert layout == p5.layout()
    assert hash(layout) == hash(p5.layout())
    assert layout != p5.layout(profile="combined")
    assert len({layout, p5.layout(), p5.layout(efa=4)}) == 2
    assert pickle.loads(pickle.dumps(layout)) == layout
    assert NI(0, 0, "efa") == NI(0, 0, "efa", associate_public_ip_address=False)
    assert repr(NI(1, 0, "efa-only")) == "NetworkInterface(1, 0, 'efa-only')"
