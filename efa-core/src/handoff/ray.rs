//! Ray's cluster YAML: a head without EFA, and workers with the plan's interfaces.
//!
//! Ray passes `node_config` to RunInstances as it stands (ray/autoscaler/_private/aws in Ray
//! [`TESTED_RAY_VERSION`]), with a subnet and groups of its own where the document names none. So
//! the head names them as lists, and the workers on every interface and nowhere else.

use super::document::{Document, Node, mapping, node, put, yaml_text};
use super::launch_template::{launch_data, not_possible, plain_user_data, tag_list};
use super::prepared::check_ipv4;
use super::provenance;
use crate::ec2::Tags;
use crate::error::Result;
use crate::launch::{LaunchData, UserData};
use crate::plan::{Plan, launch};
use crate::tags;
use crate::types::Architecture;

mod commands;
mod options;

pub use options::{RayClusterOptions, TESTED_RAY_VERSION};

/// The name of the head's node type.
const HEAD: &str = "head";
/// What Ray leaves to tasks and actors of a node's memory; the rest is its object store's
/// (`DEFAULT_OBJECT_STORE_MEMORY_PROPORTION` is 0.3).
const TASK_MEMORY_TENTHS: u64 = 7;

impl Plan {
    /// Returns a Ray cluster YAML for `ray up`: a head without EFA in the plan's subnet and
    /// security group, and one worker type with the plan's interfaces, named after the instance
    /// type.
    ///
    /// A worker runs the plan's [`Bootstrap`](crate::spec::Bootstrap) (the pinned, verified EFA
    /// installer, unless the image has EFA) and the doctor before it joins; where EFA does not
    /// work its setup fails with the reason. The bootstrap is a setup command, not user data.
    ///
    /// Workers carry the tags by which [`verify_instance`](crate::Client::verify_instance) knows
    /// the planned interfaces, and not the cluster's: `ray down` removes them, and then
    /// [`destroy`](crate::Client::destroy) what `prepare` made.
    ///
    /// # Errors
    /// `handoff.not_prepared` for a group or profile that does not exist yet;
    /// `handoff.not_possible` with Elastic IPs, which Ray cannot give, and in an IPv6-only subnet;
    /// `handoff.invalid_option`.
    pub fn to_ray_yaml(&self, options: &RayClusterOptions) -> Result<String> {
        if self.wants_elastic_ips() {
            return Err(not_possible(
                "Ray cannot give its workers Elastic IPs",
                "plan with public_ip none: Ray reaches its workers by their private addresses",
                "public_ip",
                self.layout().public_ip.as_str(),
            ));
        }
        check_ipv4(
            self,
            "Ray reaches its nodes by their private IPv4 addresses",
        )?;
        let workers = options.workers(self)?;
        options.validate(self)?;
        let launch = launch_data(self)?;
        let worker = worker_name(&self.spec().instance_type);
        let mut types = yaml_serde::Mapping::new();
        put(&mut types, HEAD, head(self, options, &launch));
        let worker_type = worker_type(self, options, launch, &workers)?;
        put(&mut types, &worker, worker_type);
        let mut cluster = yaml_serde::Mapping::new();
        put(&mut cluster, "cluster_name", self.name());
        put(&mut cluster, "provider", provider(self));
        put(&mut cluster, "auth", auth(self, options));
        put(&mut cluster, "max_workers", *workers.end());
        let idle = options.idle_timeout_minutes;
        put(&mut cluster, "idle_timeout_minutes", idle);
        if let Some((remote, local)) = options.wheel() {
            put(&mut cluster, "file_mounts", mapping! { &remote => local });
        }
        put(
            &mut cluster,
            "setup_commands",
            commands::every_node(options),
        );
        put(&mut cluster, "head_setup_commands", Vec::<Node>::new());
        let start = commands::start_worker();
        put(&mut cluster, "worker_start_ray_commands", start);
        put(&mut cluster, "available_node_types", Node::Mapping(types));
        put(&mut cluster, "head_node_type", HEAD);
        let document = commented(Node::Mapping(cluster), self, options, &worker);
        Ok(yaml_text(&header(self), &[document]))
    }
}

/// Interfaces in Ray's own language, for corrections: entries of `NetworkInterfaces`.
pub(crate) fn interfaces_yaml(entries: Node) -> String {
    yaml_text(
        &[],
        &[Document::new(mapping! { "NetworkInterfaces" => entries })],
    )
}

/// `p5-48xlarge` for `p5.48xlarge`: without the dot it is easy to name in shells and tools.
fn worker_name(instance_type: &str) -> String {
    instance_type.replace('.', "-")
}

fn header(plan: &Plan) -> Vec<String> {
    let mut lines = provenance::header(plan, plan.layout());
    lines.push(format!(
        "For Ray {TESTED_RAY_VERSION}: `ray up` this file from within the VPC, `ray down` it, then \
         destroy('{}') removes the groups.",
        plan.name()
    ));
    lines
}

fn provider(plan: &Plan) -> Node {
    mapping! {
        "type" => "aws",
        "region" => plan.region(),
        "availability_zone" => plan.subnet().availability_zone.as_str(),
        "use_internal_ips" => true,
        "cache_stopped_nodes" => false,
    }
}

fn auth(plan: &Plan, options: &RayClusterOptions) -> Node {
    let mut auth = yaml_serde::Mapping::new();
    put(&mut auth, "ssh_user", options.ssh_user(plan.image()));
    if let Some(key) = &options.ssh_private_key {
        put(&mut auth, "ssh_private_key", key.as_str());
    }
    Node::Mapping(auth)
}

fn head(plan: &Plan, options: &RayClusterOptions, worker: &LaunchData) -> Node {
    let arm = plan.image().architecture == Architecture::Arm64;
    let default_type = if arm { "m7g.xlarge" } else { "m7i.xlarge" };
    let instance_type = options.head_instance_type.as_deref();
    let image = options.head_image.as_deref();
    let mut config = yaml_serde::Mapping::new();
    put(
        &mut config,
        "InstanceType",
        instance_type.unwrap_or(default_type),
    );
    put(&mut config, "ImageId", image.unwrap_or(&worker.image_id));
    if let Some(first) = worker.network_interfaces.first() {
        let subnet = options.head_subnet.as_ref().or(first.subnet_id.as_ref());
        let subnets: Vec<&String> = subnet.into_iter().collect();
        put(&mut config, "SubnetIds", node(&subnets));
        put(&mut config, "SecurityGroupIds", node(&first.groups));
    }
    // Another image's root device may have another name.
    let volumes = &worker.block_device_mappings;
    if image.is_none() && !volumes.is_empty() {
        put(&mut config, "BlockDeviceMappings", node(volumes));
    }
    let metadata = node(&worker.metadata_options);
    put(&mut config, "MetadataOptions", metadata);
    if let Some(profile) = &options.head_instance_profile {
        let profile = mapping! { "Name" => profile.as_str() };
        put(&mut config, "IamInstanceProfile", profile);
    }
    if let Some(key) = &worker.key_name {
        put(&mut config, "KeyName", key.as_str());
    }
    let mut own = plan.spec().tags.clone();
    own.insert(provenance::TAG.to_owned(), provenance::tag_value(plan));
    let tags = mapping! { "ResourceType" => "instance", "Tags" => tag_list(&own) };
    put(&mut config, "TagSpecifications", vec![tags]);
    mapping! {
        "resources" => mapping! { "CPU" => 0 },
        "min_workers" => 0,
        "max_workers" => 0,
        "node_config" => Node::Mapping(config),
    }
}

fn worker_type(
    plan: &Plan,
    options: &RayClusterOptions,
    mut data: LaunchData,
    workers: &std::ops::RangeInclusive<u32>,
) -> Result<Node> {
    // The bootstrap is among the setup commands, where Ray sees it fail. The caller's own text
    // stays as it is: boto3 encodes it.
    let own = plain_user_data(plan, "a cluster YAML of Ray")?;
    data.user_data = own.map(|text| UserData::Text(text.to_owned()));
    data.tag_specifications =
        launch::tag_specifications(&worker_tags(plan), &plan.spec().interface_tags);
    Ok(mapping! {
        "resources" => resources(plan),
        "min_workers" => *workers.start(),
        "max_workers" => *workers.end(),
        "node_config" => node(&data),
        "worker_setup_commands" => commands::worker(plan, options)?,
    })
}

/// What a task can ask for. Ray finds out the rest itself (the kind of accelerator, for example), where
/// the caller may describe instance types.
fn resources(plan: &Plan) -> Node {
    let instance_type = plan.instance_type();
    let mut resources = yaml_serde::Mapping::new();
    put(&mut resources, "CPU", instance_type.default_vcpus);
    let gpus: u32 = instance_type.gpus.iter().map(|gpu| gpu.count).sum();
    if gpus > 0 {
        put(&mut resources, "GPU", gpus);
    }
    let memory = instance_type.memory_mib * 1024 * 1024 / 10 * TASK_MEMORY_TENTHS;
    put(&mut resources, "memory", memory);
    put(&mut resources, "efa", plan.layout().efa_count());
    Node::Mapping(resources)
}

/// Tags that state what was planned, and none by which our own verbs find a cluster to remove.
fn worker_tags(plan: &Plan) -> Tags {
    let mut own = plan.spec().tags.clone();
    own.insert(provenance::TAG.to_owned(), provenance::tag_value(plan));
    own.insert(tags::PLAN.to_owned(), plan.fingerprint().to_owned());
    own.insert(tags::LAYOUT.to_owned(), plan.layout().notation());
    own
}

fn commented(cluster: Node, plan: &Plan, options: &RayClusterOptions, worker: &str) -> Document {
    let head = |key: &str| format!("available_node_types.{HEAD}.{key}");
    let worker = |key: &str| format!("available_node_types.{worker}.{key}");
    let key_pair = match &options.ssh_private_key {
        Some(_) => {
            "The key of KeyName below, on the machine that runs `ray up`; Ray copies it to the head."
        }
        None => {
            "Without ssh_private_key Ray makes a key pair in EC2, and writes its private key to\n\
             ~/.ssh/ray-autoscaler_<region>.pem on the machine that runs `ray up`."
        }
    };
    let several = if plan.layout().len() > 1 {
        "Must stay true: EC2 gives no public address to an instance of several interfaces."
    } else {
        "Ray reaches its nodes by their private addresses."
    };
    let mut document = Document::new(cluster)
        .comment("provider.availability_zone", "EFA traffic does not cross zones: one, the subnet's.")
        .comment("provider.use_internal_ips", several)
        .comment("auth", key_pair)
        .comment(
            "setup_commands",
            "Every node needs the same Ray and Python. Add your packages here, and in\n\
             worker_setup_commands below, which Ray runs on workers instead of these.",
        )
        .comment(
            "worker_start_ray_commands",
            "EFA needs locked memory without limit; limits of sessions that began before the\n\
             installer ran are lower.",
        )
        .comment(&head("resources"), "No CPU: your tasks are not scheduled on the head.")
        .comment(
            &head("node_config.SubnetIds"),
            "Plural: Ray ignores SubnetId (ray-project/ray#14551).",
        )
        .comment(
            &head("node_config.SecurityGroupIds"),
            "The workers' group: its self-referencing rule lets the head reach them, SSH \
             included.\n\
             Nothing opens port 22 to anyone else.",
        )
        .comment(
            &worker("resources"),
            "Ask for EFA in Python with @ray.remote(resources={\"efa\": 1}).",
        )
        .comment(
            &worker("min_workers"),
            "Ray keeps what EC2 gives, and asks again for the rest: never all or nothing. Wait for\n\
             ray.cluster_resources()[\"efa\"] before work that needs every node.",
        )
        .comment(
            &worker("worker_setup_commands"),
            "The verified EFA installer, and the doctor: a worker without working EFA fails here,\n\
             with the reason, instead of joining.",
        )
        .comment(
            &worker("node_config.NetworkInterfaces"),
            "Groups and subnet belong on every interface, not next to this list.",
        );
    if options.head_instance_profile.is_none() {
        document = document.comment(
            &head("node_config.MetadataOptions"),
            "Without IamInstanceProfile Ray makes a role ray-autoscaler-v1 that may do everything in\n\
             EC2 and S3; give head_instance_profile for less.",
        );
    }
    if options.wheel().is_some() {
        document = document.comment("file_mounts", "Remote path: path on this machine.");
    }
    document
}

#[cfg(test)]
mod tests;
