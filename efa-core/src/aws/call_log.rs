//! One event of `tracing` for each attempt of each call.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use aws_sdk_ec2::config::http::HttpResponse;
use aws_sdk_ec2::config::interceptors::{
    BeforeTransmitInterceptorContextRef, FinalizerInterceptorContextRef,
};
use aws_sdk_ec2::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_ec2::error::BoxError;
use aws_sdk_ec2::operation::RequestId;
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use aws_smithy_runtime_api::client::retries::RequestAttempts;
use aws_smithy_types::config_bag::{Storable, StoreReplace};

/// The target of the events that report calls to AWS, at level DEBUG: one for each attempt, with
/// the fields `service`, `action`, `attempt` (from 1), `outcome` (`ok`, the service's error code,
/// `http_502` and the like for what is no answer of AWS's, `timeout`, `unreachable`,
/// `unexpected_answer`, `not_sent`, or `abandoned` where the caller gave the call up), `ms`, and
/// `request_id` where the service gave one. No parameter and no credential is in them.
///
/// Calls that a source of credentials makes, such as of the metadata service, are not reported.
pub const LOG_TARGET: &str = "efa_core::aws";

/// Reports every attempt of a client.
#[derive(Debug)]
pub(super) struct CallLog;

impl Intercept for CallLog {
    fn name(&self) -> &'static str {
        "log the calls"
    }

    fn read_before_attempt(
        &self,
        _context: &BeforeTransmitInterceptorContextRef<'_>,
        _runtime: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if tracing::enabled!(target: LOG_TARGET, tracing::Level::DEBUG) {
            let attempt = Attempt::begin(config);
            config.interceptor_state().store_put(attempt);
        }
        Ok(())
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _runtime: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(attempt) = config.load::<Attempt>() {
            let request_id = context.response().and_then(RequestId::request_id);
            attempt.end(&outcome(context), request_id);
        }
        Ok(())
    }
}

/// An attempt that is under way. Dropped before its end, it was given up.
#[derive(Debug)]
struct Attempt {
    service: String,
    action: String,
    number: u32,
    begun: Instant,
    is_logged: AtomicBool,
}

impl Storable for Attempt {
    type Storer = StoreReplace<Self>;
}

impl Attempt {
    fn begin(config: &ConfigBag) -> Self {
        let operation = config.load::<Metadata>();
        Self {
            service: operation.map_or_else(String::new, |o| o.service().to_owned()),
            action: operation.map_or_else(String::new, |o| o.name().to_owned()),
            number: config.load::<RequestAttempts>().map_or(1, |n| n.attempts()),
            begun: Instant::now(),
            is_logged: AtomicBool::new(false),
        }
    }

    fn end(&self, outcome: &str, request_id: Option<&str>) {
        if self.is_logged.swap(true, Ordering::Relaxed) {
            return;
        }
        let ms = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::debug!(
            target: LOG_TARGET,
            service = self.service,
            action = self.action,
            attempt = self.number,
            outcome,
            ms,
            request_id,
        );
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.end("abandoned", None);
    }
}

fn outcome(context: &FinalizerInterceptorContextRef<'_>) -> String {
    match (context.output_or_error(), context.response()) {
        (Some(Ok(_)), _) => "ok".to_owned(),
        (Some(Err(error)), _) if error.is_timeout_error() => "timeout".to_owned(),
        (Some(Err(error)), _) if error.is_connector_error() => {
            let is_timeout = error.as_connector_error().is_some_and(|e| e.is_timeout());
            if is_timeout { "timeout" } else { "unreachable" }.to_owned()
        }
        (_, Some(response)) if response.status().is_success() => "unexpected_answer".to_owned(),
        (_, Some(response)) => {
            error_code(response).unwrap_or_else(|| format!("http_{}", response.status().as_u16()))
        }
        (_, None) => "not_sent".to_owned(),
    }
}

/// The code in an error of a Query or a JSON service: the SDK parses it into a type of the action's
/// own, which is not known here.
fn error_code(response: &HttpResponse) -> Option<String> {
    let body = std::str::from_utf8(response.body().bytes()?).ok()?;
    let code = match serde_json::from_str::<serde_json::Value>(body) {
        Ok(json) => json.get("__type")?.as_str()?.rsplit('#').next()?.to_owned(),
        Err(_) => {
            let (_, rest) = body.split_once("<Code>")?;
            rest.split_once("</Code>")?.0.to_owned()
        }
    };
    let is_word = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let is_code = (1..=128).contains(&code.len()) && code.chars().all(is_word);
    is_code.then_some(code)
}

#[cfg(test)]
mod tests;
