"""``python -m efa_sdk.handoff FILE...``: what is wrong with the EFA part of documents that exist.

Ray cluster YAML, Kubernetes manifests (Karpenter's and workloads), CloudFormation templates,
launch templates, eksctl ClusterConfigs and Terraform JSON; ``-`` reads standard input. The exit
status is 0 without findings of severity ``error`` (with ``--strict``: without any), 1 with, 2 for a
file that cannot be read or is of no such format, 3 where no error was found and a part of a file
was not read, 64 for wrong usage. The same from Python is ``efa_sdk.check(text)``;
plans write such documents with their ``to_*`` methods (docs/handoff.md), which are tested with
``TESTED_RAY_VERSION``, ``TESTED_KARPENTER_VERSION`` and ``TESTED_EKSCTL_VERSION``.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import Catalog, Client, DocumentReport, check
from ._efa_sdk import TESTED_EKSCTL_VERSION, TESTED_KARPENTER_VERSION, TESTED_RAY_VERSION
from .arguments import typed
from .command_line import Parser, complain, interruptible, show
from .errors import EfaError

__all__ = ["TESTED_EKSCTL_VERSION", "TESTED_KARPENTER_VERSION", "TESTED_RAY_VERSION", "main"]


@typed
def main(argv: Sequence[str] | None = None, *, prog: str = "python -m efa_sdk.handoff") -> int:
    """Prints a report for each file; the exit status."""
    return interruptible(lambda given: _run(parser(prog).parse_args(given), prog), argv)


def _run(options: argparse.Namespace, prog: str) -> int:
    try:
        catalog = _catalog(options)
    except EfaError as error:
        complain(prog, error)
        return 2
    reports: dict[str, DocumentReport] = {}
    unread = False
    for name in options.files:
        try:
            reports[name] = check(_read(name), catalog=catalog)
        except UnicodeDecodeError:
            complain(prog, f"{name}: not text in UTF-8, as a document is")
            unread = True
        except OSError as error:
            complain(prog, error)
            unread = True
        except EfaError as error:
            complain(prog, f"{name}: {error}")
            unread = True
    if options.json:
        shown: Any = {name: json.loads(report.to_json()) for name, report in reports.items()}
        show(json.dumps(shown, indent=2))
    elif reports:
        show("".join(f"{name}: {report}" for name, report in reports.items()))
    if unread:
        return 2
    counted = [f for r in reports.values() for f in r.findings]
    if any(options.strict or f.severity == "error" for f in counted):
        return 1
    return 3 if any(report.unread for report in reports.values()) else 0


def _catalog(options: argparse.Namespace) -> Catalog | None:
    return Client(region=options.region).catalog() if options.region else None


def _read(name: str) -> str:
    return sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")


def parser(prog: str) -> argparse.ArgumentParser:
    """Returns the parser of the command."""
    parser = Parser(
        prog=prog,
        description="Checks the EFA part of existing documents.",
        epilog="Exit status: 0 nothing wrong, 1 something is, 2 a file cannot be read, 3 a part of "
        "one was not read, 64 wrong usage.",
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="a document; - is standard input")
    parser.add_argument("--json", action="store_true", help="print the reports as one JSON object")
    parser.add_argument("--strict", action="store_true", help="warnings count as errors")
    parser.add_argument(
        "--region",
        help="check against the instance types of this Region, as EC2 describes them now; the "
        "bundled ones without it",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
