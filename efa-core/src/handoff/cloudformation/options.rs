//! What [`Plan::to_cloudformation`](crate::Plan::to_cloudformation) is asked for.

use serde::{Deserialize, Serialize};

use crate::error::{Code, Error, Result};

/// The notation of a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum TemplateFormat {
    /// YAML, with comments where people edit.
    #[default]
    Yaml,
    /// JSON, which has no comments; the template's description states where it is from.
    Json,
}

impl TemplateFormat {
    /// Returns `yaml` or `json`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Yaml => "yaml",
            Self::Json => "json",
        }
    }
}

impl std::str::FromStr for TemplateFormat {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        [Self::Yaml, Self::Json]
            .into_iter()
            .find(|format| format.as_str() == text)
            .ok_or_else(|| {
                Error::new(
                    Code::HandoffInvalidOption,
                    format!("unknown template format '{text}'"),
                )
                .with_cure("choose yaml or json")
                .with_context("field", "format")
                .with_context("value", text)
                .with_context("limit", "yaml, json")
            })
    }
}

/// Options of a stack that the plan does not have.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CloudFormationOptions {
    /// How the template is written down.
    pub format: TemplateFormat,
    /// Make the bucket that the role may read: encrypted, not public. It has the name that the
    /// plan's role has for it, or one that CloudFormation chooses.
    pub scripts_bucket: bool,
    /// Make a log group for SSM session logs, `/aws/ssm/efa-sdk-` and the cluster's name, which
    /// the role may write.
    pub session_logs: bool,
}
