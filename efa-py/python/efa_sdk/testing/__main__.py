"""`python -m efa_sdk.testing`: serves a stand-in until it is interrupted."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from collections.abc import Sequence
from dataclasses import asdict

from efa_sdk import testing
from efa_sdk.command_line import Parser, complain, show
from efa_sdk.errors import EfaError


def main(argv: Sequence[str] | None = None, *, prog: str = "python -m efa_sdk.testing") -> int:
    """Serves until SIGINT or SIGTERM; the exit status."""
    options = parser(prog).parse_args(argv)
    try:
        return _carry_out(options)
    except EfaError as error:  # without the packages of the extra, too
        complain(prog, error)
        return 2


def _carry_out(options: argparse.Namespace) -> int:
    if options.rules_markdown:
        sys.stdout.write(testing.rules_markdown())
        return 0
    stop = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda _number, _frame: stop.set())
    stand_in = testing.StandIn(
        host=options.host,
        port=options.port,
        region=options.region,
        seed=options.seed,
        transition_describes=options.transition_describes,
        iam_propagation_calls=options.iam_propagation_calls,
        eventual=options.eventual,
        run_commands=options.run_commands,
    ).start()
    with_network = asdict(stand_in.default_network()) if options.network else {}
    if options.json:
        show(
            json.dumps({"endpoint_url": stand_in.endpoint_url, **stand_in.environ, **with_network})
        )
    else:
        hint = " ".join(f"{key}={value}" for key, value in stand_in.environ.items())
        show(f"EC2 stand-in on {stand_in.endpoint_url}  (use: {hint})")
        if with_network:
            show(json.dumps(with_network))
    stop.wait()
    stand_in.stop()
    return 0


def _port(text: str) -> int:
    try:
        port = int(text)
    except ValueError:
        port = -1
    if not 0 <= port <= 65535:
        raise argparse.ArgumentTypeError(f"'{text}' is not a port: use 0 (any free one) to 65535")
    return port


def parser(prog: str) -> argparse.ArgumentParser:
    """Returns the parser of the command."""
    parser = Parser(
        prog=prog,
        description="Serves an EC2 stand-in until it is interrupted.",
        epilog="Exit status: 0 stopped, 2 it cannot start, 64 wrong usage.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=_port, default=0, help="0 (the default) takes a free one")
    parser.add_argument(
        "--region", default="us-east-1", help="for requests that name none (default: us-east-1)"
    )
    parser.add_argument("--seed", type=int, help="makes ids repeat from run to run (default: none)")
    parser.add_argument(
        "--transition-describes",
        type=int,
        default=1,
        metavar="N",
        help="describes in which an instance still shows as pending or shutting-down (default: 1)",
    )
    parser.add_argument(
        "--iam-propagation-calls",
        type=int,
        default=1,
        metavar="N",
        help="launches that EC2 refuses before it knows a new instance profile (default: 1)",
    )
    parser.add_argument(
        "--eventual",
        type=int,
        default=0,
        metavar="N",
        help="calls to which a new resource is still invisible (default: 0)",
    )
    parser.add_argument(
        "--run-commands",
        action="store_true",
        help="commands of SSM really run, with bash, on this machine",
    )
    parser.add_argument("--network", action="store_true", help="make a VPC, subnets; print the ids")
    parser.add_argument("--json", action="store_true", help="print one line of JSON")
    parser.add_argument(
        "--rules-markdown", action="store_true", help="print the table of refusals, and exit"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
