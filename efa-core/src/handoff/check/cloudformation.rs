//! The EFA part of a CloudFormation template.

use super::{Checked, Findings};

pub(super) fn check(_document: &Checked<'_>, _found: &mut Findings) {}
