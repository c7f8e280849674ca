"""The machine of a run: what it is, how loaded and how steady."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import importlib.metadata
import os
import pathlib
import platform
import re
import statistics
import subprocess
import time

#: Of the fixed work whose time states how steady the machine is.
STEADY_BYTES = bytes(1 << 20)
STEADY_BLOCKS = 8
STEADY_SAMPLES = 25


def first_line_of(*command: str) -> str:
    """The first line that a program prints; "unknown" where it does not run."""
    with contextlib.suppress(OSError):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.stdout.strip():
            return done.stdout.strip().splitlines()[0]
    return "unknown"


def version(package: str) -> str:
    """Name and version of an installed package."""
    try:
        return f"{package} {importlib.metadata.version(package)}"
    except importlib.metadata.PackageNotFoundError:
        return f"no {package}"


def processors() -> str:
    text = pathlib.Path("/proc/cpuinfo").read_text()
    name = re.search(r"^model name\s*:\s*(.+)$", text, re.M)
    return f"{name[1] if name else platform.processor()}, {os.cpu_count()} processors"


def load() -> str:
    return " ".join(f"{value:.2f}" for value in os.getloadavg())


def memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def now() -> str:
    return f"{datetime.datetime.now(datetime.timezone.utc):%Y-%m-%d %H:%M} UTC"


def stolen_s() -> float:
    """Seconds that the hypervisor gave to others while a processor here had work."""
    fields = pathlib.Path("/proc/stat").read_text().splitlines()[0].split()
    return int(fields[8]) / os.sysconf("SC_CLK_TCK")


def unsteadiness() -> float:
    """Per cent by which the ninth decile of a fixed piece of work is slower than its median."""
    times = []
    for _ in range(STEADY_SAMPLES):
        began = time.perf_counter()
        for _ in range(STEADY_BLOCKS):
            hashlib.sha256(STEADY_BYTES).digest()
        times.append(time.perf_counter() - began)
    ninth = statistics.quantiles(times, n=10)[8]
    return 100 * (ninth / statistics.median(times) - 1)
