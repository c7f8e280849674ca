//! The EFA part of Kubernetes manifests.

use super::{Checked, Findings};

pub(super) fn check(_document: &Checked<'_>, _found: &mut Findings) {}
