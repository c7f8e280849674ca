//! Rails: the EFA devices of one machine, each measured alone, then all together.
//!
//! [`rails`] pairs the devices of a [`Node`] with what libfabric offers; [`probe_rails`]
//! measures each between two endpoints on itself, with threads and memory on the NUMA node of
//! the card, and reads the device's counters before and after as evidence of the path.
//!
//! What it cannot show: host memory is used, so PCIe and memory may limit what GPU memory would
//! not; and a device that talks to itself does not use the network between machines.

mod affinity;
mod evidence;
mod report;
mod statistics;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use affinity::Pinning;
pub(crate) use affinity::{parse_cpu_list, pin};
pub use evidence::TrafficEvidence;
pub use report::{RailFailure, RailMeasure, RailReport, RailResult};

use crate::error::{Code, Error, Result};
use crate::info::Nic;
use crate::library::Library;
use crate::node::{EfaDevice, Node, NodeRoot, counters};
use crate::probe::{Interrupt, ProbeOptions, ProbeReport, StartLine, loopback_from};

/// How often the caller's hook is asked while rails are measured on other threads.
const POLL: Duration = Duration::from_millis(10);

/// One network device as a way out of the machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Rail {
    /// The device, such as `rdmap79s0`.
    pub device: String,
    /// libfabric's provider: `efa`, or another that stands in for it.
    pub provider: String,
    /// libfabric's domain; `None` for any of the provider.
    pub domain: Option<String>,
    /// The PCI address.
    pub pci_address: Option<String>,
    /// The bridge that the device is under; see [`EfaDevice::pci_group`].
    pub pci_group: Option<String>,
    /// NUMA node of the card.
    pub numa_node: Option<u32>,
    /// Gbit/s that it should reach in one direction: what its port says, else what its
    /// instance type has.
    pub expected_gbps: Option<f64>,
}

impl Rail {
    /// A rail of which nothing but the name and the provider is known.
    pub fn new(device: impl Into<String>, provider: impl Into<String>) -> Self {
        Self {
            device: device.into(),
            provider: provider.into(),
            domain: None,
            pci_address: None,
            pci_group: None,
            numa_node: None,
            expected_gbps: None,
        }
    }

    fn of(device: &EfaDevice, node: &Node, provider: &str) -> Self {
        let by_type = || node.expected.as_ref()?.efa_gbps;
        Self {
            pci_address: device.pci_address.clone(),
            pci_group: device.pci_group.clone(),
            numa_node: device.numa_node,
            expected_gbps: device.rate_gbps.or_else(by_type),
            ..Self::new(device.name.clone(), provider)
        }
    }
}

/// The rails of a machine: every device that libfabric offers with its provider `efa`, with what
/// the inventory knows of it. Devices that only the inventory has are no rails: libfabric cannot
/// use them.
#[must_use]
pub fn rails(node: &Node, nics: &[Nic]) -> Vec<Rail> {
    nics.iter()
        .filter(|nic| nic.provider.eq_ignore_ascii_case("efa"))
        .map(|nic| {
            let known = match node.efa_device(&nic.name) {
                Some(device) => Rail::of(device, node, &nic.provider),
                // In a container sysfs may be hidden; libfabric then knows more.
                None => Rail {
                    pci_address: nic.info.pci_address.clone(),
                    expected_gbps: nic.info.link_speed_bps.map(|speed| speed as f64 / 1e9),
                    ..Rail::new(nic.name.clone(), nic.provider.clone())
                },
            };
            Rail {
                domain: Some(nic.name.clone()),
                ..known
            }
        })
        .collect()
}

/// One rail for every EFA device of a machine, over a provider that stands in for `efa`, such
/// as `tcp`: to try, without EFA, what reads such a report. All rails then share one network.
#[must_use]
pub fn simulated_rails(node: &Node, provider: &str) -> Vec<Rail> {
    node.efa_devices
        .iter()
        .map(|device| Rail::of(device, node, provider))
        .collect()
}

/// How rails are measured.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RailOptions {
    /// What is measured on each rail; provider and domain are the rail's. Rails are compared
    /// by the bandwidth of the largest size, and it alone is measured of all together.
    pub probe: ProbeOptions,
    /// Where counters and processors of NUMA nodes are read.
    pub root: NodeRoot,
    /// Whether measuring threads keep to the NUMA node of the card.
    pub pin: bool,
    /// Whether all rails are measured together as well.
    pub together: bool,
    /// Gbit/s of the whole instance, above which all rails together are not expected:
    /// [`Expected::instance_gbps`](crate::Expected::instance_gbps).
    pub instance_gbps: Option<f64>,
}

impl Default for RailOptions {
    /// Bandwidth of 1 MiB messages, half a second for each rail and for all together, pinned,
    /// on this machine.
    fn default() -> Self {
        let mut probe = ProbeOptions::new("efa");
        probe.sizes = vec![1 << 20];
        probe.latency = false;
        probe.size_budget = Duration::from_millis(500);
        Self {
            probe,
            root: NodeRoot::new("/"),
            pin: true,
            together: true,
            instance_gbps: None,
        }
    }
}

impl RailOptions {
    /// The defaults, with the machine that a node was read from.
    #[must_use]
    pub fn of(node: &Node) -> Self {
        Self {
            root: NodeRoot::new(&node.root),
            instance_gbps: node.expected.as_ref().and_then(|e| e.instance_gbps),
            ..Self::default()
        }
    }
}

/// Measures each rail alone, one after the other, then all together.
///
/// A rail that fails is in the report with its error, and the others are measured; all together
/// are then measured without it.
///
/// # Errors
/// `fabric.invalid_option` without rails, with a rail twice, or without bandwidth to measure;
/// as [`ProbeOptions::check`]; `fabric.interrupted`.
pub fn probe_rails(
    library: &Arc<Library>,
    rails: &[Rail],
    options: &RailOptions,
    interrupt: Interrupt<'_>,
) -> Result<RailReport> {
    check(rails, options)?;
    let alone = options.probe.clone();
    let mut results = Vec::with_capacity(rails.len());
    for rail in rails {
        let work = Work {
            library,
            options,
            probe: &alone,
            line: None,
        };
        let mut measured = run(&[rail], work, interrupt)?;
        results.extend(measured.pop().map(|outcome| (rail, outcome)));
    }
    let (able, line) = if options.together {
        let able: Vec<&Rail> = results
            .iter()
            .filter(|(_, outcome)| outcome.measured.is_ok())
            .map(|(rail, _)| *rail)
            .collect();
        let line = StartLine::new(able.len());
        (able, Some(line))
    } else {
        (Vec::new(), None)
    };
    let mut together = alone.clone();
    together.latency = false;
    together.sizes = alone.sizes.iter().copied().max().into_iter().collect();
    let work = Work {
        library,
        options,
        probe: &together,
        line: line.as_ref(),
    };
    let mut second: BTreeMap<&str, Outcome> = able
        .iter()
        .map(|rail| rail.device.as_str())
        .zip(run(&able, work, interrupt)?)
        .collect();
    let elapsed_ns = line.as_ref().and_then(StartLine::elapsed_ns);
    let results = results
        .into_iter()
        .map(|(rail, outcome)| {
            let together = second.remove(rail.device.as_str());
            report::result(rail, outcome, together)
        })
        .collect();
    Ok(report::report(library, options, results, elapsed_ns))
}

fn check(rails: &[Rail], options: &RailOptions) -> Result<()> {
    let invalid = |option: &'static str, message: String| {
        Error::new(Code::InvalidOption, message).with_context("option", option)
    };
    if rails.is_empty() {
        return Err(
            invalid("rails", "there is no rail to measure".into()).with_cure(
                "see that libfabric offers efa, or use simulated rails over another provider",
            ),
        );
    }
    for (at, rail) in rails.iter().enumerate() {
        if rails[..at].iter().any(|other| other.device == rail.device) {
            return Err(invalid(
                "rails",
                format!("rail {} is given twice", rail.device),
            ));
        }
        of_rail(&options.probe, rail).check()?;
    }
    if !options.probe.bandwidth {
        return Err(invalid(
            "bandwidth",
            "rails are compared by their bandwidth, which is not to be measured".into(),
        ));
    }
    Ok(())
}

fn of_rail(probe: &ProbeOptions, rail: &Rail) -> ProbeOptions {
    let mut probe = probe.clone();
    probe.endpoint.provider.clone_from(&rail.provider);
    probe.endpoint.domain.clone_from(&rail.domain);
    probe
}

/// What every thread of a round does with its rail.
#[derive(Clone, Copy)]
struct Work<'a> {
    library: &'a Arc<Library>,
    options: &'a RailOptions,
    probe: &'a ProbeOptions,
    line: Option<&'a StartLine>,
}

/// What came of one rail in one round.
struct Outcome {
    pinning: Pinning,
    measured: Result<ProbeReport>,
    growth: BTreeMap<String, u64>,
}

/// Measures rails at the same time, each on a thread of its own. The caller's thread listens to
/// its hook.
fn run(rails: &[&Rail], work: Work<'_>, interrupt: Interrupt<'_>) -> Result<Vec<Outcome>> {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let threads: Vec<_> = rails
            .iter()
            .map(|&rail| scope.spawn(|| measure(rail, work, &stop)))
            .collect();
        let mut interrupted = Ok(());
        while threads.iter().any(|thread| !thread.is_finished()) {
            if interrupted.is_ok() {
                interrupted = interrupt.check();
                stop.store(interrupted.is_err(), Ordering::Relaxed);
            }
            std::thread::park_timeout(POLL);
        }
        interrupted?;
        let ended_early = || Outcome {
            pinning: Pinning::NotPinned {
                reason: "the thread ended early".into(),
            },
            measured: Err(Error::new(
                Code::PeerFailed,
                "the measuring thread ended early",
            )),
            growth: BTreeMap::new(),
        };
        Ok(threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| ended_early()))
            .collect())
    })
}

fn measure(rail: &Rail, work: Work<'_>, stop: &AtomicBool) -> Outcome {
    let root = &work.options.root;
    let pinning = if work.options.pin {
        affinity::pin(root, rail.numa_node)
    } else {
        Pinning::NotPinned {
            reason: "not asked for".into(),
        }
    };
    let before = counters(root, &rail.device);
    let hook = || stop.load(Ordering::Relaxed);
    let measured = loopback_from(
        work.library,
        &of_rail(work.probe, rail),
        Interrupt::new(&hook),
        work.line,
    );
    if let (Err(_), Some(line)) = (&measured, work.line) {
        line.give_up();
    }
    Outcome {
        pinning,
        measured,
        growth: evidence::growth(&before, &counters(root, &rail.device)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(rails: &[Rail], change: impl FnOnce(&mut RailOptions)) -> Option<String> {
        let mut options = RailOptions::default();
        change(&mut options);
        let error = check(rails, &options).err()?;
        assert!(matches!(error.code(), Code::InvalidOption | Code::BadSize));
        Some(error.to_string())
    }

    #[test]
    fn options_are_checked_before_anything_is_opened() {
        let rail = Rail::new("a", "tcp");
        let twice = [rail.clone(), Rail::new("b", "tcp"), rail.clone()];
        let one = std::slice::from_ref(&rail);
        assert_eq!(refused(one, |_| ()), None);
        assert!(refused(&[], |_| ()).unwrap().contains("no rail"));
        assert!(
            refused(&twice, |_| ())
                .unwrap()
                .contains("a is given twice")
        );
        let latency_only =
            |o: &mut RailOptions| (o.probe.latency, o.probe.bandwidth) = (true, false);
        assert!(refused(one, latency_only).unwrap().contains("bandwidth"));
        assert!(refused(one, |o| o.probe.sizes = vec![0]).is_some());
        assert!(
            refused(&[Rail::new("a", "")], |_| ())
                .unwrap()
                .contains("provider")
        );
    }
}
