"""The command ``efa-sdk``: one verb for each question that a terminal asks.

It has no logic of its own: a verb calls the function that Python calls, or the command
(``python -m efa_sdk.nccl`` and others) that has the verb's options. docs/command.md has the exit
statuses of all.
"""

from __future__ import annotations

import argparse
import importlib
import json
import pathlib
import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from efa_sdk import Catalog, Client, Layout, __version__, acceptance, instance_type_table
from efa_sdk.command_line import Parser, complain, interruptible, is_terminal, show
from efa_sdk.errors import EfaError
from efa_sdk.survey import SurveyReport

#: The verb is answered, and the answer is not a good one.
NOT_GOOD = 1
#: The verb could not be carried out.
NO_ANSWER = 2


class Verb(NamedTuple):
    """A word of the command."""

    says: str
    #: Of the package: the module whose ``parser`` and ``main`` it is, or none.
    module: str | None = None


VERBS = {
    "types": Verb("list the instance types with EFA, with their network cards and rates"),
    "layout": Verb("show the network interfaces that an instance type should have"),
    "clusters": Verb("list every cluster that efa-sdk made in a Region"),
    "verify": Verb("check that a cluster is as it was planned"),
    "accept": Verb("decide whether training may start on a cluster, from a survey of its nodes"),
    "destroy": Verb("remove everything that was made for a cluster"),
    "check": Verb("check the EFA part of documents", "efa_sdk.handoff"),
    "doctor": Verb("report whether EFA works on this node, and if not, why", "efa_sdk.doctor"),
    "nccl": Verb("report whether a job uses EFA, from its log", "efa_sdk.nccl"),
    "survey": Verb("measure every pair of nodes; name bad ones", "efa_sdk.survey.__main__"),
    "stand-in": Verb("serve an EC2 stand-in on this machine", "efa_sdk.testing.__main__"),
    "soft-efa": Verb(
        "run a program on EFA devices in software", "efa_sdk.testing.soft_efa.__main__"
    ),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Carries out a verb; the exit status."""
    return interruptible(_run, argv)


def _run(argv: Sequence[str] | None) -> int:
    words = list(sys.argv[1:] if argv is None else argv)
    # Only the module of the verb is imported: a doctor needs no stand-in.
    verb = VERBS.get(words[0]) if words else None
    if verb is not None and verb.module is not None:
        module = importlib.import_module(verb.module)
        status: int = module.main(words[1:], prog=f"efa-sdk {words[0]}")
        if status < 0:  # a signal ended the program of soft-efa
            module.die(-status)
        return status
    options = parser().parse_args(words)
    try:
        status = _OWN[options.verb](options)
    except EfaError as error:
        complain(f"efa-sdk {options.verb}", error)
        return NO_ANSWER
    return status


def _catalog(options: argparse.Namespace) -> Catalog:
    return _client(options).catalog() if options.region else Catalog.bundled()


def _client(options: argparse.Namespace) -> Client:
    return Client(region=options.region, profile=options.profile, endpoint_url=options.endpoint_url)


def _types(options: argparse.Namespace) -> int:
    catalog = _catalog(options)
    found = catalog.find(name=options.patterns or None)
    if options.json:
        show(json.dumps([json.loads(one.to_json()) for one in found]))
    elif found:
        show(instance_type_table(found))
    else:
        complain("efa-sdk types", "no instance type of the catalog has that name")
    date = catalog.source["date"]
    if date is not None and (not found or is_terminal()):
        complain("efa-sdk types", f"EC2's types of {date}: --region asks for those of today")
    return 0 if found else NOT_GOOD


def _layout(options: argparse.Namespace) -> int:
    kind = _catalog(options)[options.type]
    layout: Layout = kind.layout(
        profile=options.profile_of_layout, efa=options.efa, public_ip=options.public_ip
    )
    show(layout.to_json() if options.json else f"{layout.draw()}\n\n{layout.notation}")
    return 0


def _clusters(options: argparse.Namespace) -> int:
    found = _client(options).clusters()
    if options.json:
        show(json.dumps([json.loads(one.to_json()) for one in found]))
    else:
        show("\n".join(map(str, found)) or "no cluster")
    return 0


def _verify(options: argparse.Namespace) -> int:
    report = _client(options).verify(options.name)
    show(report.to_json() if options.json else str(report))
    return 0 if report.is_as_planned else NOT_GOOD


def _accept(options: argparse.Namespace) -> int:
    survey = SurveyReport.load(options.survey)
    report = acceptance.accept(_client(options), options.name, survey)
    show(report.to_json() if options.json else str(report))
    if options.save is not None:
        report.save(options.save)
    return report.exit_status


def _destroy(options: argparse.Namespace) -> int:
    client = _client(options)
    if not options.yes and not _agreed(client, options.name):
        complain("efa-sdk destroy", "nothing was destroyed")
        return NOT_GOOD
    report = client.destroy(options.name)
    show(report.to_json() if options.json else str(report))
    return 0


def _agreed(client: Client, name: str) -> bool:
    """What would go is shown, and the answer is read from the terminal."""
    question = f"destroy {name!r} and all that was made for it? [y/N] "
    found = [one for one in client.clusters() if one.name == name]
    known = "\n".join(map(str, found))
    print(known or f"no cluster {name!r} is known; everything with its tag is removed")
    try:
        return input(question).strip().lower() in {"y", "yes"}
    except EOFError:  # no terminal: --yes states it there
        print(file=sys.stderr)
        return False


_OWN: dict[str, Callable[[argparse.Namespace], int]] = {
    "types": _types,
    "layout": _layout,
    "clusters": _clusters,
    "verify": _verify,
    "accept": _accept,
    "destroy": _destroy,
}


def parser(*, complete: bool = False) -> argparse.ArgumentParser:
    """Returns the parser. complete: with the options of verbs of other modules, then imported."""
    root = Parser(
        prog="efa-sdk",
        description="Elastic Fabric Adapter: instance types, clusters, nodes, logs and documents.",
        epilog="Exit status: 0 good, 1 not, 2 no answer; some verbs have more. 64 is wrong usage. "
        "`efa-sdk VERB --help` has a verb's.",
    )
    root.add_argument("--version", action="version", version=f"efa-sdk {__version__}")
    root.add_argument(
        "--print-completion",
        action=_Completion,
        choices=("bash", "zsh", "tcsh"),
        help="print a completion script for this shell; needs: pip install shtab",
    )
    verbs = root.add_subparsers(dest="verb", required=True, metavar="VERB")

    def add(name: str, **settings: Any) -> argparse.ArgumentParser:
        says = VERBS[name].says
        made: argparse.ArgumentParser = verbs.add_parser(
            name, help=says, description=f"{says[0].upper()}{says[1:]}.", **settings
        )
        return made

    types = add("types", epilog="Exit status: 0, 1 no type has that name, 2 no answer.")
    types.add_argument(
        "patterns", nargs="*", metavar="PATTERN", help="such as p5* or '*n.*' (default: all)"
    )
    layout = add("layout", epilog="Exit status: 0, 2 no such type or layout.")
    layout.add_argument("type", metavar="TYPE", help="such as p5.48xlarge")
    layout.add_argument(
        "--layout-profile",
        dest="profile_of_layout",
        default="save-ips",
        choices=("save-ips", "ip-bandwidth", "combined", "efa-only-secondary"),
        help="default: save-ips, AWS's advice: one address, all else EFA only",
    )
    layout.add_argument("--efa", type=int, metavar="N", help="EFA interfaces (default: all)")
    layout.add_argument(
        "--public-ip",
        default="none",
        choices=("none", "lone-efa", "elastic-ip"),
        help="default: none",
    )
    clusters = add("clusters", epilog="Exit status: 0, 2 EC2 gave no answer.")
    verify = add("verify", epilog="Exit status: 0 as planned, 1 not, 2 no answer.")
    accept = add(
        "accept",
        epilog="Exit status: 0 accepted, with warnings too; 1 refused; 2 could not be judged.",
    )
    accept.add_argument(
        "--survey",
        required=True,
        type=pathlib.Path,
        metavar="FILE",
        help="report of a survey of its nodes, as `efa-sdk survey --save` writes it (required)",
    )
    accept.add_argument(
        "--save",
        type=pathlib.Path,
        metavar="PATH",
        help="where to write the report as JSON: a file, or a folder of reports (default: nowhere)",
    )
    destroy = add("destroy", epilog="Exit status: 0 gone, 1 not confirmed, 2 not all is gone.")
    destroy.add_argument("--yes", action="store_true", help="do not ask")
    for one in (verify, accept, destroy):
        one.add_argument("name", metavar="NAME", help="of the cluster")
    for one in (types, layout, clusters, verify, accept, destroy):
        one.add_argument("--json", action="store_true", help="print JSON")
        where = one.add_argument_group("AWS", "what is not given is looked up as by the AWS CLI")
        own = "the bundled types" if one in (types, layout) else "AWS_REGION or the profile's"
        where.add_argument("--region", help=f"such as us-east-1; default: {own}")
        where.add_argument(
            "--profile", help="of the AWS CLI's configuration; default: AWS_PROFILE, else none"
        )
        where.add_argument(
            "--endpoint-url", metavar="URL", help="such as a stand-in's; default: AWS's"
        )
    for name, verb in VERBS.items():
        if verb.module is None:
            continue
        if complete:
            module = importlib.import_module(verb.module)
            verbs.add_parser(
                name, help=verb.says, parents=[module.parser(f"efa-sdk {name}")], add_help=False
            )
        else:
            add(name, add_help=False)
    return root


class _Completion(argparse.Action):
    """Prints a completion script of shtab's, and ends."""

    def __call__(self, ended: argparse.ArgumentParser, *given: Any) -> None:
        try:
            import shtab
        except ImportError:
            ended.exit(NO_ANSWER, "efa-sdk: completion needs a package: pip install shtab\n")
        show(shtab.complete(parser(complete=True), shell=given[1]))
        ended.exit()


if __name__ == "__main__":
    sys.exit(main())
