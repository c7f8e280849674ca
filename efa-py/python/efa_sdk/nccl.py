"""NCCL over EFA: what its log shows, and what its environment should be.

``read_log`` takes a log that was written with ``NCCL_DEBUG=INFO`` (a path, the text, or lines) and
reports whether traffic is on EFA, with how many devices and channels of what kind, and why not;
lines of libfabric, NIXL, NVSHMEM, UCX, Open MPI, Neuron, PyTorch, vLLM, SGLang, the kernel and
tools are read too. ``NcclLog`` does the same with a log as it comes. ``python -m efa_sdk.nccl LOG``
prints the report, and exits with 0 on EFA, 1 on EFA with warnings, 2 not on EFA or where the job
failed, 3 where the log does not show it, 4 where it cannot be read, 64 for wrong usage.

``advise_environment`` lists which variables to set and which must go; its ``env_vars`` are what
Ray's ``runtime_env`` takes.

>>> from efa_sdk import nccl
>>> report = nccl.read_log(["n1:7:7 [0] NCCL INFO NET/Plugin: Could not find: libnccl-net.so.",
...                         "n1:7:7 [0] NCCL INFO Using network Socket"])
>>> report.verdict, report.reason.cause, report.reason.evidence.line
('tcp_sockets', 'plugin_not_found', 1)
>>> advice = nccl.advise_environment({"NCCL_PROTO": "simple"}, instance_type="p5.48xlarge")
>>> advice.env_vars, advice.unset
({'FI_PROVIDER': 'efa'}, ['NCCL_PROTO'])
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import BinaryIO

from efa_sdk._efa_sdk import (
    NcclAdvice,
    NcclChannels,
    NcclEvidence,
    NcclFinding,
    NcclHost,
    NcclLog,
    NcclNetwork,
    NcclNote,
    NcclRank,
    NcclReason,
    NcclReport,
    NcclSource,
    advise_nccl_environment,
)
from efa_sdk.arguments import typed
from efa_sdk.command_line import Parser, complain, interruptible, show
from efa_sdk.errors import EfaError, wrong_type

__all__ = [
    "NcclAdvice",
    "NcclChannels",
    "NcclEvidence",
    "NcclFinding",
    "NcclHost",
    "NcclLog",
    "NcclNetwork",
    "NcclNote",
    "NcclRank",
    "NcclReason",
    "NcclReport",
    "NcclSource",
    "advise_environment",
    "main",
    "read_log",
]

#: Exit code of the command when there is no log to read.
UNREADABLE = 4
_PIECE = 1 << 20


@typed
def read_log(
    log: str | bytes | bytearray | os.PathLike[str] | Iterable[str] | Iterable[bytes],
    *,
    expected_nics: int | None = None,
    expect_gpudirect: bool | None = None,
    instance_type: str | None = None,
) -> NcclReport:
    """Returns what the log of a job shows.

    log: a path; the log itself, as bytes or as a str with a newline in it; or its lines, such as
    an open file. instance_type: fills the other two from the catalog; of a type that the catalog
    does not have nothing is expected, and the report notes that. expected_nics: EFA devices that
    each node must have. expect_gpudirect: whether the instance type has GPUDirect RDMA; None takes
    channels without it as a warning, unless the plugin reports that it does without. Memory does
    not grow with the length of the log. Raises OSError when a path cannot be read, and CatalogError
    for a misspelt instance_type.
    """
    reader = NcclLog(
        expected_nics=expected_nics,
        expect_gpudirect=expect_gpudirect,
        instance_type=instance_type,
    )
    if isinstance(log, (bytes, bytearray)) or (isinstance(log, str) and "\n" in log):
        reader.feed(bytes(log) if isinstance(log, bytearray) else log)
    elif isinstance(log, (str, os.PathLike)):
        with open(log, "rb") as file:
            _feed(reader, file)
    else:
        for line in log:
            reader.feed_line(line)
    return reader.report()


def _feed(reader: NcclLog, file: BinaryIO) -> None:
    while piece := file.read(_PIECE):
        reader.feed(piece)


def advise_environment(
    environment: Mapping[str, str] | None = None,
    *,
    instance_type: str | None = None,
    efa_count: int | None = None,
    gpu_count: int | None = None,
    has_rdma: bool | None = None,
    libfabric_version: str | None = None,
    plugin_version: str | None = None,
    plugin_path: str | None = None,
    fork_is_safe: bool | None = None,
    require_efa: bool = False,
) -> NcclAdvice:
    """Returns what to set and what to unset for NCCL and PyTorch on a node with EFA.

    environment: the one that the processes would have; this process's by default. instance_type:
    fills ``efa_count``, ``gpu_count`` and ``has_rdma`` from the catalog where they are not given;
    of a type that the catalog lacks they stay unknown.
    plugin_path: the plugin's file or directory. fork_is_safe: whether a process may fork after it
    opened EFA (kernel 5.13 and rdma-core 35). require_efa: NCCL fails where it would go on over
    TCP. Versions that are not given count as current.

    Raises CatalogError for a misspelt instance_type, FabricError for a version without a number.
    """
    # The function of the module checks the others itself.
    if environment is not None and not isinstance(environment, Mapping):
        raise wrong_type("environment", environment, "a dict of str to str or None")
    return advise_nccl_environment(
        dict(os.environ if environment is None else environment),
        instance_type=instance_type,
        efa_count=efa_count,
        gpu_count=gpu_count,
        has_rdma=has_rdma,
        libfabric_version=libfabric_version,
        plugin_version=plugin_version,
        plugin_path=plugin_path,
        fork_is_safe=fork_is_safe,
        require_efa=require_efa,
    )


@typed
def main(argv: Sequence[str] | None = None, *, prog: str = "python -m efa_sdk.nccl") -> int:
    """Prints what a log shows; returns the exit status."""
    return interruptible(lambda given: _run(parser(prog).parse_args(given), prog), argv)


def _run(options: argparse.Namespace, prog: str) -> int:
    try:
        reader = NcclLog(
            expected_nics=options.expected_nics,
            expect_gpudirect=False if options.no_gpudirect else None,
            instance_type=options.instance_type,
        )
        if options.log == "-":
            _feed(reader, sys.stdin.buffer)
        else:
            with open(options.log, "rb") as file:
                _feed(reader, file)
    except (OSError, EfaError) as error:
        complain(prog, error)
        return UNREADABLE
    report = reader.report()
    show(report.to_json() if options.json else str(report))
    return report.exit_code


def parser(prog: str) -> argparse.ArgumentParser:
    """Returns the parser of the command."""
    parser = Parser(
        prog=prog,
        description="Reports whether a job uses EFA, from its log, written with NCCL_DEBUG=INFO.",
        epilog="Exit code: 0 on EFA, 1 on EFA with warnings, 2 not on EFA or the job failed, 3 the "
        "log does not show it, 4 the log cannot be read, 64 wrong usage.",
    )
    parser.add_argument("log", help="the log, or - for standard input")
    parser.add_argument(
        "--expected-nics", type=int, help="EFA devices that each node must have (default: unknown)"
    )
    parser.add_argument(
        "--instance-type",
        help="take the expected values of a node from the catalog (default: unknown)",
    )
    parser.add_argument(
        "--no-gpudirect", action="store_true", help="the type has no GPUDirect RDMA: do not warn"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


if __name__ == "__main__":
    sys.exit(main())
