"""What the site does to pages: links to files outside docs/, and the names of the Python API."""

from __future__ import annotations

import ast
import logging
import pathlib
import re
from typing import Any

LOG = logging.getLogger("mkdocs.hooks.site")
ROOT = pathlib.Path(__file__).resolve().parents[1]
PYTHON = ROOT / "efa-py/python"
OUTSIDE = re.compile(r"\[([^\]]+)\]\(((?:\.\./)+[^)#\s]*)(#[^)\s]*)?\)")
#: A block whose language has attributes for rustdoc, which superfences would not take for one.
FENCE = re.compile(r"^(```\w+),[\w,]+$", re.MULTILINE)
NAMES = re.compile(r"^<!-- names of ([\w.]+) -->$", re.MULTILINE)


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    source = pathlib.Path(page.file.abs_src_path)

    def path_of(link: re.Match[str]) -> str:
        target = (source.parent / link[2]).resolve()
        if target.is_relative_to(ROOT / "docs"):
            return link[0]
        if not target.exists():
            LOG.warning("%s links to %s, which does not exist", page.file.src_uri, link[2])
        path = str(target.relative_to(ROOT))
        return f"`{path}`" if link[1].strip("`") == path else f"{link[1]} (`{path}`)"

    markdown = OUTSIDE.sub(path_of, FENCE.sub(r"\1", markdown))
    return NAMES.sub(lambda found: directives(found[1]), markdown)


def directives(module: str) -> str:
    """One entry for each public name of a module, by its `__all__`."""
    compiled = {
        node.name
        for node in parsed(PYTHON / "efa_sdk/_efa_sdk.pyi").body
        if isinstance(node, ast.ClassDef | ast.FunctionDef)
    }
    names = [name for name in public(module) if not file_of(f"{module}.{name}")]
    return "\n\n".join(
        f"::: {'efa_sdk._efa_sdk' if name in compiled else module}.{name}" for name in names
    )


def public(module: str) -> list[str]:
    file = file_of(module)
    assert file, f"no module {module}"
    for node in parsed(file).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            names: list[str] = ast.literal_eval(node.value)
            return [name for name in names if not name.startswith("__") and name != "main"]
    raise AssertionError(f"{module} has no __all__")


def file_of(module: str) -> pathlib.Path | None:
    base = PYTHON.joinpath(*module.split("."))
    candidates = (base.with_suffix(".py"), base / "__init__.py")
    return next((path for path in candidates if path.exists()), None)


def parsed(path: pathlib.Path) -> ast.Module:
    return ast.parse(path.read_text())
