//! The error of an answer that lacks what AWS always reports.

use crate::error::{Code, Error, Result};

/// A value that AWS's answer must hold.
pub(crate) fn present<T>(value: Option<T>, field: &'static str) -> Result<T> {
    value.ok_or_else(|| {
        Error::new(
            Code::Ec2UnexpectedAnswer,
            format!("AWS's answer lacks {field}"),
        )
        .with_cure("check the endpoint: it does not answer as AWS does")
        .with_context("field", field)
    })
}
