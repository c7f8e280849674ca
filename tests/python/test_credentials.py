"""As whom a client calls: keys, objects of boto3 and botocore, and roles."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import boto3  # type: ignore[import-untyped]
import botocore.session  # type: ignore[import-untyped]
import efa_sdk as efa
import pytest
from botocore.credentials import Credentials, ReadOnlyCredentials  # type: ignore[import-untyped]
from efa_sdk import aio
from support import Cloud, HtmlServer, clear_aws_environment, raised

#: Another account, whose role can be assumed.
OTHER = "210987654321"
ROLE = f"arn:aws:iam::{OTHER}:role/train"
SECRET, TOKEN = "the-secret-of-the-key", "the-token-of-the-session"


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """No credentials and no region from elsewhere."""
    clear_aws_environment(monkeypatch, tmp_path)


def signed(**options: Any) -> tuple[str, str]:
    """The header that signs a call, and its session token."""
    with HtmlServer(400) as server:
        client = efa.Client(**{"region": "us-east-1", **options}, endpoint_url=server.endpoint_url)
        raised(client.clusters)
        return server.signed[-1], server.tokens[-1]


SOURCES: dict[str, dict[str, Any]] = {
    "keys": {"access_key_id": "AKIAMINE", "secret_access_key": SECRET, "session_token": TOKEN},
    "botocore credentials": {"credentials": Credentials("AKIAMINE", SECRET, TOKEN)},
    "frozen credentials": {"credentials": ReadOnlyCredentials("AKIAMINE", SECRET, TOKEN)},
    "boto3 session": {
        "session": boto3.Session(
            aws_access_key_id="AKIAMINE", aws_secret_access_key=SECRET, aws_session_token=TOKEN
        )
    },
}


@pytest.mark.parametrize("options", SOURCES.values(), ids=SOURCES)
def test_calls_are_signed_with_what_is_given(
    nobody: None, options: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="efa_sdk.aws")
    header, token = signed(**options)
    assert "Credential=AKIAMINE/" in header
    assert token == TOKEN
    client = efa.Client(region="us-east-1", endpoint_url="http://127.0.0.1:1", **options)
    error = raised(client.clusters)
    shown = f"{client!r} {error!r} {error.context} {[vars(r) for r in caplog.records]}"
    assert SECRET not in shown
    assert TOKEN not in shown


def test_the_region_of_a_session(nobody: None) -> None:
    botocores = botocore.session.Session()
    botocores.set_config_variable("region", "eu-west-1")
    botocores.set_credentials("AKIAMINE", SECRET)
    of_boto3 = boto3.Session(
        aws_access_key_id="AKIAMINE", aws_secret_access_key=SECRET, region_name="eu-west-1"
    )
    for session in (botocores, of_boto3):
        assert "/eu-west-1/ec2/" in signed(session=session, region=None)[0]
    assert "/us-east-1/ec2/" in signed(session=of_boto3)[0], "the client's own goes first"


class Refreshed:
    """As botocore's refreshable credentials: others each time, until no more can be had."""

    access_key = "unused"

    def __init__(self, times: int = 1000) -> None:
        self.asked, self.times = 0, times

    def get_frozen_credentials(self) -> ReadOnlyCredentials:
        self.asked += 1
        if self.asked > self.times:
            raise RuntimeError("the session of the company has ended")
        return ReadOnlyCredentials(f"AKIA{self.asked}", SECRET, None)


def test_an_object_is_asked_at_every_call(nobody: None) -> None:
    with HtmlServer(400) as server:
        options = {"region": "us-east-1", "endpoint_url": server.endpoint_url}
        client = efa.Client(credentials=Refreshed(), **options)
        for _ in range(3):
            raised(client.clusters)
        keys = [header.split("Credential=")[1].split("/")[0] for header in server.signed]
    assert keys == sorted(set(keys)), "each call has newer ones"


def test_credentials_that_can_no_longer_be_refreshed(cloud: Cloud) -> None:
    credentials = Refreshed()
    client = cloud.connect(credentials=credentials)
    assert client.clusters() == []
    credentials.times = 0
    error = raised(client.clusters)
    assert error.code == "ec2.no_credentials"
    assert "the session of the company has ended" in error.message
    assert "was not sent" in error.message
    assert "sign in again" in (error.cure or "")
    assert not error.may_have_changed_aws
    later = raised(cloud.connect(credentials=Refreshed(times=0)).clusters)
    assert later.code == "ec2.no_credentials"


def test_expired_credentials(cloud: Cloud) -> None:
    cloud.stand_in.fail("DescribeInstances", "RequestExpired", "Request has expired.")
    error = raised(cloud.client.clusters)
    assert error.ec2_code == "RequestExpired"
    assert "sign in again" in (error.cure or "")


def test_a_session_without_credentials(nobody: None) -> None:
    client = efa.Client(session=boto3.Session(region_name="us-east-1"))
    assert raised(client.clusters).code == "ec2.no_credentials"


def test_a_role_of_another_account(cloud: Cloud) -> None:
    cloud.apply()
    since = len(cloud.stand_in.requests)
    client = cloud.connect(role_arn=ROLE, role_session_name="night-run", external_id="ticket:7")
    assert client.clusters() == [], "the other account has none"
    first = cloud.stand_in.requests[since]
    sent = dict(first.parameters)
    assert (first.action, sent["RoleArn"]) == ("AssumeRole", ROLE)
    assert (sent["RoleSessionName"], sent["ExternalId"]) == ("night-run", "ticket:7")
    session = boto3.Session(aws_access_key_id="testing", aws_secret_access_key="testing")
    assert cloud.connect(session=session, role_arn=ROLE).clusters() == []
    assert len(cloud.connect(session=session).clusters()) == 1


def test_a_role_that_may_not_be_assumed(cloud: Cloud) -> None:
    cloud.stand_in.fail("AssumeRole", "AccessDenied", "not authorized", status=403)
    error = raised(cloud.connect(role_arn=ROLE).clusters)
    assert error.code == "ec2.no_credentials"
    assert error.context["role_arn"] == ROLE
    assert "trust policy" in (error.cure or "")


def test_coroutines_take_them_too(cloud: Cloud) -> None:
    session = boto3.Session(
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
        region_name=cloud.network.region,
    )
    client = aio.Client(session=session, endpoint_url=cloud.stand_in.endpoint_url)
    assert asyncio.run(client.clusters()) == []


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"role_arn": "train"}, "role_arn"),
        ({"role_arn": ROLE, "role_session_name": "a b"}, "role_session_name"),
        ({"role_arn": ROLE, "external_id": ""}, "external_id"),
        ({"profile": "lab", "access_key_id": "a", "secret_access_key": "b"}, "access_key"),
        ({"profile": "lab", "credentials": Refreshed()}, "credentials"),
    ],
)
def test_what_cannot_be(nobody: None, options: dict[str, Any], field: str) -> None:
    error = raised(efa.Client(region="us-east-1", **options).clusters)
    assert (error.code, error.context["field"]) == ("plan.invalid_spec", field)
    assert error.cure


@pytest.mark.parametrize(
    "options",
    [
        {"access_key_id": "a"},
        {"secret_access_key": "b"},
        {"session_token": "c"},
        {"external_id": "d"},
        {"role_session_name": "e"},
        {"session": "us-east-1"},
        {"credentials": ("a", "b")},
        {"session": boto3.Session(), "credentials": Refreshed()},
    ],
)
def test_what_does_not_go_together(nobody: None, options: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        efa.Client(region="us-east-1", **options)


@pytest.mark.parametrize(
    "wrong",
    [
        {"secret_access_key": b"S3CRET"},
        {"session_token": ["S3CRET"]},
        {"credentials": {"aws_secret_access_key": "S3CRET"}},
    ],
)
def test_a_secret_of_the_wrong_type_is_not_shown(wrong: dict[str, Any]) -> None:
    with pytest.raises(efa.errors.ArgumentTypeError, match=f"^{next(iter(wrong))} is <") as caught:
        efa.Client(**wrong)
    assert "S3CRET" not in f"{caught.value} {caught.value!r} {caught.value.context}"
