//! How large the root volume should be.

use crate::catalog::InstanceType;
use crate::ec2::{Image, RootVolume};
use crate::error::{Code, Error, Result};
use crate::spec::CheckedSpec;

/// For types with GPUs or Neuron devices: frameworks, containers and drivers. Origin: the
/// default of the community's CDK stack, 200 GB; our choice for types without.
const WITH_ACCELERATORS_GIB: u32 = 200;
/// For the other types.
const PLAIN_GIB: u32 = 50;

/// The recommended size of the root volume, in GiB.
pub(crate) fn recommended_gib(instance_type: &InstanceType) -> u32 {
    if instance_type.gpus.is_empty() && instance_type.neuron_devices.is_empty() {
        PLAIN_GIB
    } else {
        WITH_ACCELERATORS_GIB
    }
}

/// Decides the root volume, with a warning where the caller's is small; `None` where the image
/// has no root device to override.
pub(crate) fn plan_root_volume(
    spec: &CheckedSpec,
    instance_type: &InstanceType,
    image: &Image,
    warnings: &mut Vec<String>,
) -> Result<Option<RootVolume>> {
    let Some(device_name) = image.root_device_name.clone() else {
        let refused = |field: &str, value: &dyn std::fmt::Display| {
            Error::new(
                Code::PlanConflict,
                format!("image {} has no root volume to change", image.image_id),
            )
            .with_cure("leave the options of the root volume out, or choose another image")
            .with_context("field", field)
            .with_context("value", value)
        };
        return match spec.volume_size_gib {
            Some(size) => Err(refused("volume_size_gib", &size)),
            None if !spec.volume.is_default() => {
                Err(refused("volume_type", &spec.volume.volume_type()))
            }
            None => Ok(None),
        };
    };
    if let Some(same) = spec.volumes.iter().find(|v| v.device_name == device_name) {
        return Err(Error::new(
            Code::PlanConflict,
            format!(
                "volume {} is the root volume of image {}",
                same.device_name, image.image_id
            ),
        )
        .with_cure("give the further volume another name, such as /dev/sdf")
        .with_context("field", "volumes.device_name")
        .with_context("value", &same.device_name));
    }
    let smallest = image.root_volume_size_gib.unwrap_or(1);
    let recommended = recommended_gib(instance_type).max(smallest);
    let size = spec.volume_size_gib.unwrap_or(recommended);
    if size < smallest {
        return Err(Error::new(
            Code::PlanConflict,
            format!(
                "a root volume of {size} GiB is smaller than the {smallest} GiB of image {}",
                image.image_id
            ),
        )
        .with_cure("choose a larger volume, or another image")
        .with_context("field", "volume_size_gib")
        .with_context("value", size)
        .with_context("limit", smallest));
    }
    spec.volume.check_root(Some(size))?;
    if size < recommended {
        warnings.push(format!(
            "a root volume of {size} GiB is less than the {recommended} GiB recommended for {}",
            instance_type.name
        ));
    }
    Ok(Some(RootVolume {
        device_name,
        volume_size_gib: size,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{decide_plan, seen, spec};

    #[test]
    fn a_size_is_refused_where_the_image_has_no_root_volume() {
        let mut spec = spec("c5n.18xlarge");
        spec.volume_size_gib = None;
        let mut without = seen(&spec);
        without.image.root_device_name = None;
        assert!(decide_plan(&spec, without).is_ok());
        spec.volume_size_gib = Some(100);
        let mut without = seen(&spec);
        without.image.root_device_name = None;
        let error = decide_plan(&spec, without).unwrap_err();
        assert_eq!(error.code(), Code::PlanConflict);
        assert_eq!(error.context_value("field"), Some("volume_size_gib"));
        assert_eq!(error.context_value("value"), Some("100"));
    }
}
