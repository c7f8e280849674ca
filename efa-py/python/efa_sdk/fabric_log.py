"""libfabric's own log, read: why EFA is not there, or why it failed later.

``read_log`` takes what libfabric wrote with ``FI_LOG_LEVEL=warn`` or ``info`` (a path, the text, or
lines) and gives its fingerprints: the lines that mean something for EFA, with the provider, device,
variable or number that each names. What a line means is in ``docs/doctor.md``; the log of a whole
job, with NCCL's lines, is for ``efa_sdk.nccl``, which reads these lines too.

>>> from efa_sdk import fabric_log
>>> line = "libfabric:7:1747::core:core:fi_getinfo_():1392<warn> fi_getinfo: provider efa output"
>>> log = fabric_log.read_log([f"{line} empty list"])
>>> [(found.kind, found.subject) for found in log.fingerprints]
[('empty_list', 'efa')]
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from efa_sdk._efa_sdk import (
    FabricFingerprint,
    FabricLog,
    FabricLogLine,
    read_fabric_log,
    read_fabric_log_file,
)
from efa_sdk.arguments import typed

__all__ = ["FabricFingerprint", "FabricLog", "FabricLogLine", "read_log"]


@typed
def read_log(
    log: str | bytes | bytearray | os.PathLike[str] | Iterable[str] | Iterable[bytes],
) -> FabricLog:
    """Returns what a log of libfabric shows.

    log: a path; the log itself, as bytes or as a str with a newline in it; or its lines, such as
    an open file. The whole log is held in memory. Raises OSError when a path cannot be read.
    """
    if isinstance(log, (bytes, bytearray)):
        return read_fabric_log(bytes(log))
    if isinstance(log, str) and "\n" in log:
        return read_fabric_log(log)
    if isinstance(log, (str, os.PathLike)):
        return read_fabric_log_file(os.fspath(log))
    lines = [line.encode(errors="replace") if isinstance(line, str) else line for line in log]
    return read_fabric_log(b"\n".join(line.rstrip(b"\n") for line in lines))
