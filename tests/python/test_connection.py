"""No region, no credentials, no network, and answers that are not EC2's: typed, and soon."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import efa_sdk as efa
import pytest
from support import Cloud, HtmlServer, clear_aws_environment, raised

Verb = Callable[[efa.Client], object]
VERBS: list[tuple[str, Verb]] = [
    ("catalog", lambda client: client.catalog()),
    ("describe", lambda client: client.describe("train")),
    ("verify", lambda client: client.verify("train")),
    ("destroy", lambda client: client.destroy("train")),
    (
        "plan",
        lambda client: client.plan(
            efa.ClusterSpec(
                name="train",
                instance_type="p5.48xlarge",
                count=2,
                subnet="subnet-1",
                image="ami-0123456789abcdef0",
            )
        ),
    ),
]
each_verb = pytest.mark.parametrize("verb", [v[1] for v in VERBS], ids=[v[0] for v in VERBS])


@pytest.fixture
def closed_port() -> str:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}"


@each_verb
def test_nobody_listens(aws_environment: None, closed_port: str, verb: Verb) -> None:
    client = efa.Client(region="us-east-1", endpoint_url=closed_port)
    error = raised(lambda: verb(client))
    assert isinstance(error, efa.errors.Ec2Error)
    assert error.code == "ec2.unreachable"
    assert error.retryable
    assert error.context["endpoint"] == closed_port
    assert error.context["action"].startswith(("Describe", "GetCallerIdentity"))
    assert "refused" in error.message.lower()
    assert error.cure


def test_a_host_that_does_not_exist(aws_environment: None) -> None:
    client = efa.Client(region="us-east-1", endpoint_url="http://no-such-host.invalid:1")
    error = raised(client.catalog)
    assert (error.code, error.retryable) == ("ec2.unreachable", True)
    assert "no-such-host.invalid" in str(error)


@pytest.mark.parametrize("status", [200, 403, 500, 502])
def test_a_page_instead_of_ec2(aws_environment: None, status: int) -> None:
    with HtmlServer(status) as server:
        client = efa.Client(region="us-east-1", endpoint_url=server.endpoint_url)
        error = raised(client.catalog)
    assert isinstance(error, efa.errors.Ec2Error)
    assert error.code in ("ec2.unexpected_answer", "ec2.unreachable")
    assert error.context["endpoint"] == server.endpoint_url
    assert error.cure
    assert len(str(error)) < 1000


@each_verb
def test_no_credentials(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, closed_port: str, verb: Verb
) -> None:
    clear_aws_environment(monkeypatch, tmp_path)
    client = efa.Client(region="us-east-1", endpoint_url=closed_port)
    error = raised(lambda: verb(client))
    assert isinstance(error, efa.errors.Ec2Error)
    assert error.code == "ec2.no_credentials"
    assert "aws configure" in (error.cure or "")
    assert not error.retryable
    assert not error.may_have_changed_aws


@each_verb
def test_no_region(aws_environment: None, closed_port: str, verb: Verb) -> None:
    client = efa.Client(endpoint_url=closed_port)
    error = raised(lambda: verb(client))
    assert isinstance(error, efa.errors.Ec2Error)
    assert error.code == "ec2.no_region"
    assert "AWS_REGION" in (error.cure or "")


def test_credentials_that_appear_later_are_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cloud: Cloud
) -> None:
    clear_aws_environment(monkeypatch, tmp_path)
    client = cloud.connect()
    assert raised(client.catalog).code == "ec2.no_credentials"
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    assert len(client.catalog()) == 303


@pytest.mark.parametrize("variable", ["AWS_REGION", "AWS_DEFAULT_REGION"])
def test_the_region_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, cloud: Cloud, variable: str
) -> None:
    monkeypatch.setenv(variable, cloud.network.region)
    client = efa.Client(endpoint_url=cloud.stand_in.endpoint_url)
    assert client.plan(cloud.spec()).region == cloud.network.region


def test_the_endpoint_of_the_environment(monkeypatch: pytest.MonkeyPatch, cloud: Cloud) -> None:
    for name, value in cloud.stand_in.environ.items():
        monkeypatch.setenv(name, value)
    plan = efa.Client().plan(cloud.spec())
    assert plan.region == cloud.network.region
    assert plan == cloud.plan()


def test_region_and_credentials_of_a_profile(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cloud: Cloud
) -> None:
    clear_aws_environment(monkeypatch, tmp_path)
    (tmp_path / ".aws").mkdir()
    config = f"[profile lab]\nregion = {cloud.network.region}\n"
    (tmp_path / ".aws" / "config").write_text(config)
    keys = "[lab]\naws_access_key_id = testing\naws_secret_access_key = testing\n"
    (tmp_path / ".aws" / "credentials").write_text(keys)
    client = efa.Client(profile="lab", endpoint_url=cloud.stand_in.endpoint_url)
    assert client.plan(cloud.spec()).region == cloud.network.region
    assert raised(efa.Client(endpoint_url=cloud.stand_in.endpoint_url).catalog).code in (
        "ec2.no_region",
        "ec2.no_credentials",
    )


def test_a_profile_wins_over_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Else `destroy` would run in another account than the one that was named."""
    clear_aws_environment(monkeypatch, tmp_path)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAENVIRONMENT")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "environment")
    (tmp_path / ".aws").mkdir()
    keys = "[lab]\naws_access_key_id = AKIAPROFILE\naws_secret_access_key = profile\n"
    (tmp_path / ".aws" / "credentials").write_text(keys)
    with HtmlServer(400) as server:
        options = {"region": "us-east-1", "endpoint_url": server.endpoint_url}
        raised(efa.Client(profile="lab", **options).catalog)
        raised(efa.Client(**options).catalog)
        assert "AKIAPROFILE" in server.signed[0]
        assert "AKIAENVIRONMENT" in server.signed[-1]
        error = raised(efa.Client(profile="no-such", **options).catalog)
    assert error.code == "ec2.no_credentials"
    assert error.context["profile"] == "no-such"


def test_a_password_in_the_endpoint_is_refused_and_not_repeated() -> None:
    client = efa.Client(region="us-east-1", endpoint_url="http://me:hunter2@127.0.0.1:1")
    error = raised(client.catalog)
    assert error.code == "plan.invalid_spec"
    assert "hunter2" not in f"{error} {error.context}"


@pytest.mark.parametrize("url", ["", "localhost:5000", "ftp://x", "http://", "http://a b"])
def test_an_endpoint_that_is_no_url(aws_environment: None, url: str) -> None:
    error = raised(efa.Client(region="us-east-1", endpoint_url=url).catalog)
    assert (error.code, error.context["field"]) == ("plan.invalid_spec", "endpoint_url")


def test_making_a_client_calls_nothing(cloud: Cloud) -> None:
    since = len(cloud.stand_in.requests)
    cloud.connect()
    assert cloud.stand_in.requests[since:] == []
    with pytest.raises(TypeError):
        efa.Client("us-east-1")  # type: ignore[call-arg]


KEYS = {"access_key_id": "AKIAMINE", "secret_access_key": "a-secret"}


@pytest.mark.parametrize(
    ("region", "said"),
    [
        ("", "give one such as us-east-1"),
        ("us-east-1a", "it is an Availability Zone: give its region, us-east-1"),
        ("us-west-2-lax-1a", "give its region, us-west-2"),
        ("use1-az4", "the id of an Availability Zone"),
        ("US-EAST-1", "did you mean us-east-1?"),
    ],
)
@pytest.mark.parametrize("given", [True, False], ids=["argument", "environment"])
def test_what_is_no_region_has_a_cure_that_fits(
    aws_environment: None, monkeypatch: pytest.MonkeyPatch, region: str, said: str, given: bool
) -> None:
    if not given:
        monkeypatch.setenv("AWS_REGION", region)
    client = efa.Client(**KEYS, **({"region": region} if given else {}))
    error = raised(client.clusters)
    assert error.code == "ec2.no_region"
    assert (error.context["field"], error.context["value"]) == ("region", region)
    assert said in (error.cure or "")


def test_no_credentials_are_said_by_their_cause(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    clear_aws_environment(monkeypatch, tmp_path)

    def cure(**options: str) -> tuple[str, str]:
        error = raised(efa.Client(region="us-east-1", **options).clusters)
        assert error.code == "ec2.no_credentials"
        assert "Attempted" not in str(error), "the list of what the SDK asked"
        assert len(str(error)) < 300, error
        return error.message, error.cure or ""

    message, how = cure()
    assert "neither the environment, nor the AWS CLI's files" in message
    assert "aws sso login" in how
    assert "no profile is defined there" in cure(profile="lab")[1]
    config = tmp_path / "config"
    config.write_text(
        "[profile lab]\nregion = us-east-1\n[profile night]\nsso_session = company\n"
        "[sso-session company]\nsso_region = us-east-1\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    assert "did you mean lab?" in cure(profile="labs")[1]
    assert "aws configure --profile lab" in cure(profile="lab")[1]
    assert cure(profile="night")[1] == "sign in: aws sso login --profile night"
    monkeypatch.setenv("AWS_PROFILE", "nights")
    message, how = cure()
    assert "AWS_PROFILE names it" in message
    assert "did you mean night?" in how
