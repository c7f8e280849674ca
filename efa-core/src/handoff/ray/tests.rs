use std::process::Command;

use serde_json::Value;

use super::*;
use crate::catalog::Catalog;
use crate::error::Code;
use crate::fixtures::{LAYOUT_CLASSES, plan, prepared_plan, spec};
use crate::handoff::{check, interfaces, read};
use crate::layout::PublicIp;
use crate::spec::Bootstrap;
use crate::spec::Capacity;

/// A source of efa-sdk, without which nothing is written.
fn options() -> RayClusterOptions {
    RayClusterOptions {
        efa_sdk_wheel: Some("dist/efa_sdk.whl".to_owned()),
        ..RayClusterOptions::default()
    }
}

#[test]
fn without_a_source_of_efa_sdk_nothing_is_written() {
    let plan = prepared("c7i.48xlarge");
    let with = |efa_sdk: Option<&str>, index: Option<&str>| {
        let options = RayClusterOptions {
            efa_sdk: efa_sdk.map(str::to_owned),
            efa_sdk_index: index.map(str::to_owned),
            ..RayClusterOptions::default()
        };
        plan.to_ray_yaml(&options)
    };
    for name in [None, Some("efa-sdk"), Some("efa_sdk==0.1.0")] {
        let error = with(name, None).unwrap_err();
        assert_eq!(error.code(), Code::HandoffInvalidOption);
        assert_eq!(error.context_value("field"), Some("efa_sdk"));
    }
    let url = "https://example.com/efa_sdk.whl";
    assert!(
        with(Some(url), None)
            .unwrap()
            .contains(&format!("pip install '{url}'"))
    );
    let index = with(None, Some("https://example.com/simple")).unwrap();
    let index_url = "pip install '--index-url' 'https://example.com/simple' 'efa-sdk==";
    assert!(index.contains(index_url), "{index}");
}

fn prepared(instance_type: &str) -> Plan {
    prepared_plan(&spec(instance_type))
}

fn written(plan: &Plan, options: &RayClusterOptions) -> (String, Value) {
    let text = plan.to_ray_yaml(options).unwrap();
    let value = read::documents(&text).unwrap().remove(0);
    (text, value)
}

#[test]
fn the_interfaces_of_every_class_read_back_as_planned() {
    for instance_type in LAYOUT_CLASSES {
        let plan = prepared(instance_type);
        let (text, value) = written(&plan, &options());
        assert_eq!(text, plan.to_ray_yaml(&options()).unwrap());
        let worker = &value["available_node_types"][worker_name(instance_type)];
        let config = &worker["node_config"];
        let list = config["NetworkInterfaces"].as_array().unwrap();
        assert_eq!(
            interfaces::read_interfaces(list).unwrap(),
            plan.layout().interfaces
        );
        for interface in list {
            assert_eq!(interface["Groups"], serde_json::json!(["sg-1"]));
            assert_eq!(interface["SubnetId"], "subnet-00000001");
        }
        for absent in ["SubnetId", "SubnetIds", "SecurityGroupIds", "UserData"] {
            assert!(config.get(absent).is_none(), "{absent}");
        }
        assert_eq!(worker["resources"]["efa"], plan.layout().efa_count());
        let report = check(&text, Catalog::bundled()).unwrap();
        assert!(report.is_clean(), "{instance_type}: {report}");
    }
}

#[test]
fn head_and_workers_have_what_ray_needs() {
    let (text, value) = written(&prepared("p5.48xlarge"), &options());
    let provenance = format!("# Written by efa-sdk {}", env!("CARGO_PKG_VERSION"));
    assert!(text.starts_with(&provenance), "{text}");
    assert!(
        text.contains("    # Plural: Ray ignores SubnetId"),
        "{text}"
    );
    assert_eq!(value["provider"]["use_internal_ips"], true);
    assert_eq!(value["provider"]["availability_zone"], "us-east-1a");
    assert_eq!(value["head_node_type"], "head");
    let types = &value["available_node_types"];
    let (head, worker) = (&types["head"], &types["p5-48xlarge"]);
    assert_eq!(head["resources"], serde_json::json!({ "CPU": 0 }));
    assert_eq!(
        head["node_config"]["SubnetIds"],
        serde_json::json!(["subnet-00000001"])
    );
    assert_eq!(
        head["node_config"]["SecurityGroupIds"],
        serde_json::json!(["sg-1"])
    );
    assert!(head["node_config"].get("NetworkInterfaces").is_none());
    for config in [&head["node_config"], &worker["node_config"]] {
        assert_eq!(config["MetadataOptions"]["HttpTokens"], "required");
        assert_eq!(config["BlockDeviceMappings"][0]["Ebs"]["Encrypted"], true);
    }
    let expected = serde_json::json!({
        "CPU": 192, "GPU": 8, "memory": 2_097_152_u64 * 1024 * 1024 / 10 * 7, "efa": 32,
    });
    assert_eq!(worker["resources"], expected);
    assert_eq!(
        (&worker["min_workers"], &worker["max_workers"]),
        (&2.into(), &2.into())
    );
    assert_eq!(
        worker["node_config"]["Placement"]["GroupName"],
        "efa-sdk-train"
    );
    let keys = |resource: usize| -> Vec<&str> {
        let tags = &worker["node_config"]["TagSpecifications"][resource]["Tags"];
        let tags = tags.as_array().unwrap().iter();
        tags.map(|tag| tag["Key"].as_str().unwrap()).collect()
    };
    for resource in 0..3 {
        assert_eq!(keys(resource), [tags::LAYOUT, tags::PLAN, provenance::TAG]);
    }
}

#[test]
fn each_option_goes_where_ray_reads_it() {
    let mut spec = spec("p5.48xlarge");
    spec.count = 4;
    spec.minimum_count = Some(3);
    spec.key_name = Some("mine".to_owned());
    spec.user_data = Some("#!/bin/bash\ntrue\n".to_owned());
    spec.tags
        .insert("until".to_owned(), "2026-12-31".to_owned());
    spec.capacity = Capacity::Spot;
    spec.instance_type = "p4d.24xlarge".to_owned();
    let options = RayClusterOptions {
        head_instance_type: Some("c7i.large".to_owned()),
        head_image: Some("ami-00000007".to_owned()),
        head_subnet: Some("subnet-00000007".to_owned()),
        head_instance_profile: Some("ray-head".to_owned()),
        max_workers: Some(9),
        idle_timeout_minutes: 60,
        ssh_user: Some("me".to_owned()),
        ssh_private_key: Some("~/mine.pem".to_owned()),
        ray_version: "2.61.0".to_owned(),
        python_packages: vec!["it's".to_owned()],
        efa_sdk_wheel: Some("dist/efa sdk.whl".to_owned()),
        ..options()
    };
    let (text, value) = written(&prepared_plan(&spec), &options);
    let types = &value["available_node_types"];
    let (head, worker) = (&types["head"]["node_config"], &types["p4d-24xlarge"]);
    assert_eq!(head["InstanceType"], "c7i.large");
    assert_eq!(head["ImageId"], "ami-00000007");
    assert!(head.get("BlockDeviceMappings").is_none());
    assert_eq!(head["SubnetIds"][0], "subnet-00000007");
    assert_eq!(head["IamInstanceProfile"]["Name"], "ray-head");
    assert_eq!(head["KeyName"], "mine");
    assert_eq!(worker["node_config"]["KeyName"], "mine");
    assert_eq!(worker["node_config"]["UserData"], "#!/bin/bash\ntrue\n");
    assert_eq!(
        worker["node_config"]["InstanceMarketOptions"]["MarketType"],
        "spot"
    );
    assert_eq!(
        (&worker["min_workers"], &worker["max_workers"]),
        (&3.into(), &9.into())
    );
    assert_eq!(value["max_workers"], 9);
    assert_eq!(value["idle_timeout_minutes"], 60);
    assert_eq!(value["auth"]["ssh_user"], "me");
    assert_eq!(value["auth"]["ssh_private_key"], "~/mine.pem");
    let remote = "~/efa-sdk-wheel/efa sdk.whl";
    assert_eq!(value["file_mounts"][remote], "dist/efa sdk.whl");
    let packages = r"python -m pip install 'ray[default]==2.61.0' 'boto3' 'it'\''s'";
    assert_eq!(value["setup_commands"][1], packages);
    let setup = worker["worker_setup_commands"].as_array().unwrap();
    assert_eq!(
        setup[3],
        "python -m pip install ~/'efa-sdk-wheel/efa sdk.whl'"
    );
    assert!(text.contains("Value: \"2026-12-31\""), "{text}");
}

#[test]
fn the_bootstrap_is_a_setup_command_and_no_user_data() {
    let mut spec = spec("c7i.48xlarge");
    let own = Bootstrap {
        extra_script: Some("cat <<'END_OF_BOOTSTRAP'\n!!\nEND_OF_BOOTSTRAP".to_owned()),
        huge_pages: Some(64),
        ..Bootstrap::default()
    };
    for bootstrap in [None, Some(own)] {
        spec.bootstrap.clone_from(&bootstrap);
        let (_, value) = written(&prepared_plan(&spec), &options());
        let worker = &value["available_node_types"]["c7i-48xlarge"];
        assert!(worker["node_config"].get("UserData").is_none());
        let commands = worker["worker_setup_commands"].as_array().unwrap();
        let commands: Vec<&str> = commands.iter().map(|c| c.as_str().unwrap()).collect();
        let [_, _, install, _, doctor] = commands[..] else {
            panic!("{commands:?}")
        };
        let script = bootstrap.unwrap_or_default().user_data("train").unwrap();
        assert!(install.contains(script.trim_end()), "{install}");
        assert!(doctor.contains("efa_sdk.doctor --wait"), "{doctor}");
        for command in commands {
            let checked = Command::new("bash")
                .args(["-n", "-c", command])
                .output()
                .unwrap();
            assert!(
                checked.status.success() && checked.stderr.is_empty(),
                "{checked:?}"
            );
        }
    }
}

#[test]
fn what_ray_cannot_do_is_refused() {
    let error = plan("p5.48xlarge").to_ray_yaml(&options()).unwrap_err();
    assert_eq!(error.code(), Code::HandoffNotPrepared);
    let mut wanted = spec("p5.48xlarge");
    wanted.public_ip = PublicIp::ElasticIp;
    let error = prepared_plan(&wanted).to_ray_yaml(&options()).unwrap_err();
    assert_eq!(error.code(), Code::HandoffNotPossible);
}

#[test]
fn options_that_would_break_the_document_are_refused() {
    type Change = fn(&mut RayClusterOptions);
    let cases: &[(&str, Change)] = &[
        ("max_workers", |o| o.max_workers = Some(0)),
        ("min_workers", |o| o.min_workers = Some(3)),
        ("head_instance_type", |o| {
            o.head_instance_type = Some("m7i xlarge".into())
        }),
        ("head_image", |o| o.head_image = Some("al2023".into())),
        ("head_subnet", |o| o.head_subnet = Some("RayVPC".into())),
        ("head_instance_profile", |o| {
            o.head_instance_profile = Some(String::new())
        }),
        ("ssh_user", |o| o.ssh_user = Some("a b".into())),
        ("ssh_private_key", |o| {
            o.ssh_private_key = Some("~/a.pem".into())
        }),
        ("ssh_private_key", |o| {
            o.ssh_private_key = Some("a\nb".into())
        }),
        ("ray_version", |o| o.ray_version = "latest; true".into()),
        ("python_packages", |o| {
            o.python_packages = vec!["--index-url=x".into()]
        }),
        ("efa_sdk", |o| o.efa_sdk = Some("a\0".into())),
        ("efa_sdk_index", |o| {
            o.efa_sdk_index = Some("--extra".into())
        }),
        ("efa_sdk_wheel", |o| {
            o.efa_sdk_wheel = Some("efa_sdk".into())
        }),
    ];
    let plan = prepared("c7i.48xlarge");
    for (field, change) in cases {
        let mut options = options();
        change(&mut options);
        let error = plan.to_ray_yaml(&options).unwrap_err();
        assert_eq!(error.code(), Code::HandoffInvalidOption, "{field}");
        assert_eq!(error.context_value("field"), Some(*field));
    }
    let mut keyed = spec("c7i.48xlarge");
    keyed.key_name = Some("mine".to_owned());
    let error = prepared_plan(&keyed).to_ray_yaml(&options()).unwrap_err();
    assert_eq!(error.context_value("field"), Some("ssh_private_key"));
}

/// A type that the stand-in of the Python tests does not offer: Ray's checks read this file.
#[test]
fn the_recorded_document_is_what_is_written() {
    let plan = prepared("p6e-gb200.36xlarge");
    let text = plan.to_ray_yaml(&options()).unwrap();
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../tests/data/ray/p6e-gb200.yaml"
    );
    if std::env::var_os("EFA_TEST_WRITE").is_some() {
        std::fs::write(path, &text).unwrap();
    }
    let recorded = std::fs::read_to_string(path).unwrap();
    assert_eq!(recorded, text, "run again with EFA_TEST_WRITE=1");
}
