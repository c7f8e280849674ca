//! One description of a launch, in whatever format: every field may be unknown.

use serde_json::Value;

use super::document::Findings;
use super::report::DocumentFormat;
use super::shape::{self, Place, Shape};
use super::unknown::{is_unknown, is_unknown_text};
use crate::handoff::interfaces::field;
use crate::layout::Layout;

/// What a text gives for a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said<T> {
    /// Nothing: the launcher, or another call, may set it.
    Not,
    /// It stands elsewhere, or is computed.
    Unknown,
    /// This.
    Is(T),
}

/// How many types of one launch are looked at: more than any Region has of one kind.
const MAXIMUM_TYPES: usize = 500;

/// The instance types that a launch may be of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Types {
    /// Those that the text names, without the prefix `ml.`.
    pub(super) names: Vec<String>,
    /// Whether there may be others.
    pub(super) open: bool,
}

impl Types {
    /// Adds what stands where a type is expected: a name, a list of them, or something unknown.
    pub(super) fn add(&mut self, value: &Value) {
        match value {
            Value::String(name) if is_type_name(name) => {
                self.add_name(name.strip_prefix("ml.").unwrap_or(name));
            }
            Value::Array(list) => list.iter().for_each(|name| self.add(name)),
            Value::Null => {}
            _ => self.open = true,
        }
    }

    /// Adds those of another description.
    pub(super) fn extend(&mut self, other: &Self) {
        self.open |= other.open;
        other.names.iter().for_each(|name| self.add_name(name));
    }

    fn add_name(&mut self, name: &str) {
        if self.names.iter().any(|known| known == name) {
            return;
        }
        if self.names.len() < MAXIMUM_TYPES {
            self.names.push(name.to_owned());
        } else {
            self.open = true;
        }
    }
}

/// A family and a size, without wildcards and placeholders.
fn is_type_name(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-.".contains(c);
    text.contains('.') && text.chars().all(plain)
}

/// Where the parts of a launch stand.
pub(super) struct At {
    /// The path of the data.
    pub(super) base: String,
    /// How the format spells EC2's names.
    pub(super) spelling: Spelling,
}

/// How a format spells EC2's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spelling {
    /// `NetworkInterfaces`.
    Ec2,
    /// `network_interfaces`.
    Snake,
    /// `networkInterfaces`, and Karpenter's own names.
    Karpenter,
    /// `networkInterfaces`, and EC2's names.
    Camel,
    /// `placement`, and eksctl's own names.
    Eksctl,
}

impl At {
    /// The path of a field under EC2's name, with dots between.
    pub(super) fn path(&self, key: &str) -> String {
        let key = match self.spelling {
            Spelling::Ec2 => key.to_owned(),
            Spelling::Snake => crate::handoff::interfaces::snake_case(key).replace("._", "."),
            Spelling::Camel => camel_case(key),
            Spelling::Eksctl => match key {
                "MetadataOptions" => "disableIMDSv1".to_owned(),
                key => camel_case(key),
            },
            Spelling::Karpenter => match key {
                "Placement" => "placementGroupSelector".to_owned(),
                key => camel_case(key),
            },
        };
        match self.base.as_str() {
            "" => key,
            base if base.ends_with('.') => format!("{base}{key}"),
            base => format!("{base}.{key}"),
        }
    }
}

fn camel_case(key: &str) -> String {
    let parts = key.split('.').map(|part| {
        let mut part = part.to_owned();
        if let Some(first) = part.get_mut(..1) {
            first.make_ascii_lowercase();
        }
        part
    });
    parts.collect::<Vec<_>>().join(".")
}

/// A volume, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Volume {
    pub(super) path: String,
    pub(super) encrypted: Said<bool>,
}

/// Several subnets or zones that a launch may be in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Places {
    pub(super) path: String,
    pub(super) what: String,
}

/// What is read of launch data, in EC2's words.
const PLACES: &[Place] = &[
    ("BlockDeviceMappings", Shape::Mappings),
    ("BlockDeviceMappings/*/Ebs", Shape::Mapping),
    ("BlockDeviceMappings/*/Ebs/Encrypted", Shape::Flag),
    ("CapacityReservationSpecification", Shape::Mapping),
    (
        "CapacityReservationSpecification/CapacityReservationPreference",
        Shape::Word,
    ),
    (
        "CapacityReservationSpecification/CapacityReservationTarget",
        Shape::Mapping,
    ),
    ("InstanceMarketOptions", Shape::Mapping),
    ("InstanceMarketOptions/MarketType", Shape::Word),
    ("MetadataOptions", Shape::Mapping),
    ("MetadataOptions/HttpEndpoint", Shape::Word),
    ("MetadataOptions/HttpTokens", Shape::Word),
    ("Placement", Shape::Mapping),
    ("Placement/GroupId", Shape::Name),
    ("Placement/GroupName", Shape::Name),
    ("PlacementGroupName", Shape::Name),
    ("PrivateDnsNameOptions", Shape::Mapping),
    ("PrivateDnsNameOptions/HostnameType", Shape::Word),
];

/// What is read of an interface with_interfacess its slot and type.
const INTERFACE_PLACES: &[Place] = &[
    ("AssociatePublicIpAddress", Shape::Flag),
    ("Groups", Shape::Names),
    ("SecurityGroups", Shape::Names),
    ("SubnetId", Shape::Name),
];

/// What a text gives for one launch, or of the launches from one template.
pub(super) struct Launch<'a> {
    pub(super) format: DocumentFormat,
    pub(super) at: At,
    /// What it was read from.
    pub(super) data: &'a Value,
    pub(super) types: Types,
    /// The entries, as they stand.
    pub(super) interfaces: Said<Vec<&'a Value>>,
    /// What EC2 takes on interfaces only, once there are some, and is given in addition to them.
    pub(super) with_interfaces: Vec<&'static str>,
    /// A placement group.
    pub(super) placement: Said<String>,
    /// The group's strategy, and where that stands.
    pub(super) strategy: Said<(String, String)>,
    /// Whether the capacity is a Capacity Block.
    pub(super) block: Said<bool>,
    /// Whether a reservation is named.
    pub(super) reservation: Said<bool>,
    /// Several subnets or zones.
    pub(super) places: Vec<Places>,
    /// An EKS managed node group that launches from it.
    pub(super) node_group: Option<String>,
    /// Whether the metadata service wants a token.
    pub(super) tokens_required: Said<bool>,
    pub(super) volumes: Vec<Volume>,
    /// Parameters that the format does not have.
    pub(super) unknown_parameters: Vec<String>,
    /// Whether nothing else states what is left out here.
    pub(super) whole: bool,
    /// Whether the launch is meant for EFA although nothing states this, such as a worker of a cluster.
    pub(super) wants_efa: bool,
    /// Writes a layout in the document's language.
    pub(super) corrected: Box<dyn Fn(&Layout) -> String + 'a>,
}

impl<'a> Launch<'a> {
    /// Reads launch data in EC2's words, whichever way they are spelt.
    pub(super) fn read(data: &'a Value, format: DocumentFormat, at: At) -> Self {
        let mut types = Types::default();
        match field(data, "InstanceType") {
            Some(kind) => types.add(kind),
            None => types.open = field(data, "InstanceRequirements").is_some(),
        }
        let with_interfaces = match at.spelling {
            Spelling::Snake => &["VpcSecurityGroupIds", "SecurityGroupNames", "SubnetId"][..],
            // ACK's, and Crossplane's.
            Spelling::Camel => &[
                "SecurityGroupIds",
                "SecurityGroupNames",
                "SecurityGroups",
                "SubnetId",
                "VpcSecurityGroupIds",
            ],
            _ => &["SecurityGroupIds", "SecurityGroups", "SubnetId"],
        };
        let interfaces = match field(data, "NetworkInterfaces") {
            None => Said::Not,
            // EC2's requests have no empty lists.
            Some(Value::Array(list)) if list.is_empty() => Said::Not,
            Some(Value::Array(list)) => Said::Is(list.iter().collect()),
            Some(one) if is_unknown(one) => Said::Unknown,
            Some(one) => Said::Is(vec![one]),
        };
        let given = |key: &&'static str| field(data, key).is_some_and(|value| !is_empty(value));
        Self {
            format,
            data,
            types,
            with_interfaces: match interfaces {
                Said::Not => Vec::new(),
                _ => with_interfaces
                    .iter()
                    .copied()
                    .filter(|key| given(key))
                    .collect(),
            },
            interfaces,
            placement: placement(data),
            strategy: Said::Not,
            block: is_block(data),
            reservation: names_reservation(data),
            places: Vec::new(),
            node_group: None,
            tokens_required: tokens(data),
            volumes: volumes(data, &at),
            unknown_parameters: Vec::new(),
            whole: false,
            wants_efa: false,
            corrected: Box::new(|_| String::new()),
            at,
        }
    }
}

impl Launch<'_> {
    /// Names what has another shape than launch data has.
    pub(super) fn check_shapes(&self, found: &mut Findings) {
        let base = self.at.base.trim_end_matches('.');
        self.check_shape(self.data, base, PLACES, found);
        let Said::Is(list) = &self.interfaces else {
            return;
        };
        let list_path = self.at.path("NetworkInterfaces");
        for (number, entry) in list.iter().enumerate() {
            // Another value than a mapping is an error of its own.
            if entry.is_object() {
                let path = format!("{list_path}.{number}");
                self.check_shape(entry, &path, INTERFACE_PLACES, found);
            }
        }
    }

    fn check_shape(&self, value: &Value, path: &str, places: &[Place], found: &mut Findings) {
        let object = shape::Object {
            name: self.at.base.trim_end_matches('.'),
            path,
            value,
            // Crossplane has Terraform's lists of one.
            blocks: matches!(self.at.spelling, Spelling::Snake | Spelling::Camel),
        };
        object.check_shapes(places, found);
    }
}

fn placement(data: &Value) -> Said<String> {
    let placement = field(data, "Placement").map(block);
    let group = placement.and_then(|p| field(p, "GroupName").or_else(|| field(p, "GroupId")));
    let group = group.filter(|group| !is_empty(group));
    match group {
        Some(_) => Said::Is("Placement".to_owned()),
        None if field(data, "PlacementGroupName").is_some() => {
            Said::Is("PlacementGroupName".to_owned())
        }
        None if placement.is_some_and(is_unknown) => Said::Unknown,
        None => Said::Not,
    }
}

fn is_block(data: &Value) -> Said<bool> {
    let Some(options) = field(data, "InstanceMarketOptions").map(block) else {
        return Said::Not;
    };
    match field(options, "MarketType") {
        Some(kind) if kind == "capacity-block" => Said::Is(true),
        Some(kind) if is_unknown(kind) => Said::Unknown,
        None if is_unknown(options) => Said::Unknown,
        _ => Said::Is(false),
    }
}

fn names_reservation(data: &Value) -> Said<bool> {
    let Some(specification) = field(data, "CapacityReservationSpecification").map(block) else {
        return Said::Not;
    };
    match field(specification, "CapacityReservationTarget").map(block) {
        Some(target) if is_unknown(target) => Said::Unknown,
        Some(_) => Said::Is(true),
        None if is_unknown(specification) => Said::Unknown,
        None => Said::Is(false),
    }
}

fn tokens(data: &Value) -> Said<bool> {
    let Some(options) = field(data, "MetadataOptions").map(block) else {
        return Said::Not;
    };
    let endpoint = field(options, "HttpEndpoint");
    match field(options, "HttpTokens") {
        // Nothing answers.
        _ if endpoint.is_some_and(|endpoint| endpoint == "disabled") => Said::Is(true),
        Some(tokens) if is_unknown(tokens) => Said::Unknown,
        Some(tokens) => Said::Is(tokens == "required"),
        None if is_unknown(options) => Said::Unknown,
        None => Said::Not,
    }
}

fn volumes(data: &Value, at: &At) -> Vec<Volume> {
    let mappings = match field(data, "BlockDeviceMappings") {
        Some(Value::Array(list)) => list.iter().collect(),
        Some(one) if one.is_object() && !is_unknown(one) => vec![one],
        _ => Vec::new(),
    };
    let numbered = mappings.into_iter().enumerate();
    numbered
        .filter_map(|(number, mapping)| {
            // Without Ebs it is an instance store, or suppresses one.
            let ebs = block(field(mapping, "Ebs")?);
            let encrypted = match field(ebs, "Encrypted") {
                None if is_unknown(ebs) => Said::Unknown,
                None => Said::Not,
                Some(Value::Bool(value)) => Said::Is(*value),
                Some(Value::String(text)) if !is_unknown_text(text) => Said::Is(text == "true"),
                Some(_) => Said::Unknown,
            };
            let path = at.path(&format!("BlockDeviceMappings.{number}.Ebs"));
            Some(Volume { path, encrypted })
        })
        .collect()
}

/// What Terraform has in a list of one block.
pub(super) fn block(value: &Value) -> &Value {
    match value {
        Value::Array(list) if list.len() == 1 => &list[0],
        other => other,
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(list) => list.is_empty(),
        Value::String(text) => text.is_empty(),
        _ => false,
    }
}
