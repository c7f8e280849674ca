"""What the tests of the package share: a fresh EC2 with a network, its state, and a gate."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import parse_qs

import efa_sdk as efa
import pytest
from efa_sdk.testing import StandIn
from efa_sdk.testing.app import LoggedRequest

#: How long a test waits for what must happen; generous, since it decides nothing else.
DEADLINE_S = 120.0

#: Where the stand-in offers a type that us-east-1 does not have.
REGION_OF = {
    "hpc6id.32xlarge": "us-east-2",
    "hpc7a.96xlarge": "us-east-2",
    "trn2.48xlarge": "us-east-2",
}

#: Cheap to launch (two interfaces); p5 is for the tests that are about many cards.
SMALL = "c5n.18xlarge"
P5 = "p5.48xlarge"

#: One type for each class of layouts that the stand-in offers: 1, 2, 2 with one interface per card,
#: 4, 8, 16, 17 and 32 cards.
LAYOUT_CLASSES = [
    "c7i.48xlarge",
    "hpc7a.96xlarge",
    "hpc6id.32xlarge",
    "p4d.24xlarge",
    "p6-b200.48xlarge",
    "p5en.48xlarge",
    "p6-b300.48xlarge",
    P5,
]

# fmt: off
#: How the names of EC2's actions begin that change something.
MUTATING = (
    "Create", "Delete", "Run", "Terminate", "Authorize", "Revoke", "Allocate", "Associate",
    "Release", "Disassociate", "Modify", "Attach", "Detach", "Start", "Stop", "Reboot",
    "Purchase",
)
# fmt: on


def free_port() -> int:
    """A TCP port of this machine that nobody has just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Cloud:
    """A fresh EC2 stand-in with a VPC, a blocking client, and boto3 to look behind its back."""

    def __init__(self, stand_in: StandIn, region: str = "us-east-1") -> None:
        self.stand_in = stand_in
        self.network = stand_in.default_network(region=region)
        self.ec2 = _boto3_client(stand_in, region)
        self.iam = _boto3_client(stand_in, region, "iam")
        self.client = self.connect()

    def at_home_of(self, instance_type: str) -> Cloud:
        """This EC2 in a region that offers the type."""
        region = REGION_OF.get(instance_type)
        return self if region is None else Cloud(self.stand_in, region)

    def connect(self, **options: Any) -> efa.Client:
        """Another client of the same EC2, that polls often: here no state takes time."""
        defaults: dict[str, Any] = {
            "region": self.network.region,
            "endpoint_url": self.stand_in.endpoint_url,
            "poll_interval_s": 0.01,
        }
        return efa.Client(**{**defaults, **options})

    def spec(self, instance_type: str = SMALL, **more: Any) -> efa.ClusterSpec:
        """Two of a type, in a zone that offers it; anything else as given."""
        values: dict[str, Any] = {"name": "train", "count": 2, **more}
        if "subnet" not in values:
            values["subnet"] = self.network.subnet_for(instance_type)
        if "image" not in values:
            values["image"] = self.network.image_for(instance_type)
        return efa.ClusterSpec(instance_type=instance_type, **values)

    def plan(self, instance_type: str = SMALL, **more: Any) -> efa.Plan:
        """The plan of `spec`."""
        return self.client.plan(self.spec(instance_type, **more))

    def apply(self, instance_type: str = SMALL, **more: Any) -> efa.Cluster:
        """Plans and applies."""
        return self.client.apply(self.plan(instance_type, **more))

    def actions(self, since: int = 0) -> list[str]:
        """EC2 actions that came in, in order, dry runs left out."""
        return [r.action for r in self._requests(since) if r.service == "ec2"]

    def changes(self, since: int = 0) -> list[str]:
        """Actions that change something."""
        return [action for action in self.actions(since) if action.startswith(MUTATING)]

    def sent(self, action: str) -> list[dict[str, str]]:
        """The parameters of every request of an action, dry runs left out."""
        return [dict(r.parameters) for r in self._requests() if r.action == action]

    def _requests(self, since: int = 0) -> list[LoggedRequest]:
        requests = self.stand_in.requests[since:]
        return [r for r in requests if ("DryRun", "true") not in r.parameters]

    def instances(self, **filters: str) -> list[dict[str, Any]]:
        """Instances that are not terminated, by launch index."""
        pages = self.ec2.describe_instances(Filters=_filters(filters))["Reservations"]
        found = [i for page in pages for i in page["Instances"]]
        live = [i for i in found if i["State"]["Name"] != "terminated"]
        return sorted(live, key=lambda i: (i["AmiLaunchIndex"], i["InstanceId"]))

    def until(self, holds: Callable[[], bool]) -> None:
        """Looks until it holds: each poll lets the stand-in's instances move on."""
        assert any(holds() for _ in range(20))

    def state(self) -> dict[str, Any]:
        """Everything that exists, but for terminated instances and request metadata."""
        ec2 = self.ec2
        groups = ec2.describe_security_groups()["SecurityGroups"]
        return {
            "instance": {i["InstanceId"]: i for i in self.instances()},
            "security-group": {g["GroupId"]: g for g in groups},
            "placement-group": {
                g["GroupName"]: g for g in ec2.describe_placement_groups()["PlacementGroups"]
            },
            "elastic-ip": {a["AllocationId"]: a for a in ec2.describe_addresses()["Addresses"]},
            "network-interface": {
                n["NetworkInterfaceId"]: n
                for n in ec2.describe_network_interfaces()["NetworkInterfaces"]
            },
            "volume": {v["VolumeId"]: v for v in ec2.describe_volumes()["Volumes"]},
            "subnet": {s["SubnetId"]: s for s in ec2.describe_subnets()["Subnets"]},
            **self._iam(),
        }

    def _iam(self) -> dict[str, Any]:
        """Roles with their policies, and instance profiles."""
        iam = self.iam
        roles, profiles = iam.list_roles()["Roles"], iam.list_instance_profiles()
        names = [role["RoleName"] for role in roles]
        return {
            "role": {
                name: {
                    **iam.get_role(RoleName=name)["Role"],
                    "Attached": iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"],
                    "Inline": iam.list_role_policies(RoleName=name)["PolicyNames"],
                }
                for name in names
            },
            "instance-profile": {p["InstanceProfileName"]: p for p in profiles["InstanceProfiles"]},
        }

    def tagged(self, name: str = "train") -> set[tuple[str, str]]:
        """Pairs of resource type and id that carry the cluster's tag and are not terminated."""
        found = set()
        for kind, resources in self.state().items():
            for key, resource in resources.items():
                tags = tags_of(resource)
                if tags.get("efa-sdk:cluster") == name:
                    found.add((kind, key))
        return found

    def made(self, name: str = "train") -> set[tuple[str, str]]:
        """`tagged` without what comes and goes with an instance."""
        return {r for r in self.tagged(name) if r[0] not in ("network-interface", "volume")}


_clients: dict[tuple[str, str, str], Any] = {}


def _boto3_client(stand_in: StandIn, region: str, service: str = "ec2") -> Any:
    """One per endpoint, region and service: making one is slow, and it keeps no state."""
    key = (stand_in.endpoint_url, region, service)
    if key not in _clients:
        _clients[key] = stand_in.client(service, region=region)
    return _clients[key]


def tags_of(resource: dict[str, Any]) -> dict[str, str]:
    """The tags of a resource as boto3 shows it."""
    pairs = resource.get("Tags") or resource.get("TagSet") or []
    return {pair["Key"]: pair["Value"] for pair in pairs}


def _filters(filters: dict[str, str]) -> list[dict[str, Any]]:
    return [{"Name": k.replace("_", "-"), "Values": [v]} for k, v in filters.items()]


@pytest.fixture
def cloud(stand_in: StandIn, aws_environment: None) -> Cloud:
    """A fresh EC2 with a network and a client."""
    return Cloud(stand_in)


@pytest.fixture
def aws_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Test credentials, and nothing of the machine's own AWS configuration."""
    clear_aws_environment(monkeypatch, tmp_path)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")


def clear_aws_environment(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """No region, no credentials, no profile, no metadata service."""
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(home))


def run_python(code: str, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Runs a script in a fresh interpreter, from a directory that is not the repository."""
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
        **{"cwd": "/", **options},
    )


class Gate:
    """A proxy before the stand-in that holds one request back until it is opened.

    Makes "in the middle of a call" certain, without any sleeping.
    """

    def __init__(self, stand_in: StandIn, action: str, *, after: str | None = None) -> None:
        """Holds the first request of `action`, or the first one once `after` was answered."""
        self.action, self.after = action, after
        self.reached, self.opened = threading.Event(), threading.Event()
        self._armed = after is None
        self._target = (stand_in.host, stand_in.port)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.endpoint_url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Gate:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.opened.set()
        self._server.shutdown()
        self._server.server_close()

    def _pass(self, action: str) -> None:
        if self._armed and action == self.action:
            self._armed = False
            self.reached.set()
            self.opened.wait(DEADLINE_S)

    def _handler(gate: Gate) -> type[BaseHTTPRequestHandler]:  # noqa: N805, RUF100
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                action = parse_qs(body.decode())["Action"][0]
                gate._pass(action)
                connection = HTTPConnection(*gate._target, timeout=DEADLINE_S)
                connection.request("POST", self.path, body, dict(self.headers))
                answer = connection.getresponse()
                text = answer.read()
                connection.close()
                if action == gate.after:
                    gate._armed, gate.after = True, None
                self.send_response(answer.status)
                self.send_header("Content-Type", answer.headers["Content-Type"])
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: object) -> None:
                """Nothing."""

        return Handler


class HtmlServer:
    """Answers everything with a page, as a captive portal or a broken proxy does."""

    def __init__(self, status: int) -> None:
        #: The Authorization header of every request.
        self.signed: list[str] = []
        #: Its session token, or nothing.
        self.tokens: list[str] = []
        signed, tokens = self.signed, self.tokens

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                signed.append(self.headers.get("Authorization", ""))
                tokens.append(self.headers.get("X-Amz-Security-Token", ""))
                page = b"<!DOCTYPE html><html><body><h1>Sign in</h1></body></html>"
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self.send_response(status)
                self.send_header("Content-Type", "text/html")
                self.send_header("Content-Length", str(len(page)))
                self.end_headers()
                self.wfile.write(page)

            def log_message(self, *_: object) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint_url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> HtmlServer:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def raised(call: Callable[[], object]) -> efa.EfaError:
    """The typed error of a call that must fail."""
    with pytest.raises(efa.EfaError) as caught:
        call()
    error = caught.value
    assert error.code
    assert "\n" not in str(error), f"{error.code} has more than one line"
    return error


def check(error: efa.EfaError, *codes: str, **context: str) -> None:
    """A typed error has one of the codes (or their beginnings), a cure, and this context."""
    assert error.code.startswith(codes or ("",)), error.code
    assert error.cure, error.code
    assert context.items() <= error.context.items()


def lines(text: str) -> Iterator[str]:
    """The lines of a text without their indentation."""
    return (line.strip() for line in text.splitlines())


def skip(reason: str) -> NoReturn:
    """Skips the test; fails it where `EFA_TEST_NO_SKIPS` states that all must be there."""
    if os.environ.get("EFA_TEST_NO_SKIPS"):
        pytest.fail(f"EFA_TEST_NO_SKIPS is set, but {reason}")
    pytest.skip(reason)
