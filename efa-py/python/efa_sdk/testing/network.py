"""A VPC with a subnet per zone and a NAT gateway, and images to launch: what nearly every test
needs first.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from moto.ec2.models.route_tables import Route

from efa_sdk.errors import invalid_value

from . import catalog
from .machine_images import add_public_images


@dataclass(frozen=True)
class Network:
    """Ids of a ready-made network."""

    region: str
    vpc_id: str
    subnets: dict[str, str]
    images: dict[str, str]

    def subnet_for(self, instance_type: str) -> str:
        """Returns the subnet in the first zone that offers the type."""
        for zone in catalog.zones_offering(self.region, instance_type):
            if zone in self.subnets:
                return self.subnets[zone]
        raise invalid_value("instance_type", instance_type, f"one that {self.region} offers")

    def image_for(self, instance_type: str) -> str:
        """Returns the Amazon Linux 2023 image of the type's architecture."""
        info = catalog.instance_type(instance_type)
        if info is None:
            raise invalid_value("instance_type", instance_type, "an instance type of EC2")
        return self.images[info["ProcessorInfo"]["SupportedArchitectures"][0]]


def make_network(
    backend: Any, region: str, cidr: str, zones: Sequence[str] | None, name: str
) -> Network:
    """Creates a VPC and its subnets, /20 each unless the VPC is too small for that, and images."""
    if zones is None:
        zones = [zone.name for zone in backend.describe_availability_zones()]
    vpc = backend.create_vpc(cidr)
    backend.tags[vpc.id]["Name"] = name
    block = ipaddress.IPv4Network(cidr)
    prefix = max(20, block.prefixlen)
    while 2 ** (prefix - block.prefixlen) < len(zones):
        prefix += 1
    subnets: dict[str, str] = {}
    for zone, part in zip(zones, block.subnets(new_prefix=prefix), strict=False):
        subnet = backend.create_subnet(vpc.id, str(part), availability_zone=zone)
        backend.tags[subnet.id]["Name"] = f"{name}-{zone}"
        subnets[zone] = subnet.id
    _route_to_nat(backend, vpc.id)
    add_public_images(backend)
    return Network(region, vpc.id, subnets, _images(backend))


def _route_to_nat(backend: Any, vpc_id: str) -> None:
    """A way out to the internet. The gateway is an id in a route, and no resource: it takes no
    address, and no id of what comes after it.
    """
    (main,) = (table for table in backend.route_tables.values() if table.vpc_id == vpc_id)
    gateway: Any = SimpleNamespace(id="nat-0f000000000000001")
    kind: Any = Route  # abstract by its types alone
    route = kind(main, "0.0.0.0/0", None, nat_gateway=gateway)
    main._routes[route.id] = route


def _images(backend: Any) -> dict[str, str]:
    """The newest Amazon Linux 2023 image per architecture."""
    found: dict[str, Any] = {}
    for image in backend.amis.values():
        name = str(image.name or "")
        if not name.startswith("al2023-ami-2023") or image.architecture not in ("x86_64", "arm64"):
            continue
        best = found.get(image.architecture)
        if best is None or name > str(best.name):
            found[image.architecture] = image
    return {architecture: str(image.id) for architecture, image in sorted(found.items())}
