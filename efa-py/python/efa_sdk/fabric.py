"""What libfabric sees on this machine, and how fast it is.

libfabric is loaded when it is first needed, from ``$EFA_FABRIC_LIB``, ``/opt/amazon/efa`` or the
system; without one, calls raise ``FabricError`` with the code ``fabric.library_not_found``.

``loopback("tcp")`` measures latency and bandwidth between two endpoints of this process;
``Server`` on one machine and ``connect`` on another measure between the two. The coroutines are
in ``efa_sdk.aio.fabric``.

``node()`` is the inventory of this machine, ``rails(node())`` its EFA devices as libfabric offers
them, and ``probe_rails`` measures each alone and all together.

>>> from efa_sdk import fabric
>>> options = fabric.ProbeOptions("tcp", sizes=[64, 4096], size_budget_s=0.05)
>>> options.window
64
"""

from __future__ import annotations

from efa_sdk._efa_sdk import (
    Bandwidth,
    EfaDevice,
    ExpectedEfa,
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
    Uverbs,
    connect,
    loopback,
    node,
    probe_rails,
    rails,
    simulated_rails,
)

__all__ = [
    "Bandwidth",
    "EfaDevice",
    "ExpectedEfa",
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
    "Uverbs",
    "connect",
    "loopback",
    "nics",
    "node",
    "probe_rails",
    "providers",
    "rails",
    "simulated_rails",
]


def providers() -> list[ProviderInfo]:
    """Everything that libfabric offers on this machine, in its order of preference."""
    return Library().providers()


def nics() -> list[Nic]:
    """The network devices that libfabric can use, each once."""
    return Library().nics()
