"""What the hosts of `hosts` are like, before anything is concluded from surveys of them."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from hosts import Hosts, network_of_this_machine, require_hosts, wait_until

# The same three hosts for all of them.
pytestmark = pytest.mark.xdist_group("hosts")

RATE_MBIT = 100
PORT = 5000

#: Sends back what comes, and states when it is ready to.
ECHO = f"""
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("0.0.0.0", {PORT}))
print("ready", flush=True)
while True:
    s.sendto(*s.recvfrom(2048))
"""

#: Asks this many times at once, and prints the seconds to each answer, until all are there or
#: none has come for as long as this.
ASK = f"""
import socket, sys, time
address, (times, size), patience_s = sys.argv[1], map(int, sys.argv[2:4]), float(sys.argv[4])
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(patience_s)
asked = {{}}
for number in range(times):
    asked[number] = time.monotonic()
    s.sendto(str(number).encode().ljust(size), (address, {PORT}))
try:
    while asked:
        number = int(s.recv(2048))
        print(time.monotonic() - asked.pop(number))
except TimeoutError:
    pass
"""
#: How long is waited for answers that are not to come.
SILENCE_S = 1.0


@pytest.fixture(scope="module")
def three() -> Iterator[Hosts]:
    require_hosts()
    with Hosts(3, rate_mbit=RATE_MBIT) as three:
        for number in range(three.count):
            echo = three.start(number, [sys.executable, "-S", "-c", ECHO], stdout=subprocess.PIPE)
            assert echo.stdout is not None
            assert echo.stdout.readline() == "ready\n"
        yield three


def ask(
    three: Hosts,
    own: int,
    other: int,
    *,
    times: int = 5,
    size: int = 64,
    patience_s: float = 10.0,
) -> list[float]:
    """Seconds to each answer that came."""
    command = [sys.executable, "-S", "-c", ASK, three.addresses[other]]
    command += [str(times), str(size), str(patience_s)]
    done = subprocess.run(
        three.command(own, command), capture_output=True, text=True, timeout=120, check=True
    )
    return [float(line) for line in done.stdout.split()]


def test_each_has_a_name_an_address_and_processes_of_its_own(three: Hosts) -> None:
    for number, (name, address) in enumerate(zip(three.names, three.addresses, strict=True)):
        assert three.run(number, "hostname").strip() == name
        assert f"inet {address}/24" in three.run(number, "ip addr show dev eth0")
        assert len(three.processes(number)) == 1
    for own, other in ((0, 1), (1, 2), (2, 0)):
        assert ask(three, own, other)


def test_a_cut_is_between_two_only_and_heals(three: Hosts) -> None:
    with three.cut(0, 2):
        assert ask(three, 0, 2, patience_s=SILENCE_S) == []
        assert ask(three, 2, 0, patience_s=SILENCE_S) == []
        assert ask(three, 0, 1)
        assert ask(three, 1, 2)
    assert ask(three, 0, 2)


def test_a_relay_delays_one_link(three: Hosts) -> None:
    with three.relayed(0, 1, delay_ms=40):
        assert min(ask(three, 0, 1)) >= 0.080
        assert min(ask(three, 1, 0)) >= 0.080
        assert min(ask(three, 0, 2, times=20)) < 0.080
    assert min(ask(three, 0, 1, times=20)) < 0.080


def test_a_relay_loses(three: Hosts) -> None:
    with three.relayed(0, 1, loss=0.5):
        answers = ask(three, 0, 1, times=60, patience_s=2 * SILENCE_S)
    assert 0 < len(answers) < 60


@pytest.mark.parametrize("host", [0, 1], ids=["the one that asks", "the one that answers"])
def test_a_limited_host_sends_and_receives_less(three: Hosts, host: int) -> None:
    size = 1400
    with three.limited(host, 0.1):
        # Beyond the burst of 32 KiB, which one packet may overdraw, the bits take their time,
        # however fast the machine.
        start = time.monotonic()
        answers = ask(three, 0, 1, times=40, size=size)
        took_s = time.monotonic() - start
        assert len(answers) == 40
        assert took_s >= (39 * size - 32768) * 8 / 0.1e6
    assert len(ask(three, 0, 1, size=size)) == 5


def test_signals_reach_all_that_runs(three: Hosts) -> None:
    three.signal(2, signal.SIGSTOP)
    try:
        assert ask(three, 0, 2, patience_s=SILENCE_S) == []
        assert ask(three, 0, 1)
    finally:
        three.signal(2, signal.SIGCONT)
    assert ask(three, 0, 2)


class Failed(Exception):
    """What goes wrong in the middle of a test."""


@pytest.mark.parametrize("stopped", [False, True])
def test_nothing_is_left_after_a_failure(stopped: bool) -> None:
    require_hosts()
    before = network_of_this_machine()
    orphan = "import os, time\nif os.fork() == 0:\n    os.setsid()\ntime.sleep(3600)"
    two = Hosts(2, rate_mbit=RATE_MBIT)

    def fail() -> None:
        with two:
            two.start(1, [sys.executable, "-S", "-c", orphan])
            wait_until(lambda: len(two.processes(1)) == 2, "it left a process behind")
            if stopped:
                two.signal(1, signal.SIGSTOP)
            with two.relayed(0, 1, delay_ms=1), two.cut(0, 1), two.limited(0, 1):
                raise Failed

    with pytest.raises(Failed):
        fail()
    assert two.leftovers() == []
    assert network_of_this_machine() == before


def test_nothing_is_left_when_the_second_cannot_be_built(monkeypatch: pytest.MonkeyPatch) -> None:
    require_hosts()
    before = network_of_this_machine()
    built = Hosts._build

    def fail(self: Hosts, number: int) -> None:
        built(self, number)
        if number == 1:
            raise Failed

    monkeypatch.setattr(Hosts, "_build", fail)
    hosts = Hosts(3, rate_mbit=RATE_MBIT)
    with pytest.raises(Failed), hosts:
        pytest.fail("it was built")
    assert hosts.leftovers() == []
    assert network_of_this_machine() == before
