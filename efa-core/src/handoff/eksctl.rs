//! A managed node group for eksctl, which derives the interfaces itself.
//!
//! Origin: eksctl-io/eksctl v0.230.0 of August 2026, `pkg/cfn/builder/network_interfaces.go`,
//! `managed_launch_template.go`, and its JSON schema.

use super::document::{Document, Node, mapping, node, put, yaml_text};
use super::launch_template::{chosen_by_launcher, launch_data_with, not_possible};
use super::prepared::{EKS_IPV6, check_ipv4};
use super::provenance;
use crate::catalog::InstanceType;
use crate::ec2::Market;
use crate::error::{Code, Error, Result};
use crate::launch::{EbsVolume, LaunchData, MarketType};
use crate::layout::{NetworkInterface, violations};
use crate::plan::{Plan, launch};
use crate::tags;
use crate::types::InterfaceType;

/// The version of eksctl whose rule for interfaces and whose schema this follows.
pub const TESTED_EKSCTL_VERSION: &str = "0.230.0";

/// Options of [`Plan::to_eksctl`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct EksctlOptions {
    /// Name of the EKS cluster, which exists.
    pub cluster: String,
    /// Name of the node group; the plan's cluster when absent.
    pub name: Option<String>,
}

impl EksctlOptions {
    /// Creates options for this EKS cluster.
    pub fn new(cluster: impl Into<String>) -> Self {
        Self {
            cluster: cluster.into(),
            name: None,
        }
    }
}

impl Plan {
    /// Returns a ClusterConfig with one managed node group for `eksctl create nodegroup
    /// --config-file`.
    ///
    /// eksctl derives the interfaces from the number of network cards: `efa` on each of them, on
    /// device 0 of card 0 and device 1 of the others, each with an IP address. The document is
    /// written only where that is right for the type.
    ///
    /// # Errors
    /// `handoff.not_prepared` for a group that does not exist yet; `handoff.invalid_option`;
    /// `handoff.not_possible` where the interfaces would be wrong or fewer than planned, and for what
    /// eksctl cannot state: Elastic IPs, a public address, a tenancy (a reservation's, too), a placement
    /// group by its id; in an IPv6-only subnet; and for a plan without a placement group or reservation: eksctl then makes a
    /// group.
    pub fn to_eksctl(&self, options: &EksctlOptions) -> Result<String> {
        check_options(options)?;
        check_expressible(self)?;
        let mut layout = self.layout().clone();
        layout.interfaces = derived_interfaces(self.instance_type());
        let mut data = launch_data_with(self, &layout)?;
        chosen_by_launcher(&mut data);
        let group = node_group(self, options, &data);
        let document = Document::new(mapping! {
            "apiVersion" => "eksctl.io/v1alpha5",
            "kind" => "ClusterConfig",
            "metadata" => mapping! {
                "name" => options.cluster.as_str(),
                "region" => self.region(),
            },
            "managedNodeGroups" => vec![group],
        })
        .comment(
            "metadata.name",
            "The EKS cluster. One that eksctl did not make also needs its vpc here.",
        )
        .comment(
            "managedNodeGroups.0.instanceType",
            "One type: of several, eksctl takes the smallest number of network cards for all.",
        )
        .comment(
            "managedNodeGroups.0.efaEnabled",
            "eksctl derives the interfaces from this, and installs the EFA device plugin.",
        )
        .comment(
            "managedNodeGroups.0.subnets",
            "One subnet, so one zone: EFA does not cross zones.",
        );
        let mut header = provenance::header(self, &layout);
        header.push(format!(
            "Interfaces as eksctl {TESTED_EKSCTL_VERSION} (August 2026) derives them: {}.",
            layout.notation()
        ));
        header.extend(left_out(self));
        Ok(yaml_text(&header, &[document]))
    }
}

/// What of the plan a managed node group does not take from here.
fn left_out(plan: &Plan) -> Option<String> {
    let spec = plan.spec();
    let parts = [
        (
            spec.bootstrap.is_some() || spec.user_data.is_some(),
            "user data",
        ),
        (spec.key_name.is_some(), "key pair"),
        (spec.name_tag.is_some(), "Name tag"),
        (plan.instance_profile().is_some(), "instance profile"),
    ];
    let parts: Vec<&str> = parts
        .into_iter()
        .filter_map(|(is_there, name)| is_there.then_some(name))
        .collect();
    (!parts.is_empty()).then(|| {
        format!(
            "Left out, since the node group has its own: {}.",
            parts.join(", ")
        )
    })
}

fn node_group(plan: &Plan, options: &EksctlOptions, data: &LaunchData) -> Node {
    let mut group = yaml_serde::Mapping::new();
    let name = options.name.as_deref().unwrap_or_else(|| plan.name());
    put(&mut group, "name", name);
    put(&mut group, "instanceType", data.instance_type.as_str());
    put(&mut group, "amiFamily", "AmazonLinux2023");
    put(&mut group, "minSize", plan.spec().count);
    put(&mut group, "maxSize", plan.spec().count);
    put(&mut group, "desiredCapacity", plan.spec().count);
    put(&mut group, "efaEnabled", true);
    if let Some(first) = data.network_interfaces.first() {
        let subnets: Vec<&String> = first.subnet_id.iter().collect();
        put(&mut group, "subnets", node(&subnets));
        put(&mut group, "privateNetworking", true);
        let attached = mapping! { "attachIDs" => node(&first.groups) };
        put(&mut group, "securityGroups", attached);
    }
    if let Some(name) = data.placement_group_name() {
        put(&mut group, "placement", mapping! { "groupName" => name });
    }
    put_capacity(&mut group, data);
    // A node group's own image has a root volume too, where the plan's has none.
    let devices = &data.block_device_mappings;
    let (root, others) = devices.split_at(usize::from(plan.root_volume().is_some()));
    let root = match root.first() {
        Some(root) => root.ebs.clone(),
        None => launch::volume(None, &plan.spec().volume),
    };
    put_volume(&mut group, &root);
    if !others.is_empty() {
        let others = others.iter().map(|device| {
            let mut volume = yaml_serde::Mapping::new();
            put(&mut volume, "volumeName", device.device_name.as_str());
            put_volume(&mut volume, &device.ebs);
            Node::Mapping(volume)
        });
        let others: Vec<Node> = others.collect();
        put(&mut group, "additionalVolumes", others);
    }
    let mut all = yaml_serde::Mapping::new();
    for (key, value) in data.instance_tags().into_iter().flatten() {
        // eksctl names its nodes itself.
        if key != tags::NAME {
            put(&mut all, key, value.as_str());
        }
    }
    put(&mut group, "tags", Node::Mapping(all));
    Node::Mapping(group)
}

/// A volume in eksctl's words.
fn put_volume(group: &mut yaml_serde::Mapping, volume: &EbsVolume) {
    let mut put_number = |key, number: Option<u32>| {
        if let Some(number) = number {
            put(group, key, number);
        }
    };
    put_number("volumeSize", volume.volume_size);
    put_number("volumeIOPS", volume.iops);
    put_number("volumeThroughput", volume.throughput);
    put(group, "volumeType", volume.volume_type.as_str());
    put(group, "volumeEncrypted", volume.encrypted);
    if let Some(key) = &volume.kms_key_id {
        put(group, "volumeKmsKeyID", key.as_str());
    }
}

/// Market and reservation in eksctl's words.
fn put_capacity(group: &mut yaml_serde::Mapping, data: &LaunchData) {
    let market = data.market_type();
    if market == Some(&MarketType::Spot) {
        put(group, "spot", true);
    }
    if let Some(wanted) = &data.capacity_reservation_specification {
        let preference = wanted.capacity_reservation_preference.as_ref();
        let target = wanted.capacity_reservation_target.as_ref();
        let mut reservation = yaml_serde::Mapping::new();
        if let Some(preference) = preference {
            let key = "capacityReservationPreference";
            put(&mut reservation, key, preference.as_str());
        }
        if let Some(target) = target {
            let id = target.capacity_reservation_id.clone().unwrap_or_default();
            let target = mapping! { "capacityReservationID" => id };
            put(&mut reservation, "capacityReservationTarget", target);
        }
        put(group, "capacityReservation", Node::Mapping(reservation));
    }
    if let Some(block @ MarketType::CapacityBlock) = market {
        let block = mapping! { "marketType" => block.as_str() };
        put(group, "instanceMarketOptions", block);
    }
}

/// `efa` on every network card, as eksctl has it.
pub(crate) fn derived_interfaces(instance_type: &InstanceType) -> Vec<NetworkInterface> {
    let cards = u32::try_from(instance_type.network_cards.len()).unwrap_or(u32::MAX);
    interfaces_of_cards(cards)
}

/// `efa` on this many network cards: device 0 on the first, 1 on the others. Public addresses are
/// left to the subnet.
pub(crate) fn interfaces_of_cards(cards: u32) -> Vec<NetworkInterface> {
    let efa = |card| {
        let mut interface = NetworkInterface::new(card, u32::from(card > 0), InterfaceType::Efa);
        interface.associate_public_ip_address = None;
        interface
    };
    (0..cards).map(efa).collect()
}

fn check_options(options: &EksctlOptions) -> Result<()> {
    for (field, value) in [
        ("cluster", Some(options.cluster.as_str())),
        ("name", options.name.as_deref()),
    ] {
        let inner = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        let bad = |v: &str| {
            v.len() > 100
                || !v.bytes().all(inner)
                || !v.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric())
        };
        if let Some(value) = value.filter(|value| bad(value)) {
            let limit = "1 to 100 letters, digits, hyphens and underscores";
            return Err(Error::new(
                Code::HandoffInvalidOption,
                format!("{field} is '{value}', must be {limit}"),
            )
            .with_cure(format!("give {limit}"))
            .with_context("field", field)
            .with_context("value", value)
            .with_context("limit", limit));
        }
    }
    Ok(())
}

const TEMPLATE: &str = "write a launch template with \
                        to_launch_template(launcher=eks-managed-node-group) and name it in a managed \
                        node group (launchTemplate.id)";

/// Origin of what is lacking: eksctl's JSON schema, definitions ManagedNodeGroup and Placement, which
/// names a group by its name alone.
fn check_options_expressible(plan: &Plan) -> Result<()> {
    let spec = plan.spec();
    let threads = plan.cpu_options().map(|cpu| cpu.threads_per_core);
    let placement = launch::placement(plan);
    let by_id = placement.as_ref().and_then(|p| p.group_id.as_deref());
    let lacking = [
        // A reservation has one, too.
        (
            "tenancy",
            plan.capacity()
                .tenancy
                .clone()
                .or_else(|| spec.tenancy.map(|t| t.as_str().to_owned())),
        ),
        // It has the group's ARN, and not the preference without which EC2 launches on demand.
        (
            "capacity",
            matches!(plan.capacity().market, Market::ReservationGroup(_))
                .then(|| spec.capacity.to_string()),
        ),
        ("placement_group_id", by_id.map(str::to_owned)),
        ("threads_per_core", threads.map(|n| n.to_string())),
        ("spot_maximum_price", spec.spot_maximum_price.clone()),
        (
            "metadata_hop_limit",
            spec.metadata_hop_limit.map(|hops| hops.to_string()),
        ),
        (
            "metadata_tags",
            spec.metadata_tags.then(|| "true".to_owned()),
        ),
        (
            "host_names",
            spec.host_names.map(|names| names.as_str().to_owned()),
        ),
        ("interface_tags", spec.interface_tags.keys().next().cloned()),
    ];
    for (field, value) in lacking {
        if let Some(value) = value {
            let message = format!("eksctl's managed node groups have no {field}");
            return Err(not_possible(&message, TEMPLATE, field, &value));
        }
    }
    Ok(())
}

fn check_expressible(plan: &Plan) -> Result<()> {
    let instance_type = plan.instance_type();
    let derived = derived_interfaces(instance_type);
    if let Some(violation) = violations(instance_type, &derived).first() {
        return Err(not_possible(
            &format!(
                "the interfaces that eksctl derives fail for {}: {}",
                instance_type.name, violation.message
            ),
            TEMPLATE,
            "instance_type",
            &instance_type.name,
        ));
    }
    check_ipv4(plan, EKS_IPV6)?;
    let planned = plan.layout().efa_count();
    if planned != derived.len() {
        return Err(not_possible(
            &format!(
                "eksctl derives {} EFA, the plan has {planned}",
                derived.len()
            ),
            TEMPLATE,
            "efa",
            &planned.to_string(),
        ));
    }
    check_options_expressible(plan)?;
    let public = plan.layout().public_ip;
    if public != crate::layout::PublicIp::None {
        return Err(not_possible(
            "eksctl leaves public IP addresses to the subnet",
            "plan with public_ip none, or use Client.apply",
            "public_ip",
            public.as_str(),
        ));
    }
    if plan.placement_group().is_none()
        && matches!(plan.capacity().market, Market::OnDemand | Market::Spot)
    {
        return Err(not_possible(
            "eksctl makes a cluster placement group where none is named, and the plan has none",
            TEMPLATE,
            "placement",
            "none",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::catalog::Catalog;
    use crate::fixtures::{plan, prepared_plan, reservation};
    use crate::handoff::check;
    use crate::spec::{Capacity, ClusterSpec};

    fn spec(instance_type: &str) -> ClusterSpec {
        ClusterSpec::new("train", instance_type, 2, "subnet-00000001", "ami-00000001")
    }

    #[test]
    fn it_is_written_where_eksctl_derives_the_right_interfaces() {
        for (name, efas) in [
            ("c7i.48xlarge", 1),
            ("hpc7a.96xlarge", 2),
            ("p4d.24xlarge", 4),
            ("p6-b200.48xlarge", 8),
            ("p5en.48xlarge", 16),
            ("p5.48xlarge", 32),
        ] {
            let plan = prepared_plan(&spec(name));
            let text = plan.to_eksctl(&EksctlOptions::new("eks")).unwrap();
            let document: Value = yaml_serde::from_str(&text).unwrap();
            let group = &document["managedNodeGroups"][0];
            assert_eq!(group["instanceType"], name);
            assert_eq!(group["placement"]["groupName"], "efa-sdk-train");
            assert_eq!(group["securityGroups"]["attachIDs"][0], "sg-1");
            let notation = group["tags"]["efa-sdk:layout"].as_str().unwrap();
            let derived = crate::layout::parse_notation(notation).unwrap();
            assert_eq!(derived.len(), efas);
            assert!(violations(plan.instance_type(), &derived).is_empty());
            let report = check(&text, Catalog::bundled()).unwrap();
            assert!(report.is_clean(), "{report}");
        }
    }

    #[test]
    fn it_is_refused_where_they_are_wrong() {
        let possible = |t: &&crate::InstanceType| {
            violations(t, &derived_interfaces(t)).is_empty()
                && derived_interfaces(t).len() == t.maximum_efa_interfaces as usize
        };
        let refused: Vec<&str> = Catalog::bundled()
            .iter()
            .filter(|t| !possible(t))
            .map(|t| t.name.as_str())
            .collect();
        let expected = [
            "hpc6id.32xlarge",
            "i7ie.48xlarge",
            "i7ie.metal-48xl",
            "i8ge.48xlarge",
            "i8ge.metal-48xl",
            "p6-b300.48xlarge",
            "p6e-gb200.36xlarge",
        ];
        assert_eq!(refused, expected);
        for name in ["hpc6id.32xlarge", "i7ie.48xlarge", "p6-b300.48xlarge"] {
            let error = prepared_plan(&spec(name)).to_eksctl(&EksctlOptions::new("eks"));
            let error = error.unwrap_err();
            assert_eq!(error.code(), Code::HandoffNotPossible, "{name}");
            assert!(error.to_string().contains("to_launch_template"), "{error}");
        }
    }

    #[test]
    fn other_plans_are_refused_too() {
        let options = EksctlOptions::new("eks");
        let code = |plan: Plan| plan.to_eksctl(&options).unwrap_err().code();
        assert_eq!(code(plan("p5.48xlarge")), Code::HandoffNotPrepared);
        let mut one = spec("p5.48xlarge");
        one.efa = Some(1);
        assert_eq!(code(prepared_plan(&one)), Code::HandoffNotPossible);
        let mut alone = spec("p5.48xlarge");
        alone.placement_group = crate::spec::PlacementGroupChoice::None;
        assert_eq!(code(prepared_plan(&alone)), Code::HandoffNotPossible);
        let plan = prepared_plan(&spec("p5.48xlarge"));
        let error = plan.to_eksctl(&EksctlOptions::new("")).unwrap_err();
        assert_eq!(error.code(), Code::HandoffInvalidOption);
    }

    #[test]
    fn what_eksctl_cannot_say_is_refused_by_name() {
        type Change = fn(&mut ClusterSpec, &mut crate::plan::Observations);
        let reserved =
            |spec: &mut ClusterSpec, seen: &mut crate::plan::Observations, tenancy: &str| {
                spec.capacity = Capacity::Reservation("cr-1".to_owned());
                let mut reservation = reservation("default", &spec.instance_type);
                tenancy.clone_into(&mut reservation.tenancy);
                seen.reservations = vec![reservation];
            };
        let written = |change: &dyn Fn(&mut ClusterSpec, &mut crate::plan::Observations)| {
            let mut spec = spec("p5.48xlarge");
            let mut seen = crate::fixtures::seen(&spec);
            change(&mut spec, &mut seen);
            let plan = crate::fixtures::decide_plan(&spec, seen).unwrap();
            plan.prepared("sg-1".to_owned())
                .to_eksctl(&EksctlOptions::new("eks"))
        };
        let cases: [(&str, Change); 2] = [
            ("tenancy", |spec, _| {
                spec.tenancy = Some(crate::spec::Tenancy::Dedicated);
            }),
            ("placement_group_id", |spec, seen| {
                let id = "pg-0123456789abcdef0";
                spec.placement_group = crate::spec::PlacementGroupChoice::Use(id.to_owned());
                seen.placement_group = Some(crate::ec2::PlacementGroup {
                    group_id: id.to_owned(),
                    group_arn: None,
                    group_name: "shared".to_owned(),
                    strategy: crate::types::PlacementStrategy::Cluster,
                    state: "available".to_owned(),
                    tags: crate::ec2::Tags::new(),
                });
            }),
        ];
        for (field, change) in cases {
            let error = written(&|spec, seen| change(spec, seen)).unwrap_err();
            assert_eq!(error.code(), Code::HandoffNotPossible, "{error}");
            let named = error.context().iter().any(|(_, value)| value == field);
            assert!(named, "{field}: {error:?}");
        }
        let error = written(&|spec, seen| reserved(spec, seen, "dedicated")).unwrap_err();
        assert!(error.to_string().contains("tenancy"), "{error}");
        let text = written(&|spec, seen| reserved(spec, seen, "default")).unwrap();
        assert!(text.contains("capacityReservationID: cr-1"), "{text}");
    }

    #[test]
    fn spot_is_eksctls_own_word() {
        let mut spot = spec("p4d.24xlarge");
        spot.capacity = Capacity::Spot;
        spot.key_name = Some("key".to_owned());
        let text = prepared_plan(&spot).to_eksctl(&EksctlOptions::new("eks"));
        let text = text.unwrap();
        assert!(text.contains("has its own: key pair."), "{text}");
        let document: Value = yaml_serde::from_str(&text).unwrap();
        assert_eq!(document["managedNodeGroups"][0]["spot"], true);
    }
}
