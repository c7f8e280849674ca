"""DescribeImages."""

from __future__ import annotations

from typing import Any

from .. import filters
from ..call import Answer, Call
from ..machine_images import created, platform_details, root_gib
from ..paging import page
from ..rules import refuse
from ..tagging import tag_list, tags_of

_FILTERS: dict[str, filters.Reader] = {
    "architecture": lambda one: one.architecture,
    "block-device-mapping.delete-on-termination": lambda one: True,
    "block-device-mapping.device-name": lambda one: one.root_device_name,
    "block-device-mapping.encrypted": lambda one: False,
    "block-device-mapping.snapshot-id": lambda one: one.ebs_snapshot.id,
    "block-device-mapping.volume-size": root_gib,
    "block-device-mapping.volume-type": lambda one: "gp3",
    "creation-date": lambda one: f"{created(one):%Y-%m-%dT%H:%M:%S.000Z}",
    "description": lambda one: one.description,
    "ena-support": lambda one: one.virtualization_type == "hvm",
    "hypervisor": lambda one: one.hypervisor,
    "image-id": lambda one: one.id,
    "image-type": lambda one: one.image_type,
    "is-public": lambda one: one.is_public,
    "manifest-location": lambda one: one.image_location,
    "name": lambda one: one.name,
    "owner-alias": lambda one: one.owner_alias,
    "owner-id": lambda one: one.owner_id,
    "platform": lambda one: one.platform,
    "root-device-name": lambda one: one.root_device_name,
    "root-device-type": lambda one: one.root_device_type,
    "source-instance-id": lambda one: one.source_instance_id,
    "state": lambda one: one.state,
    "virtualization-type": lambda one: one.virtualization_type,
}


def describe_images(call: Call) -> Answer:
    """Lists images; every HVM image of moto's is taken to have ENA."""
    ids = call.get("ImageIds", [])
    for image_id in ids:
        if not image_id.startswith("ami-"):
            refuse("launch.malformed_image", id=image_id)
        if image_id not in call.backend.amis:
            refuse("launch.unknown_image", id=image_id)
    listed = [one for one in call.backend.amis.values() if not ids or one.id in ids]
    owners = [call.account if one == "self" else one for one in call.get("Owners", [])]
    if owners:
        listed = [one for one in listed if {one.owner_id, one.owner_alias} & set(owners)]
    users = call.get("ExecutableUsers", [])
    if users:
        listed = [one for one in listed if _executable(one, users, call.account)]
    found = filters.apply(
        call.get("Filters"), listed, _FILTERS, lambda one: tags_of(call.backend, one.id)
    )
    shown, more = page(call, found, low=1)
    call.stop_if_dry_run()
    return {"Images": [_image(call, one) for one in shown], **more}


def _executable(one: Any, users: list[str], account: str) -> bool:
    if "all" in users and one.is_public:
        return True
    named = {account if user == "self" else user for user in users}
    return any(entry.get("UserId") in named for entry in one.launch_permissions)


def _image(call: Call, one: Any) -> dict[str, Any]:
    return {
        "Architecture": one.architecture,
        "CreationDate": f"{created(one):%Y-%m-%dT%H:%M:%S.000Z}",
        "ImageId": one.id,
        "ImageLocation": one.image_location,
        "ImageType": one.image_type,
        "Public": one.is_public,
        "KernelId": one.kernel_id,
        "OwnerId": one.owner_id,
        "Platform": one.platform,
        "PlatformDetails": platform_details(one),
        "UsageOperation": "RunInstances:0002" if one.platform == "windows" else "RunInstances",
        "State": one.state,
        "BlockDeviceMappings": [
            {
                "DeviceName": one.root_device_name,
                "Ebs": {
                    "DeleteOnTermination": True,
                    "Encrypted": False,
                    "SnapshotId": one.ebs_snapshot.id,
                    "VolumeSize": root_gib(one),
                    "VolumeType": "gp3",
                },
            }
        ],
        "Description": one.description,
        "EnaSupport": True if one.virtualization_type == "hvm" else None,
        "Hypervisor": one.hypervisor,
        "ImageOwnerAlias": one.owner_alias,
        "Name": one.name,
        "RootDeviceName": one.root_device_name,
        "RootDeviceType": one.root_device_type,
        "SriovNetSupport": one.sriov,
        "Tags": tag_list(call.backend, one.id),
        "VirtualizationType": one.virtualization_type,
        "BootMode": one.boot_mode,
    }
