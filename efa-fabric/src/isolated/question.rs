//! What a child is to find out.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::hints::HintSet;

/// A question to libfabric in a child.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Question {
    /// The library's file; `None` searches as [`Library::find`](crate::Library::find) does.
    pub library: Option<PathBuf>,
    /// The provider that matters. Default `efa`.
    pub provider: String,
    /// The hints that the trials begin with, and of which each relaxes one.
    pub hints: HintSet,
    /// Changes to the caller's environment for the child: a value to set, `None` to unset.
    /// Default none: the caller's environment is what is examined.
    pub environment: BTreeMap<String, Option<String>>,
    /// How long all may take, start and end of the child included. Default 20 s.
    pub deadline: Duration,
}

impl Default for Question {
    fn default() -> Self {
        Self {
            library: None,
            provider: "efa".to_owned(),
            hints: HintSet::default(),
            environment: BTreeMap::new(),
            deadline: Duration::from_secs(20),
        }
    }
}
