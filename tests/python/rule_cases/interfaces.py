"""Cases of network interfaces and Elastic IPs."""

from __future__ import annotations

from typing import Any

from rule_cases.scene import B300, P5, PLAIN, Scene, case

# Interfaces

case("nic.no_device_index")(lambda s: s.run(nics=[s.nic(0, 0, DeviceIndex=None)]))
case("nic.no_primary")(lambda s: s.run(P5, [s.nic(1, 0)]))
case("nic.duplicate_slot")(lambda s: s.run(P5, [s.nic(0, 0), s.nic(1, 1), s.nic(1, 1)]))
case("nic.unknown_type")(lambda s: s.run(nics=[s.nic(0, 0, "banana")]))
case("nic.too_many")(lambda s: s.run(nics=[s.nic(0, i) for i in range(5)]))
case("nic.card_out_of_range")(lambda s: s.run(P5, [s.nic(0, 0), s.nic(32, 0)]))
case("nic.device_out_of_range")(lambda s: s.run(P5, [s.nic(0, 0), s.nic(2, 2)]))
case("nic.efa_not_on_type")(lambda s: s.run(nics=[s.nic(0, 0, "efa")]))
case("nic.efa_not_on_card")(lambda s: s.run(B300, [s.nic(0, 0, "efa")]))
case("nic.two_efas_on_card")(lambda s: s.run(P5, [s.nic(0, 0, "efa"), s.nic(0, 1, "efa-only")]))
case("nic.too_many_efas")(
    lambda s: s.run("i7ie.48xlarge", [s.nic(0, 0, "efa"), s.nic(1, 0, "efa-only")])
)
case("nic.efa_only_primary")(lambda s: s.run(P5, [s.nic(0, 0, "efa-only")]))
case("nic.efa_only_address")(
    lambda s: s.run(P5, [s.nic(0, 0), s.nic(1, 0, "efa-only", Ipv6AddressCount=1)])
)
case("nic.public_ip_with_several")(
    lambda s: s.run(P5, [s.nic(0, 0, AssociatePublicIpAddress=True), s.nic(1, 0)])
)
case("nic.with_security_groups")(lambda s: s.run(nics=[s.nic(0, 0)], SecurityGroupIds=[s.group]))
case("nic.with_subnet")(lambda s: s.run(nics=[s.nic(0, 0)], SubnetId=s.net.subnet_for(PLAIN)))
case("nic.with_private_ip")(lambda s: s.run(nics=[s.nic(0, 0)], PrivateIpAddress="10.0.0.9"))
case("nic.no_ipv6_range")(lambda s: s.run(P5, [s.nic(0, 0, Ipv6AddressCount=1)]))


def ipv6_only_subnet(s: Scene) -> str:
    return s.ec2.create_subnet(
        VpcId=s.net.vpc_id,
        Ipv6Native=True,
        Ipv6CidrBlock="2600:1f18:1::/64",
        AvailabilityZone=s.zone_of(P5),
    )["Subnet"]["SubnetId"]


@case("nic.ipv4_in_ipv6_only")
def _(s: Scene) -> None:
    only = ipv6_only_subnet(s)
    s.run(P5, [s.nic(0, 0, SubnetId=only, SecondaryPrivateIpAddressCount=1)])


@case("launch.ip_name_in_ipv6_only")
def _(s: Scene) -> None:
    names = {"HostnameType": "ip-name"}
    s.run(P5, [s.nic(0, 0, SubnetId=ipv6_only_subnet(s))], PrivateDnsNameOptions=names)


case("nic.no_subnet")(lambda s: s.run(P5, [s.nic(0, 0), s.nic(1, 0, "efa-only", SubnetId=None)]))


@case("nic.zones_differ")
def _(s: Scene) -> None:
    here = s.net.subnet_for(P5)
    other = next(subnet for subnet in s.net.subnets.values() if subnet != here)
    s.run(P5, [s.nic(0, 0), s.nic(1, 0, SubnetId=other)])


def existing(eni: str, **more: Any) -> list[dict[str, Any]]:
    return [{"DeviceIndex": 0, "NetworkInterfaceId": eni, **more}]


case("nic.unknown_interface")(lambda s: s.run(nics=existing("eni-0123456789abcdef0")))


@case("nic.interface_in_use")
def _(s: Scene) -> None:
    eni = s.eni()
    s.run(nics=existing(eni))
    s.run(nics=existing(eni))


case("nic.interface_with_count")(lambda s: s.run(nics=existing(s.eni()), MaxCount=2))
case("nic.interface_with_settings")(
    lambda s: s.run(nics=existing(s.eni(), DeleteOnTermination=True))
)
case("nic.address_taken")(lambda s: s.run(nics=[s.nic(0, 0, PrivateIpAddress="192.168.0.1")]))


def attachments(s: Scene, instance: str) -> list[str]:
    found = s.ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]
    return [nic["Attachment"]["AttachmentId"] for nic in found["NetworkInterfaces"]]


case("nic.detach_primary")(
    lambda s: s.ec2.detach_network_interface(AttachmentId=attachments(s, s.one())[0])
)


@case("attach.efa_while_running")
def _(s: Scene) -> None:
    made = s.one(P5, [s.nic(0, 0)])
    s.settle(made)
    s.ec2.attach_network_interface(
        NetworkInterfaceId=s.eni("efa", SubnetId=s.net.subnet_for(P5)),
        InstanceId=made,
        DeviceIndex=1,
        NetworkCardIndex=1,
    )


@case("attach.slot_taken")
def _(s: Scene) -> None:
    made = s.one()
    s.settle(made)
    s.ec2.attach_network_interface(NetworkInterfaceId=s.eni(), InstanceId=made, DeviceIndex=0)


case("attach.unknown_attachment")(
    lambda s: s.ec2.detach_network_interface(AttachmentId="eni-attach-0123456789abcdef0")
)

# Elastic IPs


def allocate(s: Scene) -> str:
    return str(s.ec2.allocate_address(Domain="vpc")["AllocationId"])


case("address.unknown_allocation")(
    lambda s: s.ec2.release_address(AllocationId="eipalloc-0123456789abcdef0")
)
case("address.unknown_association")(
    lambda s: s.ec2.disassociate_address(AssociationId="eipassoc-0123456789abcdef0")
)
case("address.unknown")(lambda s: s.ec2.describe_addresses(PublicIps=["192.0.2.1"]))


@case("address.associated")
def _(s: Scene) -> None:
    allocation = allocate(s)
    for _ in range(2):
        s.ec2.associate_address(
            AllocationId=allocation, NetworkInterfaceId=s.eni(), AllowReassociation=False
        )


@case("address.interface_taken")
def _(s: Scene) -> None:
    eni = s.eni()
    for _ in range(2):
        s.ec2.associate_address(
            AllocationId=allocate(s), NetworkInterfaceId=eni, AllowReassociation=False
        )


@case("address.several_interfaces")
def _(s: Scene) -> None:
    made = s.one(nics=[s.nic(0, 0), s.nic(0, 1)])
    s.settle(made)
    s.ec2.associate_address(AllocationId=allocate(s), InstanceId=made)


case("address.instance_state")(
    lambda s: s.ec2.associate_address(AllocationId=allocate(s), InstanceId=s.one())
)


@case("address.in_use")
def _(s: Scene) -> None:
    allocation = allocate(s)
    s.ec2.associate_address(AllocationId=allocation, NetworkInterfaceId=s.eni())
    s.ec2.release_address(AllocationId=allocation)
