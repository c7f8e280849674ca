//! One line of libfabric's log, taken apart.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Level of a line (`FI_LOG_LEVEL`, fabric(7)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Level {
    /// Something is wrong.
    Warn,
    /// How calls went.
    Trace,
    /// What was found and chosen.
    Info,
    /// Everything.
    Debug,
}

/// One line: `libfabric:PID:TIME:PREFIX:provider:subsystem:function():LINE<level> text`; before
/// libfabric 1.13 without time and prefix (src/log.c of 1.9 to 2.6).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Line {
    /// The process that wrote it.
    pub pid: u32,
    /// When, in seconds since 1970; `None` before libfabric 1.13.
    pub time_s: Option<u64>,
    /// The provider, or `core` for libfabric itself.
    pub provider: String,
    /// The part of the provider, such as `fabric` or `ep_ctrl`.
    pub subsystem: String,
    /// The C function, without parentheses.
    pub function: String,
    /// The line of the C file.
    pub line: u32,
    /// Its level.
    pub level: Level,
    /// What it reports.
    pub text: String,
}

impl Line {
    /// Takes a line apart, wherever in the line libfabric's part begins; `None` if it has none.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        // Of two writers on one line, the last whole head is the one that the text belongs to.
        line.rmatch_indices("libfabric:")
            .find_map(|(at, head)| Self::after_name(&line[at + head.len()..]))
    }

    fn after_name(rest: &str) -> Option<Self> {
        let (head, tail) = rest.split_once("():")?;
        let (number, tail) = tail.split_once('<')?;
        let (level, text) = tail.split_once('>')?;
        let level = match level {
            "warn" => Level::Warn,
            "trace" => Level::Trace,
            "info" => Level::Info,
            "debug" => Level::Debug,
            _ => return None,
        };
        let mut from_right = head.rsplit(':');
        let function = from_right.next()?;
        let subsystem = from_right.next()?;
        let provider = from_right.next()?;
        let mut from_left = head.split(':');
        let pid = from_left.next()?.parse().ok()?;
        let time_s = from_left.next().and_then(|field| field.parse().ok());
        Some(Self {
            pid,
            time_s,
            provider: provider.to_owned(),
            subsystem: subsystem.to_owned(),
            function: function.to_owned(),
            line: number.parse().ok()?,
            level,
            text: text.trim().to_owned(),
        })
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.provider, self.text)
    }
}
