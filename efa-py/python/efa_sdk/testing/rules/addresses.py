"""Refusals about Elastic IPs."""

from __future__ import annotations

from .rule import Rule

_API_ERRORS = "EC2 API reference, 'Error codes'"

ADDRESS_RULES = (
    Rule(
        "address.unknown_allocation",
        "an allocation id of an Elastic IP that does not exist",
        "InvalidAllocationID.NotFound",
        "The allocation ID '{id}' does not exist",
        "hashicorp/terraform#6970, mitchellh/vagrant-aws#213",
        literal=True,
    ),
    Rule(
        "address.unknown_association",
        "an association id of an Elastic IP that does not exist, or no longer",
        "InvalidAssociationID.NotFound",
        "The association ID '{id}' does not exist",
        "hashicorp/terraform-provider-aws#3653",
        literal=True,
    ),
    Rule(
        "address.unknown",
        "a public IP that is not an Elastic IP of the account",
        "InvalidAddress.NotFound",
        "Address '{ip}' not found.",
        _API_ERRORS + "; text by efa-sdk",
    ),
    Rule(
        "address.associated",
        "associating an Elastic IP that is in use elsewhere with AllowReassociation=false",
        "Resource.AlreadyAssociated",
        "resource {id} is already associated with associate-id {association}",
        "ansible/ansible#27385",
        literal=True,
    ),
    Rule(
        "address.interface_taken",
        "associating with an interface that has another Elastic IP, with AllowReassociation=false",
        "Resource.AlreadyAssociated",
        "resource {id} is already associated with associate-id {association}",
        _API_ERRORS + "; text by efa-sdk, by analogy with the address's",
    ),
    Rule(
        "address.several_interfaces",
        "associating an Elastic IP by instance id where the instance has several interfaces",
        "InvalidInstanceID",
        "There are multiple interfaces attached to instance '{id}'. Please specify an interface ID"
        " for the operation instead.",
        "cilium/cilium#39654, bobtfish/AWSnycast#28",
        literal=True,
    ),
    Rule(
        "address.instance_state",
        "associating an Elastic IP by instance id while that is pending, shutting down or"
        " terminated",
        "InvalidInstanceID",
        "The {state} instance '{id}' is not in a valid state for this operation.",
        "hashicorp/terraform-provider-aws#21228, cloudposse/terraform-aws-ec2-instance#95",
        literal=True,
    ),
    Rule(
        "address.in_use",
        "releasing an Elastic IP that is associated outside a default VPC",
        "InvalidIPAddress.InUse",
        "Address {ip} is in use.",
        "EC2 API reference, ReleaseAddress; text by efa-sdk",
    ),
)
