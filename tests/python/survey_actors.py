"""Processes of survey actors that this process had started, however indirectly.

Other tests may have actors of their own on this machine at the same time: what is started from
here inherits a mark in its environment, also when its parents are gone.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import time
import uuid

_NAME, _VALUE = "EFA_TEST_STARTED_BY", uuid.uuid4().hex
os.environ[_NAME] = _VALUE


def survey_actors() -> set[int]:
    """Their process ids."""
    mark = f"{_NAME}={_VALUE}".encode()
    found = set()
    for entry in pathlib.Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if (
                entry.name.isdecimal()
                and b"ray::_Node" in (entry / "cmdline").read_bytes()
                and mark in (entry / "environ").read_bytes().split(b"\0")
            ):
                found.add(int(entry.name))
    return found


def assert_gone(before: set[int]) -> None:
    """No actors but these are left, soon."""
    end = time.monotonic() + 30
    while (left := survey_actors() - before) and time.monotonic() < end:
        time.sleep(0.1)
    assert left == set()
