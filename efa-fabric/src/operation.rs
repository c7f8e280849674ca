//! What moves bytes between two endpoints.

use serde::{Deserialize, Serialize};

/// The operation that moves the bytes that are measured (fi_msg(3), fi_tagged(3), fi_rma(3)).
///
/// The measuring side chooses, and notifies the other in the handshake. Acknowledgements always go
/// by messages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Operation {
    /// `fi_send` into a receive that the other side posted.
    #[default]
    Message,
    /// `fi_tsend`, matched by a tag.
    Tagged,
    /// `fi_write` with delivery complete: its completion means that the data has arrived.
    Write,
    /// `fi_writedata`: the other side gets a completion with the immediate data
    /// (`FI_REMOTE_CQ_DATA`).
    WriteData,
    /// `fi_read`: its completion means that the data is here.
    Read,
}

impl Operation {
    /// Every operation, in the order of the reference.
    pub const ALL: &'static [Self] = &[
        Self::Message,
        Self::Tagged,
        Self::Write,
        Self::WriteData,
        Self::Read,
    ];

    /// Returns the name, as in JSON: `message`, `tagged`, `write`, `write_data`, `read`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Tagged => "tagged",
            Self::Write => "write",
            Self::WriteData => "write_data",
            Self::Read => "read",
        }
    }

    /// Returns whether one side acts and the other takes no notice: its own completion is what is
    /// measured.
    #[must_use]
    pub const fn is_one_sided(self) -> bool {
        matches!(self, Self::Write | Self::Read)
    }

    /// Returns whether the other side's memory is addressed.
    #[must_use]
    pub const fn is_rma(self) -> bool {
        matches!(self, Self::Write | Self::WriteData | Self::Read)
    }
}

impl std::fmt::Display for Operation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
