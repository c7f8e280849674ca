"""The control block of a device: faults and counters, in memory that its programs share.

The layout is the library's (crate ``efa-soft``); fields are little-endian and take effect at once.
"""

from __future__ import annotations

import mmap
import struct
from pathlib import Path

#: Bytes of a block.
SIZE = 4096
#: The version of this layout.
LAYOUT = 2

_COUNTERS_AT = 8
#: Counters in the order of the block; each is also a file in ``hw_counters``.
COUNTERS = (
    "tx_bytes",
    "tx_pkts",
    "rx_bytes",
    "rx_pkts",
    "rx_drops",
    "send_bytes",
    "send_wrs",
    "recv_bytes",
    "recv_wrs",
    "rdma_read_wrs",
    "rdma_read_bytes",
    "rdma_read_wr_err",
    "rdma_read_resp_bytes",
    "rdma_write_wrs",
    "rdma_write_bytes",
    "rdma_write_wr_err",
    "rdma_write_recv_bytes",
    "retrans_bytes",
    "retrans_pkts",
    "retrans_timeout_events",
    "unresponsive_remote_events",
    "impaired_remote_conn_events",
)

#: Offset and format of every other field.
FIELDS = {
    "layout": (0, "<Q"),
    "loss": (520, "<d"),
    "rate": (528, "<Q"),
    "dead": (536, "<Q"),
    "down": (544, "<Q"),
    "reorder": (552, "<d"),
    "caps": (568, "<Q"),
    "part": (576, "<Q"),
    "delay_us": (584, "<Q"),
    "rq_rnr": (592, "<Q"),
    "no_open": (600, "<Q"),
    "memlock": (608, "<Q"),
}

#: Bits of ``caps``.
CAPABILITIES = {"read": 1, "rnr": 2, "sgid": 4, "write": 8, "unsolicited": 16}


class Block:
    """One device's block, mapped. Reads and writes what programs see at the same time."""

    def __init__(self, path: Path) -> None:
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), SIZE)

    @staticmethod
    def create(path: Path, *, caps: int, part: int) -> None:
        """Writes a block without faults, before any program uses the device."""
        content = bytearray(SIZE)
        for name, value in (("layout", LAYOUT), ("caps", caps), ("part", part)):
            at, form = FIELDS[name]
            struct.pack_into(form, content, at, value)
        path.write_bytes(content)

    def get(self, field: str) -> float:
        """The value of a field."""
        at, form = FIELDS[field]
        value: float = struct.unpack_from(form, self._memory, at)[0]
        return value

    def set(self, field: str, value: float) -> None:
        """Sets a field. Aligned fields of 8 bytes are written as a whole."""
        at, form = FIELDS[field]
        self._memory[at : at + 8] = struct.pack(form, value if form == "<d" else int(value))

    def counters(self) -> dict[str, int]:
        """Every counter by name."""
        values = struct.unpack_from(f"<{len(COUNTERS)}Q", self._memory, _COUNTERS_AT)
        return dict(zip(COUNTERS, values, strict=True))

    def close(self) -> None:
        """Unmaps the block."""
        self._memory.close()
