"""Ray's own checks of cluster YAML, for a child process: its look-ups are cached by process.

Reads a JSON list of texts from standard input, and writes what Ray says of each: the error that
it raised or null, its log, and the document as its launcher has it then. Run by
``test_handoff_ray.py`` with an endpoint and a home directory of its own.
"""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

import yaml
from ray.autoscaler._private.aws.config import bootstrap_aws
from ray.autoscaler._private.aws.node_provider import AWSNodeProvider
from ray.autoscaler._private.cli_logger import cli_logger
from ray.autoscaler._private.util import prepare_config, validate_config


class _Lines(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def judge(text: str, log: list[str]) -> dict[str, Any]:
    """What `ray up` does with a cluster YAML until it launches the head."""
    log.clear()
    config: dict[str, Any] | None = None
    resources = {}
    error = None
    try:
        config = prepare_config(yaml.safe_load(text))
        config = AWSNodeProvider.fillout_available_node_types_resources(config)
        types = config["available_node_types"]
        resources = {name: node["resources"] for name, node in types.items()}
        validate_config(config)
        config = bootstrap_aws(config)
    except Exception as raised:
        error = f"{type(raised).__name__}: {raised}".splitlines()[0]
    said = "\n".join(log)
    return {"error": error, "log": said, "config": config, "resources": resources}


def main() -> None:
    cli_logger.configure(log_style="record", color_mode="false", verbosity=1)
    handler = _Lines()
    logging.getLogger("ray").addHandler(handler)
    answers = [judge(text, handler.lines) for text in json.load(sys.stdin)]
    json.dump(answers, sys.stdout, default=str)


if __name__ == "__main__":
    main()
