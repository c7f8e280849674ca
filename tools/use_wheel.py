"""Uses an installed wheel: catalog, layout, a plan on the EC2 stand-in, libfabric's tcp and shm.

    python use_wheel.py ENDPOINT_URL SUBNET IMAGE

tools/check_wheels.py runs it, for another architecture under qemu. It needs the wheel and
libfabric alone.
"""

from __future__ import annotations

import platform
import sys

import efa_sdk as efa
from efa_sdk import fabric


def main() -> None:
    endpoint_url, subnet, image = sys.argv[1:]
    libc = " ".join(platform.libc_ver())
    print(f"efa-sdk {efa.__version__} on {platform.machine()}, {libc}")

    catalog = efa.Catalog.bundled()
    layout = str(catalog["p5.48xlarge"].layout())
    assert layout == "p5.48xlarge save-ips: 33 interfaces, 32 EFA, 1 IP", layout
    print(f"catalog: {len(catalog)} types; layout: {layout}")

    spec = efa.ClusterSpec(
        name="wheel", instance_type="p5.48xlarge", count=2, subnet=subnet, image=image
    )
    plan = efa.Client(region="us-east-1", endpoint_url=endpoint_url).plan(spec)
    print(str(plan).splitlines()[0])

    print(fabric.Library())
    for provider in ("tcp", "shm"):
        options = fabric.ProbeOptions(provider, sizes=[64, 4096], size_budget_s=0.1)
        report = fabric.loopback(options)
        assert report.provider.startswith(provider), report.provider
        assert len(report.rows) == 2, report
        print(str(report).splitlines()[0])


main()
