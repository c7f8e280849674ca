"""The /sys and /dev of a machine, written as files: its devices as the kernel would show them.

Only what programs of EFA read is there. The devices of the library are those of the tree: it finds
their names, addresses and rates here, and keeps the counters and the state of the port current.
"""

from __future__ import annotations

import ipaddress
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .block import COUNTERS, Block
from .machine import Machine, Place

#: What the driver reports of itself, and where the kernel gives device numbers of verbs devices.
_DRIVER_VERSION = "2.17.2g"
#: Files of an rdma-core that knows every generation, for readers of the tree alone.
_RDMA_CORE = ("libibverbs.so.1.14.60.0", "libibverbs/libefa-rdmav59.so")
_UVERBS_MAJOR, _UVERBS_MINOR = 231, 192

#: Names of the kernel for the speed of a port of four lanes, by Gbit/s.
_SPEEDS = {25: "EDR", 50: "EDR", 100: "EDR", 200: "HDR", 400: "NDR", 800: "XDR"}

_LIMITS = (
    "Limit                     Soft Limit           Hard Limit           Units     \n"
    "Max open files            1048576              1048576              files     \n"
    "Max locked memory         unlimited            unlimited            bytes     \n"
)
_MODULES = (
    "efa 229376 0 - Live 0x0 (OE)\nib_uverbs 147456 1 efa, Live 0x0\n"
    "ib_core 409600 2 efa,ib_uverbs, Live 0x0\n"
)


@dataclass(frozen=True)
class SoftDevice:
    """One software EFA device of a host."""

    #: Position on its host, from 0.
    index: int
    #: The name, such as ``rdmap16s27``: libfabric's domain is this and ``-rdm``.
    name: str
    #: The verbs device, such as ``uverbs0``.
    uverbs: str
    #: The PCI address.
    pci_address: str
    #: The NUMA node.
    numa_node: int
    #: The EFA generation, such as ``efa1``.
    generation: str
    #: Rate of the port in Gbit/s, as the tree shows it. The device is as fast as the machine.
    rate_gbps: float
    #: The network card of the instance that it stands for.
    network_card: int
    #: The IPv4 address that carries its packets.
    address: str
    #: The GID: what peers know it by.
    gid: str


def gid_of(index: int, address: str) -> str:
    """The GID of a device: its position and its IPv4 address, in the kernel's notation."""
    part = ipaddress.IPv4Address(address).packed
    raw = bytes([0xFE, 0x80, *[0] * 6, 6, index, *part, 0xFA, index])
    return ":".join(raw[at : at + 2].hex() for at in range(0, 16, 2))


def write_machine(root: Path, instance_type: str, instance_id: str, hostname: str) -> None:
    """Writes what does not depend on the devices: ``sys``, ``dev``, what the doctor reads."""
    _Files(root).machine(instance_type, instance_id, hostname)


def write_devices(root: Path, machine: Machine, devices: Iterable[SoftDevice], caps: int) -> None:
    """Writes the devices, each with its control block, and the GPUs of the machine."""
    files = _Files(root)
    generation = machine.generation.number
    (root / "sys/.soft").mkdir()
    for device in devices:
        place = machine.efa[machine.cards.index(device.network_card)]
        files.pci(place, "0x1d0f", f"0xefa{generation}", "0x020000", "efa")
        files.efa(place, device)
        Block.create(root / "sys/.soft" / device.name, caps=caps, part=0xEFA0 + generation)
    for place in machine.gpus:
        files.pci(place, "0x10de", machine.gpu_id, "0x030200", "nvidia")


def character_devices(root: Path) -> bool:
    """Makes the verbs devices character devices, as programs expect. Needs root; False without.

    They stand for /dev/null: the library opens none of them.
    """
    folder = root / "dev/infiniband"
    null = os.makedev(1, 3)
    try:
        for path in sorted(folder.iterdir()):
            new = path.with_name(f".{path.name}")
            os.mknod(new, stat.S_IFCHR | 0o666, null)
            os.chmod(new, 0o666)
            new.rename(path)
            # A file system mounted "nodev", or a container without the right, shows only here.
            os.close(os.open(path, os.O_RDWR))
    except OSError:
        for path in folder.iterdir():
            if path.name.startswith(".") or not path.is_file():
                path.unlink()
                path.with_name(path.name.lstrip(".")).touch()
        return False
    return True


def set_port(root: Path, name: str, *, down: bool) -> None:
    """Writes the state of a port, as the kernel shows it."""
    port = root / "sys/class/infiniband" / name / "ports/1"
    (port / "state").write_text("1: DOWN\n" if down else "4: ACTIVE\n")
    (port / "phys_state").write_text("3: Disabled\n" if down else "5: LinkUp\n")


class _Files:
    """Writes files and links below a directory."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def put(self, path: str, text: str) -> None:
        file = self._root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def link(self, path: str, target: str) -> None:
        """A relative link to another path of the tree."""
        file = self._root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.symlink_to(os.path.relpath(self._root / target, file.parent))

    def machine(self, instance_type: str, instance_id: str, hostname: str) -> None:
        """What does not depend on the devices."""
        for name, text in (
            ("sys_vendor", "Amazon EC2"),
            ("product_name", instance_type),
            ("board_asset_tag", instance_id),
        ):
            self.put(f"sys/devices/virtual/dmi/id/{name}", f"{text}\n")
        self.link("sys/class/dmi/id", "sys/devices/virtual/dmi/id")
        for name, text in (
            ("sys/class/infiniband_verbs/abi_version", "6"),
            ("sys/module/efa/version", _DRIVER_VERSION),
            ("sys/module/efa/initstate", "live"),
            ("sys/module/ib_uverbs/initstate", "live"),
            ("sys/module/ib_core/initstate", "live"),
            ("proc/sys/kernel/hostname", hostname),
            ("proc/sys/kernel/osrelease", "6.8.0-1021-aws"),
            ("proc/sys/kernel/yama/ptrace_scope", "0"),
            ("proc/1/cgroup", "0::/init.scope"),
            ("etc/libibverbs.d/efa.driver", "driver efa"),
        ):
            self.put(name, f"{text}\n")
        for name in ("bus/pci/devices", "bus/pci/drivers/efa", "class/infiniband"):
            (self._root / "sys" / name).mkdir(parents=True, exist_ok=True)
        (self._root / "dev/infiniband").mkdir(parents=True, exist_ok=True)
        for name in _RDMA_CORE:
            self.put(f"usr/lib64/{name}", "")
        self.put("proc/self/limits", _LIMITS)
        self.put("proc/modules", _MODULES)

    def pci(self, place: Place, vendor: str, device: str, kind: str, driver: str) -> None:
        """A PCI device with its driver."""
        at = f"sys/devices/{place.path}"
        for name, text in (
            ("vendor", vendor),
            ("device", device),
            ("subsystem_vendor", vendor),
            ("subsystem_device", device),
            ("class", kind),
            ("numa_node", str(place.numa_node)),
            ("local_cpulist", ""),
            ("max_link_speed", "16.0 GT/s PCIe"),
            ("max_link_width", "16"),
        ):
            self.put(f"{at}/{name}", f"{text}\n")
        drivers = f"sys/bus/pci/drivers/{driver}"
        (self._root / drivers).mkdir(parents=True, exist_ok=True)
        self.link(f"{at}/driver", drivers)
        self.link(f"sys/bus/pci/devices/{place.address}", at)
        self.link(f"{drivers}/{place.address}", at)

    def efa(self, place: Place, device: SoftDevice) -> None:
        """An EFA device with its port, its counters and its verbs device."""
        at = f"sys/devices/{place.path}"
        own, port = f"{at}/infiniband/{device.name}", f"{at}/infiniband/{device.name}/ports/1"
        speed = _SPEEDS.get(round(device.rate_gbps))
        guid = ":".join(device.gid.split(":")[4:])
        for name, text in (
            (f"{at}/p2p", ""),
            (f"{own}/node_guid", guid),
            (f"{own}/sys_image_guid", guid),
            (f"{own}/node_type", "7: unspecified"),
            (f"{own}/fw_ver", "0.0.0.0"),
            (f"{port}/state", "4: ACTIVE"),
            (f"{port}/phys_state", "5: LinkUp"),
            (f"{port}/rate", f"{device.rate_gbps:g} Gb/sec" + (f" (4X {speed})" if speed else "")),
            (f"{port}/lid", "0x0"),
            (f"{port}/link_layer", "Unspecified"),
            (f"{port}/gids/0", device.gid),
            (f"{port}/gid_attrs/types/0", "IB/RoCE v1"),
            (f"{port}/pkeys/0", "0xffff"),
            (f"{port}/hw_counters/lifespan", "12"),
            (f"{own}/hw_counters/lifespan", "12"),
            (f"{own}/hw_counters/submitted_cmds", "12"),
            (f"{own}/hw_counters/completed_cmds", "12"),
            (f"{own}/hw_counters/keep_alive_rcvd", "100"),
            (f"{own}/hw_counters/create_qp_err", "0"),
            (f"{own}/hw_counters/reg_mr_err", "0"),
            *((f"{port}/hw_counters/{counter}", "0") for counter in COUNTERS),
        ):
            self.put(name, f"{text}\n")
        self.link(f"{own}/device", at)
        self.link(f"sys/class/infiniband/{device.name}", own)
        verbs = f"{at}/infiniband_verbs/{device.uverbs}"
        self.put(f"{verbs}/ibdev", f"{device.name}\n")
        self.put(f"{verbs}/abi_version", "1\n")
        self.put(f"{verbs}/dev", f"{_UVERBS_MAJOR}:{_UVERBS_MINOR + device.index}\n")
        self.link(f"{verbs}/device", at)
        self.link(f"sys/class/infiniband_verbs/{device.uverbs}", verbs)
        self.put(f"dev/infiniband/{device.uverbs}", "")
