//! Which instance types a NodePool's requirements admit.

use std::collections::BTreeSet;

use serde_json::Value;

use super::values::list;
use crate::catalog::InstanceType;
use crate::types::Architecture;

/// `spec.template.spec.requirements` of a NodePool.
pub(super) struct Requirements<'a>(&'a [Value]);

impl<'a> Requirements<'a> {
    /// The value list of the requirement with this key and operator `In`.
    pub(super) fn values(&self, key: &str) -> Option<Vec<&'a str>> {
        let found = self.0.iter().find(|requirement| {
            requirement.get("key").and_then(Value::as_str) == Some(key)
                && requirement.get("operator").and_then(Value::as_str) == Some("In")
        })?;
        let values = list(found, "/values").iter();
        Some(values.filter_map(Value::as_str).collect())
    }

    pub(super) fn of(pool: &'a Value) -> Self {
        Self(list(pool, "/spec/template/spec/requirements"))
    }

    /// The types that a requirement names one by one, where one does.
    pub(super) fn named(&self) -> Option<Vec<&'a str>> {
        self.values("node.kubernetes.io/instance-type")
    }

    /// Whether a type fulfils them, judging by the catalog.
    pub(super) fn admit(&self, instance_type: &InstanceType) -> bool {
        self.0.iter().all(|requirement| {
            fulfils(requirement, |key| label(instance_type, key)).unwrap_or(true)
        })
    }

    /// Whether a type of which only the name is known fulfils those about names.
    pub(super) fn admit_name(&self, name: &str) -> bool {
        let named = |requirement| fulfils(requirement, |key| name_label(name, key));
        self.0.iter().all(|r| named(r).unwrap_or(true))
    }

    /// Some types without EFA that fulfil them; none where that is not known.
    pub(super) fn admitted_without_efa(
        &self,
        without: &BTreeSet<&'static str>,
    ) -> Vec<&'static str> {
        let about_hardware = |requirement: &Value| {
            let key = requirement.get("key").and_then(Value::as_str);
            key.is_some_and(|key| of_instance(key).is_some() && name_label("a1.b", key).is_none())
        };
        if self.0.iter().any(about_hardware) {
            return Vec::new();
        }
        let candidates = match self.named() {
            Some(names) => {
                let names = names.into_iter().filter_map(|name| without.get(name));
                names.copied().collect()
            }
            None => without.clone(),
        };
        let admitted = candidates.into_iter();
        admitted.filter(|name| self.admit_name(name)).collect()
    }

    /// How many values they have.
    pub(super) fn size(&self) -> usize {
        let values = self.0.iter().map(|r| list(r, "/values").len());
        1 + self.0.len() + values.sum::<usize>()
    }

    /// Zones that a requirement lists; `None` where none does.
    pub(super) fn zones(&self) -> Option<usize> {
        let zone = |requirement: &&Value| {
            let key = requirement.get("key").and_then(Value::as_str);
            let operator = requirement.get("operator").and_then(Value::as_str);
            operator == Some("In")
                && key.is_some_and(|key| key.starts_with("topology.k") && key.contains("zone"))
        };
        let listed = self.0.iter().filter(zone);
        listed.map(|r| list(r, "/values").len()).min()
    }

    /// Where in the list a key stands.
    pub(super) fn position(&self, part: &str) -> Option<usize> {
        self.0.iter().position(|requirement| {
            let key = requirement.get("key").and_then(Value::as_str);
            key.is_some_and(|key| key.contains(part))
        })
    }
}

/// Whether a label fulfils a requirement; `None` where the label is not known here. An empty
/// label is one that the type does not have.
fn fulfils(requirement: &Value, label: impl Fn(&str) -> Option<String>) -> Option<bool> {
    let key = requirement.get("key").and_then(Value::as_str)?;
    let label = label(key)?;
    let values = list(requirement, "/values");
    let number = |value: &Value| value.as_u64().or_else(|| value.as_str()?.parse().ok());
    let listed = || {
        values.iter().any(|value| match value {
            Value::String(value) => *value == label,
            other => number(other).is_some() && number(other) == label.parse().ok(),
        })
    };
    let compared = |holds: fn(u64, u64) -> bool| {
        let limit = values.first().and_then(number);
        let (value, limit) = (label.parse::<u64>().ok(), limit);
        value
            .zip(limit)
            .is_some_and(|(value, limit)| holds(value, limit))
    };
    Some(match requirement.get("operator").and_then(Value::as_str)? {
        "In" => listed(),
        "NotIn" => !listed(),
        "Exists" => !label.is_empty(),
        "DoesNotExist" => label.is_empty(),
        "Gt" => compared(|value, limit| value > limit),
        "Lt" => compared(|value, limit| value < limit),
        "Gte" => compared(|value, limit| value >= limit),
        "Lte" => compared(|value, limit| value <= limit),
        _ => return None,
    })
}

/// What a label of Karpenter, or of EKS Auto Mode, means for the instance type.
fn of_instance(key: &str) -> Option<&str> {
    let rest = key.strip_prefix("karpenter.k8s.aws/");
    let rest = rest.or_else(|| key.strip_prefix("eks.amazonaws.com/"));
    rest?.strip_prefix("instance-")
}

/// A label of Karpenter's that the catalog knows (`pkg/providers/instancetype/types.go`).
fn label(instance_type: &InstanceType, key: &str) -> Option<String> {
    let gpu = instance_type.gpus.first();
    let lower = |text: &str| text.to_ascii_lowercase().replace(' ', "-");
    match of_instance(key).unwrap_or(key) {
        "cpu" => Some(instance_type.default_vcpus.to_string()),
        "memory" => Some(instance_type.memory_mib.to_string()),
        "gpu-count" => Some(gpu.map(|g| g.count.to_string()).unwrap_or_default()),
        "gpu-name" => Some(gpu.map(|g| lower(&g.name)).unwrap_or_default()),
        "gpu-manufacturer" => Some(gpu.map(|g| lower(&g.manufacturer)).unwrap_or_default()),
        "gpu-memory" => Some(gpu.map(|g| g.memory_mib.to_string()).unwrap_or_default()),
        "kubernetes.io/arch" => instance_type.architectures.first().map(|a| match a {
            Architecture::X86_64 => "amd64".to_owned(),
            other => other.as_str().to_owned(),
        }),
        _ => name_label(&instance_type.name, key),
    }
}

/// A label that follows from the name.
fn name_label(name: &str, key: &str) -> Option<String> {
    let (family, size) = name.split_once('.')?;
    let digit = family.find(|c: char| c.is_ascii_digit());
    let letters = family.split(|c: char| !c.is_ascii_lowercase()).next();
    Some(match of_instance(key) {
        _ if key == "node.kubernetes.io/instance-type" => name.to_owned(),
        Some("family") => family.to_owned(),
        Some("size") => size.to_owned(),
        Some("category") => letters.unwrap_or_default().to_owned(),
        Some("generation") => family[digit?..]
            .chars()
            .take_while(char::is_ascii_digit)
            .collect(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::catalog::Catalog;

    fn pool(requirements: &Value) -> Value {
        json!({"spec": {"template": {"spec": {"requirements": requirements}}}})
    }

    #[test]
    fn requirements_admit_what_karpenter_would() {
        let is_in =
            |key: &str, values: &[&str]| json!({"key": key, "operator": "In", "values": values});
        let cases: &[(Value, &[&str], &[&str])] = &[
            (
                json!([is_in("node.kubernetes.io/instance-type", &["p5.48xlarge"])]),
                &["p5.48xlarge"],
                &["p5e.48xlarge"],
            ),
            (
                json!([
                    is_in("karpenter.k8s.aws/instance-category", &["p"]),
                    {"key": "karpenter.k8s.aws/instance-generation", "operator": "Gt", "values": ["5"]},
                ]),
                &["p6-b200.48xlarge", "p6-b300.48xlarge", "p6e-gb200.36xlarge"],
                &["p5.48xlarge", "hpc6id.32xlarge"],
            ),
            (
                json!([
                    is_in("karpenter.k8s.aws/instance-gpu-name", &["h100"]),
                    {"key": "karpenter.k8s.aws/instance-family", "operator": "NotIn", "values": ["p5"]},
                ]),
                &[],
                &["p5.48xlarge", "c7i.48xlarge"],
            ),
            (
                json!([
                    is_in("eks.amazonaws.com/instance-family", &["p4d"]),
                    is_in("eks.amazonaws.com/instance-gpu-name", &["a100"]),
                ]),
                &["p4d.24xlarge"],
                &["p4de.24xlarge", "c7i.48xlarge"],
            ),
            (
                json!([{"key": "karpenter.k8s.aws/instance-gpu-count", "operator": "DoesNotExist"}]),
                &["c7i.48xlarge"],
                &["p5.48xlarge"],
            ),
            (
                json!([
                    is_in("kubernetes.io/arch", &["arm64"]),
                    is_in("karpenter.k8s.aws/instance-size", &["16xlarge"])
                ]),
                &["c7gn.16xlarge"],
                &["g5.16xlarge"],
            ),
        ];
        for (requirements, admitted, refused) in cases {
            let pool = pool(requirements);
            let requirements = Requirements::of(&pool);
            let get = |name: &str| Catalog::bundled().require(name).unwrap();
            for name in *admitted {
                assert!(requirements.admit(get(name)), "{name}");
            }
            for name in *refused {
                assert!(!requirements.admit(get(name)), "{name}");
            }
        }
    }
}
