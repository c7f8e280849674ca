//! Figures over rails.

use crate::median::median;

/// A rail below this share of the median is slow.
pub(super) const SLOW_SHARE: f64 = 0.9;

/// Which rails are slow against the others: below 0.9 of the median of all that were measured.
/// Fewer than two cannot be compared.
pub(super) fn slow(values: &[Option<f64>]) -> Vec<usize> {
    let mut measured: Vec<f64> = values.iter().copied().flatten().collect();
    if measured.len() < 2 {
        return Vec::new();
    }
    let Some(median) = median(&mut measured) else {
        return Vec::new();
    };
    values
        .iter()
        .enumerate()
        .filter(|(_, value)| value.is_some_and(|value| value < SLOW_SHARE * median))
        .map(|(at, _)| at)
        .collect()
}

/// The sum; `None` if one is not known.
pub(super) fn sum(values: &[Option<f64>]) -> Option<f64> {
    if values.is_empty() {
        return None;
    }
    values.iter().copied().sum()
}

/// Gbit/s of this many bytes in this many ns.
pub(super) fn gbps(bytes: u64, elapsed_ns: u64) -> f64 {
    bytes as f64 * 8.0 / elapsed_ns.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_rails_are_below_nine_tenths_of_the_median() {
        for (values, expected) in [
            (
                vec![Some(100.0), Some(100.0), Some(89.0), Some(101.0)],
                vec![2],
            ),
            (vec![Some(100.0), Some(90.0), Some(100.0)], vec![]),
            (vec![Some(100.0), None, Some(40.0), Some(100.0)], vec![2]),
            // All equally bad is for the expected figure to show.
            (vec![Some(10.0), Some(10.0)], vec![]),
            (vec![Some(100.0), Some(50.0)], vec![1]),
            (vec![Some(1.0)], vec![]),
            (vec![None, Some(1.0)], vec![]),
            (vec![], vec![]),
        ] {
            assert_eq!(slow(&values), expected, "{values:?}");
        }
    }

    #[test]
    fn sums_need_every_rail() {
        assert_eq!(sum(&[Some(1.0), Some(2.5)]), Some(3.5));
        assert_eq!(sum(&[Some(1.0), None]), None);
        assert_eq!(sum(&[]), None);
    }

    #[test]
    fn gigabits_are_powers_of_ten() {
        assert_eq!(gbps(125_000_000, 1_000_000_000), 1.0);
        assert!(gbps(1, 0).is_finite());
    }
}
