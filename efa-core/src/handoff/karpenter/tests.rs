use serde_json::Value;

use super::*;
use crate::catalog::Catalog;
use crate::ec2::CapacityReservation;
use crate::error::Code;
use crate::fixtures::{LAYOUT_CLASSES, prepared_plan, seen, spec};
use crate::handoff::interfaces::read_interfaces;
use crate::handoff::{check, read};
use crate::layout::NetworkInterface;
use crate::layout::{Profile, PublicIp, violations};
use crate::spec::{Capacity, InstanceProfileChoice, InstanceRole};
use crate::tags;

fn options() -> KarpenterOptions {
    KarpenterOptions {
        role: Some("KarpenterNodeRole-eks".to_owned()),
        ami_alias: Some("al2023@v20260801".to_owned()),
        ..KarpenterOptions::default()
    }
}

fn with_workloads() -> KarpenterOptions {
    KarpenterOptions {
        workloads: vec![
            KarpenterWorkload::Pod,
            KarpenterWorkload::Job,
            KarpenterWorkload::RayCluster,
        ],
        image: Some("example.com/train:1".to_owned()),
        ..options()
    }
}

fn documents(text: &str) -> Vec<Value> {
    read::documents(text).unwrap()
}

/// The interfaces of an EC2NodeClass, back in our own type.
fn listed(node_class: &Value) -> Vec<NetworkInterface> {
    let spec = &node_class["spec"];
    let mut list = read_interfaces(spec["networkInterfaces"].as_array().unwrap()).unwrap();
    for interface in &mut list {
        if interface.interface_type.carries_ip() {
            interface.associate_public_ip_address = spec["associatePublicIPAddress"].as_bool();
        }
    }
    list
}

#[test]
fn the_interfaces_of_every_class_read_back_as_planned() {
    for name in LAYOUT_CLASSES
        .iter()
        .filter(|name| **name != "hpc6id.32xlarge")
    {
        for profile in Profile::ALL {
            let mut wanted = spec(name);
            wanted.profile = profile;
            let mut seen = seen(&wanted);
            seen.image.architecture = seen.instance_type.architectures[0].clone();
            let Ok(plan) = crate::fixtures::decide_plan(&wanted, seen) else {
                continue; // a profile that the type cannot have
            };
            let plan = plan.prepared("sg-1".to_owned());
            let text = plan.to_karpenter(&with_workloads()).unwrap();
            let documents = documents(&text);
            let kinds: Vec<&str> = documents
                .iter()
                .map(|d| d["kind"].as_str().unwrap())
                .collect();
            let expected = [
                "EC2NodeClass",
                "NodePool",
                "NodeOverlay",
                "Pod",
                "Job",
                "RayCluster",
            ];
            assert_eq!(kinds, expected);
            let read = listed(&documents[0]);
            assert_eq!(
                read,
                rewritten(&plan.layout().interfaces),
                "{name} {profile:?}"
            );
            assert!(violations(plan.instance_type(), &read).is_empty());
            let efas = read.iter().filter(|i| i.interface_type.is_efa()).count();
            assert_eq!(efas, plan.layout().efa_count());
            if profile == Profile::SaveIps {
                assert_eq!(read, plan.layout().interfaces, "{name}");
            }
            let report = check(&text, Catalog::bundled()).unwrap();
            assert!(report.is_clean(), "{name} {profile:?}: {report}");
        }
    }
}

#[test]
fn hpc6id_is_refused_either_way_and_half_of_it_is_not() {
    let plan = prepared_plan(&spec("hpc6id.32xlarge"));
    for interfaces in [KarpenterInterfaces::Static, KarpenterInterfaces::Dynamic] {
        let options = KarpenterOptions {
            interfaces,
            ..options()
        };
        let error = plan.to_karpenter(&options).unwrap_err();
        assert_eq!(error.code(), Code::HandoffNotPossible);
        assert!(error.to_string().contains("launch_template"), "{error}");
    }
    let mut half = spec("hpc6id.32xlarge");
    half.interfaces = Some(crate::layout::parse_notation("0:0=interface 1:0=efa-only").unwrap());
    let text = prepared_plan(&half).to_karpenter(&options()).unwrap();
    let read = listed(&documents(&text)[0]);
    assert_eq!(read, half.interfaces.unwrap());
}

#[test]
fn dynamic_interfaces_are_refused_where_they_fail() {
    let refused: Vec<&str> = Catalog::bundled()
        .iter()
        .filter(|t| !violations(t, &dynamic_interfaces(t, false)).is_empty())
        .map(|t| t.name.as_str())
        .collect();
    let expected = ["hpc6id.32xlarge", "p6-b300.48xlarge", "p6e-gb200.36xlarge"];
    assert_eq!(refused, expected);
    let dynamic = KarpenterOptions {
        interfaces: KarpenterInterfaces::Dynamic,
        ..with_workloads()
    };
    for name in LAYOUT_CLASSES {
        let plan = prepared_plan(&spec(name));
        let written = plan.to_karpenter(&dynamic);
        if refused.contains(&name) {
            assert_eq!(written.unwrap_err().code(), Code::HandoffNotPossible);
            continue;
        }
        let text = written.unwrap();
        let documents = documents(&text);
        assert!(documents[0]["spec"].get("networkInterfaces").is_none());
        let tag = documents[0]["spec"]["tags"]["efa-sdk:layout"]
            .as_str()
            .unwrap();
        let launched = crate::layout::parse_notation(tag).unwrap();
        assert_eq!(launched.len(), plan.layout().efa_count());
        let report = check(&text, Catalog::bundled()).unwrap();
        assert!(report.is_clean(), "{name}: {report}");
    }
    let mut one = spec("p5.48xlarge");
    one.efa = Some(1);
    let error = prepared_plan(&one).to_karpenter(&dynamic).unwrap_err();
    assert!(error.to_string().contains("32 EFA"), "{error}");
}

#[test]
fn a_public_address_needs_the_interface_that_karpenter_derives() {
    let mut lone = spec("c7i.48xlarge");
    lone.public_ip = PublicIp::LoneEfa;
    let plan = prepared_plan(&lone);
    let error = plan.to_karpenter(&options()).unwrap_err();
    assert_eq!(error.code(), Code::HandoffNotPossible);
    assert!(error.to_string().contains("dynamic"), "{error}");
    let dynamic = KarpenterOptions {
        interfaces: KarpenterInterfaces::Dynamic,
        ..options()
    };
    let text = plan.to_karpenter(&dynamic).unwrap();
    let documents = documents(&text);
    assert_eq!(documents[0]["spec"]["associatePublicIPAddress"], true);
    assert!(check(&text, Catalog::bundled()).unwrap().is_clean());
    lone.public_ip = PublicIp::ElasticIp;
    let error = prepared_plan(&lone).to_karpenter(&options()).unwrap_err();
    assert_eq!(error.context_value("field"), Some("public_ip"));
}

#[test]
fn a_node_class_says_everything_that_a_launch_by_efa_sdk_does() {
    let text = prepared_plan(&spec("p5.48xlarge"));
    let text = text.to_karpenter(&with_workloads()).unwrap();
    let documents = documents(&text);
    let class = &documents[0]["spec"];
    assert_eq!(class["amiSelectorTerms"][0]["alias"], "al2023@v20260801");
    assert_eq!(class["role"], "KarpenterNodeRole-eks");
    assert_eq!(class["subnetSelectorTerms"][0]["id"], "subnet-00000001");
    assert_eq!(class["securityGroupSelectorTerms"][0]["id"], "sg-1");
    assert_eq!(class["placementGroupSelector"]["name"], "efa-sdk-train");
    assert_eq!(class["associatePublicIPAddress"], false);
    assert_eq!(class["blockDeviceMappings"][0]["ebs"]["encrypted"], true);
    assert_eq!(class["metadataOptions"]["httpTokens"], "required");
    assert!(
        class["tags"][provenance::TAG]
            .as_str()
            .unwrap()
            .contains("save-ips")
    );
    assert_eq!(class["tags"][tags::IMAGE], "launcher");
    assert_eq!(class["tags"][tags::INSTANCE_PROFILE], "launcher");
    let pool = &documents[1]["spec"];
    assert_eq!(pool["limits"]["nodes"], 2);
    let keys: Vec<_> = pool["template"]["spec"]["requirements"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| (r["key"].as_str().unwrap(), r["values"][0].as_str().unwrap()))
        .collect();
    assert_eq!(keys[0], ("node.kubernetes.io/instance-type", "p5.48xlarge"));
    assert_eq!(keys[1], ("topology.kubernetes.io/zone", "us-east-1a"));
    assert_eq!(keys[2], ("karpenter.sh/capacity-type", "on-demand"));
    assert_eq!(documents[2]["spec"]["capacity"]["hugepages-2Mi"], "5120Mi");
    let pod = &documents[3]["spec"];
    for container in [&pod["initContainers"][0], &pod["containers"][0]] {
        let limits = &container["resources"]["limits"];
        assert_eq!(limits, &container["resources"]["requests"]);
        assert_eq!(limits[EFA_RESOURCE], 32);
        assert_eq!(limits["nvidia.com/gpu"], 8);
        assert_eq!(limits["hugepages-2Mi"], "5120Mi");
    }
    assert_eq!(pod["initContainers"][0]["command"][2], "efa_sdk.doctor");
    // 2 interfaces on card 0, one of them EFA-only.
    assert!(text.contains("Karpenter counts 51 pods per node"), "{text}");
}

#[test]
fn reservations_are_selected_by_id() {
    let mut wanted = spec("p5.48xlarge");
    wanted.capacity = Capacity::Reservation("cr-1".to_owned());
    for kind in ["default", "capacity-block"] {
        let mut seen = seen(&wanted);
        seen.reservations = vec![CapacityReservation {
            reservation_type: kind.to_owned(),
            ..reservation()
        }];
        let plan = crate::fixtures::decide_plan(&wanted, seen).unwrap();
        let text = plan.prepared("sg-1".to_owned());
        let text = text.to_karpenter(&options()).unwrap();
        let documents = documents(&text);
        let class = &documents[0]["spec"];
        assert_eq!(class["capacityReservationSelectorTerms"][0]["id"], "cr-1");
        assert!(class.get("placementGroupSelector").is_none());
        let requirements = &documents[1]["spec"]["template"]["spec"]["requirements"];
        assert_eq!(requirements[2]["values"][0], "reserved");
        assert_eq!(text.contains("drained before it ends"), kind != "default");
    }
    wanted.capacity = Capacity::Open;
    let text = prepared_plan(&wanted).to_karpenter(&options()).unwrap();
    let terms = &documents(&text)[0]["spec"]["capacityReservationSelectorTerms"];
    assert_eq!(terms[0]["instanceMatchCriteria"], "open");
}

fn reservation() -> CapacityReservation {
    serde_json::from_value(serde_json::json!({
        "capacity_reservation_id": "cr-1",
        "instance_type": "p5.48xlarge",
        "availability_zone": "us-east-1a",
        "state": "active",
        "tenancy": "default",
        "reservation_type": "default",
        "total_instance_count": 2,
        "available_instance_count": 2,
        "owner_id": "123456789012",
        "start_date": null,
        "end_date": null,
        "placement_group_arn": null,
        "instance_match_criteria": "targeted",
    }))
    .unwrap()
}

#[test]
fn static_nodes_need_no_overlay_and_count_nodes_alone() {
    let options = KarpenterOptions {
        static_nodes: true,
        ..with_workloads()
    };
    let text = prepared_plan(&spec("p5.48xlarge"));
    let text = text.to_karpenter(&options).unwrap();
    let documents = documents(&text);
    assert_eq!(documents[1]["spec"]["replicas"], 2);
    assert_eq!(
        documents[1]["spec"]["limits"],
        serde_json::json!({"nodes": 2})
    );
    assert_eq!(documents[2]["kind"], "Pod");
    assert!(check(&text, Catalog::bundled()).unwrap().is_clean());
}

#[test]
fn what_cannot_be_written_is_refused_with_the_field() {
    type Change = fn(&mut KarpenterOptions);
    let cases: &[(&str, Code, Change)] = &[
        ("role", Code::HandoffNotPossible, |o| o.role = None),
        ("image", Code::HandoffNotPossible, |o| o.ami_alias = None),
        ("ami_alias", Code::HandoffInvalidOption, |o| {
            o.ami_alias = Some("al2023@latest".to_owned());
        }),
        ("ami_alias", Code::HandoffInvalidOption, |o| {
            o.ami_alias = Some("al2@v20260801".to_owned());
        }),
        ("name", Code::HandoffInvalidOption, |o| {
            o.name = Some("Train".to_owned());
        }),
        ("taint", Code::HandoffInvalidOption, |o| {
            o.taint = "a b".to_owned()
        }),
        ("image", Code::HandoffInvalidOption, |o| {
            o.workloads = vec![KarpenterWorkload::Job];
        }),
        ("huge_pages_mib", Code::HandoffInvalidOption, |o| {
            o.huge_pages_mib = 3;
        }),
        ("maximum_nodes", Code::HandoffInvalidOption, |o| {
            o.maximum_nodes = Some(0);
        }),
    ];
    let plan = prepared_plan(&spec("p5.48xlarge"));
    for (field, code, change) in cases {
        let mut options = options();
        change(&mut options);
        let error = plan.to_karpenter(&options).unwrap_err();
        assert_eq!(
            (error.code(), error.context_value("field")),
            (*code, Some(*field))
        );
    }
    let error = crate::fixtures::plan("p5.48xlarge").to_karpenter(&options());
    assert_eq!(error.unwrap_err().code(), Code::HandoffNotPrepared);
    let mut ours = spec("p5.48xlarge");
    ours.instance_profile = InstanceProfileChoice::Make(InstanceRole::default());
    let no_role = KarpenterOptions {
        role: None,
        ..options()
    };
    let error = prepared_plan(&ours).to_karpenter(&no_role).unwrap_err();
    assert!(
        error.to_string().contains("less than EKS nodes need"),
        "{error}"
    );
    let mut tagged = spec("p5.48xlarge");
    let key = "kubernetes.io/cluster/x".to_owned();
    tagged.tags.insert(key, "owned".to_owned());
    let error = prepared_plan(&tagged).to_karpenter(&options()).unwrap_err();
    assert_eq!(error.context_value("field"), Some("tags"));
}

#[test]
fn the_device_plugin_tolerates_the_taint() {
    let plan = crate::fixtures::plan("p6-b200.48xlarge");
    let text = plan.to_efa_device_plugin_values(&options()).unwrap();
    let values = &documents(&text)[0];
    assert_eq!(values["tolerations"][0]["key"], EFA_RESOURCE);
    let types = &values["supportedInstanceLabels"]["values"];
    assert_eq!(types[0], "p6-b200.48xlarge");
}

#[test]
fn names_that_would_break_a_document_are_refused() {
    type Change = fn(&mut KarpenterOptions);
    let cases: &[(&str, Change)] = &[
        ("namespace", |o| o.namespace = Some("Team A".to_owned())),
        ("namespace", |o| o.namespace = Some("-x".to_owned())),
        ("role", |o| o.role = Some("nodes\nevil: 1".to_owned())),
        ("role", |o| o.role = Some("r".repeat(65))),
        ("image", |o| o.image = Some("train: 1".to_owned())),
        ("image", |o| o.image = Some("-train".to_owned())),
    ];
    let plan = prepared_plan(&spec("p5.48xlarge"));
    for (field, change) in cases {
        let mut options = options();
        change(&mut options);
        let error = plan.to_karpenter(&options).unwrap_err();
        assert_eq!(error.code(), Code::HandoffInvalidOption, "{field}");
        assert_eq!(error.context_value("field"), Some(*field));
    }
}
