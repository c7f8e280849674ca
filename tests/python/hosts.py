"""Hosts on this machine: namespaces with a network, processes and a name of their own.

Each host has `eth0` in 10.77.0.0/24, a veth whose other end is on a bridge in one more namespace,
the switch. HTB limits what a host sends and what it receives. Nothing is added to the network of
the machine itself. No namespace has a name: all of it ends with the process that made it, even
when that is killed. Needs root, Linux, iproute2, util-linux, and nftables to cut links.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from types import TracebackType
from typing import Any, NamedTuple

import pytest

TUN_RELAY = pathlib.Path(__file__).with_name("tun_relay.py")

#: What the kernel needs to have, tried in a namespace of its own that ends with the command.
_TRIAL = """
ip link set lo up
ip link add trial0 type veth peer name trial1
ip link add trial-bridge type bridge
ip link set trial1 master trial-bridge
tc qdisc add dev trial0 root handle 1: htb default 10
tc class add dev trial0 parent 1: classid 1:10 htb rate 1mbit
tc filter add dev trial0 parent 1: protocol ip u32 match u32 0 0 flowid 1:10
nft add table inet trial
ip tuntap add dev trial-tun mode tun
"""

_HTB_CLASS = (
    "tc class add dev {dev} parent 1: classid 1:{minor} htb rate {rate} ceil {rate} "
    "burst 32k cburst 32k quantum 60000"
)

#: Runs as process 1 of a host, which ends with it: when the tests let go of its input, or are
#: gone.
_INIT = """
import signal, sys
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
print("up", flush=True)
sys.stdin.read()
"""
_SPACES = ["--net", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc"]


def why_not() -> str | None:
    """Why there can be no hosts here; None where there can."""
    if sys.platform != "linux":
        return "namespaces need Linux"
    for tool in ("ip", "tc", "nft", "unshare", "nsenter"):
        if shutil.which(tool) is None:
            return f"{tool} is not installed"
    script = " && ".join(_TRIAL.strip().splitlines())
    trial = ["unshare", *_SPACES, "sh", "-c", script]
    done = subprocess.run(trial, capture_output=True, text=True, timeout=60)
    if done.returncode == 0:
        return None
    return f"no network namespaces: {(done.stderr.strip() or str(done.returncode)).splitlines()[0]}"


def require_hosts() -> None:
    """Skips a test where there can be no hosts; fails it where nothing may be skipped."""
    if (reason := why_not()) is not None:
        (pytest.fail if os.environ.get("EFA_TEST_NO_SKIPS") else pytest.skip)(reason)


def network_of_this_machine() -> set[str]:
    """Names of the network devices outside of all hosts."""
    return {entry.name for entry in pathlib.Path("/sys/class/net").iterdir()}


def has_netem() -> bool:
    """Whether this kernel can delay by itself."""
    script = "ip link add t0 type veth peer name t1 && tc qdisc add dev t0 root netem delay 1ms"
    trial = ["unshare", "--net", "sh", "-c", script]
    return subprocess.run(trial, capture_output=True, timeout=60).returncode == 0


class Hosts:
    """Hosts by number, from 0. A context manager: afterwards there is nothing left of them."""

    def __init__(self, count: int, *, rate_mbit: int) -> None:
        self.count = count
        #: What each host sends and receives at most.
        self.rate_mbit = rate_mbit
        self.names = [f"host-{number + 1}" for number in range(count)]
        self.addresses = [f"10.77.0.{number + 11}" for number in range(count)]
        self._switch: _Host | None = None
        self._hosts: list[_Host] = []
        self._programs: list[subprocess.Popen[str]] = []

    def __enter__(self) -> Hosts:
        try:
            self._switch = _new_host()
            self._at_switch("ip link add br0 type bridge")
            self._at_switch("ip link set br0 up")
            for number in range(self.count):
                self._build(number)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # What a host is like.

    def command(self, number: int, command: Sequence[str]) -> list[str]:
        """The command that runs this one in the host."""
        target = f"--target={self._hosts[number].init}"
        return ["nsenter", target, "--net", "--uts", "--pid", "--mount", "--", *command]

    def run(self, number: int, line: str) -> str:
        """Runs a line in the host, and returns what it prints. Raises when it fails."""
        return _run(*self.command(number, shlex.split(line)))

    def start(self, number: int, command: Sequence[str], **options: Any) -> subprocess.Popen[str]:
        """Starts a program in the host, with these options of Popen. It ends with the host; to
        end it earlier, signal what runs in the host: the handle is a process outside."""
        program: subprocess.Popen[str] = subprocess.Popen(
            self.command(number, command), text=True, **options
        )
        self._programs.append(program)
        return program

    def processes(self, number: int) -> dict[int, str]:
        """What runs in the host: command lines by process id, without its process 1."""
        host = self._hosts[number]
        found = _inside(host, "pid")
        found.pop(host.init, None)
        return found

    def signal(self, number: int, what: signal.Signals) -> None:
        """Sends a signal to all that runs in the host, until nothing new has come up."""
        seen: set[int] = set()
        while new := self.processes(number).keys() - seen:
            for pid in new:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, what)
            seen |= new

    # Faults. Each is a context, and gone at its end.

    @contextlib.contextmanager
    def limited(self, number: int, rate_mbit: float) -> Iterator[None]:
        """The host sends and receives less than the others."""
        rate = f"{round(rate_mbit * 1000)}kbit"
        with contextlib.ExitStack() as undo:
            for run, device in (
                (partial(self.run, number), "eth0"),
                (self._at_switch, f"port{number}"),
            ):
                run(_HTB_CLASS.format(dev=device, minor=20, rate=rate))
                undo.callback(run, f"tc class del dev {device} classid 1:20")
                run(
                    f"tc filter add dev {device} parent 1: prio 1 protocol ip u32 "
                    "match u32 0 0 flowid 1:20"
                )
                undo.callback(run, f"tc filter del dev {device} parent 1: prio 1")
            yield

    @contextlib.contextmanager
    def cut(self, low: int, high: int) -> Iterator[None]:
        """Two hosts do not receive from each other: nft drops what comes from the other."""
        with contextlib.ExitStack() as undo:
            for own, other in ((low, high), (high, low)):
                self.run(own, "nft add table inet cut")
                undo.callback(self.run, own, "nft delete table inet cut")
                chain = "{ type filter hook input priority 0; policy accept; }"
                self.run(own, f"nft add chain inet cut input '{chain}'")
                source = self.addresses[other]
                self.run(own, f"nft add rule inet cut input ip saddr {source} drop")
            yield

    @contextlib.contextmanager
    def unplugged(self, number: int) -> Iterator[None]:
        """Nothing reaches the host, and nothing leaves it: connections only fall silent."""
        self._at_switch(f"ip link set port{number} down")
        try:
            yield
        finally:
            self._at_switch(f"ip link set port{number} up")

    @contextlib.contextmanager
    def sharing(self, total_mbit: int) -> Iterator[None]:
        """All that the switch carries has this rate together, as on a trunk that is too thin: who
        sends one at a time notices nothing. What comes in at each port goes through one device."""
        with contextlib.ExitStack() as undo:
            for line in (
                "ip link add name trunk type ifb",
                "ip link set trunk up",
                "tc qdisc add dev trunk root handle 1: htb default 10",
                _HTB_CLASS.format(dev="trunk", minor=10, rate=f"{total_mbit}mbit"),
            ):
                self._at_switch(line)
            undo.callback(self._at_switch, "ip link del trunk")
            for number in range(self.count):
                port = f"port{number}"
                self._at_switch(f"tc qdisc add dev {port} handle ffff: ingress")
                undo.callback(self._at_switch, f"tc qdisc del dev {port} ingress")
                self._at_switch(
                    f"tc filter add dev {port} parent ffff: protocol ip u32 match u32 0 0 "
                    "action mirred egress redirect dev trunk"
                )
            yield

    @contextlib.contextmanager
    def emptied(self, number: int, folder: pathlib.Path) -> Iterator[None]:
        """The host finds nothing in a folder of this machine."""
        self.run(number, f"mount -t tmpfs tmpfs {shlex.quote(str(folder))}")
        try:
            yield
        finally:
            self.run(number, f"umount --lazy {shlex.quote(str(folder))}")

    @contextlib.contextmanager
    def without_large_packets(
        self, number: int, *, above_bytes: int, except_port: int
    ) -> Iterator[None]:
        """What the host receives in larger packets is lost without a word, as where its MTU is
        above that of the path; all that goes to or from one TCP port passes."""
        self.run(number, "nft add table inet hole")
        try:
            chain = "{ type filter hook input priority 0; policy accept; }"
            self.run(number, f"nft add chain inet hole input '{chain}'")
            for side in ("sport", "dport"):
                self.run(number, f"nft add rule inet hole input tcp {side} {except_port} accept")
            self.run(number, f"nft add rule inet hole input meta length > {above_bytes} drop")
            yield
        finally:
            self.run(number, "nft delete table inet hole")

    @contextlib.contextmanager
    def delayed(self, low: int, high: int, delay_ms: float) -> Iterator[None]:
        """What two hosts send each other arrives later, at the same rate: by netem where the
        kernel has it."""
        if not has_netem():
            with self.relayed(low, high, delay_ms=delay_ms):
                yield
            return
        with contextlib.ExitStack() as undo:
            for own, other in ((low, high), (high, low)):
                self.run(own, _HTB_CLASS.format(dev="eth0", minor=30, rate=f"{self.rate_mbit}mbit"))
                undo.callback(self.run, own, "tc class del dev eth0 classid 1:30")
                self.run(own, f"tc qdisc add dev eth0 parent 1:30 netem delay {delay_ms}ms")
                undo.callback(self.run, own, "tc qdisc del dev eth0 parent 1:30")
                match = f"match ip dst {self.addresses[other]}/32 flowid 1:30"
                self.run(own, f"tc filter add dev eth0 parent 1: prio 2 protocol ip u32 {match}")
                undo.callback(self.run, own, "tc filter del dev eth0 parent 1: prio 2")
            yield

    @contextlib.contextmanager
    def relayed(
        self, low: int, high: int, *, delay_ms: float = 0.0, loss: float = 0.0
    ) -> Iterator[None]:
        """What two hosts send each other goes through a relay in user space, at the rate of the
        others: later, and not all of it."""
        command = [
            "nice",
            "-n",
            "-10",
            sys.executable,
            str(TUN_RELAY),
            f"--delay-ms={delay_ms}",
            f"--loss={loss}",
        ]
        command.append(f"--rate-mbit={self.rate_mbit}")
        for own, other in ((low, high), (high, low)):
            command += [f"/proc/{self._hosts[own].init}/ns/net", self.addresses[other]]
        relay = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert relay.stdout is not None
            if relay.stdout.readline() != "up\n":
                raise RuntimeError("the relay did not start")
            yield
        finally:
            # Its devices and their routes go with it.
            relay.kill()
            relay.communicate()

    # Building and ending.

    def _at_switch(self, line: str) -> str:
        assert self._switch is not None
        # Only its network: hosts are identified by the process ids of this machine.
        return _run("nsenter", f"--target={self._switch.init}", "--net", *shlex.split(line))

    def _build(self, number: int) -> None:
        host = _new_host()
        self._hosts.append(host)
        port = f"port{number}"
        self._at_switch(f"ip link add {port} type veth peer name eth0 netns {host.init}")
        self._at_switch(f"ip link set {port} master br0 up")
        for line in (
            f"hostname {self.names[number]}",
            "ip link set lo up",
            f"ip addr add {self.addresses[number]}/24 dev eth0",
            "ip link set eth0 up",
            # Leads nowhere: programs ask which address they would use to reach the world.
            "ip route add default dev eth0",
        ):
            self.run(number, line)
        for run, device in ((partial(self.run, number), "eth0"), (self._at_switch, port)):
            run(f"tc qdisc add dev {device} root handle 1: htb default 10")
            run(_HTB_CLASS.format(dev=device, minor=10, rate=f"{self.rate_mbit}mbit"))

    def close(self) -> None:
        """Ends all that runs in the hosts. Their network has no other holder, and goes with it."""
        for host in self._all():
            host.handle.kill()
        for host in self._all():
            host.handle.communicate()
        for program in self._programs:
            # nsenter stops when what it started is stopped, and then misses its end.
            program.kill()
            program.wait()
        with contextlib.suppress(TimeoutError):
            wait_until(lambda: not self.leftovers(), "nothing is left of hosts")

    def leftovers(self) -> list[str]:
        """What runs in the hosts or in their networks, also after they were closed."""
        return [line for host in self._all() for line in _inside(host, "pid", "net").values()]

    def _all(self) -> list[_Host]:
        return self._hosts + ([] if self._switch is None else [self._switch])


class _Host(NamedTuple):
    """What holds a host."""

    #: Everything in it ends with this process, which is outside.
    handle: subprocess.Popen[str]
    #: Its process 1, as seen from outside.
    init: int
    #: What the kernel calls its namespaces, by kind.
    spaces: dict[str, str]


def _new_host() -> _Host:
    # /sys shows the network of whoever mounts it.
    line = f"mount -t sysfs sysfs /sys && exec {shlex.join([sys.executable, '-S', '-c', _INIT])}"
    handle = subprocess.Popen(
        ["unshare", *_SPACES, "sh", "-c", line],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        process_group=0,
    )
    try:
        assert handle.stdout is not None
        if handle.stdout.readline() != "up\n":
            raise RuntimeError("a host did not start")
        children = pathlib.Path(f"/proc/{handle.pid}/task/{handle.pid}/children")
        init = int(children.read_text())
        spaces = {kind: os.readlink(f"/proc/{init}/ns/{kind}") for kind in ("pid", "net")}
    except BaseException:
        handle.kill()
        raise
    return _Host(handle, init, spaces)


def _inside(host: _Host, *kinds: str) -> dict[int, str]:
    """Command lines of the processes in any of these namespaces of the host, by id, without those
    that have ended."""
    found = {}
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        with contextlib.suppress(OSError):
            if any(os.readlink(entry / "ns" / kind) == host.spaces[kind] for kind in kinds):
                words = (entry / "cmdline").read_bytes().split(b"\0")
                if line := b" ".join(words).decode(errors="replace").strip():
                    found[int(entry.name)] = line
    return found


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        raise RuntimeError(f"{shlex.join(command)}: {done.stderr.strip() or done.returncode}")
    return done.stdout


def wait_until(what: Callable[[], bool], words: str, timeout_s: float = 30.0) -> None:
    """Returns when it is so; raises TimeoutError when it does not come to be."""
    end = time.monotonic() + timeout_s
    while not what():
        if time.monotonic() > end:
            raise TimeoutError(f"not within {timeout_s} s: {words}")
        time.sleep(0.05)
