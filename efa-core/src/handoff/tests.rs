//! What is printed is what is sent: every writer's document against the RunInstances request of
//! the same plan.

use base64::Engine as _;
use serde_json::{Map, Value, json};

use super::interfaces::snake_case;
use super::*;
use crate::error::Code;
use crate::fixtures::every_launch;
use crate::plan::Plan;
use crate::spec::Capacity;

/// The request that `apply` sends.
fn sent(plan: &Plan) -> Value {
    json!(plan.run_instances_request(&plan.launch("sg-1", "subnet-00000001")))
}

/// The request's parameters that a launch template has, with the planner's tag, and Base64 where
/// the format does not encode by itself.
fn printed(plan: &Plan, encode: bool) -> Value {
    let mut data = sent(plan);
    for own in ["ClientToken", "MinCount", "MaxCount"] {
        data.as_object_mut().unwrap().remove(own).unwrap();
    }
    tag(&mut data, provenance::TAG, &provenance::tag_value(plan));
    if let Some(text) = data
        .get("UserData")
        .and_then(Value::as_str)
        .filter(|_| encode)
    {
        data["UserData"] = base64::engine::general_purpose::STANDARD
            .encode(text)
            .into();
    }
    data
}

/// Sets a tag of everything that a launch makes.
fn tag(data: &mut Value, key: &str, value: &str) {
    for specification in data["TagSpecifications"].as_array_mut().unwrap() {
        let tags = specification["Tags"].as_array_mut().unwrap();
        tags.retain(|tag| tag["Key"] != key);
        tags.push(json!({ "Key": key, "Value": value }));
        tags.sort_by_key(|tag| tag["Key"].as_str().map(str::to_owned));
    }
}

fn is_spot(plan: &Plan) -> bool {
    plan.spec().capacity == Capacity::Spot
}

fn is_ipv6_only(plan: &Plan) -> bool {
    plan.subnet().ipv6_native
}

#[test]
fn launch_templates_have_what_is_sent() {
    for plan in every_launch() {
        let written = |launcher| -> Value {
            let text = plan.to_launch_template(launcher).unwrap();
            serde_json::from_str::<Value>(&text).unwrap()["LaunchTemplateData"].take()
        };
        let mut expected = printed(&plan, true);
        assert_eq!(written(LaunchTemplateFor::Ec2), expected);
        if is_ipv6_only(&plan) {
            let refused = plan.to_launch_template(LaunchTemplateFor::EksManagedNodeGroup);
            assert!(refused.unwrap_err().to_string().contains("IPv6-only"));
            continue;
        }
        if is_spot(&plan) {
            continue; // refused
        }
        for brought in ["ImageId", "IamInstanceProfile", "UserData"] {
            expected.as_object_mut().unwrap().remove(brought);
        }
        for interface in expected["NetworkInterfaces"].as_array_mut().unwrap() {
            interface
                .as_object_mut()
                .unwrap()
                .remove("SubnetId")
                .unwrap();
        }
        for chosen in ["efa-sdk:image", "efa-sdk:instance-profile"] {
            tag(&mut expected, chosen, "launcher");
        }
        assert_eq!(written(LaunchTemplateFor::EksManagedNodeGroup), expected);
    }
}

/// EC2's data in Terraform's words.
fn in_terraform(value: &Value) -> Value {
    let name = |key: &str| match key {
        "Groups" => "security_groups".to_owned(),
        "SecondaryPrivateIpAddressCount" => "ipv4_address_count".to_owned(),
        key => snake_case(key),
    };
    let argument = |(key, value): (&String, &Value)| {
        let value = match (key.as_str(), value) {
            ("Tags", Value::Array(tags)) => {
                let pair = |tag: &Value| {
                    (
                        tag["Key"].as_str().unwrap().to_owned(),
                        tag["Value"].clone(),
                    )
                };
                Value::Object(tags.iter().map(pair).collect())
            }
            (_, Value::Object(_)) => json!([in_terraform(value)]),
            (_, value) => in_terraform(value),
        };
        (name(key), value)
    };
    match value {
        Value::Object(map) => Value::Object(map.iter().map(argument).collect()),
        Value::Array(list) => list.iter().map(in_terraform).collect(),
        plain => plain.clone(),
    }
}

#[test]
fn terraform_has_what_is_sent() {
    for plan in every_launch() {
        let text = plan.to_terraform(LaunchTemplateFor::Ec2).unwrap();
        let document: Value = serde_json::from_str(&text).unwrap();
        let mut template = document["resource"]["aws_launch_template"]["train"].clone();
        for own in ["name", "description", "update_default_version", "tags"] {
            template.as_object_mut().unwrap().remove(own).unwrap();
        }
        assert_eq!(template, in_terraform(&printed(&plan, true)));
    }
}

#[test]
fn the_aws_cli_sends_what_apply_sends() {
    for plan in every_launch() {
        let script = plan.to_cli();
        let (_, rest) = script.split_once("\nrequest='").unwrap();
        // The JSON has no line end, and the word is the last of its line.
        let word = rest.lines().next().unwrap().strip_suffix('\'').unwrap();
        let text = word.replace(r#"'"$group"'"#, "sg-1").replace(r"'\''", "'");
        let mut request: Value = serde_json::from_str(&text).unwrap();
        let mut expected = printed(&plan, false);
        let apply = sent(&plan);
        for count in ["MinCount", "MaxCount"] {
            expected[count] = apply[count].clone();
        }
        let token = request
            .as_object_mut()
            .unwrap()
            .remove("ClientToken")
            .unwrap();
        assert!(token.as_str().unwrap().contains(plan.fingerprint()));
        assert_eq!(request, expected);
    }
}

/// A template's value with the defaults of its parameters in place of references.
fn resolved(value: &Value, parameters: &Value) -> Value {
    let each = |value: &Value| resolved(value, parameters);
    match value {
        Value::Object(map) => match (map.get("Ref"), map.get("Fn::Base64")) {
            (Some(name), _) => parameters[name.as_str().unwrap()]["Default"].clone(),
            (_, Some(text)) => text.clone(),
            _ => map
                .iter()
                .map(|(key, value)| (key.clone(), each(value)))
                .collect::<Map<_, _>>()
                .into(),
        },
        Value::Array(list) => list.iter().map(each).collect(),
        plain => plain.clone(),
    }
}

#[test]
fn cloudformation_has_what_is_sent() {
    for plan in every_launch() {
        let options = CloudFormationOptions {
            format: TemplateFormat::Json,
            ..CloudFormationOptions::default()
        };
        let text = match plan.to_cloudformation(&options) {
            Ok(text) => text,
            Err(error) => {
                assert_eq!(error.context_value("field"), Some("minimum_count"));
                continue;
            }
        };
        let template: Value = serde_json::from_str(&text).unwrap();
        let data = &template["Resources"]["LaunchTemplate"]["Properties"]["LaunchTemplateData"];
        assert_eq!(
            resolved(data, &template["Parameters"]),
            printed(&plan, false)
        );
    }
}

#[test]
fn rays_nodes_have_what_is_sent() {
    for plan in every_launch() {
        if is_ipv6_only(&plan) {
            continue;
        }
        let options = RayClusterOptions {
            ssh_private_key: plan.spec().key_name.as_ref().map(|_| "~/key".to_owned()),
            efa_sdk_wheel: Some("dist/efa_sdk.whl".to_owned()),
            ..RayClusterOptions::default()
        };
        let text = plan.to_ray_yaml(&options).unwrap();
        let cluster = read::documents(&text).unwrap().remove(0);
        let types = &cluster["available_node_types"];
        let name = plan.spec().instance_type.replace('.', "-");
        let mut worker = types[name]["node_config"].clone();
        let head = &types["head"]["node_config"];
        let mut expected = printed(&plan, false);
        for same in [
            "MetadataOptions",
            "BlockDeviceMappings",
            "KeyName",
            "ImageId",
        ] {
            assert_eq!(head.get(same), expected.get(same), "{same}");
        }
        for node in [&mut worker, &mut expected] {
            // A worker's tags are its own: see `ray`.
            node.as_object_mut()
                .unwrap()
                .remove("TagSpecifications")
                .unwrap();
        }
        assert_eq!(worker, expected);
    }
}

#[test]
fn karpenter_says_in_its_words_what_is_sent() {
    let options = KarpenterOptions {
        role: Some("nodes".to_owned()),
        ami_alias: Some("al2023@v20260801".to_owned()),
        ..KarpenterOptions::default()
    };
    let mut written = 0;
    for plan in every_launch() {
        let text = match plan.to_karpenter(&options) {
            Ok(text) => text,
            Err(error) => {
                assert_eq!(error.code(), Code::HandoffNotPossible, "{error}");
                continue;
            }
        };
        written += 1;
        let sent = sent(&plan);
        let documents = read::documents(&text).unwrap();
        let (class, pool) = (&documents[0]["spec"], &documents[1]["spec"]);
        let metadata = &sent["MetadataOptions"];
        assert_eq!(
            class["metadataOptions"],
            json!({
                "httpEndpoint": metadata["HttpEndpoint"],
                "httpTokens": metadata["HttpTokens"],
                "httpPutResponseHopLimit": metadata["HttpPutResponseHopLimit"],
                "httpProtocolIPv6": "disabled",
            })
        );
        let device = |device: &Value| {
            let ebs = &device["Ebs"];
            let mut words = json!({
                "deviceName": device["DeviceName"],
                "ebs": {
                    "volumeSize": format!("{}Gi", ebs["VolumeSize"]),
                    "volumeType": ebs["VolumeType"],
                    "encrypted": ebs["Encrypted"],
                    "deleteOnTermination": ebs["DeleteOnTermination"],
                },
            });
            for (sent, word) in [
                ("Iops", "iops"),
                ("Throughput", "throughput"),
                ("KmsKeyId", "kmsKeyID"),
            ] {
                if let Some(value) = ebs.get(sent) {
                    words["ebs"][word] = value.clone();
                }
            }
            if device["DeviceName"] == "/dev/xvda" {
                words["rootVolume"] = true.into();
            }
            words
        };
        let devices = sent["BlockDeviceMappings"].as_array();
        let devices = devices.map(|all| all.iter().map(device).collect::<Value>());
        assert_eq!(class.get("blockDeviceMappings"), devices.as_ref());
        let interface = &sent["NetworkInterfaces"][0];
        assert_eq!(
            class["subnetSelectorTerms"],
            json!([{ "id": interface["SubnetId"] }])
        );
        assert_eq!(
            class["securityGroupSelectorTerms"],
            json!([{ "id": interface["Groups"][0] }])
        );
        let group = &sent["Placement"]["GroupName"];
        assert_eq!(class["placementGroupSelector"]["name"], *group);
        let reservation = &sent["CapacityReservationSpecification"];
        let term = &class["capacityReservationSelectorTerms"][0];
        let target = &reservation["CapacityReservationTarget"]["CapacityReservationId"];
        assert_eq!(term["id"], *target);
        let preference = &reservation["CapacityReservationPreference"];
        assert_eq!(term["instanceMatchCriteria"], *preference);
        let required = |key: &str| {
            let all = pool["template"]["spec"]["requirements"].as_array().unwrap();
            let found = all.iter().find(|r| r["key"] == key);
            found.map_or(Value::Null, |r| r["values"].clone())
        };
        let market = sent["InstanceMarketOptions"]["MarketType"].as_str();
        let words = match (market, preference.as_str(), target.as_str()) {
            (Some("spot"), None, None) => json!(["spot"]),
            (None, Some("open"), None) => json!(["reserved", "on-demand"]),
            (None | Some("capacity-block"), None, Some(_)) => json!(["reserved"]),
            (None, None, None) => json!(["on-demand"]),
            other => panic!("{other:?}"),
        };
        assert_eq!(required("karpenter.sh/capacity-type"), words);
        let tenancy = sent["Placement"].get("Tenancy");
        let tenancy = tenancy.map_or(Value::Null, |tenancy| json!([tenancy]));
        assert_eq!(required("karpenter.k8s.aws/instance-tenancy"), tenancy);
    }
    assert!(written > 30, "{written}");
}

#[test]
fn eksctl_says_in_its_words_what_is_sent() {
    let mut written = 0;
    for plan in every_launch() {
        let text = match plan.to_eksctl(&EksctlOptions::new("eks")) {
            Ok(text) => text,
            Err(error) => {
                assert_eq!(error.code(), Code::HandoffNotPossible, "{error}");
                continue;
            }
        };
        written += 1;
        let sent = sent(&plan);
        let document = read::documents(&text).unwrap().remove(0);
        let group = &document["managedNodeGroups"][0];
        for (index, device) in sent["BlockDeviceMappings"]
            .as_array()
            .into_iter()
            .flatten()
            .enumerate()
        {
            let said = match index.checked_sub(1) {
                None => group,
                Some(other) => &group["additionalVolumes"][other],
            };
            let ebs = &device["Ebs"];
            assert_eq!(said["volumeSize"], ebs["VolumeSize"]);
            assert_eq!(said["volumeType"], ebs["VolumeType"]);
            assert_eq!(said["volumeIOPS"], ebs["Iops"]);
            assert_eq!(said["volumeThroughput"], ebs["Throughput"]);
            assert_eq!(said["volumeEncrypted"], ebs["Encrypted"]);
            assert_eq!(said["volumeKmsKeyID"], ebs["KmsKeyId"]);
            if index > 0 {
                assert_eq!(said["volumeName"], device["DeviceName"]);
            }
        }
        let interface = &sent["NetworkInterfaces"][0];
        assert_eq!(group["subnets"], json!([interface["SubnetId"]]));
        assert_eq!(group["securityGroups"]["attachIDs"], interface["Groups"]);
        let placement = &sent["Placement"];
        assert_eq!(group["placement"]["groupName"], placement["GroupName"]);
        for unsaid in ["GroupId", "Tenancy"] {
            assert!(placement.get(unsaid).is_none(), "{placement}");
        }
        let market = &sent["InstanceMarketOptions"]["MarketType"];
        assert_eq!(group.get("spot").is_some(), market == "spot");
        let block = &group["instanceMarketOptions"]["marketType"];
        assert_eq!(*block == "capacity-block", market == "capacity-block");
        let reservation = &sent["CapacityReservationSpecification"];
        let said = &group["capacityReservation"];
        assert_eq!(
            said["capacityReservationPreference"],
            reservation["CapacityReservationPreference"]
        );
        assert_eq!(
            said["capacityReservationTarget"]["capacityReservationID"],
            reservation["CapacityReservationTarget"]["CapacityReservationId"]
        );
    }
    assert!(written > 20, "{written}");
}

/// The sources of this crate without their tests, by path below `src`.
fn sources() -> Vec<(String, String)> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut found, mut folders) = (Vec::new(), vec![root.clone()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(&root).unwrap().display().to_string();
            if path.is_dir() {
                folders.push(path);
            } else if name.ends_with(".rs") && !name.contains("tests") {
                let text = std::fs::read_to_string(&path).unwrap();
                let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
                found.push((name, code.to_owned()));
            }
        }
    }
    found
}

#[test]
fn what_nobody_asked_for_is_decided_in_one_file() {
    let sources = sources();
    let files = |word: &str| -> Vec<&str> {
        let holds = sources.iter().filter(|(_, code)| code.contains(word));
        holds.map(|(name, _)| name.as_str()).collect()
    };
    for decision in [
        "http_tokens: HttpTokens::",
        "http_endpoint: HttpEndpoint::",
        "HOPS: u32 = 2",
        "encrypted: true",
        "delete_on_termination: true",
        "spot_instance_type: SpotInstanceType::",
        "instance_interruption_behavior: InterruptionBehavior::",
        "market_type: MarketType::",
        "TaggedResource::Volume",
    ] {
        assert_eq!(files(decision), ["plan/launch.rs"], "{decision}");
    }
    // It also bounds what may be asked for.
    assert_eq!(files("VolumeType::Gp3"), ["spec/volumes.rs"]);
    // EC2's words stand where they become types.
    for word in ["\"gp3\"", "\"one-time\"", "\"terminate\"", "\"enabled\""] {
        assert_eq!(files(word), ["launch.rs"], "{word}");
    }
}
