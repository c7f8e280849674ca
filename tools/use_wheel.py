"""Uses an installed wheel: catalog, layout, a document, NCCL's log, verbs, a plan, libfabric.

    python use_wheel.py ENDPOINT_URL SUBNET IMAGE

The plan is made on the EC2 stand-in of that URL, and libfabric sends over tcp and shm.
tools/check_wheels.py runs it, for another architecture under qemu, and where it is told to, in a
root with glibc 2.28. It needs the wheel and libfabric alone.
"""

from __future__ import annotations

import contextlib
import io
import platform
import sys

import efa_sdk as efa
from efa_sdk import __main__ as command
from efa_sdk import errors, fabric, nccl

DOCUMENT = '{"InstanceType": "p5.48xlarge", "NetworkInterfaces": [{"InterfaceType": "efa-only"}]}'
LOG = "n1:7:7 [0] NCCL INFO Using network Socket\n"


def main() -> None:
    endpoint_url, subnet, image = sys.argv[1:]
    libc = " ".join(platform.libc_ver())
    print(f"efa-sdk {efa.__version__} on {platform.machine()}, {libc}")

    catalog = efa.Catalog.bundled()
    layout = str(catalog["p5.48xlarge"].layout())
    assert layout == "p5.48xlarge save-ips: 33 interfaces, 32 EFA, 1 IP", layout
    print(f"catalog: {len(catalog)} types; layout: {layout}")

    document, log = efa.check(DOCUMENT), nccl.read_log(LOG)
    assert document.findings, document
    assert log.verdict == "tcp_sockets", log
    print(f"document: {len(document.findings)} findings; log: {log.verdict}")

    client = efa.Client(region="us-east-1", endpoint_url=endpoint_url)
    spec = efa.ClusterSpec(
        name="wheel", instance_type="p5.48xlarge", count=2, subnet=subnet, image=image
    )
    print(str(client.plan(spec)).splitlines()[0])
    verbs(endpoint_url)
    libfabric()


def verbs(endpoint_url: str) -> None:
    """Each verb that answers without a node of EC2, with its exit status."""
    where = ["--region", "us-east-1", "--endpoint-url", endpoint_url]
    for words, expected in (
        (["--version"], 0),
        (["types", "p5*"], 0),
        (["layout", "p5.48xlarge"], 0),
        (["clusters", *where], 0),
        (["verify", "nothing", *where], 2),
        (["destroy", "nothing", "--yes", *where], 0),
        (["check", "/nowhere"], 2),
        (["nccl", "/nowhere"], 4),
        (["survey", "--bogus"], 64),
    ):
        written = io.StringIO()
        with contextlib.redirect_stdout(written), contextlib.redirect_stderr(written):
            try:
                status = command.main(words)
            except SystemExit as ended:
                status = int(ended.code or 0)
        assert status == expected, (words, status, written.getvalue())
    print("verbs: as expected")


def libfabric() -> None:
    """A library that is not there, and the one that is."""
    code = None
    try:
        fabric.Library("/nowhere/libfabric.so.1")
    except errors.FabricError as error:
        code = error.code
    assert code == "fabric.library_not_found", code
    print(fabric.Library())
    for provider in ("tcp", "shm"):
        options = fabric.ProbeOptions(provider, sizes=[64, 4096], size_budget_s=0.1)
        report = fabric.loopback(options)
        assert report.provider.startswith(provider), report.provider
        assert len(report.rows) == 2, report
        print(str(report).splitlines()[0])


main()
