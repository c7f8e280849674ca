use serde_json::{Value, json};

use super::findings::*;
use crate::catalog::Catalog;
use crate::handoff::check as check_text;

/// A template without findings: one EFA interface, on a type that has one card.
fn good() -> Value {
    let group = json!({"Fn::GetAtt": ["Group", "GroupId"]});
    json!({
        "AWSTemplateFormatVersion": "2010-09-09",
        "Parameters": {"Type": {"Type": "String", "Default": "c7i.48xlarge"}},
        "Resources": {
            "Group": {"Type": "AWS::EC2::SecurityGroup", "Properties": {
                "GroupDescription": "x",
                "SecurityGroupEgress": [{"IpProtocol": "-1", "CidrIp": "0.0.0.0/0"}],
                "SecurityGroupIngress": [{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "CidrIp": "10.0.0.0/8"}],
            }},
            "In": {"Type": "AWS::EC2::SecurityGroupIngress", "Properties": {
                "GroupId": group, "IpProtocol": "-1", "SourceSecurityGroupId": group}},
            "Out": {"Type": "AWS::EC2::SecurityGroupEgress", "Properties": {
                "GroupId": group, "IpProtocol": "-1", "DestinationSecurityGroupId": {"Ref": "Group"}}},
            "Placement": {"Type": "AWS::EC2::PlacementGroup", "Properties": {"Strategy": "cluster"}},
            "Bucket": {"Type": "AWS::S3::Bucket", "Properties": {
                "BucketEncryption": {"ServerSideEncryptionConfiguration": []},
                "PublicAccessBlockConfiguration": {
                    "BlockPublicAcls": true, "BlockPublicPolicy": true,
                    "IgnorePublicAcls": "true", "RestrictPublicBuckets": true}}},
            "Role": {"Type": "AWS::IAM::Role", "Properties": {"Policies": [
                {"PolicyDocument": {"Statement": [{"Action": ["s3:GetObject"]}]}}]}},
            "Template": {"Type": "AWS::EC2::LaunchTemplate", "Properties": {"LaunchTemplateData": {
                "InstanceType": {"Ref": "Type"},
                "NetworkInterfaces": [{"DeviceIndex": 0, "InterfaceType": "efa", "Groups": [group], "SubnetId": "subnet-00000001"}],
                "Placement": {"GroupName": {"Ref": "Placement"}},
                "MetadataOptions": {"HttpTokens": "required"},
                "BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": {"Encrypted": true}}],
            }}},
            "Node": {"Type": "AWS::EC2::Instance", "Properties": {
                "LaunchTemplate": {"LaunchTemplateId": {"Ref": "Template"}, "Version": "1"}}},
        },
    })
}

/// An instance with interfaces of its own, as CDK's `CfnNetworkInterface` makes them.
fn own_interfaces() -> Value {
    json!({"Type": "AWS::EC2::Instance", "Properties": {
        "InstanceType": "c7i.48xlarge",
        "MetadataOptions": {"HttpTokens": "required"},
        "NetworkInterfaces": [{"DeviceIndex": "0", "NetworkInterfaceId": {"Ref": "Eni"}}]}})
}

fn interface() -> Value {
    json!({"Type": "AWS::EC2::NetworkInterface", "Properties": {
        "InterfaceType": "efa", "SubnetId": "subnet-00000001",
        "GroupSet": [{"Fn::GetAtt": ["Group", "GroupId"]}]}})
}

fn report(template: &Value) -> crate::handoff::DocumentReport {
    check_text(&template.to_string(), Catalog::bundled()).unwrap()
}

fn ids(template: &Value) -> Vec<String> {
    let report = report(template);
    report.findings.iter().map(|f| f.id.clone()).collect()
}

/// A change at a path with `/` between; `null` removes.
fn with(changes: &[(&str, Value)]) -> Value {
    let mut template = good();
    for (path, value) in changes {
        let (parent, key) = path.rsplit_once('/').unwrap();
        let parent = template
            .pointer_mut(&format!("/Resources{parent}"))
            .unwrap();
        match parent {
            Value::Object(map) if value.is_null() => drop(map.remove(key)),
            parent => parent[key] = value.clone(),
        }
    }
    template
}

/// Name, changes of the good template, and the one finding.
type Case = (&'static str, Vec<(String, Value)>, &'static str);

#[test]
fn broken_templates_have_the_one_finding_that_they_deserve() {
    let data = "/Template/Properties/LaunchTemplateData";
    let at = |key: &str| format!("{data}/{key}");
    let group = json!({"Fn::GetAtt": ["Group", "GroupId"]});
    let open = |range: &str, from: i64, to: i64| json!([{"IpProtocol": "tcp", "FromPort": from, "ToPort": to, range: if range == "CidrIp" {"0.0.0.0/0"} else {"::/0"}}]);
    let inside = "/Group/Properties/SecurityGroupIngress";
    let efa = |card: u32, device: u32, kind: &str| json!({"NetworkCardIndex": card, "DeviceIndex": device, "InterfaceType": kind, "Groups": [group], "SubnetId": "s"});
    #[rustfmt::skip]
    let cases: Vec<Case> = vec![
        ("no rule from itself", vec![("/In".into(), Value::Null)], NO_SELF_INGRESS),
        ("no rule to itself", vec![("/Out".into(), Value::Null)], NO_SELF_EGRESS),
        ("a rule to itself for TCP only", vec![("/Out/Properties/IpProtocol".into(), json!("tcp"))], NO_SELF_EGRESS),
        ("a rule to another group", vec![("/Out/Properties/DestinationSecurityGroupId".into(), json!("sg-2"))], NO_SELF_EGRESS),
        ("ruled out by its condition", vec![("/Out/Condition".into(), json!("Never"))], NO_SELF_EGRESS),
        ("inside itself", vec![("/Out".into(), Value::Null), ("/Group/Properties/SecurityGroupEgress".into(), json!([{"IpProtocol": "-1", "DestinationSecurityGroupId": {"Ref": "Group"}}]))], CIRCULAR_RULE),
        ("from inside itself", vec![("/In".into(), Value::Null), (inside.into(), json!([{"IpProtocol": "-1", "SourceSecurityGroupId": group}]))], CIRCULAR_RULE),
        ("SSH for all", vec![(inside.into(), open("CidrIp", 22, 22))], SSH_OPEN),
        ("a range of ports for all", vec![(inside.into(), open("CidrIpv6", 0, 65535))], SSH_OPEN),
        ("everything for all", vec![("/Any".into(), json!({"Type": "AWS::EC2::SecurityGroupIngress", "Properties": {"GroupId": group, "IpProtocol": -1, "CidrIp": "0.0.0.0/0"}}))], SSH_OPEN),
        ("market on the instance", vec![("/Node/Properties/InstanceMarketOptions".into(), json!({"MarketType": "capacity-block"}))], PROPERTY_DROPPED),
        ("reservation on the instance", vec![("/Node/Properties/CapacityReservationSpecification".into(), json!({}))], PROPERTY_DROPPED),
        ("type on the instance's interface", vec![("/Node".into(), json!({"Type": "AWS::EC2::Instance", "Properties": {"InstanceType": "c7i.48xlarge", "NetworkInterfaces": [{"DeviceIndex": "0", "InterfaceType": "efa"}]}}))], INTERFACE_TYPE_ON_INSTANCE),
        ("strategy spread", vec![("/Placement/Properties/Strategy".into(), json!("spread"))], PLACEMENT_STRATEGY),
        ("a block in a placement group", vec![(at("InstanceMarketOptions"), json!({"MarketType": "capacity-block"}))], BLOCK_WITH_GROUP),
        ("several interfaces and a public address", vec![(at("NetworkInterfaces"), json!([{"DeviceIndex": 0, "AssociatePublicIpAddress": true, "Groups": [group]}, efa(0, 1, "efa-only")]))], "layout.public_ip_with_several_interfaces"),
        ("groups with interfaces", vec![(at("SecurityGroupIds"), json!([group]))], "launch_template.groups_or_subnet_with_interfaces"),
        ("a subnet with interfaces", vec![("/Node/Properties/SubnetId".into(), json!("subnet-00000001"))], "launch_template.groups_or_subnet_with_interfaces"),
        ("an unencrypted bucket", vec![("/Bucket/Properties/BucketEncryption".into(), Value::Null)], BUCKET_UNENCRYPTED),
        ("a bucket that may be public", vec![("/Bucket/Properties/PublicAccessBlockConfiguration/BlockPublicPolicy".into(), json!(false))], BUCKET_PUBLIC),
        ("an action with a space", vec![("/Role/Properties/Policies/0/PolicyDocument/Statement/0/Action".into(), json!(["s3:GetObject", "logs: CreateLogGroup", "logs: PutLogEvents"]))], IAM_ACTION),
        ("IMDSv1", vec![(at("MetadataOptions"), Value::Null)], IMDS_V1),
        ("an unencrypted volume", vec![(at("BlockDeviceMappings/0/Ebs/Encrypted"), Value::Null)], VOLUME_UNENCRYPTED),
        ("an unknown kind of interface", vec![(at("NetworkInterfaces/0/InterfaceType"), json!("efa_only"))], "layout.interface_type_not_accepted"),
        ("a card below 0", vec![(at("NetworkInterfaces/0/NetworkCardIndex"), json!(-1))], "interfaces.malformed"),
        ("EFA-only as primary", vec![(at("NetworkInterfaces/0/InterfaceType"), json!("efa-only"))], "layout.primary_efa_only"),
        ("one EFA of 32", vec![(at("InstanceType"), json!("p5.48xlarge"))], "interfaces.efa_left_out"),
        ("no interfaces", vec![(at("NetworkInterfaces"), Value::Null)], "interfaces.no_efa"),
        ("one of its own, of 32", vec![("/Eni".into(), interface()), ("/Node".into(), own_interfaces()), ("/Node/Properties/InstanceType".into(), json!("p5.48xlarge"))], "interfaces.efa_left_out"),
        ("an EFA attached to a running instance", vec![("/Eni".into(), interface()), ("/Late".into(), json!({"Type": "AWS::EC2::NetworkInterfaceAttachment", "Properties": {"NetworkInterfaceId": {"Ref": "Eni"}, "InstanceId": {"Ref": "Node"}, "DeviceIndex": "1"}}))], EFA_ATTACHED_LATER),
    ];
    for (name, changes, id) in &cases {
        let changes: Vec<(&str, Value)> = changes
            .iter()
            .map(|(path, value)| (path.as_str(), value.clone()))
            .collect();
        let mut template = with(&changes);
        template["Conditions"] = json!({"Never": {"Fn::Equals": ["a", "b"]}});
        assert_eq!(ids(&template), [*id], "{name}: {}", report(&template));
    }
    for (id, _) in IDS {
        assert!(cases.iter().any(|case| case.2 == *id), "no case for {id}");
    }
    assert!(IDS.is_sorted());
}

#[test]
fn good_templates_have_no_finding() {
    assert!(report(&good()).is_clean(), "{}", report(&good()));
    assert!(report(&good()).out_of_sight.is_empty());
    let own = with(&[("/Eni", interface()), ("/Node", own_interfaces())]);
    assert!(report(&own).is_clean(), "{}", report(&own));
    // One group with the rules is enough, whatever else the interface is in.
    let groups = "/Template/Properties/LaunchTemplateData/NetworkInterfaces/0/Groups";
    let ssh = json!({"Type": "AWS::EC2::SecurityGroup", "Properties": {"GroupDescription": "y"}});
    let rules = json!({"Ref": "Group"});
    for other in [json!({"Ref": "Ssh"}), json!("sg-2")] {
        let both = with(&[("/Ssh", ssh.clone()), (groups, json!([other, rules]))]);
        assert!(report(&both).is_clean(), "{}", report(&both));
        assert!(report(&both).out_of_sight.is_empty());
    }
    // A stack that has nothing to do with EFA may do as it likes with its instances.
    let other = json!({"Resources": {"Web": {"Type": "AWS::EC2::Instance", "Properties": {
        "InstanceType": "t3.micro", "BlockDeviceMappings": [{"Ebs": {}}]}}}});
    assert!(report(&other).is_clean(), "{}", report(&other));
}

#[test]
fn what_a_template_does_not_show_is_said() {
    let mut named = good();
    let path = "/Resources/Template/Properties/LaunchTemplateData/NetworkInterfaces/0/Groups";
    *named.pointer_mut(path).unwrap() = json!(["sg-1"]);
    named["Transform"] = json!("AWS::LanguageExtensions");
    named["Resources"]["Nested"] = json!({"Type": "AWS::CloudFormation::Stack"});
    let report = report(&named);
    assert_eq!(report.status(), crate::handoff::DocumentStatus::Unread);
    assert!(report.findings.is_empty(), "{report}");
    let unread: Vec<&str> = report.unread.iter().map(|u| u.kind.as_str()).collect();
    assert_eq!(unread, ["Transform", "AWS::CloudFormation::Stack"]);
    assert_eq!(report.out_of_sight.len(), 2, "{report}");
}

/// What the community's CDK stack of two nodes synthesizes to, with the type that it advises.
fn cdk_stack(kind: &str) -> Value {
    let group = json!({"Fn::GetAtt": ["Sg", "GroupId"]});
    let node = |eni: &str| {
        json!({"Type": "AWS::EC2::Instance", "Properties": {
            "ImageId": "ami-00000001", "InstanceType": {"Ref": "InstanceType"},
            "IamInstanceProfile": {"Ref": "Profile"},
            "PlacementGroupName": {"Ref": "Placement"},
            "BlockDeviceMappings": [{"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 200, "VolumeType": "gp3", "Encrypted": true}}],
            "NetworkInterfaces": [{"DeviceIndex": "0", "NetworkInterfaceId": {"Ref": eni}}]}})
    };
    let eni = || {
        json!({"Type": "AWS::EC2::NetworkInterface", "Properties": {
            "GroupSet": [group], "InterfaceType": "efa", "SubnetId": "subnet-00000001"}})
    };
    json!({
        "Parameters": {"InstanceType": {"Type": "String", "Default": kind}},
        "Resources": {
            "Sg": {"Type": "AWS::EC2::SecurityGroup", "Properties": {
                "GroupDescription": "Security group for EFA nodes",
                "SecurityGroupEgress": [{"CidrIp": "0.0.0.0/0", "Description": "Allow all outbound traffic by default", "IpProtocol": "-1"}],
                "VpcId": "vpc-1"}},
            "SgFromSelf": {"Type": "AWS::EC2::SecurityGroupIngress", "Properties": {
                "Description": "All traffic within security group for EFA",
                "GroupId": group, "IpProtocol": "-1", "SourceSecurityGroupId": group}},
            "Placement": {"Type": "AWS::EC2::PlacementGroup", "Properties": {"Strategy": "cluster"}},
            "Bucket": {"Type": "AWS::S3::Bucket", "DeletionPolicy": "Delete", "Properties": {
                "BucketEncryption": {"ServerSideEncryptionConfiguration": [{"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]},
                "PublicAccessBlockConfiguration": {"BlockPublicAcls": true, "BlockPublicPolicy": true, "IgnorePublicAcls": true, "RestrictPublicBuckets": true}}},
            "Policy": {"Type": "AWS::IAM::Policy", "Properties": {"PolicyName": "p", "PolicyDocument": {"Statement": [
                {"Effect": "Allow", "Action": ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"],
                 "Resource": {"Fn::Sub": "arn:aws:logs:${AWS::Region}:${AWS::AccountId}:log-group:/aws/ssm/*"}}]}}},
            "Eni1": eni(), "Eni2": eni(), "Node1": node("Eni1"), "Node2": node("Eni2"),
        },
    })
}

#[test]
fn the_community_cdk_stack_gets_the_findings_that_it_deserves() {
    let found = |template: &Value| -> Vec<(String, String)> {
        let findings = report(template).findings;
        findings.into_iter().map(|f| (f.id, f.path)).collect()
    };
    let pair = |id: &str, path: &str| (id.to_owned(), path.to_owned());
    let metadata = |node: u32| {
        pair(
            IMDS_V1,
            &format!("Resources.Node{node}.Properties.MetadataOptions"),
        )
    };
    // On a type with one card the dropped egress rule, and IMDSv1, are all that is wrong with it.
    assert_eq!(
        found(&cdk_stack("g6e.12xlarge")),
        [
            pair(NO_SELF_EGRESS, "Resources.Sg"),
            metadata(1),
            metadata(2)
        ]
    );
    let interfaces = |node: u32| {
        let path = format!("Resources.Node{node}.Properties.NetworkInterfaces");
        pair("interfaces.efa_left_out", &path)
    };
    assert_eq!(
        found(&cdk_stack("p5.48xlarge")),
        [
            pair(NO_SELF_EGRESS, "Resources.Sg"),
            interfaces(1),
            metadata(1),
            interfaces(2),
            metadata(2),
        ]
    );
    // Written by hand as its source means it: the Capacity Block on the instance, in addition to
    // the placement group, and the actions as its report spells them.
    let mut meant = cdk_stack("g6e.12xlarge");
    let node = &mut meant["Resources"]["Node1"]["Properties"];
    node["InstanceMarketOptions"] = json!({"MarketType": "capacity-block"});
    node["CapacityReservationSpecification"] =
        json!({"CapacityReservationTarget": {"CapacityReservationId": "cr-1"}});
    meant["Resources"]["Policy"]["Properties"]["PolicyDocument"]["Statement"][0]["Action"] =
        json!([
            "logs: CreateLogGroup",
            "logs: CreateLogStream",
            "logs: PutLogEvents"
        ]);
    let properties = "Resources.Node1.Properties";
    assert_eq!(
        found(&meant),
        [
            pair(
                PROPERTY_DROPPED,
                &format!("{properties}.InstanceMarketOptions")
            ),
            pair(
                PROPERTY_DROPPED,
                &format!("{properties}.CapacityReservationSpecification")
            ),
            pair(
                BLOCK_WITH_GROUP,
                &format!("{properties}.PlacementGroupName")
            ),
            pair(NO_SELF_EGRESS, "Resources.Sg"),
            pair(
                IAM_ACTION,
                "Resources.Policy.Properties.PolicyDocument.Statement.0.Action"
            ),
            metadata(1),
            metadata(2),
        ]
    );
}

#[test]
fn findings_carry_what_to_put_there() {
    let missing = report(&with(&[("/Out", Value::Null)]));
    let corrected = missing.findings[0].corrected.as_deref().unwrap();
    let added: Value = serde_json::from_str(&format!("{{{corrected}}}")).unwrap();
    let mut repaired = with(&[("/Out", Value::Null)]);
    repaired["Resources"]["GroupSelfEgress"] = added["GroupSelfEgress"].clone();
    assert!(report(&repaired).is_clean());
    // The interfaces of an instance are corrected in the form of a launch template.
    let stack = report(&cdk_stack("p5.48xlarge"));
    let corrected = stack.findings.iter().find_map(|f| {
        f.corrected
            .clone()
            .filter(|_| f.id.starts_with("interfaces"))
    });
    let list: Vec<Value> = serde_json::from_str(&corrected.unwrap()).unwrap();
    assert_eq!(list.len(), 33);
    assert_eq!(
        list[32]["Groups"][0],
        json!({"Fn::GetAtt": ["Sg", "GroupId"]})
    );
    assert_eq!(list[32]["SubnetId"], "subnet-00000001");
}

#[test]
fn short_tags_read_as_the_functions_that_they_mean() {
    let text = "
Resources:
  Sg: {Type: 'AWS::EC2::SecurityGroup', Properties: {GroupDescription: x}}
  In:
    Type: AWS::EC2::SecurityGroupIngress
    Properties: {GroupId: !Ref Sg, IpProtocol: -1, SourceSecurityGroupId: !GetAtt Sg.GroupId}
  Eni:
    Type: AWS::EC2::NetworkInterface
    Properties: {InterfaceType: efa, SubnetId: subnet-00000001, GroupSet: [!GetAtt Sg.GroupId]}
";
    let report = check_text(text, Catalog::bundled()).unwrap();
    let found: Vec<&str> = report.findings.iter().map(|f| f.id.as_str()).collect();
    assert_eq!(found, [NO_SELF_EGRESS]);
}

#[test]
fn the_page_lists_every_finding() {
    let page = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../docs/handoff-cloudformation.md"
    );
    let page = std::fs::read_to_string(page).unwrap();
    let listed: Vec<&str> = page
        .lines()
        .filter(|line| line.starts_with("| `cloudformation."))
        .collect();
    let expected: Vec<String> = IDS
        .iter()
        .map(|(id, what)| format!("| `{id}` | {what} |"))
        .collect();
    assert_eq!(listed, expected);
}

#[test]
fn combinations_that_were_not_tried_are_said() {
    let template = |count: usize| {
        let names = || (0..count).map(|at| format!("C{at}"));
        let unknown = json!({"Fn::Equals": [{"Ref": "Open"}, "x"]});
        let conditions: serde_json::Map<String, Value> =
            names().map(|name| (name, unknown.clone())).collect();
        let groups: Vec<Value> = names()
            .map(|name| json!({"Fn::If": [name, "sg-1", "sg-2"]}))
            .collect();
        json!({
            "Parameters": {"Open": {}}, "Conditions": conditions,
            "Resources": {"T": {"Type": "AWS::EC2::LaunchTemplate", "Properties": {"LaunchTemplateData": {
                "InstanceType": "c7i.48xlarge", "MetadataOptions": {"HttpTokens": "required"},
                "NetworkInterfaces": [{"DeviceIndex": 0, "InterfaceType": "efa", "Groups": groups}],
            }}}},
        })
    };
    let all = report(&template(5));
    assert!(all.is_clean(), "{all}");
    let cut = report(&template(6));
    assert_eq!(cut.unread.len(), 1, "{cut}");
    assert!(
        cut.unread[0].reason.starts_with("32 of 64 combinations"),
        "{cut}"
    );
}
