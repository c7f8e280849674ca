"""Which node or link of a cluster's fabric is bad: every pair measured, the culprit named.

``efa_sdk.ray.survey()`` runs it from a Ray driver and ``efa_sdk.torch.survey()`` inside the ranks
of a torch job. Here is the form for plain processes that all run the same program: ``run_rank``
meets over any ``efa_sdk.fabric.Exchange``, and ``StoreServer`` with ``StoreClient`` is one over
TCP. ``SurveyPlan`` is for drivers of your own: it chooses which pairs to measure next.

>>> from efa_sdk import survey
>>> plan = survey.SurveyPlan([survey.SurveyNode(f"node-{i}") for i in range(6)], "tcp")
>>> while (pairs := plan.next()) is not None:
...     for low, high in pairs:  # node-4 has half the rate of the others
...         gbps = 50.0 if 4 in (low, high) else 100.0
...         sight = survey.PairSight.measured(20.0, gbps, gbps)
...         plan.record((low, high), sight, sight)
>>> plan.report().drain
['node-4']

``SurveyOptions`` has every setting, thresholds included; each way to run a survey takes it whole:

>>> options = survey.SurveyOptions(
...     mode="sampled", base_rounds=12, thresholds=survey.SurveyThresholds(loss=0.05)
... )
>>> plan = survey.SurveyPlan([survey.SurveyNode(f"{i}") for i in range(64)], "efa", options=options)
>>> plan.progress().base_rounds
12

From a shell, on each machine, with the same file of a token that is private to you::

    python -m efa_sdk.survey --rank 0 --world-size 2 --rendezvous 10.0.0.4:7777 --token-file token

Rank 0 must be on the machine that the rendezvous names. Rank and world size are also read from
``RANK`` and ``WORLD_SIZE``, ``SLURM_PROCID`` and ``SLURM_NTASKS``, or ``JOB_COMPLETION_INDEX`` (of
an indexed Kubernetes Job, with ``--world-size``). Exit statuses: 0 healthy; 1 findings, with
evidence against a node, a link or the network; 2 could not be surveyed, which is the set-up: a rank
never joined, a token was refused, libfabric is missing; 64 wrong usage; 130 interrupted.
"""

from __future__ import annotations

from collections.abc import Mapping

from efa_sdk._efa_sdk import (
    DrainCommands,
    Library,
    MovedRate,
    NodeInspection,
    PairOptions,
    PairSight,
    Rail,
    StoreClient,
    StoreServer,
    SurveyCollective,
    SurveyComparison,
    SurveyDifference,
    SurveyFlowSights,
    SurveyFlowTask,
    SurveyNode,
    SurveyNodeState,
    SurveyOptions,
    SurveyPlan,
    SurveyProgress,
    SurveyReport,
    SurveySummary,
    SurveyThresholds,
    doctor,
    node,
    rails,
    run_rank,
    survey_flows,
    survey_pair,
)
from efa_sdk.arguments import typed
from efa_sdk.errors import invalid_value

__all__ = [
    "DrainCommands",
    "MovedRate",
    "NodeInspection",
    "PairOptions",
    "PairSight",
    "StoreClient",
    "StoreServer",
    "SurveyCollective",
    "SurveyComparison",
    "SurveyDifference",
    "SurveyFlowSights",
    "SurveyFlowTask",
    "SurveyNode",
    "SurveyNodeState",
    "SurveyOptions",
    "SurveyPlan",
    "SurveyProgress",
    "SurveyReport",
    "SurveySummary",
    "SurveyThresholds",
    "choose_provider",
    "choose_rails",
    "inspect_node",
    "rank_from_environment",
    "run_rank",
    "survey_flows",
    "survey_pair",
]

#: Environment variables of rank and number of ranks, by launcher.
_LAUNCHERS = (
    ("RANK", "WORLD_SIZE"),
    ("SLURM_PROCID", "SLURM_NTASKS"),
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    ("JOB_COMPLETION_INDEX", "JOB_COMPLETIONS"),
)
#: Providers with IP addresses, which a node's own address fits.
IP_PROVIDERS = ("tcp", "net", "udp", "sockets")


def choose_provider() -> str:
    """Returns ``efa`` where libfabric offers it on this machine, else ``tcp``.

    Raises FabricError without libfabric.
    """
    offered = {provider.provider.partition(";")[0] for provider in Library().providers()}
    return "efa" if "efa" in offered else "tcp"


@typed
def choose_rails(provider: str, count: int | None = None) -> list[Rail]:
    """Returns the rails to measure on this machine, at most this many.

    provider: of libfabric. count: how many; of ``efa`` all its devices when None. Other providers
    have one; more are several endpoints on the same network, to try what reads such reports. Raises
    FabricError without libfabric.
    """
    if count is not None and count < 1:
        raise invalid_value("count", count, "1 rail or more")
    if provider == "efa":
        return rails(node())[:count]
    return [Rail(f"{provider}-{number}", provider) for number in range(count or 0)]


def inspect_node() -> NodeInspection:
    """Returns what counts of this machine, with the doctor's report. Takes about a second."""
    return NodeInspection.of(node(), doctor())


@typed
def rank_from_environment(environ: Mapping[str, str]) -> tuple[int | None, int | None]:
    """Returns rank and number of ranks as torchrun, srun, mpirun or a Job set ``environ``."""
    for rank, size in _LAUNCHERS:
        if environ.get(rank, "").isdecimal():
            known = environ.get(size, "")
            return int(environ[rank]), int(known) if known.isdecimal() else None
    return None, None
