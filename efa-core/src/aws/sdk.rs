//! The clients of the SDK, made from the options and the AWS CLI's configuration.

use std::time::Duration;

use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_ec2::config::{Credentials, SharedCredentialsProvider};

use super::call_log::CallLog;
use super::errors::{self, Source};
use super::options::{AssumeRole, ConnectOptions};
use crate::error::{Code, Error, Result};

/// How often a call is sent before its error is the caller's, unless `AWS_MAX_ATTEMPTS` is set.
const ATTEMPTS: u32 = 5;

/// [`Ec2`](crate::ec2::Ec2), [`Iam`](crate::iam::Iam), [`Ssm`](crate::ssm::Ssm) and [`Account`](crate::account::Account)
/// over the AWS SDK: AWS itself, or whatever answers at the endpoint.
///
/// Cheap to clone. All concurrent calls of a process share one rate limiter with EC2's default
/// token buckets per region and action, and the SDK's budget of retries. What is throttled
/// nevertheless is sent again with growing, random pauses. The SDK's own "adaptive" mode is not
/// used: one call that was throttled twice took 26 s with it, 2 s without (on the stand-in).
#[derive(Debug, Clone)]
pub struct AwsSdk {
    pub(super) ec2: aws_sdk_ec2::Client,
    pub(super) iam: aws_sdk_iam::Client,
    pub(super) ssm: aws_sdk_ssm::Client,
    pub(super) sts: aws_sdk_sts::Client,
    pub(super) quotas: aws_sdk_servicequotas::Client,
    pub(super) region: String,
    /// For error messages.
    pub(super) endpoint: String,
}

impl AwsSdk {
    /// Reads configuration and credentials; calls none of the services, but STS for a role.
    ///
    /// # Errors
    /// `ec2.no_region`, `ec2.no_credentials`, or `plan.invalid_spec` for a malformed endpoint or
    /// role, and for credentials from two places.
    pub async fn connect(options: &ConnectOptions) -> Result<Self> {
        options.check()?;
        let mut loader = aws_config::defaults(BehaviorVersion::latest()).timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(Duration::from_secs(5))
                .operation_attempt_timeout(Duration::from_secs(60))
                .build(),
        );
        // Whoever sets these means them for every AWS client of the process.
        let chosen = |name| std::env::var_os(name).is_some();
        if !chosen("AWS_MAX_ATTEMPTS") && !chosen("AWS_RETRY_MODE") {
            loader = loader.retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS));
        }
        if let Some(region) = &options.region {
            loader = loader.region(Region::new(region.clone()));
        }
        if let Some(profile) = &options.profile {
            // The default chain asks the environment first, which would be another account.
            let provider = ProfileFileCredentialsProvider::builder()
                .configure(&ProviderConfig::with_default_region().await)
                .profile_name(profile)
                .build();
            loader = loader.profile_name(profile).credentials_provider(provider);
        }
        if let Some(key) = &options.access_key {
            loader = loader.credentials_provider(Credentials::new(
                &key.id,
                &key.secret,
                key.session_token.clone(),
                None,
                "efa-sdk",
            ));
        }
        if let Some(provider) = &options.credentials {
            loader = loader.credentials_provider(provider.clone());
        }
        if let Some(url) = &options.endpoint_url {
            check_endpoint(url)?;
            loader = loader.endpoint_url(url);
        }
        let mut config = loader.load().await;
        let mut source = match &options.profile {
            Some(profile) => Source::Profile(profile),
            None if options.access_key.is_some() || options.credentials.is_some() => Source::Given,
            None => Source::Found,
        };
        if let Some(role) = &options.assume_role {
            region(&config)?;
            // A role cannot be assumed without them, and what STS would report of that is dark.
            errors::check_credentials(&config, source).await?;
            config = assumed(config, role).await;
            source = Source::Role(&role.role_arn);
        }
        Self::over(&config, source).await
    }

    /// Creates it over a configuration of the AWS SDK for Rust, as `aws_config` loads it: its
    /// region, credentials, endpoint, retries and time limits. Calls none of the services.
    ///
    /// # Errors
    /// `ec2.no_region` or `ec2.no_credentials`.
    pub async fn from_config(config: &SdkConfig) -> Result<Self> {
        Self::over(config, Source::Given).await
    }

    async fn over(config: &SdkConfig, source: Source<'_>) -> Result<Self> {
        let region = region(config)?;
        errors::check_credentials(config, source).await?;
        let endpoint = match config.endpoint_url() {
            Some(url) => url.to_owned(),
            None => format!("AWS in {region}"),
        };
        macro_rules! client {
            ($service:ident) => {
                $service::Client::from_conf(
                    $service::config::Builder::from(config)
                        .interceptor(CallLog)
                        .build(),
                )
            };
        }
        Ok(Self {
            ec2: client!(aws_sdk_ec2),
            iam: client!(aws_sdk_iam),
            ssm: client!(aws_sdk_ssm),
            sts: client!(aws_sdk_sts),
            quotas: client!(aws_sdk_servicequotas),
            region,
            endpoint,
        })
    }
}

fn region(config: &SdkConfig) -> Result<String> {
    let Some(region) = config.region().map(ToString::to_string) else {
        return Err(Error::new(Code::Ec2NoRegion, "no AWS region is configured")
            .with_cure("give region=…, or set AWS_REGION")
            .with_context("field", "region"));
    };
    match region_cure(&region) {
        None => Ok(region),
        Some(cure) => Err(Error::new(
            Code::Ec2NoRegion,
            format!("region is '{region}', which is not a region"),
        )
        .with_cure(cure)
        .with_context("field", "region")
        .with_context("value", region)
        .with_context("limit", "a region's name, such as us-east-1")),
    }
}

/// What to do about a text that cannot be a region's name; `None` for one that can.
fn region_cure(region: &str) -> Option<String> {
    if region.trim().is_empty() {
        let ways = "region=…, AWS_REGION or the AWS CLI's profile";
        return Some(format!("give one such as us-east-1: {ways}"));
    }
    let written = region.trim().to_lowercase().replace(['_', ' '], "-");
    if let Some(of) = region_of_zone(&written) {
        return Some(format!("it is an Availability Zone: give its region, {of}"));
    }
    if let Some((_, number)) = written.rsplit_once("-az")
        && number.bytes().all(|b| b.is_ascii_digit())
    {
        return Some("it is the id of an Availability Zone: give its region's name".to_owned());
    }
    let has_form = written.contains('-') && written.ends_with(|end: char| end.is_ascii_digit());
    (written != region).then(|| match has_form {
        true => format!("did you mean {written}?"),
        false => "give a region's name, such as us-east-1".to_owned(),
    })
}

/// The region of `us-east-1a`, `us-west-2-lax-1a` or `us-east-1-wl1-bos-wlz-1`.
fn region_of_zone(zone: &str) -> Option<String> {
    let parts: Vec<&str> = zone.split('-').collect();
    let digits = |part: &str| part.bytes().take_while(u8::is_ascii_digit).count();
    let at = parts.iter().position(|part| digits(part) > 0)?;
    let (length, last) = (digits(parts[at]), at + 1 == parts.len());
    let letter = parts[at].len() == length + 1;
    let is_zone = at >= 2
        && if last {
            letter
        } else {
            parts[at].len() == length
        };
    is_zone.then(|| [&parts[..at], &[&parts[at][..length]]].concat().join("-"))
}

/// The configuration with the role's credentials in place of its own, with which it is assumed.
async fn assumed(config: SdkConfig, role: &AssumeRole) -> SdkConfig {
    let mut provider = AssumeRoleProvider::builder(&role.role_arn)
        .session_name(&role.session_name)
        .configure(&config);
    if let Some(id) = &role.external_id {
        provider = provider.external_id(id);
    }
    let provider = SharedCredentialsProvider::new(provider.build().await);
    config.into_builder().credentials_provider(provider).build()
}

fn check_endpoint(url: &str) -> Result<()> {
    let host = url
        .strip_prefix("http://")
        .or_else(|| url.strip_prefix("https://"))
        .unwrap_or_default();
    if host.contains('@') {
        return Err(Error::new(
            Code::PlanInvalidSpec,
            "endpoint_url has a user or a password in it",
        )
        .with_cure("leave them out: calls are signed with AWS credentials")
        .with_context("field", "endpoint_url"));
    }
    if !host.is_empty() && !host.starts_with(['/', ':']) && !host.contains(char::is_whitespace) {
        return Ok(());
    }
    Err(Error::new(
        Code::PlanInvalidSpec,
        format!("endpoint_url '{url}' is not an http or https URL"),
    )
    .with_cure("give it as http://host:port")
    .with_context("field", "endpoint_url")
    .with_context("value", url))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_a_region_has_a_cure() {
        for good in [
            "us-east-1",
            "us-gov-west-1",
            "eusc-de-east-1",
            "ap-southeast-7",
            "local",
        ] {
            assert_eq!(region_cure(good), None, "{good}");
        }
        for (bad, said) in [
            ("", "us-east-1"),
            (" ", "AWS_REGION"),
            ("us-east-1a", "its region, us-east-1"),
            ("US-EAST-1B", "its region, us-east-1"),
            ("us-west-2-lax-1a", "its region, us-west-2"),
            ("us-east-1-wl1-bos-wlz-1", "its region, us-east-1"),
            ("use1-az4", "the id of an Availability Zone"),
            ("Virginia", "a region's name, such as"),
            ("US East (N. Virginia)", "a region's name, such as"),
            ("us_east_1", "did you mean us-east-1?"),
            ("US-EAST-1 ", "did you mean us-east-1?"),
        ] {
            let cure = region_cure(bad).unwrap_or_default();
            assert!(cure.contains(said), "{bad}: {cure}");
        }
    }

    #[tokio::test]
    async fn a_configuration_of_the_callers_own_is_taken_as_it_is() {
        let empty = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .build();
        let error = AwsSdk::from_config(&empty).await.unwrap_err();
        assert_eq!(error.code(), Code::Ec2NoRegion);
        let nobody = empty
            .into_builder()
            .region(Region::new("eu-west-1"))
            .build();
        let error = AwsSdk::from_config(&nobody).await.unwrap_err();
        assert_eq!(error.code(), Code::Ec2NoCredentials);
        let key = Credentials::new("AKIAMINE", "the-secret", None, None, "test");
        let given = nobody
            .into_builder()
            .endpoint_url("http://127.0.0.1:1")
            .credentials_provider(SharedCredentialsProvider::new(key))
            .build();
        let aws = AwsSdk::from_config(&given).await.unwrap();
        assert_eq!(
            (aws.region.as_str(), aws.endpoint.as_str()),
            ("eu-west-1", "http://127.0.0.1:1")
        );
        assert!(!format!("{aws:?}").contains("the-secret"));
    }
}
