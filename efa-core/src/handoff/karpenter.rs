//! Karpenter's manifests: EC2NodeClass and NodePool of the AWS provider, and what runs on them.
//!
//! Origin: the provider's CRDs and documentation (aws/karpenter-provider-aws v1.14.1), and its
//! controller where the CRDs are silent (`pkg/providers/launchtemplate`,
//! `pkg/providers/instancetype`).

use super::document::{Document, Node, mapping, yaml_text};
use super::provenance;
use crate::error::Result;
use crate::plan::Plan;

mod interfaces;
mod node_class;
mod node_pool;
mod options;
mod workload;
mod writer;

use options::check_taint;
pub use options::{KarpenterInterfaces, KarpenterOptions, KarpenterWorkload};
use writer::{INSTANCE_TYPE_LABEL, Writer, toleration};

pub(crate) use interfaces::{dynamic_interfaces, interfaces_text, rewritten};
pub(crate) use options::EFA_RESOURCE;

/// The version of aws/karpenter-provider-aws whose CRDs the documents are tested against.
pub const TESTED_KARPENTER_VERSION: &str = "1.14.1";

impl Plan {
    /// Returns Karpenter's manifests for this plan as YAML: an EC2NodeClass and a NodePool of one
    /// type in one zone, then the workloads that the options name, and with huge pages a
    /// NodeOverlay.
    ///
    /// The interfaces of a plan with `efa` are rewritten to `interface` and `efa-only` on the same
    /// network card, with as many EFAs.
    ///
    /// # Errors
    /// `handoff.not_prepared` for a group or profile that does not exist yet;
    /// `handoff.invalid_option`; `handoff.not_possible` with Elastic IPs, with an image that is
    /// none for EKS nodes, without a role, in an IPv6-only subnet, and for interfaces that
    /// Karpenter cannot give.
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

    /// Returns values for the Helm chart `aws-efa-k8s-device-plugin` (aws/eks-charts) as YAML:
    /// without the plugin no node offers `vpc.amazonaws.com/efa`. Of the options only `taint`
    /// counts.
    ///
    /// # Errors
    /// `handoff.invalid_option` for the taint.
    pub fn to_efa_device_plugin_values(&self, options: &KarpenterOptions) -> Result<String> {
        check_taint(&options.taint)?;
        let values = mapping! {
            "supportedInstanceLabels" => mapping! {
                "keys" => vec![Node::from(INSTANCE_TYPE_LABEL)],
                "values" => vec![Node::from(self.spec().instance_type.as_str())],
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
        let mut header = provenance::header(self, self.layout());
        header.push(
            "helm upgrade --install aws-efa-k8s-device-plugin eks/aws-efa-k8s-device-plugin \
             --namespace kube-system --values <this file>"
                .to_owned(),
        );
        Ok(yaml_text(&header, &[document]))
    }
}

#[cfg(test)]
mod tests;
