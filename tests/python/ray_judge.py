"""Ray's own checks of cluster YAML, for a child process: its look-ups are cached by process.

Reads a JSON list of texts from standard input, and writes as its last line Ray's report of each:
the error that it raised or null, its log, and the document as its launcher has it then. With
``head`` or ``worker`` as an argument it launches one of each. Run by
``test_handoff_ray.py`` with an endpoint and a home directory of its own.
"""

from __future__ import annotations

import contextlib
import functools
import io
import json
import sys
import types
from typing import Any

import yaml
from ray.autoscaler import tags
from ray.autoscaler._private.aws import config as aws_config
from ray.autoscaler._private.aws import node_provider
from ray.autoscaler._private.aws.node_provider import AWSNodeProvider
from ray.autoscaler._private.cli_logger import cli_logger
from ray.autoscaler._private.util import prepare_config, validate_config


def judge(text: str) -> dict[str, Any]:
    """What `ray up` does with a cluster YAML until it launches the head."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        answer = _judge(text)
    # Some reasons are only printed.
    return {**answer, "log": said.getvalue()}


def _judge(text: str) -> dict[str, Any]:
    config: dict[str, Any] | None = None
    resources = {}
    error = None
    try:
        config = prepare_config(yaml.safe_load(text))
        config = AWSNodeProvider.fillout_available_node_types_resources(config)
        types = config["available_node_types"]
        resources = {name: node["resources"] for name, node in types.items()}
        validate_config(config)
        config = aws_config.bootstrap_aws(config)
    except Exception as raised:
        error = f"{type(raised).__name__}: {raised}".splitlines()[0]
    return {"error": error, "config": config, "resources": resources}


def launch(config: dict[str, Any], kind: str) -> str:
    """The id of a head, launched as `ray up` does it, or of a worker, as Ray's autoscaler does."""
    provider = AWSNodeProvider(config["provider"], config["cluster_name"])
    head = config["head_node_type"]
    workers = (name for name in config["available_node_types"] if name != head)
    name = head if kind == tags.NODE_KIND_HEAD else next(workers)
    node_tags = {
        tags.TAG_RAY_NODE_KIND: kind,
        tags.TAG_RAY_USER_NODE_TYPE: name,
        tags.TAG_RAY_NODE_NAME: f"ray-{config['cluster_name']}-{kind}",
        tags.TAG_RAY_NODE_STATUS: tags.STATUS_UP_TO_DATE,
    }
    node_config = config["available_node_types"][name]["node_config"]
    if kind == tags.NODE_KIND_HEAD:
        node_config = node_config | config["head_node"]
    (instance_id,) = provider.create_node(node_config, node_tags, 1)
    return str(instance_id)


def main() -> None:
    # Only time is saved: a list of all types, which does not change, is asked for once, and a role
    # of the stand-in's is there at once.
    listed = functools.lru_cache(node_provider.list_ec2_instances)
    node_provider.list_ec2_instances = listed
    aws_config.time = types.SimpleNamespace(sleep=lambda _: None)
    cli_logger.configure(log_style="record", color_mode="false", verbosity=1)
    answers = [judge(text) for text in json.load(sys.stdin)]
    for kind in sys.argv[1:]:
        for answer in answers:
            answer["launched"] = launch(answer["config"], kind)
    print("\n" + json.dumps(answers, default=str))


if __name__ == "__main__":
    main()
