//! Instances: their states on the clock, what they hold, and what ends with them.

use std::time::Duration;

use super::refusal::{Answer, unknown_instance};
use super::state::{Kind, Launched, State};
use crate::ec2::{Instance, InstanceState, InstanceTopology, LaunchedWith, Tags};
use crate::launch::InstanceMetadataTags;

impl State {
    /// Moves every instance to where it is by now.
    pub(super) fn settle(&mut self, now: Duration) {
        self.now = now;
        let mut ended = Vec::new();
        for held in &mut self.instances {
            let age = now.saturating_sub(held.since);
            match held.instance.state {
                InstanceState::Pending
                    if age >= self.settings.launch_time && held.late_failure.is_some() =>
                {
                    held.instance.state = InstanceState::Terminated;
                    held.instance.state_reason = held.late_failure.take();
                    held.since += self.settings.launch_time;
                    ended.push(held.instance.instance_id.clone());
                }
                InstanceState::Pending if age >= self.settings.launch_time => {
                    held.instance.state = InstanceState::Running;
                    held.since += self.settings.launch_time;
                }
                InstanceState::ShuttingDown if age >= self.settings.termination_time => {
                    held.instance.state = InstanceState::Terminated;
                    held.since += self.settings.termination_time;
                    ended.push(held.instance.instance_id.clone());
                }
                _ => {}
            }
        }
        for id in ended {
            self.release(&id);
        }
    }

    /// Gives back what a terminated instance held. EC2 shows it without interfaces.
    fn release(&mut self, instance_id: &str) {
        for held in &mut self.instances {
            if held.instance.instance_id == instance_id {
                held.addresses = 0;
                held.instance.interfaces.clear();
                held.instance.private_ip_address = None;
                held.instance.public_ip_address = None;
                held.instance.iam_instance_profile_arn = None;
            }
        }
        for address in &mut self.addresses {
            if address.instance_id.as_deref() == Some(instance_id) {
                address.association_id = None;
                address.instance_id = None;
                address.network_interface_id = None;
            }
        }
    }

    /// All instances that DescribeInstances knows, terminated ones too.
    pub(super) fn listed_instances(&mut self) -> Vec<Instance> {
        let unseen = self.unseen(Kind::Instance);
        let shown = self.instances.iter().map(|held| &held.instance);
        shown
            .filter(|instance| !unseen.contains(&instance.instance_id))
            .cloned()
            .collect()
    }

    /// DescribeInstanceStatus, a hundred at a time: none of them where EC2 does not see one.
    pub(super) fn states_of(&mut self, ids: &[String]) -> Vec<(String, InstanceState)> {
        let mut found = Vec::with_capacity(ids.len());
        for batch in ids.chunks(100) {
            let unseen = batch.iter().filter(|id| !self.sees(Kind::Instance, id));
            if unseen.count() > 0 {
                continue;
            }
            let state_of = |id: &String| {
                let held = self.instances.iter().map(|held| &held.instance);
                let instance = held.into_iter().find(|i| i.instance_id == *id)?;
                Some((id.clone(), instance.state.clone()))
            };
            let states: Option<Vec<_>> = batch.iter().map(state_of).collect();
            found.extend(states.unwrap_or_default());
        }
        found
    }

    /// What a launch asked for; EC2 forgets it some time after an instance is terminated.
    pub(super) fn launched_with(&self, id: &str) -> Answer<LaunchedWith> {
        let live = self.live().any(|instance| instance.instance_id == id);
        let launched = |launch: &&Launched| launch.instance_ids.iter().any(|one| one == id);
        let found = self.launches.iter().find(launched).filter(|_| live);
        let data = &found.ok_or_else(|| unknown_instance(id))?.request.data;
        Ok(LaunchedWith {
            key_name: data.key_name.clone(),
            tenancy: data.tenancy().map(str::to_owned),
            user_data: data.user_data.clone(),
            block_device_mappings: data.block_device_mappings.clone(),
            cpu_options: data.cpu_options.clone(),
            private_dns_name_options: data.private_dns_name_options.clone(),
            metadata_hop_limit: Some(data.metadata_options.http_put_response_hop_limit),
            metadata_tags: data.metadata_options.instance_metadata_tags
                == Some(InstanceMetadataTags::Enabled),
            interface_tags: data.further_interface_tags(),
            spot_maximum_price: data
                .instance_market_options
                .as_ref()
                .and_then(|market| market.spot_options.as_ref()?.max_price.clone()),
        })
    }

    /// CreateTags on instances: all of them, or none where one is unknown.
    pub(super) fn create_tags(&mut self, ids: &[String], tags: &Tags) -> Answer<()> {
        for id in ids {
            let known = self.live().any(|i| i.instance_id == *id);
            if !known || !self.sees(Kind::Instance, id) {
                return Err(unknown_instance(id));
            }
        }
        for held in &mut self.instances {
            if ids.contains(&held.instance.instance_id) {
                held.instance.tags.extend(tags.clone());
            }
        }
        Ok(())
    }

    /// TerminateInstances: all of them, or none where one is unknown.
    pub(super) fn terminate(&mut self, ids: &[String]) -> Answer<()> {
        for id in ids {
            let known = self.instances.iter().any(|h| h.instance.instance_id == *id);
            if !known || !self.sees(Kind::Instance, id) {
                return Err(unknown_instance(id));
            }
        }
        for id in ids {
            self.end(id, "Client.UserInitiatedShutdown: User initiated shutdown");
        }
        self.settle(self.now);
        Ok(())
    }

    /// Begins an instance's end, for whatever reason.
    pub(super) fn end(&mut self, instance_id: &str, reason: &str) {
        let now = self.now;
        for held in &mut self.instances {
            let ends = matches!(
                held.instance.state,
                InstanceState::Terminated | InstanceState::ShuttingDown
            );
            if held.instance.instance_id == instance_id && !ends {
                held.instance.state = InstanceState::ShuttingDown;
                held.instance.state_reason = Some(reason.to_owned());
                held.since = now;
            }
        }
    }

    /// DescribeInstanceTopology: invented, but steady. Instances of one placement group share the
    /// two upper nodes, and every four of them the bottom one.
    pub(super) fn topology(&self, ids: &[String]) -> Answer<Vec<InstanceTopology>> {
        let mut found = Vec::new();
        for id in ids {
            let named = |i: &&Instance| i.instance_id == *id;
            let instance = self
                .live()
                .find(named)
                .ok_or_else(|| unknown_instance(id))?;
            if instance.state == InstanceState::Running {
                found.push(self.place(instance));
            }
        }
        Ok(found)
    }

    fn place(&self, instance: &Instance) -> InstanceTopology {
        let zone = &instance.availability_zone;
        let group = instance.placement_group_name.as_deref();
        let mut peers = self
            .live()
            .filter(|other| group.is_some() && other.placement_group_name.as_deref() == group);
        let position = peers.position(|other| other.instance_id == instance.instance_id);
        let home = group.unwrap_or(&instance.instance_id);
        let bottom = position.unwrap_or(0) / 4;
        let block = instance.lifecycle.as_deref() == Some("capacity-block");
        InstanceTopology {
            instance_id: instance.instance_id.clone(),
            availability_zone: zone.clone(),
            network_nodes: vec![
                format!("nn-{zone}"),
                format!("nn-{zone}-{home}"),
                format!("nn-{zone}-{home}-{bottom}"),
            ],
            capacity_block_id: instance.capacity_reservation_id.clone().filter(|_| block),
        }
    }
}
