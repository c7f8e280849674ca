"""The measuring calls of ``efa_sdk.survey`` as coroutines.

>>> from efa_sdk import aio, survey
>>> async def rank(exchange, number: int) -> bool:
...     node = survey.SurveyNode(f"rank-{number}")
...     pair = survey.PairOptions("tcp")
...     surveyed = await aio.survey.run_rank(
...         exchange, "first", node, pair, rank=number, world_size=2
...     )
...     return surveyed.healthy  # the same on every rank

Cancelling a coroutine stops what it measures.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from efa_sdk import choices
from efa_sdk._efa_sdk import (
    Library,
    PairOptions,
    PairSight,
    SurveyFlowSights,
    SurveyFlowTask,
    SurveyNode,
    SurveyOptions,
    SurveyProgress,
    SurveyReport,
    SurveySummary,
    run_rank_async,
    survey_flows_async,
    survey_pair_async,
)
from efa_sdk.fabric import Exchange

__all__ = ["run_rank", "survey_flows", "survey_pair"]


async def survey_pair(
    exchange: str | os.PathLike[str] | Exchange,
    name: str,
    side: choices.Side,
    options: PairOptions,
    *,
    library: Library | None = None,
) -> PairSight:
    """Measures a pair with the node that calls this with the other side and the same name."""
    return await survey_pair_async(exchange, name, side, options, library=library)


async def survey_flows(
    exchange: str | os.PathLike[str] | Exchange,
    task: SurveyFlowTask,
    options: PairOptions,
    *,
    library: Library | None = None,
) -> SurveyFlowSights:
    """Sends and receives all flows of a step, together with its other nodes."""
    return await survey_flows_async(exchange, task, options, library=library)


async def run_rank(
    exchange: str | os.PathLike[str] | Exchange,
    name: str,
    node: SurveyNode,
    pair: PairOptions,
    *,
    rank: int,
    world_size: int,
    mode: choices.SurveyMode = "full",
    seed: int = 0,
    labels: Sequence[str] | None = None,
    expected_gbps: float | None = None,
    expected_rail_gbps: float | None = None,
    join_deadline_s: float = 120.0,
    round_deadline_s: float = 30.0,
    progress: Callable[[SurveyProgress], object] | None = None,
    library: Library | None = None,
    options: SurveyOptions | None = None,
) -> SurveyReport | SurveySummary:
    """Surveys all ranks: each of them calls this. Rank 0 gets the report, the others a summary.

    options: a SurveyOptions with every setting; mode, seed, labels, expected_gbps and
    expected_rail_gbps are the same as there. join_deadline_s: seconds for the ranks to come;
    round_deadline_s: for each round. Raises FabricError; with the code ``fabric.invalid_option``
    for options and single settings at once.
    """
    return await run_rank_async(
        exchange,
        name,
        node,
        pair,
        rank=rank,
        world_size=world_size,
        mode=mode,
        seed=seed,
        labels=labels,
        expected_gbps=expected_gbps,
        expected_rail_gbps=expected_rail_gbps,
        join_deadline_s=join_deadline_s,
        round_deadline_s=round_deadline_s,
        progress=progress,
        library=library,
        options=options,
    )
