//! Who calls, and what the account may use: STS and Service Quotas.

use async_trait::async_trait;

use crate::error::{Result, not_implemented};

/// The caller, as GetCallerIdentity shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallerIdentity {
    /// The account's 12 digits.
    pub account: String,
    /// The caller's ARN.
    pub arn: String,
}

impl CallerIdentity {
    /// Returns the partition of its ARNs: `aws`, `aws-cn`, `aws-us-gov` …
    #[must_use]
    pub fn partition(&self) -> &str {
        self.arn.split(':').nth(1).unwrap_or("aws")
    }
}

/// The calls that this crate makes to STS and Service Quotas.
#[async_trait]
#[allow(unused_variables)] // the defaults use no argument
pub trait Account: Send + Sync + std::fmt::Debug + 'static {
    /// Calls GetCallerIdentity.
    async fn caller_identity(&self) -> Result<CallerIdentity> {
        Err(not_implemented("GetCallerIdentity"))
    }
    /// Calls GetServiceQuota of a service such as `ec2`; `None` when it has no quota of this code.
    async fn service_quota(&self, service_code: &str, quota_code: &str) -> Result<Option<f64>> {
        Err(not_implemented("GetServiceQuota"))
    }
}
