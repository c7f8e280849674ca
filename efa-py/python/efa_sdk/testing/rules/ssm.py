"""Refusals of Systems Manager's Run Command."""

from __future__ import annotations

from .rule import Rule

_API = "SSM API reference, "

SSM_RULES = (
    Rule(
        "ssm.not_registered",
        "SendCommand to an instance that does not exist, is not running, or whose role does not let"
        " the agent register (ssm:UpdateInstanceInformation)",
        "InvalidInstanceId",
        "Instances [[{ids}]] not in a valid state for account {account}",
        "many public reports of SendCommand; no one repository recorded",
        literal=True,
    ),
    Rule(
        "ssm.unknown_document",
        "SendCommand with a document that does not exist",
        "InvalidDocument",
        "Document with name {name} does not exist.",
        _API + "SendCommand; text by efa-sdk",
    ),
    Rule(
        "ssm.parameters",
        "SendCommand with parameters that AWS-RunShellScript does not take, or without commands",
        "InvalidParameters",
        "Invalid parameters: {what}.",
        _API + "SendCommand; text by efa-sdk",
    ),
    Rule(
        "ssm.targets",
        "SendCommand with neither or both of InstanceIds and Targets",
        "ValidationException",
        "Either InstanceIds or Targets must be specified, and not both.",
        _API + "SendCommand; text by efa-sdk",
    ),
    Rule(
        "ssm.limit",
        "over 50 InstanceIds, TimeoutSeconds outside 30 to 2592000, a comment over 100 characters,"
        " MaxResults out of range",
        "ValidationException",
        "1 validation error detected: Value '{value}' at '{name}' failed to satisfy constraint:"
        " {limit}",
        _API + "SendCommand, ListCommandInvocations; form as moto carries it",
    ),
    Rule(
        "ssm.token",
        "a NextToken that the SSM action did not hand out for this request",
        "InvalidNextToken",
        "The specified token isn't valid.",
        _API + "ListCommandInvocations; text by efa-sdk",
    ),
    Rule(
        "ssm.unknown_invocation",
        "GetCommandInvocation of a command or instance that is not there, or not yet",
        "InvocationDoesNotExist",
        "The command ID and managed node ID you specified didn't match any invocations. Verify the"
        " command ID and the managed node ID and try again.",
        _API + "GetCommandInvocation; the error's description, whether it is the text is not known",
    ),
    Rule(
        "ssm.unknown_plugin",
        "GetCommandInvocation of a plugin that the document does not have",
        "InvalidPluginName",
        "The plugin name isn't valid.",
        _API + "GetCommandInvocation; text by efa-sdk",
    ),
    Rule(
        "ssm.unknown_command",
        "CancelCommand of a command that does not exist",
        "InvalidCommandId",
        "The specified command ID isn't valid. Verify the ID and try again.",
        _API + "CancelCommand; text by efa-sdk",
    ),
)
