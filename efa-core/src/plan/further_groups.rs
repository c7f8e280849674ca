//! The security groups that interfaces are in besides the cluster's own.

use serde::{Deserialize, Serialize};

use super::PlannedSecurityGroup;
use crate::ec2::{SecurityGroup, Subnet};
use crate::error::{Code, Error, Result};
use crate::spec::{CheckedSpec, Selector};
use crate::types::InterfaceType;

/// Groups on an interface before EC2's quota must be raised. Origin: VPC user guide, "Amazon VPC
/// quotas".
const QUOTA: usize = 5;

/// An existing security group.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NamedSecurityGroup {
    /// `sg-…`
    pub group_id: String,
    /// Its name.
    pub group_name: String,
}

/// The further groups of the specification as `plan` found them, in its order.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FurtherSecurityGroups {
    /// Groups of every interface.
    pub all: Vec<NamedSecurityGroup>,
    /// Groups of the interfaces with an IP address.
    pub ena: Vec<NamedSecurityGroup>,
}

/// The specification's further groups as EC2 shows them, in its order.
#[derive(Debug, Clone, Default)]
pub(crate) struct SeenGroups {
    pub(crate) all: Vec<SecurityGroup>,
    pub(crate) ena: Vec<SecurityGroup>,
}

impl FurtherSecurityGroups {
    /// Returns whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty() && self.ena.is_empty()
    }

    /// Ids of the groups of an interface of this type.
    pub(super) fn ids_for<'a>(&'a self, kind: &InterfaceType) -> impl Iterator<Item = &'a str> {
        let ena: &[_] = if kind.carries_ip() { &self.ena } else { &[] };
        self.all.iter().chain(ena).map(|g| g.group_id.as_str())
    }

    /// Whether these are what the specification names.
    pub(super) fn follow(&self, spec: &CheckedSpec) -> bool {
        let named = |found: &[NamedSecurityGroup], wanted: &[Selector]| {
            found.len() == wanted.len()
                && found
                    .iter()
                    .zip(wanted)
                    .all(|(group, wanted)| match wanted {
                        Selector::Id(id) => group.group_id == *id,
                        Selector::Name(name) => group.group_name == *name,
                        Selector::Tag(..) => true,
                    })
        };
        named(&self.all, &spec.further_security_groups)
            && named(&self.ena, &spec.ena_security_groups)
    }
}

/// Decides the further groups: in the subnet's VPC, and each once.
pub(super) fn plan_further_groups(
    subnet: &Subnet,
    cluster_group: &PlannedSecurityGroup,
    seen: &SeenGroups,
    warnings: &mut Vec<String>,
) -> Result<FurtherSecurityGroups> {
    let mut ids: Vec<&str> = cluster_group.group_id.as_deref().into_iter().collect();
    let of_field = [
        ("further_security_groups", &seen.all),
        ("ena_security_groups", &seen.ena),
    ];
    for (field, groups) in of_field {
        for group in groups {
            let refused = |message: String, cure: &str| {
                Err(Error::new(Code::PlanConflict, message)
                    .with_cure(cure)
                    .with_context("field", field)
                    .with_context("value", &group.group_id))
            };
            let id = group.group_id.as_str();
            if group.vpc_id != subnet.vpc_id {
                let message = format!(
                    "security group {id} is in {}, but subnet {} is in {}",
                    group.vpc_id, subnet.subnet_id, subnet.vpc_id
                );
                return refused(message, "choose both in the same VPC");
            }
            if ids.contains(&id) {
                let message = format!("security group {id} is named twice");
                return refused(message, "name each group once");
            }
            ids.push(id);
        }
    }
    let count = 1 + seen.all.len() + seen.ena.len();
    if count > QUOTA {
        warnings.push(format!(
            "{count} security groups on an interface need a raised quota: it is {QUOTA} at first"
        ));
    }
    let named = |groups: &[SecurityGroup]| {
        let named = |group: &SecurityGroup| NamedSecurityGroup {
            group_id: group.group_id.clone(),
            group_name: group.group_name.clone(),
        };
        groups.iter().map(named).collect()
    };
    Ok(FurtherSecurityGroups {
        all: named(&seen.all),
        ena: named(&seen.ena),
    })
}
