"""What others launch from our documents is what `apply` launches."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import efa_sdk as efa
import pytest
from aws_cli import aws
from efa_sdk.testing import StandIn
from jsonschema import Draft202012Validator
from support import DEADLINE_S, LAYOUT_CLASSES, P5, SMALL, Cloud, tags_of
from test_cli_parity import end_state

TERRAFORM = Path(__file__).parents[1] / "data" / "terraform" / "aws_launch_template.schema.json"


def slots(interfaces: Any) -> set[tuple[int, int, str]]:
    """Card, device and type of each interface of EC2's answer or of a layout."""
    found = set()
    for i in interfaces:
        if isinstance(i, efa.NetworkInterface):
            found.add((i.network_card_index, i.device_index, i.interface_type))
        else:
            at = i.get("Attachment", i)
            found.add((at["NetworkCardIndex"], at["DeviceIndex"], i["InterfaceType"]))
    return found


@pytest.mark.parametrize("instance_type", LAYOUT_CLASSES)
def test_a_launch_from_the_template_is_as_planned(cloud: Cloud, instance_type: str) -> None:
    cloud = cloud.at_home_of(instance_type)
    plan = cloud.client.prepare(cloud.plan(instance_type))
    request = json.loads(plan.to_launch_template())
    assert efa.check(json.dumps(request)).is_clean
    template = cloud.ec2.create_launch_template(**request)["LaunchTemplate"]
    assert tags_of(template)["efa-sdk:cluster"] == "train"
    cloud.ec2.run_instances(
        LaunchTemplate={"LaunchTemplateId": template["LaunchTemplateId"]}, MinCount=2, MaxCount=2
    )
    for instance in cloud.instances():
        assert slots(instance["NetworkInterfaces"]) == slots(plan.layout.interfaces)
    cloud.until(lambda: all(i["State"]["Name"] == "running" for i in cloud.instances()))
    report = cloud.client.verify("train")
    assert report.is_as_planned, str(report)
    cloud.client.destroy("train")
    assert cloud.tagged() == set()


def test_a_template_for_eks_has_what_eks_takes(cloud: Cloud) -> None:
    plan = cloud.client.prepare(cloud.plan(SMALL))
    with pytest.warns(UserWarning, match="cluster security group"):
        text = plan.to_launch_template(launcher="eks-managed-node-group")
    data = json.loads(text)["LaunchTemplateData"]
    text = plan.to_launch_template(
        launcher="eks-managed-node-group", cluster_security_group="sg-0123456789abcdef0"
    )
    for interface in json.loads(text)["LaunchTemplateData"]["NetworkInterfaces"]:
        assert interface["Groups"] == [plan.security_group_id, "sg-0123456789abcdef0"]
    assert slots(data["NetworkInterfaces"]) == slots(plan.layout.interfaces)
    assert all("SubnetId" not in i and i["Groups"] for i in data["NetworkInterfaces"])
    assert not {"ImageId", "UserData", "IamInstanceProfile", "InstanceMarketOptions"} & set(data)
    with pytest.raises(efa.errors.HandoffError, match="unknown launcher 'k8s'") as refused:
        plan.to_launch_template(launcher="k8s")
    assert refused.value.code == "handoff.invalid_option"


def test_nothing_is_written_of_what_does_not_exist(cloud: Cloud) -> None:
    plan = cloud.plan(SMALL)
    for write in (plan.to_launch_template, plan.to_terraform):
        with pytest.raises(efa.errors.HandoffError, match="does not exist yet") as refused:
            write()
        assert refused.value.code == "handoff.not_prepared"
        assert "Client.prepare" in (refused.value.cure or "")
    plan = cloud.client.prepare(cloud.plan(SMALL, name="other", public_ip="elastic-ip"))
    with pytest.raises(efa.errors.HandoffError, match="cannot give Elastic IPs") as refused:
        plan.to_launch_template()
    assert refused.value.code == "handoff.not_possible"


@pytest.mark.parametrize("instance_type", LAYOUT_CLASSES)
def test_terraform_takes_the_configuration(cloud: Cloud, instance_type: str) -> None:
    """Judged by the provider's argument list: Terraform itself is not run here."""
    cloud = cloud.at_home_of(instance_type)
    cloud.ec2.create_key_pair(KeyName="k")
    plan = cloud.client.prepare(cloud.plan(instance_type, key_name="k", volume_size_gib=300))
    text = plan.to_terraform()
    assert efa.check(text).is_clean
    document = json.loads(text)
    assert set(document) == {"//", "terraform", "resource"}
    (template,) = document["resource"]["aws_launch_template"].values()
    validator = Draft202012Validator(json.loads(TERRAFORM.read_text()))
    assert [e.message for e in validator.iter_errors(template)] == []
    found = {
        (i["network_card_index"], i["device_index"], i["interface_type"])
        for i in template["network_interfaces"]
    }
    assert found == slots(plan.layout.interfaces)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"network_interface": []}, "Additional properties are not allowed"),
        ({"placement": {"group_name": "x"}}, "is not of type 'array'"),
        ({"network_interfaces": [{"interface_type": "efaa"}]}, "is not one of"),
    ],
)
def test_the_argument_list_refuses(change: dict[str, Any], message: str) -> None:
    validator = Draft202012Validator(json.loads(TERRAFORM.read_text()))
    (error,) = validator.iter_errors({"instance_type": P5, **change})
    assert message in error.message


def run_script(cloud: Cloud, script: str) -> subprocess.CompletedProcess[str]:
    """The script, as a person runs it with an endpoint in the environment."""
    return subprocess.run(
        ["bash", "-c", script],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
        env={
            **os.environ,
            "PATH": f"{aws().parent}:{os.environ['PATH']}",
            "AWS_ENDPOINT_URL": cloud.stand_in.endpoint_url,
        },
    )


SCRIPTS: list[tuple[str, dict[str, Any]]] = [
    (
        SMALL,
        {
            "public_ip": "elastic-ip",
            "instance_profile": efa.InstanceRole(cloudwatch_logs=True),
            "bootstrap": efa.Bootstrap(extra_script="echo 'it''s up'"),
            "ssh_cidrs": ["203.0.113.7/32", "2001:db8::/32"],
            "tags": {"team": 'it\'s $HOME `ls` "x" \\ é'},
        },
    ),
    (P5, {"capacity": "spot", "profile": "ip-bandwidth", "count": 3}),
    (SMALL, {"public_ip": "lone-efa", "placement": "none"}),
]


@pytest.mark.parametrize(("instance_type", "more"), SCRIPTS, ids=range(len(SCRIPTS)))
def test_the_script_ends_in_what_apply_makes(
    cloud: Cloud, instance_type: str, more: dict[str, Any]
) -> None:
    def state() -> dict[str, Any]:
        """The end state, with roles, tags and addresses, without ids."""
        cloud.until(lambda: all(i["State"]["Name"] == "running" for i in cloud.instances()))
        assert cloud.client.verify("train").is_as_planned
        found = {}
        if more.get("placement") != "none":
            found = end_state(cloud, "efa-sdk-train", "efa-sdk-train")
        for number, instance in enumerate(cloud.instances()):
            tags = tags_of(instance)
            for key in ("efa-sdk:security-group", "efa-sdk:planner"):
                tags.pop(key, None)
            found[f"tags {number}"] = tags
            data = cloud.ec2.describe_instance_attribute(
                InstanceId=instance["InstanceId"], Attribute="userData"
            )
            found[f"user data {number}"] = data["UserData"]
            addresses = cloud.ec2.describe_addresses(
                Filters=[{"Name": "instance-id", "Values": [instance["InstanceId"]]}]
            )["Addresses"]
            found[f"addresses {number}"] = len(addresses)
            for key in ("PublicIpAddress", "IamInstanceProfile"):
                found.pop(f"instance {number} {key}", None)
        state = cloud.state()
        for name, role in state["role"].items():
            found[f"role {name}"] = (role["Attached"], role["Inline"], tags_of(role))
        found["profiles"] = sorted(
            (name, [r["RoleName"] for r in profile["Roles"]], str(sorted(tags_of(profile).items())))
            for name, profile in state["instance-profile"].items()
        )
        found["tagged"] = sorted(kind for kind, _ in cloud.tagged())
        return found

    plan = cloud.plan(instance_type, **more)
    script = plan.to_cli()
    assert script == plan.to_cli()
    done = run_script(cloud, script)
    assert done.returncode == 0, done.stderr
    theirs = state()
    cloud.client.destroy("train")
    assert cloud.tagged() == set()
    cloud.apply(instance_type, **more)
    assert theirs == state()


def test_the_script_says_what_ec2_says(cloud: Cloud) -> None:
    plan = cloud.plan(SMALL)
    cloud.stand_in.set_capacity(SMALL, plan.availability_zone, 1)
    done = run_script(cloud, plan.to_cli())
    assert done.returncode != 0
    assert "InsufficientInstanceCapacity" in done.stderr
    assert cloud.instances() == []
    cloud.client.destroy("train")
    assert cloud.tagged() == set()


def test_the_script_of_a_prepared_plan_makes_instances_only(cloud: Cloud) -> None:
    plan = cloud.client.prepare(cloud.plan(SMALL))
    before = len(cloud.stand_in.requests)
    done = run_script(cloud, plan.to_cli())
    assert done.returncode == 0, done.stderr
    assert cloud.changes(before) == ["RunInstances"]


def test_every_document_says_where_it_is_from(cloud: Cloud) -> None:
    plan = cloud.client.prepare(cloud.plan(SMALL))
    for text in (plan.to_launch_template(), plan.to_terraform(), plan.to_cli()):
        assert f"efa-sdk {efa.__version__}" in text
        assert "profile save-ips" in text
        assert "catalog 20" in text


class TestPrepare:
    def test_makes_everything_but_instances(self, cloud: Cloud) -> None:
        plan = cloud.plan(SMALL, instance_profile=efa.InstanceRole())
        prepared = cloud.client.prepare(plan)
        assert prepared.fingerprint == plan.fingerprint
        assert plan.security_group_id is None
        assert prepared.security_group_id
        kinds = sorted(kind for kind, _ in cloud.tagged())
        assert kinds == ["instance-profile", "placement-group", "role", "security-group"]
        assert cloud.client.prepare(plan) == cloud.client.prepare(prepared) == prepared
        assert efa.Plan.from_json(prepared.to_json()) == prepared
        cloud.client.apply(prepared)
        assert cloud.client.verify("train").is_as_planned
        cloud.client.destroy("train")
        assert cloud.tagged() == set()

    async def test_as_a_coroutine(self, cloud: Cloud) -> None:
        client = efa.aio.Client(region="us-east-1", endpoint_url=cloud.stand_in.endpoint_url)
        plan = await client.plan(cloud.spec(SMALL))
        prepared = await client.prepare(plan)
        assert json.loads(prepared.to_launch_template())["LaunchTemplateName"] == "efa-sdk-train"

    def test_says_what_was_made_when_it_fails(self, cloud: Cloud, stand_in: StandIn) -> None:
        plan = cloud.plan(SMALL)
        stand_in.fail("CreatePlacementGroup", "PlacementGroupLimitExceeded", "no more groups")
        with pytest.raises(efa.errors.Ec2Error) as failed:
            cloud.client.prepare(plan)
        assert [kind for kind, _ in failed.value.leftovers] == ["security-group"]
        assert "prepare the same plan again" in (failed.value.next_command or "")
        cloud.client.prepare(plan)
        assert cloud.instances() == []

    def test_of_another_region_is_refused(self, cloud: Cloud) -> None:
        plan = cloud.plan(SMALL)
        with pytest.raises(efa.errors.PlanError, match="the client calls us-west-2"):
            cloud.connect(region="us-west-2").prepare(plan)


class TestCheck:
    def test_reports_are_values(self) -> None:
        report = efa.check('{"InstanceType": "p5.48xlarge", "NetworkInterfaces": []}')
        assert report.format == "launch-template"
        assert not report.is_clean
        assert efa.DocumentReport.from_json(report.to_json()) == report
        assert "interfaces.no_efa" in str(report)
        assert "interfaces.no_efa" in report._repr_html_()
        assert [f.id for f in report.findings] == ["interfaces.no_efa"]

    @pytest.mark.parametrize(
        ("text", "code"),
        [("a: [", "handoff.unreadable"), ("a: 1", "handoff.unknown_format")],
    )
    def test_what_cannot_be_checked_is_refused(self, text: str, code: str) -> None:
        with pytest.raises(efa.errors.HandoffError) as refused:
            efa.check(text)
        assert refused.value.code == code

    def test_what_was_not_read_is_named(self) -> None:
        launcher = "{apiVersion: example.com/v1, kind: Launcher, metadata: {name: x}}"
        report = efa.check(launcher)
        assert (report.status, report.is_clean) == ("unread", False)
        (unread,) = report.unread
        assert (unread.kind, unread.name) == ("Launcher (example.com)", "x")
        assert json.loads(report.to_json())["status"] == "unread"

    def test_against_the_types_of_a_region(self, cloud: Cloud) -> None:
        text = '{"InstanceType": "p9.48xlarge", "NetworkInterfaces": [{"DeviceIndex": 0}]}'
        assert "p9.48xlarge" in efa.check(text).out_of_sight[0]
        live = cloud.client.catalog()
        text = text.replace("p9", "p5")
        assert [f.id for f in efa.check(text, catalog=live).findings] == ["interfaces.no_efa"]


class TestCommand:
    def run(
        self, *arguments: str, text: str = "", **environ: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "efa_sdk.handoff", *arguments],
            input=text,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
            env={**os.environ, **environ},
        )

    def test_the_exit_status_says_how_bad_it_is(self, tmp_path: Path) -> None:
        texts = {
            "right": '{"InstanceType": "c7i.48xlarge", "NetworkInterfaces": [%s]}',
            "one of 32": '{"InstanceType": "p5.48xlarge", "NetworkInterfaces": [%s]}',
            "refused": '{"InstanceType": "p6-b300.48xlarge", "NetworkInterfaces": [%s]}',
        }
        for name, text in texts.items():
            (tmp_path / name).write_text(text % '{"DeviceIndex": 0, "InterfaceType": "efa"}')
        (tmp_path / "binary").write_bytes(b"\xff\xfe")
        files = {name: str(tmp_path / name) for name in [*texts, "binary", "absent"]}
        assert self.run(files["right"]).returncode == 0
        warned = self.run(files["one of 32"])
        assert warned.returncode == 0
        assert "interfaces.efa_left_out" in warned.stdout
        assert self.run("--strict", files["one of 32"]).returncode == 1
        both = self.run("--json", files["right"], files["refused"])
        assert both.returncode == 1
        shown = json.loads(both.stdout)
        (finding,) = shown[files["refused"]]["findings"]
        assert finding["id"] == "layout.interface_type_not_accepted"
        for name in ("binary", "absent"):
            done = self.run(files["right"], files[name])
            assert done.returncode == 2
            assert files[name] in done.stderr
            assert "Traceback" not in done.stderr
            assert "launch-template: 0 errors" in done.stdout
        piped = self.run("-", text=texts["right"] % '{"DeviceIndex": 0, "InterfaceType": "efa"}')
        assert piped.returncode == 0
        assert self.run("-", text="a: 1").returncode == 2
        unread = self.run("-", text="{apiVersion: example.com/v1, kind: Launcher}")
        assert unread.returncode == 3
        assert "not read: Launcher (example.com)" in unread.stdout
        assert self.run().returncode == 64

    def test_asks_ec2_for_its_types(self, cloud: Cloud, tmp_path: Path) -> None:
        launch = {
            "InstanceType": "p5.48xlarge",
            "NetworkInterfaces": [{"InterfaceType": "efa-only"}],
        }
        (tmp_path / "x").write_text(json.dumps(launch))
        environ = {**cloud.stand_in.environ, "AWS_ENDPOINT_URL": cloud.stand_in.endpoint_url}
        done = self.run("--region", "us-east-1", str(tmp_path / "x"), **environ)
        assert done.returncode == 1, done.stderr
        environ["AWS_ENDPOINT_URL"] = "http://127.0.0.1:9"
        done = self.run("--region", "us-east-1", str(tmp_path / "x"), **environ)
        assert done.returncode == 2
        assert "Traceback" not in done.stderr
