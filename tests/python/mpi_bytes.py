"""What each rank of an MPI job does in test_soft_efa_clients.py: moves bytes and compares them.

Point to point from 0 bytes to 4 MiB, collectives, and one-sided operations. The last line of rank 0
is how many bytes it sent point to point.
"""

from __future__ import annotations

import sys
from array import array

from mpi4py import MPI

SIZES = [0, 1, 7, 64, 1024, 4096, 8192, 9000, 65536, 1 << 20, 4 << 20]

world = MPI.COMM_WORLD
rank, size = world.rank, world.size


def pattern(length: int, seed: int) -> bytearray:
    """Bytes that differ between seeds and positions."""
    block = bytes((seed * 37 + at * 11 + (at >> 8)) & 0xFF for at in range(min(length, 8192)))
    return bytearray((block * (length // 8192 + 1))[:length])


def same(got: object, wanted: object, words: str) -> None:
    if got != wanted:
        print(f"rank {rank}: wrong bytes: {words}", flush=True)
        world.Abort(3)


def point_to_point() -> int:
    """A ring: each rank sends to the next; the bytes that one rank sent."""
    after, before = (rank + 1) % size, (rank - 1) % size
    for length in SIZES:
        got = bytearray(length)
        world.Sendrecv(pattern(length, rank), after, 1, got, before, 1)
        same(got, pattern(length, before), f"ring of {length}")
    return sum(SIZES)


def collectives() -> None:
    for count in (1, 1000, 100_000):
        got = array("q", [0] * count)
        world.Allreduce(array("q", range(rank, rank + count)), got, MPI.SUM)
        ranks = size * (size - 1) // 2
        same(got, array("q", [at * size + ranks for at in range(count)]), f"allreduce {count}")
    part = 20_000
    got_all = bytearray(part * size)
    world.Alltoall(b"".join(pattern(part, rank * size + to) for to in range(size)), got_all)
    wanted = b"".join(pattern(part, come * size + rank) for come in range(size))
    same(bytes(got_all), wanted, "alltoall")
    text = pattern(300_000, 9) if rank == 0 else bytearray(300_000)
    world.Bcast(text, 0)
    same(text, pattern(300_000, 9), "bcast")


def one_sided() -> None:
    length = 1 << 20
    window = MPI.Win.Allocate(2 * length, comm=world)
    after, before = (rank + 1) % size, (rank - 1) % size
    memory = window.tomemory()
    memory[:length] = pattern(length, 100 + rank)
    window.Fence()
    for part in (8, 4096, length):
        got = bytearray(part)
        # MPI reads the origin until the fence; mpi4py holds no reference to it.
        origin = pattern(part, rank)
        window.Put(origin, after, target=(length, part, MPI.BYTE))
        window.Get(got, after, target=(0, part, MPI.BYTE))
        window.Fence()
        same(got, pattern(length, 100 + after)[:part], f"get {part}")
        same(bytearray(memory[length : length + part]), pattern(part, before), f"put {part}")
        window.Fence()
    window.Free()


def main() -> None:
    moved = point_to_point()
    collectives()
    if "--one-sided" in sys.argv:
        one_sided()
    world.Barrier()
    print(f"rank {rank} of {size}: sent {moved} bytes, all right", flush=True)


main()
