//! [`Ec2`] over aws-sdk-ec2.

use async_trait::async_trait;
use aws_sdk_ec2::config::Builder;
use aws_sdk_ec2::config::retry::RetryConfig;
use aws_sdk_ec2::operation::run_instances::builders::RunInstancesFluentBuilder;
use aws_sdk_ec2::types as sdk;

use super::attempts::Counted;
use super::call::{call, read_answers, read_pages};
use super::errors::{absent, from_sdk};
use super::pace;
use super::reading::Reading;
use super::request::{filters, ip_permission, number, tag_specifications};
use super::retry::NoCapacityIsFinal;
use super::sdk::AwsSdk;
use super::{capacity, convert, launch};
use crate::answer::{INSTANCE_TYPES, INSTANCES, LAUNCHED, OFFERINGS, STATES};
use crate::catalog::InstanceType;
use crate::ec2::{
    Address, CapacityBlockOffering, CapacityBlockSearch, CapacityReservation, CreateSecurityGroup,
    Direction, Ec2, Filter, FreeInterface, Image, Instance, InstanceState, InstanceTopology,
    LaunchTemplate, LaunchedWith, Offering, PlacementGroup, PurchaseCapacityBlock, RouteTable,
    Rule, RunInstances, SecurityGroup, Subnet, Tags, Vpc, VpcEndpoint,
};
use crate::error::{Code, Error, Result};

/// The largest page that DescribeInstanceTypes gives.
const INSTANCE_TYPES_PAGE: i32 = 100;
/// The largest page that DescribeRouteTables gives.
const ROUTE_TABLES_PAGE: i32 = 100;
/// The largest page that DescribeLaunchTemplates gives.
const LAUNCH_TEMPLATES_PAGE: i32 = 200;
/// The largest page that the other describing calls give.
const PAGE: i32 = 1000;
/// The most instances that one DescribeInstanceTopology takes.
const TOPOLOGY_BATCH: usize = 100;
/// The most instances that one DescribeInstanceStatus takes by id.
const STATUS_BATCH: usize = 100;

impl AwsSdk {
    async fn launch(&self, request: RunInstancesFluentBuilder) -> Result<Reading<Instance>> {
        pace::wait(&self.region, "run_instances").await;
        let attempts = Counted::new();
        let reading = Reading::new(&LAUNCHED);
        request
            .customize()
            .config_override(Builder::new().retry_classifier(NoCapacityIsFinal))
            .interceptor(attempts.clone())
            .interceptor(reading.clone())
            .send()
            .await
            .map_err(|error| from_sdk(error, "run_instances", &self.endpoint, Some(&attempts)))?;
        Ok(reading)
    }
}

#[async_trait]
impl Ec2 for AwsSdk {
    fn region(&self) -> &str {
        &self.region
    }

    async fn describe_instance_types(&self, by: &[Filter]) -> Result<Vec<InstanceType>> {
        read_answers!(
            self.ec2.describe_instance_types,
            INSTANCE_TYPES,
            max_results(INSTANCE_TYPES_PAGE),
            set_filters(filters(by))
        )
    }

    async fn describe_instance_type_offerings(&self, by: &[Filter]) -> Result<Vec<Offering>> {
        read_answers!(
            self.ec2.describe_instance_type_offerings,
            OFFERINGS,
            location_type(sdk::LocationType::AvailabilityZone),
            max_results(PAGE),
            set_filters(filters(by))
        )
    }

    async fn describe_vpcs(&self, by: &[Filter]) -> Result<Vec<Vpc>> {
        read_pages!(
            self.ec2.describe_vpcs,
            convert::vpc,
            max_results(PAGE),
            set_filters(filters(by))
        )
    }

    async fn describe_subnets(&self, by: &[Filter]) -> Result<Vec<Subnet>> {
        read_pages!(
            self.ec2.describe_subnets,
            convert::subnet,
            max_results(PAGE),
            set_filters(filters(by))
        )
    }

    async fn describe_key_pairs(&self, by: &[Filter]) -> Result<Vec<String>> {
        let answer = call!(self.ec2.describe_key_pairs, set_filters(filters(by)))?;
        let pairs = answer.key_pairs.unwrap_or_default();
        pairs.into_iter().map(convert::key_pair).collect()
    }

    async fn describe_route_tables(&self, by: &[Filter]) -> Result<Vec<RouteTable>> {
        read_pages!(
            self.ec2.describe_route_tables,
            convert::route_table,
            max_results(ROUTE_TABLES_PAGE),
            set_filters(filters(by))
        )
    }

    async fn describe_vpc_endpoints(&self, by: &[Filter]) -> Result<Vec<VpcEndpoint>> {
        read_pages!(
            self.ec2.describe_vpc_endpoints,
            convert::vpc_endpoint,
            max_results(PAGE),
            set_filters(filters(by))
        )
    }

    async fn describe_images(&self, owners: &[String], by: &[Filter]) -> Result<Vec<Image>> {
        // An image that its owner has deprecated still launches.
        read_pages!(
            self.ec2.describe_images,
            convert::image,
            include_deprecated(true),
            set_owners((!owners.is_empty()).then(|| owners.to_vec())),
            max_results(PAGE),
            set_filters(filters(by))
        )
    }

    async fn describe_security_groups(&self, by: &[Filter]) -> Result<Vec<SecurityGroup>> {
        read_pages!(
            self.ec2.describe_security_groups,
            convert::security_group,
            max_results(PAGE),
            set_filters(filters(by))
        )
    }

    async fn describe_placement_groups(&self, by: &[Filter]) -> Result<Vec<PlacementGroup>> {
        let answer = call!(self.ec2.describe_placement_groups, set_filters(filters(by)))?;
        let groups = answer.placement_groups.unwrap_or_default();
        groups.into_iter().map(convert::placement_group).collect()
    }

    async fn placement_group_by_id(&self, group_id: &str) -> Result<Option<PlacementGroup>> {
        let answer = call!(self.ec2.describe_placement_groups, group_ids(group_id));
        let answer = absent(answer, "InvalidPlacementGroup.Unknown")?;
        let groups = answer.and_then(|answer| answer.placement_groups);
        let first = groups.unwrap_or_default().into_iter().next();
        first.map(convert::placement_group).transpose()
    }

    async fn launch_template(
        &self,
        template: &str,
        version: &str,
    ) -> Result<Option<LaunchTemplate>> {
        let by_id = crate::types::ResourceKind::LaunchTemplate.is_id(template);
        let named = Some(template.to_owned());
        let (id, name) = if by_id { (named, None) } else { (None, named) };
        let answer = call!(
            self.ec2.describe_launch_template_versions,
            set_launch_template_id(id),
            set_launch_template_name(name),
            versions(version)
        );
        let unknown = |error: &Error| {
            let code = error.ec2_code().unwrap_or_default();
            code.starts_with("InvalidLaunchTemplate") && code.contains("NotFound")
        };
        let versions = match answer {
            Err(error) if unknown(&error) => return Ok(None),
            answer => answer?.launch_template_versions.unwrap_or_default(),
        };
        versions
            .into_iter()
            .next()
            .map(super::template::convert)
            .transpose()
    }

    async fn launch_template_names(&self) -> Result<Vec<String>> {
        let name = |template: sdk::LaunchTemplate| {
            convert::present(template.launch_template_name, "LaunchTemplateName")
        };
        read_pages!(
            self.ec2.describe_launch_templates,
            name,
            max_results(LAUNCH_TEMPLATES_PAGE)
        )
    }

    async fn describe_instances(&self, by: &[Filter]) -> Result<Vec<Instance>> {
        let reservations: Result<Vec<Vec<Instance>>> = read_answers!(
            self.ec2.describe_instances,
            INSTANCES,
            max_results(PAGE),
            set_filters(filters(by))
        );
        Ok(reservations?.into_iter().flatten().collect())
    }

    async fn instance_states(&self, ids: &[String]) -> Result<Vec<(String, InstanceState)>> {
        let mut found = Vec::with_capacity(ids.len());
        for batch in ids.chunks(STATUS_BATCH) {
            // EC2 takes MaxResults or ids, not both.
            let states: Result<Vec<(String, InstanceState)>> = read_answers!(
                self.ec2.describe_instance_status,
                STATES,
                include_all_instances(true),
                set_instance_ids(Some(batch.to_vec()))
            );
            found.extend(absent(states, "InvalidInstanceID.NotFound")?.unwrap_or_default());
        }
        Ok(found)
    }

    async fn describe_network_interfaces(&self, by: &[Filter]) -> Result<Vec<FreeInterface>> {
        read_pages!(
            self.ec2.describe_network_interfaces,
            convert::free_interface,
            max_results(PAGE),
            set_filters(filters(by))
        )
    }

    async fn describe_addresses(&self, by: &[Filter]) -> Result<Vec<Address>> {
        let answer = call!(self.ec2.describe_addresses, set_filters(filters(by)))?;
        let addresses = answer.addresses.unwrap_or_default();
        addresses.into_iter().map(convert::address).collect()
    }

    async fn describe_capacity_reservations(
        &self,
        by: &[Filter],
    ) -> Result<Vec<CapacityReservation>> {
        read_pages!(
            self.ec2.describe_capacity_reservations,
            capacity::reservation,
            max_results(PAGE),
            set_filters(filters(by))
        )
    }

    async fn groups_of_capacity_reservation(&self, id: &str) -> Result<Vec<String>> {
        read_pages!(
            self.ec2.get_groups_for_capacity_reservation,
            capacity::group_arn,
            capacity_reservation_id(id)
        )
    }

    async fn describe_capacity_block_offerings(
        &self,
        search: &CapacityBlockSearch,
    ) -> Result<Vec<CapacityBlockOffering>> {
        read_pages!(
            self.ec2.describe_capacity_block_offerings,
            capacity::block_offering,
            instance_type(&search.instance_type),
            instance_count(number("instance_count", search.instance_count)?),
            capacity_duration_hours(number("duration_hours", search.duration_hours)?)
        )
    }

    async fn describe_instance_topology(&self, ids: &[String]) -> Result<Vec<InstanceTopology>> {
        let mut found = Vec::with_capacity(ids.len());
        for batch in ids.chunks(TOPOLOGY_BATCH) {
            // EC2 takes MaxResults or ids, not both.
            let instances: Result<Vec<InstanceTopology>> = read_pages!(
                self.ec2.describe_instance_topology,
                capacity::topology,
                set_instance_ids(Some(batch.to_vec()))
            );
            found.extend(instances?);
        }
        Ok(found)
    }

    async fn purchase_capacity_block(
        &self,
        request: &PurchaseCapacityBlock,
    ) -> Result<CapacityReservation> {
        pace::wait(&self.region, "purchase_capacity_block").await;
        let attempts = Counted::new();
        let answer = self
            .ec2
            .purchase_capacity_block()
            .capacity_block_offering_id(&request.capacity_block_offering_id)
            .instance_platform(request.instance_platform.as_str().into())
            .set_tag_specifications(tag_specifications(
                sdk::ResourceType::CapacityReservation,
                &request.tags,
            ))
            .customize()
            // Without a client token a second sending could buy a second time.
            .config_override(Builder::new().retry_config(RetryConfig::disabled()))
            .interceptor(attempts.clone())
            .send()
            .await
            .map_err(|error| {
                let action = "purchase_capacity_block";
                from_sdk(error, action, &self.endpoint, Some(&attempts))
            })?;
        capacity::reservation(convert::present(
            answer.capacity_reservation,
            "CapacityReservation",
        )?)
    }

    async fn create_security_group(&self, request: &CreateSecurityGroup) -> Result<String> {
        let answer = call!(
            self.ec2.create_security_group,
            group_name(&request.group_name),
            description(&request.description),
            vpc_id(&request.vpc_id),
            set_tag_specifications(tag_specifications(
                sdk::ResourceType::SecurityGroup,
                &request.tags
            ))
        )?;
        convert::present(answer.group_id, "GroupId")
    }

    async fn authorize_security_group(
        &self,
        group: &str,
        direction: Direction,
        rule: &Rule,
    ) -> Result<()> {
        let permission = ip_permission(rule);
        match direction {
            Direction::Ingress => call!(
                self.ec2.authorize_security_group_ingress,
                group_id(group),
                ip_permissions(permission)
            )
            .map(drop),
            Direction::Egress => call!(
                self.ec2.authorize_security_group_egress,
                group_id(group),
                ip_permissions(permission)
            )
            .map(drop),
        }
    }

    async fn delete_security_group(&self, id: &str) -> Result<()> {
        call!(self.ec2.delete_security_group, group_id(id)).map(drop)
    }

    async fn create_cluster_placement_group(&self, name: &str, tags: &Tags) -> Result<()> {
        call!(
            self.ec2.create_placement_group,
            group_name(name),
            strategy(sdk::PlacementStrategy::Cluster),
            set_tag_specifications(tag_specifications(sdk::ResourceType::PlacementGroup, tags))
        )
        .map(drop)
    }

    async fn delete_placement_group(&self, name: &str) -> Result<()> {
        call!(self.ec2.delete_placement_group, group_name(name)).map(drop)
    }

    async fn dry_run_instances(&self, request: &RunInstances) -> Result<()> {
        match self
            .launch(launch::builder(&self.ec2, request)?.dry_run(true))
            .await
        {
            Err(error) if error.ec2_code() == Some("DryRunOperation") => Ok(()),
            Err(error) => Err(error),
            Ok(_) => Err(Error::new(
                Code::Ec2UnexpectedAnswer,
                format!("RunInstances with DryRun launched at {}", self.endpoint),
            )
            .with_cure("check the endpoint: it does not answer as AWS does")
            .changed_aws()),
        }
    }

    async fn run_instances(&self, request: &RunInstances) -> Result<Vec<Instance>> {
        let answer = self.launch(launch::builder(&self.ec2, request)?).await?;
        Ok(answer.page()?.items)
    }

    async fn launched_with(&self, id: &str) -> Result<LaunchedWith> {
        let attribute = call!(
            self.ec2.describe_instance_attribute,
            instance_id(id),
            attribute(sdk::InstanceAttributeName::UserData)
        )?;
        let shown = call!(self.ec2.describe_instances, instance_ids(id))?;
        let reservation = shown.reservations.unwrap_or_default().into_iter().next();
        let instances = reservation.and_then(|r| r.instances).unwrap_or_default();
        let instance = convert::present(instances.into_iter().next(), "Instances")?;
        let user_data = attribute.user_data.and_then(|data| data.value);
        let ids = convert::volume_ids(&instance);
        let volumes = if ids.is_empty() {
            Vec::new()
        } else {
            let answer = call!(self.ec2.describe_volumes, set_volume_ids(Some(ids)))?;
            answer.volumes.unwrap_or_default()
        };
        let filter = sdk::Filter::builder()
            .name("attachment.instance-id")
            .values(id)
            .build();
        let interfaces = call!(self.ec2.describe_network_interfaces, filters(filter))?;
        let interfaces = interfaces.network_interfaces.unwrap_or_default();
        let request = match convert::priced_by(&instance) {
            None => None,
            Some(request) => {
                let shown = call!(
                    self.ec2.describe_spot_instance_requests,
                    spot_instance_request_ids(request)
                )?;
                let requests = shown.spot_instance_requests.unwrap_or_default();
                Some(convert::present(
                    requests.into_iter().next(),
                    "SpotInstanceRequests",
                )?)
            }
        };
        let mut with = convert::launched_with(instance, user_data, &volumes, interfaces)?;
        with.spot_maximum_price = request.and_then(|request| request.spot_price);
        Ok(with)
    }

    async fn create_tags(&self, ids: &[String], tags: &Tags) -> Result<()> {
        call!(
            self.ec2.create_tags,
            set_resources(Some(ids.to_vec())),
            set_tags(Some(super::request::tag_list(tags)))
        )
        .map(drop)
    }

    async fn terminate_instances(&self, ids: &[String]) -> Result<()> {
        call!(
            self.ec2.terminate_instances,
            set_instance_ids(Some(ids.to_vec()))
        )
        .map(drop)
    }

    async fn delete_network_interface(&self, id: &str) -> Result<()> {
        call!(self.ec2.delete_network_interface, network_interface_id(id)).map(drop)
    }

    async fn allocate_address(&self, tags: &Tags) -> Result<Address> {
        let answer = call!(
            self.ec2.allocate_address,
            domain(sdk::DomainType::Vpc),
            set_tag_specifications(tag_specifications(sdk::ResourceType::ElasticIp, tags))
        )?;
        Ok(Address {
            allocation_id: convert::present(answer.allocation_id, "AllocationId")?,
            association_id: None,
            public_ip: convert::present(answer.public_ip, "PublicIp")?,
            instance_id: None,
            network_interface_id: None,
            tags: tags.clone(),
        })
    }

    async fn associate_address(&self, allocation: &str, interface: &str) -> Result<()> {
        call!(
            self.ec2.associate_address,
            allocation_id(allocation),
            network_interface_id(interface)
        )
        .map(drop)
    }

    async fn disassociate_address(&self, association: &str) -> Result<()> {
        call!(self.ec2.disassociate_address, association_id(association)).map(drop)
    }

    async fn release_address(&self, allocation: &str) -> Result<()> {
        call!(self.ec2.release_address, allocation_id(allocation)).map(drop)
    }
}
