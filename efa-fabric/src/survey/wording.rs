//! Verdicts as sentences.

use std::fmt::Write;

use super::verdict::{
    Confidence, Direction, Evidence, Quantity, Severity, Subject, Verdict, VerdictKind,
};

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

    /// The statement with names (of hosts, say) instead of numbers, where there are such.
    #[must_use]
    pub fn statement_with(&self, names: &[String]) -> String {
        statement(self, names)
    }
}

/// The sentence of a verdict; nodes beyond `names` are called by number.
fn statement(verdict: &Verdict, names: &[String]) -> String {
    let name = |node: usize| {
        names
            .get(node)
            .cloned()
            .unwrap_or_else(|| format!("node {node}"))
    };
    let subject = match verdict.subject {
        Subject::Cluster => "the cluster".to_owned(),
        Subject::Node { node } => name(node),
        Subject::Rail { node, rail } => format!("rail {rail} of {}", name(node)),
        Subject::Link { a, b } => format!("the link between {} and {}", name(a), name(b)),
    };
    let e = &verdict.evidence;
    match verdict.kind {
        VerdictKind::Unreachable => unreachable(verdict, &subject),
        VerdictKind::Intermittent => {
            let unit = if matches!(verdict.subject, Subject::Link { .. }) {
                "attempts"
            } else {
                "nodes"
            };
            format!(
                "{subject} failed with {} of {} {unit}{}",
                e.failed,
                e.tried,
                failure(e)
            )
        }
        VerdictKind::SlowBandwidth | VerdictKind::HighLatency => {
            let mut text = format!("{subject} {}", difference(e, names, verdict.subject));
            match e.alone_change_percent {
                Some(alone) => {
                    let _ = write!(
                        text,
                        "; alone, {} times, {alone:+.0} %",
                        e.alone_observations
                    );
                }
                None => text.push_str("; not measured again alone"),
            }
            text
        }
        VerdictKind::Contention if verdict.subject == Subject::Cluster => format!(
            "a pair alone is {:.0} % faster than pairs in company: they share capacity",
            e.alone_change_percent.unwrap_or_default(),
        ),
        VerdictKind::Contention => format!(
            "{subject} {} only in company; alone, {} times, {:+.0} %: shared capacity, not a fault",
            difference(e, names, verdict.subject),
            e.alone_observations,
            e.alone_change_percent.unwrap_or_default(),
        ),
        VerdictKind::BelowExpected => format!(
            "{subject} reaches {:.4} of {:.4} Gbit/s expected{}",
            e.value.unwrap_or_default(),
            e.expected_gbps.unwrap_or_default(),
            e.rail
                .map_or(String::new(), |rail| format!(" on rail {rail}")),
        ),
        VerdictKind::NotEnoughData => match (verdict.subject, e.tried) {
            (Subject::Cluster, 0) => "not enough data: nothing was measured".to_owned(),
            (Subject::Cluster, nodes) => format!(
                "not enough data: among {nodes} answering nodes no outlier can be told{}",
                if e.expected_gbps.is_some() {
                    "; compared with the expected rate only"
                } else {
                    ", and no expected rate was given"
                },
            ),
            _ => format!("not enough data about {subject}{}", failure(e)),
        },
    }
}

fn unreachable(verdict: &Verdict, subject: &str) -> String {
    let e = &verdict.evidence;
    match verdict.subject {
        Subject::Cluster => format!(
            "no pair of nodes reached each other{}: security group (all traffic to and from itself), subnet, or provider",
            failure(e),
        ),
        Subject::Node { .. } if e.failed == 0 => {
            format!("{subject} gave no answer{}", failure(e))
        }
        Subject::Node { .. } | Subject::Rail { .. } => format!(
            "{subject} failed with every one of {} nodes{}",
            e.failed,
            failure(e)
        ),
        Subject::Link { .. } => format!(
            "{subject} failed in {} of {} attempts, both nodes reach others{}: path or security group",
            e.failed,
            e.tried,
            failure(e),
        ),
    }
}

fn failure(e: &Evidence) -> String {
    match (&e.code, e.after_s) {
        (Some(code), Some(after_s)) => format!(" ({code} after {after_s:.1} s)"),
        (Some(code), None) => format!(" ({code})"),
        _ => String::new(),
    }
}

fn difference(e: &Evidence, names: &[String], subject: Subject) -> String {
    let change = e.change_percent.unwrap_or_default();
    let (unit, compared) = match e.quantity {
        Some(Quantity::Latency) => ("us", "more latency"),
        _ => ("Gbit/s", "less bandwidth"),
    };
    let name = |node: usize| {
        names
            .get(node)
            .cloned()
            .unwrap_or_else(|| format!("node {node}"))
    };
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
    format!(
        "has {:.0} % {compared}{direction} than typical ({:.4} against {:.4} {unit}, z {:.1}, {} measurements)",
        change.abs(),
        e.value.unwrap_or_default(),
        e.typical.unwrap_or_default(),
        e.z.unwrap_or_default(),
        e.observations,
    )
}
