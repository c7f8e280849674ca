//! Measures each rail alone, then all together, with a thread for each.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::affinity::{self, Pinning};
use super::evidence;
use super::options::Options;
use super::rail::Rail;
use super::report::{self, Outcome, Report};
use super::statistics;
use crate::error::{Code, Error, Result};
use crate::interrupt::Interrupt;
use crate::library::Library;
use crate::node::counters;
use crate::probe::{ProbeOptions, StartLine, loopback_from};

/// How often a rail that is slow alone is measured again.
const AGAIN: u32 = 2;

/// How often the caller's hook is asked while rails are measured on other threads.
const POLL: Duration = Duration::from_millis(10);

/// Measures each rail alone, one after the other, then all together.
///
/// A rail that fails is in the report with its error, and the others are measured; all together
/// are then measured without it.
///
/// # Errors
/// `fabric.invalid_option` without rails, with a rail twice, or without bandwidth to measure;
/// as [`ProbeOptions::check`]; `fabric.interrupted`.
pub fn probe(
    library: &Arc<Library>,
    rails: &[Rail],
    options: &Options,
    interrupt: Interrupt<'_>,
) -> Result<Report> {
    check_rails(rails, options)?;
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
    let work = Work {
        library,
        options,
        probe: &alone,
        line: None,
    };
    measure_slow_again(&mut results, work, interrupt)?;
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

/// Measures rails that are slow against the others again, and keeps the best: what else the
/// machine did meanwhile makes a rail slower, and none faster. What showed a bad path is kept.
fn measure_slow_again(
    results: &mut [(&Rail, Outcome)],
    work: Work<'_>,
    interrupt: Interrupt<'_>,
) -> Result<()> {
    for _ in 0..AGAIN {
        let rates: Vec<_> = results.iter().map(|(_, outcome)| outcome.gbps()).collect();
        for at in statistics::slow(&rates) {
            let (rail, first) = &mut results[at];
            let Some(mut again) = run(&[*rail], work, interrupt)?.pop() else {
                continue;
            };
            if again.gbps() > first.gbps() {
                std::mem::swap(first, &mut again);
            }
            evidence::keep_bad_path(&mut first.growth, &again.growth);
        }
    }
    Ok(())
}

fn check_rails(rails: &[Rail], options: &Options) -> Result<()> {
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
        for_rail(&options.probe, rail).check()?;
    }
    if !options.probe.bandwidth {
        return Err(invalid(
            "bandwidth",
            "rails are compared by their bandwidth, which is not to be measured".into(),
        ));
    }
    Ok(())
}

fn for_rail(probe: &ProbeOptions, rail: &Rail) -> ProbeOptions {
    let mut probe = probe.clone();
    probe.endpoint.provider.clone_from(&rail.provider);
    probe.endpoint.domain.clone_from(&rail.domain);
    probe
}

/// What every thread of a round does with its rail.
#[derive(Clone, Copy)]
struct Work<'a> {
    library: &'a Arc<Library>,
    options: &'a Options,
    probe: &'a ProbeOptions,
    line: Option<&'a StartLine>,
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
        &for_rail(work.probe, rail),
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

    fn refused(rails: &[Rail], change: impl FnOnce(&mut Options)) -> Option<String> {
        let mut options = Options::default();
        change(&mut options);
        let error = check_rails(rails, &options).err()?;
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
        let latency_only = |o: &mut Options| (o.probe.latency, o.probe.bandwidth) = (true, false);
        assert!(refused(one, latency_only).unwrap().contains("bandwidth"));
        assert!(refused(one, |o| o.probe.sizes = vec![0]).is_some());
        assert!(
            refused(&[Rail::new("a", "")], |_| ())
                .unwrap()
                .contains("provider")
        );
    }
}
