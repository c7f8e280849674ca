//! Numbers, names and failures as sentences have them.

use crate::survey::FailurePhase;
use crate::survey::verdict::Evidence;

/// All names, or the first of many and how many more there are.
pub(crate) fn listed(names: &[String]) -> String {
    const MOST: usize = 64;
    let text = names[..names.len().min(MOST)].join(", ");
    match names.len().checked_sub(MOST) {
        Some(more) if more > 0 => format!("{text} and {more} more"),
        _ => text,
    }
}

/// A number of things, in the singular where it is one.
pub(crate) fn counted(count: usize, thing: &str) -> String {
    format!("{count} {thing}{}", if count == 1 { "" } else { "s" })
}

/// Three significant digits: more were not measured.
pub(crate) fn digits(value: f64) -> String {
    if !value.is_finite() || value == 0.0 {
        return format!("{value}");
    }
    // Rounded first: 9.996 is 10.0, and not 10.00.
    let rounded: f64 = format!("{value:.2e}").parse().unwrap_or(value);
    let places = 2 - rounded.abs().log10().floor() as i32;
    format!("{rounded:.*}", places.max(0) as usize)
}

/// How the first failure looked: in which phase, with which code, after how long.
pub(super) fn failure(e: &Evidence) -> String {
    let doing = match e.phase {
        Some(FailurePhase::Open) => "opening the endpoint: ",
        Some(FailurePhase::Contact) => "at the first messages: ",
        Some(FailurePhase::Latency) => "measuring latency: ",
        Some(FailurePhase::Bandwidth) => "measuring rates: ",
        Some(FailurePhase::Join) | None => "",
    };
    match (&e.code, e.after_s) {
        (Some(code), Some(after_s)) => format!(" ({doing}{code} after {after_s:.1} s)"),
        (Some(code), None) => format!(" ({doing}{code})"),
        _ => String::new(),
    }
}
