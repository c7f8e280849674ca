"""Errors to order: what a test wants EC2 (or another service) to answer next."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Literal

When = Literal["before", "after"]


@dataclass
class Fault:
    """One order. `hits` counts how often it struck."""

    action: str
    code: str | None
    message: str
    status: int
    times: int | None
    skip: int
    when: When
    where: Mapping[str, str] = field(default_factory=dict)
    hits: int = 0

    def fits(self, action: str, form: Sequence[tuple[str, str]]) -> bool:
        """Whether a request is meant."""
        if not fnmatchcase(action, self.action):
            return False
        values = dict(form)
        return all(
            name in values and fnmatchcase(values[name], glob) for name, glob in self.where.items()
        )


class Faults:
    """All orders, oldest first; one request meets at most one."""

    def __init__(self) -> None:
        self._orders: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, fault: Fault) -> Fault:
        """Places an order."""
        with self._lock:
            self._orders.append(fault)
        return fault

    def clear(self) -> None:
        """Forgets all orders."""
        with self._lock:
            self._orders.clear()

    def strike(self, action: str, form: Sequence[tuple[str, str]]) -> Fault | None:
        """The fault that this request meets, counted."""
        with self._lock:
            for fault in self._orders:
                if not fault.fits(action, form):
                    continue
                if fault.skip > 0:
                    fault.skip -= 1
                    continue
                if fault.times is not None and fault.hits >= fault.times:
                    continue
                fault.hits += 1
                return fault
        return None
