"""Ray cluster YAML: Ray's own checks, its autoscaler and its shell take what we write.

What of a faulty document Ray refuses, `efa_sdk.check` finds too. Ray looks things up once in a
process, so its checks run in child processes (`ray_judge.py`), many documents in each.
"""

from __future__ import annotations

import contextlib
import copy
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from string import Template
from typing import Any

import efa_sdk as efa
import pytest
from efa_sdk import errors
from ray_documents import prepared, put, worker_of
from support import DEADLINE_S, LAYOUT_CLASSES, Cloud, free_port, tags_of

pytest.importorskip("ray", reason="Ray is not installed")
yaml = pytest.importorskip("yaml", reason="Ray needs PyYAML")

DATA = pathlib.Path(__file__).parents[1] / "data" / "ray"
JUDGE = pathlib.Path(__file__).with_name("ray_judge.py")

Change = Callable[[dict[str, Any]], None]


@pytest.fixture
def ray_environment(cloud: Cloud, tmp_path: pathlib.Path) -> dict[str, str]:
    """For Ray's processes: the stand-in, a home with .ssh, and nothing sent to anyone."""
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    region = cloud.network.region
    return {
        **{key: value for key, value in os.environ.items() if not key.startswith("AWS_")},
        "HOME": str(home),
        "AWS_ENDPOINT_URL": cloud.stand_in.endpoint_url,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_EC2_METADATA_DISABLED": "true",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_USAGE_STATS_REPORT_URL": "http://127.0.0.1:9/",
        "RAY_AUTH_MODE": "disabled",
        "AUTOSCALER_UPDATE_INTERVAL_S": "1",
    }


def judged(texts: list[str], environment: dict[str, str], *more: str) -> list[dict[str, Any]]:
    """What Ray reports of each document."""
    done = subprocess.run(
        [sys.executable, str(JUDGE), *more],
        input=json.dumps(texts),
        env=environment,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answers: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return answers


def slots(interfaces: list[dict[str, Any]]) -> list[tuple[int, int, str]]:
    """Card, device and type of each interface, in EC2's spelling."""
    return [(i["NetworkCardIndex"], i["DeviceIndex"], i["InterfaceType"]) for i in interfaces]


def planned(plan: efa.Plan) -> list[tuple[int, int, str]]:
    return [
        (i.network_card_index, i.device_index, i.interface_type) for i in plan.layout.interfaces
    ]


def test_the_stated_version_is_the_installed_one() -> None:
    import ray

    assert ray.__version__ == efa.handoff.TESTED_RAY_VERSION, (
        "test with it, then change TESTED_RAY_VERSION"
    )


def test_known_keys_are_those_of_ray_and_ec2() -> None:
    """A misspelt key is a finding: a new one of Ray or EC2 must be known."""
    import botocore.session
    import ray

    schema = pathlib.Path(ray.__file__).parent / "autoscaler" / "ray-schema.json"
    top = json.loads(schema.read_text())["properties"]
    node_type = top["available_node_types"]["patternProperties"][".*"]["properties"]
    model = botocore.session.get_session().get_service_model("ec2")
    config = dict.fromkeys(model.operation_model("RunInstances").input_shape.members, "x")
    document = {key: None for key in top if key != "provider"}
    types = {"w": {**dict.fromkeys(node_type), "node_config": {**config, "SubnetIds": ["x"]}}}
    document["available_node_types"] = types
    found = {finding.id for finding in efa.check(json.dumps(document)).findings}
    assert not found & {"ray.unknown_key", "ray.unknown_parameter"}


def test_ray_takes_every_class_of_layouts(cloud: Cloud, ray_environment: dict[str, str]) -> None:
    plans = [prepared(cloud, t, name=t.split(".")[0]) for t in LAYOUT_CLASSES]
    texts = [plan.to_ray_yaml(efa_sdk="https://example.com/efa_sdk.whl") for plan in plans]
    assert [plan.to_ray_yaml(efa_sdk="https://example.com/efa_sdk.whl") for plan in plans] == texts
    answers = judged(texts, ray_environment, "worker")
    for plan, text, answer in zip(plans, texts, answers, strict=True):
        assert answer["error"] is None, (plan.spec.instance_type, answer)
        written, launched = worker_of(yaml.safe_load(text)), worker_of(answer["config"])
        assert slots(launched["node_config"]["NetworkInterfaces"]) == planned(plan)
        for interface in launched["node_config"]["NetworkInterfaces"]:
            assert interface["Groups"] == [plan.security_group_id]
            assert interface["SubnetId"] == plan.subnet_ids[0]
        assert written["resources"]["efa"] == plan.layout.efa_count
        head = answer["config"]["available_node_types"]["head"]["node_config"]
        assert head["SubnetIds"] == [plan.subnet_ids[0]]
        assert head["SecurityGroupIds"] == [plan.security_group_id]
        assert efa.check(text).is_clean, str(efa.check(text))
        # And what its launcher launches is what was planned.
        there = Cloud(cloud.stand_in, plan.region)
        (instance,) = there.instances(instance_id=answer["launched"])
        attached = [
            (a["NetworkCardIndex"], a["DeviceIndex"], one["InterfaceType"])
            for one in instance["NetworkInterfaces"]
            for a in [one["Attachment"]]
        ]
        assert sorted(attached) == planned(plan)
        report = there.client.verify_instance(answer["launched"])
        assert {finding.check for finding in report.findings} <= {"state"}, str(report)


def test_resources_are_what_ray_finds(cloud: Cloud, ray_environment: dict[str, str]) -> None:
    plans = [prepared(cloud, t, name=t.split(".")[0]) for t in LAYOUT_CLASSES]
    texts = [plan.to_ray_yaml(efa_sdk="https://example.com/efa_sdk.whl") for plan in plans]
    answers = judged([without_resources(text) for text in texts], ray_environment)
    # What it finds where a file states nothing is what efa-sdk writes, but for the kind of
    # accelerator.
    for text, answer in zip(texts, answers, strict=True):
        (found,) = [r for name, r in answer["resources"].items() if name != "head"]
        found = {key: n for key, n in found.items() if not key.startswith("accelerator_type:")}
        mine = worker_of(yaml.safe_load(text))["resources"]
        # Ray multiplies by 0.7 as a float.
        assert 0 <= found.pop("memory") - mine["memory"] < 10
        assert found == {key: n for key, n in mine.items() if key not in ("efa", "memory")}


def without_resources(text: str) -> str:
    document = yaml.safe_load(text)
    del worker_of(document)["resources"]
    return str(yaml.safe_dump(document))


def test_the_type_that_the_stand_in_does_not_offer() -> None:
    """Ray's schema and its rule of interfaces, which need no EC2."""
    code = (
        "import sys, yaml\n"
        "from ray.autoscaler._private.util import prepare_config, validate_config\n"
        "from ray.autoscaler._private.aws.config import _configure_from_network_interfaces\n"
        "config = prepare_config(yaml.safe_load(sys.stdin))\n"
        "validate_config(config)\n"
        "_configure_from_network_interfaces(config)\n"
    )
    text = (DATA / "p6e-gb200.yaml").read_text()
    done = subprocess.run(
        [sys.executable, "-c", code], input=text, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert efa.check(text).is_clean


def community(cloud: Cloud) -> str:
    """The community's cluster, with its placeholders filled in."""
    group = cloud.client.prepare(cloud.plan("i7i.24xlarge", name="ray")).security_group_id
    values = {
        "CLUSTER_NAME": "ray-on-aws",
        "AWS_REGION": cloud.network.region,
        "X86_AMI_ID": cloud.network.image_for("m7i.xlarge"),
        "PRIV_SUBNET_ID": cloud.network.subnets[f"{cloud.network.region}a"],
        "HEAD_SG_ID": group,
        "WORKER_SG_ID": group,
    }
    return Template((DATA / "community-cluster.yaml").read_text()).substitute(values)


def _interface(document: dict[str, Any]) -> dict[str, Any]:
    worker = document["available_node_types"]["efa_worker_node"]["node_config"]
    interface = worker["NetworkInterfaces"][0]
    assert isinstance(interface, dict)
    return interface


def _config(document: dict[str, Any]) -> dict[str, Any]:
    config = document["available_node_types"]["efa_worker_node"]["node_config"]
    assert isinstance(config, dict)
    return config


ONLY = "subnets and security groups must ONLY be given in each NetworkInterface"
#: A change, what Ray reports of it (None: nothing), and what we find beyond the unchanged file's
#: findings (None: it is not to be seen in the file, and that is stated).
REFUSALS: dict[str, tuple[Change, str | None, str | None]] = {
    "groups with interfaces": (
        lambda d: _config(d).update(SecurityGroupIds=["sg-1"]),
        ONLY,
        "ray.groups_or_subnet_with_interfaces",
    ),
    "subnet with interfaces": (
        lambda d: _config(d).update(SubnetId="subnet-1"),
        ONLY,
        "ray.groups_or_subnet_with_interfaces",
    ),
    "subnets with interfaces": (
        lambda d: _config(d).update(SubnetIds=["subnet-1"]),
        ONLY,
        "ray.groups_or_subnet_with_interfaces",
    ),
    "no group": (
        lambda d: _interface(d).pop("Groups"),
        "at least one is missing a security group",
        "ray.interface_without_group",
    ),
    "no subnet": (
        lambda d: _interface(d).pop("SubnetId"),
        "at least one is missing a subnet",
        "ray.interface_without_subnet",
    ),
    "unknown subnet": (
        lambda d: _interface(d).update(SubnetId="subnet-0"),
        "Not all subnet IDs found",
        None,
    ),
    "other zone": (
        lambda d: d["provider"].update(availability_zone=f"{d['provider']['region']}b"),
        "No usable subnets matching availability zone",
        None,
    ),
    "external": (
        lambda d: (
            d["provider"].update(use_internal_ips=False),
            _interface(d).update(AssociatePublicIpAddress=False),
        ),
        "No usable subnets found for node type",
        "ray.external_ips",
    ),
    "unknown key": (
        lambda d: d.update(efa=True),
        "'efa' was unexpected",
        "ray.unknown_key",
    ),
    "unknown key of a type": (
        lambda d: d["available_node_types"]["head_node"].update(efa=True),
        "'efa' was unexpected",
        "ray.unknown_key",
    ),
    "unknown parameter": (
        lambda d: _config(d).update(PlacementGroup="near"),
        None,
        "ray.unknown_parameter",
    ),
    "too many": (
        lambda d: d["available_node_types"]["efa_worker_node"].update(min_workers=97),
        "is smaller than the sum of `min_workers`",
        "ray.min_workers_over_max",
    ),
    "a key alone": (
        lambda d: d["auth"].update(ssh_private_key="~/mine.pem"),
        "`KeyName` missing from the `node_config`",
        "ray.key_name_missing",
    ),
    "no such head": (
        lambda d: d.update(head_node_type="other"),
        "`head_node_type` must be one of",
        "ray.head_node_type",
    ),
}


def test_what_ray_refuses_is_found(cloud: Cloud, ray_environment: dict[str, str]) -> None:
    recipe = yaml.safe_load(community(cloud))
    documents = [recipe]
    for change, _, _ in REFUSALS.values():
        document = copy.deepcopy(recipe)
        change(document)
        documents.append(document)
    texts = [yaml.safe_dump(document) for document in documents]
    unchanged, *answers = judged(texts, ray_environment)
    assert unchanged["error"] is None, unchanged
    known = [finding.id for finding in efa.check(texts[0]).findings]
    cases = zip(REFUSALS.items(), texts[1:], answers, strict=True)
    for (name, (_, refusal, expected)), text, answer in cases:
        said = f"{answer['error']}\n{answer['log']}"
        if refusal is None:
            assert answer["error"] is None, (name, said)
        else:
            assert answer["error"] is not None, name
            assert refusal in said, (name, said)
        report = efa.check(text)
        found = {finding.id for finding in report.findings if finding.id not in known}
        assert found == ({expected} if expected else set()), (name, str(report))
        assert any("subnets" in sentence for sentence in report.out_of_sight)


def test_ray_ignores_the_subnet_of_the_recipe(
    cloud: Cloud, ray_environment: dict[str, str]
) -> None:
    """ray-project/ray#14551: what `ray.subnet_id_ignored` is about still holds."""
    text = community(cloud)
    document = yaml.safe_load(text)
    head = document["available_node_types"]["head_node"]["node_config"]
    asked = head.pop("SubnetId")
    del document["provider"]["availability_zone"]
    (ignored,) = [f for f in efa.check(text).findings if f.id == "ray.subnet_id_ignored"]
    fixed = copy.deepcopy(document)
    fixed["available_node_types"]["head_node"]["node_config"].update(
        yaml.safe_load(ignored.corrected)
    )
    head["SubnetId"] = asked
    texts = [yaml.safe_dump(document), yaml.safe_dump(fixed)]
    as_it_is, corrected = judged(texts, ray_environment)

    def launches_in(answer: dict[str, Any]) -> list[str]:
        config = answer["config"]["available_node_types"]["head_node"]["node_config"]
        subnets: list[str] = config["SubnetIds"]
        return subnets

    assert launches_in(as_it_is)[0] != asked
    assert launches_in(corrected) == [asked]


FAKE_SSH = """#!/bin/bash
printf '%s\\n' "$*" >> "$RAY_TEST_LOG"
case "$*" in *efa_sdk.doctor*) echo 'no EFA: fi_getinfo -61' >&2; exit 1;; esac
exit 0
"""


@pytest.fixture
def short_folder() -> Iterator[pathlib.Path]:
    """For Ray's sockets, whose paths are limited."""
    import shutil
    import tempfile

    folder = pathlib.Path(tempfile.mkdtemp(prefix="efr", dir="/tmp"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


class Head:
    """Ray's head with its autoscaler, on this machine. Afterwards nothing of it runs."""

    def __init__(self, config: dict[str, Any], folder: pathlib.Path, environment: dict[str, str]):
        self._folder = folder
        file = folder / "cluster.yaml"
        file.write_text(yaml.safe_dump(config))
        commands = folder / "bin"
        commands.mkdir()
        for name in ("ssh", "rsync", "scp"):
            put(commands / name, FAKE_SSH)
        self.said = folder / "ssh.log"
        self.said.touch()
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block"]
        command += ["--num-cpus=0", f"--autoscaling-config={file}", f"--temp-dir={folder}/t"]
        command += [f"--port={free_port()}", "--node-ip-address=127.0.0.1"]
        command += ["--include-dashboard=false", "--object-store-memory=80000000"]
        self._log = (folder / "start.log").open("w")
        self._process = subprocess.Popen(
            command,
            env=environment
            | {"PATH": f"{commands}:{environment['PATH']}", "RAY_TEST_LOG": str(self.said)},
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def __enter__(self) -> Head:
        return self

    def __exit__(self, *_: object) -> None:
        # Its own session: all that it started, and nothing else on this machine.
        for process in self._left():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGTERM)
        deadline = time.monotonic() + 10
        while self._left() and time.monotonic() < deadline:
            self._process.poll()
            time.sleep(0.1)
        for process in self._left():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        self._process.wait(DEADLINE_S)
        self._log.close()

    def _left(self) -> list[int]:
        """Processes of its session."""
        found = []
        for entry in pathlib.Path("/proc").iterdir():
            if not entry.name.isdecimal():
                continue
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == self._process.pid and fields[0] != "Z":
                found.append(int(entry.name))
        return found

    def wait(self, holds: Callable[[], bool], what: str) -> None:
        """Looks until it holds, while Ray runs."""
        end = time.monotonic() + DEADLINE_S
        while not holds():
            assert self._process.poll() is None, self.log()
            assert time.monotonic() < end, f"{what}\n{self.log()}"
            time.sleep(0.5)

    def log(self) -> str:
        """What Ray and its autoscaler have written."""
        logs = sorted(self._folder.glob("t/session_2*/logs/monitor*"))
        return "\n".join(
            f"== {log.name}\n{log.read_text()[-6000:]}"
            for log in [self._folder / "start.log", *logs]
        )


def test_ray_launches_what_was_planned(
    cloud: Cloud, ray_environment: dict[str, str], short_folder: pathlib.Path
) -> None:
    """Ray's own autoscaler and updater, whose SSH answers; the doctor finds no EFA."""
    plan = prepared(cloud, "p5.48xlarge", count=2)
    (answer,) = judged(
        [plan.to_ray_yaml(efa_sdk="https://example.com/efa_sdk.whl")], ray_environment, "head"
    )
    assert answer["error"] is None, answer

    def of_kind(kind: str) -> list[dict[str, Any]]:
        """All that were launched, terminated ones too."""
        pages = cloud.ec2.describe_instances()["Reservations"]
        instances = [instance for page in pages for instance in page["Instances"]]
        return [i for i in instances if tags_of(i).get("ray-node-type") == kind]

    def some_failed() -> bool:
        return any(tags_of(i).get("ray-node-status") == "update-failed" for i in of_kind("worker"))

    with Head(answer["config"], short_folder, ray_environment) as ray:
        ray.wait(lambda: len(of_kind("worker")) >= 2, "no two workers were launched")
        workers = [worker["InstanceId"] for worker in of_kind("worker")]
        reports = [cloud.client.verify_instance(worker) for worker in workers]
        ray.wait(some_failed, "no worker's setup failed")
        said = ray.said.read_text()
    for report in reports:
        # A setup may have failed by then, and Ray ended the instance.
        assert {finding.check for finding in report.findings} <= {"state"}, str(report)
        assert report.efa_interfaces == 32
    for instance in of_kind("worker"):
        assert tags_of(instance)["efa-sdk:layout"] == plan.layout.notation
        assert "efa-sdk:cluster" not in tags_of(instance)
    requests = cloud.sent("RunInstances")
    head = next(request for request in requests if request["InstanceType"] == "m7i.xlarge")
    assert head["SubnetId"] == plan.subnet_ids[0]
    assert not [key for key in head if key.startswith("NetworkInterface")]
    sent = next(request for request in requests if request["InstanceType"] == "p5.48xlarge")
    assert sent["Placement.GroupName"] == plan.placement_group_name
    assert not {"SubnetId", "SecurityGroupId.1"} & set(sent)
    assert sent["NetworkInterface.33.InterfaceType"] == "efa-only"
    # The whole setup came before the doctor, and Ray was not started after it.
    assert said.index("END_OF_BOOTSTRAP") < said.index("efa_sdk.doctor")
    assert "ray start" not in said
    # `ray down`; then what prepare made goes.
    nodes = of_kind("worker") + of_kind("head")
    cloud.ec2.terminate_instances(InstanceIds=[node["InstanceId"] for node in nodes])
    cloud.until(lambda: not cloud.instances())
    cloud.client.destroy("train")
    assert cloud.made() == set()


def test_options_and_refusals(cloud: Cloud, tmp_path: pathlib.Path) -> None:
    wheel = tmp_path / "efa_sdk-0.1.0-cp310-abi3-linux_x86_64.whl"
    wheel.touch()
    plan = prepared(cloud, "c5n.18xlarge", count=4, minimum_count=3, key_name=None)
    document = yaml.safe_load(
        plan.to_ray_yaml(
            head_instance_type="m7i.2xlarge",
            head_instance_profile="ray-head",
            max_workers=8,
            idle_timeout_minutes=30,
            ssh_user="me",
            ray_version="2.59.0",
            efa_sdk_wheel=str(wheel),
        )
    )
    head = document["available_node_types"]["head"]["node_config"]
    assert head["InstanceType"] == "m7i.2xlarge"
    assert head["IamInstanceProfile"] == {"Name": "ray-head"}
    worker = worker_of(document)
    assert (worker["min_workers"], worker["max_workers"]) == (3, 8)
    assert document["idle_timeout_minutes"] == 30
    assert document["auth"] == {"ssh_user": "me"}
    assert document["file_mounts"] == {f"~/efa-sdk-wheel/{wheel.name}": str(wheel)}
    with pytest.raises(errors.HandoffError) as caught:
        plan.to_ray_yaml(min_workers=9, efa_sdk="https://example.com/efa_sdk.whl")
    assert caught.value.code == "handoff.invalid_option"
    assert caught.value.context["field"] == "min_workers"
    with pytest.raises(errors.HandoffError) as caught:
        cloud.plan("c5n.18xlarge", name="other").to_ray_yaml(
            efa_sdk="https://example.com/efa_sdk.whl"
        )
    assert caught.value.code == "handoff.not_prepared"


def test_dates_and_times_in_tags_stay_text(cloud: Cloud) -> None:
    """PyYAML reads YAML 1.1, where they are not text unless quoted."""
    tags = {"until": "2026-12-31", "at": "12:30", "cost": "1_000", "yes": "no", "n": "7"}
    plan = prepared(cloud, "c5n.18xlarge", tags=tags)
    document = yaml.safe_load(plan.to_ray_yaml(efa_sdk="https://example.com/efa_sdk.whl"))
    for config in (worker_of(document), document["available_node_types"]["head"]):
        (pairs, *_) = config["node_config"]["TagSpecifications"]
        assert tags.items() <= tags_of(pairs).items()
