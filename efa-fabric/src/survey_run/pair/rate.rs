//! The rate of measurements that ran at the same time.

use crate::probe::{Bandwidth, ProbeReport};

/// The rate of all that ran at the same time, in Gbit/s; `None` where none was measured.
pub(crate) fn rate(reports: &[&ProbeReport]) -> Option<f64> {
    let bytes: u64 = bandwidths(reports).map(|bandwidth| bandwidth.bytes).sum();
    let gbps = bytes as f64 * 8.0 / 1e9 / longest_s(reports);
    (gbps.is_finite() && gbps > 0.0).then_some(gbps)
}

/// The longest time of those, in s.
pub(super) fn longest_s(reports: &[&ProbeReport]) -> f64 {
    let seconds = bandwidths(reports).map(|bandwidth| bandwidth.elapsed_s);
    seconds.fold(0.0, f64::max)
}

fn bandwidths<'a>(reports: &'a [&ProbeReport]) -> impl Iterator<Item = &'a Bandwidth> {
    let rows = reports.iter().filter_map(|report| report.rows.first());
    rows.filter_map(|row| row.bandwidth.as_ref())
}
