"""The actions of CloudFormation that the stand-in answers."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any
from uuid import uuid4

from ..call import Call, Reply
from ..rules import refuse
from .answer import render
from .deploy import create, delete
from .functions import Scope
from .order import wanted
from .parameters import resolve
from .resources import TYPES, Context
from .resources.context import only
from .stack import Made, Stack
from .template import Template, read

Client = Callable[[str], Any]
Tree = dict[str, Any]

_NAME = re.compile(r"[a-zA-Z][-a-zA-Z0-9]{0,127}")
_ON_FAILURE = ("ROLLBACK", "DELETE", "DO_NOTHING")
_KNOWN = {
    "CreateStack": {
        "StackName",
        "TemplateBody",
        "Parameters",
        "Capabilities",
        "Tags",
        "OnFailure",
        "DisableRollback",
        "TimeoutInMinutes",
        "ClientRequestToken",
    },
    "DeleteStack": {"StackName", "ClientRequestToken"},
    "DescribeStackEvents": {"StackName", "NextToken"},
    "DescribeStackResources": {"StackName", "LogicalResourceId"},
    "DescribeStacks": {"StackName", "NextToken"},
    "GetTemplate": {"StackName", "TemplateStage"},
}


def answer(call: Call, client: Client) -> Reply:
    """Carries out an action."""
    known = _KNOWN.get(call.action)
    if known is None:
        refuse("request.not_in_stand_in", what=f"CloudFormation's {call.action}")
    form = _tree(call)
    for name in form:
        if name not in known:
            refuse("request.not_in_stand_in", what=f"{name} of {call.action}")
    body = render(call.action, _HANDLERS[call.action](call, client, form), call.request_id)
    return Reply(200, (("Content-Type", "text/xml"),), body)


def _tree(call: Call) -> Tree:
    """The form's names with dots as a tree; `member` lists as lists."""
    tree: Tree = {}
    for name, value in call.form:
        if name in ("Action", "Version"):
            continue
        *parents, leaf = name.split(".")
        node = tree
        for part in parents:
            node = node.setdefault(part, {})
        node[leaf] = value
    return {name: _listed(value) for name, value in tree.items()}


def _listed(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if set(value) == {"member"}:
        members = value["member"]
        return [_listed(members[key]) for key in sorted(members, key=int)]
    return {name: _listed(one) for name, one in value.items()}


def _create_stack(call: Call, client: Client, form: Tree) -> Mapping[str, Any]:
    name = str(form.get("StackName") or "")
    if not _NAME.fullmatch(name):
        refuse("cloudformation.stack_name", name=name)
    if any(one.name == name and not one.deleted for one in call.state.stacks):
        refuse("cloudformation.exists", name=name)
    body = form.get("TemplateBody")
    if body is None:
        refuse("request.missing_parameter", name="TemplateBody")
    template = read(body)
    given = {}
    for one in form.get("Parameters") or []:
        only(one, ("ParameterKey", "ParameterValue"), "a parameter of the request")
        given[str(one["ParameterKey"])] = str(one.get("ParameterValue", ""))
    parameters = resolve(call, template.parameters, given)
    stack = Stack(
        id=f"arn:aws:cloudformation:{call.region}:{call.account}:stack/{name}/{uuid4()}",
        name=name,
        description=template.description,
        body=body,
        created=call.settings.now(),
        parameters={
            key: ",".join(value) if isinstance(value, list) else value
            for key, value in parameters.items()
        },
        capabilities=list(form.get("Capabilities") or []),
        tags={str(tag["Key"]): str(tag["Value"]) for tag in form.get("Tags") or []},
        on_failure=_on_failure(form),
        looks=call.settings.transition_describes,
    )
    scope = Scope(parameters, _pseudo(call, stack), template.conditions)
    order = wanted(template, scope)
    _check_capabilities(stack, template, order)
    call.state.stacks.append(stack)
    create(Context(call, stack, client), template, scope, order)
    return {"StackId": stack.id}


def _on_failure(form: Tree) -> str:
    if form.get("DisableRollback") == "true":
        return "DO_NOTHING"
    chosen = str(form.get("OnFailure") or "ROLLBACK")
    if chosen not in _ON_FAILURE:
        refuse("request.malformed_parameter", name="OnFailure", value=chosen)
    return chosen


def _pseudo(call: Call, stack: Stack) -> dict[str, Any]:
    return {
        "AWS::AccountId": call.account,
        "AWS::NotificationARNs": [],
        "AWS::Partition": "aws",
        "AWS::Region": call.region,
        "AWS::StackId": stack.id,
        "AWS::StackName": stack.name,
        "AWS::URLSuffix": "amazonaws.com",
    }


def _check_capabilities(stack: Stack, template: Template, order: list[str]) -> None:
    needed = set()
    for name in order:
        resource = template.resources[name]
        capability = TYPES[str(resource["Type"])].capability(resource.get("Properties") or {})
        needed |= {capability} - {None}
    given = set(stack.capabilities)
    named = "CAPABILITY_NAMED_IAM"
    if named in needed and named not in given:
        refuse("cloudformation.capabilities", capability=named)
    if "CAPABILITY_IAM" in needed and not given & {"CAPABILITY_IAM", named}:
        refuse("cloudformation.capabilities", capability="CAPABILITY_IAM")


def _delete_stack(call: Call, client: Client, form: Tree) -> None:
    name = str(form.get("StackName") or "")
    for stack in call.state.stacks:
        if name in (stack.name, stack.id) and not stack.deleted:
            delete(Context(call, stack, client))
            stack.looks = call.settings.transition_describes


def _find(call: Call, name: str) -> Stack:
    """A stack by name, or one that may be deleted by id."""
    for stack in call.state.stacks:
        going = stack.deleted and stack.looks > 0
        if name == stack.id or (name == stack.name and (not stack.deleted or going)):
            return stack
    refuse("cloudformation.unknown_stack", name=name)


def _describe_stacks(call: Call, _client: Client, form: Tree) -> Mapping[str, Any]:
    name = form.get("StackName")
    if name:
        found = [_find(call, str(name))]
    else:
        found = [stack for stack in call.state.stacks if not stack.deleted]
    shown = [_shown(stack) for stack in found]
    for stack in found:
        stack.looks -= 1
    return {"Stacks": shown}


def _shown(stack: Stack) -> dict[str, Any]:
    settled = stack.shown_status == stack.status
    return {
        "StackId": stack.id,
        "StackName": stack.name,
        "Description": stack.description,
        "Parameters": [
            {"ParameterKey": key, "ParameterValue": value}
            for key, value in stack.parameters.items()
        ],
        "CreationTime": stack.created,
        "StackStatus": stack.shown_status,
        "StackStatusReason": stack.reason if settled else None,
        "DisableRollback": stack.on_failure == "DO_NOTHING",
        "Capabilities": stack.capabilities,
        "Outputs": stack.outputs if settled else [],
        "Tags": [{"Key": key, "Value": value} for key, value in stack.tags.items()],
    }


def _describe_stack_resources(call: Call, _client: Client, form: Tree) -> Mapping[str, Any]:
    stack = _find(call, str(form.get("StackName") or ""))
    only = form.get("LogicalResourceId")
    return {
        "StackResources": [
            _resource(stack, made) for made in stack.made if only in (None, made.logical_id)
        ]
    }


def _resource(stack: Stack, made: Made) -> dict[str, Any]:
    return {
        "StackName": stack.name,
        "StackId": stack.id,
        "LogicalResourceId": made.logical_id,
        "PhysicalResourceId": made.ref or None,
        "ResourceType": made.kind,
        "Timestamp": made.time,
        "ResourceStatus": made.status,
        "ResourceStatusReason": made.reason,
    }


def _describe_stack_events(call: Call, _client: Client, form: Tree) -> Mapping[str, Any]:
    stack = _find(call, str(form.get("StackName") or ""))
    return {
        "StackEvents": [
            {
                "StackId": stack.id,
                "EventId": f"{event.logical_id}-{event.number}",
                "StackName": stack.name,
                "LogicalResourceId": event.logical_id,
                "PhysicalResourceId": event.physical_id,
                "ResourceType": event.kind,
                "Timestamp": event.time,
                "ResourceStatus": event.status,
                "ResourceStatusReason": event.reason,
            }
            for event in reversed(stack.events)
        ]
    }


def _get_template(call: Call, _client: Client, form: Tree) -> Mapping[str, Any]:
    return {"TemplateBody": _find(call, str(form.get("StackName") or "")).body}


_HANDLERS: dict[str, Callable[[Call, Client, Tree], Mapping[str, Any] | None]] = {
    "CreateStack": _create_stack,
    "DeleteStack": _delete_stack,
    "DescribeStackEvents": _describe_stack_events,
    "DescribeStackResources": _describe_stack_resources,
    "DescribeStacks": _describe_stacks,
    "GetTemplate": _get_template,
}
