"""Manifests for Karpenter and eksctl: accepted by their own schemas, and read back as planned."""

from __future__ import annotations

import copy
import importlib.metadata
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import efa_sdk as efa
import jsonschema
import pytest
import yaml
from karpenter_judge import refusals
from support import Cloud

DATA = Path(__file__).resolve().parents[1] / "data"
ROLE = "KarpenterNodeRole-eks"
ALIAS = "al2023@v20260801"

#: The layout class of each type: cards, and how many EFAs.
CLASSES = {
    "c7i.48xlarge": 1,
    "hpc7a.96xlarge": 2,
    "p4d.24xlarge": 4,
    "p6-b200.48xlarge": 8,
    "p5en.48xlarge": 16,
    "p6-b300.48xlarge": 16,
    "p5.48xlarge": 32,
}
#: Not in every stand-in's region, or refused: see their own tests.
BY_HAND = ["hpc6id.32xlarge", "p6e-gb200.36xlarge"]


@pytest.fixture
def prepared(cloud: Cloud) -> Callable[..., efa.Plan]:
    """A plan whose groups exist."""

    def plan(instance_type: str, **more: Any) -> efa.Plan:
        there = cloud.at_home_of(instance_type)
        return there.client.prepare(there.plan(instance_type, **more))

    return plan


def documents(text: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(text))


def karpenters(text: str) -> list[dict[str, Any]]:
    return [d for d in documents(text) if "karpenter" in d["apiVersion"]]


def assert_accepted(text: str) -> None:
    for document in karpenters(text):
        assert refusals(document) == [], yaml.safe_dump(document)
    report = efa.check(text)
    assert report.is_clean, str(report)


def notation(interfaces: list[dict[str, Any]]) -> list[tuple[int, int, str]]:
    return [(i["networkCardIndex"], i["deviceIndex"], i["interfaceType"]) for i in interfaces]


def planned(plan: efa.Plan) -> list[tuple[int, int, str]]:
    return [
        (i.network_card_index, i.device_index, i.interface_type) for i in plan.layout.interfaces
    ]


@pytest.mark.parametrize("instance_type", CLASSES)
def test_every_class_is_accepted_and_reads_back_as_planned(
    instance_type: str, prepared: Callable[..., efa.Plan]
) -> None:
    plan = prepared(instance_type)
    text = plan.to_karpenter(
        role=ROLE, ami_alias=ALIAS, workloads=["pod", "job", "ray-cluster"], image="train:1"
    )
    assert text == plan.to_karpenter(
        role=ROLE, ami_alias=ALIAS, workloads=["pod", "job", "ray-cluster"], image="train:1"
    )
    assert_accepted(text)
    node_class = documents(text)[0]["spec"]
    assert notation(node_class["networkInterfaces"]) == planned(plan)
    check_pods(text, CLASSES[instance_type])
    header = [line for line in text.splitlines() if line.startswith("#")][:6]
    assert any(plan.fingerprint in line for line in header)
    assert any(efa.__version__ in line for line in header)


def test_gb200_of_a_hand_kept_row(prepared: Callable[..., efa.Plan]) -> None:
    """No stand-in offers it: its plan is another's, with its type and layout in place."""
    row = efa.Catalog.bundled()["p6e-gb200.36xlarge"]
    layout = row.layout()
    interfaces = [
        {
            "networkCardIndex": i.network_card_index,
            "deviceIndex": i.device_index,
            "interfaceType": i.interface_type,
        }
        for i in layout.interfaces
    ]
    text = prepared("p5.48xlarge").to_karpenter(role=ROLE, ami_alias=ALIAS)
    text = text.replace("p5.48xlarge", row.name).replace("amd64", *row.architectures)
    node_class, node_pool = documents(text)
    node_class["spec"]["networkInterfaces"] = interfaces
    assert refusals(node_class) == []
    report = efa.check(yaml.safe_dump_all([node_class, node_pool]))
    assert report.is_clean, str(report)


def check_pods(text: str, efas: int) -> None:
    """Structure only: the schemas of Kubernetes and KubeRay are not at hand."""
    pod, job, ray = documents(text)[-3:]
    specs = [
        pod["spec"],
        job["spec"]["template"]["spec"],
        ray["spec"]["workerGroupSpecs"][0]["template"]["spec"],
    ]
    assert [d["kind"] for d in (pod, job, ray)] == ["Pod", "Job", "RayCluster"]
    for spec in specs:
        assert spec["nodeSelector"] == {"karpenter.sh/nodepool": "train"}
        (doctor,) = spec["initContainers"]
        assert doctor["command"][:3] == ["python", "-m", "efa_sdk.doctor"]
        for container in (doctor, *spec["containers"]):
            resources = container["resources"]
            assert resources["limits"] == resources["requests"]
            assert resources["limits"]["vpc.amazonaws.com/efa"] == efas
            assert resources["limits"]["hugepages-2Mi"] == "5120Mi"
    assert specs[2]["containers"][0]["name"] == "ray-worker"
    head = ray["spec"]["headGroupSpec"]["template"]["spec"]["containers"][0]
    assert "vpc.amazonaws.com/efa" not in head["resources"]["limits"]


@pytest.mark.parametrize("profile", ["combined", "efa-only-secondary", "ip-bandwidth"])
@pytest.mark.parametrize("instance_type", ["c7i.48xlarge", "hpc7a.96xlarge", "p5.48xlarge"])
def test_other_profiles_are_rewritten_with_as_many_efas(
    instance_type: str, profile: str, prepared: Callable[..., efa.Plan]
) -> None:
    if instance_type == "c7i.48xlarge" and profile == "ip-bandwidth":
        instance_type = "p4d.24xlarge"  # one card has no more IP bandwidth to give
    plan = prepared(instance_type, profile=profile)
    text = plan.to_karpenter(role=ROLE, ami_alias=ALIAS)
    assert_accepted(text)
    written = notation(documents(text)[0]["spec"]["networkInterfaces"])
    assert {kind for _, _, kind in written} == {"interface", "efa-only"}
    efas = [entry for entry in written if entry[2] == "efa-only"]
    assert len(efas) == plan.layout.efa_count
    addresses = [entry for entry in written if entry[2] == "interface"]
    assert len(addresses) == plan.layout.ip_count
    own = [efa.NetworkInterface(card, device, kind) for card, device, kind in written]
    type_of = efa.Catalog.bundled()[instance_type]
    assert efa.Layout.from_interfaces(type_of, own).efa_count == plan.layout.efa_count


def test_hpc6id_is_refused_with_what_to_do(prepared: Callable[..., efa.Plan]) -> None:
    plan = prepared("hpc6id.32xlarge")
    for interfaces in ("static", "dynamic"):
        with pytest.raises(efa.errors.HandoffError, match="one interface on card 0") as refused:
            plan.to_karpenter(role=ROLE, ami_alias=ALIAS, interfaces=interfaces)
        assert refused.value.code == "handoff.not_possible"


@pytest.mark.parametrize(
    ("instance_type", "works"),
    [("c7i.48xlarge", True), ("p4d.24xlarge", True), ("p6-b300.48xlarge", False)],
)
def test_dynamic_interfaces_where_they_work(
    instance_type: str, works: bool, prepared: Callable[..., efa.Plan]
) -> None:
    plan = prepared(instance_type)
    options: dict[str, Any] = {"role": ROLE, "ami_alias": ALIAS, "interfaces": "dynamic"}
    if works:
        text = plan.to_karpenter(**options, workloads=["job"], image="train:1")
        assert "networkInterfaces" not in documents(text)[0]["spec"]
        assert_accepted(text)
    else:
        with pytest.raises(efa.errors.HandoffError, match="Karpenter derives fail"):
            plan.to_karpenter(**options)


def launch(cloud: Cloud, instance_type: str, spec: dict[str, Any], count: int) -> None:
    """RunInstances with what Karpenter's source makes of an EC2NodeClass (launchtemplate.go)."""
    public = spec["associatePublicIPAddress"]
    listed = notation(spec.get("networkInterfaces", []))
    if not listed:
        efas = efa.Catalog.bundled()[instance_type].maximum_efa_interfaces
        listed = [(card, int(card > 0), "efa") for card in range(efas)]
    interfaces = [
        {
            "NetworkCardIndex": card,
            "DeviceIndex": device,
            "InterfaceType": kind,
            "SubnetId": spec["subnetSelectorTerms"][0]["id"],
            "Groups": [term["id"] for term in spec["securityGroupSelectorTerms"]],
            **({} if kind == "efa-only" else {"AssociatePublicIpAddress": public}),
        }
        for card, device, kind in listed
    ]
    tags = [{"Key": key, "Value": value} for key, value in spec["tags"].items()]
    cloud.ec2.run_instances(
        ImageId=cloud.network.image_for(instance_type),
        InstanceType=instance_type,
        MinCount=count,
        MaxCount=count,
        NetworkInterfaces=interfaces,
        Placement={"GroupName": spec["placementGroupSelector"]["name"]},
        MetadataOptions={"HttpTokens": spec["metadataOptions"]["httpTokens"]},
        TagSpecifications=[{"ResourceType": kind, "Tags": tags} for kind in ("instance", "volume")],
    )


@pytest.mark.parametrize(
    ("instance_type", "more", "interfaces"),
    [
        ("p5.48xlarge", {}, "static"),
        ("p4d.24xlarge", {"profile": "combined"}, "static"),
        ("p6-b300.48xlarge", {}, "static"),
        ("p4d.24xlarge", {}, "dynamic"),
        ("c7i.48xlarge", {"public_ip": "lone-efa"}, "dynamic"),
    ],
)
def test_ec2_takes_what_karpenter_makes_of_them(
    instance_type: str,
    more: dict[str, Any],
    interfaces: str,
    cloud: Cloud,
    prepared: Callable[..., efa.Plan],
) -> None:
    """And the nodes are as planned, by their tags; there is no Karpenter here."""
    plan = prepared(instance_type, **more)
    text = plan.to_karpenter(role=ROLE, ami_alias=ALIAS, interfaces=interfaces)
    launch(cloud, instance_type, documents(text)[0]["spec"], 2)
    cloud.until(lambda: all(i["State"]["Name"] == "running" for i in cloud.instances()))
    report = cloud.client.verify("train")
    assert report.is_as_planned, str(report)


def test_options_reach_the_documents(prepared: Callable[..., efa.Plan]) -> None:
    plan = prepared("c7i.48xlarge", capacity="spot", tags={"team": "hpc"})
    text = plan.to_karpenter(
        role=ROLE,
        ami_alias=ALIAS,
        name="other",
        namespace="jobs",
        taint="example.com/efa",
        static_nodes=True,
        maximum_nodes=3,
        huge_pages_mib=0,
        memory_mib=1000,
        workloads=["job"],
        image="train:1",
    )
    assert_accepted(text)
    node_class, node_pool, job = documents(text)
    assert node_class["spec"]["tags"]["team"] == "hpc"
    assert node_pool["spec"]["replicas"] == 2
    assert node_pool["spec"]["limits"] == {"nodes": 3}
    template = node_pool["spec"]["template"]["spec"]
    assert template["requirements"][2]["values"] == ["spot"]
    assert template["taints"][0]["key"] == "example.com/efa"
    assert job["metadata"] == {"name": "other", "namespace": "jobs"}
    container = job["spec"]["template"]["spec"]["containers"][0]
    assert container["env"] == [{"name": "FI_EFA_USE_HUGE_PAGE", "value": "0"}]
    assert container["resources"]["limits"] == {"vpc.amazonaws.com/efa": 1, "memory": "1000Mi"}
    values = documents(plan.to_efa_device_plugin_values(taint="example.com/efa"))[0]
    assert values["tolerations"][0]["key"] == "example.com/efa"
    assert values["supportedInstanceLabels"]["values"] == ["c7i.48xlarge"]


def test_what_is_refused(cloud: Cloud, prepared: Callable[..., efa.Plan]) -> None:
    plan = prepared("c7i.48xlarge")
    good: dict[str, Any] = {"role": ROLE, "ami_alias": ALIAS}
    for code, options in [
        ("handoff.not_possible", {**good, "role": None}),
        ("handoff.not_possible", {**good, "ami_alias": None}),  # not an image for EKS
        ("handoff.invalid_option", {**good, "ami_alias": "al2023@latest"}),
        ("handoff.invalid_option", {**good, "interfaces": "both"}),
        ("handoff.invalid_option", {**good, "workloads": ["cronjob"]}),
        ("handoff.invalid_option", {**good, "workloads": ["job"]}),  # without an image
    ]:
        with pytest.raises(efa.errors.HandoffError) as refused:
            plan.to_karpenter(**options)
        assert refused.value.code == code, options
    with pytest.raises(efa.errors.HandoffError) as refused:
        cloud.plan("c7i.48xlarge", name="unprepared").to_karpenter(**good)
    assert refused.value.code == "handoff.not_prepared"


#: What breaks an EC2NodeClass or a NodePool, and a part of what the CRD reports of it.
BROKEN: list[tuple[int, str, Callable[[dict[str, Any]], object]]] = [
    (0, "placementGroupName", lambda s: s.update(placementGroupName="x")),
    (0, "'spec' was unexpected", lambda s: s.update(spec=None)),
    (0, "amiSelectorTerms", lambda s: s.pop("amiSelectorTerms")),
    (0, "amiFamily must be 'AL2023'", lambda s: s.update(amiFamily="AL2")),
    (
        0,
        "must specify amiFamily",
        lambda s: s.update(amiSelectorTerms=[{"id": "ami-1"}]),
    ),
    (
        0,
        "improperly formatted",
        lambda s: s.update(amiSelectorTerms=[{"alias": "al2023"}]),
    ),
    (0, "exactly one of ['role'", lambda s: s.update(instanceProfile="x")),
    (0, "exactly one of ['role'", lambda s: s.pop("role")),
    (0, "role cannot be empty", lambda s: s.update(role="")),
    (
        0,
        "mutually exclusive",
        lambda s: s.update(placementGroupSelector={"name": "x", "id": "pg-1"}),
    ),
    (0, "'efa' is not one of", lambda s: s["networkInterfaces"][1].update(interfaceType="efa")),
    (0, "primary interface", lambda s: s["networkInterfaces"].pop(0)),
    (
        0,
        "primary interface",
        lambda s: s["networkInterfaces"][0].update(interfaceType="efa-only"),
    ),
    (
        0,
        "duplicate networkCardIndex",
        lambda s: s["networkInterfaces"].append(s["networkInterfaces"][0]),
    ),
    (
        0,
        "at most one efa device per network card",
        lambda s: s["networkInterfaces"].append(
            {"networkCardIndex": 0, "deviceIndex": 2, "interfaceType": "efa-only"}
        ),
    ),
    (0, "is a required property", lambda s: s["networkInterfaces"][1].pop("interfaceType")),
    (
        0,
        "snapshotID or volumeSize",
        lambda s: s["blockDeviceMappings"][0]["ebs"].pop("volumeSize"),
    ),
    (0, "kubernetes.io/cluster/", lambda s: s["tags"].update({"kubernetes.io/cluster/x": "o"})),
    (
        1,
        "does not match",
        lambda s: s["template"]["spec"]["nodeClassRef"].update(group="karpenter.k8s.aws/v1"),
    ),
    (
        1,
        "must have a value defined",
        lambda s: s["template"]["spec"]["requirements"][0].update(values=[]),
    ),
    (
        1,
        'domain "karpenter.k8s.aws" is restricted',
        lambda s: s["template"]["spec"]["requirements"][0].update(key="karpenter.k8s.aws/efa"),
    ),
    (1, "static NodePools", lambda s: s.update(replicas=2)),
    (1, "is not valid under any", lambda s: s["limits"].update(nodes=1.5)),
]


@pytest.mark.parametrize(("at", "says", "change"), BROKEN, ids=range(len(BROKEN)))
def test_the_judge_refuses_known_bad_manifests(
    at: int, says: str, change: Callable[[dict[str, Any]], object]
) -> None:
    document = copy.deepcopy(GOOD[at])
    assert refusals(document) == []
    change(document["spec"])
    found = refusals(document)
    assert any(says in refusal for refusal in found), found


#: By hand, so that the judge is tried apart from what it judges.
GOOD: list[dict[str, Any]] = [
    {
        "apiVersion": "karpenter.k8s.aws/v1",
        "kind": "EC2NodeClass",
        "metadata": {"name": "efa"},
        "spec": {
            "amiSelectorTerms": [{"alias": ALIAS}],
            "role": "nodes",
            "subnetSelectorTerms": [{"id": "subnet-1"}],
            "securityGroupSelectorTerms": [{"id": "sg-1"}],
            "placementGroupSelector": {"name": "train"},
            "networkInterfaces": [
                {"networkCardIndex": 0, "deviceIndex": 0, "interfaceType": "interface"},
                {"networkCardIndex": 0, "deviceIndex": 1, "interfaceType": "efa-only"},
            ],
            "blockDeviceMappings": [{"deviceName": "/dev/xvda", "ebs": {"volumeSize": "50Gi"}}],
            "tags": {"team": "hpc"},
        },
    },
    {
        "apiVersion": "karpenter.sh/v1",
        "kind": "NodePool",
        "metadata": {"name": "efa"},
        "spec": {
            "limits": {"cpu": 192, "nodes": 1},
            "template": {
                "spec": {
                    "nodeClassRef": {
                        "group": "karpenter.k8s.aws",
                        "kind": "EC2NodeClass",
                        "name": "efa",
                    },
                    "requirements": [
                        {
                            "key": "node.kubernetes.io/instance-type",
                            "operator": "In",
                            "values": ["c7i.48xlarge"],
                        }
                    ],
                }
            },
        },
    },
]


def test_the_judge_refuses_an_overlay_of_cpu() -> None:
    overlay = {
        "apiVersion": "karpenter.sh/v1alpha1",
        "kind": "NodeOverlay",
        "metadata": {"name": "efa"},
        "spec": {"requirements": [], "capacity": {"hugepages-2Mi": "2Mi"}},
    }
    assert refusals(overlay) == []
    overlay["spec"]["capacity"]["cpu"] = 1  # type: ignore[index]
    assert refusals(overlay) == [".spec.capacity: invalid resource restricted"]


RECIPE = """
apiVersion: karpenter.k8s.aws/v1
kind: EC2NodeClass
metadata: {name: gpu-efa}
spec:
  amiFamily: AL2
  role: KarpenterNodeRole-MyCluster
  subnetSelectorTerms: [{tags: {karpenter.sh/discovery: training-on-eks}}]
  securityGroupSelectorTerms: [{tags: {karpenter.sh/discovery: training-on-eks}}]
  placementGroupName: training-on-eks
  spec:
  userData: "#!/bin/bash"
---
apiVersion: karpenter.sh/v1
kind: NodePool
metadata: {name: gpu-efa}
spec:
  template:
    spec:
      nodeClassRef: {group: karpenter.k8s.aws, kind: EC2NodeClass, name: gpu-efa}
      requirements:
      - {key: karpenter.k8s.aws/instance-category, operator: In, values: [c, p, g]}
      - key: karpenter.k8s.aws/instance-size
        operator: In
        values: [8xlarge, 12xlarge, 16xlarge, 24xlarge, 32xlarge, 48xlarge, metal]
      - {key: karpenter.k8s.aws/instance-generation, operator: Gt, values: ["3"]}
      - {key: karpenter.sh/capacity-type, operator: In, values: [on-demand]}
      - {key: topology.kubernetes.io/zone, operator: In, values: [us-east-1a]}
      taints: [{key: efa-workload, value: "true", effect: NoSchedule}]
"""


def test_the_communitys_recipe() -> None:
    """The schema refuses its EC2NodeClass and takes its NodePool; `check` states what is wrong."""
    node_class, node_pool = documents(RECIPE)
    said = "\n".join(refusals(node_class))
    for part in ("placementGroupName", "'spec'", "amiSelectorTerms"):
        assert part in said
    assert refusals(node_pool) == []
    report = efa.check(RECIPE)
    assert report.format == "kubernetes"
    assert [finding.id for finding in report.findings] == [
        "karpenter.placement_group_name",
        "karpenter.unknown_field",
        "karpenter.ami_selector_missing",
        "karpenter.ami_family_al2",
        "karpenter.admits_types_without_efa",
        "karpenter.dynamic_interfaces_fail",
    ]
    assert "self-referencing ingress and egress rules" in report.out_of_sight[0]


EKSCTL_SCHEMA = json.loads((DATA / "eksctl" / "schema.json").read_text())


@pytest.mark.parametrize(
    "instance_type", [t for t in CLASSES if t != "p6-b300.48xlarge"] + ["p4d.24xlarge spot"]
)
def test_eksctls_schema_takes_its_documents(
    instance_type: str, prepared: Callable[..., efa.Plan]
) -> None:
    name, _, spot = instance_type.partition(" ")
    plan = prepared(name, **({"capacity": spot} if spot else {}))
    text = plan.to_eksctl(cluster="eks")
    (config,) = documents(text)
    jsonschema.Draft7Validator(EKSCTL_SCHEMA).validate(config)
    report = efa.check(text)
    assert report.is_clean, str(report)
    (group,) = config["managedNodeGroups"]
    assert group["efaEnabled"] is True
    interfaces = efa.Layout.from_interfaces(
        efa.Catalog.bundled()[name],
        [efa.NetworkInterface(card, int(card > 0), "efa") for card in range(CLASSES[name])],
    )
    # eksctl leaves public addresses to the subnet.
    tag = group["tags"]["efa-sdk:layout"].replace("+subnet-public-ip", "")
    assert tag == interfaces.notation
    config["managedNodeGroups"][0]["efa"] = True
    with pytest.raises(jsonschema.ValidationError, match="'efa' was unexpected"):
        jsonschema.Draft7Validator(EKSCTL_SCHEMA).validate(config)


@pytest.mark.parametrize("instance_type", ["hpc6id.32xlarge", "p6-b300.48xlarge"])
def test_eksctl_is_refused_where_its_interfaces_are_wrong(
    instance_type: str, prepared: Callable[..., efa.Plan]
) -> None:
    plan = prepared(instance_type)
    with pytest.raises(efa.errors.HandoffError, match="eks-managed-node-group") as refused:
        plan.to_eksctl(cluster="eks")
    assert refused.value.code == "handoff.not_possible"
    # The way out that the error names.
    assert "NetworkInterfaces" in plan.to_launch_template(launcher="eks-managed-node-group")


def test_versions_are_those_that_were_tested(prepared: Callable[..., efa.Plan]) -> None:
    """The documents state what the data in tests/data is of, and cel-python is the pinned one."""
    plan = prepared("p4d.24xlarge")
    for text, version, data in [
        (
            plan.to_karpenter(role=ROLE, ami_alias=ALIAS),
            efa.handoff.TESTED_KARPENTER_VERSION,
            "karpenter-crds",
        ),
        (plan.to_eksctl(cluster="eks"), efa.handoff.TESTED_EKSCTL_VERSION, "eksctl"),
    ]:
        assert re.search(rf"^# .*\bv?{re.escape(version)}\b", text, flags=re.MULTILINE)
        assert f" v{version} " in (DATA / data / "README.md").read_text().replace("\n", " ")
    pinned = (DATA.parent / "requirements.txt").read_text()
    assert f"cel-python=={importlib.metadata.version('cel-python')}\n" in pinned
