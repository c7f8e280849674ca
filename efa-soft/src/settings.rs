//! What the environment of a process reports about its soft devices.

use std::net::Ipv4Addr;
use std::path::PathBuf;

/// The environment, read once when a process first asks for its devices.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The root of the tree: `SYSFS_PATH`, else `/sys`.
    pub(crate) sysfs: PathBuf,
    /// `SOFT_EFA_DEVICES`: at most this many devices.
    pub(crate) devices: Option<usize>,
    /// `SOFT_EFA_IP`: one address per device, for a tree that this library makes.
    pub(crate) ip: Vec<Ipv4Addr>,
    /// `SOFT_EFA_CAPS`: one list per device.
    pub(crate) capabilities: Vec<String>,
    /// `SOFT_EFA_PART`: PCI device ids.
    pub(crate) parts: Vec<u64>,
    /// `SOFT_EFA_GBPS`: what `ports/1/rate` states.
    pub(crate) gbps: u64,
    /// `SOFT_EFA_FAULT`: device (-1: all), name, value.
    pub(crate) faults: Vec<(i64, String, f64)>,
    /// `SOFT_EFA_TIMEOUT_MS`: how long a peer may be silent, ns. The default is a guess.
    pub(crate) timeout: u64,
    /// `SOFT_EFA_RTO_MS`: the first resend after, ns. The default is a guess.
    pub(crate) resend: u64,
    /// `SOFT_EFA_NO_OPEN`: devices that cannot be opened.
    pub(crate) no_open: Vec<String>,
    /// `SOFT_EFA_MEMLOCK`: RLIMIT_MEMLOCK counts, for root too.
    pub(crate) memlock: bool,
    /// `SOFT_EFA_DIRECT`: queues in memory for data-path-direct.
    pub(crate) direct: bool,
    /// `SOFT_EFA_PEER_CHECK`: RDMA wants an address handle of the initiator at the target.
    pub(crate) peer_check: bool,
    /// `SOFT_EFA_TRACE`: 1 events, 2 packets, on standard error.
    pub(crate) trace: u8,
    /// `SOFT_EFA_YIELD`: give up the CPU after some empty polls.
    pub(crate) yields: bool,
}

impl Settings {
    /// Reads settings from a function that knows the variables. What cannot be read takes the default.
    pub(crate) fn read(get: impl Fn(&str) -> Option<String>) -> Self {
        let text = |name: &str| get(name).filter(|value| !value.is_empty());
        let list = |name: &str| -> Vec<String> {
            let value = text(name).unwrap_or_default();
            value
                .split(',')
                .map(str::trim)
                .filter(|v| !v.is_empty())
                .map(str::to_owned)
                .collect()
        };
        let number = |name: &str, default: u64| {
            text(name)
                .and_then(|value| value.trim().parse().ok())
                .unwrap_or(default)
        };
        let millis = |name: &str, default: u64| number(name, default).saturating_mul(1_000_000);
        Self {
            sysfs: text("SYSFS_PATH")
                .unwrap_or_else(|| "/sys".to_owned())
                .into(),
            devices: text("SOFT_EFA_DEVICES").and_then(|value| value.trim().parse().ok()),
            ip: list("SOFT_EFA_IP")
                .iter()
                .filter_map(|ip| ip.parse().ok())
                .collect(),
            capabilities: list("SOFT_EFA_CAPS"),
            parts: list("SOFT_EFA_PART")
                .iter()
                .filter_map(|part| hexadecimal(part))
                .collect(),
            gbps: number("SOFT_EFA_GBPS", 200),
            faults: text("SOFT_EFA_FAULT")
                .map(|value| faults(&value))
                .unwrap_or_default(),
            timeout: millis("SOFT_EFA_TIMEOUT_MS", 3_000).max(1_000_000),
            resend: millis("SOFT_EFA_RTO_MS", 20).max(1_000_000),
            no_open: list("SOFT_EFA_NO_OPEN"),
            memlock: number("SOFT_EFA_MEMLOCK", 0) != 0,
            direct: number("SOFT_EFA_DIRECT", 1) != 0,
            peer_check: number("SOFT_EFA_PEER_CHECK", 1) != 0,
            trace: u8::try_from(number("SOFT_EFA_TRACE", 0)).unwrap_or(u8::MAX),
            yields: number("SOFT_EFA_YIELD", 1) != 0,
        }
    }
}

/// A number such as `0xefa2`, with or without its prefix.
pub(crate) fn hexadecimal(text: &str) -> Option<u64> {
    u64::from_str_radix(text.trim().trim_start_matches("0x"), 16).ok()
}

/// `2:loss=0.01;3:dead=1;-1:reorder=0.2`
fn faults(text: &str) -> Vec<(i64, String, f64)> {
    let one = |part: &str| {
        let (device, rest) = part.split_once(':')?;
        let (name, value) = rest.split_once('=')?;
        let value: f64 = value.trim().parse().ok()?;
        Some((device.trim().parse().ok()?, name.trim().to_owned(), value))
    };
    text.split(';').filter_map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings_of(pairs: &[(&str, &str)]) -> Settings {
        Settings::read(|name| {
            let found = pairs.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn everything_has_a_default() {
        let empty = settings_of(&[]);
        assert_eq!(empty.sysfs, PathBuf::from("/sys"));
        assert_eq!(
            (empty.devices, empty.timeout, empty.resend),
            (None, 3_000_000_000, 20_000_000)
        );
        assert!(empty.direct && empty.peer_check && empty.yields && !empty.memlock);
    }

    #[test]
    fn lists_and_faults_are_read_and_nonsense_is_passed_over() {
        let read = settings_of(&[
            (
                "SOFT_EFA_FAULT",
                "1:rate=20000000;x;2:loss=0.01;-1:reorder=a;-1:dead=1",
            ),
            ("SOFT_EFA_IP", "10.0.0.1, nonsense,10.0.0.2"),
            ("SOFT_EFA_PART", "0xefa1,efa3"),
        ]);
        let expected = [
            (1, "rate".to_owned(), 2e7),
            (2, "loss".to_owned(), 0.01),
            (-1, "dead".to_owned(), 1.0),
        ];
        assert_eq!(read.faults, expected);
        assert_eq!(
            read.ip,
            [Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2)]
        );
        assert_eq!(read.parts, [0xefa1, 0xefa3]);
    }
}
