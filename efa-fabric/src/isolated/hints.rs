//! The hints of trials, by the names that fabric.h gives them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::{Code, Error, Result};
use crate::ffi;
use crate::info;
use crate::info_list::RawHints;
use crate::library::Version;

use super::answer::Relaxation;

/// Hints of an `fi_getinfo`, by name (fi_getinfo(3)). Capabilities and names are demands;
/// modes state what the caller can do, so more is more generous.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HintSet {
    /// The fabric, such as `efa` or `efa-direct`. Default: not named.
    pub fabric: Option<String>,
    /// The domain, such as `rdmap0s6-rdm`. Default: not named.
    pub domain: Option<String>,
    /// The endpoint type. Default `FI_EP_RDM`.
    pub endpoint_type: Option<String>,
    /// The capabilities. Default `FI_MSG`.
    pub capabilities: Vec<String>,
    /// The memory registration modes. Default those that this crate's probes offer.
    pub mr_mode: Vec<String>,
    /// The mode bits. Default `FI_CONTEXT` and `FI_CONTEXT2`.
    pub mode: Vec<String>,
    /// The address format, such as `FI_ADDR_EFA`. Default: not named.
    pub address_format: Option<String>,
    /// The largest message in bytes. Default: not named.
    pub max_message_size: Option<u64>,
    /// The interface version. Default the library's, at most 2.6.
    pub api_version: Option<Version>,
}

impl Default for HintSet {
    fn default() -> Self {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Self {
            fabric: None,
            domain: None,
            endpoint_type: Some("FI_EP_RDM".to_owned()),
            capabilities: names(&["FI_MSG"]),
            mr_mode: names(&[
                "FI_MR_LOCAL",
                "FI_MR_VIRT_ADDR",
                "FI_MR_ALLOCATED",
                "FI_MR_PROV_KEY",
                "FI_MR_ENDPOINT",
            ]),
            mode: names(&["FI_CONTEXT", "FI_CONTEXT2"]),
            address_format: None,
            max_message_size: None,
            api_version: None,
        }
    }
}

/// Mode bits by name (fabric.h).
const MODES: [(u64, &str); 5] = [
    (ffi::FI_MODE_CONTEXT, "FI_CONTEXT"),
    (ffi::FI_MODE_CONTEXT2, "FI_CONTEXT2"),
    (ffi::FI_MODE_MSG_PREFIX, "FI_MSG_PREFIX"),
    (ffi::FI_MODE_ASYNC_IOV, "FI_ASYNC_IOV"),
    (ffi::FI_MODE_RX_CQ_DATA, "FI_RX_CQ_DATA"),
];

/// Since this interface version the efa provider offers `FI_HMEM` more freely; what NIXL and
/// aws-ofi-nccl ask for.
const COMMON_API: Version = Version {
    major: 1,
    minor: 18,
};

impl HintSet {
    /// The hints as numbers, for `provider`.
    ///
    /// # Errors
    /// `fabric.invalid_option` for a name that is not known.
    pub(super) fn raw<'a>(&'a self, provider: &'a str) -> Result<RawHints<'a>> {
        let endpoint_type = position("endpoint_type", &info::ENDPOINT_TYPES, &self.endpoint_type)?;
        Ok(RawHints {
            provider: Some(provider),
            fabric: self.fabric.as_deref(),
            domain: self.domain.as_deref(),
            caps: bits("capabilities", &info::CAPABILITIES, &self.capabilities)?,
            mode: bits("mode", &MODES, &self.mode)?,
            mr_mode: bits("mr_mode", &info::MR_MODES, &self.mr_mode)?,
            endpoint_type: i32::try_from(endpoint_type).unwrap_or(0),
            address_format: position(
                "address_format",
                &info::ADDRESS_FORMATS,
                &self.address_format,
            )?,
            max_message_size: self
                .max_message_size
                .map_or(0, |size| usize::try_from(size).unwrap_or(usize::MAX)),
        })
    }

    /// The hints themselves, then each relaxation that changes them, then all of them.
    pub(super) fn trials(&self, library_api: Version) -> Vec<(Relaxation, Self)> {
        let mut relaxations = vec![
            Relaxation::Nothing,
            Relaxation::Fabric,
            Relaxation::Domain,
            Relaxation::EndpointType,
        ];
        relaxations.extend(
            self.capabilities
                .iter()
                // Every provider has it.
                .filter(|name| *name != "FI_MSG")
                .map(|name| Relaxation::Capability(name.clone())),
        );
        relaxations.extend([
            Relaxation::MrMode,
            Relaxation::Mode,
            Relaxation::AddressFormat,
            Relaxation::MaxMessageSize,
            Relaxation::ApiVersion,
            Relaxation::All,
        ]);
        let mut trials = Vec::with_capacity(relaxations.len());
        for relaxed in relaxations {
            let hints = self.relaxed(&relaxed, library_api);
            if relaxed == Relaxation::Nothing || hints != *self {
                trials.push((relaxed, hints));
            }
        }
        trials
    }

    pub(super) fn relaxed(&self, relaxed: &Relaxation, library_api: Version) -> Self {
        let mut hints = self.clone();
        let all = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        match relaxed {
            Relaxation::Nothing => {}
            Relaxation::Fabric => hints.fabric = None,
            Relaxation::Domain => hints.domain = None,
            Relaxation::EndpointType => hints.endpoint_type = None,
            Relaxation::Capability(name) => hints.capabilities.retain(|other| other != name),
            Relaxation::MrMode => hints.mr_mode = all(&info::MR_MODES.map(|(_, name)| name)),
            Relaxation::Mode => hints.mode = all(&MODES.map(|(_, name)| name)),
            Relaxation::AddressFormat => hints.address_format = None,
            Relaxation::MaxMessageSize => hints.max_message_size = None,
            Relaxation::ApiVersion => {
                hints.api_version = match self.api_version {
                    Some(_) => None,
                    None if library_api > COMMON_API => Some(COMMON_API),
                    None => Some(Version::from_raw(ffi::MINIMUM_VERSION)),
                };
            }
            Relaxation::All => {
                hints = Self {
                    fabric: None,
                    domain: None,
                    endpoint_type: None,
                    capabilities: Vec::new(),
                    mr_mode: all(&info::MR_MODES.map(|(_, name)| name)),
                    mode: all(&MODES.map(|(_, name)| name)),
                    address_format: None,
                    max_message_size: None,
                    api_version: None,
                };
            }
        }
        hints
    }
}

impl fmt::Display for HintSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.api_version {
            Some(version) => write!(f, "API {version}")?,
            None => f.write_str("API of the library")?,
        }
        for (what, value) in [("fabric", &self.fabric), ("domain", &self.domain)] {
            if let Some(value) = value {
                write!(f, " {what} {value}")?;
            }
        }
        for value in [&self.endpoint_type, &self.address_format]
            .into_iter()
            .flatten()
        {
            write!(f, " {value}")?;
        }
        if let Some(size) = self.max_message_size {
            write!(f, " messages of {size} B")?;
        }
        for (what, names) in [
            ("caps", &self.capabilities),
            ("mode", &self.mode),
            ("mr_mode", &self.mr_mode),
        ] {
            if !names.is_empty() {
                write!(f, " {what} {}", names.join("|"))?;
            }
        }
        Ok(())
    }
}

fn unknown<'a>(option: &'static str, name: &str, known: impl Iterator<Item = &'a str>) -> Error {
    Error::new(Code::InvalidOption, format!("{option} {name} is not known"))
        .with_cure(format!(
            "use one of: {}",
            known.collect::<Vec<_>>().join(", ")
        ))
        .with_context("option", option)
        .with_context("value", name)
}

fn bits<T>(option: &'static str, table: &[(T, &str)], names: &[String]) -> Result<T>
where
    T: Copy + Default + std::ops::BitOr<Output = T>,
{
    names.iter().try_fold(T::default(), |sum, name| {
        let found = table.iter().find(|(_, known)| known == name);
        found
            .map(|(bit, _)| sum | *bit)
            .ok_or_else(|| unknown(option, name, table.iter().map(|(_, known)| *known)))
    })
}

fn position(option: &'static str, table: &[&str], name: &Option<String>) -> Result<u32> {
    let Some(name) = name else { return Ok(0) };
    table
        .iter()
        .position(|known| known == name)
        .and_then(|at| u32::try_from(at).ok())
        .ok_or_else(|| unknown(option, name, table.iter().copied()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trials_relax_one_thing_each_and_only_what_is_set() {
        let version = |major, minor| Version { major, minor };
        let relaxed = |hints: &HintSet, api| -> Vec<_> {
            hints
                .trials(api)
                .into_iter()
                .map(|(relaxed, _)| relaxed)
                .collect()
        };
        use Relaxation as R;
        assert_eq!(
            relaxed(&HintSet::default(), version(2, 5)),
            [
                R::Nothing,
                R::EndpointType,
                R::MrMode,
                R::Mode,
                R::ApiVersion,
                R::All
            ]
        );
        let full = HintSet {
            fabric: Some("efa-direct".into()),
            domain: Some("rdmap0s6-rdm".into()),
            address_format: Some("FI_ADDR_EFA".into()),
            max_message_size: Some(1 << 20),
            capabilities: ["FI_MSG", "FI_RMA", "FI_HMEM"].map(String::from).to_vec(),
            ..HintSet::default()
        };
        let trials = full.trials(version(2, 5));
        let order: Vec<_> = trials.iter().map(|(relaxed, _)| relaxed.clone()).collect();
        assert_eq!(
            order,
            [
                R::Nothing,
                R::Fabric,
                R::Domain,
                R::EndpointType,
                R::Capability("FI_RMA".into()),
                R::Capability("FI_HMEM".into()),
                R::MrMode,
                R::Mode,
                R::AddressFormat,
                R::MaxMessageSize,
                R::ApiVersion,
                R::All,
            ]
        );
        let of = |wanted: &R| {
            &trials
                .iter()
                .find(|(relaxed, _)| relaxed == wanted)
                .unwrap()
                .1
        };
        assert_eq!(of(&R::Nothing), &full);
        assert_eq!(
            of(&R::Fabric),
            &HintSet {
                fabric: None,
                ..full.clone()
            }
        );
        assert_eq!(
            of(&R::Capability("FI_HMEM".into())).capabilities,
            ["FI_MSG", "FI_RMA"]
        );
        assert!(of(&R::MrMode).mr_mode.contains(&"FI_MR_HMEM".to_owned()));
        assert_eq!(of(&R::ApiVersion).api_version, Some(version(1, 18)));
    }

    #[test]
    fn another_interface_version_is_tried() {
        let other = |asked, library| {
            let hints = HintSet {
                api_version: asked,
                ..HintSet::default()
            };
            hints.relaxed(&Relaxation::ApiVersion, library).api_version
        };
        let version = |major, minor| Version { major, minor };
        assert_eq!(other(None, version(2, 6)), Some(version(1, 18)));
        assert_eq!(other(None, version(1, 18)), Some(version(1, 9)));
        assert_eq!(other(Some(version(2, 6)), version(1, 17)), None);
    }

    #[test]
    fn names_become_bits() {
        let hints = HintSet {
            capabilities: ["FI_MSG", "FI_HMEM"].map(String::from).to_vec(),
            address_format: Some("FI_ADDR_EFA".into()),
            ..HintSet::default()
        };
        let raw = hints.raw("efa").unwrap();
        assert_eq!(raw.caps, ffi::FI_MSG | ffi::FI_HMEM);
        assert_eq!(raw.mode, ffi::FI_MODE_CONTEXT | ffi::FI_MODE_CONTEXT2);
        assert_eq!(
            (raw.endpoint_type, raw.address_format),
            (ffi::FI_EP_RDM, 12)
        );
        assert_eq!(
            hints.to_string(),
            "API of the library FI_EP_RDM FI_ADDR_EFA caps FI_MSG|FI_HMEM mode FI_CONTEXT|FI_CONTEXT2 mr_mode FI_MR_LOCAL|FI_MR_VIRT_ADDR|FI_MR_ALLOCATED|FI_MR_PROV_KEY|FI_MR_ENDPOINT"
        );
    }
}
