"""What the tests of Ray cluster YAML share."""

from __future__ import annotations

import pathlib
from typing import Any

import efa_sdk as efa
from support import Cloud

#: Where the stand-in offers the types that us-east-1 does not have.
ELSEWHERE = {"hpc7a.96xlarge": "us-east-2", "hpc6id.32xlarge": "us-east-2"}


def prepared(cloud: Cloud, instance_type: str, **more: Any) -> efa.Plan:
    """The plan, whose groups exist, in a region that offers the type."""
    if region := ELSEWHERE.get(instance_type):
        cloud = Cloud(cloud.stand_in, region)
    return cloud.client.prepare(cloud.plan(instance_type, **more))


def worker_of(document: dict[str, Any]) -> dict[str, Any]:
    """The EFA worker type."""
    (worker,) = [t for name, t in document["available_node_types"].items() if name != "head"]
    assert isinstance(worker, dict)
    return worker


def put(path: pathlib.Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)
