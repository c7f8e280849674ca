//! Where and as whom to call AWS.

use std::fmt;

use aws_sdk_ec2::config::SharedCredentialsProvider;

use crate::error::{Code, Error, Result};

/// The endpoint and credentials of calls to AWS. Absent values come from the environment and the
/// files that the AWS CLI uses.
#[derive(Debug, Clone, Default)]
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
    /// Whom to ask for credentials, and again when those that it gave expire.
    pub credentials: Option<SharedCredentialsProvider>,
    /// A role to call as, which is assumed with the credentials that the fields above state, and
    /// again before it expires.
    pub assume_role: Option<AssumeRole>,
}

impl ConnectOptions {
    /// Creates options for the EC2 stand-in at `endpoint_url`: its region and its made-up
    /// credentials, so that no real ones are sent to it.
    pub fn stand_in(endpoint_url: impl Into<String>) -> Self {
        Self {
            region: Some("us-east-1".to_owned()),
            endpoint_url: Some(endpoint_url.into()),
            access_key: Some(AccessKey::new("testing", "testing")),
            ..Self::default()
        }
    }

    pub(super) fn check(&self) -> Result<()> {
        let given = [
            ("profile", self.profile.is_some()),
            ("access_key", self.access_key.is_some()),
            ("credentials", self.credentials.is_some()),
        ];
        let mut given = given.iter().filter(|(_, is_given)| *is_given);
        if let (Some((one, _)), Some((other, _))) = (given.next(), given.next()) {
            return Err(Error::new(
                Code::PlanInvalidSpec,
                format!("{one} and {other} both choose the credentials"),
            )
            .with_cure("give one of them")
            .with_context("field", *other));
        }
        self.assume_role.as_ref().map_or(Ok(()), AssumeRole::check)
    }
}

/// An access key. `Debug` does not show the secret.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessKey {
    pub(super) id: String,
    pub(super) secret: String,
    pub(super) session_token: Option<String>,
}

impl AccessKey {
    /// Creates the key with this id and secret.
    pub fn new(id: impl Into<String>, secret: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            secret: secret.into(),
            session_token: None,
        }
    }

    /// Creates a temporary key, as STS gives it, with its session token.
    #[must_use]
    pub fn with_session_token(mut self, token: impl Into<String>) -> Self {
        self.session_token = Some(token.into());
        self
    }
}

impl fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessKey")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// A role to call as.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AssumeRole {
    /// `arn:aws:iam::123456789012:role/…`
    pub role_arn: String,
    /// The name of the session, which CloudTrail shows.
    pub session_name: String,
    /// What the role's trust policy asks for, where the role is another account's.
    pub external_id: Option<String>,
}

impl AssumeRole {
    /// Creates the role with this ARN, in a session named `efa-sdk`.
    pub fn new(role_arn: impl Into<String>) -> Self {
        Self {
            role_arn: role_arn.into(),
            session_name: "efa-sdk".to_owned(),
            external_id: None,
        }
    }

    /// Refuses what STS does not take. Origin: STS API reference, AssumeRole.
    fn check(&self) -> Result<()> {
        let parts: Vec<&str> = self.role_arn.splitn(6, ':').collect();
        let is_arn = matches!(parts[..], ["arn", _, "iam", "", account, resource]
            if account.len() == 12 && resource.starts_with("role/"));
        if !is_arn {
            return Err(refused(
                "role_arn",
                &self.role_arn,
                "arn:aws:iam::<12 digits>:role/<name>",
            ));
        }
        let fits = |text: &str, most: usize, more: &str| {
            let is_char =
                |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c) || more.contains(c);
            (2..=most).contains(&text.len()) && text.chars().all(is_char)
        };
        if !fits(&self.session_name, 64, "") {
            let limit = "2 to 64 letters, digits and _+=,.@-";
            return Err(refused("role_session_name", &self.session_name, limit));
        }
        match &self.external_id {
            Some(id) if !fits(id, 1224, ":/") => {
                let limit = "2 to 1224 letters, digits and _+=,.@:/-";
                Err(refused("external_id", id, limit))
            }
            _ => Ok(()),
        }
    }
}

fn refused(field: &'static str, value: &str, limit: &str) -> Error {
    Error::invalid_spec(field, value, limit, &format!("give {field} in that form"))
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::config::Credentials;

    use super::*;

    #[test]
    fn no_secret_is_shown() {
        let key = AccessKey::new("AKIAEXAMPLE", "the-secret").with_session_token("the-token");
        let provider = Credentials::new(
            "AKIAOTHER",
            "the-secret",
            Some("the-token".into()),
            None,
            "",
        );
        for options in [
            ConnectOptions {
                access_key: Some(key),
                ..ConnectOptions::default()
            },
            ConnectOptions {
                credentials: Some(SharedCredentialsProvider::new(provider)),
                ..ConnectOptions::default()
            },
        ] {
            let shown = format!("{options:?}");
            assert!(
                !shown.contains("the-secret") && !shown.contains("the-token"),
                "{shown}"
            );
            assert!(options.check().is_ok());
        }
    }

    #[test]
    fn credentials_come_from_one_place() {
        let mut options = ConnectOptions::stand_in("http://127.0.0.1:1");
        options.profile = Some("lab".to_owned());
        let error = options.check().unwrap_err();
        assert_eq!(error.code(), Code::PlanInvalidSpec);
        assert_eq!(error.context_value("field"), Some("access_key"));
    }

    #[test]
    fn what_sts_does_not_take_is_refused() {
        let role = |arn: &str| AssumeRole::new(arn);
        let good = "arn:aws-us-gov:iam::123456789012:role/team/train";
        assert!(role(good).check().is_ok());
        for bad in [
            "",
            "train",
            "arn:aws:iam::123456789012:user/me",
            "arn:aws:sts::123456789012:assumed-role/train/me",
            "arn:aws:iam::12345:role/train",
        ] {
            let error = role(bad).check().unwrap_err();
            assert_eq!(error.context_value("field"), Some("role_arn"), "{bad}");
        }
        for (name, id, field) in [
            ("x", None, Some("role_session_name")),
            ("with space", None, Some("role_session_name")),
            ("ok@example.com", None, None),
            ("ok", Some("ticket:7/a"), None),
            ("ok", Some("semi;colon"), Some("external_id")),
        ] {
            let mut role = role(good);
            role.session_name = name.to_owned();
            role.external_id = id.map(str::to_owned);
            let found = role.check().err();
            let found = found
                .as_ref()
                .and_then(|error| error.context_value("field"));
            assert_eq!(found, field, "{name} {id:?}");
        }
    }
}
