use serde_json::Value;

use super::*;
use crate::catalog::Catalog;
use crate::fixtures::{plan, prepared_plan, spec};
use crate::handoff::{check, interfaces};
use crate::spec::Capacity;

fn written(plan: &Plan, launcher: LaunchTemplateFor) -> Value {
    let text = plan.to_launch_template(launcher).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn the_interfaces_of_every_type_read_back_as_planned() {
    for instance_type in Catalog::bundled().iter() {
        let mut spec = spec(&instance_type.name);
        if !instance_type.supports_cluster_placement() {
            spec.placement_group = crate::spec::PlacementGroupChoice::None;
        }
        let Ok(fresh) = crate::fixtures::decide_plan(&spec, crate::fixtures::seen(&spec)) else {
            panic!("{} cannot be planned", instance_type.name);
        };
        let text = json_text(&encoded(&fresh.launch_data("sg-1", "subnet-00000001")));
        let value: Value = serde_json::from_str(&text).unwrap();
        let list = value["NetworkInterfaces"].as_array().unwrap();
        assert_eq!(
            interfaces::read_interfaces(list).unwrap(),
            fresh.layout().interfaces
        );
        let report = check(&text, Catalog::bundled()).unwrap();
        assert!(report.is_clean(), "{}: {report}", instance_type.name);
    }
}

#[test]
fn what_does_not_exist_yet_is_refused() {
    let error = plan("p5.48xlarge")
        .to_launch_template(LaunchTemplateFor::Ec2)
        .unwrap_err();
    assert_eq!(error.code(), Code::HandoffNotPrepared);
    assert_eq!(error.context_value("field"), Some("security_group"));
}

#[test]
fn a_request_says_everything_that_a_launch_by_efa_sdk_does() {
    let request = written(&prepared_plan(&spec("p5.48xlarge")), LaunchTemplateFor::Ec2);
    assert_eq!(request["LaunchTemplateName"], "efa-sdk-train");
    let data = &request["LaunchTemplateData"];
    assert_eq!(data["NetworkInterfaces"].as_array().unwrap().len(), 33);
    assert_eq!(
        data["NetworkInterfaces"][0]["AssociatePublicIpAddress"],
        false
    );
    assert!(
        data["NetworkInterfaces"][1]
            .get("AssociatePublicIpAddress")
            .is_none()
    );
    assert_eq!(data["Placement"]["GroupName"], "efa-sdk-train");
    assert_eq!(data["MetadataOptions"]["HttpTokens"], "required");
    assert_eq!(data["BlockDeviceMappings"][0]["Ebs"]["Encrypted"], true);
    let tags = data["TagSpecifications"][0]["Tags"].as_array().unwrap();
    let tag = |key: &str| {
        tags.iter()
            .find(|tag| tag["Key"] == key)
            .map(|tag| tag["Value"].clone())
    };
    assert_eq!(tag("efa-sdk:subnet"), Some("subnet-00000001".into()));
    assert_eq!(tag("efa-sdk:security-group"), Some("sg-1".into()));
    let planner = tag(provenance::TAG).unwrap();
    assert!(
        planner
            .as_str()
            .unwrap()
            .contains("profile save-ips catalog 20"),
        "{planner}"
    );
}

#[test]
fn a_managed_node_group_gets_what_it_takes() {
    let mut wanted = spec("p5.48xlarge");
    let request = written(
        &prepared_plan(&wanted),
        LaunchTemplateFor::EksManagedNodeGroup,
    );
    let data = &request["LaunchTemplateData"];
    assert_eq!(data["InstanceType"], "p5.48xlarge");
    for absent in ["ImageId", "UserData", "IamInstanceProfile"] {
        assert!(data.get(absent).is_none(), "{absent}");
    }
    let tags = data["TagSpecifications"][0]["Tags"].as_array().unwrap();
    for key in ["efa-sdk:image", "efa-sdk:instance-profile"] {
        assert!(tags.contains(&serde_json::json!({"Key": key, "Value": "launcher"})));
    }
    for interface in data["NetworkInterfaces"].as_array().unwrap() {
        assert!(interface.get("SubnetId").is_none() && interface["Groups"][0] == "sg-1");
    }
    wanted.instance_type = "p4d.24xlarge".to_owned();
    wanted.capacity = Capacity::Spot;
    let error = prepared_plan(&wanted)
        .to_launch_template(LaunchTemplateFor::EksManagedNodeGroup)
        .unwrap_err();
    assert_eq!(error.code(), Code::HandoffNotPossible);
}

#[test]
fn check_names_what_is_wrong_with_a_template() {
    let one =
        r#"{"DeviceIndex":0,"InterfaceType":"efa","Groups":["sg-7"],"SubnetId":"subnet-00000007"}"#;
    let cases: &[(&str, String, &[&str])] = &[
        (
            "one EFA of 32",
            format!(r#"{{"InstanceType":"p5.48xlarge","NetworkInterfaces":[{one}]}}"#),
            &["interfaces.efa_left_out"],
        ),
        (
            "no interfaces",
            r#"{"LaunchTemplateData":{"InstanceType":"p5.48xlarge"}}"#.to_owned(),
            &["interfaces.no_efa"],
        ),
        (
            "card 0 of p6-b300",
            format!(r#"{{"InstanceType":"p6-b300.48xlarge","NetworkInterfaces":[{one}]}}"#),
            &["layout.interface_type_not_accepted"],
        ),
        (
            "groups with interfaces",
            format!(
                r#"{{"InstanceType":"c7i.48xlarge","SecurityGroupIds":["sg-7"],"NetworkInterfaces":[{one}]}}"#
            ),
            &["launch_template.groups_or_subnet_with_interfaces"],
        ),
        (
            "not a number",
            r#"{"InstanceType":"c7i.48xlarge","NetworkInterfaces":[{"DeviceIndex":"x"}]}"#
                .to_owned(),
            &["interfaces.malformed"],
        ),
        (
            "right",
            format!(r#"{{"InstanceType":"c7i.48xlarge","NetworkInterfaces":[{one}]}}"#),
            &[],
        ),
    ];
    for (name, text, ids) in cases {
        let report = check(text, Catalog::bundled()).unwrap();
        let found: Vec<&str> = report.findings.iter().map(|f| f.id.as_str()).collect();
        assert_eq!(&found, ids, "{name}: {report}");
    }
    let report = check(&cases[0].1, Catalog::bundled()).unwrap();
    let corrected = report.findings[0].corrected.as_deref().unwrap();
    let list: Vec<Value> = serde_json::from_str(corrected).unwrap();
    assert_eq!(
        (list.len(), list[32]["Groups"][0].as_str()),
        (33, Some("sg-7"))
    );
    assert_eq!(list[32]["SubnetId"], "subnet-00000007");
    for (text, code) in [
        ("a: [", Code::HandoffUnreadable),
        ("a: 1", Code::HandoffUnknownFormat),
    ] {
        assert_eq!(check(text, Catalog::bundled()).unwrap_err().code(), code);
    }
}

#[test]
fn a_node_group_keeps_the_clusters_group() {
    let plan = prepared_plan(&spec("p5.48xlarge"));
    let with = |launcher, group: &str| {
        plan.to_launch_template_with(&LaunchTemplateOptions {
            launcher,
            cluster_security_group: Some(group.to_owned()),
        })
    };
    let eks = LaunchTemplateFor::EksManagedNodeGroup;
    let text = with(eks, "sg-00000002").unwrap();
    let data: Value = serde_json::from_str(&text).unwrap();
    let interfaces = data.pointer("/LaunchTemplateData/NetworkInterfaces");
    for interface in interfaces.unwrap().as_array().unwrap() {
        assert_eq!(
            interface["Groups"],
            serde_json::json!(["sg-1", "sg-00000002"])
        );
    }
    for (launcher, group) in [(eks, "default"), (LaunchTemplateFor::Ec2, "sg-00000002")] {
        let error = with(launcher, group).unwrap_err();
        assert_eq!(error.code(), Code::HandoffInvalidOption);
    }
    let without = LaunchTemplateOptions {
        launcher: eks,
        ..LaunchTemplateOptions::default()
    };
    assert!(
        without
            .warning()
            .unwrap()
            .contains("cluster_security_group")
    );
}
