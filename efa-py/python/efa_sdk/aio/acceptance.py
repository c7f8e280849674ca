"""``efa_sdk.acceptance`` as coroutines.

>>> from efa_sdk import aio
>>> from efa_sdk.survey import SurveyReport
>>> async def check(client: aio.Client, survey: SurveyReport) -> None:
...     report = await aio.acceptance.accept(client, "train", survey)
...     if report.to_replace:
...         await client.replace(report.name, report.to_replace)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from efa_sdk._efa_sdk import AcceptanceReport
from efa_sdk.acceptance import name_of, said
from efa_sdk.arguments import typed
from efa_sdk.errors import EfaError

if TYPE_CHECKING:
    from efa_sdk._efa_sdk import Plan, SurveyReport
    from efa_sdk.aio.client import Client

__all__ = ["accept"]


@typed
async def accept(client: Client, cluster: str | Plan, survey: SurveyReport) -> AcceptanceReport:
    """Judges a cluster by a survey of its nodes and by what EC2 shows, as
    ``efa_sdk.acceptance.accept``.
    """
    seen = await client.describe(name_of(cluster))
    try:
        compared = await client.verify(cluster)
    except EfaError as error:
        return AcceptanceReport.judge(seen, said(error), survey)
    return AcceptanceReport.judge(seen, compared, survey)
