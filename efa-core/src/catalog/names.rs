//! What a name of an instance type stands for: with EFA, without, newer than the data, misspelt.
//!
//! The data has a date, and AWS adds types: a name that neither `snapshot.jsonl` nor
//! `without_efa.txt` has is unknown, never "without EFA". `tools/generate_catalog.py` writes both
//! from the same answers of EC2.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use super::lookup::Lookup;
use super::{Catalog, order};
use crate::error::{Code, Error, Result};

const WITHOUT_EFA: &str = include_str!("without_efa.txt");
/// How far ahead of the newest generation of its series a type may be and still be taken for a
/// new one rather than for a slip of the finger.
const GENERATIONS_AHEAD: u32 = 2;
/// Size words of EC2 without a number.
const SIZES: [&str; 7] = [
    "nano", "micro", "small", "medium", "large", "xlarge", "metal",
];

impl Catalog {
    /// Returns what this name stands for. Types without EFA are those of the bundled data, for live
    /// catalogs too.
    ///
    /// ```
    /// use efa_core::Catalog;
    /// use efa_core::catalog::Lookup;
    ///
    /// let catalog = Catalog::bundled();
    /// assert!(matches!(catalog.look_up("p5.48xlarge"), Lookup::Efa(_)));
    /// assert_eq!(catalog.look_up("t3.micro"), Lookup::NoEfa);
    /// assert_eq!(catalog.look_up("p7.48xlarge"), Lookup::Unknown);
    /// assert_eq!(catalog.look_up("p5.48xlage"), Lookup::Misspelt);
    /// ```
    #[must_use]
    pub fn look_up(&self, name: &str) -> Lookup<'_> {
        match self.get(name) {
            Some(found) => Lookup::Efa(found),
            None if without_efa().contains(name) => Lookup::NoEfa,
            None if may_exist(name) => Lookup::Unknown,
            None => Lookup::Misspelt,
        }
    }

    /// Returns at most three names of known types that differ from `name` by few letters, with EFA
    /// or without, nearest first.
    #[must_use]
    pub fn nearest(&self, name: &str) -> Vec<&str> {
        let name = name.trim();
        let all: Vec<&str> = self
            .iter()
            .map(|t| t.name.as_str())
            .chain(without_efa().iter().copied())
            .collect();
        let of_its_family = all
            .iter()
            .copied()
            .filter(|known| is_scrambled(family(known), family(name)));
        // Its own family first, in which the size alone is wrong, or the family in disorder.
        let mut near = order::nearest(name, of_its_family);
        for other in order::nearest(name, all.iter().copied()) {
            if !near.contains(&other) {
                near.push(other);
            }
        }
        near.truncate(3);
        near
    }

    /// Refuses a name that is misspelt. Types without EFA pass, and so do types that the data
    /// does not have and that may be newer.
    ///
    /// # Errors
    /// [`Code::CatalogUnknownInstanceType`], with the nearest names as the cure.
    pub fn refuse_misspelt(&self, name: &str) -> Result<()> {
        if self.look_up(name) != Lookup::Misspelt {
            return Ok(());
        }
        let nearest = self.nearest(name);
        let cure = match nearest.as_slice() {
            [] => "a type has a name such as p5.48xlarge: family, dot, size".to_owned(),
            _ => format!("did you mean {}?", nearest.join(", ")),
        };
        Err(Error::new(
            Code::CatalogUnknownInstanceType,
            format!("{name:?} is not the name of an instance type"),
        )
        .with_cure(cure)
        .with_context("instance_type", name))
    }

    /// What a name that this catalog does not have comes to.
    pub(super) fn why_missing(&self, name: &str) -> String {
        match (self.look_up(name), &self.source().date) {
            (Lookup::NoEfa, _) => format!("{name} has no EFA"),
            (Lookup::Misspelt, _) => format!("{name:?} is not the name of an instance type"),
            (_, Some(date)) => format!(
                "the catalog, of {date}, does not have the instance type {name:?}: whether it has \
                 EFA is not known"
            ),
            (_, None) => format!("EC2 lists no instance type {name:?} with EFA in this region"),
        }
    }

    /// Returns the date of the bundled data: what EC2 added later is unknown here.
    #[must_use]
    pub fn bundled_date() -> &'static str {
        Self::bundled().source().date.as_deref().unwrap_or_default()
    }
}

/// The names of the types that EC2 describes as without EFA.
pub(crate) fn names_without_efa() -> impl Iterator<Item = &'static str> {
    without_efa().iter().copied()
}

fn without_efa() -> &'static BTreeSet<&'static str> {
    static NAMES: OnceLock<BTreeSet<&'static str>> = OnceLock::new();
    NAMES.get_or_init(|| {
        // Names are put together once, and live as long as the program.
        let text: &'static str = Box::leak(expanded().into_boxed_str());
        text.lines().collect()
    })
}

/// One `family.size` per line, of lines with a family and its sizes.
fn expanded() -> String {
    WITHOUT_EFA
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once(' '))
        .flat_map(|(family, sizes)| {
            sizes
                .split(' ')
                .map(move |size| format!("{family}.{size}\n"))
        })
        .collect()
}

/// Whether EC2 may have a type of this name that the data does not have.
fn may_exist(name: &str) -> bool {
    let Some((family, size)) = name.split_once('.') else {
        return false;
    };
    let Some((series, generation)) = series_and_generation(family) else {
        return false;
    };
    if !is_size(family, size) {
        return false;
    }
    match newest_generations().get(series) {
        Some(newest) => generation <= newest + GENERATIONS_AHEAD,
        // A new series, unless it looks like an old one.
        None => !newest_generations().keys().any(|known| {
            is_scrambled(series, known)
                || known.len() > 2 && !order::nearest(series, std::iter::once(*known)).is_empty()
        }),
    }
}

/// Whether it has the same letters in another order.
fn is_scrambled(a: &str, b: &str) -> bool {
    let sorted = |text: &str| {
        let mut letters: Vec<char> = text.chars().collect();
        letters.sort_unstable();
        letters
    };
    sorted(a) == sorted(b)
}

/// `("p", 6)` of `p6-b200`; `None` for what no family looks like. Large-memory and Mac types have
/// letters, a hyphen and then a number: `u-6tb1`, `mac-m4`.
fn series_and_generation(family: &str) -> Option<(&str, u32)> {
    let is_lower = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let ends = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    if !family.chars().all(is_lower) || !family.ends_with(ends) || family.contains("--") {
        return None;
    }
    let letters = family
        .find(|c: char| !c.is_ascii_lowercase())
        .filter(|at| *at > 0)?;
    let (series, rest) = family.split_at(letters);
    let digits: String = rest
        .trim_start_matches(|c: char| !c.is_ascii_digit())
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();
    Some((series, digits.parse().ok()?))
}

/// Whether a size is of EC2's form, and EC2 may have it: its number is one that some type has,
/// or a multiple of 4 that is not the digits of a size of this family in another order.
fn is_size(family_name: &str, size: &str) -> bool {
    if SIZES.contains(&size) {
        return true;
    }
    let Some(number) = multiple(size) else {
        return false;
    };
    let of_its_family = all_names()
        .iter()
        .filter(|name| family(name) == family_name)
        .filter_map(|name| multiple(name.split_once('.')?.1));
    let is_new = |number: &str| {
        number.parse::<u32>().is_ok_and(|n| n > 0 && n % 4 == 0) && !number.starts_with('0')
    };
    known_multiples().contains(number)
        || is_new(number)
            && !of_its_family
                .filter(|known| known.len() > 1)
                .any(|known| is_scrambled(known, number))
}

/// `48` of `48xlarge` and of `metal-48xl`.
fn multiple(size: &str) -> Option<&str> {
    size.strip_suffix("xlarge")
        .or_else(|| size.strip_prefix("metal-")?.strip_suffix("xl"))
        .filter(|number| !number.is_empty())
}

fn family(name: &str) -> &str {
    name.split_once('.').map_or(name, |(family, _)| family)
}

/// The numbers in sizes of known types, as text.
fn known_multiples() -> &'static BTreeSet<&'static str> {
    static NUMBERS: OnceLock<BTreeSet<&'static str>> = OnceLock::new();
    NUMBERS.get_or_init(|| {
        all_names()
            .iter()
            .filter_map(|name| multiple(name.split_once('.')?.1))
            .collect()
    })
}

fn newest_generations() -> &'static BTreeMap<&'static str, u32> {
    static NEWEST: OnceLock<BTreeMap<&'static str, u32>> = OnceLock::new();
    NEWEST.get_or_init(|| {
        let mut newest = BTreeMap::new();
        for name in all_names() {
            if let Some((series, generation)) = series_and_generation(family(name)) {
                let known: &mut u32 = newest.entry(series).or_default();
                *known = generation.max(*known);
            }
        }
        newest
    })
}

/// Every name of the bundled data, with EFA and without.
fn all_names() -> &'static [&'static str] {
    static NAMES: OnceLock<Vec<&'static str>> = OnceLock::new();
    NAMES.get_or_init(|| {
        let with_efa = Catalog::bundled().iter().map(|t| t.name.as_str());
        with_efa.chain(without_efa().iter().copied()).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::InstanceType;

    #[test]
    fn both_lists_are_of_one_answer_and_share_no_name() {
        let header = WITHOUT_EFA.lines().next().unwrap();
        assert!(
            header.contains(&format!("{} types", without_efa().len())),
            "{header}"
        );
        assert!(header.contains(Catalog::bundled_date()), "{header}");
        assert_eq!(without_efa().len(), 1092);
        for name in without_efa() {
            assert!(Catalog::bundled().get(name).is_none(), "{name}");
        }
    }

    #[test]
    fn every_known_name_would_be_taken_for_a_new_one() {
        // Otherwise a type of tomorrow, named in the same way, is called misspelt.
        for name in all_names() {
            assert!(may_exist(name), "{name}");
        }
    }

    #[test]
    fn types_of_tomorrow_are_unknown() {
        for name in [
            "p7.48xlarge",
            "p7-b400.48xlarge",
            "p6-b200.24xlarge",
            "p6e-gb300.72xlarge",
            "trn3.48xlarge",
            "trn2-ac.24xlarge",
            "c10g.48xlarge",
            "m9gn.metal-48xl",
            "hpc9a.96xlarge",
            "g8e.48xlarge",
            "u8i-48tb.224xlarge",
            "qz1.8xlarge",
            "dl3.24xlarge",
        ] {
            let found = Catalog::bundled().look_up(name);
            let is_known = matches!(found, Lookup::Efa(row) if row.name == name);
            assert!(found == Lookup::Unknown || is_known, "{name}: {found:?}");
        }
    }

    #[test]
    fn slips_of_the_finger_are_refused_with_the_name_that_was_meant() {
        for (name, meant) in [
            ("p5.48xlage", "p5.48xlarge"),
            ("p5.48xlarg", "p5.48xlarge"),
            ("p5.48 xlarge", "p5.48xlarge"),
            ("P5.48xlarge", "p5.48xlarge"),
            (" p5.48xlarge", "p5.48xlarge"),
            ("p5-48xlarge", "p5.48xlarge"),
            ("p5.84xlarge", "p5.48xlarge"),
            ("p5.48large", "p5.48xlarge"),
            ("p5..48xlarge", "p5.48xlarge"),
            ("p55.48xlarge", "p5.48xlarge"),
            ("hpd7a.96xlarge", "hpc7a.96xlarge"),
            ("5p.48xlarge", "p5.48xlarge"),
            ("hcp7a.96xlarge", "hpc7a.96xlarge"),
            ("hpc7a.95xlarge", "hpc7a.96xlarge"),
            ("tnr1.32xlarge", "trn1.32xlarge"),
            ("c5n.18xlarge.", "c5n.18xlarge"),
            ("t3.mico", "t3.micro"),
            ("c5n.metl", "c5n.metal"),
            ("p6_b200.48xlarge", "p6-b200.48xlarge"),
            ("p5", "p5.4xlarge, p5.48xlarge"),
        ] {
            let error = Catalog::bundled().refuse_misspelt(name).unwrap_err();
            assert_eq!(error.code(), Code::CatalogUnknownInstanceType);
            assert_eq!(error.context_value("instance_type"), Some(name));
            let cure = error.cure().unwrap();
            assert!(cure.contains(meant), "{name}: {cure}");
        }
        for name in ["", ".", "metal", "something quite else"] {
            assert_eq!(Catalog::bundled().look_up(name), Lookup::Misspelt, "{name}");
            assert!(Catalog::bundled().refuse_misspelt(name).is_err(), "{name}");
        }
        for name in ["p5.48xlarge", "t3.micro", "p7.48xlarge"] {
            Catalog::bundled().refuse_misspelt(name).unwrap();
        }
    }

    #[test]
    fn a_live_catalog_knows_the_types_without_efa_too() {
        let live = Catalog::from_instance_types(vec![InstanceType::unknown("p9.48xlarge")]);
        assert!(matches!(live.look_up("p9.48xlarge"), Lookup::Efa(_)));
        assert_eq!(live.look_up("m4.large"), Lookup::NoEfa);
    }
}
