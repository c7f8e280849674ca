"""What test_soft_doctor.py runs where a software host's tree is /sys and /dev.

It breaks the machine in one way after another, and prints the doctor's report of each as a line of
JSON. With ``rdma-core`` as argument libfabric uses the machine's own rdma-core instead of the
device's: it drives none of the devices, but reads the same tree as on hardware.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

from efa_sdk import fabric

_SYS, _VERBS = Path("/sys"), Path("/dev/infiniband")
_PCI = sorted(
    path
    for path in (_SYS / "bus/pci/devices").iterdir()
    if (path / "vendor").read_text().strip() == "0x1d0f"
)
#: The RDMA devices in sysfs, and what they are to programs.
_UVERBS = sorted((_SYS / "class/infiniband_verbs").glob("uverbs*"))
_RDMA = [*sorted((_SYS / "class/infiniband").iterdir()), *_UVERBS]
#: The machine's files of rdma-core (Debian's and Amazon's directories).
_DRIVERS = [
    path
    for pattern in ("lib/*/libibverbs", "lib64/libibverbs")
    for path in Path("/usr").glob(pattern)
]
_PR_CAPBSET_DROP = 24
_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH, _CAP_IPC_LOCK = 1, 2, 14


@contextmanager
def hidden(*paths: Path) -> Iterator[None]:
    """Takes files, links and directories of the tree away."""
    store = _SYS / ".hidden"
    store.mkdir(exist_ok=True)
    moved = [(path, store / str(index)) for index, path in enumerate(paths)]
    for path, away in moved:
        path.rename(away)
    yield
    for path, away in reversed(moved):
        away.rename(path)


@contextmanager
def loaded(module: str) -> Iterator[None]:
    """Makes a kernel module seem loaded."""
    folder = _SYS / "module" / module
    folder.mkdir()
    yield
    folder.rmdir()


@contextmanager
def generation(part: str) -> Iterator[None]:
    """Gives the devices another PCI device id."""
    files = [path.resolve() / "device" for path in _PCI]
    before = [file.read_text() for file in files]
    for file in files:
        file.write_text(f"{part}\n")
    yield
    for file, text in zip(files, before, strict=True):
        file.write_text(text)


@contextmanager
def covered(folder: Path, *names: str, mode: int = 0o666) -> Iterator[None]:
    """Puts an empty directory, or one with these files, in front of another."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", folder], check=True)
    for name in names:
        (folder / name).touch()
        (folder / name).chmod(mode)
    yield
    subprocess.run(["umount", folder], check=True)


@contextmanager
def environment(**variables: str) -> Iterator[None]:
    """Sets variables, or removes empty ones."""
    before = dict(os.environ)
    os.environ.update(variables)
    for name in [name for name, value in variables.items() if not value]:
        del os.environ[name]
    yield
    os.environ.clear()
    os.environ.update(before)


def show(name: str, *breaks: AbstractContextManager[None]) -> None:
    """What the doctor reports of the machine that is broken in these ways."""
    with ExitStack() as stack:
        for each in breaks:
            stack.enter_context(each)
        tell(name, fabric.doctor())


def show_without_rights(name: str, *breaks: AbstractContextManager[None]) -> None:
    """The same in a process without root's rights over files and locked memory."""

    def drop() -> None:
        for capability in (_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH, _CAP_IPC_LOCK):
            ctypes.CDLL(None).prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (65536, 65536))

    with ExitStack() as stack:
        for each in breaks:
            stack.enter_context(each)
        command = [sys.executable, "-m", "efa_sdk.doctor", "--json"]
        done = subprocess.run(
            command, preexec_fn=drop, stdout=subprocess.PIPE, text=True, check=False
        )
    tell(name, fabric.DoctorReport.from_json(done.stdout))


def tell(name: str, report: fabric.DoctorReport) -> None:
    """One line."""
    findings = {f.id: [f.status, f"{f.title} {f.evidence}"] for f in report.findings}
    print(json.dumps([name, report.verdict, report.cause, findings]), flush=True)


def with_the_device() -> None:
    """Machines whose libfabric is linked with the device's libraries."""
    show("nothing is broken")
    show("efa is not loaded", hidden(_SYS / "module/efa", *_RDMA))
    show(
        "ib_uverbs is not loaded",
        hidden(_SYS / "module/ib_uverbs", *_UVERBS),
        covered(_VERBS),
    )
    show("OFED is in the way", loaded("mlx_compat"), hidden(*_RDMA))
    show(
        "the driver left the devices alone",
        hidden(*[path.resolve() / "driver" for path in _PCI], *_RDMA),
    )
    show("no RDMA device", hidden(*_RDMA))
    show("no device on the bus", hidden(*_PCI, *_RDMA))
    show("one file is missing", covered(_VERBS, "uverbs1"))
    show("no efa provider", environment(FI_PROVIDER_PATH="/nowhere"))
    show("no libfabric", environment(EFA_FABRIC_LIB="/nowhere/libfabric.so.1"))
    show("a variable that aborts the process", environment(FI_EFA_MTU_SIZE="9000"))
    show("filtered by FI_PROVIDER", environment(FI_PROVIDER="tcp"))
    show("an invalid device", environment(FI_EFA_IFACE="rdmap0s99"))
    show("a variable that nobody reads", environment(FI_EFA_DEVICE_NAME="rdmap16s27"))
    show("forks are made safe", environment(FI_EFA_FORK_SAFE="1"))
    show("little shared memory", covered(Path("/dev/shm")))
    show_without_rights("little locked memory")


def with_rdma_core() -> None:
    """Machines whose libfabric is linked with the machine's rdma-core."""
    show("devices that nothing drives", environment(LD_LIBRARY_PATH=""))
    show("a generation after this rdma-core", environment(LD_LIBRARY_PATH=""), generation("0xefa4"))
    show("a generation of the future", environment(LD_LIBRARY_PATH=""), generation("0xefa9"))
    show("no driver", environment(LD_LIBRARY_PATH=""), *[covered(path) for path in _DRIVERS])
    show("no driver is named", environment(LD_LIBRARY_PATH=""), covered(Path("/etc/libibverbs.d")))
    show_without_rights(
        "files that others may open",
        environment(LD_LIBRARY_PATH=""),
        covered(_VERBS, "uverbs0", "uverbs1", mode=0),
    )


if __name__ == "__main__":
    (with_rdma_core if "rdma-core" in sys.argv[1:] else with_the_device)()
