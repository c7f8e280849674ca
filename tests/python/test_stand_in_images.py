"""Images of the stand-in: by name, owner, filter and public SSM parameter."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError
from efa_sdk.testing import StandIn

AMAZON, OTHER_ACCOUNT = "898082745236", "210987654321"
SYSTEMS = {
    "amazon-linux-2023": "Amazon Linux 2023",
    "ubuntu-22.04": "Ubuntu 22.04",
    "ubuntu-24.04": "Ubuntu 24.04",
}
TITLES = {
    "x86_64": "Deep Learning Base OSS Nvidia Driver GPU AMI",
    "arm64": "Deep Learning ARM64 Base OSS Nvidia Driver GPU AMI",
}


def images(stand_in: StandIn, owners: list[str] | None = None, **wanted: str) -> list[Any]:
    listed = [{"Name": name.replace("_", "-"), "Values": [value]} for name, value in wanted.items()]
    more = {"Owners": owners} if owners else {}
    found: list[Any] = stand_in.client().describe_images(Filters=listed, **more)["Images"]
    return sorted(found, key=lambda one: str(one["CreationDate"]))


def parameter(stand_in: StandIn, name: str, region: str | None = None) -> str:
    got = stand_in.client("ssm", region=region).get_parameter(Name=name)["Parameter"]
    return str(got["Value"])


@pytest.mark.parametrize("architecture", ["x86_64", "arm64"])
@pytest.mark.parametrize("short", SYSTEMS)
def test_the_parameter_names_the_newest_build_of_aws(
    stand_in: StandIn, short: str, architecture: str
) -> None:
    stand_in.default_network()
    name = f"{TITLES[architecture]} ({SYSTEMS[short]}) *"
    mine = images(stand_in, ["amazon"], name=name, architecture=architecture, state="available")
    assert [one["OwnerId"] for one in mine] == [AMAZON, AMAZON]
    newest = mine[-1]
    path = f"/aws/service/deeplearning/ami/{architecture}/base-oss-nvidia-driver-gpu-{short}"
    assert parameter(stand_in, f"{path}/latest/ami-id") == newest["ImageId"]
    mapping = newest["BlockDeviceMappings"][0]
    assert mapping["DeviceName"] == newest["RootDeviceName"]
    assert newest["RootDeviceName"] == ("/dev/xvda" if "amazon" in short else "/dev/sda1")
    assert mapping["Ebs"]["VolumeSize"] == 75
    assert newest["EnaSupport"]


def test_a_look_alike_is_newest_where_the_owner_is_not_asked_for(stand_in: StandIn) -> None:
    stand_in.default_network()
    name = f"{TITLES['x86_64']} (Amazon Linux 2023) *"
    anyone = images(stand_in, name=name)
    assert anyone[-1]["OwnerId"] == OTHER_ACCOUNT
    assert "ImageOwnerAlias" not in anyone[-1]
    assert images(stand_in, ["amazon"], name=name)[-1]["OwnerId"] == AMAZON
    assert images(stand_in, [AMAZON], name=name) == images(stand_in, ["amazon"], name=name)
    assert images(stand_in, ["self"], name=name) == []
    assert images(stand_in, name=name, owner_alias="amazon") == anyone[:-1]


def test_amazon_linux_2023_has_its_date_and_size(stand_in: StandIn) -> None:
    for region in ("us-east-1", "eu-central-1", "ap-south-1"):
        for architecture in ("x86_64", "arm64"):
            path = f"/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-{architecture}"
            wanted = parameter(stand_in, path, region)
            ec2 = stand_in.client(region=region)
            image = ec2.describe_images(ImageIds=[wanted], Owners=["amazon"])["Images"][0]
            assert image["Architecture"] == architecture
            assert image["CreationDate"][:10].replace("-", "") in image["Name"]
            assert image["BlockDeviceMappings"][0]["Ebs"]["VolumeSize"] == 8


def test_the_root_volume_is_as_large_as_the_snapshot(stand_in: StandIn) -> None:
    net, ec2 = stand_in.default_network(), stand_in.client()
    path = "/aws/service/deeplearning/ami/x86_64/base-oss-nvidia-driver-gpu-ubuntu-24.04"
    request: dict[str, Any] = {
        "ImageId": parameter(stand_in, f"{path}/latest/ami-id"),
        "InstanceType": "m5.2xlarge",
        "MinCount": 1,
        "MaxCount": 1,
        "SubnetId": net.subnet_for("m5.2xlarge"),
    }
    ec2.run_instances(**request)
    sizes = [one["Size"] for one in ec2.describe_volumes()["Volumes"] if one["Attachments"]]
    assert sizes == [75]
    small = [{"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 74}}]
    with pytest.raises(ClientError, match="expect size >= 75GB"):
        ec2.run_instances(**request, BlockDeviceMappings=small)


def test_an_unknown_parameter(stand_in: StandIn) -> None:
    ssm = stand_in.client("ssm")
    with pytest.raises(ClientError) as caught:
        ssm.get_parameter(Name="/aws/service/deeplearning/ami/x86_64/none/latest/ami-id")
    assert caught.value.response["Error"]["Code"] == "ParameterNotFound"
    assert ssm.get_parameters(Names=["/none/such"])["InvalidParameters"] == ["/none/such"]


def test_pages_and_an_unknown_filter(stand_in: StandIn) -> None:
    ec2 = stand_in.client()
    whole = ec2.describe_images(Owners=["amazon"])["Images"]
    pages = ec2.get_paginator("describe_images").paginate(
        Owners=["amazon"], PaginationConfig={"PageSize": 500}
    )
    assert [one["ImageId"] for page in pages for one in page["Images"]] == [
        one["ImageId"] for one in whole
    ]
    with pytest.raises(ClientError, match="The filter 'colour' is invalid"):
        images(stand_in, colour="red")


def test_a_reset_undoes_what_was_done_to_images(stand_in: StandIn) -> None:
    ec2 = stand_in.client()

    before = ec2.describe_images()["Images"]
    assert len(before) > 1000
    public, gone, disabled, tagged = (one["ImageId"] for one in before[:4])
    snapshot = before[3]["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    more = {"OperationType": "add", "UserIds": ["123456789012"]}
    ec2.modify_image_attribute(ImageId=public, Attribute="launchPermission", **more)
    permission = {"SnapshotId": snapshot, "Attribute": "createVolumePermission"}
    ec2.modify_snapshot_attribute(**permission, **more)
    ec2.deregister_image(ImageId=gone)
    ec2.disable_image(ImageId=disabled)
    ec2.create_tags(Resources=[tagged], Tags=[{"Key": "k", "Value": "v"}])
    stand_in.reset()
    assert ec2.describe_images()["Images"] == before
    assert ec2.describe_snapshot_attribute(**permission)["CreateVolumePermissions"] == []
    launch = ec2.describe_image_attribute(ImageId=public, Attribute="launchPermission")
    assert launch["LaunchPermissions"] == [{"Group": "all"}]
