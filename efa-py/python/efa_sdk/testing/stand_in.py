"""`StandIn`: an EC2 that runs in this process, on a loopback port."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from types import TracebackType
from typing import Any, ClassVar

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.ec2.models import ec2_backends
from moto.moto_api._internal import mock_random
from werkzeug.serving import BaseWSGIServer

from .app import Application, LoggedRequest
from .capacity_blocks import add_block, add_offering
from .control import Controller
from .faults import Fault, Faults, When
from .moto_state import forget
from .network import Network, make_network
from .quotas import BY_CODE
from .server import StandInError, is_loopback, listen
from .ssm.job import OnCommand
from .state import Settings

_SETTINGS = ("transition_describes", "iam_propagation_calls", "eventual")


class StandIn:
    """EC2 (with IAM, SSM and STS from moto) on `http://127.0.0.1:<port>`.

    Use it as a context manager, or with `start()` and `stop()`. moto keeps its state in the
    process, so only one can run per process at a time; starting one resets moto.
    """

    _running: ClassVar[StandIn | None] = None
    _guard: ClassVar[threading.Lock] = threading.Lock()

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        region: str = "us-east-1",
        seed: int | None = None,
        transition_describes: int = 1,
        iam_propagation_calls: int = 1,
        eventual: int = 0,
        run_commands: bool = False,
    ) -> None:
        """`port=0` takes a free one. `seed` makes ids repeat from run to run.

        `transition_describes`: in how many describes an instance still shows as pending,
        stopping or shutting-down before it shows as running, stopped or terminated.
        `iam_propagation_calls`: how many launches EC2 refuses before it knows a new profile.
        `eventual`: to how many calls that look for it a new resource is still invisible.
        `run_commands`: whether commands of SSM really run, with bash, on this machine.
        """
        self.host = host
        self.region = region
        self._port = port
        self._seed = seed
        self._settings = Settings(transition_describes, iam_propagation_calls, eventual)
        self._first_settings = replace(self._settings)
        self._run_commands = run_commands
        self._faults = Faults()
        self._app = Application(region, self._settings, self._faults)
        self.run_commands = run_commands
        self._server: BaseWSGIServer | None = None
        self._thread: threading.Thread | None = None
        self._networks: dict[str, Network] = {}
        self._session: Any = None
        self._app.controller = Controller(
            {
                "reset": self.reset,
                "network": lambda **options: asdict(self.default_network(**options)),
                "capacity": self.set_capacity,
                "capacity-block": self.add_capacity_block,
                "advance": self.advance,
                "authorize": self.authorize,
                "quota": self.set_quota,
                "capacity-block-offering": self.add_capacity_block_offering,
                "fail": lambda **options: asdict(self.fail(**options)),
                "settings": self._set,
                "requests": lambda: [_public(entry) for entry in self.requests],
            }
        )

    def __enter__(self) -> StandIn:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> StandIn:
        """Starts serving; returns itself."""
        with StandIn._guard:
            if StandIn._running is not None:
                raise StandInError(
                    "a StandIn is running in this process already: moto keeps one state per"
                    " process; stop it, use its reset(), or start a second process"
                )
            self._server = listen(self.host, self._port, self._app)
            StandIn._running = self
        self._app.closed = False
        self.reset()
        self._thread = threading.Thread(
            target=self._server.serve_forever,
            kwargs={"poll_interval": 0.05},
            name="efa-sdk-stand-in",
            daemon=True,
        )
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stops serving. Connections that clients keep open are dropped at their next use."""
        if self._server is None:
            return
        self._app.closed = True
        self._server.shutdown()
        if self._thread is not None:
            self._thread.join()
        self._server.server_close()
        self._settings.runner.clear()
        self._server = self._thread = None
        with StandIn._guard:
            StandIn._running = None

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._serving().server_address[1])

    @property
    def endpoint_url(self) -> str:
        """What to give to clients as their endpoint URL."""
        return f"http://{self.host}:{self.port}"

    @property
    def environ(self) -> dict[str, str]:
        """Environment variables that point AWS SDKs and the AWS CLI here."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    @property
    def transition_describes(self) -> int:
        """In how many describes an instance still shows as on its way; 0: it arrives at once.

        May be set, for changes of state that begin after that; `reset()` sets it back.
        """
        return self._settings.transition_describes

    @transition_describes.setter
    def transition_describes(self, describes: int) -> None:
        self._set(transition_describes=describes)

    @property
    def iam_propagation_calls(self) -> int:
        """How many RunInstances calls that name a new instance profile EC2 refuses.

        May be set; `reset()` sets it back.
        """
        return self._settings.iam_propagation_calls

    @iam_propagation_calls.setter
    def iam_propagation_calls(self, calls: int) -> None:
        self._set(iam_propagation_calls=calls)

    @property
    def eventual(self) -> int:
        """To how many calls a new group, address, placement group or instance is invisible.

        A listing leaves it out, a call by its id answers NotFound; each counts per resource. May
        be set, for what is made after that; `reset()` sets it back.
        """
        return self._settings.eventual

    @eventual.setter
    def eventual(self, calls: int) -> None:
        self._set(eventual=calls)

    def _set(self, **settings: int) -> None:
        unknown = sorted(set(settings) - set(_SETTINGS))
        if unknown:
            raise ValueError(f"no setting {unknown[0]}: known are {', '.join(_SETTINGS)}")
        with self._app.lock:
            for name, value in settings.items():
                setattr(self._settings, name, value)

    @property
    def requests(self) -> list[LoggedRequest]:
        """Every request since the last reset, parameters in wire order."""
        return self._app.requests

    def reset(self) -> None:
        """Forgets everything: resources, capacity, faults, the log. Ids restart with the seed."""
        with self._app.lock:
            forget()
            if self._seed is not None:
                mock_random.seed(self._seed)
            self._networks.clear()
            self._faults.clear()
            self._app.authorizer.clear()
            self._settings.capacity.clear()
            self._settings.quotas.clear()
            self._settings.ahead = dt.timedelta()
            self._settings.runner.clear()
            self._settings.runner.on_command = None
            self._settings.runner.run_commands = self._run_commands
            self._set(**{name: getattr(self._first_settings, name) for name in _SETTINGS})
            self._app.requests.clear()

    def client(self, service: str = "ec2", *, region: str | None = None, **options: Any) -> Any:
        """A boto3 client of this stand-in."""
        import boto3  # type: ignore[import-untyped]

        if self._session is None:  # one for all clients: it keeps the service models it has read
            self._session = boto3.Session(
                aws_access_key_id="testing", aws_secret_access_key="testing"
            )
        return self._session.client(
            service, region_name=region or self.region, endpoint_url=self.endpoint_url, **options
        )

    def default_network(
        self,
        *,
        region: str | None = None,
        cidr: str = "10.0.0.0/16",
        zones: Sequence[str] | None = None,
        name: str = "efa-test",
    ) -> Network:
        """A VPC with a subnet in every zone (or in `zones`), and AL2023 images per architecture.

        Made once per name and Region, until `reset()`; the same ids after that.
        """
        where = region or self.region
        key = f"{where}/{name}"
        with self._app.lock:
            if key not in self._networks:
                backend = ec2_backends[DEFAULT_ACCOUNT_ID][where]
                self._networks[key] = make_network(backend, where, cidr, zones, name)
            return self._networks[key]

    def set_capacity(self, instance_type: str, zone: str, count: int | None) -> None:
        """Lets at most `count` instances of a type run on demand or spot in a zone.

        Beyond that RunInstances answers InsufficientInstanceCapacity (HTTP 500). None lifts it.
        """
        with self._app.lock:
            if count is None:
                self._settings.capacity.pop((instance_type, zone), None)
            else:
                self._settings.capacity[(instance_type, zone)] = count

    def set_quota(self, quota_code: str, value: float | None) -> None:
        """Sets one of EC2's vCPU quotas, in every Region; None lifts it.

        Beyond it RunInstances answers VcpuLimitExceeded, or MaxSpotInstanceCountExceeded.
        """
        if quota_code not in BY_CODE:
            raise LookupError(f"no quota {quota_code}: known are {', '.join(BY_CODE)}")
        with self._app.lock:
            if value is None:
                self._settings.quotas.pop(quota_code, None)
            else:
                self._settings.quotas[quota_code] = float(value)

    def add_capacity_block(
        self,
        instance_type: str,
        zone: str,
        count: int,
        *,
        starts_in: float = -60.0,
        hours: float = 24.0,
        region: str | None = None,
    ) -> str:
        """A Capacity Block that someone bought; the id of its reservation.

        `starts_in` is in seconds from now: negative has begun, positive is scheduled.
        """
        where = region or self.region
        with self._app.lock:
            backend = ec2_backends[DEFAULT_ACCOUNT_ID][where]
            return add_block(
                backend, self._settings.now(), instance_type, zone, count, starts_in, hours
            )

    def add_capacity_block_offering(
        self,
        instance_type: str,
        zone: str,
        count: int = 1,
        *,
        hours: int = 24,
        starts_in: float = 3600.0,
        price: str = "1000.00",
        region: str | None = None,
    ) -> str:
        """A Capacity Block that could be bought, in `starts_in` seconds; the offering's id."""
        with self._app.lock:
            backend = ec2_backends[DEFAULT_ACCOUNT_ID][region or self.region]
            return add_offering(
                backend, self._settings.now(), instance_type, zone, count, hours, starts_in, price
            )

    def advance(self, seconds: float) -> None:
        """Moves the stand-in's time on: for Capacity Blocks and the time-outs of commands."""
        with self._app.lock:
            self._settings.ahead += dt.timedelta(seconds=seconds)

    def on_command(self, function: OnCommand | None) -> None:
        """What instances do with a command of SSM: `function(instance_id, script)`.

        It runs in a thread per instance and gives (exit code, stdout, stderr); None means that
        the agent never takes the command, so that it ends as DeliveryTimedOut. One that does not
        come back ends as ExecutionTimedOut; see `advance()`. None, or `reset()`, goes back to
        commands that succeed and say nothing.
        """
        with self._app.lock:
            self._settings.runner.on_command = function

    @property
    def run_commands(self) -> bool:
        """Whether commands of SSM really run, with bash, here (see `docs/stand-in.md`).

        May be set; `reset()` sets it back.
        """
        return self._settings.runner.run_commands

    @run_commands.setter
    def run_commands(self, really: bool) -> None:
        if really and not is_loopback(self.host):
            raise StandInError(f"run_commands runs what comes in: not while serving {self.host}")
        with self._app.lock:
            self._settings.runner.run_commands = really

    def authorize(
        self, policy: Mapping[str, Any] | str | None, *, access_key_id: str = "testing"
    ) -> None:
        """Lets a key do only what an IAM policy document allows, in every service.

        None lifts it, as `reset()` does; keys without a policy may do everything. What the
        evaluator does not know (a condition key, an operator) is a ValueError.
        """
        with self._app.lock:
            self._app.authorizer.set(access_key_id, policy)

    def fail(
        self,
        action: str,
        code: str | None = None,
        message: str = "injected by the test",
        *,
        status: int = 400,
        times: int | None = 1,
        skip: int = 0,
        when: When = "before",
        where: Mapping[str, str] | None = None,
    ) -> Fault:
        """Orders an error for coming requests of `action` (a glob, e.g. `Describe*`).

        `when="before"` answers in place of carrying the request out; `when="after"` carries it
        out first. Without a `code` the connection is dropped with no answer: with
        `when="after"` that is the lost reply. `times=None` goes on for ever; `skip` lets that
        many pass first; `where` wants parameters to match globs, e.g. `{"GroupName": "train*"}`.
        """
        if when not in ("before", "after"):
            raise ValueError("when must be 'before' or 'after'")
        return self._faults.add(
            Fault(action, code, message, status, times, skip, when, dict(where or {}))
        )

    def _serving(self) -> BaseWSGIServer:
        if self._server is None:
            raise StandInError("the stand-in is not running: call start()")
        return self._server


def _public(entry: LoggedRequest) -> dict[str, Any]:
    shown = asdict(entry)
    shown["body"] = entry.body.decode("utf-8", "replace")
    return shown
