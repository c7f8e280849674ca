//! What kinds of manifests there are, by group and kind.

use serde_json::Value;

use super::values::{kind, text};

/// What a manifest is, to the checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Karpenter's EC2NodeClass.
    Ec2NodeClass,
    /// The NodeClass of EKS Auto Mode.
    AutoModeNodeClass,
    /// Karpenter's NodePool, of any cloud.
    NodePool,
    /// Karpenter's NodeOverlay: its capacity counts for pools.
    NodeOverlay,
    /// A machine of Cluster API, Crossplane or ACK.
    Machine,
    /// A claim of Dynamic Resource Allocation, or a template of one.
    Claim,
    /// Something that runs pods.
    Workload,
    /// Something that has no part in launches and runs no pods.
    WithoutPods,
    /// Not known here.
    Other,
}

/// Kinds that run pods: the group without its version, and the kinds in it.
const WORKLOADS: &[(&str, &[&str])] = &[
    ("", &["Pod", "PodTemplate", "ReplicationController"]),
    (
        "apps",
        &["DaemonSet", "Deployment", "ReplicaSet", "StatefulSet"],
    ),
    (
        "argoproj.io",
        &[
            "ClusterWorkflowTemplate",
            "CronWorkflow",
            "Workflow",
            "WorkflowTemplate",
        ],
    ),
    ("batch", &["CronJob", "Job"]),
    ("batch.volcano.sh", &["Job"]),
    ("jobset.x-k8s.io", &["JobSet"]),
    (
        "kubeflow.org",
        &[
            "JAXJob",
            "MPIJob",
            "MXJob",
            "PaddleJob",
            "PyTorchJob",
            "TFJob",
            "XGBoostJob",
        ],
    ),
    ("leaderworkerset.x-k8s.io", &["LeaderWorkerSet"]),
    (
        "nvidia.com",
        &["DynamoComponentDeployment", "DynamoGraphDeployment"],
    ),
    ("ray.io", &["RayCluster", "RayJob", "RayService"]),
    ("sagemaker.amazonaws.com", &["HyperPodPyTorchJob"]),
    ("serving.knative.dev", &["Service"]),
    (
        "trainer.kubeflow.org",
        &["ClusterTrainingRuntime", "TrainJob", "TrainingRuntime"],
    ),
];

/// Kinds of Kubernetes' own groups that run no pods and launch nothing.
const WITHOUT_PODS: &[(&str, &[&str])] = &[
    (
        "",
        &[
            "ConfigMap",
            "Endpoints",
            "LimitRange",
            "Namespace",
            "PersistentVolume",
            "PersistentVolumeClaim",
            "ResourceQuota",
            "Secret",
            "Service",
            "ServiceAccount",
        ],
    ),
    ("apiextensions.k8s.io", &["CustomResourceDefinition"]),
    ("autoscaling", &["HorizontalPodAutoscaler"]),
    (
        "networking.k8s.io",
        &["Ingress", "IngressClass", "NetworkPolicy"],
    ),
    ("policy", &["PodDisruptionBudget"]),
    (
        "rbac.authorization.k8s.io",
        &["ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"],
    ),
    ("scheduling.k8s.io", &["PriorityClass"]),
    ("storage.k8s.io", &["CSIDriver", "StorageClass"]),
];

/// The group of a manifest; empty for Kubernetes' first one.
pub(super) fn group(document: &Value) -> &str {
    let version = text(document, "/apiVersion").unwrap_or_default();
    version.split_once('/').map_or("", |(group, _)| group)
}

/// What a manifest is.
pub(super) fn kind_of(document: &Value) -> Kind {
    let (group, kind) = (group(document), kind(document));
    let in_list = |list: &[(&str, &[&str])]| {
        list.iter()
            .any(|(of, kinds)| *of == group && kinds.contains(&kind))
    };
    let version = text(document, "/apiVersion").unwrap_or_default();
    match (group, kind) {
        // The fields of those before v1 are others.
        _ if group.starts_with("karpenter.") && version.contains("/v1beta") => Kind::Other,
        ("karpenter.k8s.aws", "EC2NodeClass") => Kind::Ec2NodeClass,
        ("eks.amazonaws.com", "NodeClass") => Kind::AutoModeNodeClass,
        ("karpenter.sh", "NodePool") => Kind::NodePool,
        ("karpenter.sh", "NodeOverlay") => Kind::NodeOverlay,
        ("infrastructure.cluster.x-k8s.io", _) if kind.starts_with("AWSMachine") => Kind::Machine,
        (group, "LaunchTemplate" | "Instance")
            if group.starts_with("ec2.aws.") || group == "ec2.services.k8s.aws" =>
        {
            Kind::Machine
        }
        ("resource.k8s.io", "ResourceClaim" | "ResourceClaimTemplate") => Kind::Claim,
        _ if in_list(WORKLOADS) => Kind::Workload,
        _ if in_list(WITHOUT_PODS) => Kind::WithoutPods,
        _ => Kind::Other,
    }
}
