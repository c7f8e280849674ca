//! Verdicts as sentences.

use std::fmt::Write;

use super::observation::FailurePhase;
use super::verdict::{
    Confidence, Direction, Evidence, Quantity, Severity, Subject, Verdict, VerdictKind,
};

mod few;
mod groups;
mod partition;
mod parts;

pub(crate) use self::few::{explained, spread};
pub(crate) use self::groups::rates;
use self::parts::failure;
pub(crate) use self::parts::{counted, digits, listed};

impl Verdict {
    pub(crate) fn new(
        subject: Subject,
        kind: VerdictKind,
        severity: Severity,
        confidence: Confidence,
        evidence: Evidence,
    ) -> Self {
        let mut verdict = Self {
            subject,
            kind,
            severity,
            confidence,
            evidence,
            statement: String::new(),
        };
        verdict.statement = verdict.statement_with(&[]);
        verdict
    }

    /// Returns the statement with names (of hosts, for example) instead of numbers, where there are
    /// such.
    #[must_use]
    pub fn statement_with(&self, names: &[String]) -> String {
        statement(self, names)
    }
}

/// The sentence of a verdict; nodes beyond `names` are called by number.
fn statement(verdict: &Verdict, names: &[String]) -> String {
    let subject = subject(verdict, names);
    let e = &verdict.evidence;
    match verdict.kind {
        VerdictKind::Unreachable => unreachable(verdict, &subject),
        VerdictKind::Unstable => unstable(e, &subject, &name_in(names)),
        VerdictKind::Populations => populations(e, &name_in(names)),
        VerdictKind::Structure => structure(e, &name_in(names)),
        VerdictKind::RatesDiffer => few::rates_differ(e, &name_in(names)),
        VerdictKind::UnevenRail => few::uneven_rail(e),
        VerdictKind::Partition => partition::apart(e, &name_in(names)),
        VerdictKind::Oversubscribed => groups::oversubscribed(e),
        VerdictKind::SeenOnce => seen_once(verdict, &subject),
        VerdictKind::Intermittent => intermittent(verdict, &subject),
        VerdictKind::SlowBandwidth | VerdictKind::HighLatency => slow(verdict, &subject, names),
        VerdictKind::Contention => contention(verdict, &subject, names),
        VerdictKind::BelowExpected => below_expected(e, &subject),
        VerdictKind::NotEnoughData => not_enough_data(verdict, &subject),
    }
}

/// The name of a node, or its number beyond `names`.
fn name_in(names: &[String]) -> impl Fn(usize) -> String {
    |node| {
        let name = names.get(node).cloned();
        name.unwrap_or_else(|| format!("node {node}"))
    }
}

/// What a verdict is about; nodes beyond `names` are called by number.
pub(crate) fn subject(verdict: &Verdict, names: &[String]) -> String {
    let name = name_in(names);
    match verdict.subject {
        Subject::Cluster if verdict.kind == VerdictKind::RatesDiffer => {
            few::who_differs(&verdict.evidence, &name)
        }
        Subject::Cluster if verdict.kind == VerdictKind::Partition => {
            partition::who(&verdict.evidence, &name)
        }
        Subject::Cluster => "the cluster".to_owned(),
        Subject::Node { node } => name(node),
        Subject::Rail { node, rail } => format!("rail {rail} of {}", name(node)),
        Subject::Link { a, b } => format!("the link between {} and {}", name(a), name(b)),
        Subject::Group { group } => match &verdict.evidence.label {
            Some(label) => format!("the group {label}"),
            None => format!("group {group}"),
        },
        Subject::GroupPath { a, b } => groups::path(&verdict.evidence, a, b),
    }
}

/// What a warning is about, in a few words.
pub(crate) fn brief(verdict: &Verdict, names: &[String]) -> String {
    let e = &verdict.evidence;
    let subject = subject(verdict, names);
    let change = e.change_percent.unwrap_or_default().abs();
    let again = match verdict.confidence {
        Confidence::Low => ", not measured again",
        Confidence::Medium | Confidence::High => "",
    };
    match (verdict.kind, verdict.subject) {
        (VerdictKind::SlowBandwidth, _) => {
            format!("{subject} has {change:.0} % less bandwidth{again}")
        }
        (VerdictKind::HighLatency, _) => {
            format!("{subject} has {change:.0} % more latency{again}")
        }
        (VerdictKind::Contention, Subject::Cluster) => "pairs share capacity".to_owned(),
        (VerdictKind::Contention, _) => format!("{subject} is slower only when concurrent"),
        (VerdictKind::Unstable, _) if e.failed_in.is_some() => {
            format!("{subject} failed for some rounds, and works since")
        }
        (VerdictKind::Unstable, _) if !e.nodes.is_empty() => {
            format!("{subject}, with which others stop answering")
        }
        (VerdictKind::Unstable, _) => format!("{subject} is unstable"),
        (VerdictKind::UnevenRail, _) => match e.rail {
            Some(rail) => format!("rail {rail} is slower than the others"),
            None => "rails differ".to_owned(),
        },
        (VerdictKind::Oversubscribed, _) => groups::oversubscribed_briefly(e),
        (VerdictKind::Structure, _) => "pairs differ as no node explains".to_owned(),
        (VerdictKind::Intermittent, Subject::Cluster) => "pairs failed several times".to_owned(),
        (VerdictKind::Intermittent, _) => format!("{subject} failed several times"),
        (VerdictKind::NotEnoughData, _) => format!("not enough data about {subject}"),
        _ => subject,
    }
}

fn unreachable(verdict: &Verdict, subject: &str) -> String {
    let e = &verdict.evidence;
    if let Some(bytes) = e.stuck_bytes {
        return black_hole(verdict, subject, bytes);
    }
    let has_contact = matches!(
        e.phase,
        Some(FailurePhase::Latency | FailurePhase::Bandwidth)
    );
    match verdict.subject {
        Subject::Cluster | Subject::Group { .. } if has_contact => format!(
            "no pair of nodes could be measured, though first messages passed{}",
            failure(e),
        ),
        Subject::Cluster | Subject::Group { .. } | Subject::GroupPath { .. } => format!(
            "no pair of nodes reached each other{}: security group (all traffic to and from itself), subnet, or provider",
            failure(e),
        ),
        Subject::Node { .. } if e.failed == 0 => {
            format!("{subject} gave no answer{}", failure(e))
        }
        Subject::Node { .. } | Subject::Rail { .. } => {
            let since = match e.worked_in {
                Some(round) => format!("worked until round {} and since then ", round + 1),
                None => String::new(),
            };
            format!(
                "{subject} {since}failed with every one of {} nodes{}",
                e.failed,
                failure(e)
            )
        }
        Subject::Link { .. } => format!(
            "{subject} failed in {} of {} attempts, both nodes reach others{}: path or security group",
            e.failed,
            e.tried,
            failure(e),
        ),
    }
}

fn seen_once(verdict: &Verdict, subject: &str) -> String {
    let e = &verdict.evidence;
    if verdict.subject == Subject::Cluster {
        return format!(
            "{} of {} pairs failed once or as rarely as others, and are not faults{}",
            e.failed,
            e.tried,
            failure(e)
        );
    }
    let seen = match e.failed {
        1 => "seen once",
        _ => "not more often than others: seen",
    };
    format!(
        "{subject} failed in {} of {} attempts, {seen}, not a fault{}",
        e.failed,
        e.tried,
        failure(e)
    )
}

fn intermittent(verdict: &Verdict, subject: &str) -> String {
    let e = &verdict.evidence;
    let (failed, tried) = (e.failed, e.tried);
    match verdict.subject {
        Subject::Cluster => format!(
            "{failed} of {tried} pairs failed in several attempts{}",
            failure(e)
        ),
        Subject::Link { .. } => format!(
            "{subject} failed with {failed} of {tried} attempts{}",
            failure(e)
        ),
        Subject::Node { .. }
        | Subject::Rail { .. }
        | Subject::Group { .. }
        | Subject::GroupPath { .. } => {
            format!(
                "{subject} failed with {failed} of {tried} nodes{}",
                failure(e)
            )
        }
    }
}

/// Less bandwidth or more latency, with what was measured of it alone.
fn slow(verdict: &Verdict, subject: &str, names: &[String]) -> String {
    let e = &verdict.evidence;
    let difference = difference(e, names, verdict.subject);
    if matches!(verdict.subject, Subject::Group { .. }) {
        let nodes: Vec<String> = e.nodes.iter().map(|&node| name_in(names)(node)).collect();
        return format!(
            "{subject} {difference} of pairs across other groups; its {} nodes: {}",
            nodes.len(),
            listed(&nodes)
        );
    }
    if matches!(verdict.subject, Subject::GroupPath { .. }) {
        return format!("{subject} {difference}");
    }
    match e.alone_change_percent {
        Some(alone) => format!(
            "{subject} {difference}; alone, {}, {alone:+.0} %",
            counted(e.alone_observations, "time")
        ),
        None => format!("{subject} {difference}; not measured again alone"),
    }
}

fn contention(verdict: &Verdict, subject: &str, names: &[String]) -> String {
    let e = &verdict.evidence;
    let alone = e.alone_change_percent.unwrap_or_default();
    if verdict.subject == Subject::Cluster {
        return format!(
            "a pair alone is {alone:.0} % faster than concurrent pairs: they share capacity"
        );
    }
    format!(
        "{subject} {} only when concurrent; alone, {}, {alone:+.0} %: shared capacity, not a fault",
        difference(e, names, verdict.subject),
        counted(e.alone_observations, "time"),
    )
}

fn below_expected(e: &Evidence, subject: &str) -> String {
    format!(
        "{subject} reaches {} of {} Gbit/s expected{}",
        digits(e.value.unwrap_or_default()),
        digits(e.expected_gbps.unwrap_or_default()),
        e.rail
            .map_or(String::new(), |rail| format!(" on rail {rail}")),
    )
}

fn not_enough_data(verdict: &Verdict, subject: &str) -> String {
    let e = &verdict.evidence;
    match (verdict.subject, e.tried) {
        (Subject::Cluster, 0) => "not enough data: nothing was measured".to_owned(),
        (Subject::Cluster, pairs) if verdict.severity > Severity::Info => format!(
            "not enough data: {} of {pairs} pairs never worked, and were tried too seldom to call them broken{}",
            e.failed,
            failure(e)
        ),
        (Subject::Cluster, nodes) => format!(
            "not enough data: among {nodes} answering nodes no outlier can be identified{}{}",
            if e.expected_gbps.is_some() {
                "; compared with the expected rate only"
            } else {
                ", and no expected rate was given"
            },
            spread(e).map_or(String::new(), |rates| format!("; rates are {rates}")),
        ),
        (Subject::Link { .. }, 1..) => format!(
            "not enough data about {subject}: it failed in {} of {} attempts{}",
            e.failed,
            e.tried,
            failure(e)
        ),
        _ => format!("not enough data about {subject}{}", failure(e)),
    }
}

/// Where small messages pass and large ones do not: a black hole, and no dead node.
fn black_hole(verdict: &Verdict, subject: &str, bytes: usize) -> String {
    let e = &verdict.evidence;
    let (who, with) = match verdict.subject {
        Subject::Cluster | Subject::Group { .. } | Subject::GroupPath { .. } => {
            ("the network".to_owned(), String::new())
        }
        Subject::Link { .. } => (
            subject.to_owned(),
            format!(" in {} of {} attempts", e.failed, e.tried),
        ),
        Subject::Node { .. } | Subject::Rail { .. } => (
            subject.to_owned(),
            format!(" with every one of {} nodes", e.failed),
        ),
    };
    format!(
        "{who} passes small messages, but not those of {bytes} bytes{with}{}: \
         large packets are lost, as with an MTU above what the path carries",
        failure(e)
    )
}

fn difference(e: &Evidence, names: &[String], subject: Subject) -> String {
    let change = e.change_percent.unwrap_or_default();
    let (unit, compared) = match e.quantity {
        Some(Quantity::Latency) => ("us", "more latency"),
        _ => ("Gbit/s", "less bandwidth"),
    };
    let name = name_in(names);
    let direction = match (e.direction, subject) {
        (Some(Direction::Sends), _) => " in what it sends".to_owned(),
        (Some(Direction::Receives), _) => " in what it receives".to_owned(),
        (Some(Direction::LowerToHigher), Subject::Link { a, b }) => {
            format!(" from {} to {}", name(a), name(b))
        }
        (Some(Direction::HigherToLower), Subject::Link { a, b }) => {
            format!(" from {} to {}", name(b), name(a))
        }
        _ => String::new(),
    };
    let than = match subject {
        Subject::Link { .. } => "the other measurements of its nodes",
        Subject::Group { .. } => "the median",
        Subject::GroupPath { .. } => groups::compared_with(e),
        _ => "the median of the other nodes",
    };
    format!(
        "has {:.0} % {compared}{direction} than {than} (median {} {unit} of {}, against {} of {}; z {:.1})",
        change.abs(),
        digits(e.value.unwrap_or_default()),
        match subject {
            Subject::Group { .. } | Subject::GroupPath { .. } => groups::ways(e.observations),
            _ => counted(e.observations, "measurement"),
        },
        digits(e.typical.unwrap_or_default()),
        e.compared,
        e.z.unwrap_or_default(),
    )
}

fn unstable(e: &Evidence, subject: &str, name: &impl Fn(usize) -> String) -> String {
    if !e.nodes.is_empty() {
        let silenced: Vec<String> = e.nodes.iter().map(|&node| name(node)).collect();
        return format!(
            "{subject} answers, but {} stopped answering while they were measured with it: {}",
            counted(silenced.len(), "node"),
            listed(&silenced)
        );
    }
    let tried = counted(e.tried, "measurement");
    if let Some([first, last]) = e.failed_in {
        return format!(
            "{subject} failed in rounds {} to {}, in {} of {tried}{}, and works since: run the survey again",
            first + 1,
            last + 1,
            e.failed,
            failure(e)
        );
    }
    let mut text = format!("{subject} is unstable: of {tried}");
    if e.failed > 0 {
        let _ = write!(text, ", {} failed{}", e.failed, failure(e));
    }
    match e.slow_value {
        Some(slow) if e.slow > 0 => {
            let _ = write!(text, ", {} had a median of {} Gbit/s", e.slow, digits(slow));
        }
        _ if e.slow > 0 => {
            let _ = write!(
                text,
                ", {} differ by more than three times the noise of other pairs",
                e.slow
            );
            return text;
        }
        _ => {}
    }
    if let Some(value) = e.value {
        let others = e.observations;
        let _ = write!(text, "; the other {others} had {} Gbit/s", digits(value));
    }
    text
}

fn populations(e: &Evidence, name: &impl Fn(usize) -> String) -> String {
    let nodes: Vec<String> = e.nodes.iter().map(|&node| name(node)).collect();
    format!(
        "the nodes fall into two populations: {} of {} are slower, with {} Gbit/s (median of {}) against {} Gbit/s among the others ({}); the slower ones: {}",
        nodes.len(),
        e.tried,
        digits(e.value.unwrap_or_default()),
        counted(e.observations, "measurement"),
        digits(e.typical.unwrap_or_default()),
        counted(e.compared, "measurement"),
        listed(&nodes)
    )
}

fn structure(e: &Evidence, name: &impl Fn(usize) -> String) -> String {
    let cause = "paths or network nodes share capacity; labels of network nodes show more";
    let (count, all) = (e.failed, e.tried);
    match (e.value, e.typical, e.slow_value) {
        (Some(lower), Some(higher), None) => {
            let nodes: Vec<String> = e.nodes.iter().map(|&node| name(node)).collect();
            let between = match nodes.is_empty() {
                true => String::new(),
                false => format!(", mostly those between {} and the others", listed(&nodes)),
            };
            format!(
                "{count} of {all} pairs reach {} Gbit/s where the others reach {} Gbit/s{between}, which no single \
                 node explains: {cause}",
                digits(lower),
                digits(higher)
            )
        }
        (_, Some(typical), Some(worst)) => format!(
            "{count} of {all} pairs are slower than their nodes explain, down to {} Gbit/s where {} are typical; too many for faults of single links: {cause}",
            digits(worst),
            digits(typical)
        ),
        _ => format!("{count} of {all} pairs differ in a way that no node explains: {cause}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_messages_that_are_lost_are_no_dead_node() {
        let evidence = Evidence {
            failed: 3,
            tried: 3,
            code: Some("fabric.deadline".into()),
            after_s: Some(6.0),
            phase: Some(FailurePhase::Latency),
            ..Evidence::default()
        };
        let said = |subject, stuck_bytes| {
            let (kind, severity) = (VerdictKind::Unreachable, Severity::Fault);
            let evidence = Evidence {
                stuck_bytes,
                ..evidence.clone()
            };
            Verdict::new(subject, kind, severity, Confidence::High, evidence).statement
        };
        let node = Subject::Node { node: 3 };
        let how = "(measuring latency: fabric.deadline after 6.0 s)";
        assert_eq!(
            said(node, None),
            format!("node 3 failed with every one of 3 nodes {how}")
        );
        let cause = "large packets are lost, as with an MTU above what the path carries";
        for (subject, who, with) in [
            (node, "node 3", "with every one of 3 nodes "),
            (
                Subject::Link { a: 1, b: 2 },
                "the link between node 1 and node 2",
                "in 3 of 3 attempts ",
            ),
            (Subject::Cluster, "the network", ""),
        ] {
            assert_eq!(
                said(subject, Some(2048)),
                format!(
                    "{who} passes small messages, but not those of 2048 bytes {with}{how}: {cause}"
                )
            );
        }
    }

    #[test]
    fn numbers_have_three_digits() {
        for (value, text) in [
            (101.72, "102"),
            (61.648, "61.6"),
            (3196.4, "3200"),
            (0.012_345, "0.0123"),
            (9.996, "10.0"),
            (0.0, "0"),
        ] {
            assert_eq!(digits(value), text);
        }
    }
}
