//! How to survey: which pairs, which seed, what is expected, when a difference counts.
//!
//! An [`Options`] goes whole from the caller to the plan of the survey, through every driver, and its
//! values are refused here and nowhere else.

use std::fmt::Display;
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use super::collective::Pattern;
use crate::error::{Code, Error, Result};

/// Times that an outlier may be measured again alone: each is a round.
const ALONE: RangeInclusive<usize> = 1..=100;
/// Below this many live nodes, the median is one of too few.
const FEWEST_NODES: usize = 3;

/// The pairs that the base rounds cover.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Mode {
    /// Every pair once: n − 1 rounds, n for an odd number of nodes.
    #[default]
    Full,
    /// ⌊log2 n⌋ + 2 random perfect matchings. Names bad nodes and rails; of the links it sees a
    /// share, which the conclusion states.
    Sampled,
    /// Each node with the next.
    Ring,
    /// Every pair with the same label.
    WithinGroups,
    /// Every pair with different labels.
    BetweenGroups,
}

impl Mode {
    /// Returns its name, as in options, such as `within_groups`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Sampled => "sampled",
            Self::Ring => "ring",
            Self::WithinGroups => "within_groups",
            Self::BetweenGroups => "between_groups",
        }
    }
}

/// Options of a survey: every setting of a plan, with its default.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Options {
    /// The pairs that the base rounds cover.
    pub mode: Mode,
    /// Base rounds of [`Mode::Sampled`], if not ⌊log2 n⌋ + 2, and more where nothing stands out in
    /// so few; at most as many as every pair once takes.
    pub base_rounds: Option<usize>,
    /// Seed of everything random.
    pub seed: u64,
    /// Per node, the label of its network node; needed for the modes by group. With labels, the
    /// difference between pairs inside and across groups is taken out before comparing.
    pub labels: Option<Vec<String>>,
    /// The rate that a pair should reach in one direction with all rails, in Gbit/s.
    pub expected_gbps: Option<f64>,
    /// The rate that one rail should reach in one direction, in Gbit/s.
    pub expected_rail_gbps: Option<f64>,
    /// Patterns to carry out after the pairs, each once; none by default.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub collectives: Vec<Pattern>,
    /// When a difference counts.
    pub thresholds: Thresholds,
}

/// The limits from which a difference counts. The defaults have the detection rates of docs/survey-statistics.md.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Thresholds {
    /// Least loss of bandwidth, as a share of the cluster's median: 0.10. A verdict on a link
    /// needs a third more.
    pub loss: f64,
    /// Least gain of a node's latency, as a share of the cluster's median: 0.10.
    pub latency_excess: f64,
    /// Least gain of a single link's latency to measure it again: 0.25. A verdict needs a third
    /// more.
    pub link_latency_excess: f64,
    /// Least robust z: 3.5.
    pub z: f64,
    /// Least share of the expected rate: 0.90.
    pub of_expected: f64,
    /// Live nodes below which no outlier is claimed: 5.
    pub least_nodes: usize,
    /// Times that an outlier is measured again alone: 3.
    pub alone: usize,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            loss: 0.10,
            latency_excess: 0.10,
            link_latency_excess: 0.25,
            z: 3.5,
            of_expected: 0.90,
            least_nodes: 5,
            alone: 3,
        }
    }
}

impl Options {
    /// Returns the options that were given, whole or as single settings.
    ///
    /// # Errors
    /// `fabric.invalid_option` if both were: settings that are not the defaults, and options.
    pub fn whole_or_settings(whole: Option<Self>, settings: Self) -> Result<Self> {
        match whole {
            None => Ok(settings),
            Some(whole) if settings == Self::default() => Ok(whole),
            Some(_) => Err(Error::new(
                Code::InvalidOption,
                "both options and single settings were given",
            )
            .with_cure("put the settings into the options")
            .with_context("option", "options")),
        }
    }

    /// Whether what a pair or a rail should reach is known.
    #[must_use]
    pub fn expects_a_rate(&self) -> bool {
        self.expected_gbps.or(self.expected_rail_gbps).is_some()
    }

    /// Refuses values that no survey can have, whatever its nodes.
    ///
    /// # Errors
    /// `fabric.invalid_option` with the option, its value, the limit and the cure.
    pub fn require_valid(&self) -> Result<()> {
        if let Some(rounds) = self.base_rounds {
            if self.mode != Mode::Sampled {
                return Err(refused(
                    "base_rounds",
                    rounds,
                    "left out unless the mode is sampled",
                    "use the mode sampled",
                ));
            }
            if rounds == 0 {
                let limit = "1 or more";
                let cure = "leave base_rounds out for ⌊log2 n⌋ + 2";
                return Err(refused("base_rounds", rounds, limit, cure));
            }
        }
        for (option, rate) in [
            ("expected_gbps", self.expected_gbps),
            ("expected_rail_gbps", self.expected_rail_gbps),
        ] {
            if let Some(rate) = rate {
                require_positive(option, rate, "give the rate in Gbit/s, or leave it out")?;
            }
        }
        for (at, pattern) in self.collectives.iter().enumerate() {
            if self.collectives[..at].contains(pattern) {
                let (limit, cure) = ("in the list once", "leave it out the second time");
                return Err(refused("collectives", pattern.as_str(), limit, cure));
            }
        }
        self.thresholds.require_valid()
    }

    /// Refuses patterns of groups without labels, unless the network node of some node is known
    /// otherwise: of some only, those may be the nodes that came, and the report states that the
    /// pattern was not carried out.
    ///
    /// # Errors
    /// `fabric.invalid_option` with the option `labels`, the pattern and the cure.
    pub fn require_groups(&self, some_are_known: bool) -> Result<()> {
        let of_groups = self.collectives.iter().find(|of| of.is_of_groups());
        match of_groups {
            Some(pattern) if self.labels.is_none() && !some_are_known => Err(Error::new(
                Code::InvalidOption,
                format!("the {} takes the groups of the nodes", pattern.words()),
            )
            .with_cure("give labels, one for each node, or network nodes of every node")
            .with_context("option", "labels")
            .with_context("pattern", pattern.as_str())),
            _ => Ok(()),
        }
    }

    /// Checks the same, and that labels fit a survey of this many nodes.
    ///
    /// # Errors
    /// As [`require_valid`](Self::require_valid).
    pub fn require_valid_for(&self, nodes: usize) -> Result<()> {
        self.require_valid()?;
        let by_group = matches!(self.mode, Mode::WithinGroups | Mode::BetweenGroups);
        let limit = match &self.labels {
            Some(labels) if labels.len() != nodes => format!("one for each of {nodes} nodes"),
            None if by_group => format!("one for each of {nodes} nodes in a survey by group"),
            _ => return Ok(()),
        };
        let given = self.labels.as_ref().map_or(0, Vec::len);
        let message = format!("{given} labels were given, must be {limit}");
        Err(Error::new(Code::InvalidOption, message)
            .with_cure("give each node the label of its network node")
            .with_context("option", "labels")
            .with_context("value", given)
            .with_context("limit", limit)
            .with_context("nodes", nodes))
    }
}

impl Thresholds {
    /// Refuses values with which nothing could be judged.
    ///
    /// # Errors
    /// `fabric.invalid_option` with the option, its value, the limit and the cure.
    pub fn require_valid(&self) -> Result<()> {
        if !(self.loss > 0.0 && self.loss < 1.0) {
            let limit = "a share above 0 and below 1";
            return Err(refused("loss", self.loss, limit, "use 0.10 for 10 %"));
        }
        if !(self.of_expected > 0.0 && self.of_expected <= 1.0) {
            let limit = "a share above 0, up to 1";
            let cure = "use 0.90 for 90 %";
            return Err(refused("of_expected", self.of_expected, limit, cure));
        }
        for (option, value, cure) in [
            ("latency_excess", self.latency_excess, "use 0.10 for 10 %"),
            (
                "link_latency_excess",
                self.link_latency_excess,
                "use 0.25 for 25 %",
            ),
            ("z", self.z, "use 3.5 standard deviations"),
        ] {
            require_positive(option, value, cure)?;
        }
        if self.least_nodes < FEWEST_NODES {
            let limit = format!("{FEWEST_NODES} or more");
            let cure = "use 5: of fewer nodes none is an outlier";
            return Err(refused("least_nodes", self.least_nodes, &limit, cure));
        }
        if !ALONE.contains(&self.alone) {
            let limit = format!("{} to {}", ALONE.start(), ALONE.end());
            let cure = "use 3: each is a round of its own";
            return Err(refused("alone", self.alone, &limit, cure));
        }
        Ok(())
    }
}

/// Returns a number of rounds, nodes or times, from a caller whose numbers can be negative.
///
/// # Errors
/// `fabric.invalid_option` below 0.
pub fn require_count(option: &'static str, value: i64) -> Result<usize> {
    let count = usize::try_from(value);
    count.map_err(|_| refused(option, value, "1 or more", "use a whole number above 0"))
}

fn require_positive(option: &'static str, value: f64, cure: &str) -> Result<()> {
    if value > 0.0 && value.is_finite() {
        return Ok(());
    }
    Err(refused(option, value, "a finite number above 0", cure))
}

fn refused(option: &'static str, value: impl Display, limit: &str, cure: &str) -> Error {
    Error::new(
        Code::InvalidOption,
        format!("{option} is {value}, must be {limit}"),
    )
    .with_cure(cure)
    .with_context("option", option)
    .with_context("value", value)
    .with_context("limit", limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    type Change = fn(&mut Options);

    fn refusal(change: Change) -> Option<Error> {
        let mut options = Options::default();
        change(&mut options);
        options.require_valid().err()
    }

    #[test]
    fn every_wrong_value_is_named_with_its_limit_and_a_cure() {
        let cases: [(&str, Change); 19] = [
            ("collectives", |o| {
                o.collectives = vec![Pattern::Ring, Pattern::Incast, Pattern::Ring];
            }),
            ("base_rounds", |o| o.base_rounds = Some(3)),
            ("base_rounds", |o| {
                (o.mode, o.base_rounds) = (Mode::Sampled, Some(0));
            }),
            ("expected_gbps", |o| o.expected_gbps = Some(0.0)),
            ("expected_gbps", |o| o.expected_gbps = Some(f64::NAN)),
            ("expected_rail_gbps", |o| o.expected_rail_gbps = Some(-1.0)),
            ("loss", |o| o.thresholds.loss = 0.0),
            ("loss", |o| o.thresholds.loss = 1.0),
            ("loss", |o| o.thresholds.loss = f64::NAN),
            ("latency_excess", |o| o.thresholds.latency_excess = 0.0),
            ("link_latency_excess", |o| {
                o.thresholds.link_latency_excess = f64::INFINITY;
            }),
            ("z", |o| o.thresholds.z = -3.5),
            ("z", |o| o.thresholds.z = f64::NAN),
            ("of_expected", |o| o.thresholds.of_expected = 1.1),
            ("of_expected", |o| o.thresholds.of_expected = 0.0),
            ("least_nodes", |o| o.thresholds.least_nodes = 2),
            ("alone", |o| o.thresholds.alone = 0),
            ("alone", |o| o.thresholds.alone = 101),
            ("alone", |o| o.thresholds.alone = usize::MAX),
        ];
        for (option, change) in cases {
            let error = refusal(change).unwrap();
            assert_eq!(error.code(), Code::InvalidOption);
            assert_eq!(error.context_value("option"), Some(option), "{error}");
            for key in ["value", "limit"] {
                let value = error.context_value(key).unwrap();
                assert!(error.to_string().contains(value), "{error}");
            }
            assert!(error.cure().is_some(), "{error}");
        }
    }

    #[test]
    fn values_at_the_limits_are_taken() {
        let cases: [Change; 6] = [
            |_| {},
            |o| (o.mode, o.base_rounds) = (Mode::Sampled, Some(1)),
            |o| o.thresholds.of_expected = 1.0,
            |o| o.thresholds.least_nodes = 3,
            |o| o.thresholds.alone = 100,
            |o| o.thresholds.loss = 0.999,
        ];
        for change in cases {
            assert!(refusal(change).is_none());
        }
    }

    #[test]
    fn options_are_given_whole_or_as_settings() {
        let seeded = |seed| Options {
            seed,
            ..Options::default()
        };
        for (whole, settings, seed) in [
            (None, 0, Some(0)),
            (None, 7, Some(7)),
            (Some(seeded(3)), 0, Some(3)),
            (Some(seeded(3)), 3, None),
        ] {
            let chosen = Options::whole_or_settings(whole, seeded(settings));
            assert_eq!(chosen.ok().map(|options| options.seed), seed);
        }
    }

    #[test]
    fn counts_are_not_negative() {
        assert_eq!(require_count("alone", 3).unwrap(), 3);
        let error = require_count("alone", -3).unwrap_err();
        assert_eq!(error.context_value("value"), Some("-3"));
    }

    #[test]
    fn labels_are_one_for_each_node() {
        let labelled = |count: usize| Options {
            labels: Some(vec!["nn-1".into(); count]),
            ..Options::default()
        };
        assert!(labelled(3).require_valid_for(3).is_ok());
        let error = labelled(2).require_valid_for(3).unwrap_err();
        assert_eq!(error.context_value("option"), Some("labels"));
        assert!(error.to_string().contains("2 labels were given"), "{error}");
        let by_group = Options {
            mode: Mode::BetweenGroups,
            ..Options::default()
        };
        assert!(by_group.require_valid().is_ok());
        assert!(by_group.require_valid_for(3).is_err());
    }
}
