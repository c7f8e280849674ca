"""Plan, provision and verify EC2 clusters with Elastic Fabric Adapter (EFA).

The flow: ``Catalog`` -> ``InstanceType.layout`` -> ``ClusterSpec`` -> ``Client.plan`` ->
``Client.apply`` -> ``Client.verify`` -> ``Client.destroy``, or a document for another launcher
(``Plan.to_ray_yaml`` and others; ``check`` reads existing ones); on each node ``fabric`` measures
what libfabric sees, and ``nccl`` reads NCCL's log; ``survey``, ``ray.survey`` and
``torch.survey`` name the bad node of a cluster, ``ray.accept``, ``torch.accept`` and
``acceptance`` judge a cluster as a whole. ``aio.Client`` has the same verbs as coroutines,
``errors`` the exceptions, ``testing`` an EC2 stand-in that refuses what EC2 refuses, and EFA
devices in software.

>>> import efa_sdk as efa
>>> p5 = efa.Catalog.bundled()["p5.48xlarge"]
>>> print(p5.layout())
p5.48xlarge save-ips: 33 interfaces, 32 EFA, 1 IP
"""

import atexit as _atexit

from efa_sdk._efa_sdk import (
    VERSION as __version__,
)
from efa_sdk._efa_sdk import (
    AttachedInterface,
    Bootstrap,
    CapacityBlockOffering,
    CapacityReservation,
    Catalog,
    Check,
    Client,
    Cluster,
    ClusterSpec,
    ClusterSummary,
    CommandReport,
    Cost,
    DestroyReport,
    DocumentFinding,
    DocumentReport,
    DocumentUnread,
    Event,
    Finding,
    Gpu,
    Instance,
    InstanceReport,
    InstanceRole,
    InstanceType,
    Layout,
    NetworkCard,
    NetworkInterface,
    NeuronDevice,
    NodeOutput,
    Plan,
    PreflightReport,
    Prices,
    RankedInstance,
    Topology,
    VerifyReport,
    Volume,
    _stop_calls,
    check,
    instance_type_table,
)

# As `typing` has it, whose import would take longer than that of this package.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from efa_sdk import acceptance, aio, choices, errors, fabric, progress, survey
    from efa_sdk import fabric_log as fabric_log
    from efa_sdk import handoff as handoff
    from efa_sdk import nccl as nccl
    from efa_sdk import ray as ray
    from efa_sdk import rows as rows
    from efa_sdk import testing as testing
    from efa_sdk import torch as torch
    from efa_sdk.errors import EfaError
del TYPE_CHECKING

__all__ = [
    "AttachedInterface",
    "Bootstrap",
    "CapacityBlockOffering",
    "CapacityReservation",
    "Catalog",
    "Check",
    "Client",
    "Cluster",
    "ClusterSpec",
    "ClusterSummary",
    "CommandReport",
    "Cost",
    "DestroyReport",
    "DocumentFinding",
    "DocumentReport",
    "DocumentUnread",
    "EfaError",
    "Event",
    "Finding",
    "Gpu",
    "Instance",
    "InstanceReport",
    "InstanceRole",
    "InstanceType",
    "Layout",
    "NetworkCard",
    "NetworkInterface",
    "NeuronDevice",
    "NodeOutput",
    "Plan",
    "PreflightReport",
    "Prices",
    "RankedInstance",
    "Topology",
    "VerifyReport",
    "Volume",
    "__version__",
    "acceptance",
    "aio",
    "check",
    "choices",
    "errors",
    "fabric",
    "instance_type_table",
    "progress",
    "survey",
]

#: Imported when they are first asked for. They need asyncio and others of the standard library,
#: which take several times as long as this package, or packages of others; some also run as
#: ``python -m``.
_LAZY = (
    "acceptance",
    "aio",
    "choices",
    "errors",
    "fabric",
    "fabric_log",
    "handoff",
    "nccl",
    "progress",
    "ray",
    "rows",
    "survey",
    "testing",
    "torch",
)

_atexit.register(_stop_calls)


def __getattr__(name: str) -> "Any":
    """Modules of ``_LAZY``, and ``EfaError`` with one, are imported when first asked for."""
    if name in _LAZY:
        from importlib import import_module

        return import_module(f"efa_sdk.{name}")
    if name == "EfaError":
        from efa_sdk.errors import EfaError

        return EfaError
    raise AttributeError(f"module 'efa_sdk' has no attribute {name!r}")


def __dir__() -> list[str]:
    """For completion: the names that are imported when they are first asked for as well."""
    return sorted({*globals(), *__all__, *_LAZY})
