"""What a report of a survey gives to people and machines: commands, history, metrics."""

from __future__ import annotations

import pathlib
import re

import pytest
from efa_sdk import survey
from efa_sdk.errors import BindingError, FabricError
from efa_sdk.survey.__main__ import main


def surveyed(
    bad: int | None = None, *, name: str = "node-{}", at: int | None = None
) -> survey.SurveyReport:
    """Eight nodes, one of them perhaps at half the rate of the others."""
    nodes = [
        survey.SurveyNode(name.format(i), instance_id=f"i-{i:017x}", ray_node_id=f"{i:056x}")
        for i in range(8)
    ]
    plan = survey.SurveyPlan(nodes, "tcp", seed=7, expected_gbps=90.0)
    while (pairs := plan.next()) is not None:
        for low, high in pairs:
            gbps = 50.0 if bad in (low, high) else 100.0
            sight = survey.PairSight.measured(20.0, gbps, gbps)
            plan.record((low, high), sight, sight)
    return plan.report(elapsed_s=1.5, finished_unix_s=at)


def test_a_report_has_what_to_do_and_how_it_was_surveyed() -> None:
    report = surveyed(3, at=1_796_004_000)
    assert report.action == "take out: node-3 (i-00000000000000003)"
    assert str(report).splitlines()[0] == report.action
    assert report.nodes[3].instance_id == "i-00000000000000003"
    assert report.finished_at == "2026-11-30T02:00:00Z"
    assert report.options is not None
    assert report.version is not None
    assert (report.options.seed, report.options.expected_gbps) == (7, 90.0)
    assert (report.pairs, report.links_seen) == (28, 1.0)
    assert report.noise_percent is not None
    assert report.detectable_percent is not None
    assert report.unstable_named_percent is not None
    assert 90.0 < report.unstable_named_percent < 92.0  # seven measurements of each node
    assert surveyed().action == "nothing to do: no fault was found"
    assert survey.SurveyReport.from_json(report.to_json()) == report


def test_commands_for_each_scheduler() -> None:
    report = surveyed(3)
    (slurm,) = report.drain_commands("slurm").commands
    assert slurm.startswith("scontrol update NodeName=node-3 State=DRAIN Reason='efa-sdk survey: ")
    assert report.drain_commands("kubernetes").commands[0] == "kubectl cordon node-3"
    (ray,) = report.drain_commands("ray").commands
    assert f"--node-id {3:056x} " in ray
    hostile = surveyed(3, name="$(reboot)-{}").drain_commands("slurm")
    assert (hostile.commands, list(hostile.left_out)) == ([], ["$(reboot)-3 (i-00000000000000003)"])
    assert str(surveyed().drain_commands("slurm")) == "# nothing to take out\n"
    with pytest.raises((BindingError, FabricError, ValueError), match="scheduler"):
        report.drain_commands("lsf")  # type: ignore[arg-type]


def test_a_folder_is_a_history_that_can_be_compared(tmp_path: pathlib.Path) -> None:
    yesterday, today = surveyed(at=1_796_000_000), surveyed(3, at=1_796_004_000)
    assert pathlib.Path(today.save(tmp_path)).name == "survey-20261130T020000Z.json"
    yesterday.save(str(tmp_path))
    assert survey.SurveyReport.history(tmp_path) == [yesterday, today]
    change = today.compare(yesterday)
    assert not change.same
    assert change.rates_not_compared is None
    assert [moved.node for moved in change.moved] == [today.action.removeprefix("take out: ")] * 2
    assert change.new_findings[0].startswith("node-3 has 50 % less bandwidth")
    assert today.compare(today).same
    with pytest.raises(FabricError, match="cannot be read") as caught:
        survey.SurveyReport.load(tmp_path / "none.json")
    assert caught.value.code == "fabric.invalid_option"


def test_metrics_are_prometheus_text() -> None:
    text = surveyed(3, name='n"{}').to_openmetrics()
    assert text.endswith("# EOF\n")
    labels = '{node="n\\"3",instance_id="i-00000000000000003"}'
    assert f"efa_survey_node_sends_bits_per_second{labels} 50000000000\n" in text
    assert f"efa_survey_node_take_out{labels} 1\n" in text


def test_help_has_the_default_of_every_option(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "1000")
    with pytest.raises(SystemExit):
        main(["--help"])
    options = capsys.readouterr().out.partition("exit status:")[0].split("\n  --")[1:]
    helps = {f"--{text.split()[0]}": " ".join(text.split()) for text in options}
    assert len(helps) > 25
    switches = {"--no-inspection", "--json", "--progress", "--quiet"}
    for option, line in helps.items():
        assert option in switches or re.search(r"\((default: .+|required)\)|;", line), line
    for option, default in {
        "--message-bytes": "bytes of messages for rates (default: 1048576)",
        "--test-budget-s": "seconds for latency, and for the rate in each direction (default: 0.2)",
        "--round-deadline-s": "seconds for each round (default: 30)",
        "--expected-rail-gbps": "one rail should reach in one direction (default: none)",
    }.items():
        assert default in helps[option], helps[option]
