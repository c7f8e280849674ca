"""`SoftEfa`: the software EFA devices of one host."""

from __future__ import annotations

import contextlib
import dataclasses
import ipaddress
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from efa_sdk import Instance, fabric
from efa_sdk.arguments import typed

from . import hwloc as topologies
from . import tree
from .block import Block
from .errors import fail
from .faults import FAULTS, HEALTHY, between, capability_bits, checked
from .libraries import device_libraries, libfabric_environment
from .machine import MAX_DEVICES, Machine, machine
from .namespace import enter_command, why_no_namespace
from .tree import SoftDevice

#: Paths of devices have 256 bytes in libibverbs: this, and what is below it.
_LONGEST_ROOT = 180
_INSTANCE_ID = "i-0123456789abcdef0"


@typed
class SoftEfa:
    """EFA devices in software, for the real ``efa`` provider of libfabric and other programs.

    A context manager: it writes a tree of /sys and /dev for a host of an instance type, and
    removes it at the end. Programs started with ``environ`` find the devices there. Their packets
    are UDP between addresses of this machine, so that several hosts, processes and libraries can
    talk to each other.

    >>> from efa_sdk.testing import SoftEfa
    >>> with SoftEfa(devices=2, instance_type="p5.48xlarge") as host:
    ...     print(*(device.name for device in host.devices))
    rdmap67s0 rdmap68s0
    """

    def __init__(
        self,
        *,
        devices: int | Iterable[int] | None = 4,
        instance_type: str = "p5.48xlarge",
        address: str | Sequence[str] = "127.0.0.1",
        check_address: bool = True,
        libfabric: str | os.PathLike[str] | None = None,
        faults: Mapping[int | str, Mapping[str, float]] | None = None,
        without: Iterable[str] = (),
        unresponsive_after_s: float = 3.0,
        shared_memory: bool = False,
        namespace: bool = False,
        gpus: bool = False,
        hwloc: bool = False,
        instance_id: str = _INSTANCE_ID,
        hostname: str | None = None,
        tree: str | os.PathLike[str] | None = None,
    ) -> None:
        """devices: how many, at most 32 and what the type can have, or the network cards that have
        one (a set, such as ``[0, 1, 8]``); None: all that the type can have. instance_type: a type
        of the catalog. address: the IPv4 address of the host, or one for each device; every
        address of 127.0.0.0/8 is one of this machine. check_address: whether it must be one here,
        and not in the network namespace of the programs alone. libfabric: ``system``, or the path
        of a libfabric.so.1; None leaves the choice to the programs. faults: by position or name of
        a device, as `fault` takes them. without: capabilities that all devices lack, of ``read``,
        ``write``, ``rnr``, ``sgid``, ``unsolicited``. unresponsive_after_s: seconds after which a
        peer that does not answer is given up, 0.05 to 600; hardware's own time is not known.
        shared_memory: lets the provider send
        between processes of this machine through shared memory, past the devices. namespace:
        programs started with `command` see the tree as /sys and /dev; needs root or user
        namespaces. gpus: the tree also shows the GPUs of the type, on the PCI bus only.
        instance_id: the host's id in the tree. hostname: the name of the host; in a namespace
        `gethostname` gives it too. None: this machine's. tree: a directory to write to,
        empty or new, which then stays; None takes a temporary one.

        Raises SoftEfaError.
        """
        if sys.platform != "linux":
            fail(
                "soft_efa.not_linux",
                f"a software EFA device needs Linux, and this is {sys.platform}",
                "run it in a Linux container or virtual machine",
                platform=sys.platform,
            )
        self._machine = machine(instance_type)
        cards = _cards(self._machine, devices)
        self._addresses = _addresses(address, len(cards), check_address)
        self._libraries = device_libraries()
        self._libfabric = {} if libfabric is None else libfabric_environment(libfabric)
        self._first_faults = {key: checked(value) for key, value in (faults or {}).items()}
        self._caps = capability_bits(
            self._machine.rdma_read != "no", self._machine.rdma_write != "no", frozenset(without)
        )
        self._unresponsive_after_s = between(
            "unresponsive_after_s", unresponsive_after_s, 0.05, 600.0
        )
        self._cards = cards
        self._shared_memory = shared_memory
        self._namespace = namespace
        self._gpus = gpus
        self._hwloc = hwloc
        self._instance_id = instance_id
        self._hostname = hostname
        self._wanted_tree = None if tree is None else Path(tree).absolute()
        self._root: Path | None = None
        self._devices: tuple[SoftDevice, ...] = ()
        self._blocks: list[Block] = []
        self._has_character_devices = False

    @classmethod
    def of_instance(cls, instance: Instance, **options: Any) -> SoftEfa:
        """Returns the host of a launched instance: a device for each of its EFA interfaces.

        options: those of `SoftEfa`, but for devices, instance_type and instance_id.
        """
        cards = [i.network_card_index for i in instance.interfaces if "efa" in i.interface_type]
        return cls(
            devices=cards,
            instance_type=instance.instance_type,
            instance_id=instance.instance_id,
            **options,
        )

    def __enter__(self) -> SoftEfa:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> SoftEfa:
        """Writes the tree; returns itself."""
        if self._root is not None:
            return self
        if self._namespace and (reason := why_no_namespace()) is not None:
            fail(
                "soft_efa.no_namespace",
                f"programs cannot be shown another /sys and /dev here: {reason}",
                "run as root, allow user namespaces (sysctl user.max_user_namespaces, and"
                " kernel.apparmor_restrict_unprivileged_userns=0 on Ubuntu 24.04), or go without"
                " namespace=True",
            )
        root = self._new_root()
        try:
            self._write(root)
        except BaseException:
            self._remove(root)
            raise
        return self

    def stop(self) -> None:
        """Removes the tree, unless its directory was given. Programs should have ended."""
        if self._root is None:
            return
        for block in self._blocks:
            block.close()
        root, self._root, self._blocks = self._root, None, []
        self._remove(root)

    @property
    def devices(self) -> tuple[SoftDevice, ...]:
        """The devices, by position."""
        self._running()
        return self._devices

    @property
    def root(self) -> Path:
        """The directory of the tree: ``fabric.node(root)`` and ``fabric.doctor(root=…)`` read it.

        It has ``sys`` and ``dev``, and of ``proc`` and ``etc`` what those two need.
        """
        return self._running()

    @property
    def has_character_devices(self) -> bool:
        """Whether ``dev/infiniband/uverbsN`` are character devices: they are where root made the
        tree and may make devices. In a namespace they are for every user."""
        self._running()
        return self._has_character_devices

    @property
    def environ(self) -> dict[str, str]:
        """The variables that a program needs, with this process's own LD_LIBRARY_PATH after the
        device's: pass ``os.environ | host.environ``."""
        root = self._running()
        own = os.environ.get("LD_LIBRARY_PATH")
        paths = [str(self._libraries), self._libfabric.get("LD_LIBRARY_PATH"), own]
        found = {
            **self._libfabric,
            "LD_LIBRARY_PATH": ":".join(path for path in paths if path),
            "SYSFS_PATH": str(root / "sys"),
            "SOFT_EFA_DEVICES": str(len(self._devices)),
            "SOFT_EFA_TIMEOUT_MS": str(round(self._unresponsive_after_s * 1000)),
        }
        if self._hwloc:
            found |= {"HWLOC_XMLFILE": str(root / "hwloc.xml"), "HWLOC_THISSYSTEM": "1"}
        if not self._shared_memory:
            found["FI_EFA_ENABLE_SHM_TRANSFER"] = "0"
        return found

    def command(self, command: Sequence[str | os.PathLike[str]]) -> list[str]:
        """Returns the command that runs this one on the devices: itself, or with ``namespace``
        one where the tree is /sys and /dev. Start it with ``os.environ | host.environ``."""
        root = self._running()
        words = [os.fspath(word) for word in command]
        return enter_command(root, self._hostname, words) if self._namespace else words

    def fault(self, device: int | str | None = None, **values: float) -> None:
        """Sets faults of a device, by position or name, or of all (``all``), while programs run.

        rate: bytes per second. loss, reorder: parts, 0 to 1. delay_us: microseconds. dead, down,
        rnr, no_open: 0 or 1. memlock: bytes. 0 is none. docs/soft-efa.md describes each.
        """
        settings = checked(values)
        for one in self._chosen(device):
            for name, value in settings.items():
                self._set(one, name, value)

    def heal(self, device: int | str | None = None) -> None:
        """Ends every fault of a device, or of all."""
        self.fault(device, **HEALTHY)

    @contextlib.contextmanager
    def faulty(self, device: int | str | None = None, **values: float) -> Iterator[None]:
        """Sets `fault` for as long as the context lasts; then what was before."""
        chosen = self._chosen(device)
        settings = checked(values)
        before = [{name: self._get(one, name) for name in settings} for one in chosen]
        try:
            self.fault(device, **values)
            yield
        finally:
            if self._root is not None:
                for one, old in zip(chosen, before, strict=True):
                    for name, value in old.items():
                        self._set(one, name, value)

    def faults(self, device: int | str) -> dict[str, float]:
        """Returns the faults of a device that are set, by name."""
        (one,) = self._chosen(device)
        found = {name: self._get(one, name) for name in HEALTHY}
        return {name: value for name, value in found.items() if value}

    def counters(self, device: int | str | None = None) -> dict[str, int]:
        """Returns the counters of a device, or the sums over all devices, such as ``tx_bytes``."""
        sums: dict[str, int] = {}
        for one in self._chosen(device):
            for name, value in self._blocks[one.index].counters().items():
                sums[name] = sums.get(name, 0) + value
        return sums

    # What it is made of.

    def _new_root(self) -> Path:
        root = self._wanted_tree
        if root is None:
            memory = Path("/dev/shm")
            parent = str(memory) if os.access(memory, os.W_OK | os.X_OK) else None
            return Path(tempfile.mkdtemp(prefix="soft-efa-", dir=parent))
        if len(str(root)) > _LONGEST_ROOT:
            fail(
                "soft_efa.tree_path_too_long",
                f"the path of the tree has {len(str(root))} characters, and at most"
                f" {_LONGEST_ROOT} fit into what libibverbs reports of a device",
                "give a shorter path",
                path=root,
            )
        root.mkdir(parents=True, exist_ok=True)
        if any(root.iterdir()):
            fail(
                "soft_efa.tree_not_empty",
                f"the directory {root} for the tree is not empty",
                "give a new or an empty directory",
                path=root,
            )
        return root

    def _write(self, root: Path) -> None:
        kind = self._machine.instance_type
        tree.write_machine(root, kind, self._instance_id, self._hostname or socket.gethostname())
        rate = _rate_gbps(self._machine, root)
        devices = []
        for index, (card, address) in enumerate(zip(self._cards, self._addresses, strict=True)):
            place = self._machine.efa[self._machine.cards.index(card)]
            bus, slot = place.bus_and_slot
            devices.append(
                SoftDevice(
                    index=index,
                    name=f"rdmap{bus}s{slot}",
                    uverbs=f"uverbs{index}",
                    pci_address=place.address,
                    numa_node=place.numa_node,
                    generation=f"efa{self._machine.generation.number}",
                    rate_gbps=rate,
                    network_card=card,
                    address=address,
                    gid=tree.gid_of(index, address),
                )
            )
        shown = self._machine if self._gpus else dataclasses.replace(self._machine, gpus=())
        tree.write_devices(root, shown, devices, self._caps)
        places = [self._machine.efa[self._machine.cards.index(card)] for card in self._cards]
        (root / "hwloc.xml").write_text(
            topologies.topology(places, self._machine.generation.number)
        )
        self._has_character_devices = tree.character_devices(root)
        self._blocks = [Block(root / "sys/.soft" / device.name) for device in devices]
        self._root, self._devices = root, tuple(devices)
        for key, values in self._first_faults.items():
            self.fault(key, **values)

    def _remove(self, root: Path) -> None:
        if self._wanted_tree is None:
            shutil.rmtree(root, ignore_errors=True)

    def _running(self) -> Path:
        if self._root is None:
            fail(
                "soft_efa.not_running",
                "the software EFA host is not running",
                "use it as a context manager, or call start()",
            )
        return self._root

    def _chosen(self, device: int | str | None) -> tuple[SoftDevice, ...]:
        self._running()
        if device is None or device == "all":
            return self._devices
        for one in self._devices:
            if device in (one.index, one.name, one.uverbs):
                return (one,)
        names = ", ".join(f"{one.index} ({one.name})" for one in self._devices)
        fail(
            "soft_efa.device_not_found",
            f"this host has no device {device!r}",
            f"it has {names}",
            device=device,
        )

    def _get(self, device: SoftDevice, name: str) -> float:
        return self._blocks[device.index].get(FAULTS[name].field)

    def _set(self, device: SoftDevice, name: str, value: float) -> None:
        self._blocks[device.index].set(FAULTS[name].field, value)
        if name == "down":
            tree.set_port(self._running(), device.name, down=bool(value))


def _cards(of: Machine, devices: int | Iterable[int] | None) -> list[int]:
    """The network cards of the devices. Raises `SoftEfaError` for what the type cannot have."""
    most = min(MAX_DEVICES, len(of.cards))
    if isinstance(devices, int):
        chosen = list(of.cards[:devices]) if devices > 0 else []
        count = devices
    else:
        chosen = list(of.cards if devices is None else sorted(devices))
        count = len(chosen)
    if not 1 <= count <= most or len(set(chosen)) != count:
        fail(
            "soft_efa.too_many_devices",
            f"{of.instance_type} has 1 to {most} EFA devices, each on a network card of its own,"
            f" not {count}" + ("" if len(set(chosen)) == len(chosen) else " with one card twice"),
            f"use devices=1 to {most}, or a type with more: p5.48xlarge has {MAX_DEVICES}",
            devices=count,
            limit=most,
            instance_type=of.instance_type,
        )
    if unknown := [card for card in chosen if card not in of.cards]:
        fail(
            "soft_efa.device_not_found",
            f"network card {unknown[0]!r} of {of.instance_type} has no EFA",
            f"use cards of {list(of.cards)}",
            network_card=unknown[0],
            instance_type=of.instance_type,
        )
    return chosen


def _addresses(address: str | Sequence[str], count: int, check: bool) -> list[str]:
    """One address for each device. With ``check`` they are of this machine."""
    given = [address] * count if isinstance(address, str) else list(address)
    if len(given) != count:
        fail(
            "soft_efa.invalid_address",
            f"{len(given)} addresses are given for {count} devices",
            "give one address for the host, or one for each device",
            addresses=len(given),
            devices=count,
        )
    for one in set(given):
        try:
            valid = str(parsed := ipaddress.IPv4Address(one))
            if parsed.is_unspecified or parsed.is_multicast or valid == "255.255.255.255":
                raise ValueError("it is not the address of one host")
            if check:
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                    probe.bind((valid, 0))
        except (ValueError, OSError) as error:
            fail(
                "soft_efa.invalid_address",
                f"{one!r} is not an IPv4 address of this machine: {error}",
                "use 127.0.0.1, another of 127.0.0.0/8 for another host, or an address that `ip"
                " address` lists",
                address=one,
            )
    return given


def _rate_gbps(of: Machine, root: Path) -> float:
    """What one device should reach: the figure that `fabric.node` knows, or EC2's of the card."""
    expected = fabric.node(root=str(root)).expected
    if expected is not None and expected.efa_gbps is not None:
        return expected.efa_gbps
    return of.card_gbps or 100.0
