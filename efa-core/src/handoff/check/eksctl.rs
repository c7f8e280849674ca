//! The EFA part of an eksctl ClusterConfig.

use super::{Checked, Findings};

pub(super) fn check(_document: &Checked<'_>, _found: &mut Findings) {}
