"""DescribeImages: moto's answer, with the ENA flag that moto leaves out."""

from __future__ import annotations

from xml.etree import ElementTree

from ..call import Answer, Call, Reply
from ..moto_paging import forward_paged
from ..wire import NAMESPACE


def describe_images(call: Call) -> Answer:
    """Every HVM image of moto's is of a line that has ENA (Amazon Linux 2 and later, Ubuntu …)."""
    reply = forward_paged(call)
    if reply.status != 200:
        return reply
    ElementTree.register_namespace("", NAMESPACE)
    root = ElementTree.fromstring(reply.body)
    space = f"{{{NAMESPACE}}}"
    for image in root.iterfind(f"{space}imagesSet/{space}item"):
        hvm = image.findtext(f"{space}virtualizationType") == "hvm"
        if hvm and image.find(f"{space}enaSupport") is None:
            ElementTree.SubElement(image, f"{space}enaSupport").text = "true"
    body = b'<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root)
    return Reply(reply.status, reply.headers, body)
