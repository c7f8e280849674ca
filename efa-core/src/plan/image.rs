//! Which machine image a specification means, and whether the instance type can run it.

use super::unmatched;
use crate::catalog::InstanceType;
use crate::ec2::{CapacityReservation, Ec2, Filter, Image};
use crate::error::{Code, Error, Result};
use crate::spec::{CheckedSpec, ImageChoice};
use crate::ssm::Ssm;
use crate::types::Architecture;

/// Where AWS, and only AWS, publishes parameters.
const PUBLIC_PARAMETERS: &str = "/aws/service/";

/// The SSM parameter that holds the image's id, for choices that have one.
/// Origin: "Amazon Linux 2023 on AWS" user guide, "Deep Learning AMI" developer guide.
pub(crate) fn parameter_name(choice: &ImageChoice, architecture: &Architecture) -> Option<String> {
    let architecture = architecture.as_str();
    match choice {
        ImageChoice::AmazonLinux2023 => Some(format!(
            "{PUBLIC_PARAMETERS}ami-amazon-linux-latest/al2023-ami-kernel-default-{architecture}"
        )),
        ImageChoice::DeepLearning(system) => Some(format!(
            "{PUBLIC_PARAMETERS}deeplearning/ami/{architecture}/\
             base-oss-nvidia-driver-gpu-{}/latest/ami-id",
            system.parameter_part()
        )),
        ImageChoice::Parameter(name) => Some(name.clone()),
        ImageChoice::Id(_) | ImageChoice::Newest { .. } | ImageChoice::LaunchTemplate => None,
    }
}

/// Looks the image up.
pub(crate) async fn find_image(
    ec2: &dyn Ec2,
    ssm: &dyn Ssm,
    spec: &CheckedSpec,
    instance_type: &InstanceType,
) -> Result<Image> {
    let architecture = instance_type
        .architectures
        .first()
        .cloned()
        .unwrap_or(Architecture::X86_64);
    if let ImageChoice::Newest { owner, name } = &spec.image {
        return match newest(ec2, owner, name, &architecture).await? {
            Some(image) => Ok(image),
            None => Err(unmatched::no_image_of_name(ec2, owner, name, &architecture).await),
        };
    }
    let id = match parameter_name(&spec.image, &architecture) {
        Some(parameter) => match ssm.get_parameter(&parameter).await? {
            Some(id) => id,
            None => return Err(unmatched::no_parameter(ec2, ssm, &parameter).await),
        },
        None => spec.image.to_string(),
    };
    let found = ec2
        .describe_images(&[], &[Filter::new("image-id", &id)])
        .await?;
    found
        .into_iter()
        .next()
        .ok_or_else(|| unmatched::no_image(ec2, &id))
}

async fn newest(
    ec2: &dyn Ec2,
    owner: &str,
    name: &str,
    architecture: &Architecture,
) -> Result<Option<Image>> {
    let filters = [
        Filter::new("name", name),
        Filter::new("architecture", architecture.as_str()),
        Filter::new("state", "available"),
    ];
    let found = ec2.describe_images(&[owner.to_owned()], &filters).await?;
    Ok(found
        .into_iter()
        .max_by(|a, b| (&a.creation_date, &a.image_id).cmp(&(&b.creation_date, &b.image_id))))
}

/// Refuses an image that the type cannot run, and warns of one that another account owns or that
/// seems to lack the EFA software.
pub(crate) fn require_fit(
    spec: &CheckedSpec,
    instance_type: &InstanceType,
    image: &Image,
    account: &str,
    warnings: &mut Vec<String>,
) -> Result<()> {
    let refused = |message: String, cure: &str| {
        Error::new(Code::PlanConflict, message)
            .with_cure(cure)
            .with_context("field", "image")
            .with_context("value", &image.image_id)
    };
    if image.state != "available" {
        return Err(refused(
            format!("image {} is {}, not available", image.image_id, image.state),
            "wait until the image is available, or choose another",
        )
        .with_context("limit", "available"));
    }
    if is_windows(image) {
        return Err(refused(
            format!(
                "image {} is Windows, where EFA has no OS bypass and works as ENA alone",
                image.image_id
            ),
            "choose a Linux image",
        )
        .with_context("limit", "Linux"));
    }
    if !instance_type.architectures.contains(&image.architecture) {
        let needed: Vec<&str> = instance_type
            .architectures
            .iter()
            .map(Architecture::as_str)
            .collect();
        return Err(refused(
            format!(
                "image {} is for {}, but {} runs {}",
                image.image_id,
                image.architecture,
                instance_type.name,
                needed.join(" or ")
            ),
            "choose an image of that architecture",
        )
        .with_context("architecture", &image.architecture));
    }
    if !image.ena_support {
        return Err(refused(
            format!(
                "image {} does not declare ENA support, which EFA needs",
                image.image_id
            ),
            "choose an image registered with EnaSupport, such as Amazon Linux 2023",
        ));
    }
    let by_amazon = image.owner_alias.as_deref() == Some("amazon");
    let published_by_aws = match &spec.image {
        ImageChoice::AmazonLinux2023 | ImageChoice::DeepLearning(_) => true,
        ImageChoice::Parameter(name) => name.starts_with(PUBLIC_PARAMETERS),
        ImageChoice::Id(_) | ImageChoice::Newest { .. } | ImageChoice::LaunchTemplate => false,
    };
    if published_by_aws && !by_amazon {
        return Err(refused(
            format!(
                "image {} is owned by {}, not by Amazon",
                image.image_id, image.owner_id
            ),
            "name the image by its id if you trust its owner",
        ));
    }
    let by_known_owner = by_amazon || image.owner_id == account;
    if !by_known_owner && !matches!(spec.image, ImageChoice::Newest { .. }) {
        warnings.push(format!(
            "image {} is owned by account {}, which is neither your account nor Amazon's",
            image.image_id, image.owner_id
        ));
    }
    if spec.user_data.is_none() && spec.bootstrap.is_none() && !brings_efa(image) {
        warnings.push(format!(
            "image {} ({}) has no EFA software, judging by its name: install it with a \
             bootstrap",
            image.image_id, image.name
        ));
    }
    Ok(())
}

/// Origin: "Elastic Fabric Adapter" of the Amazon EC2 user guide.
fn is_windows(image: &Image) -> bool {
    let platform = image.platform_details.as_deref();
    platform.is_some_and(|platform| platform.starts_with("Windows"))
}

/// Refuses an image of another platform than the capacity reservation's: EC2 matches both
/// (Amazon EC2 user guide, "Supported platforms" of Capacity Reservations). Images of a license of
/// one's own have no platform there, which produces a warning.
pub(crate) fn require_platform(
    image: &Image,
    reservation: Option<&CapacityReservation>,
    warnings: &mut Vec<String>,
) -> Result<()> {
    let Some(reservation) = reservation else {
        return Ok(());
    };
    let (Some(of_image), Some(reserved)) =
        (&image.platform_details, &reservation.instance_platform)
    else {
        return Ok(());
    };
    if of_image == reserved {
        return Ok(());
    }
    let id = &reservation.capacity_reservation_id;
    let message = format!(
        "{id} is for {reserved}, image {} is {of_image}",
        image.image_id
    );
    if of_image.contains("BYOL") {
        warnings.push(format!("{message}: EC2 may not match the two"));
        return Ok(());
    }
    Err(Error::new(Code::PlanConflict, message)
        .with_cure("choose an image of the reservation's platform, or another reservation")
        .with_context("field", "image")
        .with_context("value", &image.image_id)
        .with_context("limit", reserved))
}

/// Whether the image brings the EFA software, judging by its name.
fn brings_efa(image: &Image) -> bool {
    image.name.starts_with("Deep Learning") || image.name.contains("parallelcluster")
}
