//! The EFA part of Terraform JSON.

use super::{Checked, Findings};

pub(super) fn check(_document: &Checked<'_>, _found: &mut Findings) {}
