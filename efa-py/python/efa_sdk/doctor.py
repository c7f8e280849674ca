"""``python -m efa_sdk.doctor``: whether EFA works on this node, and if not, why.

The exit status is 0 if EFA is usable, 1 if it is not (also on machines without EFA by design), 2
if it is not known, 64 for wrong usage, 130 after Ctrl-C. docs/doctor.md has the list
of checks. The same from Python is ``efa_sdk.fabric.doctor()``, and what EC2 knows of the node
``efa_sdk.Client().verify_instance(...)``.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path

from . import Client, InstanceReport, fabric
from .command_line import Parser, complain, interruptible, reason, show
from .errors import EfaError


def main(argv: Sequence[str] | None = None, *, prog: str = "python -m efa_sdk.doctor") -> int:
    """Prints the report; the exit status."""
    return interruptible(lambda given: _run(given, parser(prog)), argv)


def _run(argv: Sequence[str] | None, parser: argparse.ArgumentParser) -> int:
    options = parser.parse_args(argv)
    if not Path(options.root).is_dir():
        parser.error(f"--root {options.root} is not a directory")
    try:
        report = fabric.doctor(
            root=options.root,
            instance_type=options.instance_type,
            deadline_s=options.deadline,
            wait_for_devices=options.wait,
            environment=options.environment,
        )
    except (EfaError, OSError, ValueError) as error:
        parser.error(reason(error))
    try:
        instance = _ask_ec2(parser, options) if options.ec2 else None
    except EfaError as error:
        show(report.to_json() if options.json else str(report))
        complain(parser.prog, f"EC2 was not asked: {error}")
        return report.exit_code or 2
    show(_as_json(report, instance) if options.json else _as_text(report, instance))
    if instance is not None and not instance.is_healthy:
        return 1
    if options.strict and report.exit_code == 0 and not report.healthy:
        return 1
    return report.exit_code


def _ask_ec2(parser: argparse.ArgumentParser, options: argparse.Namespace) -> InstanceReport:
    instance_id = options.instance_id or fabric.node(options.root).instance_id
    if instance_id is None:
        parser.error("the instance id of this machine is not known: give --instance-id")
    client = Client(region=options.region, endpoint_url=options.endpoint_url)
    return client.verify_instance(instance_id)


def _as_json(report: fabric.DoctorReport, instance: InstanceReport | None) -> str:
    if instance is None:
        return report.to_json()
    both = {"doctor": json.loads(report.to_json()), "ec2": json.loads(instance.to_json())}
    return json.dumps(both)


def _as_text(report: fabric.DoctorReport, instance: InstanceReport | None) -> str:
    if instance is None:
        return str(report)
    return f"{str(report).rstrip()}\n\nEC2 about this node:\n{instance}"


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= 3600:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number of seconds up to 3600")
    return seconds


def parser(prog: str) -> argparse.ArgumentParser:
    """Returns the parser of the command."""
    parser = Parser(
        prog=prog,
        description="Reports whether EFA works on this node, and if not, why.",
        epilog="exit status: 0 usable, 1 not usable, 2 unknown, 64 wrong usage",
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.add_argument(
        "--root",
        default="/",
        metavar="DIR",
        help="read a recorded tree instead of this machine; libfabric is then not asked",
    )
    parser.add_argument(
        "--instance-type",
        metavar="TYPE",
        help="EC2's type of this machine, such as p5.48xlarge (default: from its DMI)",
    )
    parser.add_argument(
        "--environment",
        metavar="FILE",
        help="the variables of the process that is to use EFA: /proc/PID/environ, or what env"
        " prints (default: this process's; of a recorded tree its /proc/self/environ)",
    )
    parser.add_argument(
        "--deadline",
        type=_seconds,
        default=30.0,
        metavar="SECONDS",
        help="for the process that asks libfabric (default: 30)",
    )
    parser.add_argument(
        "--wait",
        action="store_true",
        help="retry 3 times, 5 seconds apart, while devices are missing",
    )
    parser.add_argument(
        "--strict", action="store_true", help="exit with 1 for warnings as well as failures"
    )
    ec2 = parser.add_argument_group("EC2", "needs AWS credentials that may describe instances")
    ec2.add_argument(
        "--ec2",
        action="store_true",
        help="also ask EC2 about this node's interfaces, security groups and peers",
    )
    ec2.add_argument("--instance-id", metavar="ID", help="of this node (default: from its DMI)")
    ec2.add_argument("--region", help="default: as the AWS CLI finds it")
    ec2.add_argument("--endpoint-url", metavar="URL", help="default: AWS")
    return parser


if __name__ == "__main__":
    sys.exit(main())
