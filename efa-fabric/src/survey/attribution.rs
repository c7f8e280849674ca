//! Which effects stand out: of a node, of one of its rails, of a link, or of the whole cluster.
//!
//! | file | job |
//! |---|---|
//! | `ways` | a value of a link, and of each of its directions |
//! | `channel` | one quantity on one rail, with what the polish made of it |
//! | `reading` | from observations to channels |
//! | `finding` | what stands out, before anything is said of it |
//! | `analysis` | all channels, and who reached whom |
//! | `nodes`, `links` | which nodes, rails and links stand out |
//! | `alone` | what measuring again alone says of them |

mod alone;
mod analysis;
mod channel;
mod finding;
mod links;
mod nodes;
mod reading;
mod ways;

pub(crate) use analysis::Analysis;
pub(crate) use channel::Channel;
pub(crate) use finding::{Alone, LinkFinding, Look, NodeFinding};
