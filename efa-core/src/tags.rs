//! The tags and names by which our resources are found again.

use crate::ec2::{Filter, Tags};

/// Prefix of every tag key of efa-sdk.
pub(crate) const PREFIX: &str = "efa-sdk:";
/// EC2's limit on the value of a tag, in characters.
pub(crate) const VALUE_LIMIT: usize = 256;
/// EC2's own display name.
pub(crate) const NAME: &str = "Name";
/// The cluster's name, on everything that we make.
pub(crate) const CLUSTER: &str = "efa-sdk:cluster";
/// The plan's fingerprint.
pub(crate) const PLAN: &str = "efa-sdk:plan";
/// How many instances the plan has.
pub(crate) const COUNT: &str = "efa-sdk:count";
/// The planned interfaces in the layout's compact notation.
pub(crate) const LAYOUT: &str = "efa-sdk:layout";
/// How the instances get a public address.
pub(crate) const PUBLIC_IP: &str = "efa-sdk:public-ip";
/// The planned instance type, subnet and image.
pub(crate) const INSTANCE_TYPE: &str = "efa-sdk:instance-type";
/// The planned subnet.
pub(crate) const SUBNET: &str = "efa-sdk:subnet";
/// The planned image.
pub(crate) const IMAGE: &str = "efa-sdk:image";
/// The planned security group, by id.
pub(crate) const SECURITY_GROUP: &str = "efa-sdk:security-group";
/// The planned placement group, by name, or by id where the plan names it so; absent when there is none.
pub(crate) const PLACEMENT_GROUP: &str = "efa-sdk:placement-group";
/// How the instance's bootstrap went; the instance itself sets it.
pub(crate) const BOOTSTRAP: &str = "efa-sdk:bootstrap";

/// The planned capacity: a market, or the id of a reservation.
pub(crate) const CAPACITY: &str = "efa-sdk:capacity";
/// The planned instance profile, by name; absent when there is none.
pub(crate) const INSTANCE_PROFILE: &str = "efa-sdk:instance-profile";

/// In place of an image or an instance profile: whoever launches chooses it, and any is right.
pub(crate) const BY_LAUNCHER: &str = "launcher";

/// When the instance ends itself; the instance reads it from its metadata.
pub(crate) const EXPIRES_AT: &str = "efa-sdk:expires-at";

/// On a Capacity Block that was bought: the offering that its caller named, by which a purchase whose
/// answer was lost is found.
pub(crate) const OFFERING: &str = "efa-sdk:offering";

/// On a replacement: a digest of the ids of the nodes that it replaces.
pub(crate) const REPLACES: &str = "efa-sdk:replaces";

/// The ranges that may reach port 22, separated by spaces; absent when there is none.
pub(crate) const SSH_CIDRS: &str = "efa-sdk:ssh-cidrs";

/// The most to pay for a spot instance, for its replacements.
pub(crate) const SPOT_MAXIMUM_PRICE: &str = "efa-sdk:spot-maximum-price";

/// All keys that we put on an instance.
pub(crate) const OURS: &[&str] = &[
    NAME,
    CLUSTER,
    PLAN,
    COUNT,
    LAYOUT,
    PUBLIC_IP,
    INSTANCE_TYPE,
    SUBNET,
    IMAGE,
    SECURITY_GROUP,
    PLACEMENT_GROUP,
    CAPACITY,
    INSTANCE_PROFILE,
    SSH_CIDRS,
    SPOT_MAXIMUM_PRICE,
    BOOTSTRAP,
    REPLACES,
    EXPIRES_AT,
];

/// The filter that finds everything that we made for one cluster.
pub(crate) fn cluster_filter(name: &str) -> Filter {
    Filter::tag(CLUSTER, name)
}

/// Whether we made the resource with these tags for the cluster.
pub(crate) fn is_ours(tags: &Tags, cluster: &str) -> bool {
    tags.get(CLUSTER).is_some_and(|name| name == cluster)
}

/// Tags of a resource that several plans of one cluster may share: groups, addresses.
pub(crate) fn shared(cluster: &str, user: &Tags) -> Tags {
    let mut tags = user.clone();
    tags.insert(NAME.to_owned(), cluster.to_owned());
    tags.insert(CLUSTER.to_owned(), cluster.to_owned());
    tags
}

/// The name of a security or placement group that we make for a cluster.
pub(crate) fn default_group_name(cluster: &str) -> String {
    format!("efa-sdk-{cluster}")
}
