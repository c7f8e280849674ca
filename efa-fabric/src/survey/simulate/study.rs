//! Many simulated surveys of the same kind, counted.

use std::fmt;

use super::super::options::{Mode, Options};
use super::super::random::Random;
use super::cluster::Cluster;
use super::fault::Fault;
use super::world::World;
use crate::error::Result;

/// A kind of fault; where it is, is drawn anew for each run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Case {
    /// Nothing is wrong; there is only noise.
    Noise,
    /// A node that sends and receives 20 % less.
    SlowNode,
    /// A node that sends 20 % less.
    SlowSender,
    /// A rail of a node that is 20 % slower.
    SlowRail,
    /// A rail of a node that works with nobody.
    DeadRail,
    /// A node that nobody reaches.
    DeadNode,
    /// A link that is 20 % slower both ways.
    SlowLink,
    /// A link that is 20 % slower one way.
    SlowOneWay,
    /// A link that nothing passes.
    DeadLink,
    /// A node with 20 % more latency.
    LateNode,
    /// Two nodes that are 20 % slower.
    TwoNodes,
    /// A node and a rail of another that are 20 % slower.
    NodeAndRail,
    /// Everything is 20 % below what is expected.
    SlowCluster,
    /// A node that is 30 % slower in company.
    Contention,
    /// Healthy: noise with heavy tails.
    HeavyTails,
    /// Healthy: 15 % noise.
    MoreNoise,
    /// Healthy: noise common to both directions and all rails.
    CommonNoise,
    /// Healthy: each direction takes a path of 70 % with a chance of 15 %.
    Paths,
    /// 15 % of pairs always take a path of 70 %.
    SlowPaths,
    /// Healthy: 15 % of measurements in company collide at 60 %.
    Collisions,
    /// Healthy: equal leaves, 60 % across, no labels.
    Oversubscribed,
    /// Healthy: two leaves, three quarters and one quarter, 60 % across, no labels.
    UnevenLeaves,
    /// Healthy: two leaves, three quarters and one quarter, 60 % across, with labels.
    UnevenLabels,
    /// Healthy: all rates fall by 20 % in the base rounds.
    Drift,
    /// Healthy: 5 % of all measurements fail.
    Failing,
    /// Healthy: 5 % of all measurements are missing.
    Missing,
    /// A node that is 20 % slower, and 5 % of all measurements fail.
    SlowNodeFailing,
    /// A node that is 20 % slower, and 5 % of all measurements are missing.
    SlowNodeMissing,
    /// A node at half the rate in 30 % of its measurements.
    Unstable,
    /// A node that fails in 30 % of its measurements.
    Flapping,
    /// A node with 25 % noise.
    NoisyNode,
    /// A leaf whose pairs with others reach 60 %, with labels.
    SlowLeaf,
    /// Every second node at half the rate.
    Populations,
}

/// What came of many runs of one case.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Row {
    /// The kind of fault.
    pub case: Case,
    /// Full or sampled.
    pub mode: Mode,
    /// Nodes of the cluster.
    pub nodes: usize,
    /// Surveys.
    pub runs: usize,
    /// Surveys that named every fault.
    pub named: usize,
    /// Surveys that named something that is not wrong.
    pub alarmed: usize,
    /// Surveys with a false fault, or a node to take out that nothing is wrong with.
    pub faulted: usize,
    /// Surveys that named every fault among the links they saw; equal to `runs` in cases without
    /// link faults.
    pub visible: usize,
    /// Most rounds of a survey.
    pub most_rounds: usize,
    /// Rounds of all surveys.
    pub rounds: usize,
    /// Messages of all surveys.
    pub messages: usize,
    /// Share of links seen, of the last survey.
    pub links_seen: f64,
    /// Most rounds of a survey in which something failed.
    pub most_deadlines: usize,
    /// The statements of the surveys that missed or alarmed, up to five.
    pub odd: Vec<String>,
}

impl Case {
    /// All cases, in the order of the table.
    pub const ALL: [Self; 33] = [
        Self::Noise,
        Self::SlowNode,
        Self::SlowSender,
        Self::SlowRail,
        Self::DeadRail,
        Self::DeadNode,
        Self::SlowLink,
        Self::SlowOneWay,
        Self::DeadLink,
        Self::LateNode,
        Self::TwoNodes,
        Self::NodeAndRail,
        Self::SlowCluster,
        Self::Contention,
        Self::HeavyTails,
        Self::MoreNoise,
        Self::CommonNoise,
        Self::Paths,
        Self::SlowPaths,
        Self::Collisions,
        Self::Oversubscribed,
        Self::UnevenLeaves,
        Self::UnevenLabels,
        Self::Drift,
        Self::Failing,
        Self::Missing,
        Self::SlowNodeFailing,
        Self::SlowNodeMissing,
        Self::Unstable,
        Self::Flapping,
        Self::NoisyNode,
        Self::SlowLeaf,
        Self::Populations,
    ];

    /// The case in words.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Noise => "noise only",
            Self::SlowNode => "node 20 % slower",
            Self::SlowSender => "node sends 20 % less",
            Self::SlowRail => "rail 20 % slower",
            Self::DeadRail => "rail dead",
            Self::DeadNode => "node dead",
            Self::SlowLink => "link 20 % slower",
            Self::SlowOneWay => "link 20 % slower one way",
            Self::DeadLink => "link dead",
            Self::LateNode => "node 20 % more latency",
            Self::TwoNodes => "two nodes 20 % slower",
            Self::NodeAndRail => "node and other's rail 20 % slower",
            Self::SlowCluster => "all 20 % below expected",
            Self::Contention => "node 30 % slower in company",
            Self::HeavyTails => "healthy, heavy tails",
            Self::MoreNoise => "healthy, 15 % noise",
            Self::CommonNoise => "healthy, noise of both directions in common",
            Self::Paths => "healthy, 15 % on a path of 70 %",
            Self::SlowPaths => "15 % of pairs at 70 %",
            Self::Collisions => "healthy, 15 % collide at 60 %",
            Self::Oversubscribed => "healthy, leaves, 60 % across",
            Self::UnevenLeaves => "healthy, leaves of 3/4 and 1/4, 60 % across",
            Self::UnevenLabels => "healthy, leaves of 3/4 and 1/4, labels",
            Self::Drift => "healthy, rates fall by 20 %",
            Self::Failing => "healthy, 5 % fail",
            Self::Missing => "healthy, 5 % missing",
            Self::SlowNodeFailing => "node 20 % slower, 5 % fail",
            Self::SlowNodeMissing => "node 20 % slower, 5 % missing",
            Self::Unstable => "node halves in 30 %",
            Self::Flapping => "node fails in 30 %",
            Self::NoisyNode => "node with 25 % noise",
            Self::SlowLeaf => "leaf 40 % slower across, labels",
            Self::Populations => "half of the nodes at half the rate",
        }
    }

    /// Whether the case is one fault of a node or rail of at least 20 %, with a target in both
    /// modes.
    #[must_use]
    pub fn is_single_node_or_rail(self) -> bool {
        matches!(
            self,
            Self::SlowNode
                | Self::SlowSender
                | Self::SlowRail
                | Self::DeadRail
                | Self::DeadNode
                | Self::LateNode
        )
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_healthy(self) -> bool {
        self == Self::Noise || self.title().starts_with("healthy")
    }

    /// Whether the case is a node that fails or halves in part of its measurements.
    #[must_use]
    pub fn is_unstable(self) -> bool {
        matches!(self, Self::Unstable | Self::Flapping)
    }

    /// Nodes of a leaf, in the cases with leaves.
    fn leaf(nodes: usize) -> usize {
        nodes.div_ceil(4).max(4)
    }

    fn cluster(self, nodes: usize, random: &mut Random) -> Cluster {
        let mut cluster = Cluster::healthy(nodes);
        cluster.faults = self.faults(nodes, cluster.rails, random);
        if self == Self::MoreNoise {
            cluster.noise = 0.15;
        }
        let leaf = if nodes < 16 {
            nodes.div_ceil(2)
        } else {
            Self::leaf(nodes)
        };
        cluster.world = match self {
            Self::HeavyTails => World::HeavyTails,
            Self::CommonNoise => World::CommonNoise,
            Self::Paths => World::Paths { share: 0.15 },
            Self::SlowPaths => World::SlowPaths { share: 0.15 },
            Self::Collisions => World::Collisions { share: 0.15 },
            Self::Oversubscribed => World::Oversubscribed { leaf },
            Self::UnevenLeaves | Self::UnevenLabels => World::UnevenLeaves,
            Self::Drift => World::Drift {
                per_round: 0.2 / nodes as f64,
            },
            Self::Failing | Self::SlowNodeFailing => World::Failing { share: 0.05 },
            Self::Missing | Self::SlowNodeMissing => World::Missing { share: 0.05 },
            _ => World::Plain,
        };
        cluster
    }

    fn labels(self, nodes: usize) -> Option<Vec<String>> {
        let of: Box<dyn Fn(usize) -> usize> = match self {
            Self::SlowLeaf => Box::new(move |node| node / Self::leaf(nodes)),
            Self::UnevenLabels => Box::new(move |node| usize::from(4 * node >= 3 * nodes)),
            _ => return None,
        };
        Some(
            (0..nodes)
                .map(|node| format!("leaf-{}", of(node)))
                .collect(),
        )
    }

    /// Whether the case is about a link.
    #[must_use]
    pub fn is_link(self) -> bool {
        matches!(self, Self::SlowLink | Self::SlowOneWay | Self::DeadLink)
    }

    fn faults(self, nodes: usize, rails: u16, random: &mut Random) -> Vec<Fault> {
        let loss = 0.2;
        let node = random.below(nodes);
        let other = (node + 1 + random.below(nodes.max(2) - 1)) % nodes;
        let pair = (node.min(other), node.max(other));
        let rail = random.below(usize::from(rails)) as u16;
        match self {
            Self::SlowNode | Self::SlowNodeFailing | Self::SlowNodeMissing => {
                vec![Fault::SlowNode { node, loss }]
            }
            Self::SlowSender => vec![Fault::SlowSender { node, loss }],
            Self::SlowRail => vec![Fault::SlowRail { node, rail, loss }],
            Self::DeadRail => vec![Fault::DeadRail { node, rail }],
            Self::DeadNode => vec![Fault::DeadNode { node }],
            Self::SlowLink => vec![Fault::SlowLink { pair, loss }],
            Self::SlowOneWay => vec![Fault::SlowOneWay { pair, loss }],
            Self::DeadLink => vec![Fault::DeadLink { pair }],
            Self::LateNode => vec![Fault::LateNode { node, excess: 0.2 }],
            Self::TwoNodes => [node, other]
                .map(|node| Fault::SlowNode { node, loss })
                .into(),
            Self::NodeAndRail => vec![
                Fault::SlowNode { node, loss },
                Fault::SlowRail {
                    node: other,
                    rail,
                    loss,
                },
            ],
            Self::SlowCluster => vec![Fault::SlowCluster { loss }],
            Self::Contention => vec![Fault::Contention { node, loss: 0.3 }],
            Self::Unstable => vec![Fault::Unstable { node, share: 0.3 }],
            Self::Flapping => vec![Fault::Flapping { node, share: 0.3 }],
            Self::NoisyNode => vec![Fault::Noisy { node, noise: 0.25 }],
            Self::SlowLeaf => {
                let leaf = Self::leaf(nodes);
                vec![Fault::SlowLeaf { leaf, loss: 0.4 }]
            }
            Self::Populations => vec![Fault::HalfSlow { loss: 0.5 }],
            _ => vec![],
        }
    }
}

/// Surveys `runs` clusters of one kind, seeds from `seed` on.
///
/// # Errors
/// As [`Plan::new`](crate::survey::Plan::new).
pub fn tell(case: Case, mode: Mode, nodes: usize, runs: usize, seed: u64) -> Result<Row> {
    let mut row = Row {
        case,
        mode,
        nodes,
        runs,
        named: 0,
        alarmed: 0,
        faulted: 0,
        visible: 0,
        most_rounds: 0,
        rounds: 0,
        messages: 0,
        links_seen: 0.0,
        most_deadlines: 0,
        odd: Vec::new(),
    };
    for run in 0..runs {
        let seed = seed.wrapping_add(run as u64);
        let mut random = Random::for_purpose(seed, 3);
        let cluster = case.cluster(nodes, &mut random);
        // Where leaves or time take a share of the rate, less than all of it is expected.
        let whole =
            cluster.world == World::Plain && !matches!(case, Case::SlowLeaf | Case::Populations);
        let options = Options {
            mode,
            seed,
            expected_gbps: whole.then(|| cluster.expected_gbps()),
            expected_rail_gbps: whole.then_some(cluster.rail_gbps),
            labels: case.labels(nodes),
            ..Options::default()
        };
        let survey = cluster.survey(options, seed)?;
        let named = cluster.faults.iter().all(|fault| survey.names(fault));
        // A pair that always takes a slower path is a slow link, whatever the reason.
        let slow = cluster.world.slow_links(nodes, seed);
        let wrong: Vec<Fault> = cluster.faults.iter().copied().chain(slow).collect();
        let alarms = survey.false_alarms(&wrong);
        let visible = cluster.faults.iter().all(|fault| match *fault {
            Fault::SlowLink { pair, .. }
            | Fault::SlowOneWay { pair, .. }
            | Fault::DeadLink { pair } => survey
                .observations
                .as_slice()
                .iter()
                .any(|o| (o.a, o.b) == pair),
            _ => true,
        });
        row.named += usize::from(named);
        row.visible += usize::from(visible);
        row.alarmed += usize::from(alarms > 0);
        row.most_rounds = row.most_rounds.max(survey.rounds);
        row.rounds += survey.rounds;
        row.messages += survey.messages;
        row.links_seen = survey.conclusion.links_seen;
        row.most_deadlines = row.most_deadlines.max(survey.deadlines);
        let false_fault = survey.false_faults(&wrong) > 0;
        row.faulted += usize::from(false_fault);
        if ((visible && !named) || alarms > 0 || false_fault) && row.odd.len() < 5 {
            let said: Vec<&str> = survey
                .conclusion
                .verdicts
                .iter()
                .map(|v| v.statement.as_str())
                .collect();
            row.odd.push(format!(
                "seed {seed}, {:?}: {}",
                cluster.faults,
                said.join(" | ")
            ));
        }
    }
    Ok(row)
}

/// The head of the Markdown table of [`Row`]s.
#[must_use]
pub fn head() -> &'static str {
    "| mode | nodes | fault | runs | named | of visible | false alarms | false faults | rounds, mean | most | \
     limit | messages, mean | deadlines, most | links seen |\n\
     |---|---|---|---|---|---|---|---|---|---|---|---|---|---|"
}

/// Which targets a row misses, in words: 99 % of single faults named with less than 1 % false
/// alarms, in 2·log2(n) + 4 rounds of a sampled survey; links in full surveys only. Less than 2 %
/// of healthy clusters with a false fault; 98 % of slow nodes named where 5 % of measurements are
/// lost, and 95 % of unstable ones from 16 nodes on.
#[must_use]
pub fn targets_missed(row: &Row) -> Vec<String> {
    let mut missed = Vec::new();
    let share = |count: usize| count as f64 / row.runs as f64;
    let single = row.case.is_single_node_or_rail()
        || (row.mode == Mode::Full && matches!(row.case, Case::SlowLink | Case::DeadLink));
    if row.nodes >= 8 && row.case.is_healthy() && share(row.faulted) >= 0.02 {
        let percent = share(row.faulted) * 100.0;
        missed.push(format!("false faults {percent:.1} %, target < 2 %"));
    }
    let least = match row.case {
        Case::SlowNodeFailing | Case::SlowNodeMissing if row.nodes >= 8 => 0.98,
        Case::Unstable | Case::Flapping if row.nodes >= 16 => 0.95,
        _ => 0.0,
    };
    if share(row.named) < least {
        let (percent, least) = (share(row.named) * 100.0, least * 100.0);
        missed.push(format!("named {percent:.1} %, target {least:.0} %"));
    }
    if row.nodes < 8 || !(single || row.case == Case::Noise) {
        return missed;
    }
    if share(row.named) < 0.99 {
        missed.push(format!(
            "named {:.1} %, target 99 %",
            share(row.named) * 100.0
        ));
    }
    if share(row.alarmed) >= 0.01 {
        missed.push(format!(
            "false alarms {:.1} %, target < 1 %",
            share(row.alarmed) * 100.0
        ));
    }
    if row.mode == Mode::Sampled && row.most_rounds as f64 > row.limit() {
        missed.push(format!(
            "{} rounds, target {:.1}",
            row.most_rounds,
            row.limit()
        ));
    }
    missed
}

impl Row {
    /// 2·log2(n) + 4.
    #[must_use]
    pub fn limit(&self) -> f64 {
        2.0 * (self.nodes.max(1) as f64).log2() + 4.0
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |count: usize, of: usize| match of {
            0 => "-".to_owned(),
            of => format!("{:.1} %", 100.0 * count as f64 / of as f64),
        };
        let (mode, limit) = match self.mode {
            Mode::Sampled => ("sampled", format!("{:.1}", self.limit())),
            _ => ("full", "-".to_owned()),
        };
        write!(
            f,
            "| {mode} | {} | {} | {} | {} | {} | {} | {} | {:.1} | {} | {limit} | {:.0} | {} | {:.1} % |",
            self.nodes,
            self.case.title(),
            self.runs,
            if self.case.is_healthy() || self.case == Case::SlowPaths {
                "-".to_owned()
            } else {
                percent(self.named, self.runs)
            },
            if self.case.is_link() {
                percent(self.named, self.visible)
            } else {
                "-".to_owned()
            },
            percent(self.alarmed, self.runs),
            percent(self.faulted, self.runs),
            self.rounds as f64 / self.runs as f64,
            self.most_rounds,
            self.messages as f64 / self.runs as f64,
            self.most_deadlines,
            self.links_seen * 100.0,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::plan::Plan;
    use super::*;

    /// The short form of the simulation: seeds are fixed, so it always gives the same.
    #[test]
    fn targets_hold() {
        let (mut runs, mut named, mut alarmed) = (0, 0, 0);
        for (mode, nodes, times) in [
            (Mode::Full, 8, 40),
            (Mode::Full, 24, 4),
            (Mode::Sampled, 8, 40),
            (Mode::Sampled, 33, 12),
            (Mode::Sampled, 256, 1),
        ] {
            let cases = Case::ALL.into_iter().filter(|case| {
                case.is_single_node_or_rail()
                    || (mode == Mode::Full && matches!(case, Case::SlowLink | Case::DeadLink))
            });
            for case in cases {
                let row = tell(case, mode, nodes, times, 1).unwrap();
                runs += times;
                named += row.named;
                alarmed += row.alarmed;
                rounds_hold(&row);
            }
        }
        assert!(named * 100 >= runs * 99, "{named} of {runs} named");
        assert!(
            alarmed * 100 < runs,
            "{alarmed} of {runs} with false alarms"
        );
    }

    /// Whatever a fabric does, a plan ends within what it says.
    fn rounds_hold(row: &Row) {
        let options = Options {
            mode: row.mode,
            ..Options::default()
        };
        let most = Plan::new(row.nodes, options).unwrap().most_rounds();
        assert!(row.most_rounds <= most, "{most}: {row}");
    }

    /// The worlds that are not like the survey's own model, at one size each.
    #[test]
    fn worlds_hold() {
        let (mut healthy, mut faulted) = (0, 0);
        for case in Case::ALL {
            let is_world = case.is_healthy() && case != Case::Noise;
            for (mode, runs) in [(Mode::Full, 5), (Mode::Sampled, 8)] {
                if !is_world {
                    continue;
                }
                let row = tell(case, mode, 16, runs, 1).unwrap();
                healthy += runs;
                faulted += row.faulted;
                rounds_hold(&row);
            }
        }
        assert!(
            healthy > 100 && faulted * 50 < healthy,
            "{faulted} of {healthy}"
        );
        for (case, mode, runs, least) in [
            (Case::SlowNodeFailing, Mode::Full, 8, 8),
            (Case::SlowNodeFailing, Mode::Sampled, 8, 8),
            (Case::SlowNodeMissing, Mode::Full, 8, 8),
            (Case::SlowNodeMissing, Mode::Sampled, 8, 8),
            (Case::SlowLeaf, Mode::Full, 4, 4),
            (Case::SlowLeaf, Mode::Sampled, 4, 4),
            (Case::Populations, Mode::Full, 4, 4),
            (Case::Populations, Mode::Sampled, 8, 8),
            (Case::Unstable, Mode::Full, 20, 19),
            (Case::Flapping, Mode::Full, 20, 19),
        ] {
            let row = tell(case, mode, 16, runs, 1).unwrap();
            assert!(row.named >= least, "{row}");
            rounds_hold(&row);
        }
    }

    #[test]
    fn clusters_below_five_nodes_have_no_outliers() {
        for nodes in [2, 3, 4] {
            for case in [Case::SlowNode, Case::SlowRail, Case::LateNode, Case::Noise] {
                let cluster = Cluster {
                    faults: case.faults(nodes, 4, &mut Random::new(1)),
                    ..Cluster::healthy(nodes)
                };
                let conclusion = cluster.survey(Options::default(), 1).unwrap().conclusion;
                assert_eq!(conclusion.drain, [] as [usize; 0], "{nodes} {case:?}");
                assert!(
                    conclusion.verdicts[0]
                        .statement
                        .starts_with("not enough data")
                );
            }
        }
    }

    #[test]
    fn a_slow_cluster_is_named_at_any_size() {
        for nodes in [2, 4, 8] {
            let row = tell(Case::SlowCluster, Mode::Full, nodes, 20, 1).unwrap();
            assert_eq!(row.named, 20, "{row}");
        }
    }
}
