//! [`Account`] over aws-sdk-sts and aws-sdk-servicequotas.

use async_trait::async_trait;

use super::call::call;
use super::convert::present;
use super::errors::absent;
use super::sdk::AwsSdk;
use crate::account::{Account, CallerIdentity};
use crate::error::Result;

#[async_trait]
impl Account for AwsSdk {
    async fn caller_identity(&self) -> Result<CallerIdentity> {
        let answer = call!(self.sts.get_caller_identity)?;
        Ok(CallerIdentity {
            account: present(answer.account, "Account")?,
            arn: present(answer.arn, "Arn")?,
        })
    }

    async fn service_quota(&self, service: &str, quota: &str) -> Result<Option<f64>> {
        let answer = call!(
            self.quotas.get_service_quota,
            service_code(service),
            quota_code(quota)
        );
        let answer = absent(answer, "NoSuchResourceException")?;
        Ok(answer.and_then(|answer| answer.quota?.value))
    }
}
