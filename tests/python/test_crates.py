"""The crates are fit to publish: what crates.io and docs.rs need."""

from __future__ import annotations

from pathlib import Path

import pytest
import tomllib

pytestmark = pytest.mark.unit

HERE = Path(__file__).parents[2]
CRATES = ["efa-core", "efa-fabric"]


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
