"""The EC2 stand-in: Elastic IPs, attributes of interfaces, and how long changes take."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from efa_sdk.testing import StandIn

PLAIN = "m5.2xlarge"


class Scene:
    """A network, and short ways to ask for things."""

    def __init__(self, stand_in: StandIn) -> None:
        self.ec2 = stand_in.client(config=Config(retries={"total_max_attempts": 1}))
        self.net = stand_in.default_network()

    def launch(self, interfaces: int = 1, **first: Any) -> tuple[str, list[str]]:
        """A running instance and its interfaces."""
        subnet = self.net.subnet_for(PLAIN)
        nics = [{"DeviceIndex": device, "SubnetId": subnet} for device in range(interfaces)]
        nics[0].update(first)
        made = self.ec2.run_instances(
            ImageId=self.net.image_for(PLAIN),
            InstanceType=PLAIN,
            MinCount=1,
            MaxCount=1,
            NetworkInterfaces=nics,
        )["Instances"][0]
        self.settle(made["InstanceId"])
        return made["InstanceId"], [n["NetworkInterfaceId"] for n in made["NetworkInterfaces"]]

    def settle(self, instance: str) -> None:
        for _ in range(2):
            self.instance(instance)

    def instance(self, instance: str) -> dict[str, Any]:
        found = self.ec2.describe_instances(InstanceIds=[instance])["Reservations"]
        one: dict[str, Any] = found[0]["Instances"][0]
        return one

    def terminate(self, instance: str) -> None:
        self.ec2.terminate_instances(InstanceIds=[instance])
        self.settle(instance)
        assert self.instance(instance)["State"]["Name"] == "terminated"

    def interface(self, interface: str) -> dict[str, Any]:
        found = self.ec2.describe_network_interfaces(NetworkInterfaceIds=[interface])
        one: dict[str, Any] = found["NetworkInterfaces"][0]
        return one

    def interfaces(self) -> set[str]:
        listed = self.ec2.describe_network_interfaces()["NetworkInterfaces"]
        return {one["NetworkInterfaceId"] for one in listed}

    def allocate(self, **tags: str) -> str:
        listed = [{"Key": key, "Value": value} for key, value in tags.items()]
        specs = [{"ResourceType": "elastic-ip", "Tags": listed}] if tags else []
        made = self.ec2.allocate_address(Domain="vpc", TagSpecifications=specs)
        return str(made["AllocationId"])

    def associate(self, allocation: str, **more: Any) -> str:
        made = self.ec2.associate_address(AllocationId=allocation, **more)
        return str(made["AssociationId"])

    def address(self, allocation: str) -> dict[str, Any]:
        found = self.ec2.describe_addresses(AllocationIds=[allocation])["Addresses"]
        one: dict[str, Any] = found[0]
        return one

    def filtered(self, name: str, value: str) -> list[str]:
        filters = [{"Name": name, "Values": [value]}]
        found = self.ec2.describe_addresses(Filters=filters)["Addresses"]
        return [one["AllocationId"] for one in found]

    def modify(self, interface: str, **change: Any) -> None:
        self.ec2.modify_network_interface_attribute(NetworkInterfaceId=interface, **change)

    def keep(self, interface: str) -> None:
        """Lets an attached interface outlive its instance."""
        attachment = self.interface(interface)["Attachment"]["AttachmentId"]
        self.modify(
            interface, Attachment={"AttachmentId": attachment, "DeleteOnTermination": False}
        )


@pytest.fixture
def scene(stand_in: StandIn) -> Scene:
    return Scene(stand_in)


def code_of(caught: pytest.ExceptionInfo[ClientError]) -> str:
    return str(caught.value.response["Error"]["Code"])


UNASSOCIATED = {"AllocationId", "Domain", "NetworkBorderGroup", "PublicIp", "PublicIpv4Pool"}


def test_an_address_by_interface_shows_its_instance(scene: Scene) -> None:
    instance, (_, second) = scene.launch(2)
    allocation = scene.allocate()
    assert set(scene.address(allocation)) == {*UNASSOCIATED, "Tags"}
    association = scene.associate(allocation, NetworkInterfaceId=second)
    shown, nic = scene.address(allocation), scene.interface(second)
    assert shown["InstanceId"] == instance
    assert shown["NetworkInterfaceId"] == second
    assert shown["NetworkInterfaceOwnerId"] == nic["OwnerId"]
    assert shown["PrivateIpAddress"] == nic["PrivateIpAddress"]
    assert shown["AssociationId"] == association == nic["Association"]["AssociationId"]
    assert shown["PublicIp"] == nic["Association"]["PublicIp"]
    by_ip = scene.ec2.describe_addresses(PublicIps=[shown["PublicIp"]])["Addresses"]
    assert by_ip == [shown]


def test_addresses_by_filter(scene: Scene) -> None:
    instance, (primary,) = scene.launch()
    one, other = scene.allocate(Cluster="train", Name="a"), scene.allocate(Cluster="infer")
    association = scene.associate(one, NetworkInterfaceId=primary)
    shown = scene.address(one)
    for name, value in {
        "instance-id": instance,
        "network-interface-id": primary,
        "association-id": association,
        "allocation-id": one,
        "public-ip": shown["PublicIp"],
        "private-ip-address": shown["PrivateIpAddress"],
        "tag:Cluster": "tr*",
        "tag-key": "Name",
    }.items():
        assert scene.filtered(name, value) == [one], name
    assert scene.filtered("allocation-id", other) == [other]
    assert scene.filtered("domain", "vpc") == [one, other]
    assert scene.filtered("instance-id", "i-0123456789abcdef0") == []
    with pytest.raises(ClientError, match="colour"):
        scene.filtered("colour", "red")


def test_an_address_by_instance_goes_to_its_only_interface(scene: Scene) -> None:
    instance, (primary,) = scene.launch()
    allocation = scene.allocate()
    scene.associate(allocation, InstanceId=instance)
    assert scene.address(allocation)["NetworkInterfaceId"] == primary
    assert scene.instance(instance)["PublicIpAddress"] == scene.address(allocation)["PublicIp"]


def test_the_association_ends_with_the_instance(scene: Scene) -> None:
    instance, (primary,) = scene.launch()
    allocation = scene.allocate()
    scene.associate(allocation, NetworkInterfaceId=primary)
    scene.terminate(instance)
    assert set(scene.address(allocation)) == {*UNASSOCIATED, "Tags"}
    scene.ec2.release_address(AllocationId=allocation)
    assert scene.ec2.describe_addresses()["Addresses"] == []


def test_an_interface_that_outlives_its_instance_keeps_its_address(scene: Scene) -> None:
    instance, (primary,) = scene.launch()
    allocation = scene.allocate()
    association = scene.associate(allocation, NetworkInterfaceId=primary)
    scene.keep(primary)
    scene.terminate(instance)
    shown = scene.address(allocation)
    assert "InstanceId" not in shown
    assert (shown["NetworkInterfaceId"], shown["AssociationId"]) == (primary, association)
    scene.ec2.delete_network_interface(NetworkInterfaceId=primary)
    assert "AssociationId" not in scene.address(allocation)


def test_an_address_moves_to_where_it_is_wanted(scene: Scene) -> None:
    _, (first, second) = scene.launch(2)
    allocation = scene.allocate()
    before = scene.associate(allocation, NetworkInterfaceId=first)
    assert scene.associate(allocation, NetworkInterfaceId=first) == before, "again is no change"
    after = scene.associate(allocation, NetworkInterfaceId=second)
    assert after != before
    assert scene.address(allocation)["NetworkInterfaceId"] == second
    assert "Association" not in scene.interface(first)
    with pytest.raises(ClientError) as caught:
        scene.associate(allocation, NetworkInterfaceId=first, AllowReassociation=False)
    assert code_of(caught) == "Resource.AlreadyAssociated"
    assert scene.address(allocation)["AssociationId"] == after


def test_a_second_address_takes_the_place_of_the_first(scene: Scene) -> None:
    _, (primary,) = scene.launch()
    first, second = scene.allocate(), scene.allocate()
    scene.associate(first, NetworkInterfaceId=primary)
    with pytest.raises(ClientError) as caught:
        scene.associate(second, NetworkInterfaceId=primary, AllowReassociation=False)
    assert code_of(caught) == "Resource.AlreadyAssociated"
    scene.associate(second, NetworkInterfaceId=primary)
    assert "AssociationId" not in scene.address(first)
    assert scene.filtered("network-interface-id", primary) == [second]
    assert scene.interface(primary)["Association"]["PublicIp"] == scene.address(second)["PublicIp"]


def test_an_address_stays_through_a_stop_and_gives_way_to_the_own_one(scene: Scene) -> None:
    instance, (primary,) = scene.launch(AssociatePublicIpAddress=True)
    own = scene.instance(instance)["PublicIpAddress"]
    allocation = scene.allocate()
    association = scene.associate(allocation, NetworkInterfaceId=primary)
    elastic = scene.address(allocation)["PublicIp"]
    assert elastic != own
    scene.ec2.stop_instances(InstanceIds=[instance])
    scene.settle(instance)
    assert scene.instance(instance)["PublicIpAddress"] == elastic
    scene.ec2.start_instances(InstanceIds=[instance])
    scene.settle(instance)
    assert scene.instance(instance)["PublicIpAddress"] == elastic
    scene.ec2.disassociate_address(AssociationId=association)
    assert scene.instance(instance)["PublicIpAddress"] not in (elastic, None)
    with pytest.raises(ClientError) as caught:
        scene.ec2.disassociate_address(AssociationId=association)
    assert code_of(caught) == "InvalidAssociationID.NotFound"


def test_an_address_follows_its_interface(scene: Scene) -> None:
    instance, (_, second) = scene.launch(2)
    allocation = scene.allocate()
    scene.associate(allocation, NetworkInterfaceId=second)
    attachment = scene.interface(second)["Attachment"]["AttachmentId"]
    scene.ec2.detach_network_interface(AttachmentId=attachment)
    assert "InstanceId" not in scene.address(allocation)
    scene.ec2.attach_network_interface(
        NetworkInterfaceId=second, InstanceId=instance, DeviceIndex=1
    )
    assert scene.address(allocation)["InstanceId"] == instance


def test_a_dry_run_changes_no_address(scene: Scene) -> None:
    _, (primary,) = scene.launch()
    allocation = scene.allocate()
    with pytest.raises(ClientError) as caught:
        scene.associate(allocation, NetworkInterfaceId=primary, DryRun=True)
    assert code_of(caught) == "DryRunOperation"
    assert "AssociationId" not in scene.address(allocation)


def shown_deletes(scene: Scene, instance: str) -> list[bool]:
    nics = scene.instance(instance)["NetworkInterfaces"]
    return [nic["Attachment"]["DeleteOnTermination"] for nic in nics]


def test_an_interface_that_is_to_stay_stays(scene: Scene) -> None:
    instance, (first, second) = scene.launch(2)
    assert shown_deletes(scene, instance) == [True, True]
    scene.keep(second)
    assert shown_deletes(scene, instance) == [True, False]
    assert scene.interface(second)["Attachment"]["DeleteOnTermination"] is False
    scene.terminate(instance)
    assert first not in scene.interfaces()
    left = scene.interface(second)
    assert left["Status"] == "available"
    assert "Attachment" not in left


def test_an_attached_interface_may_go_with_its_instance(scene: Scene) -> None:
    instance, _ = scene.launch()
    made = scene.ec2.create_network_interface(SubnetId=scene.net.subnet_for(PLAIN))
    later = made["NetworkInterface"]["NetworkInterfaceId"]
    attachment = scene.ec2.attach_network_interface(
        NetworkInterfaceId=later, InstanceId=instance, DeviceIndex=1
    )["AttachmentId"]
    assert shown_deletes(scene, instance) == [True, False]
    scene.modify(later, Attachment={"AttachmentId": attachment, "DeleteOnTermination": True})
    scene.terminate(instance)
    assert scene.interfaces() == set()


def test_a_failed_launch_leaves_a_reused_interface(scene: Scene) -> None:
    instance, (primary,) = scene.launch()
    scene.keep(primary)
    scene.terminate(instance)
    with pytest.raises(ClientError):
        scene.ec2.run_instances(
            ImageId=scene.net.image_for(PLAIN),
            InstanceType=PLAIN,
            MinCount=1,
            MaxCount=1,
            NetworkInterfaces=[{"DeviceIndex": 0, "NetworkInterfaceId": primary}],
            BlockDeviceMappings=[{"DeviceName": "/dev/sdf", "Ebs": {"SnapshotId": "snap-1"}}],
        )
    assert scene.interface(primary)["Status"] == "available"


def test_attributes_of_an_interface(scene: Scene) -> None:
    instance, (first, second) = scene.launch(2)
    group = scene.ec2.create_security_group(
        GroupName="efa", Description="efa", VpcId=scene.net.vpc_id
    )["GroupId"]
    for nic in (first, second):
        scene.modify(nic, Groups=[group])
        scene.modify(nic, SourceDestCheck={"Value": False})
        scene.modify(nic, Description={"Value": "rail"})
        shown = scene.interface(nic)
        assert [one["GroupId"] for one in shown["Groups"]] == [group]
        assert (shown["SourceDestCheck"], shown["Description"]) == (False, "rail")
    one = scene.instance(instance)
    assert [entry["GroupId"] for entry in one["SecurityGroups"]] == [group]
    assert one["SourceDestCheck"] is False
    scene.modify(second, SourceDestCheck={"Value": True})
    scene.modify(second, Description={"Value": ""})
    assert scene.interface(second)["SourceDestCheck"] is True
    assert scene.interface(second)["Description"] == ""
    assert scene.instance(instance)["SourceDestCheck"] is False, "the primary's"


def test_an_attachment_is_named_rightly_or_refused(scene: Scene) -> None:
    _, (first, second) = scene.launch(2)
    others = scene.interface(second)["Attachment"]["AttachmentId"]
    wanted: dict[str, Any] = {"DeleteOnTermination": False}
    for attachment, code in (
        (wanted, "MissingParameter"),
        ({**wanted, "AttachmentId": others}, "InvalidAttachmentID.NotFound"),
    ):
        with pytest.raises(ClientError) as caught:
            scene.modify(first, Attachment=attachment)
        assert code_of(caught) == code
    with pytest.raises(ClientError, match="stand-in does not implement"):
        scene.modify(first, AssociatePublicIpAddress=True)
    with pytest.raises(ClientError) as caught:
        scene.modify(first, Groups=["sg-0123456789abcdef0"])
    assert code_of(caught) == "InvalidGroup.NotFound"


def state(scene: Scene, instance: str) -> str:
    return str(scene.instance(instance)["State"]["Name"])


def test_how_long_changes_take_may_be_set(scene: Scene, stand_in: StandIn) -> None:
    assert stand_in.transition_describes == 1
    stand_in.transition_describes = 3
    instance, _ = scene.launch()
    assert [state(scene, instance) for _ in range(2)] == ["pending", "running"]
    stand_in.transition_describes = 0
    scene.ec2.stop_instances(InstanceIds=[instance])
    assert state(scene, instance) == "stopped"
    scene.ec2.start_instances(InstanceIds=[instance])
    assert state(scene, instance) == "running"
    scene.ec2.terminate_instances(InstanceIds=[instance])
    assert state(scene, instance) == "terminated"
    stand_in.reset()
    assert stand_in.transition_describes == 1
