"""Whether training may start on a cluster: one report, one verdict.

``efa_sdk.ray.accept(client, name)`` and ``efa_sdk.torch.accept(client, name)`` look at everything
in one call: EC2's side against the plan, the doctor on every node, and every pair of nodes. Here is
the form for surveys that were made otherwise, such as by plain ranks:

>>> from efa_sdk import Client, acceptance
>>> from efa_sdk.survey import SurveyReport
>>> def check(client: Client, survey: SurveyReport) -> None:
...     report = acceptance.accept(client, "train", survey)
...     print(report)
...     report.save("acceptance.json")
...     if report.to_replace:
...         report.replace(client)

A report is ``accepted``, ``accepted_with_warnings``, ``refused`` (there is evidence against an
instance, a link or the cluster), or ``could_not_be_judged``: what did not run or was not reached is
in ``not_looked_at``, and a cluster is never accepted with it.
"""

from __future__ import annotations

import html
import json
from dataclasses import asdict, dataclass

from efa_sdk._efa_sdk import (
    AcceptanceFinding,
    AcceptanceReport,
    Client,
    Cluster,
    Plan,
    SurveyReport,
)
from efa_sdk.arguments import typed
from efa_sdk.errors import ArgumentValueError, EfaError, FabricError, from_parts

__all__ = ["AcceptanceFinding", "AcceptanceReport", "AcceptanceSummary", "accept"]

#: Characters: as many instances as there may be are named in it.
_LONGEST_ACTION = 1000


@dataclass(frozen=True)
class AcceptanceSummary:
    """What a rank gets that does not judge: as small for a thousand ranks as for two.

    verdict, exit_status, action: of the report. code: of what ``raise_for_verdict`` raises.
    """

    #: As of the report: ``accepted``, ``accepted_with_warnings``, ``refused`` or
    #: ``could_not_be_judged``.
    verdict: str
    #: The exit status of a program that accepts: 0, 1 or 2.
    exit_status: int
    #: The verdict and what to do, in one line of at most 1,000 characters; rank 0 has the whole.
    action: str
    #: The code of what ``raise_for_verdict`` raises; None where it raises nothing.
    code: str | None

    @property
    def accepted(self) -> bool:
        """Whether the cluster is accepted, with warnings or without."""
        return self.exit_status == 0

    def raise_for_verdict(self) -> None:
        """Raises as the report does: UnhealthyError where the cluster is refused, NotSurveyedError
        where it could not be judged."""
        if self.code is not None:
            raise from_parts(self.code, self.action, None, {}, False, False, ())

    def _repr_html_(self) -> str:
        """The verdict and what to do, for notebooks."""
        return f'<p style="text-align:left"><b>{html.escape(self.action)}</b></p>'

    def to_json(self) -> str:
        """Returns it as JSON, for `from_json`."""
        return json.dumps(asdict(self))

    @staticmethod
    @typed
    def from_json(text: str) -> AcceptanceSummary:
        """Returns what `to_json` wrote.

        text: the JSON. Raises ArgumentValueError for what is none of this class.
        """
        try:
            return AcceptanceSummary(**json.loads(text))
        except (TypeError, ValueError) as error:
            raise ArgumentValueError(
                "argument.invalid_value",
                f"text is not this value's JSON: {error}",
                None,
                {"argument": "text"},
            ) from error


def summary(report: AcceptanceReport) -> AcceptanceSummary:
    """Returns what the other ranks of a job receive of a report."""
    code = None
    try:
        report.raise_for_verdict()
    except FabricError as error:
        code = error.code
    action = report.action
    if len(action) > _LONGEST_ACTION:
        action = f"{action[: _LONGEST_ACTION - 1]}…"
    return AcceptanceSummary(report.verdict, report.exit_status, action, code)


@typed
def accept(client: Client, cluster: str | Plan, survey: SurveyReport) -> AcceptanceReport:
    """Judges a cluster by a survey of its nodes and by what EC2 shows.

    client: of the cluster's account. cluster: its name, or the plan that it is compared with
    instead of the one that its tags record. survey: of its nodes, with the doctor's inspection of
    each. Raises VerifyError when there is no such cluster; that EC2 could not be asked more is part
    of the report.
    """
    return judge(client, described(client, cluster), cluster, survey)


def described(client: Client, cluster: str | Plan) -> Cluster:
    """Returns the cluster as it stands, before anything is measured."""
    return client.describe(name_of(cluster))


def name_of(cluster: str | Plan) -> str:
    """Returns the name of a cluster that is given by it, or by its plan."""
    return cluster if isinstance(cluster, str) else cluster.name


def judge(
    client: Client, seen: Cluster, cluster: str | Plan, survey: SurveyReport | EfaError
) -> AcceptanceReport:
    """Returns the report; what EC2 reports is asked now, after the measurements."""
    try:
        compared = client.verify(cluster)
    except EfaError as error:
        return AcceptanceReport.judge(seen, said(error), _or_why(survey))
    return AcceptanceReport.judge(seen, compared, _or_why(survey))


def said(error: EfaError) -> str:
    """Returns why a part did not run."""
    return f"{error} ({error.code})"


def _or_why(survey: SurveyReport | EfaError) -> SurveyReport | str:
    return said(survey) if isinstance(survey, EfaError) else survey
