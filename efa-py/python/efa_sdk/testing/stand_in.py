"""`StandIn`: an EC2 that runs in this process, on a loopback port."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Sequence
from dataclasses import asdict, replace
from types import TracebackType
from typing import Any, ClassVar

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.ec2.models import ec2_backends
from moto.moto_api._internal import mock_random
from werkzeug.serving import BaseWSGIServer

from efa_sdk.arguments import typed
from efa_sdk.errors import StandInError

from . import moto_quick, moto_subnets
from .app import Application, LoggedRequest
from .control import Controller
from .faults import Faults
from .knobs import SETTINGS, Knobs
from .moto_state import forget
from .network import Network, make_network
from .server import listen
from .state import Settings


@typed
class StandIn(Knobs):
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
                "reservation-group": self.add_reservation_group,
                "advance": self.advance,
                "authorize": self.authorize,
                "quota": self.set_quota,
                "capacity-block-offering": self.add_capacity_block_offering,
                "fail": lambda **options: asdict(self.fail(**options)),
                "settings": self._set,
                "late-failure": self.end_after_launch,
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
                    "stand_in.one_per_process",
                    "a StandIn is running in this process already: moto keeps one state per"
                    " process",
                    "stop it, use its reset(), or start a second process",
                )
            self._server = listen(self.host, self._port, self._app)
            StandIn._running = self
        moto_quick.install()
        moto_subnets.install()
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
            self._settings.spot_role = False
            self._settings.late_failures.clear()
            self._settings.ahead = dt.timedelta()
            self._settings.runner.clear()
            self._settings.runner.on_command = None
            self._settings.runner.run_commands = self._run_commands
            self._set(**{name: getattr(self._first_settings, name) for name in SETTINGS})
            self._app.requests.clear()

    def client(self, service: str = "ec2", *, region: str | None = None, **options: Any) -> Any:
        """Returns a boto3 client of this stand-in."""
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
        """Creates a VPC with a subnet in every zone (or `zones`), and AL2023 images.

        Made once per name and Region, until `reset()`; the same ids after that.
        """
        where = region or self.region
        key = f"{where}/{name}"
        with self._app.lock:
            if key not in self._networks:
                backend = ec2_backends[DEFAULT_ACCOUNT_ID][where]
                self._networks[key] = make_network(backend, where, cidr, zones, name)
            return self._networks[key]

    def _serving(self) -> BaseWSGIServer:
        if self._server is None:
            raise StandInError(
                "stand_in.not_running", "the stand-in is not running", "call start()"
            )
        return self._server


def _public(entry: LoggedRequest) -> dict[str, Any]:
    shown = asdict(entry)
    shown["body"] = entry.body.decode("utf-8", "replace")
    return shown
