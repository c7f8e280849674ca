#!/usr/bin/env python3
"""Write THIRD-PARTY-LICENSES: the licence texts of every crate that the wheel contains.

    python tools/third_party_licenses.py            # write it
    python tools/third_party_licenses.py --check    # exit 1 if it differs

Run it after Cargo.lock changed. The crates are those that `cargo metadata` resolves for Linux from
the two crates of the wheel, without those that only build or test them; the texts are the crates'
own files. A licence that `licenses.allow` of .deny.toml lacks is refused.
"""

from __future__ import annotations

import collections
import json
import pathlib
import re
import subprocess
import sys
from collections.abc import Iterable
from typing import Any

import tomllib

ROOT = pathlib.Path(__file__).parents[1]
OUTPUT = ROOT / "efa-py/THIRD-PARTY-LICENSES"
#: What the wheel is made of: the extension module, and the libraries of the software EFA device.
IN_THE_WHEEL = ("efa-py", "efa-soft")
TARGET = "x86_64-unknown-linux-gnu"
LICENSE_FILE = re.compile(r"(un)?licen[sc]e|copying|copyright|notice", re.IGNORECASE)

#: For crates that name the MIT licence and contain no text of it (https://spdx.org/licenses/MIT).
MIT = """\
Copyright (c) the authors of {name}, {repository}

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and
associated documentation files (the "Software"), to deal in the Software without restriction,
including without limitation the rights to use, copy, modify, merge, publish, distribute,
sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or
substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT
NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND
NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM,
DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT
OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""


class LicenseError(Exception):
    """A crate whose licence is not allowed, or whose text is missing."""


def allowed_licenses() -> set[str]:
    return set(tomllib.loads((ROOT / ".deny.toml").read_text())["licenses"]["allow"])


def is_allowed(expression: str, allowed: set[str]) -> bool:
    """Whether an SPDX expression can be fulfilled by allowed licences. `A/B` means `A OR B`."""
    tokens = re.findall(r"[()]|[^\s()/]+(?:\s+WITH\s+[^\s()/]+)?|/", expression)

    def alternatives() -> bool:
        found = all_of()
        while tokens and tokens[0] in ("OR", "/"):
            tokens.pop(0)
            found = all_of() or found
        return found

    def all_of() -> bool:
        found = one()
        while tokens and tokens[0] == "AND":
            tokens.pop(0)
            found = one() and found
        return found

    def one() -> bool:
        if not tokens or tokens[0] in (")", "AND", "OR", "/"):
            raise LicenseError(f"{expression!r} is not a licence expression")
        token = tokens.pop(0)
        if token != "(":
            return token in allowed
        found = alternatives()
        if not tokens or tokens.pop(0) != ")":
            raise LicenseError(f"{expression!r} is not a licence expression")
        return found

    found = alternatives()
    if tokens:
        raise LicenseError(f"{expression!r} is not a licence expression")
    return found


def shipped(metadata: dict[str, Any]) -> list[dict[str, Any]]:
    """The packages of others that the wheel contains, sorted by name and version."""
    packages = {package["id"]: package for package in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    todo = [key for key, package in packages.items() if package["name"] in IN_THE_WHEEL]
    found = set(todo)
    while todo:
        for dependency in nodes[todo.pop()]["deps"]:
            linked = any(kind["kind"] is None for kind in dependency["dep_kinds"])
            if (
                linked
                and not is_macro(packages[dependency["pkg"]])
                and dependency["pkg"] not in found
            ):
                found.add(dependency["pkg"])
                todo.append(dependency["pkg"])
    others = [packages[key] for key in found if packages[key]["source"] is not None]
    return sorted(others, key=lambda package: (package["name"], package["version"]))


def is_macro(package: dict[str, Any]) -> bool:
    """Whether a package runs in the compiler alone."""
    return any("proc-macro" in target["kind"] for target in package["targets"])


def texts(package: dict[str, Any]) -> list[str]:
    """The licence texts that a crate contains."""
    folder = pathlib.Path(package["manifest_path"]).parent
    files = sorted(path for path in folder.iterdir() if path.is_file())
    own = [path.read_text("utf-8") for path in files if LICENSE_FILE.match(path.name)]
    if own:
        return own
    if package["license"] == "MIT":
        return [MIT.format(name=package["name"], repository=package["repository"])]
    raise LicenseError(
        f"{package['name']} {package['version']} ({package['license']}) has no licence text: "
        "add the rule for it to tools/third_party_licenses.py"
    )


def refused(packages: Iterable[dict[str, Any]], allowed: set[str]) -> list[str]:
    """The packages whose licence is not allowed, with it."""
    return [
        f"{package['name']} {package['version']}: {package['license']}"
        for package in packages
        if not package["license"] or not is_allowed(package["license"], allowed)
    ]


def document(packages: list[dict[str, Any]]) -> str:
    """The file: each text once, below the crates that it is of."""
    users: dict[str, list[str]] = collections.defaultdict(list)
    shown: dict[str, str] = {}
    for package in packages:
        for text in texts(package):
            key = " ".join(text.split())
            text = "\n".join(line.rstrip() for line in text.strip().splitlines())
            shown.setdefault(key, text)
            users[key].append(f"{package['name']} {package['version']} ({package['license']})")
    parts = [
        "The compiled files in the wheel of efa-sdk contain the Rust crates below, and Rust's\n"
        "standard library (MIT OR Apache-2.0, https://github.com/rust-lang/rust). Each text\n"
        "stands below the crates that it covers.\n"
        "Written by tools/third_party_licenses.py from Cargo.lock."
    ]
    for key, names in users.items():
        parts.append("\n".join(["=" * 100, *sorted(set(names)), "-" * 100, shown[key]]))
    return "\n\n".join(parts) + "\n"


def metadata() -> dict[str, Any]:
    command = [
        "cargo",
        "metadata",
        "--locked",
        "--format-version",
        "1",
        "--filter-platform",
        TARGET,
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LicenseError(done.stderr.strip())
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def main() -> None:
    if sys.argv[1:] not in ([], ["--check"]):
        raise SystemExit(__doc__)
    try:
        packages = shipped(metadata())
        wrong = refused(packages, allowed_licenses())
        if wrong:
            raise LicenseError("not in licenses.allow of .deny.toml: " + "; ".join(wrong))
        text = document(packages)
    except LicenseError as error:
        raise SystemExit(str(error)) from None
    if not sys.argv[1:]:
        OUTPUT.write_text(text)
    elif not OUTPUT.exists() or OUTPUT.read_text() != text:
        raise SystemExit(f"{OUTPUT} is out of date: python tools/third_party_licenses.py")
    print(f"{OUTPUT.relative_to(ROOT)}: {len(packages)} crates, {len(text.encode())} bytes")


if __name__ == "__main__":
    main()
