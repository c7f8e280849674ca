//! Logs without end, cut anywhere, full of noise.

use std::io::{BufReader, Cursor, Read};

use proptest::prelude::*;

use super::super::*;
use super::{LOGS, causes, log, read};

#[test]
fn a_long_log_is_read_in_bounded_memory() {
    /// Makes the log while it is read, so that nothing but the reader can hold it.
    struct Endless {
        line: u64,
        buffer: Cursor<Vec<u8>>,
    }
    impl Read for Endless {
        fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
            loop {
                let read = self.buffer.read(into)?;
                if read > 0 || self.line == 200_000 {
                    return Ok(read);
                }
                self.line += 1;
                let (n, rank) = (self.line, self.line % 64);
                let text = match n {
                    1..=64 => {
                        "NET/OFI Selected provider is efa, fabric is efa-direct (found 16 nics)"
                            .to_owned()
                    }
                    65..=128 => "Using network Libfabric".to_owned(),
                    _ => format!(
                        "Channel {:02}/0 : 0[0] -> 8[0] [send] via NET/Libfabric/{}/GDRDMA",
                        n % 32,
                        n % 16
                    ),
                };
                self.buffer = Cursor::new(
                    format!(
                        "node-{}:{}:9 [{}] NCCL INFO {text}\n",
                        rank / 8,
                        100 + rank,
                        rank % 8
                    )
                    .into_bytes(),
                );
            }
        }
    }
    let source = Endless {
        line: 0,
        buffer: Cursor::default(),
    };
    let reader = BufReader::with_capacity(4096, source);
    let report = Report::of_reader(reader, Expectation::new().nics(16)).unwrap();
    assert_eq!(report.verdict, Verdict::OnEfa);
    assert_eq!((report.lines, report.messages), (200_000, 200_000));
    assert_eq!((report.ranks.len(), report.hosts.len()), (64, 8));
    assert_eq!(report.channels.gpudirect, 200_000 - 128);
    assert_eq!(report.channels.gpudirect_channels.len(), 32);
    // What grows with the log is counters only.
    assert!(serde_json::to_string(&report).unwrap().len() < 100_000);
}

#[test]
fn processes_without_end_are_left_out() {
    let mut log = Log::new(Expectation::new());
    for pid in 1..=PROCESS_LIMIT + 10 {
        log.push_line(&format!("h:{pid}:1 [0] NCCL INFO Using network Socket"));
    }
    let report = log.finish();
    assert_eq!(report.ranks.len(), PROCESS_LIMIT);
    assert!(causes(&report).contains(&Cause::TooManyProcesses));
    let finding = &report.findings[0];
    assert_eq!(
        (finding.rank_count as usize, finding.ranks.len()),
        (PROCESS_LIMIT, 8)
    );
}

/// Pieces from which lines like those of real logs are put together.
fn piece() -> impl Strategy<Value = String> {
    let all: Vec<String> = LOGS
        .iter()
        .flat_map(|(_, text)| text.lines().map(str::to_owned))
        .chain(
            [
                "\n",
                "\r",
                "\r\n",
                "NCCL INFO ",
                "[0] ",
                ":1:1 [",
                "h:1:1 [0] NCCL INFO ",
                "NET/OFI ",
                "Using network ",
                "\u{1b}[",
                "é",
                "Channel 00/0 : 0 -> 1 via NET/",
                "Selected provider is ",
                "(found ",
                "99999999999999999999",
                " rank ",
                " nranks ",
                "libfabric:",
                "pid=",
                "ip=",
            ]
            .map(str::to_owned),
        )
        .collect();
    prop_oneof![proptest::sample::select(all), ".{0,12}"]
}

proptest! {
    #[test]
    fn anything_can_be_read(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let mut log = Log::new(Expectation::new().nics(1).gpudirect(true));
        log.push_bytes(&bytes);
        let report = log.finish();
        prop_assert!(!report.to_string().is_empty());
    }

    #[test]
    fn where_a_stream_is_cut_makes_no_difference(
        pieces in proptest::collection::vec(piece(), 0..30),
        cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..6),
    ) {
        let bytes = pieces.concat().into_bytes();
        let mut whole = Log::new(Expectation::new().nics(4));
        whole.push_bytes(&bytes);
        let mut at: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        at.extend([0, bytes.len()]);
        at.sort_unstable();
        let mut parts = Log::new(Expectation::new().nics(4));
        for pair in at.windows(2) {
            parts.push_bytes(&bytes[pair[0]..pair[1]]);
            let so_far = parts.report();
            prop_assert!(so_far.lines <= bytes.len() as u64 + 1);
        }
        prop_assert_eq!(whole.report(), parts.finish());
        let read = Report::of_reader(
            BufReader::with_capacity(7, Cursor::new(&bytes)), Expectation::new().nics(4));
        prop_assert_eq!(whole.finish(), read.unwrap());
    }

    #[test]
    fn lines_and_bytes_agree(pieces in proptest::collection::vec(piece(), 0..20)) {
        let text = pieces.concat().replace('\n', "");
        let mut by_line = Log::new(Expectation::new());
        by_line.push_line(&text);
        by_line.push_line(log("none"));
        let whole = read(&format!("{text}\n{}", log("none")));
        prop_assert_eq!(by_line.finish(), whole);
    }

    #[test]
    fn the_order_of_processes_makes_no_difference(order in Just(vec![0_usize, 1, 2]).prop_shuffle()) {
        let logs = ["1.12", "1.13", "1.19"];
        let text: String = order.iter().map(|&at| log(logs[at])).collect();
        let report = read(&text);
        let in_order = read(&logs.map(log).concat());
        prop_assert_eq!(report.verdict, in_order.verdict);
        prop_assert_eq!(report.ranks.len(), in_order.ranks.len());
        prop_assert_eq!(report.channels, in_order.channels);
    }
}
