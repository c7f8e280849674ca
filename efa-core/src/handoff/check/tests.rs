use std::collections::BTreeSet;
use std::path::Path;

use super::*;

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
    ("t05-terraform-show-json.json", Errors, &["terraform.beside_interfaces", "interfaces.efa_left_out"]),
    ("t07-sg-no-self-egress.tf.json", Errors, &["launch.block_with_placement_group", "launch.no_self_egress"]),
    ("s002-karpenter-and-pod-filled.yaml", Errors, &["karpenter.placement_group_name", "karpenter.unknown_field", "karpenter.ami_selector_missing", "karpenter.ami_family_al2", "karpenter.admits_types_without_efa", "kubernetes.efa_resource_name", "kubernetes.resource_name"]),
];

/// Documents of no format that is read, and what the cure must say.
const REFUSED: &[(&str, &str)] = &[
    ("u01-hyperpod.json", "efa_sdk.doctor"),
    ("u03-parallelcluster.yaml", "get-template"),
    ("u04-module.tf", "terraform show -json"),
];

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

/// What a report says, without where: positions of documents are in paths.
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

/// A launch that breaks a rule, in a format; `None` where the format cannot say it, and why.
type Broken = std::result::Result<Value, &'static str>;

const FORMATS: &[DocumentFormat] = &[
    DocumentFormat::RayCluster,
    DocumentFormat::Kubernetes,
    DocumentFormat::CloudFormation,
    DocumentFormat::LaunchTemplate,
    DocumentFormat::Eksctl,
    DocumentFormat::Terraform,
];

/// Launch data that breaks a rule, in EC2's words.
fn data(rule: rules::Rule) -> Value {
    use rules::Rule as R;
    let efa = |card: u32, subnet: &str| json!({"NetworkCardIndex": card, "DeviceIndex": card, "InterfaceType": "efa", "Groups": ["sg-1"], "SubnetId": subnet});
    let mut data = json!({
        "InstanceType": "hpc7a.96xlarge",
        "NetworkInterfaces": [efa(0, "subnet-1"), efa(1, "subnet-1")],
        "Placement": {"GroupName": "near"},
        "MetadataOptions": {"HttpTokens": "required"},
    });
    match rule {
        R::Beside => data["SecurityGroupIds"] = json!(["sg-1"]),
        R::BlockWithGroup => {
            data["InstanceMarketOptions"] = json!({"MarketType": "capacity-block"})
        }
        R::ImdsV1 => data["MetadataOptions"]["HttpTokens"] = json!("optional"),
        R::InterfacesInSeveralSubnets => {
            data["NetworkInterfaces"][1]["SubnetId"] = json!("subnet-2")
        }
        R::NoPlacementGroup => drop(data.as_object_mut().unwrap().remove("Placement")),
        R::UnknownParameter => data["Placment"] = json!({}),
        R::VolumeUnencrypted => {
            data["BlockDeviceMappings"] = json!([{"Ebs": {"Encrypted": false}}])
        }
        R::PlacementStrategy | R::SeveralPlaces | R::SubnetInNodeGroup => {}
    }
    data
}

fn snake(value: &Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(
            map.iter()
                .map(|(key, value)| {
                    let key = match key.as_str() {
                        "Groups" => "security_groups".to_owned(),
                        "SecurityGroupIds" => "vpc_security_group_ids".to_owned(),
                        key => crate::handoff::interfaces::snake_case(key),
                    };
                    (key, snake(value))
                })
                .collect(),
        ),
        Value::Array(list) => list.iter().map(snake).collect(),
        other => other.clone(),
    }
}

fn broken(rule: rules::Rule, format: DocumentFormat) -> Broken {
    use DocumentFormat as F;
    use rules::Rule as R;
    let data = data(rule);
    match (rule, format) {
        (R::NoPlacementGroup, F::RayCluster) => {}
        (R::NoPlacementGroup, _) => return Err("what launches may add one"),
        (R::SubnetInNodeGroup | R::PlacementStrategy | R::SeveralPlaces, F::LaunchTemplate)
        | (
            R::SubnetInNodeGroup | R::PlacementStrategy,
            F::RayCluster | F::Kubernetes | F::Eksctl,
        ) => {
            return Err("it names the other object only");
        }
        (R::Beside | R::InterfacesInSeveralSubnets, F::Kubernetes | F::Eksctl) => {
            return Err("interfaces have no groups and subnets of their own");
        }
        _ => {}
    }
    Ok(match format {
        F::LaunchTemplate => json!({"LaunchTemplateData": data}),
        F::RayCluster => json!({
            "cluster_name": "x", "head_node_type": "w",
            "provider": {"type": "aws", "use_internal_ips": true, "availability_zone": if rule == R::SeveralPlaces {"a,b"} else {"a"}},
            "available_node_types": {"w": {"resources": {}, "node_config": data}},
        }),
        F::CloudFormation => {
            let mut data = data;
            if rule == R::PlacementStrategy {
                data["Placement"]["GroupName"] = json!({"Ref": "Group"});
            }
            let subnets = if rule == R::SeveralPlaces {
                json!(["a", "b"])
            } else {
                json!(["a"])
            };
            json!({"Resources": {
                "Group": {"Type": "AWS::EC2::PlacementGroup", "Properties": {"Strategy": "spread"}},
                "Lt": {"Type": "AWS::EC2::LaunchTemplate", "Properties": {"LaunchTemplateData": data}},
                "Nodes": {"Type": "AWS::EKS::Nodegroup", "Properties": {"Subnets": subnets, "LaunchTemplate": {"Id": {"Ref": "Lt"}}}},
            }})
        }
        F::Terraform => {
            let mut template = snake(&data);
            if rule == R::PlacementStrategy {
                template["placement"] = json!([{"group_name": "${aws_placement_group.g.name}"}]);
            }
            let subnets = if rule == R::SeveralPlaces {
                json!(["a", "b"])
            } else {
                json!(["a"])
            };
            json!({"resource": {
                "aws_placement_group": {"g": {"strategy": "spread"}},
                "aws_launch_template": {"t": template},
                "aws_eks_node_group": {"n": {"subnet_ids": subnets, "launch_template": [{"id": "${aws_launch_template.t.id}"}]}},
            }})
        }
        F::Eksctl => {
            let mut group = json!({
                "name": "n", "instanceType": "hpc7a.96xlarge", "efaEnabled": true, "privateNetworking": true,
                "availabilityZones": ["a"], "placement": {"groupName": "near"},
            });
            match rule {
                R::BlockWithGroup => {
                    group["instanceMarketOptions"] = json!({"marketType": "capacity-block"})
                }
                R::ImdsV1 => group["disableIMDSv1"] = json!(false),
                R::SeveralPlaces => group["availabilityZones"] = json!(["a", "b"]),
                R::UnknownParameter => group["placment"] = json!({}),
                _ => group["volumeEncrypted"] = json!(false),
            }
            json!({"apiVersion": "eksctl.io/v1alpha5", "kind": "ClusterConfig", "managedNodeGroups": [group]})
        }
        _ => {
            let mut spec = json!({
                "role": "r", "amiSelectorTerms": [{"alias": "al2023@v20260801"}], "subnetSelectorTerms": [{"tags": {"a": "b"}}],
                "securityGroupSelectorTerms": [{"id": "sg-1"}], "placementGroupSelector": {"name": "near"},
            });
            match rule {
                R::BlockWithGroup => {
                    spec["capacityReservationSelectorTerms"] = json!([{"id": "cr-1"}])
                }
                R::ImdsV1 => spec["metadataOptions"] = json!({"httpTokens": "optional"}),
                R::UnknownParameter => spec["placment"] = json!({}),
                _ => spec["blockDeviceMappings"] = json!([{"ebs": {"encrypted": false}}]),
            }
            let class = json!({"apiVersion": "karpenter.k8s.aws/v1", "kind": "EC2NodeClass", "metadata": {"name": "efa"}, "spec": spec});
            let pool = json!({"apiVersion": "karpenter.sh/v1", "kind": "NodePool", "metadata": {"name": "efa"}, "spec": {"template": {"spec": {
                "nodeClassRef": {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "efa"},
                "requirements": [{"key": "node.kubernetes.io/instance-type", "operator": "In", "values": ["hpc7a.96xlarge"]}],
            }}}});
            json!({"apiVersion": "v1", "kind": "List", "items": [class, pool]})
        }
    })
}

/// Each rule fires in every format that can say what breaks it; the page has the table.
#[test]
fn each_rule_fires_in_every_format_that_can_express_it() {
    let mut table = String::from("| rule |");
    for format in FORMATS {
        table += &format!(" {} |", format.as_str());
    }
    table += &format!("\n|---|{}\n", "---|".repeat(FORMATS.len()));
    for (rule, what) in rules::Rule::ALL {
        table += &format!("| {what} |");
        for format in FORMATS {
            match broken(*rule, *format) {
                Ok(document) => {
                    let report = report(&document.to_string());
                    let id = rule.id(*format);
                    assert!(ids(&report).contains(&id), "{rule:?} {format:?}: {report}");
                    table += &format!(" `{id}` |");
                }
                Err(why) => table += &format!(" – {why} |"),
            }
        }
        table.push('\n');
    }
    let page = include_str!("../../../../docs/handoff.md");
    assert!(page.contains(&table), "docs/handoff.md lacks:\n{table}");
    for (id, severity, what) in interfaces::FINDINGS {
        let row = format!("| `{id}` | {} | {what} |", severity.as_str());
        assert!(page.contains(&row), "docs/handoff.md lacks: {row}");
    }
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
