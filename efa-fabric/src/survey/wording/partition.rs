//! Sentences on sets of nodes that do not reach each other.

use super::parts::failure;
use crate::survey::verdict::Evidence;

/// Names of a set in one sentence.
const NAMED: usize = 8;

/// The sets, in a few words.
pub(super) fn who(e: &Evidence, name: &impl Fn(usize) -> String) -> String {
    format!(
        "{} of nodes that do not reach each other: {}",
        count(e),
        sets(e, name)
    )
}

/// That the sets do not reach each other, on how many attempts, and what may be the cause.
pub(super) fn apart(e: &Evidence, name: &impl Fn(usize) -> String) -> String {
    format!(
        "{} of nodes do not reach each other, and work inside: {}; {} pairs between them failed in all of \
         {} attempts{}: security group, route or subnet, no fault of a node",
        count(e),
        sets(e, name),
        e.failed,
        e.tried,
        failure(e)
    )
}

fn count(e: &Evidence) -> String {
    match e.sets.len() {
        2 => "two sets".to_owned(),
        count => format!("{count} sets"),
    }
}

fn sets(e: &Evidence, name: &impl Fn(usize) -> String) -> String {
    let sets = e.sets.iter().map(|nodes| {
        let names: Vec<String> = nodes.iter().take(NAMED).map(|&node| name(node)).collect();
        let more = match nodes.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        format!("({}{more})", names.join(", "))
    });
    sets.collect::<Vec<String>>().join(" and ")
}
