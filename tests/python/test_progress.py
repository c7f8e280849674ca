"""The progress bar: on a terminal it shows what happens, elsewhere nothing."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios

from support import DEADLINE_S, Cloud

SCRIPT = """
import sys
import efa_sdk as efa

plan, endpoint_url = sys.argv[1:]
with efa.progress.Bar() as bar:
    client = efa.Client(region="us-east-1", endpoint_url=endpoint_url, progress=bar)
    client.apply(efa.Plan.from_json(plan))
"""


def command(cloud: Cloud) -> list[str]:
    return [sys.executable, "-c", SCRIPT, cloud.plan().to_json(), cloud.stand_in.endpoint_url]


def test_silent_where_standard_error_is_no_terminal(cloud: Cloud) -> None:
    done = subprocess.run(
        command(cloud), capture_output=True, text=True, timeout=DEADLINE_S, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_terminal_shows_every_step(cloud: Cloud) -> None:
    main, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 120, 0, 0))
    process = subprocess.Popen(command(cloud), stdout=subprocess.DEVNULL, stderr=terminal)
    os.close(terminal)
    shown = b""
    while chunk := _read(main):
        shown += chunk
    assert process.wait(DEADLINE_S) == 0
    for part in (b"created security-group sg-", b"created placement-group", b"0 of 2 running"):
        assert part in shown
    assert b"| 0/2 " in shown


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 4096)
    except OSError:  # the other side is closed
        return b""
