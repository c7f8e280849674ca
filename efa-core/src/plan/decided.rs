//! What has been decided of a plan, in its stored form.

use serde::{Deserialize, Serialize};

use super::capacity::PlannedCapacity;
use super::further_groups::FurtherSecurityGroups;
use super::instance_role::PlannedInstanceProfile;
use super::placement::PlannedPlacementGroup;
use super::security_group::PlannedSecurityGroup;
use super::subnets::{RejectedSubnet, UsableSubnets};
use crate::catalog::InstanceType;
use crate::ec2::{Image, RootVolume, Vpc};
use crate::launch::CpuOptions;
use crate::layout::Layout;
use crate::spec::CheckedSpec;

/// The decisions, one field for each. Every field's type holds what it must, so that reading the
/// stored form checks as much as deciding does.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Decided {
    pub(super) format: u32,
    pub(super) spec: CheckedSpec,
    pub(super) region: String,
    pub(super) account: String,
    pub(super) partition: String,
    pub(super) subnets: UsableSubnets,
    pub(super) rejected_subnets: Vec<RejectedSubnet>,
    pub(super) image: Image,
    /// The subnets' VPC, where it could be read.
    pub(super) vpc: Option<Vpc>,
    pub(super) instance_type: InstanceType,
    pub(super) layout: Layout,
    pub(super) capacity: PlannedCapacity,
    pub(super) security_group: PlannedSecurityGroup,
    #[serde(default, skip_serializing_if = "FurtherSecurityGroups::is_empty")]
    pub(super) further_security_groups: FurtherSecurityGroups,
    pub(super) placement_group: Option<PlannedPlacementGroup>,
    pub(super) instance_profile: Option<PlannedInstanceProfile>,
    pub(super) root_volume: Option<RootVolume>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) cpu_options: Option<CpuOptions>,
    pub(super) expires_at: Option<String>,
    pub(super) warnings: Vec<String>,
    pub(super) fingerprint: String,
}
