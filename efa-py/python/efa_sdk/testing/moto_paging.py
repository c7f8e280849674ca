"""Pages for listings that moto answers whole: the XML is cut between two items."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlencode
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from botocore.model import ListShape  # type: ignore[import-untyped]

from .call import Call, Reply
from .paging import page
from .wire import operation

_PAGING = ("MaxResults", "NextToken")

Edit = Callable[[Element, str], None]


def forward_paged(call: Call) -> Reply:
    """moto's answer, cut to the page that the request asks for."""
    shape = operation(call.action).input_shape
    tag = _list_tag(call.action)
    paged = shape is not None and set(_PAGING) <= set(shape.members) and tag is not None
    if not paged or not any(call.request.get(name) is not None for name in _PAGING):
        return call.forward(None)
    whole = call.forward(urlencode([pair for pair in call.form if pair[0] not in _PAGING]).encode())
    low = 1 if call.action == "DescribeImages" else 5

    def cut(root: Element, space: str) -> None:
        listed = root.find(f"{space}{tag}")
        if listed is None:
            return
        items = list(listed)
        shown, more = page(call, items, low=low)
        for item in items:
            listed.remove(item)
        listed.extend(shown)
        for old in root.findall(f"{space}nextToken"):
            root.remove(old)
        if more:
            ElementTree.SubElement(root, f"{space}nextToken").text = more["NextToken"]

    return edited(whole, cut)


def edited(reply: Reply, edit: Edit) -> Reply:
    """An XML answer after `edit(root, namespace in braces)`; errors stay as they are."""
    if reply.status != 200:
        return reply
    root = ElementTree.fromstring(reply.body)
    space = root.tag[: root.tag.index("}") + 1] if root.tag.startswith("{") else ""
    if space:
        ElementTree.register_namespace("", space[1:-1])
    edit(root, space)
    body = b'<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root)
    return Reply(reply.status, reply.headers, body)


def _list_tag(action: str) -> str | None:
    shape = operation(action).output_shape
    for name, member in shape.members.items() if shape is not None else ():
        if isinstance(member, ListShape):
            return str(member.serialization.get("name", name))
    return None
