//! Surveys carried out: pairs probed, rounds driven to their end, the report.
//!
//! [`crate::survey`] states what to measure next and what it means. Here [`probe_pair`] measures a
//! pair, [`Survey`] is the part that every driver shares, and [`run_rank`] is the driver for
//! ranks that run the same program and meet over any [`Exchange`](crate::probe::Exchange). Drivers with
//! a process of their own, such as one on Ray, use [`Survey`] themselves.
//!
//! | module | job |
//! |---|---|
//! | `node` | a node, as it introduced itself |
//! | `state` | what became of each node; exit statuses |
//! | `summary` | what the other ranks get of rank 0's report |
//! | `outcome` | what a report comes to, and who took no part |
//! | `unseen` | what was not measured, or could not have been found |
//! | `pair` | latency and both directions between two nodes; failures are data |
//! | `rails` | all rails of a pair at the same time |
//! | `flows` | all that a node sends and receives in one step of a collective pattern |
//! | `driver` | from one round to the next; nodes without an answer are not asked again |
//! | `judgement` | what is concluded, by a driver and of a report that was read |
//! | `progress` | how far a survey is |
//! | `mail` | what ranks leave for each other on an exchange |
//! | `rank` | all ranks run the same program; rank 0 decides |
//! | `inspection` | where nodes differ, and what their doctors report |
//! | `report` | nodes, verdicts, measurements |
//! | `written` | the report as JSON, and what is believed of it |
//! | `scaling` | what is reported of collective patterns |
//! | `text` | what to do, why, and a table of nodes |
//! | `time` | times as text |
//! | `compare` | what changed since an earlier report |
//! | `drain` | commands of a scheduler that take nodes out |
//! | `history` | reports as files, and a folder of them |
//! | `openmetrics` | the report as metrics |
//! | `heat` | names, colours and numbers of heatmaps |
//! | `html` | the heatmap for notebooks |
//! | `svg` | the heatmap as a picture |

mod compare;
mod drain;
mod driver;
mod flows;
mod heat;
mod history;
mod html;
mod inspection;
mod judgement;
mod mail;
mod node;
mod openmetrics;
mod outcome;
mod pair;
mod progress;
mod rails;
mod rank;
mod report;
#[cfg(test)]
mod sample;
mod scaling;
mod state;
mod summary;
mod svg;
mod text;
pub(crate) mod time;
mod unseen;
mod written;

pub use compare::{Comparison, MovedRate};
pub use drain::{DrainCommands, Scheduler};
pub use driver::Survey;
pub use flows::{FlowEnd, FlowSight, FlowSights, FlowTask, run_flows};
pub use inspection::{Difference, Inspection, differences};
pub use node::Node;
pub use pair::{PairOptions, Side, Sight, probe_pair};
pub use progress::Progress;
pub use rank::decline::decline;
pub use rank::{RankOptions, Rendezvous, run_rank};
pub use report::{Cell, NodeSummary, Report};
pub use state::{NodeState, Status};
pub use summary::{Summary, Surveyed};
