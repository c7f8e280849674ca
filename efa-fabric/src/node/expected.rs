//! How many EFA devices an instance type has, and how fast they are.

use efa_core::Catalog;
use serde::{Deserialize, Serialize};

/// The expected hardware of an instance type with every EFA interface attached.
///
/// ```
/// let b200 = efa_fabric::node::Expected::for_type("p6-b200.48xlarge").unwrap();
/// assert_eq!((b200.efa_count, b200.efa_gbps), (8, Some(400.0)));
/// assert_eq!(b200.gbps_of(8, None), Some(3200.0));
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Expected {
    /// The instance type.
    pub instance_type: String,
    /// EFA interfaces that it can have: `EfaInfo.MaximumEfaInterfaces` of EC2. A launch may
    /// attach fewer on purpose.
    pub efa_count: u32,
    /// Gbit/s of one EFA device, where it is known; EC2's figure per card is not it.
    pub efa_gbps: Option<f64>,
    /// Where that figure is from.
    pub efa_gbps_origin: Option<String>,
    /// Gbit/s of the whole instance: EC2's `NetworkPerformance`.
    pub instance_gbps: Option<f64>,
}

struct Rate {
    /// A type, or a family with its dot.
    name: &'static str,
    gbps: f64,
    origin: &'static str,
}

const fn rate(name: &'static str, gbps: f64, origin: &'static str) -> Rate {
    Rate { name, gbps, origin }
}

/// The figure of EC2 for one network card; it agrees with what is published of these types' EFA.
const PER_CARD: &str = "EC2's figure of the network card";
/// Public write-ups and topology files that agree: stas00/ml-engineering network/README.md,
/// ai-dynamo/nixl's topology fixtures, aws-samples/awsome-distributed-training.
const PUBLISHED: &str = "published figures of users and AWS samples";

/// Gbit/s of one EFA device. Types are left out where only a sum is known (g6e, hpc8a, hpc6id,
/// c6in): their devices may be able to take all of it one at a time.
const RATES: [Rate; 20] = [
    rate("c5n.18xlarge", 100.0, PER_CARD),
    rate("p3dn.24xlarge", 100.0, PER_CARD),
    rate("g5.48xlarge", 100.0, PER_CARD),
    rate("g6.48xlarge", 100.0, PER_CARD),
    rate("hpc6a.", 100.0, PER_CARD),
    rate("hpc7a.", 150.0, PER_CARD),
    rate("hpc7g.", 200.0, PER_CARD),
    rate("c8gn.48xlarge", 300.0, PER_CARD),
    rate("g7e.48xlarge", 400.0, PER_CARD),
    rate("p4d.24xlarge", 100.0, PER_CARD),
    rate("p4de.24xlarge", 100.0, PER_CARD),
    rate("p5.4xlarge", 100.0, PER_CARD),
    rate("p5.48xlarge", 100.0, PER_CARD),
    rate("p5e.48xlarge", 100.0, PER_CARD),
    rate("p5en.48xlarge", 200.0, PER_CARD),
    rate("p6-b200.48xlarge", 400.0, PUBLISHED),
    rate("p6-b300.48xlarge", 400.0, PER_CARD),
    rate("trn1.32xlarge", 100.0, PER_CARD),
    rate("trn1n.32xlarge", 100.0, PER_CARD),
    rate("trn2.48xlarge", 200.0, PER_CARD),
];

impl Expected {
    /// Returns what this type should have, by the bundled catalog of efa-core. `None` for types
    /// without EFA and unknown ones.
    #[must_use]
    pub fn for_type(instance_type: &str) -> Option<Self> {
        let row = Catalog::bundled().get(instance_type)?;
        let rate = RATES.iter().find(|rate| {
            rate.name == instance_type
                || rate.name.ends_with('.') && instance_type.starts_with(rate.name)
        });
        Some(Self {
            instance_type: row.name.clone(),
            efa_count: row.maximum_efa_interfaces,
            efa_gbps: rate.map(|rate| rate.gbps),
            efa_gbps_origin: rate.map(|rate| rate.origin.to_owned()),
            instance_gbps: row.network_bandwidth.map(|gbps| gbps.get()),
        })
    }

    /// Returns the rate in Gbit/s that this many devices should reach together: their rates added
    /// up, but not above the instance's. `rate_gbps` is the rate that a device itself reports,
    /// which goes first. `None` where neither is known.
    #[must_use]
    pub fn gbps_of(&self, devices: u32, rate_gbps: Option<f64>) -> Option<f64> {
        let each = rate_gbps.or(self.efa_gbps);
        let sum = each.map(|each| each * f64::from(devices));
        match (sum, self.instance_gbps) {
            (Some(sum), Some(limit)) => Some(sum.min(limit)),
            (Some(sum), None) => Some(sum),
            // All devices together can take what the instance has.
            (None, limit) if devices >= self.efa_count => limit,
            (None, _) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_rates_and_limits() {
        for (name, count, each, limit) in [
            ("c5n.18xlarge", 1, Some(100.0), Some(100.0)),
            ("p4d.24xlarge", 4, Some(100.0), Some(400.0)),
            ("p5.48xlarge", 32, Some(100.0), Some(3200.0)),
            ("p5en.48xlarge", 16, Some(200.0), Some(3200.0)),
            // EC2's figure per card is 200 here.
            ("p6-b200.48xlarge", 8, Some(400.0), Some(3200.0)),
            ("p6-b300.48xlarge", 16, Some(400.0), Some(6400.0)),
            ("g6e.48xlarge", 4, None, Some(400.0)),
            ("hpc7a.96xlarge", 2, Some(150.0), Some(300.0)),
        ] {
            let expected = Expected::for_type(name).unwrap();
            assert_eq!(
                (
                    expected.efa_count,
                    expected.efa_gbps,
                    expected.instance_gbps
                ),
                (count, each, limit),
                "{name}"
            );
            assert_eq!(expected.efa_gbps_origin.is_some(), each.is_some());
        }
        assert_eq!(Expected::for_type("t3.micro"), None);
        assert_eq!(Expected::for_type(""), None);
    }

    #[test]
    fn every_rate_is_of_a_type_in_the_catalog_and_no_more_than_the_instance_has() {
        for rate in &RATES {
            let types: Vec<_> = Catalog::bundled()
                .iter()
                .filter(|t| t.name.starts_with(rate.name))
                .collect();
            assert!(!types.is_empty(), "{}", rate.name);
            for t in types {
                let limit = t.network_bandwidth.unwrap().get();
                assert!(rate.gbps <= limit, "{}: {limit}", t.name);
                let of_a_card = t.network_cards.iter().any(|card| {
                    card.peak_bandwidth
                        .is_some_and(|peak| peak.get() == rate.gbps)
                });
                assert_eq!(rate.origin == PER_CARD, of_a_card, "{}", t.name);
            }
        }
    }

    #[test]
    fn together_devices_are_limited_by_the_instance() {
        let expected = |each, limit| Expected {
            instance_type: String::new(),
            efa_count: 4,
            efa_gbps: each,
            efa_gbps_origin: None,
            instance_gbps: limit,
        };
        for (each, limit, devices, own, together) in [
            (Some(100.0), Some(400.0), 2, None, Some(200.0)),
            (Some(100.0), Some(300.0), 4, None, Some(300.0)),
            (Some(100.0), Some(400.0), 2, Some(50.0), Some(100.0)),
            (None, Some(400.0), 4, None, Some(400.0)),
            (None, Some(400.0), 3, None, None),
            (None, None, 4, None, None),
            (Some(100.0), None, 3, None, Some(300.0)),
        ] {
            assert_eq!(expected(each, limit).gbps_of(devices, own), together);
        }
    }
}
