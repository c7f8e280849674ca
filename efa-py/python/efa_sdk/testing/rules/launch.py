"""Refusals of RunInstances that are not about interfaces."""

from __future__ import annotations

from .rule import Rule

_API_ERRORS = "EC2 API reference, 'Error codes'"
_VOLUME_DOC = "EC2 API reference, EbsBlockDevice"
_RUN_DOC = "EC2 API reference, RunInstances"
_CB_DOC = "EC2 user guide, 'Launch instances using Capacity Blocks'"

LAUNCH_RULES = (
    Rule(
        "launch.counts",
        "MinCount over MaxCount, or a count below 1",
        "InvalidParameterValue",
        "The minimum count {low} and the maximum count {high} do not form a range of 1 or more.",
        _RUN_DOC + "; text ours",
    ),
    Rule(
        "launch.unknown_type",
        "an instance type that does not exist",
        "InvalidParameterValue",
        "Invalid value '{type}' for InstanceType.",
        "iterative/cml#821 (RequestSpotInstances; the same code is reported for RunInstances)",
        literal=True,
    ),
    Rule(
        "launch.type_not_in_zone",
        "a type that the Availability Zone does not offer",
        "Unsupported",
        "Your requested instance type ({type}) is not supported in your requested Availability"
        " Zone ({zone}). Please retry your request by not specifying an Availability Zone or"
        " choosing {others}.",
        "ned1313/Getting-Started-Terraform#44",
        literal=True,
    ),
    Rule(
        "launch.type_not_in_region",
        "a type that the Region does not offer",
        "Unsupported",
        "The requested configuration is currently not supported. Please check the documentation"
        " for supported configurations.",
        "openshift/cluster-api-actuator-pkg#430 has the text, for another unsupported launch",
    ),
    Rule(
        "launch.malformed_image",
        "an image id that is none",
        "InvalidAMIID.Malformed",
        'Invalid id: "{id}" (expecting "ami-...")',
        _API_ERRORS + "; text carried by moto",
    ),
    Rule(
        "launch.unknown_image",
        "an image that does not exist",
        "InvalidAMIID.NotFound",
        "The image id '[{id}]' does not exist",
        _API_ERRORS + "; text carried by moto",
    ),
    Rule(
        "launch.image_unavailable",
        "an image that is not available yet, or no more",
        "InvalidAMIID.Unavailable",
        "The image ID '{id}' is {state}.",
        _API_ERRORS + "; text ours",
    ),
    Rule(
        "launch.dedicated_efa",
        "an EFA on c7g.16xlarge, m7g.16xlarge or r7g.16xlarge with tenancy dedicated",
        "Unsupported",
        "{type} takes no Elastic Fabric Adapter as a Dedicated Instance.",
        "EC2 user guide, 'Elastic Fabric Adapter', limitations; code and text ours",
    ),
    Rule(
        "launch.architecture",
        "an image whose architecture is not the type's",
        "InvalidParameterValue",
        "The architecture '{type_arch}' of the specified instance type does not match the"
        " architecture '{image_arch}' of the specified AMI. Specify an instance type and an AMI"
        " that have matching architectures, and try again. You can use 'describe-instance-types'"
        " or 'describe-images' to discover the architecture of the instance type or AMI.",
        "skypilot-org/skypilot#6315",
        literal=True,
    ),
    Rule(
        "launch.unknown_subnet",
        "a subnet that does not exist",
        "InvalidSubnetID.NotFound",
        "The subnet ID '{id}' does not exist",
        "boto/boto3#2398",
        literal=True,
    ),
    Rule(
        "launch.no_default_subnet",
        "no subnet given and none to fall back on",
        "MissingInput",
        "No subnets found for the default VPC. Please specify a subnet.",
        "carried by moto, without the VPC's id",
    ),
    Rule(
        "launch.zone_mismatch",
        "Placement.AvailabilityZone that is not the subnet's zone, or does not exist",
        "InvalidParameterValue",
        "Invalid availability zone: [{zone}]",
        _API_ERRORS + "; text ours",
    ),
    Rule(
        "launch.unknown_group",
        "a security group that does not exist",
        "InvalidGroup.NotFound",
        "The security group '{id}' does not exist",
        "kubernetes-sigs/aws-load-balancer-controller#2371",
        literal=True,
    ),
    Rule(
        "launch.group_in_other_vpc",
        "a security group and a subnet of different VPCs",
        "InvalidParameter",
        "Security group {group} and subnet {subnet} belong to different networks.",
        "ansible/ansible-modules-core#347, QT-DevOps/DevOpsIssues#256",
        literal=True,
    ),
    Rule(
        "launch.group_names_with_subnet",
        "security groups by name together with a subnet",
        "InvalidParameterCombination",
        "The parameter groupName cannot be used with the parameter subnet",
        "aws/aws-cli#2453, aws/aws-cli#5679",
        literal=True,
    ),
    Rule(
        "launch.unknown_key",
        "a key pair that does not exist",
        "InvalidKeyPair.NotFound",
        "The key pair '{name}' does not exist",
        _API_ERRORS + "; text not verified",
    ),
    Rule(
        "launch.unknown_profile",
        "an instance profile that does not exist, or not yet for EC2 (iam_propagation_calls)",
        "InvalidParameterValue",
        "Value ({value}) for parameter iamInstanceProfile.{field} is invalid. Invalid IAM Instance"
        " Profile {field}",
        "hashicorp/terraform-provider-aws#27516 (by name; by ARN the same form)",
        literal=True,
    ),
    Rule(
        "launch.profile_without_role",
        "an instance profile with no role in it",
        "InvalidParameterValue",
        'IAM Instance Profile "{arn}" has no associated IAM Roles',
        "hashicorp/terraform-provider-aws (source, which retries it)",
        literal=True,
    ),
    Rule(
        "launch.user_data_size",
        "user data over 16384 bytes before base64",
        "InvalidParameterValue",
        "User data is limited to 16384 bytes",
        "supergiant/capacity#148, runs-on/runs-on#9",
        literal=True,
    ),
    Rule(
        "launch.user_data_encoding",
        "user data that is not base64",
        "InvalidParameterValue",
        "Invalid BASE64 encoding of user data",
        "EC2 API reports; text not verified",
    ),
    Rule(
        "launch.unknown_placement_group",
        "a placement group that does not exist",
        "InvalidPlacementGroup.Unknown",
        "The placement group '{name}' is unknown.",
        "LLL-CAdViSE README",
        literal=True,
    ),
    Rule(
        "launch.placement_group_twice",
        "a placement group by name and by id at once",
        "InvalidParameterCombination",
        "The parameters GroupName and GroupId may not be specified on the same request",
        "EC2 API reference, Placement; code and text ours",
    ),
    Rule(
        "launch.cluster_group_type",
        "a cluster placement group with a type that does not support it",
        "InvalidParameterCombination",
        "Cluster placement groups are not supported by the '{type}' instance type. Specify a"
        " supported instance type or change the placement group strategy, and try again.",
        "dstackai/dstack#2872",
        literal=True,
    ),
    Rule(
        "launch.cluster_group_zone",
        "a launch into a cluster placement group whose instances are in another zone",
        "InvalidPlacementGroup.InUse",
        "The placement group '{name}' is in use in another availability zone: {zone}",
        "bcbio/bcbio-nextgen-vm#45 (2014, its first words are cut off there)",
    ),
    Rule(
        "launch.unknown_market",
        "a MarketType that does not exist",
        "InvalidParameterValue",
        "Value ({value}) for parameter marketType is invalid.",
        "EC2 API reference, InstanceMarketOptionsRequest; text ours",
    ),
    Rule(
        "launch.spot_not_supported",
        "spot, where the type is not sold so",
        "Unsupported",
        "The requested configuration is currently not supported. Please check the documentation"
        " for supported configurations.",
        "EC2 API reference, SupportedUsageClasses; which text EC2 uses is not known",
    ),
    Rule(
        "launch.block_not_supported",
        "a Capacity Block, where the type is not sold so",
        "Unsupported",
        "The requested configuration is currently not supported. Please check the documentation"
        " for supported configurations.",
        "EC2 API reference, SupportedUsageClasses; which text EC2 uses is not known",
    ),
    Rule(
        "launch.block_without_market",
        "a Capacity Block's reservation without the market type capacity-block",
        "InvalidParameterValue",
        "The market type (purchasing) option is not valid. Choose a different market type and try"
        " again",
        "terraform-aws-modules/terraform-aws-ec2-instance#404",
        literal=True,
    ),
    Rule(
        "launch.market_without_block",
        "the market type capacity-block without a Capacity Block's reservation",
        "InvalidParameterCombination",
        "The market type capacity-block requires a Capacity Block reservation as the target.",
        _CB_DOC + "; code and text ours",
    ),
    Rule(
        "launch.unknown_reservation",
        "a capacity reservation that does not exist",
        "InvalidCapacityReservationId.NotFound",
        "The capacity reservation ID '{id}' does not exist",
        _API_ERRORS + "; text ours",
    ),
    Rule(
        "launch.reservation_full",
        "a reservation with too little left, or made for another type",
        "ReservationCapacityExceeded",
        "The requested reservation does not have sufficient compatible and available capacity for"
        " this request.",
        "scylladb/scylla-cluster-tests#8839",
        literal=True,
    ),
    Rule(
        "launch.reservation_zone",
        "a reservation in another zone than the subnet",
        "InvalidParameterValue",
        "The Availability Zone of the subnet ({zone}) is not the capacity reservation's ({other}).",
        _CB_DOC + "; code and text ours",
    ),
    Rule(
        "launch.reservation_tenancy",
        "a tenancy that is not the reservation's",
        "InvalidParameterValue",
        "The tenancy {tenancy} is not the capacity reservation's ({other}).",
        "EC2 user guide, 'Capacity Reservations'; code and text ours",
    ),
    Rule(
        "launch.reservation_platform",
        "an image of another platform than the reservation's",
        "InvalidParameterValue",
        "The platform of the image ({platform}) is not the capacity reservation's ({other}).",
        "EC2 user guide, 'Capacity Reservations'; code and text ours",
    ),
    Rule(
        "launch.block_not_active",
        "a Capacity Block that has not begun or is over",
        "InvalidParameterValue",
        "Your Capacity Block reservation {id} is not active yet.",
        "EC2 Auto Scaling user guide, 'Troubleshoot' has the sentence; the code is not known",
    ),
    Rule(
        "launch.cluster_group_with_block",
        "a cluster placement group with a Capacity Block, or with a reservation made in another",
        "InsufficientInstanceCapacity",
        "We currently do not have sufficient {type} capacity in the Availability Zone you requested"
        " ({zone}). Our system will be working on provisioning additional capacity.",
        "code second-hand, terraform-aws-modules/terraform-aws-eks#3730",
        status=500,
    ),
    Rule(
        "launch.subnet_full",
        "more IP-bearing interfaces than the subnet has free addresses (EFA-only takes none)",
        "InsufficientFreeAddressesInSubnet",
        "The specified subnet does not have enough free addresses to satisfy the request.",
        "aws/amazon-vpc-cni-k8s#1773",
        literal=True,
    ),
    Rule(
        "launch.no_capacity",
        "less capacity than set_capacity() left, with other zones that have some",
        "InsufficientInstanceCapacity",
        "We currently do not have sufficient {type} capacity in the Availability Zone you requested"
        " ({zone}). Our system will be working on provisioning additional capacity. You can"
        " currently get {type} capacity by not specifying an Availability Zone in your request or"
        " choosing {others}.",
        "aws/aws-parallelcluster-node#603; status red-hat-storage/ocs-ci#9263",
        literal=True,
        status=500,
    ),
    Rule(
        "launch.no_capacity_anywhere",
        "less capacity than set_capacity() left, and no other zone has some",
        "InsufficientInstanceCapacity",
        "We currently do not have sufficient {type} capacity in the Availability Zone you requested"
        " ({zone}). Our system will be working on provisioning additional capacity.",
        "aws/aws-parallelcluster-node#603, shortened by us",
        status=500,
    ),
    Rule(
        "launch.unknown_template",
        "a launch template that does not exist",
        "InvalidLaunchTemplateId.NotFound",
        "The specified launch template, with template ID {id}, does not exist.",
        _API_ERRORS + "; text carried by moto",
    ),
    Rule(
        "launch.volume_size",
        "a root volume smaller than the image's snapshot",
        "InvalidBlockDeviceMapping",
        "Volume of size {size}GB is smaller than snapshot '{snapshot}', expect size >= {least}GB",
        "many public reports of RunInstances; no one repository recorded",
        literal=True,
    ),
    Rule(
        "launch.cpu_options_half",
        "cores without threads per core, or threads without cores",
        "InvalidParameterCombination",
        "CoreCount and ThreadsPerCore must be specified together.",
        "EC2 API reference, CpuOptionsRequest; code and text ours",
    ),
    Rule(
        "launch.cpu_options_metal",
        "CPU options for bare metal",
        "InvalidParameterCombination",
        "CPU options are not supported for instance type {type}.",
        "EC2 user guide, 'CPU options'; code and text ours",
    ),
    Rule(
        "launch.cpu_options",
        "more cores or threads per core than the type has",
        "InvalidParameterValue",
        "Instance type {type} does not support {cores} cores with {threads} threads per core.",
        "EC2 user guide, 'CPU options'; code and text ours",
    ),
    Rule(
        "launch.hop_limit",
        "a metadata hop limit outside 1 to 64",
        "InvalidParameterValue",
        "Value ({hops}) for parameter HttpPutResponseHopLimit is invalid.",
        "EC2 API reference, InstanceMetadataOptionsRequest; code and text ours",
    ),
    Rule(
        "launch.spot_price",
        "a maximum spot price of 0.001 dollars or less",
        "InvalidParameterValue",
        "The maximum price {price} must be more than 0.001.",
        "EC2 API reference, SpotOptions, which has the code; text ours",
    ),
    Rule(
        "launch.volume_type",
        "a volume type that does not exist",
        "InvalidParameterValue",
        "Value ({kind}) for parameter volumeType is invalid.",
        _VOLUME_DOC + "; text ours",
    ),
    Rule(
        "launch.volume_range",
        "a volume's size, IOPS or throughput outside of its type's range",
        "InvalidParameterValue",
        "Volume {name} of {value} is too {word}; {limit}.",
        _VOLUME_DOC + "; text ours",
    ),
    Rule(
        "launch.volume_option",
        "IOPS of gp2 and hard disks, throughput of any but gp3",
        "InvalidParameterCombination",
        "The parameter {name} is not supported for {kind} volumes.",
        _VOLUME_DOC + "; text ours",
    ),
    Rule(
        "launch.volume_iops_missing",
        "an io1 or io2 volume without IOPS",
        "MissingParameter",
        "The parameter iops must be specified for {kind} volumes.",
        _VOLUME_DOC + "; text ours",
    ),
    Rule(
        "launch.volume_iops_ratio",
        "more IOPS per GiB than the volume type allows",
        "InvalidParameterValue",
        "Iops to volume size ratio of {ratio} is too high; maximum is {most}",
        "EBS user guide has the ratios; text of public reports, code ours",
    ),
    Rule(
        "launch.volume_throughput_ratio",
        "a gp3 volume with more than 0.25 MiB/s per IOPS",
        "InvalidParameterValue",
        "Throughput (MiBps) to iops ratio of {ratio} is too high; maximum is 0.250000 MiBps per"
        " iops",
        "runs-on/runs-on#260 has the text",
        literal=True,
    ),
    Rule(
        "launch.volume_key",
        "a KMS key for a volume that is not encrypted",
        "InvalidParameterDependency",
        "The parameter KmsKeyId requires the parameter Encrypted to be set.",
        "EC2 API reference, CreateVolume: Encrypted must be true with KmsKeyId; text ours",
    ),
    Rule(
        "launch.no_device_name",
        "a block device mapping without DeviceName",
        "InvalidBlockDeviceMapping",
        "Device name must be specified",
        _API_ERRORS + "; text ours",
    ),
    Rule(
        "launch.metadata_tag_key",
        "tags in the instance metadata, and an instance tag whose key cannot be there",
        "InvalidParameterValue",
        "'{key}' is not a valid tag key. Tag keys must match pattern ({pattern}), and must not be a"
        " reserved name ('.', '..', '_index')",
        "aws/karpenter-provider-aws#1527",
        literal=True,
    ),
)
