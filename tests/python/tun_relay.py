"""A relay between two network namespaces that delays, loses and slows what goes through it.

    python tun_relay.py --delay-ms=5 --loss=0.01 --rate-mbit=200 \
        NAMESPACE_A ADDRESS_OF_B NAMESPACE_B ADDRESS_OF_A

For kernels without netem. It opens a TUN device in both namespaces, routes the other's address to
it, prints `up`, and relays until it is killed; devices and routes are then gone. Both directions
are alike and independent: a packet leaves after those before it at this rate, and the delay later.
"""

from __future__ import annotations

import argparse
import ctypes
import fcntl
import heapq
import os
import random
import select
import struct
import subprocess
import time

DEVICE = "relay"
#: Large packets, so that Python keeps up.
MTU = 16_000
#: What waits at most in each direction, in bytes of packets: more is dropped, as a switch would.
BACKLOG = 4 << 20

_CLONE_NEWNET = 0x40000000
_TUNSETIFF = 0x400454CA
_IFF_TUN = 0x0001
_IFF_NO_PI = 0x1000


def open_tun(namespace: str, address: str) -> int:
    """A TUN device in this namespace, to which the address is routed. The caller stays there."""
    with open(namespace, "rb") as file:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(file.fileno(), _CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"setns {namespace}")
    tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    request = struct.pack("16sH22x", DEVICE.encode(), _IFF_TUN | _IFF_NO_PI)
    fcntl.ioctl(tun, _TUNSETIFF, request)
    for line in (
        f"ip link set {DEVICE} mtu {MTU} up",
        f"ip route add {address}/32 dev {DEVICE}",
    ):
        subprocess.run(line.split(), check=True)
    return tun


class Way:
    """One direction."""

    def __init__(self, source: int, sink: int, args: argparse.Namespace, seed: int) -> None:
        self.source, self.sink = source, sink
        self._delay_s: float = args.delay_ms / 1e3
        self._loss: float = args.loss
        self._s_per_byte = 8 / (args.rate_mbit * 1e6) if args.rate_mbit else 0.0
        self._random = random.Random(seed)
        self._line_free_s = 0.0
        self._waiting: list[tuple[float, int, bytes]] = []
        self._count = 0

    def take(self, now_s: float) -> None:
        """All that there is to read gets its time to leave."""
        while True:
            try:
                packet = os.read(self.source, MTU + 64)
            except BlockingIOError:
                return
            if self._loss and self._random.random() < self._loss:
                continue
            sent_s = max(now_s, self._line_free_s)
            if self._s_per_byte and (sent_s - now_s) > BACKLOG * self._s_per_byte:
                continue
            self._line_free_s = sent_s + len(packet) * self._s_per_byte
            self._count += 1
            heapq.heappush(self._waiting, (self._line_free_s + self._delay_s, self._count, packet))

    def give(self, now_s: float) -> float | None:
        """Sends what is due. Returns when the next is."""
        while self._waiting:
            due_s = self._waiting[0][0]
            if due_s > now_s:
                return due_s
            os.write(self.sink, heapq.heappop(self._waiting)[2])
        return None


def relay(ways: list[Way]) -> None:
    poll = select.epoll()
    by_source = {way.source: way for way in ways}
    for source in by_source:
        poll.register(source, select.EPOLLIN)
    next_s: float | None = None
    while True:
        # epoll counts in ms: what is due sooner is waited for without sleeping.
        wait_s = -1.0 if next_s is None else max(0.0, next_s - time.monotonic())
        for source, _ in poll.poll(wait_s if wait_s < 0 or wait_s >= 0.001 else 0):
            by_source[source].take(time.monotonic())
        due = [way.give(time.monotonic()) for way in ways]
        next_s = min((s for s in due if s is not None), default=None)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--delay-ms", type=float, default=0.0)
    parser.add_argument("--loss", type=float, default=0.0, help="share of packets")
    parser.add_argument("--rate-mbit", type=float, default=0.0, help="0: as fast as it goes")
    for name in ("namespace_a", "address_of_b", "namespace_b", "address_of_a"):
        parser.add_argument(name)
    args = parser.parse_args()
    a = open_tun(args.namespace_a, args.address_of_b)
    b = open_tun(args.namespace_b, args.address_of_a)
    print("up", flush=True)
    relay([Way(a, b, args, 1), Way(b, a, args, 2)])


if __name__ == "__main__":
    main()
