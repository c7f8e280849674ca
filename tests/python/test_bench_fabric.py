"""The bench's group of libfabric: its arithmetic, and the C program that it compares with."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tools.bench import fabric as bench  # noqa: E402
from tools.bench.rounds import RunFailed, finish  # noqa: E402

HEAD = "bytes   #sent   #ack     total       time     MB/sec    usec/xfer   Mxfers/sec\n"


@pytest.mark.unit
@pytest.mark.parametrize(
    ("row", "size", "latency_us"),
    [
        ("64      1k      =1k      125k        0.06s      1.99      32.20       0.03", 64, 32.20),
        ("64      1k      =1k      125k        0.00s     73.23       0.87       1.14", 64, 0.87396),
        (
            "1m      10      =10      20m         0.01s   1851.00     566.49       0.00",
            1 << 20,
            566.5,
        ),
    ],
)
def test_the_number_with_more_digits_is_taken(row: str, size: int, latency_us: float) -> None:
    assert bench.pingpong_us(HEAD + row + "\n", size) == pytest.approx(latency_us, rel=1e-4)


@pytest.mark.unit
@pytest.mark.parametrize("output", ["", HEAD, "fi_getinfo: -61\n"])
def test_no_row_is_a_failed_run(output: str) -> None:
    with pytest.raises(RunFailed):
        bench.pingpong_us(output, 64)


@pytest.mark.unit
def test_sizes_read_well() -> None:
    assert [bench.amount_of(size) for size in (64, 4096, 1 << 16, 1 << 20)] == [
        "64 B",
        "4 KiB",
        "64 KiB",
        "1 MiB",
    ]


@pytest.mark.skipif(
    not (shutil.which("cc") and Path("/usr/include/rdma/fabric.h").exists()),
    reason="no C compiler or no headers of libfabric",
)
def test_the_peer_in_c_measures_both(tmp_path: Path) -> None:
    peer = str(tmp_path / "fabric_peer")
    source = str(ROOT / "tools/bench/fabric_peer.c")
    finish(["cc", "-O2", "-Wall", "-Wextra", "-Werror", "-o", peer, source, "-lfabric"])
    for provider, size in (("tcp", 64), ("shm", 1 << 20)):
        point = bench.Point(provider, size, 32)
        assert point.peer(peer, "latency") > 0
        assert point.peer(peer, "bandwidth") > 0
    with pytest.raises(RunFailed, match="fi_getinfo"):
        bench.Point("nosuch", 64, 32).peer(peer, "latency")
