//! What EC2 reports about the instance types that have EFA.
//!
//! A [`Catalog`] is a value: the bundled one is parsed once from a snapshot inside this crate,
//! a live one is made from what `DescribeInstanceTypes` answered. Its neighbour
//! [`layout`](crate::layout) turns an [`InstanceType`] into network interfaces.

mod bundled;
mod instance_type;
mod lookup;
pub(crate) mod names;
mod order;
mod overrides;
mod query;
mod rdma;
mod table;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::error::{Code, Error, Result};

pub use self::instance_type::{Gpu, InstanceType, NetworkCard, NeuronDevice, Origin};
pub use self::lookup::Lookup;
pub use self::query::Query;
#[cfg(any(test, feature = "testing"))]
pub(crate) use self::query::matches as matches_pattern;
pub use self::table::{instance_type_html, instance_type_table};

/// Instance types with EFA, sorted by family and then by size (`2xlarge`, `16xlarge`, `metal`).
///
/// ```
/// use efa_core::Catalog;
/// use efa_core::catalog::Query;
///
/// # fn main() -> efa_core::Result<()> {
/// let catalog = Catalog::bundled();
/// let p5 = catalog.require("p5.48xlarge")?;
/// assert_eq!((p5.maximum_efa_interfaces, p5.network_cards.len()), (32, 32));
///
/// let mut query = Query::default();
/// query.gpu_name = Some("h?00".to_owned());
/// query.minimum_efa_interfaces = Some(16);
/// let names: Vec<_> = catalog.find(&query)?.iter().map(|t| t.name.as_str()).collect();
/// assert_eq!(names, ["p5.48xlarge", "p5e.48xlarge", "p5en.48xlarge"]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Catalog {
    source: Source,
    types: Vec<InstanceType>,
    zones: Option<BTreeMap<String, BTreeSet<String>>>,
}

/// The source of the rows of a [`Catalog`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Source {
    /// The origin of the data.
    pub source: String,
    /// The date of the data (`YYYY-MM-DD`), where known.
    pub date: Option<String>,
    /// The script of the repository that made the snapshot; `None` for a live catalog.
    pub script: Option<String>,
    /// SHA-256 of the data that the script read, in hexadecimal.
    pub sha256: Option<String>,
}

impl Catalog {
    /// Creates a catalog of these types, such as a live one. Of two types with one name the last
    /// wins.
    #[must_use]
    pub fn from_instance_types(types: Vec<InstanceType>) -> Self {
        let source = Source {
            source: "DescribeInstanceTypes".to_owned(),
            date: None,
            script: None,
            sha256: None,
        };
        Self::new(source, types)
    }

    fn new(source: Source, mut types: Vec<InstanceType>) -> Self {
        // The sort keeps the order of equals, of which the first then stays.
        types.reverse();
        types.sort_by(|a, b| order::natural(&a.name, &b.name));
        types.dedup_by(|a, b| order::natural(&a.name, &b.name).is_eq());
        Self {
            source,
            types,
            zones: None,
        }
    }

    /// Adds which Availability Zone offers which type, as pairs of type and zone: the answer of
    /// `DescribeInstanceTypeOfferings`. It replaces what was known before.
    #[must_use]
    pub fn with_offerings(mut self, offerings: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut zones: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (instance_type, zone) in offerings {
            zones.entry(instance_type).or_default().insert(zone);
        }
        self.zones = Some(zones);
        self
    }

    /// Returns where the rows come from.
    #[must_use]
    pub const fn source(&self) -> &Source {
        &self.source
    }

    /// Returns the number of types, hand-kept rows included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.types.len()
    }

    /// Returns whether there is no type.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.types.is_empty()
    }

    /// Returns all types, sorted.
    pub fn iter(&self) -> std::slice::Iter<'_, InstanceType> {
        self.types.iter()
    }

    /// Returns the types as an HTML table, for a notebook.
    #[must_use]
    pub fn to_html(&self) -> String {
        instance_type_html(self)
    }

    /// Returns the type of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&InstanceType> {
        let at = self
            .types
            .binary_search_by(|t| order::natural(&t.name, name))
            .ok()?;
        self.types.get(at)
    }

    /// Returns whether there is a type of this name.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Returns the type of this name.
    ///
    /// # Errors
    /// [`Code::CatalogUnknownInstanceType`], with the nearest names as the cure.
    pub fn require(&self, name: &str) -> Result<&InstanceType> {
        self.get(name).ok_or_else(|| {
            let nearest = order::nearest(name, self.types.iter().map(|t| t.name.as_str()));
            let cure = if nearest.is_empty() {
                "Catalog.find lists the types that have EFA".to_owned()
            } else {
                format!("did you mean {}?", nearest.join(", "))
            };
            let message = self.why_missing(name);
            Error::new(Code::CatalogUnknownInstanceType, message)
                .with_cure(cure)
                .with_context("instance_type", name)
        })
    }

    /// Returns the Availability Zones that offer a type, sorted; `None` where the catalog does not
    /// know them: the bundled one never does, a live one knows those of its own types.
    #[must_use]
    pub fn zones(&self, instance_type: &str) -> Option<Vec<&str>> {
        let offered = self.zones.as_ref()?.get(instance_type);
        if offered.is_none() && self.get(instance_type).is_none() {
            return None;
        }
        let zones = offered.into_iter().flatten();
        Some(zones.map(String::as_str).collect())
    }

    /// Returns the types for which every condition of the query holds, sorted.
    ///
    /// # Errors
    /// [`Code::CatalogInvalidQuery`] for a malformed pattern, and
    /// [`Code::CatalogNoOfferings`] for a zone when the catalog knows no offerings.
    pub fn find(&self, query: &Query) -> Result<Vec<&InstanceType>> {
        query.check()?;
        let Some(zone) = query.zone.as_deref() else {
            return Ok(self.types.iter().filter(|t| query.matches(t)).collect());
        };
        let offered = self.zones.as_ref().ok_or_else(|| {
            Error::new(
                Code::CatalogNoOfferings,
                "this catalog does not know which zone offers which type",
            )
            .with_cure("ask a live catalog, which reads DescribeInstanceTypeOfferings")
            .with_context("zone", zone)
        })?;
        let in_zone = |t: &InstanceType| {
            offered
                .get(&t.name)
                .is_some_and(|zones| zones.contains(zone))
        };
        Ok(self
            .types
            .iter()
            .filter(|t| in_zone(t) && query.matches(t))
            .collect())
    }
}

impl<'a> IntoIterator for &'a Catalog {
    type Item = &'a InstanceType;
    type IntoIter = std::slice::Iter<'a, InstanceType>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_that_is_missing_is_not_called_without_efa() {
        let live = Catalog::from_instance_types(Vec::new());
        for (catalog, name, words) in [
            (Catalog::bundled(), "t3.micro", "t3.micro has no EFA"),
            (Catalog::bundled(), "p7.48xlarge", "is not known"),
            (Catalog::bundled(), "p5.48xlage", "is not the name"),
            (&live, "p5.48xlarge", "in this region"),
        ] {
            let error = catalog.require(name).unwrap_err();
            assert!(error.message().contains(words), "{error}");
        }
    }

    #[test]
    fn unknown_types_come_with_near_names() {
        let catalog = Catalog::bundled();
        for (asked, near) in [
            ("p5.48xlage", "p5.48xlarge"),
            ("P5.48XLARGE", "p5.48xlarge"),
            ("hpc7a.95xlarge", "hpc7a.96xlarge"),
            ("p6e-gb200.72xlarge", "p6e-gb200.36xlarge"),
        ] {
            let error = catalog.require(asked).unwrap_err();
            assert_eq!(error.code(), Code::CatalogUnknownInstanceType);
            assert!(error.cure().unwrap().contains(near), "{error}");
            assert_eq!(error.context_value("instance_type"), Some(asked));
        }
        let error = catalog.require("zzzzzzzzzzzzzzzzzzzz").unwrap_err();
        assert_eq!(
            error.cure(),
            Some("Catalog.find lists the types that have EFA")
        );
    }

    #[test]
    fn offerings_make_the_zone_a_condition() {
        let query = Query {
            zone: Some("us-east-1a".to_owned()),
            ..Query::default()
        };
        let error = Catalog::bundled().find(&query).unwrap_err();
        assert_eq!(error.code(), Code::CatalogNoOfferings);
        assert_eq!(Catalog::bundled().zones("p5.48xlarge"), None);

        let live = Catalog::from_instance_types(Catalog::bundled().iter().cloned().collect())
            .with_offerings([
                ("p5.48xlarge".to_owned(), "us-east-1b".to_owned()),
                ("p5.48xlarge".to_owned(), "us-east-1a".to_owned()),
                ("t3.micro".to_owned(), "us-east-1a".to_owned()),
            ]);
        let found: Vec<_> = live
            .find(&query)
            .unwrap()
            .iter()
            .map(|t| t.name.as_str())
            .collect();
        assert_eq!(found, ["p5.48xlarge"]);
        assert_eq!(
            live.zones("p5.48xlarge"),
            Some(vec!["us-east-1a", "us-east-1b"])
        );
        assert_eq!(live.zones("p5e.48xlarge"), Some(vec![]));
        assert_eq!(live.zones("t3.small"), None, "nobody asked for it");
    }

    #[test]
    fn the_last_row_of_a_name_wins() {
        let first = InstanceType::unknown("c5n.18xlarge");
        let last = InstanceType {
            default_vcpus: 72,
            ..first.clone()
        };
        let catalog =
            Catalog::from_instance_types(vec![first, InstanceType::unknown("c5n.9xlarge"), last]);
        let rows: Vec<_> = catalog
            .iter()
            .map(|t| (t.name.as_str(), t.default_vcpus))
            .collect();
        assert_eq!(rows, [("c5n.9xlarge", 0), ("c5n.18xlarge", 72)]);
    }
}
