//! What a probe found: values, a table for terminals, JSON through serde.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::flow::Flow;
use super::options::{Buffers, Direction};
use crate::endpoint::{OptionOutcome, SharedMemory};
use crate::gpu::{self, Memory};
use crate::library::Version;
use crate::operation::Operation;

/// The sentence that every report carries.
pub(crate) fn statement(operation: Operation) -> String {
    let latency = match operation {
        Operation::Message | Operation::Tagged => "half of the round trip",
        Operation::WriteData => "half of the round trip of two writes with immediate data",
        Operation::Write => "the time of one write until it is delivered, not halved",
        Operation::Read => "the time of one read until the data is here, not halved",
    };
    format!("latency is {latency}")
}

/// The side of a probe that made the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Role {
    /// Both sides, in one process.
    Loopback,
    /// The side that measured.
    Connect,
    /// The side that answered; the rows are those that the measuring side sent.
    Serve,
}

/// Times of single exchanges in µs: half of the round trip, or a whole one-sided operation; the
/// report's statement states which. Percentiles are exact: the nearest rank among all samples.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Latency {
    /// Exchanges measured.
    pub iterations: u64,
    /// Exchanges before, which are not counted.
    pub warmup_iterations: u64,
    /// Smallest, in µs.
    pub min_us: f64,
    /// Half of the samples are not above this, in µs.
    pub p50_us: f64,
    /// 90 % of the samples are not above this, in µs.
    pub p90_us: f64,
    /// 99 % of the samples are not above this, in µs.
    pub p99_us: f64,
    /// Largest, in µs.
    pub max_us: f64,
    /// Arithmetic mean, in µs.
    pub mean_us: f64,
}

/// Transfers with many in flight, from the first post to the last acknowledgement of the peer,
/// or to the last completion of one-sided operations. With both sides sending, each is timed by
/// itself while the other goes on, and rates are added.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Bandwidth {
    /// Messages sent.
    pub messages: u64,
    /// Bytes sent, without headers.
    pub bytes: u64,
    /// Time in seconds; the longer one of two sides.
    pub elapsed_s: f64,
    /// 10^9 bytes per second.
    pub gb_per_s: f64,
    /// 10^9 bits per second: eight times `gb_per_s`.
    pub gbit_per_s: f64,
    /// Messages per second.
    pub messages_per_s: f64,
    /// Messages of the measuring side before, which are not counted.
    pub warmup_messages: u64,
    /// The measuring side's part, then the answering side's where both sent.
    pub sides: Vec<SideBandwidth>,
    /// Messages in flight at most.
    pub window: u32,
    /// Buffers that were sent from, and received into.
    pub buffers: u32,
}

/// The messages that one side sent, and their rate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SideBandwidth {
    /// Messages sent.
    pub messages: u64,
    /// Time in seconds.
    pub elapsed_s: f64,
    /// 10^9 bytes per second.
    pub gb_per_s: f64,
    /// 10^9 bits per second.
    pub gbit_per_s: f64,
}

/// One message size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Row {
    /// Bytes of each message.
    pub size: u64,
    /// Whether the bytes of one transfer of this size were compared with what was sent, before
    /// anything was measured; not done above 64 MiB. A difference is an error, not a report.
    pub verified: bool,
    /// Latency, where it was asked for.
    pub latency: Option<Latency>,
    /// Bandwidth, where it was asked for.
    pub bandwidth: Option<Bandwidth>,
}

/// Known facts of the other side.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Peer {
    /// Its name in the network, where it could be read.
    pub hostname: Option<String>,
    /// Its libfabric.
    pub library_version: Version,
    /// Its provider, as its libfabric returned it.
    pub provider: String,
    /// Its provider's version.
    pub provider_version: Version,
    /// Its domain.
    pub domain: String,
    /// Where its buffers lie.
    #[serde(default)]
    pub memory: Memory,
}

/// The result of a probe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ProbeReport {
    /// Which side this is.
    pub role: Role,
    /// The libfabric that was used.
    pub library_path: String,
    /// Its version.
    pub library_version: Version,
    /// The provider as libfabric returned it: asking for `tcp` may give `tcp;ofi_rxm`.
    pub provider: String,
    /// The provider's version.
    pub provider_version: Version,
    /// The fabric.
    pub fabric: String,
    /// The domain.
    pub domain: String,
    /// The wire protocol.
    pub protocol: String,
    /// Whether messages on one machine may have bypassed the provider's network.
    pub shared_memory: SharedMemory,
    /// Name of this machine, where it can be read.
    pub hostname: Option<String>,
    /// Processors that this process may use.
    pub cpus: Option<u32>,
    /// The other side.
    pub peer: Peer,
    /// What moved the bytes.
    pub operation: Operation,
    /// Which sides sent while bandwidth was measured.
    pub direction: Direction,
    /// What became of the options that were set on this side's endpoint.
    pub endpoint_options: Vec<OptionOutcome>,
    /// How many buffers were used.
    pub buffers: Buffers,
    /// Where this side's buffers lay; [`Peer::memory`] has the other's.
    #[serde(default)]
    pub memory: Memory,
    /// The GPU memory of this side, where its buffers lay there.
    #[serde(default)]
    pub gpu: Option<gpu::Report>,
    /// From the post of the very first transfer to the first reply, or to its completion where
    /// it is one-sided, in µs: a whole round trip, with the making of connections that it pays
    /// for.
    pub time_to_first_message_us: f64,
    /// One row for each size, in the order asked for.
    pub rows: Vec<Row>,
    /// How to read the latencies.
    pub statement: String,
}

impl Latency {
    /// From times in ns, which this sorts: halved where they are round trips. `None` without
    /// samples.
    pub(crate) fn from_samples(
        samples: &mut [u64],
        operation: Operation,
        warmup_iterations: u64,
    ) -> Option<Self> {
        samples.sort_unstable();
        let (first, last) = (samples.first().copied()?, samples.last().copied()?);
        let ns_per_us = if operation.is_one_sided() {
            1000.0
        } else {
            2000.0
        };
        let us = |ns: f64| ns / ns_per_us;
        let count = samples.len();
        // Nearest rank: the smallest sample that is not below this share of all.
        let percentile = |share: usize| {
            let rank = (count * share).div_ceil(100).clamp(1, count);
            us(samples[rank - 1] as f64)
        };
        Some(Self {
            iterations: count as u64,
            warmup_iterations,
            min_us: us(first as f64),
            p50_us: percentile(50),
            p90_us: percentile(90),
            p99_us: percentile(99),
            max_us: us(last as f64),
            mean_us: us(samples.iter().map(|&ns| ns as f64).sum::<f64>() / count as f64),
        })
    }
}

impl SideBandwidth {
    fn new(flow: Flow, size: usize) -> Self {
        let elapsed_s = flow.elapsed_ns.max(1) as f64 / 1e9;
        let gb_per_s = flow.messages as f64 * size as f64 / 1e9 / elapsed_s;
        Self {
            messages: flow.messages,
            elapsed_s,
            gb_per_s,
            gbit_per_s: gb_per_s * 8.0,
        }
    }
}

impl Bandwidth {
    /// From what each side sent, the measuring one first.
    pub(crate) fn new(
        flows: &[Flow],
        size: usize,
        warmup_messages: u64,
        window: u32,
        buffers: u32,
    ) -> Self {
        let sides: Vec<_> = flows
            .iter()
            .map(|&flow| SideBandwidth::new(flow, size))
            .collect();
        let messages = flows.iter().map(|flow| flow.messages).sum::<u64>();
        let gb_per_s = sides.iter().map(|side| side.gb_per_s).sum::<f64>();
        Self {
            messages,
            bytes: messages.saturating_mul(size as u64),
            elapsed_s: sides.iter().map(|side| side.elapsed_s).fold(0.0, f64::max),
            gb_per_s,
            gbit_per_s: gb_per_s * 8.0,
            messages_per_s: sides
                .iter()
                .map(|side| side.messages as f64 / side.elapsed_s)
                .sum(),
            warmup_messages,
            sides,
            window,
            buffers,
        }
    }
}

impl ProbeReport {
    /// Returns the text form as HTML, for notebooks: escaped, without scripts.
    #[must_use]
    pub fn to_html(&self) -> String {
        efa_core::html::preformatted(&self.to_string())
    }
}

impl fmt::Display for ProbeReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} {}, fabric {}, domain {}, libfabric {} ({})",
            self.provider,
            self.provider_version,
            self.fabric,
            self.domain,
            self.library_version,
            self.library_path
        )?;
        match self.role {
            Role::Loopback => writeln!(
                f,
                "two endpoints of one process on {}",
                name(self.hostname.as_deref())
            )?,
            Role::Connect | Role::Serve => writeln!(
                f,
                "{} with {} ({} {}, libfabric {})",
                name(self.hostname.as_deref()),
                name(self.peer.hostname.as_deref()),
                self.peer.provider,
                self.peer.provider_version,
                self.peer.library_version
            )?,
        }
        let buffers = match self.buffers {
            Buffers::Reused => "one buffer reused",
            Buffers::Distinct => "distinct buffers",
        };
        let both = match self.direction {
            Direction::OneWay => "",
            Direction::Bidirectional => " in both directions, bandwidth is the sum",
        };
        let first = match self.operation.is_one_sided() {
            true => "operation",
            false => "round trip",
        };
        let shared = match self.shared_memory {
            SharedMemory::NotApplicable => "",
            SharedMemory::Disabled => ", shared memory disabled",
            SharedMemory::Unknown => ", shared memory not ruled out",
        };
        if (self.memory, self.peer.memory) != (Memory::Host, Memory::Host) {
            writeln!(f, "memory {}, the peer's {}", self.memory, self.peer.memory)?;
        }
        if let Some(gpu) = &self.gpu {
            writeln!(f, "{gpu}")?;
        }
        writeln!(
            f,
            "{}{both}; {}; {buffers}{shared}; first {first} {:.1} µs",
            self.operation, self.statement, self.time_to_first_message_us
        )?;
        writeln!(
            f,
            "{:>11}  {:>9}  {:>9}  {:>9}  {:>9}  {:>10}  {:>9}  {:>9}  {:>12}",
            "size",
            "min µs",
            "p50 µs",
            "p90 µs",
            "p99 µs",
            "max µs",
            "GB/s",
            "Gbit/s",
            "messages/s"
        )?;
        for row in &self.rows {
            write!(f, "{:>11}", size_text(row.size))?;
            match &row.latency {
                Some(l) => write!(
                    f,
                    "  {:>9.2}  {:>9.2}  {:>9.2}  {:>9.2}  {:>10.2}",
                    l.min_us, l.p50_us, l.p90_us, l.p99_us, l.max_us
                )?,
                None => write!(f, "  {0:>9}  {0:>9}  {0:>9}  {0:>9}  {0:>10}", "-")?,
            }
            match &row.bandwidth {
                Some(b) => writeln!(
                    f,
                    "  {:>9.3}  {:>9.2}  {:>12.0}",
                    b.gb_per_s, b.gbit_per_s, b.messages_per_s
                )?,
                None => writeln!(f, "  {0:>9}  {0:>9}  {0:>12}", "-")?,
            }
        }
        Ok(())
    }
}

fn name(hostname: Option<&str>) -> &str {
    hostname.unwrap_or("a host without a name")
}

/// A size with its binary unit where it is a whole number of it.
fn size_text(size: u64) -> String {
    for (unit, shift) in [("GiB", 30), ("MiB", 20), ("KiB", 10)] {
        if size >= 1 << shift && size.is_multiple_of(1 << shift) {
            return format!("{} {unit}", size >> shift);
        }
    }
    format!("{size} B")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_rank_of_half_the_round_trip() {
        let mut samples: Vec<u64> = (1..=100).rev().map(|i| i * 2000).collect();
        let latency = Latency::from_samples(&mut samples, Operation::Tagged, 7).unwrap();
        assert_eq!(latency.iterations, 100);
        assert_eq!(latency.warmup_iterations, 7);
        assert_eq!(
            [latency.min_us, latency.p50_us, latency.p90_us],
            [1.0, 50.0, 90.0]
        );
        assert_eq!(
            [latency.p99_us, latency.max_us, latency.mean_us],
            [99.0, 100.0, 50.5]
        );
        let one = Latency::from_samples(&mut [3000], Operation::WriteData, 0).unwrap();
        assert_eq!([one.min_us, one.p50_us, one.p99_us, one.max_us], [1.5; 4]);
        assert!(Latency::from_samples(&mut [], Operation::Message, 0).is_none());
    }

    #[test]
    fn one_sided_operations_are_not_halved() {
        for (operation, us) in [(Operation::Write, 3.0), (Operation::Message, 1.5)] {
            let latency = Latency::from_samples(&mut [3000], operation, 0).unwrap();
            assert_eq!(latency.p50_us, us, "{operation}");
            let halved = !statement(operation).contains("not halved");
            assert_eq!(halved, us == 1.5, "{operation}");
        }
    }

    #[test]
    fn percentiles_of_few_samples_are_samples() {
        let mut samples = [10_000, 2000, 6000];
        let latency = Latency::from_samples(&mut samples, Operation::Message, 0).unwrap();
        assert_eq!(
            [latency.p50_us, latency.p90_us, latency.p99_us],
            [3.0, 5.0, 5.0]
        );
    }

    #[test]
    fn bandwidth_is_in_powers_of_ten() {
        let flow = |messages, elapsed_ns| Flow {
            messages,
            elapsed_ns,
        };
        let bandwidth = Bandwidth::new(&[flow(1000, 500_000_000)], 1_000_000, 64, 64, 1);
        assert_eq!(bandwidth.gb_per_s, 2.0);
        assert_eq!(bandwidth.gbit_per_s, 16.0);
        assert_eq!(bandwidth.messages_per_s, 2000.0);
        assert_eq!(bandwidth.sides.len(), 1);

        let both = [flow(1000, 500_000_000), flow(1000, 1_000_000_000)];
        let bandwidth = Bandwidth::new(&both, 1_000_000, 64, 64, 1);
        assert_eq!((bandwidth.gb_per_s, bandwidth.gbit_per_s), (3.0, 24.0));
        assert_eq!((bandwidth.elapsed_s, bandwidth.messages), (1.0, 2000));
        assert_eq!(bandwidth.bytes, 2_000_000_000);
        let sides: Vec<_> = bandwidth.sides.iter().map(|side| side.gb_per_s).collect();
        assert_eq!(sides, [2.0, 1.0]);
    }

    #[test]
    fn sizes_read_well() {
        assert_eq!(size_text(64), "64 B");
        assert_eq!(size_text(4096), "4 KiB");
        assert_eq!(size_text(1 << 20), "1 MiB");
        assert_eq!(size_text(1500), "1500 B");
        assert_eq!(size_text(1 << 30), "1 GiB");
    }
}
