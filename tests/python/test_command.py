"""The command ``efa-sdk``: every verb, its exit status, wrong usage, Ctrl-C, completion."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import efa_sdk as efa
import pytest
from efa_sdk import __main__ as command
from efa_sdk.command_line import INTERRUPTED, NOT_WRITTEN, WRONG_USAGE
from support import Cloud

DOCS = Path(__file__).parents[2] / "docs/command.md"


def status_of(argv: Sequence[str]) -> int:
    """Of the command, where it ends itself, too."""
    try:
        return command.main(argv)
    except SystemExit as ended:
        return int(ended.code or 0)


def options_of(verb: str) -> list[argparse.Action]:
    """Those that take a value."""
    module = command.VERBS[verb].module
    if module is None:
        verbs = next(a for a in command.parser()._actions if isinstance(a.choices, dict))
        parser = dict(verbs.choices or {})[verb]
    else:
        parser = importlib.import_module(module).parser("efa-sdk")
    found: list[argparse.Action] = parser._actions
    return [action for action in found if action.option_strings and action.nargs != 0]


@pytest.mark.unit
class TestWithoutEc2:
    def test_types(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert status_of(["types", "p5.4*", "c5n.18xlarge"]) == 0
        found = efa.Catalog.bundled().find(name=["p5.4*", "c5n.18xlarge"])
        printed = capsys.readouterr()
        assert printed.out.strip() == str(efa.instance_type_table(found)).strip()
        assert printed.err == ""
        assert status_of(["types", "--json", "p5.48xlarge"]) == 0
        (p5,) = json.loads(capsys.readouterr().out)
        assert efa.InstanceType.from_json(json.dumps(p5)).maximum_efa_interfaces == 32
        assert status_of(["types", ""]) == 2

    def test_a_stand_in_without_its_packages_cannot_start(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delitem(sys.modules, "efa_sdk.testing.stand_in", raising=False)
        monkeypatch.setitem(sys.modules, "moto", None)
        monkeypatch.setitem(sys.modules, "moto.core.models", None)
        assert status_of(["stand-in"]) == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        assert printed.err.startswith("efa-sdk stand-in: ")
        assert "efa_sdk.testing.StandIn needs moto and its server" in printed.err
        assert "pip install 'moto[" in printed.err
        assert "Traceback" not in printed.err

    def test_the_date_of_the_types(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        dated = f"types of {efa.Catalog.bundled().source['date']}: --region asks"
        assert status_of(["types", "nothing*"]) == 1
        assert dated in capsys.readouterr().err
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        assert status_of(["types", "p5.48xlarge"]) == 0
        assert dated in capsys.readouterr().err

    def test_layout(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert status_of(["layout", "p5.48xlarge"]) == 0
        assert "0:0=interface 0:1=efa-only 1-31:0=efa-only" in capsys.readouterr().out
        assert status_of(["layout", "p5.48xlarge", "--efa", "4", "--json"]) == 0
        assert efa.Layout.from_json(capsys.readouterr().out).efa_count == 4
        assert status_of(["layout", "p5.48xlage"]) == 2
        assert "did you mean p5.48xlarge" in capsys.readouterr().err
        assert status_of(["layout", "p5.48xlarge", "--efa", "33"]) == 2

    @pytest.mark.parametrize("verb", command.VERBS)
    def test_wrong_usage_is_no_answer(self, verb: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert status_of([verb, "--bogus"]) == WRONG_USAGE
        printed = capsys.readouterr()
        assert (printed.out, "Traceback" in printed.err) == ("", False)
        assert printed.err.startswith("usage: efa-sdk")

    @pytest.mark.parametrize(
        "argv",
        [
            ["layout", "p5.48xlage"],
            ["types", "nothing*"],
            ["check", "/nowhere/launch.json"],
            ["nccl", "/nowhere/train.log"],
            ["nccl", "/dev/null", "--expected-nics", "-1"],
            ["soft-efa", "--devices", "33", "--", "true"],
            ["soft-efa", "--", "/nowhere/program"],
            ["stand-in", "--port", "70000"],
            ["doctor", "--deadline", "0"],
            ["doctor", "--environment", "/nowhere"],
            ["survey", "--bogus"],
        ],
        ids=" ".join,
    )
    def test_messages_begin_with_the_command(
        self, argv: list[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert status_of(argv) != 0
        lines = capsys.readouterr().err.splitlines()
        assert any(line.startswith(f"efa-sdk {argv[0]}: ") for line in lines), lines
        module = command.VERBS[argv[0]].module
        if module is None:
            return
        with contextlib.suppress(SystemExit):
            importlib.import_module(module).main(argv[1:])
        lines = capsys.readouterr().err.splitlines()
        name = module.removesuffix(".__main__")
        assert any(line.startswith(f"python -m {name}: ") for line in lines), lines

    @pytest.mark.parametrize(
        ("argv", "said"),
        [
            (["versify", "train"], "did you mean verify?"),
            (["layout", "p5.48xlarge", "--layout-profile", "save_ips"], "did you mean save-ips?"),
            (["layout", "p5.48xlarge", "--jsn"], "efa-sdk layout: unrecognized arguments: --jsn; "),
            (["nccl", "-", "--expected-nic=4"], "did you mean --expected-nics?"),
            (["types", "--", "--x"], "efa-sdk types: no instance type"),
            (["check", "/nowhere/x.json"], "check: /nowhere/x.json: No such file or directory"),
            (["check", sys.executable], f"check: {sys.executable}: not text in UTF-8"),
            (["nccl", "/tmp"], "nccl: /tmp: Is a directory"),
            (["doctor", "--environment", "/nowhere"], "doctor: /nowhere: No such file"),
        ],
        ids=str,
    )
    def test_messages_have_the_value_and_a_cure(
        self, argv: list[str], said: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert status_of(argv) != 0
        assert said in capsys.readouterr().err

    @pytest.mark.parametrize("argv", [[], ["bogus"], ["--bogus"], ["layout"], ["check"]])
    def test_no_verb(self, argv: list[str]) -> None:
        assert status_of(argv) == WRONG_USAGE

    @pytest.mark.parametrize("verb", command.VERBS)
    def test_help_says_the_exit_status(self, verb: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert status_of([verb, "--help"]) == 0
        printed = capsys.readouterr().out
        assert printed.startswith(f"usage: efa-sdk {verb}")
        if verb != "soft-efa":  # the status of the program
            assert re.search(r"[Ee]xit (status|code):\s+0", printed), printed

    @pytest.mark.parametrize("verb", command.VERBS)
    def test_help_says_the_default_and_the_unit_of_each_option(self, verb: str) -> None:
        for option in options_of(verb):
            said = option.help or ""
            name = option.option_strings[0]
            assert re.search("; |default|required|needed", said), f"{name}: {said}"
            if name.endswith("-s"):
                assert "second" in said, f"{name}: {said}"
            if name.endswith(("-bytes", "-gbps")):
                assert re.search("bytes|Gbit/s", said), f"{name}: {said}"

    def test_version(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert status_of(["--version"]) == 0
        assert capsys.readouterr().out == f"efa-sdk {efa.__version__}\n"

    def test_ctrl_c(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def pressed(_options: object) -> int:
            raise KeyboardInterrupt

        monkeypatch.setitem(command._OWN, "types", pressed)
        assert status_of(["types"]) == INTERRUPTED

    def test_a_reader_that_has_enough(self) -> None:
        done = subprocess.run(
            f"{sys.executable} -m efa_sdk types | head -1; exit ${{PIPESTATUS[0]}}",
            shell=True,
            executable="/bin/bash",
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert (done.returncode, done.stderr) == (0, "")

    @pytest.mark.parametrize("argv", [["types"], ["--version"], ["types", "--help"]])
    def test_an_answer_that_cannot_be_written(
        self,
        argv: list[str],
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        with open("/dev/full", "w") as full:
            monkeypatch.setattr(sys, "stdout", full)
            assert status_of(argv) == NOT_WRITTEN
        monkeypatch.setattr(sys, "stdout", None)
        assert status_of(argv) == 0
        said = capsys.readouterr().err
        assert said.startswith("efa-sdk: the answer cannot be written: No space left on device\n")

    def test_verbs_of_other_modules(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        log = tmp_path / "train.log"
        log.write_text("h:1:1 [0] NCCL INFO Using network Socket\n")
        assert status_of(["nccl", str(log)]) == 2
        assert capsys.readouterr().out.startswith("tcp_sockets")
        document = tmp_path / "launch.json"
        document.write_text(
            '{"InstanceType": "p5.48xlarge", "NetworkInterfaces": [{"InterfaceType": "efa-only"}]}'
        )
        assert status_of(["check", str(document)]) == 1
        assert status_of(["doctor", "--root", str(tmp_path)]) == 2

    def test_the_table_has_every_verb(self) -> None:
        first, second = DOCS.read_text(encoding="utf-8").split("## Exit statuses")
        for part in (first, second):
            rows = re.findall(r"^\| `([\w-]+)", part, re.MULTILINE)
            assert rows == list(command.VERBS)

    def test_completion(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert status_of(["--print-completion", "bash"]) == 0
        script = capsys.readouterr().out
        for word in (*command.VERBS, "--instance-type", "--expected-nics", "efa-only-secondary"):
            assert word in script
        subprocess.run(["bash", "-n"], input=script, text=True, check=True)

    def test_completion_without_its_package(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setitem(sys.modules, "shtab", None)
        assert status_of(["--print-completion", "zsh"]) == 2
        assert "pip install shtab" in capsys.readouterr().err

    def test_a_program_of_soft_efa_that_a_signal_ends(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        soft_efa = importlib.import_module("efa_sdk.testing.soft_efa.__main__")
        ended: list[int] = []
        monkeypatch.setattr(soft_efa, "main", lambda _argv, *, prog: -11)
        monkeypatch.setattr(soft_efa, "die", ended.append)
        command.main(["soft-efa", "--", "x"])
        assert ended == [11]


class TestOnTheStandIn:
    def run(self, cloud: Cloud, verb: str, *more: str) -> int:
        at = ["--endpoint-url", cloud.stand_in.endpoint_url, "--region", cloud.network.region]
        return status_of([verb, *more, *at])

    def test_clusters(
        self,
        cloud: Cloud,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        for name, value in cloud.stand_in.environ.items():
            monkeypatch.setenv(name, value)
        assert self.run(cloud, "clusters") == 0
        assert capsys.readouterr().out == "no cluster\n"
        assert self.run(cloud, "verify", "train") == 2
        assert "train" in capsys.readouterr().err
        cluster = cloud.apply()
        assert self.run(cloud, "clusters", "--json") == 0
        (shown,) = json.loads(capsys.readouterr().out)
        assert shown["name"] == "train"
        assert self.run(cloud, "verify", "train") == 0
        assert capsys.readouterr().out.strip() == str(cloud.client.verify("train")).strip()
        cloud.ec2.terminate_instances(InstanceIds=[cluster.instances[0].instance_id])
        assert self.run(cloud, "verify", "train") == 1

        answers = iter(["", "n", "Y"])
        monkeypatch.setattr("builtins.input", lambda _question: next(answers))
        for _ in range(2):
            assert self.run(cloud, "destroy", "train") == 1
        assert "nothing was destroyed" in capsys.readouterr().err
        assert cloud.client.clusters() != []
        assert self.run(cloud, "destroy", "train") == 0
        assert cloud.client.clusters() == []
        assert self.run(cloud, "types", "c5n*") == 0

    def test_nobody_is_there_to_be_asked(
        self, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name, value in cloud.stand_in.environ.items():
            monkeypatch.setenv(name, value)
        cloud.apply()
        with open("/dev/null") as nothing:
            monkeypatch.setattr(sys, "stdin", nothing)
            assert self.run(cloud, "destroy", "train") == 1
        assert cloud.client.clusters() != []
        assert self.run(cloud, "destroy", "train", "--yes") == 0
        assert cloud.client.clusters() == []

    def test_ec2_cannot_be_asked(
        self, cloud: Cloud, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for name, value in {**cloud.stand_in.environ, "AWS_MAX_ATTEMPTS": "1"}.items():
            monkeypatch.setenv(name, value)
        nobody = ["--region", "us-east-1", "--endpoint-url", "http://127.0.0.1:9"]
        for verb in (["clusters"], ["types", "p5*"], ["verify", "x"], ["destroy", "x", "--yes"]):
            assert status_of([*verb, *nobody]) == 2
        assert "Traceback" not in capsys.readouterr().err
