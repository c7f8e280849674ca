//! Makes what a plan lists, and removes what was made: one file per EC2 verb.
//!
//! There is no state file. Everything carries the cluster's tag from the call that makes it,
//! and every step looks before it makes, so that `apply` after an interrupted `apply` finishes
//! it, and `destroy` at any moment finds all of it.

mod apply;
mod associate_address;
mod await_instances;
mod cancel;
mod create_instance_profile;
mod create_placement_group;
mod create_security_group;
mod delete_instance_profile;
mod delete_network_interface;
mod delete_placement_group;
mod delete_security_group;
mod destroy;
mod destroy_report;
mod extend;
mod leftovers;
mod next;
mod no_capacity;
mod nodes;
mod progress;
mod purchase_capacity_block;
mod release_address;
mod replace;
mod run_instances;
mod shrink;
mod states;
mod steps;
mod terminate_instances;

pub use cancel::Cancel;
pub use destroy_report::DestroyReport;
pub use progress::{Action, Event};
pub use purchase_capacity_block::PurchaseOptions;
pub use shrink::Shrink;
pub use steps::Wait;

pub(crate) use apply::{apply, prepare};
pub(crate) use destroy::destroy;
pub(crate) use extend::extend;
pub(crate) use purchase_capacity_block::purchase_capacity_block;
pub(crate) use replace::replace;
pub(crate) use shrink::shrink;
pub(crate) use steps::Steps;
