//! What the script states, and what is refused; `tests/rust/bootstrap.rs` runs it.

use super::*;

#[test]
fn the_values_stand_above_the_script() {
    let mut bootstrap = Bootstrap {
        minimal: true,
        huge_pages: Some(5128),
        instance_store: None,
        extra_script: Some("echo 'it''s up' $(id)\n".to_owned()),
        ..Bootstrap::default()
    };
    bootstrap.installer.base_url = "https://mirror.example/efa/".to_owned();
    bootstrap.installer.sha256 = bootstrap.installer.sha256.to_uppercase();
    let script = bootstrap.user_data("train").unwrap();
    let expected = r"#!/bin/bash
cluster='train'
tag_key='efa-sdk:bootstrap'
version='1.47.0'
base_url='https://mirror.example/efa'
sha256='2df4201e046833c7dc8160907bee7f52b76ff80ed147376a2d0ed8a0dd66b2db'
key_fingerprint='4E9091BCBB97A96B26B15E59A05480B1DD2D3CCC'
minimal='true'
huge_pages='5128'
instance_store=''
extra_script='echo '\''it'\'''\''s up'\'' $(id)
'
";
    assert_eq!(script.strip_suffix(SCRIPT), Some(expected));
}

#[test]
fn each_bad_value_is_named() {
    type Break = fn(&mut Bootstrap);
    let cases: &[(&str, Break)] = &[
        ("installer.version", |b| {
            b.installer.version = "latest".into()
        }),
        ("installer.version", |b| b.installer.version = "1.47".into()),
        ("installer.version", |b| {
            b.installer.version = "1.47.".into()
        }),
        ("installer.version", |b| {
            b.installer.version = "1.47.0/../x".into()
        }),
        ("installer.sha256", |b| {
            b.installer.version = "1.50.0".into()
        }),
        ("installer.base_url", |b| {
            b.installer.base_url = "http://efa-installer.amazonaws.com".into()
        }),
        ("installer.base_url", |b| {
            b.installer.base_url = "https://".into()
        }),
        ("installer.base_url", |b| {
            b.installer.base_url = "https://user@host/{a,b}".into()
        }),
        ("installer.base_url", |b| {
            b.installer.base_url = "https://host/a b".into()
        }),
        ("installer.sha256", |b| b.installer.sha256 = "2df4".into()),
        ("installer.sha256", |b| b.installer.sha256 = "g".repeat(64)),
        ("installer.key_fingerprint", |b| {
            b.installer.key_fingerprint = "DD2D3CCC".into()
        }),
        ("installer.key_fingerprint", |b| {
            b.installer.key_fingerprint.insert(4, ' ')
        }),
        ("extra_script", |b| b.extra_script = Some("a\0b".into())),
        ("instance_store", |b| {
            b.instance_store = Some("scratch".into())
        }),
        ("instance_store", |b| b.instance_store = Some("/".into())),
        ("instance_store", |b| {
            b.instance_store = Some("/scratch/".into())
        }),
        ("instance_store", |b| {
            b.instance_store = Some("/a/../b".into())
        }),
        ("instance_store", |b| b.instance_store = Some("/a b".into())),
    ];
    for (field, break_it) in cases {
        let mut broken = Bootstrap::default();
        break_it(&mut broken);
        let error = broken.user_data("train").unwrap_err();
        assert_eq!(error.code(), Code::PlanInvalidSpec);
        assert_eq!(error.context_value("field"), Some(*field), "{error}");
        assert!(error.context_value("limit").is_some() && error.cure().is_some());
    }
    for user in [
        Bootstrap::default().user_data("train; id").unwrap_err(),
        Bootstrap::tag_permission("*").unwrap_err(),
    ] {
        assert_eq!(user.context_value("field"), Some("name"));
    }
}

#[test]
fn the_instance_store_is_a_part_of_its_own() {
    let mut bootstrap = Bootstrap::default();
    let without = bootstrap.user_data("train").unwrap();
    bootstrap.instance_store = Some("/scratch".to_owned());
    let script = bootstrap.user_data("train").unwrap();
    assert!(script.contains("instance_store='/scratch'\n"));
    assert!(script.contains(INSTANCE_STORE) && !without.contains(INSTANCE_STORE));
    // The handling of signals, of a full disk and of a second run took a thousand.
    let room = crate::types::USER_DATA_LIMIT_BYTES - without.len();
    assert!(room > 7000, "only {room} bytes are left for the caller");
}

#[test]
fn the_permission_is_for_one_tag_on_the_clusters_instances() {
    let statement = Bootstrap::tag_permission("train").unwrap();
    assert_eq!(statement["Action"], "ec2:CreateTags");
    assert_eq!(
        statement["Condition"],
        json!({
            "StringEquals": { "aws:ResourceTag/efa-sdk:cluster": "train" },
            "ForAllValues:StringEquals": { "aws:TagKeys": ["efa-sdk:bootstrap"] },
        })
    );
}

#[test]
fn it_survives_serialisation_and_every_field_is_optional() {
    let json = r#"{"installer":{"version":"1.50.0"},"huge_pages":8}"#;
    let read: Bootstrap = serde_json::from_str(json).unwrap();
    assert_eq!(read.installer.version, "1.50.0");
    assert_eq!(
        read.installer.key_fingerprint,
        EfaInstaller::default().key_fingerprint
    );
    let again = serde_json::from_str(&serde_json::to_string(&read).unwrap()).unwrap();
    assert_eq!(read, again);
    assert_eq!(
        serde_json::from_str::<Bootstrap>(r#"{"installer":{}}"#).unwrap(),
        Bootstrap::default()
    );
}
