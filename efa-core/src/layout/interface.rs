//! One network interface of a launch.

use serde::{Deserialize, Serialize};

use crate::types::{CardIndex, DeviceIndex, InterfaceType};

/// One network interface of a launch, in the terms of `RunInstances`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct NetworkInterface {
    /// `NetworkCardIndex`.
    #[serde(default)]
    pub network_card_index: CardIndex,
    /// `DeviceIndex`: counts from 0 on each card.
    pub device_index: DeviceIndex,
    /// `InterfaceType`.
    pub interface_type: InterfaceType,
    /// `AssociatePublicIpAddress`. `None` leaves it out of the request: always so for
    /// `efa-only`, and for others the subnet then decides.
    #[serde(default)]
    pub associate_public_ip_address: Option<bool>,
    /// How many further private IPv4 addresses (`SecondaryPrivateIpAddressCount`). Never planned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv4_address_count: Option<u32>,
    /// `Ipv4PrefixCount`: how many /28 prefixes. Never planned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv4_prefix_count: Option<u32>,
}

impl NetworkInterface {
    /// Creates an interface without a public IP address: `false` is sent for it where the type
    /// carries IP, nothing for `efa-only`.
    #[must_use]
    pub fn new(network_card_index: u32, device_index: u32, interface_type: InterfaceType) -> Self {
        Self {
            network_card_index: CardIndex::new(network_card_index),
            device_index: DeviceIndex::new(device_index),
            associate_public_ip_address: default_public_ip(&interface_type),
            interface_type,
            ipv4_address_count: None,
            ipv4_prefix_count: None,
        }
    }

    /// Returns whether it is the primary one: network card 0, device 0.
    #[must_use]
    pub fn is_primary(&self) -> bool {
        self.slot() == (CardIndex::new(0), DeviceIndex::new(0))
    }

    pub(super) const fn slot(&self) -> (CardIndex, DeviceIndex) {
        (self.network_card_index, self.device_index)
    }
}

/// What is sent as `AssociatePublicIpAddress` unless the caller sets it.
pub(super) const fn default_public_ip(interface_type: &InterfaceType) -> Option<bool> {
    if matches!(interface_type, InterfaceType::EfaOnly) {
        None
    } else {
        Some(false)
    }
}
