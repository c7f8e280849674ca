//! The statuses that a device writes into a completion, and the verbs' names for them.

/// A status of `efa_io_comp_status` in `efa_io_defs.h` (rdma-core 64).
///
/// Which of them a real device gives for which fault, and after how long, was never observed here:
/// names and comments of that file are all that is known. Read every choice of this crate as a guess.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Status {
    /// Done.
    Ok = 0,
    /// Flushed because the queue pair went to the error state.
    Flushed = 1,
    /// The operation is not supported.
    UnsupportedOperation = 3,
    /// The address handle does not exist.
    InvalidAddress = 4,
    /// The local key is not registered or does not cover the buffer.
    InvalidLocalKey = 5,
    /// The message is too long.
    LocalLength = 6,
    /// The remote key is not registered, does not cover the range or lacks the access.
    RemoteAddress = 7,
    /// The queue pair does not exist, has another key, or is in the error state.
    BadQueuePair = 9,
    /// The receiver posted no buffer, and the retries are used up.
    ReceiverNotReady = 10,
    /// The receiver's buffer is too short.
    RemoteLength = 11,
    /// The peer answered before and stopped answering.
    Unresponsive = 13,
    /// The target has no address handle of the initiator (RDMA only).
    UnknownPeer = 14,
    /// The peer never answered.
    Unreachable = 15,
}

impl Status {
    /// Returns the status with this number; what this device never sends is `None`.
    pub fn from_number(number: u8) -> Option<Self> {
        [
            Self::Ok,
            Self::Flushed,
            Self::UnsupportedOperation,
            Self::InvalidAddress,
            Self::InvalidLocalKey,
            Self::LocalLength,
            Self::RemoteAddress,
            Self::BadQueuePair,
            Self::ReceiverNotReady,
            Self::RemoteLength,
            Self::Unresponsive,
            Self::UnknownPeer,
            Self::Unreachable,
        ]
        .into_iter()
        .find(|status| *status as u8 == number)
    }

    /// Returns the `enum ibv_wc_status` that rdma-core's EFA driver makes of it.
    pub fn verbs(self) -> u32 {
        match self {
            Self::Ok => 0,
            Self::LocalLength => 1,
            Self::UnsupportedOperation | Self::InvalidAddress => 2,
            Self::InvalidLocalKey => 4,
            Self::Flushed => 5,
            Self::RemoteLength => 9,
            Self::RemoteAddress => 10,
            Self::UnknownPeer => 11,
            Self::ReceiverNotReady => 13,
            Self::BadQueuePair => 15,
            Self::Unresponsive | Self::Unreachable => 20,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_is_found_by_its_number_and_no_other() {
        let known: Vec<u8> = (0..=255)
            .filter(|n| Status::from_number(*n).is_some())
            .collect();
        assert_eq!(known, [0, 1, 3, 4, 5, 6, 7, 9, 10, 11, 13, 14, 15]);
        for number in known {
            let status = Status::from_number(number).expect("listed");
            assert_eq!(status as u8, number);
            assert_eq!(status.verbs() == 0, status == Status::Ok);
        }
    }
}
