"""The EC2 stand-in in a process of its own, so that its CPU is not the client's."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from .rounds import RunFailed, kill_group


@contextlib.contextmanager
def served(*arguments: str) -> Iterator[str]:
    """The URL of a stand-in that ends with the block."""
    with standing_in(*arguments) as given:
        yield given["endpoint_url"]


@contextlib.contextmanager
def standing_in(*arguments: str) -> Iterator[dict[str, Any]]:
    """What `python -m efa_sdk.testing --json` states of a stand-in that ends with the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", "efa_sdk.testing", "--json", "--seed", "1", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "AWS_EC2_METADATA_DISABLED": "true"},
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise RunFailed(f"the stand-in ended with {process.wait()}")
        yield json.loads(line)
    finally:
        kill_group(process)
