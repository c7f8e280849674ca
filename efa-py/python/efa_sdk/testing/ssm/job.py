"""What runs on an instance for a command: nothing, a test's function, or really a script."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

Outcome = tuple[int, str, str]
OnCommand = Callable[[str, str], Outcome | None]


@dataclass
class Job:
    """Ends with an outcome, or without one where the agent never takes the command."""

    outcome: Outcome | None = None
    undelivered: bool = False
    process: subprocess.Popen[str] | None = None

    def kill(self) -> None:
        """Ends the script and all that it started. A function of a test runs on, unheard."""
        if self.process is not None and self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)


class Runner:
    """Starts jobs. Each instance has a directory of its own, kept until `clear()`."""

    def __init__(self) -> None:
        self.on_command: OnCommand | None = None
        self.run_commands = False
        self._jobs: list[Job] = []
        self._home: str | None = None

    def start(self, instance_id: str, script: str, directory: str | None) -> Job:
        """Starts a script on an instance; returns at once."""
        job = Job()
        self._jobs.append(job)
        if self.on_command is not None:
            self._in_thread(_call, job, self.on_command, instance_id, script)
        elif self.run_commands:
            home = self._directory(instance_id)
            path = home / f"command-{len(self._jobs)}.sh"
            path.write_text(script)
            job.process = _popen(instance_id, path, directory or str(home))
            self._in_thread(_wait, job)
        else:
            job.outcome = (0, "", "")
        return job

    def clear(self) -> None:
        """Kills what runs and removes what it wrote."""
        for job in self._jobs:
            job.kill()
        self._jobs.clear()
        if self._home is not None:
            shutil.rmtree(self._home, ignore_errors=True)
            self._home = None

    def _directory(self, instance_id: str) -> Path:
        if self._home is None:
            self._home = tempfile.mkdtemp(prefix="efa-stand-in-")
        home = Path(self._home, instance_id)
        home.mkdir(exist_ok=True)
        return home

    @staticmethod
    def _in_thread(work: Callable[..., None], *arguments: object) -> None:
        threading.Thread(
            target=work, args=arguments, name="efa-stand-in-command", daemon=True
        ).start()


def _popen(instance_id: str, script: Path, directory: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        ["bash", str(script)],
        cwd=directory if os.path.isdir(directory) else str(script.parent),
        env={**os.environ, "EFA_STAND_IN_INSTANCE_ID": instance_id},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    )


def _wait(job: Job) -> None:
    assert job.process is not None
    out, err = job.process.communicate()
    code = job.process.returncode
    job.outcome = (code if code >= 0 else 128 - code, out, err)


def _call(job: Job, function: OnCommand, instance_id: str, script: str) -> None:
    try:
        outcome = function(instance_id, script)
    except Exception:  # the test's own function: its error is what the instance reports
        outcome = (1, "", traceback.format_exc())
    job.undelivered = outcome is None
    job.outcome = outcome
