//! A specification with what a launch template adds to it: what the template sets and the
//! specification does not is taken, what contradicts it is refused, and what a plan has no place for
//! is refused too. A plan holds the result, and its launch names no template.

use std::fmt::Display;

use super::unmatched;
use crate::ec2::{Ec2, LaunchTemplate, TemplateData};
use crate::error::{Code, Error, Result};
use crate::spec::{
    Capacity, CheckedSpec, ClusterSpec, ImageChoice, InstanceProfileChoice, LaunchTemplateBase,
    PlacementGroupChoice, SecurityGroupChoice, Selector, Tenancy,
};
use crate::tags;

/// The specification with what its launch template adds, and the version's number.
pub(crate) async fn with_template(ec2: &dyn Ec2, spec: CheckedSpec) -> Result<CheckedSpec> {
    let Some(base) = &spec.launch_template else {
        return Ok(spec);
    };
    match ec2.launch_template(&base.template, &base.version).await? {
        Some(found) => based_on(&spec, &found),
        None => Err(unmatched::no_launch_template(ec2, base).await),
    }
}

fn based_on(spec: &CheckedSpec, found: &LaunchTemplate) -> Result<CheckedSpec> {
    let base = LaunchTemplateBase {
        template: found.launch_template_id.clone(),
        version: found.version.to_string(),
    };
    let data = &found.data;
    if !data.others.is_empty() {
        return Err(conflict(
            "launch_template",
            format!("launch template {base} sets {}", data.others.join(", ")),
            "take it out of the version: a plan decides interfaces and volumes itself, keeps \
             IMDSv2, and has no place for the rest",
        )
        .with_context("value", &base));
    }
    let with = With { base: &base };
    let mut merged: ClusterSpec = spec.as_spec().clone();
    with.agree(
        "instance_type",
        Some(&spec.instance_type),
        data.instance_type.as_ref(),
    )?;
    with.take_network(&mut merged, data)?;
    with.take_instance(&mut merged, data)?;
    merged.launch_template = Some(base.clone());
    CheckedSpec::parse(&merged)
}

/// Merges one template.
struct With<'a> {
    base: &'a LaunchTemplateBase,
}

impl With<'_> {
    /// The one value of the two that is given.
    fn agree<T: PartialEq + Display + Clone>(
        &self,
        field: &'static str,
        asked: Option<&T>,
        set: Option<&T>,
    ) -> Result<Option<T>> {
        match (asked, set) {
            (Some(asked), Some(set)) if asked != set => Err(conflict(
                field,
                format!(
                    "the plan asks for {field} {asked}, launch template {} sets {set}",
                    self.base
                ),
                "leave it out of one of the two",
            )
            .with_context("value", asked)
            .with_context("limit", set)),
            (asked, set) => Ok(asked.or(set).cloned()),
        }
    }

    /// Image, capacity, groups and placement.
    fn take_network(&self, spec: &mut ClusterSpec, data: &TemplateData) -> Result<()> {
        let own = spec.image.to_string();
        let own = (spec.image != ImageChoice::LaunchTemplate).then_some(&own);
        let image = self.agree("image", own, data.image_id.as_ref())?;
        if own.is_none() {
            let Some(image) = image else {
                return Err(conflict(
                    "image",
                    format!("launch template {} has no image", self.base),
                    "give an image",
                ));
            };
            spec.image = match image.strip_prefix("resolve:ssm:") {
                Some(parameter) => ImageChoice::Parameter(parameter.to_owned()),
                None => image.parse()?,
            };
        }
        let own = spec.capacity.to_string();
        let own = (spec.capacity != Capacity::OnDemand).then_some(&own);
        if let Some(capacity) = self.agree("capacity", own, data.capacity.as_ref())? {
            spec.capacity = capacity.parse()?;
        }
        for id in &data.security_group_ids {
            let group = Selector::Id(id.clone());
            let is_own = matches!(
                &spec.security_group,
                SecurityGroupChoice::Use(own) | SecurityGroupChoice::Adopt(own) if *own == group
            );
            if !is_own && !spec.further_security_groups.contains(&group) {
                spec.further_security_groups.push(group);
            }
        }
        let none = "none".to_owned();
        let own = match &spec.placement_group {
            PlacementGroupChoice::Make => None,
            PlacementGroupChoice::Use(name) => Some(name),
            PlacementGroupChoice::None => Some(&none),
        };
        let group = self.agree("placement_group_name", own, data.placement_group.as_ref())?;
        if data.placement_group.is_some()
            && let Some(group) = group
        {
            spec.placement_group = PlacementGroupChoice::Use(group);
        }
        let own = spec.tenancy.map(|tenancy| tenancy.as_str().to_owned());
        let tenancy = self.agree("tenancy", own.as_ref(), data.tenancy.as_ref())?;
        spec.tenancy = tenancy
            .map(|tenancy| tenancy.parse::<Tenancy>())
            .transpose()?;
        Ok(())
    }

    /// What each instance has.
    fn take_instance(&self, spec: &mut ClusterSpec, data: &TemplateData) -> Result<()> {
        spec.key_name = self.agree("key_name", spec.key_name.as_ref(), data.key_name.as_ref())?;
        let made = "a role that is made".to_owned();
        let own = match &spec.instance_profile {
            InstanceProfileChoice::None => None,
            InstanceProfileChoice::Use(name) => Some(name),
            InstanceProfileChoice::Make(_) => Some(&made),
        };
        let profile = self.agree("instance_profile", own, data.instance_profile_name.as_ref())?;
        if own.is_none()
            && let Some(name) = profile
        {
            spec.instance_profile = InstanceProfileChoice::Use(name);
        }
        if let Some(user_data) = &data.user_data {
            let Some(text) = user_data.as_text() else {
                return Err(conflict(
                    "user_data",
                    format!("launch template {} has compressed user data", self.base),
                    "give the text as user_data, and take it out of the version",
                ));
            };
            if spec.user_data.as_deref().is_some_and(|own| own != text) {
                return Err(conflict(
                    "user_data",
                    format!("the plan has user data, launch template {} too", self.base),
                    "leave it out of one of the two",
                ));
            }
            spec.user_data = Some(text.to_owned());
        }
        let own = spec.spot_maximum_price.as_ref();
        let price = data.spot_maximum_price.as_ref();
        spec.spot_maximum_price = self.agree("spot_maximum_price", own, price)?;
        let (own, set) = (
            spec.threads_per_core.as_ref(),
            data.threads_per_core.as_ref(),
        );
        spec.threads_per_core = self.agree("threads_per_core", own, set)?;
        let (own, set) = (
            spec.metadata_hop_limit.as_ref(),
            data.metadata_hop_limit.as_ref(),
        );
        spec.metadata_hop_limit = self.agree("metadata_hop_limit", own, set)?;
        spec.metadata_tags |= data.metadata_tags;
        let own = spec.host_names.map(|names| names.as_str().to_owned());
        let names = self.agree("host_names", own.as_ref(), data.host_names.as_ref())?;
        spec.host_names = names.map(|names| names.parse()).transpose()?;
        for (key, value) in &data.instance_tags {
            if key == tags::NAME {
                spec.name_tag = self.agree("name_tag", spec.name_tag.as_ref(), Some(value))?;
            } else if let Some(value) = self.agree("tags", spec.tags.get(key), Some(value))? {
                spec.tags.insert(key.clone(), value);
            }
        }
        Ok(())
    }
}

fn conflict(field: &'static str, message: String, cure: &str) -> Error {
    Error::new(Code::PlanConflict, message)
        .with_cure(cure)
        .with_context("field", field)
}
