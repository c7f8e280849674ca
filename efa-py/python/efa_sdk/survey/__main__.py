"""The command line of a survey: see ``efa_sdk.survey``."""

from __future__ import annotations

import argparse
import errno
import math
import os
import pathlib
import socket
import sys
import typing
from collections.abc import Callable, Sequence

from efa_sdk import choices
from efa_sdk.command_line import (
    INTERRUPTED,
    TERMINATED,
    Parser,
    Terminated,
    complain,
    reason,
    show,
    terminable,
)
from efa_sdk.errors import EfaError, invalid_value
from efa_sdk.fabric import Library
from efa_sdk.progress import SurveyLine
from efa_sdk.survey import (
    PairOptions,
    StoreClient,
    StoreServer,
    SurveyNode,
    SurveyOptions,
    SurveyReport,
    SurveySummary,
    SurveyThresholds,
    choose_provider,
    choose_rails,
    inspect_node,
    rank_from_environment,
    run_rank,
)
from efa_sdk.survey.leaving import declining, leave_last

#: Ranks of a survey, as `run_rank` takes them.
MOST_RANKS = 16_384
#: Seconds of a deadline: a day, after which the store of rank 0 closes by itself.
LONGEST_S = 86_400.0
#: Seconds in which rank 0 is looked for by a rank that only states why it takes no part.
_DECLINE_S = 10.0

#: Thresholds: option of the command line, type, and what it is.
_THRESHOLDS: tuple[tuple[str, type[int] | type[float], str], ...] = (
    ("loss", float, "least loss of bandwidth, as a share of the median (default: 0.10)"),
    (
        "latency-excess",
        float,
        "least rise of a node's latency, as a share of the median (default: 0.10)",
    ),
    ("link-latency-excess", float, "the same of a link, to measure it again (default: 0.25)"),
    ("z", float, "least robust z, in standard deviations (default: 3.5)"),
    ("of-expected", float, "least share of the expected rate (default: 0.90)"),
    ("least-nodes", int, "live nodes below which no outlier is named (default: 5)"),
    ("alone", int, "times that an outlier is measured again alone (default: 3)"),
)


def _seconds(least: float) -> Callable[[str], float]:
    """What reads seconds, from as many to a day."""

    def read(text: str) -> float:
        try:
            seconds = float(text)
        except ValueError:
            seconds = math.nan
        if not least <= seconds <= LONGEST_S:
            raise argparse.ArgumentTypeError(
                f"'{text}' is not seconds from {least:g} to {LONGEST_S:g}"
            )
        return seconds

    return read


def _rails(text: str) -> int:
    """Reads a number of rails."""
    if not (text.isdecimal() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"'{text}' is not 1 or more")
    return int(text)


_STATUSES = """\
exit status:
  0    healthy: every node was measured, and no fault was found
  1    findings: there is evidence against a node, a link or the network
  2    could not be surveyed: a rank never joined, a token was refused, libfabric is missing, ...
  64   wrong usage
  130  interrupted; 143 terminated, as by a scheduler
"""


def parser(prog: str) -> argparse.ArgumentParser:
    """Returns the parser of the command."""
    parser = Parser(
        prog=prog,
        description="Measure every pair of nodes; name bad ones.",
        epilog=_STATUSES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_rendezvous(parser)
    _add_pairs(parser)
    _add_thresholds(parser)
    _add_measurement(parser)
    _add_output(parser)
    return parser


def _add_rendezvous(parser: argparse.ArgumentParser) -> None:
    """Which process this is, and where it meets the others."""
    rank, world_size = rank_from_environment(os.environ)
    parser.add_argument(
        "--rank",
        type=int,
        default=rank,
        help="number of this process, from 0 (default: the launcher's)",
    )
    parser.add_argument(
        "--world-size",
        type=int,
        default=world_size,
        help="number of processes (default: the launcher's)",
    )
    parser.add_argument(
        "--rendezvous",
        required=True,
        metavar="HOST:PORT",
        help="address and TCP port where rank 0 listens (required)",
    )
    parser.add_argument(
        "--token-file",
        required=True,
        type=pathlib.Path,
        help="file with a secret of 16 bytes or more, the same on all ranks (required)",
    )
    parser.add_argument(
        "--name", default="survey", help="of this survey, the same on all ranks (default: survey)"
    )
    parser.add_argument(
        "--node-name",
        help="what the report calls this node, such as the scheduler's name of it; "
        "SLURMD_NODENAME where Slurm sets it, else HOSTNAME/RANK",
    )


def _add_pairs(parser: argparse.ArgumentParser) -> None:
    """What is measured: between which nodes, and over what."""
    parser.add_argument("--provider", help="of libfabric (default: efa if present, else tcp)")
    parser.add_argument(
        "--source-address",
        help="local IP address, for providers that take one (default: the provider's choice)",
    )
    parser.add_argument("--rails", type=_rails, help="most EFA devices to measure (default: all)")
    parser.add_argument(
        "--mode",
        default="full",
        choices=("full", "sampled", "ring"),
        help="pairs to measure: every one, random ones in few rounds, or each node with the "
        "next (default: full)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of random choices (default: 0)")
    parser.add_argument(
        "--base-rounds",
        type=int,
        help="rounds of a sampled survey before suspects (default: log2(nodes) + 2)",
    )
    parser.add_argument(
        "--collectives",
        nargs="+",
        default=[],
        metavar="PATTERN",
        choices=typing.get_args(choices.SurveyPattern),
        help="patterns after the pairs, in which nodes send and receive at once: ring, "
        "all_to_all, incast; by --group ring_within_groups, ring_between_groups, "
        "all_to_all_within_groups, all_to_all_between_groups, incast_into_groups; none",
    )
    parser.add_argument(
        "--group",
        action="append",
        default=[],
        metavar="NETWORK_NODE",
        help="leaf, rack or zone that this node is below; more than once from the top down; "
        "unknown",
    )


def _add_thresholds(parser: argparse.ArgumentParser) -> None:
    thresholds = parser.add_argument_group("when a difference counts; rank 0's are used")
    for name, kind, meaning in _THRESHOLDS:
        thresholds.add_argument(f"--{name}", type=kind, help=meaning)


def _add_measurement(parser: argparse.ArgumentParser) -> None:
    """How long and how much is measured, and what it should reach."""
    parser.add_argument(
        "--message-bytes",
        type=int,
        default=1 << 20,
        help="size in bytes of messages for rates (default: 1048576)",
    )
    parser.add_argument(
        "--test-budget-s",
        type=float,
        default=0.2,
        help="seconds for latency, and for the rate in each direction (default: 0.2)",
    )
    parser.add_argument(
        "--expected-gbps",
        type=float,
        help="Gbit/s that a pair should reach in one direction, all rails together (default: none)",
    )
    parser.add_argument(
        "--expected-rail-gbps",
        type=float,
        help="Gbit/s that one rail should reach in one direction (default: none)",
    )
    parser.add_argument(
        "--no-inspection", action="store_true", help="do not run the doctor on the nodes"
    )
    parser.add_argument(
        "--join-deadline-s",
        type=_seconds(0),
        default=120.0,
        help="seconds for all ranks to join (default: 120)",
    )
    parser.add_argument(
        "--round-deadline-s",
        type=_seconds(0.1),
        default=30.0,
        help="seconds for each round (default: 30)",
    )


def _add_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="rank 0 prints JSON, not text")
    parser.add_argument(
        "--save",
        type=pathlib.Path,
        metavar="PATH",
        help="where rank 0 writes the report as JSON, a file or a folder (default: nowhere)",
    )
    parser.add_argument(
        "--openmetrics",
        type=pathlib.Path,
        metavar="FILE",
        help="where rank 0 writes metrics for a textfile collector (default: nowhere)",
    )
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument(
        "--progress", action="store_true", help="show rank 0's, even if standard error is not a tty"
    )
    shown.add_argument("--quiet", action="store_true", help="no progress, even on a tty")


def _arguments(argv: Sequence[str] | None, parser: argparse.ArgumentParser) -> argparse.Namespace:
    given = parser.parse_args(argv)
    if given.rank is None or given.world_size is None:
        parser.error("--rank and --world-size are needed: no launcher's variables set them")
    if not 1 <= given.world_size <= MOST_RANKS:
        parser.error(
            f"--world-size {given.world_size}: a survey has 1 to {MOST_RANKS:,} ranks; "
            "survey parts of a larger cluster"
        )
    if not 0 <= given.rank < given.world_size:
        most = given.world_size - 1
        parser.error(f"--rank {given.rank}: ranks of world size {given.world_size} are 0 to {most}")
    host, _, port = given.rendezvous.rpartition(":")
    if not host or not port.isdecimal() or not 1 <= int(port) <= 65535:
        parser.error(
            f"--rendezvous '{given.rendezvous}' is not HOST:PORT, with a port from 1 to 65535 "
            "that all ranks know"
        )
    try:
        given.options = _options(given)
    except EfaError as error:
        parser.error(str(error))
    return given


def _options(given: argparse.Namespace) -> SurveyOptions:
    names = [name.replace("-", "_") for name, _, _ in _THRESHOLDS]
    thresholds = {name: getattr(given, name) for name in names if getattr(given, name) is not None}
    return SurveyOptions(
        mode=given.mode,
        seed=given.seed,
        expected_gbps=given.expected_gbps,
        expected_rail_gbps=given.expected_rail_gbps,
        base_rounds=given.base_rounds,
        thresholds=SurveyThresholds(**thresholds),
        collectives=given.collectives,
    )


def _token(file: pathlib.Path) -> str:
    """The secret in a file."""
    cure = "write random text there, such as with: openssl rand -hex 32"
    try:
        token = file.read_text(encoding="utf-8").strip()
    except UnicodeDecodeError:
        raise invalid_value("token_file", str(file), "a file of text", cure) from None
    if not token:
        raise invalid_value("token_file", str(file), "a file with a token", cure)
    return token


def _store(token: str, host: str, port: str) -> StoreServer:
    """What the ranks meet through, on the address that is named, and no other."""
    try:
        address = socket.gethostbyname(host.strip("[]")) if ":" not in host else host
    except OSError as error:
        raise OSError(
            f"the host of --rendezvous, '{host}', has no known address: {error.strerror}; "
            "give a name that all ranks resolve, or an address of rank 0's machine"
        ) from None
    if not _is_own(address.strip("[]")):
        raise invalid_value(
            "rendezvous",
            f"{host}:{port}",
            "an address of this machine, where rank 0 runs",
            "run rank 0 on the machine that is named, or name this one",
        )
    return StoreServer(token, address=f"{address}:{port}")


def _is_own(address: str) -> bool:
    """Whether this machine has the address: a port of it can be bound."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError as error:
            return error.errno != errno.EADDRNOTAVAIL
    return True


def _run(given: argparse.Namespace) -> SurveyReport | SurveySummary:
    token = _token(given.token_file)
    host, _, port = given.rendezvous.rpartition(":")
    name_of_node = _node_name(given)

    def soon() -> StoreClient:
        return StoreClient(
            given.rendezvous, token, timeout_s=min(_DECLINE_S, given.join_deadline_s)
        )

    with declining(soon, given.name, name_of_node, given.rank, given.world_size):
        library = Library()
        provider = given.provider or choose_provider()
        pair = PairOptions(
            provider,
            source_address=given.source_address,
            rails=choose_rails(provider, given.rails),
            message_bytes=given.message_bytes,
            test_budget_s=given.test_budget_s,
        )
    line = SurveyLine(disable=True if given.quiet else False if given.progress else None)
    server = None
    if given.rank == 0:
        server = _store(token, host, port)
    try:
        # An outage of the store that is shorter than a round ends nothing: TCP, which doubles its
        # pauses, is through in twice that. A store that is gone for good states nothing either.
        client = StoreClient(
            given.rendezvous,
            token,
            timeout_s=given.join_deadline_s,
            request_timeout_s=2 * given.round_deadline_s + 1,
        )
        report = run_rank(
            client,
            given.name,
            SurveyNode(
                name_of_node,
                inspection=None if given.no_inspection else inspect_node().to_json(),
                network_nodes=given.group,
            ),
            pair,
            rank=given.rank,
            world_size=given.world_size,
            options=given.options,
            join_deadline_s=given.join_deadline_s,
            round_deadline_s=given.round_deadline_s,
            progress=line,
            library=library,
        )
        leave_last(client, given.name, given.rank, report)
        return report
    finally:
        line.close()
        if server is not None:
            server.close()


def _node_name(given: argparse.Namespace) -> str:
    name: str | None = given.node_name or os.environ.get("SLURMD_NODENAME")
    return name or f"{socket.gethostname()}/{given.rank}"


def _keep(report: SurveyReport, given: argparse.Namespace, prog: str) -> None:
    """Writes the report where rank 0 was asked to, each file whatever becomes of the other."""
    for path, write in ((given.save, report.save), (given.openmetrics, _metrics_of(report))):
        try:
            if path is not None:
                write(path)
        # The survey was made: its status states how that went.
        except EfaError as error:
            complain(prog, f"rank {given.rank}: {error}")
        except OSError as error:
            complain(prog, f"rank {given.rank}: {path} was not written: {reason(error)}")


def _metrics_of(report: SurveyReport) -> Callable[[pathlib.Path], None]:
    """What writes the metrics to a file, of which a collector never sees half."""

    def write(path: pathlib.Path) -> None:
        part = path.with_name(f"{path.name}.{os.getpid()}.part")
        part.write_text(report.to_openmetrics())
        part.replace(path)

    return write


def main(argv: Sequence[str] | None = None, *, prog: str = "python -m efa_sdk.survey") -> int:
    """The command line; the exit statuses are in its help."""
    given = _arguments(argv, parser(prog))
    try:
        with terminable():
            report = _run(given)
    except (EfaError, OSError, ValueError) as error:
        complain(prog, f"rank {given.rank}: {reason(error)}")
        return 2
    except Terminated:
        complain(prog, f"rank {given.rank}: terminated")
        return TERMINATED
    except KeyboardInterrupt:
        complain(prog, f"rank {given.rank}: interrupted")
        return INTERRUPTED
    if isinstance(report, SurveyReport):  # rank 0 has it
        show(report.to_json() if given.json else str(report))
        _keep(report, given, prog)
    return report.exit_status


if __name__ == "__main__":
    sys.exit(main())
