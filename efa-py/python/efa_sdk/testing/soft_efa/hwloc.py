"""The tree's devices as a topology of hwloc (its XML, version 2).

The hwloc inside some MPI wheels never reads PCI devices from /sys; MPICH and Intel MPI then end at
a network device whose PCI address they do not know. With this file they know it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from .machine import Place


def topology(places: Sequence[Place], generation: int) -> str:
    """A machine with the processors of this one and these EFA devices."""
    processors = sorted(os.sched_getaffinity(0))
    all_of_them = _mask(processors)
    numbers = iter(range(1, 1 << 30))
    node = f'nodeset="{_mask([0])}" complete_nodeset="{_mask([0])}"'
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        '<!DOCTYPE topology SYSTEM "hwloc2.dtd">',
        '<topology version="2.0">',
        f'<object type="Machine" os_index="0" {_cpus(all_of_them)} allowed_cpuset="{all_of_them}"'
        f' {node} allowed_nodeset="{_mask([0])}" gp_index="{next(numbers)}">',
        f'<object type="NUMANode" os_index="0" {_cpus(all_of_them)} {node}'
        f' gp_index="{next(numbers)}" local_memory="1073741824"/>',
        f'<object type="Package" os_index="0" {_cpus(all_of_them)} {node}'
        f' gp_index="{next(numbers)}">',
    ]
    for processor in processors:
        own = _cpus(_mask([processor]))
        lines += [
            f'<object type="Core" os_index="{processor}" {own} {node} gp_index="{next(numbers)}">',
            f'<object type="PU" os_index="{processor}" {own} {node} gp_index="{next(numbers)}"/>',
            "</object>",
        ]
    lines += ["</object>", *_bridges(places, generation, numbers), "</object>", "</topology>"]
    return "\n".join(lines) + "\n"


def _bridges(places: Sequence[Place], generation: int, numbers: Iterator[int]) -> Iterator[str]:
    """The devices, each below its host bridge; bridges between the two are left out."""
    hosts: dict[str, list[Place]] = {}
    for place in places:
        hosts.setdefault(place.path.split("/")[0].removeprefix("pci0000:"), []).append(place)
    ids = f"[1d0f:efa{generation}]"
    for bus, devices in hosts.items():
        last = max(device.bus_and_slot[0] for device in devices)
        yield (
            f'<object type="Bridge" gp_index="{next(numbers)}" bridge_type="0-1" depth="0"'
            f' bridge_pci="0000:[{bus}-{last:02x}]">'
        )
        for device in devices:
            yield (
                f'<object type="PCIDev" gp_index="{next(numbers)}" pci_busid="{device.address}"'
                f' pci_type="0200 {ids} {ids} 00" pci_link_speed="0.000000"/>'
            )
        yield "</object>"


def _cpus(mask: str) -> str:
    return f'cpuset="{mask}" complete_cpuset="{mask}"'


def _mask(numbers: Sequence[int]) -> str:
    """hwloc's text of a set: words of 32 bits, highest first, such as ``0x1,0x00000003``."""
    value = sum(1 << number for number in numbers)
    words: list[str] = []
    while value or not words:
        words.append(f"0x{value & 0xFFFFFFFF:08x}")
        value >>= 32
    return ",".join(reversed(words))
