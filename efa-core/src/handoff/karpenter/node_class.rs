//! The EC2NodeClass: how a node is launched.

use super::interfaces;
use super::options::invalid;
use super::writer::Writer;
use crate::error::Result;
use crate::handoff::document::{Document, Node, mapping, put};
use crate::handoff::launch_template::{not_possible, plain_user_data};
use crate::launch::{
    BlockDeviceMapping, CapacityReservationSpecification, MarketType, MetadataOptions,
};
use crate::tags;

/// Tag keys that the CRD refuses: exact ones, and the first as a prefix.
const RESTRICTED_TAGS: [&str; 5] = [
    "kubernetes.io/cluster",
    "eks:eks-cluster-name",
    "karpenter.sh/nodepool",
    "karpenter.sh/nodeclaim",
    "karpenter.k8s.aws/ec2nodeclass",
];

impl Writer<'_> {
    /// The document.
    pub(super) fn node_class(&self) -> Result<Document> {
        let data = &self.data;
        let mut spec = yaml_serde::Mapping::new();
        self.put_image(&mut spec)?;
        self.put_identity(&mut spec)?;
        let term = |id: &String| mapping! { "id" => id.as_str() };
        let terms = |ids: Vec<&String>| ids.into_iter().map(term).collect::<Vec<Node>>();
        if let Some(primary) = data.network_interfaces.first() {
            let subnets = primary.subnet_id.iter().collect();
            put(&mut spec, "subnetSelectorTerms", terms(subnets));
            let groups = primary.groups.iter().collect();
            put(&mut spec, "securityGroupSelectorTerms", terms(groups));
            if let Some(public) = primary.associate_public_ip_address {
                put(&mut spec, "associatePublicIPAddress", public);
            }
        }
        if !self.is_dynamic() {
            put(
                &mut spec,
                "networkInterfaces",
                interfaces::nodes(&self.layout),
            );
        }
        let by_id = self.data.placement_group_id();
        if let Some(id) = by_id {
            put(&mut spec, "placementGroupSelector", mapping! { "id" => id });
        } else if let Some(name) = self.data.placement_group_name() {
            let selector = mapping! { "name" => name };
            put(&mut spec, "placementGroupSelector", selector);
        }
        if let Some(wanted) = &data.capacity_reservation_specification {
            let terms = vec![reservation_term(wanted)];
            put(&mut spec, "capacityReservationSelectorTerms", terms);
        }
        if !data.block_device_mappings.is_empty() {
            let root = self.plan.root_volume().map(|root| &root.device_name);
            let devices = data.block_device_mappings.iter();
            let devices: Vec<Node> = devices
                .map(|device| block_device(device, root == Some(&device.device_name)))
                .collect();
            put(&mut spec, "blockDeviceMappings", devices);
        }
        put(
            &mut spec,
            "metadataOptions",
            metadata(&data.metadata_options),
        );
        // The bootstrap is not for EKS's images.
        if let Some(user_data) = plain_user_data(self.plan, "an EC2NodeClass of Karpenter")? {
            put(&mut spec, "userData", user_data);
        }
        put(&mut spec, "tags", self.tags()?);
        Ok(self.comment_node_class(Document::new(mapping! {
            "apiVersion" => "karpenter.k8s.aws/v1",
            "kind" => "EC2NodeClass",
            "metadata" => mapping! { "name" => self.name.as_str() },
            "spec" => Node::Mapping(spec),
        })))
    }

    fn comment_node_class(&self, document: Document) -> Document {
        let mut document = document
            .comment(
                "spec.amiSelectorTerms",
                "Pinned: a new image replaces running nodes. It must be one for EKS nodes.",
            )
            .comment(
                "spec.securityGroupSelectorTerms",
                "All traffic within this group, in and out. EKS nodes also need what the cluster's \
                 own security\ngroup allows: add its id as a further term.",
            )
            .comment(
                "spec.metadataOptions",
                "Containers are one hop further than the node.",
            )
            .comment("spec.tags", "efa-sdk finds and checks the nodes by these.");
        if !self.is_dynamic() {
            document = document.comment(
                "spec.networkInterfaces",
                "For this instance type only: every index is of its network cards.",
            );
        }
        if self.data.placement.as_ref().is_some_and(|p| p.has_group()) {
            document = document.comment(
                "spec.placementGroupSelector",
                "Karpenter must be allowed ec2:DescribePlacementGroups.",
            );
        }
        if self.data.market_type() == Some(&MarketType::CapacityBlock) {
            document = document.comment(
                "spec.capacityReservationSelectorTerms",
                "A Capacity Block: nodes are drained before it ends.",
            );
        }
        document
    }

    fn put_image(&self, spec: &mut yaml_serde::Mapping) -> Result<()> {
        if let Some(alias) = &self.options.ami_alias {
            let version = alias.strip_prefix("al2023@v").unwrap_or_default();
            if version.is_empty() || !version.bytes().all(|b| b.is_ascii_digit()) {
                let pinned = "al2023@v and the date of a release, such as al2023@v20260801";
                return Err(invalid("ami_alias", alias, pinned));
            }
            let term = mapping! { "alias" => alias.as_str() };
            put(spec, "amiSelectorTerms", vec![term]);
            return Ok(());
        }
        let image = self.plan.image();
        // Amazon's images for EKS nodes have it in their names; its others never join a cluster.
        if image.owner_alias.as_deref() == Some("amazon") && !image.name.contains("eks") {
            return Err(not_possible(
                &format!(
                    "{} ({}) is not an image for EKS nodes",
                    image.image_id, image.name
                ),
                "give ami_alias, or plan with an image for EKS nodes on Amazon Linux 2023",
                "image",
                &image.image_id,
            ));
        }
        // Without an alias Karpenter needs to know how the image reads its user data.
        put(spec, "amiFamily", "AL2023");
        let term = mapping! { "id" => image.image_id.as_str() };
        put(spec, "amiSelectorTerms", vec![term]);
        Ok(())
    }

    fn put_identity(&self, spec: &mut yaml_serde::Mapping) -> Result<()> {
        if let Some(role) = self.options.role.as_deref().filter(|role| !role.is_empty()) {
            put(spec, "role", role);
            return Ok(());
        }
        let ours = "the instance profile of efa-sdk allows less than EKS nodes need";
        match self.plan.instance_profile() {
            Some(profile) if profile.role.is_none() => {
                put(spec, "instanceProfile", profile.name.as_str());
                Ok(())
            }
            profile => Err(not_possible(
                profile.as_ref().map_or("EKS nodes need a role", |_| ours),
                "give the role that Karpenter's nodes of this cluster have",
                "role",
                profile.as_ref().map_or("", |profile| profile.name.as_str()),
            )),
        }
    }

    fn tags(&self) -> Result<Node> {
        let mut map = yaml_serde::Mapping::new();
        for (key, value) in self.data.instance_tags().into_iter().flatten() {
            let refused =
                RESTRICTED_TAGS[1..].contains(&key.as_str()) || key.starts_with(RESTRICTED_TAGS[0]);
            if refused {
                return Err(not_possible(
                    &format!("Karpenter sets tag {key} itself"),
                    "plan without the tag",
                    "tags",
                    key,
                ));
            }
            put(&mut map, key, value.as_str());
        }
        if self.options.ami_alias.is_some() {
            put(&mut map, tags::IMAGE, tags::BY_LAUNCHER);
        }
        if self.options.role.is_some() {
            put(&mut map, tags::INSTANCE_PROFILE, tags::BY_LAUNCHER);
        }
        Ok(Node::Mapping(map))
    }
}

/// An entry of `capacityReservationSelectorTerms`.
fn reservation_term(wanted: &CapacityReservationSpecification) -> Node {
    let mut term = yaml_serde::Mapping::new();
    if let Some(preference) = &wanted.capacity_reservation_preference {
        put(&mut term, "instanceMatchCriteria", preference.as_str());
    }
    if let Some(target) = &wanted.capacity_reservation_target {
        let id = target.capacity_reservation_id.clone().unwrap_or_default();
        put(&mut term, "id", id);
    }
    Node::Mapping(term)
}

/// An entry of `blockDeviceMappings`.
fn block_device(device: &BlockDeviceMapping, is_root: bool) -> Node {
    let mut ebs = yaml_serde::Mapping::new();
    if let Some(size) = device.ebs.volume_size {
        put(&mut ebs, "volumeSize", format!("{size}Gi"));
    }
    put(&mut ebs, "volumeType", device.ebs.volume_type.as_str());
    if let Some(iops) = device.ebs.iops {
        put(&mut ebs, "iops", iops);
    }
    if let Some(throughput) = device.ebs.throughput {
        put(&mut ebs, "throughput", throughput);
    }
    put(&mut ebs, "encrypted", device.ebs.encrypted);
    if let Some(key) = &device.ebs.kms_key_id {
        put(&mut ebs, "kmsKeyID", key.as_str());
    }
    let goes = device.ebs.delete_on_termination;
    put(&mut ebs, "deleteOnTermination", goes);
    let mut entry = yaml_serde::Mapping::new();
    put(&mut entry, "deviceName", device.device_name.as_str());
    if is_root {
        put(&mut entry, "rootVolume", true);
    }
    put(&mut entry, "ebs", Node::Mapping(ebs));
    Node::Mapping(entry)
}

fn metadata(options: &MetadataOptions) -> Node {
    mapping! {
        "httpEndpoint" => options.http_endpoint.as_str(),
        // EC2's own default, which a launch by efa-sdk leaves as it is.
        "httpProtocolIPv6" => "disabled",
        "httpPutResponseHopLimit" => options.http_put_response_hop_limit,
        "httpTokens" => options.http_tokens.as_str(),
    }
}
