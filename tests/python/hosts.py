"""Hosts on this machine: namespaces with a network, processes and a name of their own.

Each host has `eth0` in 10.77.0.0/24, a veth whose other end is on a bridge in one more namespace,
the switch. HTB limits what a host sends and what it receives. Nothing is added to the network of
the machine itself, and what runs in a host ends with it. Needs root, Linux, iproute2, util-linux,
and nftables to cut links.
"""

from __future__ import annotations

import contextlib
import itertools
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

#: Tells the hosts of one process apart.
_COUNT = itertools.count()

#: Runs as process 1 of a host: takes over what its programs leave behind, until it is killed.
_INIT = """
import signal, sys
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
sys.stdout.write("up\\n")
sys.stdout.flush()
while True:
    signal.pause()
"""


def why_not() -> str | None:
    """Why there can be no hosts here; None where there can."""
    if sys.platform != "linux":
        return "namespaces need Linux"
    for tool in ("ip", "tc", "nft", "unshare", "nsenter"):
        if shutil.which(tool) is None:
            return f"{tool} is not installed"
    script = " && ".join(_TRIAL.strip().splitlines())
    trial = ["unshare", "--net", "--uts", "--pid", "--fork", "--mount-proc", "sh", "-c", script]
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
        self._tag = f"efa{os.getpid()}x{next(_COUNT)}"
        self._hosts: list[_Host] = []
        self._programs: list[subprocess.Popen[str]] = []

    def __enter__(self) -> Hosts:
        try:
            _run("ip", "netns", "add", self._switch)
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
        found = _inside(host.pid_space)
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
        """Two hosts do not hear each other: nft drops what comes from the other."""
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

    @property
    def _switch(self) -> str:
        return f"{self._tag}-switch"

    def _at_switch(self, line: str) -> str:
        return _run("ip", "netns", "exec", self._switch, *shlex.split(line))

    def _build(self, number: int) -> None:
        namespace = f"{self._tag}-{number + 1}"
        _run("ip", "netns", "add", namespace)
        # --kill-child: the host ends with the process that is its handle here.
        init = ["ip", "netns", "exec", namespace]
        init += ["unshare", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc"]
        init += [sys.executable, "-S", "-c", _INIT]
        process = subprocess.Popen(
            init, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, process_group=0
        )
        try:
            assert process.stdout is not None
            if process.stdout.readline() != "up\n":
                raise RuntimeError(f"{self.names[number]} did not start")
            children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children")
            (child,) = children.read_text().split()
            self._hosts.append(_Host(process, int(child), os.readlink(f"/proc/{child}/ns/pid")))
        except BaseException:
            process.kill()
            raise
        port = f"port{number}"
        self._at_switch(f"ip link add {port} type veth peer name eth0 netns {namespace}")
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
        """Ends all that runs in the hosts, and takes them down."""
        for host in self._hosts:
            host.handle.kill()
        for host in self._hosts:
            host.handle.communicate()
        for program in self._programs:
            # nsenter stops when what it started is stopped, and then misses its end.
            program.kill()
            program.wait()
        with contextlib.suppress(TimeoutError):
            wait_until(lambda: not self._running(), "nothing runs in hosts that are closed")
        for namespace in self._namespaces():
            _run("ip", "netns", "delete", namespace)

    def leftovers(self) -> list[str]:
        """What is there of hosts, also after they were closed."""
        return self._namespaces() + self._running()

    def _running(self) -> list[str]:
        running = (_inside(host.pid_space) for host in self._hosts)
        return [line for found in running for line in found.values()]

    def _namespaces(self) -> list[str]:
        names = (line.split()[0] for line in _run("ip", "netns", "list").splitlines() if line)
        return [name for name in names if name.startswith(f"{self._tag}-")]


class _Host(NamedTuple):
    """What holds a host."""

    #: Everything in it ends with this process, which is outside.
    handle: subprocess.Popen[str]
    #: Its process 1, as seen from outside.
    init: int
    #: What the kernel calls its processes' namespace.
    pid_space: str


def _inside(pid_space: str) -> dict[int, str]:
    """Command lines of the processes in a namespace, by id, without those that have ended."""
    found = {}
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        with contextlib.suppress(OSError):
            if os.readlink(entry / "ns/pid") == pid_space:
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
