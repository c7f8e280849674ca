//! What a Ray cluster needs that a plan does not have.

use std::ops::RangeInclusive;

use crate::ec2::Image;
use crate::error::{Code, Error, Result};
use crate::plan::Plan;
use crate::types::ResourceKind;

/// The version of Ray whose own checks and autoscaler have taken what is written here.
pub const TESTED_RAY_VERSION: &str = "2.60.0";

/// Options of [`Plan::to_ray_yaml`].
///
/// ```
/// let mut options = efa_core::handoff::RayClusterOptions::default();
/// options.python_packages = vec!["torch".to_owned()];
/// assert_eq!(options.idle_timeout_minutes, 5);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct RayClusterOptions {
    /// The head's instance type; `m7i.xlarge` (`m7g.xlarge` where the plan's image is for arm64)
    /// when absent.
    pub head_instance_type: Option<String>,
    /// The head's image, `ami-…`; the plan's when absent. With another one the head's root volume
    /// is as that image has it. Both images need the same Python.
    pub head_image: Option<String>,
    /// The head's subnet, `subnet-…`, of the same VPC and zone; the plan's when absent.
    pub head_subnet: Option<String>,
    /// Name of the head's instance profile. It must be allowed to launch, tag and terminate
    /// instances and to pass the workers' role. When absent Ray makes one that may do more.
    pub head_instance_profile: Option<String>,
    /// Workers that Ray always keeps; the plan's minimum count, or else its count, when absent.
    pub min_workers: Option<u32>,
    /// The most workers; the plan's count when absent.
    pub max_workers: Option<u32>,
    /// The idle minutes after which Ray terminates a worker above the minimum.
    pub idle_timeout_minutes: u32,
    /// The login; `ubuntu` where the plan's image is called so, else `ec2-user`, when absent.
    pub ssh_user: Option<String>,
    /// Path of the private key of the plan's key pair, on the machine that runs `ray up`. When
    /// absent Ray makes a key pair of its own, and the plan must name none.
    pub ssh_private_key: Option<String>,
    /// The version of Ray on every node; best the one that runs `ray up`.
    pub ray_version: String,
    /// What else pip installs on every node.
    pub python_packages: Vec<String>,
    /// What pip installs on workers for the doctor: a URL, a requirement with one (`name @ URL`),
    /// or a requirement that `efa_sdk_index` has.
    pub efa_sdk: Option<String>,
    /// URL of the package index that has efa-sdk: your own, as nobody owns the name on PyPI.
    pub efa_sdk_index: Option<String>,
    /// Path of a wheel of efa-sdk on the machine that runs `ray up`, instead of `efa_sdk`: Ray
    /// copies it to every node.
    pub efa_sdk_wheel: Option<String>,
}

impl Default for RayClusterOptions {
    fn default() -> Self {
        Self {
            head_instance_type: None,
            head_image: None,
            head_subnet: None,
            head_instance_profile: None,
            min_workers: None,
            max_workers: None,
            idle_timeout_minutes: 5,
            ssh_user: None,
            ssh_private_key: None,
            ray_version: TESTED_RAY_VERSION.to_owned(),
            python_packages: Vec::new(),
            efa_sdk: None,
            efa_sdk_index: None,
            efa_sdk_wheel: None,
        }
    }
}

impl RayClusterOptions {
    /// The least and the most workers.
    pub(super) fn workers(&self, plan: &Plan) -> Result<RangeInclusive<u32>> {
        let spec = plan.spec();
        let most = self.max_workers.unwrap_or(spec.count);
        let planned = spec.least_count();
        let least = self.min_workers.unwrap_or_else(|| planned.min(most));
        if most == 0 {
            return Err(invalid("max_workers", "0", "give at least 1", "1"));
        }
        if least > most {
            return Err(invalid(
                "min_workers",
                &least.to_string(),
                "give at most max_workers: Ray refuses more",
                &most.to_string(),
            ));
        }
        Ok(least..=most)
    }

    pub(super) fn ssh_user(&self, image: &Image) -> &str {
        let ubuntu = image.name.to_ascii_lowercase().contains("ubuntu");
        let usual = if ubuntu { "ubuntu" } else { "ec2-user" };
        self.ssh_user.as_deref().unwrap_or(usual)
    }

    /// Where the wheel goes on a node, and where it is here.
    pub(super) fn wheel(&self) -> Option<(String, &str)> {
        let local = self.efa_sdk_wheel.as_deref()?;
        let name = local.rsplit('/').next().unwrap_or(local);
        Some((format!("~/efa-sdk-wheel/{name}"), local))
    }

    /// What pip installs for the doctor, its options in front.
    ///
    /// # Errors
    /// `handoff.invalid_option` without a source that the caller named: efa-sdk is not on PyPI, and
    /// whoever registers the name there would run code on the workers.
    pub(super) fn source(&self) -> Result<Vec<String>> {
        let requirement = self.efa_sdk.as_deref();
        if let Some(index) = &self.efa_sdk_index {
            let this = format!("efa-sdk=={}", env!("CARGO_PKG_VERSION"));
            let requirement = requirement.map_or(this, str::to_owned);
            return Ok(vec!["--index-url".to_owned(), index.clone(), requirement]);
        }
        let placed = |text: &str| text.contains("://") || text.starts_with(['/', '.', '~']);
        match requirement {
            Some(text) if placed(text) => Ok(vec![text.to_owned()]),
            other => Err(Error::new(
                Code::HandoffInvalidOption,
                "the workers' doctor needs efa-sdk, which is not on PyPI",
            )
            .with_cure(
                "give efa_sdk_wheel, a wheel on the machine that runs ray up; efa_sdk, a URL that \
                 pip can install; or efa_sdk_index, the URL of an index that has it",
            )
            .with_context("field", "efa_sdk")
            .with_context("value", other.unwrap_or("absent"))
            .with_context("limit", "a wheel, a URL or an index")),
        }
    }

    pub(super) fn validate(&self, plan: &Plan) -> Result<()> {
        let dotted = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        let id = |kind: ResourceKind| move |text: &str| kind.is_id(text);
        let name = |text: &str| !text.is_empty() && text.bytes().all(dotted);
        let profile = |text: &str| {
            !text.is_empty() && text.bytes().all(|b| dotted(b) || b"+=,@".contains(&b))
        };
        let line = |text: &str| !text.trim().is_empty() && !text.chars().any(char::is_control);
        check_values(
            "head_instance_type",
            &self.head_instance_type,
            name,
            "such as m7i.xlarge",
        )?;
        check_values(
            "head_image",
            &self.head_image,
            id(ResourceKind::Image),
            "an id, ami-… with 8 or 17 hexadecimal digits",
        )?;
        check_values(
            "head_subnet",
            &self.head_subnet,
            id(ResourceKind::Subnet),
            "an id, subnet-… with 8 or 17 hexadecimal digits",
        )?;
        let name_only = "a name of letters, digits and +=,.@_-";
        check_values(
            "head_instance_profile",
            &self.head_instance_profile,
            profile,
            name_only,
        )?;
        check_values("ssh_user", &self.ssh_user, name, "such as ec2-user")?;
        check_values("ssh_private_key", &self.ssh_private_key, line, "a path")?;
        check_values("ray_version", [&self.ray_version], name, "such as 2.60.0")?;
        let requirement = "a requirement of pip, in one line that does not begin with -";
        let installable = |text: &str| line(text) && !text.starts_with('-');
        check_values(
            "python_packages",
            &self.python_packages,
            installable,
            requirement,
        )?;
        check_values("efa_sdk", &self.efa_sdk, installable, requirement)?;
        let url = |text: &str| line(text) && text.starts_with("https://") && !text.contains(' ');
        check_values("efa_sdk_index", &self.efa_sdk_index, url, "an https URL")?;
        let wheel = |text: &str| line(text) && text.ends_with(".whl");
        check_values(
            "efa_sdk_wheel",
            &self.efa_sdk_wheel,
            wheel,
            "the path of a .whl file",
        )?;
        match (&self.ssh_private_key, &plan.spec().key_name) {
            (Some(path), None) => Err(invalid(
                "ssh_private_key",
                path,
                "plan with key_name, the key pair that it is of: Ray refuses one without the other",
                "with key_name",
            )),
            (None, Some(key)) => Err(invalid(
                "ssh_private_key",
                "absent",
                "give the private key of the plan's key_name: without it Ray puts a key pair of its \
                 own in its place",
                key,
            )),
            _ => Ok(()),
        }
    }
}

fn check_values<'a>(
    field: &'static str,
    values: impl IntoIterator<Item = &'a String>,
    holds: impl Fn(&str) -> bool,
    limit: &str,
) -> Result<()> {
    match values.into_iter().find(|value| !holds(value)) {
        Some(value) => Err(invalid(field, value, &format!("give {limit}"), limit)),
        None => Ok(()),
    }
}

fn invalid(field: &'static str, value: &str, cure: &str, limit: &str) -> Error {
    Error::new(
        Code::HandoffInvalidOption,
        format!("{field} of a Ray cluster cannot be {value:?}"),
    )
    .with_cure(cure)
    .with_context("field", field)
    .with_context("value", value)
    .with_context("limit", limit)
}
