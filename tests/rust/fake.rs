//! The verbs over the AWS in memory, and that AWS's own rules.
#![allow(clippy::unwrap_used)] // a failed set-up is a failed test

mod expiry;
mod ipv6;
mod launch_templates;
mod own_fake;
mod preflights;
mod purchase;
mod reservations;
mod suggestions;

use std::time::Duration;

use efa_core::clock::Clock;
use efa_core::ec2::{CapacityReservation, Ec2, InstanceState, Tags};
use efa_core::error::Code;
use efa_core::iam::Iam;
use efa_core::layout::PublicIp;
use efa_core::provision::{Cancel, Shrink};
use efa_core::run_command::NodeStatus;
use efa_core::spec::{Capacity, InstanceProfileChoice, InstanceRole, PlacementGroupChoice};
use efa_core::testing::{Call, CommandOutcome, Failing, FakeAws};
use efa_core::{preflight, run_command};

const SMALL: &str = "c5n.18xlarge";

#[tokio::test]
async fn a_cluster_comes_up_as_planned_and_goes_without_a_trace() {
    for instance_type in [
        "p5.48xlarge",
        "p6-b300.48xlarge",
        "hpc6id.32xlarge",
        "hpc7g.16xlarge",
        SMALL,
    ] {
        let aws = FakeAws::new();
        let client = aws.client();
        let mut spec = aws.spec("flow", instance_type, 2);
        if instance_type == SMALL {
            spec.public_ip = PublicIp::ElasticIp;
        }
        let plan = client.plan(&spec).await.unwrap();
        assert!(aws.resources().is_empty(), "planning changes nothing");
        assert!(client.preflight(&plan).await.unwrap().is_ready());

        let cluster = client.apply(&plan).await.unwrap();
        let running = |state: &InstanceState| *state == InstanceState::Running;
        assert!(cluster.instances.iter().all(|i| running(&i.state)));
        let made = aws.resources();
        assert_eq!(client.apply(&plan).await.unwrap(), cluster, "idempotent");
        assert_eq!(aws.resources(), made);
        for report in [client.verify("flow").await, client.verify_plan(&plan).await] {
            let report = report.unwrap();
            assert!(report.is_as_planned(), "{report}");
        }
        let report = client.destroy("flow").await.unwrap();
        assert_eq!(report.removed.len(), made.len());
        assert!(aws.resources().is_empty());
        assert!(client.destroy("flow").await.unwrap().removed.is_empty());
    }
}

#[tokio::test]
async fn every_verb_works_on_a_cluster_with_a_role() {
    let aws = FakeAws::new();
    let client = aws.client();
    let mut spec = aws.spec("train", SMALL, 5);
    let mut role = InstanceRole::default();
    role.scripts_bucket = Some("scripts".to_owned());
    role.cloudwatch_logs = true;
    spec.instance_profile = InstanceProfileChoice::Make(role);
    let plan = client.plan(&spec).await.unwrap();
    let prepared = client.prepare(&plan).await.unwrap();
    assert_eq!(
        aws.resources().len(),
        4,
        "both groups, the role, the profile"
    );
    client.apply(&prepared).await.unwrap();

    let clusters = client.clusters().await.unwrap();
    assert_eq!((clusters.len(), clusters[0].name.as_str()), (1, "train"));
    let topology = client.topology("train").await.unwrap();
    assert_eq!(topology.distance(0, 1), Some(0));
    assert_eq!(topology.distance(0, 4), Some(1), "four below a bottom node");
    let report = client.preflight(&plan).await.unwrap();
    let quota = &report.checks[1];
    assert_eq!(quota.status, preflight::Status::Passed, "{report}");
    let id = &aws.instances()[0].instance_id;
    assert!(
        client
            .verify_instance(id)
            .await
            .unwrap()
            .to_string()
            .contains(id.as_str())
    );

    aws.on_command(|id, script| {
        let mut outcome = CommandOutcome::default();
        outcome.exit_code = i32::from(script == "false");
        outcome.stdout = format!("{id}\n");
        outcome
    });
    let options = run_command::Options::default();
    let report = client.run_command("train", "true", &options).await.unwrap();
    assert!(report.succeeded() && report.nodes.len() == 5, "{report}");
    assert_eq!(report.nodes[0].stdout.trim(), report.nodes[0].instance_id);
    let report = client
        .run_command("train", "false", &options)
        .await
        .unwrap();
    assert_eq!(report.failed().len(), 5);
    aws.on_command(|_, _| {
        let mut outcome = CommandOutcome::default();
        outcome.takes = Duration::from_secs(3600);
        outcome
    });
    let report = client
        .run_command("train", "sleep", &options)
        .await
        .unwrap();
    assert_ne!(report.nodes[0].status, NodeStatus::Success, "{report}");

    client.destroy("train").await.unwrap();
    assert!(aws.resources().is_empty());
}

#[tokio::test]
async fn a_larger_plan_grows_the_cluster() {
    let aws = FakeAws::new();
    let client = aws.client();
    let mut spec = aws.spec("train", SMALL, 2);
    client
        .apply(&client.plan(&spec).await.unwrap())
        .await
        .unwrap();
    spec.count = 3;
    let larger = client.plan(&spec).await.unwrap();
    let error = client.apply(&larger).await.unwrap_err();
    assert_eq!(error.code(), Code::ProvisionClusterDiffers);
    let grown = client.grow(&larger).await.unwrap();
    assert_eq!(grown.instances.len(), 3);
    assert!(client.verify("train").await.unwrap().is_as_planned());

    assert_eq!(client.apply(&larger).await.unwrap(), grown, "nothing to do");
    spec.count = 2;
    let smaller = client.plan(&spec).await.unwrap();
    let error = client.apply(&smaller).await.unwrap_err();
    assert_eq!(error.code(), Code::ProvisionClusterDiffers);
    let said = format!("{error} {}", error.next_command().unwrap());
    assert!(said.contains("shrink('train', 2)"), "{said}");
    assert!(
        said.contains("count=3") && !said.contains("destroy"),
        "{said}"
    );
    client.shrink("train", &Shrink::To(2)).await.unwrap();
    assert_eq!(client.apply(&smaller).await.unwrap().instances.len(), 2);
    let error = client.apply(&larger).await.unwrap_err();
    let next = error.next_command().unwrap();
    assert!(next.starts_with("grow to the plan"), "{next}");
}

/// A version before this one had the count in the fingerprint: its clusters carry another.
#[tokio::test]
async fn a_cluster_of_an_earlier_version_is_taken_by_grow() {
    let aws = FakeAws::new();
    let client = aws.client();
    let plan = client.plan(&aws.spec("train", SMALL, 2)).await.unwrap();
    let cluster = client.apply(&plan).await.unwrap();
    let ids: Vec<String> = cluster
        .instances
        .iter()
        .map(|i| i.instance_id.clone())
        .collect();
    let earlier = Tags::from([("efa-sdk:plan".to_owned(), "0123456789abcdef".to_owned())]);
    aws.create_tags(&ids, &earlier).await.unwrap();
    let error = client.apply(&plan).await.unwrap_err();
    assert_eq!(error.code(), Code::ProvisionClusterDiffers);
    let cure = error.cure().unwrap();
    assert!(
        cure.contains("earlier version") && cure.contains("call grow"),
        "{cure}"
    );
    assert_eq!(client.grow(&plan).await.unwrap().instances.len(), 2);
    assert_eq!(client.describe("train").await.unwrap().instances.len(), 2);
}

#[tokio::test]
async fn the_next_zone_takes_what_a_full_one_does_not() {
    let aws = FakeAws::new();
    let client = aws.client();
    let plan = client.plan(&aws.spec("train", SMALL, 2)).await.unwrap();
    aws.fill_zone("us-east-1a");
    aws.set_capacity(SMALL, "us-east-1b", 1);
    let cluster = client.apply(&plan).await.unwrap();
    assert_eq!(cluster.instances[0].availability_zone, "us-east-1c");
    client.destroy("train").await.unwrap();

    aws.fill_zone("us-east-1c");
    let error = client.apply(&plan).await.unwrap_err();
    assert_eq!(error.code(), Code::ProvisionNoCapacity);
    assert_eq!(error.ec2_code(), Some("InsufficientInstanceCapacity"));
    assert_eq!(error.leftovers().len(), aws.resources().len());
    client.destroy("train").await.unwrap();
    assert!(aws.resources().is_empty());
}

#[tokio::test]
async fn what_is_new_is_invisible_for_a_while() {
    for calls in 1..4 {
        let aws = FakeAws::new();
        aws.set_eventual(calls);
        let client = aws.client();
        let mut spec = aws.spec("train", SMALL, 2);
        spec.public_ip = PublicIp::ElasticIp;
        let plan = client.plan(&spec).await.unwrap();
        let cluster = client.apply(&plan).await.unwrap();
        assert_eq!(cluster.instances.len(), 2);
        assert!(client.verify("train").await.unwrap().is_as_planned());
        client.destroy("train").await.unwrap();
        assert!(aws.resources().is_empty(), "{calls}: {:?}", aws.resources());
    }
}

#[tokio::test]
async fn a_token_belongs_to_one_launch() {
    let aws = FakeAws::new();
    let client = aws.client();
    let plan = client.plan(&aws.spec("train", SMALL, 2)).await.unwrap();
    client.apply(&plan).await.unwrap();
    client.destroy("train").await.unwrap();
    // The token of the first launch is used up: apply takes the next.
    let again = client.apply(&plan).await.unwrap();
    assert_eq!(again.instances.len(), 2);
}

#[tokio::test]
async fn a_lost_instance_is_an_error_with_its_reason() {
    let aws = FakeAws::new();
    let losing = aws.clone();
    let client = aws.client().with_progress(move |_| {
        for instance in losing.instances() {
            losing.lose_instance(&instance.instance_id, "Server.SpotInstanceTermination");
        }
    });
    let plan = client.plan(&aws.spec("train", SMALL, 1)).await.unwrap();
    let error = client.apply(&plan).await.unwrap_err();
    assert_eq!(error.code(), Code::ProvisionInstanceLost);
    assert!(error.message().contains("Server.SpotInstanceTermination"));
    client.destroy("train").await.unwrap();
    assert!(aws.resources().is_empty());
}

#[tokio::test]
async fn waits_end_on_the_clock_and_take_no_time() {
    let aws = FakeAws::new();
    aws.set_transitions(Duration::from_secs(3600), Duration::ZERO);
    let client = aws.client();
    let plan = client.plan(&aws.spec("train", SMALL, 1)).await.unwrap();
    let began = std::time::Instant::now();
    let error = client.apply(&plan).await.unwrap_err();
    assert_eq!(error.code(), Code::ProvisionTimeout);
    assert!(aws.clock().now() > Duration::from_secs(800));
    assert!(began.elapsed() < Duration::from_secs(20));
}

#[tokio::test]
async fn a_request_to_stop_is_obeyed_between_two_calls() {
    let aws = FakeAws::new();
    let cancel = Cancel::new();
    let stop = cancel.clone();
    let client = aws
        .client()
        .with_cancel(cancel)
        .with_progress(move |event| {
            if event.resource_type == "placement-group" {
                stop.cancel();
            }
        });
    let plan = client.plan(&aws.spec("train", SMALL, 2)).await.unwrap();
    let error = client.apply(&plan).await.unwrap_err();
    assert_eq!(error.code(), Code::ProvisionCancelled);
    assert_eq!(error.leftovers(), aws.resources());
}

#[tokio::test]
async fn groups_of_others_stay() {
    let aws = FakeAws::new();
    let client = aws.client();
    let other = Tags::from([("efa-sdk:cluster".to_owned(), "train-2".to_owned())]);
    let other_group = aws.add_security_group("efa-sdk-train-2", other);
    let plan = client.plan(&aws.spec("train", SMALL, 2)).await.unwrap();
    client.apply(&plan).await.unwrap();
    client.destroy("train").await.unwrap();
    let left = aws.resources();
    assert_eq!((left.len(), &left[0].id), (1, &other_group));
    aws.add_security_group("efa-sdk-train", Tags::new());
    let error = client.apply(&plan).await.unwrap_err();
    assert_eq!(error.code(), Code::PlanConflict);
}

fn reservation(id: &str, count: u32) -> CapacityReservation {
    CapacityReservation {
        capacity_reservation_id: id.to_owned(),
        instance_type: SMALL.to_owned(),
        availability_zone: "us-east-1b".to_owned(),
        tenancy: "default".to_owned(),
        state: "active".to_owned(),
        reservation_type: "default".to_owned(),
        instance_match_criteria: "open".to_owned(),
        instance_platform: Some("Linux/UNIX".to_owned()),
        owner_id: "123456789012".to_owned(),
        total_instance_count: count,
        available_instance_count: count,
        placement_group_arn: None,
        start_date: None,
        end_date: None,
    }
}

#[tokio::test]
async fn reservations_have_room_where_zones_have_none() {
    let aws = FakeAws::new();
    let client = aws.client();
    for zone in ["us-east-1a", "us-east-1b", "us-east-1c"] {
        aws.fill_zone(zone);
    }
    aws.add_reservation(reservation("cr-1", 2));
    let spec = aws.spec("train", SMALL, 2);
    let plan = client.plan(&spec).await.unwrap();
    let cluster = client.apply(&plan).await.unwrap();
    let runs_in = |id: &str| {
        let mut instances = aws.instances().into_iter();
        instances.all(|i| i.capacity_reservation_id.as_deref() == Some(id))
    };
    assert_eq!(cluster.instances[0].availability_zone, "us-east-1b");
    assert!(runs_in("cr-1"), "an open reservation takes what matches it");
    client.destroy("train").await.unwrap();

    let mut targeted = aws.spec("train", SMALL, 3);
    aws.add_reservation(reservation("cr-2", 2));
    targeted.capacity = Capacity::Reservation("cr-2".to_owned());
    targeted.placement_group = PlacementGroupChoice::None;
    let error = client.plan(&targeted).await.unwrap_err();
    assert!(error.message().contains("room for 2"), "{error}");
    targeted.count = 2;
    let plan = client.plan(&targeted).await.unwrap();
    assert!(client.preflight(&plan).await.unwrap().is_ready());
    client.apply(&plan).await.unwrap();
    assert!(runs_in("cr-2"));
}

#[tokio::test]
async fn an_elastic_ip_that_ec2_does_not_list_yet_is_allocated_once() {
    let aws = Failing::new(FakeAws::new());
    let client = aws.client();
    let mut spec = aws.inner().spec("train", SMALL, 2);
    spec.public_ip = PublicIp::ElasticIp;
    let plan = client.plan(&spec).await.unwrap();
    aws.inner().set_eventual(4);
    client.apply(&plan).await.unwrap();
    assert_eq!(aws.count(Call::AllocateAddress), 2);
    assert_eq!(aws.inner().addresses().len(), 2);
}

#[tokio::test]
async fn instances_that_end_late_for_lack_of_capacity_go_to_the_next_zone() {
    let aws = Failing::new(FakeAws::new());
    let client = aws.client();
    let plan = client
        .plan(&aws.inner().spec("train", SMALL, 2))
        .await
        .unwrap();
    let zone = plan.subnet().availability_zone.clone();
    let reason = "Server.InsufficientInstanceCapacity: There was insufficient capacity.";
    aws.inner().end_after_launch(&zone, reason, 1);
    let cluster = client.apply(&plan).await.unwrap();
    assert_eq!(aws.inner().instances().len(), 2);
    assert!(
        cluster
            .instances
            .iter()
            .all(|i| i.availability_zone != zone)
    );

    // What joins other instances stays where these are, and they stay.
    let larger = client
        .plan(&aws.inner().spec("train", SMALL, 4))
        .await
        .unwrap();
    aws.inner().end_after_launch("", reason, 1);
    let error = client.grow(&larger).await.unwrap_err();
    assert_eq!(error.code(), Code::ProvisionNoCapacity);
    assert_eq!(aws.inner().instances().len(), 2);
    assert!(
        error
            .next_command()
            .unwrap()
            .starts_with("grow to the same plan again later")
    );
}

#[tokio::test]
async fn instances_that_end_late_may_be_fewer_than_asked_for() {
    let aws = FakeAws::new();
    let client = aws.client();
    let mut spec = aws.spec("train", SMALL, 4);
    spec.minimum_count = Some(3);
    let plan = client.plan(&spec).await.unwrap();
    aws.end_after_launch("", "Server.InsufficientInstanceCapacity: none", 1);
    assert_eq!(client.apply(&plan).await.unwrap().instances.len(), 3);
}

#[tokio::test]
async fn a_placement_group_that_another_account_shares_is_named_by_its_id() {
    let aws = FakeAws::new();
    let client = aws.client();
    let group_id = aws.share_placement_group("theirs", "210987654321");
    let mut spec = aws.spec("train", SMALL, 2);
    spec.placement_group = PlacementGroupChoice::Use("theirs".to_owned());
    let error = client.plan(&spec).await.unwrap_err();
    assert_eq!(error.code(), Code::PlanResourceNotFound);
    assert!(error.cure().unwrap().contains("by its id"), "{error}");

    spec.placement_group = PlacementGroupChoice::Use(group_id.clone());
    let plan = client.plan(&spec).await.unwrap();
    assert!(client.preflight(&plan).await.unwrap().is_ready());
    let cluster = client.apply(&plan).await.unwrap();
    assert!(
        cluster
            .placement_group
            .as_ref()
            .is_some_and(|g| g.group_id == group_id)
    );
    for report in [
        client.verify("train").await,
        client.verify_plan(&plan).await,
    ] {
        let report = report.unwrap();
        assert!(report.is_as_planned(), "{report}");
    }
    let replaced = [cluster.instances[0].instance_id.clone()];
    client.replace("train", &replaced).await.unwrap();
    assert!(client.verify("train").await.unwrap().is_as_planned());
    client.destroy("train").await.unwrap();
    assert!(aws.resources().is_empty());
}

#[tokio::test]
async fn a_role_is_bounded_from_birth_and_stays_so() {
    let aws = FakeAws::new();
    let bounded = |arn: Option<&str>| {
        let mut spec = aws.spec("train", SMALL, 1);
        let mut role = InstanceRole::default();
        role.permissions_boundary = arn.map(str::to_owned);
        spec.instance_profile = InstanceProfileChoice::Make(role);
        spec
    };
    let none = bounded(Some("arn:aws:iam::123456789012:policy/at-most"));
    let error = aws.client().plan(&none).await.unwrap_err();
    assert_eq!(error.code(), Code::PlanResourceNotFound, "{error}");
    let arn = aws.add_policy("at-most");
    let (client, plan) = (aws.client(), aws.client().plan(&none).await.unwrap());
    client.prepare(&plan).await.unwrap();
    let name = &plan.instance_profile().unwrap().name;
    let role = aws.get_role(name).await.unwrap().unwrap();
    assert_eq!(role.permissions_boundary, Some(arn));
    client.prepare(&plan).await.unwrap();
    // A plan with another boundary, or none, does not take the role for its own.
    let open = client.plan(&bounded(None)).await.unwrap();
    let error = client.prepare(&open).await.unwrap_err();
    assert_eq!(error.context_value("field"), Some("permissions_boundary"));
    client.destroy("train").await.unwrap();
    client.prepare(&open).await.unwrap();
}

#[tokio::test]
async fn a_node_of_a_launcher_or_an_older_version_is_replaced_by_one_like_it() {
    let aws = FakeAws::new();
    let mut spec = aws.spec("train", SMALL, 2);
    spec.capacity = Capacity::Spot;
    spec.spot_maximum_price = Some("4.5".to_owned());
    spec.instance_profile = InstanceProfileChoice::Make(InstanceRole::default());
    let client = aws.client();
    let cluster = client
        .apply(&client.plan(&spec).await.unwrap())
        .await
        .unwrap();
    let ids: Vec<String> = cluster
        .instances
        .iter()
        .map(|i| i.instance_id.clone())
        .collect();
    let by_launcher = ["efa-sdk:image", "efa-sdk:instance-profile"];
    let tags = by_launcher.map(|key| (key.to_owned(), "launcher".to_owned()));
    aws.create_tags(&ids, &Tags::from(tags)).await.unwrap();
    let after = client.replace("train", &ids[..1]).await.unwrap();
    let [old, new] = after.instances.as_slice() else {
        panic!("{after}");
    };
    assert_eq!(new.image_id, old.image_id);
    assert_eq!(new.iam_instance_profile_arn, old.iam_instance_profile_arn);
    assert!(new.iam_instance_profile_arn.is_some());
    let with = aws.launched_with(&new.instance_id).await.unwrap();
    assert_eq!(with.spot_maximum_price.as_deref(), Some("4.5"));
}
