//! Credentials of Python: plain keys, and objects of boto3 and botocore, which are asked.

use std::sync::Arc;
use std::time::SystemTime;

use aws_credential_types::provider::{ProvideCredentials, Result, error::CredentialsError, future};
use efa_core::ConnectOptions;
use efa_core::aws::{AccessKey, AssumeRole, Credentials, SharedCredentialsProvider};
use efa_core::error::Error;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::argument::not_shown;
use crate::ending::{Call, Stop};
use crate::errors::{self, Code};

/// What states as whom a client calls.
pub(crate) struct Caller {
    pub(crate) session: Option<Py<PyAny>>,
    pub(crate) credentials: Option<Py<PyAny>>,
    pub(crate) access_key_id: Option<String>,
    pub(crate) secret_access_key: Option<String>,
    pub(crate) session_token: Option<String>,
    pub(crate) role_arn: Option<String>,
    pub(crate) role_session_name: Option<String>,
    pub(crate) external_id: Option<String>,
}

impl Caller {
    /// # Errors
    /// `argument.wrong_type` for arguments that do not go together.
    pub(crate) fn put_into(self, py: Python<'_>, options: &mut ConnectOptions) -> PyResult<()> {
        let wrong = |argument: &str, text: &str| {
            let error = Error::new(Code::WrongType, text).with_context("argument", argument);
            Err(errors::exception(error))
        };
        options.access_key = match (self.access_key_id, self.secret_access_key) {
            (Some(id), Some(secret)) => {
                let key = AccessKey::new(id, secret);
                Some(match self.session_token {
                    Some(token) => key.with_session_token(token),
                    None => key,
                })
            }
            (None, None) if self.session_token.is_none() => None,
            _ => {
                return wrong(
                    "access_key_id",
                    "access_key_id and secret_access_key are given together",
                );
            }
        };
        let (has_session, has_credentials) = (self.session.is_some(), self.credentials.is_some());
        if has_session && has_credentials {
            return wrong(
                "session",
                "session and credentials both choose the credentials",
            );
        }
        if let Some(session) = &self.session {
            let session = session.bind(py);
            if !session.hasattr("get_credentials")? {
                return Err(not_shown(
                    Some("session"),
                    session,
                    "a Session of boto3 or botocore",
                ));
            }
            if options.region.is_none() {
                options.region = region(session)?;
            }
        }
        if let Some(given) = &self.credentials {
            let given = given.bind(py);
            // The class's, since reading the object's own may refresh it.
            let is_frozen = given.get_type().hasattr("access_key")?;
            if !is_frozen && !given.hasattr("get_frozen_credentials")? {
                return Err(not_shown(
                    Some("credentials"),
                    given,
                    "Credentials of botocore",
                ));
            }
        }
        options.credentials = self.session.or(self.credentials).map(|object| {
            SharedCredentialsProvider::new(Asked {
                object: Arc::new(object),
            })
        });
        let Some(arn) = self.role_arn else {
            if self.role_session_name.is_some() || self.external_id.is_some() {
                return wrong(
                    "role_arn",
                    "role_session_name and external_id are given with role_arn",
                );
            }
            return Ok(());
        };
        let mut role = AssumeRole::new(arn);
        role.external_id = self.external_id;
        if let Some(name) = self.role_session_name {
            role.session_name = name;
        }
        options.assume_role = Some(role);
        Ok(())
    }
}

/// The region of a session of boto3, or of botocore.
fn region(session: &Bound<'_, PyAny>) -> PyResult<Option<String>> {
    match session.getattr_opt("region_name")? {
        Some(name) => name.extract(),
        None => match session.getattr_opt("get_config_variable")? {
            Some(variable) => variable.call1(("region",))?.extract(),
            None => Ok(None),
        },
    }
}

/// An object of Python's that is asked at every call, as botocore's own clients do: it refreshes
/// itself when its credentials are about to expire.
struct Asked {
    object: Arc<Py<PyAny>>,
}

impl std::fmt::Debug for Asked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("credentials of Python")
    }
}

impl ProvideCredentials for Asked {
    /// On a thread of its own: to refresh takes a call to AWS, under Python's lock now and then.
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let object = self.object.clone();
        future::ProvideCredentials::new(async move {
            let asked = tokio::task::spawn_blocking(move || in_python(&object)).await;
            asked.map_err(CredentialsError::provider_error)?
        })
    }
}

fn in_python(object: &Py<PyAny>) -> Result {
    let call = Call::begin(Stop::Not);
    if call.is_err() {
        return Err(CredentialsError::not_loaded("this process is ending"));
    }
    // The text of what it raised: an exception of Python may not outlive the lock.
    Python::attach(|py| ask(object.bind(py)).map_err(|error| error.to_string()))
        .map_err(CredentialsError::provider_error)
}

fn ask(object: &Bound<'_, PyAny>) -> PyResult<Credentials> {
    let given = match object.getattr_opt("get_credentials")? {
        Some(of_session) => of_session.call0()?,
        None => object.clone(),
    };
    if given.is_none() {
        return Err(PyValueError::new_err("the session has none"));
    }
    let frozen = match given.getattr_opt("get_frozen_credentials")? {
        Some(freeze) => freeze.call0()?,
        None => given,
    };
    Ok(Credentials::new(
        frozen.getattr("access_key")?.extract::<String>()?,
        frozen.getattr("secret_key")?.extract::<String>()?,
        frozen.getattr("token")?.extract()?,
        Some(SystemTime::now()), // nobody keeps them
        "python",
    ))
}
