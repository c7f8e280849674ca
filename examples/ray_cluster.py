"""The community's Ray recipe, a head and EFA workers on Amazon Linux 2023, run on the EC2 stand-in
to the extent that it needs no AWS.

1. Find an instance type. 2. Plan, and make the groups. 3. Write the cluster YAML and check it.
4. Let Ray check it. 5. Let Ray's launcher start a worker, and compare it with the plan.

On AWS `ray up cluster.yaml` takes the place of 4 and 5. Needs `pip install ray boto3`.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import efa_sdk as efa
from efa_sdk.testing import StandIn

# Before Ray is imported: no usage reports, and no token in the home directory.
os.environ.update(
    RAY_USAGE_STATS_ENABLED="0",
    RAY_USAGE_STATS_REPORT_URL="http://127.0.0.1:9/",
    RAY_AUTH_MODE="disabled",
)


def heading(text: str) -> None:
    print(f"\n== {text}\n", flush=True)


def as_ray_has_it(path: Path) -> dict[str, Any]:
    """The document as `ray up` has it before it launches the head."""
    import yaml
    from ray.autoscaler._private.aws.config import bootstrap_aws
    from ray.autoscaler._private.aws.node_provider import AWSNodeProvider
    from ray.autoscaler._private.util import prepare_config, validate_config

    config = prepare_config(yaml.safe_load(path.read_text()))
    config = AWSNodeProvider.fillout_available_node_types_resources(config)
    validate_config(config)
    bootstrapped: dict[str, Any] = bootstrap_aws(config)
    return bootstrapped


def launch_worker(config: dict[str, Any], name: str) -> str:
    """The id of an instance that Ray's launcher starts, as its autoscaler does."""
    from ray.autoscaler import tags
    from ray.autoscaler._private.aws.node_provider import AWSNodeProvider

    provider = AWSNodeProvider(config["provider"], config["cluster_name"])
    node_config = config["available_node_types"][name]["node_config"]
    node_tags = {tags.TAG_RAY_NODE_KIND: "worker", tags.TAG_RAY_USER_NODE_TYPE: name}
    (instance_id,) = provider.create_node(node_config, node_tags, 1)
    return str(instance_id)


def main() -> None:
    heading("1. Types with EFA: *7i* with 96 vCPUs")
    found = efa.Catalog.bundled().find(name=["*7i*"])
    found = [one for one in found if one.default_vcpus == 96]
    print(efa.instance_type_table(found))

    with StandIn() as stand_in, tempfile.TemporaryDirectory() as folder:
        os.environ.update(stand_in.environ)
        stand_in.default_network(name="RayVPC")
        ec2 = stand_in.client("ec2")
        ec2.create_key_pair(KeyName="ray")

        heading("2. Two i7i.24xlarge in RayVPC: the groups")
        client = efa.Client(region="us-east-1", endpoint_url=stand_in.endpoint_url)
        plan = client.plan(
            efa.ClusterSpec(
                name="ray-on-aws",
                instance_type="i7i.24xlarge",
                count=2,
                minimum_count=1,
                vpc="RayVPC",
                image="al2023",
                key_name="ray",
                volume_size_gib=300,
            )
        )
        plan = client.prepare(plan)
        print(plan)

        heading("3. The cluster YAML")
        path = Path(folder) / "cluster.yaml"
        text = plan.to_ray_yaml(
            head_instance_profile="ray-instance-profile",
            ssh_private_key="~/.ssh/ray.pem",
            python_packages=["pandas", "pyarrow"],
            efa_sdk="https://packages.example.com/efa_sdk-0.1.0-cp310-abi3-manylinux_2_28_x86_64.whl",
        )
        path.write_text(text)
        print("\n".join(text.splitlines()[:16]) + "\n…\n")
        print(efa.check(text))

        heading("4. Ray checks it")
        config = as_ray_has_it(path)
        worker = config["available_node_types"]["i7i-24xlarge"]
        print("resources of a worker:", worker["resources"])

        heading("5. Ray's launcher starts a worker")
        instance_id = launch_worker(config, "i7i-24xlarge")
        ec2.get_waiter("instance_running").wait(
            InstanceIds=[instance_id], WaiterConfig={"Delay": 1}
        )
        print(client.verify_instance(instance_id))

        ec2.terminate_instances(InstanceIds=[instance_id])  # `ray down`
        ec2.get_waiter("instance_terminated").wait(
            InstanceIds=[instance_id], WaiterConfig={"Delay": 1}
        )
        print(client.destroy("ray-on-aws"))


if __name__ == "__main__":
    main()
