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

/// The rails that are slow together. Where threads wait for processors, a rate is the scheduler's
/// as much as the rail's: only what is slow alone as well counts then.
pub(super) fn slow_together(together: &[usize], alone: &[usize], is_crowded: bool) -> Vec<usize> {
    together
        .iter()
        .copied()
        .filter(|at| !is_crowded || alone.contains(at))
        .collect()
}

/// The sum; `None` if one is not known.
pub(super) fn sum(values: &[Option<f64>]) -> Option<f64> {
    if values.is_empty() {
        return None;
    }
    values.iter().copied().sum()
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
    fn a_crowded_machine_names_no_rail_that_is_fine_alone() {
        assert_eq!(slow_together(&[0, 2], &[2], true), [2]);
        assert_eq!(slow_together(&[0, 2], &[2], false), [0, 2]);
        assert!(slow_together(&[], &[2], true).is_empty());
    }

    #[test]
    fn sums_need_every_rail() {
        assert_eq!(sum(&[Some(1.0), Some(2.5)]), Some(3.5));
        assert_eq!(sum(&[Some(1.0), None]), None);
        assert_eq!(sum(&[]), None);
    }
}
