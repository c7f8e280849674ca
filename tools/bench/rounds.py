"""Measuring in rounds: each runs every program once, in random order, until the time is over."""

from __future__ import annotations

import dataclasses
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from .table import FEWEST_ROUNDS


class RunFailed(Exception):
    """One program did not give a result."""


@dataclasses.dataclass(frozen=True)
class Run:
    """How one run of a group is to be made."""

    #: One short round of everything: that it works, not what it measures.
    quick: bool
    seed: int
    #: When the group's time is over, by time.monotonic().
    end: float

    def rounds(self, most: int, *, end: float | None = None) -> Iterator[int]:
        """Numbers of rounds: `most`, or once the time (or `end` before it) is over the fewest."""
        end = min(self.end, end or self.end)
        for turn in range(1 if self.quick else most):
            if turn >= FEWEST_ROUNDS and time.monotonic() >= end:
                return
            yield turn

    def shares(self, parts: int) -> list[float]:
        """Ends of equal parts of the time that is left, one after the other."""
        now = time.monotonic()
        return [now + (self.end - now) * (part + 1) / parts for part in range(parts)]

    def alternate(
        self,
        programs: Mapping[str, Callable[[], float]],
        most: int,
        *,
        end: float | None = None,
    ) -> dict[str, list[float | None]]:
        """One value of each program a round; None, and a line on stderr, where one failed."""
        order = random.Random(self.seed)
        values: dict[str, list[float | None]] = {name: [] for name in programs}
        for turn in self.rounds(most, end=end):
            for name in order.sample(list(programs), len(programs)):
                try:
                    value: float | None = programs[name]()
                    said = f"{value:.4g}"
                except (RunFailed, OSError, subprocess.SubprocessError) as error:
                    value, said = None, f"FAILED: {error}"
                values[name].append(value)
                print(f"round {turn + 1} {name}: {said}", file=sys.stderr, flush=True)
        return values


def finish(command: Sequence[str], *, timeout_s: float = 120.0, **more: Any) -> tuple[str, float]:
    """What a program printed, and the CPU seconds that it and its children took.

    It has a process group of its own, which is killed when the time is over.
    """
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        **more,
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    try:
        output, errors = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        raise RunFailed(f"{command[0]} did not end within {timeout_s:.0f} s") from None
    finally:
        kill_group(process)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if process.returncode != 0:
        raise RunFailed(f"{command[0]} ended with {process.returncode}: {errors.strip()[-400:]}")
    user_s = after.ru_utime - before.ru_utime
    return output, user_s + after.ru_stime - before.ru_stime


def kill_group(process: subprocess.Popen[str]) -> None:
    """Ends a process that was started in a session of its own, and what it started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    finally:
        process.wait()
