"""`StandIn`: an EC2 that runs in this process, on a loopback port."""

from __future__ import annotations

import datetime as dt
import socket
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from types import TracebackType
from typing import Any, ClassVar

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.ec2.models import ec2_backends
from moto.ec2.utils import random_id
from moto.moto_api._internal import mock_random
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from . import catalog, lookup
from .app import Application, LoggedRequest
from .control import Controller
from .faults import Fault, Faults, When
from .moto_state import forget
from .network import Network, make_network
from .state import CapacityReservation, Settings, state_of

_SETTINGS = ("transition_describes", "iam_propagation_calls", "eventual")


class StandInError(RuntimeError):
    """The stand-in cannot start or be used as asked."""


class _Handler(WSGIRequestHandler):
    """Quiet, and without the delay of Nagle's algorithm on kept-alive connections."""

    disable_nagle_algorithm = True
    wbufsize = -1

    def connection_dropped(self, error: BaseException, environ: Any = None) -> None:
        """Closes the connection, so that the client learns at once that no answer comes."""
        self.close_connection = True

    def log(self, type: str, message: str, *args: Any) -> None:
        """Nothing: `StandIn.requests` has it all."""


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
    ) -> None:
        """`port=0` takes a free one. `seed` makes ids repeat from run to run.

        `transition_describes`: in how many describes an instance still shows as pending,
        stopping or shutting-down before it shows as running, stopped or terminated.
        `iam_propagation_calls`: how many launches EC2 refuses before it knows a new profile.
        `eventual`: to how many calls that look for it a new resource is still invisible.
        """
        self.host = host
        self.region = region
        self._port = port
        self._seed = seed
        self._settings = Settings(transition_describes, iam_propagation_calls, eventual)
        self._first_settings = replace(self._settings)
        self._faults = Faults()
        self._app = Application(region, self._settings, self._faults)
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
                "authorize": self.authorize,
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
            self._server = self._listen()
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
        if catalog.instance_type(instance_type) is None:
            raise LookupError(f"no instance type {instance_type}")
        with self._app.lock:
            backend = ec2_backends[DEFAULT_ACCOUNT_ID][where]
            zone_id = lookup.zone_id(backend, zone)
            if zone_id is None:
                raise LookupError(f"no zone {zone} in {where}")
            now = dt.datetime.now(dt.timezone.utc)
            start = now + dt.timedelta(seconds=starts_in)
            block_id = random_id("cr")
            state_of(backend).reservations[block_id] = CapacityReservation(
                id=block_id,
                arn=f"arn:aws:ec2:{where}:{DEFAULT_ACCOUNT_ID}:capacity-reservation/{block_id}",
                instance_type=instance_type,
                platform="Linux/UNIX",
                zone=zone,
                zone_id=zone_id,
                tenancy="default",
                total=count,
                created=now,
                open_match=False,
                block=True,
                start=start,
                end=start + dt.timedelta(hours=hours),
            )
            return block_id

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

    def _listen(self) -> BaseWSGIServer:
        try:
            taken = socket.create_server((self.host, self._port))
        except (OSError, OverflowError) as error:
            raise StandInError(f"cannot listen on {self.host}:{self._port}: {error}") from error
        with taken:
            # By descriptor, since werkzeug prints and exits when it cannot bind by itself.
            return make_server(
                self.host,
                self._port,
                self._app,
                threaded=True,
                request_handler=_Handler,
                fd=taken.fileno(),
            )

    def _serving(self) -> BaseWSGIServer:
        if self._server is None:
            raise StandInError("the stand-in is not running: call start()")
        return self._server


def _public(entry: LoggedRequest) -> dict[str, Any]:
    shown = asdict(entry)
    shown["body"] = entry.body.decode("utf-8", "replace")
    return shown
