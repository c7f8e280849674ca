use serde_json::{Value, json};

use super::findings::FINDINGS;
use super::{Manifests, check_manifest};
use crate::catalog::Catalog;
use crate::catalog::names::names_without_efa;
use crate::fixtures::prepared_plan;
use crate::handoff::check;
use crate::handoff::check::document::{Checked, Findings};
use crate::handoff::check::eksctl;
use crate::handoff::karpenter::{KarpenterInterfaces, KarpenterOptions, KarpenterWorkload};
use crate::spec::ClusterSpec;

/// EC2NodeClass, NodePool, NodeOverlay and Job as we write them.
fn right(instance_type: &str, interfaces: KarpenterInterfaces) -> Vec<Value> {
    let spec = ClusterSpec::new("train", instance_type, 2, "subnet-00000001", "ami-00000001");
    let options = KarpenterOptions {
        role: Some("nodes".to_owned()),
        ami_alias: Some("al2023@v20260801".to_owned()),
        interfaces,
        workloads: vec![KarpenterWorkload::Job],
        image: Some("train:1".to_owned()),
        ..KarpenterOptions::default()
    };
    let text = prepared_plan(&spec).to_karpenter(&options).unwrap();
    crate::handoff::read::documents(&text).unwrap()
}

/// The documents as one text of YAML.
fn text(documents: &[Value]) -> String {
    let texts: Vec<String> = documents.iter().map(|d| d.to_string()).collect();
    texts.join("\n---\n")
}

fn found(documents: &[Value]) -> Vec<String> {
    let report = check(&text(documents), Catalog::bundled()).unwrap();
    report.findings.into_iter().map(|f| f.id).collect()
}

const SPEC: &str = "/spec/template/spec";

fn requirement(key: &str, values: &[&str]) -> Value {
    json!({"key": key, "operator": "In", "values": values})
}

type Break = fn(&mut [Value]);

/// One more interface in the EC2NodeClass.
fn append(documents: &mut [Value], interface: Value) {
    let interfaces = &mut documents[0]["spec"]["networkInterfaces"];
    interfaces.as_array_mut().unwrap().push(interface);
}

/// What is broken in the static manifests of p5.48xlarge, and the one finding for it.
const BROKEN: &[(&str, &str, Break)] = &[
    ("", "nothing", |_| {}),
    ("karpenter.placement_group_name", "old field", |d| {
        d[0]["spec"]["placementGroupName"] = "train".into();
    }),
    ("karpenter.placement_group_selector", "both", |d| {
        d[0]["spec"]["placementGroupSelector"] = json!({"name": "train", "id": "pg-1"});
    }),
    ("karpenter.unknown_field", "stray spec", |d| {
        d[0]["spec"]["spec"] = Value::Null;
    }),
    ("karpenter.ami_selector_missing", "no image", |d| {
        d[0]["spec"]["amiSelectorTerms"] = json!([]);
    }),
    ("karpenter.ami_alias_not_pinned", "latest", |d| {
        d[0]["spec"]["amiSelectorTerms"] = json!([{"alias": "al2023@latest"}]);
    }),
    ("karpenter.ami_family_al2", "AL2 alias", |d| {
        d[0]["spec"]["amiSelectorTerms"] = json!([{"alias": "al2@v20240625"}]);
    }),
    ("karpenter.ami_family_al2", "AL2 family", |d| {
        d[0]["spec"]["amiFamily"] = "AL2".into();
        d[0]["spec"]["amiSelectorTerms"] = json!([{"id": "ami-00000001"}]);
    }),
    ("karpenter.ami_family_missing", "id alone", |d| {
        d[0]["spec"]["amiSelectorTerms"] = json!([{"id": "ami-00000001"}]);
    }),
    ("karpenter.role_or_profile", "both", |d| {
        d[0]["spec"]["instanceProfile"] = "nodes".into();
    }),
    ("karpenter.selector_missing", "no subnet", |d| {
        d[0]["spec"]["subnetSelectorTerms"] = json!([]);
    }),
    ("karpenter.efa_not_in_enum", "combined efa", |d| {
        d[0]["spec"]["networkInterfaces"][1]["interfaceType"] = "efa".into();
    }),
    ("karpenter.primary_not_interface", "efa-only first", |d| {
        d[0]["spec"]["networkInterfaces"][0]["interfaceType"] = "efa-only".into();
    }),
    ("karpenter.duplicate_interface", "twice", |d| {
        append(
            d,
            json!({"networkCardIndex": 0, "deviceIndex": 0, "interfaceType": "interface"}),
        );
    }),
    ("karpenter.several_efa_per_card", "two on card 1", |d| {
        append(
            d,
            json!({"networkCardIndex": 1, "deviceIndex": 1, "interfaceType": "efa-only"}),
        );
    }),
    ("karpenter.interface_incomplete", "no type", |d| {
        append(d, json!({"networkCardIndex": 1, "deviceIndex": 1}));
    }),
    ("interfaces.malformed", "not a number", |d| {
        d[0]["spec"]["networkInterfaces"][2]["deviceIndex"] = "one".into();
    }),
    ("layout.device_index_out_of_range", "device 2 of 2", |d| {
        d[0]["spec"]["networkInterfaces"][2]["deviceIndex"] = 2.into();
    }),
    ("interfaces.efa_left_out", "one EFA of 32", |d| {
        let interfaces = d[0]["spec"]["networkInterfaces"].as_array_mut().unwrap();
        interfaces.truncate(2);
        for container in ["initContainers", "containers"] {
            let at = format!("{SPEC}/{container}/0/resources");
            let one = json!({"limits": {"vpc.amazonaws.com/efa": 1, "hugepages-2Mi": "5120Mi", "memory": "1Gi"}});
            *d[3].pointer_mut(&at).unwrap() = one;
        }
    }),
    ("karpenter.interfaces_fail_for_types", "b300 too", |d| {
        let interfaces = d[0]["spec"]["networkInterfaces"].as_array_mut().unwrap();
        interfaces.truncate(9);
        let types = ["p6-b200.48xlarge", "p6-b300.48xlarge"];
        let at = format!("{SPEC}/requirements/0");
        *d[1].pointer_mut(&at).unwrap() = requirement("node.kubernetes.io/instance-type", &types);
        d.truncate_workloads();
    }),
    (
        "karpenter.public_ip_with_several_interfaces",
        "public",
        |d| {
            d[0]["spec"]["associatePublicIPAddress"] = true.into();
        },
    ),
    ("karpenter.node_class_group", "with a version", |d| {
        let at = format!("{SPEC}/nodeClassRef/group");
        *d[1].pointer_mut(&at).unwrap() = "karpenter.k8s.aws/v1".into();
    }),
    ("karpenter.several_zones", "two zones", |d| {
        let at = format!("{SPEC}/requirements/1");
        let zones = ["us-east-1a", "us-east-1b"];
        *d[1].pointer_mut(&at).unwrap() = requirement("topology.kubernetes.io/zone", &zones);
    }),
    ("karpenter.several_zones", "any zone, subnets by tag", |d| {
        d[0]["spec"]["subnetSelectorTerms"] = json!([{"tags": {"a": "b"}}]);
        let at = format!("{SPEC}/requirements");
        d[1].pointer_mut(&at)
            .unwrap()
            .as_array_mut()
            .unwrap()
            .remove(1);
    }),
    ("karpenter.huge_pages_not_counted", "no overlay", |d| {
        d[2] = json!({"apiVersion": "v1", "kind": "ConfigMap"});
    }),
    ("kubernetes.toleration_missing", "no toleration", |d| {
        *d[3].pointer_mut(&format!("{SPEC}/tolerations")).unwrap() = json!([]);
    }),
    ("kubernetes.toleration_missing", "of another effect", |d| {
        let at = format!("{SPEC}/tolerations/0/effect");
        *d[3].pointer_mut(&at).unwrap() = "NoExecute".into();
    }),
    ("kubernetes.efa_resource_name", "without /efa", |d| {
        let limits = json!({"vpc.amazonaws.com": 1, "nvidia.com/gpu": 8});
        *d[3]
            .pointer_mut(&format!("{SPEC}/containers/0/resources"))
            .unwrap() = json!({"limits": limits});
    }),
    ("kubernetes.resource_name", "no domain", |d| {
        let at = format!("{SPEC}/containers/0/resources/limits/nvidia.com");
        let (parent, key) = at.rsplit_once('/').unwrap();
        d[3].pointer_mut(parent).unwrap()[key] = 8.into();
    }),
    (
        "launch.block_with_placement_group",
        "a block in a group",
        |d| {
            d[0]["spec"]["capacityReservationSelectorTerms"] = json!([{"id": "cr-1"}]);
        },
    ),
    ("launch.imds_v1", "tokens optional", |d| {
        d[0]["spec"]["metadataOptions"]["httpTokens"] = "optional".into();
    }),
    ("launch.volume_unencrypted", "plain volume", |d| {
        d[0]["spec"]["blockDeviceMappings"] = json!([{"ebs": {"encrypted": false}}]);
    }),
    ("kubernetes.requests_differ_from_limits", "16 of 32", |d| {
        let at = format!("{SPEC}/containers/0/resources/requests/vpc.amazonaws.com~1efa");
        *d[3].pointer_mut(&at).unwrap() = 16.into();
    }),
    ("kubernetes.requests_differ_from_limits", "no limit", |d| {
        let at = format!("{SPEC}/containers/0/resources/limits");
        let limits = d[3].pointer_mut(&at).unwrap().as_object_mut().unwrap();
        limits.remove("vpc.amazonaws.com/efa");
    }),
    ("kubernetes.huge_pages_missing", "none", |d| {
        let resources = json!({"limits": {"vpc.amazonaws.com/efa": 32, "memory": "1Gi"}});
        *d[3]
            .pointer_mut(&format!("{SPEC}/containers/0/resources"))
            .unwrap() = resources;
    }),
    ("kubernetes.huge_pages_without_memory", "no memory", |d| {
        let resources = json!({"limits": {"vpc.amazonaws.com/efa": 32, "hugepages-2Mi": "2Mi"}});
        *d[3]
            .pointer_mut(&format!("{SPEC}/containers/0/resources"))
            .unwrap() = resources;
    }),
    ("kubernetes.efa_count", "less than none", |d| {
        let resources = json!({"limits": {"vpc.amazonaws.com/efa": -1, "memory": "1Gi", "hugepages-2Mi": "2Mi"}});
        *d[3]
            .pointer_mut(&format!("{SPEC}/containers/0/resources"))
            .unwrap() = resources;
    }),
    ("kubernetes.efa_count_beyond_type", "33 of 32", |d| {
        let resources = json!({"limits": {"vpc.amazonaws.com/efa": "33", "memory": "1Gi", "hugepages-2Mi": "2Mi"}});
        *d[3]
            .pointer_mut(&format!("{SPEC}/containers/0/resources"))
            .unwrap() = resources;
    }),
];

trait Workloads {
    fn truncate_workloads(&mut self);
}

impl Workloads for [Value] {
    /// Without the Job.
    fn truncate_workloads(&mut self) {
        self[3] = json!({"apiVersion": "v1", "kind": "ConfigMap"});
    }
}

#[test]
fn each_broken_document_gives_its_one_finding() {
    for (id, name, change) in BROKEN {
        let mut documents = right("p5.48xlarge", KarpenterInterfaces::Static);
        change(&mut documents);
        let expected: &[&str] = if id.is_empty() { &[] } else { &[id] };
        assert_eq!(found(&documents), expected, "{id}: {name}");
    }
}

/// What is broken in the dynamic manifests of p5.48xlarge.
const BROKEN_DYNAMIC: &[(&str, &str, Break)] = &[
    ("", "nothing", |_| {}),
    ("karpenter.dynamic_interfaces_fail", "b300", |d| {
        let at = format!("{SPEC}/requirements/0");
        let types = ["p5.48xlarge", "p6-b300.48xlarge"];
        *d[1].pointer_mut(&at).unwrap() = requirement("node.kubernetes.io/instance-type", &types);
    }),
    ("karpenter.admits_types_without_efa", "by category", |d| {
        let at = format!("{SPEC}/requirements");
        *d[1].pointer_mut(&at).unwrap() = json!([
            requirement("karpenter.k8s.aws/instance-category", &["c"]),
            requirement("topology.kubernetes.io/zone", &["us-east-1a"]),
        ]);
        d.truncate_workloads();
    }),
    (
        "karpenter.public_ip_with_several_interfaces",
        "public",
        |d| {
            d[0]["spec"]["associatePublicIPAddress"] = true.into();
        },
    ),
    ("kubernetes.efa_count_beyond_type", "33 of 32", |d| {
        let at = format!("{SPEC}/containers/0/resources");
        let resources = json!({"limits": {"vpc.amazonaws.com/efa": 33, "memory": "1Gi", "hugepages-2Mi": "2Mi"}});
        *d[3].pointer_mut(&at).unwrap() = resources;
    }),
];

#[test]
fn each_broken_dynamic_document_gives_its_one_finding() {
    for (id, name, change) in BROKEN_DYNAMIC {
        let mut documents = right("p5.48xlarge", KarpenterInterfaces::Dynamic);
        change(&mut documents);
        let expected: &[&str] = if id.is_empty() { &[] } else { &[id] };
        assert_eq!(found(&documents), expected, "{id}: {name}");
    }
}

#[test]
fn every_finding_is_produced_listed_and_documented() {
    let produced = BROKEN.iter().chain(BROKEN_DYNAMIC).map(|(id, ..)| *id);
    let mut produced: Vec<&str> = produced.filter(|id| id.contains('.')).collect();
    let of_every_format = ["interfaces.", "launch.", "layout."];
    produced.retain(|id| !of_every_format.iter().any(|start| id.starts_with(start)));
    produced.sort_unstable();
    produced.dedup();
    assert_eq!(produced, FINDINGS);
    let page = include_str!("../../../../../docs/handoff-karpenter.md");
    for id in FINDINGS.iter().chain(eksctl::FINDINGS) {
        assert!(
            page.contains(&format!("| `{id}` |")),
            "{id} is not in the page"
        );
    }
}

/// The community's recipe for EFA with Karpenter, rebuilt: an EC2NodeClass of former days and a
/// NodePool by category and size.
fn recipe() -> Vec<Value> {
    let tags = json!([{"tags": {"karpenter.sh/discovery": "training-on-eks"}}]);
    let sizes = [
        "8xlarge", "12xlarge", "16xlarge", "24xlarge", "32xlarge", "48xlarge", "metal",
    ];
    vec![
        json!({
            "apiVersion": "karpenter.k8s.aws/v1",
            "kind": "EC2NodeClass",
            "metadata": {"name": "gpu-efa"},
            "spec": {
                "amiFamily": "AL2",
                "role": "KarpenterNodeRole-MyCluster",
                "subnetSelectorTerms": tags,
                "securityGroupSelectorTerms": tags,
                "placementGroupName": "training-on-eks",
                "spec": null,
                "userData": "#!/bin/bash\n",
            },
        }),
        json!({
            "apiVersion": "karpenter.sh/v1",
            "kind": "NodePool",
            "metadata": {"name": "gpu-efa"},
            "spec": {"template": {"spec": {
                "nodeClassRef": {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "gpu-efa"},
                "requirements": [
                    requirement("karpenter.k8s.aws/instance-category", &["c", "p", "g"]),
                    requirement("karpenter.k8s.aws/instance-size", &sizes),
                    {"key": "karpenter.k8s.aws/instance-generation", "operator": "Gt", "values": ["3"]},
                    requirement("karpenter.sh/capacity-type", &["on-demand"]),
                    requirement("topology.kubernetes.io/zone", &["us-east-1a"]),
                ],
                "taints": [{"key": "efa-workload", "value": "true", "effect": "NoSchedule"}],
            }}},
        }),
    ]
}

fn pod(resources: &Value) -> Value {
    let container = json!({"name": "main", "image": "x", "resources": resources});
    json!({"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [container]}})
}

#[test]
fn the_communitys_recipe_gives_exactly_its_findings() {
    let mut documents = recipe();
    let of_classes = [
        "karpenter.placement_group_name",
        "karpenter.unknown_field",
        "karpenter.ami_selector_missing",
        "karpenter.ami_family_al2",
        // Warnings: c5.9xlarge and the like have no EFA, p6-b300 none on card 0.
        "karpenter.admits_types_without_efa",
        "karpenter.dynamic_interfaces_fail",
    ];
    assert_eq!(found(&documents), of_classes);
    let report = check(&text(&documents), Catalog::bundled()).unwrap();
    let says = report.to_string();
    for part in [
        "c5.24xlarge",
        "p6-b300.48xlarge",
        "placementGroupSelector:\n      name: training-on-eks",
    ] {
        assert!(says.contains(part), "{part} in {says}");
    }
    assert!(
        says.contains("self-referencing ingress and egress rules"),
        "{says}"
    );
    // Its pod asks for one EFA, and tolerates nothing.
    documents.push(pod(&json!({
        "limits": {"vpc.amazonaws.com/efa": 1},
        "requests": {"vpc.amazonaws.com/efa": 1},
    })));
    let with_pod = found(&documents);
    let of_pod = [
        "kubernetes.toleration_missing",
        "kubernetes.huge_pages_missing",
    ];
    assert_eq!(with_pod.len(), of_classes.len() + of_pod.len());
    assert!(
        of_pod.iter().all(|id| with_pod.iter().any(|f| f == id)),
        "{with_pod:?}"
    );
    // And its list of remedies asks for this.
    let wrong = pod(&json!({"limits": {"vpc.amazonaws.com": 1, "nvidia.com": 8}}));
    let names = ["kubernetes.efa_resource_name", "kubernetes.resource_name"];
    assert_eq!(found(&[wrong]), names);
}

#[test]
fn what_has_nothing_to_do_with_efa_has_no_findings() {
    let quiet = pod(&json!({"limits": {"nvidia.com/gpu": 1}, "requests": {"cpu": 1}}));
    let branch = pod(&json!({"limits": {"vpc.amazonaws.com/pod-eni": 1}}));
    assert!(found(&[general_pool(), quiet, branch]).is_empty());
}

#[test]
fn a_list_of_kubectl_is_its_items() {
    let mut documents = right("p5.48xlarge", KarpenterInterfaces::Static);
    documents[0]["spec"]["placementGroupName"] = "train".into();
    let list = json!({"apiVersion": "v1", "kind": "List", "items": documents});
    let report = check(&list.to_string(), Catalog::bundled()).unwrap();
    let paths: Vec<&str> = report.findings.iter().map(|f| f.path.as_str()).collect();
    assert_eq!(paths, ["items.0.spec.placementGroupName"]);
}

#[test]
fn a_general_pool_next_to_one_for_efa_is_left_alone() {
    let mut documents = right("p5.48xlarge", KarpenterInterfaces::Static);
    documents.push(general_pool());
    assert!(found(&documents).is_empty());
    // Alone it is the one on which the pod would run, were it not for its selector.
    let mut documents = vec![documents.remove(3), general_pool()];
    let pod = documents[0].pointer_mut(SPEC).unwrap();
    pod.as_object_mut().unwrap().remove("nodeSelector");
    let ids = [
        "karpenter.admits_types_without_efa",
        "karpenter.huge_pages_not_counted",
        "kubernetes.efa_count_beyond_type",
    ];
    let mut ids_found = found(&documents);
    ids_found.sort();
    assert_eq!(ids_found, ids);
}

fn general_pool() -> Value {
    json!({
        "apiVersion": "karpenter.sh/v1",
        "kind": "NodePool",
        "metadata": {"name": "default"},
        "spec": {"template": {"spec": {
            "nodeClassRef": {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "default"},
            "requirements": [requirement("karpenter.k8s.aws/instance-category", &["c", "m", "r"])],
        }}},
    })
}

#[test]
fn corrections_are_what_the_type_would_have() {
    let mut documents = right("p4d.24xlarge", KarpenterInterfaces::Static);
    documents[0]["spec"]["networkInterfaces"] = json!([
        {"networkCardIndex": 0, "deviceIndex": 0, "interfaceType": "efa"},
        {"networkCardIndex": 1, "deviceIndex": 1, "interfaceType": "efa"},
    ]);
    let report = check(&text(&documents), Catalog::bundled()).unwrap();
    let efa = report
        .findings
        .iter()
        .find(|f| f.id == "karpenter.efa_not_in_enum");
    let corrected = efa.unwrap().corrected.as_deref().unwrap();
    let list: Value = yaml_serde::from_str(corrected).unwrap();
    let list = list["networkInterfaces"].as_array().unwrap();
    assert_eq!(list.len(), 5);
    assert_eq!(
        list[1],
        json!({"networkCardIndex": 0, "deviceIndex": 1, "interfaceType": "efa-only"})
    );
}

/// A NodePool with a taint of its own, and a pod that tolerates that.
fn pool_and_pod(at: usize, named: bool) -> [Value; 2] {
    let name = format!("p{at}");
    let mut pod = json!({"tolerations": [{"key": "own", "value": name}], "containers": [
        {"resources": {"limits": {"vpc.amazonaws.com/efa": 1, "hugepages-2Mi": "5Gi", "memory": "1Gi"}}}
    ]});
    if named {
        pod["nodeSelector"] = json!({"karpenter.sh/nodepool": name});
    }
    [
        json!({"apiVersion": "karpenter.sh/v1", "kind": "NodePool", "metadata": {"name": name}, "spec": {
        "replicas": 2, "template": {"spec": {
            "nodeClassRef": {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "x"},
            "requirements": [requirement("node.kubernetes.io/instance-type", &["p5.48xlarge"])],
            "taints": [{"key": "own", "value": name, "effect": "NoSchedule"}],
        }}}}),
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": pod}),
    ]
}

/// How much was compared for a text of `n` pools and pods.
fn compared(documents: &[Value]) -> usize {
    let documents: Vec<Checked<'_>> = documents
        .iter()
        .map(|document| Checked {
            document,
            prefix: String::new(),
            catalog: Catalog::bundled(),
        })
        .collect();
    let manifests = Manifests::new(&documents);
    let mut found = Findings::default();
    for document in &documents {
        check_manifest(document, &manifests, &mut found);
    }
    assert!(found.unread.is_empty());
    let findings: Vec<&str> = found.findings.iter().map(|f| f.id.as_str()).collect();
    assert!(!findings.contains(&"kubernetes.toleration_missing"));
    manifests.compared()
}

#[test]
fn the_work_grows_with_the_pools_and_pods_and_not_with_their_pairs() {
    for named in [false, true] {
        let of = |count: usize| {
            let documents: Vec<Value> = (0..count).flat_map(|at| pool_and_pod(at, named)).collect();
            compared(&documents)
        };
        let (few, many) = (of(50), of(400));
        assert!(few >= 50, "{few}");
        assert!(many <= 8 * few, "{few} {many}");
    }
}

#[test]
fn pods_that_there_is_too_much_to_compare_for_are_named() {
    let types: Vec<&str> = names_without_efa().collect();
    assert!(types.len() > 700);
    let mut documents = Vec::from(pool_and_pod(0, false));
    documents[0]["spec"]["template"]["spec"]["requirements"] =
        json!([requirement("node.kubernetes.io/instance-type", &types)]);
    for at in 1..12 {
        let mut pod = documents[1].clone();
        let mut own = types.clone();
        own.truncate(types.len() - at);
        let terms =
            json!([{"matchExpressions": [requirement("node.kubernetes.io/instance-type", &own)]}]);
        pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"] =
            json!({"nodeSelectorTerms": terms});
        documents.push(pod);
    }
    let report = check(&text(&documents), Catalog::bundled()).unwrap();
    let named = report
        .unread
        .iter()
        .filter(|u| u.reason.contains("too many"));
    assert!(named.count() >= 1, "{report}");
}
