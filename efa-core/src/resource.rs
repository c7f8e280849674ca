//! EC2's resource types, as its tags and this crate's events spell them.

pub(crate) const ADDRESS: &str = "elastic-ip";
pub(crate) const CAPACITY_RESERVATION: &str = "capacity-reservation";
pub(crate) const INSTANCE: &str = "instance";
pub(crate) const INSTANCE_PROFILE: &str = "instance-profile";
pub(crate) const NETWORK_INTERFACE: &str = "network-interface";
pub(crate) const PLACEMENT_GROUP: &str = "placement-group";
pub(crate) const ROLE: &str = "role";
pub(crate) const SECURITY_GROUP: &str = "security-group";
pub(crate) const SUBNET: &str = "subnet";
