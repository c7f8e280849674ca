//! Values that have one meaning everywhere: card and device indices, bandwidth, and EC2's
//! own enumerations. They are made at the edge, so that nothing behind it checks them again.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::hash::{Hash, Hasher};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

mod resource_kind;

pub use resource_kind::ResourceKind;

/// Tags as EC2 has them: unique keys, in order of key.
pub type Tags = BTreeMap<String, String>;

/// EC2's limit on user data before encoding, in bytes.
pub(crate) const USER_DATA_LIMIT_BYTES: usize = 16_384;

/// An enumeration of EC2 that may grow: known values are variants, unknown ones survive as
/// `Other`, and serde, `Display` and `as_str` speak EC2's spelling.
macro_rules! open_string_enum {
    (
        $(#[$meta:meta])*
        pub enum $name:ident {
            $($(#[$variant_meta:meta])* $variant:ident = $text:literal,)+
        }
    ) => {
        $(#[$meta])*
        #[derive(
            Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
        )]
        #[serde(from = "String", into = "String")]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$variant_meta])* $variant,)+
            /// A value that this version does not know, as EC2 spells it.
            Other(String),
        }

        impl $name {
            /// Returns the value in EC2's spelling.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $text,)+
                    Self::Other(text) => text,
                }
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                match text {
                    $($text => Self::$variant,)+
                    other => Self::Other(other.to_owned()),
                }
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self::from(text.as_str())
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.as_str().to_owned()
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}
pub(crate) use open_string_enum;

/// The name of a cluster, which becomes part of the names of what is made: 1 to 63 letters, digits
/// and hyphens, starting with a letter.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClusterName(String);

impl ClusterName {
    /// Creates the name of this spelling.
    ///
    /// # Errors
    /// `plan.invalid_spec` for any other character, or too many of them.
    pub fn new(name: &str) -> Result<Self> {
        let well_formed = name.len() <= 63
            && name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        if well_formed {
            return Ok(Self(name.to_owned()));
        }
        Err(Error::invalid_spec(
            "name",
            name,
            "1 to 63 letters, digits and hyphens, starting with a letter",
            "choose a name such as train-1",
        ))
    }

    /// Returns the name's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ClusterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

macro_rules! index {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(
            Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(u32);

        impl $name {
            /// Creates the index with this number, counted from 0.
            #[must_use]
            pub const fn new(index: u32) -> Self {
                Self(index)
            }

            /// Returns the number.
            #[must_use]
            pub const fn get(self) -> u32 {
                self.0
            }
        }

        impl From<u32> for $name {
            fn from(index: u32) -> Self {
                Self(index)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

index! {
    /// EC2's `NetworkCardIndex`: a network card of an instance, counted from 0.
    CardIndex
}

index! {
    /// EC2's `DeviceIndex`: a slot of one network card, counted from 0 on each card.
    DeviceIndex
}

/// A bandwidth in gigabit per second (10⁹ bit/s): finite and not negative.
///
/// ```
/// use efa_core::types::Gbps;
///
/// assert_eq!(Gbps::new(3200.0).map(|g| g.to_string()).as_deref(), Some("3200"));
/// assert_eq!(Gbps::new(-1.0), None);
/// assert_eq!(Gbps::from_network_performance("4x 100 Gigabit"), Gbps::new(400.0));
/// ```
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Gbps(f64);

impl Gbps {
    /// Creates the bandwidth with this number; `None` if it is negative, infinite or not a number.
    #[must_use]
    pub fn new(gbps: f64) -> Option<Self> {
        // Adding 0.0 turns -0.0 into 0.0, so that equal values hash equally.
        (gbps.is_finite() && gbps >= 0.0).then_some(Self(gbps + 0.0))
    }

    /// Reads EC2's `NetworkPerformance` text: `100 Gigabit`, `Up to 56.25 Gigabit` (the peak),
    /// `4x 100 Gigabit` (the product). `None` for texts without a number, such as `High`.
    #[must_use]
    pub fn from_network_performance(text: &str) -> Option<Self> {
        let text = text.strip_suffix("Gigabit")?.trim();
        let text = text.strip_prefix("Up to").unwrap_or(text).trim();
        let (factor, each) = text.split_once('x').unwrap_or(("1", text));
        let factor: u32 = factor.trim().parse().ok()?;
        let each: f64 = each.trim().parse().ok()?;
        Self::new(f64::from(factor) * each)
    }

    /// Returns the number, in gigabit per second.
    #[must_use]
    pub const fn get(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for Gbps {
    type Error = &'static str;

    fn try_from(gbps: f64) -> Result<Self, Self::Error> {
        Self::new(gbps).ok_or("a bandwidth must be finite and not negative")
    }
}

impl From<Gbps> for f64 {
    fn from(gbps: Gbps) -> Self {
        gbps.0
    }
}

impl PartialEq for Gbps {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Gbps {}

impl PartialOrd for Gbps {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Gbps {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl Hash for Gbps {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.to_bits().hash(state);
    }
}

impl fmt::Display for Gbps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

open_string_enum! {
    /// EC2's `InterfaceType` of a network interface: the ones that instances are launched with.
    ///
    /// ```
    /// use efa_core::types::InterfaceType;
    ///
    /// assert_eq!(InterfaceType::from("efa-only"), InterfaceType::EfaOnly);
    /// assert!(InterfaceType::Efa.is_efa() && InterfaceType::Efa.carries_ip());
    /// assert_eq!(InterfaceType::from("branch").as_str(), "branch");
    /// ```
    pub enum InterfaceType {
        /// An ENA interface, without EFA.
        Interface = "interface",
        /// EFA with ENA: one interface that carries IP and EFA traffic.
        Efa = "efa",
        /// EFA without ENA: no IP address.
        EfaOnly = "efa-only",
        /// An interface of a secondary network.
        Secondary = "secondary",
    }
}

impl InterfaceType {
    /// Returns whether it is an EFA: `efa` or `efa-only`.
    #[must_use]
    pub const fn is_efa(&self) -> bool {
        matches!(self, Self::Efa | Self::EfaOnly)
    }

    /// Returns whether it has an IP address in the subnet: `interface` or `efa`.
    #[must_use]
    pub const fn carries_ip(&self) -> bool {
        matches!(self, Self::Interface | Self::Efa)
    }
}

open_string_enum! {
    /// A processor architecture, in EC2's spelling.
    pub enum Architecture {
        /// 64-bit x86.
        X86_64 = "x86_64",
        /// 64-bit Arm.
        Arm64 = "arm64",
    }
}

open_string_enum! {
    /// A strategy of placement groups.
    pub enum PlacementStrategy {
        /// Instances close together: what EFA wants.
        Cluster = "cluster",
        /// Instances in partitions that share no hardware.
        Partition = "partition",
        /// Each instance on its own hardware.
        Spread = "spread",
    }
}

open_string_enum! {
    /// A way to buy an instance.
    pub enum UsageClass {
        /// Per second, no commitment.
        OnDemand = "on-demand",
        /// Spare capacity that EC2 may take back.
        Spot = "spot",
        /// Capacity Blocks for ML: reserved ahead, for a fixed time.
        CapacityBlock = "capacity-block",
    }
}

/// The support of an RDMA operation by the EFA of a type. EC2's API does not report it; see
/// [`InstanceType::rdma_read`](crate::InstanceType::rdma_read) for the origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RdmaSupport {
    /// It can.
    Yes,
    /// It cannot.
    No,
    /// The family is in no list that this version carries.
    Unknown,
}

impl RdmaSupport {
    /// Returns `yes`, `no` or `unknown`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::No => "no",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for RdmaSupport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_performance_texts() {
        for (text, gbps) in [
            ("100 Gigabit", Some(100.0)),
            ("3200 Gigabit", Some(3200.0)),
            ("4x 100 Gigabit", Some(400.0)),
            ("16x 200 Gigabit", Some(3200.0)),
            ("133.33 Gigabit", Some(133.33)),
            ("Up to 56.25 Gigabit", Some(56.25)),
            ("37.5 Gigabit", Some(37.5)),
            ("High", None),
            ("Low to Moderate", None),
            ("x Gigabit", None),
            ("-1 Gigabit", None),
            ("inf Gigabit", None),
            ("", None),
        ] {
            assert_eq!(
                Gbps::from_network_performance(text).map(Gbps::get),
                gbps,
                "{text}"
            );
        }
    }

    #[test]
    fn gbps_is_ordered_hashed_and_checked() {
        assert_eq!(Gbps::new(-0.0), Gbps::new(0.0));
        assert_eq!(Gbps::new(f64::NAN), None);
        assert!(Gbps::new(1.5) < Gbps::new(2.0));
        assert_eq!(
            serde_json::from_str::<Gbps>("12.5").unwrap().to_string(),
            "12.5"
        );
        assert!(serde_json::from_str::<Gbps>("-1").is_err());
    }

    #[test]
    fn unknown_values_survive() {
        let json = r#"["interface","efa","efa-only","secondary","evs"]"#;
        let types: Vec<InterfaceType> = serde_json::from_str(json).unwrap();
        assert_eq!(types[3], InterfaceType::Secondary);
        assert_eq!(types[4], InterfaceType::Other("evs".to_owned()));
        assert_eq!(serde_json::to_string(&types).unwrap(), json);
        assert_eq!(
            PlacementStrategy::from("precision-time").as_str(),
            "precision-time"
        );
        assert_eq!(format!("{:>8}|", UsageClass::Spot), "    spot|");
    }

    #[test]
    fn indices_are_transparent() {
        assert_eq!(serde_json::to_string(&CardIndex::new(31)).unwrap(), "31");
        assert_eq!(
            serde_json::from_str::<DeviceIndex>("1").unwrap(),
            DeviceIndex::new(1)
        );
        assert!(serde_json::from_str::<CardIndex>("-1").is_err());
    }
}
