"""The list of messages that no rule knows, from an invented checkout."""

from __future__ import annotations

import pathlib
import subprocess
import sys

import pytest

pytestmark = pytest.mark.unit

TOOL = pathlib.Path(__file__).resolve().parents[2] / "tools" / "unknown_messages.py"

PLUGIN = r"""
#define NCCL_OFI_WARN(fmt, ...) log(fmt)
int f(void) {
    NCCL_OFI_WARN("No eligible providers were found");
    if (a) {
        NCCL_OFI_WARN("The flux of %s is "
                  "%" PRIu64 " (not %d)", name(x), y, z);
        return -EINVAL;
    }
    NCCL_OFI_WARN("Calm notice of %p", p);
    other();
}
"""
NCCL = """
void g() {
  // WARN("in a comment");
  WARN("Nothing is left (%s)", "a)b");
  abort();
}
"""
LIBFABRIC = """
int h() {
    EFA_WARN(FI_LOG_CQ, "Odd thing: %d\\n", n);
    FI_WARN(&core_prov, FI_LOG_CORE, "Failed to initialize hmem iface %s: %s\\n", a, b);
    EFA_INFO(FI_LOG_CQ, "no warning");
}
"""


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(TOOL), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_messages_are_listed_worst_first(tmp_path: pathlib.Path) -> None:
    for name, text in (("plugin", PLUGIN), ("nccl", NCCL)):
        (tmp_path / name / "src").mkdir(parents=True)
        (tmp_path / name / "src" / "x.cc").write_text(text)
    efa = tmp_path / "libfabric" / "prov" / "efa" / "src"
    efa.mkdir(parents=True)
    (efa / "x.c").write_text(LIBFABRIC)
    roots = [f"--{name}={tmp_path / name}" for name in ("plugin", "nccl", "libfabric")]
    done = run(*roots)
    assert (done.returncode, done.stderr) == (0, "")
    assert "     1 plugin: known" in done.stdout
    assert "     2 plugin: unknown" in done.stdout
    assert "     1 libfabric: silent" in done.stdout
    assert "comment" not in done.stdout
    assert "No eligible" not in done.stdout
    order = [
        "aborts: 1",
        "nccl src/x.cc:4",
        "Nothing is left (something)",
        "fails: 1",
        "The flux of something is 3 (not 3)",
        "warns: 2",
        "Calm notice of 0x7f12",
        "Odd thing: 3",
        "passed over: 1",
    ]
    places = [done.stdout.index(text) for text in order]
    assert places == sorted(places), done.stdout


def test_a_checkout_must_be_given() -> None:
    assert run().returncode == 2
