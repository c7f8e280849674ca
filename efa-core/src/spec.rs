//! What the caller asks for: a cluster of identical EFA instances.

use serde::{Deserialize, Serialize};

use crate::ec2::Tags;
use crate::error::{Code, Error, Result};
use crate::layout::{LayoutRequest, NetworkInterface, Profile, PublicIp};
use crate::tags;

/// EC2's limit on user data before encoding, in bytes.
pub(crate) const USER_DATA_LIMIT_BYTES: usize = 16_384;
/// EC2's limit on tags per resource; ours are taken off it.
const TAG_LIMIT: usize = 50;

/// A security group to use, or one to make.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum SecurityGroupChoice {
    /// Make one that allows all traffic from and to itself, and nothing else in.
    #[default]
    Make,
    /// Use this one, by id; it must have the self rules already.
    Use(String),
}

/// A cluster placement group to use, one to make, or none.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum PlacementGroupChoice {
    /// Make one with strategy `cluster`.
    #[default]
    Make,
    /// Use this one, by name; its strategy must be `cluster`.
    Use(String),
    /// Launch without: for types that cannot be in one.
    None,
}

/// A cluster of `count` identical instances in one subnet.
///
/// ```
/// use efa_core::{ClusterSpec, Profile};
///
/// let mut spec = ClusterSpec::new("train", "p5.48xlarge", 2, "subnet-0123", "ami-0123");
/// spec.profile = Profile::IpBandwidth;
/// spec.validate().unwrap();
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ClusterSpec {
    /// Name of the cluster: 1 to 63 letters, digits and hyphens, starting with a letter.
    pub name: String,
    /// The instance type's name.
    pub instance_type: String,
    /// How many instances, 1 to 1000.
    pub count: u32,
    /// The subnet of every interface, by id.
    pub subnet_id: String,
    /// The machine image, by id.
    pub image_id: String,
    /// The security group of every interface.
    #[serde(default)]
    pub security_group: SecurityGroupChoice,
    /// The cluster placement group.
    #[serde(default)]
    pub placement_group: PlacementGroupChoice,
    /// The layout profile; see [`Profile`].
    #[serde(default)]
    pub profile: Profile,
    /// How many EFA interfaces; all that the type has when absent.
    #[serde(default)]
    pub efa: Option<u32>,
    /// Whether and how the instances get a public address.
    #[serde(default)]
    pub public_ip: PublicIp,
    /// The caller's own interfaces instead of a profile's; they meet the same checks.
    #[serde(default)]
    pub interfaces: Option<Vec<NetworkInterface>>,
    /// Size of the root volume; the image's own when absent.
    #[serde(default)]
    pub volume_size_gib: Option<u32>,
    /// Name of an EC2 key pair. No SSH port is opened for it.
    #[serde(default)]
    pub key_name: Option<String>,
    /// Name of an IAM instance profile.
    #[serde(default)]
    pub iam_instance_profile: Option<String>,
    /// User data, not encoded, at most 16,384 bytes. Do not put secrets here.
    #[serde(default)]
    pub user_data: Option<String>,
    /// The caller's own tags, on everything that is made.
    #[serde(default)]
    pub tags: Tags,
}

impl PlacementGroupChoice {
    /// The choice for `cluster` or `none`, and the name of a group to use.
    ///
    /// # Errors
    /// `plan.invalid_spec` for another word, or a name beside `none`.
    pub fn parse(placement: &str, group_name: Option<String>) -> Result<Self> {
        match (placement, group_name) {
            ("cluster", None) => Ok(Self::Make),
            ("cluster", Some(name)) => Ok(Self::Use(name)),
            ("none", None) => Ok(Self::None),
            ("none", Some(name)) => Err(invalid(
                "placement_group_name",
                name,
                "left out when placement is none",
                "leave one of the two out",
            )),
            (other, _) => Err(invalid(
                "placement",
                other,
                "cluster or none",
                "choose one of them",
            )),
        }
    }
}

impl ClusterSpec {
    /// A specification with everything else at its default.
    pub fn new(
        name: impl Into<String>,
        instance_type: impl Into<String>,
        count: u32,
        subnet_id: impl Into<String>,
        image_id: impl Into<String>,
    ) -> Self {
        Self {
            name: name.into(),
            instance_type: instance_type.into(),
            count,
            subnet_id: subnet_id.into(),
            image_id: image_id.into(),
            security_group: SecurityGroupChoice::default(),
            placement_group: PlacementGroupChoice::default(),
            profile: Profile::default(),
            efa: None,
            public_ip: PublicIp::default(),
            interfaces: None,
            volume_size_gib: None,
            key_name: None,
            iam_instance_profile: None,
            user_data: None,
            tags: Tags::new(),
        }
    }

    /// The number of instances, from any number.
    ///
    /// # Errors
    /// `plan.invalid_spec` unless it is 1 to 1000.
    pub fn parse_count(count: i64) -> Result<u32> {
        match u32::try_from(count) {
            Ok(count @ 1..=1000) => Ok(count),
            _ => Err(invalid(
                "count",
                count,
                "1 to 1000",
                "launch a larger cluster in several parts",
            )),
        }
    }

    /// What the layout planner is asked for.
    #[must_use]
    pub fn layout_request(&self) -> LayoutRequest {
        LayoutRequest {
            profile: self.profile,
            efa: self.efa,
            public_ip: self.public_ip,
        }
    }

    /// Checks every value that needs no look at EC2.
    ///
    /// # Errors
    /// `plan.invalid_spec` with the field, the value, the limit and the cure.
    pub fn validate(&self) -> Result<()> {
        check_name(&self.name)?;
        Self::parse_count(i64::from(self.count))?;
        check_id("subnet_id", &self.subnet_id, "subnet-")?;
        check_id("image_id", &self.image_id, "ami-")?;
        if let SecurityGroupChoice::Use(id) = &self.security_group {
            check_id("security_group_id", id, "sg-")?;
        }
        if let PlacementGroupChoice::Use(name) = &self.placement_group
            && (name.is_empty() || name.contains(['*', '?', '\\']))
        {
            return Err(invalid(
                "placement_group_name",
                "",
                "a name",
                "name an existing group, or let one be made",
            ));
        }
        if self.interfaces.is_some() && (self.efa.is_some() || self.profile != Profile::default()) {
            return Err(invalid(
                "interfaces",
                "given beside profile or efa",
                "one of them",
                "leave profile and efa out when you give the interfaces yourself",
            ));
        }
        if let Some(interfaces) = &self.interfaces {
            let at_launch = interfaces
                .iter()
                .any(|interface| interface.associate_public_ip_address == Some(true));
            if self.public_ip == PublicIp::LoneEfa
                || (self.public_ip == PublicIp::ElasticIp && at_launch)
            {
                return Err(invalid(
                    "public_ip",
                    self.public_ip.as_str(),
                    "none or elastic-ip beside your own interfaces, and one of both ways",
                    "say associate_public_ip_address on your own interface, or ask for elastic-ip",
                ));
            }
        }
        if let Some(size) = self.volume_size_gib
            && !(1..=65_536).contains(&size)
        {
            return Err(invalid(
                "volume_size_gib",
                size,
                "1 to 65536 GiB (gp3)",
                "choose a size in that range",
            ));
        }
        if let Some(data) = &self.user_data
            && data.len() > USER_DATA_LIMIT_BYTES
        {
            return Err(invalid(
                "user_data",
                format_args!("{} bytes", data.len()),
                "16384 bytes before encoding",
                "put the script in S3 and fetch it from a short one",
            ));
        }
        self.validate_tags()
    }

    fn validate_tags(&self) -> Result<()> {
        let limit = TAG_LIMIT - tags::OURS.len();
        if self.tags.len() > limit {
            return Err(invalid(
                "tags",
                self.tags.len(),
                format_args!("{limit} beside our own"),
                "drop some",
            ));
        }
        for (key, value) in &self.tags {
            if key.is_empty() || key.chars().count() > 128 || value.chars().count() > 256 {
                return Err(invalid(
                    "tags",
                    key,
                    "key of 1 to 128, value of 0 to 256 characters",
                    "shorten it",
                ));
            }
            if key.starts_with("aws:") || key.starts_with(tags::PREFIX) || key == tags::NAME {
                return Err(invalid(
                    "tags",
                    key,
                    "keys other than Name, aws:… and efa-sdk:…",
                    "choose another key; the cluster's name becomes the Name tag",
                ));
            }
        }
        Ok(())
    }
}

/// Checks the name of a cluster, which becomes part of the names of what is made.
pub(crate) fn check_name(name: &str) -> Result<()> {
    let well_formed = name.len() <= 63
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    if well_formed {
        return Ok(());
    }
    Err(invalid(
        "name",
        name,
        "1 to 63 letters, digits and hyphens, starting with a letter",
        "choose a name such as train-1",
    ))
}

fn check_id(field: &'static str, value: &str, prefix: &str) -> Result<()> {
    // Ids go into filters, where EC2 has wildcards.
    let well_formed = |id: &str| {
        !id.is_empty()
            && id
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    };
    if value.strip_prefix(prefix).is_some_and(well_formed) {
        return Ok(());
    }
    Err(invalid(
        field,
        value,
        format_args!("an id that starts with {prefix}"),
        "give EC2's id, not a name or a pattern",
    ))
}

pub(crate) fn invalid(
    field: &'static str,
    value: impl std::fmt::Display,
    limit: impl std::fmt::Display,
    cure: &str,
) -> Error {
    Error::new(
        Code::PlanInvalidSpec,
        format!("{field} is '{value}', must be {limit}"),
    )
    .with_cure(cure)
    .with_context("field", field)
    .with_context("value", value)
    .with_context("limit", limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> ClusterSpec {
        ClusterSpec::new("train", "p5.48xlarge", 2, "subnet-1", "ami-1")
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
            ("subnet_id", |s| s.subnet_id = "my-subnet".into()),
            ("image_id", |s| s.image_id = "ami-".into()),
            ("image_id", |s| s.image_id = "ami-*".into()),
            ("subnet_id", |s| s.subnet_id = "subnet-0?".into()),
            ("public_ip", |s| {
                s.interfaces = Some(Vec::new());
                s.public_ip = PublicIp::LoneEfa;
            }),
            ("placement_group_name", |s| {
                s.placement_group = PlacementGroupChoice::Use("pg-*".into());
            }),
            ("security_group_id", |s| {
                s.security_group = SecurityGroupChoice::Use("default".into())
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
        assert!(spec().validate().is_ok());
        for (field, break_it) in cases {
            let mut broken = spec();
            break_it(&mut broken);
            let error = broken.validate().unwrap_err();
            assert_eq!(error.code(), Code::PlanInvalidSpec);
            assert_eq!(error.context_value("field"), Some(*field), "{error}");
            assert!(error.cure().is_some());
        }
    }

    #[test]
    fn a_specification_survives_serialisation_and_defaults_are_optional() {
        let json = r#"{"name":"train","instance_type":"p5.48xlarge","count":2,"subnet_id":"subnet-1","image_id":"ami-1"}"#;
        let read: ClusterSpec = serde_json::from_str(json).unwrap();
        assert_eq!(read, spec());
        let again: ClusterSpec =
            serde_json::from_str(&serde_json::to_string(&read).unwrap()).unwrap();
        assert_eq!(again, read);
    }
}
