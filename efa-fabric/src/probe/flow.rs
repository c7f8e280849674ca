//! What one side of a bandwidth measurement sent.

use serde::{Deserialize, Serialize};

/// What one side sent, from its first post to the last acknowledgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Flow {
    pub(crate) messages: u64,
    pub(crate) elapsed_ns: u64,
}
