//! A value of another JSON type in the place of one that is read never makes a report cleaner.

use serde_json::{Value, json};

use super::super::marks::has_marks;
use super::super::{DocumentReport, DocumentStatus};
use super::{CASES, read_case, report};
use crate::fixtures::prepared_plan;
use crate::handoff::read;
use crate::handoff::{
    CloudFormationOptions, EksctlOptions, KarpenterOptions, KarpenterWorkload, LaunchTemplateFor,
    RayClusterOptions,
};
use crate::spec::ClusterSpec;

/// Small, repeatable, and good enough to choose with (Steele, Lea and Flood's splitmix64).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % limit.max(1) as u64) as usize
    }
}

/// What we write ourselves.
fn written() -> Vec<(String, String)> {
    let spec = ClusterSpec::new(
        "train",
        "hpc7a.96xlarge",
        2,
        "subnet-00000001",
        "ami-00000001",
    );
    let plan = prepared_plan(&spec);
    let karpenter = KarpenterOptions {
        role: Some("nodes".to_owned()),
        ami_alias: Some("al2023@v20260801".to_owned()),
        workloads: vec![KarpenterWorkload::Job],
        image: Some("train:1".to_owned()),
        ..KarpenterOptions::default()
    };
    let ray = RayClusterOptions {
        efa_sdk_wheel: Some("dist/efa_sdk.whl".to_owned()),
        ..RayClusterOptions::default()
    };
    let launcher = LaunchTemplateFor::EksManagedNodeGroup;
    let cloudformation = CloudFormationOptions::default();
    [
        ("karpenter", plan.to_karpenter(&karpenter)),
        ("ray", plan.to_ray_yaml(&ray)),
        (
            "launch template",
            plan.to_launch_template(LaunchTemplateFor::Ec2),
        ),
        ("terraform", plan.to_terraform(launcher)),
        ("cloudformation", plan.to_cloudformation(&cloudformation)),
        ("eksctl", plan.to_eksctl(&EksctlOptions::new("eks"))),
    ]
    .into_iter()
    .map(|(name, text)| (name.to_owned(), text.unwrap()))
    .collect()
}

/// Every place in a value, as a JSON pointer.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    let mut inner = |key: &str, value: &Value| {
        let at = format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"));
        found.push(at.clone());
        places(value, &at, found);
    };
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| inner(key, value)),
        Value::Array(list) => list
            .iter()
            .enumerate()
            .for_each(|(number, value)| inner(&number.to_string(), value)),
        _ => {}
    }
}

/// A value of another JSON type. `null` is left out: in every format it reports what nothing states.
fn of_another_type(value: &Value, random: &mut Random) -> Value {
    let others = [
        json!(5),
        json!("other"),
        json!(true),
        json!([5]),
        json!({"a": 1}),
    ];
    let different = |other: &Value| std::mem::discriminant(other) != std::mem::discriminant(value);
    let others: Vec<Value> = others.into_iter().filter(different).collect();
    others[random.below(others.len())].clone()
}

/// Places whose values are anybody's: they state nothing about a launch.
fn is_free(at: &str) -> bool {
    [
        "annotations",
        "labels",
        "Tags",
        "tags",
        "comment",
        "Description",
    ]
    .iter()
    .any(|key| at.split('/').any(|part| part == *key))
}

fn ids(report: &DocumentReport) -> Vec<&str> {
    let mut ids: Vec<&str> = report.findings.iter().map(|f| f.id.as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// How many values of each text are changed.
const CHANGES: usize = 6;

#[test]
fn a_value_of_another_type_is_never_cleaner() {
    let cases = CASES
        .iter()
        .map(|(name, ..)| ((*name).to_owned(), read_case(name)));
    let mut random = Random(14);
    let mut wrong = Vec::new();
    for (name, text) in cases.chain(written()) {
        let documents = read::documents(&text).unwrap();
        let before = report(&text);
        let mut all = Vec::new();
        for (number, document) in documents.iter().enumerate() {
            places(document, &format!("/{number}"), &mut all);
        }
        for _ in 0..CHANGES {
            let at = &all[random.below(all.len())];
            let mut changed = Value::Array(documents.clone());
            let place = changed.pointer_mut(at).unwrap();
            let was = place.clone();
            *place = of_another_type(&was, &mut random);
            let now = place.clone();
            let texts: Vec<String> = changed
                .as_array()
                .unwrap()
                .iter()
                .map(Value::to_string)
                .collect();
            let Ok(after) = super::super::check(&texts.join("\n---\n"), crate::Catalog::bundled())
            else {
                // Of no format any more.
                continue;
            };
            // At best it was not read, unless nothing was lost.
            let lost = ids(&before).iter().any(|id| !ids(&after).contains(id));
            let about_efa = has_marks(&was) && !is_free(at);
            let best = match before.status() {
                _ if lost || about_efa => DocumentStatus::Unread,
                DocumentStatus::Errors => DocumentStatus::Unread,
                status => status,
            };
            if after.status() > best {
                wrong.push(format!("{name}{at} is {now}: {after}"));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of them:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
