//! Sentences on the rates of few nodes.

use super::parts::{counted, digits, listed};
use crate::survey::few::Explained;
use crate::survey::verdict::{Direction, Evidence, WayRate};

/// Ways that one sentence names.
const NAMED: usize = 6;

/// How far the rates of few nodes are apart, with the count of measurements; `None` where none was
/// measured.
pub(crate) fn spread(e: &Evidence) -> Option<String> {
    let (least, most) = (e.value?, e.typical?);
    let times = match e.slow_value {
        Some(single) => format!(
            "medians of {}, single ones from {}",
            counted(e.observations, "measurement"),
            digits(single)
        ),
        None => counted(e.observations, "measurement"),
    };
    Some(format!(
        "{} to {} Gbit/s ({times})",
        digits(least),
        digits(most)
    ))
}

/// That the rates of few nodes differ, and that noise explains it.
pub(crate) fn explained(of: &Explained) -> String {
    let rail = of
        .rail
        .map_or(String::new(), |rail| format!(" of rail {rail}"));
    format!(
        "rates{rail} differ by {} %, which the measured noise explains: measurements of one direction \
         vary by {} %",
        digits(of.apart_percent),
        digits(of.noise_percent)
    )
}

/// Who has slow rates, in a few words.
pub(super) fn who_differs(e: &Evidence, name: &impl Fn(usize) -> String) -> String {
    match (e.nodes.first(), e.direction) {
        (Some(&node), Some(Direction::Sends)) => {
            format!("{}, which sends all that is slow", name(node))
        }
        (Some(&node), Some(Direction::Receives)) => {
            format!("{}, which receives all that is slow", name(node))
        }
        (Some(&node), _) => format!("{}, which all slow pairs share", name(node)),
        (None, _) => {
            let slow = slow(e).iter();
            let ways: Vec<String> = slow.map(|way| direction(way, name)).collect();
            format!("{}, slower than the rest", some(&ways))
        }
    }
}

/// That the rates of few nodes differ, and what that shows about whom.
pub(super) fn rates_differ(e: &Evidence, name: &impl Fn(usize) -> String) -> String {
    let ways: Vec<String> = (slow(e).iter())
        .map(|way| format!("{} {}", direction(way, name), digits(way.gbps)))
        .collect();
    let others = &e.ways[slow(e).len()..];
    let others = match (others.first(), others.last()) {
        (Some(one), Some(_)) if others.len() == 1 => {
            format!("{} {}", direction(one, name), digits(one.gbps))
        }
        (Some(least), Some(most)) => format!(
            "the other {} directions {} to {}",
            others.len(),
            digits(least.gbps),
            digits(most.gbps)
        ),
        _ => "no other was measured".to_owned(),
    };
    let counts = e.ways.iter().map(|way| way.measurements);
    let times = match (counts.clone().min(), counts.max()) {
        (_, Some(1)) => "each measured once".to_owned(),
        (Some(least), Some(most)) if least < most => {
            format!("medians of {least} to {most} measurements each")
        }
        (_, most) => format!("medians of {} measurements each", most.unwrap_or(0)),
    };
    let rail = e
        .rail
        .map_or(String::new(), |rail| format!(" of rail {rail}"));
    let nodes = format!("{} nodes are too few", e.tried);
    let so = match e.nodes.first() {
        Some(_) => format!("look first at {}; {nodes} to be sure", who_differs(e, name)),
        None => format!("{nodes} to know which node or path is slow"),
    };
    let beyond = match e.ways.iter().any(|way| way.measurements > 1) {
        true => " by more than measurements of the same pair do",
        false => "",
    };
    format!(
        "rates{rail} differ{beyond}: {}, {others} Gbit/s ({times}); {so}",
        some(&ways)
    )
}

/// A rail that is slower than the others between all nodes.
pub(super) fn uneven_rail(e: &Evidence) -> String {
    format!(
        "rail {} carries {} Gbit/s, the others {} (medians of {} measurements), between all \
         nodes: look at what its network cards share, and at its switches",
        e.rail.unwrap_or_default(),
        digits(e.value.unwrap_or_default()),
        digits(e.typical.unwrap_or_default()),
        e.observations,
    )
}

fn slow(e: &Evidence) -> &[WayRate] {
    &e.ways[..e.slow.min(e.ways.len())]
}

fn direction(way: &WayRate, name: &impl Fn(usize) -> String) -> String {
    format!("{} to {}", name(way.from), name(way.to))
}

fn some(ways: &[String]) -> String {
    match ways.len().checked_sub(NAMED) {
        Some(more) if more > 0 => format!("{} and {more} more", listed(&ways[..NAMED])),
        _ => listed(ways),
    }
}
