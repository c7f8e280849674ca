"""`efa_sdk.testing.SoftEfa`: the tree of a machine, faults, counters, and programs that use it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import efa_sdk as efa
import pytest
from efa_sdk import fabric
from efa_sdk.testing import SoftEfa, SoftEfaError, soft_efa
from efa_sdk.testing.soft_efa import libraries, namespace, soft
from efa_sdk.testing.soft_efa.block import COUNTERS
from efa_sdk.testing.soft_efa.faults import FAULTS, parse
from efa_sdk.testing.soft_efa.machine import GENERATIONS, machine
from soft_hosts import LIBFABRICS, LIMIT_S, require_namespace, run

COMMAND = [sys.executable, "-m", "efa_sdk.testing.soft_efa"]

#: A type of each shape.
TYPES = [
    "c5n.18xlarge",
    "g6.48xlarge",
    "hpc7a.96xlarge",
    "i7ie.48xlarge",
    "p4d.24xlarge",
    "p5.48xlarge",
    "p5en.48xlarge",
    "p6-b200.48xlarge",
    "p6-b300.48xlarge",
    "trn1n.32xlarge",
]


def cli(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, timeout=LIMIT_S, check=False
    )


def listed(printed: str) -> set[str]:
    """The devices in what fi_info printed."""
    return set(re.findall(r"domain: (rdmap\d+s\d+)", printed))


# The tree.


@pytest.mark.parametrize("instance_type", TYPES)
def test_the_tree_is_a_machine_of_its_type(instance_type: str) -> None:
    row = efa.Catalog.bundled()[instance_type]
    with SoftEfa(devices=None, instance_type=instance_type, gpus=True) as host:
        node = fabric.node(root=str(host.root))
        report = fabric.doctor(root=str(host.root))
        for device, seen in zip(host.devices, node.efa_devices, strict=True):
            assert (device.name, device.pci_address, device.uverbs) == (
                seen.name,
                seen.pci_address,
                seen.uverbs,
            )
            assert (device.numa_node, device.generation) == (seen.numa_node, seen.generation)
            assert (seen.driver, seen.port_state) == ("efa", "ACTIVE")
            assert seen.rate_gbps == device.rate_gbps
    assert (node.instance_type, node.instance_id) == (instance_type, "i-0123456789abcdef0")
    assert len(node.pci_efa) == len(node.efa_devices) == row.maximum_efa_interfaces
    assert node.expected is not None
    if node.expected.efa_gbps is not None:
        assert node.efa_devices[0].rate_gbps == node.expected.efa_gbps
    assert all(verbs.access == "openable" for verbs in node.uverbs)
    # Nothing is wrong with it; libfabric is not asked for a tree.
    assert (report.verdict, report.exit_code) == ("unknown", 2), str(report)
    assert [f.id for f in report.findings if f.status == "failed"] == []
    assert not host_is_left(host)


def host_is_left(host: SoftEfa) -> bool:
    with pytest.raises(SoftEfaError, match="not running"):
        _ = host.root
    return False


def test_every_type_of_the_catalog_has_a_machine() -> None:
    for row in efa.Catalog.bundled():
        if row.maximum_efa_interfaces == 0:
            continue
        found = machine(row.name)
        addresses = [place.address for place in (*found.efa, *found.gpus)]
        assert len(found.efa) == len(found.cards) == row.maximum_efa_interfaces, row.name
        assert len(set(addresses)) == len(addresses), row.name
        assert len({place.bus_and_slot for place in found.efa}) == len(found.efa), row.name
        takes = {
            card.network_card_index
            for card in row.network_cards
            if any(kind.startswith("efa") for kind in card.interface_types or ["efa"])
        }
        assert set(found.cards) <= takes, row.name


def test_every_generation_has_an_origin_and_is_of_a_family_of_the_catalog() -> None:
    families = {row.family for row in efa.Catalog.bundled()}
    assert set(GENERATIONS) <= families
    for generation in (*GENERATIONS.values(), soft_efa.DEFAULT_GENERATION):
        assert generation.number in range(4)
        assert len(generation.origin) > 20


def test_cards_and_addresses_are_a_choice() -> None:
    with SoftEfa(
        devices=[8, 0, 31], address=["127.0.0.9", "127.0.0.8", "127.0.0.8"], instance_id="i-07"
    ) as host:
        assert [d.network_card for d in host.devices] == [0, 8, 31]
        assert [d.address for d in host.devices] == ["127.0.0.9", "127.0.0.8", "127.0.0.8"]
        assert host.devices[2].gid == "fe80:0000:0000:0000:0602:7f00:0008:fa02"
        port = host.root / "sys/class/infiniband" / host.devices[2].name / "ports/1"
        assert (port / "gids/0").read_text().strip() == host.devices[2].gid
        assert fabric.node(root=str(host.root)).instance_id == "i-07"
    with SoftEfa(devices=None, instance_type="p6-b300.48xlarge") as host:
        assert [d.network_card for d in host.devices] == list(range(1, 17)), "card 0 has no EFA"


def test_a_tree_that_was_asked_for_stays(tmp_path: Path) -> None:
    folder = tmp_path / "tree"
    with SoftEfa(devices=1, tree=folder) as host:
        assert host.root == folder
    assert len(fabric.node(root=str(folder)).efa_devices) == 1
    with pytest.raises(SoftEfaError) as caught:
        SoftEfa(devices=1, tree=folder).start()
    assert caught.value.code == "soft_efa.tree_not_empty"


def test_the_longest_path_of_a_tree_works() -> None:
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    try:
        with SoftEfa(devices=1, tree=folder / ("t" * (180 - len(str(folder)) - 1))) as host:
            assert len(str(host.root)) == 180
            assert len(listed(run(host, "fi_info", "-p", "efa").stdout)) == 1
    finally:
        shutil.rmtree(folder)


def test_a_temporary_tree_goes() -> None:
    with SoftEfa(devices=1) as host:
        root = host.root
        assert root.is_dir()
    assert not root.exists()


# Refusals.

REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"instance_type": "p9.48xlarge"}, "soft_efa.unknown_type", "p9.48xlarge"),
    ({"instance_type": "t3.micro"}, "soft_efa.unknown_type", "t3.micro"),
    ({"instance_type": ""}, "soft_efa.unknown_type", "''"),
    ({"devices": 33}, "soft_efa.too_many_devices", "1 to 32"),
    ({"devices": 0}, "soft_efa.too_many_devices", "not 0"),
    ({"devices": -1}, "soft_efa.too_many_devices", "not -1"),
    ({"devices": []}, "soft_efa.too_many_devices", "not 0"),
    ({"devices": [1, 1]}, "soft_efa.too_many_devices", "one card twice"),
    ({"devices": 5, "instance_type": "p4d.24xlarge"}, "soft_efa.too_many_devices", "1 to 4"),
    ({"devices": [0], "instance_type": "p6-b300.48xlarge"}, "soft_efa.device_not_found", "card 0"),
    ({"devices": [40]}, "soft_efa.device_not_found", "card 40"),
    ({"address": "10.255.255.9"}, "soft_efa.invalid_address", "10.255.255.9"),
    ({"address": "localhost"}, "soft_efa.invalid_address", "localhost"),
    ({"address": "::1"}, "soft_efa.invalid_address", "::1"),
    ({"address": "0.0.0.0"}, "soft_efa.invalid_address", "0.0.0.0"),
    ({"address": "255.255.255.255"}, "soft_efa.invalid_address", "255.255"),
    ({"address": "224.0.0.1", "check_address": False}, "soft_efa.invalid_address", "224.0.0.1"),
    ({"tree": "/tmp/" + "t" * 190}, "soft_efa.tree_path_too_long", "at most"),
    ({"address": ["127.0.0.1"]}, "soft_efa.invalid_address", "1 addresses"),
    ({"libfabric": "/nowhere/libfabric.so.1"}, "soft_efa.libfabric_not_found", "/nowhere"),
    ({"faults": {0: {"loss": 0.95}}}, "soft_efa.invalid_fault", "0 to 0.9"),
    ({"faults": {0: {"loss": float("nan")}}}, "soft_efa.invalid_fault", "loss=nan"),
    ({"faults": {0: {"rate": -1}}}, "soft_efa.invalid_fault", "rate=-1"),
    ({"faults": {0: {"dead": 2}}}, "soft_efa.invalid_fault", "0 or 1"),
    ({"faults": {0: {"slow": 1}}}, "soft_efa.invalid_fault", "'slow'"),
    ({"faults": {9: {"dead": 1}}}, "soft_efa.device_not_found", "9"),
    ({"unresponsive_after_s": 0}, "soft_efa.invalid_fault", "0.05 to 600"),
    ({"unresponsive_after_s": float("nan")}, "soft_efa.invalid_fault", "=nan"),
    ({"without": ["reads"]}, "soft_efa.invalid_fault", "'reads'"),
]


@pytest.mark.parametrize(
    ("options", "code", "words"), REFUSED, ids=[f"{sorted(o.items())}"[1:-1] for o, _, _ in REFUSED]
)
def test_refusals_name_the_value_and_the_cure(
    options: dict[str, Any], code: str, words: str
) -> None:
    with pytest.raises(SoftEfaError) as caught:
        SoftEfa(**options).start()
    assert caught.value.code == code
    assert words in caught.value.message
    assert caught.value.cure


def test_other_systems_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(SoftEfaError, match="needs Linux, and this is darwin") as caught:
        SoftEfa()
    assert caught.value.code == "soft_efa.not_linux"


def test_missing_libraries_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(libraries, "DEVICE_LIBRARIES", tmp_path)
    with pytest.raises(SoftEfaError, match="make build") as caught:
        SoftEfa()
    assert caught.value.code == "soft_efa.libraries_missing"


def test_a_machine_without_libfabric(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libraries, "_SYSTEM_LIBFABRIC", "libfabric.so.none")
    with pytest.raises(SoftEfaError, match="apt-get install libfabric1") as caught:
        SoftEfa(libfabric="system")
    assert caught.value.code == "soft_efa.libfabric_not_found"
    SoftEfa()  # programs without libfabric need none


def test_a_libfabric_that_is_installed_meanwhile_is_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(libraries, "_SYSTEM_LIBFABRIC", str(tmp_path / "libfabric.so.1"))
    with pytest.raises(SoftEfaError, match=r"this system has no libfabric: .*cannot open"):
        SoftEfa(libfabric="system")
    shutil.copy(libraries.DEVICE_LIBRARIES / "libefa.so.1", tmp_path / "libfabric.so.1")
    SoftEfa(libfabric="system")


def test_looking_for_libfabric_leaves_ctrl_c_alone() -> None:
    program = """
import os, signal
from efa_sdk.testing import SoftEfa
SoftEfa(libfabric="system")
try:
    os.kill(os.getpid(), signal.SIGINT)
except KeyboardInterrupt:
    print("interrupted")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "interrupted\n"), done.stderr


def test_no_namespaces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soft, "why_no_namespace", lambda: "unshare: not permitted")
    with pytest.raises(SoftEfaError, match="unshare: not permitted") as caught:
        SoftEfa(namespace=True).start()
    assert caught.value.code == "soft_efa.no_namespace"


def test_codes_are_listed() -> None:
    assert [code for code in efa.errors.codes() if code.startswith("soft_efa.")] == [
        "soft_efa.device_not_found",
        "soft_efa.invalid_address",
        "soft_efa.invalid_fault",
        "soft_efa.libfabric_not_found",
        "soft_efa.libraries_missing",
        "soft_efa.no_namespace",
        "soft_efa.not_linux",
        "soft_efa.not_running",
        "soft_efa.too_many_devices",
        "soft_efa.tree_not_empty",
        "soft_efa.tree_path_too_long",
        "soft_efa.unknown_type",
    ]


# Faults and counters.


@pytest.fixture
def host() -> Iterator[SoftEfa]:
    with SoftEfa(devices=2, faults={"all": {"delay_us": 5}, 1: {"loss": 0.25}}) as host:
        yield host


def test_faults_are_set_read_and_healed(host: SoftEfa) -> None:
    name = host.devices[1].name
    assert host.faults(0) == {"delay_us": 5}
    assert host.faults(1) == host.faults(name) == host.faults("uverbs1")
    assert host.faults(name) == {"delay_us": 5, "loss": 0.25}
    with host.faulty(1, loss=0.5, rate=1_000_000):
        assert host.faults(1) == {"delay_us": 5, "loss": 0.5, "rate": 1_000_000}
        assert host.faults(0) == {"delay_us": 5}
    assert host.faults(1) == {"delay_us": 5, "loss": 0.25}
    host.heal(1)
    assert (host.faults(0), host.faults(1)) == ({"delay_us": 5}, {})
    host.fault(dead=1, rnr=1, no_open=1, memlock=65536, reorder=1)
    assert set(host.faults(0)) == {"dead", "rnr", "no_open", "memlock", "reorder", "delay_us"}
    host.heal()
    assert (host.faults(0), host.faults(1)) == ({}, {})
    with pytest.raises(SoftEfaError) as caught:
        host.fault("rdmap0s0", dead=1)
    assert caught.value.code == "soft_efa.device_not_found"


def test_a_port_that_is_down_shows_in_the_tree(host: SoftEfa) -> None:
    def states() -> list[str | None]:
        return [d.port_state for d in fabric.node(root=str(host.root)).efa_devices]

    with host.faulty(1, down=1):
        assert states() == ["ACTIVE", "DOWN"]
    assert states() == ["ACTIVE", "ACTIVE"]


def test_a_fault_on_a_command_line() -> None:
    assert parse("1:loss=0.01") == (1, {"loss": 0.01})
    assert parse("rdmap67s0:dead") == ("rdmap67s0", {"dead": 1})
    assert parse("all:loss=0.1,reorder=0.2") == (None, {"loss": 0.1, "reorder": 0.2})
    assert parse("delay_us=5") == (None, {"delay_us": 5})
    for wrong in ("", ":", "1:", "loss", "1:loss=", "1:loss=x", "1:loss=2", "loss:1"):
        with pytest.raises(SoftEfaError):
            parse(wrong)


@pytest.mark.parametrize("libfabric", LIBFABRICS)
def test_pingpong_between_two_hosts_counts(libfabric: str) -> None:
    with (
        SoftEfa(devices=1, address="127.0.0.2", libfabric=libfabric) as one,
        SoftEfa(devices=1, address="127.0.0.3", libfabric=libfabric) as other,
    ):
        words = ["fi_pingpong", "-p", "efa", "-e", "rdm", "-I", "20", "-S", "8192"]
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = str(free.getsockname()[1])
        server = subprocess.Popen(
            one.command([*words, "-B", port]),
            env={**os.environ, **one.environ},
            stdout=subprocess.DEVNULL,
        )
        try:
            done = run(other, *words, "-P", port, "127.0.0.1")
            for _ in range(40):
                if done.returncode == 0:
                    break
                time.sleep(0.1)  # the server is not there yet
                done = run(other, *words, "-P", port, "127.0.0.1")
            assert done.returncode == 0, done.stderr
            assert server.wait(LIMIT_S) == 0
        finally:
            server.kill()
            server.wait()
        for host in (one, other):
            counters = host.counters()
            assert counters.keys() == set(COUNTERS)
            assert counters["tx_bytes"] >= 20 * 8192
            assert counters["rx_bytes"] >= 20 * 8192
            port = host.root / "sys/class/infiniband" / host.devices[0].name / "ports/1/hw_counters"
            assert int((port / "tx_bytes").read_text()) == counters["tx_bytes"]


def test_the_environment() -> None:
    with SoftEfa(devices=2) as host:
        environ = host.environ
        assert environ["SYSFS_PATH"] == str(host.root / "sys")
        assert environ["LD_LIBRARY_PATH"].split(":")[0] == str(libraries.DEVICE_LIBRARIES)
        assert environ["FI_EFA_ENABLE_SHM_TRANSFER"] == "0"
        assert "FI_PROVIDER" not in environ
        assert host.command(["true"]) == ["true"]
    with SoftEfa(devices=1, shared_memory=True) as host:
        assert "FI_EFA_ENABLE_SHM_TRANSFER" not in host.environ


# The command.


def test_the_command_lists_four_devices() -> None:
    done = cli("--devices", "4", "--", "fi_info", "-p", "efa")
    assert done.returncode == 0, done.stderr
    assert listed(done.stdout) == {"rdmap67s0", "rdmap68s0", "rdmap69s0", "rdmap70s0"}


def test_the_command_has_defaults_and_faults_in_its_help() -> None:
    printed = cli("--help").stdout
    assert "(default: 4)" in printed
    assert "(default: p5.48xlarge)" in printed
    assert all(f"  {name} " in printed for name in FAULTS)


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["--", "sh", "-c", "exit 7"], 7),
        (["--", "true"], 0),
        (["--", "sh", "-c", "kill -KILL $$"], -signal.SIGKILL),
        (["--", "sh", "-c", "kill -ABRT $$"], -signal.SIGABRT),
        (["--", "/no/such/program"], 127),
        (["--", "/etc/passwd"], 126),
        (["--namespace", "--", "/no/such/program"], 127),
        (["--namespace", "--", "/etc/passwd"], 126),
        (["--namespace", "--", "sh", "-c", "exit 9"], 9),
        (["--namespace", "--", "sh", "-c", "kill -ABRT $$"], -signal.SIGABRT),
        ([], 64),
        (["--"], 64),
        (["fi_info"], 64),
        (["--devices", "x", "--", "true"], 64),
        (["--devices", "33", "--", "true"], 2),
        (["--instance-type", "p9", "--", "true"], 2),
        (["--fault", "0:loss=2", "--", "true"], 2),
        (["--fault", "4:dead", "--", "true"], 2),
        (["--without", "nothing", "--", "true"], 64),
        (["--print-environment"], 64),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_exit_statuses(arguments: list[str], status: int) -> None:
    if "--namespace" in arguments:
        require_namespace()
    done = cli(*arguments)
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    assert bool(done.stderr) == (status in (2, 64, 126, 127))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1])
def test_signals_are_passed_on(number: signal.Signals) -> None:
    code = (
        "import signal, sys\n"
        f"signal.signal({int(number)}, lambda *_: sys.exit(33))\n"
        "print('up', flush=True)\n"
        "while True: signal.pause()\n"
    )
    with subprocess.Popen(
        [*COMMAND, "--", sys.executable, "-c", code], stdout=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "up\n"
        running.send_signal(number)
        assert running.wait(LIMIT_S) == 33


def test_the_environment_of_a_tree_can_be_printed(tmp_path: Path) -> None:
    done = cli("--devices", "2", "--tree", str(tmp_path / "t"), "--print-environment")
    assert done.returncode == 0, done.stderr
    environ = dict(line.split("=", 1) for line in done.stdout.splitlines())
    info = subprocess.run(
        ["fi_info", "-p", "efa"],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=True,
    )
    assert len(listed(info.stdout)) == 2


# Namespaces.


_LOOK = """
import os, stat
uverbs = sorted(os.listdir("/dev/infiniband"))
print(uverbs, all(stat.S_ISCHR(os.stat(f"/dev/infiniband/{n}").st_mode) for n in uverbs))
print(sorted(os.listdir("/sys/class/infiniband")))
nets = os.listdir("/sys/class/net")
print("lo" in nets, [n for n in nets if not os.path.exists(f"/sys/class/net/{n}")])
print(open("/sys/class/dmi/id/product_name").read().strip(), os.environ["SYSFS_PATH"])
for path in ("/dev/null", "/dev/shm", "/dev/fd/0", "/sys/devices/system/cpu", "/sys/fs/cgroup"):
    assert os.path.exists(path), path
with open("/dev/null", "w") as f: f.write("x")
"""


_SEEN = "['uverbs0', 'uverbs1'] True\n['rdmap67s0', 'rdmap68s0']\nTrue []\np5.48xlarge /sys\n"


def test_a_program_sees_the_tree_as_its_machine() -> None:
    require_namespace()
    with SoftEfa(devices=2, namespace=True) as host:
        for _ in range(2):
            done = run(host, sys.executable, "-S", "-c", _LOOK)
            assert (done.returncode, done.stdout) == (0, _SEEN), done.stderr
        root = host.root
    assert not Path("/dev/infiniband/uverbs1").exists()
    assert not root.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="the test above ran as another user than root")
def test_a_user_without_rights_sees_it_as_well() -> None:
    """In a user namespace. The system's Python, since another user may not read this one."""
    folder = Path(tempfile.mkdtemp(prefix="soft-efa-nobody-"))
    try:
        enter = shutil.copy(namespace.__file__.replace("namespace", "enter"), folder)
        with SoftEfa(devices=2, tree=folder / "tree") as host:
            for path in (folder, *folder.rglob("*")):
                os.chown(path, 65534, 65534, follow_symlinks=False)
            done = subprocess.run(
                [
                    "/usr/bin/python3",
                    "-I",
                    "-S",
                    enter,
                    host.root,
                    "",
                    "python3",
                    "-S",
                    "-c",
                    _LOOK,
                ],
                env={"PATH": "/usr/bin:/bin"},
                user=65534,
                group=65534,
                extra_groups=[],
                capture_output=True,
                text=True,
                timeout=LIMIT_S,
                check=False,
                cwd="/",
            )
    finally:
        shutil.rmtree(folder)
    assert (done.returncode, done.stdout) == (0, _SEEN), done.stderr


@pytest.mark.parametrize("libfabric", LIBFABRICS)
def test_the_doctor_in_a_namespace(libfabric: str) -> None:
    require_namespace()
    with SoftEfa(devices=None, instance_type="p4d.24xlarge", namespace=True) as host:
        done = run(host, sys.executable, "-m", "efa_sdk.doctor", "--json")
    report = fabric.DoctorReport.from_json(done.stdout)
    assert (report.verdict, report.exit_code) == ("usable", 0), str(report)
    assert report.instance_type == "p4d.24xlarge"
    assert report.efa_devices == ["rdmap16s27", "rdmap32s27", "rdmap144s27", "rdmap160s27"]


def test_the_page_has_every_fault_and_no_other() -> None:
    page = (Path(__file__).parents[2] / "docs/soft-efa.md").read_text()
    section = page.split("\n## Faults\n")[1].split("\n## ")[0]
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", section, flags=re.MULTILINE))
    assert rows == {name: fault.meaning for name, fault in FAULTS.items()}
