//! Whether a bootstrap can mount the instance store.

use crate::catalog::InstanceType;
use crate::error::{Code, Error, Result};
use crate::spec::{CheckedSpec, ImageChoice};

/// Where AWS's Deep Learning AMIs mount it themselves: `nvme_location` in their release notes
/// (<https://docs.aws.amazon.com/dlami/latest/devguide/>, "Deep Learning ARM64 Base OSS Nvidia
/// Driver GPU AMI (Ubuntu 22.04)", 2025-10-31).
const OF_DEEP_LEARNING: &str = "/opt/dlami/nvme";

/// Refuses a mount point where the type has no instance store, or the image uses it already. A
/// type whose instance store EC2 does not report passes, and the bootstrap checks.
pub(super) fn require_fit(spec: &CheckedSpec, instance_type: &InstanceType) -> Result<()> {
    let bootstrap = spec.bootstrap.as_ref();
    let Some(path) = bootstrap.and_then(|bootstrap| bootstrap.instance_store.as_ref()) else {
        return Ok(());
    };
    let refused = |message: String, cure: String| {
        Err(Error::new(Code::PlanConflict, message)
            .with_cure(cure)
            .with_context("field", "instance_store")
            .with_context("value", path))
    };
    if instance_type.instance_storage_gb == Some(0) {
        let name = &instance_type.name;
        return refused(
            format!("{name} has no instance store"),
            "leave instance_store out and give volumes, or choose another instance type".to_owned(),
        );
    }
    if matches!(spec.image, ImageChoice::DeepLearning(_)) {
        return refused(
            format!("{} mounts the instance store itself", spec.image),
            format!("leave instance_store out and use {OF_DEEP_LEARNING}"),
        );
    }
    Ok(())
}
