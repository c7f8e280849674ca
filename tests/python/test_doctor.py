"""The doctor from Python: the function, the coroutine, the command and its exit statuses.

What it decides is tested in efa-fabric/tests/doctor, branch by branch.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import pathlib
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable

import pytest
from efa_sdk import aio, fabric
from efa_sdk import doctor as command
from efa_sdk.errors import EfaError

SECOND = os.environ.get("EFA_TEST_LIBFABRIC_2", "")
needs_second = pytest.mark.skipif(
    not SECOND, reason="EFA_TEST_LIBFABRIC_2 names no second libfabric"
)
HAS_EFA = any(
    path.read_text().startswith("0xefa")
    for path in pathlib.Path("/sys/bus/pci/devices").glob("*/device")
)
without_efa = pytest.mark.skipif(HAS_EFA, reason="this machine has EFA")
LIMIT_S = 120


def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "efa_sdk.doctor", *arguments],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )


def write(root: pathlib.Path, files: dict[str, str]) -> None:
    for path, content in files.items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)


@pytest.fixture
def laptop(tmp_path: pathlib.Path) -> pathlib.Path:
    (tmp_path / "sys/bus/pci/devices").mkdir(parents=True, exist_ok=True)
    write(tmp_path, {"sys/class/dmi/id/sys_vendor": "LENOVO\n", "proc/modules": "i915 1 0 -\n"})
    return tmp_path


@pytest.fixture
def p5_4xlarge(tmp_path: pathlib.Path) -> pathlib.Path:
    """One EFA device, with all that it needs; made by hand, not recorded."""
    device = "sys/devices/pci0000:00/0000:00:06.0"
    ibdev = f"{device}/infiniband/rdmap0s6"
    libraries = "usr/lib/x86_64-linux-gnu"
    write(
        tmp_path,
        {
            "sys/class/dmi/id/sys_vendor": "Amazon EC2\n",
            "sys/class/dmi/id/product_name": "p5.4xlarge\n",
            "proc/modules": "efa 1 0 - Live 0x0\nib_uverbs 1 1 efa, Live 0x0\n",
            "sys/module/efa/version": "2.17.2g\n",
            "proc/self/limits": "Max locked memory     unlimited     unlimited     bytes\n",
            f"{device}/vendor": "0x1d0f\n",
            f"{device}/device": "0xefa1\n",
            f"{ibdev}/ports/1/state": "4: ACTIVE\n",
            "sys/class/infiniband_verbs/uverbs0/ibdev": "rdmap0s6\n",
            "dev/infiniband/uverbs0": "",
            "etc/libibverbs.d/efa.driver": "driver efa\n",
            f"{libraries}/libibverbs.so.1.14.60.0": "",
            f"{libraries}/libibverbs/libefa-rdmav59.so": "",
        },
    )
    (tmp_path / "sys/bus/pci/drivers/efa").mkdir(parents=True)
    (tmp_path / "sys/bus/pci/devices").mkdir(parents=True, exist_ok=True)
    (tmp_path / "sys/class/infiniband").mkdir(parents=True)
    (tmp_path / "sys/bus/pci/devices/0000:00:06.0").symlink_to(f"../../../../{device}")
    (tmp_path / device / "driver").symlink_to("../../../bus/pci/drivers/efa")
    (tmp_path / ibdev / "device").symlink_to("../../../0000:00:06.0")
    (tmp_path / "sys/class/infiniband/rdmap0s6").symlink_to(f"../../../{ibdev}")
    return tmp_path


@without_efa
def test_this_machine_has_no_efa() -> None:
    report = fabric.doctor()
    assert report.verdict in {"not_usable", "no_efa_by_design"}
    assert (report.exit_code, report.healthy) == (1, False)
    assert report.cause == ("pci.devices" if report.verdict == "not_usable" else None)
    assert (report.reason is None) == (report.verdict == "not_usable")
    assert report.efa_devices == []
    found = report.finding("libfabric.found")
    assert found is not None
    assert found.status == "ok"
    assert report.library_path is not None
    assert pathlib.Path(report.library_path).exists()
    assert (report.library_version or "none") in found.title
    assert report.finding("no.check") is None


def test_every_check_is_in_the_report_once() -> None:
    ids = [id for id, question in fabric.doctor_checks() if question.endswith((")", "?"))]
    report = fabric.doctor()
    assert sorted(f.id for f in report.findings) == sorted(ids)
    assert len(set(ids)) == len(ids) > 30


def test_values_are_frozen_hashable_picklable_and_json() -> None:
    report = fabric.doctor()
    for value in (report, report.findings[0]):
        kind = type(value)
        same = pickle.loads(pickle.dumps(value))
        assert same == value == kind.from_json(value.to_json())
        assert hash(same) == hash(value)
        assert json.loads(value.to_json())
        with pytest.raises(AttributeError):
            value.status = "ok"  # type: ignore[misc, union-attr]
    with pytest.raises(ValueError, match="JSON"):
        fabric.DoctorReport.from_json("{}")


def test_text_and_html(p5_4xlarge: pathlib.Path) -> None:
    (p5_4xlarge / "proc/modules").write_text("ib_uverbs 1 0 - Live 0x0\n")
    for path in ("sys/class/infiniband/rdmap0s6", "sys/bus/pci/drivers/efa"):
        file = p5_4xlarge / path
        file.unlink() if file.is_symlink() else file.rmdir()
    for path in ("sys/module/efa/version", "dev/infiniband/uverbs0"):
        (p5_4xlarge / path).unlink()
    (p5_4xlarge / "sys/module/efa").rmdir()
    report = fabric.doctor(root=str(p5_4xlarge))
    assert (report.verdict, report.cause) == ("not_usable", "driver.module")
    lines = str(report).splitlines()
    assert lines[0] == "EFA is not usable: the kernel module efa is not loaded"
    assert lines[1].startswith("p5.4xlarge, ")
    assert lines[2].split()[:2] == ["failed", "driver.module"]
    worst = report.findings[0]
    assert str(worst) == "failed driver.module: the kernel module efa is not loaded"
    assert worst.cure is not None
    assert f"  cure      {worst.cure}" in lines
    assert ("/proc/modules, /sys/module/efa", "not there") in worst.evidence
    assert worst.reference is not None
    assert worst.reference.startswith("https://")
    html = report._repr_html_()
    assert "<code>driver.module</code>" in html
    assert "<script" not in html


def test_a_recorded_tree_leaves_libfabric_alone(
    p5_4xlarge: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FI_PROVIDER", "tcp")  # this process's, not the tree's
    report = fabric.doctor(root=str(p5_4xlarge))
    assert (report.verdict, report.exit_code) == ("unknown", 2), str(report)
    assert report.reason == "libfabric is not asked for a recorded tree"
    assert report.library_path is None
    assert report.efa_devices == ["rdmap0s6"]
    assert report.instance_type == "p5.4xlarge"


def test_no_efa_by_design(laptop: pathlib.Path) -> None:
    report = fabric.doctor(root=str(laptop))
    assert (report.verdict, report.exit_code) == ("no_efa_by_design", 1)
    assert report.reason == "it is not an EC2 instance, its maker is LENOVO"
    reported = fabric.doctor(root=str(laptop), instance_type="p5.48xlarge")
    assert (reported.verdict, reported.cause) == ("not_usable", "pci.devices")
    assert reported.instance_type == "p5.48xlarge"


def ec2(root: pathlib.Path, name: str) -> str:
    write(
        root,
        {
            "sys/class/dmi/id/sys_vendor": "Amazon EC2\n",
            "sys/class/dmi/id/product_name": f"{name}\n",
        },
    )
    return str(root)


@pytest.mark.parametrize(
    ("name", "verdict", "status"),
    [
        ("p7.48xlarge", "unknown", 2),
        ("trn4.96xlarge", "unknown", 2),
        ("c10gn.metal-48xl", "unknown", 2),
        ("t3.micro", "no_efa_by_design", 1),
        ("p5.48xlarge", "not_usable", 1),
    ],
)
def test_a_type_that_the_catalog_lacks_is_unknown(
    laptop: pathlib.Path, name: str, verdict: str, status: int
) -> None:
    report = fabric.doctor(root=ec2(laptop, name))
    assert (report.verdict, report.exit_code) == (verdict, status), str(report)
    report = fabric.doctor(root=str(laptop), instance_type=name)
    assert (report.verdict, report.exit_code) == (verdict, status), str(report)
    assert not report.healthy


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("p5.48xlage", "p5.48xlarge"),
        ("P5.48xlarge", "p5.48xlarge"),
        ("p5-48xlarge", "p5.48xlarge"),
        ("p5.84xlarge", "p5.48xlarge"),
        ("t3.mico", "t3.micro"),
        ("", "such as p5.48xlarge"),
    ],
)
def test_a_misspelt_type_is_an_error(
    name: str, meant: str, laptop: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(EfaError, match="instance type") as raised:
        fabric.doctor(root=str(laptop), instance_type=name)
    assert raised.value.code == "catalog.unknown_instance_type"
    with pytest.raises(SystemExit) as ended:
        command.main(["--root", str(laptop), "--instance-type", name])
    assert ended.value.code == 64
    assert meant in capsys.readouterr().err


def test_parts_that_are_not_recorded_are_not_missing(tmp_path: pathlib.Path) -> None:
    report = fabric.doctor(root=ec2(tmp_path, "p5.48xlarge"))
    assert (report.verdict, report.exit_code) == ("unknown", 2), str(report)
    finding = report.finding("pci.devices")
    assert finding is not None
    assert (finding.status, finding.title) == ("unknown", "not recorded: /sys/bus/pci/devices")
    assert "pci.devices" in str(report)


def test_the_environment_of_a_tree(
    p5_4xlarge: pathlib.Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    def status(name: str, **options: object) -> str:
        finding = fabric.doctor(root=str(p5_4xlarge), **options).finding(f"environment.{name}")  # type: ignore[arg-type]
        assert finding is not None
        return finding.status

    for name in ("killer", "fi_provider", "fi_efa_iface", "ineffective"):
        assert status(name) == "unknown"
    (p5_4xlarge / "proc/self/environ").write_bytes(b"FI_PROVIDER=tcp\0A=b\0")
    assert status("fi_provider") == "failed"
    assert status("killer") == "ok"
    # What is given goes first: a dictionary, or a file in either form.
    assert status("fi_provider", environment={"FI_PROVIDER": "efa"}) == "ok"
    file = tmp_path_factory.mktemp("environment") / "environ"
    for content in (b"FI_EFA_MTU_SIZE=9000\0", b"A=b\nFI_EFA_MTU_SIZE=9000\n"):
        file.write_bytes(content)
        assert status("killer", environment=str(file)) == "failed"
    done = run("--root", str(p5_4xlarge), "--environment", str(file))
    assert done.returncode == 1
    assert done.stdout.startswith("EFA is not usable: FI_EFA_MTU_SIZE")
    file.write_text("nothing\n")
    with pytest.raises(ValueError, match="has no variables"):
        status("killer", environment=str(file))
    with pytest.raises(FileNotFoundError):
        status("killer", environment="/no/such/file")
    for path in (str(file), "/no/such/file"):
        with pytest.raises(SystemExit) as ended:
            command.main(["--root", str(p5_4xlarge), "--environment", path])
        assert ended.value.code == 64


def test_device_rdma_is_judged_by_the_type(p5_4xlarge: pathlib.Path) -> None:
    environment = {"FI_EFA_USE_DEVICE_RDMA": "1"}
    for name, status, exit_code in (
        ("c5n.18xlarge", "failed", 1),
        ("g5.48xlarge", "failed", 1),
        ("p5.4xlarge", "ok", 2),
        ("p7.48xlarge", "unknown", 2),
    ):
        root = ec2(p5_4xlarge, name)
        report = fabric.doctor(root=root, environment=environment)
        killer = report.finding("environment.killer")
        assert killer is not None
        assert (killer.status, report.exit_code) == (status, exit_code), str(report)


@needs_second
@pytest.mark.parametrize("name", ["FI_EFA_MTU_SIZE", "FI_EFA_RX_IOV_LIMIT"])
def test_a_killer_leaves_this_process_alive(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EFA_FABRIC_LIB", SECOND)
    monkeypatch.setenv(name, "4096")
    report = fabric.doctor()
    killer = report.finding("environment.killer")
    assert killer is not None
    assert killer.status == "failed"
    assert killer.cure == f"unset {name}"
    assert ("child process", "ended by SIGABRT") in killer.evidence
    assert any(name in text and "deprecated" in text for _, text in killer.evidence)


@needs_second
def test_a_misspelled_provider_is_quoted_from_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EFA_FABRIC_LIB", SECOND)
    monkeypatch.setenv("FI_PROVIDER", "efaa")
    finding = fabric.doctor().finding("environment.fi_provider")
    assert finding is not None
    assert finding.status == "failed"
    assert [text for source, text in finding.evidence if source == "libfabric's log"]


def test_no_libfabric_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EFA_FABRIC_LIB", "/nowhere/libfabric.so.1")
    report = fabric.doctor()
    finding = report.finding("libfabric.found")
    assert finding is not None
    assert finding.status in {"info", "failed"}
    assert any("/nowhere/libfabric.so.1" in text for _, text in finding.evidence)


def test_without_an_interpreter_libfabric_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "")
    report = fabric.doctor()
    assert report.library_path is None
    finding = report.finding("libfabric.found")
    assert finding is not None
    assert (finding.status, finding.title) == ("unknown", "libfabric was not asked")


@pytest.mark.parametrize("deadline_s", [-1.0, float("nan"), float("inf")])
def test_a_deadline_that_is_none(deadline_s: float) -> None:
    with pytest.raises(ValueError, match="deadline_s"):
        fabric.doctor(deadline_s=deadline_s)


async def test_the_coroutine_says_the_same(laptop: pathlib.Path) -> None:
    assert await aio.fabric.doctor(root=str(laptop)) == fabric.doctor(root=str(laptop))
    both = await asyncio.gather(aio.fabric.doctor(), aio.fabric.doctor())
    assert both[0].verdict == both[1].verdict


async def test_the_coroutine_can_be_cancelled() -> None:
    waiting = asyncio.create_task(
        aio.fabric.doctor(instance_type="p5.48xlarge", wait_for_devices=True)
    )
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


def test_both_have_one_signature() -> None:
    def parameters(function: Callable[..., object]) -> list[tuple[str, object, object]]:
        found = inspect.signature(function).parameters.values()
        return [(p.name, p.kind, p.default) for p in found]

    assert parameters(aio.fabric.doctor) == parameters(fabric.doctor)
    assert all(kind is inspect.Parameter.KEYWORD_ONLY for _, kind, _ in parameters(fabric.doctor))


@without_efa
def test_the_command_on_this_machine() -> None:
    done = run()
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.startswith(("EFA is not usable", "no EFA on this machine"))
    done = run("--json")
    assert (done.returncode, done.stderr) == (1, "")
    assert json.loads(done.stdout)["verdict"]["kind"] in {"not_usable", "no_efa_by_design"}
    assert fabric.DoctorReport.from_json(done.stdout).exit_code == 1


@needs_second
def test_the_command_survives_a_killer() -> None:
    done = run("--json", EFA_FABRIC_LIB=SECOND, FI_EFA_MTU_SIZE="")
    assert (done.returncode, done.stderr) == (1, "")
    statuses = {f["id"]: f["status"] for f in json.loads(done.stdout)["findings"]}
    assert statuses["environment.killer"] == "failed"


def test_exit_statuses_for_trees(p5_4xlarge: pathlib.Path, laptop: pathlib.Path) -> None:
    assert run("--root", str(p5_4xlarge)).returncode == 2
    (p5_4xlarge / "proc/self/limits").write_text("Max locked memory  65536  65536  bytes\n")
    done = run("--root", str(p5_4xlarge))
    assert done.returncode == 1
    assert "limits.memlock" in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["--no-such-option"],
        ["a-word"],
        ["--root"],
        ["--root", "/no/such/directory"],
        ["--root", "/etc/passwd"],
        ["--deadline", "0"],
        ["--deadline", "nan"],
        ["--deadline", "soon"],
        ["--instance-type", "p5.48xlage"],
        ["--environment", "/no/such/file"],
        ["--environment", "/dev/null"],
    ],
    ids=" ".join,
)
def test_wrong_arguments(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(arguments)
    assert ended.value.code == 64
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("usage: python -m efa_sdk.doctor")


def test_strict_makes_warnings_count(monkeypatch: pytest.MonkeyPatch) -> None:
    class Report:
        exit_code = 0
        healthy = False

    monkeypatch.setattr(fabric, "doctor", lambda **_options: Report())
    assert command.main([]) == 0
    assert command.main(["--strict"]) == 1
    monkeypatch.setattr(Report, "healthy", True)
    assert command.main(["--strict"]) == 0


def test_a_reader_that_leaves_early() -> None:
    done = subprocess.run(
        ["bash", "-c", f'"{sys.executable}" -m efa_sdk.doctor | true; echo "${{PIPESTATUS[0]}}"'],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=True,
    )
    assert done.stderr == ""
    assert done.stdout.strip() in {"0", "1", "2"}


@without_efa
def test_ctrl_c_ends_the_command_without_a_traceback() -> None:
    script = (
        "import sys\n"
        "from efa_sdk import doctor, fabric\n"
        "real = fabric.doctor\n"
        "def announced(**options):\n"
        "    print('started', flush=True)\n"
        "    return real(**options)\n"
        "fabric.doctor = announced\n"
        "sys.exit(doctor.main(['--wait', '--instance-type', 'p5.48xlarge']))\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=LIMIT_S)
    assert (process.returncode, out, err) == (130, "", "")
