//! A RunInstances request in the SDK's form.

use aws_sdk_ec2::Client;
use aws_sdk_ec2::operation::run_instances::builders::RunInstancesFluentBuilder;
use aws_sdk_ec2::types as sdk;

use super::tag_specification;
use crate::ec2::{RootVolume, RunInstances};
use crate::layout::NetworkInterface;

/// The request, ready to send: IMDSv2 required, the root volume encrypted, tags on everything.
pub(super) fn builder(client: &Client, request: &RunInstances) -> RunInstancesFluentBuilder {
    let count = i32::try_from(request.count).unwrap_or(i32::MAX);
    let interfaces = request
        .interfaces
        .iter()
        .map(|i| interface(request, i))
        .collect();
    let tagged = [
        sdk::ResourceType::Instance,
        sdk::ResourceType::Volume,
        sdk::ResourceType::NetworkInterface,
    ];
    let tags = tagged
        .into_iter()
        .map(|resource| tag_specification(resource, &request.tags))
        .collect();
    client
        .run_instances()
        .client_token(&request.client_token)
        .instance_type(sdk::InstanceType::from(request.instance_type.as_str()))
        .min_count(count)
        .max_count(count)
        .image_id(&request.image_id)
        .set_network_interfaces(Some(interfaces))
        .set_placement(
            request
                .placement_group_name
                .as_ref()
                .map(|name| sdk::Placement::builder().group_name(name).build()),
        )
        .set_block_device_mappings(
            request
                .root_volume
                .as_ref()
                .map(|volume| vec![root_volume(volume)]),
        )
        .set_key_name(request.key_name.clone())
        .set_iam_instance_profile(request.iam_instance_profile.as_ref().map(|name| {
            sdk::IamInstanceProfileSpecification::builder()
                .name(name)
                .build()
        }))
        .set_user_data(
            request
                .user_data
                .as_ref()
                .map(aws_smithy_types::base64::encode),
        )
        .metadata_options(
            sdk::InstanceMetadataOptionsRequest::builder()
                .http_tokens(sdk::HttpTokensState::Required)
                .http_endpoint(sdk::InstanceMetadataEndpointState::Enabled)
                // Containers on the instance are one hop further.
                .http_put_response_hop_limit(2)
                .build(),
        )
        .set_tag_specifications(Some(tags))
}

fn interface(
    request: &RunInstances,
    interface: &NetworkInterface,
) -> sdk::InstanceNetworkInterfaceSpecification {
    let index = |value: u32| i32::try_from(value).unwrap_or(i32::MAX);
    sdk::InstanceNetworkInterfaceSpecification::builder()
        .network_card_index(index(interface.network_card_index.get()))
        .device_index(index(interface.device_index.get()))
        .interface_type(interface.interface_type.as_str())
        .subnet_id(&request.subnet_id)
        .groups(&request.security_group_id)
        .delete_on_termination(true)
        .set_associate_public_ip_address(interface.associate_public_ip_address)
        .set_secondary_private_ip_address_count(interface.ipv4_address_count.map(index))
        .set_ipv4_prefix_count(interface.ipv4_prefix_count.map(index))
        .build()
}

fn root_volume(volume: &RootVolume) -> sdk::BlockDeviceMapping {
    sdk::BlockDeviceMapping::builder()
        .device_name(&volume.device_name)
        .ebs(
            sdk::EbsBlockDevice::builder()
                .encrypted(true)
                .delete_on_termination(true)
                .volume_type(sdk::VolumeType::Gp3)
                .set_volume_size(
                    volume
                        .volume_size_gib
                        .and_then(|size| i32::try_from(size).ok()),
                )
                .build(),
        )
        .build()
}
