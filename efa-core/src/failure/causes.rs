//! What AWS's error codes and EC2's state reasons mean to a caller: one table.

/// What comes next after a failed verb, once the cure is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// The same call, at once.
    Again,
    /// The same call, after a while.
    Later,
    /// The same call, once something outside of the specification is changed.
    Mended,
    /// Another specification, and a plan of it.
    PlanAgain,
    /// `destroy`, and then `apply`.
    Destroy,
}

/// One cause: the codes that state this, whether the same call can succeed later without a change,
/// the cure, and what comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cause {
    pub(super) codes: &'static [&'static str],
    pub(crate) retry: bool,
    pub(crate) cure: &'static str,
    pub(crate) next: Next,
}

const fn cause(
    codes: &'static [&'static str],
    retry: bool,
    next: Next,
    cure: &'static str,
) -> Cause {
    Cause {
        codes,
        retry,
        cure,
        next,
    }
}

/// Origin: EC2 API reference, "Error codes for the Amazon EC2 API", common client errors; the
/// common errors of the API references of IAM, Systems Manager, STS and Service Quotas.
const CALLER: &[Cause] = &[
    cause(
        &[
            "UnauthorizedOperation",
            "AccessDenied",
            "AccessDeniedException",
        ],
        false,
        Next::Mended,
        "ask for the named action in your IAM policy",
    ),
    cause(
        &["AuthFailure.ServiceLinkedRoleCreationNotPermitted"],
        false,
        Next::Mended,
        "ask for iam:CreateServiceLinkedRole of spot.amazonaws.com, or let someone who may make \
         EC2 Spot's service-linked role once: aws iam create-service-linked-role \
         --aws-service-name spot.amazonaws.com",
    ),
    cause(
        &[
            "AuthFailure",
            "InvalidClientTokenId",
            "UnrecognizedClientException",
            "SignatureDoesNotMatch",
            "IncompleteSignature",
            "MissingAuthenticationToken",
        ],
        false,
        Next::Mended,
        "check the access key, the secret and the clock, and that the account may use what is named",
    ),
    cause(
        &[
            "RequestExpired",
            "ExpiredToken",
            "ExpiredTokenException",
            "InvalidSecurity.RequestHasExpired",
        ],
        false,
        Next::Mended,
        "check the clock, or sign in again",
    ),
    cause(
        &["OptInRequired", "SubscriptionRequiredException"],
        false,
        Next::Mended,
        "enable the region or zone in your account, or accept the image's terms in AWS Marketplace",
    ),
    cause(
        &["PendingVerification"],
        true,
        Next::Later,
        "wait for AWS to validate the account for this region, mostly within 4 hours; it sends mail",
    ),
    cause(
        &["Blocked"],
        false,
        Next::Mended,
        "AWS has blocked the account: ask AWS Support",
    ),
    cause(
        &["OperationNotPermitted"],
        false,
        Next::Mended,
        "EC2 forbids this for the resource in the message; remove its protection, or ask its owner",
    ),
    cause(
        &["TagPolicyViolation"],
        false,
        Next::PlanAgain,
        "give the tags that your organization's tag policy asks for",
    ),
];

/// Origin: EC2 API reference, error codes, server errors and throttling; IAM and Systems Manager,
/// common errors.
const SERVER: &[Cause] = &[
    cause(
        &[
            "RequestLimitExceeded",
            "Throttling",
            "ThrottlingException",
            "ThrottledException",
            "TooManyRequestsException",
            "RequestThrottled",
            "SlowDown",
        ],
        true,
        Next::Later,
        "retry later: AWS limits the rate of requests",
    ),
    cause(
        &[
            "InternalError",
            "InternalFailure",
            "InternalServerError",
            "ServerInternal",
            "ServiceException",
            "ServiceFailure",
            "Unavailable",
            "ServiceUnavailable",
            "RequestTimeout",
            "RequestTimeoutException",
        ],
        true,
        Next::Later,
        "a fault of AWS: retry later, and see the AWS Health Dashboard if it persists",
    ),
    cause(
        &[
            "ConcurrentModification",
            "ConcurrentModificationException",
            "ConcurrentTagAccess",
            "EntityTemporarilyUnmodifiable",
        ],
        true,
        Next::Again,
        "another call changes the same resource: retry",
    ),
];

/// Origin: EC2 API reference, error codes; answers of RunInstances in public reports
/// (docs/stand-in.md, "What it refuses").
const CAPACITY: &[Cause] = &[
    cause(
        &[
            "InsufficientInstanceCapacity",
            "InsufficientCapacity",
            "UnfulfillableCapacity",
        ],
        true,
        Next::Later,
        "try another zone or time, or a capacity reservation",
    ),
    cause(
        &["InsufficientHostCapacity", "InsufficientCapacityOnHost"],
        true,
        Next::Later,
        "free the dedicated host or allocate another one, or use default tenancy",
    ),
    cause(
        &[
            "ReservationCapacityExceeded",
            "InsufficientReservedInstanceCapacity",
        ],
        true,
        Next::Later,
        "launch fewer instances, or wait until some of the reservation are free again",
    ),
    cause(
        &["InsufficientVolumeCapacity"],
        true,
        Next::Later,
        "the zone lacks room for the volume: try another zone or volume type, or later",
    ),
    cause(
        &["InsufficientAddressCapacity"],
        true,
        Next::Later,
        "AWS has no Elastic IP left: retry later, or plan without public addresses",
    ),
    cause(
        &["Unsupported"],
        false,
        Next::PlanAgain,
        "try another zone: not every zone offers every instance type and configuration",
    ),
    cause(
        &["SpotMaxPriceTooLow"],
        true,
        Next::Later,
        "raise the maximum Spot price, or wait until the Spot price falls",
    ),
    cause(
        &[
            "InsufficientFreeAddressesInSubnet",
            "PrivateIpAddressLimitExceeded",
        ],
        false,
        Next::Mended,
        "choose a larger subnet, or free addresses in this one",
    ),
];

/// Origin: EC2 API reference, error codes "…LimitExceeded"; IAM, LimitExceeded.
const LIMITS: &[Cause] = &[
    cause(
        &["VcpuLimitExceeded"],
        false,
        Next::Mended,
        "raise the vCPU quota of this instance family in Service Quotas",
    ),
    cause(
        &["MaxSpotInstanceCountExceeded", "SpotInstanceCountExceeded"],
        false,
        Next::Mended,
        "raise the Spot quota of this instance family in Service Quotas",
    ),
    cause(
        &["InstanceLimitExceeded"],
        false,
        Next::Mended,
        "raise the instance quota in Service Quotas",
    ),
    cause(
        &["AddressLimitExceeded"],
        false,
        Next::Mended,
        "raise the Elastic IP quota, or plan without public addresses",
    ),
    cause(
        &[
            "VolumeLimitExceeded",
            "Client.VolumeLimitExceeded",
            "MaxIOPSLimitExceeded",
            "VolumeIOPSLimit",
            "SnapshotLimitExceeded",
        ],
        false,
        Next::Mended,
        "raise the EBS storage or IOPS quota in Service Quotas, remove volumes, or plan smaller ones",
    ),
    cause(
        &[
            "NetworkInterfaceLimitExceeded",
            "MaxNetworkInterfacesExceeded",
        ],
        false,
        Next::Mended,
        "raise the quota 'Network interfaces per Region' in Service Quotas, or remove interfaces",
    ),
    cause(
        &["AttachmentLimitExceeded"],
        false,
        Next::PlanAgain,
        "plan fewer interfaces or volumes: the type does not hold as many",
    ),
    cause(
        &["SecurityGroupLimitExceeded"],
        false,
        Next::Mended,
        "raise the quota 'VPC security groups per Region', or use a security group of your own",
    ),
    cause(
        &["RulesPerSecurityGroupLimitExceeded"],
        false,
        Next::Mended,
        "raise the quota of rules per security group, or name fewer ssh_cidrs",
    ),
    cause(
        &[
            "SecurityGroupsPerInterfaceLimitExceeded",
            "SecurityGroupsPerInstanceLimitExceeded",
        ],
        false,
        Next::PlanAgain,
        "name fewer security groups, or raise the quota of groups per interface",
    ),
    cause(
        &["PlacementGroupLimitExceeded", "InstanceCountLimitExceeded"],
        false,
        Next::Mended,
        "raise the placement group quota, or use a placement group of your own",
    ),
    cause(
        &["TagLimitExceeded"],
        false,
        Next::PlanAgain,
        "name fewer tags: EC2 takes 50 on a resource, of which efa-sdk needs up to 15",
    ),
    cause(
        &["LimitExceeded", "LimitExceededException"],
        false,
        Next::Mended,
        "raise the named IAM quota in Service Quotas, or remove what is not used",
    ),
    cause(
        &[
            "ResourceCountExceeded",
            "ResourceCountLimitExceeded",
            "ResourceLimitExceeded",
            "RequestResourceCountExceeded",
            "FilterLimitExceeded",
        ],
        false,
        Next::PlanAgain,
        "plan fewer instances or interfaces at once, or raise the quota in the message",
    ),
];

/// Origin: EC2 API reference, error codes for specific actions.
const NAMED: &[Cause] = &[
    cause(
        &[
            "InvalidKeyPair.NotFound",
            "InvalidKey.Format",
            "InvalidKeyPair.Format",
        ],
        false,
        Next::PlanAgain,
        "create or import the key pair in this region, or name another one or none",
    ),
    cause(
        &[
            "InvalidAMIID.NotFound",
            "InvalidAMIID.Malformed",
            "InvalidAMIID.Unavailable",
            "InvalidAMIName.Malformed",
        ],
        false,
        Next::PlanAgain,
        "name an image that is available in this region and shared with this account",
    ),
    cause(
        &[
            "InvalidSnapshot.NotFound",
            "InvalidSnapshotID.Malformed",
            "Client.InvalidSnapshot.NotFound",
        ],
        false,
        Next::PlanAgain,
        "name another image: a snapshot of this one does not exist or is not shared with you",
    ),
    cause(
        &[
            "InvalidSubnet",
            "InvalidSubnetID.NotFound",
            "InvalidSubnetID.Malformed",
            "InvalidVpcID.NotFound",
            "InvalidVpcID.Malformed",
            "InvalidVpcId.Malformed",
            "InvalidZone.NotFound",
            "InvalidAvailabilityZone",
            "DefaultVpcDoesNotExist",
            "DefaultSubnetDoesNotExist",
            "VPCIdNotSpecified",
            "VPCResourceNotSpecified",
            "MissingInput",
        ],
        false,
        Next::PlanAgain,
        "name a subnet that exists in this region and account",
    ),
    cause(
        &[
            "InvalidGroup.NotFound",
            "InvalidSecurityGroupID.NotFound",
            "InvalidSecurityGroupId.Malformed",
            "InvalidGroupId.Malformed",
        ],
        false,
        Next::PlanAgain,
        "the security group does not exist, or not in this VPC: name another one, or none",
    ),
    cause(
        &["InvalidGroup.Duplicate", "InvalidGroup.Reserved"],
        false,
        Next::PlanAgain,
        "another security group of the VPC has this name: use it, or choose another cluster name",
    ),
    cause(
        &["InvalidPlacementGroup.Duplicate"],
        false,
        Next::PlanAgain,
        "another placement group has this name: use it, or choose another cluster name",
    ),
    cause(
        &[
            "InvalidPlacementGroup.Unknown",
            "InvalidPlacementGroupId.Malformed",
            "InvalidPlacementGroupId.Unknown",
        ],
        false,
        Next::PlanAgain,
        "the placement group does not exist in this region: name another one, or none",
    ),
    cause(
        &[
            "InvalidCapacityReservationId.NotFound",
            "InvalidCapacityReservationId.Malformed",
            "InvalidCapacityReservationState",
            "InvalidReservationID.NotFound",
        ],
        false,
        Next::PlanAgain,
        "name a capacity reservation that is active in this region and shared with this account",
    ),
    cause(
        &[
            "InvalidPermission.Duplicate",
            "InvalidPermission.NotFound",
            "InvalidPermission.Malformed",
        ],
        false,
        Next::Again,
        "another call changed the rules of the security group: retry, and see its rules",
    ),
    cause(
        &[
            "InvalidInstanceID",
            "InvalidInstanceID.NotFound",
            "InvalidInstanceID.Malformed",
            "InvalidInstanceId",
        ],
        true,
        Next::Later,
        "EC2 does not see the instance yet, or no longer: retry in a minute",
    ),
    cause(
        &[
            "InvalidNetworkInterfaceID.NotFound",
            "InvalidNetworkInterfaceId.Malformed",
            "InvalidAttachmentID.NotFound",
        ],
        true,
        Next::Later,
        "EC2 does not see the network interface yet, or no longer: retry in a minute",
    ),
    cause(
        &[
            "InvalidAllocationID.NotFound",
            "InvalidAssociationID.NotFound",
            "InvalidAddress.NotFound",
            "InvalidAddressID.NotFound",
        ],
        true,
        Next::Later,
        "EC2 does not see the Elastic IP yet, or no longer: retry in a minute",
    ),
    cause(
        &["InvalidAddress.Locked"],
        false,
        Next::Mended,
        "the Elastic IP is locked: ask AWS Support to unlock it",
    ),
    cause(
        &["InvalidIPAddress.InUse"],
        true,
        Next::Again,
        "the address was associated meanwhile, perhaps by another apply: retry",
    ),
    cause(
        &["Resource.AlreadyAssociated"],
        true,
        Next::Again,
        "the address is already associated: retry, which finds it",
    ),
    cause(
        &[
            "DependencyViolation",
            "InvalidGroup.InUse",
            "InvalidPlacementGroup.InUse",
            "InvalidNetworkInterface.InUse",
            "InvalidParameterValue.InUse",
            "CannotDelete",
            "DeleteConflict",
            "DeleteConflictException",
        ],
        true,
        Next::Later,
        "something still uses it: stop that, and retry; EC2 notices minutes after the last user \
         is gone",
    ),
    cause(
        &["IncorrectInstanceState", "IncorrectState", "InvalidState"],
        true,
        Next::Later,
        "the resource is between two states: retry in a minute",
    ),
    cause(
        &[
            "IdempotentParameterMismatch",
            "IdempotentInstanceTerminated",
        ],
        false,
        Next::Destroy,
        "an earlier launch of this plan took its client token: destroy the cluster first",
    ),
    cause(
        &[
            "InvalidInstanceType",
            "UnsupportedOperation",
            "UnsupportedInstanceAttribute",
            "InvalidInstanceAttributeValue",
            "UnsupportedHostConfiguration",
            "UnsupportedTenancy",
        ],
        false,
        Next::PlanAgain,
        "the instance type or its options do not go together in this zone: see the message",
    ),
    cause(
        &[
            "InvalidBlockDeviceMapping",
            "InvalidVolume.ZoneMismatch",
            "EncryptedVolumesNotSupported",
            "NonEBSInstance",
            "UnknownVolumeType",
            "InvalidVolumeType",
        ],
        false,
        Next::PlanAgain,
        "change the root volume: EC2 refuses it with this image or type",
    ),
    cause(
        &[
            "InvalidUserData.Malformed",
            "InvalidTagKey.Malformed",
            "InvalidInput",
            "ValidationError",
            "ValidationException",
            "InvalidCharacter",
        ],
        false,
        Next::PlanAgain,
        "change the value in the message: AWS cannot read it",
    ),
    cause(
        &[
            "InvalidParameter",
            "InvalidParameterCombination",
            "InvalidParameterDependency",
            "InvalidParameterValue",
            "InvalidID",
            "InvalidOption.Conflict",
            "InvalidFilter",
        ],
        false,
        Next::PlanAgain,
        "change the value that the message names",
    ),
    cause(
        &[
            "InvalidAction",
            "InvalidQueryParameter",
            "InvalidPaginationToken",
            "MalformedQueryString",
            "MissingAction",
            "MissingParameter",
            "UnknownParameter",
            "UnsupportedProtocol",
            "NoSuchVersion",
        ],
        false,
        Next::Mended,
        "AWS does not know this request: check the endpoint, and report it to efa-sdk",
    ),
];

/// Origin: IAM and Systems Manager API references, the errors of each action.
const OTHER_SERVICES: &[Cause] = &[
    cause(
        &["NoSuchEntity", "NoSuchEntityException"],
        true,
        Next::Later,
        "IAM does not see the role or profile yet, or no longer: retry in a minute",
    ),
    cause(
        &["EntityAlreadyExists", "EntityAlreadyExistsException"],
        false,
        Next::PlanAgain,
        "a role or profile of this name exists: choose another cluster name",
    ),
    cause(
        &[
            "MalformedPolicyDocument",
            "PolicyNotAttachable",
            "UnmodifiableEntity",
        ],
        false,
        Next::PlanAgain,
        "IAM refuses the role's policy: see the message, or use an instance profile of your own",
    ),
    cause(
        &["ParameterNotFound", "ParameterVersionNotFound"],
        false,
        Next::PlanAgain,
        "no SSM parameter of this name in the region: name another image",
    ),
    cause(
        &["NoSuchResourceException"],
        false,
        Next::PlanAgain,
        "Service Quotas has no such quota in this region",
    ),
];

/// Why EC2 ended an instance. Origin: EC2 API reference, "StateReason"; EC2 User Guide,
/// "Troubleshoot Amazon EC2 instance launch issues" (terminates immediately); the KMS reason from
/// bosh-aws-cpi-release#46 and AWS re:Post on Client.InternalError.
const STATE_REASONS: &[Cause] = &[
    cause(
        &["Server.InsufficientInstanceCapacity"],
        true,
        Next::Destroy,
        "EC2 had no capacity after all: try another zone or time, or a capacity reservation",
    ),
    cause(
        &["Server.InternalError"],
        true,
        Next::Destroy,
        "a fault of AWS: launch again",
    ),
    cause(
        &[
            "Client.InvalidKMSKey.InvalidState",
            "Client.InvalidKMSKey.NotFound",
            "Client.InvalidKMSKey.Disabled",
        ],
        false,
        Next::Destroy,
        "make the KMS key of the volumes usable: enabled, not about to be deleted, and allowed for \
         the caller (kms:CreateGrant, kms:Decrypt, kms:DescribeKey, \
         kms:GenerateDataKeyWithoutPlaintext, kms:ReEncryptFrom, kms:ReEncryptTo)",
    ),
    cause(
        &["Client.InternalError"],
        false,
        Next::Destroy,
        "mostly an encrypted volume whose KMS key the caller may not use (kms:CreateGrant, \
         kms:Decrypt, kms:DescribeKey, kms:GenerateDataKeyWithoutPlaintext, kms:ReEncryptFrom, \
         kms:ReEncryptTo), or a root device that the image lacks: check both before launching again",
    ),
    cause(
        &[
            "Server.SpotInstanceTermination",
            "Server.SpotInstanceShutdown",
        ],
        true,
        Next::Destroy,
        "EC2 took the Spot instance back: try another zone or time, or launch on demand",
    ),
    cause(
        &["Server.ScheduledStop"],
        true,
        Next::Destroy,
        "EC2 retired the host of the instance: launch again",
    ),
    cause(
        &[
            "Client.UserInitiatedShutdown",
            "Client.UserInitiatedHibernate",
            "User initiated",
        ],
        false,
        Next::Destroy,
        "somebody ended the instance: find out who (CloudTrail, TerminateInstances) before \
         launching again",
    ),
    cause(
        &["Client.InstanceInitiatedShutdown"],
        false,
        Next::Destroy,
        "the instance shut itself down: see its console output and its user data before launching \
         again",
    ),
    cause(
        &["Client.InstanceTerminated"],
        false,
        Next::Destroy,
        "the instance ended while an image was made of it: launch again when that is done",
    ),
];

/// The cause that this code of AWS, or this state reason of EC2, names.
pub(crate) fn of_code(code: &str) -> Cause {
    let tables = [
        CALLER,
        SERVER,
        CAPACITY,
        LIMITS,
        NAMED,
        OTHER_SERVICES,
        STATE_REASONS,
    ];
    let known = tables
        .iter()
        .copied()
        .flatten()
        .find(|cause| cause.codes.contains(&code));
    known.copied().unwrap_or_else(|| by_form(code))
}

/// A code that the table lacks: AWS adds codes, and their names follow a pattern.
fn by_form(code: &str) -> Cause {
    let ends = |ends: &[&str]| ends.iter().any(|end| code.ends_with(end));
    if code.starts_with("Server.") || code.starts_with("Client.") {
        return cause(
            &[],
            false,
            Next::Destroy,
            "see EC2's reason; launching again helps only once its cause is gone",
        );
    }
    if ends(&[".NotFound", ".Unknown", "NotFoundException"]) {
        return cause(
            &[],
            false,
            Next::PlanAgain,
            "what is named does not exist in this region and account: check the id or name",
        );
    }
    if ends(&["LimitExceeded", "LimitExceededException", "CountExceeded"]) {
        return cause(
            &[],
            false,
            Next::Mended,
            "raise the quota that the message names in Service Quotas, or ask for less",
        );
    }
    if code.starts_with("Insufficient") {
        return cause(
            &[],
            true,
            Next::Later,
            "AWS has not enough of what the message names: try another zone or time",
        );
    }
    if ends(&[".InUse"]) {
        return cause(&[], true, Next::Later, "stop what uses it, and retry");
    }
    if code.starts_with("Invalid") || code.starts_with("Unsupported") || ends(&[".Malformed"]) {
        return cause(
            &[],
            false,
            Next::PlanAgain,
            "change what the message names: AWS refuses it",
        );
    }
    cause(
        &[],
        false,
        Next::Mended,
        "efa-sdk does not know this code of AWS: see the message and AWS's list of error codes",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_has_one_cause() {
        let mut seen = std::collections::BTreeSet::new();
        for table in [
            CALLER,
            SERVER,
            CAPACITY,
            LIMITS,
            NAMED,
            OTHER_SERVICES,
            STATE_REASONS,
        ] {
            for cause in table {
                assert!(!cause.codes.is_empty() && !cause.cure.is_empty());
                for code in cause.codes {
                    assert!(seen.insert(*code), "{code} is listed twice");
                    assert_eq!(of_code(code), *cause);
                }
            }
        }
        assert!(seen.len() > 150, "{}", seen.len());
    }

    /// Two causes with one text would be a cure that does not fit one of them.
    #[test]
    fn each_cause_has_its_own_cure() {
        let mut cures = std::collections::BTreeSet::new();
        let tables = [
            CALLER,
            SERVER,
            CAPACITY,
            LIMITS,
            NAMED,
            OTHER_SERVICES,
            STATE_REASONS,
        ];
        for cause in tables.iter().copied().flatten() {
            assert!(cures.insert(cause.cure), "{}", cause.cure);
        }
    }

    #[test]
    fn a_code_that_aws_adds_has_a_cure_by_its_form() {
        for (code, retry, next, word) in [
            (
                "InvalidFleetThing.NotFound",
                false,
                Next::PlanAgain,
                "exist",
            ),
            ("RackLimitExceeded", false, Next::Mended, "quota"),
            ("InsufficientRackCapacity", true, Next::Later, "zone"),
            ("InvalidRack.InUse", true, Next::Later, "uses"),
            ("InvalidRackSetting", false, Next::PlanAgain, "change"),
            ("Client.RackFellOver", false, Next::Destroy, "reason"),
            ("Surprise", false, Next::Mended, "does not know"),
        ] {
            let cause = of_code(code);
            assert_eq!((cause.retry, cause.next), (retry, next), "{code}");
            assert!(cause.cure.contains(word), "{code}: {}", cause.cure);
        }
    }
}
