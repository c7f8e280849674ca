"""moto's instance and interface, grown by what EFA needs: cards, types, groups, transitions."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from moto.ec2.models.elastic_network_interfaces import NetworkInterface
from moto.ec2.models.instances import Instance, InstanceState, StateReason
from moto.ec2.utils import random_eni_attach_id

from . import elastic
from .state import LateFailure, state_of

_CODES = {
    "pending": 0,
    "running": 16,
    "shutting-down": 32,
    "terminated": 48,
    "stopping": 64,
    "stopped": 80,
}
_ARRIVALS = {"pending": "running", "shutting-down": "terminated", "stopping": "stopped"}


def _now() -> dt.datetime:
    return dt.datetime.now(dt.timezone.utc)


def slot(card: int, device: int) -> int:
    """The key of an interface in `Instance.nics`; the primary's is moto's 0."""
    return card * 1000 + device


def _no_stack(*_args: Any, **_kwargs: Any) -> Any:
    raise NotImplementedError("CloudFormation of EFA interfaces")


class Interface(NetworkInterface):
    """An elastic network interface with a type, on a card; EFA-only ones have no address, and
    others in an IPv6-only subnet IPv6 ones alone.
    """

    def __init__(
        self,
        backend: Any,
        subnet: Any,
        *,
        kind: str,
        address: str | None,
        more_addresses: list[str],
        groups: list[Any],
        description: str,
        delete_on_termination: bool,
        public_ip: bool,
        ipv6_addresses: Sequence[str] = (),
    ) -> None:
        super().__init__(
            backend,
            subnet,
            address or str(subnet.cidr.network_address),
            group_ids=[group.id for group in groups],
            description=description,
            delete_on_termination=delete_on_termination,
            public_ip_auto_assign=public_ip,
        )
        self.interface_type = kind
        self.ipv6_addresses = list(ipv6_addresses)
        self.network_card_index = 0
        self.created_by_launch = False
        if address is None:
            self.private_ip_address = None
            self.private_ip_addresses = []
        else:
            for other in more_addresses:
                self.private_ip_addresses.append({"Primary": False, "PrivateIpAddress": other})
            for ip in (address, *more_addresses):
                subnet.request_ip(ip, self)
        backend.enis[self.id] = self

    def stop(self) -> None:
        """Loses a public IP of its own with the instance's stop; an Elastic IP stays."""
        if elastic.held_by(self) is None:
            super().stop()

    def check_auto_public_ip(self) -> None:
        """Takes a public IP where that is wanted and no Elastic IP is there."""
        if elastic.held_by(self) is None:
            super().check_auto_public_ip()

    @property
    def group_set(self) -> Any:
        """An interface's own groups: in EC2 the instance adds none to them."""
        return self._group_set

    # moto's CloudFormation hooks are abstract; no stack makes our interfaces.
    is_created = delete_from_cloudformation_json = update_from_cloudformation_json = _no_stack


@dataclass
class Launched:
    """What RunInstances asked for and moto's instance has no place for."""

    group_id: str | None = None
    group_name: str | None = None
    tenancy: str = "default"
    partition: int | None = None
    market: str | None = None
    spot_request_id: str | None = None
    spot_price: str | None = None
    client_token: str | None = None
    reservation_id: str | None = None
    reservation_spec: Mapping[str, Any] | None = None
    profile: tuple[str, str] | None = None
    zone_id: str = ""
    cores: int | None = None
    threads: int | None = None
    #: PrivateDnsNameOptions of the request; empty leaves them to the subnet.
    dns_names: Mapping[str, Any] = field(default_factory=dict)
    maintenance: Mapping[str, Any] = field(default_factory=dict)


class StandInInstance(Instance):
    """An instance whose interfaces are keyed by card and device, and that takes time to change."""

    launched: Launched
    late_failure: LateFailure | None = None

    is_created = update_from_cloudformation_json = _no_stack

    def prep_nics(self, *_args: Any, **_kwargs: Any) -> None:
        """Nothing: `launch.py` makes and attaches the interfaces."""
        self.nics: dict[int, NetworkInterface] = {}

    def attach(self, eni: Any, card: int, device: int) -> str:
        """Attaches an interface at a card and device."""
        self.nics[slot(card, device)] = eni
        eni.instance = self
        eni.attachment_id = random_eni_attach_id()
        eni.attach_time = _now()
        eni.status = "in-use"
        eni.device_index = device
        eni.network_card_index = card
        return str(eni.attachment_id)

    def attach_eni(self, eni: Any, device_index: int) -> str:
        return self.attach(eni, 0, int(device_index))

    def detach_eni(self, eni: Any) -> None:
        self.nics = {key: nic for key, nic in self.nics.items() if nic is not eni}
        eni.instance = None
        eni.attachment_id = None
        eni.attach_time = None
        eni.status = "available"
        eni.device_index = None
        eni.network_card_index = 0

    def become(self, name: str) -> InstanceState:
        """Changes the state; returns the one before."""
        before = InstanceState(self._state.name, self._state.code)
        self._state = InstanceState(name, _CODES[name])
        return before

    def set_out(self, name: str, describes: int) -> InstanceState:
        """Enters a passing state, or with no describes to wait its end at once."""
        before = self.become(name)
        state_of(self.ec2_backend).transitions.pop(self.id, None)
        if describes > 0:
            state_of(self.ec2_backend).transitions[self.id] = describes
        else:
            self.arrive()
        return before

    def arrive(self) -> None:
        """Leaves a passing state."""
        target = _ARRIVALS.get(self._state.name)
        if self._state.name == "pending" and self.late_failure is not None:
            failure, self.late_failure = self.late_failure, None
            self.state_reason = StateReason(failure.message, failure.code)
            target = "terminated"
        if target == "terminated":
            self._release()
        if target:
            self.become(target)

    def user_stopped(self) -> None:
        """Notes who ended it, as EC2 does."""
        self._reason = f"User initiated ({_now():%Y-%m-%d %H:%M:%S GMT})"
        self.state_reason = StateReason(
            "Client.UserInitiatedShutdown: User initiated shutdown",
            "Client.UserInitiatedShutdown",
        )

    def terminate(self) -> InstanceState:
        """At once, for moto's own callers (fleets, autoscaling)."""
        self.user_stopped()
        return self.set_out("shutting-down", 0)

    def _release(self) -> None:
        """Gives back interfaces, addresses and volumes."""
        for nic in list(self.nics.values()):
            self.detach_eni(nic)
            if nic.delete_on_termination:
                elastic.let_go(nic)
                nic.delete()
                self.ec2_backend.tags.pop(nic.id, None)
            elif elastic.held_by(nic) is None:  # an Elastic IP stays with its interface
                nic.public_ip = None
        self.teardown_defaults()
        association = self.ec2_backend.iam_instance_profile_associations.get(self.id)
        if association:
            self.ec2_backend.disassociate_iam_instance_profile(association.association_id)
