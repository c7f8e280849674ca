"""Acceptance of clusters on the EC2 stand-in: EC2, the doctors, the survey, one verdict."""

from __future__ import annotations

import json
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import efa_sdk as efa
import efa_sdk.torch
import pytest
from efa_sdk import __main__ as command
from efa_sdk import acceptance, aio
from efa_sdk.acceptance import AcceptanceReport, AcceptanceSummary
from efa_sdk.errors import Ec2Error, FabricError, NotSurveyedError, UnhealthyError, VerifyError
from efa_sdk.survey import NodeInspection, PairSight, SurveyNode, SurveyPlan, SurveyReport
from support import Cloud
from test_survey_torch import QUICK, WatchedStore

#: Of the simulated rate, so that few nodes are enough to tell a slow one.
GBPS = 100.0


def inspection(instance: efa.Instance) -> NodeInspection:
    """What a content doctor finds on the instance."""
    found: dict[str, object] = dict.fromkeys(
        ["instance_type", "efa_driver", "libfabric", "efa_installer", "rdma_core", "kernel"]
    )
    devices = sum("efa" in interface.interface_type for interface in instance.interfaces)
    found |= {"instance_id": instance.instance_id, "efa_devices": devices, "failed": None}
    return NodeInspection.from_json(json.dumps({**found, "verdict": "usable"}))


def surveyed(cluster: efa.Cluster, slow: str | None = None) -> SurveyReport:
    """A survey over EFA in which the slow instance has half the rate."""
    ids = [instance.instance_id for instance in cluster.instances]
    nodes = [
        SurveyNode(f"host-{number}", inspection=inspection(instance).to_json())
        for number, instance in enumerate(cluster.instances)
    ]
    plan = SurveyPlan(nodes, "efa", expected_gbps=GBPS)
    while (pairs := plan.next()) is not None:
        for low, high in pairs:
            gbps = GBPS / 2 if slow in (ids[low], ids[high]) else GBPS
            sight = PairSight.measured(20.0, gbps, gbps)
            plan.record((low, high), sight, sight)
    return plan.report()


async def test_a_cluster_is_refused_and_what_it_says_is_replaced(
    cloud: Cloud, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = cloud.apply(count=6)
    bad = before.instances[4].instance_id
    report = acceptance.accept(cloud.client, "train", surveyed(before, slow=bad))
    assert (report.verdict, report.exit_status, report.accepted) == ("refused", 1, False)
    assert report.to_replace == [bad]
    assert report.action == f"refused: replace {bad}"
    assert {finding.source for finding in report.against} == {"survey"}
    assert all(bad in finding.statement for finding in report.against)
    assert str(report).startswith(report.action)
    assert f"<b>{report.action}</b>" in report._repr_html_()
    assert report.verify is not None
    assert report.verify.is_as_planned
    assert report.survey is not None
    assert report.survey.drain == ["host-4"]
    assert report.instance_ids == [instance.instance_id for instance in before.instances]
    assert AcceptanceReport.load(report.save(tmp_path)) == report
    assert pickle.loads(pickle.dumps(report)) == report
    with pytest.raises(UnhealthyError) as refused:
        report.raise_for_verdict()
    assert refused.value.context["replace"] == bad

    after = report.replace(cloud.client)
    assert len(after) == 6
    assert bad not in {instance.instance_id for instance in after.instances}
    assert report.replace(cloud.client) == after, "again changes nothing"
    survey = surveyed(after)
    client = aio.Client(region=cloud.network.region, endpoint_url=cloud.stand_in.endpoint_url)
    accepted = await aio.acceptance.accept(client, cloud.client.plan(cloud.spec(count=6)), survey)
    assert (accepted.verdict, accepted.warnings) == ("accepted", []), accepted
    accepted.raise_for_verdict()
    with pytest.raises(FabricError, match="against no instance") as none:
        accepted.replace(cloud.client)
    assert none.value.code == "fabric.nothing_to_replace"
    # The survey of the cluster as it was knows nothing of the new instance.
    (new,) = {i.instance_id for i in after.instances} - set(report.instance_ids)
    stale = acceptance.accept(cloud.client, "train", surveyed(before))
    assert stale.verdict == "could_not_be_judged"
    assert stale.not_looked_at == [f"{new}: no node of the survey is this instance"]

    saved, kept = survey.save(tmp_path / "survey.json"), tmp_path / "acceptance.json"
    where = ["--region", cloud.network.region, "--endpoint-url", cloud.stand_in.endpoint_url]
    words = ["accept", "train", "--survey", str(saved), "--save", str(kept), *where]
    assert command.main(words) == 0
    assert capsys.readouterr().out.startswith("accepted: nothing was found\n")
    assert AcceptanceReport.load(kept).accepted
    assert command.main([*words[:2], "--survey", str(tmp_path / "none"), *where]) == 2
    assert command.main(["accept", "other", *words[2:]]) == 2


def test_what_ec2_does_not_answer_is_not_looked_at(cloud: Cloud) -> None:
    cluster = cloud.apply(count=6)

    class Denied:
        """A client that may describe a cluster, and is throttled then."""

        describe = cloud.client.describe

        def verify(self, name: str) -> efa.VerifyReport:
            raise Ec2Error("ec2.request_failed", f"no answer about {name}")

    client = cast("efa.Client", Denied())
    report = acceptance.accept(client, "train", surveyed(cluster))
    assert report.verdict == "could_not_be_judged", report
    (unseen,) = report.not_looked_at
    said = "EC2's side, against the plan: no answer about train (ec2.request_failed)"
    assert unseen == said
    with pytest.raises(NotSurveyedError, match="EC2's side"):
        report.raise_for_verdict()
    with pytest.raises(VerifyError):
        acceptance.accept(cloud.client, "other", surveyed(cluster))


def test_every_rank_of_a_torch_job_gets_the_verdict(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud.apply()
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    options = {key: value for key, value in QUICK.items() if key != "message_bytes"}

    def ranks(name: str) -> list[AcceptanceReport | AcceptanceSummary | efa.EfaError]:
        store = WatchedStore()

        def one(rank: int) -> AcceptanceReport | AcceptanceSummary | efa.EfaError:
            try:
                return efa_sdk.torch.accept(
                    cloud.client, name, store=store, rank=rank, world_size=4, name="t", **options
                )  # type: ignore[arg-type]
            except efa.EfaError as error:
                return error

        with ThreadPoolExecutor(4) as pool:
            reports = list(pool.map(one, range(4)))
        assert store.values == {}
        if name == "train":
            assert store.left("t/accept") == store.left("t") == {1, 2, 3}
        return reports

    first, second, *others = ranks("train")
    assert isinstance(first, AcceptanceReport)
    assert others == [second, second]
    assert isinstance(second, AcceptanceSummary)
    assert (second.verdict, second.exit_status, second.action) == (
        first.verdict,
        first.exit_status,
        first.action,
    )
    assert not second.accepted
    with pytest.raises(NotSurveyedError, match="could not be judged"):
        second.raise_for_verdict()
    assert "10." not in second.to_json(), "nothing of single nodes"
    # This machine is no instance of it, and has no EFA.
    assert first.verdict == "could_not_be_judged"
    assert "EFA's network: the survey measured the provider tcp" in first.not_looked_at
    assert len([said for said in first.not_looked_at if "no node of the survey" in said]) == 2
    missing = ranks("other")
    assert [getattr(error, "code", None) for error in missing] == [
        "verify.cluster_not_found",
        *["python.no_report"] * 3,
    ]


def test_the_verdict_for_other_ranks_does_not_grow_with_the_cluster() -> None:
    names = ", ".join(f"i-{number:017x}" for number in range(4096))
    report = SimpleNamespace(
        verdict="accepted", exit_status=0, action=names, raise_for_verdict=lambda: None
    )
    reported = acceptance.summary(cast("AcceptanceReport", report))
    assert len(reported.action) == 1000
    assert reported.accepted
    assert AcceptanceSummary.from_json(reported.to_json()) == reported
