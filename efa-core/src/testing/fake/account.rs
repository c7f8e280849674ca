//! The account that the region belongs to.

/// Its number.
pub(super) const ACCOUNT: &str = "123456789012";
