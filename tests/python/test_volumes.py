"""Volumes of a specification: as they are asked for, printed, sent, shown by EC2 and replaced."""

from __future__ import annotations

import json
from typing import Any

import efa_sdk as efa
import pytest
from support import Cloud, check, lines, raised

KEY = "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
ASKED: dict[str, Any] = {
    "volume_size_gib": 400,
    "volume_iops": 6000,
    "volume_throughput_mib_s": 500,
    "volume_kms_key_id": KEY,
    "volumes": [
        efa.Volume(device_name="/dev/sdf", size_gib=1000, volume_type="io2", iops=64000),
        efa.Volume(device_name="/dev/sdg", size_gib=100, throughput_mib_s=250),
    ],
}


def shown(cloud: Cloud, instance_id: str) -> dict[str, tuple[Any, ...]]:
    """What EC2 shows of each volume of an instance, by its device."""
    filters = [{"Name": "attachment.instance-id", "Values": [instance_id]}]
    found = cloud.ec2.describe_volumes(Filters=filters)["Volumes"]
    fields = ("Size", "VolumeType", "Iops", "Throughput", "Encrypted")
    return {v["Attachments"][0]["Device"]: tuple(v.get(field) for field in fields) for v in found}


def test_volumes_are_printed_sent_and_replaced_as_they_were_asked_for(cloud: Cloud) -> None:
    plain = cloud.plan()
    plan = cloud.plan(**ASKED)
    assert efa.Plan.from_json(plan.to_json()) == plan
    assert plan.fingerprint != plain.fingerprint
    assert "volumes" not in json.loads(plain.to_json())["spec"]
    text = list(lines(str(plan)))
    root = f"400 GiB encrypted gp3 root volume /dev/xvda, 6000 IOPS, 500 MiB/s, KMS key {KEY}"
    assert any(line.endswith(root) for line in text), text
    assert "and            1000 GiB encrypted io2 volume /dev/sdf, 64000 IOPS" in text
    assert "and            100 GiB encrypted gp3 volume /dev/sdg, 250 MiB/s" in text
    paths = [path for path, _, _ in plain.diff(plan)]
    assert {p.split(".")[1].split("[")[0] for p in paths if p.startswith("spec.")} == {
        "volume",
        "volume_size_gib",
        "volumes",
    }

    cluster = cloud.client.apply(plan)
    (sent,) = cloud.sent("RunInstances")
    device = {
        name: value for name, value in sent.items() if name.startswith("BlockDeviceMapping.1.")
    }
    assert device == {
        "BlockDeviceMapping.1.DeviceName": "/dev/xvda",
        "BlockDeviceMapping.1.Ebs.VolumeSize": "400",
        "BlockDeviceMapping.1.Ebs.VolumeType": "gp3",
        "BlockDeviceMapping.1.Ebs.Iops": "6000",
        "BlockDeviceMapping.1.Ebs.Throughput": "500",
        "BlockDeviceMapping.1.Ebs.Encrypted": "true",
        "BlockDeviceMapping.1.Ebs.KmsKeyId": KEY,
        "BlockDeviceMapping.1.Ebs.DeleteOnTermination": "true",
    }
    first, second = (i.instance_id for i in cluster.instances)
    volumes = shown(cloud, first)
    assert volumes == {
        "/dev/xvda": (400, "gp3", 6000, 500, True),
        "/dev/sdf": (1000, "io2", 64000, None, True),
        "/dev/sdg": (100, "gp3", 3000, 250, True),
    }
    replaced = cloud.client.replace("train", nodes=[second])
    (new,) = {i.instance_id for i in replaced.instances} - {first}
    assert shown(cloud, new) == volumes
    assert cloud.sent("RunInstances")[1]["BlockDeviceMapping.1.Ebs.KmsKeyId"] == KEY


@pytest.mark.parametrize(
    ("field", "asked"),
    [
        ("volume_iops", {"volume_iops": 2999}),
        ("volume_iops", {"volume_type": "io2"}),
        ("volume_iops", {"volume_size_gib": 8, "volume_iops": 5000}),
        ("volume_throughput_mib_s", {"volume_throughput_mib_s": 1000}),
        ("volume_type", {"volume_type": "st1"}),
        ("volume_kms_key_id", {"volume_kms_key_id": "my key"}),
    ],
)
def test_what_ec2_refuses_is_refused_with_its_limit(field: str, asked: dict[str, Any]) -> None:
    values: dict[str, Any] = {"instance_type": "p5.48xlarge", "count": 2, "image": "al2023"}
    error = raised(lambda: efa.ClusterSpec(name="train", vpc="v", **values, **asked))
    check(error, "plan.invalid_spec", field=field)


def test_a_further_volume_is_a_value_and_not_the_root_volume() -> None:
    volume = efa.Volume(device_name="/dev/sdf", size_gib=10)
    assert (volume.volume_type, volume.iops, volume.kms_key_id) == ("gp3", None, None)
    error = raised(lambda: efa.Volume(device_name="/dev/xvda", size_gib=10))
    check(error, "plan.invalid_spec", field="volumes.device_name")
