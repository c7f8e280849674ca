"""A command, and its invocation on each instance: what state they are in."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .job import Job

_ERROR = "\n----------ERROR-------\n"
_CUT_OUTPUT = "\n---Output truncated---"
_CUT_ERROR = "\n---Error truncated----"


@dataclass
class Invocation:
    """A command on one instance."""

    instance_id: str
    job: Job
    status: str = "Pending"
    details: str = "Pending"
    code: int = -1
    stdout: str = ""
    stderr: str = ""
    ended: dt.datetime | None = None

    @property
    def over(self) -> bool:
        """Whether nothing will change any more."""
        return self.ended is not None

    def end(self, status: str, details: str, code: int, now: dt.datetime) -> None:
        """Comes to an end; what still runs is killed."""
        self.job.kill()
        self.status, self.details, self.code, self.ended = status, details, code, now

    def finish(self, now: dt.datetime) -> None:
        """Takes over the job's outcome, as the agent reports it."""
        code, self.stdout, self.stderr = self.job.outcome or (0, "", "")
        if code:
            gap = "" if self.stderr in ("",) or self.stderr.endswith("\n") else "\n"
            self.stderr += f"{gap}failed to run commands: exit status {code}"
        self.end("Failed" if code else "Success", "Failed" if code else "Success", code, now)

    def short_output(self, limit: int = 2500) -> str:
        """What a listing shows: both outputs in one text, cut to a limit."""
        out, err = self.stdout, f"{_ERROR}{self.stderr}" if self.stderr else ""
        if len(out) + len(err) <= limit:
            return out + err
        room = limit - len(err) if len(err) < limit // 2 else limit // 2
        if err and len(out) <= limit // 2:
            return out + cut(err, limit - len(out), _CUT_ERROR)
        return cut(out, room, _CUT_OUTPUT) + cut(err, limit - room, _CUT_ERROR)

    @property
    def output(self) -> str:
        """The first 24,000 characters of the output."""
        return cut(self.stdout, 24000, _CUT_OUTPUT)

    @property
    def error(self) -> str:
        """The first 8,000 characters of the error output."""
        return cut(self.stderr, 8000, _CUT_ERROR)


def cut(text: str, limit: int, mark: str) -> str:
    """A text of at most `limit` characters, the mark included."""
    return text if len(text) <= limit else text[: limit - len(mark)] + mark


@dataclass
class Command:
    """A command that was sent."""

    id: str
    document: str
    comment: str
    parameters: Mapping[str, Any]
    targets: list[Mapping[str, Any]]
    asked_ids: list[str]
    requested: dt.datetime
    delivery_timeout: int
    execution_timeout: int
    invisible: int
    invocations: dict[str, Invocation] = field(default_factory=dict)

    def observe(self, now: dt.datetime, running: set[str]) -> bool:
        """One look at the command: its invocations come one step nearer; False: not seen yet.

        The first poll finds an invocation in progress, however soon it is done.
        """
        if self.invisible > 0:
            self.invisible -= 1
            return False
        for one in self.invocations.values():
            if not one.over:
                self._step(one, now, one.instance_id in running)
        return True

    def _step(self, one: Invocation, now: dt.datetime, running: bool) -> None:
        elapsed = (now - self.requested).total_seconds()
        if one.job.undelivered:
            if elapsed >= self.delivery_timeout:
                one.end("TimedOut", "DeliveryTimedOut", -1, now)
        elif one.status == "Pending":
            one.status = one.details = "InProgress"
        elif one.job.outcome is not None and running:
            one.finish(now)
        elif elapsed >= self.execution_timeout:
            one.end("TimedOut", "ExecutionTimedOut", 137, now)

    @property
    def status(self) -> tuple[str, str]:
        """The command's own status and details."""
        found = [one.status for one in self.invocations.values()]
        for status in ("Pending", "InProgress"):
            if status in found:
                return status, status
        for status in ("Failed", "TimedOut", "Cancelled"):
            if status in found:
                return status, status
        return "Success", "Success"
