//! RDMA support by family. EC2's API does not report it.
//!
//! Origin: the EC2 User Guide's page "Elastic Fabric Adapter" (efa), its tables of supported
//! instance types per Nitro version, as of early 2026. Families that are newer than that
//! (c9g, g7, m8in, …) are unknown, not unsupported.

use crate::types::RdmaSupport::{self, No, Unknown, Yes};

const READ_AND_WRITE: &[&str] = &[
    "c6a",
    "c6gn",
    "c6i",
    "c6id",
    "c6in",
    "c7g",
    "c8a",
    "c8gb",
    "c8gn",
    "c8i",
    "c8id",
    "f2",
    "g6",
    "g6e",
    "g7e",
    "gr6",
    "hpc6a",
    "hpc6id",
    "hpc8a",
    "i4g",
    "i4i",
    "im4gn",
    "m6a",
    "m6i",
    "m6id",
    "m6idn",
    "m6in",
    "m8a",
    "m8azn",
    "m8gb",
    "m8gn",
    "m8i",
    "m8id",
    "p5",
    "p5e",
    "p5en",
    "p6-b200",
    "p6-b300",
    "p6e-gb200",
    "r6a",
    "r6i",
    "r6id",
    "r6idn",
    "r6in",
    "r8a",
    "r8gb",
    "r8gn",
    "r8i",
    "r8id",
    "trn1",
    "trn1n",
    "trn2",
    "trn2u",
    "u7i-12tb",
    "u7i-6tb",
    "u7i-8tb",
    "u7in-16tb",
    "u7in-24tb",
    "u7in-32tb",
    "u7inh-32tb",
    "x2idn",
    "x2iedn",
    "x8aedz",
    "x8i",
];

const READ_ONLY: &[&str] = &[
    "c7a", "c7gd", "c7gn", "c7i", "c8g", "dl1", "hpc7a", "hpc7g", "i7i", "i7ie", "i8ge", "m7a",
    "m7g", "m7gd", "m7i", "m8g", "p4d", "p4de",
];

const NEITHER: &[&str] = &[
    "c5n", "c8gd", "dl2q", "g4dn", "g5", "i3en", "i8g", "inf1", "m5dn", "m5n", "m5zn", "m8gd",
    "p3dn", "r5dn", "r5n", "r7a", "r7g", "r7gd", "r7i", "r7iz", "r8g", "r8gd", "vt1", "x2iezn",
    "x8g",
];

/// Read and write support of a family.
pub(super) fn support(family: &str) -> (RdmaSupport, RdmaSupport) {
    if READ_AND_WRITE.contains(&family) {
        (Yes, Yes)
    } else if READ_ONLY.contains(&family) {
        (Yes, No)
    } else if NEITHER.contains(&family) {
        (No, No)
    } else {
        (Unknown, Unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Catalog;
    use std::collections::BTreeSet;

    #[test]
    fn a_family_is_in_one_list_only() {
        let all: Vec<_> = [READ_AND_WRITE, READ_ONLY, NEITHER].concat();
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
    }

    #[test]
    fn seventeen_families_of_the_snapshot_are_unknown() {
        let unknown: BTreeSet<_> = Catalog::bundled()
            .iter()
            .filter(|t| t.rdma_read == Unknown)
            .map(|t| t.family())
            .collect();
        let expected = [
            "c8ib", "c8in", "c9g", "c9gd", "g7", "m8ib", "m8idb", "m8idn", "m8in", "m9g", "m9gd",
            "r8ib", "r8idb", "r8idn", "r8in", "r9g", "r9gd",
        ];
        assert_eq!(unknown, BTreeSet::from(expected));
        for family in [READ_AND_WRITE, READ_ONLY, NEITHER].concat() {
            assert!(
                Catalog::bundled().iter().any(|t| t.family() == family),
                "{family} is in no row"
            );
        }
    }
}
