"""Lists the messages of the plugin, NCCL and libfabric that no rule of the NCCL reader knows.

Usage: python tools/unknown_messages.py [--plugin DIR] [--nccl DIR] [--libfabric DIR] [--limit N]

Each DIR is a checkout that the maintainer has. Every warning in its sources is made into a line of
a log, put behind the lines of a healthy start, and read by ``efa_sdk.nccl``. What comes out as
``unknown_warning`` is listed, worst first: those after which the code aborts, then those after
which a call fails, then the others. A message that leads to no finding at all is a defect: it is
listed before all others, and the exit status is 1.

Nothing is written, and no text of those sources goes into this repository: a rule needs a short
literal fragment only (``efa-fabric/src/nccl/log/causes.rs``).
"""

from __future__ import annotations

import argparse
import collections
import dataclasses
import pathlib
import re
import sys
from collections.abc import Iterator, Sequence

from efa_sdk import nccl

#: What the source calls to warn, how many arguments stand before the text, and where to look.
_CALLS = {
    "plugin": (("NCCL_OFI_WARN",), 0, ("src", "include")),
    "nccl": (("WARN",), 0, ("src",)),
    "libfabric": (("EFA_WARN", "EFA_WARN_ONCE", "FI_WARN", "FI_WARN_ONCE"), 1, ("prov/efa", "src")),
}
_SUFFIXES = {".c", ".cc", ".cpp", ".cu", ".h", ".hpp"}
_HEALTHY = (
    "n1:7:9 [0] NCCL INFO NET/OFI Initializing aws-ofi-nccl 1.21.1\n"
    "n1:7:9 [0] NCCL INFO NET/OFI Selected provider is efa, fabric is efa-direct (found 32 nics)\n"
    "n1:7:9 [0] NCCL INFO Using network Libfabric\n"
    "n1:7:9 [0] NCCL INFO Channel 00/0 : 0[0] -> 8[0] [send] via NET/Libfabric/0/GDRDMA\n"
)
#: Lines of code after a warning that are looked at for what it comes to.
_AFTER = 8
_ABORTS = re.compile(r"\babort\(|\bexit\(|\bassert\(|\bstd::terminate\b")
_FAILS = re.compile(
    r"\bthrow\b|\breturn\s+(?:-|nccl\w*Error|ncclInvalid|ret\b|rc\b|err)|\bgoto\s+\w*(?:err|fail|exit)"
)
_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"|\b(PRI\w+)\b')
_PLACEHOLDER = re.compile(r"%[-+ #0]*(?:\*|\d+)?(?:\.(?:\*|\d+))?(?:hh|h|ll|l|z|j|t|L)?[a-zA-Z]")


@dataclasses.dataclass(frozen=True)
class Message:
    """A warning in a source: where it is, its text with invented values, and what follows it."""

    project: str
    place: str
    text: str
    severity: str


def messages(project: str, root: pathlib.Path) -> Iterator[Message]:
    """The warnings in a checkout; each text once."""
    names, before, folders = _CALLS[project]
    call = re.compile(r"(?<![A-Za-z0-9_])(?:" + "|".join(names) + r")\s*\(")
    seen: set[str] = set()
    found = [root / folder for folder in folders if (root / folder).is_dir()]
    for folder in found or [root]:
        for path in sorted(folder.rglob("*")):
            if path.suffix not in _SUFFIXES or not path.is_file():
                continue
            source = path.read_text(errors="replace")
            for match in call.finditer(source):
                line_start = source.rfind("\n", 0, match.start()) + 1
                if source[line_start : match.start()].lstrip().startswith(("#define", "*", "//")):
                    continue
                inside, end = _arguments(source, match.end())
                text = _text(inside, before)
                if text is None or text in seen:
                    continue
                seen.add(text)
                number = source.count("\n", 0, match.start()) + 1
                place = f"{path.relative_to(root)}:{number}"
                yield Message(project, place, text, _severity(source[end:]))


def _arguments(source: str, start: int) -> tuple[str, int]:
    """What stands in the parentheses that were opened before ``start``, and where they end."""
    depth, at = 1, start
    while at < len(source) and depth:
        character = source[at]
        if character == '"':
            string = _STRING.match(source, at)
            at = string.end() if string else at + 1
            continue
        depth += {"(": 1, ")": -1}.get(character, 0)
        at += 1
    return source[start : at - 1], at


def _text(inside: str, before: int) -> str | None:
    """The format behind ``before`` arguments, with values for its placeholders."""
    for _ in range(before):
        head, comma, inside = inside.partition(",")
        if not comma or '"' in head:
            return None
        # FI_WARN has the provider before the subsystem.
        if head.strip().startswith("&") or head.strip() in {"prov", "provider"}:
            _, comma, inside = inside.partition(",")
    inside = inside.lstrip()
    parts, at = [], 0
    while match := _STRING.match(inside, at):
        parts.append(match[1] if match[1] is not None else "d")
        at = match.end()
        while at < len(inside) and inside[at].isspace():
            at += 1
    if not parts:
        return None
    text = "".join(parts).replace("%%", "%").replace('\\"', '"')
    text = re.sub(r"\\[nrt]", " ", text)

    def value(match: re.Match[str]) -> str:
        return {"s": "something", "p": "0x7f12"}.get(match[0][-1], "3")

    return " ".join(_PLACEHOLDER.sub(value, text).split())


def _severity(after: str) -> str:
    following = "\n".join(after.split("\n")[:_AFTER]).partition("}")[0]
    if _ABORTS.search(following):
        return "aborts"
    return "fails" if _FAILS.search(following) else "warns"


def log_line(message: Message) -> str:
    """The line of a log that the message makes."""
    if message.project == "libfabric":
        return f"libfabric:7:1747438790::efa:core:f():1<warn> {message.text}\n"
    prefix = "NET/OFI " if message.project == "plugin" else ""
    return f"n1:7:9 [0] f.cc:1 NCCL WARN {prefix}{message.text}\n"


def verdict(message: Message) -> str:
    """``known``, ``unknown`` or, where the reader has no finding, ``silent``."""
    report = nccl.read_log(_HEALTHY + log_line(message))
    causes = {finding.cause for finding in report.findings}
    if not causes:
        return "silent"
    return "unknown" if causes & {"unknown_warning", "unknown_error"} else "known"


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the list; 1 where the reader passes over a warning of the plugin or of NCCL."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    for project in _CALLS:
        parser.add_argument(f"--{project}", type=pathlib.Path, help="a checkout of its sources")
    parser.add_argument("--limit", type=int, default=50, help="messages of each kind to list")
    options = parser.parse_args(argv)
    roots = {name: getattr(options, name) for name in _CALLS if getattr(options, name)}
    if not roots:
        parser.error("give at least one checkout")
    groups: dict[str, list[Message]] = collections.defaultdict(list)
    total: collections.Counter[str] = collections.Counter()
    for project, root in roots.items():
        for message in messages(project, root):
            found = verdict(message)
            total[f"{project}: {found}"] += 1
            if found == "silent":
                # libfabric warns in healthy jobs too: what is passed over there is on purpose.
                groups["silent" if project != "libfabric" else "passed over"].append(message)
            elif found == "unknown":
                groups[message.severity].append(message)
    for name, count in sorted(total.items()):
        print(f"{count:6} {name}")
    for name in ("silent", "aborts", "fails", "warns", "passed over"):
        if not groups[name]:
            continue
        print(f"\n{name}: {len(groups[name])}")
        for message in groups[name][: options.limit]:
            print(f"  {message.project} {message.place}\n      {message.text}")
    return 1 if groups["silent"] else 0


if __name__ == "__main__":
    sys.exit(main())
