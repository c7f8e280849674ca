//! Plans read from JSON.

use super::*;

#[test]
fn a_stored_plan_is_read_back_and_a_changed_one_refused() {
    let spec = spec("p5.48xlarge");
    let plan = decide_plan(&spec, seen(&spec)).unwrap();
    let json = plan.to_json();
    assert_eq!(Plan::from_json(&json).unwrap(), plan);

    for (what, with) in [
        ("\"count\": 2", "\"count\": 200"),
        ("\"format\": 3", "\"format\": 2"),
        ("\"region\": \"us-east-1\"", "\"region\": \"eu-west-1\""),
        ("efa-only", "efa"),
        ("{", ""),
    ] {
        let changed = json.replacen(what, with, 1);
        assert_ne!(changed, json, "{what}");
        assert_eq!(
            Plan::from_json(&changed).unwrap_err().code(),
            Code::PlanUnreadable,
            "{what}"
        );
    }
}

/// The stored form with a change, and the checksum of the changed form.
fn stored_with(plan: &Plan, change: impl Fn(&mut Value)) -> String {
    let mut form = form(plan);
    change(&mut form);
    let digest = hex::encode(Sha256::digest(form.to_string().as_bytes()));
    form[DIGEST] = Value::String(digest);
    form.to_string()
}

#[test]
fn a_plan_is_read_as_it_is_decided_or_not_at_all() {
    let spec = spec("p5.48xlarge");
    let plan = decide_plan(&spec, seen(&spec)).unwrap();
    assert_eq!(Plan::from_json(&stored_with(&plan, |_| {})).unwrap(), plan);
    type Change = fn(&mut Value);
    let changes: [(&str, Change); 4] = [
        ("count", |form| form["spec"]["count"] = 0.into()),
        ("no subnet", |form| form["subnets"] = json!([])),
        ("user_data", |form| {
            form["spec"]["user_data"] = "x".repeat(20_000).into();
        }),
        ("instance_store", |form| {
            let mut bootstrap = json!(Bootstrap::default());
            bootstrap["instance_store"] = "scratch".into();
            form["spec"]["bootstrap"] = bootstrap;
        }),
    ];
    for (message, change) in changes {
        let error = Plan::from_json(&stored_with(&plan, change)).unwrap_err();
        assert_eq!(error.code(), Code::PlanUnreadable, "{error}");
        assert!(error.message().contains(message), "{error}");
    }
}

#[test]
fn a_plan_that_does_not_follow_from_its_specification_is_refused() {
    let mut spec = spec("p5.48xlarge");
    spec.instance_profile = InstanceProfileChoice::Use("nodes".to_owned());
    let mut observed = seen(&spec);
    observed.instance_profile = Some(profile("nodes", &["node"], &[]));
    let plan = decide_plan(&spec, observed).unwrap();
    assert_eq!(Plan::from_json(&stored_with(&plan, |_| {})).unwrap(), plan);
    type Change = fn(&mut Value);
    let changes: [(&str, Change); 16] = [
        ("account", |form| form["account"] = "me".into()),
        ("instance_type", |form| {
            form["spec"]["instance_type"] = "p4d.24xlarge".into();
        }),
        ("layout", |form| {
            let first = form["layout"]["interfaces"][0].clone();
            form["layout"]["interfaces"] = json!([first]);
        }),
        ("layout", |form| {
            form["layout"]["interfaces"].as_array_mut().unwrap().pop();
        }),
        ("layout", |form| form["spec"]["efa"] = 1.into()),
        ("image", |form| {
            form["image"]["image_id"] = "ami-other".into()
        }),
        ("image", |form| form["image"]["ena_support"] = false.into()),
        ("capacity", |form| form["spec"]["capacity"] = "spot".into()),
        ("subnets", |form| {
            form["subnets"][0]["subnet_id"] = "subnet-other".into();
        }),
        ("root_volume", |form| {
            form["root_volume"]["volume_size_gib"] = 9000.into();
        }),
        ("security_group", |form| {
            form["security_group"]["group_name"] = "open-to-all".into();
        }),
        ("placement_group", |form| {
            form["placement_group"] = Value::Null
        }),
        ("placement_group", |form| {
            form["placement_group"]["group_name"] = "another".into();
        }),
        ("instance_profile", |form| {
            form["instance_profile"]["name"] = "admin".into();
        }),
        ("instance_profile", |form| {
            form["instance_profile"] = Value::Null
        }),
        ("fingerprint", |form| {
            form["fingerprint"] = "0123456789abcdef".into()
        }),
    ];
    for (field, change) in changes {
        let error = Plan::from_json(&stored_with(&plan, change)).unwrap_err();
        assert_eq!(error.code(), Code::PlanUnreadable, "{error}");
        assert_eq!(error.context_value("field"), Some(field), "{error}");
    }
}
