//! What the measured loop does besides measuring, counted: no allocation of its own and no system call, as
//! waiting for a lock would be (futex(2)).

use super::super::channel::Local;
use super::super::guard::Guard;
use super::super::options::{MAX_SIZE, Wait};
use super::super::{responder, session};
use super::*;
use crate::counted::{Watch, allocations};
use crate::endpoint::EndpointOptions;
use crate::interrupt::Interrupt;
use crate::library::Library;

const EXCHANGES: u64 = 20_000;

/// Exchanges that are watched. A thread whose peer got no processor for a while offers its own: what
/// follows of that exchange goes unwatched.
struct Watched<'a, 'b>(Measured<'a, 'b>, Option<&'a Watch>);

impl Trip for Watched<'_, '_> {
    type Answer = Option<Arrival>;

    fn now(&mut self) -> u64 {
        if let Some(watch) = self.1 {
            watch.arm();
        }
        self.0.now()
    }

    fn post(&mut self) -> Result<()> {
        self.0.post()
    }

    fn answer(&mut self) -> Result<Self::Answer> {
        self.0.answer()
    }

    fn renew(&mut self, answer: Self::Answer) -> Result<()> {
        self.0.renew(answer)
    }

    fn is_check_due(&self, now: u64) -> bool {
        self.0.is_check_due(now)
    }

    fn check_limits(&mut self, now: u64) -> Result<()> {
        self.0.check_limits(now)
    }
}

/// Allocations in the loop.
fn watched(traffic: &mut Traffic, guard: &mut Guard<'_>, watch: Option<&Watch>) -> Result<u64> {
    traffic.greet(guard)?;
    let phase = Phase {
        kind: Kind::Latency,
        size: 64,
        quantum: 1,
        seed: 0,
    };
    begin(traffic, phase, guard)?;
    let mut samples = Samples::new(EXCHANGES + 1);
    let limits = Limits {
        min: EXCHANGES,
        max: EXCHANGES,
        budget_ns: u64::MAX,
    };
    let measured = Measured {
        traffic: &mut *traffic,
        guard: &mut *guard,
        size: 64,
    };
    let mut trip = Watched(measured, watch);
    let before = allocations();
    let measured = trips::measure(&mut trip, limits, &mut samples);
    if let Some(watch) = watch {
        watch.disarm();
    }
    let allocated = allocations() - before;
    measured?;
    assert_eq!(samples.len(), EXCHANGES);
    end(traffic, EXCHANGES, guard)?;
    let frame = Frame::Bye {
        first_us: 0.0,
        rows: Vec::new(),
    };
    guard.send(&frame)?;
    guard.wait(Some(traffic.lane()))?;
    Ok(allocated)
}

#[test]
fn the_measured_loop_allocates_nothing_and_makes_no_system_call() {
    let library = Library::find().unwrap();
    let endpoint = EndpointOptions::new("shm");
    let mut options = ProbeOptions::new("shm");
    options.wait = Wait::Spin;
    options.sizes = vec![64];
    let (mut left, mut right) = Local::pair();
    let minutes = std::time::Duration::from_secs(120);
    // The memory of both is closed when both have stopped.
    let parting = std::sync::Barrier::new(2);
    let allocated = std::thread::scope(|scope| {
        let answering = scope.spawn(|| {
            let mut guard = Guard::new(&mut right, Interrupt::never(), minutes, Wait::Spin);
            let local = |_: &str| Ok(endpoint.clone());
            let mut keep = None;
            let mut opened =
                session::respond(&library, &local, MAX_SIZE, &mut guard, &mut keep).unwrap();
            responder::answer(&mut opened.traffic, &opened.options, &mut guard).unwrap();
            parting.wait();
        });
        let mut guard = Guard::new(&mut left, Interrupt::never(), minutes, Wait::Spin);
        let mut keep = None;
        let mut opened =
            session::initiate(&library, &options, None, &mut guard, &mut keep).unwrap();
        let watch = Watch::begin();
        let allocated = watched(&mut opened.traffic, &mut guard, watch.as_ref()).unwrap();
        drop(watch);
        parting.wait();
        answering.join().unwrap();
        allocated
    });
    assert_eq!(allocated, 0);
    let Some(watch) = Watch::begin() else {
        eprintln!("this kernel reports no system calls: they were not counted");
        return;
    };
    assert_eq!(watch.last_call(), None, "a system call by this number");
    assert!(watch.yields() < EXCHANGES);

    // What would have been seen.
    let before = allocations();
    watch.arm();
    let boxed = std::hint::black_box(Box::new(1));
    let parent = std::os::unix::process::parent_id();
    watch.disarm();
    assert!(parent > 0 && *boxed == 1);
    assert_eq!(allocations() - before, 1);
    assert_eq!(watch.last_call(), Some(libc::SYS_getppid));
}
