"""The knobs of a stand-in: what a test may turn while it runs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.ec2.models import ec2_backends

from efa_sdk.arguments import typed
from efa_sdk.errors import StandInError, invalid_value

from .app import Application
from .capacity_blocks import add_block, add_group, add_offering
from .faults import Fault, Faults, When
from .quotas import BY_CODE, REGION_QUOTAS
from .server import is_loopback
from .sharing import share
from .ssm.job import OnCommand
from .state import LateFailure, Settings

SETTINGS = ("transition_describes", "iam_propagation_calls", "eventual")


@typed
class Knobs:
    """What `StandIn` lets a test turn; `reset()` turns everything back."""

    host: str
    region: str
    _app: Application
    _faults: Faults
    _settings: Settings

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
        unknown = sorted(set(settings) - set(SETTINGS))
        if unknown:
            raise invalid_value("settings", unknown[0], f"one of {', '.join(SETTINGS)}")
        with self._app.lock:
            for name, value in settings.items():
                setattr(self._settings, name, value)

    def set_capacity(self, instance_type: str, zone: str, count: int | None) -> None:
        """Lets at most `count` instances of a type run on demand or spot in a zone.

        Beyond that RunInstances answers InsufficientInstanceCapacity (HTTP 500). None lifts it.
        """
        with self._app.lock:
            if count is None:
                self._settings.capacity.pop((instance_type, zone), None)
            else:
                self._settings.capacity[(instance_type, zone)] = count

    def end_after_launch(
        self, code: str, message: str | None = None, *, zone: str = "", times: int = 1
    ) -> None:
        """Ends the next `times` instances while they are pending, for a state reason of EC2.

        RunInstances accepts them. `code` is the reason's, such as
        `Client.InvalidKMSKey.InvalidState` or `Server.InsufficientInstanceCapacity`; only in
        `zone`, where one is given. `reset()` forgets what is left of it.
        """
        with self._app.lock:
            text = message or f"{code}: ordered by a test"
            self._settings.late_failures.append(LateFailure(code, text, zone, times))

    def set_quota(self, quota_code: str, value: float | None) -> None:
        """Sets a quota in every Region; None sets it back.

        Beyond one of EC2's vCPU quotas RunInstances answers VcpuLimitExceeded, or
        MaxSpotInstanceCountExceeded.
        """
        known = [*BY_CODE, *(code for _, code in REGION_QUOTAS)]
        if quota_code not in known:
            raise invalid_value("quota_code", quota_code, f"one of {', '.join(known)}")
        with self._app.lock:
            if value is None:
                self._settings.quotas.pop(quota_code, None)
            else:
                self._settings.quotas[quota_code] = float(value)

    def share(self, resource_id: str, owner: str, *, region: str | None = None) -> None:
        """Makes a resource another account's, which shares it with the caller's.

        `vpc-…`, `subnet-…`, `cr-…`, or `pg-…`, which is found by its id only from then on.
        """
        with self._app.lock:
            share(ec2_backends[DEFAULT_ACCOUNT_ID][region or self.region], resource_id, owner)

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
        """Adds a Capacity Block that someone bought; returns the id of its reservation.

        `starts_in` is in seconds from now: negative has begun, positive is scheduled.
        """
        where = region or self.region
        with self._app.lock:
            backend = ec2_backends[DEFAULT_ACCOUNT_ID][where]
            return add_block(
                backend, self._settings.now(), instance_type, zone, count, starts_in, hours
            )

    def add_reservation_group(
        self, name: str, reservation_ids: Sequence[str], *, region: str | None = None
    ) -> str:
        """Adds a resource group of reservations, which launches can target; returns its ARN."""
        with self._app.lock:
            backend = ec2_backends[DEFAULT_ACCOUNT_ID][region or self.region]
            return add_group(backend, name, reservation_ids)

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
        """Adds a Capacity Block that can be bought, in `starts_in` seconds; returns its id."""
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
        """Sets what instances do with a command of SSM: `function(instance_id, script)`.

        It runs in a thread per instance and gives (exit code, stdout, stderr); None means that
        the agent never takes the command, so that it ends as DeliveryTimedOut. One that does not
        come back ends as ExecutionTimedOut; see `advance()`. None, or `reset()`, goes back to
        commands that succeed without output.
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
            raise StandInError(
                "stand_in.not_loopback",
                f"run_commands runs what comes in: not while serving {self.host}",
                "serve 127.0.0.1",
                {"host": self.host},
            )
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
            raise invalid_value("when", when, "before or after")
        return self._faults.add(
            Fault(action, code, message, status, times, skip, when, dict(where or {}))
        )
