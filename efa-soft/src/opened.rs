//! An opened device: what a context owns, under one lock, and the thread that works for it.
//!
//! The thread stands for the hardware. It works while the program does not poll; while it does, the
//! calls of the program do the device's work, since two threads would fight for the same cores. Queues
//! in memory are different: their owner never enters this library, so the thread looks at the doorbells
//! again and again. Between looks it sleeps for microseconds instead of yielding: a thread that wakes up
//! gets the core at once from one that spins, a thread that yields waits for its next turn, milliseconds.
//! Where cores are few it sleeps longer, since a busy watcher makes the scheduler put two programs that
//! spin on one core, and each message then waits for its turn.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::addresses::Addresses;
use crate::completion::Queue;
use crate::memory::Memory;
use crate::pair::{Around, Pair};
use crate::port::Port;
use crate::settings::Settings;
use crate::slab::Slab;
use crate::socket::Inbox;
use crate::tick;

/// How long after a poll the program counts as polling, ns.
const POLLING: u64 = 100_000;
/// Pauses between polls of the doorbells, ns, by how long nothing has moved; the first is the shortest.
const PAUSES: [(u64, u64); 2] = [(20_000_000, 50_000), (200_000_000, 100_000)];
/// How long after something moved the pause is the shortest, ns.
const LIVELY: u64 = 1_000_000;
/// The pause when nothing has moved for long.
const LONG_PAUSE: u64 = 500_000;

/// Everything that belongs to a context.
pub(crate) struct State {
    pub(crate) queues: Slab<Queue>,
    pub(crate) pairs: Slab<Pair>,
    pub(crate) memory: Memory,
    pub(crate) addresses: Addresses,
    inbox: Inbox,
    /// A queue pair has its queues in memory.
    pub(crate) in_memory: bool,
    has_thread: bool,
}

impl State {
    /// Lends a queue pair and what it needs.
    pub(crate) fn with_pair<R>(
        &mut self,
        opened: &Opened,
        slot: usize,
        act: impl FnOnce(&mut Pair, &mut Around<'_>) -> R,
    ) -> Option<R> {
        let mut around = Around {
            port: opened.port,
            settings: opened.settings,
            queues: &mut self.queues,
            memory: &self.memory,
            addresses: &self.addresses,
        };
        Some(act(self.pairs.get_mut(slot)?, &mut around))
    }

    /// Does the device's work. Returns whether something moved.
    pub(crate) fn progress(&mut self, opened: &Opened) -> bool {
        let mut around = Around {
            port: opened.port,
            settings: opened.settings,
            queues: &mut self.queues,
            memory: &self.memory,
            addresses: &self.addresses,
        };
        let mut moved = false;
        for pair in self.pairs.values_mut() {
            moved |= pair.progress(&mut around, &mut self.inbox);
        }
        opened.port.publish(false);
        moved
    }

    /// Whether nothing of the program's is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.queues.is_empty() && self.pairs.is_empty() && self.memory.is_empty()
    }
}

/// An opened device.
pub(crate) struct Opened {
    pub(crate) port: &'static Port,
    pub(crate) settings: &'static Settings,
    state: Mutex<State>,
    wake: OwnedFd,
    polled: AtomicU64,
    stop: AtomicBool,
    ended: AtomicBool,
}

impl Opened {
    pub(crate) fn new(port: &'static Port, settings: &'static Settings) -> Option<Self> {
        // SAFETY: makes a descriptor, which is checked and then owned.
        let wake = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if wake < 0 {
            return None;
        }
        Some(Self {
            port,
            settings,
            state: Mutex::new(State {
                queues: Slab::new(),
                pairs: Slab::new(),
                memory: Memory::new(),
                addresses: Addresses::new(),
                inbox: Inbox::new(),
                in_memory: false,
                has_thread: false,
            }),
            // SAFETY: a new descriptor that nobody else owns.
            wake: unsafe { OwnedFd::from_raw_fd(wake) },
            polled: AtomicU64::new(0),
            stop: AtomicBool::new(false),
            ended: AtomicBool::new(false),
        })
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that the program polls.
    pub(crate) fn note_poll(&self) {
        self.polled.store(tick::now(), Ordering::Relaxed);
    }

    /// Wakes the thread: the program is about to sleep, or there is something new to watch.
    pub(crate) fn wake(&self) {
        self.polled.store(0, Ordering::Relaxed);
        let one = 1_u64;
        // SAFETY: writes the eight bytes of `one` to an open eventfd.
        unsafe { libc::write(self.wake.as_raw_fd(), (&raw const one).cast(), 8) };
    }

    /// Starts the thread, once.
    pub(crate) fn start(self: &Arc<Self>) -> bool {
        let mut state = self.lock();
        if state.has_thread {
            return true;
        }
        let opened = Arc::clone(self);
        let started = with_signals_blocked(|| {
            std::thread::Builder::new()
                .name("soft-efa".to_owned())
                .spawn(move || opened.run())
        });
        state.has_thread = started.is_ok();
        state.has_thread
    }

    /// Stops the thread and waits for its end, but not for ever: `exit` may have been called from a
    /// signal handler that came while this process held the lock.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::SeqCst);
        self.wake();
        let began = tick::now();
        let has_thread = self.state.try_lock().is_ok_and(|state| state.has_thread);
        while has_thread
            && !self.ended.load(Ordering::SeqCst)
            && tick::now() - began < 1_000_000_000
        {
            std::thread::sleep(std::time::Duration::from_micros(50));
        }
    }

    fn run(&self) {
        // SAFETY: sets how late a sleep of this thread may end: 1 ns instead of 50 µs.
        unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1_usize, 0_usize, 0_usize, 0_usize) };
        let shortest = shortest_pause();
        let mut watched = Vec::new();
        let mut moved_at = 0;
        while !self.stop.load(Ordering::SeqCst) {
            let pause = self.round(&mut watched, &mut moved_at, shortest);
            wait(&mut watched, pause);
        }
        self.ended.store(true, Ordering::SeqCst);
    }

    /// One look at everything; returns how long to sleep at most, ns, and what ends the sleep.
    fn round(&self, watched: &mut Vec<libc::pollfd>, moved_at: &mut u64, shortest: u64) -> u64 {
        let watch = |fd| libc::pollfd {
            fd,
            events: libc::POLLIN,
            revents: 0,
        };
        let now = tick::now();
        let mut state = self.lock();
        watched.clear();
        watched.push(watch(self.wake.as_raw_fd()));
        if state.in_memory {
            for queue in state.queues.values_mut() {
                queue.look_at_doorbell();
            }
        }
        let armed = state.queues.iter().any(|(_, queue)| queue.is_armed());
        let polls = now.saturating_sub(self.polled.load(Ordering::Relaxed)) < POLLING;
        if polls && !armed && !state.in_memory {
            return 3 * POLLING;
        }
        if state.progress(self) {
            *moved_at = now;
        }
        watched.extend(state.pairs.iter().map(|(_, pair)| watch(pair.socket.fd())));
        let timer = state
            .pairs
            .iter()
            .map(|(_, pair)| pair.timer)
            .min()
            .unwrap_or(u64::MAX);
        let longest = if state.in_memory {
            let quiet = now.saturating_sub(*moved_at);
            let step = PAUSES.iter().find(|(limit, _)| quiet < *limit);
            if quiet < LIVELY {
                shortest
            } else {
                step.map_or(LONG_PAUSE, |(_, pause)| *pause)
            }
        } else {
            100_000_000
        };
        timer.saturating_sub(tick::now()).clamp(1_000, longest)
    }
}

/// The shortest pause between polls of the doorbells, ns.
fn shortest_pause() -> u64 {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    if cores < 4 { 50_000 } else { 5_000 }
}

/// Sleeps until one of the descriptors is readable; the first one is emptied.
fn wait(watched: &mut [libc::pollfd], pause: u64) {
    let time = libc::timespec {
        tv_sec: (pause / 1_000_000_000) as libc::time_t,
        tv_nsec: (pause % 1_000_000_000) as libc::c_long,
    };
    let count = watched.len() as libc::nfds_t;
    // SAFETY: `count` entries of an array that lives through the call; no signal mask.
    let ready = unsafe {
        libc::ppoll(
            watched.as_mut_ptr(),
            count,
            &raw const time,
            std::ptr::null(),
        )
    };
    if ready > 0 && watched[0].revents != 0 {
        let mut count = 0_u64;
        // SAFETY: reads eight bytes from an open eventfd, which does not block.
        unsafe { libc::read(watched[0].fd, (&raw mut count).cast(), 8) };
    }
}

/// Runs a function with all signals blocked, so that a thread that it starts never runs a handler of
/// the program.
fn with_signals_blocked<R>(act: impl FnOnce() -> R) -> R {
    // SAFETY: all-zero bytes are a valid sigset_t, filled by the calls that follow.
    let (mut all, mut before): (libc::sigset_t, libc::sigset_t) = unsafe { std::mem::zeroed() };
    // SAFETY: two sets of this frame.
    unsafe {
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before);
    }
    let result = act();
    // SAFETY: the mask that was in force before.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const before, std::ptr::null_mut()) };
    result
}
