"""Refusals about network interfaces, cards and devices."""

from __future__ import annotations

from .rule import Rule

_EFA_DOC = "EC2 user guide, 'Maximize network bandwidth on instances with EFA' (efa-acc-inst-types)"
_ENI_DOC = "EC2 user guide, 'Elastic network interfaces' (using-eni)"
_SPEC_DOC = "EC2 API reference, InstanceNetworkInterfaceSpecification"

INTERFACE_RULES = (
    Rule(
        "nic.no_device_index",
        "an interface without a device index",
        "InvalidParameterValue",
        "Each network interface requires a device index.",
        "hashicorp/packer#2242, chef/knife-ec2#601",
        literal=True,
    ),
    Rule(
        "nic.no_primary",
        "no interface at card 0, device 0",
        "InvalidParameterValue",
        "When specifying network interfaces, you must include a device at index 0 and network card"
        " at index 0.",
        "aws/aws-parallelcluster#5984",
        literal=True,
    ),
    Rule(
        "nic.duplicate_slot",
        "two interfaces at one card and device",
        "InvalidParameterValue",
        "Network card index {card} and device index {device} are given to more than one interface.",
        _ENI_DOC + ": a device index is unique on its card",
    ),
    Rule(
        "nic.unknown_type",
        "an InterfaceType other than interface, efa, efa-only",
        "InvalidParameterValue",
        "Value ({kind}) for parameter interfaceType is invalid.",
        _SPEC_DOC,
    ),
    Rule(
        "nic.too_many",
        "more interfaces than the type takes",
        "AttachmentLimitExceeded",
        "Interface count {count} exceeds the limit for {type}",
        "cilium/cilium#15877, chef/knife-ec2#375",
        literal=True,
    ),
    Rule(
        "nic.card_out_of_range",
        "a network card that the type does not have",
        "InvalidParameterValue",
        "The specified number '{card}' for the network card index is not valid: {type} has network"
        " cards 0 to {last}.",
        _ENI_DOC,
    ),
    Rule(
        "nic.device_out_of_range",
        "a device index at or above the card's maximum number of interfaces",
        "InvalidParameterValue",
        "The specified number '{device}' for the device index exceeds the maximum number of network"
        " interfaces supported by the network card at network card index {card}. Specify a number"
        " from 0 to {last}",
        # The report cuts a few words out between 'index 2' and 'Specify'; both ends are EC2's.
        "eksctl-io/eksctl#7520 (the middle of the text is cut there)",
    ),
    Rule(
        "nic.efa_not_on_type",
        "an EFA or EFA-only interface on a type without EFA",
        "UnsupportedOperation",
        "EFA interfaces are not supported on {type}",
        "openshift/enhancements, aws_efa_networking.md",
        literal=True,
    ),
    Rule(
        "nic.efa_not_on_card",
        "an EFA or EFA-only interface on a card that takes none (p6-b300 card 0)",
        "AttachmentLimitExceeded",
        "EFA interface count 1 exceeds the limit 0 on network card {card} for {type}",
        "code second-hand, see aws/aws-parallelcluster#7143; text by efa-sdk",
    ),
    Rule(
        "nic.two_efas_on_card",
        "more than one EFA or EFA-only interface on one card",
        "AttachmentLimitExceeded",
        "EFA interface count {count} exceeds the limit 1 on network card {card} for {type}",
        _ENI_DOC + "; code and text by efa-sdk",
    ),
    Rule(
        "nic.too_many_efas",
        "more EFA and EFA-only interfaces than MaximumEfaInterfaces",
        "AttachmentLimitExceeded",
        "EFA interface count {count} exceeds the limit {limit} for {type}",
        "EC2 API reference, EfaInfo.MaximumEfaInterfaces; code and text by efa-sdk",
    ),
    Rule(
        "nic.efa_only_primary",
        "an EFA-only primary interface",
        "InvalidParameterCombination",
        "You can't use an EFA-only network interface as the primary network interface.",
        _EFA_DOC + " has the sentence; whether the API words it so, and its code, is not known",
    ),
    Rule(
        "nic.efa_only_address",
        "IP addresses, prefixes, a public IP or connection tracking on an EFA-only interface",
        "InvalidParameterValue",
        "EFA-only network interfaces take no IP addresses: {name} may not be specified.",
        _SPEC_DOC + "; aws/karpenter-provider-aws launchtemplate.go; text by efa-sdk",
    ),
    Rule(
        "nic.public_ip_with_several",
        "AssociatePublicIpAddress=true with more than one interface",
        "InvalidParameterCombination",
        "The associatePublicIPAddress parameter cannot be specified when launching with multiple"
        " network interfaces.",
        "aws/karpenter-provider-aws#5666",
        literal=True,
    ),
    Rule(
        "nic.with_security_groups",
        "security groups of the instance together with interfaces",
        "InvalidParameterCombination",
        "Network interfaces and an instance-level security groups may not be specified on the same"
        " request",
        "hashicorp/terraform-provider-aws (source)",
        literal=True,
    ),
    Rule(
        "nic.with_subnet",
        "a subnet of the instance together with interfaces",
        "InvalidParameterCombination",
        "Network interfaces and an instance-level subnet ID may not be specified on the same"
        " request",
        "aws/aws-cli#809, aws/aws-sdk-php#231",
        literal=True,
    ),
    Rule(
        "nic.with_private_ip",
        "a private IP of the instance together with interfaces",
        "InvalidParameterCombination",
        "Network interfaces and an instance-level private IP address may not be specified on the"
        " same request",
        "text by efa-sdk, by analogy with the subnet's",
    ),
    Rule(
        "nic.no_subnet",
        "several interfaces of which one has neither a subnet nor an interface id",
        "InvalidParameterValue",
        "Each network interface requires a subnet ID or a network interface ID"
        " (network card index {card}, device index {device}).",
        "code comments of EFA launchers; code and text by efa-sdk",
    ),
    Rule(
        "nic.zones_differ",
        "interfaces in subnets of different Availability Zones",
        "InvalidParameterCombination",
        "The network interfaces are in different Availability Zones: {zones}",
        _ENI_DOC + ": an interface and its instance share the zone; code and text by efa-sdk",
    ),
    Rule(
        "nic.unknown_interface",
        "a network interface id that does not exist",
        "InvalidNetworkInterfaceID.NotFound",
        "The networkInterface ID '{id}' does not exist",
        "EC2 API reference, 'Error codes'; text carried by moto",
    ),
    Rule(
        "nic.interface_in_use",
        "launching with, attaching or deleting an interface that is attached",
        "InvalidNetworkInterface.InUse",
        "Interface: {id} is in use.",
        "EC2 API reference, 'Error codes'; text by efa-sdk",
    ),
    Rule(
        "nic.interface_with_count",
        "an existing interface in a launch of more than one instance",
        "InvalidParameterCombination",
        "A network interface ID may not be specified when launching more than one instance",
        _SPEC_DOC + "; code and text by efa-sdk",
    ),
    Rule(
        "nic.interface_with_settings",
        "an existing interface given with settings that only a new one takes",
        "InvalidParameterCombination",
        "A network interface ID may not be specified together with {name}",
        _SPEC_DOC + "; code and text by efa-sdk",
    ),
    Rule(
        "nic.address_taken",
        "a private IP that is in use, outside the subnet, or asked for several instances",
        "InvalidParameterValue",
        "Address {ip} is not available in subnet {subnet}",
        "EC2 API reference; text by efa-sdk",
    ),
    Rule(
        "nic.no_ipv6_range",
        "an IPv6 address in a subnet without an IPv6 range",
        "InvalidParameterValue",
        "The subnet '{subnet}' has no IPv6 CIDR block.",
        _SPEC_DOC + ": EC2 chooses from the range of the subnet; code and text by efa-sdk",
    ),
    Rule(
        "nic.ipv4_in_ipv6_only",
        "an IPv4 address, prefix or public IP in an IPv6-only subnet",
        "InvalidParameterCombination",
        "{name} may not be specified in the IPv6-only subnet '{subnet}'.",
        "VPC user guide, 'IP addressing for your VPCs and subnets'; code and text by efa-sdk",
    ),
    Rule(
        "nic.detach_primary",
        "detaching the primary interface",
        "OperationNotPermitted",
        "The network interface at device index 0 and networkCard index 0 cannot be detached.",
        _ENI_DOC + "; text carried by moto",
    ),
    Rule(
        "attach.efa_while_running",
        "attaching or detaching an EFA while the instance is not stopped",
        "IncorrectState",
        "Interface type '{kind}' can only be attached to an instance in state stopped",
        "hashicorp/terraform-provider-aws#44355 has the rule",
        literal=True,
    ),
    Rule(
        "attach.slot_taken",
        "attaching to a slot that is taken",
        "InvalidParameterValue",
        "Instance '{instance}' already has an interface attached at device index '{device}'.",
        "cilium/cilium#42512, hashicorp/terraform#2998",
        literal=True,
    ),
    Rule(
        "attach.unknown_attachment",
        "an attachment id that does not exist, or not on the interface named",
        "InvalidAttachmentID.NotFound",
        "The network interface attachment ID '{id}' does not exist",
        "EC2 API reference, 'Error codes'; text carried by moto",
    ),
)
