//! What EC2's API does not report about a type's cards and a layout must know. The only place for
//! such rows; everything else follows from `InterfaceTypes` and the limits.

use crate::catalog::InstanceType;

/// How to lay out one family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Policy {
    families: &'static [&'static str],
    /// The cards that get an EFA, in order of preference; empty for all, in order of index.
    pub(super) efa_cards: &'static [u32],
    /// How many EFAs unless the caller sets it: `None` for as many as the type can have.
    pub(super) default_efa: Option<u32>,
    /// IP interfaces of the profile `ip-bandwidth` go on every n-th card only.
    pub(super) ip_card_step: u32,
    /// Why; appears in notes and refusals.
    pub(super) reason: &'static str,
}

const GENERAL: Policy = Policy {
    families: &[],
    efa_cards: &[],
    default_efa: None,
    ip_card_step: 1,
    reason: "",
};

const POLICIES: &[Policy] = &[
    // EC2 User Guide, efa-acc-inst-types, "EFA configuration for P5 and P5e instances": ENA on
    // network cards 4, 8, … 28 besides card 0. Harmless for p5.4xlarge, which has one card.
    Policy {
        families: &["p5", "p5e"],
        ip_card_step: 4,
        reason: "EFA and IP share 3200 Gbps, of which IP can use 800 through every fourth network card",
        ..GENERAL
    },
    // EC2 User Guide, efa-acc-inst-types: the cards [1,2] [3,4] … [15,16] share one NIC of
    // 400 Gbps each; odd cards are EFA-only with 400 Gbps, and the GPUs reach the pairs [1,3]
    // [5,7] [9,11] [13,15] with 400 Gbps per GPU, so that 4 EFAs carry as much as 8 or 16.
    // gb300: same fabric by AWS's announcements; its cards are not documented (unverified).
    Policy {
        families: &["p6e-gb200", "p6e-gb300"],
        efa_cards: &[1, 5, 9, 13, 3, 7, 11, 15],
        default_efa: Some(4),
        reason: "its GPUs reach the network with 1600 Gbps in all, which EFAs on network cards 1, 5, 9 and 13 \
                 carry alone; the other odd cards share their paths, and even cards share their NICs",
        ..GENERAL
    },
];

impl Policy {
    /// The row of a type's family, or the general one.
    pub(super) fn of(instance_type: &InstanceType) -> Self {
        let family = instance_type.family();
        POLICIES
            .iter()
            .copied()
            .find(|policy| policy.families.contains(&family))
            .unwrap_or(GENERAL)
    }

    /// The largest number of EFAs that makes sense: at most what the type can have.
    pub(super) fn maximum_efa(&self, instance_type: &InstanceType) -> u32 {
        let all = instance_type.maximum_efa_interfaces;
        if self.efa_cards.is_empty() {
            all
        } else {
            all.min(u32::try_from(self.efa_cards.len()).unwrap_or(all))
        }
    }
}
