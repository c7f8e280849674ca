"""`survey.SurveyOptions`: every setting of a survey, refused by name, passed whole everywhere."""

from __future__ import annotations

import math
import pickle
import random
import types
from typing import Any

import efa_sdk
import pytest
from efa_sdk import aio, errors, survey
from efa_sdk.survey import __main__ as command_line

NODES = [survey.SurveyNode(f"node-{i}") for i in range(16)]
SETTINGS: dict[str, Any] = {
    "mode": "sampled",
    "seed": 7,
    "expected_gbps": 90.0,
    "expected_rail_gbps": 45.0,
    "base_rounds": 9,
}
THRESHOLDS: dict[str, Any] = {
    "loss": 0.05,
    "latency_excess": 0.2,
    "link_latency_excess": 0.3,
    "z": 3.0,
    "of_expected": 0.8,
    "least_nodes": 4,
    "alone": 2,
}
OPTIONS = survey.SurveyOptions(**SETTINGS, thresholds=survey.SurveyThresholds(**THRESHOLDS))


def test_defaults_are_those_of_rust() -> None:
    options = survey.SurveyOptions()
    assert options.thresholds == survey.SurveyThresholds()
    assert (options.mode, options.seed, options.labels) == ("full", 0, None)
    assert options.expected_gbps is options.expected_rail_gbps is options.base_rounds is None
    assert options == survey.SurveyOptions.from_json("{}")


def test_every_setting_is_kept() -> None:
    for name, value in SETTINGS.items():
        assert getattr(OPTIONS, name) == value
    for name, value in THRESHOLDS.items():
        assert getattr(OPTIONS.thresholds, name) == value
    labelled = survey.SurveyOptions(mode="within_groups", labels=["a", "b"])
    assert labelled.labels == ["a", "b"]
    for value in (OPTIONS, labelled, OPTIONS.thresholds):
        again = pickle.loads(pickle.dumps(value))
        assert again == value
        assert hash(again) == hash(value)
    assert "loss=0.05" in repr(OPTIONS.thresholds)
    assert "sampled" in repr(OPTIONS)


def refused(name: str, value: Any, call: Any) -> None:
    with pytest.raises(errors.FabricError) as caught:
        call()
    error = caught.value
    assert error.code == "fabric.invalid_option"
    assert error.context["option"] == name
    assert float(error.context["value"]) == value or math.isnan(value)
    assert error.context["limit"] in error.message
    assert name in error.message
    assert error.cure


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((share, wrong) for share in ("loss", "of_expected") for wrong in (0.0, -0.1, 1.5)),
        ("loss", 1.0),
        *((name, 0.0) for name in ("latency_excess", "link_latency_excess", "z")),
        *((name, math.inf) for name in ("latency_excess", "link_latency_excess", "z")),
        ("z", math.nan),
        *(("least_nodes", wrong) for wrong in (-1, 0, 2)),
        *(("alone", wrong) for wrong in (-1, 0, 101)),
    ],
)
def test_a_wrong_threshold_is_refused_by_name(name: str, value: float) -> None:
    setting: dict[str, Any] = {name: value}
    refused(name, value, lambda: survey.SurveyThresholds(**setting))


@pytest.mark.parametrize(
    ("name", "value", "others"),
    [
        ("base_rounds", 0, {"mode": "sampled"}),
        ("base_rounds", -4, {"mode": "sampled"}),
        ("base_rounds", 5, {}),
        ("expected_gbps", 0.0, {}),
        ("expected_gbps", -1.0, {}),
        ("expected_rail_gbps", math.inf, {}),
    ],
)
def test_a_wrong_setting_is_refused_by_name(
    name: str, value: float, others: dict[str, Any]
) -> None:
    setting: dict[str, Any] = {name: value}
    refused(name, value, lambda: survey.SurveyOptions(**others, **setting))


def test_labels_are_one_for_each_node() -> None:
    options = survey.SurveyOptions(labels=["a", "b"])
    with pytest.raises(errors.FabricError) as caught:
        survey.SurveyPlan(NODES, "tcp", options=options)
    assert caught.value.context["option"] == "labels"
    assert caught.value.context["limit"] == "one for each of 16 nodes"


@pytest.mark.parametrize("setting", [{"mode": "ring"}, {"seed": 1}, {"expected_gbps": 9.0}])
def test_options_and_settings_at_once_are_refused(setting: dict[str, Any]) -> None:
    with pytest.raises(errors.FabricError) as caught:
        survey.SurveyPlan(NODES, "tcp", options=OPTIONS, **setting)
    assert caught.value.code == "fabric.invalid_option"
    assert caught.value.context["option"] == "options"


def drain(options: survey.SurveyOptions) -> list[str]:
    """Surveys a cluster in which node-3 has 7 % less than the others, which all differ a bit."""
    plan = survey.SurveyPlan(NODES, "tcp", options=options)
    while (pairs := plan.next()) is not None:
        for low, high in pairs:
            gbps = (93.0 if 3 in (low, high) else 100.0) + (low * 7 + high * 3) % 5 / 10
            sight = survey.PairSight.measured(20.0, gbps, gbps)
            plan.record((low, high), sight, sight)
    return plan.report().drain


def test_thresholds_decide_what_is_named() -> None:
    strict = survey.SurveyThresholds(loss=0.05)
    assert drain(survey.SurveyOptions()) == []
    assert drain(survey.SurveyOptions(thresholds=strict)) == ["node-3"]


def test_a_plan_has_the_base_rounds_that_were_asked_for() -> None:
    for options, rounds in [(OPTIONS, 9), (survey.SurveyOptions(mode="sampled"), 6)]:
        plan = survey.SurveyPlan(NODES, "tcp", options=options)
        assert plan.progress().base_rounds == rounds


class Called(Exception):
    """What was called with these options."""


def stop(*_: Any, options: survey.SurveyOptions, **rest: Any) -> Any:
    assert not set(rest) & set(SETTINGS), "options are passed whole"
    raise Called(options)


def test_torch_passes_them_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(efa_sdk.torch, "run_rank", stop)
    store = types.SimpleNamespace(set=stop, get=stop)
    place: dict[str, Any] = {"store": store, "rank": 0, "world_size": 1}
    place |= {"provider": "tcp", "inspect": False}
    with pytest.raises(Called) as caught:
        efa_sdk.torch.survey(**place, options=OPTIONS)
    assert caught.value.args == (OPTIONS,)
    with pytest.raises(Called) as caught:
        efa_sdk.torch.survey(**place, mode="ring", seed=3)
    assert caught.value.args == (survey.SurveyOptions(mode="ring", seed=3),)
    with pytest.raises(errors.FabricError):
        efa_sdk.torch.survey(**place, mode="ring", options=OPTIONS)


def test_ray_passes_them_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    class Ray:
        """A cluster without a node."""

        @staticmethod
        def nodes() -> list[dict[str, Any]]:
            return []

    monkeypatch.setattr(efa_sdk.ray, "_initialised_ray", Ray)
    monkeypatch.setattr(efa_sdk.ray, "SurveyPlan", stop)
    with pytest.raises(Called) as caught:
        efa_sdk.ray.survey(options=OPTIONS)
    assert caught.value.args == (OPTIONS,)
    with pytest.raises(Called) as caught:
        efa_sdk.ray.survey(mode="sampled", expected_gbps=10.0)
    assert caught.value.args == (survey.SurveyOptions(mode="sampled", expected_gbps=10.0),)
    with pytest.raises(errors.FabricError):
        efa_sdk.ray.survey(seed=1, options=OPTIONS)


async def test_run_rank_takes_them_whole() -> None:
    server = survey.StoreServer("a secret of tests")
    with server:
        client = survey.StoreClient(server.address, "a secret of tests")
        pair = survey.PairOptions("tcp")
        places: list[dict[str, Any]] = [{"rank": 2, "world_size": 2}, {"rank": 0, "world_size": 1}]
        for place in places:
            with pytest.raises(errors.FabricError) as caught:
                survey.run_rank(client, "both", NODES[0], pair, **place, seed=3, options=OPTIONS)
            assert caught.value.context["option"] == "options"
        report = survey.run_rank(client, "a", NODES[0], pair, rank=0, world_size=1, options=OPTIONS)
        assert isinstance(report, survey.SurveyReport)
        assert report.nodes[0].name == "node-0"
        other = await aio.survey.run_rank(
            client, "b", NODES[0], pair, rank=0, world_size=1, options=OPTIONS
        )
        assert isinstance(other, survey.SurveyReport)
        assert other.findings == report.findings


def test_the_command_line_makes_them(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    token = tmp_path / "token"
    token.write_text("a secret of tests")
    monkeypatch.setattr(command_line, "run_rank", stop)
    monkeypatch.setattr(command_line, "choose_rails", lambda *_: [])
    arguments = ["--rank", "0", "--world-size", "1", "--rendezvous", "127.0.0.1:1"]
    arguments += ["--token-file", str(token), "--provider", "tcp", "--no-inspection", "--quiet"]
    monkeypatch.setattr(command_line, "StoreClient", lambda *_, **__: None)
    settings = {**SETTINGS, **THRESHOLDS}
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in settings.items()]
    with pytest.raises(Called) as caught:
        command_line.main(arguments + flags)
    assert caught.value.args == (OPTIONS,)
    with pytest.raises(Called) as caught:
        command_line.main(arguments)
    assert caught.value.args == (survey.SurveyOptions(),)


def test_the_command_line_refuses_wrong_values(
    tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    token = tmp_path / "token"
    token.write_text("a secret of tests")
    arguments = ["--rank", "0", "--world-size", "1", "--rendezvous", "127.0.0.1:1"]
    with pytest.raises(SystemExit) as ended:
        command_line.main([*arguments, "--token-file", str(token), "--loss", "2"])
    assert ended.value.code == 64
    said = capsys.readouterr().err
    assert "loss is 2, must be a share above 0 and below 1" in said


def six_hosts(seed: int, slow: tuple[int, int] | None) -> survey.SurveyReport:
    """A survey of six, in which one link has seven times the latency."""
    noise = random.Random(seed)
    nodes = [survey.SurveyNode(f"host-{i}") for i in range(6)]
    plan = survey.SurveyPlan(nodes, "tcp", seed=seed)
    while (pairs := plan.next()) is not None:
        for pair in pairs:
            latency_us = (43_000 if pair == slow else 5_900) * noise.lognormvariate(0, 0.015)
            rates = [0.0473 * noise.lognormvariate(0, 0.01) for _ in range(2)]
            sight = survey.PairSight.measured(latency_us, *rates)
            plan.record(pair, sight, sight)
    return plan.report()


@pytest.mark.parametrize("seed", range(10))
def test_a_slow_link_of_a_small_cluster_is_measured_alone_and_named(seed: int) -> None:
    assert [tuple(link) for link in six_hosts(seed, (1, 4)).slow_links] == [("host-1", "host-4")]
    assert six_hosts(seed, None).healthy
