//! How long the exchange of a pair's two nodes takes.

use std::time::{Duration, Instant};

use crate::probe::{Exchange, ExchangeError};

/// A call of the exchange that takes this long is why a pair fails, rather than their network.
pub(super) const OUTAGE: Duration = Duration::from_secs(2);

/// An exchange, and the longest time that it took for one call.
pub(super) struct Timed<'a> {
    pub(super) exchange: &'a mut dyn Exchange,
    pub(super) longest: Duration,
}

impl Timed<'_> {
    fn time<T>(&mut self, call: impl FnOnce(&mut dyn Exchange) -> T) -> T {
        let start = Instant::now();
        let result = call(self.exchange);
        self.longest = self.longest.max(start.elapsed());
        result
    }
}

impl Exchange for Timed<'_> {
    fn put(&mut self, key: &str, value: &[u8]) -> Result<(), ExchangeError> {
        self.time(|exchange| exchange.put(key, value))
    }

    fn take(&mut self, key: &str) -> Result<Option<Vec<u8>>, ExchangeError> {
        self.time(|exchange| exchange.take(key))
    }
}
