//! Which network interfaces a specification means: its own, or those of its profile.

use crate::catalog::InstanceType;
use crate::error::{Code, Error, Result};
use crate::layout::{Layout, PublicIp};
use crate::spec::CheckedSpec;
use crate::tags;

/// The layout of every instance.
pub(super) fn plan_interfaces(spec: &CheckedSpec, instance_type: &InstanceType) -> Result<Layout> {
    let Some(interfaces) = &spec.interfaces else {
        return instance_type.layout(&spec.layout_request());
    };
    let mut layout = Layout::from_interfaces(instance_type, interfaces.clone())?;
    let notation = layout.notation();
    if notation.chars().count() > tags::VALUE_LIMIT {
        return Err(Error::new(
            Code::PlanConflict,
            format!(
                "the interfaces take {} characters to note in a tag, EC2 takes {}",
                notation.chars().count(),
                tags::VALUE_LIMIT
            ),
        )
        .with_cure("give runs of network cards the same interfaces")
        .with_context("field", "interfaces")
        .with_context("value", notation)
        .with_context("limit", tags::VALUE_LIMIT));
    }
    // The interfaces themselves state whether there is a public address at launch.
    if spec.public_ip == PublicIp::ElasticIp {
        layout.public_ip = PublicIp::ElasticIp;
    }
    Ok(layout)
}
