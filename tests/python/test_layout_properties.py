"""Layouts of any type, profile and count keep the rules that EC2 refuses launches for."""

from __future__ import annotations

from collections import Counter

import efa_sdk as efa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import check

pytestmark = pytest.mark.unit

CATALOG = efa.Catalog.bundled()
PROFILES = ["save-ips", "ip-bandwidth", "combined", "efa-only-secondary"]
PUBLIC_IP = ["none", "lone-efa", "elastic-ip"]

types = st.sampled_from(list(CATALOG))
counts = st.none() | st.integers(0, 40)


def check_rules(t: efa.InstanceType, layout: efa.Layout) -> None:
    cards = {card.network_card_index: card for card in t.network_cards}
    slots = [(i.network_card_index, i.device_index) for i in layout.interfaces]
    assert slots == sorted(set(slots)), "sorted, no slot twice"
    assert slots[0] == (0, 0)
    assert layout.interfaces[0].interface_type != "efa-only"
    efa_on = Counter(
        i.network_card_index for i in layout.interfaces if i.interface_type.startswith("efa")
    )
    assert set(efa_on.values()) <= {1}, "one EFA per card"
    assert efa_on.total() == layout.efa_count <= t.maximum_efa_interfaces
    for i in layout.interfaces:
        card = cards[i.network_card_index]
        assert i.device_index < card.maximum_network_interfaces
        assert card.interface_types is None or i.interface_type in card.interface_types
        if i.interface_type == "efa-only":
            assert i.associate_public_ip_address is None
        if i.associate_public_ip_address:
            assert len(layout) == 1
    assert layout.ip_count == sum(i.interface_type != "efa-only" for i in layout.interfaces)
    assert len(layout) == len(layout.interfaces) <= t.maximum_network_interfaces


@settings(max_examples=400, deadline=None)
@given(
    t=types, profile=st.sampled_from(PROFILES), wanted=counts, public_ip=st.sampled_from(PUBLIC_IP)
)
def test_a_layout_or_a_typed_refusal(
    t: efa.InstanceType, profile: str, wanted: int | None, public_ip: str
) -> None:
    try:
        layout = t.layout(profile=profile, efa=wanted, public_ip=public_ip)
    except efa.errors.LayoutError as error:
        check(error, "layout.", instance_type=t.name)
        refused = True
    else:
        refused = False
    if refused:
        simple = wanted is None and profile in ("save-ips", "ip-bandwidth")
        assert not simple or public_ip == "lone-efa", "all EFA is always possible"
        return
    check_rules(t, layout)
    if wanted is not None:
        assert layout.efa_count == wanted
    elif public_ip != "lone-efa" and not t.name.startswith("p6e-gb"):
        assert layout.efa_count == t.maximum_efa_interfaces
    assert layout.public_ip == public_ip
    assert efa.Layout.from_json(layout.to_json()) == layout
    assert efa.Layout.from_interfaces(t, layout.interfaces).interfaces == layout.interfaces


@pytest.mark.parametrize("profile", PROFILES)
def test_every_type_with_each_profile(profile: str) -> None:
    refused = []
    for t in CATALOG:
        try:
            layout = t.layout(profile=profile)
        except efa.errors.LayoutError as error:
            check(error, "layout.profile_not_possible", instance_type=t.name)
            refused.append(t.name)
            continue
        check_rules(t, layout)
        assert len(layout.notation) <= 256, "fits the value of a tag"
    impossible = {
        "combined": ["p6e-gb200.36xlarge"],
        "efa-only-secondary": ["p6-b300.48xlarge", "p6e-gb200.36xlarge"],
    }
    assert refused == impossible.get(profile, [])


interfaces = st.lists(
    st.builds(
        efa.NetworkInterface,
        st.integers(0, 33),
        st.integers(0, 5),
        st.sampled_from(["interface", "efa", "efa-only", "other"]),
        associate_public_ip_address=st.sampled_from([None, False, True]),
        ipv4_address_count=st.sampled_from([None, None, 0, 3]),
        ipv4_prefix_count=st.sampled_from([None, None, 0, 1]),
    ),
    max_size=6,
)


@settings(max_examples=300, deadline=None)
@given(t=types, own=interfaces)
def test_own_interfaces_are_a_layout_or_refused(
    t: efa.InstanceType, own: list[efa.NetworkInterface]
) -> None:
    try:
        layout = efa.Layout.from_interfaces(t, own)
    except efa.errors.LayoutError as error:
        check(error, "layout.")
        return
    check_rules(t, layout)
    assert sorted(map(repr, layout.interfaces)) == sorted(map(repr, own))


@pytest.mark.parametrize("value", [-1, 1 << 32, 1 << 70])
def test_counts_that_no_machine_word_holds_are_refused_as_python_does(value: int) -> None:
    with pytest.raises(efa.EfaError):
        CATALOG["p5.48xlarge"].layout(efa=value)


@pytest.mark.parametrize("value", ["4", 1.5, object()])
def test_counts_that_are_no_integers(value: object) -> None:
    with pytest.raises(TypeError):
        CATALOG["p5.48xlarge"].layout(efa=value)  # type: ignore[arg-type]
