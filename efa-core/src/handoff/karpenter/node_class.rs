//! The EC2NodeClass: how a node is launched.

use super::options::invalid;
use super::{Writer, interfaces};
use crate::ec2::Market;
use crate::error::Result;
use crate::handoff::document::{Document, Node, mapping, put};
use crate::handoff::launch_template::{instance_tags, not_possible};
use crate::{tags, volume};

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
        let plan = &self.plan;
        let mut spec = yaml_serde::Mapping::new();
        self.put_image(&mut spec)?;
        self.put_identity(&mut spec)?;
        let term = |id: &Node| Node::Sequence(vec![mapping! { "id" => id.clone() }]);
        if let Some(subnet) = &self.references.subnet {
            put(&mut spec, "subnetSelectorTerms", term(subnet));
        }
        let group = term(&self.references.security_group);
        put(&mut spec, "securityGroupSelectorTerms", group);
        let primary = plan.layout.interfaces.first();
        if let Some(public) = primary.and_then(|i| i.associate_public_ip_address) {
            put(&mut spec, "associatePublicIPAddress", public);
        }
        if !self.is_dynamic() {
            put(
                &mut spec,
                "networkInterfaces",
                interfaces::nodes(&plan.layout),
            );
        }
        if let Some(group) = &self.references.placement_group {
            let selector = mapping! { "name" => group.clone() };
            put(&mut spec, "placementGroupSelector", selector);
        }
        if let Some(terms) = reservation_terms(&plan.capacity.market) {
            put(&mut spec, "capacityReservationSelectorTerms", terms);
        }
        if let Some(volume) = self.root_volume() {
            put(&mut spec, "blockDeviceMappings", volume);
        }
        put(
            &mut spec,
            "metadataOptions",
            mapping! {
                "httpEndpoint" => "enabled",
                "httpProtocolIPv6" => "disabled",
                "httpPutResponseHopLimit" => 2,
                "httpTokens" => "required",
            },
        );
        if let Some(user_data) = &plan.spec.user_data {
            put(&mut spec, "userData", user_data.as_str());
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
                "All traffic within this group, both ways. EKS nodes also need what the cluster's \
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
        if self.references.placement_group.is_some() {
            document = document.comment(
                "spec.placementGroupSelector",
                "Karpenter must be allowed ec2:DescribePlacementGroups.",
            );
        }
        if matches!(self.plan.capacity.market, Market::CapacityBlock(_)) {
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
        let image = &self.plan.image;
        // Amazon's images for EKS nodes have it in their names; its others never join a cluster.
        if image.owner_alias.as_deref() == Some("amazon") && !image.name.contains("eks") {
            return Err(not_possible(
                &format!(
                    "{} ({}) is no image for EKS nodes",
                    image.image_id, image.name
                ),
                "give ami_alias, or plan with an image for EKS nodes on Amazon Linux 2023",
                "image",
                &image.image_id,
            ));
        }
        // Without an alias Karpenter must be told how the image reads its user data.
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
        match &self.plan.instance_profile {
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

    fn root_volume(&self) -> Option<Node> {
        let volume = self.plan.root_volume.as_ref()?;
        let size = volume
            .volume_size_gib
            .unwrap_or_else(|| volume::recommended_gib(&self.plan.instance_type));
        Some(Node::Sequence(vec![mapping! {
            "deviceName" => volume.device_name.as_str(),
            "rootVolume" => true,
            "ebs" => mapping! {
                "volumeSize" => format!("{size}Gi"),
                "volumeType" => "gp3",
                "encrypted" => true,
                "deleteOnTermination" => true,
            },
        }]))
    }

    fn tags(&self) -> Result<Node> {
        let mut map = yaml_serde::Mapping::new();
        for (key, value) in instance_tags(&self.plan, &self.references) {
            let refused =
                RESTRICTED_TAGS[1..].contains(&key.as_str()) || key.starts_with(RESTRICTED_TAGS[0]);
            if refused {
                return Err(not_possible(
                    &format!("Karpenter sets tag {key} itself"),
                    "plan without the tag",
                    "tags",
                    &key,
                ));
            }
            put(&mut map, &key, value);
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

/// `capacityReservationSelectorTerms`; `None` without a reservation.
fn reservation_terms(market: &Market) -> Option<Vec<Node>> {
    let term = match market {
        Market::OnDemand | Market::Spot => return None,
        Market::Open => mapping! { "instanceMatchCriteria" => "open" },
        Market::Reservation(id) | Market::CapacityBlock(id) => mapping! { "id" => id.as_str() },
    };
    Some(vec![term])
}
