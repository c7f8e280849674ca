"""Where libraries are: those of the device, and the libfabric that programs are to use."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from pathlib import Path

from .errors import fail

#: The libraries that stand in for rdma-core's. Built by ``tools/build_soft_efa.sh``.
DEVICE_LIBRARIES = Path(__file__).with_name("lib")

_SYSTEM_LIBFABRIC = "libfabric.so.1"


def device_libraries() -> Path:
    """Returns the directory of the device's libraries. Raises `SoftEfaError` where it lacks one."""
    for name in ("libibverbs.so.1", "libefa.so.1"):
        if not (DEVICE_LIBRARIES / name).is_file():
            fail(
                "soft_efa.libraries_missing",
                f"{DEVICE_LIBRARIES / name} does not exist",
                "install the wheel of efa-sdk for Linux, or run `make build` in a checkout",
                path=DEVICE_LIBRARIES / name,
            )
    return DEVICE_LIBRARIES


def libfabric_environment(libfabric: str | os.PathLike[str]) -> dict[str, str]:
    """Variables that make programs use a libfabric: ``system``, or the path of one."""
    if libfabric == "system":
        try:
            _load_elsewhere(_SYSTEM_LIBFABRIC)
        except OSError as error:
            fail(
                "soft_efa.libfabric_not_found",
                f"this system has no libfabric: {error}",
                "apt-get install libfabric1 libfabric-bin (Debian, Ubuntu), or give the path of a"
                " libfabric.so.1",
            )
        return {}
    path = Path(libfabric).absolute()
    if path.is_dir():
        path = path / "libfabric.so.1"
    if not path.is_file():
        fail(
            "soft_efa.libfabric_not_found",
            f"there is no libfabric at {path}",
            "give the path of a libfabric.so.1, or 'system' for the one that the linker finds",
            path=path,
        )
    found = {"EFA_FABRIC_LIB": str(path), "LD_LIBRARY_PATH": str(path.parent)}
    # Wheels keep each provider in a library of its own.
    providers = path.parent / "libfabric"
    if any(providers.glob("lib*-fi.so")):
        found["FI_PROVIDER_PATH"] = str(providers)
    return found


@functools.cache  # of what loads: what does not may be installed meanwhile
def _load_elsewhere(library: str) -> None:
    """Raises OSError for a library that the loader does not find.

    A process of its own loads it: Debian's libfabric brings a library (libinfinipath) that takes
    SIGINT and SIGTERM, and Ctrl-C would end the caller's process without a word.
    """
    load = "import ctypes, sys\nctypes.CDLL(sys.argv[1])"
    command = [sys.executable, "-I", "-S", "-c", load, library]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise OSError(done.stderr.strip().rpartition("\n")[2].removeprefix("OSError: "))
