//! The EFA part of a Ray cluster YAML.

use super::{Checked, Findings};

pub(super) fn check(_document: &Checked<'_>, _found: &mut Findings) {}
