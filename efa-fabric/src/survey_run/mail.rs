//! What the ranks of a survey leave for each other on an exchange, under the survey's name.

use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Code, Error, Result};
use crate::probe::{Exchange, ExchangeError, Interrupt};

/// Time between two questions to the exchange: it grows from the first to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LAST_PAUSE: Duration = Duration::from_millis(20);
/// Longest value that is taken, in bytes.
const MAX_MESSAGE: usize = 256 << 20;

/// Values of this survey on the exchange, under the survey's name.
pub(super) struct Mail<'a> {
    pub(super) exchange: &'a mut dyn Exchange,
    pub(super) name: &'a str,
    pub(super) interrupt: Interrupt<'a>,
}

impl Mail<'_> {
    pub(super) fn put(&mut self, key: &str, value: &impl Serialize) -> Result<()> {
        let bytes = serde_json::to_vec(value).map_err(unwritten)?;
        self.put_bytes(key, &bytes)
    }

    pub(super) fn put_bytes(&mut self, key: &str, bytes: &[u8]) -> Result<()> {
        let key = format!("{}/{key}", self.name);
        self.exchange
            .put(&key, bytes)
            .map_err(|error| exchange_failed(&key, error))
    }

    pub(super) fn take_bytes(&mut self, key: &str) -> Result<Option<Vec<u8>>> {
        let key = format!("{}/{key}", self.name);
        self.exchange
            .take(&key)
            .map_err(|error| exchange_failed(&key, error))
            .map(|value| value.filter(|bytes| bytes.len() <= MAX_MESSAGE))
    }

    /// A value that may be garbage: then it counts as not there.
    pub(super) fn take_lenient<T: DeserializeOwned>(&mut self, key: &str) -> Result<Option<T>> {
        let bytes = self.take_bytes(key)?;
        Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }

    pub(super) fn wait<T: DeserializeOwned>(&mut self, key: &str, limit: Duration) -> Result<T> {
        let end = Instant::now() + limit;
        let mut found = None;
        self.sweep(vec![0], end, |mail, _| {
            found = mail.take_bytes(key)?;
            Ok(found.is_some())
        })?;
        let bytes = found.ok_or_else(|| {
            Error::new(Code::Unreachable, "rank 0 stopped answering")
                .with_cure("check that rank 0 is running, with the same name and world size")
                .with_context("key", key)
                .retryable(true)
        })?;
        serde_json::from_slice(&bytes).map_err(|error| {
            Error::new(
                Code::RendezvousRefused,
                format!("the message under {key} is not of a survey"),
            )
            .with_cure("use the same version of efa-fabric on all ranks, and a new name")
            .with_context("key", key)
            .with_source(error)
        })
    }

    /// Asks for each of these until it is there, or the time is over.
    pub(super) fn sweep(
        &mut self,
        mut missing: Vec<usize>,
        end: Instant,
        mut found: impl FnMut(&mut Self, usize) -> Result<bool>,
    ) -> Result<()> {
        let mut pause = FIRST_PAUSE;
        loop {
            let before = missing.len();
            let mut still = Vec::with_capacity(before);
            for which in missing {
                self.interrupt.check()?;
                if !found(self, which)? {
                    still.push(which);
                }
            }
            missing = still;
            if missing.is_empty() || Instant::now() >= end {
                return Ok(());
            }
            pause = if missing.len() < before {
                FIRST_PAUSE
            } else {
                (pause * 2).min(LAST_PAUSE)
            };
            std::thread::sleep(pause);
        }
    }
}

pub(super) fn unwritten(error: serde_json::Error) -> Error {
    Error::new(Code::RendezvousFailed, "a message cannot be written").with_source(error)
}

/// The exchange itself failed at this key.
pub(super) fn exchange_failed(key: &str, error: ExchangeError) -> Error {
    Error::new(
        Code::RendezvousFailed,
        format!("the exchange failed at {key}: {error}"),
    )
    .with_cure("see whether rank 0 still runs, and whether its host can be reached: what the ranks meet through is there, unless they were given another exchange")
    .with_context("key", key)
    .with_source(error)
}
