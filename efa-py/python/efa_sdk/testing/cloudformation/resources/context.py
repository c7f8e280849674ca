"""What the making of a resource needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError  # type: ignore[import-untyped]

from ...call import Call
from ...rules import refuse
from ...tagging import set_tags
from ..stack import Made, Stack

#: What AWS answers while it does not see yet what was made moments ago.
_UNSEEN = ("NotFound", "InvalidPlacementGroup.Unknown", "NoSuchEntity")
_LOOKS = 100


@dataclass
class Context:
    """A stack in the making, or in the taking down, and who does it."""

    call: Call
    stack: Stack
    client: Callable[[str], Any]

    def tags(self, properties: Mapping[str, Any]) -> list[dict[str, str]]:
        """The tags of a resource: its own, and the stack's."""
        tags = {str(one["Key"]): str(one["Value"]) for one in properties.get("Tags") or []}
        return [{"Key": key, "Value": value} for key, value in {**self.stack.tags, **tags}.items()]

    def mark(self, resource_id: str, logical_id: str) -> None:
        """Gives an EC2 resource the tags that only CloudFormation itself may give."""
        marks = {
            "aws:cloudformation:logical-id": logical_id,
            "aws:cloudformation:stack-id": self.stack.id,
            "aws:cloudformation:stack-name": self.stack.name,
        }
        set_tags(self.call.backend, resource_id, marks)

    def settled(self, request: Callable[[], Any]) -> Any:
        """Makes a request, again while AWS does not see everything that it names."""
        settings = self.call.settings
        for _ in range(settings.iam_propagation_calls + 4 * settings.eventual):
            try:
                return request()
            except ClientError as error:
                code, message = error.response["Error"]["Code"], error.response["Error"]["Message"]
                if not code.endswith(_UNSEEN) and "Invalid IAM Instance Profile" not in message:
                    raise
        return request()

    def until(self, holds: Callable[[], bool]) -> bool:
        """Looks until it holds, or long enough."""
        return any(holds() for _ in range(_LOOKS))


@dataclass(frozen=True)
class ResourceType:
    """How resources of a type are made and removed."""

    known: frozenset[str]
    create: Callable[[Context, str, Mapping[str, Any]], Made]
    delete: Callable[[Context, Made], None]
    #: What people write and the type does not have.
    absent: frozenset[str] = frozenset()
    #: Whether CloudFormation needs a capability to make it.
    capability: Callable[[Mapping[str, Any]], str | None] = lambda _properties: None


def only(value: Mapping[str, Any], known: Iterable[str], what: str) -> Mapping[str, Any]:
    """The value itself, if it has no keys but these."""
    for key in value:
        if key not in known:
            refuse("request.not_in_stand_in", what=f"{key} of {what}")
    return value


def shaped(client: Any, operation: str, member: str, value: Any) -> Any:
    """A value of a template in the types that an operation's parameter has."""
    shape = client.meta.service_model.operation_model(operation).input_shape.members[member]
    return _shaped(shape, value)


def _shaped(shape: Any, value: Any) -> Any:
    if shape.type_name == "structure" and isinstance(value, Mapping):
        # What the shape does not have is left for boto3 to refuse.
        return {
            key: _shaped(shape.members[key], one) if key in shape.members else one
            for key, one in value.items()
        }
    if shape.type_name == "list" and isinstance(value, list):
        return [_shaped(shape.member, one) for one in value]
    if shape.type_name in ("integer", "long") and isinstance(value, str):
        return int(value)
    if shape.type_name == "boolean" and isinstance(value, str):
        return value == "true"
    if shape.type_name == "string" and not isinstance(value, str | Mapping | list):
        return str(value).lower() if isinstance(value, bool) else str(value)
    return value
