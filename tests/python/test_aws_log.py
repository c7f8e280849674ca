"""Each call to AWS in the logger `efa_sdk.aws`: what it reports, and that it is off by default."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections import Counter
from typing import Any

import efa_sdk as efa
import pytest
from efa_sdk import aio
from support import Cloud, run_python

NAME = "efa_sdk.aws"


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG, logger=NAME)
    return caplog


def lines(logged: pytest.LogCaptureFixture) -> list[Any]:
    return [record for record in logged.records if record.name == NAME]


def test_a_line_for_each_call(cloud: Cloud, logged: pytest.LogCaptureFixture) -> None:
    since = len(cloud.stand_in.requests)
    cloud.client.apply(cloud.plan())
    sent = Counter(request.action for request in cloud.stand_in.requests[since:])
    found = lines(logged)
    assert Counter(line.aws_action for line in found) == sent
    assert {line.levelno for line in found} == {logging.DEBUG}
    assert {line.aws_attempt for line in found} == {1}
    assert all(line.aws_request_id and line.aws_ms >= 0 for line in found)
    assert len({line.aws_request_id for line in found}) == len(found)
    outcomes = {(line.aws_action, line.aws_outcome) for line in found}
    assert {("RunInstances", "DryRunOperation"), ("GetCallerIdentity", "ok")} <= outcomes
    launch = [line for line in found if line.aws_action == "RunInstances"][-1]
    text = launch.getMessage()
    assert text.startswith("EC2 RunInstances, attempt 1: ok after ")
    assert text.endswith(f" ms, request {launch.aws_request_id}")


def test_a_throttled_call_has_two_attempts(cloud: Cloud, logged: pytest.LogCaptureFixture) -> None:
    cloud.stand_in.fail("DescribeInstances", "RequestLimitExceeded", status=503)
    cloud.client.clusters()
    found = [line for line in lines(logged) if line.aws_action == "DescribeInstances"]
    assert [(line.aws_attempt, line.aws_outcome) for line in found] == [
        (1, "RequestLimitExceeded"),
        (2, "ok"),
    ]
    assert found[0].aws_request_id == "fault-injected"


def test_no_secret_and_no_parameter(
    cloud: Cloud, logged: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "the-secret-of-the-key")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "the-token-of-the-session")
    logged.set_level(logging.DEBUG)  # every logger
    client = cloud.connect()
    client.apply(cloud.plan(name="name-of-a-cluster"))
    assert lines(logged)
    shown = "\n".join(str(vars(line)) for line in lines(logged))
    for hidden in ("the-secret-of-the-key", "the-token-of-the-session", "name-of-a-cluster"):
        assert hidden not in shown


def test_off_by_default_and_once_it_is_off_again(
    cloud: Cloud, caplog: pytest.LogCaptureFixture
) -> None:
    cloud.client.clusters()
    assert lines(caplog) == []
    with caplog.at_level(logging.DEBUG, logger=NAME):
        cloud.client.clusters()
    seen = len(lines(caplog))
    assert seen > 0
    cloud.client.clusters()
    assert len(lines(caplog)) == seen


def test_coroutines_log_it_too(cloud: Cloud, logged: pytest.LogCaptureFixture) -> None:
    options = {"region": cloud.network.region, "endpoint_url": cloud.stand_in.endpoint_url}

    async def look() -> None:
        client = aio.Client(**options)  # type: ignore[arg-type]
        await asyncio.gather(*(client.clusters() for _ in range(4)))

    since = len(cloud.stand_in.requests)
    asyncio.run(look())
    sent = Counter(request.action for request in cloud.stand_in.requests[since:])
    assert Counter(line.aws_action for line in lines(logged)) == sent


def test_what_a_filter_raises_stops_no_call(
    cloud: Cloud, logged: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    raised: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", raised.append)

    def refuse(_record: logging.LogRecord) -> bool:
        raise ValueError("a filter of the user's own")

    logging.getLogger(NAME).addFilter(refuse)
    try:
        assert cloud.client.clusters() == []
    finally:
        logging.getLogger(NAME).removeFilter(refuse)
    assert {type(seen.exc_value) for seen in raised} == {ValueError}


def test_nothing_is_printed_unless_logging_is_configured(cloud: Cloud) -> None:
    code = """
import logging, sys, efa_sdk
if sys.argv[2:]:
    logging.basicConfig(level=logging.DEBUG, format="%(name)s %(message)s")
client = efa_sdk.Client(region="us-east-1", endpoint_url=sys.argv[1])
assert client.clusters() == []
"""
    url = cloud.stand_in.endpoint_url
    quiet, loud = run_python(code, url), run_python(code, url, "on")
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (0, "", "")
    assert loud.returncode == 0, loud.stderr
    assert f"{NAME} EC2 DescribeInstances, attempt 1: ok after " in loud.stderr


def test_an_attempt_that_nobody_answers(
    aws_environment: None, logged: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    client = efa.Client(region="us-east-1", endpoint_url="http://127.0.0.1:1")
    with pytest.raises(efa.errors.Ec2Error):
        client.clusters()
    outcomes = {(line.aws_outcome, line.aws_request_id) for line in lines(logged)}
    assert outcomes == {("unreachable", None)}
