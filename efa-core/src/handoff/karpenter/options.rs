//! What [`Plan::to_karpenter`](crate::Plan::to_karpenter) is asked for.

use serde::{Deserialize, Serialize};

use crate::error::{Code, Error, Result};
use crate::plan::Plan;

/// The resource that the EFA device plugin offers.
pub(crate) const EFA_RESOURCE: &str = "vpc.amazonaws.com/efa";

/// The component that decides which interfaces a node gets.
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
    /// Returns `static` or `dynamic`.
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

/// The workload on the nodes.
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
    /// Returns `pod`, `job` or `ray-cluster`.
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

/// Options of [`Plan::to_karpenter`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct KarpenterOptions {
    /// Name of the objects, as Kubernetes takes it; the cluster's in lower case when absent.
    pub name: Option<String>,
    /// IAM role of the nodes. Absent: the instance profile that the plan uses. The one that
    /// [`crate::spec::InstanceProfileChoice::Make`] makes is refused: nodes of EKS need more.
    pub role: Option<String>,
    /// An EKS image by its pinned name, such as `al2023@v20260801`, instead of the plan's image.
    pub ami_alias: Option<String>,
    /// The component that decides which interfaces a node gets.
    pub interfaces: KarpenterInterfaces,
    /// Keeps as many nodes as the plan has, whether pods want them or not (`replicas`; needs
    /// Karpenter's feature gate StaticCapacity). Otherwise pods bring nodes up.
    pub static_nodes: bool,
    /// At most this many nodes; the plan's number when absent.
    pub maximum_nodes: Option<u32>,
    /// Key of the taint that keeps other pods away; its value is `true`, its effect `NoSchedule`.
    pub taint: String,
    /// What runs on the nodes, in this order.
    pub workloads: Vec<KarpenterWorkload>,
    /// Container image of the workloads: must hold Python, efa-sdk and the EFA software.
    pub image: Option<String>,
    /// Namespace of the workloads.
    pub namespace: Option<String>,
    /// Huge pages of 2 MiB that each pod requests, in MiB; 0 for none, and libfabric is then
    /// configured to do without.
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

/// A DNS label: what every object here can be named.
pub(super) fn name(plan: &Plan, options: &KarpenterOptions) -> Result<String> {
    let name = match &options.name {
        Some(name) => name.clone(),
        None => plan
            .name()
            .to_ascii_lowercase()
            .trim_end_matches('-')
            .to_owned(),
    };
    if is_label(&name) {
        Ok(name)
    } else {
        let limit = "1 to 63 lower-case letters, digits and hyphens within";
        Err(invalid("name", &name, limit))
    }
}

/// The names that go into documents as they are.
pub(super) fn check_names(options: &KarpenterOptions) -> Result<()> {
    if let Some(namespace) = options.namespace.as_deref().filter(|name| !is_label(name)) {
        let limit = "1 to 63 lower-case letters, digits and hyphens within";
        return Err(invalid("namespace", namespace, limit));
    }
    // IAM API Reference, CreateRole; absent and empty are one.
    let role = |b: u8| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b);
    let is_role = |name: &str| name.len() <= 64 && name.bytes().all(role);
    if let Some(name) = options.role.as_deref().filter(|name| !is_role(name)) {
        let limit = "a role's name: at most 64 letters, digits and _+=,.@-";
        return Err(invalid("role", name, limit));
    }
    // The characters of an OCI reference.
    let image = |b: u8| b.is_ascii_alphanumeric() || b"._-/:@".contains(&b);
    let is_image = |name: &str| {
        name.bytes().all(image)
            && name
                .bytes()
                .next()
                .is_none_or(|b| b.is_ascii_alphanumeric())
    };
    if let Some(name) = options.image.as_deref().filter(|name| !is_image(name)) {
        return Err(invalid("image", name, "such as registry.example/train:1"));
    }
    Ok(())
}

fn is_label(name: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    !name.is_empty()
        && name.len() <= 63
        && name.bytes().all(inner)
        && !name.starts_with('-')
        && !name.ends_with('-')
}

/// A qualified name of Kubernetes, with or without a domain in front.
pub(super) fn check_taint(taint: &str) -> Result<()> {
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

pub(super) fn invalid(field: &'static str, value: &str, limit: &str) -> Error {
    Error::new(
        Code::HandoffInvalidOption,
        format!("{field} is '{value}', must be {limit}"),
    )
    .with_cure(format!("give {limit}"))
    .with_context("field", field)
    .with_context("value", value)
    .with_context("limit", limit)
}
