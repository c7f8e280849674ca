"""Launch templates and instances."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..stack import Made
from .context import Context, ResourceType, shaped
from .groups import generated_name


def _create_template(context: Context, name: str, properties: Mapping[str, Any]) -> Made:
    ec2 = context.client("ec2")
    asked: dict[str, Any] = {}
    if "VersionDescription" in properties:
        asked["VersionDescription"] = properties["VersionDescription"]
    if properties.get("TagSpecifications"):
        asked["TagSpecifications"] = properties["TagSpecifications"]
    answer = ec2.create_launch_template(
        LaunchTemplateName=properties.get("LaunchTemplateName")
        or generated_name(context, name, 128),
        LaunchTemplateData=shaped(
            ec2, "CreateLaunchTemplate", "LaunchTemplateData", properties["LaunchTemplateData"]
        ),
        **asked,
    )["LaunchTemplate"]
    template_id = answer["LaunchTemplateId"]
    context.mark(template_id, name)
    attributes = {
        "LaunchTemplateId": template_id,
        "LatestVersionNumber": str(answer["LatestVersionNumber"]),
        "DefaultVersionNumber": str(answer["DefaultVersionNumber"]),
    }
    return Made(name, "", {}, template_id, attributes)


def _delete_template(context: Context, made: Made) -> None:
    context.client("ec2").delete_launch_template(LaunchTemplateId=made.ref)


#: What RunInstances calls the same.
_SAME = (
    "BlockDeviceMappings",
    "DisableApiTermination",
    "EbsOptimized",
    "ImageId",
    "InstanceInitiatedShutdownBehavior",
    "InstanceType",
    "KeyName",
    "LaunchTemplate",
    "MetadataOptions",
    "Monitoring",
    "PrivateIpAddress",
    "SecurityGroupIds",
    "SubnetId",
    "UserData",
)


def _create_instance(context: Context, name: str, properties: Mapping[str, Any]) -> Made:
    ec2 = context.client("ec2")
    asked = {
        key: shaped(ec2, "RunInstances", key, properties[key]) for key in _SAME if key in properties
    }
    if "IamInstanceProfile" in properties:
        asked["IamInstanceProfile"] = {"Name": properties["IamInstanceProfile"]}
    if "PlacementGroupName" in properties:
        asked["Placement"] = {"GroupName": properties["PlacementGroupName"]}
    if tags := context.tags(properties):
        asked["TagSpecifications"] = [{"ResourceType": "instance", "Tags": tags}]
    launched = context.settled(lambda: ec2.run_instances(MinCount=1, MaxCount=1, **asked))
    instance_id = launched["Instances"][0]["InstanceId"]
    context.mark(instance_id, name)
    shown: dict[str, Any] = {}

    def running() -> bool:
        filters = [{"Name": "instance-id", "Values": [instance_id]}]
        for reservation in ec2.describe_instances(Filters=filters)["Reservations"]:
            shown.update(reservation["Instances"][0])
        return bool(shown.get("State", {}).get("Name") == "running")

    made = Made(name, "", {}, instance_id)
    if not context.until(running):
        _delete_instance(context, made)
        raise RuntimeError(f"{instance_id} does not run")
    made.attributes = {
        "AvailabilityZone": shown["Placement"]["AvailabilityZone"],
        "InstanceId": instance_id,
        "PrivateDnsName": shown.get("PrivateDnsName", ""),
        "PrivateIp": shown.get("PrivateIpAddress", ""),
        "PublicIp": shown.get("PublicIpAddress", ""),
        "VpcId": shown.get("VpcId", ""),
    }
    return made


def _delete_instance(context: Context, made: Made) -> None:
    ec2 = context.client("ec2")
    context.settled(lambda: ec2.terminate_instances(InstanceIds=[made.ref]))

    def terminated() -> bool:
        filters = [{"Name": "instance-id", "Values": [made.ref]}]
        return all(
            instance["State"]["Name"] == "terminated"
            for reservation in ec2.describe_instances(Filters=filters)["Reservations"]
            for instance in reservation["Instances"]
        )

    context.until(terminated)


TYPES = {
    "AWS::EC2::LaunchTemplate": ResourceType(
        frozenset(
            {
                "LaunchTemplateName",
                "LaunchTemplateData",
                "TagSpecifications",
                "VersionDescription",
            }
        ),
        _create_template,
        _delete_template,
    ),
    "AWS::EC2::Instance": ResourceType(
        frozenset({*_SAME, "IamInstanceProfile", "PlacementGroupName", "Tags"}),
        _create_instance,
        _delete_instance,
        absent=frozenset({"InstanceMarketOptions", "CapacityReservationSpecification"}),
    ),
}
