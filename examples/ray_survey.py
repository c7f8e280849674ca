"""Is the fabric of this Ray cluster healthy, and if not, which node is to be thrown out?

In your own driver, `efa_sdk.ray.survey()` after `ray.init(address="auto")` is all. So that this
runs anywhere, it starts a cluster of three nodes on this machine and measures over tcp.
"""

from __future__ import annotations

import os

import efa_sdk

# For the cluster of this example only: no usage reports, no token in the home directory.
os.environ.update(
    RAY_USAGE_STATS_ENABLED="0",
    RAY_USAGE_STATS_REPORT_URL="http://127.0.0.1:9/",
    RAY_AUTH_MODE="disabled",
)


def main() -> None:
    try:
        import ray
        from ray.cluster_utils import Cluster
    except ImportError:
        print("this example needs Ray: pip install ray")
        return
    cluster = Cluster()
    try:
        for _ in range(3):
            cluster.add_node(num_cpus=1, object_store_memory=100 * 2**20, include_dashboard=False)
        ray.init(address=cluster.address, log_to_driver=False, logging_level="warning")
        cluster.wait_for_nodes()

        report = efa_sdk.ray.survey(
            provider="tcp",  # without it: efa where there is one
            test_budget_s=0.05,
        )
        print(report)
        print("take out:", report.drain or "nothing")
        report.raise_for_health()
    finally:
        ray.shutdown()
        cluster.shutdown()


if __name__ == "__main__":
    main()
