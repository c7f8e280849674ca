"""What people do by hand around a launch, done and checked, on the EC2 stand-in.

A VPC and its subnets by name, the newest image, an instance role for SSM, the EFA software at
the first boot, a check before the launch, the next zone when one is full, ranks by nearness, and a
command on every node.
"""

from __future__ import annotations

import json
import os

import efa_sdk as efa
from efa_sdk.testing import StandIn


def main() -> None:
    with StandIn(run_commands=True) as stand_in:
        os.environ.update(stand_in.environ)
        stand_in.default_network(name="RayVPC")
        client = efa.Client(
            region="us-east-1",
            endpoint_url=stand_in.endpoint_url,
            progress=lambda event: print(f"  {event}", flush=True),
        )
        plan = client.plan(
            efa.ClusterSpec(
                name="train",
                instance_type="p5.48xlarge",
                count=4,
                vpc="RayVPC",  # any of its subnets whose zone offers the type
                image="al2023",  # AWS's public SSM parameter, of the type's architecture
                instance_profile=efa.InstanceRole(scripts_bucket="my-scripts"),
                bootstrap=efa.Bootstrap(extra_script="echo ready"),
                volume_size_gib=300,
            )
        )
        print(plan)
        policy = json.loads(plan.caller_policy())
        print("the caller needs:", ", ".join(s["Sid"] for s in policy["Statement"]), "\n")
        print(client.preflight(plan))

        print("apply, with the first zone full:")
        stand_in.set_capacity("p5.48xlarge", plan.availability_zone, 0)
        print(client.apply(plan))
        print(client.verify("train"))

        topology = client.topology("train")
        print(topology)
        print(topology.hostfile(slots=8))
        print(client.run_command("train", "uname -s"))
        print(client.destroy("train"))


if __name__ == "__main__":
    main()
