"""What people type into the AWS CLI to get an EFA cluster ends in what `apply` makes.

The commands are those of the community's recipes for the same intents, in our words and with
their mistakes mended, run by the real AWS CLI. Names, ids, tags and addresses aside, the only
differences are those that this file lists.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass, field
from typing import Any

import pytest
from aws_cli import aws
from support import DEADLINE_S, Cloud

# Recipes add the self rules to a group that exists; here it is made first, as their authors did.
# Egress: `--protocol all --port -1` is the same as `-1`, and comments after a line's backslash
# (as printed in one recipe) would end the command.
GROUPS = """
group=$(aws ec2 create-security-group --group-name workers --description "EFA workers" \
    --vpc-id "$VPC" --query GroupId --output text)
aws ec2 authorize-security-group-ingress --group-id "$group" \
    --protocol -1 --port -1 --source-group "$group"
aws ec2 authorize-security-group-egress --group-id "$group" \
    --protocol all --port -1 --source-group "$group"
aws ec2 create-placement-group --group-name workers --strategy cluster
nic() {
    echo "NetworkCardIndex=$1,DeviceIndex=$2,InterfaceType=$3,SubnetId=$SUBNET,Groups=$group,\
DeleteOnTermination=true"
}
"""

LAUNCH = """
aws ec2 run-instances --instance-type "$TYPE" --count 2 --image-id "$IMAGE" \
    --placement GroupName=workers --network-interfaces $nics
"""


@dataclass(frozen=True)
class Intent:
    """A cluster of two, as commands and as a specification."""

    instance_type: str
    #: Sets `nics`, and may launch otherwise than `LAUNCH`.
    commands: str
    #: The profile that means the same.
    profile: str
    interfaces: int
    launch: str = LAUNCH
    region: str = "us-east-1"
    spec: dict[str, Any] = field(default_factory=dict)


def loop(cards: int, first: str, device: int, others: str) -> str:
    """Interfaces on all cards, as shell."""
    return f"""
nics=$(nic 0 0 {first})
for card in $(seq 1 {cards - 1}); do nics="$nics $(nic $card {device} {others})"; done
"""


INTENTS = [
    # One interface; whoever has one card leaves the card's index out.
    Intent(
        "c5n.18xlarge",
        "nics=DeviceIndex=0,InterfaceType=efa,SubnetId=$SUBNET,Groups=$group,DeleteOnTermination=true",
        "combined",
        1,
    ),
    # EFA with ENA on every card.
    Intent("p4d.24xlarge", loop(4, "efa", 1, "efa"), "combined", 4),
    Intent("p5.48xlarge", loop(32, "efa", 1, "efa"), "combined", 32),
    # EFA with ENA on the first card, EFA-only on the others.
    Intent("p4d.24xlarge", loop(4, "efa", 1, "efa-only"), "efa-only-secondary", 4),
    Intent("p5.48xlarge", loop(32, "efa", 1, "efa-only"), "efa-only-secondary", 32),
    Intent(
        "p6-b200.48xlarge",
        loop(8, "efa", 1, "efa-only"),
        "efa-only-secondary",
        8,
        region="us-west-2",
    ),
    Intent("trn1.32xlarge", loop(8, "efa", 1, "efa-only"), "efa-only-secondary", 8),
    # One interface fits on each card, so the others are device 0: see the refusal below.
    Intent(
        "hpc6id.32xlarge",
        loop(2, "efa", 0, "efa-only"),
        "efa-only-secondary",
        2,
        region="us-east-2",
    ),
    # A Ray worker with a larger root volume.
    Intent(
        "i7i.24xlarge",
        "nics=$(nic 0 0 efa)",
        "combined",
        1,
        launch=LAUNCH.rstrip()
        + " --block-device-mappings 'DeviceName=/dev/xvda,Ebs={VolumeSize=300,VolumeType=gp3}'\n",
        spec={"volume_size_gib": 300},
    ),
]


def command_line(cloud: Cloud, intent: Intent, script: str) -> subprocess.CompletedProcess[str]:
    """What a shell with the AWS CLI does with the script."""
    variables = {
        "PATH": f"{aws().parent}:{os.environ['PATH']}",
        "AWS_ENDPOINT_URL": cloud.stand_in.endpoint_url,
        "AWS_REGION": cloud.network.region,
        "AWS_DEFAULT_REGION": cloud.network.region,
        "AWS_PAGER": "",
        "TYPE": intent.instance_type,
        "VPC": cloud.network.vpc_id,
        "SUBNET": cloud.network.subnet_for(intent.instance_type),
        "IMAGE": cloud.network.image_for(intent.instance_type),
    }
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
        env={**os.environ, **variables},
    )


def end_state(cloud: Cloud, group_name: str, placement_group_name: str) -> dict[str, Any]:
    """What a cluster is: leaf by leaf, without names, ids, tags and addresses."""
    (group,) = cloud.ec2.describe_security_groups(
        Filters=[{"Name": "group-name", "Values": [group_name]}]
    )["SecurityGroups"]
    (placement_group,) = cloud.ec2.describe_placement_groups(GroupNames=[placement_group_name])[
        "PlacementGroups"
    ]
    itself = group["GroupId"]
    state: dict[str, Any] = {
        "ingress": rules(group["IpPermissions"], itself),
        "egress": rules(group["IpPermissionsEgress"], itself),
        "vpc": group["VpcId"],
        "strategy": placement_group["Strategy"],
        "tenancy": set(),
    }
    instances = cloud.instances(placement_group_name=placement_group_name)
    state["count"] = len(instances)
    for number, instance in enumerate(instances):
        placement = instance["Placement"]
        state["tenancy"].add(placement["Tenancy"])
        leaf = f"instance {number} "
        for key in ("InstanceType", "ImageId", "SubnetId", "VpcId", "AmiLaunchIndex"):
            state[leaf + key] = instance[key]
        for key in ("InstanceLifecycle", "KeyName", "IamInstanceProfile", "PublicIpAddress"):
            state[leaf + key] = instance.get(key)
        state[leaf + "zone"] = placement["AvailabilityZone"]
        for key in ("HttpTokens", "HttpEndpoint", "HttpPutResponseHopLimit"):
            state[leaf + key] = instance["MetadataOptions"][key]
        (mapping,) = instance["BlockDeviceMappings"]
        (volume,) = cloud.ec2.describe_volumes(VolumeIds=[mapping["Ebs"]["VolumeId"]])["Volumes"]
        state[leaf + "volume device"] = mapping["DeviceName"]
        state[leaf + "volume goes with it"] = mapping["Ebs"]["DeleteOnTermination"]
        for key in ("Size", "VolumeType", "Encrypted"):
            state[f"{leaf}volume {key}"] = volume[key]
        for n in instance["NetworkInterfaces"]:
            attachment = n["Attachment"]
            slot = f"{attachment['NetworkCardIndex']}:{attachment['DeviceIndex']}"
            state[f"{leaf}interface {slot}"] = (
                n["InterfaceType"],
                n["SubnetId"],
                n["SourceDestCheck"],
                attachment["DeleteOnTermination"],
                [g["GroupId"] == itself for g in n["Groups"]],
                len(n.get("PrivateIpAddresses", [])),
                "Association" in n,
            )
    return state


def rules(permissions: list[dict[str, Any]], itself: str) -> set[tuple[Any, ...]]:
    """One line for each rule and peer."""
    found = set()
    for p in permissions:
        groups = ["itself" if g["GroupId"] == itself else "other" for g in p["UserIdGroupPairs"]]
        ranges = [r["CidrIp"] for r in p["IpRanges"]] + [r["CidrIpv6"] for r in p["Ipv6Ranges"]]
        for peer in groups + ranges:
            found.add((p["IpProtocol"], p.get("FromPort"), p.get("ToPort"), peer))
    return found


#: Where `apply` differs on purpose: the recipe's value, apply's. The recipe's metadata service
#: also answers without a session token, and not to containers; its root volume is not encrypted.
ON_PURPOSE = {
    "HttpTokens": ("optional", "required"),
    "HttpPutResponseHopLimit": (1, 2),
    "volume Encrypted": (False, True),
}


@pytest.mark.parametrize("intent", INTENTS, ids=[f"{i.instance_type}-{i.profile}" for i in INTENTS])
def test_the_same_end_state(cloud: Cloud, intent: Intent) -> None:
    cloud = Cloud(cloud.stand_in, intent.region)
    done = command_line(cloud, intent, GROUPS + intent.commands + intent.launch)
    assert done.returncode == 0, done.stderr
    theirs = end_state(cloud, "workers", "workers")
    assert theirs["count"] == 2
    assert sum(1 for leaf in theirs if " interface " in leaf) == 2 * intent.interfaces

    spec = {"volume_size_gib": 8, **intent.spec}  # the image's own, as by default
    cloud.apply(intent.instance_type, profile=intent.profile, **spec)
    ours = end_state(cloud, "efa-sdk-train", "efa-sdk-train")
    differences = {
        leaf: (theirs.get(leaf), ours.get(leaf))
        for leaf in {**theirs, **ours}
        if theirs.get(leaf) != ours.get(leaf)
    }
    assert differences == {
        f"instance {n} {leaf}": pair for n in range(2) for leaf, pair in ON_PURPOSE.items()
    }
    # What both leave as EC2 makes it: a new group may call the whole internet.
    everywhere, itself = ("-1", None, None, "0.0.0.0/0"), ("-1", None, None, "itself")
    assert (ours["ingress"], ours["egress"]) == ({itself}, {everywhere, itself})


def test_the_drawing_of_the_recipe_does_not_fit_hpc6id(cloud: Cloud) -> None:
    """Device 1 on the other cards, as on p5: this type takes one interface on each card."""
    cloud = cloud.at_home_of("hpc6id.32xlarge")
    intent = next(i for i in INTENTS if i.instance_type == "hpc6id.32xlarge")
    done = command_line(cloud, intent, GROUPS + loop(2, "efa", 1, "efa-only") + LAUNCH)
    assert done.returncode != 0
    assert "InvalidParameterValue" in done.stderr, done.stderr
    assert cloud.instances() == []
