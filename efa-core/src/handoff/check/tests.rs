use std::collections::BTreeSet;
use std::path::Path;

use super::*;

mod launches;
mod options;
mod shapes;
mod table;

/// What a document must give: its status, and at least these findings (ids).
type Case = (&'static str, DocumentStatus, &'static [&'static str]);

use DocumentStatus::{Clean, Errors, Unread as NotRead, Warnings};

#[rustfmt::skip]
const CASES: &[Case] = &[
    ("k01-auto-mode-correct.yaml", Clean, &[]),
    ("k03-auto-mode-class-alone-broken.yaml", Errors, &["layout.unknown_network_card", "layout.device_index_out_of_range", "karpenter.efa_not_in_enum"]),
    ("k05-karpenter-cb-with-pg.yaml", Errors, &["launch.block_with_placement_group"]),
    ("k07-openshift-machineset.yaml", NotRead, &[]),
    ("k08-capa-machinetemplate.yaml", Errors, &["interfaces.type_without_efa"]),
    ("k12-azure-nodepool.yaml", NotRead, &[]),
    ("k14-al2-no-efa.yaml", Clean, &[]),
    ("u01-hyperpod.json", NotRead, &[]),
    ("u03-parallelcluster.yaml", Errors, &["launch.several_subnets", "layout.public_ip_with_several_interfaces"]),
    ("w02-pytorchjob-placeholder.yaml", Warnings, &["kubernetes.huge_pages_missing"]),
    ("w03-trainjob.yaml", Errors, &["kubernetes.efa_count_beyond_type", "kubernetes.requests_differ_from_limits"]),
    ("w05-lws.yaml", Errors, &["kubernetes.efa_count_beyond_type"]),
    ("w06-dynamo.yaml", Errors, &["kubernetes.efa_count_beyond_type", "kubernetes.requests_differ_from_limits", "kubernetes.efa_resource_name"]),
    ("w07-dra.yaml", Errors, &["kubernetes.efa_count_beyond_type"]),
    ("w12-argo.yaml", Errors, &["kubernetes.efa_count_beyond_type", "kubernetes.requests_differ_from_limits"]),
    ("w17-quantity-forms.yaml", Clean, &[]),
    ("c04-batch-b300-wrong.json", Errors, &["layout.interface_type_not_accepted"]),
    ("c05-eks-nodegroup.json", Errors, &["launch.subnet_in_node_group", "launch.several_subnets", "interfaces.efa_left_out"]),
    ("c13-fn-if-unknown.json", Errors, &["layout.unknown_network_card", "layout.primary_missing"]),
    ("c14-type-without-default.json", Errors, &["layout.primary_efa_only"]),
    ("l01-cb-with-placement-group.json", Errors, &["launch.block_with_placement_group"]),
    ("l02-eks-doc-b200.json", Clean, &[]),
    ("l09-no-type-wrong-for-all.json", Errors, &["layout.primary_efa_only", "layout.several_efa_per_card", "layout.duplicate_interface", "layout.public_ip_with_several_interfaces"]),
    ("l10-c5-xlarge.json", Errors, &["interfaces.type_without_efa"]),
    ("l12-two-subnets.json", Errors, &["interfaces.several_subnets"]),
    ("l17-efa-only-with-ips.json", Errors, &["layout.efa_only_with_ip"]),
    ("e03-eksctl-hpc6a-public.yaml", Clean, &[]),
    ("e05-eksctl-selector.yaml", NotRead, &[]),
    ("e06-eksctl-yes.yaml", Clean, &[]),
    ("e09-eksctl-then-pods.yaml", Errors, &["kubernetes.efa_resource_name"]),
    ("e10-eksctl-no-zone.yaml", Errors, &["eksctl.several_zones"]),
    ("r02-ray-cb-with-pg.yaml", Errors, &["launch.block_with_placement_group"]),
    ("t02-hcl2json-dynamic.tf.json", Clean, &[]),
    ("t04-module-and-resource.tf.json", Errors, &["terraform.module_interfaces_fail"]),
    ("t05-terraform-show-json.json", Errors, &["terraform.groups_or_subnet_with_interfaces", "interfaces.efa_left_out"]),
    ("t07-sg-no-self-egress.tf.json", Errors, &["launch.block_with_placement_group", "launch.no_self_egress"]),
    ("s002-karpenter-and-pod-filled.yaml", Errors, &["karpenter.placement_group_name", "karpenter.unknown_field", "karpenter.ami_selector_missing", "karpenter.ami_family_al2", "karpenter.admits_types_without_efa", "kubernetes.efa_resource_name", "kubernetes.resource_name"]),
];

/// Documents of no format that is read, and what the cure must state.
const REFUSED: &[(&str, &str)] = &[("u04-module.tf", "terraform show -json")];

fn directory() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/documents")
}

fn read_case(name: &str) -> String {
    std::fs::read_to_string(directory().join(name)).unwrap()
}

fn report(text: &str) -> DocumentReport {
    check(text, Catalog::bundled()).unwrap()
}

fn ids(report: &DocumentReport) -> Vec<&str> {
    report.findings.iter().map(|f| f.id.as_str()).collect()
}

#[test]
fn each_public_document_gets_what_it_deserves() {
    for (name, status, expected) in CASES {
        let report = report(&read_case(name));
        assert_eq!(report.status(), *status, "{name}: {report}");
        for id in *expected {
            assert!(ids(&report).contains(id), "{name} lacks {id}: {report}");
        }
        let errors = report
            .findings
            .iter()
            .filter(|f| f.severity == Severity::Error);
        let unexpected: Vec<_> = errors
            .filter(|f| !expected.contains(&f.id.as_str()))
            .collect();
        assert!(unexpected.is_empty(), "{name}: {report}");
    }
    for (name, cure) in REFUSED {
        let error = check(&read_case(name), Catalog::bundled()).unwrap_err();
        assert!(error.to_string().contains(cure), "{name}: {error}");
    }
    let listed: BTreeSet<&str> = CASES
        .iter()
        .map(|case| case.0)
        .chain(REFUSED.iter().map(|case| case.0))
        .collect();
    let files = std::fs::read_dir(directory()).unwrap();
    let files = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let files: BTreeSet<String> = files.filter(|name| name != "README.md").collect();
    assert!(files.iter().map(String::as_str).eq(listed));
}

/// What a report states, without where: positions of documents are in paths.
fn said(report: &DocumentReport) -> (DocumentStatus, Vec<String>, Vec<String>) {
    let mut findings: Vec<String> = report
        .findings
        .iter()
        .map(|f| format!("{} {}", f.id, f.message))
        .collect();
    findings.sort();
    let mut unread: Vec<String> = report.unread.iter().map(|u| u.kind.clone()).collect();
    unread.sort();
    (report.status(), findings, unread)
}

const UNREAD: &[&str] = &[
    "{apiVersion: example.com/v1, kind: Launcher, metadata: {name: more}}",
    "{apiVersion: v1, kind: LauncherList, items: [{a: 1}]}",
    "{Scheduling: {}, HeadNode: {}}",
    "just: words",
    "{apiVersion: v1, kind: List, items: [{apiVersion: v1, kind: List, items: [{apiVersion: x/v1, kind: Y}]}]}",
];

#[test]
fn one_more_unread_document_is_never_cleaner() {
    for (at, (name, ..)) in CASES.iter().enumerate() {
        let text = read_case(name);
        let alone = report(&text);
        for more in [UNREAD[at % UNREAD.len()]] {
            for both in [
                format!("{text}\n---\n{more}\n"),
                format!("{more}\n---\n{text}\n"),
            ] {
                let with = report(&both);
                assert!(!with.is_clean(), "{name} with {more}: {with}");
                assert!(
                    with.status() <= alone.status(),
                    "{name} with {more}: {with}"
                );
                assert!(with.unread.len() > alone.unread.len(), "{name}: {with}");
                assert!(
                    with.findings.len() >= alone.findings.len(),
                    "{name}: {with}"
                );
            }
        }
    }
}

#[test]
fn the_order_of_documents_does_not_matter() {
    let texts: Vec<Vec<String>> = CASES
        .iter()
        .map(|(name, ..)| {
            let documents = read::documents(&read_case(name)).unwrap();
            documents.iter().map(Value::to_string).collect()
        })
        .collect();
    let both = |a: &[String], b: &[String]| report(&[a, b].concat().join("\n---\n"));
    for (at, documents) in texts.iter().enumerate() {
        let mut turned = documents.clone();
        turned.reverse();
        assert_eq!(
            said(&report(&documents.join("\n---\n"))),
            said(&report(&turned.join("\n---\n"))),
            "{}",
            CASES[at].0
        );
        let next = &texts[(at + 7) % texts.len()];
        let (one, other) = (both(documents, next), both(next, documents));
        assert_eq!(said(&one), said(&other), "{}", CASES[at].0);
        assert_eq!(one.format, other.format);
    }
}

/// Two objects of one name: which of them counts does not follow from the order of documents.
#[test]
fn objects_of_one_name_are_found_in_either_order() {
    let class = |interfaces: Value| {
        json!({"apiVersion": "karpenter.k8s.aws/v1", "kind": "EC2NodeClass", "metadata": {"name": "nodes"}, "spec": {
            "role": "r", "amiSelectorTerms": [{"alias": "al2023@v20260801"}], "subnetSelectorTerms": [{"id": "subnet-00000001"}],
            "securityGroupSelectorTerms": [{"id": "sg-1"}], "networkInterfaces": interfaces}})
    };
    let pool = |kind: &str| {
        json!({"apiVersion": "karpenter.sh/v1", "kind": "NodePool", "metadata": {"name": "nodes"}, "spec": {"template": {"spec": {
            "nodeClassRef": {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "nodes"},
            "requirements": [
                {"key": "node.kubernetes.io/instance-type", "operator": "In", "values": [kind]},
                {"key": "topology.kubernetes.io/zone", "operator": "In", "values": ["a"]}]}}}})
    };
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {
        "nodeSelector": {"karpenter.sh/nodepool": "nodes"},
        "containers": [{"resources": {"limits": {"vpc.amazonaws.com/efa": 2, "hugepages-2Mi": "5Gi", "memory": "1Gi"}}}]}});
    let one = json!([
        {"networkCardIndex": 0, "deviceIndex": 0, "interfaceType": "interface"},
        {"networkCardIndex": 0, "deviceIndex": 1, "interfaceType": "efa-only"}]);
    let of = |documents: &[&Value]| {
        let texts: Vec<String> = documents.iter().map(|d| d.to_string()).collect();
        report(&texts.join("\n---\n"))
    };
    let (large, small) = (pool("hpc7a.96xlarge"), pool("c7i.48xlarge"));
    let (with, without) = (class(one), class(json!([])));
    for (first, second, third) in [(&with, &without, &large), (&large, &small, &with)] {
        let (ahead, after) = (
            of(&[first, second, third, &pod]),
            of(&[second, first, third, &pod]),
        );
        assert_eq!(said(&ahead), said(&after));
        assert_eq!(ahead.status(), Errors, "{ahead}");
        assert!(ids(&ahead).contains(&"launch.duplicate_name"), "{ahead}");
    }
    // The same twice changes nothing.
    let twice = of(&[&small, &small]);
    let duplicate = twice
        .findings
        .iter()
        .find(|f| f.id == "launch.duplicate_name");
    assert_eq!(
        duplicate.map(|f| f.severity),
        Some(Severity::Warning),
        "{twice}"
    );
    // Other namespaces and names to be filled in are other objects.
    let named = |name: &str, namespace: &str| json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": namespace}, "spec": {"containers": []}});
    let apart = of(&[
        &named("p", "a"),
        &named("p", "b"),
        &named("$NAME", "a"),
        &named("$NAME", "a"),
    ]);
    assert!(apart.is_clean(), "{apart}");
}

#[test]
fn an_empty_list_of_interfaces_is_none() {
    let empty = json!([]);
    let with_type = json!({"InstanceType": "p5.48xlarge", "NetworkInterfaces": empty});
    for text in [
        with_type.clone(),
        json!({"LaunchTemplateData": with_type}),
        json!({"Resources": {"T": {"Type": "AWS::EC2::LaunchTemplate", "Properties": {"LaunchTemplateData": with_type}}}}),
        json!({"resource": {"aws_launch_template": {"t": {"instance_type": "p5.48xlarge", "network_interfaces": []}}}}),
    ] {
        let report = report(&text.to_string());
        assert!(
            ids(&report).contains(&"interfaces.no_efa"),
            "{text}: {report}"
        );
        assert!(
            !ids(&report).contains(&"layout.primary_missing"),
            "{text}: {report}"
        );
    }
    // Karpenter derives them then.
    let class = json!({"apiVersion": "karpenter.k8s.aws/v1", "kind": "EC2NodeClass", "metadata": {"name": "efa"}, "spec": {
        "role": "r", "amiSelectorTerms": [{"alias": "al2023@v20260801"}], "subnetSelectorTerms": [{"id": "subnet-00000001"}],
        "securityGroupSelectorTerms": [{"id": "sg-1"}], "networkInterfaces": []}});
    assert!(report(&class.to_string()).is_clean());
    // Nothing states what is launched.
    assert_eq!(
        report(&json!({"NetworkInterfaces": []}).to_string()).status(),
        NotRead
    );
}

#[test]
fn no_text_drives_a_terminal() {
    let text = json!({
        "InstanceType": "p5.48xlarge", "\u{1b}[2J": 1,
        "NetworkInterfaces": [{"DeviceIndex": "\u{1b}[31m", "InterfaceType": "efa"}],
    });
    let report = report(&text.to_string());
    assert!(report.findings.len() > 1);
    let shown = report.to_string();
    assert!(!shown.contains(['\u{1b}', '\u{9b}']), "{shown:?}");
    let error = check("a: [\"\\e[31m\", }", Catalog::bundled()).unwrap_err();
    assert!(!error.to_string().contains('\u{1b}'));
}

/// A type that the catalog lacks is unknown; one without EFA is wrong where EFA is asked for.
#[test]
fn unknown_types_are_said_and_types_without_efa_are_errors() {
    let pool = |name: &str| {
        json!({"apiVersion": "v1", "kind": "List", "items": [
            {"apiVersion": "karpenter.sh/v1", "kind": "NodePool", "metadata": {"name": "efa"}, "spec": {"template": {"spec": {
                "nodeClassRef": {"group": "eks.amazonaws.com", "kind": "NodeClass", "name": "efa"},
                "requirements": [
                    {"key": "node.kubernetes.io/instance-type", "operator": "In", "values": [name]},
                    {"key": "topology.kubernetes.io/zone", "operator": "In", "values": ["a"]}]}}}},
            {"apiVersion": "eks.amazonaws.com/v1", "kind": "NodeClass", "metadata": {"name": "efa"}, "spec": {
                "subnetSelectorTerms": [{"id": "subnet-00000001"}], "securityGroupSelectorTerms": [{"id": "sg-1"}],
                "advancedNetworking": {"networkInterfaces": [
                    {"networkCardIndex": 0, "deviceIndex": 0, "interfaceType": "interface"},
                    {"networkCardIndex": 0, "deviceIndex": 1, "interfaceType": "efa-only"}]}}},
        ]})
    };
    let documents: &[fn(&str) -> Value] = &[
        |name| json!({"InstanceType": name, "NetworkInterfaces": [{"DeviceIndex": 0, "InterfaceType": "efa"}]}),
        |name| {
            json!({"apiVersion": "eksctl.io/v1alpha5", "kind": "ClusterConfig", "managedNodeGroups": [
            {"name": "n", "instanceType": name, "efaEnabled": true, "privateNetworking": true, "availabilityZones": ["a"]}]})
        },
        |name| {
            json!({"module": {"eks": {"source": "terraform-aws-modules/eks/aws", "eks_managed_node_groups": {
            "n": {"instance_types": [name], "enable_efa_support": true}}}}})
        },
        |name| {
            json!({"HeadNode": {}, "Scheduling": {"Scheduler": "slurm", "SlurmQueues": [{"Networking": {"SubnetIds": ["a"]},
            "ComputeResources": [{"InstanceType": name, "Efa": {"Enabled": true}}]}]}})
        },
        |name| {
            json!({"apiVersion": "v1", "kind": "Pod", "spec": {
            "nodeSelector": {"node.kubernetes.io/instance-type": name},
            "containers": [{"resources": {"limits": {"vpc.amazonaws.com/efa": 1}}}]}})
        },
    ];
    let all = |name: &str| -> Vec<Value> {
        let mut all: Vec<Value> = documents.iter().map(|document| document(name)).collect();
        all.push(pool(name));
        all
    };
    for unknown in all("p9.48xlarge") {
        let report = report(&unknown.to_string());
        assert_eq!(report.status(), NotRead, "{unknown}: {report}");
        let named = report.unread.iter().any(|u| u.name == "p9.48xlarge");
        assert!(named, "{unknown}: {report}");
    }
    for without in all("m5.large") {
        let report = report(&without.to_string());
        let ids = ids(&report);
        let wrong = ids.contains(&"interfaces.type_without_efa")
            || ids.contains(&"kubernetes.efa_count_beyond_type");
        assert!(wrong && report.status() == Errors, "{without}: {report}");
    }
    // Without interfaces, too.
    let lone = report("{InstanceType: p9.48xlarge}");
    assert_eq!(lone.status(), NotRead, "{lone}");
    let misspelt = report("{InstanceType: p5.48xlage}");
    assert!(
        misspelt.unread[0].reason.contains("p5.48xlarge"),
        "{misspelt}"
    );
}

#[test]
fn a_text_with_nothing_to_check_is_not_clean() {
    let placeholder = json!({"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [{"resources": "{{ .Values.r }}"}]}});
    let described =
        json!({"NetworkInterfaces": [{"InterfaceType": "efa", "Attachment": {"DeviceIndex": 0}}]});
    let elsewhere = json!({"Resources": {"A": {"Type": "AWS::EC2::LaunchTemplate", "Properties": {
        "LaunchTemplateData": {"Ref": "Data"}}}}});
    let config = |key: &str| json!({"apiVersion": "eksctl.io/v1alpha5", "kind": "ClusterConfig", key: {"a": 1}});
    for text in [
        json!({"Reservations": []}),
        json!({"LaunchTemplateVersions": []}),
        json!({"LaunchTemplateVersions": [{"VersionNumber": 1}]}),
        json!({"AWSTemplateFormatVersion": "2010-09-09"}),
        json!({"Resources": [1]}),
        json!({"resource": {}}),
        json!({"planned_values": {}}),
        json!({"HeadNode": {}, "Scheduling": {"Scheduler": "slurm", "SlurmQueues": []}}),
        json!({"apiVersion": "eksctl.io/v1alpha5", "kind": "ClusterConfig", "metadata": {"name": "x"}}),
        json!({"apiVersion": "eksctl.io/v1alpha5", "kind": "ClusterConfig", "nodeGroups": []}),
        json!({"InstanceType": {"Ref": "Type"}}),
        json!({"ImageId": "ami-00000001", "NetworkInterfaces": []}),
        config("nodegroups"),
        config("managedNodeGroups"),
        placeholder,
        described,
        elsewhere,
    ] {
        let report = report(&text.to_string());
        assert_eq!(report.status(), NotRead, "{text}: {report}");
    }
}
