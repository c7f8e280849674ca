"""One EC2 request on its way through the stand-in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .rules import refuse
from .state import Settings, State, state_of


@dataclass(frozen=True)
class Reply:
    """An HTTP answer."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


@dataclass
class Call:
    """A parsed request and everything that a handler may touch."""

    action: str
    request: dict[str, Any]
    form: tuple[tuple[str, str], ...]
    account: str
    region: str
    request_id: str
    settings: Settings
    forward: Callable[[bytes | None], Reply]
    backend: Any = field(default=None, repr=False)
    #: Whether the caller may use the keys of a launch's volumes.
    may_use_keys: bool = True

    @property
    def state(self) -> State:
        """What the stand-in keeps in addition to moto; gone when moto is reset."""
        return state_of(self.backend)

    def get(self, name: str, default: Any = None) -> Any:
        """A parameter of the request."""
        value = self.request.get(name)
        return default if value is None else value

    def need(self, name: str) -> Any:
        """A parameter that EC2 insists on."""
        if self.request.get(name) is None:
            refuse("request.missing_parameter", name=name)
        return self.request[name]

    def stop_if_dry_run(self) -> None:
        """Where everything is checked and nothing is done yet."""
        if self.request.get("DryRun"):
            refuse("request.dry_run")

    def arn(self, resource: str) -> str:
        """An ARN of this account and Region."""
        return f"arn:aws:ec2:{self.region}:{self.account}:{resource}"


Answer = Mapping[str, Any] | Reply
Handler = Callable[[Call], Answer]
