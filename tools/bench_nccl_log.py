"""What reading the log of a large job costs: time, CPU and memory, from Python.

Run it with a release build (`make wheel`): the figures of docs/nccl.md are made with it. The log is
that of a healthy job of efa-fabric's tests, once for each rank, eight ranks a host.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path

from efa_sdk import nccl

ROOT = Path(__file__).parents[1]
FIXTURE = ROOT / "efa-fabric/src/nccl/log/fixtures/plugin_1_19_nccl_2_28.log"
RANKS_OF_A_HOST = 8
LINE_BYTES = 65_536


def write_log(path: Path, *, megabytes: int, ranks: int) -> None:
    """Writes the job's lines for one rank after the other until the size is reached."""
    lines = FIXTURE.read_text(encoding="utf-8")
    of_rank = [
        lines.replace("worker-1:950:", f"worker-{rank // RANKS_OF_A_HOST}:{1000 + rank}:").replace(
            "pid=950, ip=10.6.0.1", f"pid={1000 + rank}, ip=10.6.0.{1 + rank // RANKS_OF_A_HOST}"
        )
        for rank in range(ranks)
    ]
    left = megabytes * 1_000_000
    with path.open("w", encoding="utf-8") as file:
        while left > 0:
            left -= sum(file.write(text) for text in of_rank)


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def longest_line_ms() -> float:
    """Milliseconds for the most expensive line of a few shapes, the best of nine."""
    fills = ("x", "[", "1", "é", "NET/OFI ", "NCCL WARN ", "h:1:1 [0] NCCL INFO x ", "libfabric:1:")
    worst = 0.0
    for fill in fills:
        line = ("h:1:1 [0] NCCL WARN " + fill * LINE_BYTES)[:LINE_BYTES] + "\n"
        best = float("inf")
        for _ in range(9):
            reader = nccl.NcclLog()
            start = time.process_time()
            reader.feed(line)
            best = min(best, time.process_time() - start)
        worst = max(worst, best)
    return worst * 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--ranks", type=int, default=1000)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "train.log"
        write_log(log, megabytes=chosen.megabytes, ranks=chosen.ranks)
        before_mib = peak_mib()
        wall_s, cpu_s = time.perf_counter(), time.process_time()
        report = nccl.read_log(log)
        wall_s, cpu_s = time.perf_counter() - wall_s, time.process_time() - cpu_s
        print(f"log        {log.stat().st_size / 1e6:.0f} MB, {len(report.ranks)} processes")
        print(f"verdict    {report.verdict}")
        print(f"time       {wall_s:.2f} s, of it CPU {cpu_s:.2f} s")
        print(f"memory     peak {peak_mib():.0f} MiB of the process, {before_mib:.0f} MiB before")
    print(f"one line   {longest_line_ms():.1f} ms at most, of 64 KiB")


if __name__ == "__main__":
    main()
