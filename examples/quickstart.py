"""The main job, end to end, without an AWS account and without EFA: `make demo` runs it.

1. Which instance types have EFA? The catalog inside the package answers.
2. Which interface goes where on a p5? The layout planner answers.
3. Plan, apply, verify and destroy a two-node cluster, over HTTP, on the EC2 stand-in.
4. Latency and bandwidth of libfabric on this machine, over tcp and shm.
"""

from __future__ import annotations

import os

import efa_sdk as efa
from efa_sdk import fabric
from efa_sdk.testing import StandIn


def heading(text: str) -> None:
    print(f"\n== {text}\n", flush=True)


def main() -> None:
    heading("1. Instance types with EFA: *7i*, *8g*, *7a*")
    catalog = efa.Catalog.bundled()
    print(efa.instance_type_table(catalog.find(name=["*7i*", "*8g*", "*7a*"])))

    heading("2. The network interfaces of a p5.48xlarge")
    print(catalog["p5.48xlarge"].layout().draw())

    heading("3. A cluster of two, on the EC2 stand-in")
    with StandIn() as stand_in:
        os.environ.update(stand_in.environ)
        network = stand_in.default_network()
        client = efa.Client(
            region="us-east-1",
            endpoint_url=stand_in.endpoint_url,
            progress=lambda event: print(f"  {event}", flush=True),
        )
        plan = client.plan(
            efa.ClusterSpec(
                name="train",
                instance_type="p5.48xlarge",
                count=2,
                subnet=network.subnet_for("p5.48xlarge"),
                image=network.image_for("p5.48xlarge"),
            )
        )
        print(plan)
        print("apply:")
        print(client.apply(plan))
        print(client.verify("train"))
        print("destroy:")
        print(client.destroy("train"))

    heading("4. libfabric on this machine: not EFA, and not a benchmark")
    library = fabric.Library()
    print(library)
    for provider in ("tcp", "shm"):
        print(f"measuring {provider} ...", flush=True)
        print(fabric.loopback(provider, library=library))


if __name__ == "__main__":
    main()
