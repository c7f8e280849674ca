//! Karpenter's manifests: EC2NodeClass and NodePool of the AWS provider, and what runs on them.
//!
//! Origin: the provider's CRDs and documentation (aws/karpenter-provider-aws v1.14.1), and its
//! controller where the CRDs are silent (`pkg/providers/launchtemplate`,
//! `pkg/providers/instancetype`).

use super::document::{Document, Node, mapping, yaml_text};
use super::launch_template::{launch_data_with, not_possible};
use super::prepared::check_prepared;
use super::provenance;
use crate::error::Result;
use crate::launch::LaunchData;
use crate::layout::Layout;
use crate::plan::Plan;
use crate::tags;

mod interfaces;
mod node_class;
mod node_pool;
mod options;
mod workload;

pub use options::{KarpenterInterfaces, KarpenterOptions, KarpenterWorkload};
use options::{check_taint, invalid, name};

pub(crate) use interfaces::{
    dynamic_interfaces, interfaces_text, node_class_interfaces, rewritten,
};
pub(crate) use workload::EFA_RESOURCE;

/// The version of aws/karpenter-provider-aws whose CRDs the documents are tested against.
pub const TESTED_KARPENTER_VERSION: &str = "1.14.1";

impl Plan {
    /// Karpenter's manifests for this plan as YAML: an EC2NodeClass and a NodePool of one type in
    /// one zone, then the workloads that the options name, and with huge pages a NodeOverlay.
    ///
    /// The interfaces of a plan with `efa` are rewritten to `interface` and `efa-only` on the same
    /// network card, with as many EFAs.
    ///
    /// # Errors
    /// `handoff.not_prepared` for a group or profile that does not exist yet;
    /// `handoff.invalid_option`; `handoff.not_possible` with Elastic IPs, with an image that is
    /// none for EKS nodes, without a role, and for interfaces that Karpenter cannot give.
    pub fn to_karpenter(&self, options: &KarpenterOptions) -> Result<String> {
        let writer = Writer::new(self, options)?;
        let mut documents = vec![writer.node_class()?, writer.node_pool()];
        documents.extend(writer.node_overlay());
        documents.extend(writer.workloads()?);
        let mut header = provenance::header(self, &writer.layout);
        header.push(format!(
            "For Karpenter with the AWS provider, tested against the CRDs of v{TESTED_KARPENTER_VERSION}."
        ));
        header.extend(writer.notes());
        Ok(yaml_text(&header, &documents))
    }

    /// Values for the Helm chart `aws-efa-k8s-device-plugin` (aws/eks-charts) as YAML: without the
    /// plugin no node offers `vpc.amazonaws.com/efa`. Of the options only `taint` counts.
    ///
    /// # Errors
    /// `handoff.invalid_option` for the taint.
    pub fn to_efa_device_plugin_values(&self, options: &KarpenterOptions) -> Result<String> {
        check_taint(&options.taint)?;
        let values = mapping! {
            "supportedInstanceLabels" => mapping! {
                "keys" => vec![Node::from(INSTANCE_TYPE_LABEL)],
                "values" => vec![Node::from(self.spec.instance_type.as_str())],
            },
            "tolerations" => vec![toleration(&options.taint)],
        };
        let document = Document::new(values)
            .comment(
                "supportedInstanceLabels.values",
                "These replace the chart's own list: add every other EFA type of the cluster, or \
                 leave\nsupportedInstanceLabels out where the chart knows the type.",
            )
            .comment(
                "tolerations",
                "These replace the chart's own too: add one for each further taint of EFA nodes.",
            );
        let mut header = provenance::header(self, &self.layout);
        header.push(
            "helm upgrade --install aws-efa-k8s-device-plugin eks/aws-efa-k8s-device-plugin \
             --namespace kube-system --values <this file>"
                .to_owned(),
        );
        Ok(yaml_text(&header, &[document]))
    }
}

const INSTANCE_TYPE_LABEL: &str = "node.kubernetes.io/instance-type";

/// A plan as Karpenter can launch it, and how.
struct Writer<'a> {
    plan: &'a Plan,
    /// The interfaces that Karpenter gives.
    layout: Layout,
    /// The launch with these interfaces.
    data: LaunchData,
    options: &'a KarpenterOptions,
    name: String,
}

impl<'a> Writer<'a> {
    fn new(plan: &'a Plan, options: &'a KarpenterOptions) -> Result<Self> {
        check_expressible(plan)?;
        check_taint(&options.taint)?;
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
        let mut layout = plan.layout.clone();
        layout.interfaces = interfaces::of(plan, options.interfaces)?;
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
    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.layout.interfaces != self.plan.layout.interfaces {
            notes.push(format!(
                "Interfaces: {} (the plan's are {}).",
                self.layout.notation(),
                self.plan.layout.notation()
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
        if self.plan.spec.key_name.is_some() {
            notes.push("The plan's key pair is left out: Karpenter gives nodes none.".to_owned());
        }
        if self.plan.spec.bootstrap.is_some() {
            notes.push(
                "The plan's bootstrap is left out: EKS's images for EFA bring the driver, and \
                 containers the rest."
                    .to_owned(),
            );
        }
        notes
    }

    fn efa_only_on_card_0(&self) -> bool {
        let mut interfaces = self.layout.interfaces.iter();
        interfaces.any(|i| i.network_card_index.get() == 0 && !i.interface_type.carries_ip())
    }

    /// `ENILimitedPods` of Karpenter's `pkg/providers/instancetype/types.go`.
    fn maximum_pods(&self) -> Option<u32> {
        let instance_type = &self.plan.instance_type;
        let card = instance_type.network_cards.first()?;
        let addresses = instance_type.ipv4_addresses_per_interface?;
        let usable = card
            .maximum_network_interfaces
            .checked_sub(u32::from(self.efa_only_on_card_0()))?;
        Some(usable * addresses.saturating_sub(1) + 2)
    }

    fn is_dynamic(&self) -> bool {
        self.options.interfaces == KarpenterInterfaces::Dynamic
    }
}

fn check_expressible(plan: &Plan) -> Result<()> {
    if plan.wants_elastic_ips() {
        return Err(not_possible(
            "Karpenter cannot give Elastic IPs",
            "plan with public_ip none, or use Client.apply",
            "public_ip",
            plan.layout.public_ip.as_str(),
        ));
    }
    Ok(())
}

/// A toleration of the taint, whatever its value.
fn toleration(taint: &str) -> Node {
    mapping! { "key" => taint, "operator" => "Exists", "effect" => "NoSchedule" }
}

#[cfg(test)]
mod tests;
