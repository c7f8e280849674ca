//! What several test files share.

pub(crate) mod node_trees;
