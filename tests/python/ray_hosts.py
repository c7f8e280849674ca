"""A Ray cluster on `hosts.Hosts`, and surveys of it by a driver on its head."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, NamedTuple

from efa_sdk.survey import SurveyReport
from hosts import Hosts, wait_until

#: The host of Ray's head, and of the driver.
HEAD = 0
_PORT = 6379
_START_S = 120.0

#: What else runs on this machine is not what a survey is to find.
PRIORITY = ("nice", "-n", "-20")

#: No usage reports, no token in the home directory. A node is dead that did not answer for
#: three checks: soon enough to be replaced, and late enough for a machine that is busy.
_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_USAGE_STATS_REPORT_URL": "http://127.0.0.1:9/",
    "RAY_AUTH_MODE": "disabled",
    "RAY_health_check_initial_delay_ms": "2000",
    "RAY_health_check_period_ms": "2000",
    "RAY_health_check_timeout_ms": "5000",
    "RAY_health_check_failure_threshold": "3",
    "RAY_enable_metrics_collection": "0",
    # By default workers give way to everything else (15).
    "RAY_worker_niceness": "0",
}

_DRIVER = """
import json, sys, time
address, own, options = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
import ray, efa_sdk
ray.init(address=address, _node_ip_address=own, log_to_driver=False, logging_level="warning")
alive, limits = options.pop("alive"), options.pop("thresholds", None)
if limits is not None:
    thresholds = efa_sdk.survey.SurveyThresholds(**limits)
    options["options"] = efa_sdk.survey.SurveyOptions(thresholds=thresholds)
end = time.monotonic() + 120
while (count := sum(node["Alive"] for node in ray.nodes())) != alive:
    if time.monotonic() > end:
        sys.exit(f"{count} nodes are alive, not {alive}")
    time.sleep(0.2)
def tell(state):
    print("round", state.rounds, flush=True)
began = time.monotonic()
print("begin", flush=True)
report = efa_sdk.ray.survey(progress=tell, **options)
print("end", time.monotonic() - began, report.to_json(), flush=True)
"""


class Surveyed(NamedTuple):
    """What came of a survey."""

    report: SurveyReport
    #: What the driver waited for it.
    seconds: float


class RayHosts:
    """One Ray node per host. A context manager: afterwards nothing of it runs."""

    def __init__(self, hosts: Hosts, folder: pathlib.Path) -> None:
        self._hosts = hosts
        #: Short, for the paths of sockets in it.
        self._folder = folder
        self._starts = 0

    def __enter__(self) -> RayHosts:
        self.start(HEAD)
        for number in range(self._hosts.count):
            if number != HEAD:
                self.start(number)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number in range(self._hosts.count):
            self.end(number)

    def start(self, number: int) -> None:
        """Starts a node; the head is waited for."""
        self._starts += 1
        own = self._hosts.addresses[number]
        folder = self._folder / f"{self._starts}"
        folder.mkdir()
        command = [*PRIORITY, sys.executable, "-m", "ray.scripts.scripts", "start", "--block"]
        command += ["--num-cpus=1", "--object-store-memory=80000000", "--disable-usage-stats"]
        command += [f"--node-ip-address={own}", f"--temp-dir={folder}"]
        if number == HEAD:
            command += ["--head", f"--port={_PORT}", "--include-dashboard=false"]
        else:
            command += [f"--address={self.address}"]
        log = (folder / "start.log").open("w")
        with log:
            self._hosts.start(
                number,
                command,
                env=os.environ | _ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        if number == HEAD:
            self._wait_for_port(folder / "start.log")

    @property
    def address(self) -> str:
        return f"{self._hosts.addresses[HEAD]}:{_PORT}"

    def end(self, number: int) -> None:
        """Kills the node of a host, whatever state it is in."""
        self._hosts.signal(number, signal.SIGKILL)
        wait_until(lambda: not self._hosts.processes(number), "a killed host is empty")

    def mend(self) -> None:
        """Starts the nodes anew that are not there any more."""
        for number in range(self._hosts.count):
            lines = self._hosts.processes(number).values()
            if not any(" start --block " in line for line in lines):
                self.end(number)
                self.start(number)

    def actors(self) -> dict[str, list[str]]:
        """Actors and drivers of surveys, by host."""
        found = {}
        for number, name in enumerate(self._hosts.names):
            lines = self._hosts.processes(number).values()
            if actors := [line for line in lines if "ray::_Node" in line or "efa_sdk" in line]:
                found[name] = actors
        return found

    def survey(
        self,
        options: Mapping[str, Any],
        *,
        alive: int | None = None,
        after_round: Callable[[int], object] | None = None,
    ) -> Surveyed:
        """Runs a driver on the head that surveys this many nodes."""
        asked = {**options, "alive": self._hosts.count if alive is None else alive}
        own = self._hosts.addresses[HEAD]
        command = [*PRIORITY, sys.executable, "-c", _DRIVER, self.address, own, json.dumps(asked)]
        with (self._folder / "driver.log").open("w+") as log:
            driver = self._hosts.start(
                HEAD,
                command,
                env=os.environ | _ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
            )
            assert driver.stdout is not None
            limit = threading.Timer(_START_S + 300, driver.kill)
            limit.start()
            try:
                for line in driver.stdout:
                    word, _, rest = line.partition(" ")
                    if word == "round" and after_round is not None:
                        after_round(int(rest))
                    elif word == "end":
                        seconds, _, text = rest.partition(" ")
                        return Surveyed(SurveyReport.from_json(text), float(seconds))
            finally:
                limit.cancel()
                driver.wait(60)
                driver.stdout.close()
            log.seek(0)
            raise RuntimeError(f"the driver ended early: {log.read()[-4000:]}")

    def _wait_for_port(self, log: pathlib.Path) -> None:
        code = f"import socket; socket.create_connection({self.address.split(':')!r}, 1)"
        command = self._hosts.command(HEAD, [sys.executable, "-S", "-c", code])

        def answers() -> bool:
            return subprocess.run(command, capture_output=True, timeout=60).returncode == 0

        try:
            wait_until(answers, "Ray's head answers", _START_S)
        except TimeoutError as error:
            raise TimeoutError(log.read_text()[-4000:]) from error
