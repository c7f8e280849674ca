//! The parts of a specification where the caller chooses one of several ways.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::selector::Selector;
use crate::error::{Error, Result};
use crate::tags;
use crate::text::{did_you_mean, named_by_arn};
use crate::types::ResourceKind;

/// A security group to use, or one to make.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum SecurityGroupChoice {
    /// Make one that allows all traffic from and to itself, and nothing else in.
    #[default]
    Make,
    /// Use this one; it must have the self rules already.
    Use(Selector),
    /// Use this one, and add the self rules that it lacks. It is never deleted.
    Adopt(Selector),
}

impl SecurityGroupChoice {
    /// Returns the choice for a group to use (an id, `key=value` or a name), or to adopt.
    ///
    /// # Errors
    /// `plan.invalid_spec` for a malformed text, or nothing to adopt.
    pub fn parse(group: Option<&str>, adopt: bool) -> Result<Self> {
        match (group, adopt) {
            (None, false) => Ok(Self::Make),
            (None, true) => Err(Error::invalid_spec(
                "adopt_security_group",
                "true",
                "false without a security_group",
                "name the group to adopt",
            )),
            (Some(group), false) => Ok(Self::Use(Selector::security_group(group)?)),
            (Some(group), true) => Ok(Self::Adopt(Selector::security_group(group)?)),
        }
    }
}

/// A cluster placement group to use, one to make, or none.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum PlacementGroupChoice {
    /// Make one with strategy `cluster`, where the capacity allows one: a Capacity Block places
    /// its instances itself, and a reservation's own group is used.
    #[default]
    Make,
    /// Use this one, by name, or by id (`pg-…`) as a group that another account shares; its
    /// strategy must be `cluster`.
    Use(String),
    /// Launch without: for types that cannot be in one.
    None,
}

impl PlacementGroupChoice {
    /// Returns the choice for `cluster` or `none`, and the name of a group to use.
    ///
    /// # Errors
    /// `plan.invalid_spec` for another word, or a name with `none`.
    pub fn parse(placement: &str, group_name: Option<String>) -> Result<Self> {
        match (placement, group_name) {
            ("cluster", None) => Ok(Self::Make),
            ("cluster", Some(name)) => Ok(Self::Use(name)),
            ("none", None) => Ok(Self::None),
            ("none", Some(name)) => Err(Error::invalid_spec(
                "placement_group_name",
                name,
                "left out when placement is none",
                "leave one of the two out",
            )),
            (other, _) => Err(Error::invalid_spec(
                "placement",
                other,
                "cluster or none",
                "choose one of them",
            )),
        }
    }
}

/// The source of the capacity.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Capacity {
    /// EC2's default: on demand, or in an open reservation that matches, placement group included.
    #[default]
    OnDemand,
    /// Spot, at most at the on-demand price; EC2 can take the instances back.
    Spot,
    /// As on demand, and without a new placement group, so that an open reservation that was made
    /// outside of one matches.
    Open,
    /// This capacity reservation or Capacity Block (`cr-…`): EC2 reports which of the two it is.
    Reservation(String),
    /// These capacity reservations or Capacity Blocks, with this many instances in each: one launch
    /// for each, since a reservation holds what it holds.
    Reservations(Vec<ReservedPart>),
    /// Any on-demand reservation of this resource group (its ARN), and nothing outside of it.
    ReservationGroup(String),
}

/// The number of a cluster's instances that go into one reservation.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ReservedPart {
    /// `cr-…`
    pub capacity_reservation_id: String,
    /// How many.
    pub count: u32,
}

impl Capacity {
    /// Returns the reservations that it names, with how many of `count` instances go into each.
    #[must_use]
    pub fn reserved(&self, count: u32) -> Vec<(&str, u32)> {
        match self {
            Self::Reservation(id) => vec![(id, count)],
            Self::Reservations(parts) => parts
                .iter()
                .map(|part| (part.capacity_reservation_id.as_str(), part.count))
                .collect(),
            _ => Vec::new(),
        }
    }

    /// Returns whether the instances run in reserved capacity only.
    #[must_use]
    pub fn is_reserved(&self) -> bool {
        matches!(
            self,
            Self::Reservation(_) | Self::Reservations(_) | Self::ReservationGroup(_)
        )
    }

    /// Several reservations take the whole cluster, each once.
    pub(super) fn check(&self, count: u32, minimum: Option<u32>) -> Result<()> {
        let refused =
            |limit: String, cure: &str| Err(Error::invalid_spec("capacity", self, limit, cure));
        if self.to_string().len() > tags::VALUE_LIMIT {
            return refused(
                format!("{} characters, which go into a tag", tags::VALUE_LIMIT),
                "launch a larger cluster in several parts",
            );
        }
        let Self::Reservations(parts) = self else {
            return Ok(());
        };
        let mut ids: Vec<&String> = parts.iter().map(|p| &p.capacity_reservation_id).collect();
        ids.sort();
        let known = ids.len();
        ids.dedup();
        if ids.len() < known || parts.iter().any(|part| part.count == 0) {
            return refused(
                "each reservation once, with 1 instance or more".to_owned(),
                "name each once, and leave out what takes no instance",
            );
        }
        let total: u64 = parts.iter().map(|part| u64::from(part.count)).sum();
        if total != u64::from(count) {
            return refused(
                format!("count ({count}) instances in all"),
                "let the counts of the reservations add up to count",
            );
        }
        if minimum.is_some_and(|minimum| minimum < count) {
            return Err(Error::invalid_spec(
                "minimum_count",
                minimum.unwrap_or_default(),
                format_args!("left out with capacity {self}"),
                "leave it out: each reservation takes all of its part or nothing",
            ));
        }
        Ok(())
    }
}

/// The ARN of a resource group. Origin: AWS Resource Groups user guide, "Resource types".
fn is_group_arn(text: &str) -> bool {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let [arn, partition, service, region, account, group] = parts[..] else {
        return false;
    };
    let plain = |text: &str, others: &[u8]| {
        let fits = |b: u8| b.is_ascii_alphanumeric() || others.contains(&b);
        !text.is_empty() && text.bytes().all(fits)
    };
    let name = group.strip_prefix("group/");
    arn == "arn"
        && partition.starts_with("aws")
        && service == "resource-groups"
        && plain(region, b"-")
        && account.len() == 12
        && account.bytes().all(|b| b.is_ascii_digit())
        && name.is_some_and(|name| plain(name, b"-_./"))
}

/// Reads `cr-…:8`.
fn reserved_part(text: &str) -> Option<ReservedPart> {
    let (id, count) = text.trim().split_once(':')?;
    let part = ReservedPart {
        capacity_reservation_id: id.to_owned(),
        count: count.parse().ok()?,
    };
    ResourceKind::CapacityReservation.is_id(id).then_some(part)
}

impl FromStr for Capacity {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "on-demand" => Ok(Self::OnDemand),
            "spot" => Ok(Self::Spot),
            "open" => Ok(Self::Open),
            text if ResourceKind::CapacityReservation.is_id(text) => {
                Ok(Self::Reservation(text.to_owned()))
            }
            text if is_group_arn(text) => Ok(Self::ReservationGroup(text.to_owned())),
            other => {
                let parts: Option<Vec<_>> = other.split(',').map(reserved_part).collect();
                parts.map(Self::Reservations).ok_or_else(|| {
                    let choices = ["on-demand", "spot", "open"];
                    let cure = match named_by_arn(other) {
                        Some(id) if ResourceKind::CapacityReservation.is_id(id) => {
                            format!("give {id}, which the ARN ends with")
                        }
                        _ => did_you_mean(other, choices, "choose one of them"),
                    };
                    Error::invalid_spec(
                        "capacity",
                        other,
                        "on-demand, spot, open, the id of a reservation or Capacity Block (cr-…), \
                         several with their counts (cr-…:8,cr-…:8), or the ARN of a resource group",
                        &cure,
                    )
                })
            }
        }
    }
}

impl fmt::Display for Capacity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OnDemand => "on-demand",
            Self::Spot => "spot",
            Self::Open => "open",
            Self::Reservation(id) => id,
            Self::ReservationGroup(arn) => arn,
            Self::Reservations(parts) => {
                let text = |part: &ReservedPart| {
                    format!("{}:{}", part.capacity_reservation_id, part.count)
                };
                return f.write_str(&parts.iter().map(text).collect::<Vec<_>>().join(","));
            }
        })
    }
}

/// The IAM instance profile of the instances.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum InstanceProfileChoice {
    /// None: the instances cannot call AWS, and SSM does not reach them.
    #[default]
    None,
    /// This one, by name.
    Use(String),
    /// Make one with a role that can do no more than this.
    Make(InstanceRole),
}

/// The permissions of the role that efa-sdk makes for instances, besides being managed by SSM.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct InstanceRole {
    /// Read the objects of this S3 bucket.
    pub scripts_bucket: Option<String>,
    /// Write SSM session logs to CloudWatch Logs.
    pub cloudwatch_logs: bool,
    /// The ARN of the policy that bounds the role, whatever policies it has: of the account, or
    /// one of AWS's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permissions_boundary: Option<String>,
}

impl InstanceRole {
    pub(super) fn check(&self) -> Result<()> {
        if let Some(bucket) = &self.scripts_bucket {
            // S3's characters of a bucket.
            let well_formed = (3..=63).contains(&bucket.len())
                && bucket
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b));
            if !well_formed {
                return Err(malformed_name("scripts_bucket", bucket));
            }
        }
        match &self.permissions_boundary {
            Some(arn) if !is_policy_arn(arn) => Err(Error::invalid_spec(
                "permissions_boundary",
                arn,
                "the ARN of a managed policy: arn:aws:iam::ACCOUNT:policy/NAME",
                "give the ARN, as `aws iam list-policies` shows it",
            )),
            _ => Ok(()),
        }
    }
}

pub(super) fn malformed_name(field: &'static str, value: &str) -> Error {
    Error::invalid_spec(
        field,
        value,
        "a name with the characters that AWS allows there",
        "give the name alone, not an ARN or a URL",
    )
}

/// Origin: IAM user guide, "IAM identifiers"; AWS's own policies have `aws` for the account.
fn is_policy_arn(text: &str) -> bool {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let [arn, partition, service, region, account, policy] = parts[..] else {
        return false;
    };
    let digits = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
    let named = policy.strip_prefix("policy/").is_some_and(|name| {
        !name.is_empty()
            && !name.ends_with('/')
            && name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"/+=,.@_-".contains(&b))
    });
    (arn, service, region) == ("arn", "iam", "")
        && partition.starts_with("aws")
        && (digits || account == "aws")
        && named
}

/// The machine image: an id, or where to find the newest.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ImageChoice {
    /// `ami-…`
    Id(String),
    /// The newest Amazon Linux 2023 of the type's architecture, by AWS's public SSM parameter.
    AmazonLinux2023,
    /// The newest base Deep Learning AMI with NVIDIA drivers and EFA, on this system.
    DeepLearning(DeepLearningSystem),
    /// The image whose id this SSM parameter holds.
    Parameter(String),
    /// The launch template's.
    LaunchTemplate,
    /// The newest image of this owner whose name matches the pattern.
    Newest {
        /// An account's 12 digits, `amazon` or `self`. A name alone is anyone's to use.
        owner: String,
        /// EC2's name pattern, with `*` and `?`.
        name: String,
    },
}

/// The systems that AWS builds base Deep Learning AMIs for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum DeepLearningSystem {
    /// Amazon Linux 2023.
    AmazonLinux2023,
    /// Ubuntu 22.04.
    Ubuntu2204,
    /// Ubuntu 24.04.
    Ubuntu2404,
}

impl DeepLearningSystem {
    /// How AWS's SSM parameters spell it.
    pub(crate) const fn parameter_part(self) -> &'static str {
        match self {
            Self::AmazonLinux2023 => "amazon-linux-2023",
            Self::Ubuntu2204 => "ubuntu-22.04",
            Self::Ubuntu2404 => "ubuntu-24.04",
        }
    }
}

/// The words for images.
const IMAGES: [&str; 4] = [
    "al2023",
    "dlami-al2023",
    "dlami-ubuntu-22.04",
    "dlami-ubuntu-24.04",
];

impl FromStr for ImageChoice {
    type Err = Error;

    /// Reads `ami-…`, `al2023`, `dlami-al2023`, `dlami-ubuntu-22.04`, `dlami-ubuntu-24.04`,
    /// `ssm:/parameter`, or `owner/name pattern`.
    fn from_str(text: &str) -> Result<Self> {
        let choice = match text {
            "al2023" => Self::AmazonLinux2023,
            "launch-template" => Self::LaunchTemplate,
            "dlami-al2023" => Self::DeepLearning(DeepLearningSystem::AmazonLinux2023),
            "dlami-ubuntu-22.04" => Self::DeepLearning(DeepLearningSystem::Ubuntu2204),
            "dlami-ubuntu-24.04" => Self::DeepLearning(DeepLearningSystem::Ubuntu2404),
            text => match (text.strip_prefix("ssm:"), text.split_once('/')) {
                (Some(parameter), _) => Self::Parameter(parameter.to_owned()),
                (None, Some((owner, name))) => Self::Newest {
                    owner: owner.to_owned(),
                    name: name.to_owned(),
                },
                (None, None) => Self::Id(text.to_owned()),
            },
        };
        choice.check()?;
        Ok(choice)
    }
}

impl ImageChoice {
    pub(super) fn check(&self) -> Result<()> {
        let well_formed = match self {
            Self::Id(id) => ResourceKind::Image.is_id(id),
            Self::AmazonLinux2023 | Self::DeepLearning(_) | Self::LaunchTemplate => true,
            Self::Parameter(name) => name.starts_with('/') && name.len() > 1,
            Self::Newest { owner, name } => {
                let account = owner.len() == 12 && owner.bytes().all(|b| b.is_ascii_digit());
                (account || owner == "amazon" || owner == "self") && !name.is_empty()
            }
        };
        if well_formed {
            return Ok(());
        }
        let image = self.to_string();
        let or = "give one of these: an image is never chosen by its name alone";
        let cure = match named_by_arn(&image) {
            Some(id) => format!("give {id}, which the ARN ends with"),
            None if ResourceKind::Image.is_id(&image.to_lowercase()) => {
                format!("did you mean {}?", image.to_lowercase())
            }
            None => did_you_mean(&image, IMAGES, or),
        };
        Err(Error::invalid_spec(
            "image",
            image,
            "ami-… with 8 or 17 hexadecimal digits, al2023, dlami-al2023, dlami-ubuntu-22.04, dlami-ubuntu-24.04, ssm:/parameter, \
             or owner/name with an account, amazon or self as owner",
            &cure,
        ))
    }
}

impl fmt::Display for ImageChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => f.write_str(id),
            Self::AmazonLinux2023 => f.write_str("al2023"),
            Self::LaunchTemplate => f.write_str("launch-template"),
            Self::DeepLearning(DeepLearningSystem::AmazonLinux2023) => f.write_str("dlami-al2023"),
            Self::DeepLearning(system) => write!(f, "dlami-{}", system.parameter_part()),
            Self::Parameter(name) => write!(f, "ssm:{name}"),
            Self::Newest { owner, name } => write!(f, "{owner}/{name}"),
        }
    }
}
