//! What a caller asks the planner for.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Code, Error, Result};
use crate::text::did_you_mean;

/// The split of an instance's interfaces between EFA and IP traffic.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Profile {
    /// All EFAs, one IP address: AWS's current advice (EC2 User Guide, efa-acc-inst-types).
    /// ENA on network card 0, EFA-only on every card that takes one.
    #[default]
    SaveIps,
    /// As `SaveIps`, and an ENA interface on each further card that has room, for all the IP
    /// bandwidth that the type has. One IP address for each.
    IpBandwidth,
    /// EFA with ENA on every EFA card: AWS's earlier advice, still needed by AWS PCS and by
    /// Kubernetes network plugins that know no EFA-only interface. One IP address for each.
    Combined,
    /// EFA with ENA on network card 0, EFA-only on the others: the layout of many existing
    /// recipes.
    EfaOnlySecondary,
}

impl Profile {
    /// Every profile.
    pub const ALL: [Self; 4] = [
        Self::SaveIps,
        Self::IpBandwidth,
        Self::Combined,
        Self::EfaOnlySecondary,
    ];

    /// Returns the name, such as `save-ips`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SaveIps => "save-ips",
            Self::IpBandwidth => "ip-bandwidth",
            Self::Combined => "combined",
            Self::EfaOnlySecondary => "efa-only-secondary",
        }
    }
}

/// The way in which instances get a public IP address. EC2 assigns one at launch only to instances
/// that have exactly one network interface.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum PublicIp {
    /// None.
    #[default]
    None,
    /// One interface, EFA with ENA, with a public IP address from the launch. All the EFA of a
    /// type that has one; for others `efa: Some(1)` must state that one is enough.
    LoneEfa,
    /// The full layout, and an Elastic IP associated with the primary interface after launch.
    ElasticIp,
}

impl PublicIp {
    /// Every choice.
    pub const ALL: [Self; 3] = [Self::None, Self::LoneEfa, Self::ElasticIp];

    /// Returns the name, such as `lone-efa`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::LoneEfa => "lone-efa",
            Self::ElasticIp => "elastic-ip",
        }
    }
}

/// The request of [`InstanceType::layout`](crate::InstanceType::layout). The default is all
/// EFAs with one private IP address.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Request {
    /// The profile.
    pub profile: Profile,
    /// How many EFA interfaces; `None` for as many as the type makes use of.
    pub efa: Option<u32>,
    /// How the instances get a public IP address.
    pub public_ip: PublicIp,
}

impl Request {
    /// Sets this profile.
    #[must_use]
    pub const fn profile(mut self, profile: Profile) -> Self {
        self.profile = profile;
        self
    }

    /// Sets this many EFA interfaces, instead of all.
    #[must_use]
    pub const fn efa(mut self, efa: u32) -> Self {
        self.efa = Some(efa);
        self
    }

    /// Sets the way that public IP addresses are given.
    #[must_use]
    pub const fn public_ip(mut self, public_ip: PublicIp) -> Self {
        self.public_ip = public_ip;
        self
    }
}

fn unknown<const N: usize>(code: Code, what: &str, text: &str, choices: [&str; N]) -> Error {
    let limit = choices.join(", ");
    let or = format!("choose one of {limit}");
    Error::new(code, format!("no {what} {text:?}"))
        .with_cure(did_you_mean(text, choices, &or))
        .with_context("value", text)
        .with_context("limit", limit)
}

impl FromStr for Profile {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|profile| profile.as_str() == text)
            .ok_or_else(|| {
                unknown(
                    Code::LayoutUnknownProfile,
                    "profile",
                    text,
                    Self::ALL.map(Self::as_str),
                )
            })
    }
}

impl FromStr for PublicIp {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|choice| choice.as_str() == text)
            .ok_or_else(|| {
                unknown(
                    Code::LayoutUnknownPublicIp,
                    "public IP choice",
                    text,
                    Self::ALL.map(Self::as_str),
                )
            })
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Display for PublicIp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_serde_and_parse_back() {
        for profile in Profile::ALL {
            assert_eq!(profile.as_str().parse::<Profile>().unwrap(), profile);
            assert_eq!(
                serde_json::to_string(&profile).unwrap(),
                format!("{:?}", profile.as_str())
            );
        }
        for choice in PublicIp::ALL {
            assert_eq!(choice.as_str().parse::<PublicIp>().unwrap(), choice);
            assert_eq!(
                serde_json::to_string(&choice).unwrap(),
                format!("{:?}", choice.as_str())
            );
        }
    }

    #[test]
    fn unknown_names_list_the_choices() {
        let error = "fast".parse::<Profile>().unwrap_err();
        assert_eq!(
            error.to_string(),
            r#"no profile "fast"; choose one of save-ips, ip-bandwidth, combined, efa-only-secondary"#
        );
        let error = "yes".parse::<PublicIp>().unwrap_err();
        assert_eq!(error.code(), Code::LayoutUnknownPublicIp);
        assert!(
            error.to_string().contains("none, lone-efa, elastic-ip"),
            "{error}"
        );
    }
}
