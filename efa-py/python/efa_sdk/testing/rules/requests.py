"""Refusals that any request can meet: form, tokens, paging, filters, tags."""

from __future__ import annotations

from .rule import Rule

_API_ERRORS = "AWS EC2 API reference, 'Error codes'"
_TAG_DOC = "EC2 user guide, 'Tag your Amazon EC2 resources' (tag restrictions)"
_IDEMPOTENCY = "EC2 developer guide, 'Ensuring idempotency'"

REQUEST_RULES = (
    Rule(
        "request.unknown_action",
        "an action that EC2 does not have",
        "InvalidAction",
        "The action {action} is not valid for this web service.",
        _API_ERRORS,
    ),
    Rule(
        "request.not_in_stand_in",
        "an action, parameter or filter of EC2 that this stand-in (and moto below it) lacks",
        "UnsupportedOperation",
        "the efa_sdk.testing stand-in does not implement {what}",
        "by efa-sdk: EC2 has it, the stand-in does not",
    ),
    Rule(
        "request.unknown_parameter",
        "a parameter that the action does not have",
        "UnknownParameter",
        "The parameter {name} is not recognized",
        _API_ERRORS,
    ),
    Rule(
        "request.malformed_parameter",
        "text where a number or a boolean belongs",
        "InvalidParameterValue",
        "Invalid value '{value}' for {name}.",
        _API_ERRORS,
    ),
    Rule(
        "request.missing_parameter",
        "a required parameter left out",
        "MissingParameter",
        "The request must contain the parameter {name}",
        _API_ERRORS,
    ),
    Rule(
        "request.dry_run",
        "a request with DryRun that would have been carried out",
        "DryRunOperation",
        "Request would have succeeded, but DryRun flag is set.",
        _API_ERRORS + "; the text is in the EC2 user guide's --dry-run examples",
        literal=True,
        status=412,
    ),
    Rule(
        "request.unknown_filter",
        "a filter that the action does not have",
        "InvalidParameterValue",
        "The filter '{name}' is invalid",
        "text carried by moto, no public report of EC2's at hand",
    ),
    Rule(
        "page.size",
        "MaxResults outside the action's range",
        "InvalidParameterValue",
        "Value ( {value} ) for parameter maxResults is invalid. Expecting a value between"
        " {low} and {high}.",
        "ranges: AWS EC2 API reference of each Describe action; text by efa-sdk",
    ),
    Rule(
        "page.token",
        "a NextToken that this action did not hand out for this request",
        "InvalidParameterValue",
        "Unable to parse pagination token",
        "code: EC2 API reference; text by efa-sdk",
    ),
    Rule(
        "page.with_ids",
        "MaxResults together with resource ids (DescribeInstances, DescribeInstanceTypes,"
        " DescribeNetworkInterfaces)",
        "InvalidParameterCombination",
        "The parameter {ids} cannot be used with the parameter maxResults",
        "EC2 API reference, DescribeInstances; text carried by moto (there with 'instancesSet')",
    ),
    Rule(
        "token.other_body",
        "a ClientToken used again with other parameters",
        "IdempotentParameterMismatch",
        "Arguments on this idempotent request are inconsistent with arguments used in previous"
        " request(s).",
        "ubicloud/ubicloud#5898",
        literal=True,
    ),
    Rule(
        "token.terminated",
        "a ClientToken whose instances have been terminated",
        "IdempotentInstanceTerminated",
        "The client token you have provided is associated with a terminated instance. Please use"
        " a different client token.",
        "boto/boto3#4406 (the second sentence is cut off there)",
    ),
    Rule(
        "token.too_long",
        "a ClientToken longer than 64 characters",
        "InvalidParameterValue",
        "The client token may be up to 64 ASCII characters",
        _IDEMPOTENCY,
    ),
    Rule(
        "tags.too_many",
        "more than 50 tags on one resource",
        "TagLimitExceeded",
        "The maximum number of Tags for a resource has been reached.",
        _TAG_DOC + "; " + _API_ERRORS,
    ),
    Rule(
        "tags.key_size",
        "a tag key that is empty or longer than 128 characters",
        "InvalidParameterValue",
        "Tag keys must be 1 to 128 characters long: '{key}'",
        _TAG_DOC,
    ),
    Rule(
        "tags.value_size",
        "a tag value longer than 256 characters",
        "InvalidParameterValue",
        "Tag values may be up to 256 characters long (key '{key}')",
        _TAG_DOC,
    ),
    Rule(
        "tags.reserved",
        "a tag key that starts with 'aws:'",
        "InvalidParameterValue",
        "Tag keys starting with 'aws:' are reserved for internal use",
        _TAG_DOC,
    ),
    Rule(
        "tags.duplicate",
        "the same tag key twice in one request",
        "InvalidParameterValue",
        "Duplicate tag key '{key}' specified.",
        _TAG_DOC,
    ),
    Rule(
        "tags.resource_type",
        "a TagSpecification for a resource that the action does not make",
        "InvalidParameterValue",
        "'{kind}' is not a valid taggable resource type for this operation.",
        "text carried by moto, no public report of EC2's at hand",
    ),
)
