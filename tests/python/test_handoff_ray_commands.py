"""The commands of a Ray cluster YAML, in bash as Ray wraps them, with harmless tools."""

from __future__ import annotations

import os
import pathlib
import subprocess

import efa_sdk as efa
import pytest
from ray_documents import prepared, put, worker_of
from support import DEADLINE_S, Cloud

pytest.importorskip("ray", reason="Ray is not installed")
yaml = pytest.importorskip("yaml", reason="Ray needs PyYAML")

#: What the commands call, each instead of the real one.
TOOLS = {
    "sudo": 'exec "$@"\n',
    "prlimit": 'echo "prlimit $*" >> ~/said\n',
    "ray": 'echo "ray $* ($$ of $PPID)" >> ~/said\n',
    # The bootstrap is not to run here.
    "bash": 'echo "bash $*" >> ~/said\n',
}
#: The package manager and the Python of each distribution.
DISTRIBUTIONS = {"Amazon Linux 2023": ("dnf", "python3.11"), "Ubuntu": ("apt-get", "python3")}
#: Makes the "virtual environment".
VENV = "mkdir -p ~/ray-env/bin; cp ~/python ~/ray-env/bin\n"
PYTHON = (
    'echo "python $* ($$ of $PPID)" >> ~/said\ncase "$*" in *doctor*) exit "${DOCTOR:-0}";; esac\n'
)


class Shell:
    """A home directory where Ray's commands run as Ray runs them, with harmless tools."""

    def __init__(self, home: pathlib.Path, distribution: str = "Amazon Linux 2023") -> None:
        self.home = home
        fakes = home / "fakes"
        fakes.mkdir(parents=True)
        manager, python = DISTRIBUTIONS[distribution]
        for name, text in {**TOOLS, manager: "exit 0\n", python: VENV}.items():
            put(fakes / name, f"#!/bin/sh\n{text}")
        put(home / "python", f"#!/bin/sh\n{PYTHON}")
        (home / ".bashrc").write_text('export PATH="$HOME/fakes:$PATH"\n')

    def run(self, command: str, **environment: str) -> int:
        """As Ray's updater does, after SSH; the exit status."""
        from ray.autoscaler._private.command_runner import _with_interactive

        line = " ".join(_with_interactive(f"export RAY_HEAD_IP=10.0.0.9; {command}"))
        done = subprocess.run(
            ["/bin/sh", "-c", line],
            env={"HOME": str(self.home), "PATH": os.environ["PATH"], **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )
        return done.returncode

    @property
    def said(self) -> list[str]:
        return (self.home / "said").read_text().splitlines()


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_the_commands_run_as_ray_runs_them(
    cloud: Cloud, tmp_path: pathlib.Path, distribution: str
) -> None:
    tricky = "echo \"it's\" '$HOME' `false` !! \\\n"
    plan = prepared(
        cloud, bootstrap=efa.Bootstrap(extra_script=tricky), instance_type="c5n.18xlarge"
    )
    document = yaml.safe_load(
        plan.to_ray_yaml(
            python_packages=["it's; exit 3"], efa_sdk="https://example.com/efa_sdk.whl"
        )
    )
    commands = worker_of(document)["worker_setup_commands"]
    assert commands[:2] == document["setup_commands"]
    shell = Shell(tmp_path / "home", distribution)
    assert [shell.run(command) for command in commands] == [0] * 5
    # The script arrives as the plan has it, whatever is in it.
    assert (shell.home / "efa-sdk-bootstrap.sh").read_text() == plan.user_data
    packages, bootstrap, doctor, limits, asked = shell.said
    assert packages.startswith(
        f"python -m pip install ray[default]=={efa.handoff.TESTED_RAY_VERSION} boto3"
    )
    assert "it's; exit 3" in packages
    assert bootstrap == f"bash {shell.home}/efa-sdk-bootstrap.sh"
    assert doctor.startswith("python -m pip install https://example.com/efa_sdk.whl")
    assert asked.startswith("python -m efa_sdk.doctor --wait")
    assert raised_for(limits, asked)
    # Without working EFA the setup ends with the doctor's status.
    assert shell.run(commands[-1], DOCTOR="1") == 1
    # A second time nothing is added to ~/.bashrc.
    before = (shell.home / ".bashrc").read_text()
    assert shell.run(commands[0]) == 0
    assert (shell.home / ".bashrc").read_text() == before


def raised_for(limits: str, process: str) -> bool:
    """Whether the limit was raised for the shell that a command ran in (or that became it)."""
    _, _, pid, limit = limits.split()
    assert limit == "--memlock=unlimited:unlimited"
    own, _, parent = process[process.rindex("(") + 1 : -1].split()
    return pid in (own, parent)


def test_ray_starts_with_locked_memory(cloud: Cloud, tmp_path: pathlib.Path) -> None:
    document = yaml.safe_load(
        prepared(cloud, "c5n.18xlarge").to_ray_yaml(efa_sdk="https://example.com/efa_sdk.whl")
    )
    shell = Shell(tmp_path / "home")
    assert [shell.run(c) for c in document["worker_start_ray_commands"]] == [0, 0]
    stopped, limits, started = shell.said
    assert stopped.startswith("ray stop")
    assert started.startswith("ray start --address=10.0.0.9:6379 ")
    assert raised_for(limits, started)
