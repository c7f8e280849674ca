//! Lines that state over what a channel runs, and the counts of them.

use serde::{Deserialize, Serialize};

use super::message::{digits, leading_number};

/// What a channel runs over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Via<'a> {
    /// A network: its name, the device, and whether with GPUDirect RDMA.
    Network {
        name: &'a str,
        device: u32,
        gpudirect: bool,
    },
    /// GPU to GPU in one node: NVLink or PCIe.
    PeerToPeer,
    /// Host memory in one node.
    SharedMemory,
}

/// The number of the channel and what it runs over, of lines such as
/// `Channel 00/0 : 0[0] -> 8[0] [send] via NET/Libfabric/0/GDRDMA` and, up to NCCL 2.5,
/// `Ring 00 : 7 -> 8 [send] via NET/AWS Libfabric/0` (NCCL src/transport/).
///
/// `may_be_cut`: another message follows in the line; then only what is surely whole is taken.
pub(super) fn channel(text: &str, may_be_cut: bool) -> Option<(u32, Via<'_>)> {
    let rest = text
        .strip_prefix("Channel ")
        .or_else(|| text.strip_prefix("Ring "))?;
    let number = leading_number(rest)?;
    let (_, via) = rest.split_once(" via ")?;
    if let Some(network) = via
        .strip_prefix("NET/")
        .or_else(|| via.strip_prefix("COLLNET/"))
    {
        let (name, rest) = network.split_once('/')?;
        let device = leading_number(rest)?;
        let flags = &rest[digits(rest)..];
        let gpudirect = flags.contains("/GDRDMA");
        // A flag that breaks off may be any flag.
        let is_cut_flag = !flags.is_empty() && "/GDRDMA".starts_with(flags) && !gpudirect;
        if (may_be_cut || is_cut_flag) && !gpudirect {
            return None;
        }
        return Some((
            number,
            Via::Network {
                name,
                device,
                gpudirect,
            },
        ));
    }
    if via.starts_with("P2P") {
        return Some((number, Via::PeerToPeer));
    }
    via.starts_with("SHM")
        .then_some((number, Via::SharedMemory))
}

/// Channels by what they run over. Each direction, each peer and each communicator counts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Channels {
    /// Over a network, with GPUDirect RDMA.
    pub gpudirect: u64,
    /// Over a network, staged through host memory.
    pub staged: u64,
    /// GPU to GPU in one node.
    pub peer_to_peer: u64,
    /// Through host memory in one node.
    pub shared_memory: u64,
    /// Numbers of the channels that were seen with GPUDirect RDMA, up to 255.
    pub gpudirect_channels: NumberSet,
    /// Numbers of the channels that were seen staged, up to 255.
    pub staged_channels: NumberSet,
    /// Network devices that channels use, up to 255.
    pub devices: NumberSet,
}

impl Channels {
    /// Channels over a network.
    #[must_use]
    pub fn network(&self) -> u64 {
        self.gpudirect + self.staged
    }

    /// Channels of every kind.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.network() + self.peer_to_peer + self.shared_memory
    }

    pub(super) fn count(&mut self, number: u32, via: Via<'_>) {
        match via {
            Via::Network {
                device, gpudirect, ..
            } => {
                self.devices.insert(device);
                if gpudirect {
                    self.gpudirect += 1;
                    self.gpudirect_channels.insert(number);
                } else {
                    self.staged += 1;
                    self.staged_channels.insert(number);
                }
            }
            Via::PeerToPeer => self.peer_to_peer += 1,
            Via::SharedMemory => self.shared_memory += 1,
        }
    }

    /// The last staged channel had its flag on another line.
    pub(super) fn unstage(&mut self) {
        if self.staged > 0 {
            self.staged -= 1;
            self.gpudirect += 1;
            if self.staged == 0 {
                self.staged_channels = NumberSet::default();
            }
        }
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.gpudirect += other.gpudirect;
        self.staged += other.staged;
        self.peer_to_peer += other.peer_to_peer;
        self.shared_memory += other.shared_memory;
        self.gpudirect_channels.add(&other.gpudirect_channels);
        self.staged_channels.add(&other.staged_channels);
        self.devices.add(&other.devices);
    }
}

/// Small numbers, each once; as JSON a list. Numbers above 255 are not kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "Vec<u32>", into = "Vec<u32>")]
pub struct NumberSet([u64; 4]);

impl NumberSet {
    /// Returns the numbers in order.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u32> {
        (0..256).filter(|&n| self.contains(n)).collect()
    }

    /// Returns whether a number is in it.
    #[must_use]
    pub fn contains(&self, number: u32) -> bool {
        self.0
            .get(number as usize / 64)
            .is_some_and(|word| word >> (number % 64) & 1 == 1)
    }

    /// Returns the number of channels.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.0.iter().map(|word| word.count_ones()).sum()
    }

    /// Returns whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn insert(&mut self, number: u32) {
        if let Some(word) = self.0.get_mut(number as usize / 64) {
            *word |= 1 << (number % 64);
        }
    }

    fn add(&mut self, other: &Self) {
        for (word, more) in self.0.iter_mut().zip(other.0) {
            *word |= more;
        }
    }
}

impl From<Vec<u32>> for NumberSet {
    fn from(numbers: Vec<u32>) -> Self {
        let mut set = Self::default();
        for number in numbers {
            set.insert(number);
        }
        set
    }
}

impl From<NumberSet> for Vec<u32> {
    fn from(set: NumberSet) -> Self {
        set.to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channel_lines_of_every_generation() {
        let network = |name, device, gpudirect| Via::Network {
            name,
            device,
            gpudirect,
        };
        for (text, expected) in [
            (
                "Ring 00 : 7 -> 8 [send] via NET/AWS Libfabric/0",
                Some((0, network("AWS Libfabric", 0, false))),
            ),
            (
                "Channel 01 : 15[f0] -> 0[10] [receive] via NET/AWS Libfabric/3/GDRDMA",
                Some((1, network("AWS Libfabric", 3, true))),
            ),
            (
                "Channel 00/0 : 0[0] -> 8[0] [send] via NET/Libfabric/0/GDRDMA",
                Some((0, network("Libfabric", 0, true))),
            ),
            (
                "Channel 12/1 : 0[0] -> 8[0] [send] via NET/Libfabric/11(4)/GDRDMA/Shared",
                Some((12, network("Libfabric", 11, true))),
            ),
            (
                "Channel 02/0 : 0[0] -> 8[0] [send] via NET/Libfabric/2/GDRDMA(PCI)",
                Some((2, network("Libfabric", 2, true))),
            ),
            (
                "Channel 03/0 : 0[0] -> 8[0] [send] via NET/Socket/0",
                Some((3, network("Socket", 0, false))),
            ),
            (
                "Channel 00/0 : 0[0] -> 1[1] via P2P/CUMEM/read",
                Some((0, Via::PeerToPeer)),
            ),
            (
                "Ring 00 : 0[0] -> 1[1] via P2P/IPC",
                Some((0, Via::PeerToPeer)),
            ),
            (
                "Channel 00 : 0[0] -> 1[1] via SHM/direct/direct",
                Some((0, Via::SharedMemory)),
            ),
            ("Channel 00/16 :    0   7   6   5", None),
            ("Channel 00/0 : 0[0] -> 8[0] [send] via NET/Libf", None),
            ("Channel x via NET/Socket/0", None),
            ("Connected all rings", None),
        ] {
            assert_eq!(channel(text, false), expected, "{text}");
        }
    }

    #[test]
    fn a_cut_line_does_not_count_as_staged() {
        let text = "Channel 00/0 : 0[0] -> 8[0] [send] via NET/Libfabric/0";
        assert!(channel(text, false).is_some());
        assert_eq!(channel(text, true), None);
        assert!(channel(&format!("{text}/GDRDMA"), true).is_some());
    }

    #[test]
    fn number_sets_are_lists_in_json() {
        let set = NumberSet::from(vec![255, 3, 3, 0, 256, 1000]);
        assert_eq!(set.to_vec(), [0, 3, 255]);
        let json = serde_json::to_string(&set).unwrap();
        assert_eq!(json, "[0,3,255]");
        assert_eq!(serde_json::from_str::<NumberSet>(&json).unwrap(), set);
    }
}
