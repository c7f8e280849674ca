"""Refusals of what a caller's policy does not allow."""

from __future__ import annotations

from .rule import Rule

_USER = "User: {user} is not authorized to perform: {action}"

ACCESS_RULES = (
    Rule(
        "auth.ec2",
        "an EC2 action on a resource that the policy of authorize() does not allow",
        "UnauthorizedOperation",
        "You are not authorized to perform this operation. "
        + _USER
        + " on resource: {resource} {why}. Encoded authorization failure message: {encoded}",
        "DataDog/stratus-red-team#387, hashicorp/terraform#4664",
        literal=True,
        status=403,
    ),
    Rule(
        "auth.ec2_listing",
        "an EC2 action that knows no resources and that the policy does not allow",
        "UnauthorizedOperation",
        "You are not authorized to perform this operation. " + _USER + " {why}",
        "quoted in many public write-ups of ec2:DescribeInstances; no one repository recorded",
        literal=True,
        status=403,
    ),
    Rule(
        "auth.spot_role",
        "the first spot launch of an account by a caller that may not make the service-linked role",
        "AuthFailure.ServiceLinkedRoleCreationNotPermitted",
        "The provided credentials do not have permission to create the service-linked role for EC2"
        " Spot Instances.",
        "EC2 user guide, 'Service-linked role for Spot Instance requests'; AutoSpotting#187",
        status=403,
    ),
    Rule(
        "auth.query",
        "an IAM or STS action that the policy does not allow",
        "AccessDenied",
        _USER + " on resource: {resource} {why}",
        "IAM user guide, 'Troubleshoot access denied error messages'",
        literal=True,
        status=403,
    ),
    Rule(
        "auth.json",
        "an SSM or Service Quotas action that the policy does not allow",
        "AccessDeniedException",
        _USER + " on resource: {resource} {why}",
        "IAM user guide, 'Troubleshoot access denied error messages'; JSON services answer 400",
        literal=True,
    ),
)
