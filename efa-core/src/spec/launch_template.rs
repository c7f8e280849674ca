//! Which version of a launch template a specification is based on.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// A launch template, and the version that counts.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LaunchTemplateBase {
    /// `lt-…`, or its name.
    pub template: String,
    /// A number, `$Default` or `$Latest`.
    pub version: String,
}

impl LaunchTemplateBase {
    /// Origin: EC2 API reference, LaunchTemplateSpecification.
    pub(super) fn check(&self) -> Result<()> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"()./_-".contains(&b);
        let name = (3..=128).contains(&self.template.len()) && self.template.bytes().all(plain);
        let number = self.version.parse::<u64>().is_ok_and(|number| number > 0);
        if name && (number || ["$Default", "$Latest"].contains(&self.version.as_str())) {
            return Ok(());
        }
        Err(Error::invalid_spec(
            "launch_template",
            self,
            "an id (lt-…) or a name of 3 to 128 letters, digits and ()./_-, and :version, which is \
             a number, $Default or $Latest",
            "leave the version out for $Default",
        ))
    }
}

impl FromStr for LaunchTemplateBase {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (template, version) = text.split_once(':').unwrap_or((text, "$Default"));
        let base = Self {
            template: template.to_owned(),
            version: version.to_owned(),
        };
        base.check()?;
        Ok(base)
    }
}

impl fmt::Display for LaunchTemplateBase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.template, self.version)
    }
}
