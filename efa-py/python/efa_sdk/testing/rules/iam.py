"""Refusals of IAM that moto leaves out."""

from __future__ import annotations

from .rule import Rule

_IAM_QUOTAS = "IAM user guide, 'IAM and AWS STS quotas'"

IAM_RULES = (
    Rule(
        "iam.name",
        "a role, instance profile or inline policy name with characters that IAM does not allow",
        "ValidationError",
        "The specified value for {field} is invalid. It must contain only alphanumeric characters"
        " and/or the following: +=,.@_-",
        "IAM API reference, CreateRole; text in many public reports, no one repository recorded",
    ),
    Rule(
        "iam.name_length",
        "a role name over 64, an instance profile or inline policy name over 128 characters",
        "ValidationError",
        "1 validation error detected: Value '{name}' at '{field}' failed to satisfy constraint:"
        " Member must have length less than or equal to {limit}",
        _IAM_QUOTAS + "; text in many public reports, no one repository recorded",
    ),
    Rule(
        "iam.trust_policy",
        "a trust policy that is not JSON or has no statement with Effect, Action and Principal",
        "MalformedPolicyDocument",
        "This policy contains invalid Json or lacks {what}",
        "IAM API reference, CreateRole; text by efa-sdk",
    ),
    Rule(
        "iam.boundary",
        "a role with a permissions boundary that is not a managed policy",
        "NoSuchEntity",
        "Scope ARN: {arn} does not exist or is not attachable.",
        "IAM API reference, CreateRole; text in many public reports, no one repository recorded",
        status=404,
    ),
    Rule(
        "iam.policy_action",
        "an inline policy with an action that is not service:Action, e.g. with a space",
        "MalformedPolicyDocument",
        "Action {action} is not a service prefix, a colon and an action name.",
        "IAM API reference, PutRolePolicy; text by efa-sdk",
    ),
    Rule(
        "iam.policy_size",
        "inline policies of a role over 10,240 characters without white space",
        "LimitExceeded",
        "Maximum policy size of 10240 bytes exceeded for role {role}",
        _IAM_QUOTAS + "; text in many public reports, no one repository recorded",
        status=409,
    ),
    Rule(
        "iam.role_not_in_profile",
        "removing a role from an instance profile that it is not in",
        "NoSuchEntity",
        "Role {role} is not in instance profile {profile}.",
        "IAM API reference, RemoveRoleFromInstanceProfile; text by efa-sdk",
        status=404,
    ),
)
