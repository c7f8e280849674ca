//! What a log is compared with.

use efa_core::Catalog;
use efa_core::catalog::Lookup;
use serde::{Deserialize, Serialize};

use super::gpudirect;

/// Facts about the nodes that the caller knows and the log cannot show.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Expectation {
    /// EFA devices on each node, from the instance type.
    pub nics: Option<u32>,
    /// Whether the instance type has GPUDirect RDMA. `None`: channels without it are a warning,
    /// unless the plugin itself reports that it does without.
    pub gpudirect: Option<bool>,
    /// An instance type that the catalog does not have: nothing is expected of it, and the report
    /// states this.
    pub unknown_type: Option<String>,
}

impl Expectation {
    /// Creates an expectation of nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns what the bundled catalog knows of an instance type; of one that it does not have,
    /// nothing.
    ///
    /// # Errors
    /// `catalog.unknown_instance_type` for a misspelt name, with the nearest names as the cure.
    pub fn of_instance_type(name: &str) -> efa_core::error::Result<Self> {
        let catalog = Catalog::bundled();
        catalog.refuse_misspelt(name)?;
        Ok(match catalog.look_up(name) {
            Lookup::Efa(found) => Self {
                nics: Some(found.maximum_efa_interfaces),
                gpudirect: gpudirect::has_gpudirect_rdma(found),
                unknown_type: None,
            },
            Lookup::NoEfa => Self {
                nics: Some(0),
                gpudirect: Some(false),
                unknown_type: None,
            },
            _ => Self {
                unknown_type: Some(name.to_owned()),
                ..Self::default()
            },
        })
    }

    /// Returns the EFA devices that each node must have.
    #[must_use]
    pub fn nics(mut self, nics: u32) -> Self {
        self.nics = Some(nics);
        self
    }

    /// Returns whether channels must, or need not, use GPUDirect RDMA.
    #[must_use]
    pub fn gpudirect(mut self, gpudirect: bool) -> Self {
        self.gpudirect = Some(gpudirect);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_say_what_is_expected() {
        for (name, nics, gpudirect) in [
            ("p5.48xlarge", Some(32), Some(true)),
            ("p4d.24xlarge", Some(4), Some(true)),
            ("g5.48xlarge", Some(1), Some(false)),
            ("g6.48xlarge", Some(1), Some(false)),
            ("c5n.18xlarge", Some(1), Some(false)),
            // RDMA read without a GPU.
            ("c7i.48xlarge", Some(1), Some(false)),
            ("t3.micro", Some(0), Some(false)),
            ("p7.48xlarge", None, None),
        ] {
            let found = Expectation::of_instance_type(name).unwrap();
            assert_eq!((found.nics, found.gpudirect), (nics, gpudirect), "{name}");
            assert_eq!(found.unknown_type.is_some(), nics.is_none(), "{name}");
        }
        let error = Expectation::of_instance_type("p5.48xlage").unwrap_err();
        assert!(error.to_string().contains("p5.48xlarge"), "{error}");
    }

    #[test]
    fn every_type_with_accelerators_is_judged_or_left_open_on_purpose() {
        let open: Vec<_> = Catalog::bundled()
            .iter()
            .filter(|t| gpudirect::has_gpudirect_rdma(t).is_none())
            .map(|t| t.family().to_owned())
            .collect();
        let allowed = [
            "p5", "dl1", "dl2q", "vt1", "inf1", "f2", "g7", "trn3u", "trn3pre",
        ];
        assert!(
            open.iter().all(|family| allowed.contains(&family.as_str())),
            "{open:?}"
        );
    }
}
