//! Hints that this is a container, or a pod of Kubernetes.

use serde::{Deserialize, Serialize};

use super::root::NodeRoot;

const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// Words in the path of a cgroup that a container runtime writes.
const RUNTIMES: [&str; 6] = ["kubepods", "docker", "containerd", "crio", "libpod", "ecs"];

/// The marks of a container. Each may be missing in one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Container {
    /// The first word of a container runtime in `/proc/1/cgroup`, such as `kubepods`.
    pub runtime: Option<String>,
    /// Whether `/.dockerenv` or `/run/.containerenv` is there.
    pub marker_file: bool,
    /// The value of `KUBERNETES_SERVICE_HOST`.
    pub kubernetes_service_host: Option<String>,
    /// Whether a service account of Kubernetes is mounted.
    pub service_account: bool,
}

impl Container {
    /// Returns whether anything states that this is a container.
    #[must_use]
    pub fn is_container(&self) -> bool {
        self.runtime.is_some() || self.marker_file || self.is_kubernetes()
    }

    /// Returns whether anything states that this is a pod of Kubernetes.
    #[must_use]
    pub fn is_kubernetes(&self) -> bool {
        self.kubernetes_service_host.is_some()
            || self.service_account
            || self.runtime.as_deref() == Some("kubepods")
    }
}

pub(super) fn read(root: &NodeRoot) -> Container {
    Container {
        runtime: root.text("/proc/1/cgroup").and_then(|text| runtime(&text)),
        marker_file: root.exists("/.dockerenv") || root.exists("/run/.containerenv"),
        kubernetes_service_host: root.kubernetes_service_host().map(str::to_owned),
        service_account: root.exists(SERVICE_ACCOUNT),
    }
}

fn runtime(cgroup: &str) -> Option<String> {
    RUNTIMES
        .iter()
        .find(|word| {
            cgroup
                .split(['/', '-', '.', ':', '\n'])
                .any(|part| part == **word)
        })
        .map(|&word| word.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runtimes_are_words_of_the_path() {
        for (text, expected) in [
            ("0::/", None),
            ("0::/init.scope", None),
            ("0::/system.slice/docker-12ab.scope", Some("docker")),
            (
                "0::/kubepods.slice/kubepods-burstable.slice/cri-containerd-1.scope",
                Some("kubepods"),
            ),
            ("12:pids:/docker/12ab", Some("docker")),
            ("0::/home/dockerfan", None),
        ] {
            assert_eq!(runtime(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn each_hint_is_enough() {
        let none = Container::default();
        assert!(!none.is_container() && !none.is_kubernetes());
        let docker = Container {
            marker_file: true,
            ..none.clone()
        };
        assert!(docker.is_container() && !docker.is_kubernetes());
        let pod = Container {
            kubernetes_service_host: Some("10.100.0.1".into()),
            ..none
        };
        assert!(pod.is_container() && pod.is_kubernetes());
    }
}
