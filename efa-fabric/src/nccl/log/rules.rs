//! Which cause a line has: the table of `causes`, searched for in one pass.

use std::sync::OnceLock;

use super::causes::{Cause, Stage};
use super::scan::Scanner;

/// Lines that more than one part of a log can have, NCCL's or not.
const OUTSIDE: [Cause; 19] = [
    Cause::NixlNoRail,
    Cause::OpenMpiNoProvider,
    Cause::NeuronNeedsNetwork,
    Cause::NeuronWithoutEfa,
    Cause::NoVerbsDevice,
    Cause::VerbsUnopenable,
    Cause::EfaListEmpty,
    Cause::LockedMemory,
    Cause::NamedNetworkMissing,
    Cause::TopologyInvalid,
    Cause::TunerRefused,
    Cause::GdrcopyMissing,
    Cause::GinUnavailable,
    Cause::DescriptorMissing,
    Cause::SecurityGroupEgress,
    Cause::SecurityGroup,
    Cause::PeerLost,
    Cause::RegistrationBadAddress,
    Cause::DriverError,
];

/// Causes that a line has only where it is a warning: as information the same words are harmless.
const WARNINGS_ONLY: [Cause; 8] = [
    Cause::RailsDiffer,
    Cause::TopologyInvalid,
    Cause::TunerRefused,
    Cause::GdrcopyMissing,
    Cause::GinUnavailable,
    Cause::DescriptorMissing,
    Cause::RegistrationBadAddress,
    Cause::DriverError,
];

/// Where a line stands, which decides what rules it is held against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// A warning of NCCL, its plugin, or libfabric.
    Warning,
    /// Another line of the same library.
    Information,
    /// A line of something else, where a rule must be exact.
    Outside,
}

struct Rule {
    cause: Cause,
    texts: Vec<u16>,
}

struct Rules {
    scanner: Scanner,
    rules: Vec<Rule>,
    peer_is_known: Option<u16>,
}

/// The one cause of a line, where it has one.
pub(super) fn cause_of(text: &str, place: Place) -> Option<Cause> {
    let rules = rules();
    let hits = rules.scanner.scan(text);
    if hits.is_none() {
        return None;
    }
    if place != Place::Outside
        && let Some(cause) = missing_library(text)
    {
        return Some(cause);
    }
    let found = rules
        .rules
        .iter()
        .filter(|rule| rule.cause.fits(place))
        .find(|rule| rule.texts.iter().all(|number| hits.has(*number)))?;
    let peer_is_known = rules.peer_is_known.is_some_and(|number| hits.has(number));
    if found.cause == Cause::SecurityGroupEgress && peer_is_known {
        // The peer was received from before, so that its answers can arrive.
        return Some(Cause::PeerLost);
    }
    Some(found.cause)
}

const PEER_IS_KNOWN: &str = "peer host id: i-";

fn rules() -> &'static Rules {
    static RULES: OnceLock<Rules> = OnceLock::new();
    RULES.get_or_init(|| {
        let groups = || {
            Cause::ALL
                .iter()
                .flat_map(|cause| cause.lines().iter().map(|group| (*cause, *group)))
        };
        let texts = groups().flat_map(|(_, group)| group.iter().copied());
        let stems = ["cannot open shared object file", PEER_IS_KNOWN];
        let scanner = Scanner::new(texts.chain(stems));
        let rules = groups()
            .map(|(cause, group)| Rule {
                cause,
                texts: group
                    .iter()
                    .filter_map(|text| scanner.number(text))
                    .collect(),
            })
            .collect();
        let peer_is_known = scanner.number(PEER_IS_KNOWN);
        Rules {
            scanner,
            rules,
            peer_is_known,
        }
    })
}

impl Cause {
    fn fits(self, place: Place) -> bool {
        match place {
            Place::Warning => true,
            Place::Information => self.stage() != Stage::End && !WARNINGS_ONLY.contains(&self),
            Place::Outside => self.stage() == Stage::End || OUTSIDE.contains(&self),
        }
    }
}

/// What a loader's message about the plugin means, by the file that it did not find.
fn missing_library(text: &str) -> Option<Cause> {
    let lower = text.to_ascii_lowercase();
    if !lower.contains("net/plugin") {
        return None;
    }
    // `libfabric.so.1: cannot open shared object file`
    let (before, _) = lower.split_once(": cannot open shared object file")?;
    let missing = before.rsplit([' ', '=']).next()?;
    let is_the_plugin = missing.contains("libnccl-net") || missing.contains("nccl-ofi");
    Some(if is_the_plugin {
        Cause::PluginNotFound
    } else {
        Cause::PluginDependencyMissing
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_lower_case_and_whole() {
        let rules = rules();
        for rule in &rules.rules {
            assert!(!rule.texts.is_empty(), "{}", rule.cause);
        }
        for cause in Cause::ALL {
            for group in cause.lines() {
                let is_lower = group.iter().all(|n| *n == n.to_ascii_lowercase());
                assert!(is_lower && !group.is_empty(), "{cause}: {group:?}");
            }
        }
    }

    #[test]
    fn a_rule_that_an_earlier_one_hides_is_none() {
        for cause in Cause::ALL {
            for group in cause.lines() {
                let line = group.join(" ");
                assert_eq!(
                    cause_of(&line, Place::Warning),
                    Some(*cause),
                    "{cause}: {group:?}"
                );
            }
        }
    }

    #[test]
    fn words_of_other_programs_are_no_cause() {
        for line in [
            "connecting to redis failed, retrying",
            "loss 0.3, error 0.01",
            "network unet is not found in the registry, downloading",
            "plugin version 3 is unsupported",
            "watchdog_timeout=300, dist_timeout=None",
        ] {
            assert_eq!(cause_of(line, Place::Outside), None, "{line}");
        }
    }
}
