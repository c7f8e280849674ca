//! What is known of the node that is advised.

use efa_core::Catalog;
use efa_core::catalog::Lookup;
use efa_core::types::RdmaSupport;
use serde::{Deserialize, Serialize};

use crate::error::{Code, Error, Result};

/// Known facts of a node; `None` is not known, and versions that are not known count as current.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Node {
    /// Such as `p5.48xlarge`.
    pub instance_type: Option<String>,
    /// EFA devices.
    pub efa_count: Option<u32>,
    /// GPUs.
    pub gpu_count: Option<u32>,
    /// Whether the EFA devices have RDMA.
    pub has_rdma: Option<bool>,
    /// Version of libfabric, such as `2.1` or `1.22.0amzn4.0`.
    pub libfabric_version: Option<String>,
    /// Version of aws-ofi-nccl, such as `1.16.0` or `1.7.4-aws`.
    pub plugin_version: Option<String>,
    /// The plugin's file, such as `/opt/amazon/ofi-nccl/lib/libnccl-net.so`, or its directory.
    pub plugin_path: Option<String>,
    /// Whether a process may fork after it opened EFA: kernel 5.13 and rdma-core 35, or later.
    pub fork_is_safe: Option<bool>,
    /// Fail where EFA cannot be used, instead of going on over TCP.
    pub require_efa: bool,
}

impl Node {
    /// Returns what the bundled catalog knows of nodes of an instance type; of one that it lacks,
    /// its name.
    ///
    /// # Errors
    /// `catalog.unknown_instance_type` for a misspelt name, with the nearest names as the cure.
    pub fn of_instance_type(name: impl Into<String>) -> efa_core::error::Result<Self> {
        let name = name.into();
        let catalog = Catalog::bundled();
        catalog.refuse_misspelt(&name)?;
        let mut node = Self::default();
        match catalog.look_up(&name) {
            Lookup::Efa(found) => {
                node.efa_count = Some(found.maximum_efa_interfaces);
                node.gpu_count = Some(found.gpus.iter().map(|gpu| gpu.count).sum());
                node.has_rdma = match found.rdma_read {
                    RdmaSupport::Yes => Some(true),
                    RdmaSupport::No => Some(false),
                    _ => None,
                };
            }
            Lookup::NoEfa => {
                node.efa_count = Some(0);
                node.has_rdma = Some(false);
            }
            _ => {}
        }
        node.instance_type = Some(name);
        Ok(node)
    }

    /// Refuses a version that has no number: it would count as current.
    ///
    /// # Errors
    /// `fabric.invalid_option` with the option.
    pub fn check(&self) -> Result<()> {
        let versions = [
            ("libfabric_version", &self.libfabric_version, "2.1"),
            ("plugin_version", &self.plugin_version, "1.16.0"),
        ];
        for (option, given, example) in versions {
            if let Some(text) = given
                && version(text).is_none()
            {
                let limit = format!("must be a version such as {example}");
                return Err(Error::new(
                    Code::InvalidOption,
                    format!("{option} is '{text}', {limit}"),
                )
                .with_cure("leave it out where it is not known")
                .with_context("option", option)
                .with_context("value", text)
                .with_context("limit", limit));
            }
        }
        Ok(())
    }

    /// Whether the plugin is as new; one of unknown version counts as current.
    pub(super) fn plugin_at_least(&self, major: u32, minor: u32) -> bool {
        self.plugin_version
            .as_deref()
            .and_then(version)
            .is_none_or(|v| v >= (major, minor))
    }

    /// Whether libfabric is as new; one of unknown version counts as current.
    pub(super) fn libfabric_at_least(&self, major: u32, minor: u32) -> bool {
        self.libfabric_version
            .as_deref()
            .and_then(version)
            .is_none_or(|v| v >= (major, minor))
    }
}

/// Major and minor number of a version, whatever follows.
pub(super) fn version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.trim().trim_start_matches('v').split('.').map(|part| {
        let digits = part.bytes().take_while(u8::is_ascii_digit).count();
        part[..digits].parse().ok()
    });
    Some((numbers.next()??, numbers.next().flatten().unwrap_or(0)))
}
