"""libfabric asked in a child process that is this Python: from plain Python, from spawned
processes, with standard descriptors closed, and with an environment that would end us."""

from __future__ import annotations

import json
import multiprocessing
import os
import pathlib
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from efa_sdk import _efa_sdk, errors, fabric

SECOND = os.environ.get("EFA_TEST_LIBFABRIC_2", "")
needs_second = pytest.mark.skipif(
    not SECOND, reason="EFA_TEST_LIBFABRIC_2 names no second libfabric"
)
DEADLINE_S = 120.0


def ask(**options: Any) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(_efa_sdk._fabric_ask(deadline_s=DEADLINE_S, **options))
    return answer


def outcome_into(queue: Any) -> None:
    queue.put(ask()["outcome"]["outcome"])


def test_the_child_entry_is_hidden() -> None:
    assert not any("_fabric" in name for name in fabric.__all__)
    with pytest.raises(RuntimeError, match="not started to ask"):
        _efa_sdk._fabric_child()


def test_plain_python() -> None:
    answer = ask(provider="tcp", environment={"FI_LOG_LEVEL": "warn"})
    library = fabric.Library()
    assert answer["outcome"] == {"outcome": "answered"}
    assert answer["library"]["path"] == library.path
    assert answer["mapped_libraries"] == [library.path]
    assert "tcp" in {provider["name"] for provider in answer["providers"]}
    assert answer["efa_infos"]
    assert answer["trials"][0]["found"] > 0
    assert answer["log"]["has_info"]
    assert answer["user_log_level"] == "warn"


@needs_second
def test_a_killer_environment_ends_the_child_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FI_EFA_MTU_SIZE", "9000")
    answer = ask(library=SECOND)
    assert answer["outcome"] == {
        "outcome": "aborted",
        "signal": signal.SIGABRT,
        "last_step": "providers",
    }
    (killer,) = [f for f in answer["log"]["fingerprints"] if f["kind"] == "deprecated_variable"]
    assert killer["subject"] == "FI_EFA_MTU_SIZE"
    assert ask(library=SECOND, environment={"FI_EFA_MTU_SIZE": None})["outcome"] == {
        "outcome": "answered"
    }


@needs_second
def test_libraries_of_the_caller_show() -> None:
    fabric.Library()
    answer = ask(library=SECOND)
    assert fabric.Library().path in answer["caller_libraries"]
    assert answer["mapped_libraries"] == [SECOND]


def test_spawned_processes_ask() -> None:
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=outcome_into, args=(queue,))
    process.start()
    assert queue.get(timeout=DEADLINE_S) == "answered"
    process.join(DEADLINE_S)
    assert process.exitcode == 0


def test_threads_ask() -> None:
    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(lambda _: ask()["outcome"]["outcome"], range(4)))
    assert outcomes == ["answered"] * 4


SCRIPT = """
import json, os, signal, sys
{before}
from efa_sdk import _efa_sdk
answer = json.loads(_efa_sdk._fabric_ask(deadline_s=120.0))
with open(sys.argv[1], "w") as file:
    file.write(answer["outcome"]["outcome"])
"""


@pytest.mark.parametrize(
    "before",
    [
        "os.close(0)",
        "os.close(1); os.close(2)",
        "os.close(0); os.close(1); os.close(2)",
        "signal.signal(signal.SIGCHLD, signal.SIG_IGN)",
        "signal.signal(signal.SIGPIPE, signal.SIG_DFL)",
        "os.chdir('/')",
        "sys.path.append('relative')",
        "os.environ['PYTHONPATH'] = '/no/such/place'",
        "os.environ['PYTHONHOME'] = '/no/such/place'",
    ],
)
def test_scripts_in_unusual_states_ask(before: str, tmp_path: pathlib.Path) -> None:
    result = tmp_path / "result"
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(before=before))
    # No main guard: a child that imported the script would start children without end.
    done = subprocess.run(
        [sys.executable, str(script), str(result)],
        timeout=DEADLINE_S,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert result.read_text() == "answered"


def test_a_python_without_executable_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "")
    with pytest.raises(errors.FabricError) as caught:
        ask()
    assert caught.value.code == "fabric.child_unusable"
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(errors.FabricError) as caught:
        ask()
    assert caught.value.code == "fabric.child_unusable"
    assert caught.value.context["status"] == "1"
