//! The NodePool: which nodes there may be, and how many; and their huge pages.

use super::writer::{INSTANCE_TYPE_LABEL, Writer};
use crate::ec2::Market;
use crate::handoff::document::{Document, Node, mapping, put};
use crate::types::Architecture;

impl Writer<'_> {
    /// The document.
    pub(super) fn node_pool(&self) -> Document {
        let plan = self.plan;
        let nodes = self.options.maximum_nodes.unwrap_or(plan.spec().count);
        let mut spec = yaml_serde::Mapping::new();
        let mut limits = yaml_serde::Mapping::new();
        if self.options.static_nodes {
            put(&mut spec, "replicas", plan.spec().count.min(nodes));
        } else {
            put(
                &mut limits,
                "cpu",
                plan.instance_type().default_vcpus * nodes,
            );
        }
        put(&mut limits, "nodes", nodes);
        put(&mut spec, "limits", Node::Mapping(limits));
        put(
            &mut spec,
            "disruption",
            mapping! { "consolidationPolicy" => "WhenEmpty", "consolidateAfter" => "10m" },
        );
        put(
            &mut spec,
            "template",
            mapping! {
                "spec" => mapping! {
                    "nodeClassRef" => mapping! {
                        "group" => "karpenter.k8s.aws",
                        "kind" => "EC2NodeClass",
                        "name" => self.name.as_str(),
                    },
                    "requirements" => self.requirements(),
                    "taints" => vec![mapping! {
                        "key" => self.options.taint.as_str(),
                        "value" => "true",
                        "effect" => "NoSchedule",
                    }],
                    "expireAfter" => "Never",
                },
            },
        );
        let document = Document::new(mapping! {
            "apiVersion" => "karpenter.sh/v1",
            "kind" => "NodePool",
            "metadata" => mapping! { "name" => self.name.as_str() },
            "spec" => Node::Mapping(spec),
        })
        .comment(
            "spec.limits",
            "No more nodes than planned; limits are checked after the fact, so that many pods at \
             once can\noverrun them.",
        )
        .comment(
            "spec.template.spec.requirements",
            "One type, whose network cards the interfaces are for, and one zone: EFA does not \
             cross zones.",
        )
        .comment(
            "spec.template.spec.taints",
            "The EFA device plugin and the plugins of GPUs need a toleration for it too.",
        )
        .comment(
            "spec.template.spec.expireAfter",
            "A node is not replaced under a long job.",
        );
        if self.options.static_nodes {
            return document.comment(
                "spec.replicas",
                "Needs Karpenter's feature gate StaticCapacity.",
            );
        }
        document
    }

    fn requirements(&self) -> Vec<Node> {
        let plan = self.plan;
        let is_in = |key: &str, values: &[&str]| {
            mapping! {
                "key" => key,
                "operator" => "In",
                "values" => values.iter().map(|value| Node::from(*value)).collect::<Vec<_>>(),
            }
        };
        // Karpenter's own words for where capacity comes from, which a launch has none of.
        let capacity: &[&str] = match &plan.capacity().market {
            Market::OnDemand => &["on-demand"],
            Market::Spot => &["spot"],
            Market::Open => &["reserved", "on-demand"],
            Market::Reservation(_) | Market::CapacityBlock(_) | Market::ReservationGroup(_) => {
                &["reserved"]
            }
        };
        let mut requirements = vec![
            is_in(INSTANCE_TYPE_LABEL, &[&self.data.instance_type]),
            is_in(
                "topology.kubernetes.io/zone",
                &[&plan.subnet().availability_zone],
            ),
            is_in("karpenter.sh/capacity-type", capacity),
        ];
        // A reservation that was made in a placement group: the group does not go with a block.
        if let Market::Reservation(_) = &plan.capacity().market
            && self.data.placement.as_ref().is_some_and(|p| p.has_group())
        {
            let label = "karpenter.k8s.aws/capacity-reservation-type";
            requirements.push(is_in(label, &["default"]));
        }
        if let Some(architecture) = plan.instance_type().architectures.first() {
            let name = match architecture {
                Architecture::X86_64 => "amd64",
                other => other.as_str(),
            };
            requirements.push(is_in("kubernetes.io/arch", &[name]));
        }
        requirements.push(is_in("kubernetes.io/os", &["linux"]));
        if let Some(tenancy) = self.data.tenancy() {
            requirements.push(is_in("karpenter.k8s.aws/instance-tenancy", &[tenancy]));
        }
        requirements
    }

    /// Huge pages of a node that does not exist yet: Karpenter counts none, so that no node starts
    /// for a pod that requests them (karpenter-provider-aws#3315, concepts/nodeoverlays).
    pub(super) fn node_overlay(&self) -> Option<Document> {
        let options = self.options;
        if options.static_nodes || options.huge_pages_mib == 0 || options.workloads.is_empty() {
            return None;
        }
        let document = Document::new(mapping! {
            "apiVersion" => "karpenter.sh/v1alpha1",
            "kind" => "NodeOverlay",
            "metadata" => mapping! { "name" => self.name.as_str() },
            "spec" => mapping! {
                "requirements" => vec![mapping! {
                    "key" => INSTANCE_TYPE_LABEL,
                    "operator" => "In",
                    "values" => vec![Node::from(self.plan.spec().instance_type.as_str())],
                }],
                "capacity" => mapping! {
                    "hugepages-2Mi" => format!("{}Mi", options.huge_pages_mib),
                },
            },
        });
        Some(document.comment(
            "spec",
            "Karpenter does not count huge pages on future nodes, so it starts none for pods that \
             request\nthem. Needs its feature gate NodeOverlay (alpha), and an image that \
             reserves this much.",
        ))
    }
}
