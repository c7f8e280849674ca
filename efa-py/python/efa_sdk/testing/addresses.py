"""Addresses of a subnet: which private IPv4 ones are free, and the next ones, IPv6 too."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterator
from typing import Any


def taken(subnet: Any) -> set[str]:
    """Addresses of the subnet that something holds."""
    used = set(subnet._subnet_ips)
    for eni in subnet.ec2_backend.enis.values():
        if eni.subnet.id == subnet.id:
            used.update(str(item["PrivateIpAddress"]) for item in eni.private_ip_addresses)
    return used


def count_free(subnet: Any) -> int:
    """How many addresses are free; EC2 keeps five of each subnet."""
    return int(subnet.cidr.num_addresses) - 5 - len(taken(subnet))


def is_free(subnet: Any, ip: str) -> bool:
    """Whether an address is the subnet's, not EC2's own, and held by nothing."""
    try:
        address = ipaddress.IPv4Address(ip)
    except ValueError:
        return False
    first, last = _bounds(subnet)
    return first <= int(address) <= last and ip not in taken(subnet)


def free(subnet: Any, avoid: Collection[str] = ()) -> Iterator[str]:
    """The free addresses but those to `avoid`, lowest first. Stops when there are no more."""
    used = taken(subnet) | set(avoid)
    first, last = _bounds(subnet)
    for number in range(first, last + 1):
        ip = str(ipaddress.IPv4Address(number))
        if ip not in used:
            used.add(ip)
            yield ip


def ipv6_range(subnet: Any) -> ipaddress.IPv6Network | None:
    """The IPv6 range of a subnet, if it has one."""
    for association in subnet.ipv6_cidr_block_associations.values():
        return ipaddress.IPv6Network(association["ipv6CidrBlock"])
    return None


def free_ipv6(subnet: Any) -> Iterator[str]:
    """IPv6 addresses of a subnet with a range that nothing holds, lowest first."""
    network = ipv6_range(subnet)
    if network is None:
        return
    used = {
        str(ip)
        for eni in subnet.ec2_backend.enis.values()
        if eni.subnet.id == subnet.id
        for ip in eni.ipv6_addresses
    }
    # EC2 keeps the first four.
    for number in range(4, network.num_addresses):
        ip = str(network[number])
        if ip not in used:
            yield ip


def _bounds(subnet: Any) -> tuple[int, int]:
    network = subnet.cidr
    return int(network.network_address) + 4, int(network.broadcast_address) - 1
