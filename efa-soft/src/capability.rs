//! What a device can do, by generation.

/// The device reads remote memory.
pub const READ: u64 = 1;
/// The number of retries when the receiver is not ready can be set.
pub const RNR_RETRY: u64 = 1 << 1;
/// Completions name the GID of an unknown sender.
pub const CQ_SGID: u64 = 1 << 2;
/// The device writes remote memory.
pub const WRITE: u64 = 1 << 3;
/// A write with immediate data needs no receive at the target.
pub const UNSOLICITED: u64 = 1 << 4;

/// The longest message, and the payload of a packet: what `max_msg_sz` states, in bytes.
pub const MTU: usize = 8928;
/// Queue pairs of a device.
pub const MAX_QP: u32 = 1024;
/// Bytes that a work request can carry in itself.
pub const INLINE: usize = 32;
/// Buffers of a send or a receive.
pub const MAX_SGE: usize = 2;
/// Depth of a send queue.
pub const MAX_SQ: u32 = 512;
/// Depth of a receive queue.
pub const MAX_RQ: u32 = 4096;
/// Depth of a completion queue.
pub const MAX_CQE: u32 = 32768;
/// Longest RDMA operation, in bytes.
pub const MAX_RDMA: u32 = 1 << 30;

/// A generation of EFA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Generation {
    /// The name that the capability list of the environment may state.
    pub name: &'static str,
    /// PCI device id.
    pub part: u64,
    /// What it can do.
    pub capabilities: u64,
    /// Where that is from.
    pub origin: &'static str,
}

/// The generations: of RDMA, what every family with a published PCI id of it has by the EC2 User Guide's
/// page "Elastic Fabric Adapter". `efa_sdk.testing.SoftEfa` gives a host what its own type has, which may
/// be more (p4d reads, with efa0); `tests/python/test_soft_efa_libraries.py` holds this table to efa-sdk's
/// catalog. Which further bits a real device of each sets was not observed here. Everything else in this
/// file (depths, MTU, inline bytes) is what libfabric's documentation and logs in public reports show for
/// some device, not one value per generation.
pub const GENERATIONS: [Generation; 4] = [
    Generation {
        name: "efa0",
        part: 0xefa0,
        capabilities: RNR_RETRY,
        origin: "AWS's EFA page: no RDMA on c5n, p3dn and g5, read only on p4d and p4de; RNR retry by \
                 guess",
    },
    Generation {
        name: "efa1",
        part: 0xefa1,
        capabilities: READ | RNR_RETRY | CQ_SGID | WRITE,
        origin: "AWS's EFA page: RDMA read and write on g6, p5 and p5e; RNR retry and source GID by \
                 guess",
    },
    Generation {
        name: "efa2",
        part: 0xefa2,
        capabilities: READ | RNR_RETRY | CQ_SGID | WRITE | UNSOLICITED,
        origin: "AWS's EFA page: RDMA read and write on p5en; unsolicited write receives by guess",
    },
    Generation {
        name: "efa3",
        part: 0xefa3,
        capabilities: READ | RNR_RETRY | CQ_SGID | WRITE | UNSOLICITED,
        origin: "AWS's EFA page: RDMA read and write on p6-b200 and hpc8a; the rest by guess",
    },
];

/// Returns the capabilities of a PCI device id; an unknown id has all.
pub fn of_part(part: u64) -> u64 {
    let known = GENERATIONS
        .iter()
        .find(|generation| generation.part == part);
    known.map_or(READ | RNR_RETRY | CQ_SGID | WRITE | UNSOLICITED, |found| {
        found.capabilities
    })
}

/// Reads `read+write+rnr+sgid+unsolicited`, `none`, or the name of a generation. An unknown word is
/// returned as the error.
pub fn parse(text: &str) -> Result<u64, &str> {
    let mut all = 0;
    for word in text
        .split('+')
        .map(str::trim)
        .filter(|word| !word.is_empty())
    {
        all |= match word {
            "read" => READ,
            "write" => WRITE,
            "rnr" => RNR_RETRY,
            "sgid" => CQ_SGID,
            "unsolicited" => UNSOLICITED,
            "none" => 0,
            other => {
                let known = GENERATIONS
                    .iter()
                    .find(|generation| generation.name == other);
                known.ok_or(other)?.capabilities
            }
        };
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_generations_are_read() {
        assert_eq!(parse("read+rnr"), Ok(READ | RNR_RETRY));
        assert_eq!(parse("efa0"), Ok(of_part(0xefa0)));
        assert_eq!(parse("none"), Ok(0));
        assert_eq!(parse("read+fly"), Err("fly"));
        assert_eq!(of_part(0xffff), of_part(0xefa2));
    }
}
