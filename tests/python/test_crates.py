"""The crates are fit to publish: what crates.io and docs.rs need, and structs that can grow."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import tomllib

pytestmark = pytest.mark.unit

HERE = Path(__file__).parents[2]
CRATES = ["efa-core", "efa-fabric"]

#: Structs that callers write in full on purpose. Answers of AWS: whoever implements a trait of
#: `efa_core::services` makes them, and the compiler names a field that is new. The others are
#: complete as they are.
COMPLETE = {
    "account": {"CallerIdentity"},
    "ec2": {"Offering"},
    "capacity": {"CapacityBlockOffering", "CapacityReservation"},
    "instance": {"AttachedInterface", "Image", "Instance", "InstanceTopology", "PlacementGroup"},
    "network": {
        *("Address", "FreeInterface", "RouteTable", "Rule", "SecurityGroup", "Subnet", "Vpc"),
        "VpcEndpoint",
    },
    "iam": {"CreateRole", "InstanceProfile", "Role"},
    "ssm": {"CommandInvocation"},
    "library": {"Version"},
    "rank": {"Rendezvous"},
    "statistics": {"Cell"},
}
STRUCT = re.compile(
    r"((?:^[ ]*(?:#\[|///)[^\n]*\n)*)^([ ]*)pub struct (\w+)(?:<[^>]*>)? \{\n(.*?)^\2\}",
    re.MULTILINE | re.DOTALL,
)


@pytest.mark.parametrize("crate", CRATES)
def test_a_crate_has_what_an_index_shows(crate: str) -> None:
    workspace = tomllib.loads((HERE / "Cargo.toml").read_text())["workspace"]["package"]
    package = tomllib.loads((HERE / crate / "Cargo.toml").read_text())["package"]
    assert package["description"]
    assert (HERE / crate / package["readme"]).read_text().startswith(f"# {crate}\n")
    assert (HERE / crate / "LICENSE").read_bytes() == (HERE / "LICENSE").read_bytes()
    for name in ("version", "license", "keywords", "rust-version"):
        assert package[name] == {"workspace": True}
    assert 0 < len(workspace["keywords"]) <= 5, "crates.io takes five"
    assert 0 < len(package["categories"]) <= 5
    assert "--cfg" in package["metadata"]["docs"]["rs"]["rustdoc-args"]
    assert "#![cfg_attr(docsrs, feature(doc_cfg))]" in (HERE / crate / "src/lib.rs").read_text()
    assert list((HERE / crate / "examples").glob("*.rs"))


@pytest.mark.parametrize("crate", CRATES)
def test_no_crate_names_an_address_that_is_nobodys(crate: str) -> None:
    package = tomllib.loads((HERE / crate / "Cargo.toml").read_text())["package"]
    assert not {"repository", "homepage", "documentation"} & set(package)


def exhaustive(crate: str) -> dict[str, set[str]]:
    """Public structs whose fields are all public, and that are not `#[non_exhaustive]`."""
    found: dict[str, set[str]] = {}
    for file in sorted((HERE / crate / "src").rglob("*.rs")):
        for attributes, _, name, body in STRUCT.findall(file.read_text()):
            fields = re.findall(r"^\s*(pub )?\w+:", body, re.MULTILINE)
            if fields and all(fields) and "non_exhaustive" not in attributes:
                found.setdefault(file.stem, set()).add(name)
    return found


def test_structs_can_grow() -> None:
    found = {**exhaustive("efa-core"), **exhaustive("efa-fabric")}
    assert found == COMPLETE, "#[non_exhaustive] and `new` or Default, or a reason to be complete"
