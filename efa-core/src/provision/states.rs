//! DescribeInstanceStatus for waits: the states of instances and nothing else. A p5 is 30 KB in
//! DescribeInstances and less than one here.

use super::steps::{Steps, answered};
use crate::ec2::InstanceState;
use crate::error::{Code, Result};

/// How the states of instances are read while a wait lasts.
pub(super) enum States {
    /// By DescribeInstanceStatus.
    Cheap,
    /// By DescribeInstances only: the caller may not call the other, as with a policy of an earlier
    /// version, or the implementation of `Ec2` does not have it.
    Full,
}

impl States {
    /// The states of those that EC2 shows; `None` where only a full read shows them.
    pub(super) async fn read(
        &mut self,
        steps: &Steps<'_>,
        ids: &[String],
    ) -> Result<Option<Vec<InstanceState>>> {
        if matches!(self, Self::Full) {
            return Ok(None);
        }
        match steps.aws.instance_states(ids).await {
            Ok(shown) => Ok(Some(shown.into_iter().map(|(_, state)| state).collect())),
            Err(error)
                if error.code() == Code::Ec2NotImplemented
                    || answered(&error, &["UnauthorizedOperation"]) =>
            {
                *self = Self::Full;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

/// How many are in this state.
pub(super) fn count(states: &[InstanceState], wanted: &InstanceState) -> usize {
    states.iter().filter(|state| *state == wanted).count()
}
