"""DescribeImages: moto's answer, with the ENA flag that moto leaves out."""

from __future__ import annotations

from xml.etree.ElementTree import Element, SubElement

from ..call import Answer, Call
from ..moto_paging import edited, forward_paged


def describe_images(call: Call) -> Answer:
    """Every HVM image of moto's is taken to have ENA; it carries none that lacks it."""
    return edited(forward_paged(call), _add_ena)


def _add_ena(root: Element, space: str) -> None:
    for image in root.iterfind(f"{space}imagesSet/{space}item"):
        hvm = image.findtext(f"{space}virtualizationType") == "hvm"
        if hvm and image.find(f"{space}enaSupport") is None:
            SubElement(image, f"{space}enaSupport").text = "true"
