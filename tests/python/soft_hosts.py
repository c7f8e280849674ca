"""What tests of programs on software EFA devices share."""

from __future__ import annotations

import os
import subprocess

import pytest
from efa_sdk.testing import SoftEfa
from efa_sdk.testing.soft_efa import namespace

#: Seconds within which a program must end.
LIMIT_S = 60

#: The second libfabric, 2.5.1 of the wheel of mpich; empty where there is none.
SECOND = os.environ.get("EFA_TEST_LIBFABRIC_2", "")
#: The libfabrics that programs run on, and their names in tests.
LIBFABRICS = [
    pytest.param("system", id="1.17"),
    pytest.param(
        SECOND,
        id="2.5.1",
        marks=pytest.mark.skipif(not SECOND, reason="EFA_TEST_LIBFABRIC_2 names no libfabric"),
    ),
]


def require_namespace() -> None:
    """Skips a test where no program can see another /sys; fails it where nothing is skipped."""
    if (reason := namespace.why_no_namespace()) is not None:
        (pytest.fail if os.environ.get("EFA_TEST_NO_SKIPS") else pytest.skip)(reason)


def run(
    host: SoftEfa, *command: str, limit_s: float = LIMIT_S, **more: str
) -> subprocess.CompletedProcess[str]:
    """Runs a program on the devices of a host, with more variables."""
    return subprocess.run(
        host.command(command),
        env={**os.environ, **host.environ, **more},
        capture_output=True,
        text=True,
        timeout=limit_s,
        check=False,
    )
