//! Who reached whom: failures distinguished by node, rail, link and set of nodes.
//!
//! | file | job |
//! |---|---|
//! | `sets` | sets of nodes that work inside and do not reach each other |
//! | `midway` | nodes that worked at first and with nobody since |
//! | `doubt` | nodes that failed whenever they were tried: when that is enough, whom to try next |

use std::collections::{BTreeMap, BTreeSet};

use super::observation::{Failure, FailurePhase, Observations, Outcome};
use super::schedule::Pair;

mod doubt;
mod midway;
mod sets;

/// Chance that failures which are spread over the cluster are taken for those of a subject.
const CHANCE: f64 = 0.003;
/// Failed attempts that a verdict needs: on a pair, on a node.
const LEAST_OF_PAIR: usize = 3;
const LEAST_OF_NODE: usize = 3;
/// A node of this many fails this much more often before it is called dead: it may be one that
/// fails in part.
const FEW_NODES: usize = 16;
const MORE_OF_NODE: usize = 2;
/// And at most, however many pairs fail.
const MOST_FAILURES: usize = 7;

/// What failed, and with whom it did not.
#[derive(Debug, Default)]
pub(crate) struct Reach {
    nodes: Vec<Tally>,
    /// Per node, its rails.
    rails: Vec<BTreeMap<u16, Tally>>,
    /// Pairs that failed at least once.
    pairs: BTreeMap<Pair, PairTally>,
    /// Pairs that worked at least once.
    good: BTreeSet<Pair>,
    /// Nodes that worked at first and with nobody since.
    lost: Vec<Lost>,
    /// Sets of nodes that reach each other, over others too, and that failed with such a set; none
    /// where every node worked and hardly a pair failed.
    islands: Vec<Vec<usize>>,
    /// Sets of nodes that do not reach each other, which explains pairs that never worked.
    sets: Option<Sets>,
    any_success: bool,
    /// Pairs of any two nodes that were tried.
    tried: usize,
}

/// A node that failed with everyone since a round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lost {
    pub(crate) node: usize,
    /// The last round in which it worked.
    pub(crate) worked_in: usize,
    /// Nodes that worked since, and that it failed with for the first time since.
    pub(crate) failed: usize,
}

/// Two sets or more, and which pairs between them were tried: none of which worked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sets {
    /// The nodes of each, ascending; the smallest set first.
    pub(crate) sets: Vec<Vec<usize>>,
    /// Pairs of nodes of different sets that were tried.
    pub(crate) tried: Vec<Pair>,
    /// Attempts at those.
    pub(crate) attempts: usize,
    /// Pairs to try before this is stated: one inside each set in which none worked, and one
    /// between two sets if none was tried.
    pub(crate) untried: Vec<Pair>,
    /// Whether any of them was tried as often as a verdict on a pair needs: else they may have come at
    /// a bad moment.
    pub(crate) is_seen: bool,
    /// Whether nothing is left to try either.
    pub(crate) is_certain: bool,
}

impl Sets {
    /// Whether the nodes of a pair are of different sets.
    pub(crate) fn are_apart(&self, pair: Pair) -> bool {
        self.tried.binary_search(&pair).is_ok()
    }
}

#[derive(Debug, Clone, Default)]
struct Tally {
    reached: usize,
    failed: BTreeSet<usize>,
    silent: bool,
    /// The last round in which it worked, of a node.
    worked_in: Option<usize>,
}

/// How often a pair failed and succeeded, and how it failed first.
#[derive(Debug, Clone, Default)]
pub(crate) struct PairTally {
    pub(crate) failed: usize,
    pub(crate) reached: usize,
    /// The round in which it failed first.
    first_failed: usize,
    pub(crate) code: String,
    pub(crate) after_s: f64,
    pub(crate) phase: Option<FailurePhase>,
    pub(crate) stuck_bytes: Option<usize>,
}

impl Reach {
    pub(crate) fn new(observations: &Observations) -> Self {
        let mut reach = Self {
            nodes: (0..observations.nodes())
                .map(|_| Tally::default())
                .collect(),
            rails: vec![BTreeMap::new(); observations.nodes()],
            ..Self::default()
        };
        // A pair has failed in a round if nothing of it was measured.
        let mut attempts: BTreeMap<(usize, Pair), (bool, Option<&Failure>)> = BTreeMap::new();
        let failing: BTreeSet<Pair> = observations
            .as_slice()
            .iter()
            .filter(|o| matches!(o.outcome, Outcome::Failed(_)))
            .map(|o| (o.a, o.b))
            .collect();
        reach.tried = observations.pairs().len();
        for o in observations.as_slice() {
            let ends = [(o.a, o.b), (o.b, o.a)];
            match &o.outcome {
                Outcome::Measured(_) => {
                    reach.any_success = true;
                    reach.good.insert((o.a, o.b));
                    for (node, _) in ends {
                        let tally = &mut reach.nodes[node];
                        tally.reached += 1;
                        tally.worked_in = tally.worked_in.max(Some(o.round));
                        if let Some(rail) = o.rail {
                            reach.rails[node].entry(rail).or_default().reached += 1;
                        }
                    }
                }
                Outcome::Failed(failure) => {
                    for (node, other) in ends {
                        reach.nodes[node].silent |= failure.silent == Some(node);
                        if let Some(rail) = o.rail {
                            let tally = reach.rails[node].entry(rail).or_default();
                            tally.failed.insert(other);
                        }
                    }
                }
            }
            if failing.contains(&(o.a, o.b)) {
                let attempt = attempts.entry((o.round, (o.a, o.b))).or_default();
                match &o.outcome {
                    Outcome::Measured(_) => attempt.0 = true,
                    Outcome::Failed(f) => {
                        attempt.1.get_or_insert(f);
                    }
                }
            }
        }
        for ((round, pair), (reached, failure)) in attempts {
            let tally = reach.pairs.entry(pair).or_default();
            if reached {
                tally.reached += 1;
                continue;
            }
            tally.failed += 1;
            reach.nodes[pair.0].failed.insert(pair.1);
            reach.nodes[pair.1].failed.insert(pair.0);
            if let Some(first) = failure.filter(|_| tally.phase.is_none()) {
                (tally.code, tally.after_s) = (first.code.clone(), first.after_s);
                (tally.phase, tally.stuck_bytes) = (Some(first.phase), first.stuck_bytes);
                tally.first_failed = round;
            }
        }
        reach.pairs.retain(|_, tally| tally.failed > 0);
        reach.lost = reach.find_lost();
        if reach.may_be_apart() {
            reach.islands = reach.find_islands();
            reach.sets = reach.find_sets();
        }
        reach
    }

    /// Nodes that worked at first and with nobody since.
    pub(crate) fn lost(&self) -> &[Lost] {
        &self.lost
    }

    /// Sets of nodes that do not reach each other.
    pub(crate) fn sets(&self) -> Option<&Sets> {
        self.sets.as_ref()
    }

    pub(crate) fn any_success(&self) -> bool {
        self.any_success
    }

    pub(crate) fn any_failure(&self) -> bool {
        self.nodes.iter().any(|t| !t.failed.is_empty())
    }

    pub(crate) fn alive(&self, node: usize) -> bool {
        self.nodes[node].reached > 0
    }

    pub(crate) fn live_nodes(&self) -> usize {
        self.nodes.iter().filter(|t| t.reached > 0).count()
    }

    /// Whether the driver never received anything from this node.
    pub(crate) fn silent(&self, node: usize) -> bool {
        self.nodes[node].silent && !self.alive(node)
    }

    /// Nodes that failed with everyone, with the number of live nodes that they failed with.
    pub(crate) fn dead(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        (0..self.nodes.len())
            .filter(|&node| !self.alive(node) && !self.nodes[node].failed.is_empty())
            .map(|node| (node, self.failed_with_live(node)))
    }

    /// Of pairs between live nodes, how often each failed as a whole. What a lost node explains is
    /// left out.
    pub(crate) fn failures(&self) -> BTreeMap<Pair, usize> {
        self.failed_pairs()
            .filter(|((a, b), _)| !self.nodes[*a].silent && !self.nodes[*b].silent)
            .map(|(pair, tally)| (pair, tally.failed))
            .collect()
    }

    /// The share of pairs of live nodes that ever failed, were it one more.
    pub(crate) fn failure_share(&self) -> f64 {
        (self.failures().len() + 1) as f64 / (self.tried + 1) as f64
    }

    /// Failed attempts in a row that chance does not explain, of any one of this many subjects.
    pub(crate) fn enough_failures(&self, subjects: usize, least: usize) -> usize {
        let share = self.failure_share().clamp(1e-6, 0.5);
        let needed = (CHANCE / subjects.max(1) as f64).ln() / share.ln();
        (needed.ceil() as usize).clamp(least, MOST_FAILURES)
    }

    /// The same of a pair.
    pub(crate) fn enough_of_pair(&self) -> usize {
        self.enough_failures(self.tried, LEAST_OF_PAIR)
    }

    /// The same of a node.
    pub(crate) fn enough_of_node(&self) -> usize {
        let least = if self.nodes.len() < FEW_NODES {
            LEAST_OF_NODE
        } else {
            LEAST_OF_NODE + MORE_OF_NODE
        };
        let enough = self.enough_failures(self.nodes.len(), least);
        enough.min(self.live_nodes()).max(2)
    }

    /// How often a pair failed.
    pub(crate) fn times_failed(&self, pair: Pair) -> usize {
        self.pairs.get(&pair).map_or(0, |tally| tally.failed)
    }

    /// Whether a pair failed, and never worked.
    pub(crate) fn never_worked(&self, pair: Pair) -> bool {
        self.pairs
            .get(&pair)
            .is_some_and(|tally| tally.reached == 0)
    }

    /// Pairs of live nodes that never worked, and were not tried often enough to state this.
    pub(crate) fn open_pairs(&self) -> Vec<Pair> {
        let enough = self.enough_of_pair();
        let open = self.failed_pairs().filter(|((a, b), tally)| {
            let lost = self.nodes[*a].silent || self.nodes[*b].silent;
            tally.reached == 0 && tally.failed < enough && !lost
        });
        open.map(|(pair, _)| pair).collect()
    }

    /// Nodes that reached some, but never at least three and half of the live ones.
    pub(crate) fn patchy(&self, partners_met: &[usize]) -> Vec<(usize, usize)> {
        (0..self.nodes.len())
            .filter(|&node| self.alive(node))
            .map(|node| (node, self.never_reached(node)))
            .filter(|&(node, failed)| failed >= 3 && 2 * failed >= partners_met[node])
            .collect()
    }

    /// Rails of live nodes that failed with at least two and never worked.
    pub(crate) fn dead_rails(&self) -> Vec<(usize, u16, usize)> {
        let of_nodes = self.rails.iter().enumerate();
        let all = of_nodes.flat_map(|(node, rails)| rails.iter().map(move |(&r, t)| (node, r, t)));
        all.filter(|&(node, _, t)| self.alive(node) && t.reached == 0)
            .map(|(node, rail, t)| {
                let live = t.failed.iter().filter(|&&other| {
                    // A partner whose own rail never worked is no witness.
                    let of_other = self.rails[other].get(&rail);
                    of_other.is_some_and(|t| t.reached > 0)
                });
                (node, rail, live.count())
            })
            .filter(|&(_, _, failed)| failed >= 2)
            .collect()
    }

    /// Pairs of live nodes that failed at least once as a whole, but for those of lost nodes, and
    /// those between sets of nodes that do not reach each other.
    pub(crate) fn failed_pairs(&self) -> impl Iterator<Item = (Pair, &PairTally)> + '_ {
        let sets = self.sets.as_ref().filter(|sets| sets.is_certain);
        let is_between = move |pair: Pair| sets.is_some_and(|sets| sets.are_apart(pair));
        self.pairs
            .iter()
            .filter(|((a, b), _)| self.alive(*a) && self.alive(*b))
            .filter(move |&(&pair, _)| !is_between(pair))
            .filter(|((a, b), _)| !self.is_lost(*a) && !self.is_lost(*b))
            .map(|(&pair, tally)| (pair, tally))
    }

    /// How a failure with this node looked first.
    pub(crate) fn sample(&self, node: usize) -> Option<&PairTally> {
        self.pairs
            .iter()
            .find(|((a, b), _)| *a == node || *b == node)
            .map(|(_, t)| t)
    }

    /// How the failure of nodes with each other looked that came furthest.
    pub(crate) fn furthest(&self, nodes: &[usize]) -> Option<&PairTally> {
        let all = self.pairs.iter();
        let of_nodes = all.filter(|((a, b), _)| nodes.contains(a) && nodes.contains(b));
        let of_nodes = of_nodes.map(|(_, tally)| tally);
        of_nodes.reduce(|first, other| match (first.phase, other.phase) {
            (first_phase, phase) if phase > first_phase => other,
            _ => first,
        })
    }

    fn never_reached(&self, node: usize) -> usize {
        let is_apart = |pair| (self.sets.as_ref()).is_some_and(|sets| sets.are_apart(pair));
        self.failed_pairs()
            .filter(|((a, b), tally)| tally.reached == 0 && (*a == node || *b == node))
            .filter(|&(pair, _)| !is_apart(pair))
            .count()
    }

    fn failed_with_live(&self, node: usize) -> usize {
        self.nodes[node]
            .failed
            .iter()
            .filter(|&&other| self.alive(other))
            .count()
    }
}
