//! Counts the attempts of one call: the SDK's error reports the last one only.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use aws_sdk_ec2::config::interceptors::{
    BeforeTransmitInterceptorContextRef, FinalizerInterceptorContextRef,
};
use aws_sdk_ec2::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_ec2::error::{BoxError, ProvideErrorMetadata};

use crate::failure::{Attempts, is_refusal};

/// The attempts of one call whose service error is `E`. Clones count together.
pub(super) struct Counted<E> {
    counts: Arc<Counts>,
    error: PhantomData<fn() -> E>,
}

#[derive(Debug, Default)]
struct Counts {
    sent: AtomicU32,
    refused: AtomicU32,
}

impl<E> Counted<E> {
    pub(super) fn new() -> Self {
        Self {
            counts: Arc::default(),
            error: PhantomData,
        }
    }

    pub(super) fn so_far(&self) -> Attempts {
        Attempts {
            sent: self.counts.sent.load(Ordering::SeqCst),
            refused: self.counts.refused.load(Ordering::SeqCst),
        }
    }
}

impl<E> Clone for Counted<E> {
    fn clone(&self) -> Self {
        Self {
            counts: Arc::clone(&self.counts),
            error: PhantomData,
        }
    }
}

impl<E> fmt::Debug for Counted<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.counts.fmt(f)
    }
}

impl<E> Intercept for Counted<E>
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    fn name(&self) -> &'static str {
        "count the attempts"
    }

    fn read_before_transmit(
        &self,
        _context: &BeforeTransmitInterceptorContextRef<'_>,
        _runtime: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.counts.sent.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    /// Called for an attempt that timed out, too, whose error is none of AWS's; not for one whose
    /// future was dropped. Both stay without an answer here.
    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _runtime: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let error = context.output_or_error().and_then(Result::err);
        let code = error
            .and_then(|error| error.as_operation_error())
            .and_then(|error| error.downcast_ref::<E>())
            .and_then(ProvideErrorMetadata::code);
        if code.is_some_and(is_refusal) {
            self.counts.refused.fetch_add(1, Ordering::SeqCst);
        }
        Ok(())
    }
}
