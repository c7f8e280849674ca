"""The recipes of docs/survey.md: a step of a Slurm job, and an indexed Job of Kubernetes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import efa_sdk
import yaml
from efa_sdk import survey
from support import free_port

EXAMPLES = Path(__file__).parents[2] / "examples"

#: Two tasks on this machine; the job's own command is not one of Python's.
SRUN = """#!/bin/bash
while [[ $1 == --* ]]; do shift; done
[[ $1 == python ]] || { "$@"; exit; }
if [[ -n $SURVEY_ENDS_WITH ]]; then
    [[ -z $SURVEY_REPORT ]] || cp "$SURVEY_REPORT" "${@: -1}"
    exit "$SURVEY_ENDS_WITH"
fi
tasks=(); status=0
for rank in 0 1; do
    SLURM_PROCID=$rank SLURM_NTASKS=2 SLURMD_NODENAME=node-$rank "$@" & tasks+=($!)
done
for task in "${tasks[@]}"; do
    wait "$task" || { ended=$?; (( ended > status )) && status=$ended; }
done
exit "$status"
"""


def submit(folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs the job as Slurm would, with stand-ins for its commands."""
    commands = folder / "bin"
    commands.mkdir()
    for name, text in {"srun": SRUN, "scontrol": "#!/bin/sh\necho 127.0.0.1\n"}.items():
        (commands / name).write_text(text)
        (commands / name).chmod(0o755)
    path = f"{commands}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    return subprocess.run(
        ["bash", str(EXAMPLES / "survey_slurm.sh"), "echo", "trained"],
        env={
            **os.environ,
            "PATH": path,
            "SLURM_JOB_ID": "7",
            "SLURM_JOB_NODELIST": "node-[0-1]",
            "SLURM_SUBMIT_DIR": str(folder),
            "SURVEY_PORT": str(free_port()),
            "EXPECTED_GBPS": "0.001",
            "SURVEY_ENDS_WITH": "",
            "SURVEY_REPORT": "",
            **variables,
        },
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_a_healthy_cluster_trains(tmp_path: Path) -> None:
    done = submit(tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("trained\n")
    folder = tmp_path / "survey-7"
    assert [file.name for file in folder.iterdir()] == ["report.json"], "the token is gone"
    report = survey.SurveyReport.load(folder / "report.json")
    assert [node.name for node in report.nodes] == ["node-0", "node-1"]


def test_findings_are_said_and_nothing_trains(tmp_path: Path) -> None:
    plan = survey.SurveyPlan([survey.SurveyNode(f"node-{i}") for i in range(8)], "tcp")
    while (pairs := plan.next()) is not None:
        for low, high in pairs:
            gbps = 50.0 if 3 in (low, high) else 100.0
            sight = survey.PairSight.measured(20.0, gbps, gbps)
            plan.record((low, high), sight, sight)
    report = tmp_path / "bad.json"
    plan.report().save(report)
    done = submit(tmp_path, SURVEY_ENDS_WITH="1", SURVEY_REPORT=str(report))
    assert (done.returncode, "trained" in done.stdout) == (1, False)
    assert "scontrol update" in done.stderr
    assert "node-3" in done.stderr


def test_what_could_not_be_surveyed_trains_nothing(tmp_path: Path) -> None:
    done = submit(tmp_path, SURVEY_ENDS_WITH="2")
    assert (done.returncode, "trained" in done.stdout) == (2, False)
    assert "nothing is known of them" in done.stderr


def test_the_script_is_clean() -> None:
    subprocess.run(["shellcheck", EXAMPLES / "survey_slurm.sh"], check=True)


def test_the_job_is_what_the_survey_and_efa_need() -> None:
    text = (EXAMPLES / "survey_job.yaml").read_text(encoding="utf-8")
    assert efa_sdk.check(text).status == "clean"
    service, job = yaml.safe_load_all(text)
    spec = job["spec"]
    assert spec["completionMode"] == "Indexed"
    assert spec["completions"] == spec["parallelism"]
    (container,) = spec["template"]["spec"]["containers"]
    assert f"--world-size={spec['completions']}" in container["command"]
    # An indexed Job's pods are named for it and their index, below its service.
    address = f"--rendezvous={job['metadata']['name']}-0.{service['metadata']['name']}:7777"
    assert address in container["command"]
    assert spec["template"]["spec"]["subdomain"] == service["metadata"]["name"]
    assert service["spec"]["selector"].items() <= spec["template"]["metadata"]["labels"].items()
