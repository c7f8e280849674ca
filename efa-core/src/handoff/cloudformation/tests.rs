use serde_json::Value;

use super::*;
use crate::catalog::Catalog;
use crate::ec2::{Direction, SecurityGroup, Tags};
use crate::error::Code;
use crate::fixtures::{LAYOUT_CLASSES, decide_plan, plan, prepared_plan, seen, spec};
use crate::handoff::{check, interfaces};
use crate::spec::{
    Capacity, ClusterSpec, InstanceProfileChoice, InstanceRole, PlacementGroupChoice,
    SecurityGroupChoice,
};

fn decided(spec: &ClusterSpec) -> Plan {
    decide_plan(spec, seen(spec)).unwrap()
}

/// A plan with everything that a stack can make.
fn whole(instance_type: &str) -> Plan {
    let mut spec = spec(instance_type);
    spec.ssh_cidrs = vec!["10.0.0.0/8".to_owned(), "2001:db8::/32".to_owned()];
    spec.key_name = Some("me".to_owned());
    spec.instance_profile = InstanceProfileChoice::Make(InstanceRole::default());
    spec.bootstrap = Some(crate::spec::Bootstrap::default());
    decided(&spec)
}

fn options(format: TemplateFormat) -> CloudFormationOptions {
    CloudFormationOptions {
        format,
        scripts_bucket: true,
        session_logs: true,
    }
}

fn json(plan: &Plan, options: &CloudFormationOptions) -> Value {
    let options = CloudFormationOptions {
        format: TemplateFormat::Json,
        ..options.clone()
    };
    serde_json::from_str(&plan.to_cloudformation(&options).unwrap()).unwrap()
}

fn refused(plan: &Plan, options: &CloudFormationOptions, field: &str) {
    let error = plan.to_cloudformation(options).unwrap_err();
    assert_eq!(error.code(), Code::HandoffNotPossible, "{error}");
    assert_eq!(error.context_value("field"), Some(field), "{error}");
}

#[test]
fn every_layout_class_reads_back_as_planned_and_without_findings() {
    for instance_type in LAYOUT_CLASSES {
        let plan = whole(instance_type);
        let yaml = plan
            .to_cloudformation(&options(TemplateFormat::Yaml))
            .unwrap();
        let template = json(&plan, &options(TemplateFormat::Json));
        let read: Value =
            serde_json::to_value(yaml_serde::from_str::<yaml_serde::Value>(&yaml).unwrap())
                .unwrap();
        assert_eq!(read, template, "{instance_type}");
        let data = &template["Resources"]["LaunchTemplate"]["Properties"]["LaunchTemplateData"];
        let list = data["NetworkInterfaces"].as_array().unwrap();
        assert_eq!(
            interfaces::read_interfaces(list).unwrap(),
            plan.layout().interfaces
        );
        for text in [&yaml, &template.to_string()] {
            let report = check(text, Catalog::bundled()).unwrap();
            assert!(report.is_clean(), "{instance_type}: {report}");
            assert!(report.out_of_sight.is_empty(), "{report}");
        }
        // CloudFormation's limit on a template that is sent in the request.
        assert!(
            yaml.len() <= 51_200,
            "{instance_type}: {} bytes",
            yaml.len()
        );
        assert_eq!(
            yaml,
            plan.to_cloudformation(&options(TemplateFormat::Yaml))
                .unwrap()
        );
    }
}

#[test]
fn the_rules_with_itself_are_resources_of_their_own() {
    let template = json(&plan("c5n.18xlarge"), &CloudFormationOptions::default());
    let resources = template["Resources"].as_object().unwrap();
    let id = serde_json::json!({"Fn::GetAtt": ["SecurityGroup", "GroupId"]});
    for (name, peer) in [
        ("SelfIngress", "SourceSecurityGroupId"),
        ("SelfEgress", "DestinationSecurityGroupId"),
    ] {
        let rule = &resources[name]["Properties"];
        assert_eq!((&rule["GroupId"], &rule[peer]), (&id, &id), "{name}");
        assert_eq!(rule["IpProtocol"], "-1");
    }
    assert_eq!(
        resources["Node2"]["DependsOn"],
        serde_json::json!(["SelfIngress", "SelfEgress"])
    );
    let names: Vec<&String> = resources.keys().collect();
    assert_eq!(resources.len(), 7, "{names:?}");
    assert!(
        template["Description"]
            .as_str()
            .unwrap()
            .contains("catalog 20")
    );
}

#[test]
fn what_exists_is_a_parameter_and_not_made() {
    let mut wanted = spec("c5n.18xlarge");
    wanted.instance_profile = InstanceProfileChoice::Make(InstanceRole::default());
    let template = json(&prepared_plan(&wanted), &CloudFormationOptions::default());
    let resources: Vec<&String> = template["Resources"].as_object().unwrap().keys().collect();
    assert_eq!(resources, ["LaunchTemplate", "Node1", "Node2"]);
    let default = |name: &str| template["Parameters"][name]["Default"].clone();
    assert_eq!(default("SecurityGroupId"), "sg-1");
    assert_eq!(default("PlacementGroupName"), "efa-sdk-train");
    assert_eq!(default("InstanceProfileName"), "efa-sdk-us-east-1-train");
    assert_eq!(default("SubnetId"), "subnet-00000001");
    let report = check(&template.to_string(), Catalog::bundled()).unwrap();
    assert!(report.is_clean(), "{report}");
    assert_eq!(report.out_of_sight.len(), 1, "{report}");
}

#[test]
fn a_group_that_is_adopted_gets_the_rules_that_it_lacks() {
    let mut wanted = spec("c5n.18xlarge");
    wanted.security_group = SecurityGroupChoice::parse(Some("sg-7"), true).unwrap();
    let mut seen = seen(&wanted);
    seen.security_group = Some(SecurityGroup {
        group_id: "sg-7".to_owned(),
        group_name: "mine".to_owned(),
        vpc_id: "vpc-1".to_owned(),
        ingress: vec![crate::ec2::Rule::all_traffic_with_group("sg-7")],
        egress: Vec::new(),
        tags: Tags::new(),
    });
    let plan = decide_plan(&wanted, seen).unwrap();
    assert_eq!(
        plan.security_group().missing_self_rules,
        [Direction::Egress]
    );
    let template = json(&plan, &CloudFormationOptions::default());
    let resources = template["Resources"].as_object().unwrap();
    assert!(!resources.contains_key("SelfIngress") && !resources.contains_key("SecurityGroup"));
    assert_eq!(
        resources["SelfEgress"]["Properties"]["GroupId"]["Ref"],
        "SecurityGroupId"
    );
}

#[test]
fn the_role_allows_what_that_of_efa_sdk_does() {
    let mut wanted = spec("c5n.18xlarge");
    wanted.instance_profile = InstanceProfileChoice::Make(InstanceRole {
        scripts_bucket: Some("my-scripts".to_owned()),
        cloudwatch_logs: false,
        permissions_boundary: Some("arn:aws:iam::123456789012:policy/at-most".to_owned()),
    });
    let plan = decided(&wanted);
    let role = |options: &CloudFormationOptions| {
        json(&plan, options)["Resources"]["InstanceRole"]["Properties"].clone()
    };
    let named = role(&CloudFormationOptions::default());
    assert_eq!(named["RoleName"], "efa-sdk-us-east-1-train");
    assert_eq!(
        named["PermissionsBoundary"],
        "arn:aws:iam::123456789012:policy/at-most"
    );
    assert_eq!(
        named["ManagedPolicyArns"][0]["Fn::Sub"],
        "arn:${AWS::Partition}:iam::aws:policy/AmazonSSMManagedInstanceCore"
    );
    let statements = |role: &Value| role["Policies"][0]["PolicyDocument"]["Statement"].clone();
    let resource = &statements(&named)[0]["Resource"];
    assert_eq!(
        resource[1]["Fn::Sub"],
        "arn:${AWS::Partition}:s3:::${ScriptsBucketName}/*"
    );
    assert_eq!(statements(&named).as_array().unwrap().len(), 1);
    let made = role(&options(TemplateFormat::Json));
    let statements = statements(&made);
    assert_eq!(
        statements[0]["Resource"][0],
        serde_json::json!({"Fn::GetAtt": ["ScriptsBucket", "Arn"]})
    );
    assert_eq!(statements[1]["Sid"], "SessionLogs");
    let template = json(&plan, &options(TemplateFormat::Json));
    let bucket = &template["Resources"]["ScriptsBucket"]["Properties"];
    assert_eq!(bucket["BucketName"]["Ref"], "ScriptsBucketName");
}

#[test]
fn reserved_capacity_is_in_the_launch_template_and_nowhere_else() {
    let mut wanted = spec("p5.48xlarge");
    wanted.capacity = Capacity::Reservation("cr-7".to_owned());
    let mut seen = seen(&wanted);
    seen.reservations = vec![crate::ec2::CapacityReservation {
        capacity_reservation_id: "cr-7".to_owned(),
        instance_type: "p5.48xlarge".to_owned(),
        availability_zone: "us-east-1a".to_owned(),
        tenancy: "default".to_owned(),
        state: "active".to_owned(),
        reservation_type: "capacity-block".to_owned(),
        instance_match_criteria: "targeted".to_owned(),
        instance_platform: Some("Linux/UNIX".to_owned()),
        owner_id: "123456789012".to_owned(),
        total_instance_count: 2,
        available_instance_count: 2,
        placement_group_arn: None,
        start_date: None,
        end_date: None,
    }];
    let plan = decide_plan(&wanted, seen).unwrap();
    let template = json(&plan, &CloudFormationOptions::default());
    let data = &template["Resources"]["LaunchTemplate"]["Properties"]["LaunchTemplateData"];
    assert_eq!(
        data["InstanceMarketOptions"]["MarketType"],
        "capacity-block"
    );
    let target = &data["CapacityReservationSpecification"]["CapacityReservationTarget"];
    assert_eq!(
        target["CapacityReservationId"]["Ref"],
        "CapacityReservationId"
    );
    assert_eq!(
        template["Parameters"]["CapacityReservationId"]["Default"],
        "cr-7"
    );
    assert!(template["Resources"].get("PlacementGroup").is_none());
    let node = template["Resources"]["Node1"]["Properties"]
        .as_object()
        .unwrap();
    assert_eq!(node.keys().collect::<Vec<_>>(), ["LaunchTemplate"]);
}

#[test]
fn what_a_stack_cannot_do_is_refused() {
    let plain = CloudFormationOptions::default();
    let mut wanted = spec("c5n.18xlarge");
    wanted.public_ip = crate::layout::PublicIp::ElasticIp;
    refused(&decided(&wanted), &plain, "public_ip");
    let mut wanted = spec("c5n.18xlarge");
    wanted.minimum_count = Some(1);
    refused(&decided(&wanted), &plain, "minimum_count");
    refused(
        &plan("c5n.18xlarge"),
        &options(TemplateFormat::Yaml),
        "scripts_bucket",
    );
    let mut logs = plain.clone();
    logs.session_logs = true;
    let mut wanted = spec("c5n.18xlarge");
    wanted.instance_profile = InstanceProfileChoice::Make(InstanceRole::default());
    refused(&prepared_plan(&wanted), &logs, "session_logs");
    // A group, two rules and the launch template leave room for 496 instances.
    for (count, fits) in [(496, true), (497, false)] {
        let mut wanted = spec("c5n.18xlarge");
        wanted.placement_group = PlacementGroupChoice::None;
        wanted.count = count;
        let mut seen = seen(&wanted);
        seen.subnets[0].available_ip_address_count = 4000;
        let plan = decide_plan(&wanted, seen).unwrap();
        assert_eq!(plan.to_cloudformation(&plain).is_ok(), fits, "{count}");
    }
    assert_eq!(
        "toml".parse::<TemplateFormat>().unwrap_err().code(),
        Code::HandoffInvalidOption
    );
}

#[test]
fn a_tag_reads_no_secret() {
    let mut spec = spec("c7i.48xlarge");
    let reference = "{{resolve:secretsmanager:mine}}";
    spec.tags.insert("who".to_owned(), reference.to_owned());
    let plan = decided(&spec);
    let error = plan
        .to_cloudformation(&CloudFormationOptions::default())
        .unwrap_err();
    assert_eq!(error.code(), Code::HandoffNotPossible);
    assert_eq!(error.context_value("value"), Some(reference));
}
