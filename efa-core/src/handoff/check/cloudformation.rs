//! The EFA part of a CloudFormation template.

use serde_json::{Map, Value};

use super::{Checked, DocumentFinding, Findings, Severity};

mod access;
mod launches;
mod resolve;
mod rules;

#[cfg(test)]
mod tests;

/// The findings of this format, with what each says. Those of interfaces come beside them.
#[cfg(test)]
pub(super) const IDS: &[(&str, &str)] = &[
    (
        BLOCK_WITH_GROUP,
        "a Capacity Block together with a placement group",
    ),
    (
        BUCKET_PUBLIC,
        "a bucket without all four public access blocks",
    ),
    (BUCKET_UNENCRYPTED, "a bucket that says no encryption"),
    (
        CIRCULAR_RULE,
        "a rule of a group with itself inside the group, which cannot name itself",
    ),
    (
        EFA_ATTACHED_LATER,
        "an EFA interface attached to an instance that runs already",
    ),
    (
        IAM_ACTION,
        "an IAM action with a space in it, which matches nothing",
    ),
    (IMDS_V1, "instances whose metadata service takes IMDSv1"),
    (
        INTERFACE_TYPE_ON_INSTANCE,
        "InterfaceType or NetworkCardIndex on AWS::EC2::Instance, which has no such properties",
    ),
    (
        NO_SELF_EGRESS,
        "an EFA interface's group without the all-protocol egress rule to itself",
    ),
    (
        NO_SELF_INGRESS,
        "an EFA interface's group without the all-protocol ingress rule from itself",
    ),
    (
        PLACEMENT_STRATEGY,
        "EFA instances in a placement group whose strategy is not cluster",
    ),
    (
        PROPERTY_DROPPED,
        "InstanceMarketOptions or CapacityReservationSpecification on AWS::EC2::Instance, which has no such properties",
    ),
    (SSH_OPEN, "port 22 open to the whole Internet"),
    (VOLUME_UNENCRYPTED, "a volume that says no encryption"),
];

const BLOCK_WITH_GROUP: &str = "cloudformation.block_with_placement_group";
const BUCKET_PUBLIC: &str = "cloudformation.bucket_public";
const BUCKET_UNENCRYPTED: &str = "cloudformation.bucket_unencrypted";
const CIRCULAR_RULE: &str = "cloudformation.circular_self_rule";
const EFA_ATTACHED_LATER: &str = "cloudformation.efa_attached_later";
const IAM_ACTION: &str = "cloudformation.iam_action";
const IMDS_V1: &str = "cloudformation.imds_v1";
const INTERFACE_TYPE_ON_INSTANCE: &str = "cloudformation.interface_type_on_instance";
const NO_SELF_EGRESS: &str = "cloudformation.no_self_egress";
const NO_SELF_INGRESS: &str = "cloudformation.no_self_ingress";
const PLACEMENT_STRATEGY: &str = "cloudformation.placement_strategy";
const PROPERTY_DROPPED: &str = "cloudformation.property_dropped";
const SSH_OPEN: &str = "cloudformation.ssh_open";
const VOLUME_UNENCRYPTED: &str = "cloudformation.volume_unencrypted";

pub(super) fn check(document: &Checked<'_>, found: &mut Findings) {
    let template = Template::new(document.document);
    for section in ["Transform", "Modules"] {
        if document.document.get(section).is_some() {
            found.out_of_sight(&format!(
                "what {section} makes of the template: check the processed one (aws \
                 cloudformation get-template --template-stage Processed)"
            ));
        }
    }
    if template.of("AWS::CloudFormation::Stack").next().is_some() {
        found.out_of_sight("the nested stacks: check their templates, too");
    }
    launches::check(document, &template, found);
    rules::check(document, &template, found);
    access::check(document, &template, found);
}

/// The resources of a template, parameters with a default and conditions in place.
struct Template {
    resources: Map<String, Value>,
}

/// One of them.
#[derive(Clone, Copy)]
struct Resource<'a> {
    name: &'a str,
    kind: &'a str,
    properties: &'a Value,
}

impl<'a> Resource<'a> {
    /// Where a property of it stands.
    fn path(&self, document: &Checked<'_>, property: &str) -> String {
        let path = format!("Resources.{}.Properties.{property}", self.name);
        document.path(path.trim_end_matches('.'))
    }

    /// A property; `None` where it is not said.
    fn get(&self, property: &str) -> Option<&'a Value> {
        self.properties
            .get(property)
            .filter(|value| !value.is_null())
    }
}

impl Template {
    fn new(document: &Value) -> Self {
        Self {
            resources: resolve::resources(document),
        }
    }

    fn all(&self) -> impl Iterator<Item = Resource<'_>> {
        self.resources.iter().map(|(name, resource)| Resource {
            name,
            kind: resource
                .get("Type")
                .and_then(Value::as_str)
                .unwrap_or_default(),
            properties: resource.get("Properties").unwrap_or(&Value::Null),
        })
    }

    fn of(&self, kind: &str) -> impl Iterator<Item = Resource<'_>> {
        self.all().filter(move |resource| resource.kind == kind)
    }

    /// The resource of this kind that a value refers to, by `Ref` or any attribute of it.
    fn referred(&self, value: &Value, kind: &str) -> Option<Resource<'_>> {
        let name = referred_name(value)?;
        self.of(kind).find(|resource| resource.name == name)
    }
}

/// The logical name in `{"Ref": name}` or `{"Fn::GetAtt": [name, …]}`.
fn referred_name(value: &Value) -> Option<&str> {
    if let Some(name) = value.get("Ref") {
        return name.as_str();
    }
    match value.get("Fn::GetAtt")? {
        Value::String(path) => path.split('.').next(),
        Value::Array(parts) => parts.first()?.as_str(),
        _ => None,
    }
}

/// What a template says where EC2 takes a boolean: `true`, or that as text.
fn is_true(value: Option<&Value>) -> bool {
    match value {
        Some(Value::Bool(value)) => *value,
        Some(Value::String(text)) => text == "true",
        _ => false,
    }
}

fn finding(
    severity: Severity,
    id: &str,
    path: String,
    message: impl Into<String>,
    cure: impl Into<String>,
) -> DocumentFinding {
    DocumentFinding::new(severity, id, path, message, cure)
}
