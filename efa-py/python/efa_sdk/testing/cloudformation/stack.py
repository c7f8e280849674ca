"""What the stand-in knows of a stack."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Event:
    """One line of a stack's history."""

    number: int
    logical_id: str
    physical_id: str
    kind: str
    status: str
    reason: str | None
    time: dt.datetime


@dataclass
class Made:
    """A resource of a stack: its template, and what was made."""

    logical_id: str
    kind: str
    properties: dict[str, Any]
    ref: str
    attributes: dict[str, str] = field(default_factory=dict)
    status: str = "CREATE_COMPLETE"
    reason: str | None = None
    time: dt.datetime | None = None


@dataclass
class Stack:
    """A stack, from its creation until the stand-in is reset."""

    id: str
    name: str
    description: str | None
    body: str
    created: dt.datetime
    parameters: dict[str, str]
    capabilities: list[str]
    tags: dict[str, str]
    on_failure: str
    status: str = "CREATE_IN_PROGRESS"
    reason: str | None = None
    made: list[Made] = field(default_factory=list)
    outputs: list[dict[str, str]] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    #: In how many more polls it still shows as under way.
    looks: int = 0

    @property
    def shown_status(self) -> str:
        """The status that a poll sees."""
        if self.looks <= 0:
            return self.status
        return "DELETE_IN_PROGRESS" if self.status.startswith("DELETE") else "CREATE_IN_PROGRESS"

    @property
    def deleted(self) -> bool:
        """Whether the name is free again."""
        return self.status == "DELETE_COMPLETE"

    def note(
        self,
        now: dt.datetime,
        status: str,
        made: Made | None = None,
        reason: str | None = None,
    ) -> None:
        """Writes an event: of a resource, or of the stack itself, which then has this status."""
        if made is None:
            self.status, self.reason = status, reason
        else:
            made.status, made.reason, made.time = status, reason, now
        self.events.append(
            Event(
                number=len(self.events),
                logical_id=made.logical_id if made else self.name,
                physical_id=made.ref if made else self.id,
                kind=made.kind if made else "AWS::CloudFormation::Stack",
                status=status,
                reason=reason,
                time=now,
            )
        )
