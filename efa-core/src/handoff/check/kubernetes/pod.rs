//! Pods wherever a document holds their specification, and the EFAs that they request.

use serde_json::Value;

use super::super::document::join_path;
use super::quantity;
use super::values::{list, text};
use crate::handoff::karpenter::EFA_RESOURCE;

/// How deep pods are looked for.
const DEPTH: usize = 100;

/// A pod's specification in a document.
pub(super) struct Pod<'a> {
    /// Where it stands.
    pub(super) path: String,
    /// What states on which nodes it may run; null where nothing does.
    pub(super) spec: &'a Value,
    pub(super) containers: Vec<Container<'a>>,
}

/// What a container requests, and its environment.
pub(super) struct Container<'a> {
    /// Where its resources stand.
    pub(super) path: String,
    /// What stands between its lists and the names of resources, with a dot in front.
    inner: &'static str,
    pub(super) limits: Option<&'a Value>,
    pub(super) requests: Option<&'a Value>,
    pub(super) env: &'a [Value],
    pub(super) is_init: bool,
}

/// How many EFAs are requested.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Efas {
    /// Those that are given as a number.
    pub(super) count: u64,
    /// Whether a count is a placeholder.
    pub(super) placeholder: bool,
}

impl Efas {
    pub(super) const fn any(self) -> bool {
        self.count > 0 || self.placeholder
    }

    const fn plus(self, other: Self) -> Self {
        Self {
            count: self.count.saturating_add(other.count),
            placeholder: self.placeholder || other.placeholder,
        }
    }

    fn max(self, other: Self) -> Self {
        Self {
            count: self.count.max(other.count),
            placeholder: self.placeholder || other.placeholder,
        }
    }
}

impl<'a> Container<'a> {
    fn read(path: String, container: &'a Value) -> Self {
        Self {
            path: join_path(&path, "resources"),
            inner: "",
            limits: resources_of(container, "limits"),
            requests: resources_of(container, "requests"),
            env: list(container, "/env"),
            is_init: false,
        }
    }

    /// Dynamo names other resources than Kubernetes' own under `custom`.
    fn custom(path: String, component: &'a Value) -> Self {
        Self {
            path: join_path(&path, "resources"),
            inner: ".custom",
            limits: component.pointer("/resources/limits/custom"),
            requests: component.pointer("/resources/requests/custom"),
            env: list(component, "/envs"),
            is_init: false,
        }
    }

    /// Whether it lists every resource of the container.
    pub(super) fn is_whole(&self) -> bool {
        self.inner.is_empty()
    }

    /// The path of a resource in `limits` or `requests`.
    pub(super) fn at(&self, key: &str, name: &str) -> String {
        let list = format!("{}.{key}{}", self.path, self.inner);
        if name.is_empty() {
            list
        } else {
            format!("{list}.{name}")
        }
    }

    pub(super) fn lists(&self) -> [(&'static str, Option<&'a Value>); 2] {
        [("limits", self.limits), ("requests", self.requests)]
    }

    /// How many EFAs it takes.
    pub(super) fn efas(&self) -> Efas {
        efa_count(self.limits).max(efa_count(self.requests))
    }
}

impl Pod<'_> {
    /// How many EFAs it takes of a node: its containers' together, or those of an init container.
    pub(super) fn efas(&self) -> Efas {
        let of = |is_init: bool| {
            let containers = self.containers.iter();
            containers
                .filter(move |container| container.is_init == is_init)
                .map(Container::efas)
        };
        let together = of(false).fold(Efas::default(), Efas::plus);
        of(true).fold(together, Efas::max)
    }
}

/// The pods of a document.
pub(super) fn pods(document: &Value) -> Vec<Pod<'_>> {
    let mut found = Vec::new();
    if text(document, "/kind") == Some("TrainJob") {
        found.extend(train_job(document));
    }
    collect(document, "", DEPTH, &mut found);
    found
}

/// Kubeflow's TrainJob: resources per node, and overrides of the pods that have them.
fn train_job(document: &Value) -> Option<Pod<'_>> {
    let trainer = document.pointer("/spec/trainer")?;
    let resources = trainer.get("resourcesPerNode")?;
    let overrides = ["/spec/podTemplateOverrides", "/spec/runtimePatches"];
    let mut overrides = overrides.iter().flat_map(|at| list(document, at));
    let spec = overrides.find_map(|entry| entry.get("spec"));
    Some(Pod {
        path: "spec.trainer".to_owned(),
        spec: spec.unwrap_or(&Value::Null),
        containers: vec![Container {
            path: "spec.trainer.resourcesPerNode".to_owned(),
            inner: "",
            limits: resources.get("limits"),
            requests: resources.get("requests"),
            env: list(trainer, "/env"),
            is_init: false,
        }],
    })
}

fn collect<'a>(value: &'a Value, path: &str, depth: usize, found: &mut Vec<Pod<'a>>) {
    let Some(deeper) = depth.checked_sub(1) else {
        return;
    };
    match value {
        Value::Object(map) => {
            let pod = of_containers(value, path)
                .or_else(|| of_template(value, path))
                .or_else(|| of_component(value, path));
            if let Some(pod) = pod {
                found.push(pod);
                return;
            }
            if names_efa(value) {
                found.push(Pod {
                    path: path.to_owned(),
                    spec: value,
                    containers: vec![Container::read(path.to_owned(), value)],
                });
            }
            for (key, value) in map {
                collect(value, &join_path(path, key), deeper, found);
            }
        }
        Value::Array(list) => {
            for (at, value) in list.iter().enumerate() {
                collect(value, &join_path(path, &at.to_string()), deeper, found);
            }
        }
        _ => {}
    }
}

/// A mapping with a list of containers.
fn of_containers<'a>(value: &'a Value, path: &str) -> Option<Pod<'a>> {
    value.get("containers")?.as_array()?;
    let containers = ["initContainers", "containers"]
        .into_iter()
        .flat_map(|key| {
            let containers = list(value, &format!("/{key}")).iter().enumerate();
            containers.map(move |(at, container)| Container {
                is_init: key == "initContainers" && text(container, "/restartPolicy").is_none(),
                ..Container::read(join_path(path, &format!("{key}.{at}")), container)
            })
        });
    Some(Pod {
        path: path.to_owned(),
        spec: value,
        containers: containers.collect(),
    })
}

/// A template of Argo: one `container` or `script`, and what runs next to it.
fn of_template<'a>(value: &'a Value, path: &str) -> Option<Pod<'a>> {
    let mut containers = Vec::new();
    for key in ["container", "script"] {
        let container = value.get(key).filter(|container| {
            container.get("image").is_some() || container.get("resources").is_some()
        });
        if let Some(container) = container {
            containers.push(Container::read(join_path(path, key), container));
        }
    }
    if containers.is_empty() && value.pointer("/containerSet/containers").is_none() {
        return None;
    }
    for (at, is_init) in [
        ("initContainers", true),
        ("sidecars", false),
        ("containerSet/containers", false),
    ] {
        for (number, container) in list(value, &format!("/{at}")).iter().enumerate() {
            let path = join_path(path, &format!("{}.{number}", at.replace('/', ".")));
            containers.push(Container {
                is_init,
                ..Container::read(path, container)
            });
        }
    }
    Some(Pod {
        path: path.to_owned(),
        spec: value,
        containers,
    })
}

/// A component of Dynamo: resources of its own, and further parts of the pod.
fn of_component<'a>(value: &'a Value, path: &str) -> Option<Pod<'a>> {
    let custom = ["limits", "requests"]
        .iter()
        .any(|key| value.pointer(&format!("/resources/{key}/custom")).is_some());
    let extra = value.get("extraPodSpec");
    if !custom && extra.is_none() {
        return None;
    }
    let mut containers = vec![Container::custom(path.to_owned(), value)];
    if let Some(main) = extra.and_then(|extra| extra.get("mainContainer")) {
        containers.push(Container::read(
            join_path(path, "extraPodSpec.mainContainer"),
            main,
        ));
    }
    let further = list(extra.unwrap_or(&Value::Null), "/containers")
        .iter()
        .enumerate();
    containers.extend(further.map(|(at, container)| {
        Container::read(
            join_path(path, &format!("extraPodSpec.containers.{at}")),
            container,
        )
    }));
    Some(Pod {
        path: path.to_owned(),
        spec: extra.unwrap_or(&Value::Null),
        containers,
    })
}

/// A mapping with resources that are EFA, in a kind whose shape is not known.
fn names_efa(value: &Value) -> bool {
    ["limits", "requests"].iter().any(|key| {
        let resources = value.pointer(&format!("/resources/{key}"));
        let names = resources.and_then(Value::as_object);
        names.is_some_and(|names| {
            names
                .keys()
                .any(|name| name.starts_with("vpc.amazonaws.com"))
        })
    })
}

/// A list of resources, or what stands in the place of all of them.
fn resources_of<'a>(container: &'a Value, key: &str) -> Option<&'a Value> {
    match container.get("resources")? {
        Value::Object(lists) => lists.get(key),
        other => Some(other),
    }
}

/// The count of the EFA resource in a list of resources.
fn efa_count(resources: Option<&Value>) -> Efas {
    let Some(value) = resources.and_then(|resources| resources.get(EFA_RESOURCE)) else {
        return Efas::default();
    };
    match quantity::count(value) {
        Some(count) => Efas {
            count,
            placeholder: false,
        },
        None => Efas {
            count: 0,
            placeholder: !value.is_null() && !quantity::is_no_count(value),
        },
    }
}
