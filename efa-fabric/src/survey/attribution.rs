//! Which effects stand out: of a node, of one of its rails, of a link, or of the whole cluster.
//!
//! | file | job |
//! |---|---|
//! | `ways` | a value of a link, and of each of its directions |
//! | `channel` | one quantity on one rail, with what the polish made of it |
//! | `reading` | from observations to channels |
//! | `groups` | nodes with the same label: inside, across, and groups that are slow |
//! | `paths` | paths between groups, or inside of one, that are slow |
//! | `drift` | rates that change in the course of a survey |
//! | `measured` | a subject's own measurements, and those it is compared with |
//! | `attempts`, `unstable` | nodes that fail or halve in part of their measurements |
//! | `leaves` | nodes that are fast with each other only, without labels |
//! | `levels` | pairs of two levels that no node explains |
//! | `populations` | nodes of two kinds |
//! | `finding` | what stands out, before anything is reported of it |
//! | `analysis` | all channels, and who reached whom |
//! | `nodes`, `links` | which nodes, rails and links stand out |
//! | `alone` | what measuring again alone states of them |

mod alone;
mod analysis;
mod attempts;
mod channel;
mod drift;
mod finding;
mod groups;
mod leaves;
mod levels;
mod links;
mod measured;
mod nodes;
mod paths;
mod populations;
mod reading;
mod unstable;
mod ways;

pub(crate) use alone::{CONTENTION, LINK_CONTENTION};
pub(crate) use analysis::Analysis;
pub(crate) use channel::Channel;
pub(crate) use finding::{Alone, LINK_CLAIM, LinkFinding, NodeFinding, Pass, SlowPath};
pub(crate) use measured::Compared;
pub(crate) use populations::Populations;
pub(crate) use unstable::Unstable;
