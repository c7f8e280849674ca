"""A program for tests on software EFA devices: probes of many cases in one process.

    soft_probes.py loopback             both sides in this process
    soft_probes.py serve ADDRESS        prints its address, then answers one probe for each case
    soft_probes.py connect ADDRESS      measures to it, a probe for each case
    soft_probes.py rails ROOT           the rails of the machine at ROOT, each case the options

The cases are a JSON list of options on standard input; each gives a line of JSON.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from efa_sdk import errors, fabric

TOKEN = "probes-on-software-devices"


def probe(case: dict[str, Any], address: str | None) -> dict[str, Any]:
    options = fabric.ProbeOptions("efa", **case)
    report = fabric.connect(address, TOKEN, options) if address else fabric.loopback(options)
    return described(report)


def described(report: fabric.ProbeReport) -> dict[str, Any]:
    rows = [row for row in report.rows if row.latency is not None]
    return {
        "library": report.library_version,
        "fabric": report.fabric,
        "shared_memory": report.shared_memory,
        "sizes": [row.size for row in report.rows],
        "verified": bool(report.rows) and all(row.verified for row in report.rows),
        "min_us": [row.latency.min_us for row in rows if row.latency],
        "p50_us": [row.latency.p50_us for row in rows if row.latency],
        "p90_us": [row.latency.p90_us for row in rows if row.latency],
        "bytes": sum(row.bandwidth.bytes for row in report.rows if row.bandwidth),
    }


def failed(error: errors.EfaError) -> dict[str, Any]:
    return {
        "code": error.code,
        "message": str(error),
        "cure": error.cure,
        "context": dict(error.context),
    }


def main() -> None:
    role, *rest = sys.argv[1:]
    cases: list[dict[str, Any]] = json.loads(sys.stdin.read())
    server = fabric.Server(TOKEN, address=f"{rest[0]}:0") if role == "serve" else None
    if server is not None:
        print(server.address, flush=True)
    for case in cases:
        try:
            if server is not None:
                found = described(server.serve_one(**case))
            elif role == "rails":
                node = fabric.node(root=rest[0])
                rails = fabric.rails(node)
                found = json.loads(fabric.probe_rails(rails, node, **case).to_json())
            else:
                found = probe(case, rest[0] if role == "connect" else None)
        except errors.EfaError as error:
            found = failed(error)
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
