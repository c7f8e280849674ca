//! A plan as Karpenter can launch it, from which every document is written.

use super::interfaces;
use super::options::{
    KarpenterInterfaces, KarpenterOptions, check_names, check_taint, invalid, name,
};
use crate::ec2::Market;
use crate::error::Result;
use crate::handoff::document::{Node, mapping};
use crate::handoff::launch_template::{launch_data_with, not_possible};
use crate::handoff::prepared::{EKS_IPV6, check_ipv4, check_prepared};
use crate::launch::LaunchData;
use crate::layout::Layout;
use crate::plan::Plan;
use crate::tags;

/// The label by which nodes name their type.
pub(super) const INSTANCE_TYPE_LABEL: &str = "node.kubernetes.io/instance-type";

/// A plan as Karpenter can launch it, and how.
pub(super) struct Writer<'a> {
    pub(super) plan: &'a Plan,
    /// The interfaces that Karpenter gives.
    pub(super) layout: Layout,
    /// The launch with these interfaces.
    pub(super) data: LaunchData,
    pub(super) options: &'a KarpenterOptions,
    pub(super) name: String,
}

impl<'a> Writer<'a> {
    pub(super) fn new(plan: &'a Plan, options: &'a KarpenterOptions) -> Result<Self> {
        check_expressible(plan)?;
        check_taint(&options.taint)?;
        check_names(options)?;
        if !options.workloads.is_empty() && options.image.as_deref().unwrap_or_default().is_empty()
        {
            return Err(invalid(
                "image",
                "",
                "a container image with Python, efa-sdk and the EFA software, for the workloads",
            ));
        }
        if !options.huge_pages_mib.is_multiple_of(2) {
            let value = options.huge_pages_mib.to_string();
            return Err(invalid("huge_pages_mib", &value, "a multiple of 2"));
        }
        if options.maximum_nodes.is_some_and(|nodes| nodes == 0) {
            return Err(invalid("maximum_nodes", "0", "1 or more"));
        }
        check_prepared(plan)?;
        let mut layout = plan.layout().clone();
        layout.interfaces = interfaces::node_interfaces(plan, options.interfaces)?;
        let notation = layout.notation();
        if notation.chars().count() > tags::VALUE_LIMIT {
            return Err(not_possible(
                "the interfaces without efa are too many to note in a tag",
                "give runs of network cards the same interfaces",
                "interfaces",
                &notation,
            ));
        }
        Ok(Self {
            data: launch_data_with(plan, &layout)?,
            plan,
            layout,
            options,
            name: name(plan, options)?,
        })
    }

    /// What a reader must know before applying the documents.
    pub(super) fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.layout.interfaces != self.plan.layout().interfaces {
            notes.push(format!(
                "Interfaces: {} (the plan's are {}).",
                self.layout.notation(),
                self.plan.layout().notation()
            ));
        }
        if let Some(pods) = self.maximum_pods() {
            notes.push(format!(
                "Karpenter counts {pods} pods per node: those that the VPC CNI can address on \
                 network card 0{}.",
                if self.efa_only_on_card_0() {
                    ", less one interface for its EFA-only"
                } else {
                    ""
                }
            ));
        }
        if self.plan.spec().key_name.is_some() {
            notes.push("The plan's key pair is left out: Karpenter gives nodes none.".to_owned());
        }
        if self.plan.spec().bootstrap.is_some() {
            notes.push(
                "The plan's bootstrap is left out: EKS's images for EFA bring the driver, and \
                 containers the rest."
                    .to_owned(),
            );
        }
        notes
    }

    pub(super) fn efa_only_on_card_0(&self) -> bool {
        let mut interfaces = self.layout.interfaces.iter();
        interfaces.any(|i| i.network_card_index.get() == 0 && !i.interface_type.carries_ip())
    }

    /// `ENILimitedPods` of Karpenter's `pkg/providers/instancetype/types.go`.
    pub(super) fn maximum_pods(&self) -> Option<u32> {
        let instance_type = self.plan.instance_type();
        let card = instance_type.network_cards.first()?;
        let addresses = instance_type.ipv4_addresses_per_interface?;
        let usable = card
            .maximum_network_interfaces
            .checked_sub(u32::from(self.efa_only_on_card_0()))?;
        Some(usable * addresses.saturating_sub(1) + 2)
    }

    pub(super) fn is_dynamic(&self) -> bool {
        self.options.interfaces == KarpenterInterfaces::Dynamic
    }
}

fn check_expressible(plan: &Plan) -> Result<()> {
    check_ipv4(plan, EKS_IPV6)?;
    if plan.wants_elastic_ips() {
        return Err(not_possible(
            "Karpenter cannot give Elastic IPs",
            "plan with public_ip none, or use Client.apply",
            "public_ip",
            plan.layout().public_ip.as_str(),
        ));
    }
    let spec = plan.spec();
    let threads = plan.cpu_options().map(|cpu| cpu.threads_per_core);
    // Origin: the CRD of karpenter.k8s.aws/v1, whose groups and tags are of all interfaces.
    let lacking = [
        (
            "capacity",
            "resource group of reservations",
            matches!(plan.capacity().market, Market::ReservationGroup(_))
                .then(|| spec.capacity.to_string()),
        ),
        (
            "threads_per_core",
            "CPU options",
            threads.map(|n| n.to_string()),
        ),
        (
            "spot_maximum_price",
            "maximum price of spot",
            spec.spot_maximum_price.clone(),
        ),
        (
            "metadata_tags",
            "tags in the instance metadata",
            spec.metadata_tags.then(|| "true".to_owned()),
        ),
        (
            "host_names",
            "names in private DNS",
            spec.host_names.map(|names| names.as_str().to_owned()),
        ),
        (
            "interface_tags",
            "tags of interfaces alone",
            spec.interface_tags.keys().next().cloned(),
        ),
        (
            "ena_security_groups",
            "security groups of some interfaces alone",
            spec.ena_security_groups.first().map(ToString::to_string),
        ),
    ];
    for (field, what, value) in lacking {
        if let Some(value) = value {
            return Err(not_possible(
                &format!("an EC2NodeClass has no {what}"),
                "plan without it, or use Client.apply",
                field,
                &value,
            ));
        }
    }
    Ok(())
}

/// A toleration of the taint, whatever its value.
pub(super) fn toleration(taint: &str) -> Node {
    mapping! { "key" => taint, "operator" => "Exists", "effect" => "NoSchedule" }
}
