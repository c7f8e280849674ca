"""Programs that see a tree as /sys and /dev: in a mount namespace of their own.

`enter.py` does it, as a program of its own, so that nothing of this process changes.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

_ENTER = Path(__file__).with_name("enter.py")


def enter_command(root: Path, hostname: str | None, command: Sequence[str]) -> list[str]:
    """The command that runs this one where the tree at ``root`` is /sys and /dev, on a host of this
    name, if one is given."""
    return [sys.executable, "-I", "-S", str(_ENTER), str(root), hostname or "", *command]


@lru_cache(maxsize=1)
def why_no_namespace() -> str | None:
    """Why there can be no such namespace here; None where there can be."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(_ENTER), "--try"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if done.returncode == 0:
        return None
    return (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
