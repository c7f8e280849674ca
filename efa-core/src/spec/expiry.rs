//! A cluster that ends itself: how long it may live, and the part of the user data that ends a
//! node. EC2 terminates a node that shuts down, since the launch states this.
//!
//! The time is in a tag that the node reads every minute from its metadata, so that neither SSH nor
//! SSM is needed to move it. EC2 updates tags in the metadata of a running Nitro instance (EC2 user
//! guide, "View tags for your EC2 instances using instance metadata"), which all EFA types are.

use std::time::Duration;

use crate::error::{Error, Result};

const SCRIPT: &str = include_str!("expiry/expiry.sh");

const SHORTEST: Duration = Duration::from_secs(10 * 60);
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Checks how long from now a cluster may live.
///
/// # Errors
/// `plan.invalid_spec` unless it is whole seconds from ten minutes to 365 days.
pub(crate) fn check_expiry(after: Duration) -> Result<()> {
    if after.subsec_nanos() == 0 && (SHORTEST..=LONGEST).contains(&after) {
        return Ok(());
    }
    Err(Error::invalid_spec(
        "expires_after",
        format_args!("{} s", after.as_secs_f64()),
        "600 s to 365 days, in whole seconds",
        "a node needs minutes to start; leave it out for a cluster that does not end itself",
    ))
}

/// The timer is part of the user data, so that a caller's own leaves no room for it.
///
/// # Errors
/// `plan.invalid_spec`.
pub(super) fn check_combination(user_data: Option<&str>) -> Result<()> {
    if user_data.is_none() {
        return Ok(());
    }
    Err(Error::invalid_spec(
        "expires_after",
        "given together with user_data",
        "user data that efa-sdk writes, which holds the timer",
        "put your commands into a bootstrap's extra_script",
    ))
}

/// The part of the user data that ends a node.
pub(super) fn script(after: Duration) -> String {
    format!("expires_after_s={}\n{SCRIPT}", after.as_secs())
}

/// A duration as whole seconds in the stored form.
pub(super) mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(crate) fn serialize<S: Serializer>(
        after: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        after.map(|after| after.as_secs()).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(deserializer)?.map(Duration::from_secs))
    }
}
