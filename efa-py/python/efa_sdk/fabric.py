"""What libfabric sees on this machine, and how fast it is.

libfabric is loaded when it is first needed, from ``$EFA_FABRIC_LIB``, ``/opt/amazon/efa`` or the
system; without one, calls raise ``FabricError`` with the code ``fabric.library_not_found``.

``loopback("tcp")`` measures latency and bandwidth between two endpoints of this process;
``Server`` on one machine and ``connect`` on another measure between the two. Where the two sides
can already exchange bytes (a Ray actor, a torch store, a shared folder), ``measure_through`` and
``answer_through`` need no port of their own. ``doctor()`` reports whether EFA works on this node,
and if not, why. The coroutines are in ``efa_sdk.aio.fabric``.

``node()`` is the inventory of this machine, ``rails(node())`` its EFA devices as libfabric offers
them, and ``probe_rails`` measures each alone and all together.

>>> from efa_sdk import fabric
>>> options = fabric.ProbeOptions("tcp", sizes=[64, 4096], size_budget_s=0.05)
>>> options.window
64
"""

from __future__ import annotations

from typing import Protocol

from efa_sdk._efa_sdk import (
    Bandwidth,
    DoctorFinding,
    DoctorReport,
    EfaDevice,
    ExpectedEfa,
    GpuEvidence,
    GpuReport,
    KernelModule,
    Latency,
    Library,
    Nic,
    Node,
    PciDevice,
    ProbeOptions,
    ProbeReport,
    ProbeRow,
    ProviderInfo,
    Rail,
    RailMeasure,
    RailReport,
    RailResult,
    RdmaDevice,
    Server,
    SideBandwidth,
    Uverbs,
    answer_through,
    connect,
    doctor,
    doctor_checks,
    loopback,
    measure_through,
    node,
    probe_rails,
    rails,
    simulated_rails,
)

__all__ = [
    "Bandwidth",
    "DoctorFinding",
    "DoctorReport",
    "EfaDevice",
    "Exchange",
    "ExpectedEfa",
    "GpuEvidence",
    "GpuReport",
    "KernelModule",
    "Latency",
    "Library",
    "Nic",
    "Node",
    "PciDevice",
    "ProbeOptions",
    "ProbeReport",
    "ProbeRow",
    "ProviderInfo",
    "Rail",
    "RailMeasure",
    "RailReport",
    "RailResult",
    "RdmaDevice",
    "Server",
    "SideBandwidth",
    "Uverbs",
    "answer_through",
    "connect",
    "doctor",
    "doctor_checks",
    "loopback",
    "measure_through",
    "nics",
    "node",
    "probe_rails",
    "providers",
    "rails",
    "simulated_rails",
]


class Exchange(Protocol):
    """Where two sides of a probe leave bytes for each other.

    Whoever can write to it takes part in the probe, so it must be as private as a token. Its
    methods are called from the probe's own thread.
    """

    def put(self, key: str, value: bytes, /) -> object:
        """Leaves the bytes under a key that was not used before.

        An exchange that refuses since something lies there already raises FileExistsError.
        """

    def take(self, key: str, /) -> bytes | None:
        """Takes away what lies under the key; None, without waiting, while nothing does."""


def providers() -> list[ProviderInfo]:
    """Returns everything that libfabric offers on this machine, in its order of preference."""
    return Library().providers()


def nics() -> list[Nic]:
    """Returns the network devices that libfabric can use, each once."""
    return Library().nics()
