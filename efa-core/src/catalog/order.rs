//! The order of instance types, and the names near to a misspelt one.

use std::cmp::Ordering;
use std::iter::Peekable;
use std::str::Chars;

/// Family first, then size; digits compare as numbers, so `2xlarge` comes before `16xlarge`,
/// and sizes that begin with a number before `metal`.
pub(super) fn natural(a: &str, b: &str) -> Ordering {
    match (a.split_once('.'), b.split_once('.')) {
        (Some((fa, sa)), Some((fb, sb))) => chunks(fa, fb).then_with(|| chunks(sa, sb)),
        _ => chunks(a, b),
    }
    .then_with(|| a.cmp(b))
}

fn chunks(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.chars().peekable(), b.chars().peekable());
    loop {
        let order = match (a.peek().copied(), b.peek().copied()) {
            (None, None) => return Ordering::Equal,
            (Some(x), Some(y)) if x.is_ascii_digit() && y.is_ascii_digit() => {
                number(&mut a).cmp(&number(&mut b))
            }
            (x, y) => {
                a.next();
                b.next();
                x.cmp(&y)
            }
        };
        if order.is_ne() {
            return order;
        }
    }
}

fn number(chars: &mut Peekable<Chars<'_>>) -> u64 {
    let mut value: u64 = 0;
    while let Some(digit) = chars.peek().and_then(|c| c.to_digit(10)) {
        value = value.saturating_mul(10).saturating_add(u64::from(digit));
        chars.next();
    }
    value
}

/// At most three names that differ from `name` by few letters, nearest first; of a family, its first
/// three.
pub(super) fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut names: Vec<&str> = names.collect();
    names.sort_by(|a, b| natural(a, b));
    let is_of_family = |known: &&str| {
        let family = known.split_once('.').map(|(family, _)| family);
        family.is_some_and(|family| family.eq_ignore_ascii_case(name))
    };
    let family: Vec<&str> = names.iter().copied().filter(is_of_family).take(3).collect();
    if family.is_empty() {
        crate::text::nearest(name, names)
    } else {
        family
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn families_then_sizes_with_numbers_as_numbers() {
        let sorted = [
            "c5n.9xlarge",
            "c5n.18xlarge",
            "c6in.32xlarge",
            "c6in.metal",
            "c8g.24xlarge",
            "c8g.48xlarge",
            "c8g.metal-24xl",
            "c8g.metal-48xl",
            "c8gb.16xlarge",
            "p6-b200.48xlarge",
            "p6-b300.48xlarge",
            "u7i-6tb.112xlarge",
            "u7i-12tb.224xlarge",
        ];
        for pair in sorted.windows(2) {
            assert_eq!(natural(pair[0], pair[1]), Ordering::Less, "{pair:?}");
        }
    }

    proptest! {
        #[test]
        fn it_is_a_total_order(a in "[a-c0-2.]{0,6}", b in "[a-c0-2.]{0,6}", c in "[a-c0-2.]{0,6}") {
            prop_assert_eq!(natural(&a, &b), natural(&b, &a).reverse());
            prop_assert_eq!(natural(&a, &b) == Ordering::Equal, a == b);
            if natural(&a, &b) == Ordering::Less && natural(&b, &c) == Ordering::Less {
                prop_assert_eq!(natural(&a, &c), Ordering::Less);
            }
        }
    }
}
