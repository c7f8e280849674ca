//! Cores and threads of the instances.

use crate::catalog::InstanceType;
use crate::error::{Code, Error, Result};
use crate::launch::CpuOptions;
use crate::spec::CheckedSpec;

/// The CPU options of a launch; `None` where the instance type has what is asked for by itself.
/// EC2 takes cores and threads together only (API reference, CpuOptionsRequest), and none of both
/// for bare metal (user guide, "CPU options").
pub(super) fn plan_cpu_options(
    spec: &CheckedSpec,
    instance_type: &InstanceType,
) -> Result<Option<CpuOptions>> {
    let Some(threads_per_core) = spec.threads_per_core else {
        return Ok(None);
    };
    let refused = |message: String| {
        Err(Error::new(Code::PlanConflict, message)
            .with_cure("leave threads_per_core out, or choose another instance type")
            .with_context("field", "threads_per_core")
            .with_context("value", threads_per_core))
    };
    let name = &instance_type.name;
    if instance_type.bare_metal {
        return refused(format!("{name} is bare metal, which has no CPU options"));
    }
    let (Some(core_count), Some(default)) = (
        instance_type.default_cores,
        instance_type.default_threads_per_core(),
    ) else {
        return refused(format!("EC2 does not report how many cores {name} has"));
    };
    if threads_per_core > default {
        return refused(format!("{name} has {default} threads per core"));
    }
    Ok((threads_per_core < default).then_some(CpuOptions {
        core_count,
        threads_per_core,
    }))
}
