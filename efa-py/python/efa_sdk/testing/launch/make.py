"""Makes the instances of a launch that has passed every check."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from moto.ec2.models.instances import Reservation
from moto.ec2.utils import parse_user_data, random_reservation_id

from .. import addresses
from ..call import Call
from ..instance import Interface, Launched, StandInInstance
from ..machine_images import root_gib
from ..state import CapacityReservation, LateFailure
from ..tagging import set_tags
from .spec import Launch, NicSpec


def make(call: Call, launch: Launch, granted: list[CapacityReservation | None]) -> Any:
    """The new reservation, holding one instance per entry of `granted`."""
    backend = call.backend
    asked = {ip for nic in launch.nics for ip in nic.asked_addresses}
    pools = {nic.subnet.id: addresses.free(nic.subnet, asked) for nic in launch.nics}
    ipv6 = {nic.subnet.id: addresses.free_ipv6(nic.subnet) for nic in launch.nics}
    reservation = Reservation(random_reservation_id(), owner_id=call.account)
    made: list[StandInInstance] = []
    try:
        for index, capacity in enumerate(granted):
            instance = _instance(call, launch, capacity, index)
            made.append(instance)
            for nic in launch.nics:
                _attach(launch, instance, nic, pools[nic.subnet.id], ipv6[nic.subnet.id])
        reservation.instances.extend(made)
        backend.reservations[reservation.id] = reservation
        for instance in made:
            _volumes(launch, instance)
            if launch.profile:
                backend.associate_iam_instance_profile(
                    instance.id, iam_instance_profile_arn=launch.profile[0]
                )
            instance.late_failure = _late_failure(call, launch.zone)
            instance.set_out("pending", call.settings.transition_describes)
    except BaseException:
        _undo(backend, reservation, made)
        raise
    return reservation


def _late_failure(call: Call, zone: str) -> LateFailure | None:
    """Why EC2 ends an instance after it has accepted it. Text without a usable key: AWS re:Post,
    "kms-iam-ec2-permission"."""
    if call.may_use_keys:
        return call.settings.late_failure(zone)
    code = "Client.InternalError"
    return LateFailure(code, f"{code}: Client error on launch", zone, 0)


def _undo(backend: Any, reservation: Reservation, made: list[StandInInstance]) -> None:
    """Leaves nothing of a launch that failed half-way."""
    for instance in made:
        for nic in instance.nics.values():
            nic.delete_on_termination = getattr(nic, "created_by_launch", False)
        instance.terminate()
        backend.tags.pop(instance.id, None)
    backend.reservations.pop(reservation.id, None)


def _instance(
    call: Call,
    launch: Launch,
    capacity: CapacityReservation | None,
    index: int,
) -> StandInInstance:
    request, primary = launch.request, launch.primary
    placement = request.get("Placement") or {}
    instance = StandInInstance(
        call.backend,
        launch.image.id,
        parse_user_data(request.get("UserData")),
        list(primary.groups),
        instance_type=launch.type_name,
        placement=launch.zone,
        region_name=call.region,
        subnet_id=primary.subnet.id,
        key_name=request.get("KeyName"),
        ebs_optimized=bool(request.get("EbsOptimized")),
        monitoring_state="enabled"
        if (request.get("Monitoring") or {}).get("Enabled")
        else "disabled",
        disable_api_stop=bool(request.get("DisableApiStop")),
        disable_api_termination=bool(request.get("DisableApiTermination")),
        instance_initiated_shutdown_behavior=request.get("InstanceInitiatedShutdownBehavior"),
        metadata_options=request.get("MetadataOptions") or {},
        ami_launch_index=index,
        client_token=request.get("ClientToken"),
        lifecycle=launch.market,
        associate_public_ip=False,
    )
    group = launch.group
    spot = (request.get("InstanceMarketOptions") or {}).get("SpotOptions") or {}
    cpu = request.get("CpuOptions") or {}
    instance.launched = Launched(
        group_id=group.id if group else None,
        group_name=group.name if group else None,
        tenancy=launch.tenancy,
        partition=placement.get("PartitionNumber"),
        market=launch.market,
        # EC2's have 8 letters and digits.
        spot_request_id=f"sir-{instance.id[-8:]}" if launch.market == "spot" else None,
        spot_price=spot.get("MaxPrice"),
        client_token=request.get("ClientToken"),
        reservation_id=capacity.id if capacity else None,
        reservation_spec=request.get("CapacityReservationSpecification"),
        profile=launch.profile,
        zone_id=launch.zone_id,
        cores=cpu.get("CoreCount"),
        threads=cpu.get("ThreadsPerCore"),
        dns_names=request.get("PrivateDnsNameOptions") or {},
        maintenance=request.get("MaintenanceOptions") or {},
    )
    instance.placement.group_name = group.name if group else ""
    instance.placement.tenancy = launch.tenancy
    set_tags(call.backend, instance.id, launch.tags.get("instance", {}))
    return instance


def _attach(
    launch: Launch,
    instance: StandInInstance,
    nic: NicSpec,
    pool: Iterator[str],
    ipv6: Iterator[str],
) -> None:
    eni = nic.existing
    if eni is None:
        first, more = _addresses(nic, pool)
        eni = Interface(
            instance.ec2_backend,
            nic.subnet,
            kind=nic.kind,
            address=first,
            more_addresses=more,
            groups=nic.groups,
            description=str(nic.raw.get("Description") or ""),
            delete_on_termination=_delete_on_termination(nic),
            public_ip=_public_ip(launch, nic),
            ipv6_addresses=list(islice(ipv6, nic.ipv6_addresses)),
        )
        eni.created_by_launch = True
        set_tags(instance.ec2_backend, eni.id, launch.tags.get("network-interface", {}))
    else:
        eni.created_by_launch = False
        eni.delete_on_termination = False
    instance.attach(eni, nic.card, nic.device)


def _delete_on_termination(nic: NicSpec) -> bool:
    """EC2's default for interfaces made by the launch is to delete them with the instance."""
    chosen = nic.raw.get("DeleteOnTermination")
    return True if chosen is None else bool(chosen)


def _public_ip(launch: Launch, nic: NicSpec) -> bool:
    """Only a lone interface gets one: when asked for, or by the subnet's setting."""
    if len(launch.nics) > 1 or nic.subnet.ipv6_native:
        return False
    chosen = nic.raw.get("AssociatePublicIpAddress")
    return bool(nic.subnet.map_public_ip_on_launch) if chosen is None else bool(chosen)


def _addresses(nic: NicSpec, pool: Iterator[str]) -> tuple[str | None, list[str]]:
    if nic.addresses == 0:
        return None, []
    asked = nic.asked_addresses
    first, more = (asked[0], asked[1:]) if asked else (next(pool), [])
    while len(more) < nic.addresses - 1:
        more.append(next(pool))
    return first, more


def _volumes(launch: Launch, instance: StandInInstance) -> None:
    backend = instance.ec2_backend
    root = launch.image.root_device_name or "/dev/xvda"
    mappings = {
        mapping["DeviceName"]: mapping
        for mapping in launch.request.get("BlockDeviceMappings") or []
    }
    mappings.setdefault(root, {"DeviceName": root, "Ebs": {}})
    for name, mapping in mappings.items():
        ebs = mapping.get("Ebs")
        if ebs is None or mapping.get("NoDevice") is not None:
            continue
        size = root_gib(launch.image) if name == root else 8
        kind = ebs.get("VolumeType") or "gp3"
        volume = backend.create_volume(
            size=int(ebs.get("VolumeSize") or size),
            zone_name=launch.zone,
            snapshot_id=ebs.get("SnapshotId"),
            encrypted=bool(ebs.get("Encrypted")),
            kms_key_id=ebs.get("KmsKeyId"),
            volume_type=kind,
            iops=ebs.get("Iops") or (3000 if kind == "gp3" else None),
            throughput=ebs.get("Throughput") or (125 if kind == "gp3" else None),
        )
        delete = ebs.get("DeleteOnTermination")
        backend.attach_volume(
            volume.id, instance.id, name, True if delete is None else bool(delete)
        )
        set_tags(backend, volume.id, launch.tags.get("volume", {}))
