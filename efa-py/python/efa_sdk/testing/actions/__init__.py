"""The EC2 actions that the stand-in answers itself; every other goes to moto."""

from __future__ import annotations

from ..call import Handler
from . import (
    change_instances,
    describe_instances,
    images,
    instance_types,
    network_interfaces,
    placement_groups,
    reservations,
    run_instances,
    security_groups,
    tags,
    topology,
)

HANDLERS: dict[str, Handler] = {
    "AttachNetworkInterface": network_interfaces.attach_network_interface,
    "AuthorizeSecurityGroupEgress": security_groups.authorize_egress,
    "AuthorizeSecurityGroupIngress": security_groups.authorize_ingress,
    "CancelCapacityReservation": reservations.cancel_capacity_reservation,
    "CreateCapacityReservation": reservations.create_capacity_reservation,
    "CreateNetworkInterface": network_interfaces.create_network_interface,
    "CreatePlacementGroup": placement_groups.create_placement_group,
    "CreateTags": tags.create_tags,
    "DeleteNetworkInterface": network_interfaces.delete_network_interface,
    "DeletePlacementGroup": placement_groups.delete_placement_group,
    "DeleteSecurityGroup": security_groups.delete_security_group,
    "DeleteSubnet": security_groups.delete_subnet,
    "DeleteTags": tags.delete_tags,
    "DescribeCapacityReservations": reservations.describe_capacity_reservations,
    "DescribeImages": images.describe_images,
    "DescribeInstanceStatus": describe_instances.describe_instance_status,
    "DescribeInstanceTopology": topology.describe_instance_topology,
    "DescribeInstanceTypeOfferings": instance_types.describe_instance_type_offerings,
    "DescribeInstanceTypes": instance_types.describe_instance_types,
    "DescribeInstances": describe_instances.describe_instances,
    "DescribeNetworkInterfaces": network_interfaces.describe_network_interfaces,
    "DescribePlacementGroups": placement_groups.describe_placement_groups,
    "DescribeTags": tags.describe_tags,
    "DetachNetworkInterface": network_interfaces.detach_network_interface,
    "RunInstances": run_instances.run_instances,
    "StartInstances": change_instances.start_instances,
    "StopInstances": change_instances.stop_instances,
    "TerminateInstances": change_instances.terminate_instances,
}
