"""Pages for listings that moto answers whole: the XML is cut between two items."""

from __future__ import annotations

from urllib.parse import urlencode
from xml.etree import ElementTree

from botocore.model import ListShape  # type: ignore[import-untyped]

from .call import Call, Reply
from .paging import page
from .wire import NAMESPACE, operation

_PAGING = ("MaxResults", "NextToken")


def forward_paged(call: Call) -> Reply:
    """moto's answer, cut to the page that the request asks for."""
    if not _wants_page(call):
        return call.forward(None)
    return _cut(call, call.forward(_without_page(call)))


def _wants_page(call: Call) -> bool:
    shape = operation(call.action).input_shape
    return (
        call.action.startswith("Describe")
        and shape is not None
        and "NextToken" in shape.members
        and any(call.request.get(name) is not None for name in _PAGING)
    )


def _without_page(call: Call) -> bytes:
    # Without its paging parameters, so that moto answers everything.
    return urlencode([pair for pair in call.form if pair[0] not in _PAGING]).encode()


def _cut(call: Call, reply: Reply) -> Reply:
    tag = _list_tag(call.action)
    if reply.status != 200 or tag is None:
        return reply
    ElementTree.register_namespace("", NAMESPACE)
    root = ElementTree.fromstring(reply.body)
    space = root.tag[: root.tag.index("}") + 1] if root.tag.startswith("{") else ""
    listed = root.find(f"{space}{tag}")
    if listed is None:
        return reply
    items = list(listed)
    shown, more = page(call, items, low=1 if call.action == "DescribeImages" else 5)
    for item in items:
        listed.remove(item)
    listed.extend(shown)
    for old in root.findall(f"{space}nextToken"):
        root.remove(old)
    if more:
        ElementTree.SubElement(root, f"{space}nextToken").text = more["NextToken"]
    body = b'<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root)
    return Reply(reply.status, reply.headers, body)


def _list_tag(action: str) -> str | None:
    shape = operation(action).output_shape
    if shape is None:
        return None
    for name, member in shape.members.items():
        if isinstance(member, ListShape):
            return str(member.serialization.get("name", name))
    return None
