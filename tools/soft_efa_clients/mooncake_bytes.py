"""Two of Mooncake's transfer engines over `efa`: a write and a read, bytes compared.

`mooncake_bytes.py BYTES` prints the bytes moved as its last line.
"""

from __future__ import annotations

import multiprocessing
import sys
from multiprocessing.queues import Queue
from typing import Any

import numpy as np

LIMIT_S = 60


def engine(seed: int, size: int) -> tuple[Any, Any]:
    """An engine with registered memory: what is sent, then room for as much."""
    from mooncake.engine import TransferEngine

    engine = TransferEngine()
    check(engine.initialize("127.0.0.1", "P2PHANDSHAKE", "efa", ""), "initialize")
    memory = np.random.default_rng(seed).integers(0, 256, 2 * size, dtype=np.uint8)
    check(engine.register_memory(memory.ctypes.data, memory.nbytes), "register_memory")
    return engine, memory


def check(status: int, call: str) -> None:
    if status != 0:
        sys.exit(f"{call} returned {status}")


def same(got: bytes, wanted: bytes, words: str) -> None:
    if got != wanted:
        sys.exit(f"wrong bytes: {words}")


def target(size: int, out: Queue[Any], done: Queue[Any]) -> None:
    own, memory = engine(1, size)
    out.put((own.get_rpc_port(), memory.ctypes.data, memory[size:].tobytes()))
    same(memory[:size].tobytes() if (wanted := done.get()) else b"", wanted, "write")
    out.put("right")
    done.get()


def main() -> None:
    size = int(sys.argv[1])
    spawn = multiprocessing.get_context("spawn")
    out, done = spawn.Queue(), spawn.Queue()
    other = spawn.Process(target=target, args=(size, out, done), daemon=True)
    other.start()
    own, memory = engine(2, size)
    port, address, wanted = out.get(timeout=LIMIT_S)
    name, local = f"127.0.0.1:{port}", memory.ctypes.data
    check(own.transfer_sync_write(name, local, address, size), "transfer_sync_write")
    check(own.transfer_sync_read(name, local + size, address + size, size), "transfer_sync_read")
    same(memory[size:].tobytes(), wanted, "read")
    done.put(memory[:size].tobytes())
    if out.get(timeout=LIMIT_S) == "right":
        done.put(None)
        other.join(LIMIT_S)
        print(2 * size)


if __name__ == "__main__":
    main()
