"""The page of the Rust crates: public modules, with links to rustdoc's pages, which are copied.

`make docs` builds those first. A missing page is a warning, which `--strict` makes an error.
"""

from __future__ import annotations

import logging
import pathlib
import re
import shutil
from typing import Any

LOG = logging.getLogger("mkdocs.hooks.rust")
ROOT = pathlib.Path(__file__).resolve().parents[1]
#: Where `cargo doc` leaves its pages, and where the site has them.
BUILT = ROOT / "target/doc"
PLACE = "rust"
CRATE = re.compile(r"^<!-- modules of ([\w-]+) -->$", re.MULTILINE)
#: A module that only some features have.
GATE = re.compile(r"#\[cfg\(.*feature")
MODULE = re.compile(r"((?:^#\[.*\]\n)*)^pub mod (\w+);", re.MULTILINE)
#: A name that rustdoc links: [`Name`], [`Name`](path) or [text](path).
LINK = re.compile(r"\[([^\]]+)\](?:\([^)]*\))?")
#: A row of the map in lib.rs: a module, and what it holds.
ROW = re.compile(r"^//! \| \[?`(\w+)`\]? \| (.*) \|$", re.MULTILINE)


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    up = "../" * page.url.count("/")
    return CRATE.sub(lambda found: modules(found[1], f"{up}{PLACE}"), markdown)


def on_post_build(config: Any, **_: Any) -> None:
    place = pathlib.Path(config["site_dir"]) / PLACE
    if BUILT.exists():
        shutil.copytree(BUILT, place, ignore=shutil.ignore_patterns(".*"), dirs_exist_ok=True)


def modules(crate: str, place: str) -> str:
    """A table of the public modules of a crate, described as in lib.rs, else as in the module."""
    sources, name = ROOT / crate / "src", crate.replace("-", "_")
    library = (sources / "lib.rs").read_text()
    known = dict(ROW.findall(library))
    rows = ["| module | contents |", "|---|---|"]
    for attributes, module in MODULE.findall(library):
        if "doc(hidden)" in attributes:
            continue
        contents = known.get(module) or sentence((sources / f"{module}.rs").read_text())
        contents = LINK.sub(r"\1", contents)
        page = f"{name}/{module}/index.html"
        gated = bool(GATE.search(attributes)) and not (BUILT / page).exists()
        shown = f"`{module}`" if gated else link(page, module, place)
        rows.append(f"| {shown} | {contents} |")
    all_names = link(f"{name}/all.html", f"every name of {name}", place)
    return "\n".join([*rows, "", f"{link(f'{name}/index.html', name, place)}, {all_names}"])


def link(path: str, text: str, place: str) -> str:
    """To a page of rustdoc, which must exist."""
    if not (BUILT / path).exists():
        LOG.warning(
            "rustdoc has no page %s in %s: run `make docs`, which builds it first", path, BUILT
        )
    return f'<a href="{place}/{path}"><code>{text}</code></a>'


def sentence(source: str) -> str:
    """The first one of a module's documentation."""
    lines = []
    for line in source.splitlines():
        if not line.startswith("//!") or line == "//!":
            break
        lines.append(line.removeprefix("//!").strip())
    return re.split(r"(?<=\.)\s", " ".join(lines))[0].rstrip(".")
