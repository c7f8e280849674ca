//! What the caller needs of the KMS keys that the volumes are encrypted with.
//!
//! Origin: EBS user guide, "Requirements for Amazon EBS encryption"
//! (docs.aws.amazon.com/ebs/latest/userguide/ebs-encryption-requirements.html), whose kms:ReEncrypt
//! are the two actions of the Service Authorization Reference. EC2 makes these calls with the
//! caller's permissions. That a key by its alias is allowed by `kms:ResourceAliases`, since no
//! policy names an alias as a resource: AWS KMS developer guide, "Use aliases to control access".

use serde_json::{Value, json};

use super::statement::allow;
use crate::plan::Plan;

const USE: [&str; 5] = [
    "kms:Decrypt",
    "kms:DescribeKey",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
];

/// Two statements for each key that the specification names; AWS's own need none.
pub(super) fn statements(plan: &Plan) -> Vec<Value> {
    let numbered = (1..).zip(plan.spec().volume_keys());
    numbered
        .flat_map(|(number, key)| of_key(plan, number, key))
        .collect()
}

fn of_key(plan: &Plan, number: u32, key: &str) -> [Value; 2] {
    let (resource, alias) = resource(plan, key);
    // `amazonaws.com.cn` in China.
    let via = format!("ec2.{}.amazonaws.com*", plan.region());
    let mut condition = json!({ "StringLike": { "kms:ViaService": via } });
    if let Some(alias) = alias {
        condition["ForAnyValue:StringEquals"] = json!({ "kms:ResourceAliases": alias });
    }
    let mut of_grant = condition.clone();
    of_grant["Bool"] = json!({ "kms:GrantIsForAWSResource": true });
    [
        allow(
            &format!("UseVolumeKey{number}"),
            &USE,
            &json!(resource),
            Some(condition),
        ),
        allow(
            &format!("GrantVolumeKey{number}"),
            &["kms:CreateGrant"],
            &json!(resource),
            Some(of_grant),
        ),
    ]
}

/// The ARN of a key, and the alias where that alone states which key it is.
fn resource<'a>(plan: &Plan, key: &'a str) -> (String, Option<&'a str>) {
    let (owner, name) = match key.rsplit_once(':') {
        Some((owner, name)) => (owner.to_owned(), name),
        None => {
            let (partition, account) = (plan.partition(), plan.account());
            let owner = format!("arn:{partition}:kms:{}:{account}", plan.region());
            (owner, key)
        }
    };
    if name.starts_with("alias/") {
        return (format!("{owner}:key/*"), Some(name));
    }
    let id = name.strip_prefix("key/").unwrap_or(name);
    (format!("{owner}:key/{id}"), None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{decide_plan, seen, spec};
    use crate::spec::Volume;

    #[test]
    fn each_key_is_a_resource_however_it_is_named() {
        let mut spec = spec("p5.48xlarge");
        let id = "1234abcd-12ab-34cd-56ef-1234567890ab";
        let there = "arn:aws:kms:us-east-1:210987654321";
        spec.volume.kms_key_id = Some("alias/train".into());
        let keys = [
            "alias/train".to_owned(),
            id.to_owned(),
            format!("{there}:key/{id}"),
            format!("{there}:alias/shared"),
            "alias/aws/ebs".to_owned(),
        ];
        for (letter, key) in ('f'..).zip(keys) {
            let mut volume = Volume::new(format!("/dev/sd{letter}"), 10);
            volume.options.kms_key_id = Some(key);
            spec.volumes.push(volume);
        }
        let plan = decide_plan(&spec, seen(&spec)).unwrap();
        let here = "arn:aws:kms:us-east-1:123456789012";
        let expected = [
            (format!("{here}:key/{id}"), None),
            (format!("{here}:key/*"), Some("alias/train")),
            (format!("{there}:key/*"), Some("alias/shared")),
            (format!("{there}:key/{id}"), None),
        ];
        let found = statements(&plan);
        let uses = |s: &&Value| s["Action"].as_array().unwrap().len() == USE.len();
        let mut of_keys: Vec<(String, Option<&str>)> = found
            .iter()
            .filter(uses)
            .map(|s| {
                let alias = &s["Condition"]["ForAnyValue:StringEquals"]["kms:ResourceAliases"];
                (s["Resource"].as_str().unwrap().to_owned(), alias.as_str())
            })
            .collect();
        of_keys.sort();
        let mut expected = expected.to_vec();
        expected.sort();
        assert_eq!(of_keys, expected);
        assert_eq!(found.len(), 2 * expected.len());
        for statement in found.iter().filter(|s| !uses(s)) {
            assert_eq!(statement["Action"], json!(["kms:CreateGrant"]));
            let condition = &statement["Condition"];
            assert_eq!(condition["Bool"]["kms:GrantIsForAWSResource"], json!(true));
        }
        for statement in &found {
            let via = &statement["Condition"]["StringLike"]["kms:ViaService"];
            assert_eq!(via, "ec2.us-east-1.amazonaws.com*");
        }
    }
}
