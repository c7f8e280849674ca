"""libfabric's log from Python: every way in, what it reports, values."""

from __future__ import annotations

import doctest
import io
import pathlib
import pickle

import pytest
from efa_sdk import fabric_log

pytestmark = pytest.mark.unit

LOG = """\
hello
libfabric:7:1747438790::core:core:ofi_register_provider():526<info> registering provider: efa (204.0)
libfabric:7:1747438790::core:core:fi_getinfo_():1392<warn> fi_getinfo: provider efa output empty list
Libfabric EFA provider has encountered an internal error:
EFA internal error: (4112) Failure to post internal receive buffers
"""  # noqa: E501


def test_what_a_log_says() -> None:
    log = fabric_log.read_log(LOG)
    kinds = [(found.kind, found.subject, found.number) for found in log.fingerprints]
    assert kinds == [
        ("empty_list", "efa", None),
        ("internal_error", None, None),
        ("receive_buffers", None, 4112),
    ]
    assert log.fingerprints[1].is_fatal
    assert (log.lines, log.has_info, log.is_cut) == (2, True, False)
    assert log.registered == ["efa (204.0)"]
    (warning,) = log.warnings
    assert (warning.provider, warning.pid, warning.time_s) == ("core", 7, 1747438790)
    assert warning.text == "fi_getinfo: provider efa output empty list"
    assert "empty_list" in str(log)


def test_a_log_comes_in_many_ways(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "log"
    path.write_text(LOG)
    expected = fabric_log.read_log(LOG)
    lines = LOG.splitlines()
    for log in (
        path,
        str(path),
        LOG.encode(),
        bytearray(LOG.encode()),
        lines,
        [line.encode() for line in lines],
        io.StringIO(LOG),
    ):
        assert fabric_log.read_log(log) == expected, type(log)
    with pytest.raises(FileNotFoundError):
        fabric_log.read_log("/nowhere/fabric.log")
    for junk in (b"\xff\xfe\n\x00", "\ud800\n", b""):
        assert fabric_log.read_log(junk).lines == 0


def test_values_are_values() -> None:
    log = fabric_log.read_log(LOG)
    for value in (log, log.fingerprints[0], log.warnings[0]):
        again = pickle.loads(pickle.dumps(value))
        assert again == value
        assert hash(again) == hash(value)
        assert type(value).from_json(value.to_json()) == value


def test_the_examples_of_the_module() -> None:
    assert doctest.testmod(fabric_log).failed == 0
