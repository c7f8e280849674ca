//! What the counters of a device report about where traffic went.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// Beginnings of names of counters that only grow on a bad path.
const BAD_PATH: [&str; 3] = ["retrans_", "unresponsive_", "impaired_"];
/// Counters that are reported besides.
const TRAFFIC: [&str; 3] = ["tx_bytes", "rx_bytes", "rx_drops"];

/// The evidence of a device's own counters that a probe's messages went through it, and not
/// through shared memory or another network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Evidence {
    /// Both counters grew by at least what was measured.
    Proved {
        /// Growth of `tx_bytes`.
        tx_bytes: u64,
        /// Growth of `rx_bytes`.
        rx_bytes: u64,
    },
    /// There are counters, and one grew by less than what was measured.
    NotProved {
        /// Growth of `tx_bytes`.
        tx_bytes: u64,
        /// Growth of `rx_bytes`.
        rx_bytes: u64,
    },
    /// There are no such counters, or they went back.
    Unknown,
}

impl Evidence {
    /// Returns the name as it is written in JSON: `proved`, `not_proved` or `unknown`.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Proved { .. } => "proved",
            Self::NotProved { .. } => "not_proved",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Proved { .. } => "proved",
            Self::NotProved { .. } => "NOT PROVED",
            Self::Unknown => "unknown",
        })
    }
}

/// The evidence for a measurement of this many bytes between two endpoints on one device, which
/// sends and receives them all. The device's bytes are with headers, and with the warm-up.
pub(super) fn judge(growth: &BTreeMap<String, u64>, measured_bytes: u64) -> Evidence {
    let (Some(&tx_bytes), Some(&rx_bytes)) = (growth.get("tx_bytes"), growth.get("rx_bytes"))
    else {
        return Evidence::Unknown;
    };
    if tx_bytes.min(rx_bytes) >= measured_bytes {
        Evidence::Proved { tx_bytes, rx_bytes }
    } else {
        Evidence::NotProved { tx_bytes, rx_bytes }
    }
}

/// By how much the counters that matter grew. Those that went back, or that are missing before
/// or after, are left out.
pub(super) fn growth(
    before: &BTreeMap<String, u64>,
    after: &BTreeMap<String, u64>,
) -> BTreeMap<String, u64> {
    before
        .iter()
        .filter(|(name, _)| {
            TRAFFIC.contains(&name.as_str()) || BAD_PATH.iter().any(|bad| name.starts_with(bad))
        })
        .filter_map(|(name, &value)| Some((name.clone(), after.get(name)?.checked_sub(value)?)))
        .collect()
}

/// Adds what grew of a bad path in another measurement of the same rail.
pub(super) fn keep_bad_path(growth: &mut BTreeMap<String, u64>, other: &BTreeMap<String, u64>) {
    for (name, value) in bad_path(other) {
        *growth.entry(name.to_owned()).or_default() += value;
    }
}

/// The counters of a bad path that grew.
pub(super) fn bad_path(growth: &BTreeMap<String, u64>) -> impl Iterator<Item = (&str, u64)> {
    growth
        .iter()
        .filter(|(name, value)| **value > 0 && BAD_PATH.iter().any(|bad| name.starts_with(bad)))
        .map(|(name, &value)| (name.as_str(), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counters(values: &[(&str, u64)]) -> BTreeMap<String, u64> {
        values
            .iter()
            .map(|&(name, value)| (name.to_owned(), value))
            .collect()
    }

    #[test]
    fn traffic_is_proved_by_both_counters() {
        for (before, after, expected) in [
            (
                &[("tx_bytes", 10), ("rx_bytes", 5)][..],
                &[("tx_bytes", 120), ("rx_bytes", 105)][..],
                Evidence::Proved {
                    tx_bytes: 110,
                    rx_bytes: 100,
                },
            ),
            (
                &[("tx_bytes", 10), ("rx_bytes", 5)],
                &[("tx_bytes", 120), ("rx_bytes", 104)],
                Evidence::NotProved {
                    tx_bytes: 110,
                    rx_bytes: 99,
                },
            ),
            (
                &[("tx_bytes", 10), ("rx_bytes", 5)],
                &[("tx_bytes", 10), ("rx_bytes", 5)],
                Evidence::NotProved {
                    tx_bytes: 0,
                    rx_bytes: 0,
                },
            ),
            (
                &[("tx_bytes", 10), ("rx_bytes", 500)],
                &[("tx_bytes", 120), ("rx_bytes", 5)],
                Evidence::Unknown,
            ),
            (
                &[("tx_bytes", 10)],
                &[("tx_bytes", 120), ("rx_bytes", 5)],
                Evidence::Unknown,
            ),
            (&[], &[], Evidence::Unknown),
        ] {
            let growth = growth(&counters(before), &counters(after));
            assert_eq!(judge(&growth, 100), expected, "{growth:?}");
        }
    }

    #[test]
    fn only_counters_of_a_bad_path_are_bad() {
        let before = counters(&[
            ("retrans_bytes", 1),
            ("retrans_pkts", 4),
            ("unresponsive_remote_events", 0),
            ("tx_bytes", 0),
            ("send_wrs", 0),
        ]);
        let after = counters(&[
            ("retrans_bytes", 9001),
            ("retrans_pkts", 4),
            ("unresponsive_remote_events", 1),
            ("tx_bytes", 9),
            ("send_wrs", 9),
        ]);
        let growth = growth(&before, &after);
        assert!(!growth.contains_key("send_wrs"));
        let mut again = counters(&[("tx_bytes", 5), ("retrans_bytes", 1)]);
        keep_bad_path(&mut again, &growth);
        let kept = [
            ("retrans_bytes", 9001),
            ("tx_bytes", 5),
            ("unresponsive_remote_events", 1),
        ];
        assert_eq!(again, counters(&kept));
        let bad: Vec<_> = bad_path(&growth).collect();
        assert_eq!(
            bad,
            [("retrans_bytes", 9000), ("unresponsive_remote_events", 1)]
        );
    }
}
