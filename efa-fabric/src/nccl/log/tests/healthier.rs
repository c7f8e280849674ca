//! What is damaged is never healthier than what is whole.

use proptest::prelude::*;

use super::super::*;
use super::cases::{HEALTHY, case};
use super::{log, read};

/// Logs of NCCL without fault.
fn healthy() -> impl Strategy<Value = String> {
    proptest::sample::select(vec![
        log("1.16").to_owned(),
        log("1.19").to_owned(),
        log("1.7").to_owned(),
        case("ai_healthy_noisy").to_owned(),
        case("f_healthy_2_32_gin").to_owned(),
        case("ac_g5_nogdr_healthy").to_owned(),
        format!(
            "{}{}",
            log("1.16"),
            log("1.16").replace("gpu-", "big-gpu-1")
        ),
    ])
}

/// Logs of jobs that failed or are not on EFA.
fn faulty() -> impl Strategy<Value = String> {
    let names = [
        "a_device_rdma_abort",
        "am_watchdog_hang",
        "b_4126_sg_egress",
        "c_no_efa_tcp_provider",
        "d_rails_mismatch",
        "e_gin_gdrcopy",
        "i_rdma_core_mismatch",
        "j2_spcx_missing",
        "l_tuner_algo",
        "m_arch_attr",
        "o_oom_qpn",
        "r_mr_limit",
        "x_ucx_srd",
        "z_nvshmem",
    ];
    let mut all: Vec<String> = names.iter().map(|name| case(name).to_owned()).collect();
    // One rank of many on another network.
    all.push(format!(
        "{}gpu-3:9:9 [0] NCCL INFO Using network Socket\n",
        log("1.16")
    ));
    all.push(format!(
        "{}gpu-3:9:9 [0] NCCL INFO NET/OFI Selected provider is tcp, fabric is x (found 1 nics)\n\
         gpu-3:9:9 [0] NCCL INFO Using network Libfabric\n",
        log("1.16")
    ));
    proptest::sample::select(all)
}

fn boundary(text: &str, at: proptest::sample::Index) -> usize {
    let mut at = at.index(text.len() + 1);
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// A text that is no rule's: words of no meaning, with some that are often there.
fn words() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        "[a-z]{2,9}",
        "[0-9]{1,4}",
        Just("NET/OFI".to_owned()),
        Just("NET/Plugin:".to_owned()),
        Just("failed".to_owned()),
        Just("rank".to_owned()),
        Just("Channel".to_owned()),
        Just("rc: -5".to_owned()),
    ];
    proptest::collection::vec(word, 1..8).prop_map(|words| words.join(" "))
}

fn warning() -> impl Strategy<Value = String> {
    (words(), 0..9_usize).prop_map(|(text, kind)| match kind {
        0 => format!("gpu-1:40:90 [0] NCCL WARN {text}"),
        1 => format!("\ngpu-1:40:90 [0] src/x.cc:77 NCCL WARN {text}"),
        2 => {
            format!("[2026-01-01 10:00:00] gpu-2:41:91 [0] int f(char*):7 NCCL WARN NET/OFI {text}")
        }
        3 => format!("other-host:3:4 [1] NCCL WARN {text}"),
        4 => format!("NCCL WARN {text}"),
        5 => format!("2026-Apr-13 01:46:31.0675 837617:837663 [2] f(x):219 CCOM WARN {text}"),
        6 => format!("(W pid=7, ip=10.0.0.9) NCCL WARN {text}"),
        7 => format!("gpu-1:40:90 [0] NVSHMEM WARN {text}"),
        _ => format!("[rank3]: gpu-1:40:90 [0] NCCL WARN {text}"),
    })
}

/// Other signs of a failure that no rule needs to know.
fn failure() -> impl Strategy<Value = String> {
    (words(), "[A-Z][a-z]{2,8}", 0..8_usize).prop_map(|(text, name, kind)| match kind {
        0 => format!("{name}Error: {text}"),
        1 => format!(
            "Traceback (most recent call last):\n  File \"x.py\", line 3\n{name}Exception: {text}"
        ),
        2 => format!("[rank1]:[E101 12:08:33.945328381 X.cpp:632] {text}"),
        3 => format!("E0304 13:57:19.440196   53869 libfabric_x.cpp:455] {text}"),
        4 => format!("[1744331142.1] [n:2:3]  x.c:200 UCX  ERROR {text}"),
        5 => format!("torch.distributed.DistBackendError: {text}"),
        6 => "[gpu-1:00101] *** Process received signal ***".to_owned(),
        _ => "gpu-1:40:90 [0] NCCL INFO transport/net.cc:753 -> 2".to_owned(),
    })
}

fn is_seen(report: &Report) -> bool {
    report
        .findings
        .iter()
        .any(|finding| finding.severity < Severity::Note)
}

proptest! {
    #[test]
    fn one_unknown_warning_is_a_finding(
        log in healthy(), warning in warning(), at in any::<proptest::sample::Index>(),
    ) {
        let lines: Vec<_> = log.lines().collect();
        let at = at.index(lines.len() + 1);
        let text = [&lines[..at], &[warning.as_str()], &lines[at..]].concat().join("\n");
        let report = read(&text);
        prop_assert!(!report.findings.is_empty(), "{warning}\n{report}");
        prop_assert!(report.exit_code() != 0 || !is_seen(&report), "{warning}\n{report}");
        let last = warning.trim_start().rsplit(" WARN ").next().unwrap();
        let is_quoted = report.findings.iter().any(|finding| {
            finding.evidence.as_ref().is_some_and(|evidence| evidence.text.contains(last.trim()))
        });
        prop_assert!(is_quoted, "{warning}\n{report}");
    }

    #[test]
    fn one_failure_is_never_exit_0(
        log in healthy(), failure in failure(), at in any::<proptest::sample::Index>(),
    ) {
        let lines: Vec<_> = log.lines().collect();
        let at = at.index(lines.len() + 1);
        let text = [&lines[..at], &[failure.as_str()], &lines[at..]].concat().join("\n");
        let report = read(&text);
        prop_assert!(report.exit_code() != 0 && is_seen(&report), "{failure}\n{report}");
    }

    #[test]
    fn the_beginning_of_a_healthy_log_is_not_healthier(
        log in healthy(), at in any::<proptest::sample::Index>(),
    ) {
        let whole = read(&log);
        let report = read(&log[..boundary(&log, at)]);
        prop_assert!(
            !matches!(report.verdict, Verdict::Mixed | Verdict::TcpSockets | Verdict::JobFailed),
            "{report}"
        );
        prop_assert!(whole.exit_code() <= report.exit_code());
    }

    #[test]
    fn a_faulty_log_that_lost_its_beginning_is_not_healthy(
        log in faulty(), at in any::<proptest::sample::Index>(),
    ) {
        // What is left has the end, which most of these failures are in.
        let end = log.trim_end().rfind('\n').map_or(0, |at| at + 1);
        let report = read(&log[boundary(&log[..end], at)..]);
        prop_assert!(report.exit_code() != 0, "{report}");
    }

    #[test]
    fn a_torn_healthy_log_is_neither_mixed_nor_of_more_hosts(
        log in healthy(), cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 1..=1),
    ) {
        let mut at: Vec<_> = cuts.iter().map(|cut| boundary(&log, *cut)).collect();
        at.sort_unstable();
        let mut torn = log.clone();
        for at in at.iter().rev() {
            torn.insert(*at, '\n');
        }
        let (whole, report) = (read(&log), read(&torn));
        prop_assert!(
            !matches!(report.verdict, Verdict::Mixed | Verdict::TcpSockets | Verdict::OtherNetwork),
            "{torn}\n{report}"
        );
        prop_assert!(report.hosts.len() <= whole.hosts.len(), "{torn}\n{report}");
    }

    #[test]
    fn a_torn_faulty_log_is_not_healthy(
        log in faulty(), at in any::<proptest::sample::Index>(),
    ) {
        let mut torn = log.clone();
        torn.insert(boundary(&log, at), '\n');
        let report = read(&torn);
        prop_assert!(report.exit_code() != 0, "{torn}\n{report}");
    }

    #[test]
    fn an_interleaved_faulty_log_is_not_healthy(
        log in faulty(), at in any::<proptest::sample::Index>(), is_ended in any::<bool>(),
    ) {
        let other = "gpu-9:9:9 [0] NCCL INFO Channel 00/0 : 8[0] -> 0[0] [receive] via NET/Libfabric/0/GDRDMA";
        let mut torn = log.clone();
        let end = if is_ended { "\n" } else { "" };
        torn.insert_str(boundary(&log, at), &format!("{other}{end}"));
        let report = read(&torn);
        prop_assert!(report.exit_code() != 0, "{torn}\n{report}");
    }

    #[test]
    fn colours_change_nothing(
        log in prop_oneof![healthy(), faulty()],
        cuts in proptest::collection::vec((any::<proptest::sample::Index>(), 0..5_usize), 1..6),
    ) {
        const COLOURS: [&str; 5] =
            ["\u{1b}[31m", "\u{1b}[0m", "\u{1b}[1;32;40m", "\\u001b[33m", "#033[0m"];
        let mut at: Vec<_> = cuts.iter().map(|(cut, n)| (boundary(log.trim_end(), *cut), *n)).collect();
        at.sort_unstable();
        let mut coloured = log.clone();
        for (at, n) in at.iter().rev() {
            coloured.insert_str(*at, COLOURS[*n]);
        }
        prop_assert_eq!(read(&coloured), read(&log));
    }
}

#[test]
fn a_network_torn_anywhere_is_not_healthy() {
    let other =
        "gpu-9:9:9 [0] NCCL INFO Channel 00/0 : 8[0] -> 0[0] [receive] via NET/Libfabric/0/GDRDMA";
    let line = "Using network Socket";
    for at in 0..line.len() {
        for between in ["\n", other, &format!("{other}\n")] {
            let (first, second) = line.split_at(at);
            let text = format!(
                "{}gpu-3:9:9 [0] NCCL INFO {first}{between}{second}\n",
                log("1.16")
            );
            let report = read(&text);
            assert!(
                report.exit_code() != 0,
                "{first:?} {between:?} {second:?}: {report}"
            );
        }
    }
}

#[test]
fn a_warning_torn_anywhere_is_still_seen() {
    let warning = "gpu-1:40:90 [0] src/x.cc:77 NCCL WARN something odd happened";
    for at in 1..warning.len() {
        for between in ["\n", "\ngpu-2:41:91 [0] NCCL INFO ok\n"] {
            let (first, second) = warning.split_at(at);
            let text = format!("{}{first}{between}{second}\n", log("1.16"));
            let report = read(&text);
            assert!(report.exit_code() != 0, "{first:?} {second:?}: {report}");
        }
    }
}

#[test]
fn a_progress_bar_hides_no_line() {
    let bar = "\r 45%|####      | 450/1000 [00:01<00:01, 300.1it/s]".repeat(4000);
    assert!(bar.len() > 3 * lines::LINE_LIMIT);
    let warning = "gpu-1:40:90 [0] NCCL WARN something odd";
    for before in [bar.clone(), bar.replace('\r', " ")] {
        let report = read(&format!("{}{before}{warning}\n", log("1.16")));
        assert_eq!(report.verdict, Verdict::OnEfaDegraded, "{report}");
        assert_eq!(report.findings[0].cause, Cause::UnknownWarning);
        assert_eq!(report.ranks.len(), 2);
    }
    // And where the message stands first in such a line.
    let report = read(&format!("{}{warning}{bar}\n", log("1.16")));
    assert_eq!(report.verdict, Verdict::OnEfaDegraded, "{report}");
}

#[test]
fn the_healthy_cases_are_all_of_them() {
    assert!(HEALTHY.iter().all(|name| read(case(name)).exit_code() == 0));
}
