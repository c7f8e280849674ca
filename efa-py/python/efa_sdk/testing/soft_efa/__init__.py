"""A software EFA device: libfabric's real ``efa`` provider, and other programs, without hardware.

`SoftEfa` is a host with devices; ``python -m efa_sdk.testing.soft_efa -- COMMAND`` runs any program
on it. docs/soft-efa.md lists what it can prove, and what not.
"""

from __future__ import annotations

from efa_sdk.errors import SoftEfaError

from .faults import FAULTS, Fault
from .machine import DEFAULT_GENERATION, GENERATIONS, Generation
from .soft import SoftEfa
from .tree import SoftDevice

__all__ = [
    "DEFAULT_GENERATION",
    "FAULTS",
    "GENERATIONS",
    "Fault",
    "Generation",
    "SoftDevice",
    "SoftEfa",
    "SoftEfaError",
]
