"""Elastic IPs on interfaces: which interface holds which, and how one comes and goes."""

from __future__ import annotations

from typing import Any

from moto.ec2.utils import random_eip_association_id


def held_by(nic: Any) -> Any | None:
    """The Elastic IP of an interface, or None."""
    return next((eip for eip in nic.ec2_backend.addresses if eip.eni is nic), None)


def associate(eip: Any, nic: Any) -> None:
    """Puts an Elastic IP on an interface, away from where it was and in place of another."""
    if eip.eni is nic:
        return
    disassociate(eip)
    before = held_by(nic)
    if before is not None:
        disassociate(before)
    eip.eni, eip.association_id = nic, random_eip_association_id()
    nic.public_ip = eip.public_ip


def disassociate(eip: Any) -> None:
    """Takes an Elastic IP off its interface; a running one gets back a public IP of its own."""
    nic = eip.eni
    eip.eni, eip.instance, eip.association_id = None, None, None
    if nic is None:
        return
    nic.public_ip = None
    if nic.instance is not None and nic.instance.state == "running":
        nic.check_auto_public_ip()


def let_go(nic: Any) -> None:
    """Frees the Elastic IP of an interface that is about to be deleted."""
    eip = held_by(nic)
    if eip is not None:
        disassociate(eip)
