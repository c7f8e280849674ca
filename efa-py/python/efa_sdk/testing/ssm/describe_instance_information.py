"""DescribeInstanceInformation: the instances whose agent is online; no other is listed."""

from __future__ import annotations

from typing import Any

from .. import filters, render
from ..call import Answer, Call
from ..tagging import tags_of
from .registered import registered
from .ssm_page import ssm_page

_FILTERS: dict[str, filters.Reader] = {
    "InstanceIds": lambda one: one.id,
    "PingStatus": lambda one: "Online",
    "PlatformTypes": lambda one: "Linux",
    "ResourceType": lambda one: "EC2Instance",
}


def describe_instance_information(call: Call) -> Answer:
    """Lists registered instances."""
    wanted = [
        {"Name": entry.get("Key"), "Values": entry.get("Values")}
        for entry in call.get("Filters", [])
    ] + [
        {"Name": entry.get("key"), "Values": entry.get("valueSet")}
        for entry in call.get("InstanceInformationFilterList", [])
    ]
    found = filters.apply(
        wanted, registered(call), _FILTERS, lambda one: tags_of(call.backend, one.id)
    )
    shown, more = ssm_page(call, found, low=5)
    return {"InstanceInformationList": [_information(call, one) for one in shown], **more}


def _information(call: Call, one: Any) -> dict[str, Any]:
    return {
        "InstanceId": one.id,
        "PingStatus": "Online",
        "LastPingDateTime": call.settings.now(),
        "AgentVersion": "3.3.0.0",
        "IsLatestVersion": True,
        "PlatformType": "Linux",
        "PlatformName": "Amazon Linux",
        "PlatformVersion": "2023",
        "ResourceType": "EC2Instance",
        "IPAddress": _address(one.nics[0]) if 0 in one.nics else "",
        "ComputerName": render.private_dns(one, one.nics[0]) if 0 in one.nics else "",
    }


def _address(nic: Any) -> str:
    """The agent's address: in an IPv6-only subnet an IPv6 one."""
    return str(nic.private_ip_address or next(iter(nic.ipv6_addresses), ""))
