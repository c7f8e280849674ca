//! Where and as whom to call AWS.

use std::fmt;

/// Where and as whom to call AWS. Absent values come from the environment and the files that
/// the AWS CLI uses.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ConnectOptions {
    /// The region, such as `us-east-1`.
    pub region: Option<String>,
    /// Another endpoint for every service, such as a stand-in's `http://127.0.0.1:5000`.
    pub endpoint_url: Option<String>,
    /// A profile of the AWS CLI's configuration. It wins over credentials in the environment.
    pub profile: Option<String>,
    /// Credentials, instead of those that the AWS CLI finds.
    pub access_key: Option<AccessKey>,
}

impl ConnectOptions {
    /// For the EC2 stand-in at `endpoint_url`: its region and its made-up credentials, so that
    /// no real ones are sent to it.
    pub fn stand_in(endpoint_url: impl Into<String>) -> Self {
        Self {
            region: Some("us-east-1".to_owned()),
            endpoint_url: Some(endpoint_url.into()),
            profile: None,
            access_key: Some(AccessKey::new("testing", "testing")),
        }
    }
}

/// An access key. `Debug` does not show the secret.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessKey {
    pub(super) id: String,
    pub(super) secret: String,
}

impl AccessKey {
    /// The key with this id and secret.
    pub fn new(id: impl Into<String>, secret: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            secret: secret.into(),
        }
    }
}

impl fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessKey")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}
