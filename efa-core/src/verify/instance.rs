//! Whether EC2 gives one instance what EFA needs, whoever launched it. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::report::{Finding, RELAUNCH, Report};
use crate::catalog::InstanceType;
use crate::ec2::{AttachedInterface, Instance, InstanceState, SecurityGroup};
use crate::layout;
use crate::plan::security_group::{commands_that_add, missing_self_rules};
use crate::tags;
use crate::types::{CardIndex, DeviceIndex, InterfaceType};

/// One instance's EFA interfaces as EC2 sees them, and the peers that they can reach.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct InstanceReport {
    /// `i-…`
    pub instance_id: String,
    /// Its type.
    pub instance_type: String,
    /// The cluster of efa-sdk that it belongs to, by its tags.
    pub cluster: Option<String>,
    /// Its EFA interfaces.
    pub efa_interfaces: u32,
    /// EFA interfaces that its type can have.
    pub maximum_efa_interfaces: u32,
    /// Ids of the running instances with EFA that share a security group with it, sorted.
    pub peers: Vec<String>,
    /// How many comparisons were made.
    pub checks: usize,
    /// What is wrong; empty when nothing is.
    pub findings: Vec<Finding>,
}

/// What EC2 reports of an instance and those around it.
#[derive(Debug)]
pub(crate) struct Surroundings<'a> {
    pub(crate) instance: &'a Instance,
    pub(crate) instance_type: &'a InstanceType,
    /// The groups of its EFA interfaces.
    pub(crate) groups: &'a [SecurityGroup],
    /// Instances with one of these groups, itself among them or not.
    pub(crate) members: &'a [Instance],
}

impl InstanceReport {
    /// Returns whether nothing is wrong.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.findings.is_empty()
    }

    /// Returns the text form as HTML, for notebooks.
    #[must_use]
    pub fn to_html(&self) -> String {
        crate::html::preformatted(&self.to_string())
    }

    /// Adds what the plan of its cluster asks of this instance.
    pub(crate) fn add_plan(&mut self, plan: &Report) {
        self.checks += plan.checks;
        for finding in &plan.findings {
            let same = |known: &Finding| {
                (&known.check, &known.subject) == (&finding.check, &finding.subject)
            };
            if finding.subject.split(' ').next() == Some(&self.instance_id)
                && !self.findings.iter().any(same)
            {
                self.findings.push(finding.clone());
            }
        }
    }

    fn expect(
        &mut self,
        check: &str,
        subject: &str,
        (expected, actual): (String, String),
        cure: impl Into<String>,
    ) {
        self.checks += 1;
        if expected != actual {
            self.findings.push(Finding {
                check: check.to_owned(),
                subject: subject.to_owned(),
                expected,
                actual,
                cure: cure.into(),
            });
        }
    }
}

fn efas(instance: &Instance) -> Vec<&AttachedInterface> {
    instance
        .interfaces
        .iter()
        .filter(|interface| interface.interface_type.is_efa())
        .collect()
}

/// Ids of the security groups of an instance's EFA interfaces.
pub(crate) fn efa_group_ids(instance: &Instance) -> BTreeSet<&str> {
    efas(instance)
        .into_iter()
        .flat_map(|interface| interface.group_ids.iter().map(String::as_str))
        .collect()
}

/// Checks one instance.
pub(crate) fn check_instance(around: &Surroundings<'_>, cluster: Option<String>) -> InstanceReport {
    let Surroundings {
        instance,
        instance_type,
        ..
    } = around;
    let attached = efas(instance);
    let mut report = InstanceReport {
        instance_id: instance.instance_id.clone(),
        instance_type: instance.instance_type.clone(),
        cluster,
        efa_interfaces: u32::try_from(attached.len()).unwrap_or(u32::MAX),
        maximum_efa_interfaces: instance_type.maximum_efa_interfaces,
        peers: Vec::new(),
        checks: 0,
        findings: Vec::new(),
    };
    let id = instance.instance_id.as_str();
    let state = (
        InstanceState::Running.to_string(),
        instance.state.to_string(),
    );
    report.expect("state", id, state, "start it");
    check_interfaces(&mut report, instance, instance_type);
    let subnets: BTreeSet<&str> = attached.iter().map(|i| i.subnet_id.as_str()).collect();
    let subnets: Vec<&str> = subnets.into_iter().collect();
    let one_subnet = subnets.first().copied().unwrap_or("none").to_owned();
    report.expect(
        "subnet",
        id,
        (one_subnet, subnets_text(&subnets)),
        "put all EFA interfaces of an instance in one subnet: EFA traffic does not leave it by default",
    );
    check_groups(&mut report, &attached, around.groups);
    check_peers(&mut report, around);
    report
}

fn subnets_text(subnets: &[&str]) -> String {
    match subnets {
        [] => "none".to_owned(),
        subnets => subnets.join(" and "),
    }
}

/// The interfaces that a tag of efa-sdk names, as another launcher puts it on what it launches
/// from a document of efa-sdk, and those that are attached; `None` without such a tag.
fn against_planned(instance: &Instance) -> Option<(String, String)> {
    let planned = layout::parse_notation(instance.tags.get(tags::LAYOUT)?).ok()?;
    let mut planned: Vec<_> = planned
        .into_iter()
        .map(|i| (i.network_card_index, i.device_index, i.interface_type))
        .collect();
    let mut attached: Vec<_> = instance
        .interfaces
        .iter()
        .map(|i| {
            (
                i.network_card_index,
                i.device_index,
                i.interface_type.clone(),
            )
        })
        .collect();
    planned.sort_unstable_by_key(|i| (i.0, i.1));
    attached.sort_unstable_by_key(|i| (i.0, i.1));
    let text = |interfaces: Vec<(CardIndex, DeviceIndex, InterfaceType)>| {
        let texts = interfaces
            .iter()
            .map(|(card, device, kind)| format!("{card}:{device}={}", kind.as_str()));
        texts.collect::<Vec<_>>().join(" ")
    };
    Some((text(planned), text(attached)))
}

fn check_interfaces(
    report: &mut InstanceReport,
    instance: &Instance,
    instance_type: &InstanceType,
) {
    let (id, maximum) = (report.instance_id.clone(), report.maximum_efa_interfaces);
    if !instance_type.efa_supported {
        let texts = (
            "a type that supports EFA".to_owned(),
            report.instance_type.clone(),
        );
        report.expect(
            "instance_type",
            &id,
            texts,
            "choose one from efa_sdk.Catalog",
        );
        return;
    }
    // In a cluster of efa-sdk the plan decides, which may ask for fewer.
    if report.cluster.is_some() && report.efa_interfaces > 0 {
        return;
    }
    if let Some((planned, attached)) = against_planned(instance) {
        report.expect(
            "interfaces",
            &id,
            (planned, attached),
            format!("{RELAUNCH}, with the planned interfaces"),
        );
        return;
    }
    let texts = (
        format!("{maximum} EFA interfaces"),
        format!("{} EFA interfaces", report.efa_interfaces),
    );
    report.expect(
        "efa_interfaces",
        &id,
        texts,
        format!("{RELAUNCH}, with the interfaces of a layout"),
    );
}

/// Some group of each EFA interface must let all traffic pass to itself, ingress and egress.
fn check_groups(
    report: &mut InstanceReport,
    attached: &[&AttachedInterface],
    groups: &[SecurityGroup],
) {
    let by_id: BTreeMap<&str, &SecurityGroup> =
        groups.iter().map(|g| (g.group_id.as_str(), g)).collect();
    let sets: BTreeSet<&[String]> = attached.iter().map(|i| i.group_ids.as_slice()).collect();
    for ids in sets {
        let known: Vec<&SecurityGroup> = ids
            .iter()
            .filter_map(|id| by_id.get(id.as_str()).copied())
            .collect();
        let open = known
            .iter()
            .any(|group| missing_self_rules(group).is_empty());
        let both = "a group with self-referencing ingress and egress of all protocols".to_owned();
        let (actual, cure) = match known.first() {
            _ if open => (both.clone(), String::new()),
            None => (
                "no group that can be read".to_owned(),
                "allow ec2:DescribeSecurityGroups".to_owned(),
            ),
            Some(first) => {
                let missing = missing_self_rules(first);
                let names: Vec<&str> = missing.iter().map(|d| d.as_str()).collect();
                (
                    format!("{} lacks {}", first.group_id, names.join(" and ")),
                    format!("run: {}", commands_that_add(&missing, &first.group_id)),
                )
            }
        };
        report.expect("security_group_rule", &ids.join(" "), (both, actual), cure);
    }
}

/// EFA traffic does not cross zones, and is slower outside the placement group.
fn check_peers(report: &mut InstanceReport, around: &Surroundings<'_>) {
    let own = around.instance;
    let groups = efa_group_ids(own);
    let mut peers: Vec<&Instance> = around
        .members
        .iter()
        .filter(|peer| {
            peer.instance_id != own.instance_id
                && peer.state == InstanceState::Running
                && efa_group_ids(peer).iter().any(|id| groups.contains(id))
        })
        .collect();
    peers.sort_by(|a, b| a.instance_id.cmp(&b.instance_id));
    let placement = |instance: &Instance| {
        instance
            .placement_group_name
            .clone()
            .unwrap_or_else(|| "none".to_owned())
    };
    for peer in peers {
        let id = peer.instance_id.clone();
        let zones = (
            own.availability_zone.clone(),
            peer.availability_zone.clone(),
        );
        report.expect(
            "availability_zone",
            &id,
            zones,
            "launch both in one zone: EFA traffic does not cross zones",
        );
        report.expect(
            "placement_group",
            &id,
            (placement(own), placement(peer)),
            "launch both in one cluster placement group",
        );
        report.peers.push(id);
    }
}

impl fmt::Display for InstanceReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} ({}): {} of {} EFA interfaces, {} peers, {} checks, ",
            self.instance_id,
            self.instance_type,
            self.efa_interfaces,
            self.maximum_efa_interfaces,
            self.peers.len(),
            self.checks
        )?;
        if self.is_healthy() {
            return writeln!(f, "as EFA needs it");
        }
        writeln!(f, "{} findings", self.findings.len())?;
        for finding in &self.findings {
            writeln!(
                f,
                "  {} of {}: expected {}, is {}; {}",
                finding.check, finding.subject, finding.expected, finding.actual, finding.cure
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Catalog;
    use crate::ec2::{Rule, Tags};
    use crate::fixtures;

    fn instance(id: &str, efas: u32) -> Instance {
        let interface = |card: u32| AttachedInterface {
            network_interface_id: format!("eni-{card}"),
            network_card_index: CardIndex::new(card),
            device_index: DeviceIndex::new(u32::from(card > 0)),
            interface_type: InterfaceType::Efa,
            subnet_id: "subnet-00000001".to_owned(),
            group_ids: vec!["sg-1".to_owned()],
            private_ip_address: None,
            ipv6_addresses: Vec::new(),
            public_ip: None,
            delete_on_termination: true,
        };
        let mut instance = fixtures::instance(id, 0);
        instance.instance_type = "p4d.24xlarge".to_owned();
        instance.placement_group_name = Some("near".to_owned());
        instance.interfaces = (0..efas).map(interface).collect();
        instance
    }

    fn group() -> SecurityGroup {
        let rules = vec![Rule::all_traffic_with_group("sg-1")];
        SecurityGroup {
            group_id: "sg-1".to_owned(),
            group_name: "efa".to_owned(),
            vpc_id: "vpc-1".to_owned(),
            ingress: rules.clone(),
            egress: rules,
            tags: Tags::new(),
        }
    }

    fn findings(
        change: impl FnOnce(&mut Instance, &mut Vec<SecurityGroup>, &mut Instance),
    ) -> Vec<(String, String)> {
        let (mut own, mut peer, mut groups) =
            (instance("i-1", 4), instance("i-2", 4), vec![group()]);
        change(&mut own, &mut groups, &mut peer);
        let members = [own.clone(), peer];
        let report = check_instance(
            &Surroundings {
                instance: &own,
                instance_type: Catalog::bundled().require(&own.instance_type).unwrap(),
                groups: &groups,
                members: &members,
            },
            None,
        );
        assert_eq!(report.is_healthy(), report.findings.is_empty());
        report
            .findings
            .into_iter()
            .map(|f| (f.check, f.actual))
            .collect()
    }

    #[test]
    fn a_healthy_instance_has_no_findings() {
        assert_eq!(findings(|_, _, _| {}), []);
    }

    #[test]
    fn each_fault_is_one_finding() {
        type Change = fn(&mut Instance, &mut Vec<SecurityGroup>, &mut Instance);
        let cases: [(&str, &str, Change); 8] = [
            ("state", "stopped", |own, _, _| {
                own.state = InstanceState::Stopped
            }),
            ("efa_interfaces", "3 EFA interfaces", |own, _, _| {
                own.interfaces.truncate(3)
            }),
            ("efa_interfaces", "3 EFA interfaces", |own, _, _| {
                own.interfaces[2].interface_type = InterfaceType::Interface
            }),
            (
                "subnet",
                "subnet-00000001 and subnet-00000002",
                |own, _, _| own.interfaces[1].subnet_id = "subnet-00000002".into(),
            ),
            (
                "security_group_rule",
                "sg-1 lacks egress",
                |_, groups, _| groups[0].egress.clear(),
            ),
            (
                "security_group_rule",
                "no group that can be read",
                |_, groups, _| groups.clear(),
            ),
            ("availability_zone", "us-east-1b", |_, _, peer| {
                peer.availability_zone = "us-east-1b".into()
            }),
            ("placement_group", "none", |_, _, peer| {
                peer.placement_group_name = None
            }),
        ];
        for (name, actual, change) in cases {
            assert_eq!(findings(change), [(name.to_owned(), actual.to_owned())]);
        }
    }

    #[test]
    fn an_instance_without_efa() {
        let found = findings(|own, _, _| own.interfaces.clear());
        assert_eq!(
            found,
            [("efa_interfaces".to_owned(), "0 EFA interfaces".to_owned())]
        );
    }

    #[test]
    fn the_tag_of_a_document_says_what_was_planned() {
        let legacy = "0:0=efa 1-3:1=efa";
        let tagged = |layout: &'static str| {
            findings(move |own, _, _| {
                own.tags.insert(tags::LAYOUT.to_owned(), layout.to_owned());
            })
        };
        assert_eq!(tagged(legacy), []);
        let attached = "0:0=efa 1:1=efa 2:1=efa 3:1=efa".to_owned();
        let expected = [("interfaces".to_owned(), attached)];
        assert_eq!(tagged("0:0=interface 0:1=efa-only"), expected);
        // Someone else's text: the type decides.
        assert_eq!(tagged("not of efa-sdk"), []);
        let fewer = findings(|own, _, _| {
            own.interfaces.truncate(1);
            own.tags
                .insert(tags::LAYOUT.to_owned(), "0:0=efa".to_owned());
        });
        assert_eq!(fewer, []);
    }

    #[test]
    fn who_is_no_peer() {
        let foreign = findings(|_, _, peer| {
            peer.availability_zone = "us-east-1b".into();
            for interface in &mut peer.interfaces {
                interface.group_ids = vec!["sg-2".into()];
            }
        });
        assert_eq!(foreign, []);
        let gone = findings(|_, _, peer| {
            peer.availability_zone = "us-east-1b".into();
            peer.state = InstanceState::Stopped;
        });
        assert_eq!(gone, []);
    }
}
