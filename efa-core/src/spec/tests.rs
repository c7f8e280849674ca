//! Each bad value is named.

use super::*;
use crate::error::Code;

fn spec() -> ClusterSpec {
    ClusterSpec::new("train", "p5.48xlarge", 2, "subnet-00000001", "ami-00000001")
}

#[test]
fn each_bad_value_is_named() {
    type Break = fn(&mut ClusterSpec);
    let cases: &[(&str, Break)] = &[
        ("name", |s| s.name = "1train".into()),
        ("name", |s| s.name = String::new()),
        ("name", |s| s.name = "train; rm -rf".into()),
        ("name", |s| s.name = "a".repeat(64)),
        ("count", |s| s.count = 0),
        ("count", |s| s.count = 1001),
        ("minimum_count", |s| s.minimum_count = Some(3)),
        ("minimum_count", |s| s.minimum_count = Some(0)),
        ("subnet", |s| s.subnets.clear()),
        ("subnet", |s| {
            s.subnets = vec![Selector::Id("subnet-00000000?".into())]
        }),
        ("vpc", |s| s.vpc = Some(Selector::Name("a*".into()))),
        ("image", |s| s.image = ImageChoice::Id("ami-".into())),
        ("image", |s| s.image = ImageChoice::Id("ami-*".into())),
        ("image", |s| s.image = ImageChoice::Id("ami-prod".into())),
        ("subnet", |s| {
            s.subnets = vec![Selector::Id("subnet-private-1a".into())]
        }),
        ("image", |s| {
            s.image = ImageChoice::Parameter("al2023".into())
        }),
        ("image", |s| {
            s.image = ImageChoice::Newest {
                owner: "anyone".into(),
                name: "Deep*".into(),
            }
        }),
        ("ssh_cidrs", |s| s.ssh_cidrs = vec!["203.0.113.7".into()]),
        ("ssh_cidrs", |s| s.ssh_cidrs = vec!["10.0.0.0/33".into()]),
        ("ssh_cidrs", |s| s.ssh_cidrs = vec!["203.0.113.7/24".into()]),
        ("ssh_cidrs", |s| s.ssh_cidrs = vec!["2001:DB8::/32".into()]),
        ("ssh_cidrs", |s| {
            s.ssh_cidrs = vec!["10.0.0.0/8".into()];
            s.security_group = SecurityGroupChoice::Use(Selector::Id("sg-00000001".into()));
        }),
        ("instance_profile", |s| {
            s.instance_profile = InstanceProfileChoice::Use("arn:aws:iam::1:x/y".into())
        }),
        ("scripts_bucket", |s| {
            s.instance_profile = InstanceProfileChoice::Make(InstanceRole {
                scripts_bucket: Some("s3://Bucket".into()),
                cloudwatch_logs: false,
                permissions_boundary: None,
            })
        }),
        ("public_ip", |s| {
            s.interfaces = Some(Vec::new());
            s.public_ip = PublicIp::LoneEfa;
        }),
        ("placement_group_name", |s| {
            s.placement_group = PlacementGroupChoice::Use("pg-*".into());
        }),
        ("security_group", |s| {
            s.security_group = SecurityGroupChoice::Use(Selector::Id("default".into()))
        }),
        ("placement_group_name", |s| {
            s.placement_group = PlacementGroupChoice::Use(String::new())
        }),
        ("volume_size_gib", |s| s.volume_size_gib = Some(0)),
        ("user_data", |s| s.user_data = Some("x".repeat(16_385))),
        ("tags", |s| {
            drop(s.tags.insert("aws:x".into(), String::new()))
        }),
        ("tags", |s| {
            drop(s.tags.insert("efa-sdk:cluster".into(), String::new()))
        }),
        ("tags", |s| {
            drop(s.tags.insert("Name".into(), String::new()))
        }),
        ("tags", |s| drop(s.tags.insert("k".into(), "v".repeat(257)))),
        ("tags", |s| {
            s.tags = (0..45).map(|i| (format!("k{i}"), String::new())).collect()
        }),
        ("interfaces", |s| {
            (s.interfaces, s.efa) = (Some(Vec::new()), Some(1))
        }),
    ];
    assert!(CheckedSpec::parse(&spec()).is_ok());
    for cidr in [
        "203.0.113.7/32",
        "0.0.0.0/0",
        "2001:db8::/32",
        "::/0",
        "::1/128",
    ] {
        let mut open = spec();
        open.ssh_cidrs = vec![cidr.to_owned()];
        assert!(CheckedSpec::parse(&open).is_ok(), "{cidr}");
    }
    for (field, break_it) in cases {
        let mut broken = spec();
        break_it(&mut broken);
        let error = CheckedSpec::parse(&broken).unwrap_err();
        assert_eq!(error.code(), Code::PlanInvalidSpec);
        assert_eq!(error.context_value("field"), Some(*field), "{error}");
        assert!(error.cure().is_some());
    }
}

#[test]
fn user_data_with_a_bootstrap_has_its_kind_and_counts_with_it() {
    let mut both = spec();
    both.bootstrap = Some(Bootstrap::default());
    for (data, kind) in [
        ("#!/bin/sh\ntrue\n", "text/x-shellscript"),
        ("#cloud-config\nruncmd: []\n", "text/cloud-config"),
    ] {
        both.user_data = Some(data.into());
        let parsed = CheckedSpec::parse(&both).unwrap();
        let rendered = parsed.rendered_user_data().unwrap();
        let (before, after) = rendered.split_once(data).unwrap();
        assert!(before.contains(kind), "{before}");
        assert!(
            after.contains("\n#!/bin/bash\ncluster='train'\n"),
            "{after}"
        );
    }
    for data in ["echo up".to_owned(), format!("#!{}", noise(40_000))] {
        both.user_data = Some(data);
        let error = CheckedSpec::parse(&both).unwrap_err();
        assert_eq!(error.context_value("field"), Some("user_data"), "{error}");
    }
}

/// A text of which gzip takes half at most.
fn noise(bytes: usize) -> String {
    use sha2::{Digest, Sha256};
    let blocks = (0..bytes / 64 + 1).map(|i| hex::encode(Sha256::digest(i.to_string())));
    blocks.collect::<String>()[..bytes].to_owned()
}

#[test]
fn what_is_too_large_is_compressed_where_cloud_init_reads_it() {
    let mut spec = spec();
    let sent = |spec: &ClusterSpec| CheckedSpec::parse(spec).unwrap().sent_user_data().cloned();
    for (size, packed) in [(16_384, false), (16_385, true), (25_000, true)] {
        let text = format!("#!{}", noise(size - 2));
        spec.user_data = Some(text.clone());
        let expected = if packed {
            UserData::compressed(&text)
        } else {
            UserData::Text(text.clone())
        };
        assert_eq!(sent(&spec), Some(expected));
        let parsed = CheckedSpec::parse(&spec).unwrap();
        assert_eq!(parsed.rendered_user_data(), Some(text.as_str()));
    }
    spec.user_data = Some(format!("#!{}", noise(40_000)));
    let error = CheckedSpec::parse(&spec).unwrap_err();
    assert!(
        error
            .context_value("value")
            .unwrap()
            .starts_with("40002 bytes, 2"),
        "{error}"
    );

    spec.compress_user_data = true;
    for text in [
        "Content-Type: text/x-shellscript\n\ntrue",
        "#cloud-config\n",
    ] {
        spec.user_data = Some(text.to_owned());
        assert_eq!(sent(&spec), Some(UserData::compressed(text)));
    }
    spec.user_data = Some("[settings]\nmotd = 'up'\n".to_owned());
    let error = CheckedSpec::parse(&spec).unwrap_err();
    assert_eq!(error.context_value("field"), Some("compress_user_data"));
    (spec.user_data, spec.bootstrap) = (None, Some(Bootstrap::default()));
    assert!(matches!(sent(&spec), Some(UserData::Gzip(_))));
    spec.bootstrap = None;
    assert_eq!(sent(&spec), None);
}

#[test]
fn a_specification_survives_serialisation_and_defaults_are_optional() {
    let json = r#"{"name":"train","instance_type":"p5.48xlarge","count":2,"subnets":[{"id":"subnet-00000001"}],"image":{"id":"ami-00000001"}}"#;
    let read: ClusterSpec = serde_json::from_str(json).unwrap();
    assert_eq!(read, spec());
    let again: ClusterSpec = serde_json::from_str(&serde_json::to_string(&read).unwrap()).unwrap();
    assert_eq!(again, read);
}

#[test]
fn images_are_read_as_they_are_written() {
    for text in [
        "ami-00000001",
        "al2023",
        "dlami-al2023",
        "dlami-ubuntu-22.04",
        "dlami-ubuntu-24.04",
        "ssm:/my/ami",
        "amazon/Deep Learning Base*",
        "123456789012/ours-*",
    ] {
        let choice: ImageChoice = text.parse().unwrap();
        assert_eq!(choice.to_string(), text);
    }
    for bad in ["", "latest", "ssm:my", "somebody/x", "amazon/", "ami-A"] {
        let error = bad.parse::<ImageChoice>().unwrap_err();
        assert_eq!(error.context_value("field"), Some("image"), "{bad}");
    }
}

#[test]
fn capacities_are_read_as_they_are_written() {
    for text in [
        "on-demand",
        "spot",
        "open",
        "cr-0a1b2c3d",
        "cr-0a1b2c3d:8,cr-1a1b2c3d:4",
        "arn:aws:resource-groups:us-east-1:123456789012:group/blocks",
    ] {
        assert_eq!(text.parse::<Capacity>().unwrap().to_string(), text);
    }
    for bad in [
        "",
        "cr-",
        "cb-1",
        "cr-*",
        "cr-0123",
        "cr-team-a",
        "cr-0a1b2c3d:8,",
        "cr-0a1b2c3d:-1",
        "arn:aws:ec2:us-east-1:123456789012:group/x",
        "arn:aws:resource-groups:us-east-1:1:group/x",
    ] {
        assert!(bad.parse::<Capacity>().is_err(), "{bad}");
    }
    let parse = |capacity: &str, minimum| {
        let mut spec = spec();
        (spec.capacity, spec.minimum_count) = (capacity.parse().unwrap(), minimum);
        CheckedSpec::parse(&spec)
    };
    assert!(parse("cr-0a1b2c3d:1,cr-1a1b2c3d:1", None).is_ok());
    for (field, capacity, minimum) in [
        ("capacity", "cr-0a1b2c3d:1,cr-1a1b2c3d:2", None),
        ("capacity", "cr-0a1b2c3d:1,cr-0a1b2c3d:1", None),
        ("capacity", "cr-0a1b2c3d:2,cr-1a1b2c3d:0", None),
        ("minimum_count", "cr-0a1b2c3d:1,cr-1a1b2c3d:1", Some(1)),
    ] {
        let error = parse(capacity, minimum).unwrap_err();
        assert_eq!(error.context_value("field"), Some(field), "{error}");
    }
}
