//! Everything of AWS that the verbs call, as one trait.

use crate::account::Account;
use crate::ec2::Ec2;
use crate::iam::Iam;
use crate::ssm::Ssm;

/// All of AWS that the verbs call.
pub trait Aws: Ec2 + Iam + Ssm + Account {}

impl<T: Ec2 + Iam + Ssm + Account> Aws for T {}
