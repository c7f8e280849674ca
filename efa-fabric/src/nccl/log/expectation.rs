//! What a log is compared with.

use serde::{Deserialize, Serialize};

/// What the caller knows of the nodes and the log cannot say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Expectation {
    /// EFA devices on each node, from the instance type.
    pub nics: Option<u32>,
    /// Whether the instance type has GPUDirect RDMA. `None`: channels without it are a warning.
    pub gpudirect: Option<bool>,
}

impl Expectation {
    /// Nothing is expected.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// EFA devices that each node must have.
    #[must_use]
    pub fn nics(mut self, nics: u32) -> Self {
        self.nics = Some(nics);
        self
    }

    /// Whether channels must, or need not, use GPUDirect RDMA.
    #[must_use]
    pub fn gpudirect(mut self, gpudirect: bool) -> Self {
        self.gpudirect = Some(gpudirect);
        self
    }
}
