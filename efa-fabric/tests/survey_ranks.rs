//! Surveys of ranks that meet over the TCP store and measure over real libfabric.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use efa_fabric::probe::{Exchange, ExchangeError};
use efa_fabric::rails::Rail;
use efa_fabric::store;
use efa_fabric::survey::{Outcome, Subject, VerdictKind};
use efa_fabric::survey_run::{
    Node, PairOptions, RankOptions, Rendezvous, Report, Status, Surveyed, run_rank,
};

#[path = "support/secret.rs"]
mod secret;
use efa_fabric::{Code, Interrupt, Library, Result};
use secret::secret;

fn library() -> Option<Arc<Library>> {
    match Library::find() {
        Ok(library) => Some(library),
        Err(error) => {
            println!("skipped: {error}");
            None
        }
    }
}

fn options(rank: usize, round: Duration) -> RankOptions {
    let mut pair = PairOptions::new("tcp");
    pair.endpoint.source_address = Some("127.0.0.1".into());
    pair.message_bytes = 64 << 10;
    pair.test_budget = Duration::from_millis(20);
    let mut options = RankOptions::new(Node::new(format!("rank-{rank}")), pair);
    options.round_deadline = round;
    options.join_deadline = round;
    // What three ranks of one machine reach differs: nothing is compared with each other.
    options.survey.expected_gbps = Some(1e-6);
    options
}

fn meet(
    library: &Arc<Library>,
    address: &str,
    of: (usize, usize),
    round: Duration,
    interrupt: Interrupt<'_>,
) -> Result<Surveyed> {
    meet_with(library, address, of, &options(of.0, round), interrupt)
}

fn meet_with(
    library: &Arc<Library>,
    address: &str,
    (rank, world_size): (usize, usize),
    options: &RankOptions,
    interrupt: Interrupt<'_>,
) -> Result<Surveyed> {
    let timeout = Duration::from_secs(30);
    let mut client = store::Client::connect(address, &secret(), timeout, Interrupt::never())?;
    let meeting = Rendezvous {
        exchange: &mut client,
        rank,
        world_size,
        name: "test",
    };
    run_rank(library, meeting, options, interrupt, &mut |_| {})
}

/// The report of rank 0, after a check that the others have what it comes to for their node.
#[track_caller]
#[allow(clippy::unwrap_used)] // of a test
fn the_report(surveyed: &[(usize, Surveyed)]) -> Report {
    let report = surveyed[0].1.report().unwrap().clone();
    let summaries = report.summaries_by_node();
    for (rank, of_rank) in &surveyed[1..] {
        let summary = Box::new(summaries[*rank].clone());
        assert_eq!(of_rank, &Surveyed::Summary(summary));
    }
    report
}

#[allow(clippy::unwrap_used)] // of a test
fn store() -> (store::Server, String) {
    let address = "127.0.0.1:0".parse().unwrap();
    let server = store::Server::start(address, &secret(), &store::Options::default()).unwrap();
    let address = server.address().to_string();
    (server, address)
}

#[test]
fn rank_0_gets_the_report_and_the_others_what_it_comes_to() {
    let Some(library) = library() else { return };
    let (_store, address) = store();
    let round = Duration::from_secs(60);
    let report = the_report(&met_of_3(&library, &address, &[0, 1, 2], round));
    assert_eq!(report.observations.len(), 3, "{report}");
    assert!(report.is_healthy(), "{report}");
    assert_eq!(report.nodes[2].name, "rank-2");
}

#[test]
fn a_rank_that_never_comes_is_named() {
    let Some(library) = library() else { return };
    let (_store, address) = store();
    let round = Duration::from_secs(4);
    let report = the_report(&met_of_3(&library, &address, &[0, 2], round));
    assert_eq!(report.absent(), ["rank 1"], "{report}");
    assert_eq!(report.status(), Status::NotSurveyed);
}

/// What these ranks of three get.
#[allow(clippy::unwrap_used)] // of a test
fn met_of_3(
    library: &Arc<Library>,
    address: &str,
    ranks: &[usize],
    round: Duration,
) -> Vec<(usize, Surveyed)> {
    std::thread::scope(|scope| {
        let meet = |&rank: &usize| {
            let never = Interrupt::never;
            let met = scope.spawn(move || meet(library, address, (rank, 3), round, never()));
            (rank, met)
        };
        let ranks: Vec<_> = ranks.iter().map(meet).collect();
        let end = |(rank, met): (usize, std::thread::ScopedJoinHandle<'_, Result<Surveyed>>)| {
            (rank, met.join().unwrap().unwrap())
        };
        ranks.into_iter().map(end).collect()
    })
}

/// What these ranks, each with its number and world size, come to.
#[allow(clippy::unwrap_used)] // of a test
fn met(library: &Arc<Library>, ranks: &[(usize, usize)]) -> Vec<Result<Surveyed>> {
    let (_store, address) = store();
    let round = Duration::from_secs(5);
    std::thread::scope(|scope| {
        let meet = |&of: &(usize, usize)| {
            let address = &address;
            scope.spawn(move || meet(library, address, of, round, Interrupt::never()))
        };
        let ranks: Vec<_> = ranks.iter().map(meet).collect();
        ranks.into_iter().map(|rank| rank.join().unwrap()).collect()
    })
}

#[test]
fn two_processes_of_one_rank_are_a_set_up_error() {
    let Some(library) = library() else { return };
    // One of rank 2 is missing, so that rank 0 waits and sees both.
    let met = met(&library, &[(0, 3), (1, 3), (1, 3)]);
    let said = "two processes introduced themselves as rank 1";
    for of in &met {
        let error = of.as_ref().unwrap_err();
        assert_eq!(error.code(), Code::NotSurveyed, "{error}");
        assert!(error.to_string().contains(said), "{error}");
    }
}

/// An exchange on which others introduce themselves when rank 0 asks for this key this often.
#[derive(Default)]
struct Scripted {
    hellos: Vec<(&'static str, usize, String)>,
    asked: BTreeMap<String, usize>,
    left: Vec<(String, String)>,
}

impl Exchange for Scripted {
    fn put(&mut self, key: &str, value: &[u8]) -> Result<(), ExchangeError> {
        let text = String::from_utf8_lossy(value).into_owned();
        self.left.push((key.to_owned(), text));
        Ok(())
    }

    fn take(&mut self, key: &str) -> Result<Option<Vec<u8>>, ExchangeError> {
        let asked = self.asked.entry(key.to_owned()).or_default();
        *asked += 1;
        let mut hellos = self.hellos.iter();
        let hello = hellos.find(|(of, when, _)| *of == key && when == asked);
        // Whoever is told that there is no report confirms it.
        let heard = key.starts_with("test/heard/").then(|| b"true".to_vec());
        Ok(hello.map(|(_, _, hello)| hello.clone().into()).or(heard))
    }
}

fn hello(id: &str, world_size: usize) -> String {
    let version = env!("CARGO_PKG_VERSION");
    format!(
        r#"{{"version": "{version}", "world_size": {world_size}, "id": "{id}", "node": {{"name": "n"}}}}"#
    )
}

/// What rank 0 of two gets on this exchange, where nobody measures.
fn lead(
    library: &Arc<Library>,
    exchange: &mut Scripted,
    join_deadline: Duration,
) -> Result<Surveyed> {
    let mut options = options(0, Duration::from_millis(100));
    options.join_deadline = join_deadline;
    let meeting = Rendezvous {
        exchange,
        rank: 0,
        world_size: 2,
        name: "test",
    };
    run_rank(library, meeting, &options, Interrupt::never(), &mut |_| {})
}

#[test]
fn a_rank_that_comes_late_is_notified() {
    let Some(library) = library() else { return };
    let mut exchange = Scripted {
        hellos: vec![("test/hello/1", 3, hello("x", 2))],
        ..Scripted::default()
    };
    let met = lead(&library, &mut exchange, Duration::ZERO).unwrap();
    let report = met.report().unwrap();
    assert_eq!(
        (report.absent(), report.drain()),
        (vec!["rank 1".into()], vec![])
    );
    let [(key, said)] = &exchange.left[..] else {
        panic!("{:?}", exchange.left);
    };
    assert_eq!(key, "test/task/1-x/0");
    assert!(
        said.contains("rank 1 joined after the 0 s in which ranks join"),
        "{said}"
    );
}

/// One that comes after the others have begun shows that this is not the survey that was meant.
#[test]
fn a_second_process_of_a_rank_and_one_beyond_the_last_end_it_at_any_time() {
    let Some(library) = library() else { return };
    let twin = "two processes introduced themselves as rank 1";
    let size = "rank 2 was started with world size 3 and rank 0 with 2";
    let cases = [
        ("test/hello/1", hello("y", 2), twin, "test/task/1-y/0"),
        ("test/hello/2", hello("z", 3), size, "test/task/2-z/0"),
    ];
    for (key, other, said, task) in cases {
        let mut exchange = Scripted {
            hellos: vec![
                ("test/hello/1", 1, hello("x", 2)),
                (key, 4 - usize::from(key.ends_with('2')), other),
            ],
            ..Scripted::default()
        };
        let error = lead(&library, &mut exchange, Duration::from_secs(5)).unwrap_err();
        assert_eq!(error.code(), Code::NotSurveyed, "{error}");
        assert!(error.to_string().contains(said), "{error}");
        let told = exchange.left.iter().filter(|(_, text)| text.contains(said));
        let told: Vec<_> = told.map(|(key, _)| key.as_str()).collect();
        assert!(told.contains(&task), "{told:?}");
        assert!(
            told.iter().any(|key| key.starts_with("test/task/1-x/")),
            "{told:?}"
        );
    }
}

#[test]
fn world_sizes_that_differ_are_a_set_up_error() {
    let Some(library) = library() else { return };
    let met = met(&library, &[(0, 2), (1, 3)]);
    for of in &met {
        let error = of.as_ref().unwrap_err();
        assert_eq!(error.code(), Code::NotSurveyed);
        let said = "rank 1 was started with world size 3 and rank 0 with 2";
        assert!(error.to_string().contains(said), "{error}");
    }
}

/// A store that sets a flag once this part of a key was put or taken there.
struct Watched {
    store: store::Client,
    part: &'static str,
    seen: Arc<AtomicBool>,
}

impl Exchange for Watched {
    fn put(&mut self, key: &str, value: &[u8]) -> Result<(), ExchangeError> {
        self.store.put(key, value)?;
        self.seen
            .fetch_or(key.contains(self.part), Ordering::Relaxed);
        Ok(())
    }

    fn take(&mut self, key: &str) -> Result<Option<Vec<u8>>, ExchangeError> {
        let value = self.store.take(key)?;
        let is_it = value.is_some() && key.contains(self.part);
        self.seen.fetch_or(is_it, Ordering::Relaxed);
        Ok(value)
    }
}

#[test]
fn a_rank_that_is_interrupted_is_absent_and_ends_nothing_for_the_others() {
    let Some(library) = library() else { return };
    // While it waits for its first task, and when it has it.
    for part in ["/hello/1", "/task/1-"] {
        let (_store, address) = store();
        let round = Duration::from_secs(60);
        let seen = Arc::new(AtomicBool::new(false));
        let surveyed = std::thread::scope(|scope| {
            let (library, address) = (&library, &address);
            let others = [0, 2].map(|rank| {
                let never = Interrupt::never;
                let met = scope.spawn(move || meet(library, address, (rank, 3), round, never()));
                (rank, met)
            });
            let leaver = scope.spawn(|| {
                let wait = Duration::from_secs(30);
                let store = store::Client::connect(address, &secret(), wait, Interrupt::never())?;
                let mut exchange = Watched {
                    store,
                    part,
                    seen: seen.clone(),
                };
                let meeting = Rendezvous {
                    exchange: &mut exchange,
                    rank: 1,
                    world_size: 3,
                    name: "test",
                };
                let hook = || seen.load(Ordering::Relaxed);
                let interrupt = Interrupt::new(&hook);
                run_rank(library, meeting, &options(1, round), interrupt, &mut |_| {})
            });
            let error = leaver.join().unwrap().unwrap_err();
            assert_eq!(error.code(), Code::Interrupted);
            others.map(|(rank, met)| (rank, met.join().unwrap().unwrap()))
        });
        let report = the_report(&surveyed);
        assert_eq!(report.absent(), ["rank-1"], "{report}");
        assert_eq!(report.status(), Status::NotSurveyed, "{report}");
        let said = "rank-1 left the survey: its process was interrupted";
        assert!(report.to_string().contains(said), "{report}");
    }
}

#[test]
fn without_rank_0_the_others_end() {
    let Some(library) = library() else { return };
    let (_store, address) = store();
    let stop = AtomicBool::new(false);
    let hook = || stop.load(Ordering::Relaxed);
    std::thread::scope(|scope| {
        let (library, address) = (&library, &address);
        let rank = scope.spawn(|| {
            let interrupt = Interrupt::new(&hook);
            meet(library, address, (1, 2), Duration::from_secs(60), interrupt)
        });
        std::thread::sleep(Duration::from_millis(100));
        stop.store(true, Ordering::Relaxed);
        assert_eq!(rank.join().unwrap().unwrap_err().code(), Code::Interrupted);
    });
}

#[test]
fn ranks_are_checked() {
    let Some(library) = library() else { return };
    let (_store, address) = store();
    let round = Duration::from_secs(1);
    for (of, said) in [((2, 2), "rank 2"), ((0, 16_385), "at most 16384 ranks")] {
        let error = meet(&library, &address, of, round, Interrupt::never()).unwrap_err();
        assert_eq!(error.code(), Code::InvalidOption);
        assert!(error.to_string().contains(said), "{error}");
    }
}

/// Three ranks with this many rails each over `tcp`, which share one network.
#[allow(clippy::unwrap_used)] // of a test
fn with_rails(
    library: &Arc<Library>,
    rails: [usize; 3],
    change: impl Fn(usize, &mut RankOptions) + Sync,
) -> Report {
    let (_store, address) = store();
    std::thread::scope(|scope| {
        let ranks = [0, 1, 2].map(|rank| {
            let (address, change) = (&address, &change);
            scope.spawn(move || {
                let mut options = options(rank, Duration::from_secs(60));
                options.pair.connect_timeout = Duration::from_secs(5);
                options.pair.rails = (0..rails[rank])
                    .map(|number| Rail::new(format!("rail{number}"), "tcp"))
                    .collect();
                change(rank, &mut options);
                meet_with(library, address, (rank, 3), &options, Interrupt::never())
            })
        });
        let [first, second, third] = ranks.map(|rank| rank.join().unwrap().unwrap());
        the_report(&[(0, first), (1, second), (2, third)])
    })
}

fn rails_seen(report: &Report, (a, b): (usize, usize)) -> BTreeSet<Option<u16>> {
    let observations = report.observations.as_slice().iter();
    observations
        .filter(|o| (o.a, o.b) == (a, b))
        .map(|o| o.rail)
        .collect()
}

#[test]
fn rails_are_measured_together_as_many_as_both_have() {
    let Some(library) = library() else { return };
    let report = with_rails(&library, [3, 3, 2], |_, _| {});
    assert!(report.is_healthy(), "{report}");
    let all = |count| std::iter::once(None).chain((0..count).map(Some)).collect();
    assert_eq!(rails_seen(&report, (0, 1)), all(3));
    assert_eq!(rails_seen(&report, (0, 2)), all(2));
    for o in report.observations.as_slice() {
        let Outcome::Measured(measured) = &o.outcome else {
            panic!("{report}");
        };
        assert!(measured.gbps_a_to_b.is_some() && measured.gbps_b_to_a.is_some());
        assert_eq!(measured.latency_us.is_some(), o.rail.is_none());
    }
    // The table and the heatmap are of pairs.
    assert!(report.summaries().iter().all(|node| node.measurements == 2));
}

#[test]
fn one_rail_of_one_node_that_does_not_open_is_named() {
    let Some(library) = library() else { return };
    let report = with_rails(&library, [3, 3, 3], |rank, options| {
        if rank == 1 {
            options.pair.rails[0].domain = Some("nosuch".into());
        }
    });
    let dead: Vec<_> = (report.conclusion.verdicts.iter())
        .filter(|verdict| verdict.kind == VerdictKind::Unreachable)
        .map(|verdict| verdict.subject)
        .collect();
    assert_eq!(dead, [Subject::Rail { node: 1, rail: 0 }], "{report}");
    assert_eq!(report.drain(), ["rank-1"]);
    // Latency was measured on a rail that works, and rates on those.
    for o in report
        .observations
        .as_slice()
        .iter()
        .filter(|o| o.rail.is_none())
    {
        assert!(matches!(&o.outcome, Outcome::Measured(m) if m.latency_us.is_some()));
    }
}

#[test]
fn a_node_without_any_rail_that_opens_fails_with_its_reason() {
    let Some(library) = library() else { return };
    let report = with_rails(&library, [2, 2, 2], |rank, options| {
        if rank == 2 {
            for rail in &mut options.pair.rails {
                rail.domain = Some("nosuch".into());
            }
        }
    });
    assert_eq!(report.absent(), ["rank-2"], "{report}");
    assert!(report.drain().is_empty(), "{report}");
    let reason = "rank-2 took no part: libfabric";
    assert!(report.to_string().contains(reason), "{report}");
    assert!(report.to_string().contains("domain nosuch"), "{report}");
}
