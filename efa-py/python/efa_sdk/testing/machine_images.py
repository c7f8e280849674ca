"""Public images that moto lacks: Deep Learning Base AMIs, older and newer, and a look-alike.

Names, owner and SSM parameters are AWS's (AWS Deep Learning AMIs developer guide and public
reports; the owner account and 75 GiB as several public Terraform files have them); the ids, the
build dates and Ubuntu's size are invented.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from typing import Any

from moto.core.utils import utcnow
from moto.ec2.models.amis import Ami
from moto.ssm.models import Parameter, ssm_backends

DLAMI_OWNER = "898082745236"
OTHER_ACCOUNT = "210987654321"
_BUILDS = ("20260801", "20260918")
_NAMES = {
    "x86_64": "Deep Learning Base OSS Nvidia Driver GPU AMI",
    "arm64": "Deep Learning ARM64 Base OSS Nvidia Driver GPU AMI",
}
_SYSTEMS = {  # name in the image's name, name in the parameter, root device
    "Amazon Linux 2023": ("amazon-linux-2023", "/dev/xvda"),
    "Ubuntu 22.04": ("ubuntu-22.04", "/dev/sda1"),
    "Ubuntu 24.04": ("ubuntu-24.04", "/dev/sda1"),
}
_ROOT_GIB = 75
_AL2023 = re.compile(r"al2023-ami.*-2023\.\d+\.(\d{8})\.")


def add_public_images(backend: Any) -> None:
    """Adds the images and their parameters to a Region, once."""
    parameters = ssm_backends[backend.account_id][backend.region_name]._parameters
    for architecture, title in _NAMES.items():
        for system, (short, root) in _SYSTEMS.items():
            for build in _BUILDS:
                name = f"{title} ({system}) {build}"
                image = _add(backend, name, architecture, root, DLAMI_OWNER, build)
            path = (
                f"/aws/service/deeplearning/ami/{architecture}/base-oss-nvidia-driver-gpu-{short}"
            )
            _parameter(backend, parameters, f"{path}/latest/ami-id", image)
        # Newer than every build of AWS, of the same name pattern, and not AWS's.
        name = f"{title} (Amazon Linux 2023) 20261231"
        _add(backend, name, architecture, "/dev/xvda", OTHER_ACCOUNT, "20261231")


def root_gib(image: Any) -> int:
    """The size of an image's root snapshot."""
    return int(getattr(image, "root_gib", 8))


def platform_details(image: Any) -> str:
    """What an image is billed as."""
    return "Windows" if image.platform == "windows" else "Linux/UNIX"


def created(image: Any) -> dt.datetime:
    """When an image was made; moto does not know that of its Amazon Linux 2023 images."""
    found = _AL2023.match(str(image.name or ""))
    moment: dt.datetime = _day(found[1]) if found else image.creation_date
    return moment


def _add(backend: Any, name: str, architecture: str, root: str, owner: str, day: str) -> str:
    digest = hashlib.sha256(f"{backend.region_name}/{owner}/{name}".encode()).hexdigest()
    image_id = f"ami-{digest[:17]}"
    if image_id in backend.amis:
        return image_id
    image = Ami(
        backend,
        image_id,
        name=name,
        description=name,
        owner_id=owner,
        owner_alias="amazon" if owner == DLAMI_OWNER else None,
        public=True,
        virtualization_type="hvm",
        architecture=architecture,
        creation_date=_day(day),
        image_location=f"{'amazon' if owner == DLAMI_OWNER else owner}/{name}",
        hypervisor="xen",
        root_device_type="ebs",
        root_device_name=root,
        boot_mode="uefi-preferred",
    )
    image.root_gib = _ROOT_GIB  # type: ignore[attr-defined]
    backend.amis[image_id] = image
    return image_id


def _day(text: str) -> dt.datetime:
    return dt.datetime.strptime(text, "%Y%m%d")


def _parameter(backend: Any, parameters: Any, name: str, value: str) -> None:
    if name in parameters:
        return
    parameters[name].append(
        Parameter(  # type: ignore[abstract]
            account_id=backend.account_id,
            name=name,
            value=value,
            parameter_type="String",
            description=None,
            allowed_pattern=None,
            keyid=None,
            last_modified_date=utcnow(),
            version=1,
            data_type="text",
        )
    )
