//! Karpenter's manifests: EC2NodeClass and NodePool of the AWS provider, and what runs on them.
//!
//! Origin: the provider's CRDs and documentation (aws/karpenter-provider-aws v1.14.1), and its
//! controller where the CRDs are silent (`pkg/providers/launchtemplate`,
//! `pkg/providers/instancetype`).

use serde::{Deserialize, Serialize};

use super::document::{Document, Node, mapping, put, yaml_text};
use super::launch_template::{instance_tags, not_possible};
use super::provenance;
use super::references::References;
use crate::ec2::Market;
use crate::error::{Code, Error, Result};
use crate::plan::Plan;
use crate::types::Architecture;
use crate::{tags, volume};

mod interfaces;
mod workload;

pub(crate) use interfaces::{
    dynamic_interfaces, interfaces_text, node_class_interfaces, rewritten,
};
pub(crate) use workload::EFA_RESOURCE;

/// The version of aws/karpenter-provider-aws whose CRDs the documents are tested against.
pub(crate) const KARPENTER_TESTED: &str = "1.14.1";

/// Who says which interfaces a node gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum KarpenterInterfaces {
    /// The EC2NodeClass lists them (`networkInterfaces`): the plan's, with `interface` and
    /// `efa-only` in place of `efa`, which Karpenter does not take.
    #[default]
    Static,
    /// Karpenter derives them when a pod requests `vpc.amazonaws.com/efa`: `efa` on device 0 of
    /// network card 0 and on device 1 of the others. Every EFA takes an IP address.
    Dynamic,
}

impl KarpenterInterfaces {
    /// `static` or `dynamic`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Static => "static",
            Self::Dynamic => "dynamic",
        }
    }
}

impl std::str::FromStr for KarpenterInterfaces {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        [Self::Static, Self::Dynamic]
            .into_iter()
            .find(|choice| choice.as_str() == text)
            .ok_or_else(|| invalid("interfaces", text, "static or dynamic"))
    }
}

/// What runs on the nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum KarpenterWorkload {
    /// One pod that takes a whole node.
    Pod,
    /// A Job with one such pod on each node of the plan.
    Job,
    /// A KubeRay cluster whose workers are such pods; its head runs elsewhere.
    RayCluster,
}

impl KarpenterWorkload {
    /// `pod`, `job` or `ray-cluster`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pod => "pod",
            Self::Job => "job",
            Self::RayCluster => "ray-cluster",
        }
    }
}

impl std::str::FromStr for KarpenterWorkload {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        [Self::Pod, Self::Job, Self::RayCluster]
            .into_iter()
            .find(|choice| choice.as_str() == text)
            .ok_or_else(|| invalid("workloads", text, "pod, job or ray-cluster"))
    }
}

/// What [`Plan::to_karpenter`] is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct KarpenterOptions {
    /// Name of the objects, as Kubernetes takes it; the cluster's in lower case when absent.
    pub name: Option<String>,
    /// IAM role of the nodes. Absent: the instance profile that the plan uses. The one that
    /// [`crate::InstanceProfileChoice::Make`] makes is refused: nodes of EKS need more.
    pub role: Option<String>,
    /// An EKS image by its pinned name, such as `al2023@v20260801`, instead of the plan's image.
    pub ami_alias: Option<String>,
    /// Who says which interfaces a node gets.
    pub interfaces: KarpenterInterfaces,
    /// Keeps as many nodes as the plan has, whether pods want them or not (`replicas`; needs
    /// Karpenter's feature gate StaticCapacity). Otherwise pods bring nodes up.
    pub static_nodes: bool,
    /// At most so many nodes; the plan's number when absent.
    pub maximum_nodes: Option<u32>,
    /// Key of the taint that keeps other pods away; its value is `true`, its effect `NoSchedule`.
    pub taint: String,
    /// What runs on the nodes, in this order.
    pub workloads: Vec<KarpenterWorkload>,
    /// Container image of the workloads: must hold Python, efa-sdk and the EFA software.
    pub image: Option<String>,
    /// Namespace of the workloads.
    pub namespace: Option<String>,
    /// Huge pages of 2 MiB that each pod requests, in MiB; 0 for none, and libfabric is then told
    /// to do without.
    pub huge_pages_mib: u32,
    /// Memory that each pod requests, in MiB; half of the type's when absent.
    pub memory_mib: Option<u64>,
}

impl Default for KarpenterOptions {
    fn default() -> Self {
        Self {
            name: None,
            role: None,
            ami_alias: None,
            interfaces: KarpenterInterfaces::Static,
            static_nodes: false,
            maximum_nodes: None,
            taint: EFA_RESOURCE.to_owned(),
            workloads: Vec::new(),
            image: None,
            namespace: None,
            // What the EKS User Guide requests for EFA (node-efa).
            huge_pages_mib: 5120,
            memory_mib: None,
        }
    }
}

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
        let mut header = provenance::header(&writer.plan);
        header.push(format!(
            "For Karpenter with the AWS provider, tested against the CRDs of v{KARPENTER_TESTED}."
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
        let mut header = provenance::header(self);
        header.push(
            "helm upgrade --install aws-efa-k8s-device-plugin eks/aws-efa-k8s-device-plugin \
             --namespace kube-system --values <this file>"
                .to_owned(),
        );
        Ok(yaml_text(&header, &[document]))
    }
}

const INSTANCE_TYPE_LABEL: &str = "node.kubernetes.io/instance-type";

/// Tag keys that the CRD refuses: exact ones, and the first as a prefix.
const RESTRICTED_TAGS: [&str; 5] = [
    "kubernetes.io/cluster",
    "eks:eks-cluster-name",
    "karpenter.sh/nodepool",
    "karpenter.sh/nodeclaim",
    "karpenter.k8s.aws/ec2nodeclass",
];

/// A plan as Karpenter can launch it, and how.
struct Writer<'a> {
    /// With the interfaces that Karpenter gives.
    plan: Plan,
    planned: &'a Plan,
    options: &'a KarpenterOptions,
    references: References,
    name: String,
}

impl<'a> Writer<'a> {
    fn new(planned: &'a Plan, options: &'a KarpenterOptions) -> Result<Self> {
        check_expressible(planned)?;
        check_taint(&options.taint)?;
        if !options.workloads.is_empty() && options.image.as_deref().unwrap_or_default().is_empty()
        {
            return Err(invalid(
                "image",
                "",
                "a container image with Python, efa-sdk and the EFA software, for the workloads",
            ));
        }
        if options.huge_pages_mib % 2 != 0 {
            let value = options.huge_pages_mib.to_string();
            return Err(invalid("huge_pages_mib", &value, "a multiple of 2"));
        }
        if options.maximum_nodes.is_some_and(|nodes| nodes == 0) {
            return Err(invalid("maximum_nodes", "0", "1 or more"));
        }
        let references = References::of(planned)?;
        let mut plan = planned.clone();
        plan.layout.interfaces = interfaces::of(planned, options.interfaces)?;
        Ok(Self {
            plan,
            planned,
            options,
            references,
            name: name(planned, options)?,
        })
    }

    /// What a reader must know before applying the documents.
    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.plan.layout.interfaces != self.planned.layout.interfaces {
            notes.push(format!(
                "Interfaces: {} (the plan's are {}).",
                self.plan.layout.notation(),
                self.planned.layout.notation()
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
        let mut interfaces = self.plan.layout.interfaces.iter();
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

    fn node_class(&self) -> Result<Document> {
        let plan = &self.plan;
        let mut spec = yaml_serde::Mapping::new();
        self.put_image(&mut spec)?;
        self.put_identity(&mut spec)?;
        let term = |id: &Node| Node::Sequence(vec![mapping! { "id" => id.clone() }]);
        if let Some(subnet) = &self.references.subnet {
            put(&mut spec, "subnetSelectorTerms", term(subnet));
        }
        let group = term(&self.references.security_group);
        put(&mut spec, "securityGroupSelectorTerms", group);
        let primary = plan.layout.interfaces.first();
        if let Some(public) = primary.and_then(|i| i.associate_public_ip_address) {
            put(&mut spec, "associatePublicIPAddress", public);
        }
        if !self.is_dynamic() {
            put(
                &mut spec,
                "networkInterfaces",
                interfaces::nodes(&plan.layout),
            );
        }
        if let Some(group) = &self.references.placement_group {
            let selector = mapping! { "name" => group.clone() };
            put(&mut spec, "placementGroupSelector", selector);
        }
        if let Some(terms) = reservation_terms(&plan.capacity.market) {
            put(&mut spec, "capacityReservationSelectorTerms", terms);
        }
        if let Some(volume) = self.root_volume() {
            put(&mut spec, "blockDeviceMappings", volume);
        }
        put(
            &mut spec,
            "metadataOptions",
            mapping! {
                "httpEndpoint" => "enabled",
                "httpProtocolIPv6" => "disabled",
                "httpPutResponseHopLimit" => 2,
                "httpTokens" => "required",
            },
        );
        if let Some(user_data) = &plan.spec.user_data {
            put(&mut spec, "userData", user_data.as_str());
        }
        put(&mut spec, "tags", self.tags()?);
        Ok(self.comment_node_class(Document::new(mapping! {
            "apiVersion" => "karpenter.k8s.aws/v1",
            "kind" => "EC2NodeClass",
            "metadata" => mapping! { "name" => self.name.as_str() },
            "spec" => Node::Mapping(spec),
        })))
    }

    fn comment_node_class(&self, document: Document) -> Document {
        let mut document = document
            .comment(
                "spec.amiSelectorTerms",
                "Pinned: a new image replaces running nodes. It must be one for EKS nodes.",
            )
            .comment(
                "spec.securityGroupSelectorTerms",
                "All traffic within this group, both ways. EKS nodes also need what the cluster's \
                 own security\ngroup allows: add its id as a further term.",
            )
            .comment(
                "spec.metadataOptions",
                "Containers are one hop further than the node.",
            )
            .comment("spec.tags", "efa-sdk finds and checks the nodes by these.");
        if !self.is_dynamic() {
            document = document.comment(
                "spec.networkInterfaces",
                "For this instance type only: every index is of its network cards.",
            );
        }
        if self.references.placement_group.is_some() {
            document = document.comment(
                "spec.placementGroupSelector",
                "Karpenter must be allowed ec2:DescribePlacementGroups.",
            );
        }
        if matches!(self.plan.capacity.market, Market::CapacityBlock(_)) {
            document = document.comment(
                "spec.capacityReservationSelectorTerms",
                "A Capacity Block: nodes are drained before it ends.",
            );
        }
        document
    }

    fn put_image(&self, spec: &mut yaml_serde::Mapping) -> Result<()> {
        if let Some(alias) = &self.options.ami_alias {
            let version = alias.strip_prefix("al2023@v").unwrap_or_default();
            if version.is_empty() || !version.bytes().all(|b| b.is_ascii_digit()) {
                let pinned = "al2023@v and the date of a release, such as al2023@v20260801";
                return Err(invalid("ami_alias", alias, pinned));
            }
            let term = mapping! { "alias" => alias.as_str() };
            put(spec, "amiSelectorTerms", vec![term]);
            return Ok(());
        }
        let image = &self.plan.image;
        // Amazon's images for EKS nodes have it in their names; its others never join a cluster.
        if image.owner_alias.as_deref() == Some("amazon") && !image.name.contains("eks") {
            return Err(not_possible(
                &format!(
                    "{} ({}) is no image for EKS nodes",
                    image.image_id, image.name
                ),
                "give ami_alias, or plan with an image for EKS nodes on Amazon Linux 2023",
                "image",
                &image.image_id,
            ));
        }
        // Without an alias Karpenter must be told how the image reads its user data.
        put(spec, "amiFamily", "AL2023");
        let term = mapping! { "id" => image.image_id.as_str() };
        put(spec, "amiSelectorTerms", vec![term]);
        Ok(())
    }

    fn put_identity(&self, spec: &mut yaml_serde::Mapping) -> Result<()> {
        if let Some(role) = self.options.role.as_deref().filter(|role| !role.is_empty()) {
            put(spec, "role", role);
            return Ok(());
        }
        let ours = "the instance profile of efa-sdk allows less than EKS nodes need";
        match &self.plan.instance_profile {
            Some(profile) if profile.role.is_none() => {
                put(spec, "instanceProfile", profile.name.as_str());
                Ok(())
            }
            profile => Err(not_possible(
                profile.as_ref().map_or("EKS nodes need a role", |_| ours),
                "give the role that Karpenter's nodes of this cluster have",
                "role",
                profile.as_ref().map_or("", |profile| profile.name.as_str()),
            )),
        }
    }

    fn root_volume(&self) -> Option<Node> {
        let volume = self.plan.root_volume.as_ref()?;
        let size = volume
            .volume_size_gib
            .unwrap_or_else(|| volume::recommended_gib(&self.plan.instance_type));
        Some(Node::Sequence(vec![mapping! {
            "deviceName" => volume.device_name.as_str(),
            "rootVolume" => true,
            "ebs" => mapping! {
                "volumeSize" => format!("{size}Gi"),
                "volumeType" => "gp3",
                "encrypted" => true,
                "deleteOnTermination" => true,
            },
        }]))
    }

    fn tags(&self) -> Result<Node> {
        let mut map = yaml_serde::Mapping::new();
        for (key, value) in instance_tags(&self.plan, &self.references) {
            let refused =
                RESTRICTED_TAGS[1..].contains(&key.as_str()) || key.starts_with(RESTRICTED_TAGS[0]);
            if refused {
                return Err(not_possible(
                    &format!("Karpenter sets tag {key} itself"),
                    "plan without the tag",
                    "tags",
                    &key,
                ));
            }
            let other_image = key == tags::IMAGE && self.options.ami_alias.is_some();
            let other_profile = key == tags::INSTANCE_PROFILE && self.options.role.is_some();
            if !other_image && !other_profile {
                put(&mut map, &key, value);
            }
        }
        Ok(Node::Mapping(map))
    }

    fn node_pool(&self) -> Document {
        let plan = &self.plan;
        let nodes = self.options.maximum_nodes.unwrap_or(plan.spec.count);
        let mut spec = yaml_serde::Mapping::new();
        let mut limits = yaml_serde::Mapping::new();
        if self.options.static_nodes {
            put(&mut spec, "replicas", plan.spec.count.min(nodes));
        } else {
            put(&mut limits, "cpu", plan.instance_type.default_vcpus * nodes);
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
        let plan = &self.plan;
        let is_in = |key: &str, values: &[&str]| {
            mapping! {
                "key" => key,
                "operator" => "In",
                "values" => values.iter().map(|value| Node::from(*value)).collect::<Vec<_>>(),
            }
        };
        let capacity: &[&str] = match &plan.capacity.market {
            Market::OnDemand => &["on-demand"],
            Market::Spot => &["spot"],
            Market::Open => &["reserved", "on-demand"],
            Market::Reservation(_) | Market::CapacityBlock(_) => &["reserved"],
        };
        let mut requirements = vec![
            is_in(INSTANCE_TYPE_LABEL, &[&plan.spec.instance_type]),
            is_in(
                "topology.kubernetes.io/zone",
                &[&plan.subnet().availability_zone],
            ),
            is_in("karpenter.sh/capacity-type", capacity),
        ];
        if let Some(architecture) = plan.instance_type.architectures.first() {
            let name = match architecture {
                Architecture::X86_64 => "amd64",
                other => other.as_str(),
            };
            requirements.push(is_in("kubernetes.io/arch", &[name]));
        }
        requirements.push(is_in("kubernetes.io/os", &["linux"]));
        if let Some(tenancy) = &plan.capacity.tenancy {
            requirements.push(is_in("karpenter.k8s.aws/instance-tenancy", &[tenancy]));
        }
        requirements
    }

    /// Huge pages of a node that does not exist yet: Karpenter counts none, so that no node starts
    /// for a pod that requests them (karpenter-provider-aws#3315, concepts/nodeoverlays).
    fn node_overlay(&self) -> Option<Document> {
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
                    "values" => vec![Node::from(self.plan.spec.instance_type.as_str())],
                }],
                "capacity" => mapping! {
                    "hugepages-2Mi" => format!("{}Mi", options.huge_pages_mib),
                },
            },
        });
        Some(document.comment(
            "spec",
            "Karpenter counts no huge pages on nodes to come, so that none would start for pods \
             that request\nthem. Needs its feature gate NodeOverlay (alpha), and an image that \
             reserves them, as EKS's\nimages for EFA do.",
        ))
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

/// `capacityReservationSelectorTerms`; `None` without a reservation.
fn reservation_terms(market: &Market) -> Option<Vec<Node>> {
    let term = match market {
        Market::OnDemand | Market::Spot => return None,
        Market::Open => mapping! { "instanceMatchCriteria" => "open" },
        Market::Reservation(id) | Market::CapacityBlock(id) => mapping! { "id" => id.as_str() },
    };
    Some(vec![term])
}

/// A toleration of the taint, whatever its value.
fn toleration(taint: &str) -> Node {
    mapping! { "key" => taint, "operator" => "Exists", "effect" => "NoSchedule" }
}

/// A DNS label: what every object here can be named.
fn name(plan: &Plan, options: &KarpenterOptions) -> Result<String> {
    let name = match &options.name {
        Some(name) => name.clone(),
        None => plan
            .name()
            .to_ascii_lowercase()
            .trim_end_matches('-')
            .to_owned(),
    };
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let well_formed = !name.is_empty()
        && name.len() <= 63
        && name.bytes().all(inner)
        && !name.starts_with('-')
        && !name.ends_with('-');
    if well_formed {
        Ok(name)
    } else {
        let limit = "1 to 63 lower-case letters, digits and hyphens within";
        Err(invalid("name", &name, limit))
    }
}

/// A qualified name of Kubernetes, with or without a domain in front.
fn check_taint(taint: &str) -> Result<()> {
    let (domain, key) = taint.split_once('/').unwrap_or(("x", taint));
    let edge = |text: &str| {
        let ends = [text.bytes().next(), text.bytes().last()];
        ends.iter()
            .all(|b| b.is_some_and(|b| b.is_ascii_alphanumeric()))
    };
    let inner = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.');
    let well_formed = edge(domain)
        && edge(key)
        && key.len() <= 63
        && domain.bytes().all(inner)
        && !domain.bytes().any(|b| b.is_ascii_uppercase())
        && key.bytes().all(|b| inner(b) || b == b'_');
    if well_formed {
        Ok(())
    } else {
        Err(invalid("taint", taint, "a key such as example.com/efa"))
    }
}

fn invalid(field: &'static str, value: &str, limit: &str) -> Error {
    Error::new(
        Code::HandoffInvalidOption,
        format!("{field} is '{value}', must be {limit}"),
    )
    .with_cure(format!("give {limit}"))
    .with_context("field", field)
    .with_context("value", value)
    .with_context("limit", limit)
}

#[cfg(test)]
mod tests;
