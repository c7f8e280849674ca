"""The doctor's command with `--ec2`: the node's files, and what EC2 reports of the instance."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from efa_sdk import doctor
from support import Cloud
from test_doctor import p5_4xlarge

__all__ = ["p5_4xlarge"]


def node(root: Path, instance_id: str) -> Path:
    """A machine whose DMI reports that it is this instance, with nothing on its PCI bus."""
    (root / "sys/bus/pci/devices").mkdir(parents=True)
    dmi = root / "sys/class/dmi/id"
    dmi.mkdir(parents=True)
    (dmi / "sys_vendor").write_text("Amazon EC2\n")
    (dmi / "product_name").write_text("c5n.18xlarge\n")
    (dmi / "board_asset_tag").write_text(f"{instance_id}\n")
    return root


def run(cloud: Cloud, *arguments: str) -> int:
    where = ["--endpoint-url", cloud.stand_in.endpoint_url, "--region", "us-east-1"]
    return doctor.main(["--ec2", *where, *arguments])


def test_the_instance_is_found_by_its_files(
    cloud: Cloud, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = cloud.apply().instances[0].instance_id
    root = node(tmp_path, first)
    assert run(cloud, "--root", str(root)) == 1, "no EFA device in these files"
    printed = capsys.readouterr().out
    assert "no EFA device on the PCI bus" in printed
    assert f"{first} (c5n.18xlarge): 1 of 1 EFA interfaces, 1 peers" in printed
    assert run(cloud, "--root", str(root), "--json") == 1
    both = json.loads(capsys.readouterr().out)
    assert both["ec2"]["findings"] == []
    assert both["ec2"]["instance_id"] == first
    assert both["doctor"]["findings"]


def test_what_ec2_finds_decides_too(
    cloud: Cloud, p5_4xlarge: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster = cloud.apply()
    group = cluster.security_group_id
    rules = [{"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": group}]}]
    cloud.ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=rules)
    given = ["--root", str(p5_4xlarge), "--instance-id", cluster.instances[0].instance_id]
    assert doctor.main(given[:2]) == 2, "nothing failed, and libfabric was not asked"
    assert run(cloud, *given) == 1
    assert f"{group} lacks ingress" in capsys.readouterr().out


def test_ec2_cannot_be_asked(
    cloud: Cloud, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = node(tmp_path, "i-0123456789abcdef0")
    assert run(cloud, "--root", str(root)) == 1
    printed = capsys.readouterr()
    assert "EC2 was not asked: no instance i-0123456789abcdef0" in printed.err
    assert "no EFA device" in printed.out, "the node's own report is not lost"


def test_no_instance_id(cloud: Cloud, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        run(cloud, "--root", str(tmp_path))
    assert caught.value.code == 64
    assert "--instance-id" in capsys.readouterr().err
