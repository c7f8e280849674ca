"""A RunInstances request, resolved into a `Launch` or refused."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

from moto.iam.models import iam_backends

from .. import catalog, lookup
from ..addresses import ipv6_range, is_free
from ..call import Call
from ..machine_images import platform_details
from ..rules import refuse
from ..state import CapacityReservation, instances
from ..tagging import specified_tags
from .interfaces import check_cards, read_interfaces
from .options import check_options
from .spec import Launch, NicSpec, merged_request
from .volumes import check_volumes

_METADATA_TAG_KEY = r"[0-9a-zA-Z\-_+=,.@:]{1,255}"
_NO_EFA_WHEN_DEDICATED = ("c7g.16xlarge", "m7g.16xlarge", "r7g.16xlarge")
_IPV4_ONLY = (
    "PrivateIpAddress",
    "PrivateIpAddresses",
    "SecondaryPrivateIpAddressCount",
    "Ipv4Prefixes",
    "Ipv4PrefixCount",
    "AssociatePublicIpAddress",
)
_MARKETS = ("spot", "capacity-block", "on-demand", "interruptible-capacity-reservation")


def resolve(call: Call) -> Launch:
    """The launch that a request asks for, with everything checked but capacity."""
    request = merged_request(call)
    call.request = request
    low, high = _counts(call)
    type_name = str(call.get("InstanceType", "m1.small"))
    info = catalog.instance_type(type_name)
    if info is None:
        refuse("launch.unknown_type", type=type_name)
    image = _image(call)
    _check_user_data(request)
    _check_key(call)
    check_options(request, info)
    check_volumes(request, image)
    nics = read_interfaces(call.backend, request, high)
    subnet = nics[0].subnet
    launch = Launch(
        request=request,
        low=low,
        high=high,
        type_name=type_name,
        info=info,
        image=image,
        nics=nics,
        zone=subnet.availability_zone,
        zone_id=subnet.availability_zone_id,
        vpc_tenancy=call.backend.vpcs[subnet.vpc_id].instance_tenancy,
        profile=_profile(call),
        tags=specified_tags(
            call, "instance", "volume", "network-interface", "spot-instances-request"
        ),
    )
    _check_metadata_tags(launch)
    _check_zone(call, launch)
    _check_architecture(launch)
    check_cards(type_name, info, nics)
    _check_dedicated(launch)
    _place(call, launch)
    _market(launch)
    _reserve(call, launch)
    _check_families(request, nics)
    _check_addresses(nics, high)
    return launch


def _counts(call: Call) -> tuple[int, int]:
    low, high = int(call.need("MinCount")), int(call.need("MaxCount"))
    if not 1 <= low <= high:
        refuse("launch.counts", low=low, high=high)
    return low, high


def _image(call: Call) -> Any:
    image_id = str(call.need("ImageId"))
    if not image_id.startswith("ami-"):
        refuse("launch.malformed_image", id=image_id)
    if image_id not in call.backend.amis:
        refuse("launch.unknown_image", id=image_id)
    image = call.backend.amis[image_id]
    if image.state != "available":
        refuse("launch.image_unavailable", id=image_id, state=image.state)
    return image


def _check_metadata_tags(launch: Launch) -> None:
    options = launch.request.get("MetadataOptions") or {}
    if options.get("InstanceMetadataTags") != "enabled":
        return
    for key in launch.tags["instance"]:
        if key in (".", "..", "_index") or not re.fullmatch(_METADATA_TAG_KEY, key):
            # EC2 shows its pattern with the backslashes doubled.
            shown = _METADATA_TAG_KEY.replace("\\", "\\\\")
            refuse("launch.metadata_tag_key", key=key, pattern=shown)


def _check_user_data(request: dict[str, Any]) -> None:
    text = request.get("UserData")
    if not text:
        return
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        refuse("launch.user_data_encoding")
    if len(raw) > 16384:
        refuse("launch.user_data_size")


def _check_key(call: Call) -> None:
    name = call.request.get("KeyName")
    if name is not None and name not in call.backend.key_pairs:
        refuse("launch.unknown_key", name=name)


def _profile(call: Call) -> tuple[str, str] | None:
    wanted = call.request.get("IamInstanceProfile")
    if not wanted:
        return None
    profiles = iam_backends[call.account]["aws"].instance_profiles.values()
    for field, key in (("name", "Name"), ("arn", "Arn")):
        value = wanted.get(key)
        if value is None:
            continue
        for profile in profiles:
            if getattr(profile, field) == value and _has_reached_ec2(call, profile):
                if not profile.roles:
                    refuse("launch.profile_without_role", arn=profile.arn)
                return (str(profile.arn), str(profile.id))
        refuse("launch.unknown_profile", value=value, field=field)
    refuse("request.missing_parameter", name="IamInstanceProfile.Name")


def _has_reached_ec2(call: Call, profile: Any) -> bool:
    """EC2 learns of a new profile late: here after some launches that name it, dry runs counted."""
    asked = getattr(profile, "_stand_in_asked", 0)
    profile._stand_in_asked = asked + 1
    return bool(asked >= call.settings.iam_propagation_calls)


def _check_zone(call: Call, launch: Launch) -> None:
    wanted = (launch.request.get("Placement") or {}).get("AvailabilityZone")
    if wanted and wanted != launch.zone:
        refuse("launch.zone_mismatch", zone=wanted)
    if not catalog.has_offerings(call.region):
        return  # moto has no offerings for this Region: nothing to hold the launch against
    zones = catalog.zones_offering(call.region, launch.type_name)
    if launch.zone in zones:
        return
    if not zones:
        refuse("launch.type_not_in_region")
    refuse(
        "launch.type_not_in_zone",
        type=launch.type_name,
        zone=launch.zone,
        others=", ".join(zones),
    )


def _check_architecture(launch: Launch) -> None:
    architectures = launch.info.get("ProcessorInfo", {}).get("SupportedArchitectures") or []
    if launch.image.architecture not in architectures:
        refuse(
            "launch.architecture",
            type_arch=", ".join(architectures),
            image_arch=launch.image.architecture,
        )


def _check_dedicated(launch: Launch) -> None:
    has_efa = any(nic.is_efa for nic in launch.nics)
    if launch.tenancy == "dedicated" and has_efa and launch.type_name in _NO_EFA_WHEN_DEDICATED:
        refuse("launch.dedicated_efa", type=launch.type_name)


def _place(call: Call, launch: Launch) -> None:
    placement = launch.request.get("Placement") or {}
    name, group_id = placement.get("GroupName") or None, placement.get("GroupId") or None
    if name and group_id:
        refuse("launch.placement_group_twice")
    if not name and not group_id:
        return
    group = lookup.placement_group(call, name, group_id, "launch.unknown_placement_group")
    strategies = launch.info.get("PlacementGroupInfo", {}).get("SupportedStrategies") or []
    if group.strategy == "cluster":
        if "cluster" not in strategies:
            refuse("launch.cluster_group_type", type=launch.type_name)
        for instance in members(call, group.id):
            if instance.availability_zone != launch.zone:
                refuse(
                    "launch.cluster_group_zone", name=group.name, zone=instance.availability_zone
                )
    launch.group = group


def members(call: Call, group_id: str) -> list[Any]:
    """The instances of a placement group that are not terminated yet."""
    return [
        instance
        for instance in instances(call.backend)
        if instance.state != "terminated"
        and getattr(instance, "launched", None) is not None
        and instance.launched.group_id == group_id
    ]


def _market(launch: Launch) -> None:
    options = launch.request.get("InstanceMarketOptions") or {}
    market = options.get("MarketType")
    if market is None and options.get("SpotOptions"):
        market = "spot"
    if market is None:
        return
    if market not in _MARKETS:
        refuse("launch.unknown_market", value=market)
    classes = launch.info.get("SupportedUsageClasses") or []
    if market == "spot" and "spot" not in classes:
        refuse("launch.spot_not_supported")
    if market == "capacity-block" and "capacity-block" not in classes:
        refuse("launch.block_not_supported")
    launch.market = market if market != "on-demand" else None


def _reserve(call: Call, launch: Launch) -> None:
    spec = launch.request.get("CapacityReservationSpecification") or {}
    targets = spec.get("CapacityReservationTarget") or {}
    target, group = (
        targets.get("CapacityReservationId"),
        targets.get("CapacityReservationResourceGroupArn"),
    )
    preference = spec.get("CapacityReservationPreference")
    if targets and preference not in (None, "capacity-reservations-only"):
        refuse("launch.reservation_preference", preference=preference)
    if target and group:
        refuse("launch.reservation_twice")
    if group:
        if group not in call.state.reservation_groups:
            refuse("launch.unknown_reservation_group", arn=group)
        launch.reservation_group = str(group)
        return
    if target is None:
        if launch.market == "capacity-block":
            refuse("launch.market_without_block")
        return
    reservation = lookup.reservation(call, str(target), "launch.unknown_reservation")
    if reservation.block and launch.market != "capacity-block":
        refuse("launch.block_without_market")
    if not reservation.block and launch.market == "capacity-block":
        refuse("launch.market_without_block")
    if reservation.zone != launch.zone:
        refuse("launch.reservation_zone", zone=launch.zone, other=reservation.zone)
    if reservation.tenancy != launch.tenancy:
        refuse("launch.reservation_tenancy", tenancy=launch.tenancy, other=reservation.tenancy)
    platform = platform_details(launch.image)
    if reservation.platform != platform:
        refuse("launch.reservation_platform", platform=platform, other=reservation.platform)
    state = reservation.state(call.settings.now())
    if reservation.block and state != "active":
        refuse("launch.block_not_active", id=reservation.id)
    if state != "active" or reservation.instance_type != launch.type_name:
        refuse("launch.reservation_full")
    _check_group_of_reservation(launch, reservation)
    launch.reservation = reservation


def _check_group_of_reservation(launch: Launch, reservation: CapacityReservation) -> None:
    if launch.group is None or launch.group.strategy != "cluster":
        return
    made_in = reservation.placement_group_arn
    if reservation.block or (made_in is not None and made_in != launch.group.arn):
        refuse("launch.cluster_group_with_block", type=launch.type_name, zone=launch.zone)


def _check_families(request: dict[str, Any], nics: list[NicSpec]) -> None:
    for nic in nics:
        if nic.existing is not None or nic.kind == "efa-only":
            continue
        subnet = nic.subnet
        if nic.asked_ipv6 and ipv6_range(subnet) is None:
            refuse("nic.no_ipv6_range", subnet=subnet.id)
        if nic.raw.get("Ipv6Addresses"):
            refuse("request.not_in_stand_in", what="the parameter Ipv6Addresses")
        if subnet.ipv6_native:
            for name in _IPV4_ONLY:
                if nic.raw.get(name):
                    refuse("nic.ipv4_in_ipv6_only", name=name, subnet=subnet.id)
            names = request.get("PrivateDnsNameOptions") or {}
            if names.get("HostnameType") == "ip-name":
                refuse("launch.ip_name_in_ipv6_only", subnet=subnet.id)


def _check_addresses(nics: list[NicSpec], high: int) -> None:
    seen: set[str] = set()
    for nic in nics:
        for ip in nic.asked_addresses:
            if nic.existing is None and (high > 1 or ip in seen or not is_free(nic.subnet, ip)):
                refuse("nic.address_taken", ip=ip, subnet=nic.subnet.id)
            seen.add(ip)
