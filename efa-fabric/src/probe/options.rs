//! What to measure, checked before anything is opened.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::endpoint::EndpointOptions;
use crate::error::{Code, Error, Result};
use crate::operation::Operation;
use crate::provider;

/// Largest message that is measured, in bytes: 1 GiB.
pub const MAX_SIZE: usize = 1 << 30;
/// Most messages that are in flight during a bandwidth measurement.
pub(crate) const MAX_WINDOW: usize = 64;
/// Sizes in bytes that are measured where none are chosen.
const DEFAULT_SIZES: [usize; 4] = [64, 4 << 10, 64 << 10, 1 << 20];
/// Sizes of one probe: more is a mistake.
const MAX_SIZES: usize = 256;
/// Samples of one size: each takes 8 bytes.
const MAX_ITERATIONS: u32 = 10_000_000;

/// The memory that messages are sent from and received into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Buffers {
    /// One buffer for all messages, which stays in the cache: what fabtests does.
    Reused,
    /// One buffer for each message of the window, within 256 MiB.
    Distinct,
}

/// The way in which a side waits when nothing happens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Wait {
    /// Asks again and again, and offers the processor to others between: a core for each side.
    Spin,
    /// Does so for a while, and then naps, 50 µs at first and 20 ms at last, until the other side reports
    /// something; `tcp` of libfabric 2.x is woken by messages too.
    ///
    /// The while is 50 µs between measurements. During one it is 20 ms and 10 ns for each byte of
    /// a message, more than any transfer of a network that works: sleep is then not part of what
    /// is measured, and a peer that has stopped costs no core.
    #[default]
    Adaptive,
}

/// The sides that send during a bandwidth measurement.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Direction {
    /// The measuring side only.
    #[default]
    OneWay,
    /// Both at once: each is timed by itself while the other goes on.
    Bidirectional,
}

/// Options of a probe: what to measure, and for how long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ProbeOptions {
    /// The endpoint of this side. The other side takes the same provider.
    pub endpoint: EndpointOptions,
    /// What moves the bytes.
    pub operation: Operation,
    /// Which sides send while bandwidth is measured.
    pub direction: Direction,
    /// Message sizes in bytes, 1 to 1 GiB, measured in this order.
    pub sizes: Vec<usize>,
    /// Whether to measure latency.
    pub latency: bool,
    /// Whether to measure bandwidth.
    pub bandwidth: bool,
    /// Time for each size and each kind of measurement, warm-up apart.
    pub size_budget: Duration,
    /// Time for the latency of each size after the first; `size_budget` if not given.
    #[serde(default)]
    pub further_budget: Option<Duration>,
    /// Round trips, or messages, that are measured even if the budget is spent.
    pub min_iterations: u32,
    /// Round trips, or messages, after which a measurement ends before its budget. Bandwidth
    /// goes on to the next acknowledgement, at most a quarter of a window later.
    pub max_iterations: u32,
    /// Messages in flight for bandwidth, at most 64. The provider's queues and 256 MiB in
    /// flight lower it; the report has what was used.
    pub window: u32,
    /// Which memory is used.
    pub buffers: Buffers,
    /// How both sides wait: the other side spins if this one does.
    pub wait: Wait,
    /// Time for the whole probe; it fails with `fabric.deadline` when that is over.
    pub deadline: Duration,
    /// Time to reach the peer, and then for its first message.
    pub connect_timeout: Duration,
}

impl ProbeOptions {
    /// Creates options: latency and bandwidth of 64 B, 4 KiB, 64 KiB and 1 MiB over this provider,
    /// a quarter of a second each, within a minute. Where its largest transfer is smaller
    /// (`efa-direct` sends messages of one MTU), the largest power of two that fits takes the place
    /// of those above.
    #[must_use]
    pub fn new(provider: impl Into<String>) -> Self {
        Self {
            endpoint: EndpointOptions::new(provider),
            operation: Operation::Message,
            direction: Direction::OneWay,
            sizes: DEFAULT_SIZES.to_vec(),
            latency: true,
            bandwidth: true,
            size_budget: Duration::from_millis(250),
            further_budget: None,
            min_iterations: 10,
            max_iterations: 1_000_000,
            window: MAX_WINDOW as u32,
            buffers: Buffers::Reused,
            wait: Wait::Adaptive,
            deadline: Duration::from_secs(60),
            connect_timeout: Duration::from_secs(10),
        }
    }

    /// Time for the latency of a size.
    pub(crate) fn budget_of(&self, size: usize) -> Duration {
        match self.further_budget {
            Some(further) if self.sizes.first() != Some(&size) => further,
            _ => self.size_budget,
        }
    }

    /// Checks everything that does not need libfabric.
    ///
    /// # Errors
    /// `fabric.bad_size`, `fabric.invalid_option` with the option.
    pub fn check(&self) -> Result<()> {
        let invalid = |option: &'static str, message: String| {
            Err(Error::new(Code::InvalidOption, message).with_context("option", option))
        };
        if self.endpoint.provider.is_empty() {
            return invalid("provider", "the provider has no name".into());
        }
        let layered = provider::base(&self.endpoint.provider);
        if self.endpoint.source_address.is_some() && layered.eq_ignore_ascii_case("shm") {
            return invalid("source_address", "shm has no network addresses".into());
        }
        if self.sizes.is_empty() || self.sizes.len() > MAX_SIZES {
            return invalid(
                "sizes",
                format!("{} sizes: give 1 to {MAX_SIZES}", self.sizes.len()),
            );
        }
        for &size in &self.sizes {
            check_size(size, MAX_SIZE as u64, "1 GiB, the largest that is measured")?;
        }
        if !self.latency && !self.bandwidth {
            return invalid(
                "latency",
                "neither latency nor bandwidth is to be measured".into(),
            );
        }
        if self.min_iterations == 0 || self.min_iterations > self.max_iterations {
            return invalid(
                "min_iterations",
                format!(
                    "min_iterations {} is not in 1 to max_iterations {}",
                    self.min_iterations, self.max_iterations
                ),
            );
        }
        if self.max_iterations > MAX_ITERATIONS {
            return invalid(
                "max_iterations",
                format!(
                    "max_iterations {} is above {MAX_ITERATIONS}",
                    self.max_iterations
                ),
            );
        }
        if self.window == 0 || self.window as usize > MAX_WINDOW {
            return invalid(
                "window",
                format!("window {} is not in 1 to {MAX_WINDOW}", self.window),
            );
        }
        if self.deadline.is_zero() {
            return invalid("deadline", "the deadline leaves no time".into());
        }
        Ok(())
    }

    /// The same with the default sizes cut to what is moved at once; chosen sizes stay.
    pub(crate) fn fitted(&self, max_size: u64) -> Self {
        let mut options = self.clone();
        let largest = usize::try_from(max_size).unwrap_or(usize::MAX);
        if self.sizes == DEFAULT_SIZES && self.largest() > largest && largest > 0 {
            options.sizes.retain(|&size| size <= largest);
            let power = 1 << largest.ilog2();
            if options.largest() < power {
                options.sizes.push(power);
            }
        }
        options
    }

    /// Checks the sizes against what the provider reports that it moves at once on a fabric.
    pub(crate) fn check_provider(&self, max_size: u64, provider: &str, fabric: &str) -> Result<()> {
        let limit = format!(
            "{max_size}, the largest {} of {provider} (fabric {fabric})",
            self.operation
        );
        self.sizes
            .iter()
            .try_for_each(|&size| check_size(size, max_size, &limit))
            .map_err(|error| {
                error
                    .with_context("operation", self.operation)
                    .with_context("provider", provider)
                    .with_context("fabric", fabric)
            })
    }

    /// Checks the sizes against what the answering side allows.
    pub(crate) fn check_limit(&self, max_size: usize) -> Result<()> {
        for &size in &self.sizes {
            check_size(
                size,
                max_size as u64,
                &format!("{max_size}, the most that is served here"),
            )?;
        }
        Ok(())
    }

    /// The largest size of the probe, in bytes.
    pub(crate) fn largest(&self) -> usize {
        self.sizes.iter().copied().max().unwrap_or(0)
    }

    pub(crate) fn is_bidirectional(&self) -> bool {
        self.direction == Direction::Bidirectional
    }
}

/// Options of a [`Server`](super::Server).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServeOptions {
    /// The only provider to answer for; empty for any. Fabric, domain and source address
    /// choose this side's endpoint.
    pub endpoint: EndpointOptions,
    /// Time to wait for a peer with the right token.
    pub accept_timeout: Duration,
    /// Time for a probe; the peer's own deadline counts as well.
    pub deadline: Duration,
    /// Largest message in bytes that a peer may ask for: it decides how much memory is taken,
    /// up to four times this and half a GiB.
    pub max_size: usize,
    /// How this side waits, unless the peer asks it to spin. While a peer measures one-sided
    /// operations it does not sleep in any case.
    pub wait: Wait,
}

impl Default for ServeOptions {
    /// Any provider, a minute to wait for a peer, ten minutes for its probe, messages up to
    /// 64 MiB.
    fn default() -> Self {
        Self {
            endpoint: EndpointOptions::new(""),
            accept_timeout: Duration::from_secs(60),
            deadline: Duration::from_secs(600),
            max_size: 64 << 20,
            wait: Wait::Adaptive,
        }
    }
}

fn check_size(size: usize, limit: u64, limit_text: &str) -> Result<()> {
    if size == 0 {
        return Err(
            Error::new(Code::BadSize, "message size 0 cannot be measured")
                .with_cure("use sizes from 1 byte")
                .with_context("size", size),
        );
    }
    if size as u64 > limit {
        return Err(Error::new(
            Code::BadSize,
            format!("message size {size} is above {limit_text}"),
        )
        .with_cure("use smaller sizes")
        .with_context("size", size)
        .with_context("limit", limit));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut ProbeOptions)) -> &'static str {
        let mut options = ProbeOptions::new("tcp");
        change(&mut options);
        options.check().unwrap_err().code().as_str()
    }

    #[test]
    fn defaults_are_valid() {
        assert!(ProbeOptions::new("tcp").check().is_ok());
    }

    #[test]
    fn default_sizes_fit_the_fabric_and_chosen_ones_are_kept() {
        let options = ProbeOptions::new("efa");
        for (limit, sizes) in [
            (u64::MAX, vec![64, 4096, 65_536, 1 << 20]),
            (1 << 20, vec![64, 4096, 65_536, 1 << 20]),
            ((1 << 20) - 1, vec![64, 4096, 65_536, 1 << 19]),
            (8928, vec![64, 4096, 8192]),
            (4096, vec![64, 4096]),
            (100, vec![64]),
            (63, vec![32]),
            (1, vec![1]),
        ] {
            let fitted = options.fitted(limit);
            assert_eq!(fitted.sizes, sizes, "{limit}");
            assert!(fitted.check_provider(limit, "efa", "efa-direct").is_ok());
        }
        let mut chosen = options.clone();
        chosen.sizes = vec![64, 1 << 20];
        assert_eq!(chosen.fitted(8928).sizes, chosen.sizes);
        assert_eq!(options.fitted(0).sizes, options.sizes);
    }

    #[test]
    fn bad_sizes_are_typed() {
        assert_eq!(refused(|o| o.sizes = vec![64, 0]), "fabric.bad_size");
        assert_eq!(refused(|o| o.sizes = vec![MAX_SIZE + 1]), "fabric.bad_size");
        let error = ProbeOptions::new("x")
            .check_provider(8192, "efa", "efa-direct")
            .unwrap_err();
        assert!(error.to_string().contains("(fabric efa-direct)"), "{error}");
        assert_eq!(error.context_value("fabric"), Some("efa-direct"));
        assert!(ProbeOptions::new("x").check_limit(1 << 20).is_ok());
        let error = ProbeOptions::new("x")
            .check_limit((1 << 20) - 1)
            .unwrap_err();
        assert_eq!(error.code(), Code::BadSize);
    }

    #[test]
    fn bad_options_are_typed() {
        assert_eq!(refused(|o| o.sizes = vec![]), "fabric.invalid_option");
        assert_eq!(
            refused(|o| o.endpoint.provider = String::new()),
            "fabric.invalid_option"
        );
        assert_eq!(refused(|o| o.window = 0), "fabric.invalid_option");
        assert_eq!(refused(|o| o.window = 65), "fabric.invalid_option");
        assert_eq!(refused(|o| o.min_iterations = 0), "fabric.invalid_option");
        assert_eq!(
            refused(|o| (o.min_iterations, o.max_iterations) = (3, 2)),
            "fabric.invalid_option"
        );
        assert_eq!(
            refused(|o| o.max_iterations = u32::MAX),
            "fabric.invalid_option"
        );
        assert_eq!(
            refused(|o| (o.latency, o.bandwidth) = (false, false)),
            "fabric.invalid_option"
        );
        assert_eq!(
            refused(|o| o.deadline = Duration::ZERO),
            "fabric.invalid_option"
        );
        let shm = |o: &mut ProbeOptions| {
            o.endpoint = EndpointOptions::new("shm");
            o.endpoint.source_address = Some("127.0.0.1".into());
        };
        assert_eq!(refused(shm), "fabric.invalid_option");
    }
}
