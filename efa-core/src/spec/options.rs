//! Checks of what a specification sets beyond EC2's defaults: groups, tags, tenancy, threads, spot
//! price and metadata.

use serde::{Deserialize, Serialize};

use super::choices::Capacity;
use super::selector::{self, Selector};
use crate::ec2::Tags;
use crate::error::{Error, Result};
use crate::tags;

/// EC2's limit on tags per resource; those that this crate sets are taken off it.
const TAG_LIMIT: usize = 50;

/// Security groups on one interface: 5 unless the quota is raised, which ends at this. Origin: VPC
/// user guide, "Amazon VPC quotas".
const GROUP_LIMIT: usize = 16;

/// On which hardware the instances run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Tenancy {
    /// Shared with other accounts.
    Default,
    /// This account's alone.
    Dedicated,
}

impl Tenancy {
    /// Returns EC2's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Dedicated => "dedicated",
        }
    }
}

impl std::str::FromStr for Tenancy {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "default" => Ok(Self::Default),
            "dedicated" => Ok(Self::Dedicated),
            other => Err(Error::invalid_spec(
                "tenancy",
                other,
                "default or dedicated",
                "choose one of them: a cluster is not launched on named hosts",
            )),
        }
    }
}

/// The names of instances in private DNS, and their host names. Origin: EC2 user guide,
/// "EC2 instance hostnames and domains".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum HostNames {
    /// By the private IPv4 address, such as `ip-10-0-0-7`.
    IpName,
    /// By the instance id, such as `i-0123456789abcdef0`, with an A record of it.
    ResourceName,
}

impl HostNames {
    /// Returns EC2's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::IpName => "ip-name",
            Self::ResourceName => "resource-name",
        }
    }
}

impl std::str::FromStr for HostNames {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "ip-name" => Ok(Self::IpName),
            "resource-name" => Ok(Self::ResourceName),
            other => Err(Error::invalid_spec(
                "host_names",
                other,
                "ip-name or resource-name",
                "choose one of them, or leave it out for the subnet's default",
            )),
        }
    }
}

/// Checks the groups besides the cluster's own.
pub(super) fn check_groups(further: &[Selector], ena: &[Selector]) -> Result<()> {
    for group in further {
        group.check(selector::FURTHER_SECURITY_GROUPS)?;
    }
    for group in ena {
        group.check(selector::ENA_SECURITY_GROUPS)?;
    }
    let groups = 1 + further.len() + ena.len();
    if groups > GROUP_LIMIT {
        return Err(Error::invalid_spec(
            selector::FURTHER_SECURITY_GROUPS.field,
            format_args!("{groups} groups on an interface"),
            format_args!("at most {GROUP_LIMIT}"),
            "put the rules of several groups into one",
        ));
    }
    Ok(())
}

/// Checks the number of threads per core, without knowing the type.
pub(super) fn check_threads(threads_per_core: Option<u32>) -> Result<()> {
    match threads_per_core {
        None | Some(1 | 2) => Ok(()),
        Some(threads) => Err(Error::invalid_spec(
            "threads_per_core",
            threads,
            "1 or 2",
            "leave it out for the instance type's default",
        )),
    }
}

/// Origin: EC2 API reference, InstanceMetadataOptionsRequest.
pub(super) fn check_hop_limit(hops: Option<u32>) -> Result<()> {
    match hops {
        None | Some(1..=64) => Ok(()),
        Some(hops) => Err(Error::invalid_spec(
            "metadata_hop_limit",
            hops,
            "1 to 64",
            "leave it out for 2, which containers need",
        )),
    }
}

/// Origin: EC2 API reference, SpotOptions: more than USD 0.001.
pub(super) fn check_spot_price(price: Option<&str>, capacity: &Capacity) -> Result<()> {
    let Some(price) = price else {
        return Ok(());
    };
    if *capacity != Capacity::Spot {
        return Err(Error::invalid_spec(
            "spot_maximum_price",
            price,
            format_args!("left out with capacity {capacity}"),
            "leave it out, or ask for spot",
        ));
    }
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let (whole, fraction) = price.split_once('.').unwrap_or((price, "0"));
    let well_formed = digits(whole) && digits(fraction) && price.len() <= 16;
    if well_formed && price.parse::<f64>().is_ok_and(|dollars| dollars > 0.001) {
        return Ok(());
    }
    Err(Error::invalid_spec(
        "spot_maximum_price",
        price,
        "dollars per hour and instance above 0.001, such as 12.5",
        "leave it out for the on-demand price",
    ))
}

/// Checks the caller's tags, those of interfaces alone, and the `Name` tag.
pub(super) fn check_all_tags(
    tags: &Tags,
    of_interfaces: &Tags,
    name: Option<&str>,
    in_metadata: bool,
) -> Result<()> {
    let limit = TAG_LIMIT - tags::OURS.len();
    let count = tags.len() + of_interfaces.len();
    if count > limit {
        return Err(Error::invalid_spec(
            "tags",
            count,
            format_args!("at most {limit} besides the tags of efa-sdk"),
            "drop some",
        ));
    }
    check_tags("tags", tags)?;
    check_tags("interface_tags", of_interfaces)?;
    if let Some(name) = name
        && !(1..=tags::VALUE_LIMIT).contains(&name.chars().count())
    {
        return Err(Error::invalid_spec(
            "name_tag",
            name,
            format_args!("1 to {} characters", tags::VALUE_LIMIT),
            "leave it out for the cluster's name",
        ));
    }
    if in_metadata {
        check_keys_for_metadata(tags)?;
    }
    Ok(())
}

fn check_tags(field: &'static str, all: &Tags) -> Result<()> {
    for (key, value) in all {
        if key.is_empty() || key.chars().count() > 128 || value.chars().count() > tags::VALUE_LIMIT
        {
            return Err(Error::invalid_spec(
                field,
                key,
                "key of 1 to 128, value of 0 to 256 characters",
                "shorten it",
            ));
        }
        if key.starts_with("aws:") || key.starts_with(tags::PREFIX) || key == tags::NAME {
            return Err(Error::invalid_spec(
                field,
                key,
                "keys other than Name, aws:… and efa-sdk:…",
                "choose another key; name_tag sets the Name tag of the instances",
            ));
        }
    }
    Ok(())
}

/// Origin: EC2 user guide, "View tags for your EC2 instances using instance metadata".
fn check_keys_for_metadata(all: &Tags) -> Result<()> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"+-=.,_:@".contains(&b);
    let readable =
        |key: &String| key.bytes().all(plain) && !matches!(key.as_str(), "." | ".." | "_index");
    match all.keys().find(|key| !readable(key)) {
        None => Ok(()),
        Some(key) => Err(Error::invalid_spec(
            "metadata_tags",
            key,
            "keys of letters, digits and +-=.,_:@ where instances can read their tags",
            "rename the tag, or leave metadata_tags and expires_after out",
        )),
    }
}
