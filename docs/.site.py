"""What the site does to pages: links to files outside docs/, and the names of the Python API."""

from __future__ import annotations

import ast
import functools
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
EVERY_NAME = "<!-- every public name -->"
#: Modules without underscore that callers do not import: programs, and a decorator of our own.
PROGRAMS = {"arguments", "command_line", "doctor"}
#: Of `aio`: what its callers take from the package itself.
INNER = {"client"}
#: What has no entry of its own: `choices` is one entry, with all its types.
UNLISTED = {"choices"}


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
    markdown = NAMES.sub(lambda found: directives(found[1]), markdown)
    return markdown.replace(EVERY_NAME, every_name()) if EVERY_NAME in markdown else markdown


def directives(module: str) -> str:
    """One entry for each public name of a module, by its `__all__`."""
    return "\n\n".join(f"::: {entry}" for entry in entries(module).values())


def every_name() -> str:
    """The public names by module, with links: the build refuses one that leads nowhere."""
    parts = []
    for module in modules():
        links = [f"[`{name}`][{entry}]" for name, entry in entries(module).items()]
        parts.append(f"**`{module}`**: {', '.join(links)}")
    return "\n\n".join(parts)


def modules() -> list[str]:
    """The modules that callers import."""
    package = PYTHON / "efa_sdk"
    found = {path.stem for path in package.glob("[a-z]*.py")}
    found |= {path.parent.name for path in package.glob("*/__init__.py")}
    inner = {path.stem for path in package.glob("aio/[a-z]*.py")} - INNER
    outer = [f"efa_sdk.{name}" for name in found - PROGRAMS - UNLISTED]
    return ["efa_sdk", *sorted([*outer, *(f"efa_sdk.aio.{name}" for name in inner)])]


def entries(module: str) -> dict[str, str]:
    """Each public name of a module that is no module, and the path of its entry."""
    compiled = {
        node.name
        for node in parsed(PYTHON / "efa_sdk/_efa_sdk.pyi").body
        if isinstance(node, ast.ClassDef | ast.FunctionDef)
    }
    tree = parsed(file_of(module))
    written = {
        node.name
        for node in tree.body
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
    }
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    written |= {
        name.name for node in imports if node.module != "efa_sdk._efa_sdk" for name in node.names
    }
    return {
        name: f"{'efa_sdk._efa_sdk' if name in compiled - written else module}.{name}"
        for name in public(module)
        if not path_of_module(f"{module}.{name}")
    }


def public(module: str) -> list[str]:
    for node in parsed(file_of(module)).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            names: list[str] = ast.literal_eval(node.value)
            return [name for name in names if not name.startswith("__") and name != "main"]
    raise AssertionError(f"{module} has no __all__")


def file_of(module: str) -> pathlib.Path:
    file = path_of_module(module)
    assert file, f"no module {module}"
    return file


def path_of_module(module: str) -> pathlib.Path | None:
    base = PYTHON.joinpath(*module.split("."))
    candidates = (base.with_suffix(".py"), base / "__init__.py")
    return next((path for path in candidates if path.exists()), None)


@functools.cache
def parsed(path: pathlib.Path) -> ast.Module:
    return ast.parse(path.read_text())
