"""The words that parameters take and results have, as types: for annotations of your own.

>>> import typing
>>> from efa_sdk import choices
>>> typing.get_args(choices.Profile)
('save-ips', 'ip-bandwidth', 'combined', 'efa-only-secondary')

What AWS may add to (interface types, architectures, capacity) is any ``str`` where it is a result.
"""

from __future__ import annotations

from typing import Literal

# What is asked of EC2.
Architecture = Literal["x86_64", "arm64"]
Capacity = Literal["on-demand", "spot", "open"] | str
InterfaceType = Literal["interface", "efa", "efa-only"]
Placement = Literal["cluster", "none"]
HostNames = Literal["ip-name", "resource-name"]
Profile = Literal["save-ips", "ip-bandwidth", "combined", "efa-only-secondary"]
PublicIp = Literal["none", "lone-efa", "elastic-ip"]
Tenancy = Literal["default", "dedicated"]
VolumeType = Literal["gp3", "gp2", "io1", "io2"]

# What other launchers are handed.
Format = Literal["yaml", "json"]
KarpenterInterfaces = Literal["static", "dynamic"]
Launcher = Literal["ec2", "eks-managed-node-group"]
Scheduler = Literal["slurm", "kubernetes", "ray"]
Workload = Literal["pod", "job", "ray-cluster"]

# How the fabric is measured.
Buffers = Literal["reused", "distinct"]
Direction = Literal["one_way", "bidirectional"]
Operation = Literal["message", "tagged", "write", "write_data", "read"]
Phase = Literal["join", "open", "contact", "latency", "bandwidth"]
Side = Literal["low", "high"]
SurveyMode = Literal["full", "sampled", "ring", "within_groups", "between_groups"]
SurveyPattern = Literal[
    "ring",
    "all_to_all",
    "incast",
    "ring_within_groups",
    "ring_between_groups",
    "all_to_all_within_groups",
    "all_to_all_between_groups",
    "incast_into_groups",
]
Wait = Literal["adaptive", "spin"]

# Words in results.
CheckStatus = Literal["passed", "failed", "skipped", "unknown"]
CommandStatus = Literal["success", "failed", "timed out", "cancelled", "not finished", "not online"]
DocumentSeverity = Literal["error", "warning"]
DocumentStatus = Literal["errors", "unread", "warnings", "clean"]
DoctorStatus = Literal["failed", "warning", "unknown", "info", "ok", "not_applicable"]
DoctorVerdict = Literal["usable", "not_usable", "no_efa_by_design", "unknown"]
EventAction = Literal["found", "created", "changed", "waiting for", "removed", "refused by"]
JobEnd = Literal["not_seen", "orderly", "failed"]
NcclSeverity = Literal["failed", "warning", "note"]
NcclVerdict = Literal[
    "on_efa",
    "on_efa_degraded",
    "tcp_sockets",
    "infiniband",
    "other_network",
    "shared_memory_only",
    "not_initialised",
    "no_nccl_lines",
    "mixed",
    "job_failed",
    "not_judged",
]
NodeStateKind = Literal["joined", "measured", "lost", "absent"]
PreflightVerdict = Literal["ready", "partial", "not ready"]
Proof = Literal["proven", "disproven", "unknown"]
ProbeRole = Literal["loopback", "connect", "serve"]
RailEvidence = Literal["proved", "not_proved", "unknown"]
SurveyBreaks = Literal[
    "everywhere",
    "across_groups",
    "within_groups",
    "node",
    "group",
    "group_flows",
    "between_sets",
    "receivers",
    "flows",
]
SurveyStatus = Literal["healthy", "findings", "not_surveyed"]
