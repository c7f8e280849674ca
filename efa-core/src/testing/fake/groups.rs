//! Security groups and placement groups, with what keeps them from being deleted.

use super::refusal::{Answer, refuse, unknown_group, unknown_placement_group};
use super::region::anywhere;
use super::state::{Kind, State};
use crate::ec2::{CreateSecurityGroup, Direction, Peer, PlacementGroup, Rule, SecurityGroup, Tags};
use crate::types::PlacementStrategy;

impl State {
    pub(super) fn listed_security_groups(&mut self) -> Vec<SecurityGroup> {
        let unseen = self.unseen(Kind::SecurityGroup);
        let shown = self.security_groups.iter();
        shown
            .filter(|group| !unseen.contains(&group.group_id))
            .cloned()
            .collect()
    }

    pub(super) fn listed_placement_groups(&mut self) -> Vec<PlacementGroup> {
        let unseen = self.unseen(Kind::PlacementGroup);
        let shown = self.placement_groups.iter();
        shown
            .filter(|group| !unseen.contains(&group.group_name))
            .cloned()
            .collect()
    }

    /// CreateSecurityGroup. The name is checked at the source, however new its owner is.
    pub(super) fn create_security_group(
        &mut self,
        request: &CreateSecurityGroup,
    ) -> Answer<String> {
        if !self.vpcs.iter().any(|vpc| vpc.vpc_id == request.vpc_id) {
            let message = format!("The vpc ID '{}' does not exist", request.vpc_id);
            return refuse("InvalidVpcID.NotFound", message);
        }
        let taken = |group: &SecurityGroup| {
            group.group_name == request.group_name && group.vpc_id == request.vpc_id
        };
        if self.security_groups.iter().any(taken) {
            let message = format!(
                "The security group '{}' already exists for VPC '{}'",
                request.group_name, request.vpc_id
            );
            return refuse("InvalidGroup.Duplicate", message);
        }
        let group_id = self.id("sg");
        self.security_groups.push(SecurityGroup {
            group_id: group_id.clone(),
            group_name: request.group_name.clone(),
            vpc_id: request.vpc_id.clone(),
            ingress: Vec::new(),
            egress: vec![anywhere()],
            tags: request.tags.clone(),
        });
        self.born(Kind::SecurityGroup, &group_id);
        Ok(group_id)
    }

    pub(super) fn authorize(
        &mut self,
        group_id: &str,
        direction: Direction,
        rule: &Rule,
    ) -> Answer<()> {
        self.check_group(group_id)?;
        if let Peer::SecurityGroup(peer) = &rule.peer
            && peer != group_id
        {
            self.check_group(peer)?;
        }
        let known = |group: &&mut SecurityGroup| group.group_id == group_id;
        let Some(group) = self.security_groups.iter_mut().find(known) else {
            return Err(unknown_group(group_id));
        };
        let rules = match direction {
            Direction::Ingress => &mut group.ingress,
            Direction::Egress => &mut group.egress,
        };
        if rules.contains(rule) {
            let message = format!("the specified rule \"{rule}, ALLOW\" already exists");
            return refuse("InvalidPermission.Duplicate", message);
        }
        rules.push(rule.clone());
        rules.sort();
        Ok(())
    }

    /// Refuses a group that does not exist, or not yet for this call.
    pub(super) fn check_group(&mut self, group_id: &str) -> Answer<()> {
        let exists = self.security_groups.iter().any(|g| g.group_id == group_id);
        if exists && self.sees(Kind::SecurityGroup, group_id) {
            return Ok(());
        }
        Err(unknown_group(group_id))
    }

    /// DeleteSecurityGroup: refused while an interface or another group's rule uses the group.
    pub(super) fn delete_security_group(&mut self, group_id: &str) -> Answer<()> {
        self.check_group(group_id)?;
        let has = |ids: &[String]| ids.iter().any(|id| id == group_id);
        let by_interface = self
            .live()
            .flat_map(|instance| &instance.interfaces)
            .any(|interface| has(&interface.group_ids))
            || self.leftovers.iter().any(|left| has(&left.group_ids));
        let named = Peer::SecurityGroup(group_id.to_owned());
        let by_rule = self
            .security_groups
            .iter()
            .filter(|other| other.group_id != group_id)
            .flat_map(|other| other.ingress.iter().chain(&other.egress))
            .any(|rule| rule.peer == named);
        if by_interface || by_rule {
            let message = format!("resource {group_id} has a dependent object");
            return refuse("DependencyViolation", message);
        }
        self.security_groups.retain(|g| g.group_id != group_id);
        self.gone(Kind::SecurityGroup, group_id);
        Ok(())
    }

    /// CreatePlacementGroup with strategy `cluster`.
    pub(super) fn create_placement_group(&mut self, name: &str, tags: &Tags) -> Answer<()> {
        if self.placement_groups.iter().any(|g| g.group_name == name) {
            let message = format!("The placement group '{name}' already exists.");
            return refuse("InvalidPlacementGroup.Duplicate", message);
        }
        let group = PlacementGroup {
            group_id: self.id("pg"),
            group_arn: Some(format!(
                "arn:aws:ec2:{}:{}:placement-group/{name}",
                self.region,
                super::account::ACCOUNT
            )),
            group_name: name.to_owned(),
            strategy: PlacementStrategy::Cluster,
            state: "available".to_owned(),
            tags: tags.clone(),
        };
        self.placement_groups.push(group);
        self.born(Kind::PlacementGroup, name);
        Ok(())
    }

    /// Refuses a placement group that does not exist, or not yet for this call.
    pub(super) fn check_placement_group(&mut self, name: &str) -> Answer<()> {
        let exists = self.placement_groups.iter().any(|g| g.group_name == name);
        if exists && self.sees(Kind::PlacementGroup, name) {
            return Ok(());
        }
        Err(unknown_placement_group(name))
    }

    /// DeletePlacementGroup: refused while an instance in it is not terminated.
    pub(super) fn delete_placement_group(&mut self, name: &str) -> Answer<()> {
        self.check_placement_group(name)?;
        let mut members = self.live();
        if members.any(|i| i.placement_group_name.as_deref() == Some(name)) {
            let message = format!("The placement group '{name}' is in use and may not be deleted.");
            return refuse("InvalidPlacementGroup.InUse", message);
        }
        drop(members);
        self.placement_groups.retain(|g| g.group_name != name);
        self.gone(Kind::PlacementGroup, name);
        Ok(())
    }
}
