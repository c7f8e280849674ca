//! Which network interfaces an instance is launched with: card, device index and type of each.
//!
//! [`InstanceType::layout`] plans them from what EC2 reports about the type;
//! [`Layout::from_interfaces`] takes the caller's own. Both pass the same rules, those that EC2
//! refuses to launch without, so a [`Layout`] is one that EC2 takes. Everything here is a
//! function of values: no AWS call.
//!
//! Neighbours: [`catalog`](crate::catalog) gives the type, the plan carries the layout, and
//! the tags of a cluster keep its [`notation`](Layout::notation).

mod colours;
mod drawing;
mod interface;
mod notation;
mod picture;
mod planner;
mod policy;
mod profile;
mod rules;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::catalog::InstanceType;
use crate::error::{Code, Error, Result};

pub(crate) use self::colours::{class, legend};
pub use self::interface::NetworkInterface;
pub use self::notation::parse_notation;
pub use self::profile::{Profile, PublicIp, Request};
pub use self::rules::{Violation, violations};
pub(crate) use self::rules::{efa_only_with, violations_of_any_type};

/// The network interfaces of every instance of a launch, and what they mean.
///
/// ```
/// use efa_core::Catalog;
/// use efa_core::layout::{Profile, Request};
///
/// # fn main() -> efa_core::Result<()> {
/// let p5 = Catalog::bundled().require("p5.48xlarge")?;
/// let layout = p5.layout(&Request::default())?;
/// assert_eq!(layout.to_string(), "p5.48xlarge save-ips: 33 interfaces, 32 EFA, 1 IP");
/// assert_eq!(layout.notation(), "0:0=interface 0:1=efa-only 1-31:0=efa-only");
///
/// let wide = p5.layout(&Request::default().profile(Profile::IpBandwidth))?;
/// assert_eq!((wide.len(), wide.efa_count(), wide.ip_count()), (40, 32, 8));
///
/// // hpc6id has one slot per network card, so device index 1 exists on none of them.
/// let error = Catalog::bundled()
///     .require("hpc6id.32xlarge")
///     .and_then(|t| efa_core::Layout::from_interfaces(t, wide.interfaces))
///     .unwrap_err();
/// assert_eq!(error.code().as_str(), "layout.device_index_out_of_range");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Layout {
    /// The instance type that it is for.
    pub instance_type: String,
    /// The profile that it was planned with; `None` for the caller's own interfaces.
    pub profile: Option<Profile>,
    /// How the instances get a public IP address.
    pub public_ip: PublicIp,
    /// The interfaces, sorted by network card and device index.
    pub interfaces: Vec<NetworkInterface>,
    /// Consequences that a reader should know, one sentence each.
    pub notes: Vec<String>,
}

impl Layout {
    /// Checks a layout against a type, such as one that was read from JSON.
    ///
    /// # Errors
    /// [`Code::LayoutInstanceTypeDiffers`], or the first rule that EC2 would refuse it for.
    pub fn check_against(&self, instance_type: &InstanceType) -> Result<()> {
        if self.instance_type != instance_type.name {
            return Err(Error::new(
                Code::LayoutInstanceTypeDiffers,
                format!(
                    "the layout is for {}, not for {}",
                    self.instance_type, instance_type.name
                ),
            )
            .with_cure(format!("plan a layout for {}", instance_type.name))
            .with_context("instance_type", &instance_type.name)
            .with_context("value", &self.instance_type));
        }
        rules::require_no_violation(instance_type, &self.interfaces)
    }

    /// Returns the interfaces as one short line of characters that EC2 tags allow; at most 256 for
    /// every planned layout of the bundled catalog. [`parse_notation`] reads it back exactly.
    ///
    /// ```
    /// use efa_core::Catalog;
    /// use efa_core::layout::{Profile, Request, parse_notation};
    ///
    /// # fn main() -> efa_core::Result<()> {
    /// let p5 = Catalog::bundled().require("p5.48xlarge")?;
    /// let layout = p5.layout(&Request::default().profile(Profile::IpBandwidth))?;
    /// let line = layout.notation();
    /// assert_eq!(line, "0:0=interface 0:1=efa-only 1-31:0=efa-only 4-28/4:1=interface");
    /// assert_eq!(parse_notation(&line)?, layout.interfaces);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn notation(&self) -> String {
        notation::write_notation(&self.interfaces)
    }

    /// Returns the number of interfaces.
    #[must_use]
    pub fn len(&self) -> usize {
        self.interfaces.len()
    }

    /// Returns whether there is no interface; EC2 takes no such layout.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.interfaces.is_empty()
    }

    /// Returns the number of EFAs, with or without ENA.
    #[must_use]
    pub fn efa_count(&self) -> usize {
        self.interfaces
            .iter()
            .filter(|i| i.interface_type.is_efa())
            .count()
    }

    /// Returns the number of interfaces carry IP, that is private IPv4 addresses that an instance
    /// takes from its subnet, unless interfaces ask for further ones.
    #[must_use]
    pub fn ip_count(&self) -> usize {
        self.interfaces
            .iter()
            .filter(|i| i.interface_type.carries_ip())
            .count()
    }

    /// Returns how many private IPv4 addresses an instance takes from its subnet, with the further
    /// ones that interfaces ask for: a /28 prefix is 16.
    #[must_use]
    pub fn private_ip_address_count(&self) -> u64 {
        let addresses = |i: &NetworkInterface| {
            u64::from(i.interface_type.carries_ip())
                + u64::from(i.ipv4_address_count.unwrap_or(0))
                + 16 * u64::from(i.ipv4_prefix_count.unwrap_or(0))
        };
        self.interfaces.iter().map(addresses).sum()
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let profile = self.profile.map_or("user-supplied", Profile::as_str);
        let (all, efa, ip) = (self.len(), self.efa_count(), self.ip_count());
        let plural = |count: usize| if count == 1 { "" } else { "s" };
        write!(
            f,
            "{} {profile}: {all} interface{}, {efa} EFA, {ip} IP{}",
            self.instance_type,
            plural(all),
            plural(ip)
        )
    }
}

#[cfg(test)]
mod tests;
