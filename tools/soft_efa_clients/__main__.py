"""Runs large clients on software EFA devices and prints what came of it, as a table.

`make soft-efa-clients` runs it and puts the table into docs/soft-efa-clients.md. It installs the
clients into a virtual environment of their own, from wheels whose hashes are in requirements.txt.
"""

from __future__ import annotations

import argparse
import datetime
import os
import re
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

from efa_sdk.testing import SoftEfa, soft_efa

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
DOCUMENT = ROOT / "docs" / "soft-efa-clients.md"
BEGIN, END = "<!-- table: make soft-efa-clients -->", "<!-- end of table -->"
VENV = ROOT / ".venv-soft-efa-clients"
LIMIT_S = 180
MIB = 1 << 20

#: Loss and reordering of all devices.
ROUGH = {"all": {"loss": 0.01, "reorder": 0.2}}
OPEN_MPI = ["mpirun", "--oversubscribe", "--mca", "pml", "cm", "--mca", "mtl", "ofi", "-n"]
OPEN_MPI_ENVIRONMENT = {
    "FI_PROVIDER_PATH": str(VENV / "lib/openmpi/libfabric"),
    "OMPI_MCA_mtl_ofi_provider_include": "efa",
    "OMPI_MCA_opal_common_ofi_provider_include": "efa",
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
}


class Case(NamedTuple):
    """A program and the devices that it runs on."""

    client: str
    path: str
    what: str
    command: list[str]
    options: dict[str, Any]
    environment: dict[str, str]


def cases(libfabric: str, links: Path) -> list[Case]:
    """Every case, in the order of the table."""
    mpi = str(ROOT / "tests/python/mpi_bytes.py")
    mooncake = ["python", str(HERE / "mooncake_bytes.py")]
    nixl = ["python", str(HERE / "nixl_bytes.py"), "UCX"]
    # UCX comes with libraries of its own; a link of that name leads to the device's.
    ucx = {"UCX_TLS": "srd,self", "LD_LIBRARY_PATH": str(links)}
    over = {"libfabric": libfabric, "namespace": True}
    no_rdma = {"without": ["read", "write", "unsolicited"]}
    found = [
        Case(
            client="openmpi",
            path="mtl ofi",
            what=f"{ranks} ranks",
            command=[*OPEN_MPI, str(ranks), "python", mpi],
            options=more,
            environment=OPEN_MPI_ENVIRONMENT,
        )
        for ranks, more in ((2, {}), (4, {}), (2, {"faults": ROUGH}))
    ]
    name = "mooncake-transfer-engine-efa-non-cuda"
    for size, more in (
        (8 * MIB, {"devices": 1}),
        (64 * MIB, {"devices": 4}),
        (8 * MIB, {"devices": 1, **no_rdma}),
        (8 * MIB, {"devices": 1, "faults": ROUGH}),
    ):
        command = [*mooncake, str(size)]
        words = f"write and read of {size // MIB} MiB"
        found.append(Case(name, "protocol efa", words, command, over | more, {}))
    for size, more in (
        (8 * MIB, {"devices": 1}),
        (32 * MIB, {"devices": 4}),
        (8 * MIB, {"devices": 1, "faults": {"all": {"loss": 0.01}}}),
    ):
        command = [*nixl, str(size)]
        words = f"write, notification, read of {size // MIB} MiB"
        found.append(Case("nixl-cu12", "UCX srd", words, command, {"namespace": True} | more, ucx))
    return found


def run(case: Case) -> tuple[str, bool]:
    """A row of the table, and whether the case went well."""
    environment = {**os.environ, "PATH": f"{VENV}/bin:{os.environ['PATH']}"}
    own = case.environment.get("LD_LIBRARY_PATH")
    with SoftEfa(**{"devices": 2, "instance_type": "p5en.48xlarge", **case.options}) as host:
        environment |= {**host.environ, **case.environment}
        if own is not None:
            environment["LD_LIBRARY_PATH"] = f"{own}:{host.environ['LD_LIBRARY_PATH']}"
        began = time.monotonic()
        try:
            done = subprocess.run(
                host.command(case.command),
                env=environment,
                capture_output=True,
                text=True,
                timeout=LIMIT_S,
                check=False,
            )
            status, printed, errors = done.returncode, done.stdout, done.stderr
        except subprocess.TimeoutExpired as error:
            status, printed, errors = -1, str(error.stdout), f"more than {LIMIT_S} s"
        seconds = time.monotonic() - began
        counters, devices = host.counters(), len(host.devices)
        used = sum(host.counters(d.index)["tx_bytes"] > 0 for d in host.devices)
    payload = _payload(printed)
    moved = sum(counters[n] for n in ("tx_bytes", "rdma_read_bytes", "rdma_write_bytes"))
    well = status == 0 and 0 < payload <= moved
    if not well:
        print(f"{case}\n{printed[-3000:]}\n{errors[-3000:]}", file=sys.stderr)
    faults = ", ".join(
        f"{k} {v:g}" for k, v in case.options.get("faults", {}).get("all", {}).items()
    )
    rest = "; ".join(filter(None, [faults, "no RDMA" if "without" in case.options else ""]))
    row = (
        f"| {case.client} {_version(case.client)} | {case.path} | {case.what}"
        f" | {used} of {devices} | {rest or 'none'} | {'right' if well else f'FAILED ({status})'}"
        f" | {payload / MIB:.1f} | {counters['tx_bytes'] / MIB:.1f}"
        f" | {counters['rdma_read_bytes'] / MIB:.1f} | {counters['rdma_write_bytes'] / MIB:.1f}"
        f" | {seconds:.1f} |"
    )
    return row, well


def _payload(printed: str) -> int:
    """Bytes that the program reports it compared."""
    if ranks := re.findall(r"sent (\d+) bytes, all right", printed):
        return sum(int(count) for count in ranks)
    last = (printed.strip().splitlines() or [""])[-1]
    return int(last) if last.isdecimal() else 0


def _version(client: str) -> str:
    folder = next(iter((VENV / "lib").glob("python3*/site-packages")))
    return next(iter(metadata.distributions(name=client, path=[str(folder)]))).version


def install() -> None:
    """The clients, as their hashes state."""
    wanted = (HERE / "requirements.txt").read_text()
    stamp = VENV / "requirements.txt"
    if stamp.is_file() and stamp.read_text() == wanted:
        return
    subprocess.run([sys.executable, "-m", "venv", "--clear", VENV], check=True)
    pip = [VENV / "bin/python", "-m", "pip", "install", "--quiet", "--no-compile", "--no-deps"]
    subprocess.run([*pip, "-r", HERE / "requirements.txt"], check=True)
    stamp.write_text(wanted)


def link_verbs() -> Path:
    """A folder in which the libibverbs that NIXL brings is the device's."""
    folder = VENV / "links"
    folder.mkdir(exist_ok=True)
    libraries = Path(soft_efa.__file__).with_name("lib")
    for bundled in VENV.glob("lib/python3*/site-packages/nixl_cu12.libs/libibverbs-*.so*"):
        link = folder / bundled.name
        link.unlink(missing_ok=True)
        link.symlink_to(libraries / "libibverbs.so.1")
    return folder


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--write", action="store_true", help="put the table into docs/")
    parser.add_argument("--only", default="", help="clients whose name has this in it")
    options = parser.parse_args()
    libfabric = os.environ.get("EFA_TEST_LIBFABRIC_2", "")
    if not libfabric:
        parser.error("EFA_TEST_LIBFABRIC_2 must name a libfabric 2.x, as the Makefile does")
    install()
    lines = [
        "| client | path | what | devices used | faults | bytes | payload MiB | tx MiB"
        " | RDMA read MiB | RDMA write MiB | s |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    failed = 0
    for case in cases(libfabric, link_verbs()):
        if options.only in case.client:
            row, well = run(case)
            failed += not well
            lines.append(row)
            print(row, flush=True)
    today = datetime.datetime.now(datetime.timezone.utc).date()
    load = os.getloadavg()[1]
    text = (
        f"{today}, {os.cpu_count()} processors, load {load:.0f}, one run of each.\n\n"
        + "\n".join(lines)
    )
    if options.write and not options.only:
        before, _, rest = DOCUMENT.read_text().partition(BEGIN)
        after = rest.partition(END)[2]
        DOCUMENT.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
