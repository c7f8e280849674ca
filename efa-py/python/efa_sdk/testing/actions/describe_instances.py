"""DescribeInstances, DescribeInstanceStatus, DescribeSpotInstanceRequests."""

from __future__ import annotations

from typing import Any

from .. import filters, lookup, render
from ..call import Answer, Call
from ..paging import is_first_page, page
from ..rules import refuse
from ..state import instances, tick
from ..tagging import tags_of


def _launched(name: str) -> filters.Reader:
    return lambda one: getattr(getattr(one, "launched", None), name, None)


def _nics(read: filters.Reader) -> filters.Reader:
    return lambda one: [read(nic) for nic in one.nics.values()]


def _unless_gone(read: filters.Reader) -> filters.Reader:
    return lambda one: None if one.state == "terminated" else read(one)


def _metadata(name: str) -> filters.Reader:
    return lambda one: getattr(one.metadata_options, name)


def _volumes(name: str) -> filters.Reader:
    return lambda one: [getattr(device, name) for _, device in one.get_block_device_mapping]


_FILTERS: dict[str, filters.Reader] = {
    "affinity": lambda one: None,
    "architecture": lambda one: one.architecture,
    "availability-zone": lambda one: one.availability_zone,
    "availability-zone-id": _launched("zone_id"),
    "block-device-mapping.device-name": lambda one: [
        name for name, _ in one.get_block_device_mapping
    ],
    "block-device-mapping.volume-id": _volumes("volume_id"),
    "capacity-reservation-id": _launched("reservation_id"),
    "client-token": _launched("client_token"),
    "dns-name": _unless_gone(lambda one: one.nics and one.public_dns_name),
    "hypervisor": lambda one: "xen",
    "iam-instance-profile.arn": lambda one: (one.iam_instance_profile or {}).get("Arn"),
    "iam-instance-profile.id": lambda one: (one.iam_instance_profile or {}).get("Id"),
    "image-id": lambda one: one.image_id,
    "instance-id": lambda one: one.id,
    "instance-lifecycle": _launched("market"),
    "instance-state-code": lambda one: one.state_code,
    "instance-state-name": lambda one: one.state,
    "instance-type": lambda one: one.instance_type,
    "instance.group-id": _unless_gone(lambda one: [g.id for g in one.security_groups]),
    "instance.group-name": _unless_gone(lambda one: [g.name for g in one.security_groups]),
    "ip-address": _nics(lambda nic: nic.public_ip),
    "key-name": lambda one: one.key_name,
    "launch-index": lambda one: one.ami_launch_index,
    "launch-time": lambda one: one.launch_time.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
    "metadata-options.http-endpoint": _metadata("http_endpoint"),
    "metadata-options.http-tokens": _metadata("http_tokens"),
    "monitoring-state": lambda one: one.monitoring_state,
    "network-interface.addresses.private-ip-address": _nics(
        lambda nic: [item["PrivateIpAddress"] for item in nic.private_ip_addresses]
    ),
    "network-interface.association.public-ip": _nics(lambda nic: nic.public_ip),
    "network-interface.attachment.attachment-id": _nics(lambda nic: nic.attachment_id),
    "network-interface.attachment.delete-on-termination": _nics(
        lambda nic: bool(nic.delete_on_termination)
    ),
    "network-interface.attachment.device-index": _nics(lambda nic: nic.device_index),
    "network-interface.attachment.network-card-index": _nics(lambda nic: nic.network_card_index),
    "network-interface.availability-zone": _nics(lambda nic: nic.subnet.availability_zone),
    "network-interface.description": _nics(lambda nic: nic.description),
    "network-interface.group-id": _nics(lambda nic: [g.id for g in nic._group_set]),
    "network-interface.group-name": _nics(lambda nic: [g.name for g in nic._group_set]),
    "network-interface.mac-address": _nics(lambda nic: nic.mac_address),
    "network-interface.network-interface-id": _nics(lambda nic: nic.id),
    "network-interface.owner-id": _nics(lambda nic: nic.owner_id),
    "network-interface.status": _nics(lambda nic: nic.status),
    "network-interface.subnet-id": _nics(lambda nic: nic.subnet.id),
    "network-interface.vpc-id": _nics(lambda nic: nic.subnet.vpc_id),
    "owner-id": lambda one: one.owner_id,
    "placement-group-name": _launched("group_name"),
    "private-ip-address": _nics(lambda nic: nic.private_ip_address),
    "root-device-name": lambda one: one.root_device_name,
    "root-device-type": lambda one: "ebs",
    "subnet-id": _unless_gone(lambda one: one.subnet_id),
    "tenancy": _launched("tenancy"),
    "virtualization-type": lambda one: "hvm",
    "vpc-id": _unless_gone(lambda one: one.vpc_id),
}


def describe_instances(call: Call) -> Answer:
    """Lists instances by reservation. One listing is one observation (see `state.tick`)."""
    ids = call.get("InstanceIds", [])
    chosen = lookup.chosen_instances(call.backend, ids) if ids else list(instances(call.backend))
    homes = {
        instance.id: reservation
        for reservation in call.backend.reservations.values()
        for instance in reservation.instances
    }
    readers = {**_FILTERS, "reservation-id": lambda one: homes[one.id].id}
    found = filters.apply(
        call.get("Filters"), chosen, readers, lambda one: tags_of(call.backend, one.id)
    )
    # EC2 counts instances, not reservations: a reservation may go on over the next page.
    shown, more = page(call, found, ids="InstanceIds", ids_text="instancesSet", default=1000)
    by_home: dict[str, list[Any]] = {}
    for one in shown:
        by_home.setdefault(homes[one.id].id, []).append(one)
    call.stop_if_dry_run()
    answer = {
        "Reservations": [
            render.reservation(call.backend.reservations[home], members)
            for home, members in by_home.items()
        ],
        **more,
    }
    if is_first_page(call):
        tick(call.backend, {one.id for one in chosen})
    return answer


_STATUS_FILTERS: dict[str, filters.Reader] = {
    "availability-zone": lambda one: one.availability_zone,
    "instance-state-code": lambda one: one.state_code,
    "instance-state-name": lambda one: one.state,
    "instance-status.status": lambda one: _check(one)["Status"],
    "instance-status.reachability": lambda one: "passed" if one.state == "running" else None,
    "system-status.status": lambda one: _check(one)["Status"],
    "system-status.reachability": lambda one: "passed" if one.state == "running" else None,
}


def describe_instance_status(call: Call) -> Answer:
    """Lists states and checks; running instances only, unless all are asked for."""
    ids = call.get("InstanceIds", [])
    if len(ids) > 100:
        refuse("status.too_many")
    chosen = lookup.chosen_instances(call.backend, ids) if ids else list(instances(call.backend))
    found = [one for one in chosen if call.get("IncludeAllInstances") or one.state == "running"]
    found = filters.apply(
        call.get("Filters"), found, _STATUS_FILTERS, lambda one: tags_of(call.backend, one.id)
    )
    shown, more = page(call, found, ids="InstanceIds", ids_text="instancesSet", default=1000)
    call.stop_if_dry_run()
    answer = {
        "InstanceStatuses": [
            {
                "AvailabilityZone": one.availability_zone,
                "InstanceId": one.id,
                "InstanceState": render.state(one),
                "InstanceStatus": _check(one),
                "SystemStatus": _check(one),
            }
            for one in shown
        ],
        **more,
    }
    if is_first_page(call):
        tick(call.backend, {one.id for one in chosen})
    return answer


_SPOT_FILTERS: dict[str, filters.Reader] = {
    "instance-id": lambda one: one.id,
    "spot-instance-request-id": lambda one: one.launched.spot_request_id,
    "spot-price": lambda one: one.launched.spot_price,
}


def describe_spot_instance_requests(call: Call) -> Answer:
    """Lists the requests of the spot instances that run: of each launch one for each instance. EC2
    shows the on-demand price where no maximum was given; there are no prices here."""
    ids = call.get("SpotInstanceRequestIds", [])
    spot = [
        one
        for one in instances(call.backend)
        if getattr(getattr(one, "launched", None), "market", None) == "spot"
        and one.state in ("pending", "running")
    ]
    known = {one.launched.spot_request_id: one for one in spot}
    for one in ids:
        if one not in known:
            refuse("spot.unknown_request", id=one)
    chosen = [known[one] for one in ids] if ids else spot
    found = filters.apply(
        call.get("Filters"), chosen, _SPOT_FILTERS, lambda one: tags_of(call.backend, one.id)
    )
    call.stop_if_dry_run()
    return {
        "SpotInstanceRequests": [
            {
                "SpotInstanceRequestId": one.launched.spot_request_id,
                "SpotPrice": one.launched.spot_price,
                "InstanceId": one.id,
                "State": "active",
                "Type": "one-time",
            }
            for one in found
        ]
    }


def _check(one: Any) -> dict[str, Any]:
    if one.state != "running":
        return {"Status": "not-applicable"}
    return {"Status": "ok", "Details": [{"Name": "reachability", "Status": "passed"}]}
