"""Our RunInstances on the wire is what the AWS CLI sends for the same intent."""

from __future__ import annotations

import json

import pytest
from support import Cloud, tags_of
from test_cli_reads_back import read_back

# fmt: off
INTENTS = [
    ("c5n.18xlarge", "save-ips"), ("p4d.24xlarge", "save-ips"), ("p4d.24xlarge", "combined"),
    ("p5.48xlarge", "save-ips"), ("p5.48xlarge", "ip-bandwidth"),
    ("p5.48xlarge", "efa-only-secondary"), ("p6-b200.48xlarge", "save-ips"),
    ("p6-b300.48xlarge", "ip-bandwidth"), ("hpc6id.32xlarge", "save-ips"),
    ("trn1.32xlarge", "save-ips"),
]
# fmt: on


def home_of(cloud: Cloud, instance_type: str) -> Cloud:
    """This EC2 in a region that offers the type."""
    if instance_type.startswith("p6-"):
        return Cloud(cloud.stand_in, "us-west-2")
    return cloud.at_home_of(instance_type)


@pytest.mark.parametrize(("instance_type", "profile"), INTENTS, ids=map("-".join, INTENTS))
def test_the_same_parameters_as_the_cli(cloud: Cloud, instance_type: str, profile: str) -> None:
    cloud = home_of(cloud, instance_type)
    plan = cloud.plan(instance_type, profile=profile, volume_size_gib=200)
    cluster = cloud.client.apply(plan)
    tags = [{"Key": key, "Value": value} for key, value in tags_of(cloud.instances()[0]).items()]
    interfaces = [
        {
            "NetworkCardIndex": i.network_card_index,
            "DeviceIndex": i.device_index,
            "InterfaceType": i.interface_type,
            "SubnetId": plan.subnet_ids[0],
            "Groups": [cluster.security_group_id],
            "DeleteOnTermination": True,
            **({} if i.interface_type == "efa-only" else {"AssociatePublicIpAddress": False}),
        }
        for i in plan.layout.interfaces
    ]
    (ours,) = cloud.sent("RunInstances")
    read_back(
        cloud,
        "run-instances",
        *("--instance-type", instance_type, "--count", "2", "--image-id", plan.image_id),
        *("--placement", f"GroupName={cluster.placement_group_name}"),
        *("--network-interfaces", json.dumps(interfaces)),
        *(
            "--block-device-mappings",
            json.dumps(
                [
                    {
                        "DeviceName": "/dev/xvda",
                        "Ebs": {
                            "Encrypted": True,
                            "DeleteOnTermination": True,
                            "VolumeType": "gp3",
                            "VolumeSize": 200,
                        },
                    }
                ]
            ),
        ),
        *(
            "--metadata-options",
            "HttpTokens=required,HttpEndpoint=enabled,HttpPutResponseHopLimit=2",
        ),
        *(
            "--tag-specifications",
            json.dumps(
                [
                    {"ResourceType": kind, "Tags": tags}
                    for kind in ("instance", "volume", "network-interface")
                ]
            ),
        ),
    )
    theirs = cloud.sent("RunInstances")[1]
    assert ours.pop("ClientToken") != theirs.pop("ClientToken")
    assert len(ours) > 6 * len(interfaces)
    assert ours == theirs
