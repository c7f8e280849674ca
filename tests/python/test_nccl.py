"""NCCL's log and environment from Python: every way in, values, the command, what Ray takes."""

from __future__ import annotations

import doctest
import io
import json
import pathlib
import pickle
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import efa_sdk
import pytest
from efa_sdk import errors, nccl
from hypothesis import given
from hypothesis import strategies as st

pytestmark = pytest.mark.unit

FIXTURES = pathlib.Path(__file__).resolve().parents[2] / "efa-fabric/src/nccl/log/fixtures"
GOOD = (FIXTURES / "plugin_1_16_nccl_2_27.log").read_text()
SOCKETS = (FIXTURES / "sockets_ray.log").read_text()


def test_a_log_comes_in_many_ways(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "log"
    path.write_text(SOCKETS)
    expected = nccl.read_log(path)
    assert (expected.verdict, expected.exit_code, expected.is_on_efa) == ("tcp_sockets", 2, False)
    lines = SOCKETS.splitlines()
    with path.open() as text, path.open("rb") as binary:
        for log in (
            str(path),
            SOCKETS,
            SOCKETS.encode(),
            bytearray(SOCKETS.encode()),
            lines,
            iter(lines),
            [line.encode() for line in lines],
            SOCKETS.splitlines(keepends=True),
            text,
            binary,
            io.StringIO(SOCKETS),
        ):
            assert nccl.read_log(log) == expected, type(log)


def test_what_a_report_says() -> None:
    report = nccl.read_log(GOOD, expected_nics=32)
    assert (report.verdict, report.exit_code, report.reason) == ("on_efa_degraded", 1, None)
    assert report.network.name == "Libfabric"
    assert (report.network.provider, report.network.fabric) == ("efa", "efa-direct")
    assert (report.network.nics_found, report.nics_expected) == (16, 32)
    assert (report.network.protocol, report.network.plugin_version) == ("RDMA", "1.16.0")
    assert (report.channels.gpudirect, report.channels.staged) == (2, 0)
    assert report.channels.gpudirect_channels == [0]
    (finding,) = report.findings
    assert (finding.cause, finding.severity, finding.rank_count) == ("nics_missing", "warning", 2)
    assert finding.cure
    assert finding.reference
    assert "16" in finding.message
    assert [str(rank) for rank in report.ranks] == ["rank 0 (gpu-1:40)", "rank 8 (gpu-2:41)"]
    assert [(host.host, host.ranks) for host in report.hosts] == [("gpu-1", 1), ("gpu-2", 1)]
    assert "devices    16 of 32 expected" in str(report)
    assert ">on_efa_degraded: " in report._repr_html_()


def test_why_not_efa() -> None:
    reason = nccl.read_log(SOCKETS).reason
    assert reason is not None
    assert reason.evidence is not None
    assert (reason.cause, reason.evidence.line) == ("plugin_not_found", 2)
    assert reason.explanation
    assert "LD_LIBRARY_PATH" in reason.cure
    assert reason.reference


def test_gpudirect_is_expected_or_not() -> None:
    staged = GOOD.replace("/GDRDMA", "")
    assert nccl.read_log(staged).findings[0].cause == "gpudirect_missing"
    assert nccl.read_log(staged, expect_gpudirect=False).verdict == "on_efa"


def test_the_instance_type_says_what_is_expected() -> None:
    staged = (FIXTURES / "cases/ac_g5_nogdr_healthy.log").read_text()
    for name, verdict, code in (
        (None, "on_efa", 0),
        ("g5.48xlarge", "on_efa", 0),
        ("p5.48xlarge", "on_efa_degraded", 1),
        ("p7.48xlarge", "on_efa", 0),
    ):
        report = nccl.read_log(staged, instance_type=name)
        assert (report.verdict, report.exit_code) == (verdict, code), name
    assert "type_unknown" in {
        finding.cause for finding in nccl.read_log(GOOD, instance_type="p7.48xlarge").findings
    }
    with pytest.raises(errors.CatalogError, match=r"p5\.48xlarge"):
        nccl.read_log(GOOD, instance_type="p5.48xlage")


def test_cases_of_public_reports_from_python() -> None:
    for path in sorted((FIXTURES / "cases").glob("*.log")):
        report = nccl.read_log(path)
        is_healthy = "healthy" in path.name
        assert (report.exit_code == 0) == is_healthy, path.name
        if not is_healthy:
            assert report.findings[0].severity == "failed", path.name
            assert report.findings[0].evidence is not None


def test_whose_lines_a_log_has() -> None:
    report = nccl.read_log(FIXTURES / "cases/w_nixl_healthy.log")
    (source,) = report.sources
    assert (source.source, source.title, source.lines) == ("nixl", "NIXL", 5)
    assert source.is_judged
    assert "EFA" in source.summary
    assert report.end == "not_seen"
    report = nccl.read_log(FIXTURES / "cases/am_watchdog_hang.log")
    assert (report.verdict, report.end) == ("job_failed", "failed")


def test_a_stream_can_be_cut_anywhere() -> None:
    whole = nccl.read_log(GOOD)
    log = nccl.NcclLog()
    assert log.report().verdict == "no_nccl_lines"
    data = GOOD.encode()
    for at in range(0, len(data), 13):
        log.feed(data[at : at + 13])
    assert log.report() == whole
    log.feed_line("gpu-1:40:90 [0] NCCL INFO Using network Socket")
    assert log.report().verdict == "mixed"


def test_threads_may_share_a_log() -> None:
    log = nccl.NcclLog()

    def feed(host: int) -> None:
        for _ in range(200):
            log.feed_line(f"n{host}:1:1 [0] NCCL INFO Using network Socket")

    threads = [threading.Thread(target=feed, args=(host,)) for host in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    report = log.report()
    assert (report.lines, len(report.hosts)) == (800, 4)


def test_a_long_log_takes_no_memory() -> None:
    def lines() -> Iterator[str]:
        for number in range(20_000):
            yield f"n:{number % 8 + 1}:1 [0] NCCL INFO Channel 00/0 : 0 -> 1 via NET/Socket/0"

    report = nccl.read_log(lines())
    assert (report.lines, report.channels.staged, len(report.ranks)) == (20_000, 20_000, 8)
    assert len(report.to_json()) < 20_000


def test_values_are_values() -> None:
    report = nccl.read_log(SOCKETS + GOOD, expected_nics=32)
    advice = nccl.advise_environment({"NCCL_PROTO": "simple"})
    values: list[Any] = [report, report.network, report.channels, report.ranks[0]]
    values += [report.hosts[0], report.findings[0], report.reason, advice, advice.notes[0]]
    values.append(report.reason.evidence if report.reason else None)
    for value in values:
        again = pickle.loads(pickle.dumps(value))
        assert again == value
        assert hash(again) == hash(value)
        assert type(value).from_json(value.to_json()) == value
        assert repr(value).startswith(f"<{type(value).__name__}")
        with pytest.raises(AttributeError):
            value.verdict = "on_efa"
    assert json.loads(report.to_json())["verdict"] == "mixed"


def test_what_cannot_be_read() -> None:
    with pytest.raises(FileNotFoundError):
        nccl.read_log("/nowhere/nccl.log")
    with pytest.raises(IsADirectoryError):
        nccl.read_log(pathlib.Path("/"))
    with pytest.raises(TypeError):
        nccl.read_log([1])  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        nccl.read_log(3)  # type: ignore[arg-type]
    with pytest.raises(errors.ArgumentValueError, match=r"^expected_nics is "):
        nccl.read_log(GOOD, expected_nics=-1)
    for junk in (b"\xff\xfe\n\x00", "\ud800\n", b"", "\n"):
        assert nccl.read_log(junk).verdict == "no_nccl_lines"


@given(st.binary(max_size=300))
def test_any_bytes_can_be_read(data: bytes) -> None:
    log = nccl.NcclLog(expected_nics=1)
    log.feed(data)
    assert str(log.report())


def command(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "efa_sdk.nccl", *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_command() -> None:
    for arguments, stdin, code, start in (
        (["-"], GOOD, 0, "on_efa: "),
        (["-", "--expected-nics", "32"], GOOD, 1, "on_efa_degraded: "),
        (["-", "--instance-type", "p5en.48xlarge"], GOOD, 0, "on_efa: "),
        (["-", "--instance-type", "p5.48xlarge"], GOOD, 1, "on_efa_degraded: "),
        (["-", "--no-gpudirect"], GOOD.replace("/GDRDMA", ""), 0, "on_efa: "),
        (["-"], SOCKETS, 2, "tcp_sockets: "),
        (["-"], "hello\n", 3, "no_nccl_lines: "),
        ([str(FIXTURES / "plugin_1_4_nccl_2_12.log")], "", 0, "on_efa: "),
    ):
        done = command(*arguments, stdin=stdin)
        assert (done.returncode, done.stderr) == (code, ""), done
        assert done.stdout.startswith(start)
    assert json.loads(command("-", "--json", stdin=SOCKETS).stdout)["verdict"] == "tcp_sockets"
    for arguments in (["/nowhere"], ["-", "--instance-type", "p5.huge"]):
        done = command(*arguments)
        assert (done.returncode, done.stdout) == (4, "")
        assert done.stderr.startswith("python -m efa_sdk.nccl: ")


def test_advice_on_an_environment() -> None:
    current = {
        "PATH": "/bin",
        "NCCL_DEBUG": "INFO",
        "NCCL_PROTO": "simple",
        "NCCL_SOCKET_IFNAME": "lo",
        "FI_EFA_MTU_SIZE": "9000",
        "LD_LIBRARY_PATH": "/usr/lib",
    }
    plugin = "/opt/amazon/ofi-nccl/lib/libnccl-net-ofi.so"
    advice = nccl.advise_environment(
        current, instance_type="p5.48xlarge", plugin_path=plugin, require_efa=True
    )
    assert advice.env_vars == {
        "FI_PROVIDER": "efa",
        "LD_LIBRARY_PATH": "/opt/amazon/ofi-nccl/lib:/usr/lib",
        "NCCL_NET": "AWS Libfabric",
        "NCCL_NET_PLUGIN": "ofi",
        "NCCL_SOCKET_IFNAME": "^lo,docker,veth",
    }
    assert advice.unset == ["FI_EFA_MTU_SIZE", "NCCL_PROTO"]
    assert advice.keep == ["NCCL_DEBUG"]
    assert {note.variable for note in advice.notes} == {*advice.env_vars, *advice.unset}
    assert all(note.why and note.reference for note in advice.notes)
    assert advice.unset_hint is not None
    assert "runtime_env" in advice.unset_hint
    after = advice.applied_to(current)
    assert nccl.advise_environment(after, plugin_path=plugin, require_efa=True).unset == []
    assert "unset NCCL_PROTO" in str(advice)
    assert advice._repr_html_().startswith("<pre ")


def test_advice_takes_this_process_and_the_catalog(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NCCL_ALGO", "Ring")
    assert "NCCL_ALGO" in nccl.advise_environment().unset
    # c5n.18xlarge has no RDMA, with which FI_EFA_USE_DEVICE_RDMA=1 would abort the process.
    old = {"plugin_version": "1.6.0", "libfabric_version": "1.17"}
    for name, expected in (("p4d.24xlarge", {"FI_EFA_USE_DEVICE_RDMA": "1"}), ("c5n.18xlarge", {})):
        advice = nccl.advise_environment({}, instance_type=name, **old)  # type: ignore[arg-type]
        assert advice.env_vars == {"FI_PROVIDER": "efa", **expected}, name
    assert nccl.advise_environment({}, efa_count=0).env_vars == {}
    with pytest.raises(errors.CatalogError):
        nccl.advise_environment({}, instance_type="p5.huge")


def test_advice_for_a_type_that_the_catalog_lacks_is_that_for_an_unknown_node() -> None:
    environment = {"NCCL_PROTO": "simple", "FI_EFA_USE_DEVICE_RDMA": "1"}
    tomorrow = nccl.advise_environment(environment, instance_type="p7.48xlarge")
    assert tomorrow.env_vars == nccl.advise_environment(environment).env_vars
    assert tomorrow.unset == nccl.advise_environment(environment).unset
    without = nccl.advise_environment({}, instance_type="t3.micro")
    assert without.env_vars == nccl.advise_environment({}, efa_count=0).env_vars


def test_ray_can_take_it() -> None:
    env_vars = nccl.advise_environment({}).env_vars
    runtime_env = {"env_vars": env_vars}
    assert json.loads(json.dumps(runtime_env)) == runtime_env
    assert all(isinstance(value, str) for value in env_vars.values())


def test_the_examples_of_the_module() -> None:
    assert efa_sdk.nccl is nccl
    assert doctest.testmod(nccl).failed == 0
