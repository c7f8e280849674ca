//! One pair of a round, as one of its two nodes sees it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use self::rate::longest_s;
pub(super) use self::rate::rate;
use self::set_up::is_of_set_up;
use self::timed::{OUTAGE, Timed};
use super::rails::{self, Part};
use crate::endpoint::EndpointOptions;
use crate::error::{Code, Error, Result};
use crate::library::Library;
use crate::probe::{Exchange, Interrupt, ProbeOptions, ProbeReport, ServeOptions, Wait};
use crate::rails::Rail;
use crate::survey::wording::digits;
use crate::survey::{Failure, FailurePhase, Measured, Outcome, Sustained};

mod rate;
mod set_up;
mod timed;

/// Above the usual MTU of 1500 bytes, and above that of jumbo frames.
const GROWING_BYTES: [usize; 2] = [2048, 16384];

/// Options of a pair: what to measure between its two nodes, and within which time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PairOptions {
    /// The endpoint of this node.
    pub endpoint: EndpointOptions,
    /// The rails of this node by number: endpoints like that one, with the rail's domain. With two
    /// or more, rates are measured on all rails at the same time. Both nodes must give as many.
    pub rails: Vec<Rail>,
    /// Bytes of the messages that latency is measured with.
    pub latency_bytes: usize,
    /// Bytes of the messages that the rates are measured with.
    pub message_bytes: usize,
    /// Time for latency, and for the rate in each direction.
    pub test_budget: Duration,
    /// Time to reach the other node.
    pub connect_timeout: Duration,
    /// Time for the whole pair.
    pub deadline: Duration,
}

/// The node of the pair that this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The node with the lower number: `a` of the observation.
    Low,
    /// The node with the higher number: `b`.
    High,
}

/// The view of one node of a pair.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Sight {
    /// The measurement with all rails together, or why there is none.
    pub outcome: Outcome,
    /// What each rail did while all were measured, by number; empty where there is one only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rails: Vec<Outcome>,
    /// The error's text, where it failed.
    pub message: Option<String>,
}

impl PairOptions {
    /// Creates options: 64 B for latency, 1 MiB for the rates, 0.2 s each, 10 s to reach the other
    /// node, 30 s in all.
    #[must_use]
    pub fn new(provider: impl Into<String>) -> Self {
        Self {
            endpoint: EndpointOptions::new(provider),
            rails: Vec::new(),
            latency_bytes: 64,
            message_bytes: 1 << 20,
            test_budget: Duration::from_millis(200),
            connect_timeout: Duration::from_secs(10),
            deadline: Duration::from_secs(30),
        }
    }

    /// Checks everything that does not need libfabric.
    ///
    /// # Errors
    /// `fabric.bad_size`, `fabric.invalid_option` with the option.
    pub fn check(&self) -> Result<()> {
        for test in [Test::Latency, Test::LowToHigh] {
            self.probe(test, self.deadline).check()?;
        }
        self.check_budget()
    }

    /// Checks that the pair's time is enough for what is measured in it.
    fn check_budget(&self) -> Result<()> {
        let whole = self.test_budget.saturating_mul(Test::ALL.len() as u32);
        if whole < self.deadline {
            return Ok(());
        }
        let message = format!(
            "latency and the rate in each direction take {} s each, and the pair has {} s for all",
            digits(self.test_budget.as_secs_f64()),
            digits(self.deadline.as_secs_f64())
        );
        Err(Error::new(Code::InvalidOption, message)
            .with_cure(
                "give a smaller test budget, or a longer deadline of the round, of which a pair has three quarters",
            )
            .with_context("option", "test_budget"))
    }

    /// Returns the same within a round that may take this long: what fails is reported before it is
    /// over.
    #[must_use]
    pub fn within(mut self, round: Duration) -> Self {
        self.deadline = self.deadline.min(round.mul_f64(0.75));
        self.connect_timeout = self.connect_timeout.min(round.mul_f64(0.5));
        self
    }

    /// Returns the same on the first `rails` rails; both nodes of a pair must give the same number.
    #[must_use]
    pub fn with_rails(mut self, count: usize) -> Self {
        self.rails.truncate(count);
        self
    }

    /// Why this node's set-up keeps it from measuring any pair, found by opening its endpoint, or those of
    /// its rails until one opens; `None` where nothing is known to.
    pub(crate) fn obstacle(&self, library: &Arc<Library>) -> Option<Error> {
        let whole = self.rails.is_empty().then_some(None);
        let rails = self.rails.iter().map(Some).chain(whole);
        let endpoints = rails.map(|rail| {
            let mut endpoint = self.endpoint.clone();
            rails::use_rail(&mut endpoint, rail);
            endpoint
        });
        set_up::obstacle(library, endpoints)
    }

    fn probe(&self, test: Test, left: Duration) -> ProbeOptions {
        let mut probe = ProbeOptions::new("");
        probe.endpoint = self.endpoint.clone();
        (probe.latency, probe.bandwidth) = (test == Test::Latency, test != Test::Latency);
        probe.sizes = match test {
            Test::Latency => self.growing(),
            Test::LowToHigh | Test::HighToLow => vec![self.message_bytes],
        };
        probe.size_budget = self.test_budget;
        probe.further_budget = Some(Duration::ZERO);
        probe.connect_timeout = self.connect_timeout.min(left);
        probe.deadline = left;
        probe
    }

    /// What one end of a flow does that is measured next to others.
    pub(super) fn part_of_flow(&self, sends: bool) -> Part {
        match sends {
            true => Part::Measure(self.probe(Test::LowToHigh, self.deadline)),
            false => Part::Answer(self.serve(self.deadline)),
        }
    }

    /// The size for latency, and then a few messages of sizes on the way to that for rates: where
    /// large packets are lost, that shows which do not pass.
    fn growing(&self) -> Vec<usize> {
        let between = |size: &usize| (self.latency_bytes + 1..self.message_bytes).contains(size);
        let further = GROWING_BYTES.into_iter().filter(between);
        std::iter::once(self.latency_bytes).chain(further).collect()
    }

    fn serve(&self, left: Duration) -> ServeOptions {
        ServeOptions {
            endpoint: self.endpoint.clone(),
            accept_timeout: self.connect_timeout.min(left),
            deadline: left,
            max_size: self.latency_bytes.max(self.message_bytes),
            wait: Wait::default(),
        }
    }
}

impl Sight {
    /// Returns what was measured.
    #[must_use]
    pub fn measured(measured: Measured) -> Self {
        Self {
            outcome: Outcome::Measured(measured),
            rails: Vec::new(),
            message: None,
        }
    }

    /// Creates a failure in this phase with this error code, and the seconds since the start.
    #[must_use]
    pub fn failed(phase: FailurePhase, code: &str, after_s: f64, message: String) -> Self {
        Self {
            outcome: Outcome::Failed(Failure::new(phase, code, after_s)),
            rails: Vec::new(),
            message: Some(message),
        }
    }

    /// Whether it reports no more than that the other node failed or is not there. A refusal states
    /// more: what was refused.
    pub(crate) fn names_no_cause(&self) -> bool {
        match &self.outcome {
            Outcome::Measured(_) => false,
            Outcome::Failed(failure) => {
                failure.code == Code::PeerFailed.as_str()
                    || failure.code == Code::Unreachable.as_str()
            }
        }
    }

    /// The error's code and text, where the node's own set-up kept it from measuring: nothing is
    /// known of its network then.
    pub(crate) fn set_up_error(&self) -> Option<(&str, &str)> {
        match &self.outcome {
            Outcome::Failed(failure)
                if failure.phase == FailurePhase::Open && !failure.is_mismatch() =>
            {
                let code = failure.code.as_str();
                Some((code, self.message.as_deref().unwrap_or(code)))
            }
            _ => None,
        }
    }

    /// Whether the two nodes could not meet: the exchange failed, not their network.
    pub(crate) fn is_not_met(&self) -> bool {
        let code = Code::RendezvousFailed.as_str();
        matches!(&self.outcome, Outcome::Failed(failure) if failure.code == code)
    }

    /// Whether the node left the survey because it was asked to stop.
    pub(crate) fn is_interrupted(&self) -> bool {
        matches!(&self.outcome, Outcome::Failed(failure) if failure.code == Code::Interrupted.as_str())
    }
}

impl From<Outcome> for Sight {
    /// What one rail did.
    fn from(outcome: Outcome) -> Self {
        Self {
            outcome,
            rails: Vec::new(),
            message: None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Test {
    Latency,
    LowToHigh,
    HighToLow,
}

impl Test {
    const ALL: [Self; 3] = [Self::Latency, Self::LowToHigh, Self::HighToLow];

    fn word(self) -> &'static str {
        match self {
            Self::Latency => "latency",
            Self::LowToHigh => "up",
            Self::HighToLow => "down",
        }
    }

    fn measures(self, side: Side) -> bool {
        match self {
            Self::Latency | Self::LowToHigh => side == Side::Low,
            Self::HighToLow => side == Side::High,
        }
    }
}

/// Measures latency and both directions with the node that calls this with the other side and
/// the same name on the same exchange. What fails is part of the answer.
///
/// # Errors
/// `fabric.interrupted` only.
pub fn probe_pair(
    library: &Arc<Library>,
    exchange: &mut dyn Exchange,
    name: &str,
    side: Side,
    options: &PairOptions,
    interrupt: Interrupt<'_>,
) -> Result<Sight> {
    let mut timed = Timed {
        exchange,
        longest: Duration::ZERO,
    };
    let mut pair = Pair {
        library,
        exchange: &mut timed,
        name,
        side,
        options,
        interrupt,
        start: Instant::now(),
    };
    let sight = if options.rails.len() > 1 {
        pair.on_rails()
    } else {
        pair.on_one()
    };
    match sight {
        Ok(sight) => Ok(sight),
        Err((_, error)) if error.code() == Code::Interrupted => Err(error),
        Err(failed) => {
            let (phase, error) = pair.own_error(failed);
            let after_s = pair.start.elapsed().as_secs_f64();
            let longest = timed.longest;
            let may_be_its = [Code::Unreachable, Code::Deadline, Code::PeerFailed];
            if longest >= OUTAGE && may_be_its.contains(&error.code()) {
                let code = Code::RendezvousFailed.as_str();
                let seconds = longest.as_secs_f64();
                let text =
                    format!("the exchange of the two did not answer for {seconds:.1} s: {error}");
                return Ok(Sight::failed(phase, code, after_s, text));
            }
            let code = error.code().as_str();
            let mut sight = Sight::failed(phase, code, after_s, error.to_string());
            if let Outcome::Failed(failure) = &mut sight.outcome {
                failure.stuck_bytes = stuck(options, &error);
            }
            Ok(sight)
        }
    }
}

/// What was going on, and how it went wrong.
type Failed = (FailurePhase, Error);

struct Pair<'a> {
    library: &'a Arc<Library>,
    exchange: &'a mut dyn Exchange,
    name: &'a str,
    side: Side,
    options: &'a PairOptions,
    interrupt: Interrupt<'a>,
    start: Instant,
}

impl Pair<'_> {
    /// The error of the pair, or of this side's own set-up where the peer's set-up is why it failed.
    fn own_error(&self, (phase, error): Failed) -> Failed {
        let may_be_own = set_up::may_be_of_both(&error);
        match may_be_own.then(|| self.options.obstacle(self.library)) {
            Some(Some(own)) => (FailurePhase::Open, own),
            _ => (phase, error),
        }
    }

    fn left(&self) -> Result<Duration> {
        let left = self.options.deadline.saturating_sub(self.start.elapsed());
        if left.is_zero() {
            return Err(Error::new(Code::Deadline, "the pair's time was over"));
        }
        Ok(left)
    }

    fn part(&self, test: Test, left: Duration) -> Part {
        if test.measures(self.side) {
            Part::Measure(self.options.probe(test, left))
        } else {
            Part::Answer(self.options.serve(left))
        }
    }

    fn test(&mut self, test: Test, rail: Option<&Rail>) -> Result<ProbeReport> {
        let name = format!("{}/{}", self.name, test.word());
        let (library, interrupt) = (self.library, self.interrupt);
        let part = self.part(test, self.left()?).on(rail);
        part.run(library, self.exchange, &name, interrupt, None)
    }

    fn on_one(&mut self) -> Result<Sight, Failed> {
        let rail = self.options.rails.first();
        let mut measured = Measured::default();
        for test in Test::ALL {
            let report = self
                .test(test, rail)
                .map_err(|error| (phase(test, &error), error))?;
            note(&mut measured, test, &[&report]);
        }
        Ok(Sight::measured(measured))
    }

    /// Rates first: they show on which rail latency can be measured.
    fn on_rails(&mut self) -> Result<Sight, Failed> {
        let rails = &self.options.rails;
        let mut outcomes = vec![Outcome::Measured(Measured::default()); rails.len()];
        let mut measured = Measured::default();
        for test in [Test::LowToHigh, Test::HighToLow] {
            let mut reports = Vec::new();
            let mut first_error = None;
            for (outcome, result) in outcomes.iter_mut().zip(self.test_rails(test)?) {
                match result {
                    Ok(report) => {
                        if let Outcome::Measured(measured) = outcome {
                            note(measured, test, &[&report]);
                        }
                        reports.push(report);
                    }
                    Err(error) if error.code() == Code::Interrupted => {
                        return Err((FailurePhase::Bandwidth, error));
                    }
                    Err(error) => {
                        let phase = match error.code() {
                            Code::Unreachable if test == Test::LowToHigh => FailurePhase::Contact,
                            _ => phase(test, &error),
                        };
                        let after_s = self.start.elapsed().as_secs_f64();
                        let code = error.code().as_str();
                        *outcome = Outcome::Failed(Failure::new(phase, code, after_s));
                        first_error.get_or_insert((phase, error));
                    }
                }
            }
            if let (true, Some(failed)) = (reports.is_empty(), first_error) {
                return Err(failed);
            }
            note(&mut measured, test, &reports.iter().collect::<Vec<_>>());
        }
        let works = |outcome: &Outcome| matches!(outcome, Outcome::Measured(_));
        let rail = outcomes.iter().position(works).map(|at| &rails[at]);
        let report = self
            .test(Test::Latency, rail)
            .map_err(|error| (phase(Test::Latency, &error), error))?;
        note(&mut measured, Test::Latency, &[&report]);
        Ok(Sight {
            rails: outcomes,
            ..Sight::measured(measured)
        })
    }

    fn test_rails(&mut self, test: Test) -> Result<Vec<Result<ProbeReport>>, Failed> {
        let failed = |error: Error| (phase(test, &error), error);
        let part = self.part(test, self.left().map_err(failed)?);
        let name = format!("{}/{}", self.name, test.word());
        rails::together(
            self.library,
            self.exchange,
            &name,
            &self.options.rails,
            &part,
            self.interrupt,
        )
        .map_err(failed)
    }
}

/// Takes what a test gave: latency of one report, rates of all that ran at the same time.
fn note(measured: &mut Measured, test: Test, reports: &[&ProbeReport]) {
    let rows = || reports.iter().filter_map(|report| report.rows.first());
    let positive = |value: f64| (value.is_finite() && value > 0.0).then_some(value);
    if test == Test::Latency {
        let latency = rows().find_map(|row| row.latency.as_ref());
        measured.latency_us = latency.and_then(|latency| positive(latency.p50_us));
        return;
    }
    let mut bandwidths = rows().filter_map(|row| Some((row.size, row.bandwidth.as_ref()?)));
    let Some((size, first)) = bandwidths.next() else {
        return;
    };
    let gbps = rate(reports);
    if test == Test::LowToHigh {
        measured.gbps_a_to_b = gbps;
    } else {
        measured.gbps_b_to_a = gbps;
    }
    measured.sustained = Some(Sustained {
        message_bytes: size as usize,
        window: first.window as usize,
        seconds: longest_s(reports),
    });
}

/// The size of the messages that did not pass in the latency test, where smaller ones had. A rate
/// that is not measured in time shows nothing: it may only be low.
fn stuck(options: &PairOptions, error: &Error) -> Option<usize> {
    if error.code() != Code::Deadline {
        return None;
    }
    let doing = error.context_value("doing")?;
    let (_, bytes) = doing.strip_suffix(" bytes")?.rsplit_once(' ')?;
    let bytes = bytes.parse().ok()?;
    let grows = options.growing().contains(&bytes) && bytes > options.latency_bytes;
    (grows && is_of_latency(doing)).then_some(bytes)
}

/// Whether a side was in the latency test: each size begins with a comparison of its contents.
fn is_of_latency(doing: &str) -> bool {
    doing.contains("latency") || doing.starts_with("comparing")
}

/// What was going on when this error came.
fn phase(test: Test, error: &Error) -> FailurePhase {
    if is_of_set_up(error) {
        return FailurePhase::Open;
    }
    let doing = error.context_value("doing").unwrap_or_default();
    match (error.code(), test) {
        (_, Test::LowToHigh | Test::HighToLow) => FailurePhase::Bandwidth,
        (Code::Deadline, Test::Latency) if is_of_latency(doing) => FailurePhase::Latency,
        (Code::PeerFailed, Test::Latency) => FailurePhase::Latency,
        (_, Test::Latency) => FailurePhase::Contact,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_fits_into_its_round() {
        let options = PairOptions::new("tcp").within(Duration::from_secs(8));
        assert_eq!(options.deadline, Duration::from_secs(6));
        assert_eq!(options.connect_timeout, Duration::from_secs(4));
        let wide = PairOptions::new("tcp").within(Duration::from_secs(1000));
        assert_eq!(wide, PairOptions::new("tcp"));
    }

    #[test]
    fn options_are_checked() {
        let mut options = PairOptions::new("tcp");
        assert!(options.check().is_ok());
        options.message_bytes = 0;
        assert_eq!(options.check().unwrap_err().code(), Code::BadSize);
        let mut long = PairOptions::new("tcp");
        long.test_budget = Duration::from_secs(10);
        let refused = long.check().unwrap_err();
        assert_eq!(refused.context_value("option"), Some("test_budget"));
        long.test_budget = Duration::from_secs(9);
        assert!(long.check().is_ok());
        assert!(long.within(Duration::from_secs(36)).check().is_err());
        let nameless = PairOptions::new("").check().unwrap_err();
        assert_eq!(nameless.code(), Code::InvalidOption);
    }

    #[test]
    fn each_test_has_one_measuring_side() {
        for test in Test::ALL {
            assert_ne!(test.measures(Side::Low), test.measures(Side::High));
        }
    }

    #[test]
    fn sizes_grow_and_tell_which_do_not_pass() {
        let mut options = PairOptions::new("tcp");
        assert_eq!(options.growing(), [64, 2048, 16384]);
        let late = |doing: &str| Error::new(Code::Deadline, "late").with_context("doing", doing);
        for (doing, bytes) in [
            ("measuring the latency of 64 bytes", None),
            ("measuring the latency of 2048 bytes", Some(2048)),
            ("answering latency messages of 16384 bytes", Some(16384)),
            ("comparing 64 bytes", None),
            ("comparing 2048 bytes", Some(2048)),
            ("comparing 1048576 bytes", None),
            ("measuring the bandwidth of 1048576 bytes", None),
            ("receiving messages of 1048576 bytes", None),
            ("waiting for the next measurement", None),
        ] {
            assert_eq!(stuck(&options, &late(doing)), bytes, "{doing}");
            let phase = phase(Test::Latency, &late(doing));
            assert_eq!(phase == FailurePhase::Latency, is_of_latency(doing));
        }
        let gone = Error::new(Code::PeerFailed, "gone");
        let gone = gone.with_context("doing", "measuring the latency of 2048 bytes");
        assert_eq!(stuck(&options, &gone), None);
        (options.latency_bytes, options.message_bytes) = (65536, 16384);
        assert_eq!(options.growing(), [65536]);
    }

    #[test]
    fn errors_have_a_phase() {
        let unreachable = Error::new(Code::Unreachable, "no");
        assert_eq!(phase(Test::Latency, &unreachable), FailurePhase::Contact);
        assert_eq!(
            phase(Test::LowToHigh, &unreachable),
            FailurePhase::Bandwidth
        );
        let missing = Error::new(Code::ProviderNotFound, "no");
        assert_eq!(phase(Test::Latency, &missing), FailurePhase::Open);
        let late =
            Error::new(Code::Deadline, "late").with_context("doing", "measuring the latency");
        assert_eq!(phase(Test::Latency, &late), FailurePhase::Latency);
    }
}
