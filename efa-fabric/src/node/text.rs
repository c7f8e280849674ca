//! A machine as text for terminals, and as HTML for notebooks.

use std::fmt;

use super::{Access, KernelModule, Limit, Node};

impl Node {
    /// Returns the text form as HTML, for notebooks: escaped, without scripts.
    #[must_use]
    pub fn to_html(&self) -> String {
        efa_core::html::preformatted(&self.to_string())
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unknown = "unknown";
        let or_unknown = |text: &Option<String>| text.as_deref().unwrap_or(unknown).to_owned();
        let machine = self
            .instance_type
            .as_ref()
            .or(self.product_name.as_ref())
            .map_or("an unknown machine", String::as_str);
        write!(f, "{machine}, kernel {}", or_unknown(&self.kernel))?;
        match (
            self.container.is_kubernetes(),
            self.container.is_container(),
        ) {
            (true, _) => writeln!(f, ", in a pod of Kubernetes")?,
            (_, true) => writeln!(f, ", in a container")?,
            _ => writeln!(f)?,
        }
        write!(
            f,
            "EFA: {} on the PCI bus, {} usable",
            self.pci_efa.len(),
            self.efa_devices.len()
        )?;
        if let Some(expected) = &self.expected {
            write!(f, ", up to {} on this type", expected.efa_count)?;
        }
        writeln!(
            f,
            "; {} other RDMA devices, {} GPUs",
            self.other_rdma_devices.len(),
            self.gpus.len()
        )?;
        let closed: Vec<_> = self
            .uverbs
            .iter()
            .filter(|verbs| verbs.access != Access::Openable)
            .map(|verbs| verbs.path.as_str())
            .collect();
        if !closed.is_empty() {
            writeln!(f, "verbs devices that do not open: {}", closed.join(", "))?;
        }
        let software = &self.software;
        writeln!(
            f,
            "EFA driver {}, EFA installer {}, rdma-core {}, locked memory {}",
            self.module("efa").map_or(unknown.to_owned(), module),
            or_unknown(&software.efa_installer),
            software
                .rdma_core
                .map_or(unknown.to_owned(), |version| version.to_string()),
            match self.limits.memlock_bytes {
                Some(Limit::Unlimited) => "unlimited".to_owned(),
                Some(Limit::Of(bytes)) => format!("{} KiB", bytes >> 10),
                None => unknown.to_owned(),
            },
        )?;
        if self.efa_devices.is_empty() {
            return Ok(());
        }
        writeln!(
            f,
            "{:<16}  {:<12}  {:>4}  {:<4}  {:>6}  {:<8}  {:<8}  near GPU",
            "device", "PCI", "NUMA", "id", "Gbit/s", "port", "verbs"
        )?;
        let dash = || "-".to_owned();
        for device in &self.efa_devices {
            writeln!(
                f,
                "{:<16}  {:<12}  {:>4}  {:<4}  {:>6}  {:<8}  {:<8}  {}",
                device.name,
                device.pci_address.as_deref().unwrap_or("-"),
                device.numa_node.map_or_else(dash, |node| node.to_string()),
                device.generation.map_or_else(dash, |g| g.to_string()),
                device.rate_gbps.map_or_else(dash, |rate| rate.to_string()),
                device.port_state.as_deref().unwrap_or("-"),
                device.uverbs.as_deref().unwrap_or("-"),
                if device.nearest_gpus.is_empty() {
                    dash()
                } else {
                    device.nearest_gpus.join(" ")
                },
            )?;
        }
        Ok(())
    }
}

fn module(module: &KernelModule) -> String {
    match (module.loaded, &module.version) {
        (Some(true), Some(version)) => version.clone(),
        (Some(true), None) => "loaded".into(),
        (Some(false), _) => "not loaded".into(),
        (None, _) => "unknown".into(),
    }
}
