"""Words that no parameter takes, and words that no result has."""

# ruff: noqa: B015
from __future__ import annotations

import efa_sdk as efa
from efa_sdk import choices, fabric, nccl, survey


def ask(plan: efa.Plan, report: survey.SurveyReport, exchange: fabric.Exchange) -> None:
    p5 = efa.Catalog.bundled()["p5.48xlarge"]
    p5.layout(profile="save_ips")  # E: arg-type
    p5.layout(public_ip="elastic")  # E: arg-type
    efa.Catalog.bundled().find(architecture="aarch64")  # E: arg-type
    efa.NetworkInterface(0, 0, "ena")  # E: arg-type
    efa.Volume(device_name="/dev/sdf", size_gib=8, volume_type="gp4")  # E: arg-type
    base = efa.ClusterSpec(name="t", instance_type="p5.48xlarge", count=1, image="al2023")
    base.count = 2  # E: misc
    efa.ClusterSpec(
        name="t",
        instance_type="p5.48xlarge",
        image="al2023",
        count="2",  # E: arg-type
        placement="spread",  # E: arg-type
        profile="ip_bandwidth",  # E: arg-type
        tenancy="host",  # E: arg-type
        ssh_cidrs=10,  # E: arg-type
        tags=["team"],  # E: arg-type
    )
    plan.to_karpenter(interfaces="fixed")  # E: arg-type
    plan.to_karpenter(workloads=["jobs"])  # E: list-item
    plan.to_cloudformation(format="toml")  # E: arg-type
    plan.to_launch_template(launcher="eks")  # E: arg-type
    fabric.ProbeOptions("tcp", operation="send")  # E: arg-type
    fabric.ProbeOptions("tcp", wait="block")  # E: arg-type
    survey.SurveyOptions(mode="star")  # E: arg-type
    survey.survey_pair(exchange, "a", "left", survey.PairOptions("tcp"))  # E: arg-type
    report.drain_commands("nomad")  # E: arg-type
    report.status == "ok"  # E: comparison-overlap
    nccl.read_log("").verdict == "efa"  # E: comparison-overlap
    efa.check("").status == "error"  # E: comparison-overlap
    profile: choices.Profile = "fast"  # E: assignment
    print(profile)
