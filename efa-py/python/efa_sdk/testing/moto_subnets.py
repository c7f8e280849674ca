"""Corrections of what moto answers for IPv6-only subnets."""

from __future__ import annotations

from typing import Any

import moto.ec2.models.subnets

_Subnet: Any = moto.ec2.models.subnets.Subnet
_count_of_moto: Any = _Subnet.available_ip_address_count


def install() -> None:
    """Puts what is here into moto's class; a second time changes nothing."""
    _Subnet.available_ip_address_count = property(_free_ipv4)


def _free_ipv4(subnet: Any) -> int:
    """EC2 counts IPv4 addresses, and moto those of the /64, which no 32-bit number holds."""
    return 0 if subnet.ipv6_native else int(_count_of_moto.fget(subnet))
