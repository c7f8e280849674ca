//! Sentences on groups of nodes and the paths between them.

use super::parts::digits;
use crate::survey::verdict::{Direction, Evidence, GroupRates};

/// A path between two groups, or inside of one, by label.
pub(super) fn path(e: &Evidence, a: usize, b: usize) -> String {
    let label = |of: &Option<String>, group: usize| of.clone().unwrap_or_else(|| group.to_string());
    let (one, other) = (label(&e.label, a), label(&e.other_label, b));
    match e.direction {
        _ if a == b => format!("the inside of the group {one}"),
        Some(Direction::LowerToHigher) => format!("the path from the group {one} to {other}"),
        Some(Direction::HigherToLower) => format!("the path from the group {other} to {one}"),
        _ => format!("the path between the groups {one} and {other}"),
    }
}

/// What a path is compared with.
pub(super) fn compared_with(e: &Evidence) -> &'static str {
    match e.direction {
        Some(Direction::LowerToHigher | Direction::HigherToLower) => "the way back",
        _ if e.label == e.other_label => "that of the other groups",
        _ => "the paths between other groups",
    }
}

pub(super) fn ways(count: usize) -> String {
    match count {
        1 => "1 direction of a pair".to_owned(),
        _ => format!("{count} directions of pairs"),
    }
}

/// The rates inside and across groups, and what that is a share of; `None` where neither is known.
pub(crate) fn rates(rates: &GroupRates) -> Option<String> {
    let said = |gbps: Option<f64>, count: usize| match gbps {
        Some(gbps) => format!("{} Gbit/s (median of {})", digits(gbps), ways(count)),
        None => "unknown".to_owned(),
    };
    rates.inside_gbps.or(rates.across_gbps)?;
    let inside = said(rates.inside_gbps, rates.inside_ways);
    let across = said(rates.across_gbps, rates.across_ways);
    let share = rates.share().map_or_else(String::new, |share| {
        format!(", which is {} % of that", digits(100.0 * share))
    });
    Some(format!(
        "rates inside groups {inside}, across groups {across}{share}"
    ))
}

/// That all groups reach much less between each other than inside.
pub(super) fn oversubscribed(e: &Evidence) -> String {
    format!(
        "between groups {} Gbit/s are reached (median of {}), inside of them {} Gbit/s (of {}): \
         {:.0} % less, no node or group makes that difference; look at how the \
         network between the groups is built",
        digits(e.value.unwrap_or_default()),
        ways(e.observations),
        digits(e.typical.unwrap_or_default()),
        e.compared,
        e.change_percent.unwrap_or_default().abs(),
    )
}

pub(super) fn oversubscribed_briefly(e: &Evidence) -> String {
    let less = e.change_percent.unwrap_or_default().abs();
    format!("{less:.0} % less is reached between groups than inside of them")
}
