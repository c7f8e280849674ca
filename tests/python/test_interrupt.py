"""Ctrl-C, threads, forks and callbacks while a blocking call is under way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import efa_sdk as efa
import pytest
from support import DEADLINE_S, Cloud, Gate, run_python

APPLY = """
import json, sys
import efa_sdk as efa

plan, endpoint_url = sys.argv[1:]
client = efa.Client(region="us-east-1", endpoint_url=endpoint_url)
print("ready", flush=True)
try:
    client.apply(efa.Plan.from_json(plan))
    print("finished", flush=True)
except KeyboardInterrupt:
    print("interrupted", flush=True)
    print(len(client.describe("train")) if sys.stdin.readline() == "look\\n" else "", flush=True)
"""


def start(code: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd="/",
    )


@pytest.fixture
def child(cloud: Cloud) -> Iterator[list[subprocess.Popen[str]]]:
    """Children of the test, ended with it."""
    children: list[subprocess.Popen[str]] = []
    yield children
    for process in children:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("held", "after"),
    [("DescribeInstances", "RunInstances"), ("RunInstances", None), ("CreateSecurityGroup", None)],
)
def test_ctrl_c_stops_a_blocking_apply(
    cloud: Cloud, child: list[subprocess.Popen[str]], held: str, after: str | None
) -> None:
    plan = cloud.plan()
    with Gate(cloud.stand_in, held, after=after) as gate:
        process = start(APPLY, plan.to_json(), gate.endpoint_url)
        child.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n", process.communicate()[1]
        assert gate.reached.wait(DEADLINE_S)
        process.send_signal(signal.SIGINT)
        # The request is still held back: only an interrupted call gets past this line.
        assert process.stdout.readline() == "interrupted\n"
        assert not gate.opened.is_set()
        gate.opened.set()
        out, err = process.communicate("look\n" if after else "\n", timeout=DEADLINE_S)
    assert process.returncode == 0, err
    assert out.strip() == ("2" if after else ""), "the client still works after Ctrl-C"
    cluster = cloud.client.apply(plan)
    assert len(cluster) == len(cloud.instances()) == 2, "apply again finishes it"
    cloud.client.destroy("train")
    assert cloud.tagged() == set()


def test_ctrl_c_that_nobody_catches_ends_the_process(
    cloud: Cloud, child: list[subprocess.Popen[str]]
) -> None:
    code = APPLY.replace("except KeyboardInterrupt", "except ZeroDivisionError")
    with Gate(cloud.stand_in, "RunInstances") as gate:
        process = start(code, cloud.plan().to_json(), gate.endpoint_url)
        child.append(process)
        assert gate.reached.wait(DEADLINE_S)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == -signal.SIGINT
    assert err.rstrip().endswith("KeyboardInterrupt")
    assert "panic" not in err


def test_other_threads_run_during_a_blocking_call(cloud: Cloud) -> None:
    done: list[efa.Plan] = []
    with Gate(cloud.stand_in, "DescribeSubnets") as gate:
        client, spec = cloud.connect(endpoint_url=gate.endpoint_url), cloud.spec()
        call = threading.Thread(target=lambda: done.append(client.plan(spec)), daemon=True)
        call.start()
        assert gate.reached.wait(DEADLINE_S), "the gate itself is Python in this process"
        total = sum(range(100_000))
        assert call.is_alive()
        assert not done
        gate.opened.set()
        call.join(DEADLINE_S)
    assert total == 4_999_950_000
    assert [plan.name for plan in done] == ["train"]


def test_one_client_in_eight_threads(cloud: Cloud) -> None:
    specs = [cloud.spec(name=f"train-{n}") for n in range(8)]
    plans: dict[str, efa.Plan] = {}

    def plan(spec: efa.ClusterSpec) -> None:
        plans[spec.name] = cloud.client.plan(spec)

    threads = [threading.Thread(target=plan, args=(spec,), daemon=True) for spec in specs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_S)
    assert sorted(plans) == [spec.name for spec in specs]


FORK = """
import json, os, sys
import efa_sdk as efa

spec, endpoint_url, used_before = sys.argv[1:]
spec = efa.ClusterSpec.from_json(spec)
client = efa.Client(region="us-east-1", endpoint_url=endpoint_url)
if used_before == "yes":
    client.plan(spec)
read, write = os.pipe()
pid = os.fork()
if pid == 0:
    try:
        answer = [client.plan(spec).name]
    except BaseException as error:
        answer = [type(error).__name__, getattr(error, "code", ""), getattr(error, "cure", "")]
    os.write(write, json.dumps(answer).encode())
    os._exit(0)
os.close(write)
with os.fdopen(read) as pipe:
    print(pipe.read())
os.waitpid(pid, 0)
if used_before == "yes":
    print(client.plan(spec).name)
"""


def test_a_forked_child_is_refused_and_the_parent_goes_on(cloud: Cloud) -> None:
    done = run_python(FORK, cloud.spec().to_json(), cloud.stand_in.endpoint_url, "yes")
    assert done.returncode == 0, done.stderr
    child, parent = done.stdout.splitlines()
    name, code, cure = json.loads(child)
    assert (name, code) == ("BindingError", "python.forked")
    assert "spawn" in cure
    assert parent == "train"


def test_a_fork_before_the_first_use_is_fine(cloud: Cloud) -> None:
    done = run_python(FORK, cloud.spec().to_json(), cloud.stand_in.endpoint_url, "no")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[0]) == ["train"]


SPAWN = """
import multiprocessing, sys
import efa_sdk as efa


def main():
    spec, endpoint_url = sys.argv[1:]
    spec = efa.ClusterSpec.from_json(spec)
    client = efa.Client(region="us-east-1", endpoint_url=endpoint_url)
    here = client.plan(spec)
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        there = pool.apply(plan_there, (spec, endpoint_url))
    print(here == there)


def plan_there(spec, endpoint_url):
    return efa.Client(region="us-east-1", endpoint_url=endpoint_url).plan(spec)


if __name__ == "__main__":
    main()
"""


def test_a_spawned_child_works(cloud: Cloud, tmp_path: Path) -> None:
    script = tmp_path / "spawn.py"
    script.write_text(SPAWN)
    done = subprocess.run(
        [sys.executable, str(script), cloud.spec().to_json(), cloud.stand_in.endpoint_url],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
        env=dict(os.environ),
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "True"


def test_events_report_what_happens(cloud: Cloud) -> None:
    events: list[efa.Event] = []
    client = cloud.connect(progress=events.append)
    plan = cloud.plan()
    client.apply(plan)
    made = [(e.action, e.resource_type) for e in events if e.action != "waiting for"]
    assert made == [
        ("created", "security-group"),
        ("changed", "security-group"),
        ("changed", "security-group"),
        ("created", "placement-group"),
        ("created", "instance"),
        ("created", "instance"),
    ]
    waits = [e for e in events if e.action == "waiting for"]
    assert waits
    assert waits[0].detail == "0 of 2 running"
    events.clear()
    client.apply(plan)
    assert {e.action for e in events} == {"found", "waiting for"}
    assert [(e.done, e.total) for e in events if e.action == "waiting for"] == [(2, 2)]
    assert all(str(e) and e.id for e in events)


def test_a_callback_that_raises_does_not_break_apply(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    reported: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", reported.append)

    def callback(event: efa.Event) -> None:
        raise RuntimeError(f"no: {event.resource_type}")

    cluster = cloud.connect(progress=callback).apply(cloud.plan())
    assert len(cluster) == 2
    assert cloud.client.verify("train").is_as_planned
    assert len(reported) >= 5
    assert {type(r.exc_value) for r in reported} == {RuntimeError}


def test_a_blocking_call_within_a_callback_is_refused(cloud: Cloud) -> None:
    caught: list[efa.EfaError] = []

    def callback(event: efa.Event) -> None:
        for used in (cloud.client, client):
            try:
                used.describe("train")
            except efa.EfaError as error:
                caught.append(error)

    client = cloud.connect(progress=callback)
    assert len(client.apply(cloud.plan())) == 2
    assert len(caught) >= 10
    assert {type(error) for error in caught} == {efa.errors.BindingError}
    assert {error.code for error in caught} == {"python.nested_call"}
    assert all(error.cure for error in caught)


def test_ctrl_c_in_the_progress_callback_stops_the_call(cloud: Cloud) -> None:
    """The callback is where Python code runs during a call, so that is where Ctrl-C arrives."""
    made: list[str] = []

    def press(event: efa.Event) -> None:
        made.append(event.resource_type)
        if event.action == "created" and event.resource_type == "security-group":
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        cloud.connect(progress=press).apply(cloud.plan())
    assert "security-group" in made
    cloud.client.destroy("train")
    assert cloud.made() == set()


CANCELLED_AT_EXIT = """
import asyncio
import sys
from efa_sdk import aio, fabric

async def main():
    options = fabric.ProbeOptions("tcp", sizes=[64, 65536], size_budget_s=5)
    probe = asyncio.ensure_future(aio.fabric.loopback(options))
    await asyncio.sleep(float(sys.argv[1]))
    probe.cancel()

asyncio.run(main())
"""


def test_a_process_that_ends_right_after_a_cancelled_probe() -> None:
    for tenths in range(1, 11):
        done = run_python(CANCELLED_AT_EXIT, str(tenths / 10))
        assert done.returncode == 0, done.stderr


AFTER_THE_LAST_PROBE = """
from efa_sdk import _efa_sdk, fabric

fabric.loopback("tcp")
_efa_sdk._stop_calls()
try:
    fabric.loopback("tcp")
except RuntimeError as error:
    print(error)
"""


def test_no_probe_begins_while_the_process_ends() -> None:
    done = run_python(AFTER_THE_LAST_PROBE)
    assert (done.returncode, done.stdout) == (0, "this process is ending\n"), done.stderr
