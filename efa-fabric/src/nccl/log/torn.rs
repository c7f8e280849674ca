//! Halves of lines that another process wrote into: the first waits for the second.

use super::message::Message;
use super::state::Taken;

/// First halves that are kept at once.
const KEPT: usize = 32;
/// Lines within which the second half comes.
const REACH: u64 = 256;
/// Bytes that are kept of a half.
const HALF: usize = 200;

/// What lines begin with whose end matters.
const KEYS: [&str; 3] = [
    "using network ",
    "net/ofi selected provider is ",
    "selected provider is ",
];
/// Values that distinguish a second half from any other text.
const VALUES: [&str; 8] = [
    "libfabric",
    "aws libfabric",
    "socket",
    "ib",
    "efa",
    "tcp",
    "sockets",
    "verbs",
];

/// A first half.
#[derive(Debug, Clone)]
struct Half {
    place: usize,
    line: u64,
    text: String,
}

/// First halves that wait for their second.
#[derive(Debug, Clone, Default)]
pub(super) struct Torn {
    halves: Vec<Half>,
    /// Those whose second half did not come within [`REACH`] lines.
    lost: Vec<Half>,
    /// The process of the last channel without a flag.
    staged: Option<usize>,
    /// Lines that ended within NCCL's name.
    pub(super) heads: u64,
}

impl Torn {
    /// Whether this line may end one.
    pub(super) fn is_waiting(&mut self, number: u64) -> bool {
        if self
            .halves
            .first()
            .is_some_and(|half| half.line + REACH < number)
        {
            let half = self.halves.remove(0);
            if self.lost.len() < KEPT {
                self.lost.push(half);
            }
        }
        self.staged.is_some() || !self.halves.is_empty()
    }

    /// Keeps a message that breaks off.
    pub(super) fn keep(&mut self, place: usize, line: u64, taken: Taken, message: &Message<'_>) {
        match taken {
            Taken::Whole => {}
            Taken::Staged => self.staged = Some(place),
            Taken::Torn if self.halves.len() < KEPT && message.text.len() < HALF => {
                self.halves.push(Half {
                    place,
                    line,
                    text: message.text.to_owned(),
                });
            }
            Taken::Torn => {}
        }
    }

    /// The process whose line this one ends, where the first half stands, and the whole text; `None`
    /// as text for the flag of a channel.
    pub(super) fn end_of(&mut self, line: &str) -> Option<(usize, u64, Option<String>)> {
        if line.starts_with("/GDRDMA") {
            return self.staged.take().map(|place| (place, 0, None));
        }
        let found = self.halves.iter().enumerate().find_map(|(at, half)| {
            let text = joined(&half.text, line)?;
            Some((at, text))
        });
        let (at, text) = found?;
        let half = self.halves.remove(at);
        Some((half.place, half.line, Some(text)))
    }

    /// First halves whose second never came: the process and the line.
    pub(super) fn left(&self) -> impl Iterator<Item = (usize, u64, &str)> {
        self.halves
            .iter()
            .chain(&self.lost)
            .map(|half| (half.place, half.line, half.text.as_str()))
    }
}

/// Both halves together, where that makes a line that names a known network or provider.
fn joined(first: &str, second: &str) -> Option<String> {
    let end = second
        .char_indices()
        .nth(80)
        .map_or(second.len(), |(at, _)| at);
    let second = &second[..end];
    // A space between the halves may have been trimmed.
    [format!("{first}{second}"), format!("{first} {second}")]
        .into_iter()
        .find_map(|text| {
            let lower = text.to_ascii_lowercase();
            let (at, key) = KEYS.iter().find_map(|key| Some((lower.find(key)?, *key)))?;
            let value = &lower[at + key.len()..];
            let known = VALUES
                .iter()
                .filter(|known| value.starts_with(**known))
                .max_by_key(|known| known.len())?;
            // The key must be torn, or the value: else the first half was whole.
            let is_new = at < first.len() && first.len() < at + key.len() + known.len();
            // Of a network only the name counts: another message may be glued to it.
            let end = if key.starts_with("using") {
                at + key.len() + known.len()
            } else {
                text.len()
            };
            is_new.then(|| text[..end].to_owned())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_join_wherever_they_were_torn() {
        for whole in [
            "Using network Socket",
            "Using network AWS Libfabric",
            "NET/OFI Selected provider is tcp, fabric is x (found 1 nics)",
            "NET/OFI Selected provider is efa, fabric is efa-direct (found 4 nics)",
        ] {
            let value = whole.find("is ").map_or(14, |at| at + 3);
            for cut in 5..value {
                let (first, second) = whole.split_at(cut);
                let joined = joined(first.trim_end(), second);
                let joined = joined.map(|text| text.replace(' ', ""));
                assert_eq!(joined, Some(whole.replace(' ', "")), "{first:?} {second:?}");
            }
        }
        assert_eq!(joined("Using netw", "some other line"), None);
        assert_eq!(joined("Using netw", ""), None);
        assert_eq!(
            joined("Using netw", "ork Socketnode-1:7:8 [0] NCCL INFO x").as_deref(),
            Some("Using network Socket")
        );
    }
}
