//! How the two sides of a probe talk outside the fabric: frames over TCP, or over a channel of
//! this process.

use std::os::fd::RawFd;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};

use efa_core::text::plain;
use serde::{Deserialize, Serialize};

use super::flow::Flow;
use super::options::ProbeOptions;
use super::report::{Peer, Row};
use crate::error::{Code, Error, Result};

/// What one side notifies the other of its endpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Side {
    pub(crate) peer: Peer,
    /// The same for processes that can share memory.
    pub(crate) machine: String,
    pub(crate) fabric: String,
    pub(crate) protocol: String,
    pub(crate) address_format: String,
    /// The endpoint's address, as hexadecimal digits.
    pub(crate) address: String,
    pub(crate) tx_size: u64,
    pub(crate) rx_size: u64,
}

/// What a phase measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Kind {
    /// One transfer, and a check of the bytes that arrived.
    Integrity,
    Latency,
    Bandwidth,
}

/// One phase: the measuring side announces it, the answering side gets ready for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Phase {
    pub(crate) kind: Kind,
    pub(crate) size: usize,
    /// Messages for which the receiving side sends one acknowledgement.
    pub(crate) quantum: u32,
    /// Of the pattern that is sent to be looked at.
    pub(crate) seed: u64,
}

/// One message outside the fabric.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Frame {
    /// First of all, from the side that connects: its nonce, as hexadecimal digits.
    Knock {
        nonce: String,
    },
    /// The nonce of the side that listens.
    Challenge {
        nonce: String,
    },
    /// The connecting side has the token.
    Proof {
        proof: String,
    },
    /// So has the listening side; these providers have reliable-datagram endpoints here.
    Accepted {
        proof: String,
        providers: Vec<String>,
    },
    /// The other side will not go on.
    Refused {
        code: String,
        message: String,
    },
    /// What is to be measured, and with which endpoint.
    Hello {
        side: Side,
        options: Box<ProbeOptions>,
    },
    /// The answer to it.
    Welcome {
        side: Side,
    },
    /// Memory that operations of the other side may reach.
    Window {
        address: u64,
        key: u64,
        length: u64,
    },
    Begin(Phase),
    /// Receives are posted.
    Ready,
    /// This side is warm.
    Warm,
    /// This side has measured what it sent.
    Measured(Flow),
    /// This many messages were sent in the phase.
    End {
        count: u64,
    },
    /// As many were received, and all replies have left.
    Done,
    /// All is measured.
    Bye {
        first_us: f64,
        rows: Vec<Row>,
    },
    /// This side failed.
    Abort {
        code: String,
        message: String,
        #[serde(default)]
        cure: Option<String>,
    },
}

/// A path for frames. Never blocks for long.
pub(crate) trait Channel {
    fn send(&mut self, frame: &Frame) -> Result<()>;
    /// The next frame, if one is there. An error if the other side is gone.
    fn poll(&mut self) -> Result<Option<Frame>>;
    /// What is readable when the next frame is there, after a poll that found none.
    fn descriptor(&self) -> Option<RawFd> {
        None
    }
}

/// One end of a path inside this process.
pub(crate) struct Local {
    to: Sender<Frame>,
    from: Receiver<Frame>,
}

impl Local {
    pub(crate) fn pair() -> (Self, Self) {
        let (to_right, from_left) = channel();
        let (to_left, from_right) = channel();
        (
            Self {
                to: to_right,
                from: from_right,
            },
            Self {
                to: to_left,
                from: from_left,
            },
        )
    }
}

impl Channel for Local {
    fn send(&mut self, frame: &Frame) -> Result<()> {
        self.to.send(frame.clone()).map_err(|_| gone())
    }

    fn poll(&mut self) -> Result<Option<Frame>> {
        match self.from.try_recv() {
            Ok(frame) => Ok(Some(frame)),
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Disconnected) => Err(gone()),
        }
    }
}

/// The other side closed the path.
pub(crate) fn gone() -> Error {
    Error::new(Code::Unreachable, "the peer disconnected during the probe")
        .with_cure("check that the peer's process is still running")
        .retryable(true)
}

/// The error for a frame that states that the other side failed, with what it advises. That it cannot
/// reach this side is the same fault as that this side cannot reach it.
pub(crate) fn peer_failed(code: &str, message: &str, cure: Option<String>) -> Error {
    let error = peer_error(false, code, message);
    match cure {
        Some(cure) => error.with_cure(cure),
        None => error,
    }
}

/// The error for a frame that states that the other side failed or refused.
pub(crate) fn peer_error(refused: bool, code: &str, message: &str) -> Error {
    let own = match code {
        "fabric.version_mismatch" => Code::VersionMismatch,
        "fabric.provider_not_found" if refused => Code::ProviderNotFound,
        "fabric.bad_size" if refused => Code::BadSize,
        "fabric.unsupported_operation" if refused => Code::UnsupportedOperation,
        "fabric.data_mismatch" => Code::DataMismatch,
        "fabric.unreachable" if !refused => Code::Unreachable,
        _ if refused => Code::RendezvousRefused,
        _ => Code::PeerFailed,
    };
    let verb = if refused { "refused" } else { "failed" };
    Error::new(own, format!("the peer {verb}: {}", plain(message)))
        .with_context("peer_code", plain(code))
}

/// Whether an error with this code states no more than that the other side failed, refused or is
/// gone: the cause is what the other side reports, or neither knows it.
pub(crate) fn is_echo(code: &str) -> bool {
    [Code::PeerFailed, Code::RendezvousRefused, Code::Unreachable]
        .iter()
        .any(|echo| echo.as_str() == code)
}
