//! What runs on the nodes: pods that request all EFAs of a node and ask the doctor first.

use super::options::{EFA_RESOURCE, KarpenterWorkload};
use super::writer::{Writer, toleration};
use crate::catalog::InstanceType;
use crate::error::Result;
use crate::handoff::document::{Document, Node, mapping, put};

impl Writer<'_> {
    /// The documents of the workloads that the options name.
    pub(super) fn workloads(&self) -> Result<Vec<Document>> {
        let workloads = self.options.workloads.iter();
        Ok(workloads
            .map(|workload| match workload {
                KarpenterWorkload::Pod => self.pod(),
                KarpenterWorkload::Job => self.job(),
                KarpenterWorkload::RayCluster => self.ray_cluster(),
            })
            .collect())
    }

    fn pod(&self) -> Document {
        let spec = self.pod_spec("main", true);
        let document = Document::new(mapping! {
            "apiVersion" => "v1",
            "kind" => "Pod",
            "metadata" => self.metadata(),
            "spec" => spec,
        });
        self.comment_pod(document, "spec", true)
    }

    fn job(&self) -> Document {
        let nodes = self.plan.spec().count;
        let document = Document::new(mapping! {
            "apiVersion" => "batch/v1",
            "kind" => "Job",
            "metadata" => self.metadata(),
            "spec" => mapping! {
                "completions" => nodes,
                "parallelism" => nodes,
                "completionMode" => "Indexed",
                "backoffLimit" => 0,
                "template" => mapping! { "spec" => self.pod_spec("main", true) },
            },
        });
        self.comment_pod(document, "spec.template.spec", true)
    }

    fn ray_cluster(&self) -> Document {
        let nodes = self.plan.spec().count;
        let head = mapping! {
            "name" => "ray-head",
            "image" => self.image(),
            "resources" => mapping! {
                "requests" => mapping! { "cpu" => "2", "memory" => "8Gi" },
                "limits" => mapping! { "memory" => "8Gi" },
            },
        };
        let document = Document::new(mapping! {
            "apiVersion" => "ray.io/v1",
            "kind" => "RayCluster",
            "metadata" => self.metadata(),
            "spec" => mapping! {
                "headGroupSpec" => mapping! {
                    "rayStartParams" => mapping! { "num-cpus" => "0" },
                    "template" => mapping! { "spec" => mapping! { "containers" => vec![head] } },
                },
                "workerGroupSpecs" => vec![mapping! {
                    "groupName" => "efa",
                    "replicas" => nodes,
                    "minReplicas" => nodes,
                    "maxReplicas" => nodes,
                    "rayStartParams" => mapping! {},
                    "template" => mapping! { "spec" => self.pod_spec("ray-worker", false) },
                }],
            },
        })
        .comment(
            "spec.headGroupSpec",
            "The head tolerates no taint of the EFA nodes: it needs another node.",
        );
        self.comment_pod(document, "spec.workerGroupSpecs.0.template.spec", false)
    }

    fn comment_pod(&self, document: Document, spec: &str, command: bool) -> Document {
        let document = document
            .comment(
                &format!("{spec}.initContainers"),
                "The doctor stops the pod where EFA does not work, and gives the reason in its \
                 log.",
            )
            .comment(
                &format!("{spec}.containers.0.resources"),
                "All EFAs of a node: other pods on it would have none. Memory is half of the type's \
                 unless chosen;\nrequests and limits must agree for EFA and huge pages.",
            );
        if command {
            document.comment(&format!("{spec}.containers.0.command"), "Your program.")
        } else {
            document
        }
    }

    fn metadata(&self) -> Node {
        let mut metadata = yaml_serde::Mapping::new();
        put(&mut metadata, "name", self.name.as_str());
        if let Some(namespace) = &self.options.namespace {
            put(&mut metadata, "namespace", namespace.as_str());
        }
        Node::Mapping(metadata)
    }

    fn image(&self) -> &str {
        self.options.image.as_deref().unwrap_or_default()
    }

    /// The pod of a whole node; with a command and without restarts unless it is a Ray worker.
    fn pod_spec(&self, container: &str, runs_once: bool) -> Node {
        let mut spec = yaml_serde::Mapping::new();
        if runs_once {
            put(&mut spec, "restartPolicy", "Never");
        }
        let pool = mapping! { "karpenter.sh/nodepool" => self.name.as_str() };
        put(&mut spec, "nodeSelector", pool);
        put(
            &mut spec,
            "tolerations",
            vec![toleration(&self.options.taint)],
        );
        let doctor = ["python", "-m", "efa_sdk.doctor", "--wait"];
        let doctor = self.container("efa-doctor", Some(&doctor));
        put(&mut spec, "initContainers", vec![doctor]);
        let program = ["python", "-c", "print('EFA works on this node')"];
        let mut main = self.container(container, runs_once.then_some(&program));
        if let Some(main) = main.as_mapping_mut() {
            let mount = mapping! { "name" => "shm", "mountPath" => "/dev/shm" };
            put(main, "volumeMounts", vec![mount]);
        }
        put(&mut spec, "containers", vec![main]);
        let shm = mapping! {
            "name" => "shm",
            "emptyDir" => mapping! { "medium" => "Memory" },
        };
        put(&mut spec, "volumes", vec![shm]);
        Node::Mapping(spec)
    }

    fn container(&self, name: &str, command: Option<&[&str]>) -> Node {
        let mut container = yaml_serde::Mapping::new();
        put(&mut container, "name", name);
        put(&mut container, "image", self.image());
        if let Some(command) = command {
            let command: Vec<Node> = command.iter().map(|part| (*part).into()).collect();
            put(&mut container, "command", command);
        }
        if self.options.huge_pages_mib == 0 {
            let variable = mapping! { "name" => "FI_EFA_USE_HUGE_PAGE", "value" => "0" };
            put(&mut container, "env", vec![variable]);
        }
        // To register memory beyond the container's limit on locked memory.
        let capabilities = mapping! { "add" => vec![Node::from("IPC_LOCK")] };
        let security = mapping! { "capabilities" => capabilities };
        put(&mut container, "securityContext", security);
        let resources = self.resources();
        let resources = mapping! { "requests" => resources.clone(), "limits" => resources };
        put(&mut container, "resources", resources);
        Node::Mapping(container)
    }

    fn resources(&self) -> Node {
        let mut resources = yaml_serde::Mapping::new();
        put(&mut resources, EFA_RESOURCE, self.layout.efa_count() as u64);
        if let Some((name, count)) = accelerators(self.plan.instance_type()) {
            put(&mut resources, name, count);
        }
        let memory = self.options.memory_mib;
        let memory = memory.unwrap_or(self.plan.instance_type().memory_mib / 2);
        put(&mut resources, "memory", format!("{memory}Mi"));
        if self.options.huge_pages_mib > 0 {
            let pages = format!("{}Mi", self.options.huge_pages_mib);
            put(&mut resources, "hugepages-2Mi", pages);
        }
        Node::Mapping(resources)
    }
}

/// The resource that a device plugin offers for the accelerators of a type, and how many.
fn accelerators(instance_type: &InstanceType) -> Option<(&'static str, u32)> {
    if let Some(device) = instance_type.neuron_devices.first() {
        return Some(("aws.amazon.com/neuron", device.count));
    }
    let gpu = instance_type.gpus.first()?;
    let resource = match gpu.manufacturer.as_str() {
        "NVIDIA" => "nvidia.com/gpu",
        "AMD" => "amd.com/gpu",
        "Habana" => "habana.ai/gaudi",
        _ => return None,
    };
    Some((resource, gpu.count))
}
