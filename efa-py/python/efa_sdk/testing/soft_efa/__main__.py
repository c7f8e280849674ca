"""``python -m efa_sdk.testing.soft_efa -- COMMAND``: runs a program on software EFA devices.

The exit status is the program's (also a signal that ends it), 64 for wrong usage, 2 for devices
that cannot be made, 126 and 127 for a command that cannot be run. SIGINT, SIGTERM, SIGHUP, SIGQUIT,
SIGUSR1 and SIGUSR2 are passed on to the program.
"""

from __future__ import annotations

import argparse
import os
import resource
import signal
import sys
from collections.abc import Sequence
from typing import Any

from efa_sdk.command_line import Parser, complain

from . import SoftEfa, SoftEfaError
from .block import CAPABILITIES
from .faults import FAULTS, parse

#: Signals that a program gets when they are sent to this process.
_PASSED = frozenset(
    {
        signal.SIGINT,
        signal.SIGTERM,
        signal.SIGHUP,
        signal.SIGQUIT,
        signal.SIGUSR1,
        signal.SIGUSR2,
    }
)
#: ``si_code`` of a signal that a process sent: a terminal's go to the program by themselves.
_SI_USER, _SI_QUEUE, _SI_TKILL = 0, -1, -6


def main(
    argv: Sequence[str] | None = None, *, prog: str = "python -m efa_sdk.testing.soft_efa"
) -> int:
    """Runs the program; its exit status, negative if a signal ended it."""
    words = list(sys.argv[1:] if argv is None else argv)
    options, command = _divided(parser(prog), words)
    try:
        faults = _faults(options.fault)
        with SoftEfa(
            devices=None if options.devices == "all" else options.devices,
            instance_type=options.instance_type,
            address=options.address,
            libfabric=options.libfabric,
            faults=faults,
            without=options.without,
            unresponsive_after_s=options.unresponsive_after,
            shared_memory=options.shared_memory,
            namespace=options.namespace,
            gpus=options.gpus,
            hwloc=options.hwloc,
            tree=options.tree,
        ) as host:
            if options.print_environment:
                for name, value in host.environ.items():
                    print(f"{name}={value}")
                return 0
            return _run(host.command(command), {**os.environ, **host.environ}, prog)
    except SoftEfaError as error:
        complain(prog, error)
        return 2


def _divided(
    parser: argparse.ArgumentParser, words: list[str]
) -> tuple[argparse.Namespace, list[str]]:
    """The options, and the command behind ``--``."""
    at = words.index("--") if "--" in words else len(words)
    options = parser.parse_args(words[:at])
    command = words[at + 1 :]
    if options.print_environment:
        if options.tree is None:
            parser.error(
                "--print-environment needs --tree: a temporary tree goes with this command"
            )
        if command:
            parser.error("--print-environment runs no command")
    elif not command:
        parser.error("no command: put it behind --, such as: -- fi_info -p efa")
    return options, command


def _faults(given: list[str]) -> dict[int | str, dict[str, float]]:
    """The faults of each device; those of all devices come first."""
    faults: dict[int | str, dict[str, float]] = {}
    for device, values in map(parse, given):
        faults.setdefault("all" if device is None else device, {}).update(values)
    return faults


def _run(command: list[str], environment: dict[str, str], prog: str) -> int:
    """Starts the program, passes signals on, and waits for its end."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _PASSED | {signal.SIGCHLD})
    sys.stdout.flush()
    try:
        program = os.posix_spawnp(command[0], command, environment, setsigmask=before)
    except OSError as error:
        complain(prog, f"{command[0]}: {error.strerror}")
        if command[0].startswith("fi_"):
            complain(prog, "the fi_ tools of Debian and Ubuntu: apt-get install libfabric-bin")
        return 127 if isinstance(error, FileNotFoundError) else 126
    while True:
        ended, status = os.waitpid(program, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        received = signal.sigwaitinfo(_PASSED | {signal.SIGCHLD})
        if received.si_signo != signal.SIGCHLD and received.si_code in (
            _SI_USER,
            _SI_QUEUE,
            _SI_TKILL,
        ):
            os.kill(program, received.si_signo)


def die(number: int) -> None:
    """Ends this process as the program was ended: by the same signal."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if number not in (signal.SIGKILL, signal.SIGSTOP):
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def _devices(text: str) -> Any:
    if text == "all":
        return text
    if "," in text and all(part.isdecimal() for part in text.split(",")):
        return [int(part) for part in text.split(",")]
    if text.isdecimal():
        return int(text)
    raise argparse.ArgumentTypeError(
        f"{text!r} is not a number, 'all', or network cards such as 0,1,8"
    )


def parser(prog: str) -> argparse.ArgumentParser:
    """Returns the parser of the command."""
    lines = "\n".join(f"  {name:9} {fault.meaning}" for name, fault in FAULTS.items())
    parser = Parser(
        prog=prog,
        usage="%(prog)s [OPTION]... -- COMMAND [ARGUMENT]...",
        description=__doc__.split("\n\n")[0].split(": ")[1].capitalize(),
        epilog=f"faults:\n{lines}\n\ndocs/soft-efa.md has the rest.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        "--devices",
        type=_devices,
        default=4,
        metavar="N|all|CARDS",
        help="how many devices (default: 4), all of the type, or its network cards: 0,1,8",
    )
    add(
        "--instance-type",
        default="p5.48xlarge",
        metavar="TYPE",
        help="the type that the machine shows (default: p5.48xlarge)",
    )
    add(
        "--address",
        default="127.0.0.1",
        metavar="IPV4",
        help="address of this machine that carries packets (default: 127.0.0.1)",
    )
    add(
        "--libfabric",
        metavar="system|PATH",
        help="the libfabric that programs use (default: what they find themselves)",
    )
    add(
        "--fault",
        action="append",
        default=[],
        metavar="[DEVICE:]NAME=VALUE",
        help="a fault from the start, of the device with this number, or of all; repeatable",
    )
    add(
        "--without",
        action="append",
        default=[],
        choices=list(CAPABILITIES),
        help="a capability that the devices lack; repeatable",
    )
    add(
        "--unresponsive-after",
        type=float,
        default=3.0,
        metavar="SECONDS",
        help="when a peer that does not answer is given up (default: 3)",
    )
    add(
        "--namespace",
        action="store_true",
        help="show the tree as /sys and /dev; needs root or user namespaces",
    )
    add(
        "--shared-memory",
        action="store_true",
        help="let the provider send through shared memory between processes of this machine",
    )
    add(
        "--hwloc",
        action="store_true",
        help="give programs a topology of hwloc with the devices, for the wheels of mpich and"
        " impi-rt",
    )
    add("--gpus", action="store_true", help="also show the type's GPUs, on the PCI bus only")
    add(
        "--tree",
        metavar="DIR",
        help="write the tree here, and leave it (default: a temporary directory)",
    )
    add(
        "--print-environment",
        action="store_true",
        help="with --tree: print the variables for programs, and run none",
    )
    return parser


if __name__ == "__main__":
    status = main()
    if status < 0:
        die(-status)
    sys.exit(status)
