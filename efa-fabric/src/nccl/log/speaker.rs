//! Lines that are not NCCL's: who wrote them, at what level.

use super::message::digits;
use super::source::Source;

/// How bad a line is, as its writer states.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// The line has no level.
    Unsaid,
    Information,
    Warning,
    Error,
}

/// Who wrote a line, and how bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Speaker<'a> {
    pub(super) source: Source,
    pub(super) level: Level,
    /// The line without the prefix of who wrote it.
    pub(super) text: &'a str,
}

/// Who wrote a line that has no mark of NCCL; `None` where that is not known.
pub(super) fn speaker(line: &str) -> Option<Speaker<'_>> {
    let text = without_launcher(line);
    glog(text)
        .or_else(|| torch(text))
        .or_else(|| ucx(text))
        .or_else(|| open_mpi(text))
        .or_else(|| nvshmem(text))
        .or_else(|| neuron(text))
        .or_else(|| vllm(text))
        .or_else(|| sglang(text))
        .or_else(|| kernel(text))
        .or_else(|| tool(text))
}

/// A line without what launchers and collectors put in front of it, where that is known.
pub(super) fn without_launcher(line: &str) -> &str {
    let mut text = line.trim_start();
    for _ in 0..4 {
        let rest = if let Some(rest) = text.strip_prefix("[rank") {
            rest[digits(rest)..].strip_prefix("]:")
        } else if let Some(rest) = text.strip_prefix("[1,") {
            rest.split_once("]<std")
                .and_then(|(_, rest)| rest.split_once(">:"))
                .map(|(_, rest)| rest)
        } else if text.starts_with('(') && text.contains("pid=") {
            text.split_once(") ").map(|(_, rest)| rest)
        } else if text.starts_with("[pod/") {
            text.split_once("] ").map(|(_, rest)| rest)
        } else {
            let count = digits(text);
            (count > 0 && count < 7)
                .then(|| text[count..].strip_prefix(": "))
                .flatten()
        };
        let Some(rest) = rest else { break };
        text = rest.trim_start();
    }
    text
}

/// `E0304 13:57:19.440196   53869 libfabric_rail.cpp:455] text`: Google's log, as NIXL and Mooncake
/// have it.
fn glog(text: &str) -> Option<Speaker<'_>> {
    let level = letter_level(text.chars().next()?)?;
    let rest = text.get(1..)?;
    let count = digits(rest);
    if count != 4 && count != 8 {
        return None;
    }
    let (head, text) = rest.split_once("] ")?;
    let file = head.rsplit(' ').next()?;
    let (name, number) = file.rsplit_once(':')?;
    if digits(number) != number.len() || number.is_empty() || !head.contains(':') {
        return None;
    }
    let is_nixl = name.contains("nixl")
        || name.starts_with("libfabric")
        || name.starts_with("ucx_")
        || text.to_ascii_lowercase().contains("nixl");
    let source = if is_nixl {
        Source::Nixl
    } else if name.contains("ProcessGroup") {
        Source::Torch
    } else {
        Source::Program
    };
    Some(Speaker {
        source,
        level,
        text,
    })
}

fn letter_level(letter: char) -> Option<Level> {
    match letter {
        'I' | 'D' | 'V' => Some(Level::Information),
        'W' => Some(Level::Warning),
        'E' | 'F' => Some(Level::Error),
        _ => None,
    }
}

/// `[E101 12:08:33.945328381 ProcessGroupNCCL.cpp:632] text`: c10's log, and that of `PyTorch`'s
/// Python side, `E1129 12:00:00.000000 71 site-packages/torch/…py:874] text`.
fn torch(text: &str) -> Option<Speaker<'_>> {
    let inside = text.strip_prefix('[')?;
    let level = letter_level(inside.chars().next()?)?;
    let rest = inside.get(1..)?;
    let count = digits(rest);
    if !(3..=4).contains(&count) || !rest[count..].starts_with(' ') {
        return None;
    }
    let (head, text) = rest.split_once("] ")?;
    head.contains(':').then_some(Speaker {
        source: Source::Torch,
        level,
        text,
    })
}

/// `[time] [host:pid:thread]  file.c:1903 UCX  ERROR text`.
fn ucx(text: &str) -> Option<Speaker<'_>> {
    let (_, rest) = text.split_once(" UCX  ")?;
    let (level, text) = rest.trim_start().split_once(' ')?;
    let level = match level {
        "ERROR" | "FATAL" => Level::Error,
        "WARN" => Level::Warning,
        "INFO" | "DEBUG" | "TRACE" | "DIAG" | "REQ" | "DATA" => Level::Information,
        _ => return None,
    };
    Some(Speaker {
        source: Source::Ucx,
        level,
        text: text.trim_start(),
    })
}

/// `[host:pid] mtl_ofi_component.c:860: mtl:ofi:prov: none`.
fn open_mpi(text: &str) -> Option<Speaker<'_>> {
    let rest = match text.strip_prefix('[') {
        Some(inside) => {
            let (process, rest) = inside.split_once("] ")?;
            let (_, pid) = process.rsplit_once(':')?;
            let pid = pid.split(',').next()?;
            (!pid.is_empty() && digits(pid) == pid.len()).then_some(rest)?
        }
        None => text,
    };
    const MARKS: [&str; 12] = [
        "mtl:ofi",
        "btl:ofi",
        "mtl_ofi",
        "btl_ofi",
        "mca: base:",
        "mca_",
        "select: ",
        "common_ofi",
        "pml framework",
        "PML ",
        "ompi_",
        "opal_",
    ];
    MARKS
        .iter()
        .any(|mark| rest.contains(mark))
        .then_some(Speaker {
            source: Source::OpenMpi,
            level: Level::Unsaid,
            text: rest,
        })
}

/// Lines of NVSHMEM without its name and level.
fn nvshmem(text: &str) -> Option<Speaker<'_>> {
    let is_its = (text.starts_with("/src/") || text.contains(".cpp:") || text.contains(".cu:"))
        && (text.contains("transport/libfabric") || text.contains("nvshmem"))
        || text.starts_with("nvshmem ")
        || text.contains("NVSHMEM_ERROR")
        || text.starts_with("NVSHMEM ");
    let level = if text.contains("non-zero status") || text.contains("rror") {
        Level::Error
    } else {
        Level::Unsaid
    };
    is_its.then_some(Speaker {
        source: Source::Nvshmem,
        level,
        text,
    })
}

/// `2023-May-21 01:40:15.0924 93703:93705 ERROR   ENC:ncclInitGlobalComm   text`: Neuron's runtime.
fn neuron(text: &str) -> Option<Speaker<'_>> {
    const PARTS: [&str; 9] = [
        "TDRV:",
        "ENC:",
        "NRT:",
        "NMGR:",
        "KMGR:",
        "NLOG:",
        "NEURONPOC:",
        "HAL:",
        "NDL:",
    ];
    let (at, level) = [
        ("ERROR ", Level::Error),
        ("FATAL ", Level::Error),
        ("WARN ", Level::Warning),
        ("INFO ", Level::Information),
    ]
    .iter()
    .find_map(|(name, level)| Some((text.find(name)? + name.len(), *level)))?;
    let rest = text[at..].trim_start();
    PARTS
        .iter()
        .any(|part| rest.starts_with(part))
        .then_some(Speaker {
            source: Source::Neuron,
            level,
            text: rest,
        })
}

fn word_level(word: &str) -> Option<Level> {
    match word {
        "DEBUG" | "INFO" => Some(Level::Information),
        "WARNING" => Some(Level::Warning),
        "ERROR" | "CRITICAL" => Some(Level::Error),
        _ => None,
    }
}

/// `INFO 11-29 12:00:00 [core.py:58] text`, with a name in parentheses before it in later versions.
fn vllm(text: &str) -> Option<Speaker<'_>> {
    let text = match text.strip_prefix('(') {
        Some(inside) => inside.split_once(") ")?.1,
        None => text,
    };
    let (level, rest) = text.split_once(' ')?;
    let level = word_level(level)?;
    let is_date = digits(rest) == 2 && rest[2..].starts_with('-') && digits(&rest[3..]) == 2;
    if !is_date {
        return None;
    }
    let text = rest.split_once("] ").map_or(rest, |(_, text)| text);
    Some(Speaker {
        source: Source::Vllm,
        level,
        text,
    })
}

/// `[2026-01-01 12:00:00 TP0] text`.
fn sglang(text: &str) -> Option<Speaker<'_>> {
    let inside = text.strip_prefix('[')?;
    let is_date = digits(inside) == 4 && inside[4..].starts_with('-');
    let (head, text) = inside.split_once("] ")?;
    let is_its =
        is_date && head.len() >= 19 && head.len() < 48 && head.contains(':') && !head.contains(',');
    let level = if text.starts_with("ERROR") || text.contains("exception: Traceback") {
        Level::Error
    } else {
        Level::Unsaid
    };
    is_its.then_some(Speaker {
        source: Source::Sglang,
        level,
        text,
    })
}

/// `[    5.123456] efa 0000:00:1d.0: text`, and syslog's `kernel: [    5.123456] text`.
fn kernel(text: &str) -> Option<Speaker<'_>> {
    if let Some((_, rest)) = text.split_once(" kernel: ") {
        let text = rest
            .strip_prefix('[')
            .and_then(|rest| rest.split_once("] "));
        return Some(Speaker {
            source: Source::Kernel,
            level: Level::Unsaid,
            text: text.map_or(rest, |(_, text)| text),
        });
    }
    let inside = text.strip_prefix('[')?;
    let (time, text) = inside.split_once("] ")?;
    let time = time.trim();
    let is_uptime = time
        .split_once('.')
        .is_some_and(|(s, us)| digits(s) == s.len() && us.len() == 6 && digits(us) == 6);
    // `dmesg -T`: `[Sat Nov 29 10:00:00 2026]`.
    let is_date = ["Mon ", "Tue ", "Wed ", "Thu ", "Fri ", "Sat ", "Sun "]
        .iter()
        .any(|day| time.starts_with(day));
    let is_ucx = text.starts_with('[') || text.contains(" UCX ");
    ((is_uptime || is_date) && !is_ucx).then_some(Speaker {
        source: Source::Kernel,
        level: Level::Unsaid,
        text,
    })
}

/// Output of tools, as it is pasted into reports.
fn tool(text: &str) -> Option<Speaker<'_>> {
    let words = || text.split_whitespace();
    let source = if text.starts_with("provider: ")
        || is_fi_info_field(text)
        || text.starts_with("fi_getinfo: -")
    {
        Source::FiInfo
    } else if words().take(3).eq(["bytes", "#sent", "#ack"])
        || text.contains("fi_pingpong")
        || text.contains("util/pingpong.c")
        || text.contains("fi_getinfo") && text.contains("No data available")
        || text.starts_with("bytes   iters")
        || is_pingpong_row(text)
    {
        Source::FiPingpong
    } else if text.starts_with("hca_id:")
        || is_devinfo_field(text)
        || text.contains("No IB devices found")
    {
        Source::IbvDevinfo
    } else if is_pci(text) {
        Source::Lspci
    } else {
        return None;
    };
    Some(Speaker {
        source,
        level: Level::Unsaid,
        text,
    })
}

fn is_fi_info_field(text: &str) -> bool {
    [
        ("fabric: ", ""),
        ("domain: ", ""),
        ("type: ", "FI_EP_"),
        ("protocol: ", "FI_PROTO_"),
    ]
    .iter()
    .any(|(key, value)| {
        text.strip_prefix(key)
            .is_some_and(|rest| rest.starts_with(value))
    }) && !text.contains(", ")
}

fn is_pingpong_row(text: &str) -> bool {
    let words: Vec<_> = text.split_whitespace().collect();
    words.len() == 8
        && words[0].starts_with(|c: char| c.is_ascii_digit())
        && words[2].starts_with('=')
}

fn is_devinfo_field(text: &str) -> bool {
    [
        "vendor_id:",
        "vendor_part_id:",
        "node_guid:",
        "sys_image_guid:",
        "phys_port_cnt:",
        "port_lmc:",
    ]
    .iter()
    .any(|key| text.starts_with(key))
        || text.starts_with("state:") && text.contains("PORT_")
        || text.starts_with("transport:") && text.contains('(')
}

fn is_pci(text: &str) -> bool {
    let (address, rest) = text.split_once(' ').unwrap_or((text, ""));
    let parts: Vec<_> = address.rsplit([':', '.']).collect();
    let is_hex = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_hexdigit());
    (3..=4).contains(&parts.len())
        && parts[0].len() == 1
        && parts[1].len() == 2
        && parts[2].len() == 2
        && parts.iter().all(is_hex)
        && (rest.contains(": ") || rest.contains("[1d0f"))
}

/// The exception that a line of Python's shows: `RuntimeError: text`.
pub(super) fn exception(line: &str) -> Option<&str> {
    let mut text = without_launcher(line);
    for _ in 0..4 {
        let end = text
            .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '.'))
            .unwrap_or(text.len());
        let name = &text[..end];
        let is_name = ["Error", "Exception", "KeyboardInterrupt", "SystemExit"]
            .iter()
            .any(|suffix| name.ends_with(suffix));
        let rest = &text[end..];
        if is_name
            && (rest.starts_with(": ")
                || rest == ":"
                || (rest.is_empty() && name.contains(|c: char| c.is_ascii_uppercase())))
        {
            return Some(text);
        }
        let next = ["] ", ") "]
            .iter()
            .filter_map(|s| Some(text.find(s)? + 2))
            .min()?;
        text = text[next..].trim_start();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_their_writers() {
        use Level as L;
        use Source as S;
        for (line, source, level, text) in [
            (
                "E0304 13:57:19.440196   53869 libfabric_rail.cpp:455] fi_getinfo failed",
                S::Nixl,
                L::Error,
                "fi_getinfo failed",
            ),
            (
                "I0214 02:57:26.300000      25 nixl_agent.cpp:300] Backend x",
                S::Nixl,
                L::Information,
                "Backend x",
            ),
            (
                "W20260214 02:57:26.300000 25 transfer_engine.cpp:3] x",
                S::Program,
                L::Warning,
                "x",
            ),
            (
                "[rank0]:[E101 12:08:33.945328381 ProcessGroupNCCL.cpp:632] [Rank 0] x",
                S::Torch,
                L::Error,
                "[Rank 0] x",
            ),
            (
                "[1744331142.1] [node-51:2802608:3]   srd_ep.c:200 UCX  ERROR srd_ep x",
                S::Ucx,
                L::Error,
                "srd_ep x",
            ),
            (
                "[ip-10-0-0-1:31544] mtl_ofi_component.c:860: mtl:ofi:prov: none",
                S::OpenMpi,
                L::Unsaid,
                "mtl_ofi_component.c:860: mtl:ofi:prov: none",
            ),
            (
                "2023-May-21 01:40:15.0924 93703:93705 ERROR   ENC:ncclInit   failed x",
                S::Neuron,
                L::Error,
                "ENC:ncclInit   failed x",
            ),
            (
                "(EngineCore_DP0 pid=7) ERROR 11-29 12:00:00 [core.py:58] x",
                S::Vllm,
                L::Error,
                "x",
            ),
            (
                "INFO 11-29 12:00:00 [core.py:58] x",
                S::Vllm,
                L::Information,
                "x",
            ),
            (
                "[2026-01-01 12:00:00 TP0] Load weight begin",
                S::Sglang,
                L::Unsaid,
                "Load weight begin",
            ),
            (
                "[ 1632.420956] infiniband efa_0: Failed to process command",
                S::Kernel,
                L::Unsaid,
                "infiniband efa_0: Failed to process command",
            ),
            (
                "Nov 29 10:00:00 ip-10 kernel: [ 12.123456] efa x",
                S::Kernel,
                L::Unsaid,
                "efa x",
            ),
            ("provider: efa", S::FiInfo, L::Unsaid, "provider: efa"),
            (
                "    fabric: efa-direct",
                S::FiInfo,
                L::Unsaid,
                "fabric: efa-direct",
            ),
            (
                "bytes   #sent   #ack     total       time     MB/sec    usec/xfer   Mxfers/sec",
                S::FiPingpong,
                L::Unsaid,
                "bytes   #sent   #ack     total       time     MB/sec    usec/xfer   Mxfers/sec",
            ),
            (
                "hca_id:\trdmap0s6",
                S::IbvDevinfo,
                L::Unsaid,
                "hca_id:\trdmap0s6",
            ),
            (
                "00:1d.0 Ethernet controller: Amazon.com, Inc. Elastic Fabric Adapter (EFA)",
                S::Lspci,
                L::Unsaid,
                "00:1d.0 Ethernet controller: Amazon.com, Inc. Elastic Fabric Adapter (EFA)",
            ),
        ] {
            assert_eq!(
                speaker(line),
                Some(Speaker {
                    source,
                    level,
                    text
                }),
                "{line}"
            );
        }
        for line in [
            "",
            "step 3 loss 0.1",
            "Epoch 1: 100%|###| 3/3 [00:01<00:00]",
            "[info] hello",
            "W",
            "E12",
            "é",
        ] {
            assert_eq!(speaker(line), None, "{line}");
        }
    }

    #[test]
    fn exceptions_are_found_at_the_start_of_a_text() {
        for (line, expected) in [
            (
                "RuntimeError: NCCL Error 4",
                Some("RuntimeError: NCCL Error 4"),
            ),
            (
                "[rank0]: torch.distributed.DistBackendError: x",
                Some("torch.distributed.DistBackendError: x"),
            ),
            ("(W pid=3, ip=1.2.3.4) ValueError: x", Some("ValueError: x")),
            (
                "(EngineCore pid=7) ERROR 11-29 12:00:00 [core.py:58] RuntimeError: x",
                Some("RuntimeError: x"),
            ),
            ("KeyboardInterrupt", Some("KeyboardInterrupt")),
            ("errors: 0", None),
            ("test_error: passed", None),
            ("UserWarning: x", None),
            ("the RuntimeError: of yesterday", None),
        ] {
            assert_eq!(exception(line), expected, "{line}");
        }
    }
}
