"""A probe between two processes, as between two machines: one serves, the other connects.

On two machines, run `serve` on one with an address that the other reaches, and `connect` on the
other. The token keeps unknown clients out; bring it along as a secret.
"""

from __future__ import annotations

import multiprocessing
import secrets
from multiprocessing.queues import Queue

from efa_sdk import fabric


def serve(token: str, addresses: Queue[str]) -> None:
    server = fabric.Server(token, address="127.0.0.1:0")
    addresses.put(server.address)
    report = server.serve_one(accept_timeout_s=30)
    print(f"served {report.peer_hostname}: {len(report.rows)} sizes", flush=True)


def main() -> None:
    spawn = multiprocessing.get_context("spawn")
    addresses: Queue[str] = spawn.Queue()
    token = secrets.token_hex(16)
    server = spawn.Process(target=serve, args=(token, addresses), daemon=True)
    server.start()
    options = fabric.ProbeOptions("tcp", sizes=[64, 65536], size_budget_s=0.1)
    print(fabric.connect(addresses.get(timeout=30), token, options))
    server.join(timeout=30)


if __name__ == "__main__":
    main()
