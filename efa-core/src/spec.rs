//! What the caller asks for: a cluster of identical EFA instances.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ec2::Tags;
use crate::error::{Error, Result};
use crate::launch::UserData;
use crate::layout::{self, NetworkInterface, Profile, PublicIp};
use crate::types::ClusterName;

mod bootstrap;
mod choices;
mod expiry;
mod launch_template;
mod multipart;
mod network;
mod options;
pub(crate) mod selector;
mod table;
mod user_data;
mod volumes;

pub use bootstrap::{Bootstrap, EfaInstaller};
pub use choices::{
    Capacity, DeepLearningSystem, ImageChoice, InstanceProfileChoice, InstanceRole,
    PlacementGroupChoice, ReservedPart, SecurityGroupChoice,
};
pub use launch_template::LaunchTemplateBase;
pub use options::{HostNames, Tenancy};
pub use selector::Selector;
pub use volumes::{Volume, VolumeOptions};

pub(crate) use expiry::check_expiry;

use user_data::Rendered;

/// A cluster of `count` identical instances in one subnet of several that may do.
///
/// ```
/// use efa_core::ClusterSpec;
/// use efa_core::layout::Profile;
///
/// let mut spec = ClusterSpec::new("train", "p5.48xlarge", 2, "subnet-0123456789abcdef0", "ami-0123456789abcdef0");
/// spec.profile = Profile::IpBandwidth;
/// assert_eq!(spec.layout_request().profile, Profile::IpBandwidth);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ClusterSpec {
    /// Name of the cluster: 1 to 63 letters, digits and hyphens, starting with a letter.
    pub name: String,
    /// The instance type's name.
    pub instance_type: String,
    /// How many instances, 1 to 1000.
    pub count: u32,
    /// With fewer than this many, nothing is launched; absent: all or nothing.
    #[serde(default)]
    pub minimum_count: Option<u32>,
    /// The subnets that may be used. All instances go to one of them: the one with the most
    /// free addresses, then, where a zone has no capacity, the next. Empty: any of `vpc`.
    #[serde(default)]
    pub subnets: Vec<Selector>,
    /// The VPC of the subnets.
    #[serde(default)]
    pub vpc: Option<Selector>,
    /// What the specification leaves out is taken from here, where a plan has a place for it;
    /// what contradicts it is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub launch_template: Option<LaunchTemplateBase>,
    /// The machine image.
    pub image: ImageChoice,
    /// The source of the capacity.
    #[serde(default)]
    pub capacity: Capacity,
    /// The security group of every interface.
    #[serde(default)]
    pub security_group: SecurityGroupChoice,
    /// Existing groups that every interface is in, too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub further_security_groups: Vec<Selector>,
    /// Existing groups that the interfaces with an IP address (`interface` and `efa`) are in, too,
    /// and EFA-only interfaces are not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ena_security_groups: Vec<Selector>,
    /// The cluster placement group.
    #[serde(default)]
    pub placement_group: PlacementGroupChoice,
    /// The layout profile; see [`Profile`].
    #[serde(default)]
    pub profile: Profile,
    /// How many EFA interfaces; all that the type has when absent.
    #[serde(default)]
    pub efa: Option<u32>,
    /// Whether and how the instances get a public address.
    #[serde(default)]
    pub public_ip: PublicIp,
    /// The caller's own interfaces instead of a profile's; they meet the same checks.
    #[serde(default)]
    pub interfaces: Option<Vec<NetworkInterface>>,
    /// Size of the root volume; the image's own when absent.
    #[serde(default)]
    pub volume_size_gib: Option<u32>,
    /// How the root volume is made.
    #[serde(default, skip_serializing_if = "VolumeOptions::is_default")]
    pub volume: VolumeOptions,
    /// Volumes besides the root volume.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<Volume>,
    /// The tenancy; the reservation's, or EC2's default, when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenancy: Option<Tenancy>,
    /// Threads per physical core: 1 turns simultaneous multithreading off. The instance type's
    /// default when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threads_per_core: Option<u32>,
    /// The most to pay for a spot instance, in dollars per hour; the on-demand price when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spot_maximum_price: Option<String>,
    /// Over how many hops answers of the metadata service travel, 1 to 64; 2 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata_hop_limit: Option<u32>,
    /// Whether instances can read their tags from the metadata service.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub metadata_tags: bool,
    /// What the instances are called in private DNS; the subnet's default when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_names: Option<HostNames>,
    /// Name of an EC2 key pair. No SSH port is opened for it.
    #[serde(default)]
    pub key_name: Option<String>,
    /// Ranges that may reach port 22. None is opened unless named here, and only in a group that
    /// we make.
    #[serde(default)]
    pub ssh_cidrs: Vec<String>,
    /// The IAM instance profile.
    #[serde(default)]
    pub instance_profile: InstanceProfileChoice,
    /// Installs the EFA software at the first boot, after what `user_data` does.
    #[serde(default)]
    pub bootstrap: Option<Bootstrap>,
    /// User data, not encoded, with a bootstrap's script at most 16,384 bytes; what is larger is
    /// compressed, where cloud-init reads it. Do not put secrets here.
    #[serde(default)]
    pub user_data: Option<String>,
    /// Compress the user data, even where it fits.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub compress_user_data: bool,
    /// How long after the plan is made each node ends itself, 10 minutes to 365 days in whole
    /// seconds; never when absent. `Client::extend` moves it.
    #[serde(default, with = "expiry::seconds")]
    pub expires_after: Option<Duration>,
    /// The caller's own tags, on everything that is made.
    #[serde(default)]
    pub tags: Tags,
    /// The `Name` tag of instances, volumes and interfaces; the cluster's name when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name_tag: Option<String>,
    /// Further tags of the network interfaces alone.
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    pub interface_tags: Tags,
}

impl ClusterSpec {
    /// Creates a specification by ids, with everything else at its default.
    pub fn new(
        name: impl Into<String>,
        instance_type: impl Into<String>,
        count: u32,
        subnet_id: impl Into<String>,
        image_id: impl Into<String>,
    ) -> Self {
        let subnet = Selector::Id(subnet_id.into());
        Self::with_image(name, instance_type, count, ImageChoice::Id(image_id.into()))
            .in_subnets([subnet])
    }

    /// Returns the specification with these subnets.
    #[must_use]
    pub fn in_subnets(mut self, subnets: impl IntoIterator<Item = Selector>) -> Self {
        self.subnets = subnets.into_iter().collect();
        self
    }

    /// Creates a specification without a place yet: give `subnets`, `vpc` or both.
    pub fn with_image(
        name: impl Into<String>,
        instance_type: impl Into<String>,
        count: u32,
        image: ImageChoice,
    ) -> Self {
        Self {
            name: name.into(),
            instance_type: instance_type.into(),
            count,
            minimum_count: None,
            subnets: Vec::new(),
            vpc: None,
            launch_template: None,
            image,
            capacity: Capacity::default(),
            security_group: SecurityGroupChoice::default(),
            further_security_groups: Vec::new(),
            ena_security_groups: Vec::new(),
            placement_group: PlacementGroupChoice::default(),
            profile: Profile::default(),
            efa: None,
            public_ip: PublicIp::default(),
            interfaces: None,
            volume_size_gib: None,
            volume: VolumeOptions::default(),
            volumes: Vec::new(),
            tenancy: None,
            threads_per_core: None,
            spot_maximum_price: None,
            metadata_hop_limit: None,
            metadata_tags: false,
            host_names: None,
            key_name: None,
            ssh_cidrs: Vec::new(),
            instance_profile: InstanceProfileChoice::default(),
            bootstrap: None,
            user_data: None,
            compress_user_data: false,
            expires_after: None,
            tags: Tags::new(),
            name_tag: None,
            interface_tags: Tags::new(),
        }
    }

    /// Returns the number of instances, from any number.
    ///
    /// # Errors
    /// `plan.invalid_spec` unless it is 1 to 1000.
    pub fn parse_count(count: i64) -> Result<u32> {
        match u32::try_from(count) {
            Ok(count @ 1..=1000) => Ok(count),
            _ => Err(Error::invalid_spec(
                "count",
                count,
                "1 to 1000",
                if count < 1 {
                    "give the number of instances; Client.destroy ends a cluster"
                } else {
                    "launch a larger cluster in several parts"
                },
            )),
        }
    }

    /// Returns the least number of instances, from any number.
    ///
    /// # Errors
    /// `plan.invalid_spec` unless it is 1 to `count`.
    pub fn parse_minimum_count(minimum: i64, count: u32) -> Result<u32> {
        match u32::try_from(minimum) {
            Ok(minimum) if (1..=count).contains(&minimum) => Ok(minimum),
            _ => Err(Error::invalid_spec(
                "minimum_count",
                minimum,
                format_args!("1 to count ({count})"),
                "leave it out for all or nothing",
            )),
        }
    }

    /// Returns what the layout planner is asked for.
    #[must_use]
    pub fn layout_request(&self) -> layout::Request {
        layout::Request {
            profile: self.profile,
            efa: self.efa,
            public_ip: self.public_ip,
        }
    }

    /// Returns the count below which nothing is launched: `minimum_count`, or all.
    #[must_use]
    pub fn least_count(&self) -> u32 {
        self.minimum_count.unwrap_or(self.count)
    }

    /// The KMS keys that its volumes name, each once; AWS's own (`alias/aws/…`) are left out, since
    /// every caller may use them.
    pub(crate) fn volume_keys(&self) -> BTreeSet<&str> {
        let of_volumes = self.volumes.iter().map(|volume| &volume.options);
        std::iter::once(&self.volume)
            .chain(of_volumes)
            .filter_map(|options| options.kms_key_id.as_deref())
            .filter(|key| !key.contains("alias/aws/"))
            .collect()
    }

    /// Whether instances can read their tags: as asked, or to know when they end themselves.
    pub(crate) fn reads_tags(&self) -> bool {
        self.metadata_tags || self.expires_after.is_some()
    }

    /// Checks everything but the name and the user data.
    fn check_values(&self) -> Result<()> {
        Self::parse_count(i64::from(self.count))?;
        if let Some(minimum) = self.minimum_count {
            Self::parse_minimum_count(i64::from(minimum), self.count)?;
        }
        self.image.check()?;
        if let Some(base) = &self.launch_template {
            base.check()?;
        }
        if self.image == ImageChoice::LaunchTemplate && self.launch_template.is_none() {
            return Err(Error::invalid_spec(
                "image",
                &self.image,
                "left to a launch_template that is given",
                "give launch_template, or an image",
            ));
        }
        self.capacity.check(self.count, self.minimum_count)?;
        network::check_places(&self.subnets, self.vpc.as_ref())?;
        network::check_access(&self.security_group, &self.ssh_cidrs)?;
        self.check_instance_profile()?;
        if let Some(after) = self.expires_after {
            expiry::check_expiry(after)?;
            expiry::check_combination(self.user_data.as_deref())?;
        }
        if let PlacementGroupChoice::Use(name) = &self.placement_group
            && (name.is_empty() || name.contains(['*', '?', '\\']))
        {
            return Err(Error::invalid_spec(
                "placement_group_name",
                "",
                "a name",
                "name an existing group, or let one be made",
            ));
        }
        if self.interfaces.is_some() && (self.efa.is_some() || self.profile != Profile::default()) {
            return Err(Error::invalid_spec(
                "interfaces",
                "given together with profile or efa",
                "one of them",
                "leave profile and efa out when you give the interfaces yourself",
            ));
        }
        if let Some(interfaces) = &self.interfaces {
            let at_launch = interfaces
                .iter()
                .any(|interface| interface.associate_public_ip_address == Some(true));
            if self.public_ip == PublicIp::LoneEfa
                || (self.public_ip == PublicIp::ElasticIp && at_launch)
            {
                return Err(Error::invalid_spec(
                    "public_ip",
                    self.public_ip.as_str(),
                    "none or elastic-ip with interfaces of your own, and only one way to ask for \
                     a public address",
                    "set associate_public_ip_address on your own interface, or ask for elastic-ip",
                ));
            }
        }
        options::check_groups(&self.further_security_groups, &self.ena_security_groups)?;
        options::check_threads(self.threads_per_core)?;
        options::check_spot_price(self.spot_maximum_price.as_deref(), &self.capacity)?;
        options::check_hop_limit(self.metadata_hop_limit)?;
        self.volume.check_root(self.volume_size_gib)?;
        volumes::check_volumes(&self.volumes)
    }

    /// The user data of the instances: the caller's, the bootstrap's script, or both as a message
    /// of two parts.
    fn user_data_text(&self) -> Result<Option<String>> {
        let expiry = self.expires_after.map(expiry::script);
        let first = expiry.as_deref().unwrap_or_default();
        let bootstrap = self.bootstrap.as_ref();
        let bootstrap = bootstrap.map(|bootstrap| bootstrap.user_data_after(&self.name, first));
        Ok(match (&self.user_data, bootstrap.transpose()?) {
            (None, None) => expiry.map(|script| format!("#!/bin/bash\n{script}")),
            (None, bootstrap) => bootstrap,
            (Some(data), None) => Some(data.clone()),
            (Some(data), Some(script)) => Some(multipart::with_bootstrap(data, &script)?),
        })
    }

    fn check_instance_profile(&self) -> Result<()> {
        match &self.instance_profile {
            InstanceProfileChoice::None => Ok(()),
            InstanceProfileChoice::Use(name) => {
                // IAM's characters of a name.
                let well_formed = (1..=128).contains(&name.len())
                    && name
                        .bytes()
                        .all(|b| b.is_ascii_alphanumeric() || b"+=,.@_-".contains(&b));
                if well_formed {
                    return Ok(());
                }
                Err(choices::malformed_name("instance_profile", name))
            }
            InstanceProfileChoice::Make(role) => role.check(),
        }
    }
}

/// A [`ClusterSpec`] of which every value that needs no call to EC2 is checked, with the user data
/// that its instances get. A plan is decided from this form alone.
///
/// ```
/// use efa_core::ClusterSpec;
/// use efa_core::spec::CheckedSpec;
///
/// # fn main() -> efa_core::Result<()> {
/// let mut spec = ClusterSpec::new("train", "p5.48xlarge", 2, "subnet-0123456789abcdef0", "ami-0123456789abcdef0");
/// assert_eq!(CheckedSpec::parse(&spec)?.count, 2);
///
/// spec.count = 0;
/// let error = CheckedSpec::parse(&spec).unwrap_err();
/// assert_eq!(error.context_value("field"), Some("count"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "ClusterSpec", into = "ClusterSpec")]
pub struct CheckedSpec {
    spec: ClusterSpec,
    name: ClusterName,
    user_data: Option<Rendered>,
}

impl CheckedSpec {
    /// Checks a specification.
    ///
    /// # Errors
    /// `plan.invalid_spec` with the field, the value, the limit and the cure.
    pub fn parse(spec: &ClusterSpec) -> Result<Self> {
        let name = ClusterName::new(&spec.name)?;
        spec.check_values()?;
        let user_data = spec
            .user_data_text()?
            .map(|text| user_data::render(text, spec.compress_user_data))
            .transpose()?;
        options::check_all_tags(
            &spec.tags,
            &spec.interface_tags,
            spec.name_tag.as_deref(),
            spec.reads_tags(),
        )?;
        Ok(Self {
            spec: spec.clone(),
            name,
            user_data,
        })
    }

    /// Returns the specification with changes, checked anew.
    ///
    /// ```
    /// use efa_core::ClusterSpec;
    /// use efa_core::spec::CheckedSpec;
    ///
    /// # fn main() -> efa_core::Result<()> {
    /// let spec = ClusterSpec::new("train", "p5.48xlarge", 2, "subnet-0123456789abcdef0", "ami-0123456789abcdef0");
    /// let larger = CheckedSpec::parse(&spec)?.replace(|spec| spec.count = 4)?;
    /// assert_eq!(larger.count, 4);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn replace(&self, change: impl FnOnce(&mut ClusterSpec)) -> Result<Self> {
        let mut spec = self.spec.clone();
        change(&mut spec);
        Self::parse(&spec)
    }

    /// Returns the specification as the caller gave it.
    #[must_use]
    pub fn as_spec(&self) -> &ClusterSpec {
        &self.spec
    }

    /// Returns the name of the cluster.
    #[must_use]
    pub fn cluster_name(&self) -> &ClusterName {
        &self.name
    }

    /// Returns whether the caller's user data begins with no line that cloud-init knows.
    pub(crate) fn has_unknown_user_data(&self) -> bool {
        let own = self.spec.user_data.as_deref();
        own.is_some_and(|text| !multipart::is_for_cloud_init(text))
    }

    /// Returns the user data of the instances, not yet encoded: the caller's, or the bootstrap's
    /// script.
    #[must_use]
    pub fn rendered_user_data(&self) -> Option<&str> {
        self.user_data.as_ref().map(|data| data.text.as_str())
    }

    /// Returns the same as it is sent: compressed where it is too large otherwise, or where it is
    /// asked for.
    #[must_use]
    pub fn sent_user_data(&self) -> Option<&UserData> {
        self.user_data.as_ref().map(|data| &data.sent)
    }
}

impl std::ops::Deref for CheckedSpec {
    type Target = ClusterSpec;

    fn deref(&self) -> &ClusterSpec {
        &self.spec
    }
}

impl TryFrom<ClusterSpec> for CheckedSpec {
    type Error = Error;

    fn try_from(spec: ClusterSpec) -> Result<Self> {
        Self::parse(&spec)
    }
}

impl From<CheckedSpec> for ClusterSpec {
    fn from(checked: CheckedSpec) -> Self {
        checked.spec
    }
}

#[cfg(test)]
mod tests;
