use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::findings::FINDINGS;
use crate::catalog::Catalog;
use crate::fixtures::prepared_plan;
use crate::handoff::{check, interfaces, ray::RayClusterOptions, read};
use crate::layout;
use crate::spec::ClusterSpec;

/// The document that we write for this type, with the worker type's name.
fn written(instance_type: &str) -> (Value, String) {
    let mut spec = ClusterSpec::new("train", instance_type, 2, "subnet-00000001", "ami-00000001");
    spec.key_name = Some("mine".to_owned());
    let options = RayClusterOptions {
        ssh_private_key: Some("~/mine.pem".to_owned()),
        efa_sdk_wheel: Some("dist/efa_sdk.whl".to_owned()),
        ..RayClusterOptions::default()
    };
    let text = prepared_plan(&spec).to_ray_yaml(&options).unwrap();
    let value = read::documents(&text).unwrap().remove(0);
    (value, instance_type.replace('.', "-"))
}

fn report(value: &Value) -> crate::handoff::DocumentReport {
    check(&value.to_string(), Catalog::bundled()).unwrap()
}

fn ids(value: &Value) -> Vec<String> {
    report(value).findings.into_iter().map(|f| f.id).collect()
}

/// Changes to a generated document, each with the findings that it must produce, and only those.
#[test]
fn each_fault_is_found() {
    type Change = fn(&mut Value, &mut Value);
    let cases: &[(&str, &[&str], Change)] = &[
        ("none", &[], |_, _| {}),
        (
            "one EFA of 32",
            &["interfaces.efa_left_out"],
            |_, worker| {
                let list = worker["node_config"]["NetworkInterfaces"]
                    .as_array_mut()
                    .unwrap();
                list.truncate(2);
            },
        ),
        (
            "wrong device",
            &["layout.device_index_out_of_range"],
            |_, worker| {
                worker["node_config"]["NetworkInterfaces"][2]["DeviceIndex"] = json!(2);
            },
        ),
        (
            "wrong card",
            &["layout.unknown_network_card"],
            |_, worker| {
                worker["node_config"]["NetworkInterfaces"][2]["NetworkCardIndex"] = json!(40);
            },
        ),
        (
            "public IP",
            &["layout.public_ip_with_several_interfaces"],
            |_, worker| {
                worker["node_config"]["NetworkInterfaces"][0]["AssociatePublicIpAddress"] =
                    json!(true);
            },
        ),
        ("not a list", &["interfaces.malformed"], |_, worker| {
            worker["node_config"]["NetworkInterfaces"][3] = json!({
                "InterfaceType": "efa", "Groups": ["sg-1"], "SubnetId": "subnet-00000001",
            });
        }),
        (
            "groups and subnets with interfaces",
            &["ray.groups_or_subnet_with_interfaces"; 4],
            |_, worker| {
                let config = worker["node_config"].as_object_mut().unwrap();
                for key in [
                    "SecurityGroupIds",
                    "SecurityGroups",
                    "SubnetIds",
                    "SubnetId",
                ] {
                    config.insert(key.to_owned(), json!(["x-1"]));
                }
            },
        ),
        ("no group", &["ray.interface_without_group"], |_, worker| {
            worker["node_config"]["NetworkInterfaces"][7]["Groups"] = json!([]);
        }),
        (
            "no subnet",
            &["ray.interface_without_subnet"],
            |_, worker| {
                let list = &mut worker["node_config"]["NetworkInterfaces"];
                list[7].as_object_mut().unwrap().remove("SubnetId");
            },
        ),
        ("two subnets", &["ray.subnets_differ"], |_, worker| {
            worker["node_config"]["NetworkInterfaces"][1]["SubnetId"] = json!("subnet-00000002");
        }),
        ("no interfaces", &["interfaces.no_efa"], |_, worker| {
            let config = worker["node_config"].as_object_mut().unwrap();
            config.remove("NetworkInterfaces");
            config.insert("SubnetIds".to_owned(), json!(["subnet-00000001"]));
        }),
        ("singular", &["ray.subnet_id_ignored"], |cluster, _| {
            let config = &mut cluster["available_node_types"]["head"]["node_config"];
            config.as_object_mut().unwrap().remove("SubnetIds");
            config["SubnetId"] = json!("subnet-00000001");
        }),
        ("external", &["ray.external_ips"], |cluster, _| {
            cluster["provider"]["use_internal_ips"] = json!(false);
        }),
        (
            "external by default",
            &["ray.external_ips"],
            |cluster, _| {
                cluster["provider"]
                    .as_object_mut()
                    .unwrap()
                    .remove("use_internal_ips");
            },
        ),
        ("zones", &["ray.several_zones"], |cluster, _| {
            cluster["provider"]["availability_zone"] = json!("us-east-1a,us-east-1b");
        }),
        ("head type", &["ray.head_node_type"], |cluster, _| {
            cluster["head_node_type"] = json!("other");
        }),
        (
            "min over max",
            &["ray.min_workers_over_max"],
            |cluster, _| {
                cluster["max_workers"] = json!(1);
            },
        ),
        ("no resources", &["ray.resources_missing"], |_, worker| {
            worker.as_object_mut().unwrap().remove("resources");
        }),
        ("no placement", &["ray.no_placement_group"], |_, worker| {
            worker["node_config"]
                .as_object_mut()
                .unwrap()
                .remove("Placement");
        }),
        ("a block is placed", &[], |_, worker| {
            let config = worker["node_config"].as_object_mut().unwrap();
            config.remove("Placement");
            let target = json!({"CapacityReservationTarget": {"CapacityReservationId": "cr-1"}});
            config.insert("CapacityReservationSpecification".to_owned(), target);
        }),
        (
            "a block in a group",
            &["launch.block_with_placement_group"],
            |_, worker| {
                worker["node_config"]["InstanceMarketOptions"] =
                    json!({"MarketType": "capacity-block"});
            },
        ),
        ("any open reservation", &[], |_, worker| {
            let config = worker["node_config"].as_object_mut().unwrap();
            config.remove("Placement");
            let open = json!({"CapacityReservationPreference": "open"});
            config.insert("CapacityReservationSpecification".to_owned(), open);
        }),
        ("no key pair", &["ray.key_name_missing"], |_, worker| {
            worker["node_config"]
                .as_object_mut()
                .unwrap()
                .remove("KeyName");
        }),
        (
            "plain volume",
            &["ray.volume_not_encrypted"],
            |_, worker| {
                worker["node_config"]["BlockDeviceMappings"][0]["Ebs"]["Encrypted"] = json!(false);
            },
        ),
        ("IMDSv1", &["ray.imds_v1"], |_, worker| {
            worker["node_config"]["MetadataOptions"]["HttpTokens"] = json!("optional");
        }),
        ("no installer", &["ray.no_efa_installer"], |_, worker| {
            worker["worker_setup_commands"] = json!(["true"]);
        }),
        (
            "installer for everyone, overridden",
            &["ray.no_efa_installer"],
            |cluster, worker| {
                cluster["setup_commands"] = worker["worker_setup_commands"].take();
                worker["worker_setup_commands"] = json!([]);
            },
        ),
        ("installer in user data", &[], |_, worker| {
            worker["worker_setup_commands"] = json!(["true"]);
            worker["node_config"]["UserData"] = json!("#!/bin/bash\n./efa_installer.sh -y\n");
        }),
        ("user data to be filled in", &[], |_, worker| {
            worker["worker_setup_commands"] = json!(["true"]);
            worker["node_config"]["UserData"] = json!("${USER_DATA}");
        }),
        ("unverified", &["ray.unverified_download"], |_, worker| {
            worker["worker_setup_commands"] = json!([
                "curl -O https://efa-installer.amazonaws.com/aws-efa-installer-1.47.0.tar.gz",
                "tar -xf aws-efa-installer-1.47.0.tar.gz && sudo ./efa_installer.sh -y",
            ]);
        }),
        ("verified", &[], |_, worker| {
            worker["worker_setup_commands"] = json!([
                "curl -O https://efa-installer.amazonaws.com/aws-efa-installer-1.47.0.tar.gz",
                "echo '2df4  aws-efa-installer-1.47.0.tar.gz' | sha256sum --check",
            ]);
        }),
        (
            "no file",
            &["ray.installer_url", "ray.unverified_download"],
            |_, worker| {
                worker["worker_setup_commands"] =
                    json!(["curl -O https://efa-installer.amazonaws.com\ntar -xf x"]);
            },
        ),
        (
            "a container",
            &["ray.docker_without_devices"],
            |cluster, _| {
                cluster["docker"] = json!({"image": "rayproject/ray", "container_name": "ray"});
            },
        ),
        ("a container with devices", &[], |cluster, _| {
            cluster["docker"] = json!({
                "image": "rayproject/ray", "run_options": ["--device=/dev/infiniband"],
            });
        }),
        (
            "a key of nobody",
            &["ray.unknown_key"; 2],
            |cluster, worker| {
                cluster["efa"] = json!(true);
                worker["NetworkInterfaces"] = json!([]);
            },
        ),
        (
            "a parameter of nobody",
            &["ray.unknown_parameter"],
            |_, worker| {
                worker["node_config"]["PlacementGroup"] = json!("x");
            },
        ),
    ];
    let mut seen = BTreeSet::new();
    for (name, expected, change) in cases {
        let (mut cluster, worker_name) = written("p5.48xlarge");
        let mut worker = cluster["available_node_types"][&worker_name].take();
        change(&mut cluster, &mut worker);
        cluster["available_node_types"][&worker_name] = worker;
        assert_eq!(&ids(&cluster), expected, "{name}: {}", report(&cluster));
        seen.extend(expected.iter().copied());
    }
    let listed = FINDINGS.iter().map(|(id, ..)| *id);
    let untested: Vec<&str> = listed.filter(|id| !seen.contains(id)).collect();
    assert_eq!(untested, [""; 0]);
}

#[test]
fn corrections_are_yaml_that_fits() {
    let (mut cluster, name) = written("p5.48xlarge");
    let config = &mut cluster["available_node_types"][&name]["node_config"];
    let one = json!({
        "DeviceIndex": 0, "InterfaceType": "efa", "Groups": ["sg-8", "sg-9"], "SubnetId": "${SUBNET}",
    });
    config["NetworkInterfaces"] = json!([one]);
    let finding = report(&cluster).findings.remove(0);
    let path = "available_node_types.p5-48xlarge.node_config.NetworkInterfaces";
    assert_eq!(
        (finding.id.as_str(), finding.path.as_str()),
        ("interfaces.efa_left_out", path)
    );
    let corrected = read::documents(&finding.corrected.unwrap())
        .unwrap()
        .remove(0);
    let list = corrected["NetworkInterfaces"].as_array().unwrap();
    let p5 = Catalog::bundled().require("p5.48xlarge").unwrap();
    let planned = p5.layout(&layout::Request::default()).unwrap().interfaces;
    assert_eq!(interfaces::read_interfaces(list).unwrap(), planned);
    assert_eq!(list[32]["Groups"], json!(["sg-8", "sg-9"]));
    assert_eq!(list[32]["SubnetId"], "${SUBNET}");
    // With the fragment in its place nothing is wrong any more.
    cluster["available_node_types"][&name]["node_config"]["NetworkInterfaces"] =
        corrected["NetworkInterfaces"].clone();
    assert_eq!(ids(&cluster), [""; 0]);
}

#[test]
fn other_clouds_parts_and_older_forms_are_said_to_be_out_of_sight() {
    let cases = [
        (
            json!({"cluster_name": "x", "provider": {"type": "gcp"}}),
            "everything",
        ),
        (
            json!({"cluster_name": "x", "provider": {"type": "aws"}, "head_node": {}}),
            "older",
        ),
        (json!({"available_node_types": {}}), "this is a part"),
        (
            json!({"available_node_types": {"w": {"resources": {}, "node_config": {
                "LaunchTemplate": {"LaunchTemplateId": "lt-1"},
            }}}}),
            "launch templates",
        ),
    ];
    for (value, said) in cases {
        let report = report(&value);
        assert!(report.findings.is_empty(), "{report}");
        let part = said == "this is a part";
        assert_eq!(report.unread.is_empty(), part, "{report}");
        assert!(
            report.out_of_sight.iter().any(|s| s.contains(said)),
            "{report}"
        );
    }
}

/// The table of docs/handoff-ray.md is this list.
#[test]
fn the_findings_are_documented() {
    let mut table = String::from("| id | severity | what |\n|---|---|---|\n");
    for (id, severity, what) in FINDINGS {
        table += &format!("| `{id}` | {} | {what} |\n", severity.as_str());
    }
    let page = include_str!("../../../../../docs/handoff-ray.md");
    assert!(page.contains(&table), "docs/handoff-ray.md lacks:\n{table}");
}

/// The community's own recipes.
#[test]
fn what_the_recipes_of_the_community_deserve() {
    let found = |text: &str| -> Vec<(String, String)> {
        let report = check(text, Catalog::bundled()).unwrap();
        let findings = report.findings.into_iter();
        findings.map(|f| (f.id, f.path)).collect()
    };
    let expect = |listed: &[(&str, &str)]| -> Vec<(String, String)> {
        let own = |(id, path): &(&str, &str)| ((*id).to_owned(), (*path).to_owned());
        listed.iter().map(own).collect()
    };
    let worker = "available_node_types.x86_worker_node";
    let at = |key: &str| format!("{worker}.{key}");
    assert_eq!(
        found(include_str!(
            "../../../../../tests/data/ray/community-short.yaml"
        )),
        expect(&[
            ("ray.installer_url", "setup_commands"),
            ("ray.imds_v1", &at("node_config.MetadataOptions")),
            (
                "ray.volume_not_encrypted",
                &at("node_config.BlockDeviceMappings")
            ),
            ("ray.resources_missing", &at("resources")),
            ("ray.unverified_download", "setup_commands"),
        ])
    );
    let head = "available_node_types.head_node.node_config";
    let efa = "available_node_types.efa_worker_node";
    assert_eq!(
        found(include_str!(
            "../../../../../tests/data/ray/community-cluster.yaml"
        )),
        expect(&[
            ("ray.imds_v1", &format!("{efa}.node_config.MetadataOptions")),
            (
                "ray.volume_not_encrypted",
                &format!("{efa}.node_config.BlockDeviceMappings")
            ),
            ("ray.resources_missing", &format!("{efa}.resources")),
            ("ray.imds_v1", &format!("{head}.MetadataOptions")),
            (
                "ray.volume_not_encrypted",
                &format!("{head}.BlockDeviceMappings")
            ),
            ("ray.subnet_id_ignored", &format!("{head}.SubnetId")),
            ("ray.unverified_download", "setup_commands"),
        ])
    );
}
