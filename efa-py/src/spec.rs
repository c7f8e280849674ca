//! `ClusterSpec`, `InstanceRole` and `Bootstrap`.

use std::collections::BTreeMap;
use std::time::Duration;

use efa_core as core;
use efa_core::spec::{
    CheckedSpec, HostNames, InstanceProfileChoice, PlacementGroupChoice, SecurityGroupChoice,
    Selector, Tenancy,
};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::argument::{Count, Within, extracted, given, number};
use crate::choices;
use crate::convert::{list, texts};
use crate::errors;
use crate::layout::{NetworkInterface, layout_request};
use crate::value::value_class;

mod volume;

pub(crate) use volume::Volume;

use volume::volume_options;

value_class! {
    /// The permissions of the role that is made for the instances, besides being managed by SSM.
    ///
    /// scripts_bucket: read the objects of this S3 bucket. cloudwatch_logs: write SSM session logs.
    /// permissions_boundary: the ARN of a managed policy that bounds the role, whatever policies it
    /// has; `Plan.caller_policy()` then lets no role be made or written without it.
    InstanceRole(core::spec::InstanceRole) {
        /// The S3 bucket to read.
        scripts_bucket: Option<String> = |role| role.scripts_bucket.clone();
        /// Whether session logs can be written.
        cloudwatch_logs: bool = |role| role.cloudwatch_logs;
        /// The ARN of the policy that bounds it.
        permissions_boundary: Option<String> = |role| role.permissions_boundary.clone();
    }
    repr = |role| {
        let shown = |text: &Option<String>| {
            text.as_ref().map_or_else(|| "None".to_owned(), |text| format!("'{text}'"))
        };
        format!(
            "InstanceRole(scripts_bucket={}, cloudwatch_logs={}, permissions_boundary={})",
            shown(&role.scripts_bucket),
            if role.cloudwatch_logs { "True" } else { "False" },
            shown(&role.permissions_boundary),
        )
    };
}

#[pymethods]
impl InstanceRole {
    #[new]
    #[pyo3(signature = (
        *, scripts_bucket: "str | None" = None, cloudwatch_logs: "bool" = false,
        permissions_boundary: "str | None" = None
    ))]
    fn new(
        #[pyo3(from_py_with = given)] scripts_bucket: Option<String>,
        #[pyo3(from_py_with = given)] cloudwatch_logs: bool,
        #[pyo3(from_py_with = given)] permissions_boundary: Option<String>,
    ) -> Self {
        let mut role = core::spec::InstanceRole::default();
        role.scripts_bucket = scripts_bucket;
        role.cloudwatch_logs = cloudwatch_logs;
        role.permissions_boundary = permissions_boundary;
        Self(role)
    }
}

value_class! {
    /// A script that installs a pinned EFA installer at the first boot, after verifying its checksum and its
    /// signature. Give installer_version and installer_sha256 together to pin another one.
    ///
    /// minimal: kernel module and rdma-core only. huge_pages: reserve n. instance_store: mount
    /// all disks of the instance store there as one file system, as RAID 0 where there are several;
    /// what is on it is lost when the instance stops. extra_script: your own commands after all of
    /// it.
    Bootstrap(core::spec::Bootstrap) {
        /// The installer's version.
        installer_version: String = |b| b.installer.version.clone();
        /// SHA-256 of its tarball.
        installer_sha256: String = |b| b.installer.sha256.clone();
        /// Whether only kernel module and rdma-core are installed.
        minimal: bool = |b| b.minimal;
        /// How many huge pages are reserved; None leaves it to the installer.
        huge_pages: Option<u32> = |b| b.huge_pages;
        /// Where the instance store is mounted; None leaves it alone.
        instance_store: Option<String> = |b| b.instance_store.clone();
        /// Commands after a successful installation.
        extra_script: Option<String> = |b| b.extra_script.clone();
    }
    repr = |b| format!("<Bootstrap of EFA installer {}>", b.installer.version);
}

#[pymethods]
impl Bootstrap {
    #[new]
    #[pyo3(signature = (
        *, installer_version: "str | None" = None, installer_sha256: "str | None" = None,
        minimal: "bool" = false, huge_pages: "int | None" = None,
        instance_store: "str | None" = None,
        extra_script: "str | None" = None
    ))]
    fn new(
        #[pyo3(from_py_with = given)] installer_version: Option<String>,
        #[pyo3(from_py_with = given)] installer_sha256: Option<String>,
        #[pyo3(from_py_with = given)] minimal: bool,
        #[pyo3(from_py_with = given)] huge_pages: Option<Within<1, 4_294_967_295>>,
        #[pyo3(from_py_with = given)] instance_store: Option<String>,
        #[pyo3(from_py_with = given)] extra_script: Option<String>,
    ) -> PyResult<Self> {
        let mut bootstrap = core::spec::Bootstrap::default();
        if let Some(version) = installer_version {
            bootstrap.installer.version = version;
        }
        if let Some(sha256) = installer_sha256 {
            bootstrap.installer.sha256 = sha256;
        }
        bootstrap.minimal = minimal;
        bootstrap.huge_pages = number(huge_pages);
        bootstrap.instance_store = instance_store;
        bootstrap.extra_script = extra_script;
        bootstrap.user_data("check").map_err(errors::exception)?;
        Ok(Self(bootstrap))
    }

    /// Returns the user data for a cluster of this name.
    #[pyo3(signature = (cluster: "str"))]
    fn user_data(&self, #[pyo3(from_py_with = given)] cluster: &str) -> PyResult<String> {
        self.0.user_data(cluster).map_err(errors::exception)
    }
}

/// One subnet or several.
#[derive(FromPyObject)]
enum Subnets {
    One(String),
    Several(Vec<String>),
}

impl Subnets {
    fn selectors(self) -> core::Result<Vec<Selector>> {
        let names = match self {
            Self::One(one) => vec![one],
            Self::Several(several) => several,
        };
        let subnet = |name: String| Selector::subnet(&name);
        names.into_iter().map(subnet).collect()
    }
}

extracted! {
    Subnets: "a str or a list of str";
    Profile: "a str or an InstanceRole";
}

/// A profile of the caller's, by name, or what the role of one that is made allows.
#[derive(FromPyObject)]
enum Profile {
    Use(String),
    #[pyo3(transparent)]
    Make(InstanceRole),
}

impl Profile {
    fn choice(given: Option<Self>) -> InstanceProfileChoice {
        match given {
            None => InstanceProfileChoice::None,
            Some(Self::Use(name)) => InstanceProfileChoice::Use(name),
            Some(Self::Make(role)) => InstanceProfileChoice::Make(role.0),
        }
    }
}

value_class! {
    /// A cluster of identical instances in one subnet: what you ask for.
    ///
    /// name: 1 to 63 letters, digits and hyphens. instance_type: such as `p5.48xlarge`. count: how
    /// many instances, 1 to 1000. subnet: an id, a tag (`key=value`) or a name, or a list of them;
    /// all instances go to one, the next is tried where a zone has no capacity; vpc: the same for
    /// the VPC, needed when subnet is None. image: `ami-…`, `al2023`, `dlami-al2023`,
    /// `dlami-ubuntu-22.04`, `dlami-ubuntu-24.04`, `ssm:/parameter`, or `owner/name pattern`.
    /// minimum_count: launch with this many if not all can be had; all or nothing when None.
    /// capacity: `on-demand`, `spot`, `open`, the id of a reservation or Capacity Block, several with
    /// their counts (`cr-…:8,cr-…:8`, one launch for each), or the ARN of a resource group of
    /// reservations. security_group: use this group (id, tag or name), which must allow all traffic
    /// from and to itself, or gets the missing rules with adopt_security_group; made when None.
    /// ssh_cidrs: ranges that may reach port 22 of a group that is made. placement: `cluster` or
    /// `none`; placement_group_name: use this cluster placement group; made when None. interfaces:
    /// your own instead of a profile's, under the same checks. profile, efa, public_ip: as in
    /// `InstanceType.layout`. volume_size_gib: GiB of the root volume, always encrypted; a
    /// recommended size when None; volume_type, volume_iops, volume_throughput_mib_s (MiB/s) and
    /// volume_kms_key_id state how it is made, as in `Volume`. volumes: further volumes.
    /// further_security_groups: existing groups that every interface is in, too;
    /// ena_security_groups: those of the interfaces with an IP address only. tenancy: `dedicated`
    /// or `default`. threads_per_core: 1 turns simultaneous multithreading off. spot_maximum_price:
    /// dollars per hour, as text. metadata_hop_limit: 1 to 64, 2 when None; metadata_tags:
    /// instances can read their tags. host_names: `resource-name` calls them by their id in private
    /// DNS, `ip-name` by their address; what the subnet states when None. name_tag: the Name tag, the
    /// cluster's name when None; interface_tags: tags of the interfaces alone. key_name: an EC2 key
    /// pair for SSH. instance_profile: a name, or an `InstanceRole` to make one. expires_after: how
    /// long after the plan is made each node ends itself, 10 minutes to 365 days; never when None.
    /// bootstrap: installs the EFA software at the first boot, after user_data has run. user_data: at
    /// most 16,384 bytes with the bootstrap's script, no secrets; what is larger is compressed with
    /// gzip if cloud-init reads it, and with compress_user_data what is smaller, too; with a
    /// bootstrap a script (`#!…`), `#cloud-config`, `#cloud-boothook` or `#include`. launch_template:
    /// a template's id or name, and `:version` (`$Default` without): what it sets and the
    /// specification does not is taken, what contradicts it is refused; image `launch-template` takes
    /// its image.
    ///
    /// Raises PlanError that names the field, the value, the limit and the cure.
    ///
    /// >>> import efa_sdk as efa
    /// >>> efa.ClusterSpec(
    /// ...     name="train", instance_type="p5.48xlarge", count=2, subnet="private", image="al2023"
    /// ... )
    /// ClusterSpec(name='train', instance_type='p5.48xlarge', count=2)
    ClusterSpec(core::ClusterSpec) {
        /// Name of the cluster.
        name: String = |spec| spec.name.clone();
        /// The instance type's name.
        instance_type: String = |spec| spec.instance_type.clone();
        /// How many instances.
        count: u32 = |spec| spec.count;
        /// With fewer nothing is launched; None: all or nothing.
        minimum_count: Option<u32> = |spec| spec.minimum_count;
        /// The subnets that may be used: ids, tags or names.
        subnets: Vec<String> = |spec| texts(&spec.subnets);
        /// The VPC: an id, a tag or a name.
        vpc: Option<String> = |spec| spec.vpc.as_ref().map(ToString::to_string);
        /// The launch template and its version, with a colon between; None without one.
        launch_template: Option<String> = |spec| spec.launch_template.as_ref().map(ToString::to_string);
        /// The machine image, as it was given.
        image: String = |spec| spec.image.to_string();
        /// `on-demand`, `spot`, `open` or a reservation's id.
        capacity: String = |spec| spec.capacity.to_string();
        /// The security group to use: an id, a tag or a name; None when one is made.
        security_group: Option<String> = |spec| match &spec.security_group {
            SecurityGroupChoice::Use(group) | SecurityGroupChoice::Adopt(group) => {
                Some(group.to_string())
            }
            _ => None,
        };
        /// Whether missing self rules are added to the group that is used.
        adopt_security_group: bool = |spec| {
            matches!(spec.security_group, SecurityGroupChoice::Adopt(_))
        };
        /// Existing groups that every interface is in, too.
        further_security_groups: Vec<String> = |spec| texts(&spec.further_security_groups);
        /// Existing groups that the interfaces with an IP address are in, too.
        ena_security_groups: Vec<String> = |spec| texts(&spec.ena_security_groups);
        /// The ranges that may reach port 22.
        ssh_cidrs: Vec<String> = |spec| spec.ssh_cidrs.clone();
        /// `cluster` or `none`.
        placement: choices::Placement = |spec| match &spec.placement_group {
            PlacementGroupChoice::None => "none",
            _ => "cluster",
        }.into();
        /// The placement group to use; None when one is made.
        placement_group_name: Option<String> = |spec| match &spec.placement_group {
            PlacementGroupChoice::Use(name) => Some(name.clone()),
            _ => None,
        };
        /// The layout profile.
        profile: choices::Profile = |spec| spec.profile.as_str().into();
        /// How many EFA interfaces; all when None.
        efa: Option<u32> = |spec| spec.efa;
        /// `none`, `lone-efa` or `elastic-ip`.
        public_ip: choices::PublicIp = |spec| spec.public_ip.as_str().into();
        /// The caller's own interfaces.
        interfaces: Option<Vec<NetworkInterface>> = |spec| spec.interfaces.as_deref().map(list);
        /// Size of the root volume, in GiB.
        volume_size_gib: Option<u32> = |spec| spec.volume_size_gib;
        /// Type of the root volume; gp3 when None.
        volume_type: Option<String> = |spec| {
            spec.volume.volume_type.as_ref().map(ToString::to_string)
        };
        /// Provisioned IOPS of the root volume; EC2's default when None.
        volume_iops: Option<u32> = |spec| spec.volume.iops;
        /// Throughput of the root volume in MiB/s; EC2's default when None.
        volume_throughput_mib_s: Option<u32> = |spec| spec.volume.throughput_mib_s;
        /// The KMS key that encrypts the root volume; the account's default key when None.
        volume_kms_key_id: Option<String> = |spec| spec.volume.kms_key_id.clone();
        /// Volumes besides the root volume.
        volumes: Vec<Volume> = |spec| list(&spec.volumes);
        /// `default` or `dedicated`; the reservation's, or EC2's default, when None.
        tenancy: Option<choices::Tenancy> = |spec| spec.tenancy.map(Tenancy::as_str).map(Into::into);
        /// Threads per physical core; the type's default when None.
        threads_per_core: Option<u32> = |spec| spec.threads_per_core;
        /// The most to pay for a spot instance, in dollars per hour.
        spot_maximum_price: Option<String> = |spec| spec.spot_maximum_price.clone();
        /// Over how many hops answers of the metadata service travel; 2 when None.
        metadata_hop_limit: Option<u32> = |spec| spec.metadata_hop_limit;
        /// Whether instances can read their tags from the metadata service.
        metadata_tags: bool = |spec| spec.metadata_tags;
        /// `ip-name` or `resource-name`; what the subnet states when None.
        host_names: Option<choices::HostNames> = |spec| spec.host_names.map(HostNames::as_str).map(Into::into);
        /// Name of an EC2 key pair.
        key_name: Option<String> = |spec| spec.key_name.clone();
        /// Name of the instance profile to use.
        instance_profile: Option<String> = |spec| match &spec.instance_profile {
            InstanceProfileChoice::Use(name) => Some(name.clone()),
            _ => None,
        };
        /// What the role that is made allows; None when none is made.
        instance_role: Option<InstanceRole> = |spec| match &spec.instance_profile {
            InstanceProfileChoice::Make(role) => Some(InstanceRole(role.clone())),
            _ => None,
        };
        /// What installs the EFA software at the first boot.
        bootstrap: Option<Bootstrap> = |spec| spec.bootstrap.clone().map(Bootstrap);
        /// User data, not encoded.
        user_data: Option<String> = |spec| spec.user_data.clone();
        /// Whether the user data is compressed even where it fits.
        compress_user_data: bool = |spec| spec.compress_user_data;
        /// How long after the plan is made each node ends itself.
        expires_after: Option<Duration> = |spec| spec.expires_after;
        /// The caller's own tags.
        tags: BTreeMap<String, String> = |spec| spec.tags.clone();
        /// The Name tag; the cluster's name when None.
        name_tag: Option<String> = |spec| spec.name_tag.clone();
        /// Further tags of the network interfaces alone.
        interface_tags: BTreeMap<String, String> = |spec| spec.interface_tags.clone();
    }
    repr = |spec| format!(
        "ClusterSpec(name='{}', instance_type='{}', count={})",
        spec.name, spec.instance_type, spec.count
    );
    html = core::ClusterSpec::to_html;
}

#[pymethods]
impl ClusterSpec {
    #[new]
    #[pyo3(signature = (
        *, name: "str", instance_type: "str", count: "int", image: "str",
        subnet: "str | Sequence[str] | None" = None, vpc: "str | None" = None,
        minimum_count: "int | None" = None, capacity: "choices.Capacity" = "on-demand",
        security_group: "str | None" = None, adopt_security_group: "bool" = false,
        further_security_groups: "Sequence[str] | None" = None,
        ena_security_groups: "Sequence[str] | None" = None,
        ssh_cidrs: "Sequence[str] | None" = None,
        placement: "choices.Placement" = "cluster",
        placement_group_name: "str | None" = None, profile: "choices.Profile" = "save-ips",
        efa: "int | None" = None, public_ip: "choices.PublicIp" = "none",
        interfaces: "Sequence[NetworkInterface] | None" = None,
        volume_size_gib: "int | None" = None,
        volume_type: "choices.VolumeType | None" = None, volume_iops: "int | None" = None,
        volume_throughput_mib_s: "int | None" = None, volume_kms_key_id: "str | None" = None,
        volumes: "Sequence[Volume] | None" = None,
        tenancy: "choices.Tenancy | None" = None,
        threads_per_core: "typing.Literal[1, 2] | None" = None,
        spot_maximum_price: "str | None" = None, metadata_hop_limit: "int | None" = None,
        metadata_tags: "bool" = false, host_names: "choices.HostNames | None" = None,
        key_name: "str | None" = None,
        instance_profile: "str | InstanceRole | None" = None, bootstrap: "Bootstrap | None" = None,
        user_data: "str | None" = None, compress_user_data: "bool" = false,
        expires_after: "datetime.timedelta | None" = None,
        tags: "dict[str, str] | None" = None, name_tag: "str | None" = None,
        interface_tags: "dict[str, str] | None" = None, launch_template: "str | None" = None
    ))]
    #[allow(clippy::too_many_arguments)] // each is a keyword of its own
    fn new(
        #[pyo3(from_py_with = given)] name: String,
        #[pyo3(from_py_with = given)] instance_type: String,
        #[pyo3(from_py_with = given)] count: Count<1000>,
        #[pyo3(from_py_with = given)] image: &str,
        #[pyo3(from_py_with = given)] subnet: Option<Subnets>,
        #[pyo3(from_py_with = given)] vpc: Option<&str>,
        #[pyo3(from_py_with = given)] minimum_count: Option<Count<1000>>,
        #[pyo3(from_py_with = given)] capacity: &str,
        #[pyo3(from_py_with = given)] security_group: Option<&str>,
        #[pyo3(from_py_with = given)] adopt_security_group: bool,
        #[pyo3(from_py_with = given)] further_security_groups: Option<Vec<String>>,
        #[pyo3(from_py_with = given)] ena_security_groups: Option<Vec<String>>,
        #[pyo3(from_py_with = given)] ssh_cidrs: Option<Vec<String>>,
        #[pyo3(from_py_with = given)] placement: &str,
        #[pyo3(from_py_with = given)] placement_group_name: Option<String>,
        #[pyo3(from_py_with = given)] profile: &str,
        #[pyo3(from_py_with = given)] efa: Option<u32>,
        #[pyo3(from_py_with = given)] public_ip: &str,
        #[pyo3(from_py_with = given)] interfaces: Option<Vec<NetworkInterface>>,
        #[pyo3(from_py_with = given)] volume_size_gib: Option<Within<1, 65_536>>,
        #[pyo3(from_py_with = given)] volume_type: Option<&str>,
        #[pyo3(from_py_with = given)] volume_iops: Option<Within<100, 256_000>>,
        #[pyo3(from_py_with = given)] volume_throughput_mib_s: Option<Within<125, 2_000>>,
        #[pyo3(from_py_with = given)] volume_kms_key_id: Option<String>,
        #[pyo3(from_py_with = given)] volumes: Option<Vec<Volume>>,
        #[pyo3(from_py_with = given)] tenancy: Option<&str>,
        #[pyo3(from_py_with = given)] threads_per_core: Option<Within<1, 2>>,
        #[pyo3(from_py_with = given)] spot_maximum_price: Option<String>,
        #[pyo3(from_py_with = given)] metadata_hop_limit: Option<Within<1, 64>>,
        #[pyo3(from_py_with = given)] metadata_tags: bool,
        #[pyo3(from_py_with = given)] host_names: Option<&str>,
        #[pyo3(from_py_with = given)] key_name: Option<String>,
        #[pyo3(from_py_with = given)] instance_profile: Option<Profile>,
        #[pyo3(from_py_with = given)] bootstrap: Option<&Bootstrap>,
        #[pyo3(from_py_with = given)] user_data: Option<String>,
        #[pyo3(from_py_with = given)] compress_user_data: bool,
        #[pyo3(from_py_with = given)] expires_after: Option<Duration>,
        #[pyo3(from_py_with = given)] tags: Option<BTreeMap<String, String>>,
        #[pyo3(from_py_with = given)] name_tag: Option<String>,
        #[pyo3(from_py_with = given)] interface_tags: Option<BTreeMap<String, String>>,
        #[pyo3(from_py_with = given)] launch_template: Option<&str>,
    ) -> PyResult<Self> {
        let layout = layout_request(profile, efa, public_ip)?;
        let build = || -> core::Result<core::ClusterSpec> {
            let count = core::ClusterSpec::parse_count(count.0)?;
            let mut spec =
                core::ClusterSpec::with_image(name, instance_type, count, image.parse()?);
            spec.subnets = subnet.map_or(Ok(Vec::new()), Subnets::selectors)?;
            spec.vpc = vpc.map(Selector::vpc).transpose()?;
            let minimum =
                |given: Count<1000>| core::ClusterSpec::parse_minimum_count(given.0, count);
            spec.minimum_count = minimum_count.map(minimum).transpose()?;
            spec.capacity = capacity.parse()?;
            spec.security_group = SecurityGroupChoice::parse(security_group, adopt_security_group)?;
            spec.further_security_groups = groups(further_security_groups)?;
            spec.ena_security_groups = groups(ena_security_groups)?;
            spec.ssh_cidrs = ssh_cidrs.unwrap_or_default();
            spec.placement_group = PlacementGroupChoice::parse(placement, placement_group_name)?;
            (spec.profile, spec.efa) = (layout.profile, layout.efa);
            spec.public_ip = layout.public_ip;
            spec.interfaces = interfaces.map(|all| all.into_iter().map(|i| i.0).collect());
            spec.volume_size_gib = number(volume_size_gib);
            spec.volume = volume_options(
                volume_type,
                volume_iops,
                volume_throughput_mib_s,
                volume_kms_key_id,
            );
            spec.volumes = volumes.into_iter().flatten().map(|v| v.0).collect();
            spec.launch_template = launch_template.map(str::parse).transpose()?;
            spec.key_name = key_name;
            spec.instance_profile = Profile::choice(instance_profile);
            spec.bootstrap = bootstrap.map(|b| b.0.clone());
            spec.user_data = user_data;
            spec.compress_user_data = compress_user_data;
            spec.expires_after = expires_after;
            spec.tags = tags.unwrap_or_default();
            spec.tenancy = tenancy.map(str::parse).transpose()?;
            spec.threads_per_core = number(threads_per_core);
            spec.spot_maximum_price = spot_maximum_price;
            spec.metadata_hop_limit = number(metadata_hop_limit);
            spec.metadata_tags = metadata_tags;
            spec.host_names = host_names.map(str::parse).transpose()?;
            spec.name_tag = name_tag;
            spec.interface_tags = interface_tags.unwrap_or_default();
            Ok(CheckedSpec::parse(&spec)?.into())
        };
        build().map(Self).map_err(errors::exception)
    }

    /// Returns the specification with other values, under the names of the constructor, checked
    /// anew.
    ///
    /// Raises PlanError as the constructor does, and TypeError for a name that it does not have.
    ///
    /// >>> import efa_sdk as efa
    /// >>> spec = efa.ClusterSpec(
    /// ...     name="train", instance_type="p5.48xlarge", count=2, subnet="private", image="al2023"
    /// ... )
    /// >>> spec.replace(count=4).count
    /// 4
    #[pyo3(signature = (**changes: "typing.Any"))]
    fn replace<'py>(
        slf: &Bound<'py, Self>,
        changes: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let values = PyDict::new(slf.py());
        for name in KEYWORDS {
            let value = match *name {
                "subnet" => slf.getattr("subnets")?,
                "instance_profile" => {
                    let named = slf.getattr(*name)?;
                    if named.is_none() {
                        slf.getattr("instance_role")?
                    } else {
                        named
                    }
                }
                name => slf.getattr(name)?,
            };
            values.set_item(name, value)?;
        }
        if let Some(changes) = changes {
            values.update(changes.as_mapping())?;
        }
        slf.get_type().call((), Some(&values))
    }
}

/// The constructor's keywords, each a getter's name but for subnet and instance_profile.
const KEYWORDS: &[&str] = &[
    "name",
    "instance_type",
    "count",
    "image",
    "subnet",
    "vpc",
    "minimum_count",
    "capacity",
    "security_group",
    "adopt_security_group",
    "further_security_groups",
    "ena_security_groups",
    "ssh_cidrs",
    "placement",
    "placement_group_name",
    "profile",
    "efa",
    "public_ip",
    "interfaces",
    "volume_size_gib",
    "volume_type",
    "volume_iops",
    "volume_throughput_mib_s",
    "volume_kms_key_id",
    "volumes",
    "tenancy",
    "threads_per_core",
    "spot_maximum_price",
    "metadata_hop_limit",
    "metadata_tags",
    "host_names",
    "key_name",
    "instance_profile",
    "bootstrap",
    "user_data",
    "compress_user_data",
    "expires_after",
    "tags",
    "name_tag",
    "interface_tags",
    "launch_template",
];

fn groups(names: Option<Vec<String>>) -> core::Result<Vec<Selector>> {
    let names = names.unwrap_or_default();
    let group = |name: String| Selector::security_group(&name);
    names.into_iter().map(group).collect()
}
