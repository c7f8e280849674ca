//! The rules of EC2 and EFA on a launch, once for every format.

use serde_json::Value;

use super::document::Findings;
use super::interfaces;
use super::launch::{Launch, Said, Spelling};
use super::launch_options;
use super::report::{DocumentFinding, DocumentFormat};
use super::rule::Rule;
use crate::catalog::Catalog;
use crate::handoff::interfaces::field;
use crate::types::InterfaceType;

/// Runs every rule on a launch.
pub(super) fn check_launch(launch: &Launch<'_>, catalog: &Catalog, found: &mut Findings) {
    launch.check_shapes(found);
    interfaces::check_interfaces(launch, catalog, found);
    let rules = Rules { launch };
    rules.with_interfaces(found);
    rules.subnets(found);
    if rules.concerns_efa(catalog) {
        rules.placement(found);
        rules.places(found);
        rules.metadata(found);
        rules.volumes(found);
        rules.options(found);
    }
    rules.unknown(found);
}

struct Rules<'a, 'b> {
    launch: &'a Launch<'b>,
}

impl Rules<'_, '_> {
    fn finding(
        &self,
        rule: Rule,
        path: String,
        message: impl Into<String>,
        cure: impl Into<String>,
    ) -> DocumentFinding {
        let format = self.launch.format;
        DocumentFinding::new(rule.severity(format), rule.id(format), path, message, cure)
    }

    /// Whether the launch lists EFA, or is of a type that can have it.
    fn concerns_efa(&self, catalog: &Catalog) -> bool {
        let launch = self.launch;
        launch.wants_efa
            || launch.types.names.iter().any(|name| catalog.contains(name))
            || has_efa(launch)
    }

    fn with_interfaces(&self, found: &mut Findings) {
        let list = match self.launch.at.spelling {
            Spelling::Snake => "network_interfaces",
            _ => "NetworkInterfaces",
        };
        let groups = match self.launch.at.spelling {
            Spelling::Snake => "security_groups and subnet_id",
            _ => "Groups and SubnetId",
        };
        let who = match self.launch.format {
            DocumentFormat::RayCluster => "Ray and EC2 refuse",
            _ => "EC2 refuses",
        };
        for key in &self.launch.with_interfaces {
            let path = self.launch.at.path(key);
            let key = path.rsplit('.').next().unwrap_or(key);
            let message = format!("{who} {key} together with {list}");
            let cure = format!("give {groups} on each interface instead");
            let finding = self.finding(Rule::WithInterfaces, path.clone(), message, cure);
            found.push(finding);
        }
    }

    /// The interfaces of an instance, and those of a node group.
    fn subnets(&self, found: &mut Findings) {
        let Said::Is(list) = &self.launch.interfaces else {
            return;
        };
        let path = self.launch.at.path("NetworkInterfaces");
        let mut subnets: Vec<&str> = list
            .iter()
            .filter_map(|entry| field(entry, "SubnetId")?.as_str())
            .filter(|id| !super::unknown::is_unknown_text(id))
            .collect();
        subnets.sort_unstable();
        subnets.dedup();
        if subnets.len() > 1 {
            let message = format!("interfaces are in {}", subnets.join(" and "));
            let cure = "put all interfaces in one subnet: EFA traffic leaves neither subnet nor \
                        zone by default";
            let rule = Rule::InterfacesInSeveralSubnets;
            found.push(self.finding(rule, path.clone(), message, cure));
        }
        let with_subnet = list
            .iter()
            .position(|entry| field(entry, "SubnetId").is_some());
        if let (Some(group), Some(at)) = (&self.launch.node_group, with_subnet) {
            let message =
                format!("EKS refuses a subnet in the launch template of node group {group}");
            let cure = "leave it out: the node group's own subnets count";
            let path = format!("{path}.{at}.SubnetId");
            found.push(self.finding(Rule::SubnetInNodeGroup, path, message, cure));
        }
    }

    fn placement(&self, found: &mut Findings) {
        let launch = self.launch;
        let Said::Is(key) = &launch.placement else {
            let placed = launch.block == Said::Is(true) || launch.placement == Said::Unknown;
            // Elsewhere what launches may add one.
            let own = [DocumentFormat::RayCluster, DocumentFormat::ParallelCluster];
            let efa = has_efa(launch) || launch.format == DocumentFormat::ParallelCluster;
            if own.contains(&launch.format) && launch.whole && efa && !placed {
                found.push(self.finding(
                    Rule::NoPlacementGroup,
                    launch.at.path("Placement"),
                    "no placement group: EC2 may put the instances far apart",
                    "make a cluster placement group, and name it in Placement.GroupName",
                ));
            }
            return;
        };
        if launch.block == Said::Is(true) {
            found.push(self.finding(
                Rule::BlockWithGroup,
                launch.at.path(key),
                "a Capacity Block places its instances itself, and EC2 finds no capacity for it in \
                 a placement group",
                "leave the placement group out",
            ));
            return;
        }
        if launch.reservation == Said::Is(true) {
            found.push(self.finding(
                Rule::ReservationWithGroup,
                launch.at.path(key),
                "EC2 finds no capacity unless the reservation was made in this placement group",
                "compare the group with PlacementGroupArn of DescribeCapacityReservations, or leave \
                 it out: AWS places the reservations that it provides",
            ));
        }
        if let Said::Is((strategy, path)) = &launch.strategy
            && strategy != "cluster"
        {
            let message = format!("strategy {strategy} keeps the instances apart");
            let cure = "set it to cluster";
            found.push(self.finding(Rule::PlacementStrategy, path.clone(), message, cure));
        }
    }

    fn places(&self, found: &mut Findings) {
        for places in &self.launch.places {
            let message = format!("{}: EFA traffic crosses no zone", places.what);
            let cure = "name one";
            found.push(self.finding(Rule::SeveralPlaces, places.path.clone(), message, cure));
        }
    }

    fn metadata(&self, found: &mut Findings) {
        let optional = match &self.launch.tokens_required {
            Said::Is(required) => !required,
            // A part of a launch: the launcher or the account states it.
            Said::Not => self.launch.whole,
            Said::Unknown => false,
        };
        if optional {
            let mut finding = self.finding(
                Rule::ImdsV1,
                self.launch.at.path("MetadataOptions"),
                "the metadata service gives the role's credentials without a session token \
                 (IMDSv1)",
                "set HttpTokens to required in MetadataOptions",
            );
            if self.launch.format == DocumentFormat::RayCluster {
                finding = finding.corrected("MetadataOptions:\n  HttpTokens: required\n");
            }
            found.push(finding);
        }
    }

    fn volumes(&self, found: &mut Findings) {
        for volume in &self.launch.volumes {
            if matches!(volume.encrypted, Said::Not | Said::Is(false)) {
                found.push(self.finding(
                    Rule::VolumeUnencrypted,
                    volume.path.clone(),
                    "the volume is encrypted only where that is the account's default",
                    "set Encrypted to true",
                ));
            }
        }
    }

    fn options(&self, found: &mut Findings) {
        for broken in launch_options::broken(self.launch) {
            let path = self.launch.at.path(broken.at);
            found.push(self.finding(broken.rule, path, broken.message, broken.cure));
        }
    }

    fn unknown(&self, found: &mut Findings) {
        for key in &self.launch.unknown_parameters {
            let message = format!("the launch has no parameter {key}");
            let cure = "spell it as the EC2 API does, or take it out";
            let path = self.launch.at.path(key);
            found.push(self.finding(Rule::UnknownParameter, path, message, cure));
        }
    }
}

/// Whether a launch lists an EFA interface.
pub(super) fn has_efa(launch: &Launch<'_>) -> bool {
    match &launch.interfaces {
        Said::Is(list) => list.iter().any(|entry| is_efa(entry)),
        _ => false,
    }
}

/// Whether an interface is of a type that takes EFA.
pub(super) fn is_efa(entry: &Value) -> bool {
    let kind = field(entry, "InterfaceType").and_then(Value::as_str);
    kind.is_some_and(|kind| InterfaceType::from(kind).is_efa() || kind.starts_with("efa"))
}
