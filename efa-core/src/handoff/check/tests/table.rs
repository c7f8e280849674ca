//! The table of `docs/handoff.md`: each rule, broken in each format.

use serde_json::{Value, json};

use super::super::{DocumentFormat, Severity, groups, interfaces, rule};
use super::report;

/// A launch that breaks a rule, in a format; `None` where the format cannot state it, and why.
type Broken = std::result::Result<Value, &'static str>;

const FORMATS: &[DocumentFormat] = &[
    DocumentFormat::RayCluster,
    DocumentFormat::Kubernetes,
    DocumentFormat::CloudFormation,
    DocumentFormat::LaunchTemplate,
    DocumentFormat::Eksctl,
    DocumentFormat::Terraform,
    DocumentFormat::ParallelCluster,
    DocumentFormat::SageMaker,
];

/// Launch data that breaks a rule, in EC2's words.
fn data(rule: rule::Rule) -> Value {
    use rule::Rule as R;
    let efa = |card: u32, subnet: &str| json!({"NetworkCardIndex": card, "DeviceIndex": card, "InterfaceType": "efa", "Groups": ["sg-1"], "SubnetId": subnet});
    let mut data = json!({
        "InstanceType": "hpc7a.96xlarge",
        "NetworkInterfaces": [efa(0, "subnet-00000001"), efa(1, "subnet-00000001")],
        "Placement": {"GroupName": "near"},
        "MetadataOptions": {"HttpTokens": "required"},
    });
    match rule {
        R::WithInterfaces => data["SecurityGroupIds"] = json!(["sg-1"]),
        R::BlockWithGroup => {
            data["InstanceMarketOptions"] = json!({"MarketType": "capacity-block"})
        }
        R::HostNames => data["PrivateDnsNameOptions"] = json!({"HostnameType": "resource_name"}),
        R::ImdsV1 => data["MetadataOptions"]["HttpTokens"] = json!("optional"),
        R::InterfacesInSeveralSubnets => {
            data["NetworkInterfaces"][1]["SubnetId"] = json!("subnet-00000002")
        }
        R::ReservationGroupOnDemand => {
            data["CapacityReservationSpecification"] = json!({"CapacityReservationTarget": {
                "CapacityReservationResourceGroupArn": "arn:aws:resource-groups:us-east-1:123456789012:group/train"}});
        }
        R::ReservationTarget => {
            data["CapacityReservationSpecification"] = json!({
                "CapacityReservationPreference": "open",
                "CapacityReservationTarget": {"CapacityReservationId": "cr-1"},
            });
        }
        R::UserDataTooLong => data["UserData"] = json!("#!/bin/bash\n".repeat(2_000)),
        R::ReservationWithGroup => {
            data["CapacityReservationSpecification"] =
                json!({"CapacityReservationTarget": {"CapacityReservationId": "cr-1"}});
        }
        R::NoPlacementGroup => drop(data.as_object_mut().unwrap().remove("Placement")),
        R::UnknownParameter => data["Placment"] = json!({}),
        R::VolumeUnencrypted => {
            data["BlockDeviceMappings"] = json!([{"Ebs": {"Encrypted": false}}])
        }
        R::DuplicateName | R::PlacementStrategy | R::SeveralPlaces | R::SubnetInNodeGroup => {}
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

fn broken(rule: rule::Rule, format: DocumentFormat) -> Broken {
    use DocumentFormat as F;
    use rule::Rule as R;
    let data = data(rule);
    match (rule, format) {
        (R::SeveralPlaces | R::DuplicateName, F::SageMaker) => {}
        (R::DuplicateName, F::RayCluster | F::CloudFormation) => {
            return Err("a mapping has each name once");
        }
        (R::DuplicateName, F::LaunchTemplate) => return Err("it names nothing else"),
        (_, F::SageMaker) => return Err("SageMaker chooses it"),
        (
            R::WithInterfaces | R::InterfacesInSeveralSubnets | R::SubnetInNodeGroup,
            F::ParallelCluster,
        ) => {
            return Err("it lists no interfaces");
        }
        (R::PlacementStrategy, F::ParallelCluster) => return Err("it names the other object only"),
        (R::HostNames, F::Kubernetes | F::Eksctl | F::ParallelCluster) => {
            return Err("it has no such setting");
        }
        (R::ReservationGroupOnDemand | R::ReservationTarget, F::Kubernetes) => {
            return Err("Karpenter selects reservations itself");
        }
        (R::ReservationGroupOnDemand | R::ReservationTarget, F::Eksctl) => {
            return Err("eksctl takes a target alone");
        }
        (R::ReservationGroupOnDemand | R::ReservationTarget, F::ParallelCluster) => {
            return Err("it takes a target alone");
        }
        (R::UserDataTooLong, F::Eksctl | F::ParallelCluster) => {
            return Err("the launcher writes it");
        }
        (R::UnknownParameter, F::ParallelCluster) => return Err("pcluster validates its schema"),
        (R::NoPlacementGroup, F::RayCluster | F::ParallelCluster) => {}
        (R::NoPlacementGroup, _) => return Err("what launches may add one"),
        (R::SubnetInNodeGroup | R::PlacementStrategy | R::SeveralPlaces, F::LaunchTemplate)
        | (
            R::SubnetInNodeGroup | R::PlacementStrategy,
            F::RayCluster | F::Kubernetes | F::Eksctl,
        ) => {
            return Err("it names the other object only");
        }
        (R::WithInterfaces | R::InterfacesInSeveralSubnets, F::Kubernetes | F::Eksctl) => {
            return Err("interfaces have no groups and subnets of their own");
        }
        _ => {}
    }
    let mut document = match format {
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
        F::SageMaker => {
            let group = json!({"InstanceGroupName": "w", "InstanceType": "ml.p5.48xlarge"});
            json!({"InstanceGroups": [group], "VpcConfig": {"Subnets": ["a", "b"]}})
        }
        F::ParallelCluster => {
            let mut queue = json!({
                "Name": "q", "Networking": {"SubnetIds": ["a"], "PlacementGroup": {"Enabled": true}},
                "ComputeResources": [{"InstanceType": "hpc7a.96xlarge", "Efa": {"Enabled": true}}],
            });
            let mut imds = "v2.0";
            match rule {
                R::BlockWithGroup => queue["CapacityType"] = json!("CAPACITY_BLOCK"),
                R::ReservationWithGroup => {
                    queue["CapacityReservationTarget"] = json!({"CapacityReservationId": "cr-1"})
                }
                R::ImdsV1 => imds = "v1.0",
                R::NoPlacementGroup => queue["Networking"]["PlacementGroup"] = Value::Null,
                R::SeveralPlaces => queue["Networking"]["SubnetIds"] = json!(["a", "b"]),
                _ => {
                    queue["ComputeSettings"] =
                        json!({"LocalStorage": {"RootVolume": {"Encrypted": false}}})
                }
            }
            json!({"Imds": {"ImdsSupport": imds}, "HeadNode": {}, "Scheduling": {"Scheduler": "slurm", "SlurmQueues": [queue]}})
        }
        F::Eksctl => {
            let mut group = json!({
                "name": "n", "instanceType": "hpc7a.96xlarge", "efaEnabled": true, "privateNetworking": true,
                "availabilityZones": ["a"], "placement": {"groupName": "near"},
            });
            match rule {
                R::ReservationWithGroup => {
                    group["capacityReservation"] =
                        json!({"capacityReservationTarget": {"capacityReservationId": "cr-1"}})
                }
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
                R::BlockWithGroup | R::ReservationWithGroup => {
                    spec["capacityReservationSelectorTerms"] = json!([{"id": "cr-1"}])
                }
                R::ImdsV1 => spec["metadataOptions"] = json!({"httpTokens": "optional"}),
                R::UnknownParameter => spec["placment"] = json!({}),
                R::UserDataTooLong => spec["userData"] = data["UserData"].clone(),
                _ => spec["blockDeviceMappings"] = json!([{"ebs": {"encrypted": false}}]),
            }
            let class = json!({"apiVersion": "karpenter.k8s.aws/v1", "kind": "EC2NodeClass", "metadata": {"name": "efa"}, "spec": spec});
            let mut requirements = vec![
                json!({"key": "node.kubernetes.io/instance-type", "operator": "In", "values": ["hpc7a.96xlarge"]}),
            ];
            if rule == R::ReservationWithGroup {
                requirements.push(json!({"key": "karpenter.k8s.aws/capacity-reservation-type", "operator": "In", "values": ["default"]}));
            }
            let pool = json!({"apiVersion": "karpenter.sh/v1", "kind": "NodePool", "metadata": {"name": "efa"}, "spec": {"template": {"spec": {
                "nodeClassRef": {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "efa"},
                "requirements": requirements,
            }}}});
            json!({"apiVersion": "v1", "kind": "List", "items": [class, pool]})
        }
    };
    if rule == R::DuplicateName {
        let list = match format {
            F::SageMaker => "/InstanceGroups",
            F::ParallelCluster => "/Scheduling/SlurmQueues",
            F::Eksctl => "/managedNodeGroups",
            F::Terraform => "/resource/aws_launch_template/t",
            _ => "/items",
        };
        let list = document.pointer_mut(list).unwrap();
        if !list.is_array() {
            *list = json!([list.take()]);
        }
        let mut second = list[0].clone();
        second["description"] = json!("other");
        list.as_array_mut().unwrap().push(second);
    }
    Ok(document)
}

/// What is wrong with a group that a text makes, with the finding's id.
#[derive(Debug, Clone, Copy, PartialEq)]
enum GroupFault {
    NoIngress,
    NoEgress,
    Circular,
    Ssh,
}

impl GroupFault {
    const ALL: &[(Self, &str)] = &[
        (
            Self::NoIngress,
            "a group of EFA without the ingress rule from itself",
        ),
        (
            Self::NoEgress,
            "a group of EFA without the egress rule to itself",
        ),
        (Self::Circular, "a self-referencing rule inside the group"),
        (Self::Ssh, "port 22 open to the whole Internet"),
    ];

    fn id(self, format: DocumentFormat) -> &'static str {
        match self {
            Self::NoIngress => groups::Direction::Ingress.missing(format),
            Self::NoEgress => groups::Direction::Egress.missing(format),
            Self::Circular => "cloudformation.circular_self_rule",
            Self::Ssh => groups::ssh_open(format),
        }
    }

    fn document(self, format: DocumentFormat) -> Broken {
        use DocumentFormat as F;
        let missing = |fault: Self| self == fault;
        match format {
            F::CloudFormation => {
                let group = json!({"Fn::GetAtt": ["G", "GroupId"]});
                let mut properties = json!({"GroupDescription": "x"});
                if self == Self::Ssh {
                    properties["SecurityGroupIngress"] = json!([{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "CidrIp": "0.0.0.0/0"}]);
                }
                if self == Self::Circular {
                    properties["SecurityGroupIngress"] =
                        json!([{"IpProtocol": "-1", "SourceSecurityGroupId": {"Ref": "G"}}]);
                }
                let mut resources = json!({
                    "G": {"Type": "AWS::EC2::SecurityGroup", "Properties": properties},
                    "T": {"Type": "AWS::EC2::LaunchTemplate", "Properties": {"LaunchTemplateData": {
                        "NetworkInterfaces": [{"DeviceIndex": 0, "InterfaceType": "efa", "Groups": [group]}]}}},
                });
                for (fault, name, peer) in [
                    (Self::NoIngress, "Ingress", "SourceSecurityGroupId"),
                    (Self::NoEgress, "Egress", "DestinationSecurityGroupId"),
                ] {
                    let instead = self == Self::Circular && name == "Ingress";
                    if !missing(fault) && !instead {
                        resources[name] = json!({"Type": format!("AWS::EC2::SecurityGroup{name}"), "Properties": {
                            "GroupId": group, "IpProtocol": "-1", peer: group}});
                    }
                }
                Ok(json!({"Resources": resources}))
            }
            F::Terraform if self == Self::Circular => Err("a group may name itself there"),
            F::Terraform => {
                let own = json!({"protocol": "-1", "self": true});
                let mut ingress = Vec::new();
                if !missing(Self::NoIngress) {
                    ingress.push(own.clone());
                }
                if self == Self::Ssh {
                    ingress.push(json!({"protocol": "tcp", "from_port": 22, "to_port": 22, "cidr_blocks": ["0.0.0.0/0"]}));
                }
                let egress = if missing(Self::NoEgress) {
                    vec![]
                } else {
                    vec![own]
                };
                Ok(json!({"resource": {
                    "aws_security_group": {"g": {"ingress": ingress, "egress": egress}},
                    "aws_launch_template": {"t": {"network_interfaces": [
                        {"device_index": 0, "interface_type": "efa", "security_groups": ["${aws_security_group.g.id}"]}]}},
                }}))
            }
            F::Eksctl | F::ParallelCluster => Err("the launcher makes the group"),
            _ => Err("it names groups only"),
        }
    }
}

/// Each rule fires in every format that can state what breaks it; the page has the table.
#[test]
fn each_rule_fires_in_every_format_that_can_express_it() {
    let mut table = String::from("| rule |");
    for format in FORMATS {
        table += &format!(" {} |", format.as_str());
    }
    table += &format!("\n|---|{}\n", "---|".repeat(FORMATS.len()));
    let mut row = |what: &str, of: &dyn Fn(DocumentFormat) -> (Broken, &'static str, Severity)| {
        table += &format!("| {what} |");
        for format in FORMATS {
            let (broken, id, severity) = of(*format);
            let document = match broken {
                Ok(document) => document,
                Err(why) => {
                    table += &format!(" – {why} |");
                    continue;
                }
            };
            let report = report(&document.to_string());
            let found = report.findings.iter().find(|finding| finding.id == id);
            let found = found.unwrap_or_else(|| panic!("{what} {format:?}: {report}"));
            assert_eq!(found.severity, severity, "{what} {format:?}");
            let note = if severity == Severity::Warning {
                " (warning)"
            } else {
                ""
            };
            table += &format!(" `{id}`{note} |");
        }
        table.push('\n');
    };
    for (rule, what) in rule::Rule::ALL {
        row(what, &|format| {
            (
                broken(*rule, format),
                rule.id(format),
                rule.severity(format),
            )
        });
    }
    for (fault, what) in GroupFault::ALL {
        let severity = if *fault == GroupFault::Ssh {
            Severity::Warning
        } else {
            Severity::Error
        };
        row(what, &|format| {
            (fault.document(format), fault.id(format), severity)
        });
    }
    let page = include_str!("../../../../../docs/handoff.md");
    assert!(page.contains(&table), "docs/handoff.md lacks:\n{table}");
    for (id, severity, what) in interfaces::FINDINGS {
        let row = format!("| `{id}` | {} | {what} |", severity.as_str());
        assert!(page.contains(&row), "docs/handoff.md lacks: {row}");
    }
}
