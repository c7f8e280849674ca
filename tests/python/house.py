"""Which source file takes names from which: read from `use` lines, paths and imports.

Text is read, not compiled, so that the whole house is seen in a second. A name is followed through
re-exports to the file that defines it; code under `#[cfg(test)]` is left out.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

Arrows = dict[Path, set[Path]]

_QUIET = re.compile(
    r"""//[^\n]* | /\*.*?\*/                      # comments
      | b?r(?P<hashes>\#*)".*?"(?P=hashes)         # raw strings
      | b?"(?:\\.|[^"\\])*"                        # strings
      | b?'(?:\\[^']+|[^'\\])'                     # characters, but not lifetimes
    """,
    re.VERBOSE | re.DOTALL,
)
_TEST_ONLY = re.compile(r"#\[cfg\((?:all\()?test\b[^\]]*\]\s*(?:#\[[^\]]*\]\s*)*")
_CHILD = re.compile(r"^\s*(?:pub(?:\([^)]*\))?\s+)?mod\s+(\w+);", re.MULTILINE)
_INLINE = re.compile(r"\bmod\s+\w+\s*\{")
_FUNCTION = re.compile(r"\bfn\s+(\w+)")
_USE = re.compile(r"\buse\s+([^;]+);")
_PATH = re.compile(r"(?<![\w:$])(?:crate|super|self)(?:::\w+)+|\$crate(?:::\w+)+")


@dataclass
class _Module:
    """One file of a crate: its children, the names that it takes over, all paths in it."""

    file: Path
    path: tuple[str, ...]
    children: dict[str, _Module] = field(default_factory=dict)
    imported: dict[str, tuple[str, ...]] = field(default_factory=dict)
    paths: list[tuple[str, ...]] = field(default_factory=list)


def rust_arrows(source: Path) -> Arrows:
    """Every file of the crate at `source` (its folder `src`), and the files it takes names from."""
    root = _read(source / "lib.rs", source, ())
    arrows: Arrows = {}
    for module in _all(root):
        found = {_defining(root, module, path) for path in module.paths}
        arrows[module.file] = {file for file in found if file not in (None, module.file)}
    return arrows


def _read(file: Path, folder: Path, path: tuple[str, ...]) -> _Module:
    text = _flat(_without_tests(_QUIET.sub(" ", file.read_text())))
    module = _Module(file, path)
    for name in _CHILD.findall(text):
        child = folder / f"{name}.rs"
        module.children[name] = _read(child, folder / name, (*path, name))
    for tree in _USE.findall(text):
        for used, alias in _leaves(tree.strip()):
            module.imported.setdefault(alias, used)
            module.paths.append(used)
    rest = _USE.sub(" ", text)
    module.paths += [tuple(p.lstrip("$").split("::")) for p in _PATH.findall(rest)]
    for name in module.children:
        called = re.findall(rf"(?<![\w:]){name}::\w+", rest)
        module.paths += [tuple(path.split("::")) for path in called]
    return module


def _without_tests(text: str) -> str:
    """The text without the items that only tests have."""
    while found := _TEST_ONLY.search(text):
        text = text[: found.start()] + text[_end_of_item(text, found.end()) :]
    return text


def _flat(text: str) -> str:
    """The text with its inline modules read as part of the file: what is above them is itself."""
    for found in _INLINE.finditer(text):
        end = _end_of_item(text, found.start())
        inside = text[found.start() : end].replace("super::", "self:::")
        text = text[: found.start()] + inside + text[end:]
    return text.replace("self:::", "self::")


def functions(source: Path) -> Iterator[tuple[Path, str, int]]:
    """The functions of a crate, tests left out, and their lines from `fn` to `}`."""
    for file in rust_arrows(source):
        text = _without_tests(_QUIET.sub(_as_lines, file.read_text()))
        for found in _FUNCTION.finditer(text):
            end = _end_of_function(text, found.end())
            yield file, found[1], text.count("\n", found.start(), end) + 1


def _as_lines(found: re.Match[str]) -> str:
    """As many lines as the comment or string had, and nothing on them."""
    return " " + "\n" * found[0].count("\n")


def _end_of_function(text: str, start: int) -> int:
    """Behind the closing brace of a function, or the `;` of one without a body."""
    depth = 0
    for at in range(start, len(text)):
        depth += {"{": 1, "(": 1, "[": 1, "}": -1, ")": -1, "]": -1}.get(text[at], 0)
        if depth == 0 and text[at] in "};":
            return at + 1
    return len(text)


def _end_of_item(text: str, start: int) -> int:
    """Behind the `;` or the closing brace of the item that begins at `start`."""
    depth = 0
    for at in range(start, len(text)):
        match text[at]:
            case "{" | "(" | "[":
                depth += 1
            case ")" | "]":
                depth -= 1
            case "}":
                depth -= 1
                if depth == 0 and not text[at + 1 :].lstrip().startswith(";"):
                    return at + 1
            case ";" | "," if depth == 0:
                return at + 1
    return len(text)


def _leaves(tree: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """The paths of a `use` tree, each with the name that it has here."""
    before, brace, after = tree.partition("{")
    if not brace:
        path, _, alias = tree.partition(" as ")
        names = tuple(part.strip() for part in path.split("::"))
        if names[-1] == "self":
            names = names[:-1]
        yield names, alias.strip() or names[-1]
        return
    for branch in _split(after.rsplit("}", 1)[0]):
        yield from _leaves(before + branch)


def _split(branches: str) -> Iterator[str]:
    depth, branch = 0, ""
    for letter in f"{branches},":
        depth += {"{": 1, "}": -1}.get(letter, 0)
        if letter == "," and depth == 0:
            if branch.strip():
                yield branch.strip()
            branch = ""
        else:
            branch += letter


def _all(module: _Module) -> Iterator[_Module]:
    yield module
    for child in module.children.values():
        yield from _all(child)


def _defining(root: _Module, module: _Module, path: tuple[str, ...]) -> Path | None:
    """The file that defines what `path` names in `module`; None for what another crate has."""
    seen: set[tuple[tuple[str, ...], str]] = set()
    here, names = module, list(path)
    match names[0]:
        case "crate":
            here, names = root, names[1:]
        case "self":
            names = names[1:]
        case "super":
            pass
        case first if first not in module.children:
            return None
    while names:
        name = names.pop(0)
        if name == "super":
            here = _at(root, here.path[:-1])
        elif name in here.children:
            here = here.children[name]
        elif name in here.imported and (here.path, name) not in seen:
            seen.add((here.path, name))
            used = here.imported[name]
            if used[0] == "crate":
                here, names = root, [*used[1:], *names]
            elif used[0] in ("super", "self") or used[0] in here.children:
                names = [*(used[1:] if used[0] == "self" else used), *names]
            else:
                return None
        else:
            return here.file
    return here.file


def _at(root: _Module, path: tuple[str, ...]) -> _Module:
    for name in path:
        root = root.children[name]
    return root


def python_arrows(package: Path) -> Arrows:
    """Every file of a Python package, and the files it imports, also inside functions and for type
    checkers only."""
    files = {_dotted(file, package): file for file in sorted(package.rglob("*.py"))}
    trees = {name: ast.parse(file.read_text()) for name, file in files.items()}
    arrows: Arrows = {}
    for name, tree in trees.items():
        inside = name if files[name].name == "__init__.py" else name.rpartition(".")[0]
        targets = set(_imports(tree, inside))
        found = {_python_file(files, trees, module, what) for module, what in targets}
        arrows[files[name]] = {file for file in found if file not in (None, files[name])}
    return arrows


def python_functions(package: Path) -> Iterator[tuple[Path, str, int]]:
    """The functions of a Python package, and their lines without the docstring."""
    for file in sorted(package.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                documented = _lines(node.body[0]) if ast.get_docstring(node) else 0
                yield file, node.name, _lines(node) - documented


def _lines(node: ast.stmt) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def _dotted(file: Path, package: Path) -> str:
    names = file.relative_to(package.parent).with_suffix("").parts
    return ".".join(names[:-1] if names[-1] == "__init__" else names)


def _imports(tree: ast.AST, inside: str) -> Iterator[tuple[str, str | None]]:
    """Modules, with the name that is taken from each."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            up = inside.split(".")
            base = ".".join(up[: len(up) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (base, node.module) if part)
            yield from ((module, alias.name) for alias in node.names)


def _python_file(
    files: dict[str, Path], trees: dict[str, ast.Module], module: str, name: str | None
) -> Path | None:
    """The file that defines `name` of `module`, through the imports at the top of packages."""
    for _ in range(10):
        if module not in files:
            return None
        if name is not None and f"{module}.{name}" in files:
            return files[f"{module}.{name}"]
        if name is not None and (files[module].parent / f"{name}.pyi").exists():
            return None  # the compiled module, below all of them
        if name is None:
            break
        inside = module if files[module].name == "__init__.py" else module.rpartition(".")[0]
        taken = {what: origin for origin, what in _imports(trees[module], inside) if what == name}
        if name not in taken:
            break
        module = taken[name]
    return files.get(module)


def circles(arrows: Arrows) -> list[set[Path]]:
    """The sets of files each of which takes names from every other, directly or not."""
    reached = {file: _reach(arrows, file) for file in arrows}
    found: list[set[Path]] = []
    for file, behind in reached.items():
        circle = {file} | {other for other in behind if file in reached[other]}
        if file in behind and circle not in found:
            found.append(circle)
    return found


def _reach(arrows: Arrows, start: Path) -> set[Path]:
    seen: set[Path] = set()
    waiting: list[Path] = list(arrows[start])
    while waiting:
        file = waiting.pop()
        if file not in seen:
            seen.add(file)
            waiting += arrows[file]
    return seen


def room(file: Path, source: Path) -> str:
    """The top-level module of a file: `plan` of `plan.rs` and of `plan/display.rs`."""
    return file.relative_to(source).parts[0].removesuffix(".rs").removesuffix(".py")


def arrows_of_rooms(arrows: Arrows, source: Path) -> dict[tuple[str, str], tuple[Path, Path]]:
    """Pairs of top-level modules, the first taking names from the second; with an example."""
    pairs: dict[tuple[str, str], tuple[Path, Path]] = {}
    for file, others in sorted(arrows.items()):
        for other in sorted(others):
            pair = room(file, source), room(other, source)
            if pair[0] != pair[1]:
                pairs.setdefault(pair, (file, other))
    return pairs


def floors(arrows: Arrows, source: Path) -> list[list[str]]:
    """The top-level modules, lowest first: each takes names from earlier floors only."""
    pairs = arrows_of_rooms(arrows, source)
    waiting: set[str] = {room(file, source) for file in arrows}
    built: list[list[str]] = []
    while waiting:
        ready = sorted(
            name for name in waiting if not any(a == name and b in waiting for a, b in pairs)
        )
        if not ready:
            raise ValueError(f"a circle of modules: {sorted(waiting)}")
        built.append(ready)
        waiting -= set(ready)
    return built


def tie(arrows: Arrows, circle: Iterable[Path]) -> str:
    """The arrows within a circle, a line each."""
    inside = sorted(circle)
    return "\n".join(
        f"  {file} -> {other}" for file in inside for other in inside if other in arrows[file]
    )
