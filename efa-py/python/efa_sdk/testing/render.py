"""moto's objects as the API describes them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from . import elastic
from .instance import Launched
from .tagging import tag_list


def reservation(item: Any, chosen: Iterable[Any]) -> dict[str, Any]:
    """A Reservation with some of its instances."""
    return {
        "ReservationId": item.id,
        "OwnerId": item.owner_id,
        "Groups": [],
        "Instances": [instance(one) for one in chosen],
    }


def state(one: Any) -> dict[str, Any]:
    """An InstanceState."""
    return {"Code": one.state_code, "Name": one.state}


def groups(items: Iterable[Any]) -> list[dict[str, str]]:
    """GroupIdentifiers."""
    return [{"GroupName": group.name, "GroupId": group.id} for group in items]


def instance(one: Any) -> dict[str, Any]:
    """An Instance."""
    launched: Launched = getattr(one, "launched", None) or Launched()
    gone = one.state == "terminated"
    primary = one.nics.get(0)
    answer: dict[str, Any] = {
        "AmiLaunchIndex": one.ami_launch_index,
        "ImageId": one.image_id,
        "InstanceId": one.id,
        "InstanceType": one.instance_type,
        "KeyName": one.key_name,
        "LaunchTime": one.launch_time,
        "Monitoring": {"State": one.monitoring_state},
        "Placement": _placement(one, launched),
        "ProductCodes": [],
        "PrivateDnsName": "" if gone or primary is None else private_dns(one, primary),
        "PublicDnsName": "" if gone or not one_public(primary) else one.public_dns_name,
        "State": state(one),
        "StateTransitionReason": one.state_transition_reason or "",
        "Architecture": one.architecture,
        "BlockDeviceMappings": [] if gone else _block_devices(one),
        "ClientToken": launched.client_token or "",
        "EbsOptimized": bool(one.ebs_optimized),
        "EnaSupport": True,
        "Hypervisor": "xen",
        "NetworkInterfaces": [] if gone else [instance_interface(nic) for nic in _nics(one)],
        "RootDeviceName": one.root_device_name,
        "RootDeviceType": "ebs",
        "SecurityGroups": [] if gone else groups(one.security_groups),
        "VirtualizationType": "hvm",
        "CapacityReservationSpecification": _reservation_spec(launched),
        "CapacityReservationId": launched.reservation_id,
        "MetadataOptions": _metadata(one),
        "PrivateDnsNameOptions": {
            "HostnameType": _hostname_type(one, launched),
            "EnableResourceNameDnsARecord": bool(
                launched.dns_names.get("EnableResourceNameDnsARecord")
            ),
            "EnableResourceNameDnsAAAARecord": bool(
                launched.dns_names.get("EnableResourceNameDnsAAAARecord")
            ),
        },
        "EnclaveOptions": {"Enabled": False},
        "HibernationOptions": {"Configured": False},
        "PlatformDetails": "Linux/UNIX",
        "UsageOperation": "RunInstances",
        "InstanceLifecycle": launched.market,
        "SpotInstanceRequestId": launched.spot_request_id,
        "Tags": tag_list(one.ec2_backend, one.id),
        "SourceDestCheck": None if gone else bool(one.source_dest_check),
    }
    if not gone:
        answer["SubnetId"] = one.subnet_id
        answer["VpcId"] = one.vpc_id
        if primary is not None:
            answer["PrivateIpAddress"] = primary.private_ip_address
            answer["PublicIpAddress"] = primary.public_ip
            answer["Ipv6Address"] = next(iter(primary.ipv6_addresses), None)
    if launched.profile:
        answer["IamInstanceProfile"] = {"Arn": launched.profile[0], "Id": launched.profile[1]}
    elif one.iam_instance_profile:
        answer["IamInstanceProfile"] = dict(one.iam_instance_profile)
    if launched.cores:
        answer["CpuOptions"] = {
            "CoreCount": launched.cores,
            "ThreadsPerCore": launched.threads or 1,
        }
    if one.state_reason.code:
        answer["StateReason"] = {
            "Code": one.state_reason.code,
            "Message": one.state_reason.message,
        }
    return answer


def one_public(nic: Any) -> bool:
    """Whether an interface has a public address."""
    return nic is not None and bool(nic.public_ip)


def _nics(one: Any) -> list[Any]:
    return [one.nics[key] for key in sorted(one.nics)]


def _hostname_type(one: Any, launched: Launched) -> str:
    """What the launch asked for; EC2's default is by the address, and by the id where there is no
    IPv4 address (EC2 user guide, "EC2 instance hostnames and domains").
    """
    primary = one.nics.get(0)
    by_id = primary is not None and primary.subnet.ipv6_native
    return str(launched.dns_names.get("HostnameType") or ("resource-name" if by_id else "ip-name"))


def private_dns(one: Any, nic: Any) -> str:
    """The name that EC2 gives an interface's first address."""
    if not nic.private_ip_address and not nic.ipv6_addresses:
        return ""
    domain = "ec2" if one.region_name == "us-east-1" else f"{one.region_name}.compute"
    launched = getattr(one, "launched", None)
    if launched is not None and _hostname_type(one, launched) == "resource-name":
        return f"{one.id}.{domain}.internal"
    return f"ip-{nic.private_ip_address.replace('.', '-')}.{domain}.internal"


def _placement(one: Any, launched: Launched) -> dict[str, Any]:
    return {
        "AvailabilityZone": one.availability_zone,
        "AvailabilityZoneId": launched.zone_id or None,
        "GroupName": launched.group_name or "",
        "GroupId": launched.group_id,
        "Tenancy": launched.tenancy,
        "PartitionNumber": launched.partition,
    }


def _reservation_spec(launched: Launched) -> dict[str, Any]:
    spec = launched.reservation_spec or {}
    target = spec.get("CapacityReservationTarget")
    if target:
        return {"CapacityReservationTarget": dict(target)}
    return {"CapacityReservationPreference": spec.get("CapacityReservationPreference") or "open"}


def _metadata(one: Any) -> dict[str, Any]:
    options = one.metadata_options
    return {
        "State": options.state or "applied",
        "HttpTokens": options.http_tokens or "optional",
        "HttpPutResponseHopLimit": options.http_put_response_hop_limit or 1,
        "HttpEndpoint": options.http_endpoint or "enabled",
        "HttpProtocolIpv6": options.http_protocol_ipv6 or "disabled",
        "InstanceMetadataTags": options.instance_metadata_tags or "disabled",
    }


def _block_devices(one: Any) -> list[dict[str, Any]]:
    return [
        {
            "DeviceName": name,
            "Ebs": {
                "VolumeId": device.volume_id,
                "Status": "attached",
                "AttachTime": device.attach_time,
                "DeleteOnTermination": bool(device.delete_on_termination),
            },
        }
        for name, device in one.get_block_device_mapping
    ]


def _association(nic: Any) -> dict[str, Any] | None:
    if not nic.public_ip:
        return None
    dashed = nic.public_ip.replace(".", "-")
    eip = elastic.held_by(nic)
    region = nic.ec2_backend.region_name
    domain = "compute-1" if region == "us-east-1" else f"{region}.compute"
    return {
        "AllocationId": eip.allocation_id if eip else None,
        "AssociationId": eip.association_id if eip else None,
        "IpOwnerId": nic.owner_id if eip else "amazon",
        "PublicDnsName": f"ec2-{dashed}.{domain}.amazonaws.com",
        "PublicIp": nic.public_ip,
    }


def _addresses(nic: Any, association: dict[str, Any] | None) -> list[dict[str, Any]]:
    return [
        {
            "PrivateIpAddress": item["PrivateIpAddress"],
            "Primary": item["PrivateIpAddress"] == nic.private_ip_address,
            "Association": association
            if item["PrivateIpAddress"] == nic.private_ip_address
            else None,
        }
        for item in nic.private_ip_addresses
    ]


def _common(nic: Any) -> dict[str, Any]:
    association = _association(nic)
    return {
        "Description": nic.description or "",
        "Groups": groups(nic._group_set),
        "Ipv6Addresses": [{"Ipv6Address": ip} for ip in nic.ipv6_addresses],
        "MacAddress": nic.mac_address,
        "NetworkInterfaceId": nic.id,
        "OwnerId": nic.owner_id,
        "PrivateIpAddress": nic.private_ip_address,
        "PrivateIpAddresses": _addresses(nic, association),
        "SourceDestCheck": bool(nic.source_dest_check),
        "Status": nic.status,
        "SubnetId": nic.subnet.id,
        "VpcId": nic.subnet.vpc_id,
        "InterfaceType": nic.interface_type,
        "Association": {k: v for k, v in association.items() if v} if association else None,
    }


def attachment(nic: Any) -> dict[str, Any] | None:
    """A NetworkInterfaceAttachment."""
    if nic.instance is None:
        return None
    return {
        "AttachTime": nic.attach_time,
        "AttachmentId": nic.attachment_id,
        "DeleteOnTermination": bool(nic.delete_on_termination),
        "DeviceIndex": nic.device_index,
        "NetworkCardIndex": getattr(nic, "network_card_index", 0),
        "InstanceId": nic.instance.id,
        "InstanceOwnerId": nic.owner_id,
        "Status": "attached",
    }


def instance_interface(nic: Any) -> dict[str, Any]:
    """An InstanceNetworkInterface."""
    answer = _common(nic)
    # InstanceNetworkInterfaceAssociation knows no allocation.
    for holder in (answer, *answer["PrivateIpAddresses"]):
        if holder.get("Association"):
            kept = ("IpOwnerId", "PublicDnsName", "PublicIp")
            holder["Association"] = {key: holder["Association"][key] for key in kept}
    attached = attachment(nic) or {}
    answer["Attachment"] = {
        key: value
        for key, value in attached.items()
        if key not in ("InstanceId", "InstanceOwnerId")
    }
    return answer


def network_interface(nic: Any) -> dict[str, Any]:
    """A NetworkInterface."""
    return {
        **_common(nic),
        "Attachment": attachment(nic),
        "AvailabilityZone": nic.subnet.availability_zone,
        "AvailabilityZoneId": nic.subnet.availability_zone_id,
        "RequesterManaged": False,
        "TagSet": tag_list(nic.ec2_backend, nic.id),
    }


def address(eip: Any) -> dict[str, Any]:
    """An Address. Its instance is the one that its interface is attached to."""
    nic = eip.eni
    return {
        "AllocationId": eip.allocation_id,
        "AssociationId": eip.association_id,
        "Domain": eip.domain,
        "InstanceId": nic.instance.id if nic is not None and nic.instance is not None else None,
        "NetworkBorderGroup": eip.ec2_backend.region_name,
        "NetworkInterfaceId": nic.id if nic is not None else None,
        "NetworkInterfaceOwnerId": nic.owner_id if nic is not None else None,
        "PrivateIpAddress": nic.private_ip_address if nic is not None else None,
        "PublicIp": eip.public_ip,
        "PublicIpv4Pool": "amazon",
        "Tags": tag_list(eip.ec2_backend, eip.id),
    }
