"""Refusals for want of a quota."""

from __future__ import annotations

from .rule import Rule

QUOTA_RULES = (
    Rule(
        "launch.vcpu_quota",
        "an on-demand launch over the vCPU quota of set_quota()",
        "VcpuLimitExceeded",
        "You have requested more vCPU capacity than your current vCPU limit of {limit} allows for"
        " the instance bucket that the specified instance type belongs to. Please visit"
        " http://aws.amazon.com/contact-us/ec2-request to request an adjustment to this limit.",
        "xlang-ai/OSWorld#366",
        literal=True,
    ),
    Rule(
        "launch.spot_quota",
        "a spot launch over the vCPU quota of set_quota()",
        "MaxSpotInstanceCountExceeded",
        "Max spot instance count exceeded",
        "meadowdata/meadowrun#84, NixOS/nixops-aws#41",
        literal=True,
    ),
    Rule(
        "quota.unknown",
        "GetServiceQuota of a quota that EC2 does not have, or the stand-in does not",
        "NoSuchResourceException",
        "The request failed because the specified quota does not exist.",
        "Service Quotas API reference; text by efa-sdk",
    ),
)
