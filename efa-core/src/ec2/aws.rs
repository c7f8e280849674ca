//! [`Ec2`] over aws-sdk-ec2: requests out, this crate's own types back.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region};
use aws_sdk_ec2::Client;
use aws_sdk_ec2::config::Credentials;
use aws_sdk_ec2::types as sdk;

use super::{
    Address, CreateSecurityGroup, Direction, Ec2, Filter, FreeInterface, Image, Instance, Offering,
    Peer, PlacementGroup, Rule, RunInstances, SecurityGroup, Subnet, Tags,
};
use crate::catalog::InstanceType;
use crate::error::{Code, Error, Result};

mod convert;
mod errors;
mod instance_type;
mod launch;
mod retry;

use errors::from_sdk;
use retry::NoCapacityIsFinal;

/// The largest page that DescribeInstanceTypes gives.
const INSTANCE_TYPES_PAGE: i32 = 100;
/// The largest page that the other describing calls give.
const PAGE: i32 = 1000;

/// Where and as whom to call EC2. Absent values come from the environment and the files that
/// the AWS CLI uses.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ConnectOptions {
    /// The region, such as `us-east-1`.
    pub region: Option<String>,
    /// Another endpoint, such as a stand-in's `http://127.0.0.1:5000`.
    pub endpoint_url: Option<String>,
    /// A profile of the AWS CLI's configuration. It wins over credentials in the environment.
    pub profile: Option<String>,
    /// Credentials, instead of those that the AWS CLI finds.
    pub access_key: Option<AccessKey>,
}

impl ConnectOptions {
    /// For the EC2 stand-in at `endpoint_url`: its region and its made-up credentials, so that
    /// no real ones are sent to it.
    pub fn stand_in(endpoint_url: impl Into<String>) -> Self {
        Self {
            region: Some("us-east-1".to_owned()),
            endpoint_url: Some(endpoint_url.into()),
            profile: None,
            access_key: Some(AccessKey::new("testing", "testing")),
        }
    }
}

/// An access key. `Debug` does not show the secret.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessKey {
    id: String,
    secret: String,
}

impl AccessKey {
    /// The key with this id and secret.
    pub fn new(id: impl Into<String>, secret: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            secret: secret.into(),
        }
    }
}

impl fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessKey")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// [`Ec2`] over aws-sdk-ec2: EC2 itself, or whatever answers at the endpoint.
#[derive(Debug, Clone)]
pub struct AwsEc2 {
    client: Client,
    region: String,
    /// For error messages.
    endpoint: String,
}

impl AwsEc2 {
    /// Reads configuration and credentials; calls nothing of EC2.
    ///
    /// # Errors
    /// `ec2.no_region`, `ec2.no_credentials`, or `plan.invalid_spec` for a malformed endpoint.
    pub async fn connect(options: &ConnectOptions) -> Result<Self> {
        let mut loader = aws_config::defaults(BehaviorVersion::latest()).timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(Duration::from_secs(5))
                .operation_attempt_timeout(Duration::from_secs(60))
                .build(),
        );
        if let Some(region) = &options.region {
            loader = loader.region(Region::new(region.clone()));
        }
        if let Some(profile) = &options.profile {
            // The default chain asks the environment first, which would be another account.
            let provider = ProfileFileCredentialsProvider::builder()
                .configure(&ProviderConfig::with_default_region().await)
                .profile_name(profile)
                .build();
            loader = loader.profile_name(profile).credentials_provider(provider);
        }
        if let Some(key) = &options.access_key {
            loader = loader.credentials_provider(Credentials::new(
                &key.id,
                &key.secret,
                None,
                None,
                "efa-sdk",
            ));
        }
        if let Some(url) = &options.endpoint_url {
            check_endpoint(url)?;
            loader = loader.endpoint_url(url);
        }
        let config = loader.load().await;
        let Some(region) = config.region().map(ToString::to_string) else {
            return Err(Error::new(Code::Ec2NoRegion, "no AWS region is configured")
                .with_cure("give region=…, or set AWS_REGION")
                .with_context("field", "region"));
        };
        errors::check_credentials(&config, options.profile.as_deref()).await?;
        let endpoint = options
            .endpoint_url
            .clone()
            .unwrap_or_else(|| format!("EC2 in {region}"));
        Ok(Self {
            client: Client::new(&config),
            region,
            endpoint,
        })
    }
}

fn check_endpoint(url: &str) -> Result<()> {
    let host = url
        .strip_prefix("http://")
        .or_else(|| url.strip_prefix("https://"))
        .unwrap_or_default();
    if host.contains('@') {
        return Err(Error::new(
            Code::PlanInvalidSpec,
            "endpoint_url has a user or a password in it",
        )
        .with_cure("leave them out: calls are signed with AWS credentials")
        .with_context("field", "endpoint_url"));
    }
    if !host.is_empty() && !host.starts_with(['/', ':']) && !host.contains(char::is_whitespace) {
        return Ok(());
    }
    Err(Error::new(
        Code::PlanInvalidSpec,
        format!("endpoint_url '{url}' is not an http or https URL"),
    )
    .with_cure("give it as http://host:port")
    .with_context("field", "endpoint_url")
    .with_context("value", url))
}

fn filters(filters: &[Filter]) -> Option<Vec<sdk::Filter>> {
    let convert = |filter: &Filter| {
        sdk::Filter::builder()
            .name(&filter.name)
            .set_values(Some(filter.values.clone()))
            .build()
    };
    (!filters.is_empty()).then(|| filters.iter().map(convert).collect())
}

fn tag_specification(resource_type: sdk::ResourceType, tags: &Tags) -> sdk::TagSpecification {
    let tag = |(key, value): (&String, &String)| sdk::Tag::builder().key(key).value(value).build();
    sdk::TagSpecification::builder()
        .resource_type(resource_type)
        .set_tags(Some(tags.iter().map(tag).collect()))
        .build()
}

fn ip_permission(rule: &Rule) -> sdk::IpPermission {
    let permission = sdk::IpPermission::builder()
        .ip_protocol(&rule.ip_protocol)
        .set_from_port(rule.from_port)
        .set_to_port(rule.to_port);
    match &rule.peer {
        Peer::SecurityGroup(id) => {
            permission.user_id_group_pairs(sdk::UserIdGroupPair::builder().group_id(id).build())
        }
        Peer::Cidr(cidr) if cidr.contains(':') => {
            permission.ipv6_ranges(sdk::Ipv6Range::builder().cidr_ipv6(cidr).build())
        }
        Peer::Cidr(cidr) => permission.ip_ranges(sdk::IpRange::builder().cidr_ip(cidr).build()),
        Peer::PrefixList(id) => {
            permission.prefix_list_ids(sdk::PrefixListId::builder().prefix_list_id(id).build())
        }
    }
    .build()
}

/// Reads all pages of one describing call and converts every item.
macro_rules! read_pages {
    ($self:ident, $action:ident, $filters:expr, $page:expr, $convert:path $(, $set:ident($value:expr))*) => {
        $self
            .client
            .$action()
            .set_filters(filters($filters))
            $(.$set($value))*
            .into_paginator()
            .page_size($page)
            .items()
            .send()
            .try_collect()
            .await
            .map_err(|error| from_sdk(error, stringify!($action), &$self.endpoint))?
            .into_iter()
            .map($convert)
            .collect()
    };
}

/// Sends one call and turns its error into ours.
macro_rules! call {
    ($self:ident, $action:ident $(, $set:ident($value:expr))*) => {
        $self
            .client
            .$action()
            $(.$set($value))*
            .send()
            .await
            .map_err(|error| from_sdk(error, stringify!($action), &$self.endpoint))
    };
}

#[async_trait]
impl Ec2 for AwsEc2 {
    fn region(&self) -> &str {
        &self.region
    }

    async fn describe_instance_types(&self, filters_: &[Filter]) -> Result<Vec<InstanceType>> {
        read_pages!(
            self,
            describe_instance_types,
            filters_,
            INSTANCE_TYPES_PAGE,
            instance_type::convert
        )
    }

    async fn describe_instance_type_offerings(&self, filters_: &[Filter]) -> Result<Vec<Offering>> {
        self.client
            .describe_instance_type_offerings()
            .location_type(sdk::LocationType::AvailabilityZone)
            .set_filters(filters(filters_))
            .into_paginator()
            .page_size(PAGE)
            .items()
            .send()
            .try_collect()
            .await
            .map_err(|error| from_sdk(error, "describe_instance_type_offerings", &self.endpoint))?
            .into_iter()
            .map(convert::offering)
            .collect()
    }

    async fn describe_subnets(&self, filters_: &[Filter]) -> Result<Vec<Subnet>> {
        read_pages!(self, describe_subnets, filters_, PAGE, convert::subnet)
    }

    async fn describe_images(&self, filters_: &[Filter]) -> Result<Vec<Image>> {
        // An image that its owner has deprecated still launches.
        read_pages!(
            self,
            describe_images,
            filters_,
            PAGE,
            convert::image,
            include_deprecated(true)
        )
    }

    async fn describe_security_groups(&self, filters_: &[Filter]) -> Result<Vec<SecurityGroup>> {
        read_pages!(
            self,
            describe_security_groups,
            filters_,
            PAGE,
            convert::security_group
        )
    }

    async fn describe_placement_groups(&self, filters_: &[Filter]) -> Result<Vec<PlacementGroup>> {
        let answer = call!(
            self,
            describe_placement_groups,
            set_filters(filters(filters_))
        )?;
        answer
            .placement_groups
            .unwrap_or_default()
            .into_iter()
            .map(convert::placement_group)
            .collect()
    }

    async fn describe_instances(&self, filters_: &[Filter]) -> Result<Vec<Instance>> {
        let reservations: Result<Vec<Vec<Instance>>> = read_pages!(
            self,
            describe_instances,
            filters_,
            PAGE,
            convert::reservation
        );
        Ok(reservations?.into_iter().flatten().collect())
    }

    async fn describe_network_interfaces(&self, filters_: &[Filter]) -> Result<Vec<FreeInterface>> {
        read_pages!(
            self,
            describe_network_interfaces,
            filters_,
            PAGE,
            convert::free_interface
        )
    }

    async fn describe_addresses(&self, filters_: &[Filter]) -> Result<Vec<Address>> {
        let answer = call!(self, describe_addresses, set_filters(filters(filters_)))?;
        answer
            .addresses
            .unwrap_or_default()
            .into_iter()
            .map(convert::address)
            .collect()
    }

    async fn create_security_group(&self, request: &CreateSecurityGroup) -> Result<String> {
        let answer = call!(
            self,
            create_security_group,
            group_name(&request.group_name),
            description(&request.description),
            vpc_id(&request.vpc_id),
            tag_specifications(tag_specification(
                sdk::ResourceType::SecurityGroup,
                &request.tags
            ))
        )?;
        convert::present(answer.group_id, "GroupId")
    }

    async fn authorize_security_group(
        &self,
        group_id_: &str,
        direction: Direction,
        rule: &Rule,
    ) -> Result<()> {
        let permission = ip_permission(rule);
        match direction {
            Direction::Ingress => call!(
                self,
                authorize_security_group_ingress,
                group_id(group_id_),
                ip_permissions(permission)
            )
            .map(drop),
            Direction::Egress => call!(
                self,
                authorize_security_group_egress,
                group_id(group_id_),
                ip_permissions(permission)
            )
            .map(drop),
        }
    }

    async fn delete_security_group(&self, id: &str) -> Result<()> {
        call!(self, delete_security_group, group_id(id)).map(drop)
    }

    async fn create_cluster_placement_group(&self, name: &str, tags: &Tags) -> Result<()> {
        call!(
            self,
            create_placement_group,
            group_name(name),
            strategy(sdk::PlacementStrategy::Cluster),
            tag_specifications(tag_specification(sdk::ResourceType::PlacementGroup, tags))
        )
        .map(drop)
    }

    async fn delete_placement_group(&self, name: &str) -> Result<()> {
        call!(self, delete_placement_group, group_name(name)).map(drop)
    }

    async fn run_instances(&self, request: &RunInstances) -> Result<Vec<Instance>> {
        let retries = aws_sdk_ec2::config::Builder::new().retry_classifier(NoCapacityIsFinal);
        let answer = launch::builder(&self.client, request)
            .customize()
            .config_override(retries)
            .send()
            .await
            .map_err(|error| from_sdk(error, "run_instances", &self.endpoint))?;
        answer
            .instances
            .unwrap_or_default()
            .into_iter()
            .map(convert::instance)
            .collect()
    }

    async fn terminate_instances(&self, ids: &[String]) -> Result<()> {
        call!(
            self,
            terminate_instances,
            set_instance_ids(Some(ids.to_vec()))
        )
        .map(drop)
    }

    async fn delete_network_interface(&self, id: &str) -> Result<()> {
        call!(self, delete_network_interface, network_interface_id(id)).map(drop)
    }

    async fn allocate_address(&self, tags: &Tags) -> Result<Address> {
        let answer = call!(
            self,
            allocate_address,
            domain(sdk::DomainType::Vpc),
            tag_specifications(tag_specification(sdk::ResourceType::ElasticIp, tags))
        )?;
        Ok(Address {
            allocation_id: convert::present(answer.allocation_id, "AllocationId")?,
            association_id: None,
            public_ip: convert::present(answer.public_ip, "PublicIp")?,
            instance_id: None,
            network_interface_id: None,
        })
    }

    async fn associate_address(&self, allocation: &str, interface: &str) -> Result<()> {
        call!(
            self,
            associate_address,
            allocation_id(allocation),
            network_interface_id(interface)
        )
        .map(drop)
    }

    async fn disassociate_address(&self, association: &str) -> Result<()> {
        call!(self, disassociate_address, association_id(association)).map(drop)
    }

    async fn release_address(&self, allocation: &str) -> Result<()> {
        call!(self, release_address, allocation_id(allocation)).map(drop)
    }
}
