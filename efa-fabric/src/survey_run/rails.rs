//! The rails of a pair, measured at the same time: one thread each, one exchange for all.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::mail::exchange_failed;
use crate::endpoint::EndpointOptions;
use crate::error::{Code, Error, Result};
use crate::library::Library;
use crate::node::NodeRoot;
use crate::probe::{
    Exchange, ExchangeError, Interrupt, ProbeOptions, ProbeReport, ServeOptions, StartLine,
    answer_through, measure_from,
};
use crate::rails::{Rail, pin};

/// Time between two polls of what the rails' threads want of the exchange.
const POLL: Duration = Duration::from_millis(1);

/// What one side of a pair does on each of its rails.
#[derive(Clone)]
pub(super) enum Part {
    Measure(ProbeOptions),
    Answer(ServeOptions),
}

/// Carries out one test on all rails at once. The measuring side's rails start together; one
/// that fails before is not waited for.
///
/// # Errors
/// `fabric.interrupted`; `fabric.rendezvous_failed` as the exchange reports. A rail's own failure is
/// in its place.
pub(super) fn together(
    library: &Arc<Library>,
    exchange: &mut dyn Exchange,
    name: &str,
    rails: &[Rail],
    part: &Part,
    interrupt: Interrupt<'_>,
) -> Result<Vec<Result<ProbeReport>>> {
    let desk = Desk::default();
    let line = StartLine::new(rails.len());
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let threads: Vec<_> = rails
            .iter()
            .enumerate()
            .map(|(number, rail)| {
                let name = format!("{name}/{number}");
                let (desk, line, stop) = (&desk, &line, &stop);
                scope.spawn(move || {
                    // Best effort: a rail's rate states what a thread that is far away costs.
                    pin(&NodeRoot::new("/"), rail.numa_node);
                    let result = on_rail(library, desk, &name, rail, part, (line, stop));
                    if result.is_err() {
                        line.leave();
                    }
                    result
                })
            })
            .collect();
        let mut ended = Ok(());
        while threads.iter().any(|thread| !thread.is_finished()) {
            if ended.is_ok() {
                ended = interrupt.check().and_then(|()| desk.serve(exchange));
                stop.store(ended.is_err(), Ordering::Relaxed);
            }
            std::thread::park_timeout(POLL);
        }
        // What the threads left last: the other side may wait for it.
        ended.and_then(|()| desk.serve(exchange))?;
        let ended_early = || Error::new(Code::PeerFailed, "the rail's thread ended early");
        Ok(threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| Err(ended_early())))
            .collect())
    })
}

fn on_rail(
    library: &Arc<Library>,
    desk: &Desk,
    name: &str,
    rail: &Rail,
    part: &Part,
    (line, stop): (&StartLine, &AtomicBool),
) -> Result<ProbeReport> {
    let hook = || stop.load(Ordering::Relaxed);
    let (mut mail, interrupt) = (desk, Interrupt::new(&hook));
    part.clone()
        .on(Some(rail))
        .run(library, &mut mail, name, interrupt, Some(line))
        .map_err(|error| error.with_context("rail", &rail.device))
}

/// Puts an endpoint on a rail's domain, where it has one.
pub(super) fn use_rail(endpoint: &mut EndpointOptions, rail: Option<&Rail>) {
    if let Some(domain) = rail.and_then(|rail| rail.domain.clone()) {
        endpoint.domain = Some(domain);
    }
}

impl Part {
    /// The same on a rail's domain, where it has one.
    pub(super) fn on(mut self, rail: Option<&Rail>) -> Self {
        let endpoint = match &mut self {
            Self::Measure(options) => &mut options.endpoint,
            Self::Answer(options) => &mut options.endpoint,
        };
        use_rail(endpoint, rail);
        self
    }

    pub(super) fn run(
        &self,
        library: &Arc<Library>,
        exchange: &mut dyn Exchange,
        name: &str,
        interrupt: Interrupt<'_>,
        line: Option<&StartLine>,
    ) -> Result<ProbeReport> {
        match self {
            Self::Measure(options) => {
                measure_from(library, exchange, name, options, interrupt, line)
            }
            Self::Answer(options) => answer_through(library, exchange, name, options, interrupt),
        }
    }
}

/// Where the threads leave what they want of the exchange, which only one thread may touch.
#[derive(Default)]
pub(super) struct Desk(Mutex<Letters>);

#[derive(Default)]
struct Letters {
    outgoing: Vec<(String, Vec<u8>)>,
    wanted: BTreeSet<String>,
    incoming: HashMap<String, Vec<u8>>,
}

impl Desk {
    fn letters(&self) -> MutexGuard<'_, Letters> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts what is to go, and asks once for what is wanted.
    pub(super) fn serve(&self, exchange: &mut dyn Exchange) -> Result<()> {
        let (outgoing, wanted) = {
            let mut letters = self.letters();
            let letters = &mut *letters;
            (
                std::mem::take(&mut letters.outgoing),
                std::mem::take(&mut letters.wanted),
            )
        };
        for (key, value) in outgoing {
            exchange
                .put(&key, &value)
                .map_err(|error| exchange_failed(&key, error))?;
        }
        for key in wanted {
            if let Some(value) = exchange
                .take(&key)
                .map_err(|error| exchange_failed(&key, error))?
            {
                self.letters().incoming.insert(key, value);
            }
        }
        Ok(())
    }

    /// Leaves what is to go under this key.
    pub(super) fn leave(&self, key: String, value: &[u8]) {
        self.letters().outgoing.push((key, value.to_owned()));
    }

    /// What has come under this key; asks for it where nothing has.
    pub(super) fn ask(&self, key: &str) -> Option<Vec<u8>> {
        let mut letters = self.letters();
        let found = letters.incoming.remove(key);
        if found.is_none() {
            letters.wanted.insert(key.to_owned());
        }
        found
    }
}

impl Exchange for &Desk {
    fn put(&mut self, key: &str, value: &[u8]) -> Result<(), ExchangeError> {
        self.leave(key.to_owned(), value);
        Ok(())
    }

    fn take(&mut self, key: &str) -> Result<Option<Vec<u8>>, ExchangeError> {
        Ok(self.ask(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::doubles::{Broken, Memory};

    #[test]
    fn letters_pass_the_desk_in_both_directions() {
        let (desk, mut memory) = (Desk::default(), Memory::default());
        let mut mail = &desk;
        mail.put("a", b"1").unwrap();
        assert_eq!(mail.take("b").unwrap(), None);
        desk.serve(&mut memory).unwrap();
        assert_eq!(memory.0.get("a").map(Vec::as_slice), Some(&b"1"[..]));

        memory.put("b", b"2").unwrap();
        desk.serve(&mut memory).unwrap();
        assert_eq!(mail.take("b").unwrap(), None, "it is asked for once only");
        desk.serve(&mut memory).unwrap();
        assert_eq!(mail.take("b").unwrap(), Some(b"2".to_vec()));
        assert!(!memory.0.contains_key("b"));
    }

    #[test]
    fn an_exchange_that_fails_is_an_error() {
        let desk = Desk::default();
        desk.serve(&mut Broken).unwrap();
        (&desk).take("k").unwrap();
        let error = desk.serve(&mut Broken).unwrap_err();
        assert_eq!(error.code(), Code::RendezvousFailed);
        assert_eq!(error.context_value("key"), Some("k"));
    }
}
