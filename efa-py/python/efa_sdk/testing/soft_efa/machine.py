"""What a machine of an instance type has: its EFA devices, where they sit, how fast they are.

The count, the RDMA support and the cards come from the catalog. PCI addresses, bridges and NUMA
nodes are plausible and follow the shape of the type (which devices share a switch with which GPU);
**none was recorded on hardware**.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from efa_sdk import Catalog, InstanceType
from efa_sdk.errors import CatalogError

from .errors import fail

#: The most devices of one host: p5.48xlarge has that many.
MAX_DEVICES = 32


class Generation(NamedTuple):
    """The EFA generation of a family, and where it comes from."""

    number: int
    origin: str


_PUBLISHED = "PCI ids in public topology files (ai-dynamo/nixl, awsome-distributed-training)"
_BY_NITRO = (
    "assumed from the Nitro version of the family in the EC2 User Guide: the families of Nitro v3"
    " with a published PCI id have efa0"
)
_SIBLING = "assumed: that of the published type with the same devices, p5en or p6-b200"
_ASSUMED = "assumed: no PCI id of this family is published"

#: By family. Any other family gets `DEFAULT_GENERATION`.
GENERATIONS: dict[str, Generation] = {
    **dict.fromkeys(("c5n", "p3dn", "g5", "p4d", "p4de"), Generation(0, _PUBLISHED)),
    **dict.fromkeys(("g6", "p5", "p5e"), Generation(1, _PUBLISHED)),
    "p5en": Generation(2, _PUBLISHED),
    **dict.fromkeys(("p6-b200", "hpc8a"), Generation(3, _PUBLISHED)),
    **dict.fromkeys(("trn2", "trn2u"), Generation(2, _SIBLING)),
    **dict.fromkeys(("p6-b300", "p6e-gb200"), Generation(3, _SIBLING)),
    **dict.fromkeys(
        ("m5n", "m5dn", "m5zn", "r5n", "r5dn", "x2iezn", "i3en", "g4dn", "inf1", "dl2q", "vt1"),
        Generation(0, _BY_NITRO),
    ),
}

#: What a family without an entry gets.
DEFAULT_GENERATION = Generation(1, _ASSUMED)


@dataclass(frozen=True)
class Place:
    """A position on the PCI bus."""

    #: Below ``sys/devices``: host bridge, bridges, the device itself.
    path: str
    #: The NUMA node.
    numa_node: int

    @property
    def address(self) -> str:
        """The PCI address, such as ``0000:43:00.0``."""
        return self.path.rsplit("/", 1)[1]

    @property
    def bus_and_slot(self) -> tuple[int, int]:
        """The two numbers in the name that the kernel gives an RDMA device."""
        _, bus, slot = self.address.split(":")
        return int(bus, 16), int(slot.split(".")[0], 16)


@dataclass(frozen=True)
class Machine:
    """An instance type as its tree shows it."""

    #: The instance type.
    instance_type: str
    #: Every EFA device that the type can have, by network card.
    efa: tuple[Place, ...]
    #: The network card of each of them.
    cards: tuple[int, ...]
    #: NVIDIA GPUs.
    gpus: tuple[Place, ...]
    #: PCI device id of the GPUs.
    gpu_id: str
    #: The EFA generation: 1 is ``efa1``.
    generation: Generation
    #: Whether devices read and write remote memory: ``yes``, ``no`` or ``unknown``.
    rdma_read: str
    rdma_write: str
    #: EC2's figure in Gbit/s of the slowest network card with EFA, if there is one.
    card_gbps: float | None


def machine(instance_type: str) -> Machine:
    """The machine of a type. Raises `SoftEfaError` for a type that the catalog does not have."""
    try:
        row = Catalog.bundled()[instance_type]
    except CatalogError:
        fail(
            "soft_efa.unknown_type",
            f"{instance_type!r} is not an EFA instance type of the bundled catalog",
            "use a type of efa_sdk.Catalog.bundled(), such as p5.48xlarge, with the same devices",
            instance_type=instance_type,
        )
    efa, gpus = _places(instance_type, row.maximum_efa_interfaces)
    cards = [card for card in row.network_cards if _takes_efa(card.interface_types)]
    peaks = [card.peak_bandwidth_gbps for card in cards if card.peak_bandwidth_gbps]
    return Machine(
        instance_type=instance_type,
        efa=tuple(efa),
        cards=_cards(row, [card.network_card_index for card in cards]),
        gpus=tuple(gpus),
        gpu_id="0x20b0" if row.family.startswith("p4") else "0x2330",
        generation=GENERATIONS.get(row.family, DEFAULT_GENERATION),
        rdma_read=row.rdma_read,
        rdma_write=row.rdma_write,
        card_gbps=min(peaks, default=None),
    )


def _takes_efa(interface_types: list[str] | None) -> bool:
    return interface_types is None or any(kind.startswith("efa") for kind in interface_types)


def _cards(row: InstanceType, cards: list[int]) -> tuple[int, ...]:
    """As many cards as the type can have EFA interfaces: i7ie has two, and one interface."""
    return tuple(cards[: row.maximum_efa_interfaces])


#: EFA devices and GPUs under each of 8 PCI switches, 4 on each NUMA node.
_SWITCHED = {
    "p5.48xlarge": (4, 1),
    "p5e.48xlarge": (4, 1),
    "p5en.48xlarge": (2, 1),
    "p6-b200.48xlarge": (1, 1),
    "p6-b300.48xlarge": (2, 1),
    "trn1.32xlarge": (1, 0),
    "trn1n.32xlarge": (2, 0),
    "trn2.48xlarge": (2, 0),
    "trn2u.48xlarge": (2, 0),
}


def _places(instance_type: str, count: int) -> tuple[list[Place], list[Place]]:
    """Where the EFA devices and the GPUs of a type sit."""
    if instance_type in ("p4d.24xlarge", "p4de.24xlarge"):
        bridges = [(0x10, 0), (0x20, 0), (0x90, 1), (0xA0, 1)]
        efa = [_slot(bus, 0x1B, numa) for bus, numa in bridges]
        return efa, [_slot(bus, slot, numa) for bus, numa in bridges for slot in (0x1C, 0x1D)]
    if instance_type in _SWITCHED:
        return _switched(*_SWITCHED[instance_type])
    # One host bridge for each NUMA node, as many devices on the first as on the second.
    first = (count + 1) // 2
    efa = [_slot(0x00, 6 + n, 0) if n < first else _slot(0x80, 6 + n, 1) for n in range(count)]
    return efa, []


def _slot(bus: int, slot: int, numa: int) -> Place:
    return Place(f"pci0000:{bus:02x}/0000:{bus:02x}:{slot:02x}.0", numa)


def _switched(efa_each: int, gpus_each: int) -> tuple[list[Place], list[Place]]:
    efa: list[Place] = []
    gpus: list[Place] = []
    for group in range(8):
        bus, numa = 0x40 + group * 0x10, group // 4
        switch = f"pci0000:{bus:02x}/0000:{bus:02x}:01.0/0000:{bus + 1:02x}:00.0"
        for port in range(efa_each + gpus_each):
            place = Place(
                f"{switch}/0000:{bus + 2:02x}:{port:02x}.0/0000:{bus + 3 + port:02x}:00.0", numa
            )
            (efa if port < efa_each else gpus).append(place)
    return efa, gpus
