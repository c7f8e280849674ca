"""The page of the Rust crates: their public modules, and rustdoc's pages where they were built."""

from __future__ import annotations

import datetime
import pathlib
import re
import shutil
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parents[1]
#: Where `cargo doc` leaves its pages, and where the site has them.
BUILT = ROOT / "target/doc"
PLACE = "rust"
CRATE = re.compile(r"^<!-- modules of ([\w-]+) -->$", re.MULTILINE)
STATE = "<!-- state of rustdoc -->"
MODULE = re.compile(r"((?:^#\[.*\]\n)*)^pub mod (\w+);", re.MULTILINE)
#: A name that rustdoc links: [`Name`], [`Name`](path) or [text](path).
LINK = re.compile(r"\[([^\]]+)\](?:\([^)]*\))?")
#: A row of the map in lib.rs: a module, and what it holds.
ROW = re.compile(r"^//! \| \[?`(\w+)`\]? \| (.*) \|$", re.MULTILINE)


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    up = "../" * page.url.count("/")
    markdown = markdown.replace(STATE, state())
    return CRATE.sub(lambda found: modules(found[1], f"{up}{PLACE}"), markdown)


def on_post_build(config: Any, **_: Any) -> None:
    place = pathlib.Path(config["site_dir"]) / PLACE
    if BUILT.exists():
        shutil.copytree(BUILT, place, ignore=shutil.ignore_patterns(".*"), dirs_exist_ok=True)


def state() -> str:
    built = BUILT / "efa_core/index.html"
    if not built.exists():
        return "rustdoc's pages were not built before this site: nothing here leads to them."
    at = datetime.datetime.fromtimestamp(built.stat().st_mtime, datetime.timezone.utc)
    return f"The links lead to the pages that `cargo doc` built at {at:%Y-%m-%d %H:%M} UTC."


def modules(crate: str, place: str) -> str:
    """A table of the public modules of a crate, with what lib.rs, else the module, says of each."""
    sources, name = ROOT / crate / "src", crate.replace("-", "_")
    library = (sources / "lib.rs").read_text()
    known = dict(ROW.findall(library))
    rows = ["| module | contents |", "|---|---|"]
    for attributes, module in MODULE.findall(library):
        if "doc(hidden)" in attributes:
            continue
        said = known.get(module) or sentence((sources / f"{module}.rs").read_text())
        said = LINK.sub(r"\1", said)
        rows.append(f"| {link(f'{name}/{module}/index.html', module, place)} | {said} |")
    all_names = link(f"{name}/all.html", f"every name of {name}", place)
    return "\n".join([*rows, "", f"{link(f'{name}/index.html', name, place)}, {all_names}"])


def link(path: str, text: str, place: str) -> str:
    """To a page of rustdoc, if there is one."""
    code = f"<code>{text}</code>"
    return f'<a href="{place}/{path}">{code}</a>' if (BUILT / path).exists() else code


def sentence(source: str) -> str:
    """The first one of a module's documentation."""
    lines = []
    for line in source.splitlines():
        if not line.startswith("//!") or line == "//!":
            break
        lines.append(line.removeprefix("//!").strip())
    return re.split(r"(?<=\.)\s", " ".join(lines))[0].rstrip(".")
