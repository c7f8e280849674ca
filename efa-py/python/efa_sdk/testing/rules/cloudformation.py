"""Refusals of CloudFormation. What a resource meets is EC2's refusal, in the stack's events."""

from __future__ import annotations

from .rule import Rule

_QUOTAS = "CloudFormation user guide, 'Understand CloudFormation quotas'; text by efa-sdk"
_API = "CloudFormation API reference"
_TEMPLATE = "CloudFormation user guide, 'Template reference'; text by efa-sdk"

CLOUDFORMATION_RULES = (
    Rule(
        "cloudformation.unknown_stack",
        "a stack that does not exist (DeleteStack takes it for deleted)",
        "ValidationError",
        "Stack with id {name} does not exist",
        _API + ", DescribeStacks",
    ),
    Rule(
        "cloudformation.exists",
        "CreateStack with the name of a stack that is not deleted, a rolled back one included",
        "AlreadyExistsException",
        "Stack [{name}] already exists",
        _API + ", CreateStack",
    ),
    Rule(
        "cloudformation.stack_name",
        "a stack name that is not a letter and up to 127 letters, digits and hyphens",
        "ValidationError",
        "{name} is not a stack name: a letter, then up to 127 letters, digits and hyphens",
        _API + ", CreateStack; text by efa-sdk",
    ),
    Rule(
        "cloudformation.capabilities",
        "IAM resources without CAPABILITY_IAM, named ones without CAPABILITY_NAMED_IAM",
        "InsufficientCapabilitiesException",
        "Requires capabilities : [{capability}]",
        _API + ", CreateStack",
    ),
    Rule(
        "cloudformation.template_size",
        "a template of more than 51,200 bytes in the request",
        "ValidationError",
        "the template has {size} bytes, in the request it may have 51200",
        _QUOTAS,
    ),
    Rule(
        "cloudformation.too_many_resources",
        "a template with more than 500 resources",
        "ValidationError",
        "Template format error: {count} resources, at most 500 are allowed",
        _QUOTAS,
    ),
    Rule(
        "cloudformation.malformed_template",
        "a template that is not JSON or YAML, has no resources, or breaks a function's form",
        "ValidationError",
        "Template format error: {what}",
        _TEMPLATE,
    ),
    Rule(
        "cloudformation.unresolved",
        "a reference to nothing in the template, or a condition that it does not have",
        "ValidationError",
        "Template format error: Unresolved dependencies [{name}]",
        _TEMPLATE,
    ),
    Rule(
        "cloudformation.circular",
        "resources that need each other, a security group that names itself among them",
        "ValidationError",
        "Circular dependency between resources: [{names}]",
        "CloudFormation user guide, 'Troubleshooting CloudFormation'",
    ),
    Rule(
        "cloudformation.unsupported_property",
        "InstanceMarketOptions or CapacityReservationSpecification on AWS::EC2::Instance,"
        " InterfaceType or NetworkCardIndex on its interfaces, GroupName on a placement group;"
        " CloudFormation fails the resource and rolls back, here CreateStack fails",
        "ValidationError",
        "Encountered unsupported property {name}",
        "CloudFormation's resource schemas, as in cfn-lint 1.58.0; text by efa-sdk",
    ),
    Rule(
        "cloudformation.parameter_missing",
        "a parameter without a default that the request does not give",
        "ValidationError",
        "Parameters: [{name}] must have values",
        _API + ", CreateStack",
    ),
    Rule(
        "cloudformation.parameter_unknown",
        "a parameter that the template does not have",
        "ValidationError",
        "Parameters: [{name}] do not exist in the template",
        _API + ", CreateStack",
    ),
    Rule(
        "cloudformation.parameter_value",
        "a parameter that names a VPC, subnet, group, image or key that does not exist, or that"
        " its own constraints do not allow",
        "ValidationError",
        "Parameter validation failed: parameter value {value} for parameter name {name} {why}",
        "CloudFormation user guide, 'CloudFormation-supplied parameter types'; text by efa-sdk",
    ),
)
