//! Launch templates, as far as a plan can be based on one.

use serde::{Deserialize, Serialize};

use crate::launch::UserData;
use crate::types::Tags;

/// One version of a launch template, as DescribeLaunchTemplateVersions shows it, to the extent that a plan can
/// be based on it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LaunchTemplate {
    /// `lt-…`
    pub launch_template_id: String,
    /// Its name.
    pub launch_template_name: String,
    /// The version's number.
    pub version: u64,
    /// What it sets.
    pub data: TemplateData,
}

impl LaunchTemplate {
    /// Creates a version of the template of this id and name.
    pub fn new(
        id: impl Into<String>,
        name: impl Into<String>,
        version: u64,
        data: TemplateData,
    ) -> Self {
        Self {
            launch_template_id: id.into(),
            launch_template_name: name.into(),
            version,
            data,
        }
    }
}

/// The settings of a version of a launch template.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TemplateData {
    /// The instance type's name.
    pub instance_type: Option<String>,
    /// `ami-…`, or `resolve:ssm:…`.
    pub image_id: Option<String>,
    /// Name of an EC2 key pair.
    pub key_name: Option<String>,
    /// The instance profile's name.
    pub instance_profile_name: Option<String>,
    /// User data, decoded.
    pub user_data: Option<UserData>,
    /// Ids of security groups.
    pub security_group_ids: Vec<String>,
    /// `default` or `dedicated`.
    pub tenancy: Option<String>,
    /// The placement group's name or id.
    pub placement_group: Option<String>,
    /// The market or the reservation, as a specification writes it: `spot`, `open` or `cr-…`.
    pub capacity: Option<String>,
    /// The most to pay for a spot instance.
    pub spot_maximum_price: Option<String>,
    /// Threads per physical core.
    pub threads_per_core: Option<u32>,
    /// Hops of the metadata service's answers.
    pub metadata_hop_limit: Option<u32>,
    /// Whether the metadata service shows the instance's tags.
    pub metadata_tags: bool,
    /// `ip-name` or `resource-name`.
    pub host_names: Option<String>,
    /// Tags of the instances.
    pub instance_tags: Tags,
    /// What else it sets, in EC2's words: no plan takes that from a template.
    pub others: Vec<String>,
}
