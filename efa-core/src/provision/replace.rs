//! Replaces nodes of a cluster: RunInstances of as many as are named, then TerminateInstances of
//! the named ones; the other way round in a reservation, whose places the named ones hold.

use sha2::{Digest, Sha256};

use super::await_instances::{self, Started};
use super::next::Verb;
use super::nodes::{self, Nodes};
use super::progress::Action;
use super::steps::{Steps, answered, note};
use super::terminate_instances;
use crate::catalog::{Catalog, InstanceType};
use crate::cluster::{Cluster, Expected};
use crate::ec2::{AttachedInterface, Instance, LaunchedWith, Market, RunInstances};
use crate::error::{Code, Error, Leftover, Result};
use crate::launch::{InstanceProfileSpecification, LaunchData};
use crate::plan::launch as defaults;
use crate::resource;
use crate::spec::Capacity;
use crate::tags;

/// How many launches with the same nodes, each terminated since, are looked past.
const LAUNCHES: u32 = 100;

/// Replaces these nodes of the cluster of this name by as many new ones with the same interfaces,
/// image, groups and user data.
pub(crate) async fn replace(steps: &Steps<'_>, name: &str, ids: &[String]) -> Result<Cluster> {
    let mut exists = Vec::new();
    match change(steps, name, ids, &mut exists).await {
        Ok(cluster) => Ok(cluster),
        Err(error) => Err(nodes::explained(steps, name, Verb::Replace, error, exists).await),
    }
}

async fn change(
    steps: &Steps<'_>,
    name: &str,
    ids: &[String],
    exists: &mut Vec<Leftover>,
) -> Result<Cluster> {
    let found = nodes::find(steps, name).await?;
    let mut wanted = ids.to_vec();
    wanted.sort();
    wanted.dedup();
    let key = hex::encode(&Sha256::digest(wanted.join(" ").as_bytes())[..8]);
    let replaces = |i: &Instance| i.tags.get(tags::REPLACES) == Some(&key);
    let launched = found.live.iter().filter(|i| replaces(i)).count();
    let named = found.named(name, &wanted, &replaces)?;
    let expected = expected(steps, name, &found)?;
    // A cluster that lacks nodes for another reason is not made whole by this.
    let room = (expected.count as usize + named.len()).saturating_sub(found.live.len());
    let missing = (wanted.len() - launched.min(wanted.len())).min(room);
    let stays = |i: &&Instance| !named.contains(&i.instance_id);
    let Some(model) = found.live.iter().find(stays) else {
        return Err(crate::cluster::not_found(name, steps.aws.region()));
    };
    for id in &named {
        steps.tell(Action::Found, resource::INSTANCE, id, "to be replaced");
    }
    let mut left: Vec<String> = found.ids();
    left.retain(|id| !named.contains(id));
    if missing > 0 {
        // Read while the model lives; nothing has changed yet.
        let data = data(steps, model, &expected, &key).await?;
        if expected.capacity.is_reserved() && !named.is_empty() {
            terminate_instances::take_back(steps, name, &named).await?;
        }
        let count = u32::try_from(missing).unwrap_or(u32::MAX);
        let mut new = Vec::new();
        for (market, count) in shares(&expected.capacity, model, &left, &found, count) {
            let mut data = data.clone();
            if let Some(market) = market {
                data.instance_market_options = defaults::market_options(&market, None);
                data.capacity_reservation_specification = defaults::reservation(&market);
            }
            new.extend(launch(steps, data, count, &key, exists).await?);
        }
        await_new(steps, name, &new, &found, exists).await?;
        left.extend(new);
    }
    // An interrupted call may have begun with some of them.
    let out = [named, found.ended.clone()].concat();
    nodes::take_out(steps, model, &out, &left, exists).await
}

/// How many of `missing` nodes go where: with several reservations each gets what it lacks.
fn shares(
    capacity: &Capacity,
    model: &Instance,
    left: &[String],
    found: &Nodes,
    missing: u32,
) -> Vec<(Option<Market>, u32)> {
    let Capacity::Reservations(parts) = capacity else {
        return vec![(None, missing)];
    };
    let mut missing = missing;
    let mut shares = Vec::new();
    for part in parts {
        let id = &part.capacity_reservation_id;
        let inside = |i: &&Instance| i.capacity_reservation_id.as_ref() == Some(id);
        let stays = found.live.iter().filter(inside);
        let stays = stays.filter(|i| left.contains(&i.instance_id)).count();
        let lacks = part
            .count
            .saturating_sub(u32::try_from(stays).unwrap_or(u32::MAX));
        let lifecycle = found
            .live
            .iter()
            .find(inside)
            .unwrap_or(model)
            .lifecycle
            .as_deref();
        let market = match lifecycle {
            Some("capacity-block") => Market::CapacityBlock(id.clone()),
            _ => Market::Reservation(id.clone()),
        };
        let share = lacks.min(missing);
        missing -= share;
        if share > 0 {
            shares.push((Some(market), share));
        }
    }
    shares
}

/// What the cluster's tags state that it should be.
fn expected(steps: &Steps<'_>, name: &str, found: &Nodes) -> Result<Expected> {
    Expected::from_cluster(&Cluster {
        name: name.to_owned(),
        region: steps.aws.region().to_owned(),
        instances: found.live.clone(),
        security_group: None,
        placement_group: None,
    })
}

/// The launch of a node like `model`.
async fn data(
    steps: &Steps<'_>,
    model: &Instance,
    expected: &Expected,
    key: &str,
) -> Result<LaunchData> {
    let mut with: LaunchedWith = steps.aws.launched_with(&model.instance_id).await?;
    for device in &mut with.block_device_mappings {
        device.ebs.encrypted = true; // whatever made the model
    }
    let market = match (&expected.capacity, model.lifecycle.as_deref()) {
        (Capacity::Reservation(id), Some("capacity-block")) => Market::CapacityBlock(id.clone()),
        (Capacity::Reservation(id), _) => Market::Reservation(id.clone()),
        (Capacity::ReservationGroup(arn), _) => Market::ReservationGroup(arn.clone()),
        (Capacity::Spot, _) => Market::Spot,
        (Capacity::Open, _) => Market::Open,
        // Each launch states its own reservation.
        (Capacity::OnDemand | Capacity::Reservations(_), _) => Market::OnDemand,
    };
    let mut tags = model.tags.clone();
    tags.retain(|tag, _| !tag.starts_with("aws:") && tag != tags::BOOTSTRAP);
    tags.insert(tags::REPLACES.to_owned(), key.to_owned());
    tags.insert(tags::COUNT.to_owned(), expected.count.to_string());
    tags.insert(tags::PLAN.to_owned(), expected.fingerprint.clone());
    let placement_group = model.tags.get(tags::PLACEMENT_GROUP).cloned();
    let tenancy = with.tenancy.filter(|tenancy| tenancy != "default");
    let group = expected.security_group_id.as_deref().unwrap_or_default();
    let subnet = expected.subnet_ids.first().map_or("", String::as_str);
    let mut network_interfaces = defaults::interfaces_of(&expected.interfaces, group, Some(subnet));
    for interface in &mut network_interfaces {
        let of_model = |attached: &&AttachedInterface| {
            (attached.network_card_index, attached.device_index)
                == (interface.network_card_index, interface.device_index)
        };
        let attached = model.interfaces.iter().find(of_model);
        let further = attached
            .into_iter()
            .flat_map(|attached| &attached.group_ids);
        let further: Vec<String> = further.filter(|id| *id != group).cloned().collect();
        interface.groups.extend(further);
    }
    let ipv6_only = model.is_ipv6_only();
    if ipv6_only {
        defaults::ask_for_ipv6(&mut network_interfaces);
    }
    // EC2 shows the type's own, too, and takes none for some types.
    let of_type = Catalog::bundled().get(&expected.instance_type);
    let default = of_type.and_then(InstanceType::default_threads_per_core);
    let cpu_options = with
        .cpu_options
        .filter(|options| default.is_some_and(|default| options.threads_per_core < default));
    // Only EC2 knows it of a cluster that was made before its tags stated it.
    let price = tags.get(tags::SPOT_MAXIMUM_PRICE);
    let price = price
        .or(with.spot_maximum_price.as_ref())
        .map(String::as_str);
    Ok(LaunchData {
        instance_type: expected.instance_type.clone(),
        image_id: image_of(model, expected),
        network_interfaces,
        placement: defaults::placement_of(placement_group, tenancy),
        instance_market_options: defaults::market_options(&market, price),
        capacity_reservation_specification: defaults::reservation(&market),
        block_device_mappings: with.block_device_mappings,
        cpu_options,
        metadata_options: defaults::metadata_options(
            with.metadata_hop_limit,
            with.metadata_tags,
            ipv6_only,
        ),
        private_dns_name_options: with.private_dns_name_options,
        iam_instance_profile: profile_of(model, expected)
            .map(|name| InstanceProfileSpecification { name }),
        key_name: with.key_name,
        instance_initiated_shutdown_behavior: defaults::shutdown_behavior(&tags),
        tag_specifications: defaults::tag_specifications(&tags, &with.interface_tags),
        user_data: with.user_data,
    })
}

/// The planned image; the model's where its launcher chose it.
fn image_of(model: &Instance, expected: &Expected) -> String {
    match expected.image_id.as_str() {
        tags::BY_LAUNCHER => model.image_id.clone(),
        planned => planned.to_owned(),
    }
}

/// The planned profile; the model's where its launcher chose it, or no tag names one.
fn profile_of(model: &Instance, expected: &Expected) -> Option<String> {
    match expected.instance_profile_name.as_deref() {
        None | Some(tags::BY_LAUNCHER) => {
            let arn = model.iam_instance_profile_arn.as_deref()?;
            arn.rsplit('/').next().map(str::to_owned)
        }
        Some(planned) => Some(planned.to_owned()),
    }
}

/// Launches all of them or none; their ids. The client token is of the nodes that they replace.
async fn launch(
    steps: &Steps<'_>,
    data: LaunchData,
    count: u32,
    key: &str,
    exists: &mut Vec<Leftover>,
) -> Result<Vec<String>> {
    let mut request = RunInstances {
        client_token: String::new(),
        min_count: count,
        max_count: count,
        data,
    };
    let digest = hex::encode(&Sha256::digest(format!("{request:?}").as_bytes())[..8]);
    let mut number = 0;
    loop {
        request.client_token = format!("efa-sdk-{key}-{digest}-{number}");
        match steps.changing()?.run_instances(&request).await {
            Err(error)
                if answered(&error, &["IdempotentInstanceTerminated"]) && number < LAUNCHES =>
            {
                number += 1;
            }
            Err(error) => return Err(error),
            Ok(launched) => {
                for instance in &launched {
                    let (kind, id) = (resource::INSTANCE, &instance.instance_id);
                    note(steps, exists, Action::Created, kind, id, "a replacement");
                }
                return Ok(launched.into_iter().map(|i| i.instance_id).collect());
            }
        }
    }
}

/// Waits until the new nodes run. Where EC2 takes one back, it takes none: those that run are
/// taken back too, and the named ones stay.
async fn await_new(
    steps: &Steps<'_>,
    name: &str,
    new: &[String],
    found: &Nodes,
    exists: &mut Vec<Leftover>,
) -> Result<()> {
    let error = match await_instances::await_running(steps, name, new, &found.ids()).await {
        Ok(Started::All) => return Ok(()),
        Ok(Started::NoRoom { error, .. }) => error,
        Err(error) if error.code() == Code::ProvisionInstanceLost => error,
        Err(error) => return Err(error),
    };
    terminate_instances::take_back(steps, name, new).await?;
    exists.retain(|one| !new.contains(&one.id));
    let mut lost: Error = Error::new(
        Code::ProvisionInstanceLost,
        format!("no node was replaced: {}", error.message()),
    )
    .retryable(error.is_retryable());
    if let Some(cure) = error.cure() {
        lost = lost.with_cure(cure);
    }
    for (key, value) in error.context() {
        lost = lost.with_context(key, value);
    }
    let next = "replace the same nodes again once its cause is gone".to_owned();
    Err(lost.with_next_command(next))
}
