"""Two agents of NIXL: a write with a notification, and a read, bytes compared.

`nixl_bytes.py BACKEND BYTES` prints the bytes moved as its last line.
"""

from __future__ import annotations

import multiprocessing
import sys
import time
from collections.abc import Callable
from multiprocessing.queues import Queue
from typing import Any

import numpy as np

LIMIT_S = 60


def agent(name: str, backend: str, seed: int, size: int) -> tuple[Any, Any]:
    """An agent with registered memory: what is sent, then room for as much."""
    from nixl_cu12._api import nixl_agent, nixl_agent_config

    own = nixl_agent(name, nixl_agent_config(backends=[backend]))
    memory = np.random.default_rng(seed).integers(0, 256, 2 * size, dtype=np.uint8)
    own.register_memory([(memory.ctypes.data, memory.nbytes, 0, "")], "DRAM")
    return own, memory


def until(holds: Callable[[], Any], words: str) -> Any:
    end = time.monotonic() + LIMIT_S
    while not (found := holds()):
        if time.monotonic() > end:
            sys.exit(f"not within {LIMIT_S} s: {words}")
    return found


def same(got: bytes, wanted: bytes, words: str) -> None:
    if got != wanted:
        sys.exit(f"wrong bytes: {words}")


def target(backend: str, size: int, out: Queue[Any], done: Queue[Any]) -> None:
    own, memory = agent("target", backend, 1, size)
    out.put((own.get_agent_metadata(), memory.ctypes.data, memory[size:].tobytes()))
    notified = until(own.get_new_notifs, "a notification")
    if notified != {"initiator": [b"written"]}:
        sys.exit(f"wrong notification: {notified}")
    same(memory[:size].tobytes(), done.get(timeout=LIMIT_S), "write")
    out.put("right")
    while done.empty():  # it makes progress for the other side only when it is called
        own.get_new_notifs()


def transfer(own: Any, operation: str, local: Any, remote: Any, *more: bytes) -> None:
    handle = own.initialize_xfer(operation, local, remote, "target", *more)
    own.transfer(handle)
    state = until(lambda: (s := own.check_xfer_state(handle)) in ("DONE", "ERR") and s, operation)
    if state != "DONE":
        sys.exit(f"{operation}: {state}")


def main() -> None:
    backend, size = sys.argv[1], int(sys.argv[2])
    spawn = multiprocessing.get_context("spawn")
    out, done = spawn.Queue(), spawn.Queue()
    other = spawn.Process(target=target, args=(backend, size, out, done), daemon=True)
    other.start()
    own, memory = agent("initiator", backend, 2, size)
    metadata, address, wanted = out.get(timeout=LIMIT_S)
    own.add_remote_agent(metadata)

    def part(at: int) -> Any:
        return own.get_xfer_descs([(at, size, 0)], "DRAM")

    local = memory.ctypes.data
    transfer(own, "WRITE", part(local), part(address), b"written")
    transfer(own, "READ", part(local + size), part(address + size))
    same(memory[size:].tobytes(), wanted, "read")
    done.put(memory[:size].tobytes())
    if out.get(timeout=LIMIT_S) == "right":
        done.put(None)
        other.join(LIMIT_S)
        print(2 * size)


if __name__ == "__main__":
    main()
