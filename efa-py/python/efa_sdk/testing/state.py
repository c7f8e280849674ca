"""What the stand-in keeps in addition to moto, per account and Region."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from .cloudformation.stack import Stack
from .ssm.command import Command
from .ssm.job import Runner

_SLOT = "_efa_stand_in"


@dataclass
class LateFailure:
    """Instances that EC2 accepts and ends while they are pending."""

    code: str
    message: str
    zone: str
    times: int


@dataclass
class Settings:
    """What a test may turn; shared by all Regions of a stand-in."""

    transition_describes: int = 1
    iam_propagation_calls: int = 1
    eventual: int = 0
    ahead: dt.timedelta = field(default_factory=dt.timedelta)
    runner: Runner = field(default_factory=Runner)
    capacity: dict[tuple[str, str], int] = field(default_factory=dict)
    quotas: dict[str, float] = field(default_factory=dict)
    #: Whether the account has EC2 Spot's service-linked role: the first spot launch makes it.
    spot_role: bool = False
    #: How many instances of a zone ("" is any) are still to end after their launch, and why.
    late_failures: list[LateFailure] = field(default_factory=list)

    def late_failure(self, zone: str) -> LateFailure | None:
        """The order that an instance of this zone falls under; it counts."""
        for order in self.late_failures:
            if order.times > 0 and order.zone in ("", zone):
                order.times -= 1
                return order
        return None

    def now(self) -> dt.datetime:
        """The stand-in's time: the real one, and what `advance()` added."""
        return dt.datetime.now(dt.timezone.utc) + self.ahead


@dataclass
class PlacementGroup:
    """A placement group."""

    id: str
    name: str
    strategy: str
    arn: str
    partition_count: int | None = None
    spread_level: str | None = None
    parent_id: str | None = None
    #: Another account's: found by its id only.
    shared: bool = False


@dataclass
class CapacityReservation:
    """An on-demand capacity reservation or a Capacity Block."""

    id: str
    arn: str
    instance_type: str
    platform: str
    zone: str
    zone_id: str
    tenancy: str
    total: int
    created: dt.datetime
    open_match: bool = True
    block: bool = False
    cancelled: bool = False
    start: dt.datetime | None = None
    end: dt.datetime | None = None
    placement_group_arn: str | None = None
    #: The account that shares it; "" is the caller's own.
    owner: str = ""

    def state(self, now: dt.datetime) -> str:
        """The reservation's state at a time."""
        if self.cancelled:
            return "cancelled"
        if self.end and now >= self.end:
            return "expired"
        if self.start and now < self.start:
            return "scheduled"
        return "active"


@dataclass(frozen=True)
class BlockOffering:
    """A Capacity Block that could be bought."""

    id: str
    instance_type: str
    zone: str
    count: int
    hours: int
    start: dt.datetime
    price: str

    @property
    def end(self) -> dt.datetime:
        """When it would end."""
        return self.start + dt.timedelta(hours=self.hours)


@dataclass(frozen=True)
class Token:
    """What a ClientToken was first used for."""

    fingerprint: frozenset[tuple[str, str]]
    resource_id: str


@dataclass
class State:
    """Placement groups, reservations, tokens and running transitions of one Region."""

    placement_groups: dict[str, PlacementGroup] = field(default_factory=dict)
    reservations: dict[str, CapacityReservation] = field(default_factory=dict)
    #: Resource groups of reservations: the ids in each, by its ARN.
    reservation_groups: dict[str, list[str]] = field(default_factory=dict)
    tokens: dict[tuple[str, str, str], Token] = field(default_factory=dict)
    transitions: dict[str, int] = field(default_factory=dict)
    newborn: dict[tuple[str, str], int] = field(default_factory=dict)
    commands: dict[str, Command] = field(default_factory=dict)
    offerings: list[BlockOffering] = field(default_factory=list)
    stacks: list[Stack] = field(default_factory=list)


def state_of(backend: Any) -> State:
    """The state that lives and dies with a moto EC2 backend."""
    state = getattr(backend, _SLOT, None)
    if not isinstance(state, State):
        state = State()
        setattr(backend, _SLOT, state)
    return state


def instances(backend: Any) -> Iterator[Any]:
    """All instances of a backend, oldest first."""
    for reservation in backend.reservations.values():
        yield from reservation.instances


def find_instance(backend: Any, instance_id: str) -> Any | None:
    """One instance, or None."""
    return next((item for item in instances(backend) if item.id == instance_id), None)


def tick(backend: Any, chosen: set[str] | None = None) -> None:
    """One observation: instances on their way to running, stopped or terminated come nearer."""
    state = state_of(backend)
    for instance_id in list(state.transitions):
        if chosen is not None and instance_id not in chosen:
            continue
        left = state.transitions[instance_id] - 1
        if left > 0:
            state.transitions[instance_id] = left
            continue
        del state.transitions[instance_id]
        instance = find_instance(backend, instance_id)
        if instance is not None:
            instance.arrive()
