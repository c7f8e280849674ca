//! Figures over rails.

/// A rail below this share of the median is slow.
pub(super) const SLOW_SHARE: f64 = 0.9;

/// The middle value, or the mean of the two in the middle. `None` without values.
pub(super) fn median(values: &[f64]) -> Option<f64> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    if values.len() % 2 == 1 {
        return Some(upper);
    }
    Some((values[middle - 1] + upper) / 2.0)
}

/// Which rails are slow against the others: below 0.9 of the median of all that were measured.
/// Fewer than two cannot be compared.
pub(super) fn slow(values: &[Option<f64>]) -> Vec<usize> {
    let measured: Vec<f64> = values.iter().copied().flatten().collect();
    let Some(median) = median(&measured).filter(|_| measured.len() >= 2) else {
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
    fn medians() {
        for (values, expected) in [
            (&[][..], None),
            (&[7.0], Some(7.0)),
            (&[9.0, 1.0, 5.0], Some(5.0)),
            (&[4.0, 1.0, 3.0, 2.0], Some(2.5)),
        ] {
            assert_eq!(median(values), expected);
        }
    }

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
