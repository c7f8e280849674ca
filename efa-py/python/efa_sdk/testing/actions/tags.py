"""CreateTags, DeleteTags, DescribeTags, for moto's resources and the stand-in's own."""

from __future__ import annotations

from typing import Any

from moto.ec2.utils import EC2_PREFIX_TO_RESOURCE, get_prefix

from .. import filters, lookup
from ..call import Answer, Call
from ..paging import page
from ..rules import refuse
from ..tagging import check_tags, tags_of

_KINDS = {**EC2_PREFIX_TO_RESOURCE, "pg": "placement-group", "cr": "capacity-reservation"}


def create_tags(call: Call) -> Answer:
    """Adds or overwrites tags."""
    resources = call.need("Resources")
    for resource in resources:
        _must_exist(call, resource)
        check_tags(call.need("Tags"), tags_of(call.backend, resource))
    tags = check_tags(call.need("Tags"))
    call.stop_if_dry_run()
    for resource in resources:
        call.backend.tags[resource].update(tags)
    return {}


def delete_tags(call: Call) -> Answer:
    """Removes tags: by key, by key and value, or all of them."""
    resources = call.need("Resources")
    for resource in resources:
        _must_exist(call, resource)
    call.stop_if_dry_run()
    for resource in resources:
        if resource not in call.backend.tags:
            continue
        kept = call.backend.tags[resource]
        wanted = call.request.get("Tags")
        if wanted is None:
            kept.clear()
        for tag in wanted or []:
            value = tag.get("Value")
            if tag.get("Key") in kept and value in (None, kept[tag["Key"]]):
                del kept[tag["Key"]]
    return {}


def _must_exist(call: Call, resource: str) -> None:
    backend = call.backend
    prefix = get_prefix(resource) or resource.split("-", 1)[0]
    if prefix == "i":
        lookup.chosen_instances(backend, [resource])
    elif prefix == "eni":
        lookup.interface(backend, resource)
    elif prefix == "subnet":
        lookup.subnet(backend, resource)
    elif prefix == "sg":
        lookup.security_group(backend, resource, "security_group.unknown")
    elif prefix == "pg":
        lookup.placement_group(call, None, resource, "placement_group.unknown")
    elif prefix == "cr":
        lookup.reservation(call, resource, "reservation.unknown")
    elif prefix not in _KINDS:
        refuse("tags.unknown_resource", id=resource)
    else:
        backend.do_resources_exist([resource])


_FILTERS: dict[str, filters.Reader] = {
    "key": lambda tag: tag["Key"],
    "value": lambda tag: tag["Value"],
    "resource-id": lambda tag: tag["ResourceId"],
    "resource-type": lambda tag: tag["ResourceType"],
}


def describe_tags(call: Call) -> Answer:
    """Lists tags."""
    listed: list[dict[str, Any]] = [
        {
            "Key": key,
            "ResourceId": resource,
            "ResourceType": _KINDS.get(get_prefix(resource) or resource.split("-", 1)[0], ""),
            "Value": value,
        }
        for resource, tags in call.backend.tags.items()
        for key, value in tags.items()
    ]
    found = filters.apply(
        call.get("Filters"),
        listed,
        {**_FILTERS, **_by_tag(call)},
    )
    shown, more = page(call, found, default=1000)
    call.stop_if_dry_run()
    return {"Tags": shown, **more}


def _by_tag(call: Call) -> dict[str, filters.Reader]:
    names = [str(entry.get("Name", "")) for entry in call.get("Filters", [])]

    def reader(key: str) -> filters.Reader:
        return lambda tag: tag["Value"] if tag["Key"] == key else None

    return {name: reader(name[4:]) for name in names if name.startswith("tag:")}
