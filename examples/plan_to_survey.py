"""From a plan to a cluster that is accepted, without AWS or EFA.

EC2 is the stand-in. Each instance that it launches becomes a host with software EFA devices, one
for each planned interface: libfabric's real `efa` provider runs on them. The cluster is judged by
what EC2 shows, by the doctor on every host and by a survey of all pairs: it is accepted. One device
dies, the cluster is refused, the report replaces the instance, and the cluster is accepted again.

Needs Linux, libfabric with its `efa` provider (Debian's `libfabric1`), and root or user namespaces.
"""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import efa_sdk as efa
from efa_sdk import acceptance, fabric
from efa_sdk.survey import SurveyReport
from efa_sdk.testing import SoftEfa, StandIn

TYPE = "c6in.32xlarge"
COUNT = 4


@contextmanager
def hosts_of(cluster: efa.Cluster) -> Iterator[dict[str, SoftEfa]]:
    """A host for each instance, by instance id, with an address of its own on this machine."""
    with ExitStack() as hosts:
        yield {
            instance.instance_id: hosts.enter_context(
                SoftEfa.of_instance(
                    instance,
                    address=f"127.0.1.{number}",
                    hostname=instance.instance_id,
                    namespace=True,
                    unresponsive_after_s=0.5,
                )
            )
            for number, instance in enumerate(cluster.instances, start=1)
        }


def start(host: SoftEfa, module: str, *arguments: str) -> subprocess.Popen[str]:
    """Starts a module of efa_sdk on a host."""
    return subprocess.Popen(
        host.command([sys.executable, "-m", module, *arguments]),
        env={**os.environ, **host.environ},
        stdout=subprocess.PIPE,
        text=True,
    )


def doctor(hosts: dict[str, SoftEfa]) -> dict[str, fabric.DoctorReport]:
    """What the doctor reports on each host."""
    running = {name: start(host, "efa_sdk.doctor", "--json") for name, host in hosts.items()}
    return {
        name: fabric.DoctorReport.from_json(program.communicate(timeout=60)[0])
        for name, program in running.items()
    }


def survey(hosts: dict[str, SoftEfa]) -> SurveyReport:
    """Every pair of hosts, over all devices, as `srun` or ssh would start it."""
    first = next(iter(hosts.values())).devices[0].address
    with socket.socket() as free:
        free.bind((first, 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        token = Path(folder, "token")
        token.write_text(secrets.token_hex(16))
        common = ["--world-size", str(len(hosts)), "--rendezvous", f"{first}:{port}", "--json"]
        common += ["--token-file", str(token), "--provider", "efa", "--test-budget-s", "0.1"]
        # In Gbit/s: what software devices reach at least, however busy this machine is. Four nodes
        # are too few to identify a slow one without it.
        common += ["--expected-gbps", "0.001"]
        running = [
            start(host, "efa_sdk.survey", "--rank", str(rank), *common)
            for rank, host in enumerate(hosts.values())
        ]
        printed = [program.communicate(timeout=300)[0] for program in running]
    return SurveyReport.from_json(printed[0])


def check(cluster: efa.Cluster, hosts: dict[str, SoftEfa]) -> None:
    """The doctor on each host sees what was planned for its instance."""
    planned = {
        i.instance_id: sum("efa" in interface.interface_type for interface in i.interfaces)
        for i in cluster.instances
    }
    for name, report in doctor(hosts).items():
        print(
            f"  {name}: {report.verdict}, {len(report.efa_devices)} of {planned[name]} EFA devices"
        )


def accept(client: efa.Client, hosts: dict[str, SoftEfa]) -> acceptance.AcceptanceReport:
    """May training start? On a Ray cluster all of this is `efa_sdk.ray.accept(client, "train")`."""
    return acceptance.accept(client, "train", survey(hosts))


def main() -> None:
    with StandIn() as ec2:
        os.environ.update(ec2.environ)
        client, net = efa.Client(poll_interval_s=0.01), ec2.default_network()
        where = {"subnet": net.subnet_for(TYPE), "image": net.image_for(TYPE)}
        plan = client.plan(efa.ClusterSpec(name="train", instance_type=TYPE, count=COUNT, **where))
        print(plan)
        cluster = client.apply(plan)

        with hosts_of(cluster) as hosts:
            check(cluster, hosts)
            print("\nas launched:", accept(client, hosts))
            victim = cluster.instances[2].instance_id
            hosts[victim].fault(1, dead=1)
            print(f"the second device of {victim} dies:", report := accept(client, hosts))

        cluster = report.replace(client)
        print(f"{', '.join(report.to_replace)} is replaced")
        with hosts_of(cluster) as hosts:
            check(cluster, hosts)
            print("\nas replaced:", accept(client, hosts))


if __name__ == "__main__":
    main()
