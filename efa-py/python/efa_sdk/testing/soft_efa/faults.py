"""Faults of a device: their names, units and limits, and how they are written on a command line."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from .block import CAPABILITIES
from .errors import fail


class Fault(NamedTuple):
    """One kind of fault."""

    #: What it does, with its unit.
    meaning: str
    #: The field of the block that holds it.
    field: str
    #: The largest value; the smallest is 0, which is none.
    largest: float
    #: Whether it is on or off.
    switch: bool = False
    #: What the device does is a guess where hardware was not seen.
    guess: str | None = None


#: Every fault by name.
FAULTS: dict[str, Fault] = {
    "rate": Fault("bytes per second that the device sends at most; 0: no limit", "rate", 2**63),
    "loss": Fault("part of its packets that are lost, 0 to 0.9", "loss", 0.9),
    "reorder": Fault("part of its packets that leave 300 us later, 0 to 1", "reorder", 1.0),
    "delay_us": Fault("microseconds that every packet leaves later", "delay_us", 10_000_000),
    "dead": Fault(
        "1: it sends and receives nothing, as after the death of the node",
        "dead",
        1,
        True,
        "the status that the other side gets, and after how long",
    ),
    "down": Fault("1: its port is down, and nothing passes", "down", 1, True),
    "rnr": Fault(
        "1: it answers every message with 'receiver not ready'",
        "rq_rnr",
        1,
        True,
        "the time between retries",
    ),
    "no_open": Fault("1: it does not open (ENOENT)", "no_open", 1, True),
    "memlock": Fault(
        "bytes that a process can register with it; 0: no limit", "memlock", 2**63, False
    ),
}

#: What a fault is where there is none.
HEALTHY: dict[str, float] = dict.fromkeys(FAULTS, 0)


def checked(values: Mapping[str, Any]) -> dict[str, float]:
    """The faults as numbers. Raises `SoftEfaError` for an invalid name or value."""
    return {name: _value(name, value) for name, value in values.items()}


def _value(name: str, value: Any) -> float:
    fault = FAULTS.get(name)
    if fault is None:
        fail(
            "soft_efa.invalid_fault",
            f"{name!r} is not a fault of a software EFA device",
            f"use one of {', '.join(FAULTS)}, or without=... for a capability that is missing",
            fault=name,
        )
    number = float(value) if isinstance(value, bool | int | float) else math.nan
    if not 0 <= number <= fault.largest or (fault.switch and number not in (0, 1)):
        allowed = "0 or 1" if fault.switch else f"0 to {fault.largest:g}"
        fail(
            "soft_efa.invalid_fault",
            f"fault {name}={value!r} is not {allowed}",
            f"{name}: {fault.meaning}",
            fault=name,
            value=value,
        )
    return number


def parse(text: str) -> tuple[int | str | None, dict[str, float]]:
    """Reads ``DEVICE:NAME=VALUE[,NAME=VALUE…]``; without a device, or with ``all``, it is all."""
    device, colon, rest = text.rpartition(":")
    values: dict[str, Any] = {}
    for part in rest.split(","):
        name, equals, value = part.partition("=")
        try:
            values[name.strip()] = float(value) if equals else 1
        except ValueError:
            values[name.strip()] = value
    if not colon or device in ("all", "*"):
        return None, checked(values)
    return (int(device) if device.isdecimal() else device), checked(values)


def between(name: str, value: float, least: float, largest: float) -> float:
    """The value, if it is in its range. Raises `SoftEfaError`."""
    if not least <= value <= largest:
        fail(
            "soft_efa.invalid_fault",
            f"{name}={value!r} is not {least:g} to {largest:g}",
            f"give {least:g} to {largest:g}",
            value=value,
        )
    return value


def capability_bits(read: bool, write: bool, without: frozenset[str]) -> int:
    """Bits of the capabilities of a device, without those that are called missing."""
    if unknown := sorted(without - CAPABILITIES.keys()):
        fail(
            "soft_efa.invalid_fault",
            f"{unknown[0]!r} is not a capability of an EFA device",
            f"use some of {', '.join(CAPABILITIES)}",
            capability=unknown[0],
        )
    bits = sum(CAPABILITIES.values())
    if not read:
        bits &= ~CAPABILITIES["read"]
    if not write:
        # What arrives unasked is a write: without writes there is none.
        bits &= ~(CAPABILITIES["write"] | CAPABILITIES["unsolicited"])
    return bits & ~sum(CAPABILITIES[name] for name in without)
